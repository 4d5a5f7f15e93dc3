/* States of keys that stand in the order of gv_row_N's index.
 *
 * A delta comes in key order and a seal works in it, so the rows of a batch
 * often stand close together in gv_row_N.  Then its index is walked once from
 * the first to the last, which takes less than a search for each key, even if
 * it passes over every second row.
 *
 * Rows that one seal or apply wrote have their rids in the order of their
 * keys, too.  Then gv_row_N is walked without its index, which would lead from
 * each key to its row by a search.  Nothing says that all rows stand in that
 * order, so this holds only if every key of the batch was met. */
#include "store/batch.h"

#include "base/assert.h"
#include "store/borrowed.h"
#include "store/keys.h"

#include <stdlib.h>

/* Rows met for each of the batch; where there are more, each key is searched
 * for. */
#define STRIDE_MAX 2
/* As many runs do not ask for rids after a walk by rids in vain. */
#define RIDS_LEFT_OUT 15
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

static int prepare_rids(struct store *store, struct store_table *table)
{
    int rc = GV_OK;

    GV_ASSERT(table->key_count == 1 && !table->integer_key);
    if (table->scan_rid == NULL)
        rc = sql_prepare(store->db, &table->scan_rid,
                         "SELECT rid FROM gv_row_%lld WHERE k1=?1",
                         (long long)table->id);
    if (rc == GV_OK && table->scan_by_rid == NULL)
        rc = sql_prepare(store->db, &table->scan_by_rid,
                         "SELECT k1,rid,cl,state FROM gv_row_%lld WHERE"
                         " rid>=?1 AND rid<=?2 ORDER BY rid",
                         (long long)table->id);
    return rc;
}

/* 1 with the rid of @key, 0: there is none, or an error. */
static int find_rid(sqlite3_stmt *find, const struct value *key, int64_t *rid)
{
    int rc;

    sql_bind_value(find, 1, key);
    rc = sql_step(find);
    if (rc > 0)
        *rid = sqlite3_column_int64(find, 0);
    sqlite3_reset(find);
    return rc;
}

/* Rows from the rid @first to @last; *@done: every key was met. */
static int take_by_rid(struct store *store, sqlite3_stmt *list, int64_t first,
                       int64_t last, const struct value *keys, bool *done)
{
    size_t at = 0, count = batch_count(store->batch);
    int rc = GV_OK;

    GV_ASSERT(!sqlite3_stmt_busy(list) && first <= last);
    sqlite3_bind_int64(list, 1, first);
    sqlite3_bind_int64(list, 2, last);
    while (at < count && (rc = sql_step(list)) > 0) {
        struct value found;

        sql_column_value(list, 0, &found);
        if (value_equal(&keys[at], &found))
            rc = batch_take_state(store, at++, list, 1);
        if (rc < 0)
            break;
    }
    sqlite3_reset(list);
    *done = at == count;
    return rc < 0 ? rc : GV_OK;
}

static int walk_by_rid(struct store *store, struct store_table *table,
                       const struct value *keys, size_t count, bool *done)
{
    int64_t first = 0, last = 0;
    int rc;

    if (table->integer_key || table->rids_left_out > 0) {
        table->rids_left_out -= table->rids_left_out > 0;
        return GV_OK;
    }
    rc = prepare_rids(store, table);
    if (rc == GV_OK)
        rc = find_rid(table->scan_rid, &keys[0], &first);
    if (rc > 0)
        rc = find_rid(table->scan_rid, &keys[count - 1], &last);
    if (rc <= 0)
        return rc;
    if (first <= last && (uint64_t)(last - first) < count * STRIDE_MAX)
        rc = take_by_rid(store, table->scan_by_rid, first, last, keys, done);
    if (rc >= 0 && !*done)
        table->rids_left_out = RIDS_LEFT_OUT;
    return rc < 0 ? rc : GV_OK;
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
    rc = walk_by_rid(store, table, keys, count, done);
    if (rc == GV_OK && !*done)
        rc = prepare(store, table);
    if (rc == GV_OK && !*done)
        rc = walk(store, table->scan, keys, count, done);
    if (rc == GV_OK && !*done)
        table->walks_left_out = WALKS_LEFT_OUT;
    free(keys);
    return rc;
}
