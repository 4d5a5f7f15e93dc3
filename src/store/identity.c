/* Who this file is: the site id, what binds it to this very file, and the
 * sites it knows.
 *
 * The id is bound to the file's inode and birth time (never the device
 * number, which changes with mounts) and to the last own version in the state
 * file beside it.  A copy has other marks; a file that went back in time is
 * behind its state file.  Either takes a new id: the old one becomes a remote
 * site like any other.
 *
 * The state file: "GVST", format (4 bytes), site (16), last own version (8),
 * and hash64 of all that (8), big-endian.  It is never synced: being behind
 * is harmless, and a torn one counts as missing. */
#include "store/internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define STATE_SIZE 40
#define STATE_MAGIC 0x47565354u /* "GVST" */

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
            sqlite3_column_bytes(statement, 1) != 16 || version > VERSION_MAX)
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
    return rc;
}

int site_number(struct store *store, const struct site *site, uint32_t *number)
{
    int rc;

    sqlite3_bind_blob(store->site_find, 1, site->bytes, 16, SQLITE_STATIC);
    rc = sql_step(store->site_find);
    if (rc > 0) {
        *number = (uint32_t)sqlite3_column_int64(store->site_find, 0);
        return sql_finish(store->site_find);
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
    *number = (uint32_t)store->site_count++;
    store->sites[*number] = *site;
    return GV_OK;
}

int site_raise(struct store *store, uint32_t number, gv_version version)
{
    int rc = vv_raise(&store->vv, &store->sites[number], version);

    if (rc != GV_OK)
        return rc;
    sqlite3_bind_int64(store->site_raise, 1, number);
    sqlite3_bind_int64(store->site_raise, 2, (sqlite3_int64)version);
    return sql_finish(store->site_raise);
}

int meta_load(struct store *store)
{
    sqlite3_stmt *statement;
    int rc = sql_prepare(store->db, &statement,
                         "SELECT site,clock,fingerprint,mark FROM gv_meta"
                         " WHERE id=1");

    if (rc == GV_OK)
        rc = sql_step(statement);
    if (rc == 1) {
        const uint8_t *fingerprint = sqlite3_column_blob(statement, 2);

        store->own = (uint32_t)sqlite3_column_int64(statement, 0);
        store->numbers.clock = (gv_version)sqlite3_column_int64(statement, 1);
        store->mark = (uint64_t)sqlite3_column_int64(statement, 3);
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
    if (rc == GV_OK && store->own >= store->site_count)
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

void identity_note(struct store *store, gv_version last)
{
    uint8_t state[STATE_SIZE];
    struct file *file;
    char *path = store_file_path(store, "state");
    int rc = path == NULL ? GV_ENOMEM : file_open(store->vfs, path, 1, &file);

    free(path);
    if (rc == GV_OK) {
        store_u32(state, STATE_MAGIC);
        store_u32(state + 4, STORE_FORMAT);
        memcpy(state + 8, store->sites[store->own].bytes, 16);
        store_u64(state + 24, last);
        store_u64(state + 32, hash64(state, 32));
        rc = file_write(file, 0, state, sizeof state);
        file_close(file);
    }
    if (rc != GV_OK)
        log_line(&store->log, GV_LOG_WARNING,
                 "cannot write %s-gv/state (%s): if this file is restored"
                 " from a backup now, that may go unnoticed",
                 store->path, gv_strerror(rc));
}

/* What the state file says; false if there is none that can be read. */
static bool state_read(struct store *store, struct site *site,
                       gv_version *version)
{
    uint8_t state[STATE_SIZE];
    struct file *file;
    char *path = store_file_path(store, "state");
    int rc = path == NULL ? GV_ENOMEM : file_open(store->vfs, path, 0, &file);

    free(path);
    if (rc != GV_OK)
        return false;
    rc = file_read(file, 0, state, sizeof state);
    file_close(file);
    if (rc != GV_OK || load_u32(state) != STATE_MAGIC ||
        load_u64(state + 32) != hash64(state, 32))
        return false;
    memcpy(site->bytes, state + 8, 16);
    *version = load_u64(state + 24);
    return true;
}

/* The old id stays, as a remote site that has published what this file
 * holds.  Nothing was told under the new id yet, so its first interval
 * depends on everything here. */
static int renew(struct store *store, const struct file_marks *marks)
{
    int rc = new_site(store, &store->own);

    if (rc == GV_OK)
        rc = sql_run(store->db,
                     "UPDATE gv_meta SET site=%d,inode=%lld,birth=%lld;"
                     "UPDATE gv_site SET told=0;"
                     "DELETE FROM gv_interval;",
                     (int)store->own, (long long)marks->inode,
                     (long long)marks->birth_ns);
    return rc;
}

/* Why this file is not the one that got the id, or NULL. */
static const char *stranger(struct store *store,
                            const struct file_marks *marks, int64_t inode,
                            int64_t birth)
{
    const struct site *own = &store->sites[store->own];
    struct site site;
    gv_version version;

    if ((int64_t)marks->inode != inode ||
        (marks->birth_ns != 0 && birth != 0 && marks->birth_ns != birth))
        return "it is a copy of the file that had the old one";
    if (!state_read(store, &site, &version))
        return NULL;
    if (!site_equal(&site, own) || version > vv_get(&store->vv, own))
        return "it went back to an earlier state";
    return NULL;
}

int identity_check(struct store *store, struct gv_error *error)
{
    struct file_marks marks;
    int64_t inode, birth;
    const char *reason;
    char old[33], new[33];
    int rc = store->host->marks(store->host->context, store->path, &marks);

    if (rc == GV_OK)
        rc = sql_number(store->db, &inode, "SELECT inode FROM gv_meta");
    if (rc == GV_OK)
        rc = sql_number(store->db, &birth, "SELECT birth FROM gv_meta");
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot read the identity");
    reason = stranger(store, &marks, inode, birth);
    if (reason == NULL)
        return GV_OK;
    site_format(&store->sites[store->own], old);
    rc = renew(store, &marks);
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot renew the identity");
    site_format(&store->sites[store->own], new);
    log_line(&store->log, GV_LOG_WARNING,
             "this file takes the new site id %s in place of %s, because %s;"
             " nothing is lost",
             new, old, reason);
    return GV_OK;
}
