/* What is registered against what is there: ALTER TABLE and migrations. */
#include "store/internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

struct store_column *column_by_local(const struct store_table *table,
                                     const char *local)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].local != NULL &&
            sqlite3_stricmp(table->columns[i].local, local) == 0)
            return &table->columns[i];
    return NULL;
}

/* The column that peers call so, on the wire or else in their files, and that
 * this file did not have. */
static struct store_column *column_of_peers(const struct store_table *table,
                                            const char *local)
{
    struct store_column *found = NULL;

    GV_ASSERT(column_by_local(table, local) == NULL); /* the first choice */
    for (size_t i = 0; i < table->column_count; i++) {
        struct store_column *column = &table->columns[i];

        if (column->local != NULL)
            continue;
        if (sqlite3_stricmp(column->wire, local) == 0)
            return column;
        if (column->peer != NULL && sqlite3_stricmp(column->peer, local) == 0)
            found = column;
    }
    return found;
}

static bool wire_taken(const struct store_table *table, const char *wire)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (strcmp(table->columns[i].wire, wire) == 0)
            return true;
    for (size_t i = 0; i < table->key_count; i++)
        if (strcmp(table->keys[i].wire, wire) == 0)
            return true;
    return false;
}

/* What is there of a column: its type and, where nothing was ever written,
 * its default are this file's own. */
static int adopt_column(struct store *store, const struct store_table *table,
                        struct store_column *column, struct store_column *now,
                        bool may_write)
{
    sqlite3_stmt *statement;
    struct store_column known = *column;
    int rc;

    GV_ASSERT(column->local == NULL);
    GV_ASSERT(now->local != NULL && now->peer == NULL);
    *column = *now;
    column->wire = known.wire;
    column->peer = known.peer;
    column->returned = may_write;
    column->default_differs =
        value_digest(&now->initial) != value_digest(&known.initial);
    now->local = now->type = known.local = NULL;
    now->initial.bytes = NULL;
    free(known.type);
    free((void *)(uintptr_t)known.initial.bytes);
    if (!may_write)
        return GV_OK;
    rc = sql_prepare(store->db, &statement,
                     "UPDATE gv_col SET local=%Q,type=%Q,initial=?1 WHERE"
                     " tbl=%lld AND wire=%Q AND bit>0",
                     column->local, column->type, (long long)table->id,
                     column->wire);
    if (rc != GV_OK)
        return rc;
    sql_bind_value(statement, 1, &column->initial);
    rc = sql_finish(statement);
    sqlite3_finalize(statement);
    return rc;
}

/* A column that is there and that nobody knows: its default is the baseline
 * of all rows, so nothing changes. */
static int add_column(struct store *store, struct store_table *table,
                      struct store_column *column)
{
    struct store_column *grown =
        realloc(table->columns, (table->column_count + 1) * sizeof *grown);
    int rc;

    GV_ASSERT(table->fault == NULL);
    GV_ASSERT(transaction_open(store));
    if (grown == NULL)
        return GV_ENOMEM;
    table->columns = grown;
    if (table->column_count >= STREAM_COLUMNS_MAX ||
        !stream_name_valid(stream_text(column->local)) ||
        wire_taken(table, column->wire)) {
        log_line(&store->log, GV_LOG_WARNING,
                 "column %s of table %s stays in this file: its name, or one"
                 " more column, cannot be shared",
                 column->local, table->local);
        return GV_OK;
    }
    rc = register_column(store, table->id, (int64_t)table->column_count + 1,
                         column);
    if (rc != GV_OK)
        return rc;
    grown[table->column_count++] = *column;
    memset(column, 0, sizeof *column);
    return rc;
}

/* Columns that are there and were not. */
static int take_columns(struct store *store, struct store_table *table,
                        struct store_table *now, bool may_write)
{
    int rc = GV_OK;

    for (size_t i = 0; i < now->column_count && rc == GV_OK; i++) {
        struct store_column *column = &now->columns[i], *known;

        if (column_by_local(table, column->local) != NULL)
            continue;
        known = column_of_peers(table, column->local);
        if (known != NULL)
            rc = adopt_column(store, table, known, column, may_write);
        else if (may_write)
            rc = add_column(store, table, column);
    }
    return rc;
}

/* What SQLite says of a registered column now. */
static int follow_column(struct store *store, const struct store_table *table,
                         int64_t bit, struct store_column *column,
                         const struct store_column *now, bool may_write)
{
    char *type;

    GV_ASSERT(sqlite3_stricmp(column->local, now->local) == 0);
    column->affinity = now->affinity;
    if (strcmp(column->type, now->type) == 0)
        return GV_OK;
    type = strdup(now->type);
    if (type == NULL)
        return GV_ENOMEM;
    free(column->type);
    column->type = type;
    if (!may_write)
        return GV_OK;
    GV_ASSERT(bit != ROW_EXISTENCE);
    return sql_run(store->db,
                   "UPDATE gv_col SET type=%Q WHERE tbl=%lld AND bit=%lld",
                   type, (long long)table->id, (long long)bit);
}

static int follow_options(struct store *store, struct store_table *table,
                          const struct store_table *now, bool may_write)
{
    GV_ASSERT(table->tracked);
    if (table->options == now->options)
        return GV_OK;
    table->options = now->options;
    if (!may_write)
        return GV_OK;
    return sql_run(store->db, "UPDATE gv_table SET options=%d WHERE id=%lld",
                   (int)now->options, (long long)table->id);
}

int schema_set_fault(struct store_table *table, const char *format,
                     const char *name)
{
    char *text = sqlite3_mprintf(format, name);

    if (text == NULL)
        return GV_ENOMEM;
    free(table->fault);
    table->fault = strdup(text);
    sqlite3_free(text);
    return table->fault == NULL ? GV_ENOMEM : GV_OK;
}

int schema_match(struct store *store, struct store_table *table,
                 struct store_table *now, bool may_write)
{
    bool same_key = table->key_count == now->key_count &&
                    (now->integer_key || !table->integer_key);
    int rc = GV_OK;

    GV_ASSERT(table->fault == NULL);
    for (size_t i = 0; same_key && i < table->key_count; i++)
        same_key =
            sqlite3_stricmp(table->keys[i].local, now->keys[i].local) == 0;
    if (!same_key)
        return schema_set_fault(table,
                                "the key columns of '%s' are not those it"
                                " was tracked with",
                                table->local);
    for (size_t i = 0; i < table->key_count && rc == GV_OK; i++)
        rc = follow_column(store, table, -(int64_t)i - 1, &table->keys[i],
                           &now->keys[i], may_write);
    for (size_t i = 0; i < table->column_count && rc == GV_OK; i++) {
        struct store_column *column = &table->columns[i], *there;

        if (column->local == NULL)
            continue;
        there = column_by_local(now, column->local);
        if (there == NULL)
            return schema_set_fault(table, "its column '%s' is gone",
                                    column->local);
        rc = follow_column(store, table, (int64_t)i + 1, column, there,
                           may_write);
    }
    if (rc == GV_OK)
        rc = follow_options(store, table, now, may_write);
    return rc == GV_OK ? take_columns(store, table, now, may_write) : rc;
}
