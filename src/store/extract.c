/* Extract: what another vector lacks, from one snapshot whose journal is
 * empty, every value checked against its digest before it is sent.
 *
 * A little is found by ranges of gv_ver, row by row; a lot (an empty asker, or
 * more rows than RANGE_ROWS_MAX) by one join per table in key order. */
#include "store/internal.h"

#include "base/assert.h"
#include "base/plant.h"
#include "core/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 16 bytes each: 3.2 MB.  Walking 200,000 rows one by one costs about as much
 * as reading a million in order. */
#define RANGE_ROWS_MAX 200000
#define CHUNK_SIZE 65536
#define TRIES_BEFORE_LOCK 3

struct row_place {
    int64_t table;
    int64_t rid;
};

struct extract {
    struct store *store;
    struct extract *next;
    unsigned slot;
    uint64_t spool_id;
    uint64_t schema_generation;
    gv_version *asker; /* by site number */
    size_t asker_count;
    struct buffer claim;
    struct spool spool;
    struct buffer chunk;
    struct fragments fragments;
    bool done;

    bool whole;      /* join tables instead of going to places[] */
    size_t table_at; /* the table being joined */
    struct row_place *places;
    size_t place_count, place_capacity, place_at;
    sqlite3_stmt *read;   /* of the table at hand */
    sqlite3_stmt *parked; /* its entries, once a table that has some is read */
    sqlite3_stmt *cells;  /* likewise */
    int64_t read_table;

    uint64_t scan_steps, vm_steps;
};

_Static_assert(RANGE_ROWS_MAX * sizeof(struct row_place) == 3200000,
               "what the places may take");

/* Begin */

static void drop(sqlite3_stmt **statement)
{
    sqlite3_finalize(*statement);
    *statement = NULL;
}

void reader_close(struct store *store)
{
    int rc;

    drop(&store->reader_begin);
    drop(&store->reader_rollback);
    drop(&store->reader_mark);
    drop(&store->reader_journal);
    drop(&store->reader_range);
    for (size_t i = 0; i < store->table_count; i++) {
        drop(&store->tables[i]->extract_all);
        drop(&store->tables[i]->extract_one);
    }
    rc = store->borrowed ? SQLITE_OK : sqlite3_close(store->reader);
    GV_ASSERT(rc == SQLITE_OK); /* else a statement was left */
    store->reader = NULL;
}

/* What every extract runs stays prepared: a peer that lacks one row waits
 * longer for SQLite's parser than for the row. */
static int open_reader(struct store *store, struct gv_error *error)
{
    const struct statement_text list[] = {
        {&store->reader_begin, "BEGIN"},
        {&store->reader_rollback, "ROLLBACK"},
        {&store->reader_mark, "SELECT mark FROM gv_meta WHERE id=1"},
        {&store->reader_journal, "SELECT EXISTS(SELECT 1 FROM gv_journal)"},
        {&store->reader_range, "SELECT tbl,rid FROM gv_ver WHERE site=?1 AND"
                               " version>?2"},
    };
    int rc;

    if (store->borrowed)
        store->reader = store->db;
    rc = store->reader != NULL ? GV_OK
                               : connection_open(store, &store->reader, error);
    if (rc != GV_OK)
        return rc;
    rc = prepare_list(store->reader, list, sizeof list / sizeof list[0]);
    return rc == GV_OK ? rc
                       : sql_fail(store->reader, rc, error,
                                  "cannot prepare an extract");
}

static void end_snapshot(struct store *store)
{
    /* A row that was found changed stands in the journal by the same
     * connection, and stays there. */
    if (store->borrowed && !sqlite3_get_autocommit(store->db) &&
        sql_run(store->db, "COMMIT") == GV_OK)
        return;
    if (store->reader == NULL || sqlite3_get_autocommit(store->reader) ||
        sql_finish(store->reader_rollback) == GV_OK)
        return;
    reader_close(store); /* it ends with its connection */
}

static int number_of(sqlite3_stmt *statement, int64_t *number)
{
    int rc = sql_step(statement);

    if (rc > 0) {
        *number = sqlite3_column_int64(statement, 0);
        sqlite3_reset(statement);
    }
    return rc > 0 ? GV_OK : rc == 0 ? GV_ENOTFOUND : rc;
}

/* Rows of suspended tables stay where they are, and none of these tables is
 * read. */
static int journal_waits(struct store *store, int64_t *waiting)
{
    int rc = number_of(store->reader_journal, waiting);
    char *list;

    if (rc != GV_OK || *waiting == 0)
        return rc;
    list = audit_list(store);
    if (list == NULL)
        return GV_ENOMEM;
    if (list[0] != '\0')
        rc = sql_number(store->reader, waiting,
                        "SELECT EXISTS(SELECT 1 FROM gv_journal WHERE tbl NOT"
                        " IN(%s))",
                        list);
    sqlite3_free(list);
    return rc;
}

/* Open the reader's snapshot; GV_EBUSY if its journal is not empty. */
static int snapshot(struct store *store)
{
    int64_t mark = 0, waiting = 0;
    int rc = sql_finish(store->reader_begin);

    if (rc == GV_OK)
        rc = number_of(store->reader_mark, &mark);
    if (rc == GV_OK && (uint64_t)mark != store->mark)
        rc = GV_EMOVED;
    if (rc == GV_OK)
        rc = journal_waits(store, &waiting);
    if (rc == GV_OK && waiting != 0)
        rc = GV_EBUSY;
    if (rc != GV_OK)
        end_snapshot(store);
    else
        GV_ASSERT(!sqlite3_get_autocommit(store->reader));
    return rc;
}

/* While an application writes without pause the journal is never empty by
 * itself: with the write lock held it cannot fill between the look and the
 * snapshot. */
static int snapshot_locked(struct store *store)
{
    int rc = sql_finish(store->begin);

    GV_ASSERT(!store->in_transaction);
    if (rc != GV_OK)
        return rc;
    GV_ASSERT(!sqlite3_get_autocommit(store->db));
    rc = snapshot(store);
    sql_finish(store->rollback);
    return rc;
}

static int take_slot(struct extract *extract)
{
    struct store *store = extract->store;
    char name[16], *path;
    bool used[EXTRACTS_MAX] = {false};

    for (struct extract *other = store->extracts; other != NULL;
         other = other->next) {
        GV_ASSERT(other->slot < EXTRACTS_MAX);
        GV_ASSERT(!used[other->slot]); /* two would share a file */
        used[other->slot] = true;
    }
    while (extract->slot < EXTRACTS_MAX && used[extract->slot])
        extract->slot++;
    if (extract->slot == EXTRACTS_MAX)
        return GV_ELIMIT;
    snprintf(name, sizeof name, "out-%u", extract->slot);
    path = store_file_path(store, name);
    if (path == NULL)
        return GV_ENOMEM;
    spool_init(&extract->spool, store->vfs, path);
    extract->next = store->extracts;
    store->extracts = extract;
    return GV_OK;
}

static int note_vectors(struct extract *extract, struct vv_view asker)
{
    struct store *store = extract->store;
    struct vv vv;
    int rc;

    GV_ASSERT(extract->asker == NULL && extract->claim.size == 0);
    GV_ASSERT(store->site_count > 0); /* number 0 is nobody */
    vv_init(&vv);
    rc = vv_raise_view(&vv, asker);
    extract->asker_count = store->site_count;
    extract->asker = calloc(store->site_count + 1, sizeof *extract->asker);
    if (extract->asker == NULL)
        rc = GV_ENOMEM;
    for (size_t i = 1; rc == GV_OK && i < store->site_count; i++)
        extract->asker[i] = vv_get(&vv, &store->sites[i]);
    vv_close(&vv);
    for (size_t i = 0; rc == GV_OK && i < store->vv.count; i++) {
        uint8_t *room = buffer_extend(&extract->claim, VV_ENTRY_SIZE);

        if (room == NULL)
            return GV_ENOMEM;
        vv_entry_store(&store->vv.entries[i], room);
    }
    GV_ASSERT(rc != GV_OK ||
              extract->claim.size == store->vv.count * VV_ENTRY_SIZE);
    return rc;
}

static int add_place(struct extract *extract, int64_t table, int64_t rid)
{
    struct row_place *grown;

    if (extract->place_count == extract->place_capacity) {
        size_t capacity = 2 * extract->place_capacity + 64;

        grown = realloc(extract->places, capacity * sizeof *grown);
        if (grown == NULL)
            return GV_ENOMEM;
        extract->places = grown;
        extract->place_capacity = capacity;
    }
    GV_ASSERT(extract->place_count < extract->place_capacity);
    extract->places[extract->place_count++] = (struct row_place){table, rid};
    return GV_OK;
}

static void add_effort(struct extract *extract, sqlite3_stmt *statement)
{
    extract->scan_steps += (uint64_t)sqlite3_stmt_status(
        statement, SQLITE_STMTSTATUS_FULLSCAN_STEP, 1);
    extract->vm_steps +=
        (uint64_t)sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 1);
}

/* The rows of one site's records above what the asker has. */
static int find_range(struct extract *extract, sqlite3_stmt *range,
                      uint32_t site)
{
    int rc;

    GV_ASSERT(site > 0 && site < extract->asker_count);
    GV_ASSERT(!sqlite3_stmt_busy(range));
    sqlite3_bind_int64(range, 1, site);
    sqlite3_bind_int64(range, 2, (sqlite3_int64)extract->asker[site]);
    while ((rc = sql_step(range)) > 0) {
        if (plant("range-cut") && extract->place_count >= 20)
            break;
        rc = extract->place_count > RANGE_ROWS_MAX
                 ? GV_ELIMIT
                 : add_place(extract, sqlite3_column_int64(range, 0),
                             sqlite3_column_int64(range, 1));
        if (rc != GV_OK)
            break;
    }
    sqlite3_reset(range);
    return rc;
}

static int compare_places(const void *a, const void *b)
{
    const struct row_place *x = a, *y = b;

    if (x->table != y->table)
        return x->table < y->table ? -1 : 1;
    return x->rid < y->rid ? -1 : x->rid > y->rid;
}

static int find_places(struct extract *extract)
{
    struct store *store = extract->store;
    sqlite3_stmt *range = store->reader_range;
    size_t kept = 0;
    int rc = GV_OK;

    GV_ASSERT(!extract->whole && extract->place_count == 0);
    GV_ASSERT(extract->asker_count == store->site_count);
    for (uint32_t i = 1; i < store->site_count && rc == GV_OK; i++)
        if (vv_get(&store->vv, &store->sites[i]) > extract->asker[i])
            rc = find_range(extract, range, i);
    if (rc == GV_OK)
        add_effort(extract, range);
    if (rc == GV_ELIMIT) {
        extract->whole = true;
        return GV_OK;
    }
    if (extract->place_count > 0)
        qsort(extract->places, extract->place_count, sizeof *extract->places,
              compare_places);
    for (size_t i = 0; i < extract->place_count; i++)
        if (i == 0 ||
            compare_places(&extract->places[i], &extract->places[i - 1]) != 0)
            extract->places[kept++] = extract->places[i];
    GV_ASSERT(kept <= extract->place_count);
    extract->place_count = kept;
    return rc;
}

static struct extract *extract_new(struct store *store)
{
    struct extract *extract = calloc(1, sizeof *extract);

    if (extract == NULL)
        return NULL;
    extract->store = store;
    extract->schema_generation = store->schema_generation;
    buffer_init(&extract->claim, SIZE_MAX);
    buffer_init(&extract->chunk, SIZE_MAX);
    fragments_init(&extract->fragments, &extract->chunk);
    do
        store->host->random(store->host->context, &extract->spool_id,
                            sizeof extract->spool_id);
    while (extract->spool_id == 0);
    return extract;
}

int extract_begin(struct store *store, struct vv_view vv,
                  struct extract **extract, struct gv_error *error)
{
    struct extract *made = NULL;
    int rc = open_reader(store, error);

    GV_ASSERT(!store->in_transaction && store->within == STORE_ALONE);
    if (rc != GV_OK)
        return rc;
    GV_ASSERT(sqlite3_get_autocommit(store->reader));
    /* A reader that was opened just now may read another file. */
    if (store->moved || log_is_orphan(store))
        return error_set(error, GV_EMOVED,
                         "The file was replaced or restored while it was"
                         " open.");
    rc = identity_heard_view(store, vv, error);
    if (rc == GV_EFORK && error != NULL)
        error->code = GV_EMOVED;
    if (rc != GV_OK)
        return rc == GV_EFORK ? GV_EMOVED : rc;
    /* After a transaction that failed, the next one reads anew what the file
     * holds. */
    if (store->stale || store->schema_version == -1)
        return error_set(error, GV_EBUSY, "The last transaction failed.");
    rc = store->extract_tries < TRIES_BEFORE_LOCK || store->borrowed
             ? snapshot(store)
             : snapshot_locked(store);
    store->extract_tries = rc == GV_EBUSY ? store->extract_tries + 1 : 0;
    if (rc != GV_OK)
        return sql_fail(store->reader, rc, error, "cannot open a snapshot");
    made = extract_new(store);
    rc = made == NULL ? GV_ENOMEM : take_slot(made);
    if (rc == GV_OK)
        rc = note_vectors(made, vv);
    if (rc == GV_OK) {
        made->whole = vv.count == 0;
        if (!made->whole)
            rc = find_places(made);
    }
    if (rc != GV_OK) {
        sql_fail(store->reader, rc, error, "cannot begin an extract");
        end_snapshot(store);
        extract_free(made);
        return rc;
    }
    GV_ASSERT(!sqlite3_get_autocommit(store->reader));
    GV_ASSERT(made->place_at == 0 && made->table_at == 0);
    *extract = made;
    return GV_OK;
}

/* Read */

/* Columns of the statement: rid, causal length, state, the user's first key
 * column (NULL: no such row, or the table is not there), the key, the values
 * of the columns that are there. */
#define READ_KEY 4

static bool is_there(const struct store_column *column)
{
    return column->shown || column->stands;
}

/* "r.k1,…", by which the log's rows stand in order. */
static char *log_keys(const struct store_table *table)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    GV_ASSERT(table->key_count > 0);
    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(text, table->integer_key ? "%sr.rid" : "%sr.k%d",
                            i == 0 ? "" : ",", (int)i + 1);
    return sqlite3_str_finish(text);
}

/* Join the user's row to ours. */
static char *user_join(const struct store_table *table)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    GV_ASSERT(table->shown || table->stands);
    sqlite3_str_appendf(text, " LEFT JOIN main.\"%w\" AS t ON ", table->local);
    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(
            text, table->integer_key ? "%st.\"%w\"=r.rid" : "%st.\"%w\"=r.k%d",
            i == 0 ? "" : " AND ", table->keys[i].local, (int)i + 1);
    return sqlite3_str_finish(text);
}

/* The user's first key column, then @keys, then the values. */
static char *read_columns(const struct store_table *table, const char *keys)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    GV_ASSERT(!table->shown || !table->stands);
    if (table->shown || table->stands)
        sqlite3_str_appendf(text, "t.\"%w\",%s", table->keys[0].local, keys);
    else
        sqlite3_str_appendf(text, "NULL,%s", keys);
    for (size_t i = 0; i < table->column_count; i++)
        if (is_there(&table->columns[i]))
            sqlite3_str_appendf(text, ",t.\"%w\"", table->columns[i].local);
    return sqlite3_str_finish(text);
}

static int prepare_read(const struct extract *extract,
                        const struct store_table *table, sqlite3_stmt **read)
{
    char *keys = log_keys(table);
    char *columns = keys == NULL ? NULL : read_columns(table, keys);
    char *join =
        table->shown || table->stands ? user_join(table) : sqlite3_mprintf("");
    int rc = GV_ENOMEM;

    GV_ASSERT(*read == NULL);
    GV_ASSERT(!table->integer_key || table->key_count == 1);
    if (columns != NULL && join != NULL)
        rc = sql_prepare(extract->store->reader, read,
                         "SELECT r.rid,r.cl,r.state,%s FROM gv_row_%lld AS r"
                         "%s%s%s",
                         columns, (long long)table->id, join,
                         extract->whole ? " ORDER BY " : " WHERE r.rid=?1",
                         extract->whole ? keys : "");
    sqlite3_free(keys);
    sqlite3_free(columns);
    sqlite3_free(join);
    GV_ASSERT(rc != GV_OK || (size_t)sqlite3_column_count(*read) >=
                                 READ_KEY + table->key_count);
    return rc;
}

/* Statements went with the tables that they read, if these were read anew. */
static void end_read(struct extract *extract)
{
    if (extract->read != NULL &&
        extract->schema_generation == extract->store->schema_generation) {
        add_effort(extract, extract->read);
        sqlite3_reset(extract->read);
    }
    sqlite3_finalize(extract->parked);
    sqlite3_finalize(extract->cells);
    extract->read = extract->parked = extract->cells = NULL;
}

/* Which records the asker lacks, moved to the front of @records; if it lacks
 * the row's existence, all. */
static size_t choose_records(const struct extract *extract, struct row *row,
                             struct record *chosen)
{
    size_t count = 0;
    gv_time_ms kept = plant("graves-kept-a-day")  ? 86400000
                      : plant("graves-kept-20-s") ? 20000
                                                  : INT64_MAX;

    if (row->causal_length % 2 == 0 && kept < INT64_MAX &&
        clock_wall(row->records[0].version) + kept <
            extract->store->host->wall(extract->store->host->context))
        return 0;

    for (size_t i = 0; i < row->record_count; i++) {
        const struct record *record = &row->records[i];

        GV_ASSERT(record->site < extract->asker_count);
        if (record->version <= extract->asker[record->site])
            continue;
        if (mask_get(record->mask, ROW_EXISTENCE)) {
            memcpy(chosen, row->records, row->record_count * sizeof *chosen);
            return row->record_count;
        }
        chosen[count++] = *record;
    }
    return count;
}

static int damaged(const struct store_table *table, const struct row_key *key,
                   struct gv_error *error)
{
    char name[200];

    row_name(table, key, name, sizeof name);
    error_set(error, GV_ECORRUPT, "The sync metadata of %s is damaged.", name);
    error_meaning(error, "Nothing is sent to peers that lack this row, so that"
                         " the damage does not spread.");
    error_remedy(error, "Run 'grapevine verify' on this file; restore it from"
                        " a peer's copy.");
    return GV_ECORRUPT;
}

/* The row got past the triggers: it is a local write, to be sealed first. */
static int differs(struct extract *extract, struct store_table *table,
                   const struct row_key *key, struct gv_error *error)
{
    char name[200];
    int rc;

    row_name(table, key, name, sizeof name);
    /* In the middle of a migration it is no write. */
    if (audit_pending(extract->store)) {
        rc = audit_suspend(extract->store, table);
        return rc != GV_OK ? rc
                           : error_set(error, GV_ESCHEMA,
                                       "%s is unlike the log; its table waits"
                                       " for the audit.",
                                       name);
    }
    rc = journal_row(extract->store, table, key);
    if (rc != GV_OK)
        return sql_fail(extract->store->db, rc, error, "cannot journal a row");
    error_set(error, GV_EDIFFERS, "%s was changed past the triggers.", name);
    error_meaning(error, "The change is published as a write of this file.");
    return GV_EDIFFERS;
}

/* The value of a cell into store->values, if it is here; in a table that is
 * not tracked, whatever has its digest.  GV_EDIFFERS: the table was written
 * past the triggers; GV_ECORRUPT: what is parked is not what
 * the log says. */
static int find_value(struct store *store, const struct store_table *table,
                      const struct row *row, size_t bit, bool present)
{
    const struct parked *parked = &store->parked;
    struct value *value = &store->values[bit - 1];

    GV_ASSERT(bit > ROW_EXISTENCE && bit <= table->column_count);
    if (mask_get(parked->listed, bit)) {
        *value = parked->values[bit];
        if (parked->kinds[bit] != PARKED_VALUE)
            mask_set(store->hollow, bit);
        else if (value_digest(value) != row->digests[bit])
            return GV_ECORRUPT;
    } else if (!present || !is_there(&table->columns[bit - 1])) {
        mask_set(store->hollow, bit);
    } else if (value_digest(value) != row->digests[bit]) {
        if (table->shown)
            return GV_EDIFFERS;
        mask_set(store->hollow, bit);
    }
    return GV_OK;
}

/* The values of the records' cells, each checked against its digest.
 * @present: the user's table has the row. */
static int find_values(struct store *store, struct store_table *table,
                       const struct row_key *key, const struct record *records,
                       size_t record_count, bool present)
{
    const struct row *row = &store->space.row;
    bool expected = row->causal_length % 2 == 1 &&
                    !mask_get(store->parked.listed, ROW_EXISTENCE);
    int rc = table->shown ? user_present(store, table, key, expected, &present)
                          : GV_OK;

    GV_ASSERT(record_count > 0 && record_count <= row->record_count);
    memset(store->hollow, 0, table->words * sizeof *store->hollow);
    if (rc == GV_OK && table->shown && present != expected)
        return GV_EDIFFERS;
    for (size_t i = 0; i < record_count && rc == GV_OK; i++) {
        for (size_t word = 0; word < table->words; word++) {
            uint64_t bits = column_bits(records[i].mask, word);

            for (; bits != 0 && rc == GV_OK; bits &= bits - 1)
                rc = find_value(store, table, row,
                                word * 64 + (size_t)__builtin_ctzll(bits),
                                present);
        }
    }
    return rc;
}

/* The entries of the row that is read; none if the table has none. */
static int read_parked(struct extract *extract,
                       const struct store_table *table)
{
    struct store *store = extract->store;
    int rc = GV_OK;

    parked_clear(store, table);
    if (!table->parks)
        return GV_OK;
    if (extract->parked == NULL)
        rc = parked_prepare(store->reader, &extract->parked);
    return rc == GV_OK ? parked_load(store, table,
                                     sqlite3_column_int64(extract->read, 0),
                                     extract->parked)
                       : rc;
}

/* The cells of the row that is read. */
static int read_cells(struct extract *extract, const struct store_table *table)
{
    int rc = GV_OK;

    GV_ASSERT((table->each_count > 0) ==
              (table->sums != NULL || table->siblings != NULL));
    if (table->each_count == 0)
        return GV_OK;
    if (extract->cells == NULL)
        rc = cells_prepare(extract->store->reader, &extract->cells);
    return rc == GV_OK ? cells_load(extract->store, table,
                                    sqlite3_column_int64(extract->read, 0),
                                    extract->cells)
                       : rc;
}

/* The key of the row that is read, and its state into store->space. */
static int read_state(struct extract *extract, const struct store_table *table,
                      struct row_key *key, uint32_t *check,
                      struct gv_error *error)
{
    struct store *store = extract->store;
    struct row *row = &store->space.row;
    sqlite3_stmt *read = extract->read;
    bool null;
    int rc;

    buffer_clear(&store->key);
    rc = row_key_read(read, READ_KEY, table->key_count, &store->key, &null);
    if (rc != GV_OK || null ||
        row_key_decode(key, store->key.data, store->key.size,
                       table->key_count) != GV_OK)
        return rc != GV_OK ? rc : GV_ECORRUPT;
    row->causal_length = (uint64_t)sqlite3_column_int64(read, 1);
    row_space_use(&store->space, table);
    rc = state_decode(sqlite3_column_blob(read, 2),
                      (size_t)sqlite3_column_bytes(read, 2),
                      table->column_count, &store->space, check);
    for (size_t i = 0; rc == GV_OK && i < row->record_count; i++)
        if (row->records[i].site >= extract->asker_count)
            rc = GV_ECORRUPT;
    GV_ASSERT(rc != GV_OK || row->record_count <= store->space.capacity);
    return rc == GV_ECORRUPT ? damaged(table, key, error) : rc;
}

static int read_row(struct extract *extract, struct store_table *table,
                    struct gv_error *error)
{
    struct store *store = extract->store;
    struct row *row = &store->space.row;
    sqlite3_stmt *read = extract->read;
    int at = READ_KEY + (int)table->key_count;
    struct record *chosen = NULL;
    struct row_key key;
    uint32_t check;
    size_t count;
    int rc = read_state(extract, table, &key, &check, error);

    if (rc != GV_OK)
        return rc;
    chosen = store->space.before;
    count = choose_records(extract, row, chosen);
    if (count == 0)
        return GV_OK;
    GV_ASSERT(count <= row->record_count);
    if ((uint32_t)state_hash(store, table, key.bytes, key.size, row).low !=
        check)
        return damaged(table, &key, error);
    for (size_t i = 0; i < table->column_count; i++)
        if (is_there(&table->columns[i]))
            sql_column_value(read, at++, &store->values[i]);
    GV_ASSERT(sqlite3_data_count(read) == at);
    rc = read_parked(extract, table);
    if (rc == GV_OK)
        rc = read_cells(extract, table);
    if (rc == GV_OK)
        rc = find_values(store, table, &key, chosen, count,
                         sqlite3_column_type(read, 3) != SQLITE_NULL);
    if (rc == GV_ECORRUPT)
        return damaged(table, &key, error);
    if (rc == GV_EDIFFERS)
        return differs(extract, table, &key, error);
    return rc == GV_OK ? fragments_add(&extract->fragments, store, table, &key,
                                       chosen, count)
                       : rc;
}

static int flush_chunk(struct extract *extract, size_t above)
{
    int rc = GV_OK;

    GV_ASSERT(extract->chunk.error == GV_OK);
    if (extract->chunk.size > above) {
        rc = spool_append(&extract->spool, extract->chunk.data,
                          extract->chunk.size);
        buffer_clear(&extract->chunk);
    }
    return rc;
}

/* The table to read, its statement prepared. */
static int use_table(struct extract *extract, struct store_table *table,
                     struct gv_error *error)
{
    sqlite3_stmt **read;

    if (table == NULL)
        return GV_ECORRUPT;
    if (table->suspended)
        return error_set(error, GV_ESCHEMA,
                         "Table %s is not synced now: it waits for the audit.",
                         table->local);
    if (extract->read != NULL && extract->read_table == table->id)
        return GV_OK;
    end_read(extract);
    read = extract->whole ? &table->extract_all : &table->extract_one;
    if (*read == NULL) {
        int rc = prepare_read(extract, table, read);

        if (rc != GV_OK)
            return rc;
    }
    extract->read = *read;
    extract->read_table = table->id;
    return GV_OK;
}

/* One row of the places found; *@done after the last. */
static int step_place(struct extract *extract, bool *done,
                      struct gv_error *error)
{
    struct row_place *place;
    struct store_table *table;
    int rc;

    GV_ASSERT(!extract->whole);
    GV_ASSERT(extract->place_at <= extract->place_count);
    if (extract->place_at == extract->place_count) {
        *done = true;
        return GV_OK;
    }
    place = &extract->places[extract->place_at++];
    /* Ascending, so that a table's statement serves all of its rows. */
    GV_ASSERT(extract->place_at == 1 || compare_places(place - 1, place) < 0);
    table = schema_by_id(extract->store, place->table);
    rc = use_table(extract, table, error);
    if (rc != GV_OK)
        return rc;
    sqlite3_bind_int64(extract->read, 1, place->rid);
    rc = sql_step(extract->read);
    if (rc > 0)
        rc = read_row(extract, table, error);
    else if (plant("unread-is-end") && rc == GV_EIO)
        rc = GV_OK;
    else if (rc == 0)
        rc = GV_ECORRUPT; /* gv_ver names a row that is not there */
    sqlite3_reset(extract->read);
    return rc;
}

/* One row of a table's join, or the step to the next table. */
static int step_join(struct extract *extract, bool *done,
                     struct gv_error *error)
{
    struct store *store = extract->store;
    struct store_table *table;
    int rc;

    GV_ASSERT(extract->whole);
    GV_ASSERT(extract->table_at <= store->table_count);
    if (extract->table_at == store->table_count) {
        *done = true;
        return GV_OK;
    }
    table = store->tables[extract->table_at];
    /* Who has nothing yet learns of tables without rows too, if there is
     * anything to learn. */
    rc = extract->claim.size == 0
             ? GV_OK
             : fragments_define(&extract->fragments, table);
    if (rc == GV_OK)
        rc = use_table(extract, table, error);
    if (rc != GV_OK)
        return rc;
    rc = sql_step(extract->read);
    if (rc > 0)
        return read_row(extract, table, error);
    if (plant("unread-is-end") && rc == GV_EIO)
        rc = GV_OK;
    if (rc == 0)
        extract->table_at++;
    return rc;
}

int extract_step(struct extract *extract, size_t rows, bool *done,
                 struct gv_error *error)
{
    struct store *store = extract->store;
    bool ended = false;
    int rc = GV_OK;

    GV_ASSERT(!extract->done);
    if (extract->schema_generation != store->schema_generation)
        rc = GV_EBUSY;
    for (size_t i = 0; i < rows && rc == GV_OK && !ended; i++) {
        rc = extract->whole ? step_join(extract, &ended, error)
                            : step_place(extract, &ended, error);
        if (rc == GV_OK)
            rc = flush_chunk(extract, CHUNK_SIZE);
    }
    if (rc == GV_OK && ended) {
        rc = flush_chunk(extract, 0);
        if (rc == GV_OK)
            rc = spool_flush(&extract->spool);
    }
    if (rc != GV_OK || ended) {
        end_read(extract);
        end_snapshot(store);
        extract->done = true;
        GV_ASSERT(extract->read == NULL);
        GV_ASSERT(store->reader == NULL ||
                  sqlite3_get_autocommit(store->reader));
    }
    if (rc != GV_OK) {
        if (error != NULL && error->code != rc)
            sql_fail(store->reader, rc, error,
                     "cannot read what a peer lacks");
        return rc;
    }
    *done = ended;
    return GV_OK;
}

/* What was read */

uint64_t extract_spool(const struct extract *extract)
{
    return extract->spool_id;
}

uint64_t extract_size(const struct extract *extract)
{
    GV_ASSERT(extract->done); /* it still grows */
    return spool_size(&extract->spool);
}

struct vv_view extract_claim(const struct extract *extract)
{
    GV_ASSERT(extract->claim.size % VV_ENTRY_SIZE == 0);
    return (struct vv_view){extract->claim.data,
                            extract->claim.size / VV_ENTRY_SIZE};
}

int extract_read(struct extract *extract, uint64_t offset, uint8_t *bytes,
                 size_t size)
{
    GV_ASSERT(extract->done);
    return spool_read(&extract->spool, offset, bytes, size);
}

void extract_effort(const struct extract *extract, uint64_t *scan_steps,
                    uint64_t *vm_steps)
{
    *scan_steps = extract->scan_steps;
    *vm_steps = extract->vm_steps;
}

void extract_free(struct extract *extract)
{
    if (extract == NULL)
        return;
    for (struct extract **at = &extract->store->extracts; *at != NULL;
         at = &(*at)->next)
        if (*at == extract) {
            *at = extract->next;
            break;
        }
    if (!extract->done) {
        end_read(extract);
        end_snapshot(extract->store);
    }
    spool_close(&extract->spool);
    buffer_close(&extract->claim);
    buffer_close(&extract->chunk);
    fragments_close(&extract->fragments);
    free(extract->asker);
    free(extract->places);
    free(extract);
}

void extracts_close(struct store *store)
{
    while (store->extracts != NULL)
        extract_free(store->extracts);
}
