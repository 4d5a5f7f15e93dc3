/* The view gv_siblings: all values of multi-value columns, which tables show
 * the last one of.  Plain SQL, so that any program can read it. */
#include "store/siblings.h"

#include "base/assert.h"
#include "store/borrowed.h"
#include "store/internal.h"

#include <string.h>

/* The key of gv_row_N's row as text, its columns with commas between. */
static void append_key(sqlite3_str *text, const struct store_table *table)
{
    GV_ASSERT(table->key_count > 0);
    if (table->integer_key) {
        sqlite3_str_appendall(text, "CAST(r.rid AS TEXT)");
        return;
    }
    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(text, "%sCAST(r.k%d AS TEXT)",
                            i == 0 ? "" : "||','||", (int)i + 1);
}

static void append_table(sqlite3_str *text, const struct store_table *table)
{
    sqlite3_str_appendall(text, "SELECT t.local AS \"table\",");
    append_key(text, table);
    sqlite3_str_appendf(
        text,
        " AS \"key\",coalesce(c.local,c.wire) AS \"column\",x.value AS value,"
        "lower(hex(s.site)) AS site,"
        "strftime('%%Y-%%m-%%d %%H:%%M:%%f',(x.version>>16)/1000.0,"
        "'unixepoch') AS time"
        " FROM gv_cell AS x JOIN gv_col AS c ON c.tbl=x.tbl AND c.bit=x.bit"
        " JOIN gv_table AS t ON t.id=x.tbl JOIN gv_site AS s ON s.num=x.site"
        " JOIN gv_row_%lld AS r ON r.rid=x.rid"
        " WHERE x.tbl=%lld AND c.kind='mv'",
        (long long)table->id, (long long)table->id);
}

/* The view's definition; NULL without a multi-value column. */
static int view_text(const struct store *store, char **made)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    bool any = false;

    GV_ASSERT(store->tables != NULL || store->table_count == 0);
    for (size_t i = 0; i < store->table_count; i++) {
        const struct store_table *table = store->tables[i];

        if (table->siblings == NULL)
            continue;
        GV_ASSERT(table->each_count > 0);
        sqlite3_str_appendall(text, any ? " UNION ALL "
                                        : "CREATE VIEW gv_siblings AS ");
        append_table(text, table);
        any = true;
    }
    *made = sqlite3_str_finish(text);
    GV_ASSERT(any || *made == NULL);
    return any && *made == NULL ? GV_ENOMEM : GV_OK;
}

/* Whether it stands in the file as @text (NULL: not at all). */
static int is_made(struct store *store, const char *text, bool *made)
{
    sqlite3_stmt *find;
    int rc = sql_prepare(store->db, &find,
                         "SELECT sql FROM sqlite_schema WHERE"
                         " name='gv_siblings'");

    *made = text == NULL;
    if (rc == GV_OK && (rc = sql_step(find)) > 0) {
        const char *now = (const char *)sqlite3_column_text(find, 0);

        *made = text != NULL && now != NULL && strcmp(now, text) == 0;
        rc = GV_OK;
    } else if (text != NULL) {
        *made = false;
    }
    sqlite3_finalize(find);
    GV_ASSERT(!*made || rc == GV_OK || text == NULL);
    return rc;
}

int siblings_view(struct store *store)
{
    char *text;
    bool made = false;
    int rc;

    GV_ASSERT(transaction_open(store));
    rc = view_text(store, &text);
    if (rc == GV_OK)
        rc = is_made(store, text, &made);
    if (rc == GV_OK && !made)
        rc = sql_run(store->db, "DROP VIEW IF EXISTS gv_siblings");
    if (rc == GV_OK && !made && text != NULL)
        rc = sql_run(store->db, "%s", text);
    sqlite3_free(text);
    return rc;
}
