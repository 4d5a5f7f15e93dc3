/* The kinds that a person gives to columns when a table is tracked. */
#include "store/internal.h"

#include "base/assert.h"

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

int choice_compare(const struct store *store, const struct store_table *table,
                   struct gv_error *error)
{
    GV_ASSERT(table->id > 0); /* it is registered */
    for (size_t i = 0; store->kinds != NULL && i < store->kinds->count; i++) {
        const struct store_kind *asked = &store->kinds->list[i];
        const struct store_column *column =
            column_called(table, asked->column);

        if (column == NULL)
            return no_such_column(table, asked->column, error);
        if (column->kind == asked->kind)
            continue;
        error_set(error, GV_EREFUSED,
                  "Column '%s' of table '%s' is %s; that cannot change.",
                  asked->column, table->local, words_for(column->kind));
        error_meaning(error, "What was written to it so far could not be read"
                             " as of another kind.");
        error_remedy(error, "Use another column, or a new table; kinds are"
                            " given when a table is first tracked.");
        return GV_EREFUSED;
    }
    return GV_OK;
}
