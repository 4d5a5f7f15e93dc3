/* Rows of gv_row_N that a batch has read and that change: their new states
 * wait until one statement is worth it. */
#include "store/batch_internal.h"

#include "base/assert.h"
#include "store/rows.h"

/* An UPDATE of many rows with a state each would gather them in a table of its
 * own first, so this is an INSERT whose rows are all there: 3,200 instructions
 * a row in the place of 7,100.  Keys are left out: they stay. */
static int prepare_update(struct store *store, struct store_table *table)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    char *texts;
    int rc;

    GV_ASSERT(table->batch_update_many == NULL);
    for (size_t i = 0; i < CHANGED_ROWS; i++)
        sqlite3_str_appendf(text, "%s(?,?,?)", i == 0 ? "" : ",");
    texts = sqlite3_str_finish(text);
    /* OR FAIL: see gv_ver's. */
    rc = texts == NULL
             ? GV_ENOMEM
             : sql_prepare(store->db, &table->batch_update_many,
                           "INSERT OR FAIL INTO gv_row_%lld(rid,cl,state)"
                           " VALUES%s ON CONFLICT(rid) DO UPDATE SET"
                           " cl=excluded.cl,state=excluded.state",
                           (long long)table->id, texts);
    sqlite3_free(texts);
    return rc;
}

static int update_many(struct store *store)
{
    struct batch *batch = store->batch;
    struct store_table *table = batch->table;
    int parameter = 0;
    int rc = table->batch_update_many == NULL ? prepare_update(store, table)
                                              : GV_OK;

    GV_ASSERT(batch->changed_count == CHANGED_ROWS);
    if (rc != GV_OK)
        return rc;
    for (size_t i = 0; i < CHANGED_ROWS; i++) {
        const struct changed_row *row = &batch->changed[i];

        sqlite3_bind_int64(table->batch_update_many, ++parameter, row->rid);
        sqlite3_bind_int64(table->batch_update_many, ++parameter,
                           (sqlite3_int64)row->causal_length);
        sqlite3_bind_blob64(table->batch_update_many, ++parameter,
                            batch->changed_states.data + row->state_at,
                            row->state_size, SQLITE_STATIC);
    }
    GV_ASSERT(parameter ==
              sqlite3_bind_parameter_count(table->batch_update_many));
    return sql_finish(table->batch_update_many);
}

int batch_update_flush(struct store *store)
{
    struct batch *batch = store->batch;
    int rc = GV_OK;

    GV_ASSERT(batch->changed_count <= CHANGED_ROWS);
    if (batch->changed_count == CHANGED_ROWS)
        rc = update_many(store);
    else
        for (size_t i = 0; i < batch->changed_count && rc == GV_OK; i++) {
            const struct changed_row *row = &batch->changed[i];

            rc = rows_update(batch->table, row->rid, row->causal_length,
                             batch->changed_states.data + row->state_at,
                             row->state_size);
        }
    batch->changed_count = 0;
    buffer_clear(&batch->changed_states);
    return rc;
}

int batch_update(struct store *store, int64_t rid, uint64_t causal_length)
{
    struct batch *batch = store->batch;
    struct changed_row *row = &batch->changed[batch->changed_count];
    int rc;

    GV_ASSERT(batch->changed_count < CHANGED_ROWS);
    GV_ASSERT(batch->rows[batch->at].stored);
    GV_ASSERT(batch->rows[batch->at].rid == rid);
    *row = (struct changed_row){.rid = rid,
                                .causal_length = causal_length,
                                .state_at = batch->changed_states.size,
                                .state_size = store->state.size};
    rc = buffer_append(&batch->changed_states, store->state.data,
                       store->state.size);
    if (rc == GV_OK && ++batch->changed_count == CHANGED_ROWS)
        rc = batch_update_flush(store);
    return rc;
}
