/* What is registered against what is there: ALTER TABLE and migrations.
 *
 * Wire names never change; what a table or column is called here may.  The
 * name decides first: a column that bears a registered name is that column,
 * and so is one that bears the wire name of a column that was gone.  Only then
 * a column that appears where another vanished is taken for that one renamed,
 * if its values are the ones whose digests the log holds. */
#include "store/match.h"

#include "base/assert.h"
#include "store/audit.h"
#include "store/borrowed.h"
#include "store/describe.h"
#include "store/internal.h"
#include "store/register.h"
#include "store/sample.h"
#include "store/schema.h"
#include "store/state.h"
#include "store/tables.h"
#include "store/triggers.h"

#include <stdlib.h>
#include <string.h>

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

/* Columns */

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

static struct store_column *column_of_wire(const struct store_table *table,
                                           const char *wire)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (sqlite3_stricmp(table->columns[i].wire, wire) == 0)
            return &table->columns[i];
    return NULL;
}

static int name_column(struct store *store, const struct store_table *table,
                       const struct store_column *column)
{
    GV_ASSERT(column >= table->columns);
    GV_ASSERT(transaction_open(store));
    return sql_run(store->db,
                   "UPDATE gv_col SET local=%Q WHERE tbl=%lld AND bit=%lld",
                   column->local, (long long)table->id,
                   (long long)(column - table->columns) + 1);
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
    column->kind = known.kind;
    column->returned = may_write;
    column->shown = true;
    column->default_differs =
        value_digest(&now->initial) != value_digest(&known.initial);
    now->local = now->type = known.local = NULL;
    now->initial.bytes = NULL;
    free(known.type);
    free((void *)(uintptr_t)known.initial.bytes);
    if (!may_write)
        return GV_OK;
    rc = sql_prepare(store->db, &statement,
                     "UPDATE gv_col SET local=%Q,type=%Q,differs=%d,"
                     "initial=?1 WHERE tbl=%lld AND wire=%Q AND bit>0",
                     column->local, column->type, column->default_differs,
                     (long long)table->id, column->wire);
    if (rc != GV_OK)
        return rc;
    sql_bind_value(statement, 1, &column->initial);
    rc = sql_finish(statement);
    sqlite3_finalize(statement);
    return rc;
}

/* @column was renamed: it is the one that @now describes. */
static int show_column(struct store *store, const struct store_table *table,
                       struct store_column *column, struct store_column *now)
{
    GV_ASSERT(!column->shown && column->local != NULL);
    GV_ASSERT(now->local != NULL); /* not taken yet */
    free(column->local);
    column->local = now->local;
    now->local = NULL; /* so it is taken */
    column->affinity = now->affinity;
    column->shown = true;
    log_line(&store->log, GV_LOG_INFO, "column %s of table %s is now %s here",
             column->wire, table->local, column->local);
    return name_column(store, table, column);
}

/* Wire names are unique in a table: "a" may be the wire name of a column that
 * is called otherwise here by now. */
static int unique_wire(const struct store_table *table,
                       struct store_column *column)
{
    for (unsigned i = 2; column_of_wire(table, column->wire) != NULL; i++) {
        char *text = sqlite3_mprintf("%s.%u", column->local, i);
        char *wire = text == NULL ? NULL : strdup(text);

        sqlite3_free(text);
        if (wire == NULL)
            return GV_ENOMEM;
        free(column->wire);
        column->wire = wire;
        GV_ASSERT(i <= ROW_BITS_MAX + 1); /* that many have a name at most */
    }
    return GV_OK;
}

/* A column that is there and that nobody knows: its default is the baseline
 * of all rows, so nothing changes. */
static int add_column(struct store *store, struct store_table *table,
                      struct store_column *column)
{
    struct store_column *grown;
    int rc = unique_wire(table, column);

    GV_ASSERT(table->fault == NULL);
    GV_ASSERT(transaction_open(store));
    if (rc != GV_OK)
        return rc;
    grown = realloc(table->columns, (table->column_count + 1) * sizeof *grown);
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
    column->shown = true;
    grown[table->column_count++] = *column;
    memset(column, 0, sizeof *column);
    return rc;
}

/* What vanished and was not renamed: its cells stay in the log. */
static int release_columns(struct store *store, struct store_table *table)
{
    int rc = GV_OK;

    GV_ASSERT(transaction_open(store));
    for (size_t i = 0; i < table->column_count && rc == GV_OK; i++) {
        struct store_column *column = &table->columns[i];

        if (column->shown || column->local == NULL)
            continue;
        log_line(&store->log, GV_LOG_WARNING,
                 "column %s of table %s is gone; peers keep it", column->local,
                 table->local);
        free(column->local);
        column->local = NULL;
        rc = name_column(store, table, column);
    }
    return rc;
}

/* What is there under a name that is not registered here: first the columns
 * that bear a known one, then those that may have been renamed. */
static int place_columns(struct store *store, struct store_table *table,
                         struct store_table *now, bool may_write)
{
    int rc = row_space_reserve(&store->space, 1, ROW_WORDS_MAX);

    for (size_t i = 0; i < now->column_count && rc == GV_OK; i++) {
        struct store_column *column = &now->columns[i], *known;

        if (column_by_local(table, column->local) != NULL)
            continue;
        known = column_of_peers(table, column->local);
        if (known != NULL) {
            rc = adopt_column(store, table, known, column, may_write);
            continue;
        }
        known = column_of_wire(table, column->local);
        if (may_write && known != NULL && !known->shown)
            rc = show_column(store, table, known, column);
    }
    for (size_t i = 0; may_write && i < now->column_count && rc == GV_OK;
         i++) {
        struct store_column *column = &now->columns[i], *known = NULL;

        if (column->local == NULL ||
            column_by_local(table, column->local) != NULL)
            continue;
        rc = sample_renamed(store, table, now, column, &known);
        if (rc == GV_OK)
            rc = known != NULL ? show_column(store, table, known, column)
                               : add_column(store, table, column);
    }
    return rc == GV_OK && may_write ? release_columns(store, table) : rc;
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

/* Tables */

int match_away(struct store *store, struct store_table *table,
               enum table_away away)
{
    GV_ASSERT(transaction_open(store));
    GV_ASSERT(away <= AWAY_KEYS);
    if (table->away == away)
        return GV_OK;
    table->away = away;
    return sql_run(store->db, "UPDATE gv_table SET away=%d WHERE id=%lld",
                   (int)away, (long long)table->id);
}

static bool same_key(const struct store_table *table,
                     const struct store_table *now)
{
    bool same = table->key_count == now->key_count &&
                (now->integer_key || !table->integer_key);

    for (size_t i = 0; same && i < table->key_count; i++)
        same = sqlite3_stricmp(table->keys[i].local, now->keys[i].local) == 0;
    return same;
}

/* A table with other keys under the name: once that is believed, it is another
 * table, which nobody has asked to share. */
static int other_key(struct store *store, struct store_table *table,
                     bool may_write)
{
    /* Those that came along with a rebuild may name columns that are gone, and
     * would fail every write. */
    int rc = may_write ? triggers_drop(store, table) : GV_OK;

    GV_ASSERT(table->tracked);
    if (rc != GV_OK)
        return rc;
    if (!may_write || !store->audit.believed) {
        rc = schema_set_fault(table,
                              "the key columns of '%s' are not those it was"
                              " tracked with",
                              table->local);
        return rc == GV_OK ? audit_suspend(store, table) : rc;
    }
    table->tracked = false;
    audit_lift(store, table->id);
    log_line(&store->log, GV_LOG_WARNING,
             "table %s has other key columns now and is not tracked any more;"
             " track it again to share it",
             table->local);
    rc = schema_set_fault(table,
                          "the key columns of '%s' are not those it was"
                          " tracked with, so it is not tracked any more",
                          table->local);
    if (rc == GV_OK)
        rc = match_away(store, table, AWAY_KEYS);
    return rc == GV_OK ? sql_run(store->db,
                                 "UPDATE gv_table SET tracked=0 WHERE id=%lld",
                                 (long long)table->id)
                       : rc;
}

int schema_match(struct store *store, struct store_table *table,
                 struct store_table *now, bool may_write)
{
    int rc = GV_OK;

    GV_ASSERT(table->fault == NULL);
    if (!same_key(table, now))
        return other_key(store, table, may_write);
    for (size_t i = 0; i < table->key_count && rc == GV_OK; i++)
        rc = follow_column(store, table, -(int64_t)i - 1, &table->keys[i],
                           &now->keys[i], may_write);
    for (size_t i = 0; i < table->column_count && rc == GV_OK; i++) {
        struct store_column *column = &table->columns[i], *there = NULL;

        if (column->local != NULL)
            there = column_by_local(now, column->local);
        column->shown = there != NULL;
        if (there != NULL)
            rc = follow_column(store, table, (int64_t)i + 1, column, there,
                               may_write);
    }
    table->evicts = now->evicts;
    if (table->evicts && may_write)
        log_line(&store->log, GV_LOG_WARNING,
                 "table %s has a UNIQUE index beside its primary key; see"
                 " 'grapevine status'",
                 table->local);
    if (rc == GV_OK)
        rc = follow_options(store, table, now, may_write);
    if (rc == GV_OK)
        rc = place_columns(store, table, now, may_write);
    if (rc == GV_OK && may_write && store->audit.moved &&
        !audit_suspended(store, table->id))
        rc = sample_emptied(store, table, now);
    return rc;
}

int match_untracked(struct store *store, struct store_table *table)
{
    struct store_table *now = NULL;
    int rc = schema_describe(store, table->local, &now, NULL);

    GV_ASSERT(!table->tracked && !table->shown);
    if (rc != GV_OK)
        return rc == GV_ENOTFOUND ? GV_OK : rc;
    for (size_t i = 0; same_key(table, now) && i < table->column_count; i++) {
        struct store_column *column = &table->columns[i];

        GV_ASSERT(!column->shown);
        column->stands = column->local != NULL &&
                         column_by_local(now, column->local) != NULL;
        table->stands |= column->stands;
    }
    table_free(now);
    return GV_OK;
}

/* The table that our trigger went along with, or the one that bears the wire
 * name again; *@name from malloc(), NULL if there is none. */
static int find_moved(struct store *store, const struct store_table *table,
                      char **name)
{
    sqlite3_stmt *list;
    int rc = sql_prepare(
        store->db, &list,
        "SELECT tbl_name,0 FROM main.sqlite_schema WHERE type='trigger' AND"
        " name='gv_%lld_i' UNION ALL SELECT name,1 FROM main.sqlite_schema"
        " WHERE type='table' AND name=%Q COLLATE NOCASE AND NOT EXISTS(SELECT"
        " 1 FROM gv_table WHERE local=%Q COLLATE NOCASE) ORDER BY 2",
        (long long)table->id, table->wire, table->wire);

    *name = NULL;
    GV_ASSERT(store->audit.believed);
    if (rc == GV_OK && (rc = sql_step(list)) > 0) {
        *name = sql_text_dup(list, 0);
        rc = *name == NULL ? GV_ENOMEM : GV_OK;
    }
    sqlite3_finalize(list);
    return rc;
}

/* Go on under the name @local. */
static int follow(struct store *store, struct store_table *table, char *local)
{
    GV_ASSERT(local != NULL && transaction_open(store));
    log_line(&store->log, GV_LOG_INFO, "table %s is called %s here now",
             table->local, local);
    free(table->local);
    table->local = local;
    return sql_run(store->db, "UPDATE gv_table SET local=%Q WHERE id=%lld",
                   local, (long long)table->id);
}

int match_missing(struct store *store, struct store_table *table,
                  bool may_write, struct store_table **now)
{
    bool believed = may_write && store->audit.believed;
    char *local = NULL;
    int rc = believed ? find_moved(store, table, &local) : GV_OK;

    GV_ASSERT(*now == NULL);
    if (rc == GV_OK && local != NULL)
        rc = schema_describe(store, local, now, NULL);
    if (rc == GV_OK && *now != NULL && same_key(table, *now))
        return follow(store, table, local);
    free(local);
    table_free(*now);
    *now = NULL;
    if (rc == GV_OK)
        rc = schema_set_fault(table, "there is no table '%s' in the file",
                              table->local);
    if (rc != GV_OK || (table->away == AWAY_GONE && !believed))
        return rc; /* known to be gone */
    if (!believed)
        return audit_suspend(store, table);
    audit_lift(store, table->id);
    return match_away(store, table, AWAY_GONE);
}
