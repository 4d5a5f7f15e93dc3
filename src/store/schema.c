/* Our tables, and the tracked tables as they are registered and as SQLite
 * describes them now. */
#include "store/internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

int schema_create(struct store *store)
{
    GV_ASSERT(!store->joined);
    GV_ASSERT(!sqlite3_get_autocommit(store->db)); /* all tables or none */
    return sql_run(
        store->db,
        "CREATE TABLE gv_meta(id INTEGER PRIMARY KEY, format INT, site INT,"
        " inode INT, birth INT, mesh TEXT, clock INT, fingerprint BLOB,"
        " busy INT, mark INT);"
        "CREATE TABLE gv_site(num INTEGER PRIMARY KEY, site BLOB UNIQUE,"
        " version INT, told INT);"
        "CREATE INDEX gv_untold ON gv_site(num) WHERE version<>told;"
        "CREATE TABLE gv_table(id INTEGER PRIMARY KEY, wire TEXT,"
        " local TEXT);"
        "CREATE TABLE gv_col(tbl INT, bit INT, wire TEXT, local TEXT,"
        " kind TEXT, initial, PRIMARY KEY(tbl, bit)) WITHOUT ROWID;"
        "CREATE TABLE gv_journal(id INTEGER PRIMARY KEY, tbl, day, k1);"
        "CREATE TABLE gv_ver(site INT, version INT, tbl INT, rid INT,"
        " PRIMARY KEY(site, version, tbl, rid)) WITHOUT ROWID;"
        "CREATE TABLE gv_interval(version INTEGER PRIMARY KEY);");
}

/* Texts and values that a table owns */

static void column_close(struct store_column *column)
{
    free(column->wire);
    free(column->local);
    free((void *)(uintptr_t)column->initial.bytes);
}

static void finalize_statements(struct store_table *table)
{
    sqlite3_finalize(table->row_find);
    sqlite3_finalize(table->row_insert);
    sqlite3_finalize(table->row_update);
    sqlite3_finalize(table->user_read);
    sqlite3_finalize(table->user_keys);
    sqlite3_finalize(table->user_insert);
    sqlite3_finalize(table->user_delete);
    for (size_t i = 0; i < TABLE_UPDATES_MAX; i++)
        sqlite3_finalize(table->updates[i].statement);
}

void table_free(struct store_table *table)
{
    if (table == NULL)
        return;
    finalize_statements(table);
    for (size_t i = 0; i < table->key_count; i++)
        free(table->keys[i]);
    for (size_t i = 0; i < table->column_count; i++)
        column_close(&table->columns[i]);
    free(table->keys);
    free(table->key_affinities);
    free(table->columns);
    free(table->order);
    free(table->wire);
    free(table->local);
    free(table->fault);
    free(table);
}

void schema_close(struct store *store)
{
    GV_ASSERT(store->tables != NULL || store->table_count == 0);
    for (size_t i = 0; i < store->table_count; i++)
        table_free(store->tables[i]);
    free(store->tables);
    store->tables = NULL;
    store->table_count = 0;
    store->schema_generation++;
}

struct store_table *schema_by_id(const struct store *store, int64_t id)
{
    for (size_t i = 0; i < store->table_count; i++)
        if (store->tables[i]->id == id)
            return store->tables[i];
    return NULL;
}

struct store_table *schema_by_wire(const struct store *store, const char *wire,
                                   size_t size)
{
    for (size_t i = 0; i < store->table_count; i++)
        if (strlen(store->tables[i]->wire) == size &&
            memcmp(store->tables[i]->wire, wire, size) == 0)
            return store->tables[i];
    return NULL;
}

/* What a column holds when nothing was ever written to it. */

static bool type_has(const char *type, const char *part)
{
    size_t size = strlen(part);

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

static int value_keep(struct value *kept, const struct value *value)
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

/* A constant default as its column stores it.  An expression, or the time,
 * has no value that all nodes share: its baseline is NULL, so that each value
 * it makes is published. */
static int default_value(const char *type, const char *text,
                         struct value *initial)
{
    sqlite3 *scratch = NULL;
    sqlite3_stmt *statement = NULL;
    struct value value = {.class = VALUE_NULL};
    int rc = GV_OK;

    GV_ASSERT(type != NULL);
    if (text != NULL && text[0] != '(' &&
        sqlite3_strnicmp(text, "CURRENT_", 8) != 0 &&
        sqlite3_open(":memory:", &scratch) == SQLITE_OK &&
        sql_run(scratch,
                type[0] == '\0' ? "CREATE TABLE d(c%w DEFAULT %s);"
                                  "INSERT INTO d DEFAULT VALUES"
                                : "CREATE TABLE d(c \"%w\" DEFAULT %s);"
                                  "INSERT INTO d DEFAULT VALUES",
                type, text) == GV_OK &&
        sql_prepare(scratch, &statement, "SELECT c FROM d") == GV_OK &&
        sql_step(statement) == 1)
        sql_column_value(statement, 0, &value);
    rc = value_keep(initial, &value);
    sqlite3_finalize(statement);
    sqlite3_close(scratch);
    return rc;
}

/* A table as SQLite describes it */

static char *text_dup(const unsigned char *text)
{
    return strdup(text == NULL ? "" : (const char *)text);
}

static int describe_column(struct store_table *table, sqlite3_stmt *info,
                           bool strict)
{
    const char *type = (const char *)sqlite3_column_text(info, 2);
    struct store_column *grown, *column;

    grown = realloc(table->columns, (table->column_count + 1) * sizeof *grown);
    if (grown == NULL)
        return GV_ENOMEM;
    table->columns = grown;
    column = &grown[table->column_count];
    memset(column, 0, sizeof *column);
    column->local = text_dup(sqlite3_column_text(info, 1));
    column->wire = text_dup(sqlite3_column_text(info, 1));
    column->affinity = type_affinity(type == NULL ? "" : type, strict);
    table->column_count++;
    if (column->local == NULL || column->wire == NULL)
        return GV_ENOMEM;
    return default_value(column->affinity == AFFINITY_BLOB ? "" : type,
                         (const char *)sqlite3_column_text(info, 4),
                         &column->initial);
}

static int describe_key(struct store_table *table, sqlite3_stmt *info,
                        bool strict)
{
    size_t position = (size_t)sqlite3_column_int(info, 5);
    const char *type = (const char *)sqlite3_column_text(info, 2);

    GV_ASSERT(position > 0); /* SQLite's 0 says that it is not in the key */
    if (position > table->key_count) {
        char **keys = realloc(table->keys, position * sizeof *keys);
        enum affinity *affinities;

        if (keys == NULL)
            return GV_ENOMEM;
        table->keys = keys;
        affinities =
            realloc(table->key_affinities, position * sizeof *affinities);
        if (affinities == NULL)
            return GV_ENOMEM;
        table->key_affinities = affinities;
        for (size_t i = table->key_count; i < position; i++) {
            keys[i] = NULL;
            affinities[i] = AFFINITY_BLOB;
        }
        table->key_count = position;
    }
    GV_ASSERT(position <= table->key_count);
    table->keys[position - 1] = text_dup(sqlite3_column_text(info, 1));
    table->key_affinities[position - 1] =
        type_affinity(type == NULL ? "" : type, strict);
    return table->keys[position - 1] == NULL ? GV_ENOMEM : GV_OK;
}

/* PRIMARY KEY(a, a, b) gives b the third place and the second to none. */
static void close_gaps(struct store_table *table)
{
    size_t kept = 0;

    for (size_t i = 0; i < table->key_count; i++) {
        if (table->keys[i] == NULL)
            continue;
        table->keys[kept] = table->keys[i];
        table->key_affinities[kept++] = table->key_affinities[i];
    }
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
            rc = describe_column(table, info, strict);
    }
    sqlite3_finalize(info);
    close_gaps(table);
    return rc;
}

int schema_describe(struct store *store, const char *local,
                    struct store_table **described, struct gv_error *error)
{
    struct store_table *table = calloc(1, sizeof *table);
    int64_t strict = 0, pk_indexes = 0;
    int rc = table == NULL ? GV_ENOMEM : GV_OK;

    GV_ASSERT(local != NULL);
    if (rc == GV_OK)
        rc = sql_number(store->db, &strict,
                        "SELECT strict FROM pragma_table_list(%Q)"
                        " WHERE schema='main' AND type='table'",
                        local);
    if (rc == GV_OK) {
        table->local = strdup(local);
        table->wire = strdup(local);
        if (table->local == NULL || table->wire == NULL)
            rc = GV_ENOMEM;
    }
    if (rc == GV_OK)
        rc = describe_columns(store, table, strict != 0);
    if (rc == GV_OK)
        rc = sql_number(store->db, &pk_indexes,
                        "SELECT count(*) FROM pragma_index_list(%Q)"
                        " WHERE origin='pk'",
                        local);
    if (rc != GV_OK) {
        table_free(table);
        if (rc == GV_ENOTFOUND)
            return error_set(error, rc, "There is no table '%s'.", local);
        return sql_fail(store->db, rc, error, "cannot describe the table");
    }
    /* An INTEGER PRIMARY KEY is the rowid itself and has no index. */
    table->integer_key = table->key_count == 1 && pk_indexes == 0;
    *described = table;
    return GV_OK;
}

/* Registration */

static int register_column(struct store *store, int64_t id, int64_t bit,
                           const char *wire, const char *local,
                           const struct value *initial)
{
    sqlite3_stmt *statement;
    int rc = sql_prepare(store->db, &statement,
                         "INSERT INTO gv_col(tbl,bit,wire,local,kind,initial)"
                         " VALUES(%lld,%lld,%Q,%Q,%Q,?1)",
                         (long long)id, (long long)bit, wire, local,
                         bit < 0 ? "key" : "lww");

    GV_ASSERT(bit != ROW_EXISTENCE);
    GV_ASSERT((bit < 0) == (initial == NULL)); /* a key has no default */
    if (rc != GV_OK)
        return rc;
    if (initial != NULL)
        sql_bind_value(statement, 1, initial);
    rc = sql_finish(statement);
    sqlite3_finalize(statement);
    return rc;
}

static int create_row_table(struct store *store,
                            const struct store_table *table, int64_t id)
{
    sqlite3_str *keys = sqlite3_str_new(store->db);
    sqlite3_str *list = sqlite3_str_new(store->db);
    char *key_text, *list_text;
    int rc = GV_ENOMEM;

    for (size_t i = 0; i < table->key_count; i++) {
        sqlite3_str_appendf(keys, "k%d,", (int)i + 1);
        sqlite3_str_appendf(list, "%sk%d", i == 0 ? "" : ",", (int)i + 1);
    }
    key_text = sqlite3_str_finish(keys);
    list_text = sqlite3_str_finish(list);
    if (key_text != NULL && list_text != NULL) {
        if (table->integer_key)
            rc = sql_run(store->db,
                         "CREATE TABLE gv_row_%lld(rid INTEGER PRIMARY KEY,"
                         " cl INT, state BLOB)",
                         (long long)id);
        else
            rc = sql_run(store->db,
                         "CREATE TABLE gv_row_%lld(rid INTEGER PRIMARY KEY,"
                         " %s cl INT, state BLOB, UNIQUE(%s))",
                         (long long)id, key_text, list_text);
    }
    sqlite3_free(key_text);
    sqlite3_free(list_text);
    return rc;
}

/* The journal has one key column to begin with: each more is paid for by
 * every write, whatever its table. */
static int widen_journal(struct store *store, size_t key_count)
{
    int64_t columns;
    int rc = sql_number(store->db, &columns,
                        "SELECT count(*)-3 FROM"
                        " pragma_table_info('gv_journal')");

    for (; rc == GV_OK && (size_t)columns < key_count; columns++)
        rc = sql_run(store->db, "ALTER TABLE gv_journal ADD COLUMN k%d",
                     (int)columns + 1);
    return rc;
}

int schema_register(struct store *store, const char *local,
                    struct gv_error *error)
{
    struct store_table *table;
    int64_t id = 0;
    int rc = schema_describe(store, local, &table, error);

    GV_ASSERT(store->in_transaction);
    if (rc != GV_OK)
        return rc;
    rc = sql_number(store->db, &id,
                    "SELECT 1+coalesce(max(id),0) FROM"
                    " gv_table");
    if (rc == GV_OK)
        rc = sql_run(store->db,
                     "INSERT INTO gv_table(id,wire,local)"
                     " VALUES(%lld,%Q,%Q)",
                     (long long)id, table->wire, table->local);
    for (size_t i = 0; i < table->key_count && rc == GV_OK; i++)
        rc = register_column(store, id, -(int64_t)i - 1, table->keys[i],
                             table->keys[i], NULL);
    for (size_t i = 0; i < table->column_count && rc == GV_OK; i++)
        rc = register_column(store, id, (int64_t)i + 1, table->columns[i].wire,
                             table->columns[i].local,
                             &table->columns[i].initial);
    if (rc == GV_OK)
        rc = create_row_table(store, table, id);
    if (rc == GV_OK)
        rc = widen_journal(store, table->key_count);
    table_free(table);
    store->schema_version = -1;
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot register the table");
    return schema_refresh(store, true, error);
}

/* Loading */

static int compare_wire(const void *a, const void *b, void *context)
{
    const struct store_column *columns = context;

    return strcmp(columns[*(const uint16_t *)a].wire,
                  columns[*(const uint16_t *)b].wire);
}

_Static_assert(ROW_BITS_MAX <= UINT16_MAX, "order[] holds every column");

static int table_finish(struct store_table *table)
{
    GV_ASSERT(table->order == NULL);
    GV_ASSERT(table->column_count < ROW_BITS_MAX);
    table->wire_hash = hash64(table->wire, strlen(table->wire));
    table->words = (table->column_count + 1 + 63) / 64;
    GV_ASSERT(table->words > 0 && table->words <= ROW_WORDS_MAX);
    table->order = calloc(table->column_count + 1, sizeof *table->order);
    if (table->order == NULL)
        return GV_ENOMEM;
    for (size_t i = 0; i < table->column_count; i++) {
        struct store_column *column = &table->columns[i];

        table->order[i] = (uint16_t)i;
        column->wire_hash = hash64(column->wire, strlen(column->wire));
        column->initial_digest = value_digest(&column->initial);
    }
    qsort_r(table->order, table->column_count, sizeof *table->order,
            compare_wire, table->columns);
    return GV_OK;
}

static int load_column(struct store_table *table, sqlite3_stmt *list)
{
    struct value initial;
    struct store_column *grown, *column;

    grown = realloc(table->columns, (table->column_count + 1) * sizeof *grown);
    if (grown == NULL)
        return GV_ENOMEM;
    table->columns = grown;
    column = &grown[table->column_count++];
    memset(column, 0, sizeof *column);
    column->wire = text_dup(sqlite3_column_text(list, 1));
    column->local = text_dup(sqlite3_column_text(list, 2));
    sql_column_value(list, 3, &initial);
    if (column->wire == NULL || column->local == NULL)
        return GV_ENOMEM;
    return value_keep(&column->initial, &initial);
}

static int load_key(struct store_table *table, sqlite3_stmt *list)
{
    char **keys = realloc(table->keys, (table->key_count + 1) * sizeof *keys);

    if (keys == NULL)
        return GV_ENOMEM;
    table->keys = keys;
    keys[table->key_count] = text_dup(sqlite3_column_text(list, 2));
    return keys[table->key_count++] == NULL ? GV_ENOMEM : GV_OK;
}

static int load_columns(struct store *store, struct store_table *table)
{
    sqlite3_stmt *list;
    int rc = sql_prepare(store->db, &list,
                         "SELECT bit,wire,local,initial FROM gv_col WHERE"
                         " tbl=%lld ORDER BY abs(bit),bit",
                         (long long)table->id);

    while (rc == GV_OK && (rc = sql_step(list)) > 0)
        rc = sqlite3_column_int64(list, 0) < 0 ? load_key(table, list)
                                               : load_column(table, list);
    sqlite3_finalize(list);
    return rc;
}

static struct store_column *column_named(const struct store_table *table,
                                         const char *local)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (sqlite3_stricmp(table->columns[i].local, local) == 0)
            return &table->columns[i];
    return NULL;
}

/* A column that is there and not registered: its default is the baseline of
 * all rows, so nothing changes. */
static int adopt_columns(struct store *store, struct store_table *table,
                         struct store_table *now)
{
    int rc = GV_OK;

    GV_ASSERT(table->fault == NULL);
    GV_ASSERT(!sqlite3_get_autocommit(store->db));
    for (size_t i = 0; i < now->column_count && rc == GV_OK; i++) {
        struct store_column *column = &now->columns[i], *grown;

        if (column_named(table, column->local) != NULL)
            continue;
        grown =
            realloc(table->columns, (table->column_count + 1) * sizeof *grown);
        if (grown == NULL)
            return GV_ENOMEM;
        table->columns = grown;
        rc =
            register_column(store, table->id, (int64_t)table->column_count + 1,
                            column->wire, column->local, &column->initial);
        if (rc != GV_OK)
            return rc;
        grown[table->column_count++] = *column;
        memset(column, 0, sizeof *column);
    }
    return rc;
}

static int set_fault(struct store_table *table, const char *format,
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

/* Compare what is registered with what is there. */
static int match(struct store *store, struct store_table *table,
                 struct store_table *now, bool may_write)
{
    bool same_key = table->key_count == now->key_count;

    GV_ASSERT(table->key_affinities == NULL); /* taken from @now below */
    GV_ASSERT(table->fault == NULL);
    table->integer_key = now->integer_key;
    for (size_t i = 0; same_key && i < table->key_count; i++)
        same_key = sqlite3_stricmp(table->keys[i], now->keys[i]) == 0;
    if (!same_key)
        return set_fault(table,
                         "the key columns of '%s' are not those it"
                         " was tracked with",
                         table->local);
    table->key_affinities = now->key_affinities;
    now->key_affinities = NULL;
    for (size_t i = 0; i < table->column_count; i++) {
        struct store_column *column =
            column_named(now, table->columns[i].local);

        if (column == NULL)
            return set_fault(table, "its column '%s' is gone",
                             table->columns[i].local);
        table->columns[i].affinity = column->affinity;
    }
    return may_write ? adopt_columns(store, table, now) : GV_OK;
}

static int load_table(struct store *store, int64_t id, const char *wire,
                      const char *local, bool may_write,
                      struct store_table **loaded)
{
    struct store_table *table = calloc(1, sizeof *table), *now = NULL;
    int rc = table == NULL ? GV_ENOMEM : GV_OK;

    if (rc == GV_OK) {
        *loaded = table;
        table->id = id;
        table->wire = strdup(wire);
        table->local = strdup(local);
        rc = table->wire == NULL || table->local == NULL
                 ? GV_ENOMEM
                 : load_columns(store, table);
    }
    if (rc == GV_OK) {
        rc = schema_describe(store, local, &now, NULL);
        if (rc == GV_OK)
            rc = match(store, table, now, may_write);
        else if (rc == GV_ENOTFOUND)
            rc = set_fault(table, "there is no table '%s' in the file", local);
    }
    table_free(now);
    if (rc == GV_OK && (table->column_count >= ROW_BITS_MAX ||
                        table->key_count > KEY_COLUMNS_MAX))
        rc = GV_ELIMIT;
    if (rc == GV_OK)
        rc = table_finish(table);
    GV_ASSERT(rc != GV_OK || table->order != NULL);
    if (rc == GV_OK && may_write && table->fault == NULL)
        rc = triggers_mend(store, table);
    return rc;
}

static int load_tables(struct store *store, bool may_write)
{
    sqlite3_stmt *list;
    int64_t count;
    int rc = sql_number(store->db, &count, "SELECT count(*) FROM gv_table");

    GV_ASSERT(store->tables == NULL && store->table_count == 0);
    if (rc != GV_OK)
        return rc;
    store->tables = calloc((size_t)count + 1, sizeof *store->tables);
    if (store->tables == NULL)
        return GV_ENOMEM;
    rc = sql_prepare(store->db, &list,
                     "SELECT id,wire,local FROM gv_table ORDER BY id");
    while (rc == GV_OK && (rc = sql_step(list)) > 0) {
        const char *wire = (const char *)sqlite3_column_text(list, 1);
        const char *local = (const char *)sqlite3_column_text(list, 2);

        rc =
            wire == NULL || local == NULL ||
                    store->table_count == (size_t)count
                ? GV_ECORRUPT
                : load_table(store, sqlite3_column_int64(list, 0), wire, local,
                             may_write, &store->tables[store->table_count]);
        store->table_count += store->tables[store->table_count] != NULL;
    }
    sqlite3_finalize(list);
    return rc;
}

int schema_refresh(struct store *store, bool may_write, struct gv_error *error)
{
    int64_t version;
    int rc = sql_step(store->schema_version_read);

    /* What is registered stands or falls with the caller's transaction. */
    GV_ASSERT(!may_write || !sqlite3_get_autocommit(store->db));
    GV_ASSERT(!may_write || store->mode == STORE_WRITE);
    if (rc == 1) {
        version = sqlite3_column_int64(store->schema_version_read, 0);
        rc = sql_finish(store->schema_version_read);
        if (rc == GV_OK && version == store->schema_version)
            return GV_OK;
    }
    if (rc == GV_OK) {
        schema_close(store);
        rc = load_tables(store, may_write);
    }
    if (rc == GV_OK)
        rc = triggers_judge(store);
    if (rc == GV_OK)
        rc = sql_number(store->db, &store->schema_version,
                        "PRAGMA main.schema_version");
    if (rc != GV_OK) {
        sql_fail(store->db, rc, error, "cannot read the tracked tables");
        schema_close(store);
        store->schema_version = -1;
        return rc;
    }
    GV_ASSERT(store->tables != NULL);
    GV_ASSERT(!store->firing);
    for (size_t i = 0; i < store->table_count; i++)
        if (store->tables[i]->fault != NULL)
            log_line(&store->log, GV_LOG_WARNING,
                     "table %s is not synced now: %s", store->tables[i]->local,
                     store->tables[i]->fault);
    return GV_OK;
}

static int compare_tables(const void *a, const void *b)
{
    return strcmp((*(struct store_table *const *)a)->wire,
                  (*(struct store_table *const *)b)->wire);
}

static void digest_text(struct buffer *out, const char *text)
{
    buffer_append(out, text, strlen(text) + 1);
}

uint64_t store_schema_digest(const struct store *store)
{
    struct store_table **sorted;
    struct buffer text;
    uint64_t digest;

    sorted = calloc(store->table_count + 1, sizeof(struct store_table *));
    if (sorted == NULL)
        return 0;
    buffer_init(&text, SIZE_MAX);
    if (store->table_count > 0)
        memcpy(sorted, store->tables,
               store->table_count * sizeof(struct store_table *));
    qsort(sorted, store->table_count, sizeof(struct store_table *),
          compare_tables);
    for (size_t i = 0; i < store->table_count; i++) {
        const struct store_table *table = sorted[i];

        GV_ASSERT(i == 0 || compare_tables(&sorted[i - 1], &sorted[i]) <= 0);
        digest_text(&text, table->wire);
        for (size_t j = 0; j < table->key_count; j++)
            digest_text(&text, table->keys[j]);
        buffer_append_u8(&text, 1);
        for (size_t j = 0; j < table->column_count; j++) {
            const struct store_column *column =
                &table->columns[table->order[j]];

            GV_ASSERT(table->order[j] < table->column_count);
            digest_text(&text, column->wire);
            buffer_append_u64(&text, column->initial_digest);
        }
        buffer_append_u8(&text, 2);
    }
    digest = hash64(text.data, text.size);
    buffer_close(&text);
    free(sorted);
    return digest;
}
