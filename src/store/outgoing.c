/* One row of the snapshot into the stream: the records that the asker lacks,
 * with their values, each checked against its digest before it is sent. */
#include "store/extract.h"

#include "base/assert.h"
#include "base/plant.h"
#include "core/clock.h"
#include "store/audit.h"
#include "store/cells.h"
#include "store/fragments.h"
#include "store/journal.h"
#include "store/keys.h"
#include "store/parked.h"
#include "store/state.h"
#include "store/tables.h"
#include "store/user.h"

#include <string.h>

/* Columns of the statement: rid, causal length, state, the user's first key
 * column (NULL: no such row, or the table is not there), the key, the values
 * of the columns that are there. */
#define READ_KEY 4

bool outgoing_is_there(const struct store_column *column)
{
    return column->shown || column->stands;
}

char *outgoing_keys(const struct store_table *table)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    GV_ASSERT(table->key_count > 0);
    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(text, table->integer_key ? "%sr.rid" : "%sr.k%d",
                            i == 0 ? "" : ",", (int)i + 1);
    return sqlite3_str_finish(text);
}

char *outgoing_join(const struct store_table *table)
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

char *outgoing_names(const struct store_table *table)
{
    /* Not empty, which would be NULL to SQLite. */
    sqlite3_str *text = sqlite3_str_new(NULL);

    GV_ASSERT(!table->shown || !table->stands);
    sqlite3_str_appendall(text, " ");
    for (size_t i = 0; i < table->column_count; i++)
        if (outgoing_is_there(&table->columns[i]))
            sqlite3_str_appendf(text, ",t.\"%w\"", table->columns[i].local);
    return sqlite3_str_finish(text);
}

static int prepare_read(const struct extract *extract,
                        const struct store_table *table, sqlite3_stmt **read)
{
    bool there = table->shown || table->stands;
    char *keys = outgoing_keys(table), *names = outgoing_names(table);
    char *first = there ? sqlite3_mprintf("t.\"%w\"", table->keys[0].local)
                        : sqlite3_mprintf("NULL");
    char *join = there ? outgoing_join(table) : sqlite3_mprintf("");
    int rc = GV_ENOMEM;

    GV_ASSERT(*read == NULL);
    GV_ASSERT(!table->integer_key || table->key_count == 1);
    if (keys != NULL && names != NULL && first != NULL && join != NULL)
        rc = sql_prepare(extract->store->reader, read,
                         "SELECT r.rid,r.cl,r.state,%s,%s%s FROM gv_row_%lld"
                         " AS r%s%s%s",
                         first, keys, names, (long long)table->id, join,
                         extract->whole ? " ORDER BY " : " WHERE r.rid=?1",
                         extract->whole ? keys : "");
    sqlite3_free(keys);
    sqlite3_free(names);
    sqlite3_free(first);
    sqlite3_free(join);
    GV_ASSERT(rc != GV_OK || (size_t)sqlite3_column_count(*read) >=
                                 READ_KEY + table->key_count);
    return rc;
}

/* Statements went with the tables that they read, if these were read anew. */
void outgoing_end(struct extract *extract)
{
    if (extract->read != NULL &&
        extract->schema_generation == extract->store->schema_generation) {
        extract_add_effort(extract, extract->read);
        sqlite3_reset(extract->read);
    }
    gather_end(extract);
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
    error_remedy(error, "Run 'grapevine verify DB --peer ENDPOINT --repair':"
                        " it takes the row from that peer.");
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
    } else if (!present || !outgoing_is_there(&table->columns[bit - 1])) {
        mask_set(store->hollow, bit);
        if (plant("hollow-as-null")) {
            *value = (struct value){.class = VALUE_NULL};
            memset(store->hollow, 0, table->words * sizeof *store->hollow);
        }
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

/* Whether the row as it was read has the hash that stands beside it. */
static int check_state(struct store *store, const struct store_table *table,
                       const struct row_key *key, uint32_t check,
                       struct gv_error *error)
{
    struct hash128 sum;
    int rc = state_hash(store, table, key->bytes, key->size, &store->space.row,
                        &sum);

    GV_ASSERT(key->count == table->key_count);
    if (rc != GV_OK)
        return rc;
    return (uint32_t)sum.low == check ? GV_OK : damaged(table, key, error);
}

/* The values of the row that is read into store->values; *@present: the user's
 * table has it. */
static int take_values(struct extract *extract,
                       const struct store_table *table, bool *present)
{
    int at = READ_KEY + (int)table->key_count;

    if (extract->gather != NULL)
        return gather_values(extract->gather, table, present);
    for (size_t i = 0; i < table->column_count; i++)
        if (outgoing_is_there(&table->columns[i]))
            sql_column_value(extract->read, at++, &extract->store->values[i]);
    GV_ASSERT(sqlite3_data_count(extract->read) == at);
    *present = sqlite3_column_type(extract->read, READ_KEY - 1) != SQLITE_NULL;
    return GV_OK;
}

int outgoing_row(struct extract *extract, struct store_table *table,
                 struct gv_error *error)
{
    struct store *store = extract->store;
    struct row *row = &store->space.row;
    struct record *chosen = NULL;
    struct row_key key;
    uint32_t check;
    bool present;
    size_t count;
    int rc = read_state(extract, table, &key, &check, error);

    if (rc != GV_OK)
        return rc;
    chosen = store->space.before;
    count = choose_records(extract, row, chosen);
    if (count == 0)
        return GV_OK;
    GV_ASSERT(count <= row->record_count);
    rc = check_state(store, table, &key, check, error);
    if (rc == GV_OK)
        rc = take_values(extract, table, &present);
    if (rc == GV_OK)
        rc = read_parked(extract, table);
    if (rc == GV_OK)
        rc = read_cells(extract, table);
    if (rc == GV_OK)
        rc = find_values(store, table, &key, chosen, count, present);
    if (rc == GV_ECORRUPT)
        return damaged(table, &key, error);
    if (rc == GV_EDIFFERS)
        return differs(extract, table, &key, error);
    return rc == GV_OK ? fragments_add(&extract->fragments, store, table, &key,
                                       chosen, count)
                       : rc;
}

int outgoing_join_rows(struct extract *extract, struct store_table *table)
{
    sqlite3_stmt **read =
        extract->whole ? &table->extract_all : &table->extract_one;
    int rc = *read == NULL ? prepare_read(extract, table, read) : GV_OK;

    gather_end(extract);
    extract->read = *read;
    extract->read_table = table->id;
    return rc;
}

int outgoing_use(struct extract *extract, struct store_table *table,
                 struct gv_error *error)
{
    int rc;

    if (table == NULL)
        return GV_ECORRUPT;
    if (table->suspended)
        return error_set(error, GV_ESCHEMA,
                         "Table %s is not synced now: it waits for the audit.",
                         table->local);
    if (extract->read != NULL && extract->read_table == table->id)
        return GV_OK;
    outgoing_end(extract);
    rc = extract->whole ? gather_begin(extract, table) : GV_OK;
    if (rc == GV_OK && extract->gather != NULL) {
        extract->read = gather_log(extract->gather);
        extract->read_table = table->id;
        return GV_OK;
    }
    return rc == GV_OK ? outgoing_join_rows(extract, table) : rc;
}
