/* The seal: journal rows become a publication.
 *
 * A look is one seal's reading of a row; what counts is what two looks see.
 * For each journalled key, once, in key order: is the row there, which values
 * are unlike their digests?  All that one seal publishes is one interval; the
 * vector moves in the transaction that empties the journal. */
#include "store/seal.h"

#include "base/assert.h"
#include "base/hook.h"
#include "base/plant.h"
#include "store/batch.h"
#include "store/early.h"
#include "store/fragments.h"
#include "store/identity.h"
#include "store/journal.h"
#include "store/keys.h"
#include "store/kinds.h"
#include "store/parked.h"
#include "store/rows.h"
#include "store/state.h"
#include "store/user.h"
#include "store/withheld.h"
#include "store/work.h"
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

/* A seal in slices.  Rows that come into the journal meanwhile join it. */
struct sealing {
    struct journal journal;
    gv_version floor; /* the clock when it began */
    uint64_t slices;
    size_t known; /* entries of the journal when the last slice ended */
};

/* Versions of one millisecond: as many slices as a seal may have before its
 * clock is read again. */
#define SLICES_MAX (1u << 16)
/* Of the journal that is left, where applications write faster than slices
 * seal: so it ends after some 16 of them. */
#define OUTRUN_PART 8

void seal_forget(struct store *store)
{
    struct sealing *sealing = store->sealing;

    store->sealing = NULL;
    if (sealing == NULL)
        return;
    GV_ASSERT(sealing->slices < SLICES_MAX);
    journal_close(&sealing->journal);
    free(sealing);
}

/* A journal that was read anew has other runs: they come after all that was
 * sealed of those before. */
static void follow_runs(struct store *store, const struct journal *journal)
{
    struct sealing *sealing = store->sealing;

    GV_ASSERT(journal->done <= journal->count);
    if (sealing == NULL || sealing->slices == 0 || journal->done > 0)
        return;
    sealing->floor = store->numbers.clock;
    sealing->slices = 0;
}

/* Each run's version: its own time where that is possible.  In slices, too:
 * each gives a run a version of its own above those that it had before, also
 * when the clock was set back meanwhile, and below those of the runs that
 * follow.  GV_ELIMIT: there are no versions left. */
static int give_versions(const struct store *store, struct journal *journal)
{
    const struct sealing *sealing = store->sealing;
    gv_time_ms now = store->host->wall(store->host->context);
    gv_version last = vv_get(&store->vv, &store->sites[store->own]);
    gv_version floor = sealing != NULL ? sealing->floor : store->numbers.clock;

    for (size_t i = 0; i < journal->run_count; i++) {
        gv_time_ms ms = journal->runs[i].ms;

        if (last >= CLOCK_TOP || floor >= CLOCK_TOP)
            return GV_ELIMIT;
        last = clock_next(ms == UNTIMED || ms > now ? now : ms, last, floor);
        /* Above all that this file had seen, and above the run before. */
        GV_ASSERT(last > floor);
        GV_ASSERT(i == 0 || last > journal->runs[i - 1].version);
        if (sealing != NULL)
            last += sealing->slices;
        if (sealing != NULL && last <= journal->runs[i].version)
            last = journal->runs[i].version + 1;
        GV_ASSERT(last > journal->runs[i].version);
        journal->runs[i].version = last;
        if (sealing != NULL)
            last += SLICES_MAX;
    }
    return GV_OK;
}

/* What is not sealed stays in the journal, and the tables as they are. */
static int clock_ended(const struct store *store, struct gv_error *error)
{
    log_line(&store->log, GV_LOG_ERROR,
             "this file has no versions left: its clock is at its end, and"
             " what is written here is not shared any more");
    error_set(error, GV_ELIMIT, "The clock of %s is at its end.", store->path);
    error_meaning(error, "A change needs a version above all that were seen,"
                         " and there is none.  Clocks come here in the year"
                         " 4199, or by damage to the file.");
    error_remedy(error, "Nothing is lost: copy the tables into a new file,"
                        " and let the mesh begin anew with it.");
    return GV_ELIMIT;
}

/* No peer takes a larger value: its digest travels. */
static void warn_of_size(struct store *store, const struct store_table *table,
                         const struct row_key *key, size_t column)
{
    char name[200];

    GV_ASSERT(column < table->column_count);
    if (store->values[column].size <= store->limits.value_size)
        return;
    row_name(table, key, name, sizeof name);
    log_line(&store->log, GV_LOG_WARNING,
             "the value of column %s of %s stays in this file: it has %zu"
             " bytes, and a value that is shared may have %zu",
             table->columns[column].local, name, store->values[column].size,
             store->limits.value_size);
}

/* Which columns of a live row are unlike what the log says that they show;
 * with @reset, unlike their defaults.  Their digests go into the row.  What
 * was written here, or holds again what the log says, has no entry any more.
 */
static void compare_values(struct store *store,
                           const struct store_table *table,
                           const struct row_key *key, bool reset,
                           uint64_t *written)
{
    struct row *row = &store->space.row;
    struct parked *parked = &store->parked;
    uint64_t held[ROW_WORDS_MAX] = {0};

    GV_ASSERT(table->column_count < table->words * 64);
    GV_ASSERT(reset || row->record_count > 0); /* one holds its existence */
    if (!reset)
        rows_held(row, table->words, held);
    for (size_t i = 0; i < table->column_count; i++) {
        uint64_t digest, expected;

        if (!table->columns[i].shown)
            continue;
        digest = store->digested ? store->digests[i]
                                 : value_digest(&store->values[i]);
        expected = parked_expected(table, row, held, i);
        if (digest == expected)
            parked_drop(parked, i + 1);
        if (parked_agrees(parked, i + 1, digest, expected) ||
            (plant("null-is-absent") && store->values[i].class == VALUE_NULL))
            continue;
        warn_of_size(store, table, key, i);
        parked_drop(parked, i + 1);
        mask_set(written, i + 1);
        row->digests[i + 1] = digest;
    }
}

static int add_own(struct store *store, struct fragments *fragments,
                   const struct store_table *table, const struct row_key *key,
                   gv_version version)
{
    const struct row *row = &store->space.row;
    size_t i = 0, size = fragments->out->size;
    int rc;

    GV_ASSERT(row->record_count > 0);
    if (fragments->out->error == GV_ELIMIT)
        return GV_OK; /* too long to be pushed: it goes as a delta */
    while (row->records[i].site != store->own ||
           row->records[i].version != version) {
        i++;
        GV_ASSERT(i < row->record_count);
    }
    memset(store->hollow, 0, table->words * sizeof *store->hollow);
    rc = fragments_add(fragments, store, table, key, &row->records[i], 1);
    if (plant("news-cut") && rc == GV_ELIMIT) {
        fragments->out->error = GV_OK;
        fragments->out->size = size;
    }
    return rc == GV_ELIMIT ? GV_OK : rc;
}

/* Put what was written here into the log. */
static int publish_row(struct store *store, struct fragments *fragments,
                       struct store_table *table, const struct row_key *key,
                       gv_version version, const uint64_t *written, bool death)
{
    struct row *row = &store->space.row;
    bool reset = mask_get(written, ROW_EXISTENCE);
    int rc =
        row_space_reserve(&store->space, row->record_count + 1, table->words);

    GV_ASSERT(!mask_empty(written, table->words));
    GV_ASSERT(!death || mask_count(written, table->words) == 1);
    if (rc == GV_OK) {
        GV_ASSERT(row->record_count < store->space.capacity);
        row_write(row, store->own, version, written, table->words, reset);
        row->causal_length += reset && !(death && plant("delete-keeps-life"));
        /* A life begins and ends with one record, this one. */
        GV_ASSERT(!reset || row->record_count == 1);
        if (table->each_count > 0)
            kinds_written(store, table, version, written);
        rc = rows_save(store, table, key);
    }
    if (rc == GV_OK)
        rc = add_own(store, fragments, table, key, version);
    return rc;
}

/* Read the row in the log, its entries, and the user's row. */
static int look(struct store *store, struct store_table *table,
                const struct row_key *key, bool *present,
                struct gv_error *error)
{
    bool expected;
    int rc = rows_find(store, table, key, error);

    if (rc != GV_OK)
        return rc;
    rc = parked_find(store, table);
    if (rc == GV_OK)
        rc = user_read(store, table, key, store->values, present);
    expected = store->space.row.causal_length % 2 == 1 &&
               !mask_get(store->parked.listed, ROW_EXISTENCE);
    if (rc == GV_OK)
        rc = user_present(store, table, key, expected, present);
    return rc == GV_OK ? rc
                       : sql_fail(store->db, rc, error, "cannot read a row");
}

/* One look.  *@changed when it published something. */
static int seal_row(struct store *store, struct fragments *fragments,
                    struct store_table *table, const struct row_key *key,
                    gv_version version, bool *changed, struct gv_error *error)
{
    uint64_t written[ROW_WORDS_MAX] = {0};
    bool present, alive, absent;
    int rc = look(store, table, key, &present, error);

    if (rc != GV_OK)
        return rc;
    alive = store->space.row.causal_length % 2 == 1;
    absent = mask_get(store->parked.listed, ROW_EXISTENCE);
    GV_ASSERT(!absent || alive); /* that the table never had this life */
    if (present)
        compare_values(store, table, key, !alive, written);
    if (present)
        parked_drop(&store->parked, ROW_EXISTENCE);
    if (present != alive && !absent) {
        mask_set(written, ROW_EXISTENCE);
        parked_drop_all(store, table);
    }
    if (table->each_count > 0)
        rc = kinds_write(store, table, key, present != alive && !absent,
                         written);
    *changed = rc == GV_OK && !mask_empty(written, table->words);
    if (*changed)
        rc = publish_row(store, fragments, table, key, version, written,
                         !present);
    if (rc == GV_OK)
        rc = parked_save(store, table);
    if (rc != GV_OK)
        sql_fail(store->db, rc, error, "cannot write a row's state");
    if (*changed)
        hook_kill("seal");
    user_read_done(table);
    return rc;
}

/* Whether what failed is one row's log alone: its entry stays. */
static bool withhold(struct store *store, struct journal *journal,
                     const struct journal_entry *entry,
                     const struct row_key *key, int code,
                     struct gv_error *error)
{
    GV_ASSERT(code != GV_OK || !store->row_damaged);
    if (code != GV_ECORRUPT || !store->row_damaged || store->lost != GV_OK ||
        !withheld_add(store, &journal->withheld, entry, key))
        return false;
    if (error != NULL)
        *error = (struct gv_error){0};
    return true;
}

/* Look at each of the next @keys keys once; a key written in several runs
 * belongs to the last.  *@place is behind them. */
static int seal_rows(struct store *store, struct journal *journal, bool read,
                     struct fragments *fragments, size_t keys, size_t *place,
                     gv_version *last, struct gv_error *error)
{
    size_t at = journal->done;
    bool few = journal->count < store->limits.seal_many || store->borrowed;
    size_t ahead = few || read ? journal->count : at;

    for (; at < journal->count && keys > 0; keys--) {
        const struct journal_entry *entry;
        struct row_key key;
        bool changed = false;
        int rc = at == ahead ? early_batch(store, journal, at, keys, &ahead)
                             : GV_OK;

        if (rc != GV_OK)
            return rc;
        entry = journal_next(journal, &at);
        if (entry == NULL)
            break;
        GV_ASSERT(entry->run < journal->run_count);
        rc = row_key_decode(&key, journal->keys.data + entry->key_at,
                            entry->key_size, entry->table->key_count);
        GV_ASSERT(rc == GV_OK);
        if (read)
            rc = early_turn(store, entry, &key);
        store->row_damaged = false;
        if (rc == GV_OK)
            rc = seal_row(store, fragments, entry->table, &key,
                          journal->runs[entry->run].version, &changed, error);
        if (rc != GV_OK && withhold(store, journal, entry, &key, rc, error))
            continue;
        if (rc != GV_OK)
            return rc;
        if (changed && journal->runs[entry->run].version > *last)
            *last = journal->runs[entry->run].version;
    }
    *place = at;
    return GV_OK;
}

/* The entries that changed since the last interval, in the view's form. */
static int read_dependencies(struct store *store, struct buffer *bytes,
                             struct vv_view *view)
{
    int rc;

    GV_ASSERT(!sqlite3_stmt_busy(store->untold));
    sqlite3_bind_int64(store->untold, 1, store->own);
    while ((rc = sql_step(store->untold)) > 0) {
        struct vv_entry entry;
        uint8_t *room = buffer_extend(bytes, VV_ENTRY_SIZE);

        if (room == NULL || sqlite3_column_bytes(store->untold, 0) != 16) {
            sqlite3_reset(store->untold);
            return room == NULL ? bytes->error : GV_ECORRUPT;
        }
        memcpy(entry.site.bytes, sqlite3_column_blob(store->untold, 0), 16);
        entry.version = (gv_version)sqlite3_column_int64(store->untold, 1);
        vv_entry_store(&entry, room);
    }
    *view = (struct vv_view){bytes->data, bytes->size / VV_ENTRY_SIZE};
    return rc;
}

/* Close the interval: the own entry moves, and what it depends on is told.
 * Not @whole: parts of it are not in the stream. */
static int publish(struct store *store, gv_version to, bool whole)
{
    struct store_sealed *sealed = &store->sealed;
    struct buffer dependencies;
    gv_version from = vv_get(&store->vv, &store->sites[store->own]);
    struct vv_view view;
    int rc;

    GV_ASSERT(to > from);
    GV_ASSERT(!sealed->any); /* one seal is one interval */
    buffer_init(&dependencies, SIZE_MAX);
    rc = read_dependencies(store, &dependencies, &view);
    if (rc == GV_OK) {
        sealed->any = true;
        sealed->interval = (struct interval){
            .site = store->sites[store->own], .from = from, .to = to};
        buffer_clear(&store->interval);
        if (whole && store->stream.error == GV_OK &&
            interval_encode(&sealed->interval.site, from, to, view,
                            store->stream.data, store->stream.size,
                            &store->interval) == GV_OK)
            rc = interval_decode(store->interval.data, store->interval.size,
                                 &sealed->interval, &(const uint8_t *){NULL},
                                 &(size_t){0});
    }
    buffer_close(&dependencies);
    GV_ASSERT(sealed->interval.bytes == NULL ||
              sealed->interval.size <= MESSAGE_NEWS_SIZE_MAX);
    if (rc == GV_OK)
        rc = site_raise(store, store->own, to);
    if (rc == GV_OK && view.count > 0)
        rc = sql_finish(store->told_write);
    if (rc == GV_OK) {
        sqlite3_bind_int64(store->interval_insert, 1, (sqlite3_int64)to);
        rc = sql_finish(store->interval_insert);
    }
    if (store->numbers.clock < to)
        store->numbers.clock = to;
    return rc;
}

int seal_look(struct store *store, struct store_table *table,
              const struct row_key *key, enum look *found,
              struct gv_error *error)
{
    uint64_t written[ROW_WORDS_MAX] = {0};
    bool present, alive;
    int rc = look(store, table, key, &present, error);

    if (rc != GV_OK)
        return rc;
    /* Of a life that the table does not show, whether it has the one before
     * is known, and no more. */
    if (mask_get(store->parked.listed, ROW_EXISTENCE)) {
        user_read_done(table);
        *found = present && !mask_get(store->parked.seen, ROW_EXISTENCE)
                     ? LOOK_BORN
                     : LOOK_SAME;
        return GV_OK;
    }
    alive = store->space.row.causal_length % 2 == 1;
    if (present && alive)
        compare_values(store, table, key, false, written);
    user_read_done(table);
    GV_ASSERT(!mask_get(written, ROW_EXISTENCE));
    *found = present != alive ? (present ? LOOK_BORN : LOOK_DEAD)
             : mask_empty(written, table->words) ? LOOK_SAME
                                                 : LOOK_WRITTEN;
    return GV_OK;
}

/* Nothing is left: what was sealed, by this slice and those before it, is one
 * interval; where a delta is being applied, the claim does the rest. */
static int seal_ended(struct store *store, const struct journal *journal,
                      bool whole)
{
    int rc = GV_OK;

    if (!store_applying(store)) {
        if (store->numbers.pending > 0)
            rc = publish(store, store->numbers.pending, whole);
        store->numbers.pending = 0;
        store->numbers.busy &= ~BUSY_SEALING;
    }
    GV_ASSERT(rc != GV_OK || store_applying(store) ||
              store->numbers.busy == 0);
    if (journal->withheld.count > 0 || store->withheld.count > 0)
        store->withheld = journal->withheld;
    return rc == GV_OK && journal->any ? journal_clear(store) : rc;
}

static int part_ended(struct store *store, struct journal *journal, size_t at)
{
    GV_ASSERT(at > journal->done);
    if (store->numbers.pending > 0 && !store_applying(store))
        store->numbers.busy |= BUSY_SEALING;
    if (store->sealing != NULL)
        store->sealing->slices++;
    return journal_delete(store, journal, at);
}

/* The next @keys keys of @journal; *@left: there are more. */
static int seal_some(struct store *store, struct journal *journal, bool read,
                     size_t keys, bool *left, struct gv_error *error)
{
    bool whole = store->numbers.pending == 0;
    struct fragments fragments;
    gv_version last = 0;
    size_t at, next;
    int rc;

    buffer_clear(&store->stream);
    fragments_init(&fragments, &store->stream);
    follow_runs(store, journal);
    if (give_versions(store, journal) != GV_OK)
        return clock_ended(store, error);
    rc = seal_rows(store, journal, read, &fragments, keys, &at, &last, error);
    if (rc == GV_OK)
        rc = rows_flush(store);
    batch_end(store);
    if (store->numbers.pending < last)
        store->numbers.pending = last;
    if (store->numbers.clock < last)
        store->numbers.clock = last;
    next = at;
    *left = rc == GV_OK && journal_next(journal, &next) != NULL;
    if (rc == GV_OK)
        rc = *left ? part_ended(store, journal, at)
                   : seal_ended(store, journal, whole);
    if (rc != GV_OK && error != NULL && error->code != rc)
        sql_fail(store->db, rc, error, "cannot seal");
    fragments_close(&fragments);
    return rc;
}

static int seal_next(struct store *store, struct journal *journal, bool read,
                     size_t keys, struct gv_error *error)
{
    bool left = false;
    int rc = journal_load(store, journal);

    GV_ASSERT(store->in_transaction);
    GV_ASSERT(!store->sealed.any || store_applying(store));
    GV_ASSERT(!store->firing);
    if (rc == GV_OK)
        rc = seal_some(store, journal, read, keys, &left, error);
    else if (error != NULL && error->code != rc)
        sql_fail(store->db, rc, error, "cannot read the journal");
    if (rc == GV_OK && !left)
        seal_forget(store);
    return rc;
}

int seal_journal(struct store *store, struct gv_error *error)
{
    struct journal *journal;
    bool read;
    int rc;

    if (store->sealing != NULL)
        return seal_next(store, &store->sealing->journal, false, SIZE_MAX,
                         error);
    rc = early_journal(store, &journal, &read);
    if (rc != GV_OK)
        return error_set(error, rc, "Out of memory.");
    rc = seal_next(store, journal, read, SIZE_MAX, error);
    early_end(store);
    return rc;
}

/* The seal in slices, begun if it is not under way. */
static int sealing_take(struct store *store)
{
    struct sealing *sealing = store->sealing;

    if (sealing != NULL && sealing->slices + 1 < SLICES_MAX)
        return GV_OK;
    if (sealing == NULL)
        sealing = calloc(1, sizeof *sealing);
    if (sealing == NULL)
        return GV_ENOMEM;
    if (store->sealing == NULL)
        journal_init(&sealing->journal);
    sealing->floor = store->numbers.clock;
    sealing->slices = 0;
    store->sealing = sealing;
    return GV_OK;
}

int seal_early(struct store *store)
{
    int rc = sealing_take(store);

    GV_ASSERT(!store->in_transaction);
    return rc == GV_OK ? early_slice(store, &store->sealing->journal,
                                     store->slice_keys)
                       : rc;
}

/* Slices of one size would never end where applications write faster: each is
 * twice the one before it, and a part of all that is left, while a quarter of
 * what it sealed was written anew. */
static void follow_writers(struct store *store)
{
    struct sealing *sealing = store->sealing;
    size_t count = sealing->journal.count;
    size_t written = count > sealing->known ? count - sealing->known : 0;
    size_t part = (count - sealing->journal.done) / OUTRUN_PART;

    GV_ASSERT(store->slice_keys >= store->limits.keys);
    if (sealing->slices > 1) {
        if (written > store->slice_keys / 4)
            store->slice_keys =
                2 * store->slice_keys > part ? 2 * store->slice_keys : part;
        else if (written < store->slice_keys / 8 &&
                 store->slice_keys >= 2 * store->limits.keys)
            store->slice_keys /= 2;
    }
    sealing->known = count;
}

int seal_slice(struct store *store, bool *outrun, struct gv_error *error)
{
    struct journal *journal;
    int rc = sealing_take(store);

    GV_ASSERT(store->in_transaction);
    if (rc != GV_OK)
        return error_set(error, rc, "Out of memory.");
    GV_ASSERT(store->sealing->slices < SLICES_MAX);
    journal = &store->sealing->journal;
    rc = seal_next(store, journal, early_holds(store, journal),
                   store->slice_keys, error);
    early_end(store);
    if (rc == GV_OK && store->sealing != NULL)
        follow_writers(store);
    *outrun = store->sealing == NULL && store->slice_keys > store->limits.keys;
    return rc;
}
