/* The journal: read in the order of its ids, handed out in the order of keys,
 * in which gv_row_N and its index are met page by page: 7.3 us a row in the
 * order of writing, 5.1 in this one.
 *
 * What is deleted are the rows that were read, by their ids.  SQLite gives a
 * new row the id behind the last that is there, so ids that were deleted come
 * again.  Only the seal deletes, so an id beyond the last that it left is a
 * row that is new. */
#include "store/journal.h"

#include "base/assert.h"
#include "base/plant.h"
#include "store/audit.h"
#include "store/keys.h"
#include "store/schema.h"
#include "store/triggers.h"
#include "store/withheld.h"

#include <stdlib.h>
#include <string.h>

/* A pause this long ends a run; a smaller one may lie within one
 * transaction. */
#define RUN_PAUSE_MS 10000
/* The last that SQLite's julianday() knows: the end of the year 9999. */
#define TIME_MAX_MS 253402300799999

_Static_assert(UNTIMED < 0, "any time of a row is later");

void journal_init(struct journal *journal)
{
    *journal = (struct journal){.last_id = INT64_MIN, .last_ms = UNTIMED};
    buffer_init(&journal->keys, SIZE_MAX);
}

void journal_close(struct journal *journal)
{
    GV_ASSERT(journal->count <= journal->capacity);
    free(journal->entries);
    free(journal->runs);
    buffer_close(&journal->keys);
}

/* Reading */

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

/* Whether a row of the journal can be looked at: its key has no NULL, which
 * would stay local, and is a rowid where rowids are the key, whoever wrote
 * that into the journal. */
static int take_key(struct store *store, struct journal *journal,
                    const struct store_table *table, bool *taken)
{
    sqlite3_stmt *list = store->journal_read;
    size_t at = journal->keys.size;
    bool null;
    int rc = row_key_read(list, 3, table->key_count, &journal->keys, &null);

    GV_ASSERT(journal->keys.size >= at || rc != GV_OK);
    null |=
        table->integer_key && sqlite3_column_type(list, 3) != SQLITE_INTEGER;
    *taken = rc == GV_OK && !null;
    if (!*taken)
        journal->keys.size = at;
    return rc;
}

static int take_row(struct store *store, struct journal *journal)
{
    sqlite3_stmt *list = store->journal_read;
    struct store_table *table =
        schema_by_id(store, sqlite3_column_int64(list, 1));
    struct journal_entry *entry;
    void *items = journal->entries;
    size_t at = journal->keys.size;
    bool taken;
    int rc;

    GV_ASSERT(sqlite3_column_int64(list, 0) >= journal->last_id);
    journal->last_id = sqlite3_column_int64(list, 0);
    if (table != NULL && table->suspended) {
        journal->skipped = true;
        return GV_OK;
    }
    journal->any = true;
    if (table == NULL || !table->shown)
        return GV_OK; /* a registration or a table that is gone */
    rc = grow(&items, &journal->capacity, journal->count,
              sizeof *journal->entries);
    if (rc != GV_OK)
        return rc;
    journal->entries = items;
    rc = take_key(store, journal, table, &taken);
    if (rc != GV_OK || !taken)
        return rc;
    entry = &journal->entries[journal->count++];
    *entry = (struct journal_entry){.id = journal->last_id,
                                    .table = table,
                                    .key_at = at,
                                    .key_size = journal->keys.size - at};
    entry->head = key_head(journal->keys.data + at, entry->key_size);
    return run_of(journal, journal_ms(sqlite3_column_double(list, 2)),
                  &entry->run);
}

static int compare_entries(const void *a, const void *b, void *keys)
{
    const struct journal_entry *x = a, *y = b;
    size_t size = x->key_size < y->key_size ? x->key_size : y->key_size;
    int order;

    if (x->table != y->table)
        return x->table->id < y->table->id ? -1 : 1;
    if (x->head != y->head)
        return x->head < y->head ? -1 : 1;
    order = memcmp((const uint8_t *)keys + x->key_at,
                   (const uint8_t *)keys + y->key_at, size);
    if (order != 0)
        return order;
    if (x->key_size != y->key_size)
        return x->key_size < y->key_size ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Entries from @from on are new; those before it stand in order. */
static int sort(struct journal *journal, size_t from)
{
    struct journal_entry *entries = journal->entries, *merged;
    size_t a = journal->done, b = from, count = 0;
    const void *keys = journal->keys.data;

    GV_ASSERT(journal->done <= from && from < journal->count);
    qsort_r(entries + from, journal->count - from, sizeof *entries,
            compare_entries, journal->keys.data);
    if (a == from)
        return GV_OK;
    merged = malloc((journal->count - a) * sizeof *merged);
    if (merged == NULL)
        return GV_ENOMEM;
    while (a < from || b < journal->count) {
        bool first =
            b == journal->count ||
            (a < from && compare_entries(&entries[a], &entries[b],
                                         (void *)(uintptr_t)keys) < 0);

        merged[count++] = first ? entries[a++] : entries[b++];
    }
    GV_ASSERT(count == journal->count - journal->done);
    memcpy(entries + journal->done, merged, count * sizeof *merged);
    free(merged);
    return GV_OK;
}

/* What was read before says nothing of these tables. */
static void forget(struct journal *journal)
{
    struct buffer keys = journal->keys;

    GV_ASSERT(journal->done <= journal->count);
    buffer_clear(&keys);
    journal->done = journal->count = 0;
    journal->run_count = 0;
    journal->last_ms = UNTIMED;
    journal->last_id = INT64_MIN;
    journal->any = journal->skipped = false;
    withheld_clear(&journal->withheld);
    journal->keys = keys;
}

int journal_load(struct store *store, struct journal *journal)
{
    size_t before;
    int rc;

    /* A look that was not ended would go on where it stood. */
    GV_ASSERT(!sqlite3_stmt_busy(store->journal_read));
    if (journal->skipped || journal->generation != store->schema_generation)
        forget(journal);
    journal->generation = store->schema_generation;
    before = journal->count;
    sqlite3_bind_int64(store->journal_read, 1, journal->last_id);
    while ((rc = sql_step(store->journal_read)) > 0) {
        rc = take_row(store, journal);
        if (rc != GV_OK) {
            sqlite3_reset(store->journal_read);
            return rc;
        }
    }
    GV_ASSERT(journal->count == 0 || journal->any);
    return rc == GV_OK && journal->count > before ? sort(journal, before) : rc;
}

/* Handing out */

static bool same_key(const struct journal *journal,
                     const struct journal_entry *a,
                     const struct journal_entry *b)
{
    return a->table == b->table && a->key_size == b->key_size &&
           a->head == b->head &&
           memcmp(journal->keys.data + a->key_at,
                  journal->keys.data + b->key_at, a->key_size) == 0;
}

static bool dropped_by_plant(const struct journal *journal, size_t i)
{
    size_t back = journal->count / 12;

    return plant("hot-row-dropped") && journal->count >= 150 && i >= back &&
           !journal->entries[i].table->integer_key &&
           same_key(journal, &journal->entries[i],
                    &journal->entries[i - back]);
}

const struct journal_entry *journal_next(struct journal *journal, size_t *at)
{
    GV_ASSERT(*at >= journal->done && *at <= journal->count);
    while (*at < journal->count) {
        size_t i = (*at)++;
        const struct journal_entry *entry = &journal->entries[i];

        GV_ASSERT(entry->key_at + entry->key_size <= journal->keys.size);
        if (*at < journal->count && same_key(journal, entry, entry + 1))
            continue;
        if (!entry->table->suspended && !dropped_by_plant(journal, i))
            return entry;
    }
    return NULL;
}

/* Deleting */

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/* Ids that follow one another go by one statement. */
static int delete_ids(struct store *store, const int64_t *ids, size_t count)
{
    int rc = GV_OK;

    for (size_t i = 0, end; i < count && rc == GV_OK; i = end) {
        for (end = i + 1; end < count && ids[end] == ids[end - 1] + 1;)
            end++;
        GV_ASSERT(end <= count && ids[end - 1] >= ids[i]);
        sqlite3_bind_int64(store->journal_delete, 1, ids[i]);
        sqlite3_bind_int64(store->journal_delete, 2, ids[end - 1]);
        rc = sql_finish(store->journal_delete);
    }
    return rc;
}

static int last_left(struct store *store, int64_t *last)
{
    int rc = sql_step(store->journal_last);

    GV_ASSERT(rc != 0); /* an aggregate has a row */
    if (rc > 0)
        *last = sqlite3_column_int64(store->journal_last, 0);
    return rc < 0 ? rc : sql_finish(store->journal_last);
}

int journal_delete(struct store *store, struct journal *journal, size_t at)
{
    int64_t *ids, last = 0;
    size_t count = 0;
    int rc;

    GV_ASSERT(store->in_transaction);
    GV_ASSERT(journal->generation == store->schema_generation);
    GV_ASSERT(at >= journal->done && at <= journal->count);
    ids = malloc((at - journal->done + 1) * sizeof *ids);
    if (ids == NULL)
        return GV_ENOMEM;
    for (size_t i = journal->done; i < at; i++) {
        if (journal->entries[i].table->suspended)
            journal->skipped = true;
        else if (!withheld_has(&journal->withheld, journal->entries[i].id))
            ids[count++] = journal->entries[i].id;
    }
    qsort(ids, count, sizeof *ids, compare_ids);
    rc = delete_ids(store, ids, count);
    free(ids);
    if (rc == GV_OK)
        rc = last_left(store, &last);
    if (rc != GV_OK)
        return rc;
    journal->done = at;
    if (journal->last_id > last)
        journal->last_id = last;
    return GV_OK;
}

int journal_clear(struct store *store)
{
    char *list = audit_list(store), *withheld = withheld_list(store);
    int rc = GV_ENOMEM;

    GV_ASSERT(store->in_transaction);
    if (list != NULL && withheld != NULL)
        rc = list[0] == '\0' && store->withheld.count == 0
                 ? sql_finish(store->journal_clear)
                 : sql_run(store->db,
                           "DELETE FROM gv_journal WHERE tbl NOT IN(%s)"
                           " AND id NOT IN(%s)",
                           list, withheld);
    sqlite3_free(list);
    sqlite3_free(withheld);
    return rc;
}

/* One row */

int journal_row(struct store *store, const struct store_table *table,
                const struct row_key *key)
{
    sqlite3_str *names = sqlite3_str_new(store->db);
    sqlite3_str *marks = sqlite3_str_new(store->db);
    char *name_text, *mark_text;
    sqlite3_stmt *statement = NULL;
    int rc = GV_ENOMEM;

    GV_ASSERT(!store->firing); /* what is journalled then is thrown away */
    GV_ASSERT(key->count == table->key_count);
    for (size_t i = 0; i < key->count; i++) {
        sqlite3_str_appendf(names, ",k%d", (int)i + 1);
        sqlite3_str_appendf(marks, ",?%d", (int)i + 1);
    }
    name_text = sqlite3_str_finish(names);
    mark_text = sqlite3_str_finish(marks);
    if (name_text != NULL && mark_text != NULL)
        rc = sql_prepare(store->db, &statement,
                         "INSERT INTO gv_journal(tbl,day%s)"
                         " VALUES(%lld," JOURNAL_DAY "%s)",
                         name_text, table->id,
                         store->host->wall(store->host->context), mark_text);
    sqlite3_free(name_text);
    sqlite3_free(mark_text);
    if (rc != GV_OK)
        return rc;
    row_key_bind(statement, key);
    rc = sql_finish(statement);
    sqlite3_finalize(statement);
    return rc;
}

int journal_has(struct store *store, const struct store_table *table,
                const struct row_key *key)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_stmt *statement = NULL;
    char *where;
    int rc = GV_ENOMEM;

    GV_ASSERT(key->count == table->key_count);
    for (size_t i = 0; i < key->count; i++)
        sqlite3_str_appendf(text, " AND k%d=?%d", (int)i + 1, (int)i + 1);
    where = sqlite3_str_finish(text);
    if (where != NULL)
        rc = sql_prepare(store->db, &statement,
                         "SELECT 1 FROM gv_journal WHERE tbl=%lld%s LIMIT 1",
                         (long long)table->id, where);
    sqlite3_free(where);
    if (rc == GV_OK) {
        row_key_bind(statement, key);
        rc = sql_step(statement);
    }
    sqlite3_finalize(statement);
    return rc;
}
