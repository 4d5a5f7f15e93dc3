/* What is registered against what is there: ALTER TABLE and migrations. */
#include "store/internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

static struct store_column *column_named(const struct store_table *table,
                                         const char *local)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].local != NULL &&
            sqlite3_stricmp(table->columns[i].local, local) == 0)
            return &table->columns[i];
    return NULL;
}

/* A registered column that the table did not have has come: under the name
 * that it has on the wire. */
static int take_up_column(struct store *store, struct store_table *table,
                          const struct store_column *now, bool *taken)
{
    GV_ASSERT(now->local != NULL);
    *taken = false;
    for (size_t i = 0; i < table->column_count && !*taken; i++) {
        struct store_column *column = &table->columns[i];

        if (column->local != NULL || strcmp(column->wire, now->local) != 0)
            continue;
        column->local = strdup(now->local);
        if (column->local == NULL)
            return GV_ENOMEM;
        column->affinity = now->affinity;
        column->returned = *taken = true;
        return sql_run(store->db,
                       "UPDATE gv_col SET local=%Q WHERE tbl=%lld AND"
                       " bit=%lld",
                       column->local, (long long)table->id, (long long)i + 1);
    }
    return GV_OK;
}

/* A column that is there and not registered: its default is the baseline of
 * all rows, so nothing changes. */
static int adopt_columns(struct store *store, struct store_table *table,
                         struct store_table *now)
{
    bool taken;
    int rc = GV_OK;

    GV_ASSERT(table->fault == NULL);
    GV_ASSERT(!sqlite3_get_autocommit(store->db));
    for (size_t i = 0; i < now->column_count && rc == GV_OK; i++) {
        struct store_column *column = &now->columns[i], *grown;

        if (column_named(table, column->local) != NULL)
            continue;
        rc = take_up_column(store, table, column, &taken);
        if (rc != GV_OK || taken)
            continue;
        grown =
            realloc(table->columns, (table->column_count + 1) * sizeof *grown);
        if (grown == NULL)
            return GV_ENOMEM;
        table->columns = grown;
        rc = register_column(store, table->id,
                             (int64_t)table->column_count + 1, column);
        if (rc != GV_OK)
            return rc;
        grown[table->column_count++] = *column;
        memset(column, 0, sizeof *column);
    }
    return rc;
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
    bool same_key = table->key_count == now->key_count;

    GV_ASSERT(table->fault == NULL);
    for (size_t i = 0; same_key && i < table->key_count; i++)
        same_key =
            sqlite3_stricmp(table->keys[i].local, now->keys[i].local) == 0;
    if (!same_key)
        return schema_set_fault(table,
                                "the key columns of '%s' are not those it"
                                " was tracked with",
                                table->local);
    for (size_t i = 0; i < table->key_count; i++)
        table->keys[i].affinity = now->keys[i].affinity;
    for (size_t i = 0; i < table->column_count; i++) {
        struct store_column *column;

        if (table->columns[i].local == NULL)
            continue;
        column = column_named(now, table->columns[i].local);
        if (column == NULL)
            return schema_set_fault(table, "its column '%s' is gone",
                                    table->columns[i].local);
        table->columns[i].affinity = column->affinity;
    }
    return may_write ? adopt_columns(store, table, now) : GV_OK;
}
