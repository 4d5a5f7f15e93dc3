#include "store/rowids.h"

#include "base/assert.h"

#include <string.h>

/* Sorting: by 11 bits at a time of how far each is above the least, from the
 * lowest bits on.  65,536 rowids out of a million take two such passes, a
 * tenth of what qsort() takes. */
#define DIGIT_BITS 11
#define DIGITS (1u << DIGIT_BITS)

static void sort_by_digit(const struct rowids *from, struct rowid *to,
                          int64_t least, unsigned shift)
{
    size_t places[DIGITS + 1] = {0};

    for (size_t i = 0; i < from->count; i++)
        places[(((uint64_t)from->list[i].rowid - (uint64_t)least) >> shift) %
                   DIGITS +
               1]++;
    for (size_t i = 1; i <= DIGITS; i++)
        places[i] += places[i - 1];
    GV_ASSERT(places[DIGITS] == from->count);
    for (size_t i = 0; i < from->count; i++)
        to[places[(((uint64_t)from->list[i].rowid - (uint64_t)least) >>
                   shift) %
                  DIGITS]++] = from->list[i];
}

void rowids_sort(struct rowids *rowids, struct rowid **spare)
{
    int64_t least, most;
    uint64_t range;

    if (rowids->count == 0)
        return;
    GV_ASSERT(rowids->list != NULL && *spare != NULL);
    least = most = rowids->list[0].rowid;
    for (size_t i = 1; i < rowids->count; i++) {
        if (rowids->list[i].rowid < least)
            least = rowids->list[i].rowid;
        if (rowids->list[i].rowid > most)
            most = rowids->list[i].rowid;
    }
    range = (uint64_t)most - (uint64_t)least;
    for (unsigned shift = 0; shift < 64 && range >> shift != 0;
         shift += DIGIT_BITS) {
        struct rowid *sorted = *spare;

        sort_by_digit(rowids, sorted, least, shift);
        *spare = rowids->list;
        rowids->list = sorted;
    }
    GV_ASSERT(rowids->list[0].rowid == least);
    GV_ASSERT(rowids->list[rowids->count - 1].rowid == most);
}

/* The table */

struct rowids_table {
    sqlite3_vtab base; /* first: SQLite knows this alone */
    const struct store *store;
};

struct rowids_cursor {
    sqlite3_vtab_cursor base;
    const struct rowids *rowids;
    size_t at;
};

_Static_assert(offsetof(struct rowids_table, base) == 0, "SQLite's part");
_Static_assert(offsetof(struct rowids_cursor, base) == 0, "SQLite's part");

static int table_connect(sqlite3 *db, void *context, int count,
                         const char *const *arguments, sqlite3_vtab **made,
                         char **message)
{
    struct rowids_table *table;
    int rc = sqlite3_declare_vtab(db, "CREATE TABLE x(place INTEGER)");

    (void)count;
    (void)arguments;
    (void)message;
    if (rc != SQLITE_OK)
        return rc;
    table = sqlite3_malloc(sizeof *table);
    if (table == NULL)
        return SQLITE_NOMEM;
    *table = (struct rowids_table){.store = context};
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
    plan->estimatedCost = 1000;
    plan->estimatedRows = 1000;
    return SQLITE_OK;
}

static int cursor_open(sqlite3_vtab *table, sqlite3_vtab_cursor **made)
{
    struct rowids_cursor *cursor = sqlite3_malloc(sizeof *cursor);

    (void)table;
    if (cursor == NULL)
        return SQLITE_NOMEM;
    cursor->rowids = NULL;
    *made = &cursor->base;
    return SQLITE_OK;
}

static int cursor_close(sqlite3_vtab_cursor *cursor)
{
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int cursor_filter(sqlite3_vtab_cursor *base, int plan, const char *text,
                         int count, sqlite3_value **values)
{
    struct rowids_cursor *cursor = (struct rowids_cursor *)(void *)base;

    (void)plan;
    (void)text;
    (void)count;
    (void)values;
    cursor->rowids =
        ((struct rowids_table *)(void *)base->pVtab)->store->rowids;
    cursor->at = 0;
    GV_ASSERT(cursor->rowids != NULL); /* nobody else knows of gv_rowids */
    return SQLITE_OK;
}

static int cursor_next(sqlite3_vtab_cursor *base)
{
    struct rowids_cursor *cursor = (struct rowids_cursor *)(void *)base;

    GV_ASSERT(cursor->at < cursor->rowids->count);
    cursor->at++;
    return SQLITE_OK;
}

static int cursor_ended(sqlite3_vtab_cursor *base)
{
    const struct rowids_cursor *cursor = (struct rowids_cursor *)(void *)base;

    return cursor->at == cursor->rowids->count;
}

static int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *context,
                         int column)
{
    const struct rowids_cursor *cursor = (struct rowids_cursor *)(void *)base;

    (void)column;
    GV_ASSERT(cursor->at < cursor->rowids->count);
    sqlite3_result_int64(context, cursor->rowids->list[cursor->at].rowid);
    return SQLITE_OK;
}

static int cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid)
{
    *rowid = (sqlite3_int64)((const struct rowids_cursor *)(void *)base)->at;
    return SQLITE_OK;
}

int rowids_register(struct store *store, sqlite3 *db)
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

    return sql_code(sqlite3_create_module(db, "gv_rowids", &module, store));
}
