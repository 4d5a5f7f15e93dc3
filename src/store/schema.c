/* Our tables (format 2), and the registered tables as they are read from them.
 * upgrade.c makes files of older formats like these. */
#include "store/schema.h"

#include "base/assert.h"
#include "store/audit.h"
#include "store/borrowed.h"
#include "store/describe.h"
#include "store/internal.h"
#include "store/kinds.h"
#include "store/match.h"
#include "store/parked.h"
#include "store/siblings.h"
#include "store/tables.h"
#include "store/triggers.h"
#include "store/upgrade.h"

#include <stdlib.h>
#include <string.h>

int schema_create(struct store *store)
{
    GV_ASSERT(!store->joined);
    GV_ASSERT(transaction_open(store)); /* all tables or none */
    return sql_run(
        store->db,
        "CREATE TABLE gv_meta(id INTEGER PRIMARY KEY, format INT, site INT,"
        " inode INT, birth INT, mesh TEXT, clock INT, fingerprint BLOB,"
        " busy INT, pending INT, mark INT, creates INT, audited INT, "
        "audited_at INT);"
        "CREATE TABLE gv_site(num INTEGER PRIMARY KEY, site BLOB UNIQUE,"
        " version INT, told INT);"
        "CREATE INDEX gv_untold ON gv_site(num) WHERE version<>told;"
        "CREATE TABLE gv_table(id INTEGER PRIMARY KEY, wire TEXT,"
        " local TEXT, tracked INT, options INT, away INT);"
        "CREATE TABLE gv_col(tbl INT, bit INT, wire TEXT, local TEXT,"
        " kind TEXT, initial, type TEXT, peer TEXT, differs INT,"
        " PRIMARY KEY(tbl, bit))"
        " WITHOUT ROWID;"
        "CREATE TABLE gv_journal(id INTEGER PRIMARY KEY, tbl, day, k1);"
        "CREATE TABLE gv_ver(site INT, version INT, tbl INT, rid INT,"
        " PRIMARY KEY(site, version, tbl, rid)) WITHOUT ROWID;"
        "CREATE TABLE gv_interval(version INTEGER PRIMARY KEY);" TABLES_OF_2);
}

/* Texts and values that a table owns */

void column_close(struct store_column *column)
{
    free(column->wire);
    free(column->local);
    free(column->peer);
    free(column->type);
    free((void *)(uintptr_t)column->initial.bytes);
}

static void finalize_statements(struct store_table *table)
{
    sqlite3_stmt **const list[] = {
        &table->row_find,
        &table->row_last,
        &table->scan,
        &table->scan_rid,
        &table->scan_by_rid,
        &table->row_insert,
        &table->row_update,
        &table->user_read,
        &table->user_keys,
        &table->user_insert,
        &table->user_insert_many,
        &table->user_delete,
        &table->batch_states,
        &table->batch_rowids,
        &table->batch_users,
        &table->batch_insert,
        &table->batch_insert_many,
        &table->batch_update_many,
        &table->extract_all,
        &table->extract_one,
    };

    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        sqlite3_finalize(*list[i]);
        *list[i] = NULL;
    }
    for (size_t i = 0; i < TABLE_UPDATES_MAX; i++) {
        sqlite3_finalize(table->updates[i].statement);
        table->updates[i].statement = NULL;
    }
    for (size_t i = 0; i < TABLE_CHANGES_MAX; i++) {
        sqlite3_finalize(table->changes[i].statement);
        table->changes[i].statement = NULL;
    }
    table->change_by = CHANGE_BARE;
    table->rowid_known = table->has_rowid = false;
}

void table_free(struct store_table *table)
{
    if (table == NULL)
        return;
    finalize_statements(table);
    for (size_t i = 0; i < table->key_count; i++)
        column_close(&table->keys[i]);
    for (size_t i = 0; i < table->column_count; i++)
        column_close(&table->columns[i]);
    free(table->keys);
    free(table->columns);
    free(table->order);
    free(table->sums);
    free(table->siblings);
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

struct store_table *schema_by_local(const struct store *store,
                                    const char *local)
{
    for (size_t i = 0; i < store->table_count; i++)
        if (store->tables[i]->tracked &&
            sqlite3_stricmp(store->tables[i]->local, local) == 0)
            return store->tables[i];
    return NULL;
}

/* Loading */

static int compare_wire(const void *a, const void *b, void *context)
{
    const struct store_column *columns = context;

    return strcmp(columns[*(const uint16_t *)a].wire,
                  columns[*(const uint16_t *)b].wire);
}

_Static_assert(ROW_BITS_MAX <= UINT16_MAX, "order[] holds every column");

int table_finish(struct store_table *table)
{
    finalize_statements(table); /* they name the columns that there were */
    free(table->order);
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
    return kinds_masks(table);
}

/* False without memory. */
static bool text_or_null(sqlite3_stmt *list, int index, char **text)
{
    if (sqlite3_column_type(list, index) == SQLITE_NULL)
        return true;
    *text = sql_text_dup(list, index);
    return *text != NULL;
}

static int load_column(struct store_column **columns, size_t *count,
                       sqlite3_stmt *list)
{
    struct value initial;
    struct store_column *grown, *column;

    grown = realloc(*columns, (*count + 1) * sizeof *grown);
    if (grown == NULL)
        return GV_ENOMEM;
    *columns = grown;
    column = &grown[(*count)++];
    memset(column, 0, sizeof *column);
    column->wire = sql_text_dup(list, 1);
    column->type = sql_text_dup(list, 4);
    column->default_differs = sqlite3_column_int(list, 7) != 0;
    sql_column_value(list, 3, &initial);
    if (column->wire == NULL || column->type == NULL ||
        !text_or_null(list, 2, &column->local) ||
        !text_or_null(list, 5, &column->peer))
        return GV_ENOMEM;
    if (sqlite3_column_int64(list, 0) > 0 &&
        !kind_named((const char *)sqlite3_column_text(list, 6),
                    (size_t)sqlite3_column_bytes(list, 6), &column->kind))
        return GV_ECORRUPT;
    return value_keep(&column->initial, &initial);
}

static int load_columns(struct store *store, struct store_table *table)
{
    sqlite3_stmt *list;
    int rc = sql_prepare(store->db, &list,
                         "SELECT bit,wire,local,initial,type,peer,kind,"
                         "differs FROM gv_col"
                         " WHERE tbl=%lld ORDER BY abs(bit),bit",
                         (long long)table->id);

    while (rc == GV_OK && (rc = sql_step(list)) > 0)
        rc = sqlite3_column_int64(list, 0) < 0
                 ? load_column(&table->keys, &table->key_count, list)
                 : load_column(&table->columns, &table->column_count, list);
    sqlite3_finalize(list);
    return rc;
}

/* Where gv_row_N has no key columns, its rid is the key.  And whether
 * gv_parked has any of its cells. */
static int load_shape(struct store *store, struct store_table *table)
{
    int64_t columns = 0, parks = 0;
    int rc = sql_number(store->db, &columns,
                        "SELECT count(*) FROM pragma_table_info"
                        "('gv_row_%lld') WHERE name LIKE 'k%%'",
                        (long long)table->id);

    GV_ASSERT(table->id > 0);
    table->integer_key = rc == GV_OK && columns == 0;
    if (rc == GV_OK && (size_t)columns != table->key_count &&
        !(table->integer_key && table->key_count == 1))
        rc = GV_ECORRUPT;
    if (rc == GV_OK)
        rc = sql_number(store->db, &parks,
                        "SELECT EXISTS(SELECT 1 FROM gv_parked WHERE"
                        " tbl=%lld)",
                        (long long)table->id);
    table->parks = parks != 0;
    return rc;
}

/* What the file has of a tracked table now. */
static int look_at_table(struct store *store, struct store_table *table,
                         bool may_write)
{
    struct store_table *now = NULL;
    int rc = schema_describe(store, table->local, &now, NULL);

    GV_ASSERT(table->tracked && !table->shown);
    if (rc == GV_ENOTFOUND)
        rc = match_missing(store, table, may_write, &now);
    if (rc == GV_OK && now != NULL)
        rc = schema_match(store, table, now, may_write);
    GV_ASSERT(rc != GV_OK || now != NULL || table->fault != NULL);
    table_free(now);
    table->shown = rc == GV_OK && table->tracked && table->fault == NULL;
    for (size_t i = 0; !table->shown && i < table->column_count; i++)
        table->columns[i].shown = false;
    /* It was made again, and may still be being filled. */
    if (table->shown && table->away == AWAY_GONE)
        rc = audit_suspend(store, table);
    return rc;
}

/* A row of gv_table, as LISTED. */
static int load_table(struct store *store, sqlite3_stmt *row, bool may_write,
                      struct store_table **loaded)
{
    struct store_table *table = calloc(1, sizeof *table);
    int rc;

    if (table == NULL)
        return GV_ENOMEM;
    *loaded = table;
    table->id = sqlite3_column_int64(row, 0);
    table->wire = sql_text_dup(row, 1);
    table->local = sql_text_dup(row, 2);
    table->tracked = sqlite3_column_int(row, 3) != 0;
    table->options = (unsigned)sqlite3_column_int(row, 4);
    table->away = (enum table_away)sqlite3_column_int(row, 5);
    rc = table->wire == NULL || table->local == NULL
             ? GV_ENOMEM
             : load_columns(store, table);
    if (rc == GV_OK)
        rc = load_shape(store, table);
    if (rc == GV_OK)
        rc = table->tracked ? look_at_table(store, table, may_write)
                            : match_untracked(store, table);
    if (rc == GV_OK && (table->column_count >= ROW_BITS_MAX ||
                        table->key_count > KEY_COLUMNS_MAX))
        rc = GV_ELIMIT;
    if (rc == GV_OK)
        rc = table_finish(table);
    GV_ASSERT(rc != GV_OK || table->order != NULL);
    table->suspended = audit_suspended(store, table->id);
    if (rc == GV_OK && may_write && table->shown)
        rc = triggers_mend(store, table);
    return rc;
}

#define LISTED "SELECT id,wire,local,tracked,options,away FROM gv_table"

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
    rc = sql_prepare(store->db, &list, LISTED " ORDER BY id");
    while (rc == GV_OK && (rc = sql_step(list)) > 0) {
        rc = store->table_count == (size_t)count
                 ? GV_ECORRUPT
                 : load_table(store, list, may_write,
                              &store->tables[store->table_count]);
        store->table_count += store->tables[store->table_count] != NULL;
    }
    sqlite3_finalize(list);
    return rc;
}

int schema_load(struct store *store, int64_t id, struct store_table **loaded)
{
    struct store_table **grown = realloc(
        store->tables, (store->table_count + 2) * sizeof *store->tables);
    struct store_table *table = NULL;
    sqlite3_stmt *row = NULL;
    int rc = GV_ENOMEM;

    if (grown != NULL) {
        store->tables = grown;
        GV_ASSERT(schema_by_id(store, id) == NULL);
        rc = sql_prepare(store->db, &row, LISTED " WHERE id=%lld",
                         (long long)id);
    }
    if (rc == GV_OK)
        rc = sql_step(row);
    if (rc > 0)
        rc = load_table(store, row, true, &table);
    else if (rc == 0)
        rc = GV_ECORRUPT;
    sqlite3_finalize(row);
    if (rc != GV_OK) {
        table_free(table);
        return rc;
    }
    GV_ASSERT(table->id == id);
    grown[store->table_count++] = table;
    store->schema_generation++;
    *loaded = table;
    return GV_OK;
}

/* Of the definitions of the tables that have something parked, their indexes
 * and triggers; never 0. */
static int parking_digest(struct store *store, uint64_t *digest)
{
    sqlite3_stmt *list;
    int rc = sql_prepare(store->db, &list,
                         "SELECT sql FROM sqlite_schema WHERE tbl_name=?1"
                         " COLLATE NOCASE AND sql IS NOT NULL ORDER BY name");

    *digest = 1;
    for (size_t i = 0; i < store->table_count && rc == GV_OK; i++) {
        const struct store_table *table = store->tables[i];

        if (!table->shown || !table->parks)
            continue;
        sqlite3_bind_text(list, 1, table->local, -1, SQLITE_STATIC);
        while ((rc = sql_step(list)) > 0)
            *digest =
                *digest * 31 + hash64(sqlite3_column_text(list, 0),
                                      (size_t)sqlite3_column_bytes(list, 0));
    }
    sqlite3_finalize(list);
    *digest |= 1;
    return rc;
}

/* Columns that are shown again. */
static int show_columns(struct store *store, struct store_table *table,
                        struct gv_error *error)
{
    uint64_t returned[ROW_WORDS_MAX] = {0};

    for (size_t i = 0; i < table->column_count; i++) {
        if (table->columns[i].returned && table->columns[i].shown)
            mask_set(returned, i + 1);
        table->columns[i].returned = false;
    }
    GV_ASSERT(table->shown || mask_empty(returned, table->words));
    return mask_empty(returned, table->words)
               ? GV_OK
               : parked_show(store, table, returned, error);
}

/* What is parked moves into tables that can hold it now: a type or a
 * constraint may be another. */
static int show_parked(struct store *store, struct gv_error *error)
{
    uint64_t digest = 0;
    int rc = parking_digest(store, &digest);

    GV_ASSERT(rc != GV_OK || transaction_open(store)); /* errors may end it */
    for (size_t i = 0; i < store->table_count && rc == GV_OK; i++) {
        struct store_table *table = store->tables[i];

        rc = show_columns(store, table, error);
        if (rc == GV_OK && table->shown && table->parks && !table->suspended &&
            digest != store->resumed_schema)
            rc = parked_resume(store, table, error);
    }
    if (rc == GV_OK)
        store->resumed_schema = digest;
    return rc;
}

/* The schema's version in the file, now. */
static int version_read(struct store *store, int64_t *version)
{
    int rc = sql_step(store->schema_version_read);

    GV_ASSERT(rc != 0); /* a PRAGMA that always has a row */
    if (rc != 1)
        return rc;
    *version = sqlite3_column_int64(store->schema_version_read, 0);
    return sql_finish(store->schema_version_read);
}

/* Tables are about to be read at @version: what the audit knows of it. */
static int begin_reading(struct store *store, int64_t version)
{
    int rc;

    store->audit.believed = version == store->audit.settled;
    rc = audit_load(store);
    store->audit.moved = store->audit.audited != version;
    return rc;
}

/* Tables were read at @version, with the code @rc: what depends on all of
 * them.  On an error none is left. */
static int end_reading(struct store *store, int rc, int64_t version,
                       bool may_write, struct gv_error *error)
{
    describe_done(store);
    if (rc == GV_OK)
        rc = triggers_judge(store);
    if (rc == GV_OK && may_write)
        rc = siblings_view(store);
    if (rc == GV_OK && may_write)
        rc = show_parked(store, error);
    if (rc == GV_OK)
        rc = sql_number(store->db, &store->schema_version,
                        "PRAGMA main.schema_version");
    if (rc == GV_OK && may_write)
        rc = audit_follow(store, version);
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

int schema_refresh(struct store *store, bool may_write, struct gv_error *error)
{
    int64_t version = -1;
    int rc;

    /* What is registered stands or falls with the caller's transaction. */
    GV_ASSERT(!may_write || transaction_open(store));
    GV_ASSERT(!may_write || store->mode == STORE_WRITE);
    rc = version_read(store, &version);
    if (rc == GV_OK && version == store->schema_version)
        return GV_OK;
    if (rc == GV_OK) {
        schema_close(store);
        rc = begin_reading(store, version);
    }
    if (rc == GV_OK)
        rc = load_tables(store, may_write);
    return end_reading(store, rc, version, may_write, error);
}

bool schema_stands(const struct store *store)
{
    if (store->tables == NULL || store->schema_version == -1)
        return false;
    for (size_t i = 0; i < store->table_count; i++) {
        const struct store_table *table = store->tables[i];

        GV_ASSERT(!table->shown || table->tracked);
        if (!table->shown || table->suspended || table->away != AWAY_NOT)
            return false;
    }
    return true;
}

int schema_refresh_added(struct store *store, int64_t id,
                         struct gv_error *error)
{
    struct store_table *table;
    int64_t version = -1;
    int rc = version_read(store, &version);

    GV_ASSERT(transaction_open(store) && store->mode == STORE_WRITE);
    GV_ASSERT(store->schema_version == -1);
    for (size_t i = 0; i < store->table_count; i++) {
        GV_ASSERT(store->tables[i]->id < id); /* they stay in their order */
        store->tables[i]->fires = false;      /* to be judged anew */
    }
    if (rc == GV_OK)
        rc = begin_reading(store, version);
    if (rc == GV_OK)
        rc = schema_load(store, id, &table);
    return end_reading(store, rc, version, true, error);
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
        if (!table->tracked)
            continue;
        digest_text(&text, table->wire);
        for (size_t j = 0; j < table->key_count; j++)
            digest_text(&text, table->keys[j].wire);
        buffer_append_u8(&text, 1);
        for (size_t j = 0; j < table->column_count; j++) {
            const struct store_column *column =
                &table->columns[table->order[j]];

            GV_ASSERT(table->order[j] < table->column_count);
            if (!column->shown)
                continue;
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
