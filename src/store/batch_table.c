/* The keys of the batch at hand, or the rowids of its user's rows, as a table
 * to SQLite: gv_batch, a virtual table that is there on our connections
 * without being in the file. */
#include "store/batch_internal.h"

#include "base/assert.h"
#include "store/keys.h"

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
