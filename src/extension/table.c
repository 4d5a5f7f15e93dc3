#include "extension/table.h"

#include "base/assert.h"
#include "base/error.h"
#include "extension/cursor.h"

#include <stdlib.h>

int table_fail(struct table *table, const struct gv_error *error)
{
    GV_ASSERT(error->code != GV_OK);
    sqlite3_free(table->base.zErrMsg);
    table->base.zErrMsg = call_text(error);
    return call_code(error->code);
}

static int table_connect(sqlite3 *db, void *context, int count,
                         const char *const *arguments, sqlite3_vtab **made,
                         char **message)
{
    struct table *table;
    int rc = sqlite3_declare_vtab(
        db, "CREATE TABLE x(tbl, pk, col, value, version, site, cl,"
            " since HIDDEN)");

    (void)context;
    (void)count;
    (void)arguments;
    (void)message;
    if (rc != SQLITE_OK)
        return rc;
    /* No view or trigger of a file from elsewhere uses it. */
    sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
    table = calloc(1, sizeof *table);
    if (table == NULL)
        return SQLITE_NOMEM;
    table->db = db;
    *made = &table->base;
    return SQLITE_OK;
}

static int table_disconnect(sqlite3_vtab *base)
{
    struct table *table = (struct table *)base;

    waiting_close(&table->waiting);
    free(table);
    return SQLITE_OK;
}

/* All that a query can be helped with is `since`. */
static int table_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    (void)base;
    info->estimatedCost = 1000000;
    info->estimatedRows = 100000;
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *constraint =
            &info->aConstraint[i];

        if (constraint->iColumn != TABLE_SINCE ||
            constraint->op != SQLITE_INDEX_CONSTRAINT_EQ)
            continue;
        if (!constraint->usable)
            return SQLITE_CONSTRAINT; /* it comes from a table of the query */
        info->aConstraintUsage[i].argvIndex = 1;
        info->aConstraintUsage[i].omit = 1;
        info->idxNum = 1;
        info->estimatedCost = 1000;
        return SQLITE_OK;
    }
    return SQLITE_OK;
}

static int table_open(sqlite3_vtab *base, sqlite3_vtab_cursor **opened)
{
    struct cursor_of_changes *cursor = calloc(1, sizeof *cursor);

    (void)base;
    if (cursor == NULL)
        return SQLITE_NOMEM;
    *opened = &cursor->base;
    return SQLITE_OK;
}

static int table_close(sqlite3_vtab_cursor *base)
{
    struct cursor_of_changes *cursor = (struct cursor_of_changes *)base;

    cursor_end(cursor);
    free(cursor);
    return SQLITE_OK;
}

static int table_filter(sqlite3_vtab_cursor *base, int index,
                        const char *unused, int count, sqlite3_value **values)
{
    struct table *table = (struct table *)base->pVtab;
    struct gv_error error = {0};
    int rc;

    (void)index;
    (void)unused;
    rc = cursor_begin((struct cursor_of_changes *)base, table->db,
                      count > 0 ? values[0] : NULL, &error);
    return rc == GV_OK ? SQLITE_OK : table_fail(table, &error);
}

static int table_next(sqlite3_vtab_cursor *base)
{
    struct gv_error error = {0};
    int rc = cursor_move((struct cursor_of_changes *)base, &error);

    return rc == GV_OK ? SQLITE_OK
                       : table_fail((struct table *)base->pVtab, &error);
}

static int table_eof(sqlite3_vtab_cursor *base)
{
    return ((const struct cursor_of_changes *)base)->ended;
}

static int table_column(sqlite3_vtab_cursor *base, sqlite3_context *context,
                        int column)
{
    GV_ASSERT(column >= 0 && column < TABLE_COLUMNS);
    cursor_column((const struct cursor_of_changes *)base, context, column);
    return SQLITE_OK;
}

static int table_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid)
{
    *rowid =
        (sqlite3_int64)((const struct cursor_of_changes *)base)->sum.count;
    return SQLITE_OK;
}

/* Insert */

static int table_update(sqlite3_vtab *base, int count, sqlite3_value **values,
                        sqlite3_int64 *rowid)
{
    struct table *table = (struct table *)base;
    struct gv_error error = {0};
    int rc;

    *rowid = 0;
    if (count == 1 || sqlite3_value_type(values[0]) != SQLITE_NULL) {
        rc = error_set(&error, GV_EINVAL,
                       "Rows of gv_changes can be selected"
                       " and inserted, and nothing else.");
        return table_fail(table, &error);
    }
    GV_ASSERT(count == 2 + TABLE_COLUMNS);
    rc = sqlite3_value_type(values[2 + TABLE_TBL]) == SQLITE_NULL
             ? waiting_claim(&table->waiting, table->db, values + 2, &error)
             : waiting_add(&table->waiting, values + 2, &error);
    return rc == GV_OK ? SQLITE_OK : table_fail(table, &error);
}

static int table_begin(sqlite3_vtab *base)
{
    waiting_clear(&((struct table *)base)->waiting);
    return SQLITE_OK;
}

/* What this returns decides whether the transaction is committed. */
static int table_sync(sqlite3_vtab *base)
{
    struct table *table = (struct table *)base;
    struct gv_error error = {0};

    return waiting_check(&table->waiting, &error) == GV_OK
               ? SQLITE_OK
               : table_fail(table, &error);
}

static int table_end(sqlite3_vtab *base)
{
    waiting_clear(&((struct table *)base)->waiting);
    return SQLITE_OK;
}

static int table_savepoint(sqlite3_vtab *base, int number)
{
    struct table *table = (struct table *)base;

    return waiting_save(&table->waiting, number) == GV_OK ? SQLITE_OK
                                                          : SQLITE_NOMEM;
}

static int table_release(sqlite3_vtab *base, int number)
{
    waiting_release(&((struct table *)base)->waiting, number);
    return SQLITE_OK;
}

static int table_rollback_to(sqlite3_vtab *base, int number)
{
    waiting_go_back(&((struct table *)base)->waiting, number);
    return SQLITE_OK;
}

int table_register(sqlite3 *db)
{
    static const sqlite3_module module = {
        .iVersion = 2,
        .xConnect = table_connect,
        .xBestIndex = table_best_index,
        .xDisconnect = table_disconnect,
        .xOpen = table_open,
        .xClose = table_close,
        .xFilter = table_filter,
        .xNext = table_next,
        .xEof = table_eof,
        .xColumn = table_column,
        .xRowid = table_rowid,
        .xUpdate = table_update,
        .xBegin = table_begin,
        .xSync = table_sync,
        .xCommit = table_end,
        .xRollback = table_end,
        .xSavepoint = table_savepoint,
        .xRelease = table_release,
        .xRollbackTo = table_rollback_to,
    };

    /* Without xCreate it is there in every database, by its name alone. */
    return sqlite3_create_module_v2(db, "gv_changes", &module, NULL, NULL);
}
