/* The kinds that a person gives to columns when a table is tracked. */
#include "store/choice.h"

#include "base/assert.h"
#include "store/audit.h"
#include "store/borrowed.h"
#include "store/internal.h"
#include "store/kinds.h"
#include "store/schema.h"
#include "store/siblings.h"
#include "store/state.h"
#include "store/user.h"

static struct store_column *column_called(const struct store_table *table,
                                          const char *name)
{
    GV_ASSERT(name != NULL);
    for (size_t i = 0; i < table->column_count; i++) {
        struct store_column *column = &table->columns[i];
        const char *local =
            column->local != NULL ? column->local : column->wire;

        if (sqlite3_stricmp(local, name) == 0)
            return column;
    }
    return NULL;
}

static int no_such_column(const struct store_table *table, const char *name,
                          struct gv_error *error)
{
    GV_ASSERT(table->key_count > 0);
    for (size_t i = 0; i < table->key_count; i++) {
        if (sqlite3_stricmp(table->keys[i].local, name) != 0)
            continue;
        error_set(error, GV_EREFUSED,
                  "Column '%s' of table '%s' is part of its key.", name,
                  table->local);
        error_meaning(error, "A key says which row it is; it has no values"
                             " that could be added or kept side by side.");
        error_remedy(error, "Name a column outside the primary key.");
        return GV_EREFUSED;
    }
    error_set(error, GV_EREFUSED, "Table '%s' has no column '%s'.",
              table->local, name);
    error_remedy(error, "See its columns with: sqlite3 DB '.schema %s'",
                 table->local);
    return GV_EREFUSED;
}

/* A counter's column must keep integers, and start from one. */
static int check_counter(const struct store_table *table,
                         const struct store_column *column,
                         struct gv_error *error)
{
    bool keeps =
        affinity_keeps(column->affinity,
                       &(struct value){.class = VALUE_INTEGER, .integer = 1});

    GV_ASSERT(column->local != NULL);
    if (keeps && (column->initial.class == VALUE_NULL ||
                  column->initial.class == VALUE_INTEGER))
        return GV_OK;
    error_set(error, GV_EREFUSED,
              "Column '%s' of table '%s' cannot be a counter: its %s.",
              column->local, table->local,
              keeps ? "default is no integer"
                    : "type turns integers into something else");
    error_meaning(error, "A counter is a sum of integers.");
    error_remedy(error, "Declare it INTEGER, with an integer as DEFAULT.");
    return GV_EREFUSED;
}

int choice_take(const struct store *store, struct store_table *table,
                struct gv_error *error)
{
    GV_ASSERT(table->column_count < ROW_BITS_MAX);
    for (size_t i = 0; store->kinds != NULL && i < store->kinds->count; i++) {
        const struct store_kind *asked = &store->kinds->list[i];
        struct store_column *column = column_called(table, asked->column);
        int rc = GV_OK;

        if (column == NULL)
            return no_such_column(table, asked->column, error);
        if (column->kind != COLUMN_LWW && column->kind != asked->kind)
            return error_set(error, GV_EREFUSED,
                             "Column '%s' cannot be of two kinds.",
                             asked->column);
        if (asked->kind == COLUMN_COUNTER)
            rc = check_counter(table, column, error);
        if (rc != GV_OK)
            return rc;
        GV_ASSERT(asked->kind <= COLUMN_MV);
        column->kind = asked->kind;
    }
    return GV_OK;
}

static const char *words_for(enum column_kind kind)
{
    static const char *const words[] = {"a plain column", "a counter",
                                        "a multi-value column"};

    GV_ASSERT(kind <= COLUMN_MV);
    return words[kind];
}

static int cannot_change(const struct store_table *table,
                         const struct store_column *column,
                         struct gv_error *error)
{
    const char *name = column->local != NULL ? column->local : column->wire;

    if (column->kind != COLUMN_LWW) {
        error_set(error, GV_EREFUSED,
                  "Column '%s' of table '%s' is %s; that cannot change.", name,
                  table->local, words_for(column->kind));
        error_meaning(error, "What was written to it so far could not be read"
                             " as of another kind.");
        error_remedy(error, "Use another column, or a new table.");
        return GV_EREFUSED;
    }
    error_set(error, GV_EREFUSED,
              "Column '%s' of table '%s' is a plain column that values were"
              " written to; that cannot change.",
              name, table->local);
    error_meaning(error, "Every node would have to read them as of another"
                         " kind at once.");
    error_remedy(error,
                 "Add a column, give it the kind, and copy the values on one"
                 " node: ALTER TABLE %s ADD COLUMN %s_2 INTEGER DEFAULT 0;"
                 " 'grapevine track DB %s --counter %s_2' (or --mv); UPDATE %s"
                 " SET %s_2 = %s.",
                 table->local, name, table->local, name, table->local, name,
                 name);
    return GV_EREFUSED;
}

/* Whether a row's state, which the statement is at, holds @bit. */
static int state_holds(struct store *store, const struct store_table *table,
                       sqlite3_stmt *rows, size_t bit, bool *holds)
{
    const struct row *row = &store->space.row;
    uint32_t check;
    int rc;

    GV_ASSERT(bit > ROW_EXISTENCE && bit <= table->column_count);
    store->space.row.causal_length = (uint64_t)sqlite3_column_int64(rows, 0);
    rc = state_decode(sqlite3_column_blob(rows, 1),
                      (size_t)sqlite3_column_bytes(rows, 1),
                      table->column_count, &store->space, &check);
    for (size_t i = 0; rc == GV_OK && i < row->record_count; i++)
        *holds |= mask_get(row->records[i].mask, bit);
    return rc;
}

int choice_written(struct store *store, const struct store_table *table,
                   size_t bit, bool *written)
{
    sqlite3_stmt *rows = NULL;
    int rc = row_space_reserve(&store->space, 1, table->words);

    *written = false;
    row_space_use(&store->space, table);
    if (rc == GV_OK)
        rc = sql_prepare(store->db, &rows, "SELECT cl,state FROM gv_row_%lld",
                         (long long)table->id);
    while (rc == GV_OK && !*written && (rc = sql_step(rows)) > 0)
        rc = state_holds(store, table, rows, bit, written);
    sqlite3_finalize(rows);
    GV_ASSERT(rc <= 0);
    return rc;
}

int choice_set(struct store *store, struct store_table *table, size_t bit,
               enum column_kind kind)
{
    struct store_column *column = &table->columns[bit - 1];
    int rc;

    GV_ASSERT(column->kind == COLUMN_LWW && kind != COLUMN_LWW);
    GV_ASSERT(transaction_open(store));
    rc = sql_run(store->db,
                 "UPDATE gv_col SET kind=%Q WHERE tbl=%lld AND bit=%lld",
                 kind_name(kind), (long long)table->id, (long long)bit);
    if (rc != GV_OK)
        return rc;
    column->kind = kind;
    log_line(&store->log, GV_LOG_INFO,
             "column %s of table %s is %s from now"
             " on",
             column->local != NULL ? column->local : column->wire,
             table->local, words_for(kind));
    store->schema_generation++; /* what is extracted has other cells */
    rc = table_finish(table);
    return rc == GV_OK ? siblings_view(store) : rc;
}

static int give(struct store *store, struct store_table *table,
                const struct store_kind *asked, bool *given,
                struct gv_error *error)
{
    struct store_column *column = column_called(table, asked->column);
    size_t bit;
    bool written;
    int rc = GV_OK;

    if (column == NULL || !column->shown)
        return no_such_column(table, asked->column, error);
    if (column->kind == asked->kind)
        return GV_OK;
    if (column->kind != COLUMN_LWW)
        return cannot_change(table, column, error);
    if (asked->kind == COLUMN_COUNTER)
        rc = check_counter(table, column, error);
    if (rc != GV_OK)
        return rc;
    bit = (size_t)(column - table->columns) + 1;
    rc = choice_written(store, table, bit, &written);
    if (rc == GV_OK && written)
        return cannot_change(table, column, error);
    GV_ASSERT(bit <= table->column_count);
    if (rc == GV_OK)
        rc = choice_set(store, table, bit, asked->kind);
    *given = true;
    return rc == GV_OK ? rc
                       : sql_fail(store->db, rc, error,
                                  "cannot give a column its kind");
}

int choice_give(struct store *store, struct store_table *table, bool *given,
                struct gv_error *error)
{
    int64_t before = store->schema_version;
    int rc = GV_OK;

    GV_ASSERT(table->id > 0); /* it is registered */
    GV_ASSERT(store->in_transaction);
    *given = false;
    if (store->kinds == NULL || store->kinds->count == 0)
        return GV_OK;
    /* What it holds may be nothing that was sealed. */
    if (!table->shown || table->suspended)
        return error_set(error, GV_EBUSY,
                         "Table '%s' waits for the audit; try again later.",
                         table->local);
    for (size_t i = 0; i < store->kinds->count && rc == GV_OK; i++)
        rc = give(store, table, &store->kinds->list[i], given, error);
    if (rc == GV_OK && *given) {
        rc = schema_refresh(store, true, error);
        if (rc == GV_OK)
            rc = audit_follow(store, before);
    }
    return rc;
}
