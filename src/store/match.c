/* What is registered against what is there: ALTER TABLE and migrations.
 *
 * Wire names never change; what a table or column is called here may.  The
 * name decides first: a column that bears a registered name is that column,
 * and so is one that bears the wire name of a column that was gone.  Only then
 * a column that appears where another vanished is taken for that one renamed,
 * if its values are the ones whose digests the log holds. */
#include "store/internal.h"

#include "base/assert.h"

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

/* "t.a=r.k1 AND …", or ",r.k1,…" with neither; sqlite3_free() it. */
static char *key_text(const struct store_table *table, bool compared)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    GV_ASSERT(table->key_count > 0);
    for (size_t i = 0; i < table->key_count; i++) {
        if (compared)
            sqlite3_str_appendf(text, "%st.\"%w\"=", i == 0 ? "" : " AND ",
                                table->keys[i].local);
        else
            sqlite3_str_appendall(text, ",");
        if (table->integer_key)
            sqlite3_str_appendall(text, "r.rid");
        else
            sqlite3_str_appendf(text, "r.k%d", (int)i + 1);
    }
    return sqlite3_str_finish(text);
}

static bool holds(const struct row *row, size_t bit)
{
    for (size_t i = 0; i < row->record_count; i++)
        if (mask_get(row->records[i].mask, bit))
            return true;
    return false;
}

/* Enough to tell a column's values from another's; and how many may have been
 * written since, which says nothing of the column. */
#define SAMPLE_ROWS 100
#define SAMPLE_TRIES 200

/* Rows whose cell of @bit stands in the table.  What is shown in the place of
 * a value that is elsewhere or lost says nothing of the column. */
static int prepare_sample(struct store *store, const struct store_table *table,
                          size_t bit, const char *local, sqlite3_stmt **rows)
{
    char *join = key_text(table, true), *keys = key_text(table, false);
    int rc = GV_ENOMEM;

    *rows = NULL;
    if (join != NULL && keys != NULL)
        rc = sql_prepare(store->db, rows,
                         "SELECT r.state,t.\"%w\"%s FROM gv_row_%lld AS r"
                         " JOIN main.\"%w\" AS t ON %s WHERE r.cl%%2=1"
                         " AND NOT EXISTS(SELECT 1 FROM gv_parked AS p WHERE"
                         " p.tbl=%lld AND p.rid=r.rid AND p.bit=%d)",
                         local, keys, (long long)table->id, table->local, join,
                         (long long)table->id, (int)bit);
    sqlite3_free(join);
    sqlite3_free(keys);
    return rc;
}

/* Whether the row at hand waits to be sealed: 1, 0 or an error. */
static int is_journalled(struct store *store, const struct store_table *table,
                         sqlite3_stmt *rows)
{
    struct row_key key;
    bool null;
    int rc;

    GV_ASSERT((size_t)sqlite3_data_count(rows) == 2 + table->key_count);
    buffer_clear(&store->key);
    rc = row_key_read(rows, 2, table->key_count, &store->key, &null);
    if (rc == GV_OK)
        rc = row_key_decode(&key, store->key.data, store->key.size,
                            table->key_count);
    return rc == GV_OK ? journal_has(store, table, &key) : rc;
}

/* How many of the rows that hold @bit have in column @local the value whose
 * digest they hold. */
static int sample(struct store *store, struct store_table *table, size_t bit,
                  const char *local, size_t *seen, size_t *same)
{
    size_t tries = 0;
    sqlite3_stmt *rows;
    int rc = GV_OK;

    GV_ASSERT(bit > ROW_EXISTENCE && bit <= table->column_count);
    *seen = *same = 0;
    /* Its states have the digests of single cells. */
    if (table->columns[bit - 1].kind != COLUMN_LWW)
        return GV_OK;
    rc = kinds_masks(table);
    if (rc != GV_OK)
        return rc;
    row_space_use(&store->space, table);
    store->space.row.causal_length = 1; /* the rows are alive */
    rc = prepare_sample(store, table, bit, local, &rows);
    while (rc == GV_OK && *seen < SAMPLE_ROWS && tries < SAMPLE_TRIES &&
           (rc = sql_step(rows)) > 0) {
        struct value value;
        uint32_t check;

        rc = state_decode(sqlite3_column_blob(rows, 0),
                          (size_t)sqlite3_column_bytes(rows, 0),
                          table->column_count, &store->space, &check);
        if (rc != GV_OK || !holds(&store->space.row, bit)) {
            rc = rc == GV_ECORRUPT ? GV_OK : rc; /* verify names it */
            continue;
        }
        tries++;
        rc = is_journalled(store, table, rows);
        if (rc != 0) {
            rc = rc > 0 ? GV_OK : rc;
            continue;
        }
        sql_column_value(rows, 1, &value);
        *seen += 1;
        *same += value_digest(&value) == store->space.row.digests[bit];
    }
    sqlite3_finalize(rows);
    GV_ASSERT(*same <= *seen);
    return rc < 0 ? rc : GV_OK;
}

/* Rows that are read to find those that hold a column. */
#define EMPTIED_ROWS 1000

/* Count, of rows that hold @bit, those that show anything else than
 * @initial. */
static int count_filled(struct store *store, struct store_table *table,
                        size_t bit, uint64_t initial, size_t *seen,
                        size_t *filled)
{
    sqlite3_stmt *rows = NULL;
    int rc = prepare_sample(store, table, bit, table->columns[bit - 1].local,
                            &rows);

    *seen = *filled = 0;
    GV_ASSERT(table->columns[bit - 1].kind == COLUMN_LWW);
    row_space_use(&store->space, table);
    store->space.row.causal_length = 1; /* the rows are alive */
    for (size_t i = 0; rc == GV_OK && i < EMPTIED_ROWS && *filled == 0 &&
                       *seen < SAMPLE_ROWS && (rc = sql_step(rows)) > 0;
         i++) {
        struct value value;
        uint32_t check;

        rc = state_decode(sqlite3_column_blob(rows, 0),
                          (size_t)sqlite3_column_bytes(rows, 0),
                          table->column_count, &store->space, &check);
        if (rc != GV_OK || !holds(&store->space.row, bit) ||
            store->space.row.digests[bit] == initial) {
            rc = rc == GV_ECORRUPT ? GV_OK : rc; /* verify names it */
            continue;
        }
        rc = is_journalled(store, table, rows);
        if (rc != 0) {
            rc = rc > 0 ? GV_OK : rc;
            continue;
        }
        sql_column_value(rows, 1, &value);
        *seen += 1;
        *filled += value_digest(&value) != initial;
    }
    sqlite3_finalize(rows);
    GV_ASSERT(*filled <= *seen);
    return rc < 0 ? rc : GV_OK;
}

/* A column that was dropped and added again between two looks bears its name,
 * and has lost all values without a trigger: it is shown again, and nobody
 * has written a default into every row.  (One value alone says too little.) */
static int find_emptied(struct store *store, struct store_table *table,
                        const struct store_table *now)
{
    int rc = kinds_masks(table);

    GV_ASSERT(transaction_open(store));
    for (size_t i = 0; i < now->column_count && rc == GV_OK; i++) {
        struct store_column *column =
            now->columns[i].local == NULL
                ? NULL /* it was taken over just now */
                : column_by_local(table, now->columns[i].local);
        size_t seen, filled;

        if (column == NULL || !column->shown || column->kind != COLUMN_LWW)
            continue;
        rc = count_filled(store, table, (size_t)(column - table->columns) + 1,
                          value_digest(&now->columns[i].initial), &seen,
                          &filled);
        GV_ASSERT(rc != GV_OK || seen <= SAMPLE_ROWS);
        if (rc != GV_OK || seen < 2 || filled > 0)
            continue;
        column->returned = true;
        log_line(&store->log, GV_LOG_WARNING,
                 "column %s of table %s has lost its values: it was dropped"
                 " and added again; peers keep them",
                 column->local, table->local);
    }
    return rc;
}

/* No values to compare: its type must do, and where several went at once its
 * place, too.  The place alone misleads: columns that came by a peer's
 * definition are registered in another order than they stand here. */
static bool same_place(const struct store_table *table,
                       const struct store_column *gone,
                       const struct store_table *now,
                       const struct store_column *appeared)
{
    size_t place = 0, count = 0, gone_count = 0;

    GV_ASSERT(gone->local != NULL && !gone->shown);
    GV_ASSERT(appeared >= now->columns);
    for (size_t i = 0; i < table->column_count; i++) {
        if (table->columns[i].local == NULL)
            continue;
        count++;
        place += &table->columns[i] < gone;
        gone_count += !table->columns[i].shown;
    }
    GV_ASSERT(gone_count > 0 && gone_count <= count);
    return count == now->column_count &&
           (gone_count == 1 || place == (size_t)(appeared - now->columns)) &&
           sqlite3_stricmp(gone->type, appeared->type) == 0;
}

/* The column that vanished and whose values @appeared has, or NULL. */
static int find_renamed(struct store *store, struct store_table *table,
                        const struct store_table *now,
                        const struct store_column *appeared,
                        struct store_column **renamed)
{
    int rc = GV_OK;

    *renamed = NULL;
    GV_ASSERT(appeared->local != NULL);
    for (size_t i = 0; i < table->column_count && rc == GV_OK; i++) {
        struct store_column *gone = &table->columns[i];
        size_t seen, same;

        if (gone->shown || gone->local == NULL)
            continue;
        rc = sample(store, table, i + 1, appeared->local, &seen, &same);
        if (rc == GV_OK && (seen == 0 ? same_place(table, gone, now, appeared)
                                      : 2 * same > seen)) {
            *renamed = gone;
            return GV_OK;
        }
    }
    return rc;
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
        rc = find_renamed(store, table, now, column, &known);
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
        rc = find_emptied(store, table, now);
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
