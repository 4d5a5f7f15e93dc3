/* Who this file is: the site id, what binds it to this very file, and the
 * sites it knows.
 *
 * The id is bound to the file's inode and birth time (never the device
 * number, which changes with mounts) and to the last own version in the state
 * file beside it.  A copy has other marks; a file that went back in time is
 * behind its state file.  Either takes a new id: the old one becomes a remote
 * site like any other.
 *
 * Where both went back together (a machine restored as a whole), peers tell:
 * what they hold of this site ends where one of its intervals did, or another
 * life of this file published it.  Two lives may have given one dot to two
 * contents, and the dots that one of them alone gave are claimed by peers that
 * never saw them.  So what this file published moves to the new id, versions
 * kept, which changes no winner; and of the old id it holds nothing any more,
 * so that peers send all that they have of it.  How far back both lives agree
 * nobody can tell: a clock that lagged after the restore gives versions below
 * those of the other life.
 *
 * The state file: "GVST", format (4 bytes), site (16), last own version (8),
 * and hash64 of all that (8), big-endian.  While the file goes forward it is
 * not synced: being behind is harmless, and a torn one counts as missing. Once
 * the file went back it is not: a power cut that takes what the state file
 * said last leaves nobody here who knows.  So it is synced as soon as that is
 * noticed, before the transaction that renews, and again with the new id after
 * that one is on the disk; when it is made, and where it says that the file
 * must renew, too.
 *
 * In place of the version STATE_FORKED: it went back unnoticed and may have
 * published on; STATE_TWIN: so did another file that is in use under the same
 * id. */
#include "store/identity.h"

#include "base/assert.h"
#include "base/plant.h"
#include "store/borrowed.h"
#include "store/directory.h"
#include "store/internal.h"
#include "store/keys.h"
#include "store/kinds.h"
#include "store/moving.h"
#include "store/rows.h"
#include "store/schema.h"

#include <stdlib.h>
#include <string.h>

#define STATE_SIZE 40
#define STATE_FORMAT 1
#define STATE_MAGIC 0x47565354u /* "GVST" */
#define STATE_FORKED UINT64_MAX
#define STATE_TWIN (UINT64_MAX - 1)

_Static_assert(sizeof(struct site) == 16, "the state file and gv_site");
_Static_assert(4 + 4 + sizeof(struct site) + 8 + 8 == STATE_SIZE,
               "the state file's parts");
/* A number that site_number() gives is one that sites_load() takes. */
_Static_assert(2 * VV_SITES_MAX + 1 <= UINT32_MAX / 2, "numbers of sites");

static int sites_reserve(struct store *store, size_t count)
{
    struct site *grown;
    size_t capacity = store->site_capacity == 0 ? 16 : store->site_capacity;

    while (capacity < count)
        capacity *= 2;
    if (capacity == store->site_capacity)
        return GV_OK;
    grown = realloc(store->sites, capacity * sizeof *grown);
    if (grown == NULL)
        return GV_ENOMEM;
    memset(grown + store->site_capacity, 0,
           (capacity - store->site_capacity) * sizeof *grown);
    GV_ASSERT(capacity >= count && capacity > store->site_capacity);
    store->sites = grown;
    store->site_capacity = capacity;
    return GV_OK;
}

int sites_load(struct store *store)
{
    sqlite3_stmt *statement;
    int rc = sql_prepare(store->db, &statement,
                         "SELECT num,site,version FROM gv_site ORDER BY num");

    vv_clear(&store->vv);
    store->site_count = 1;
    while (rc == GV_OK && (rc = sql_step(statement)) > 0) {
        int64_t number = sqlite3_column_int64(statement, 0);
        gv_version version = (gv_version)sqlite3_column_int64(statement, 2);

        rc = GV_ECORRUPT;
        if (number < 1 || number > UINT32_MAX / 2 ||
            sqlite3_column_bytes(statement, 1) != 16 || version >= VERSION_MAX)
            break;
        rc = sites_reserve(store, (size_t)number + 1);
        if (rc != GV_OK)
            break;
        memcpy(store->sites[number].bytes, sqlite3_column_blob(statement, 1),
               16);
        store->site_count = (size_t)number + 1;
        if (version > 0)
            rc = vv_raise(&store->vv, &store->sites[number], version);
    }
    sqlite3_finalize(statement);
    GV_ASSERT(store->site_count == 1 ||
              store->site_count <= store->site_capacity);
    return rc;
}

int sites_again(struct store *store, struct gv_error *error)
{
    int rc = store->stale ? sites_load(store) : GV_OK;

    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot read the sites");
    store->stale = false;
    GV_ASSERT(store->own < store->site_count);
    return GV_OK;
}

int site_number(struct store *store, const struct site *site, uint32_t *number)
{
    int rc;

    GV_ASSERT(store->site_count > 0); /* number 0 is nobody */
    GV_ASSERT(!sqlite3_stmt_busy(store->site_find));
    sqlite3_bind_blob(store->site_find, 1, site->bytes, 16, SQLITE_STATIC);
    rc = sql_step(store->site_find);
    if (rc > 0) {
        int64_t found = sqlite3_column_int64(store->site_find, 0);

        rc = sql_finish(store->site_find);
        if (rc == GV_OK && (found < 1 || found >= (int64_t)store->site_count))
            rc = GV_ECORRUPT; /* written there since the sites were read */
        if (rc == GV_OK)
            *number = (uint32_t)found;
        return rc;
    }
    if (rc < 0)
        return rc;
    if (store->site_count > 2 * VV_SITES_MAX)
        return GV_ELIMIT;
    rc = sites_reserve(store, store->site_count + 1);
    if (rc == GV_OK)
        rc = sql_run(store->db,
                     "INSERT INTO gv_site(num,site,version,told)"
                     " VALUES(%lld,x'%016llx%016llx',0,0)",
                     (long long)store->site_count,
                     (unsigned long long)load_u64(site->bytes),
                     (unsigned long long)load_u64(site->bytes + 8));
    if (rc != GV_OK)
        return rc;
    GV_ASSERT(store->site_count < store->site_capacity);
    *number = (uint32_t)store->site_count++;
    store->sites[*number] = *site;
    return GV_OK;
}

int site_raise(struct store *store, uint32_t number, gv_version version)
{
    sqlite3_stmt *raise =
        number == store->own ? store->own_raise : store->site_raise;
    int rc;

    GV_ASSERT(number > 0 && number < store->site_count);
    rc = vv_raise(&store->vv, &store->sites[number], version);
    /* The vector never says more than what is committed with it. */
    GV_ASSERT(transaction_open(store));
    if (rc != GV_OK)
        return rc;
    if (plant("own-not-kept") && number == store->own)
        return GV_OK;
    sqlite3_bind_int64(raise, 1, number);
    sqlite3_bind_int64(raise, 2, (sqlite3_int64)version);
    return sql_finish(raise);
}

int meta_load(struct store *store)
{
    sqlite3_stmt *statement;
    int rc = sql_prepare(store->db, &statement,
                         "SELECT site,clock,fingerprint,mark,busy,pending"
                         " FROM gv_meta"
                         " WHERE id=1");

    if (rc == GV_OK)
        rc = sql_step(statement);
    if (rc == 1) {
        const uint8_t *fingerprint = sqlite3_column_blob(statement, 2);

        store->own = (uint32_t)sqlite3_column_int64(statement, 0);
        store->numbers.clock = (gv_version)sqlite3_column_int64(statement, 1);
        store->mark = (uint64_t)sqlite3_column_int64(statement, 3);
        store->numbers.busy = (unsigned)sqlite3_column_int(statement, 4);
        store->numbers.pending =
            (gv_version)sqlite3_column_int64(statement, 5);
        rc = GV_ECORRUPT;
        if (sqlite3_column_bytes(statement, 2) == 16) {
            store->numbers.fingerprint.high = load_u64(fingerprint);
            store->numbers.fingerprint.low = load_u64(fingerprint + 8);
            rc = GV_OK;
        }
    } else if (rc == 0) {
        rc = GV_ECORRUPT;
    }
    sqlite3_finalize(statement);
    store->committed = store->numbers;
    if (rc == GV_OK)
        rc = sites_load(store);
    /* Number 0 is nobody, and above the largest version none can follow. */
    if (rc == GV_OK && (store->own == 0 || store->own >= store->site_count ||
                        store->numbers.clock >= VERSION_MAX ||
                        store->numbers.pending > store->numbers.clock ||
                        store->numbers.busy > (BUSY_SEALING | BUSY_APPLYING)))
        rc = GV_ECORRUPT;
    return rc;
}

static int new_site(struct store *store, uint32_t *number)
{
    struct site site;

    store->host->random(store->host->context, site.bytes, sizeof site.bytes);
    return site_number(store, &site, number);
}

int identity_create(struct store *store)
{
    struct file_marks marks = {0};
    int rc = store->host->marks(store->host->context, store->path, &marks);

    GV_ASSERT(store->mode == STORE_WRITE && !store->joined);
    GV_ASSERT(transaction_open(store));
    store->site_count = 1;
    if (rc == GV_OK)
        rc = new_site(store, &store->own);
    if (rc == GV_OK)
        rc = sql_run(store->db,
                     "INSERT INTO gv_meta(id,format,site,inode,birth,mesh,"
                     "clock,fingerprint,busy,mark)"
                     " VALUES(1,%d,%d,%lld,%lld,NULL,0,zeroblob(16),0,0)",
                     STORE_FORMAT, (int)store->own, (long long)marks.inode,
                     (long long)marks.birth_ns);
    return rc;
}

static void note(struct store *store, gv_version last, bool synced)
{
    uint8_t state[STATE_SIZE];
    struct file *file;
    char *path = store_file_path(store, "state");
    int rc = path == NULL ? GV_ENOMEM : file_open(store->vfs, path, 1, &file);

    GV_ASSERT(store->mode == STORE_WRITE);
    free(path);
    if (rc == GV_OK) {
        store_u32(state, STATE_MAGIC);
        store_u32(state + 4, STATE_FORMAT);
        memcpy(state + 8, store->sites[store->own].bytes, 16);
        store_u64(state + 24, last);
        store_u64(state + 32, hash64(state, 32));
        rc = file_write(file, 0, state, sizeof state);
        if (rc == GV_OK && synced)
            rc = file_sync(file);
        file_close(file);
    }
    if (rc != GV_OK)
        log_line(&store->log, GV_LOG_WARNING,
                 "cannot write %s-gv/state (%s): if this file is restored"
                 " from a backup now, that may go unnoticed",
                 store->path, gv_strerror(rc));
}

void identity_note(struct store *store, gv_version last)
{
    note(store, last, store->state_due);
    store->state_due = false;
}

void identity_keep(struct store *store)
{
    struct file *file;
    char *path = store_file_path(store, "state");
    int rc = path == NULL ? GV_ENOMEM : file_open(store->vfs, path, 0, &file);

    GV_ASSERT(store->mode == STORE_WRITE);
    free(path);
    if (rc == GV_OK) {
        rc = file_sync(file);
        file_close(file);
    }
    if (rc != GV_OK && rc != GV_ENOTFOUND)
        log_line(&store->log, GV_LOG_WARNING,
                 "cannot sync %s-gv/state (%s): a power cut before this file"
                 " has a new site id may bring back the old one",
                 store->path, gv_strerror(rc));
}

static int state_bytes(struct store *store, uint8_t state[STATE_SIZE],
                       bool *there)
{
    struct file *file;
    uint64_t size = 0;
    char *path = store_file_path(store, "state");
    int rc = path == NULL ? GV_ENOMEM : file_open(store->vfs, path, 0, &file);

    free(path);
    *there = false;
    if (rc != GV_OK)
        return rc == GV_ENOTFOUND ? GV_OK : rc;
    rc = file_size(file, &size);
    if (rc == GV_OK && size >= STATE_SIZE) {
        rc = file_read(file, 0, state, STATE_SIZE);
        *there = rc == GV_OK;
    }
    file_close(file);
    return rc;
}

/* What the state file says.  *@known: there is one that makes sense; one that
 * cannot be read now is an error, since a file that went back would keep its
 * id. */
static int state_read(struct store *store, struct site *site,
                      gv_version *version, bool *known)
{
    uint8_t state[STATE_SIZE];
    int rc = state_bytes(store, state, known);

    if (rc != GV_OK || !*known)
        return rc;
    *known = load_u32(state) == STATE_MAGIC &&
             load_u64(state + 32) == hash64(state, 32);
    memcpy(site->bytes, state + 8, 16);
    *version = load_u64(state + 24);
    return GV_OK;
}

/* The old id stays, as a remote site that has published what this file
 * holds.  Nothing was told under the new id yet, so its first interval
 * depends on everything here. */
static int renew(struct store *store, const struct file_marks *marks,
                 bool forked)
{
    uint32_t old = store->own;
    int rc = new_site(store, &store->own);

    /* What stands in no interval yet may come to stand in another one of the
     * file that has the old id. */
    if (forked || store->numbers.pending > 0)
        store->lost_id = old;
    store->lost_above = forked ? 0 : vv_get(&store->vv, &store->sites[old]);
    if (rc == GV_OK && forked) {
        rc = sql_run(store->db, "UPDATE gv_site SET version=0 WHERE num=%d",
                     (int)old);
        if (rc == GV_OK)
            rc = sites_load(store);
    }
    if (rc == GV_OK)
        rc = sql_run(store->db,
                     "UPDATE gv_meta SET site=%d,inode=%lld,birth=%lld;"
                     "UPDATE gv_site SET told=0;"
                     "DELETE FROM gv_interval;",
                     (int)store->own, (long long)marks->inode,
                     (long long)marks->birth_ns);
    return rc;
}

/* Whether it published in two lives, as far as was noted. */
static int noted_forked(struct store *store, bool *noted)
{
    struct site site;
    gv_version version;
    bool known;
    int rc = state_read(store, &site, &version, &known);

    *noted = rc == GV_OK && known &&
             site_equal(&site, &store->sites[store->own]) &&
             (version == STATE_FORKED || version == STATE_TWIN);
    return rc;
}

/* Whether all that stands under the old id moves: of a cell that was written
 * while something was pending, what it held before is not known. */
static int forked(struct store *store, bool *all)
{
    int64_t cells = 0;
    int rc = noted_forked(store, all);

    GV_ASSERT(transaction_open(store));
    if (rc == GV_OK && !*all && store->numbers.pending > 0)
        rc = sql_number(store->db, &cells,
                        "SELECT EXISTS(SELECT 1 FROM gv_cell WHERE site=%d)",
                        (int)store->own);
    *all |= cells != 0;
    return rc;
}

/* Why this file is not the one that got the id: *@reason, or NULL. */
static int stranger(struct store *store, const struct file_marks *marks,
                    int64_t inode, int64_t birth, const char **reason)
{
    const struct site *own = &store->sites[store->own];
    struct site site;
    gv_version version = 0, held = vv_get(&store->vv, own);
    bool known, same;
    int rc = state_read(store, &site, &version, &known);

    *reason = NULL;
    if (rc != GV_OK)
        return rc;
    same = known && site_equal(&site, own);
    if (plant("old-unnoticed") && same)
        return GV_OK;
    if (plant("copy-unnoticed") && (!same || version <= held))
        return GV_OK;
    store->state_due = !known; /* its name too */
    if ((int64_t)marks->inode != inode ||
        (marks->birth_ns != 0 && birth != 0 && marks->birth_ns != birth))
        *reason = "it is a copy of the file that had the old one";
    else if (same && version == STATE_TWIN)
        *reason = "another live node has the old one";
    else if (known && (!same || version > held))
        *reason = "it went back to an earlier state";
    return GV_OK;
}

/* Whether additions to counters may be among what moves: those stay with the
 * lost id (moving.c). */
static int added(struct store *store, bool *any)
{
    int64_t cells = 0;
    int rc = sql_number(store->db, &cells,
                        "SELECT EXISTS(SELECT 1 FROM gv_cell AS e JOIN gv_col"
                        " AS c ON c.tbl=e.tbl AND c.bit=e.bit WHERE e.site=%d"
                        " AND c.kind='%q')",
                        (int)store->own, kind_name(COLUMN_COUNTER));

    GV_ASSERT(transaction_open(store));
    *any = cells != 0;
    return rc;
}

int identity_check(struct store *store, struct gv_error *error)
{
    struct file_marks marks;
    int64_t inode, birth;
    const char *reason = NULL;
    bool all, counters = false;
    char old[33], new[33];
    int rc = store->host->marks(store->host->context, store->path, &marks);

    GV_ASSERT(store->mode == STORE_WRITE);
    GV_ASSERT(transaction_open(store));
    if (rc == GV_OK)
        rc = sql_number(store->db, &inode, "SELECT inode FROM gv_meta");
    if (rc == GV_OK)
        rc = sql_number(store->db, &birth, "SELECT birth FROM gv_meta");
    if (rc == GV_OK)
        rc = stranger(store, &marks, inode, birth, &reason);
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot read the identity");
    if (reason == NULL)
        return GV_OK;
    site_format(&store->sites[store->own], old);
    identity_keep(store);
    store->state_due = true;
    rc = forked(store, &all);
    if (rc == GV_OK && all)
        rc = added(store, &counters);
    if (rc == GV_OK)
        rc = renew(store, &marks, all);
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot renew the identity");
    site_format(&store->sites[store->own], new);
    log_line(&store->log, GV_LOG_WARNING,
             "this file takes the new site id %s in place of %s, because %s;"
             " nothing is lost%s",
             new, old, reason,
             counters ? " but what was added to counters since then, if no"
                        " peer had it"
                      : "");
    return GV_OK;
}

/* Moving */

/* Its records of the lost id become the new one's. */
static int move_row(struct store *store, struct store_table *table,
                    const struct buffer *bytes, gv_version *last,
                    struct gv_error *error)
{
    struct row *row = &store->space.row;
    struct row_key key;
    int rc = row_key_decode(&key, bytes->data, bytes->size, table->key_count);

    rc = rc == GV_OK ? rows_find(store, table, &key, error) : GV_ECORRUPT;
    if (rc == GV_OK && table->each_count > 0)
        rc = moving_cells(store, table, &key);
    if (rc != GV_OK)
        return rc;
    for (size_t i = 0; i < row->record_count; i++) {
        struct record *record = &row->records[i];

        if (record->site != store->lost_id ||
            record->version <= store->lost_above)
            continue;
        record->site = store->own;
        if (*last < record->version)
            *last = record->version;
    }
    rc = rows_save(store, table, &key);
    return rc == GV_OK ? rows_flush(store) : rc;
}

/* Each row that is moved leaves the list of @next. */
static int move_rows(struct store *store, sqlite3_stmt *next, gv_version *last,
                     struct gv_error *error)
{
    struct buffer key;
    int rc;

    buffer_init(&key, SIZE_MAX);
    while ((rc = sql_step(next)) > 0) {
        struct store_table *table =
            schema_by_id(store, sqlite3_column_int64(next, 0));
        int64_t rid = sqlite3_column_int64(next, 1);

        sqlite3_reset(next);
        rc = table == NULL ? GV_ECORRUPT : row_key_of(store, table, rid, &key);
        if (rc == GV_OK)
            rc = move_row(store, table, &key, last, error);
        if (rc != GV_OK)
            break;
    }
    buffer_close(&key);
    return rc;
}

/* The new id has published up to @last, in no interval that could be sent:
 * peers get it by delta. */
static int publish_moved(struct store *store, gv_version last)
{
    int rc = GV_OK;

    if (store->numbers.busy != 0) {
        store->numbers.pending = last; /* told with the rest */
    } else if (last > 0) {
        rc = site_raise(store, store->own, last);
        sqlite3_bind_int64(store->interval_insert, 1, (sqlite3_int64)last);
        if (rc == GV_OK)
            rc = sql_finish(store->interval_insert);
    }
    if (rc == GV_OK)
        rc = sql_run(store->db,
                     "UPDATE gv_meta SET fingerprint=x'%016llx%016llx',"
                     "pending=%lld",
                     (unsigned long long)store->numbers.fingerprint.high,
                     (unsigned long long)store->numbers.fingerprint.low,
                     (long long)store->numbers.pending);
    store->committed = store->numbers;
    return rc;
}

int identity_move(struct store *store, struct gv_error *error)
{
    sqlite3_stmt *next;
    gv_version last = 0;
    int rc;

    if (store->lost_id == 0)
        return GV_OK;
    rc =
        sql_prepare(store->db, &next,
                    "SELECT tbl,rid FROM gv_ver WHERE site=%d AND version>%lld"
                    " LIMIT 1",
                    (int)store->lost_id, (long long)store->lost_above);
    if (rc == GV_OK)
        rc = move_rows(store, next, &last, error);
    sqlite3_finalize(next);
    if (rc == GV_OK)
        rc = publish_moved(store, last);
    store->lost_id = 0;
    if (rc != GV_OK && (error == NULL || error->code != rc))
        sql_fail(store->db, rc, error, "cannot renew the identity");
    return rc;
}

/* Hearing */

/* What the file held of its own before the open transaction. */
static gv_version own_before(const struct store *store)
{
    return store->in_transaction && store->sealed.any
               ? store->sealed.interval.from
               : vv_get(&store->vv, store_site(store));
}

static int end_known(struct store *store, gv_version version, bool *known)
{
    gv_version own = own_before(store);
    int rc;

    *known = version == 0 || version == own;
    if (*known || version > own)
        return GV_OK;
    sqlite3_bind_int64(store->interval_find, 1, (sqlite3_int64)version);
    rc = sql_step(store->interval_find);
    *known = rc > 0;
    sql_finish(store->interval_find);
    return rc < 0 ? rc : GV_OK;
}

static int went_back(struct store *store, gv_version version,
                     struct gv_error *error)
{
    bool twin = version == VERSION_MAX;

    GV_ASSERT(version > 0 && version <= VERSION_MAX);
    error_set(error, GV_EFORK, "%s",
              twin ? "Another live node has this file's site id."
                   : "A peer holds changes of this very file that"
                     " the file does not have.");
    error_meaning(error, "The file went back to an earlier state, or a copy"
                         " of it runs elsewhere under the same site id.");
    error_remedy(error, "Open it again: it then takes a new site id and"
                        " fetches what it lacks.");
    /* What it published after it went back, perhaps in an earlier run, stands
     * in no other file under a dot of its own. */
    note(store, twin ? STATE_TWIN : STATE_FORKED, true);
    store->moved = true;
    if (store->in_transaction)
        store->lost = GV_EMOVED;
    return GV_EFORK;
}

/* The state file is told, so that the next start renews, and the transaction
 * is given up: what it sealed must not go out under this id. */
int identity_heard(struct store *store, gv_version version,
                   struct gv_error *error)
{
    bool known;
    int rc = sites_again(store, error);

    if (rc != GV_OK)
        return rc;
    rc = end_known(store, version, &known);
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot read gv_interval");
    return known ? GV_OK : went_back(store, version, error);
}

int identity_heard_view(struct store *store, struct vv_view view,
                        struct gv_error *error)
{
    for (size_t i = 0; i < view.count; i++) {
        struct vv_entry entry = vv_view_at(view, i);

        if (site_equal(&entry.site, store_site(store)))
            return identity_heard(store, entry.version, error);
    }
    return GV_OK;
}

int store_heard_own(struct store *store, gv_version version,
                    struct gv_error *error)
{
    int rc = store->moved ? GV_EFORK : identity_heard(store, version, error);

    if (rc != GV_EFORK)
        return rc;
    if (error != NULL)
        error->code = GV_EMOVED;
    return GV_EMOVED;
}
