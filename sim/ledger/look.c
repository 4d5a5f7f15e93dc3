#include "look.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sqlite3_stmt **statement_at(struct look *look, size_t index)
{
    sqlite3_stmt **others[] = {&look->begin,   &look->end,     &look->changed,
                               &look->journal, &look->any,     &look->vector,
                               &look->clock,   &look->written, &look->schema};
    size_t other_count = sizeof others / sizeof *others;

    if (index < TABLES)
        return &look->tables[index];
    return index < TABLES + other_count ? others[index - TABLES] : NULL;
}

void look_forget(struct look *look)
{
    sqlite3_stmt **statement;

    for (size_t i = 0; (statement = statement_at(look, i)) != NULL; i++) {
        sqlite3_finalize(*statement);
        *statement = NULL;
    }
    look->db = NULL;
    look->data_version = -1;
}

void look_close(struct look *look)
{
    look_forget(look);
    free(look->rows);
    *look = (struct look){0};
}

const char *look_error(const struct look *look)
{
    return look->db == NULL ? "no connection" : sqlite3_errmsg(look->db);
}

/* Opening */

static bool prepare(struct look *look, sqlite3_stmt **statement,
                    const char *sql)
{
    return sqlite3_prepare_v3(look->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                              statement, NULL) == SQLITE_OK;
}

static void note_column(struct look_skew *skew, sqlite3_stmt *row)
{
    const char *name = (const char *)sqlite3_column_text(row, 0);
    const char *type = (const char *)sqlite3_column_text(row, 1);

    for (size_t i = 0; i < tables[TABLE_SKEW].column_count; i++) {
        const char *known = tables[TABLE_SKEW].columns[i].name;
        struct look_skew_column *column = &skew->columns[i];

        if (strncmp(name, known, strlen(known)) != 0)
            continue;
        column->here = true;
        column->typed = strcmp(type, "") != 0 && strcmp(type, "ANY") != 0;
        snprintf(column->name, sizeof column->name, "%s", name);
    }
}

static bool look_at_skew(struct look *look)
{
    sqlite3_stmt *rows;

    look->skew = (struct look_skew){.shared = false};
    if (sqlite3_prepare_v2(look->db,
                           "SELECT name,type,(SELECT count(*) FROM"
                           " sqlite_schema WHERE type='trigger' AND"
                           " tbl_name='skew' AND name LIKE 'gv%')*NOT EXISTS("
                           "SELECT 1 FROM gv_table WHERE wire='skew' AND away)"
                           " FROM pragma_table_info('skew')",
                           -1, &rows, NULL) != SQLITE_OK)
        return false;
    while (sqlite3_step(rows) == SQLITE_ROW) {
        look->skew.shared = sqlite3_column_int(rows, 2) == 4;
        note_column(&look->skew, rows);
    }
    return sqlite3_finalize(rows) == SQLITE_OK;
}

/* What is not here is NULL; look_skew says so. */
static bool prepare_skew(struct look *look)
{
    const struct look_skew_column *columns = look->skew.columns;
    char sql[200];

    snprintf(sql, sizeof sql, "SELECT id,%s,%s,%s FROM main.skew",
             columns[0].here ? columns[0].name : "NULL",
             columns[1].here ? columns[1].name : "NULL",
             columns[2].here ? columns[2].name : "NULL");
    return prepare(look, &look->tables[TABLE_SKEW],
                   look->skew.shared ? sql : "SELECT 1,2,3,4 WHERE 0");
}

static bool prepare_table(struct look *look, size_t index)
{
    const struct table *table = &tables[index];
    char sql[200];
    int used = snprintf(sql, sizeof sql, "SELECT %s", table->keys[0].name);

    for (size_t i = 1; i < table->key_count; i++)
        used += snprintf(sql + used, sizeof sql - (size_t)used, ",%s",
                         table->keys[i].name);
    for (size_t i = 0; i < table->column_count; i++)
        used += snprintf(sql + used, sizeof sql - (size_t)used, ",%s",
                         table->columns[i].name);
    snprintf(sql + used, sizeof sql - (size_t)used, " FROM main.%s",
             table->name);
    return prepare(look, &look->tables[index], sql);
}

static bool prepare_all(struct look *look)
{
    /* What is prepared depends on the schema, and on whether skew waits. */
    bool ok = prepare(look, &look->schema,
                      "SELECT 4*schema_version+(SELECT coalesce(max(away),0)"
                      " FROM gv_table WHERE wire='skew') FROM"
                      " pragma_schema_version") &&
              look_at_skew(look);

    for (size_t i = 0; i < TABLES && ok; i++)
        ok = i == TABLE_SKEW ? prepare_skew(look) : prepare_table(look, i);
    return ok && prepare(look, &look->begin, "BEGIN") &&
           prepare(look, &look->end, "COMMIT") &&
           prepare(look, &look->changed, "PRAGMA data_version") &&
           prepare(look, &look->journal,
                   "SELECT t.local,CAST(round((j.day-2440587.5)*86400000) AS "
                   "INTEGER),j.k1,j.k2 FROM gv_journal AS j JOIN"
                   " gv_table AS t ON t.id=j.tbl ORDER BY j.id") &&
           prepare(look, &look->any, "SELECT 1 FROM gv_journal LIMIT 1") &&
           prepare(look, &look->vector,
                   "SELECT site,version FROM gv_site WHERE version>0") &&
           prepare(look, &look->clock, "SELECT clock FROM gv_meta") &&
           prepare(look, &look->written,
                   "SELECT EXISTS(SELECT 1 FROM written WHERE program=?1 AND"
                   " number=?2) OR EXISTS(SELECT 1 FROM log WHERE id=?3)");
}

/* A statement whose rows do not matter, or one row with a number. */
static bool run(sqlite3_stmt *statement, int64_t *number)
{
    int rc = sqlite3_step(statement);

    if (number != NULL)
        *number =
            rc == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : INT64_MIN;
    return sqlite3_reset(statement) == SQLITE_OK &&
           (number == NULL || *number != INT64_MIN);
}

static bool open_on(struct look *look, sqlite3 *db)
{
    int64_t version;

    if (look->db == db && db != NULL && run(look->schema, &version) &&
        version == look->schema_version)
        return true;
    look_forget(look);
    look->db = db;
    return db != NULL && prepare_all(look) &&
           run(look->schema, &look->schema_version);
}

/* Values */

void look_datum(sqlite3_stmt *row, int column, struct datum *datum)
{
    *datum = (struct datum){.type = sqlite3_column_type(row, column)};
    switch (datum->type) {
    case SQLITE_INTEGER:
        datum->integer = sqlite3_column_int64(row, column);
        break;
    case SQLITE_FLOAT:
        datum->real = sqlite3_column_double(row, column);
        break;
    case SQLITE_TEXT:
    case SQLITE_BLOB:
        datum->bytes = sqlite3_column_blob(row, column);
        datum->size = (size_t)sqlite3_column_bytes(row, column);
        break;
    default:
        break;
    }
}

static bool read_key(struct names *names, size_t table, sqlite3_stmt *row,
                     int first, uint32_t *number)
{
    struct datum keys[TABLE_KEYS_MAX];
    size_t count = tables[table].key_count;

    for (size_t i = 0; i < count; i++)
        look_datum(row, first + (int)i, &keys[i]);
    return names_row(names, table, keys, count, number);
}

static struct look_row *room_for(struct look *look, uint32_t row)
{
    if (row >= look->row_count) {
        size_t count = ((size_t)row + 256) * 3 / 2;

        look->rows = reallocarray(look->rows, count, sizeof *look->rows);
        GV_ASSERT(look->rows != NULL);
        memset(look->rows + look->row_count, 0,
               (count - look->row_count) * sizeof *look->rows);
        look->row_count = count;
    }
    return &look->rows[row];
}

/* The look */

static bool read_table(struct look *look, struct names *names, size_t table)
{
    sqlite3_stmt *rows = look->tables[table];
    int key_count = (int)tables[table].key_count;

    while (sqlite3_step(rows) == SQLITE_ROW) {
        struct look_row *seen;
        uint32_t number;

        if (!read_key(names, table, rows, 0, &number))
            continue;
        seen = room_for(look, number);
        seen->seen_in = look->number;
        for (size_t i = 0; i < tables[table].column_count; i++) {
            struct datum datum;

            seen->values[i] = LOOK_ABSENT;
            if (table == TABLE_SKEW && !look->skew.columns[i].here)
                continue;
            look_datum(rows, key_count + (int)i, &datum);
            seen->values[i] = names_value(names, &datum);
        }
    }
    return sqlite3_reset(rows) == SQLITE_OK;
}

bool look_take(struct look *look, struct names *names, sqlite3 *db)
{
    int64_t data_version;
    bool ok;

    if (!open_on(look, db) || !run(look->begin, NULL))
        return false;
    ok = run(look->changed, &data_version);
    if (ok && data_version == look->data_version)
        return run(look->end, NULL);
    look->number++;
    for (size_t i = 0; i < TABLES && ok; i++)
        ok = read_table(look, names, i);
    look->data_version = ok ? data_version : -1;
    return run(look->end, NULL) && ok;
}

const struct look_row *look_at(const struct look *look, uint32_t row)
{
    if (row >= look->row_count || look->rows[row].seen_in != look->number)
        return NULL;
    return &look->rows[row];
}

/* What the node keeps for everyone to read */

static size_t table_named(const unsigned char *name)
{
    size_t i = 0;

    while (i < TABLES && strcmp(tables[i].name, (const char *)name) != 0)
        i++;
    return i;
}

bool look_journal(struct look *look, struct names *names, sqlite3 *db,
                  struct look_journal **journal, size_t *count)
{
    size_t capacity = 0;

    *journal = NULL;
    *count = 0;
    if (!open_on(look, db))
        return false;
    while (sqlite3_step(look->journal) == SQLITE_ROW) {
        size_t table = table_named(sqlite3_column_text(look->journal, 0));
        struct look_journal entry = {
            .ms = sqlite3_column_int64(look->journal, 1)};

        if (table == TABLES ||
            !read_key(names, table, look->journal, 2, &entry.row))
            continue;
        if (*count == capacity) {
            capacity = capacity * 2 + 64;
            *journal = reallocarray(*journal, capacity, sizeof **journal);
            GV_ASSERT(*journal != NULL);
        }
        (*journal)[(*count)++] = entry;
    }
    return sqlite3_reset(look->journal) == SQLITE_OK;
}

bool look_journal_any(struct look *look, sqlite3 *db)
{
    int64_t one;

    return open_on(look, db) && run(look->any, &one);
}

bool look_vector(struct look *look, sqlite3 *db,
                 void (*entry)(void *context, const struct site *site,
                               gv_version version),
                 void *context)
{
    if (!open_on(look, db))
        return false;
    while (sqlite3_step(look->vector) == SQLITE_ROW) {
        struct site site = {{0}};

        if (sqlite3_column_bytes(look->vector, 0) == sizeof site.bytes)
            memcpy(site.bytes, sqlite3_column_blob(look->vector, 0),
                   sizeof site.bytes);
        entry(context, &site,
              (gv_version)sqlite3_column_int64(look->vector, 1));
    }
    return sqlite3_reset(look->vector) == SQLITE_OK;
}

gv_version look_clock(struct look *look, sqlite3 *db)
{
    int64_t clock;

    return open_on(look, db) && run(look->clock, &clock) ? (gv_version)clock
                                                         : 0;
}

bool look_written(struct look *look, sqlite3 *db, int64_t program,
                  int64_t number, const char *id, bool *there)
{
    int64_t found;

    if (!open_on(look, db))
        return false;
    sqlite3_bind_int64(look->written, 1, program);
    sqlite3_bind_int64(look->written, 2, number);
    sqlite3_bind_text(look->written, 3, id, -1, SQLITE_TRANSIENT);
    if (!run(look->written, &found))
        return false;
    *there = found == 1;
    return true;
}
