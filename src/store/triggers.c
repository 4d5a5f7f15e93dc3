/* Triggers: ours, which capture, and the application's, which fire on apply
 * where that is safe.
 *
 * An application's triggers fire for a change that came from a peer only when
 * all that the table's triggers write are untracked tables, such as a
 * full-text index, and none may RAISE: what they write to a tracked table has
 * been published by the site where the change was made, and a row that a
 * trigger here skipped would look deleted here.  SQLite turns triggers on and
 * off for a connection as a whole, so ours fire along, and what they journal
 * meanwhile is deleted in the same transaction (apply.c). */
#include "store/triggers.h"

#include "base/assert.h"
#include "base/plant.h"
#include "store/audit.h"
#include "store/borrowed.h"
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

/* "k1,k2" or, of a @row, "new."a",new."b"" */
static char *key_list(const struct store_table *table, const char *row)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    for (size_t i = 0; i < table->key_count; i++) {
        const char *comma = i == 0 ? "" : ",";

        if (row == NULL)
            sqlite3_str_appendf(text, "%sk%d", comma, (int)i + 1);
        else
            sqlite3_str_appendf(text, "%s%s\"%w\"", comma, row,
                                table->keys[i].local);
    }
    return sqlite3_str_finish(text);
}

/* BINARY, because the column's own collation may call two keys equal that are
 * not. */
static char *key_moved(const struct store_table *table)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(
            text, "%sold.\"%w\" IS NOT new.\"%w\" COLLATE BINARY",
            i == 0 ? "" : " OR ", table->keys[i].local, table->keys[i].local);
    return sqlite3_str_finish(text);
}

/* What fires the trigger that notes the old key.  A key that is the rowid also
 * moves by SET rowid = …, which UPDATE OF does not see.  Any other moves only
 * where a statement, an upsert or a cascade names one of its columns, and all
 * other updates are spared the look at both keys. */
static char *key_event(const struct store_table *table)
{
    char *names, *event;

    GV_ASSERT(!table->integer_key || table->key_count == 1);
    if (table->integer_key)
        return sqlite3_mprintf("UPDATE");
    names = key_list(table, "");
    event = names == NULL ? NULL : sqlite3_mprintf("UPDATE OF %s", names);
    sqlite3_free(names);
    return event;
}

/* The time is noted as SQLite has it, a Julian day; the seal makes
 * milliseconds of it.  Arithmetic here, a cast and the word 'now' would be 6 %
 * of what an insert's capture costs.
 *
 * A delete is not timed: it wins by the causal length, whatever its version.
 * That spares it much: a call of a function in a trigger, however cheap, makes
 * SQLite keep a statement journal, with a copy of each page that the statement
 * changes (bulk deletes: 1.8 times the plain cost with it). */
static char *body_sql(const struct store_table *table, char which)
{
    const char *row = which == 'i' || which == 'u' ? "new." : "old.";
    char *keys = key_list(table, NULL), *values = key_list(table, row);
    char *sql = NULL;
    bool timed = which != 'd';

    GV_ASSERT(table->key_count > 0);
    if (keys != NULL && values != NULL)
        sql = sqlite3_mprintf(
            "BEGIN INSERT INTO gv_journal(tbl,%s%s) VALUES(%lld,%s%s); END",
            timed ? "day," : "", keys, (long long)table->id,
            timed ? "julianday()," : "", values);
    sqlite3_free(keys);
    sqlite3_free(values);
    return sql;
}

/* Takes @event, @when and @body, and frees them; NULL for want of memory. */
static char *whole_sql(const struct store_table *table, char which,
                       char *event, char *when, char *body)
{
    char *sql = NULL;

    GV_ASSERT(which == 'i' || which == 'k' || which == 'u' || which == 'd');
    if (event != NULL && when != NULL && body != NULL)
        sql = sqlite3_mprintf(
            "CREATE TRIGGER \"gv_%lld_%c\" AFTER %s ON \"%w\"%s%s%s %s",
            (long long)table->id, which, event, table->local,
            which == 'k' ? " WHEN " : "",
            which == 'k' && plant("old-key-missed") ? "0 AND " : "", when,
            body);
    sqlite3_free(event);
    sqlite3_free(when);
    sqlite3_free(body);
    return sql;
}

char *trigger_sql(const struct store_table *table, char which)
{
    const char *event = which == 'i'   ? "INSERT"
                        : which == 'd' ? "DELETE"
                                       : "UPDATE";
    bool moved = which == 'k';

    GV_ASSERT(table->local != NULL);
    return whole_sql(table, which,
                     moved ? key_event(table) : sqlite3_mprintf("%s", event),
                     moved ? key_moved(table) : sqlite3_mprintf("%s", ""),
                     body_sql(table, which));
}

/* As it was before key_event(): it captures as much, at every update. */
static char *former_sql(const struct store_table *table)
{
    return whole_sql(table, 'k', sqlite3_mprintf("UPDATE"), key_moved(table),
                     body_sql(table, 'k'));
}

static const char trigger_kinds[] = "ikud";
_Static_assert(sizeof trigger_kinds - 1 == 4, "what is looked for and made");

enum triggers_found {
    TRIGGERS_RIGHT,
    TRIGGERS_OLDER, /* the application's run before ours; a former text */
    TRIGGERS_MISSING
};

enum whose { THEIRS, OURS, OURS_FORMER };

/* Frees @text. */
static int text_is(char *text, const char *sql, bool *same)
{
    *same = text != NULL && strcmp(text, sql) == 0;
    sqlite3_free(text);
    return text == NULL ? GV_ENOMEM : GV_OK; /* that is no trigger missing */
}

static int trigger_whose(const struct store_table *table, const char *sql,
                         enum whose *whose)
{
    bool same = false;
    int rc = GV_OK;

    for (size_t i = 0; i < 4 && rc == GV_OK && !same; i++)
        rc = text_is(trigger_sql(table, trigger_kinds[i]), sql, &same);
    *whose = same ? OURS : THEIRS;
    if (rc != GV_OK || same)
        return rc;
    rc = text_is(former_sql(table), sql, &same);
    GV_ASSERT(!same || !table->integer_key); /* there it never changed */
    if (same)
        *whose = OURS_FORMER;
    return rc;
}

static int triggers_look(struct store *store, struct store_table *table,
                         enum triggers_found *found)
{
    sqlite3_stmt *list;
    size_t right = 0;
    int rc = sql_prepare(store->db, &list,
                         "SELECT name,sql FROM main.sqlite_schema WHERE"
                         " type='trigger' AND tbl_name=%Q COLLATE NOCASE"
                         " ORDER BY rowid",
                         table->local);

    *found = TRIGGERS_RIGHT;
    while (rc == GV_OK && (rc = sql_step(list)) > 0) {
        const char *sql = (const char *)sqlite3_column_text(list, 1);
        enum whose whose = THEIRS;

        rc = sql == NULL ? GV_ENOMEM : trigger_whose(table, sql, &whose);
        if (rc != GV_OK)
            break;
        right += whose != THEIRS;
        table->has_triggers |= whose == THEIRS;
        table->raises |=
            whose == THEIRS && sqlite3_strlike("%raise%", sql, 0) == 0;
        if (whose == OURS_FORMER || (whose == THEIRS && right > 0))
            *found = TRIGGERS_OLDER;
    }
    sqlite3_finalize(list);
    if (right < 4)
        *found = TRIGGERS_MISSING;
    return rc;
}

int triggers_make(struct store *store, const struct store_table *table)
{
    int rc = GV_OK;

    GV_ASSERT(transaction_open(store)); /* all four or none */
    for (size_t i = 0; i < 4 && rc == GV_OK; i++) {
        char *sql = trigger_sql(table, trigger_kinds[i]);

        rc = sql == NULL
                 ? GV_ENOMEM
                 : sql_run(store->db, "DROP TRIGGER IF EXISTS \"gv_%lld_%c\"",
                           (long long)table->id, trigger_kinds[i]);
        if (rc == GV_OK)
            rc = sql_run(store->db, "%s", sql);
        sqlite3_free(sql);
    }
    return rc;
}

int triggers_drop(struct store *store, const struct store_table *table)
{
    int rc = GV_OK;

    GV_ASSERT(transaction_open(store)); /* all four or none */
    for (size_t i = 0; i < 4 && rc == GV_OK; i++)
        rc = sql_run(store->db, "DROP TRIGGER IF EXISTS \"gv_%lld_%c\"",
                     (long long)table->id, trigger_kinds[i]);
    return rc;
}

int triggers_journal_all(struct store *store, const struct store_table *table)
{
    char *keys = key_list(table, NULL), *values = key_list(table, "t.");
    int rc = GV_ENOMEM;

    GV_ASSERT(!store->firing); /* what is journalled then is thrown away */
    GV_ASSERT(table->fault == NULL);
    if (keys != NULL && values != NULL)
        rc = sql_run(
            store->db,
            "INSERT INTO gv_journal(tbl,day,%s) SELECT %lld," JOURNAL_DAY
            ",%s FROM main.\"%w\" AS t",
            keys, (long long)table->id,
            (long long)store->host->wall(store->host->context), values,
            table->local);
    sqlite3_free(keys);
    sqlite3_free(values);
    return rc;
}

int triggers_mend(struct store *store, struct store_table *table)
{
    enum triggers_found found;
    int rc = triggers_look(store, table, &found);

    GV_ASSERT(store->mode == STORE_WRITE);
    GV_ASSERT(table->shown); /* nobody could make them */
    if (rc != GV_OK || found == TRIGGERS_RIGHT)
        return rc;
    rc = triggers_make(store, table);
    if (rc == GV_OK && found == TRIGGERS_MISSING) {
        log_line(&store->log, GV_LOG_WARNING,
                 "triggers of table %s were gone and are put back; it is not"
                 " synced until it has been audited",
                 table->local);
        rc = audit_suspend(store, table);
    }
    return rc;
}

/* What the triggers of one table write, asked of SQLite's own parser. */
struct judge {
    struct store *store;
    bool writes_tracked;
};

static bool is_tracked(const struct store *store, const char *local)
{
    if (sqlite3_strnicmp(local, "gv_", 3) == 0)
        return true;
    for (size_t i = 0; i < store->table_count; i++)
        if (store->tables[i]->tracked &&
            sqlite3_stricmp(store->tables[i]->local, local) == 0)
            return true;
    return false;
}

static int authorize(void *context, int action, const char *table,
                     const char *column, const char *schema,
                     const char *trigger)
{
    struct judge *judge = context;
    bool writes = action == SQLITE_INSERT || action == SQLITE_UPDATE ||
                  action == SQLITE_DELETE;

    (void)column;
    (void)schema;
    GV_ASSERT(!writes || table != NULL);
    if (writes && trigger != NULL && sqlite3_strnicmp(trigger, "gv_", 3) != 0)
        judge->writes_tracked |= is_tracked(judge->store, table);
    return SQLITE_OK;
}

static int prepare_only(struct store *store, const char *format,
                        const char *table)
{
    sqlite3_stmt *statement;
    int rc = sql_prepare(store->db, &statement, format, table);

    sqlite3_finalize(statement);
    return rc;
}

/* The UPDATE names every column, so that triggers OF any of them count. */
static int prepare_update(struct store *store, const struct store_table *table)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    const char *comma = "";
    char *sets;
    int rc;

    for (size_t i = 0; i < table->column_count; i++) {
        if (!table->columns[i].shown)
            continue;
        sqlite3_str_appendf(text, "%s\"%w\"=NULL", comma,
                            table->columns[i].local);
        comma = ",";
    }
    sets = sqlite3_str_finish(text);
    if (comma[0] == '\0') {
        sqlite3_free(sets);
        return GV_OK;
    }
    if (sets == NULL)
        return GV_ENOMEM;
    text = sqlite3_str_new(NULL);
    sqlite3_str_appendf(text, "UPDATE main.\"%w\" SET %s", table->local, sets);
    sqlite3_free(sets);
    sets = sqlite3_str_finish(text);
    rc = sets == NULL ? GV_ENOMEM : prepare_only(store, "%s", sets);
    sqlite3_free(sets);
    return rc;
}

int triggers_judge(struct store *store)
{
    int rc = GV_OK;

    for (size_t i = 0; i < store->table_count && rc == GV_OK; i++) {
        struct store_table *table = store->tables[i];
        struct judge judge = {.store = store};

        GV_ASSERT(!store->firing);
        GV_ASSERT(!table->fires); /* until it is judged here */
        if (!table->has_triggers || !table->shown)
            continue;
        triggers_fire(store, true);
        sqlite3_set_authorizer(store->db, authorize, &judge);
        rc = prepare_only(store, "INSERT INTO main.\"%w\" DEFAULT VALUES",
                          table->local);
        if (rc == GV_OK)
            rc = prepare_update(store, table);
        if (rc == GV_OK)
            rc = prepare_only(store, "DELETE FROM main.\"%w\"", table->local);
        sqlite3_set_authorizer(store->db, NULL, NULL);
        triggers_fire(store, false);
        /* One that this library cannot even parse cannot fire. */
        table->fires =
            rc == GV_OK && !table->raises &&
            (!judge.writes_tracked || plant("trigger-rewrites-merge"));
        if (plant("index-not-kept"))
            table->fires = false;
        if (rc == GV_ESCHEMA)
            rc = GV_OK;
    }
    return rc;
}

/* trusted_schema too: a trigger that feeds a full-text index fails without
 * it ("unsafe use of virtual table"). */
void triggers_fire(struct store *store, bool on)
{
    int triggers = -1, trusted = -1;

    if (store->firing == on)
        return;
    store->firing = on;
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, on,
                      &triggers);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, on, &trusted);
    /* Left on, every apply would be captured as a local write. */
    GV_ASSERT(triggers == on);
    GV_ASSERT(trusted == on);
}
