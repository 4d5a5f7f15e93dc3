/* Rows read ahead, see batch.h.
 *
 * The keys at hand are a table to SQLite: gv_batch, a virtual table that is
 * there on our connections without being in the file.  It is joined with
 * gv_row_N in key order, the order of its index and, after one seal, of its
 * rows.  The user's rows lie in the order in which they were written, and in
 * key order each would be a page that the cache lost long ago; so their rowids
 * are read first (from the key's index, in its order), and the rows in rowid
 * order.  With 16,384 rows at a time out of 200,000 a page is read 3 times,
 * not 30. */
#include "store/batch.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_ROWS_MAX 16384
/* Values of a batch: 16,384 rows of 4 columns with 130 bytes in them take 5
 * MB. */
#define BATCH_CELLS_MAX 262144
#define BATCH_BYTES_MAX (16u * 1024 * 1024)

#define VALUE_HEAD_SIZE 17

/* New rows of gv_row_N that go into one INSERT. */
#define NEW_ROWS 16

struct new_row {
    const struct batch_row *row;
    int64_t rid;
    uint64_t causal_length;
    size_t state_at, state_size; /* in new_states */
};

struct batch {
    struct store_table *table;
    struct batch_row *rows;
    size_t count, room;
    size_t at;            /* what was asked for last */
    struct buffer keys;   /* of all rows */
    struct buffer states; /* likewise */
    struct buffer values;
    /* What gv_batch shows: these rows, by key or by the user's rowid. */
    uint32_t *order;
    size_t order_count;
    bool by_rowid;

    struct new_row new_rows[NEW_ROWS];
    size_t new_count;
    struct buffer new_states;
    int64_t last_rid; /* given to a row of gv_row_N; 0: not read yet */
};

/* The virtual table */

struct batch_table {
    sqlite3_vtab base; /* first: SQLite knows this alone */
    const struct store *store;
};

struct batch_cursor {
    sqlite3_vtab_cursor base;
    const struct batch *batch;
    size_t at; /* in order[] */
    struct row_key key;
};

_Static_assert(offsetof(struct batch_table, base) == 0, "SQLite's part");
_Static_assert(offsetof(struct batch_cursor, base) == 0, "SQLite's part");

static int table_connect(sqlite3 *db, void *context, int count,
                         const char *const *arguments, sqlite3_vtab **made,
                         char **message)
{
    sqlite3_str *text = sqlite3_str_new(db);
    struct batch_table *table;
    char *columns;
    int rc;

    (void)count;
    (void)arguments;
    (void)message;
    for (int i = 0; i < KEY_COLUMNS_MAX; i++)
        sqlite3_str_appendf(text, "%sk%d", i == 0 ? "CREATE TABLE x(" : ",",
                            i + 1);
    sqlite3_str_appendall(text, ")");
    columns = sqlite3_str_finish(text);
    if (columns == NULL)
        return SQLITE_NOMEM;
    rc = sqlite3_declare_vtab(db, columns);
    sqlite3_free(columns);
    if (rc != SQLITE_OK)
        return rc;
    table = sqlite3_malloc(sizeof *table);
    if (table == NULL)
        return SQLITE_NOMEM;
    *table = (struct batch_table){.store = context};
    *made = &table->base;
    return SQLITE_OK;
}

static int table_disconnect(sqlite3_vtab *table)
{
    sqlite3_free(table);
    return SQLITE_OK;
}

/* There is one way to read it: in its order. */
static int table_plan(sqlite3_vtab *table, sqlite3_index_info *plan)
{
    (void)table;
    plan->estimatedCost = BATCH_ROWS_MAX;
    plan->estimatedRows = BATCH_ROWS_MAX;
    return SQLITE_OK;
}

static int cursor_open(sqlite3_vtab *table, sqlite3_vtab_cursor **made)
{
    struct batch_cursor *cursor = sqlite3_malloc(sizeof *cursor);

    (void)table;
    if (cursor == NULL)
        return SQLITE_NOMEM;
    cursor->batch = NULL;
    *made = &cursor->base;
    return SQLITE_OK;
}

static int cursor_close(sqlite3_vtab_cursor *cursor)
{
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static const struct batch_row *cursor_row(const struct batch_cursor *cursor)
{
    GV_ASSERT(cursor->at < cursor->batch->order_count);
    return &cursor->batch->rows[cursor->batch->order[cursor->at]];
}

static int cursor_load(struct batch_cursor *cursor)
{
    const struct batch *batch = cursor->batch;
    const struct batch_row *row;

    if (batch->by_rowid || cursor->at == batch->order_count)
        return SQLITE_OK;
    row = cursor_row(cursor);
    return row_key_decode(&cursor->key, batch->keys.data + row->key_at,
                          row->key_size, batch->table->key_count) == GV_OK
               ? SQLITE_OK
               : SQLITE_CORRUPT;
}

static int cursor_filter(sqlite3_vtab_cursor *base, int plan, const char *text,
                         int count, sqlite3_value **values)
{
    struct batch_cursor *cursor = (struct batch_cursor *)(void *)base;

    (void)plan;
    (void)text;
    (void)count;
    (void)values;
    cursor->batch = ((struct batch_table *)(void *)base->pVtab)->store->batch;
    cursor->at = 0;
    GV_ASSERT(cursor->batch != NULL); /* nobody else knows of gv_batch */
    return cursor_load(cursor);
}

static int cursor_next(sqlite3_vtab_cursor *base)
{
    struct batch_cursor *cursor = (struct batch_cursor *)(void *)base;

    GV_ASSERT(cursor->at < cursor->batch->order_count);
    cursor->at++;
    return cursor_load(cursor);
}

static int cursor_ended(sqlite3_vtab_cursor *base)
{
    const struct batch_cursor *cursor = (struct batch_cursor *)(void *)base;

    return cursor->at == cursor->batch->order_count;
}

static int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *context,
                         int column)
{
    const struct batch_cursor *cursor = (struct batch_cursor *)(void *)base;
    const struct value *value = &cursor->key.values[column];

    if (cursor->batch->by_rowid) {
        sqlite3_result_int64(context, cursor_row(cursor)->user_rowid);
        return SQLITE_OK;
    }
    GV_ASSERT((size_t)column < cursor->key.count);
    sql_result_value(context, value);
    return SQLITE_OK;
}

static int cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid)
{
    *rowid = (sqlite3_int64)((const struct batch_cursor *)(void *)base)->at;
    return SQLITE_OK;
}

int batch_register(struct store *store, sqlite3 *db)
{
    static const sqlite3_module module = {
        .xConnect = table_connect,
        .xBestIndex = table_plan,
        .xDisconnect = table_disconnect,
        .xOpen = cursor_open,
        .xClose = cursor_close,
        .xFilter = cursor_filter,
        .xNext = cursor_next,
        .xEof = cursor_ended,
        .xColumn = cursor_column,
        .xRowid = cursor_rowid,
    };

    return sql_code(sqlite3_create_module(db, "gv_batch", &module, store));
}

/* The rows of a batch */

size_t batch_room(const struct store_table *table)
{
    size_t room = BATCH_CELLS_MAX / (table->column_count + 1);

    GV_ASSERT(room >= BATCH_ROWS_MIN); /* at the most columns that are */
    return room < BATCH_ROWS_MAX ? room : BATCH_ROWS_MAX;
}

int batch_begin(struct store *store, struct store_table *table)
{
    size_t room = batch_room(table);
    struct batch *batch;
    int rc = batch_flush(store);

    batch_end(store);
    if (rc != GV_OK)
        return rc;
    batch = calloc(1, sizeof *batch);
    if (batch == NULL)
        return GV_ENOMEM;
    buffer_init(&batch->new_states, SIZE_MAX);
    buffer_init(&batch->keys, SIZE_MAX);
    buffer_init(&batch->states, SIZE_MAX);
    buffer_init(&batch->values, SIZE_MAX);
    batch->table = table;
    batch->room = room;
    batch->rows = malloc(room * sizeof *batch->rows);
    batch->order = malloc(room * sizeof *batch->order);
    store->batch = batch;
    if (batch->rows != NULL && batch->order != NULL)
        return GV_OK;
    batch_end(store);
    return GV_ENOMEM;
}

void batch_free(struct batch *batch)
{
    if (batch == NULL)
        return;
    GV_ASSERT(batch->count <= batch->room);
    buffer_close(&batch->keys);
    buffer_close(&batch->states);
    buffer_close(&batch->values);
    buffer_close(&batch->new_states);
    free(batch->rows);
    free(batch->order);
    free(batch);
}

void batch_end(struct store *store)
{
    batch_free(store->batch);
    store->batch = NULL;
}

struct batch *batch_set_aside(struct store *store)
{
    struct batch *batch = store->batch;

    GV_ASSERT(batch != NULL && batch->new_count == 0);
    store->batch = NULL;
    return batch;
}

void batch_resume(struct store *store, struct batch *batch)
{
    GV_ASSERT(store->batch == NULL);
    GV_ASSERT(batch->at <= batch->count && batch->new_count == 0);
    store->batch = batch;
}

size_t batch_values_size(const struct batch *batch)
{
    GV_ASSERT(batch->values.error == GV_OK);
    return batch->values.size;
}

int batch_add(struct store *store, const uint8_t *key, size_t size)
{
    struct batch *batch = store->batch;
    size_t at = batch->keys.size;
    int rc = buffer_append(&batch->keys, key, size);

    GV_ASSERT(batch->count < batch->room);
    GV_ASSERT(size > 0);
    if (rc != GV_OK)
        return rc;
    batch->order[batch->count] = (uint32_t)batch->count;
    batch->rows[batch->count++] =
        (struct batch_row){.key_at = at, .key_size = size};
    return GV_OK;
}

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

/* Whether rows have a rowid apart from their key, and no column of its name
 * hides it. */
static int look_for_rowid(struct store *store, struct store_table *table)
{
    int64_t hidden = table->integer_key;
    int rc = hidden ? GV_OK
                    : sql_number(store->db, &hidden,
                                 "SELECT count(*) FROM pragma_table_xinfo(%Q)"
                                 " WHERE lower(name)='_rowid_'",
                                 table->local);

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

static int read_states(struct batch *batch, sqlite3_stmt *list)
{
    size_t count = 0;
    int rc;

    GV_ASSERT(!sqlite3_stmt_busy(list) && !batch->by_rowid);
    while ((rc = sql_step(list)) > 0) {
        struct batch_row *row = &batch->rows[count++];

        GV_ASSERT(count <= batch->count);
        if (sqlite3_column_type(list, 0) == SQLITE_NULL)
            continue;
        row->stored = true;
        row->rid = sqlite3_column_int64(list, 0);
        row->causal_length = (uint64_t)sqlite3_column_int64(list, 1);
        row->state_size = (size_t)sqlite3_column_bytes(list, 2);
        row->state_at = batch->states.size;
        rc = buffer_append(&batch->states, sqlite3_column_blob(list, 2),
                           row->state_size);
        if (rc != GV_OK)
            break;
    }
    sqlite3_reset(list);
    GV_ASSERT(rc != GV_OK || count == batch->count);
    return rc;
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
    int rc = table->rowid_known ? GV_OK : look_for_rowid(store, table);

    if (rc == GV_OK && table->batch_states == NULL)
        rc = prepare_states(store, table);
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
        rc = read_states(batch, table->batch_states);
    if (rc == GV_OK && table->has_rowid)
        rc = read_rowids(batch, table->batch_rowids);
    if (rc == GV_OK)
        rc = read_users(batch, table->batch_users);
    return rc;
}

int batch_read_states(struct store *store)
{
    struct batch *batch = store->batch;
    struct store_table *table = batch->table;
    int rc =
        table->batch_states == NULL ? prepare_states(store, table) : GV_OK;

    GV_ASSERT(store->in_transaction);
    batch->order_count = batch->count;
    return rc == GV_OK ? read_states(batch, table->batch_states) : rc;
}

uint64_t batch_causal_length(const struct store *store, size_t index)
{
    const struct batch *batch = store->batch;

    GV_ASSERT(index < batch->count);
    return batch->rows[index].causal_length;
}

static bool has_key(const struct batch *batch, size_t at,
                    const struct row_key *key)
{
    const struct batch_row *row = &batch->rows[at];

    return at < batch->count && row->key_size == key->size &&
           memcmp(batch->keys.data + row->key_at, key->bytes, key->size) == 0;
}

const struct batch_row *batch_find(struct store *store,
                                   const struct store_table *table,
                                   const struct row_key *key)
{
    struct batch *batch = store->batch;

    if (batch == NULL || batch->table != table)
        return NULL;
    GV_ASSERT(batch->at <= batch->count);
    if (has_key(batch, batch->at, key))
        return &batch->rows[batch->at];
    if (!has_key(batch, batch->at + 1, key))
        return NULL;
    return &batch->rows[++batch->at];
}

bool batch_begins(const struct batch *batch, const struct store_table *table,
                  const struct row_key *key)
{
    GV_ASSERT(batch->at == 0 && batch->new_count == 0);
    return batch->table == table && has_key(batch, 0, key);
}

void batch_outdated(struct store *store, const struct store_table *table,
                    const struct row_key *key)
{
    struct batch *batch = store->batch;

    if (batch_find(store, table, key) == NULL)
        return;
    GV_ASSERT(batch->at < batch->count);
    batch->rows[batch->at].read = false;
}

const uint8_t *batch_state(const struct store *store,
                           const struct batch_row *row)
{
    GV_ASSERT(row->stored);
    return store->batch->states.data + row->state_at;
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

/* New rows of gv_row_N */

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

int batch_flush(struct store *store)
{
    struct batch *batch = store->batch;
    struct store_table *table;
    size_t count;
    int rc = GV_OK;

    if (batch == NULL || batch->new_count == 0)
        return GV_OK;
    table = batch->table;
    count = batch->new_count;
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
        rc = batch_flush(store);
    return rc;
}
