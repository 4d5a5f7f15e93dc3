/* New rows of gv_row_N: those of a batch wait until one INSERT is worth it. */
#include "store/batch_internal.h"

#include "base/assert.h"
#include "store/keys.h"

static int prepare_insert(struct store *store, struct store_table *table,
                          size_t rows, sqlite3_stmt **statement)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    char *texts;
    int rc;

    GV_ASSERT(*statement == NULL);
    for (size_t i = 0; i < rows; i++) {
        sqlite3_str_appendf(text, "%s(?", i == 0 ? "" : ",");
        for (size_t j = 0; j < table->key_count && !table->integer_key; j++)
            sqlite3_str_appendall(text, ",?");
        sqlite3_str_appendall(text, ",?,?)");
    }
    texts = sqlite3_str_finish(text);
    /* OR FAIL: see gv_ver's. */
    rc = texts == NULL ? GV_ENOMEM
                       : sql_prepare(store->db, statement,
                                     "INSERT OR FAIL INTO gv_row_%lld"
                                     " VALUES%s",
                                     (long long)table->id, texts);
    sqlite3_free(texts);
    return rc;
}

static int bind_new(const struct batch *batch, sqlite3_stmt *statement,
                    const struct new_row *new, int *parameter)
{
    const struct store_table *table = batch->table;
    struct row_key key;
    int rc = row_key_decode(&key, batch->keys.data + new->row->key_at,
                            new->row->key_size, table->key_count);

    if (rc != GV_OK)
        return GV_ECORRUPT;
    sqlite3_bind_int64(statement, ++*parameter, new->rid);
    for (size_t i = 0; i < key.count && !table->integer_key; i++)
        sql_bind_value(statement, ++*parameter, &key.values[i]);
    sqlite3_bind_int64(statement, ++*parameter,
                       (sqlite3_int64) new->causal_length);
    sqlite3_bind_blob64(statement, ++*parameter,
                        batch->new_states.data + new->state_at,
                        new->state_size, SQLITE_STATIC);
    return GV_OK;
}

static int insert_new(struct batch *batch, sqlite3_stmt *statement,
                      const struct new_row *rows, size_t count)
{
    int parameter = 0, rc = GV_OK;

    for (size_t i = 0; i < count && rc == GV_OK; i++)
        rc = bind_new(batch, statement, &rows[i], &parameter);
    GV_ASSERT(rc != GV_OK ||
              parameter == sqlite3_bind_parameter_count(statement));
    return rc == GV_OK ? sql_finish(statement) : rc;
}

/* Write the new rows that wait. */
static int flush_new(struct store *store)
{
    struct batch *batch = store->batch;
    struct store_table *table = batch->table;
    size_t count = batch->new_count;
    int rc = GV_OK;

    GV_ASSERT(count <= NEW_ROWS);
    if (table->batch_insert == NULL)
        rc = prepare_insert(store, table, 1, &table->batch_insert);
    if (rc == GV_OK && table->batch_insert_many == NULL)
        rc = prepare_insert(store, table, NEW_ROWS, &table->batch_insert_many);
    if (rc == GV_OK && count == NEW_ROWS)
        rc = insert_new(batch, table->batch_insert_many, batch->new_rows,
                        count);
    for (size_t i = 0; rc == GV_OK && count < NEW_ROWS && i < count; i++)
        rc = insert_new(batch, table->batch_insert, &batch->new_rows[i], 1);
    batch->new_count = 0;
    buffer_clear(&batch->new_states);
    return rc;
}

int batch_flush(struct store *store)
{
    struct batch *batch = store->batch;
    int rc = GV_OK;

    if (batch == NULL)
        return GV_OK;
    GV_ASSERT(batch->at <= batch->count);
    if (batch->new_count > 0)
        rc = flush_new(store);
    return rc == GV_OK ? batch_update_flush(store) : rc;
}

int batch_yield(struct store *store)
{
    int rc = batch_flush(store);

    if (store->batch != NULL)
        store->batch->last_rid = 0;
    GV_ASSERT(store->batch == NULL || store->batch->new_count == 0);
    return rc;
}

/* Past all that are there: SQLite would give the same.  Of INTEGER PRIMARY
 * KEYs the rid is the key. */
static int give_rid(struct store *store, const struct row_key *key,
                    int64_t *rid)
{
    struct batch *batch = store->batch;
    int rc = GV_OK;

    if (batch->table->integer_key) {
        *rid = key->values[0].integer;
        return GV_OK;
    }
    if (batch->last_rid == 0)
        rc = sql_number(store->db, &batch->last_rid,
                        "SELECT coalesce(max(rid),0) FROM gv_row_%lld",
                        (long long)batch->table->id);
    if (rc == GV_OK && batch->last_rid == INT64_MAX)
        rc = GV_ELIMIT;
    if (rc == GV_OK)
        *rid = ++batch->last_rid;
    return rc;
}

int batch_insert(struct store *store, const struct row_key *key,
                 uint64_t causal_length, int64_t *rid)
{
    struct batch *batch = store->batch;
    struct new_row *new = &batch->new_rows[batch->new_count];
    int rc = give_rid(store, key, rid);

    GV_ASSERT(batch->new_count < NEW_ROWS);
    if (rc != GV_OK)
        return rc;
    *new = (struct new_row){.row = &batch->rows[batch->at],
                            .rid = *rid,
                            .causal_length = causal_length,
                            .state_at = batch->new_states.size,
                            .state_size = store->state.size};
    GV_ASSERT(new->row->key_size == key->size && !new->row->stored);
    rc = buffer_append(&batch->new_states, store->state.data,
                       store->state.size);
    if (rc == GV_OK && ++batch->new_count == NEW_ROWS)
        rc = flush_new(store);
    return rc;
}
