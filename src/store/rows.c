/* Rows of gv_row_N, on the connection that writes. */
#include "store/rows.h"

#include "base/assert.h"
#include "base/hook.h"
#include "base/plant.h"
#include "store/batch.h"
#include "store/borrowed.h"
#include "store/cells.h"
#include "store/keys.h"
#include "store/state.h"
#include "store/ver.h"

#include <string.h>

static int prepare_row_find(struct store *store, struct store_table *table)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    char *where;
    int rc;

    GV_ASSERT(table->row_find == NULL); /* else the old one is lost */
    GV_ASSERT(!table->integer_key || table->key_count == 1);
    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(text, "%sk%d=?%d", i == 0 ? "" : " AND ",
                            (int)i + 1, (int)i + 1);
    where = sqlite3_str_finish(text);
    if (where == NULL)
        return GV_ENOMEM;
    rc = sql_prepare(store->db, &table->row_find,
                     "SELECT rid,cl,state FROM gv_row_%lld WHERE %s",
                     table->id, table->integer_key ? "rid=?1" : where);
    sqlite3_free(where);
    return rc;
}

static int prepare_row_writes(struct store *store, struct store_table *table)
{
    sqlite3_str *names = sqlite3_str_new(NULL);
    sqlite3_str *marks = sqlite3_str_new(NULL);
    char *name_text, *mark_text;
    int rc = GV_ENOMEM;

    GV_ASSERT(table->row_update == NULL);
    GV_ASSERT(!table->integer_key || table->key_count == 1);
    for (size_t i = 0; i < table->key_count; i++) {
        if (table->integer_key)
            sqlite3_str_appendf(names, "rid,");
        else
            sqlite3_str_appendf(names, "k%d,", (int)i + 1);
        sqlite3_str_appendf(marks, "?%d,", (int)i + 1);
    }
    name_text = sqlite3_str_finish(names);
    mark_text = sqlite3_str_finish(marks);
    if (table->row_insert != NULL)
        rc = GV_OK; /* only the other one failed before */
    else if (name_text != NULL && mark_text != NULL)
        rc = sql_prepare(store->db, &table->row_insert,
                         "INSERT INTO gv_row_%lld(%scl,state)"
                         " VALUES(%s?%d,?%d)",
                         table->id, name_text, mark_text,
                         (int)table->key_count + 1, (int)table->key_count + 2);
    sqlite3_free(name_text);
    sqlite3_free(mark_text);
    if (rc == GV_OK)
        rc = sql_prepare(store->db, &table->row_update,
                         "UPDATE gv_row_%lld SET cl=?2,state=?3 WHERE rid=?1",
                         table->id);
    return rc;
}

static void space_clear(struct row_space *space)
{
    space->stored = false;
    space->rid = 0;
    space->row.causal_length = 0;
    space->row.record_count = 0;
    space->before_count = 0;
    space->before_sum = (struct hash128){0, 0};
    space->checked = true; /* of nothing */
    cells_clear(&space->cells);
}

/* Keep what gv_ver holds of the row before it changes. */
static int remember(struct store *store)
{
    struct row_space *space = &store->space;

    for (size_t i = 0; i < space->row.record_count; i++)
        if (space->records[i].site >= store->site_count)
            return GV_ECORRUPT;
    GV_ASSERT(space->before_count == 0);
    GV_ASSERT(space->row.record_count <= space->capacity);
    memcpy(space->before, space->records,
           space->row.record_count * sizeof *space->before);
    space->before_count = space->row.record_count;
    space->checked = false;
    return GV_OK;
}

static int damaged(struct store *store, const struct store_table *table,
                   const struct row_key *key, struct gv_error *error)
{
    char name[256];

    store->row_damaged = true;
    row_name(table, key, name, sizeof name);
    error_set(error, GV_ECORRUPT, "The sync metadata of %s is damaged.", name);
    error_meaning(error,
                  "Something outside Grapevine changed gv_row_%lld,"
                  " or the disk did; nothing of this row is sent.",
                  (long long)table->id);
    error_remedy(error, "Run 'grapevine verify DB --peer ENDPOINT --repair':"
                        " it takes the row from that peer.");
    return GV_ECORRUPT;
}

int rows_check(struct store *store, const struct store_table *table,
               const struct row_key *key, struct gv_error *error)
{
    struct row_space *space = &store->space;
    int rc;

    /* It is the row as it was read that has this hash. */
    GV_ASSERT(space->before_count == space->row.record_count);
    if (space->checked)
        return GV_OK;
    rc = state_hash(store, table, key->bytes, key->size, &space->row,
                    &space->before_sum);
    if (rc != GV_OK)
        return rc;
    space->checked = (uint32_t)space->before_sum.low == space->check;
    if (!space->checked)
        return damaged(store, table, key, error);
    if (table->each_count > 0)
        rc = cells_find(store, table);
    return rc == GV_ECORRUPT ? damaged(store, table, key, error) : rc;
}

int rows_find(struct store *store, struct store_table *table,
              const struct row_key *key, struct gv_error *error)
{
    int rc = rows_read(store, table, key, error);

    return rc == GV_OK ? rows_check(store, table, key, error) : rc;
}

/* A row that a batch has read. */
static int take_ahead(struct store *store, const struct store_table *table,
                      const struct row_key *key, const struct batch_row *ahead,
                      struct gv_error *error)
{
    struct row_space *space = &store->space;
    int rc;

    GV_ASSERT(!space->stored); /* it was cleared */
    if (!ahead->stored)
        return GV_OK;
    space->stored = true;
    space->rid = ahead->rid;
    space->row.causal_length = ahead->causal_length;
    rc = state_decode(batch_state(store, ahead), ahead->state_size,
                      table->column_count, space, &space->check);
    if (rc == GV_OK)
        rc = remember(store);
    return rc == GV_ECORRUPT ? damaged(store, table, key, error) : rc;
}

int rows_read(struct store *store, struct store_table *table,
              const struct row_key *key, struct gv_error *error)
{
    struct row_space *space = &store->space;
    const struct batch_row *ahead;
    int rc = GV_OK;

    GV_ASSERT(key->count == table->key_count);
    if (table->row_find == NULL)
        rc = prepare_row_find(store, table);
    space_clear(space);
    row_space_use(space, table);
    if (rc == GV_OK)
        rc = row_space_reserve(space, 1, table->words);
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot read a row's state");
    ahead = batch_find(store, table, key);
    if (ahead != NULL)
        return take_ahead(store, table, key, ahead, error);
    row_key_bind(table->row_find, key);
    rc = sql_step(table->row_find);
    if (rc <= 0)
        return rc == 0 ? GV_OK
                       : sql_fail(store->db, rc, error,
                                  "cannot read a row's state");
    space->stored = true;
    space->rid = sqlite3_column_int64(table->row_find, 0);
    space->row.causal_length =
        (uint64_t)sqlite3_column_int64(table->row_find, 1);
    rc = state_decode(sqlite3_column_blob(table->row_find, 2),
                      (size_t)sqlite3_column_bytes(table->row_find, 2),
                      table->column_count, space, &space->check);
    sqlite3_reset(table->row_find);
    if (rc == GV_OK)
        rc = remember(store);
    GV_ASSERT(rc != GV_OK || space->before_count == space->row.record_count);
    return rc == GV_ECORRUPT ? damaged(store, table, key, error) : rc;
}

int rows_flush(struct store *store)
{
    int rc = ver_flush(store);

    return rc == GV_OK ? batch_flush(store) : rc;
}

int rows_update(struct store_table *table, int64_t rid, uint64_t causal_length,
                const uint8_t *state, size_t size)
{
    GV_ASSERT(table->row_update != NULL);
    GV_ASSERT(size > 0);
    sqlite3_bind_int64(table->row_update, 1, rid);
    sqlite3_bind_int64(table->row_update, 2, (sqlite3_int64)causal_length);
    sqlite3_bind_blob64(table->row_update, 3, state, size, SQLITE_STATIC);
    return sql_finish(table->row_update);
}

/* A row that no batch has. */
static int insert_state(struct store *store, struct store_table *table,
                        const struct row_key *key)
{
    struct row_space *space = &store->space;
    int count = (int)key->count, rc = batch_yield(store);

    if (rc != GV_OK)
        return rc;
    row_key_bind(table->row_insert, key);
    GV_ASSERT(sqlite3_bind_parameter_count(table->row_insert) == count + 2);
    sqlite3_bind_int64(table->row_insert, count + 1,
                       (sqlite3_int64)space->row.causal_length);
    sqlite3_bind_blob64(table->row_insert, count + 2, store->state.data,
                        store->state.size, SQLITE_STATIC);
    rc = sql_finish(table->row_insert);
    if (rc == GV_OK)
        space->rid = sqlite3_last_insert_rowid(store->db);
    return rc;
}

/* The state in store->state to gv_row_N; of a row that a batch has read, with
 * others. */
static int write_state(struct store *store, struct store_table *table,
                       const struct row_key *key)
{
    struct row_space *space = &store->space;
    uint64_t causal_length = space->row.causal_length;
    bool waits = batch_find(store, table, key) != NULL;

    if (waits && space->stored)
        return batch_update(store, space->rid, causal_length);
    if (waits)
        return batch_insert(store, key, causal_length, &space->rid);
    GV_ASSERT(table->row_insert != NULL);
    if (space->stored)
        return rows_update(table, space->rid, causal_length, store->state.data,
                           store->state.size);
    return insert_state(store, table, key);
}

int rows_save(struct store *store, struct store_table *table,
              const struct row_key *key)
{
    struct row_space *space = &store->space;
    struct hash128 sum;
    int rc =
        state_hash(store, table, key->bytes, key->size, &space->row, &sum);

    /* State, list and fingerprint change together or not at all. */
    GV_ASSERT(transaction_open(store));
    GV_ASSERT(key->count == table->key_count);
    GV_ASSERT(space->checked); /* damage would spread, and hide */
    if (rc == GV_OK &&
        (table->row_insert == NULL || table->row_update == NULL))
        rc = prepare_row_writes(store, table);
    if (rc == GV_OK)
        rc = state_encode(&space->row, table->words, (uint32_t)sum.low,
                          &store->state);
    if (rc != GV_OK)
        return rc;
    rc = write_state(store, table, key);
    if (rc != GV_OK)
        return rc;
    store->numbers.fingerprint = hash128_add(
        hash128_subtract(store->numbers.fingerprint, space->before_sum), sum);
    if (table->each_count > 0)
        rc = cells_save(store, table);
    if (rc != GV_OK)
        return rc;
    return ver_follow(store, table);
}

void rows_held(const struct row *row, size_t words, uint64_t *held)
{
    GV_ASSERT(words > 0 && words <= ROW_WORDS_MAX);
    memset(held, 0, words * sizeof *held);
    for (size_t i = 0; i < row->record_count; i++)
        for (size_t word = 0; word < words; word++)
            held[word] |= row->records[i].mask[word];
}
