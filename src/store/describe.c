/* A table as SQLite describes it now: its key, its columns, what each stores
 * (datatype3, section 3.1) and holds by default. */
#include "store/describe.h"

#include "base/assert.h"
#include "store/internal.h"
#include "store/schema.h"
#include "store/tables.h"

#include <stdlib.h>
#include <string.h>

int value_keep(struct value *kept, const struct value *value)
{
    GV_ASSERT(value->class <= VALUE_BLOB);
    *kept = *value;
    kept->bytes = NULL; /* @value borrows its own */
    if (value->class == VALUE_TEXT || value->class == VALUE_BLOB) {
        uint8_t *bytes = malloc(value->size + 1);

        if (bytes == NULL)
            return GV_ENOMEM;
        if (value->size > 0)
            memcpy(bytes, value->bytes, value->size);
        kept->bytes = bytes;
    }
    return GV_OK;
}

/* What a column holds when nothing was ever written to it. */

static bool type_has(const char *type, const char *part)
{
    size_t size = strlen(part);

    GV_ASSERT(size > 0); /* else any type has it */
    for (; *type != '\0'; type++)
        if (sqlite3_strnicmp(type, part, (int)size) == 0)
            return true;
    return false;
}

static enum affinity type_affinity(const char *type, bool strict)
{
    GV_ASSERT(type != NULL); /* a column without one has "" */
    if (strict && sqlite3_stricmp(type, "ANY") == 0)
        return AFFINITY_BLOB;
    if (type_has(type, "INT"))
        return AFFINITY_INTEGER;
    if (type_has(type, "CHAR") || type_has(type, "CLOB") ||
        type_has(type, "TEXT"))
        return AFFINITY_TEXT;
    if (type[0] == '\0' || type_has(type, "BLOB"))
        return AFFINITY_BLOB;
    if (type_has(type, "REAL") || type_has(type, "FLOA") ||
        type_has(type, "DOUB"))
        return AFFINITY_REAL;
    return AFFINITY_NUMERIC;
}

/* A database of its own, where nothing of the application's is seen.  To make
 * one takes longer than all that is done in it, and a file that is opened has
 * many defaults: so it stays until the tables are read. */
static int scratch_open(struct store *store)
{
    int rc;

    if (store->scratch != NULL)
        return GV_OK;
    rc = sql_code(sqlite3_open(":memory:", &store->scratch));
    if (rc != GV_OK)
        describe_done(store);
    GV_ASSERT((rc == GV_OK) == (store->scratch != NULL));
    return rc;
}

void describe_done(struct store *store)
{
    sqlite3_close(store->scratch);
    store->scratch = NULL;
}

/* What a fresh row holds in a column of this type and default.  GV_ESCHEMA:
 * that needs something of the application's. */
static int default_stored(sqlite3 *scratch, const char *type, const char *text,
                          sqlite3_stmt **statement)
{
    int rc = sql_run(scratch,
                     type[0] == '\0' ? "DROP TABLE IF EXISTS d;"
                                       "CREATE TABLE d(c%w DEFAULT %s);"
                                       "INSERT INTO d DEFAULT VALUES"
                                     : "DROP TABLE IF EXISTS d;"
                                       "CREATE TABLE d(c \"%w\" DEFAULT %s);"
                                       "INSERT INTO d DEFAULT VALUES",
                     type, text);

    GV_ASSERT(sqlite3_get_autocommit(scratch)); /* nothing is left open */
    if (rc == GV_OK)
        rc = sql_prepare(scratch, statement, "SELECT c FROM d");
    if (rc == GV_OK)
        rc = sql_step(*statement);
    return rc < 0 ? rc : GV_OK;
}

/* A constant default as its column stores it.  An expression, or the time,
 * has no value that all nodes share: its baseline is NULL, so that each value
 * it makes is published. */
static int default_value(struct store *store, const char *type,
                         const char *text, struct value *initial)
{
    sqlite3_stmt *statement = NULL;
    struct value value = {.class = VALUE_NULL};
    int rc = GV_OK;

    GV_ASSERT(type != NULL);
    if (text != NULL && text[0] != '(' &&
        sqlite3_strnicmp(text, "CURRENT_", 8) != 0) {
        rc = scratch_open(store);
        if (rc == GV_OK)
            rc = default_stored(store->scratch, type, text, &statement);
        if (rc == GV_OK)
            sql_column_value(statement, 0, &value);
        else if (rc == GV_ESCHEMA)
            rc = GV_OK;
    }
    if (rc == GV_OK)
        rc = value_keep(initial, &value);
    sqlite3_finalize(statement);
    return rc;
}

/* A table as SQLite describes it */

/* @name as peers know it, NULL stays NULL.  SQLite takes "Name" for "name":
 * files that write it in different ways mean one table, or one column. */
static char *folded(char *name)
{
    for (char *c = name; c != NULL && *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return name;
}

/* All of a column but its default. */
static int name_column(struct store_column *column, sqlite3_stmt *info,
                       bool strict)
{
    GV_ASSERT(column->local == NULL); /* each is named once */
    column->local = sql_text_dup(info, 1);
    column->wire = folded(sql_text_dup(info, 1));
    column->type = sql_text_dup(info, 2);
    if (column->local == NULL || column->wire == NULL || column->type == NULL)
        return GV_ENOMEM;
    column->affinity = type_affinity(column->type, strict);
    return GV_OK;
}

static int describe_column(struct store *store, struct store_table *table,
                           sqlite3_stmt *info, bool strict)
{
    struct store_column *grown, *column;
    int rc;

    grown = realloc(table->columns, (table->column_count + 1) * sizeof *grown);
    if (grown == NULL)
        return GV_ENOMEM;
    table->columns = grown;
    column = &grown[table->column_count++];
    memset(column, 0, sizeof *column);
    rc = name_column(column, info, strict);
    if (rc != GV_OK)
        return rc;
    return default_value(
        store, column->affinity == AFFINITY_BLOB ? "" : column->type,
        (const char *)sqlite3_column_text(info, 4), &column->initial);
}

static int describe_key(struct store_table *table, sqlite3_stmt *info,
                        bool strict)
{
    size_t position = (size_t)sqlite3_column_int(info, 5);

    GV_ASSERT(position > 0); /* SQLite's 0 says that it is not in the key */
    if (position > table->key_count) {
        struct store_column *keys =
            realloc(table->keys, position * sizeof *keys);

        if (keys == NULL)
            return GV_ENOMEM;
        memset(keys + table->key_count, 0,
               (position - table->key_count) * sizeof *keys);
        table->keys = keys;
        table->key_count = position;
    }
    GV_ASSERT(position <= table->key_count);
    return name_column(&table->keys[position - 1], info, strict);
}

/* PRIMARY KEY(a, a, b) gives b the third place and the second to none. */
static void close_gaps(struct store_table *table)
{
    size_t kept = 0;

    for (size_t i = 0; i < table->key_count; i++)
        if (table->keys[i].local != NULL)
            table->keys[kept++] = table->keys[i];
    GV_ASSERT(kept > 0 || table->key_count == 0); /* the last has a name */
    table->key_count = kept;
}

static int describe_columns(struct store *store, struct store_table *table,
                            bool strict)
{
    sqlite3_stmt *info;
    int rc = sql_prepare(store->db, &info, "PRAGMA main.table_xinfo(\"%w\")",
                         table->local);

    while (rc == GV_OK && (rc = sql_step(info)) > 0) {
        rc = GV_OK;
        if (sqlite3_column_int(info, 5) > 0)
            rc = describe_key(table, info, strict);
        else if (sqlite3_column_int(info, 6) == 0) /* not generated */
            rc = describe_column(store, table, info, strict);
    }
    sqlite3_finalize(info);
    /* A column that got no memory has no name: it is no gap, and is freed. */
    if (rc == GV_OK)
        close_gaps(table);
    return rc;
}

int schema_describe(struct store *store, const char *local,
                    struct store_table **described, struct gv_error *error)
{
    struct store_table *table = calloc(1, sizeof *table);
    int64_t options = 0, pk_indexes = 0, others = 0;
    int rc = table == NULL ? GV_ENOMEM : GV_OK;

    GV_ASSERT(local != NULL);
    if (rc == GV_OK)
        rc = sql_number(store->db, &options,
                        "SELECT strict*%d+wr*%d FROM pragma_table_list(%Q)"
                        " WHERE schema='main' AND type='table'",
                        (int)STREAM_TABLE_STRICT,
                        (int)STREAM_TABLE_WITHOUT_ROWID, local);
    if (rc == GV_OK) {
        table->options = (unsigned)options;
        table->local = strdup(local);
        table->wire = folded(strdup(local));
        if (table->local == NULL || table->wire == NULL)
            rc = GV_ENOMEM;
    }
    if (rc == GV_OK)
        rc = describe_columns(store, table,
                              (options & STREAM_TABLE_STRICT) != 0);
    if (rc == GV_OK)
        rc = sql_number(store->db, &pk_indexes,
                        "SELECT count(*) FROM pragma_index_list(%Q)"
                        " WHERE origin='pk'",
                        local);
    if (rc == GV_OK)
        rc = sql_number(store->db, &others,
                        "SELECT count(*) FROM pragma_index_list(%Q)"
                        " WHERE origin<>'pk' AND \"unique\"",
                        local);
    if (rc != GV_OK) {
        table_free(table);
        if (rc == GV_ENOTFOUND)
            return error_set(error, rc, "There is no table '%s'.", local);
        return sql_fail(store->db, rc, error, "cannot describe the table");
    }
    /* An INTEGER PRIMARY KEY is the rowid itself and has no index. */
    table->integer_key = table->key_count == 1 && pk_indexes == 0;
    table->evicts = others > 0;
    GV_ASSERT(!table->integer_key || table->keys[0].local != NULL);
    *described = table;
    return GV_OK;
}
