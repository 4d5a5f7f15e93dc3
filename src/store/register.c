/* Registration: a table gets a number and a name on the wire, its columns get
 * bits and wire names; all of these never change. */
#include "store/internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

int register_column(struct store *store, int64_t id, int64_t bit,
                    const struct store_column *column)
{
    sqlite3_stmt *statement;
    int rc =
        sql_prepare(store->db, &statement,
                    "INSERT INTO gv_col(tbl,bit,wire,local,kind,initial,type)"
                    " VALUES(%lld,%lld,%Q,%Q,%Q,?1,%Q)",
                    (long long)id, (long long)bit, column->wire, column->local,
                    bit < 0 ? "key" : "lww", column->type);

    GV_ASSERT(bit != ROW_EXISTENCE);
    if (rc != GV_OK)
        return rc;
    sql_bind_value(statement, 1, &column->initial);
    rc = sql_finish(statement);
    sqlite3_finalize(statement);
    return rc;
}

static int create_row_table(struct store *store,
                            const struct store_table *table, int64_t id)
{
    sqlite3_str *keys = sqlite3_str_new(store->db);
    sqlite3_str *list = sqlite3_str_new(store->db);
    char *key_text, *list_text;
    int rc = GV_ENOMEM;

    for (size_t i = 0; i < table->key_count; i++) {
        sqlite3_str_appendf(keys, "k%d,", (int)i + 1);
        sqlite3_str_appendf(list, "%sk%d", i == 0 ? "" : ",", (int)i + 1);
    }
    key_text = sqlite3_str_finish(keys);
    list_text = sqlite3_str_finish(list);
    if (key_text != NULL && list_text != NULL) {
        if (table->integer_key)
            rc = sql_run(store->db,
                         "CREATE TABLE gv_row_%lld(rid INTEGER PRIMARY KEY,"
                         " cl INT, state BLOB)",
                         (long long)id);
        else
            rc = sql_run(store->db,
                         "CREATE TABLE gv_row_%lld(rid INTEGER PRIMARY KEY,"
                         " %s cl INT, state BLOB, UNIQUE(%s))",
                         (long long)id, key_text, list_text);
    }
    sqlite3_free(key_text);
    sqlite3_free(list_text);
    return rc;
}

/* The journal has one key column to begin with: each more is paid for by
 * every write, whatever its table. */
static int widen_journal(struct store *store, size_t key_count)
{
    int64_t columns;
    int rc = sql_number(store->db, &columns,
                        "SELECT count(*)-3 FROM"
                        " pragma_table_info('gv_journal')");

    for (; rc == GV_OK && (size_t)columns < key_count; columns++)
        rc = sql_run(store->db, "ALTER TABLE gv_journal ADD COLUMN k%d",
                     (int)columns + 1);
    return rc;
}

int schema_register(struct store *store, const char *local,
                    struct gv_error *error)
{
    struct store_table *table;
    int64_t id = 0;
    int rc = schema_describe(store, local, &table, error);

    GV_ASSERT(store->in_transaction);
    if (rc != GV_OK)
        return rc;
    rc = sql_number(store->db, &id,
                    "SELECT 1+coalesce(max(id),0) FROM"
                    " gv_table");
    if (rc == GV_OK)
        rc = sql_run(store->db,
                     "INSERT INTO gv_table(id,wire,local,tracked)"
                     " VALUES(%lld,%Q,%Q,1)",
                     (long long)id, table->wire, table->local);
    for (size_t i = 0; i < table->key_count && rc == GV_OK; i++)
        rc = register_column(store, id, -(int64_t)i - 1, &table->keys[i]);
    for (size_t i = 0; i < table->column_count && rc == GV_OK; i++)
        rc = register_column(store, id, (int64_t)i + 1, &table->columns[i]);
    if (rc == GV_OK)
        rc = create_row_table(store, table, id);
    if (rc == GV_OK)
        rc = widen_journal(store, table->key_count);
    table_free(table);
    store->schema_version = -1;
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot register the table");
    return schema_refresh(store, true, error);
}
