/* What the rows of a batch are, in the log and in the user's table.
 *
 * gv_batch is joined with gv_row_N in key order, the order of its index and,
 * after one seal, of its rows.  The user's rows lie in the order in which they
 * were written, and in key order each would be a page that the cache lost long
 * ago; so their rowids are read first (from the key's index, in its order),
 * and the rows in rowid order.  With 16,384 rows at a time out of 200,000 a
 * page is read 3 times, not 30. */
#include "store/batch_internal.h"

#include "base/assert.h"
#include "store/borrowed.h"
#include "store/keys.h"

#include <stdlib.h>
#include <string.h>

/* Values of a batch: 16,384 rows of 4 columns with 130 bytes in them take 5
 * MB. */
#define BATCH_BYTES_MAX (16u * 1024 * 1024)

#define VALUE_HEAD_SIZE 17

/* Prepare */

/* " AND "-joined comparisons of the key with gv_batch; sqlite3_free() it. */
static char *on_text(const struct store_table *table, bool ours)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    for (size_t i = 0; i < table->key_count; i++) {
        sqlite3_str_appendf(text, "%s", i == 0 ? "" : " AND ");
        if (!ours)
            sqlite3_str_appendf(text, "t.\"%w\"", table->keys[i].local);
        else if (table->integer_key)
            sqlite3_str_appendf(text, "t.rid");
        else
            sqlite3_str_appendf(text, "t.k%d", (int)i + 1);
        sqlite3_str_appendf(text, "=b.k%d", (int)i + 1);
    }
    return sqlite3_str_finish(text);
}

static int prepare_states(struct store *store, struct store_table *table)
{
    char *on = on_text(table, true);
    int rc;

    GV_ASSERT(table->batch_states == NULL);
    rc = on == NULL
             ? GV_ENOMEM
             : sql_prepare(store->db, &table->batch_states,
                           "SELECT t.rid,t.cl,t.state FROM gv_batch AS b"
                           " LEFT JOIN main.gv_row_%lld AS t ON %s",
                           (long long)table->id, on);

    sqlite3_free(on);
    return rc;
}

static int prepare_rowids(struct store *store, struct store_table *table)
{
    char *on = on_text(table, false);
    int rc;

    GV_ASSERT(table->batch_rowids == NULL);
    rc = on == NULL ? GV_ENOMEM
                    : sql_prepare(store->db, &table->batch_rowids,
                                  "SELECT t._rowid_ FROM gv_batch AS b"
                                  " LEFT JOIN main.\"%w\" AS t ON %s",
                                  table->local, on);

    sqlite3_free(on);
    return rc;
}

int batch_rowid_hidden(sqlite3 *db, const struct store_table *table,
                       int64_t *hidden)
{
    *hidden = table->integer_key;
    return table->integer_key
               ? GV_OK
               : sql_number(db, hidden,
                            "SELECT count(*) FROM pragma_table_xinfo(%Q)"
                            " WHERE lower(name)='_rowid_'",
                            table->local);
}

int batch_look_for_rowid(struct store *store, struct store_table *table)
{
    int64_t hidden;
    int rc;

    GV_ASSERT(table->shown);
    if (table->rowid_known)
        return GV_OK;
    rc = batch_rowid_hidden(store->db, table, &hidden);

    if (rc == GV_OK && hidden == 0)
        rc = prepare_rowids(store, table);
    table->has_rowid = rc == GV_OK && hidden == 0;
    if (rc == GV_ESCHEMA)
        rc = GV_OK; /* a table WITHOUT ROWID */
    table->rowid_known = rc == GV_OK;
    return rc;
}

static int prepare_users(struct store *store, struct store_table *table)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    char *names, *on = on_text(table, false);
    int rc = GV_ENOMEM;

    GV_ASSERT(table->batch_users == NULL);
    GV_ASSERT(!table->has_rowid || table->batch_rowids != NULL);
    sqlite3_str_appendf(text, "t.\"%w\"", table->keys[0].local);
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].shown)
            sqlite3_str_appendf(text, ",t.\"%w\"", table->columns[i].local);
    names = sqlite3_str_finish(text);
    if (names != NULL && on != NULL)
        rc = sql_prepare(store->db, &table->batch_users,
                         "SELECT %s FROM gv_batch AS b"
                         " LEFT JOIN main.\"%w\" AS t ON %s",
                         names, table->local,
                         table->has_rowid ? "t._rowid_=b.k1" : on);
    sqlite3_free(names);
    sqlite3_free(on);
    return rc;
}

/* Read */

int batch_key(const struct store *store, size_t index, struct row_key *key)
{
    const struct batch *batch = store->batch;
    const struct batch_row *row = &batch->rows[index];

    GV_ASSERT(index < batch->count);
    return row_key_decode(key, batch->keys.data + row->key_at, row->key_size,
                          batch->table->key_count);
}

int batch_take_state(struct store *store, size_t index, sqlite3_stmt *list,
                     int first)
{
    struct batch *batch = store->batch;
    struct batch_row *row = &batch->rows[index];

    GV_ASSERT(index < batch->count);
    row->stored = true;
    row->rid = sqlite3_column_int64(list, first);
    row->causal_length = (uint64_t)sqlite3_column_int64(list, first + 1);
    row->state_size = (size_t)sqlite3_column_bytes(list, first + 2);
    row->state_at = batch->states.size;
    return buffer_append(&batch->states, sqlite3_column_blob(list, first + 2),
                         row->state_size);
}

static int search_states(struct store *store, sqlite3_stmt *list)
{
    const struct batch *batch = store->batch;
    size_t count = 0;
    int rc;

    GV_ASSERT(!sqlite3_stmt_busy(list) && !batch->by_rowid);
    while ((rc = sql_step(list)) > 0) {
        GV_ASSERT(count < batch->count);
        if (sqlite3_column_type(list, 0) != SQLITE_NULL)
            rc = batch_take_state(store, count, list, 0);
        count++;
        if (rc < 0)
            break;
    }
    sqlite3_reset(list);
    GV_ASSERT(rc != GV_OK || count == batch->count);
    return rc;
}

static int read_states(struct store *store, struct store_table *table)
{
    bool done;
    int rc = scan_states(store, table, &done);

    GV_ASSERT(store->batch->table == table);
    if (rc != GV_OK || done)
        return rc;
    if (table->batch_states == NULL)
        rc = prepare_states(store, table);
    return rc == GV_OK ? search_states(store, table->batch_states) : rc;
}

static int compare_rowids(const void *a, const void *b, void *context)
{
    const struct batch_row *rows = context;
    int64_t x = rows[*(const uint32_t *)a].user_rowid;
    int64_t y = rows[*(const uint32_t *)b].user_rowid;

    return x < y ? -1 : x > y;
}

/* Where the user's rows lie; those that are there are then read in this
 * order. */
static int read_rowids(struct batch *batch, sqlite3_stmt *list)
{
    size_t count = 0, present = 0;
    bool ascending = true;
    int rc;

    GV_ASSERT(!sqlite3_stmt_busy(list) && !batch->by_rowid);
    while ((rc = sql_step(list)) > 0) {
        struct batch_row *row = &batch->rows[count];

        GV_ASSERT(count < batch->count);
        row->read = sqlite3_column_type(list, 0) == SQLITE_NULL;
        if (!row->read) {
            row->user_rowid = sqlite3_column_int64(list, 0);
            ascending =
                ascending &&
                (present == 0 ||
                 row->user_rowid >
                     batch->rows[batch->order[present - 1]].user_rowid);
            batch->order[present++] = (uint32_t)count;
        }
        count++;
    }
    if (rc != GV_OK)
        return rc;
    GV_ASSERT(count == batch->count && present <= count);
    batch->order_count = present;
    batch->by_rowid = true;
    if (!ascending)
        qsort_r(batch->order, present, sizeof *batch->order, compare_rowids,
                batch->rows);
    return GV_OK;
}

/* A value is kept as its class, 8 bytes (its number or its size), its digest,
 * and its bytes. */
static int keep_value(struct buffer *out, const struct value *value)
{
    uint8_t *room = buffer_extend(out, VALUE_HEAD_SIZE + value->size);
    uint64_t head = value->size;

    GV_ASSERT(value->size == 0 || value->class >= VALUE_TEXT);
    if (room == NULL)
        return out->error;
    if (value->class == VALUE_INTEGER)
        head = (uint64_t)value->integer;
    else if (value->class == VALUE_REAL)
        memcpy(&head, &value->real, sizeof head);
    room[0] = (uint8_t)value->class;
    store_u64(room + 1, head);
    store_u64(room + 9, value_digest(value));
    if (value->size > 0)
        memcpy(room + VALUE_HEAD_SIZE, value->bytes, value->size);
    return GV_OK;
}

/* Returns where the next one lies. */
static const uint8_t *kept_value(const uint8_t *at, struct value *value,
                                 uint64_t *digest)
{
    uint64_t head = load_u64(at + 1);

    *digest = load_u64(at + 9);
    *value = (struct value){.class = (enum value_class)at[0]};
    GV_ASSERT(value->class <= VALUE_BLOB);
    if (value->class == VALUE_INTEGER)
        value->integer = (int64_t)head;
    else if (value->class == VALUE_REAL)
        memcpy(&value->real, &head, sizeof head);
    else
        value->size = (size_t)head;
    value->bytes = at + VALUE_HEAD_SIZE;
    return value->bytes + value->size;
}

/* What has no room here is read by itself later. */
static int keep_values(struct batch *batch, struct batch_row *row,
                       sqlite3_stmt *list)
{
    const struct store_table *table = batch->table;
    int at = 1, rc = GV_OK;

    GV_ASSERT(!row->read && row->values_at == 0); /* each is read once */
    row->present = sqlite3_column_type(list, 0) != SQLITE_NULL;
    row->values_at = batch->values.size;
    for (size_t i = 0; row->present && i < table->column_count; i++) {
        struct value value;

        if (!table->columns[i].shown)
            continue;
        sql_column_value(list, at++, &value);
        if (value.size > BATCH_BYTES_MAX - batch->values.size) {
            batch->values.size = row->values_at;
            return GV_OK;
        }
        rc = keep_value(&batch->values, &value);
        if (rc != GV_OK)
            return rc;
    }
    row->read = batch->values.size <= BATCH_BYTES_MAX;
    if (!row->read)
        batch->values.size = row->values_at;
    GV_ASSERT(batch->values.size <= BATCH_BYTES_MAX);
    return rc;
}

static int read_users(struct batch *batch, sqlite3_stmt *list)
{
    size_t count = 0;
    int rc;

    GV_ASSERT(!sqlite3_stmt_busy(list));
    while ((rc = sql_step(list)) > 0) {
        GV_ASSERT(count < batch->order_count);
        rc = keep_values(batch, &batch->rows[batch->order[count++]], list);
        if (rc != GV_OK)
            break;
    }
    sqlite3_reset(list);
    GV_ASSERT(rc != GV_OK || count == batch->order_count);
    return rc;
}

static int prepare(struct store *store, struct store_table *table)
{
    int rc = batch_look_for_rowid(store, table);

    if (rc == GV_OK && table->batch_users == NULL)
        rc = prepare_users(store, table);
    return rc;
}

int batch_read(struct store *store)
{
    struct batch *batch = store->batch;
    struct store_table *table = batch->table;
    int rc = prepare(store, table);

    GV_ASSERT(transaction_open(store)); /* all of one snapshot */
    batch->order_count = batch->count;
    if (rc == GV_OK)
        rc = read_states(store, table);
    if (rc == GV_OK && table->has_rowid)
        rc = read_rowids(batch, table->batch_rowids);
    if (rc == GV_OK)
        rc = read_users(batch, table->batch_users);
    return rc;
}

int batch_read_states(struct store *store)
{
    struct batch *batch = store->batch;

    GV_ASSERT(store->in_transaction);
    batch->order_count = batch->count;
    return read_states(store, batch->table);
}

uint64_t batch_causal_length(const struct store *store, size_t index)
{
    const struct batch *batch = store->batch;

    GV_ASSERT(index < batch->count);
    return batch->rows[index].causal_length;
}

void batch_values(const struct store *store, const struct store_table *table,
                  const struct batch_row *row, struct value *values,
                  uint64_t *digests)
{
    const uint8_t *at = store->batch->values.data + row->values_at;

    GV_ASSERT(row->read && row->present);
    for (size_t i = 0; i < table->column_count; i++) {
        if (table->columns[i].shown)
            at = kept_value(at, &values[i], &digests[i]);
    }
    GV_ASSERT(at <= store->batch->values.data + store->batch->values.size);
}
