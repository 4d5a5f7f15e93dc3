/* States of keys that stand in the order of gv_row_N's index.
 *
 * A delta comes in key order and a seal works in it, so the rows of a batch
 * often stand close together in gv_row_N.  Then its index is walked once from
 * the first to the last, which takes less than a search for each key, even if
 * it passes over every second row. */
#include "store/batch.h"

#include "base/assert.h"
#include "store/borrowed.h"
#include "store/keys.h"

#include <stdlib.h>

/* Rows met for each of the batch; where there are more, each key is searched
 * for. */
#define STRIDE_MAX 2
/* After a walk in vain the next ones are not tried. */
#define WALKS_LEFT_OUT 15

static int prepare(struct store *store, struct store_table *table)
{
    const char *key = table->integer_key ? "rid" : "k1";

    GV_ASSERT(table->key_count == 1);
    return table->scan != NULL
               ? GV_OK
               : sql_prepare(store->db, &table->scan,
                             "SELECT %s,rid,cl,state FROM gv_row_%lld WHERE"
                             " %s>=?1 AND %s<=?2 ORDER BY %s LIMIT ?3",
                             key, (long long)table->id, key, key, key);
}

/* The keys of the batch at hand; NULL: not in order, or no memory. */
static struct value *read_keys(const struct store *store, size_t count)
{
    struct value *keys = malloc(count * sizeof *keys);
    bool ascending = keys != NULL;

    GV_ASSERT(count > 0);
    for (size_t i = 0; ascending && i < count; i++) {
        struct row_key key;

        ascending = batch_key(store, i, &key) == GV_OK &&
                    key.values[0].class != VALUE_REAL &&
                    (i == 0 || value_behind(&keys[i - 1], &key.values[0]));
        if (ascending)
            keys[i] = key.values[0];
    }
    if (!ascending) {
        free(keys);
        return NULL;
    }
    return keys;
}

/* *@done: every key was met or passed. */
static int walk(struct store *store, sqlite3_stmt *list,
                const struct value *keys, size_t count, bool *done)
{
    int64_t left = (int64_t)count * STRIDE_MAX;
    size_t at = 0;
    int rc;

    GV_ASSERT(!sqlite3_stmt_busy(list));
    sql_bind_value(list, 1, &keys[0]);
    sql_bind_value(list, 2, &keys[count - 1]);
    sqlite3_bind_int64(list, 3, left);
    while ((rc = sql_step(list)) > 0) {
        struct value found;

        left--;
        sql_column_value(list, 0, &found);
        while (at < count && value_behind(&keys[at], &found))
            at++;
        if (at == count || !value_equal(&keys[at], &found))
            continue;
        rc = batch_take_state(store, at++, list, 1);
        if (rc != GV_OK)
            break;
    }
    sqlite3_reset(list);
    GV_ASSERT(left >= 0);
    *done = left > 0 || at == count;
    return rc;
}

int scan_states(struct store *store, struct store_table *table, bool *done)
{
    size_t count = batch_count(store->batch);
    struct value *keys;
    int rc;

    *done = false;
    GV_ASSERT(transaction_open(store));
    if (table->key_count != 1 || count < BATCH_ROWS_MIN)
        return GV_OK;
    if (table->walks_left_out > 0) {
        table->walks_left_out--;
        return GV_OK;
    }
    keys = read_keys(store, count);
    if (keys == NULL)
        return GV_OK;
    rc = prepare(store, table);
    if (rc == GV_OK)
        rc = walk(store, table->scan, keys, count, done);
    if (rc == GV_OK && !*done)
        table->walks_left_out = WALKS_LEFT_OUT;
    free(keys);
    return rc;
}
