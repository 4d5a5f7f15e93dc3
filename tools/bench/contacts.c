#include "contacts.h"

#include "measure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct contacts_shape contacts_narrow = {"5 columns", 4, 0, 0};
const struct contacts_shape contacts_ordered = {"5, ascending", 4, 0, 1};
const struct contacts_shape contacts_wide = {"20 columns", 19, 0, 0};
const struct contacts_shape contacts_integer = {"integer key", 4, 1, 0};

static void check(sqlite3 *db, int rc, const char *text)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        die("%s: %s.", text, sqlite3_errmsg(db));
}

sqlite3 *plain_open(const char *path)
{
    sqlite3 *db;

    if (sqlite3_open(path, &db) != SQLITE_OK)
        die("Cannot open %s: %s.", path, sqlite3_errmsg(db));
    sqlite3_busy_timeout(db, 10000);
    plain_run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
    return db;
}

void plain_run(sqlite3 *db, const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    text = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    if (text == NULL)
        die("Out of memory.");
    check(db, sqlite3_exec(db, text, NULL, NULL, NULL), text);
    sqlite3_free(text);
}

sqlite3_stmt *plain_prepare(sqlite3 *db, const char *text)
{
    sqlite3_stmt *statement;

    check(db,
          sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT,
                             &statement, NULL),
          text);
    return statement;
}

void plain_finish(sqlite3_stmt *statement)
{
    int rc;

    do
        rc = sqlite3_step(statement);
    while (rc == SQLITE_ROW);
    check(sqlite3_db_handle(statement), rc, sqlite3_sql(statement));
    sqlite3_reset(statement);
}

int64_t plain_number(sqlite3 *db, const char *text)
{
    sqlite3_stmt *statement = plain_prepare(db, text);
    int64_t number;

    check(db, sqlite3_step(statement), text);
    number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

void plain_checkpoint(sqlite3 *db)
{
    plain_run(db, "PRAGMA wal_checkpoint(TRUNCATE)");
}

void contacts_create(sqlite3 *db, const struct contacts_shape *shape)
{
    char more[512] = "";
    size_t used = 0;

    for (int i = 4; i < shape->columns; i++)
        used += (size_t)snprintf(more + used, sizeof more - used, ", c%d TEXT",
                                 i + 1);
    plain_run(db,
              "CREATE TABLE contacts(id %s PRIMARY KEY NOT NULL, name TEXT,"
              " phone TEXT, email TEXT, note TEXT%s)",
              shape->integer_key ? "INTEGER" : "TEXT", more);
}

sqlite3_stmt *contacts_prepare_insert(sqlite3 *db,
                                      const struct contacts_shape *shape)
{
    char text[512] = "INSERT INTO contacts VALUES(?1";
    size_t used = strlen(text);

    for (int i = 0; i < shape->columns; i++)
        used +=
            (size_t)snprintf(text + used, sizeof text - used, ",?%d", i + 2);
    snprintf(text + used, sizeof text - used, ")");
    return plain_prepare(db, text);
}

/* Steele and others 2014: spreads the keys as random ones would be, the same
 * in each run. */
static uint64_t splitmix(uint64_t number)
{
    number += 0x9e3779b97f4a7c15;
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
    number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
    return number ^ (number >> 31);
}

static void hex_append(char *text, size_t *used, uint64_t bits, int digits)
{
    for (int i = digits - 1; i >= 0; i--)
        text[(*used)++] = "0123456789abcdef"[bits >> (4 * i) & 15];
}

/* As a version 4 UUID, or as a version 7 one: its first half counts. */
static void key_format(char text[36], uint32_t row, int ordered)
{
    uint64_t high =
        ordered ? (uint64_t)row << 16 : splitmix(2 * (uint64_t)row);
    uint64_t low = splitmix(2 * (uint64_t)row + 1);
    size_t used = 0;

    hex_append(text, &used, high >> 32, 8);
    text[used++] = '-';
    hex_append(text, &used, high >> 16, 4);
    text[used++] = '-';
    hex_append(text, &used, high, 4);
    text[used++] = '-';
    hex_append(text, &used, low >> 48, 4);
    text[used++] = '-';
    hex_append(text, &used, low, 12);
}

void contacts_bind_key(sqlite3_stmt *statement, int index,
                       const struct contacts_shape *shape, uint32_t row)
{
    char key[36];

    if (shape->integer_key) {
        sqlite3_bind_int64(statement, index, (int64_t)row + 1);
        return;
    }
    key_format(key, row, shape->ordered);
    sqlite3_bind_text(statement, index, key, sizeof key, SQLITE_TRANSIENT);
}

/* Text number @column of @row: as long as such texts are (13 to 40 bytes). */
static int column_format(char *text, size_t size, int column, uint32_t row)
{
    unsigned n = (unsigned)(splitmix(row) & 0xffffff);

    switch (column) {
    case 0:
        return snprintf(text, size, "Alder Birch %u", n % 100000);
    case 1:
        return snprintf(text, size, "+41 44 %03u %04u", n % 1000, n % 10000);
    case 2:
        return snprintf(text, size, "alder.birch%u@example.org", n);
    case 3:
        return snprintf(text, size, "met at the harbour, berth %u, call back",
                        n % 500);
    default:
        return snprintf(text, size, "field %d of %u", column, n);
    }
}

void contacts_bind(sqlite3_stmt *statement, const struct contacts_shape *shape,
                   uint32_t row)
{
    char text[64];

    contacts_bind_key(statement, 1, shape, row);
    for (int i = 0; i < shape->columns; i++) {
        int size = column_format(text, sizeof text, i, row);

        sqlite3_bind_text(statement, i + 2, text, size, SQLITE_TRANSIENT);
    }
}

void contacts_bind_change(sqlite3_stmt *statement, int index, uint32_t row,
                          uint32_t round)
{
    char text[64];
    int size = snprintf(text, sizeof text, "+41 79 %03u %04u", round % 1000,
                        row % 10000);

    sqlite3_bind_text(statement, index, text, size, SQLITE_TRANSIENT);
}
