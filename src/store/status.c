/* What status shows of a file. */
#include "store/internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

static int count_null_keys(struct store *store,
                           const struct store_table *table, int64_t *count)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    char *where;
    int rc;

    GV_ASSERT(table->fault == NULL); /* its keys may be gone */
    *count = 0;
    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(text, "%s\"%w\" IS NULL", i == 0 ? "" : " OR ",
                            table->keys[i].local);
    where = sqlite3_str_finish(text);
    rc = where == NULL ? GV_ENOMEM
                       : sql_number(store->db, count,
                                    "SELECT count(*) FROM main.\"%w\" WHERE"
                                    " %s",
                                    table->local, where);
    sqlite3_free(where);
    return rc;
}

static int table_status(struct store *store, const struct store_table *table,
                        struct store_table_status *status)
{
    int64_t all = 0, dead = 0;
    int rc = sql_number(store->db, &all, "SELECT count(*) FROM gv_row_%lld",
                        (long long)table->id);

    if (rc == GV_OK)
        rc = sql_number(store->db, &dead,
                        "SELECT count(*) FROM gv_row_%lld WHERE cl%%2=0",
                        (long long)table->id);
    if (rc == GV_OK && table->fault == NULL)
        rc = count_null_keys(store, table, &status->null_keys);
    status->name = table->local;
    status->wire = table->wire;
    status->fault = table->fault;
    status->rows = all - dead;
    status->deleted = dead;
    return rc;
}

_Static_assert(sizeof((struct store_status *)0)->mesh > MESSAGE_TEXT_SIZE_MAX,
               "a mesh's name fits whole");

static int mesh_name(struct store *store, struct store_status *status)
{
    sqlite3_stmt *statement;
    int rc = sql_prepare(store->db, &statement,
                         "SELECT coalesce(mesh,'') FROM gv_meta");

    if (rc == GV_OK && (rc = sql_step(statement)) > 0) {
        sqlite3_snprintf(sizeof status->mesh, status->mesh, "%s",
                         sqlite3_column_text(statement, 0));
        rc = GV_OK;
    }
    sqlite3_finalize(statement);
    return rc;
}

int store_status(struct store *store, struct store_status *status,
                 struct gv_error *error)
{
    int rc = GV_OK;

    *status = (struct store_status){.tracked = store->joined};
    if (!store->joined)
        return GV_OK;
    status->site = *store_site(store);
    status->tables = calloc(store->table_count + 1, sizeof *status->tables);
    if (status->tables == NULL)
        rc = GV_ENOMEM;
    if (rc == GV_OK)
        rc = mesh_name(store, status);
    if (rc == GV_OK)
        rc = sql_number(store->db, &status->journal,
                        "SELECT count(*) FROM gv_journal");
    for (size_t i = 0; i < store->table_count && rc == GV_OK; i++) {
        rc = table_status(store, store->tables[i], &status->tables[i]);
        status->table_count = i + 1;
    }
    if (rc != GV_OK) {
        store_status_close(status);
        return sql_fail(store->db, rc, error, "cannot read the status");
    }
    GV_ASSERT(status->table_count == store->table_count);
    return GV_OK;
}

void store_status_close(struct store_status *status)
{
    free(status->tables);
    status->tables = NULL;
}
