/* The seal: journal rows become a publication.
 *
 * A look is one seal's reading of a row; what counts is what two looks see.
 * For each journalled key, once, in key order: is the row there, which values
 * are unlike their digests?  All that one seal publishes is one interval; the
 * vector moves in the transaction that empties the journal. */
#include "store/batch.h"

#include "base/assert.h"
#include "base/hook.h"
#include "base/plant.h"
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

/* A pause this long ends a run; a smaller one may lie within one
 * transaction. */
#define RUN_PAUSE_MS 10000
/* The last that SQLite's julianday() knows: the end of the year 9999. */
#define TIME_MAX_MS 253402300799999

struct journal_row {
    struct store_table *table;
    size_t key_at; /* in journal.keys */
    size_t key_size;
    uint64_t key_head; /* see key_head() */
    uint32_t run;
    uint32_t order; /* of the journal */
};

/* A delete's row has no time: it is of the run in which it stands. */
#define UNTIMED (-1)
_Static_assert(UNTIMED < 0, "any time of a row is later");

/* A Julian day is good to 0.05 ms as a double, so rounding finds the very
 * millisecond that SQLite read.  What is no time (anyone can write there) has
 * none. */
static gv_time_ms journal_ms(double day)
{
    double ms = (day - 2440587.5) * 86400000;

    if (!(ms > 0 && ms < TIME_MAX_MS))
        return UNTIMED;
    GV_ASSERT((gv_time_ms)(ms + 0.5) > UNTIMED);
    return (gv_time_ms)(ms + 0.5);
}

/* What was written without a pause; it gets a version of its own. */
struct run {
    gv_time_ms ms; /* the largest of its rows; UNTIMED: deletes alone */
    gv_version version;
};

struct journal {
    struct journal_row *rows;
    size_t count, capacity;
    bool any; /* it had rows that do not stay */
    struct buffer keys;
    struct run *runs;
    size_t run_count, run_capacity;
    gv_time_ms last_ms;
};

static void journal_close(struct journal *journal)
{
    free(journal->rows);
    free(journal->runs);
    buffer_close(&journal->keys);
}

static int grow(void **items, size_t *capacity, size_t count, size_t size)
{
    void *grown;

    GV_ASSERT(count <= *capacity);
    GV_ASSERT(*capacity == 0 || *items != NULL);
    if (count < *capacity)
        return GV_OK;
    grown = realloc(*items, (2 * *capacity + 16) * size);
    if (grown == NULL)
        return GV_ENOMEM;
    *items = grown;
    *capacity = 2 * *capacity + 16;
    return GV_OK;
}

/* The run that a row written at @ms belongs to.  Runs follow the journal's
 * order, never its times: a clock may have been set back. */
static int run_of(struct journal *journal, gv_time_ms ms, uint32_t *run)
{
    void *items = journal->runs;
    bool pause = ms != UNTIMED && journal->last_ms != UNTIMED &&
                 ms - journal->last_ms >= RUN_PAUSE_MS;
    int rc;

    if (journal->run_count == 0 || pause) {
        rc = grow(&items, &journal->run_capacity, journal->run_count,
                  sizeof *journal->runs);
        if (rc != GV_OK)
            return rc;
        journal->runs = items;
        journal->runs[journal->run_count++] = (struct run){.ms = ms};
    }
    if (ms != UNTIMED)
        journal->last_ms = ms;
    GV_ASSERT(journal->run_count > 0 && journal->run_count <= UINT32_MAX);
    *run = (uint32_t)(journal->run_count - 1);
    if (journal->runs[*run].ms < ms)
        journal->runs[*run].ms = ms;
    return GV_OK;
}

#define KEY_PREFIX_SIZE 5 /* length and class of a key's first column */

/* The first 8 bytes of what the key's first column holds.  They tell most keys
 * apart without a look at the key, and order them as SQLite's indexes do, so
 * that a table's pages are met one after another. */
static uint64_t key_head(const uint8_t *key, size_t size)
{
    uint8_t head[8] = {0};
    size_t left = size - KEY_PREFIX_SIZE;

    GV_ASSERT(size >= KEY_PREFIX_SIZE);
    memcpy(head, key + KEY_PREFIX_SIZE,
           left < sizeof head ? left : sizeof head);
    return load_u64(head) ^ (uint64_t)(key[4] == VALUE_INTEGER) << 63;
}

static int journal_take(struct store *store, struct journal *journal)
{
    struct store_table *table =
        schema_by_id(store, sqlite3_column_int64(store->journal_read, 1));
    void *items = journal->rows;
    struct journal_row *row;
    size_t at = journal->keys.size;
    bool null;
    int rc;

    if (table != NULL && table->suspended)
        return GV_OK; /* it stays, see seal_clear() */
    journal->any = true;
    if (table == NULL || !table->shown)
        return GV_OK; /* a registration or a table that is gone */
    rc = grow(&items, &journal->capacity, journal->count,
              sizeof *journal->rows);
    if (rc != GV_OK)
        return rc;
    journal->rows = items;
    GV_ASSERT(journal->count < journal->capacity);
    row = &journal->rows[journal->count];
    rc = row_key_read(store->journal_read, 3, table->key_count, &journal->keys,
                      &null);
    /* No rowid is anything else, whoever wrote that into the journal. */
    null |= table->integer_key &&
            sqlite3_column_type(store->journal_read, 3) != SQLITE_INTEGER;
    if (rc != GV_OK || null) {
        journal->keys.size = at; /* a row with NULL in its key stays local */
        return rc;
    }
    row->table = table;
    row->key_at = at;
    row->key_size = journal->keys.size - at;
    GV_ASSERT(journal->keys.size >= at && journal->keys.error == GV_OK);
    row->key_head = key_head(journal->keys.data + at, row->key_size);
    row->order = (uint32_t)journal->count++;
    return run_of(journal,
                  journal_ms(sqlite3_column_double(store->journal_read, 2)),
                  &row->run);
}

static int journal_load(struct store *store, struct journal *journal)
{
    int rc;

    /* A look that was not ended would go on where it stood. */
    GV_ASSERT(!sqlite3_stmt_busy(store->journal_read));
    buffer_init(&journal->keys, SIZE_MAX);
    while ((rc = sql_step(store->journal_read)) > 0) {
        rc = journal_take(store, journal);
        if (rc != GV_OK) {
            sqlite3_reset(store->journal_read);
            return rc;
        }
    }
    GV_ASSERT(journal->count == 0 || journal->any);
    return rc;
}

static int compare_rows(const void *a, const void *b, void *keys)
{
    const struct journal_row *x = a, *y = b;
    size_t size = x->key_size < y->key_size ? x->key_size : y->key_size;
    int order;

    if (x->table != y->table)
        return x->table->id < y->table->id ? -1 : 1;
    if (x->key_head != y->key_head)
        return x->key_head < y->key_head ? -1 : 1;
    order = memcmp((const uint8_t *)keys + x->key_at,
                   (const uint8_t *)keys + y->key_at, size);
    if (order != 0)
        return order;
    if (x->key_size != y->key_size)
        return x->key_size < y->key_size ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static bool same_key(const struct journal *journal,
                     const struct journal_row *a, const struct journal_row *b)
{
    return a->table == b->table && a->key_size == b->key_size &&
           a->key_head == b->key_head &&
           memcmp(journal->keys.data + a->key_at,
                  journal->keys.data + b->key_at, a->key_size) == 0;
}

/* Each run's version: its own time where that is possible. */
static void give_versions(const struct store *store, struct journal *journal)
{
    gv_time_ms now = store->host->wall(store->host->context);
    gv_version last = vv_get(&store->vv, &store->sites[store->own]);

    for (size_t i = 0; i < journal->run_count; i++) {
        gv_time_ms ms = journal->runs[i].ms;

        last = clock_next(ms == UNTIMED || ms > now ? now : ms, last,
                          store->numbers.clock);
        /* Above all that this file has seen, and above the run before. */
        GV_ASSERT(last > store->numbers.clock);
        GV_ASSERT(i == 0 || last > journal->runs[i - 1].version);
        journal->runs[i].version = last;
    }
}

/* No peer takes a larger value: its digest travels. */
static void warn_of_size(struct store *store, const struct store_table *table,
                         const struct row_key *key, size_t column)
{
    char name[200];

    GV_ASSERT(column < table->column_count);
    if (store->values[column].size <= VALUE_SIZE_MAX)
        return;
    row_name(table, key, name, sizeof name);
    log_line(&store->log, GV_LOG_WARNING,
             "the value of column %s of %s stays in this file: it has %zu"
             " bytes, and a value that is shared may have %u",
             table->columns[column].local, name, store->values[column].size,
             VALUE_SIZE_MAX);
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
        digest = value_digest(&store->values[i]);
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

/* Read the next rows ahead, from the entry at @at on; *@end is the first that
 * was not. */
static int read_ahead(struct store *store, const struct journal *journal,
                      size_t at, size_t *end)
{
    struct store_table *table = journal->rows[at].table;
    size_t room = batch_room(table);
    int rc = batch_begin(store, table);

    for (; rc == GV_OK && room > 0 && at < journal->count &&
           journal->rows[at].table == table;
         at++) {
        const struct journal_row *entry = &journal->rows[at];

        if (at + 1 < journal->count && same_key(journal, entry, entry + 1))
            continue;
        batch_add(store, journal->keys.data + entry->key_at, entry->key_size);
        room--;
    }
    *end = at;
    return rc == GV_OK ? batch_read(store) : rc;
}

/* Look at each key once; a key written in several runs belongs to the
 * last. */
static int seal_rows(struct store *store, struct journal *journal,
                     struct fragments *fragments, gv_version *last,
                     struct gv_error *error)
{
    struct row_key key;
    bool few = journal->count < BATCH_ROWS_MIN || store->borrowed;
    size_t ahead = few ? journal->count : 0;

    if (journal->count == 0)
        return GV_OK;
    qsort_r(journal->rows, journal->count, sizeof *journal->rows, compare_rows,
            journal->keys.data);
    for (size_t i = 0; i < journal->count; i++) {
        struct journal_row *entry = &journal->rows[i];
        gv_version version = journal->runs[entry->run].version;
        bool changed = false;
        int rc = i == ahead ? read_ahead(store, journal, i, &ahead) : GV_OK;

        if (rc != GV_OK)
            return rc;
        GV_ASSERT(entry->run < journal->run_count);
        GV_ASSERT(entry->key_at + entry->key_size <= journal->keys.size);
        if (i + 1 < journal->count &&
            same_key(journal, entry, &journal->rows[i + 1]))
            continue;
        if (plant("hot-row-dropped") && journal->count >= 150 &&
            i >= journal->count / 12 && !entry->table->integer_key &&
            same_key(journal, entry, &journal->rows[i - journal->count / 12]))
            continue;
        rc = row_key_decode(&key, journal->keys.data + entry->key_at,
                            entry->key_size, entry->table->key_count);
        GV_ASSERT(rc == GV_OK);
        rc = seal_row(store, fragments, entry->table, &key, version, &changed,
                      error);
        if (rc != GV_OK)
            return rc;
        if (changed && version > *last)
            *last = version;
    }
    GV_ASSERT(*last <= journal->runs[journal->run_count - 1].version);
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

/* Close the interval: the own entry moves, and what it depends on is told. */
static int publish(struct store *store, gv_version to)
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
        if (store->stream.error == GV_OK &&
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
    if (rc == GV_OK)
        rc = sql_finish(store->told_write);
    if (rc == GV_OK) {
        sqlite3_bind_int64(store->interval_insert, 1, (sqlite3_int64)to);
        rc = sql_finish(store->interval_insert);
    }
    if (store->numbers.clock < to)
        store->numbers.clock = to;
    return rc;
}

int seal_clear(struct store *store)
{
    char *list = audit_list(store);
    int rc = list == NULL      ? GV_ENOMEM
             : list[0] == '\0' ? sql_finish(store->journal_clear)
                               : sql_run(store->db,
                                         "DELETE FROM gv_journal WHERE tbl"
                                         " NOT IN(%s)",
                                         list);

    GV_ASSERT(store->in_transaction);
    sqlite3_free(list);
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

int seal_journal(struct store *store, struct gv_error *error)
{
    struct journal journal = {.last_ms = UNTIMED};
    struct fragments fragments;
    gv_version last = 0;
    int rc = journal_load(store, &journal);

    GV_ASSERT(store->in_transaction);
    GV_ASSERT(!store->sealed.any);
    GV_ASSERT(!store->firing);
    buffer_clear(&store->stream);
    fragments_init(&fragments, &store->stream);
    if (rc == GV_OK) {
        give_versions(store, &journal);
        rc = seal_rows(store, &journal, &fragments, &last, error);
        if (rc == GV_OK)
            rc = rows_flush(store);
        batch_end(store);
        if (rc == GV_OK && last > 0)
            rc = publish(store, last);
        GV_ASSERT(rc != GV_OK || store->sealed.any == (last > 0));
        if (rc == GV_OK && journal.any)
            rc = seal_clear(store);
        if (rc != GV_OK && error != NULL && error->code != rc)
            sql_fail(store->db, rc, error, "cannot seal");
    } else if (error != NULL && error->code != rc) {
        sql_fail(store->db, rc, error, "cannot read the journal");
    }
    fragments_close(&fragments);
    journal_close(&journal);
    return rc;
}
