#include "tables.h"

#include "application.h"

#include <stdio.h>

/* written is not tracked: it says of each transaction of the programs that
 * this file holds it. */
const char application_schema[] =
    "CREATE TABLE t0(id TEXT PRIMARY KEY, a, b INTEGER DEFAULT 7, c TEXT);"
    "CREATE TABLE t1(id INTEGER PRIMARY KEY, a TEXT DEFAULT 'x', b REAL,"
    " c NUMERIC DEFAULT 5);"
    "CREATE TABLE t2(x TEXT, y INTEGER, a, b BLOB DEFAULT x'00',"
    " PRIMARY KEY(y, x)) WITHOUT ROWID;"
    "CREATE TABLE t3(k PRIMARY KEY, a INT, b);"
    "CREATE TABLE t4(k BLOB, l INT, PRIMARY KEY(k, l));"
    "CREATE TABLE t5(id TEXT PRIMARY KEY, a INT NOT NULL DEFAULT 3, b REAL,"
    " c ANY) STRICT;"
    "CREATE TABLE t6(k REAL PRIMARY KEY, a DEFAULT -1.5);"
    "CREATE TABLE t7(k BLOB PRIMARY KEY, a, b TEXT DEFAULT '');"
    "CREATE TABLE log(id TEXT PRIMARY KEY, v);"
    "CREATE TABLE pair(id INTEGER PRIMARY KEY, x, y);"
    "CREATE TABLE written(program INTEGER, number INTEGER,"
    " PRIMARY KEY(program, number)) WITHOUT ROWID;";

const char application_tables[] = "t0 t1 t2 t3 t4 t5 t6 t7 log pair";

const struct table tables[TABLES] = {
    {"t0",
     1,
     3,
     {{"id", KEY_TEXT}},
     {{"a", DATUM_NULL}, {"b", DATUM_INTEGER(7)}, {"c", DATUM_NULL}}},
    {"t1",
     1,
     3,
     {{"id", KEY_INTEGER}},
     {{"a", DATUM_TEXT("x")}, {"b", DATUM_NULL}, {"c", DATUM_INTEGER(5)}}},
    {"t2",
     2,
     2,
     {{"y", KEY_INTEGER}, {"x", KEY_TEXT}},
     {{"a", DATUM_NULL}, {"b", DATUM_BLOB("\x00")}}},
    {"t3", 1, 2, {{"k", KEY_UNTYPED}}, {{"a", DATUM_NULL}, {"b", DATUM_NULL}}},
    {"t4", 2, 0, {{"k", KEY_BLOB}, {"l", KEY_UNTYPED}}, {{0}}},
    {"t5",
     1,
     3,
     {{"id", KEY_TEXT}},
     {{"a", DATUM_INTEGER(3)}, {"b", DATUM_NULL}, {"c", DATUM_NULL}}},
    {"t6", 1, 1, {{"k", KEY_REAL}}, {{"a", DATUM_REAL(-1.5)}}},
    {"t7",
     1,
     2,
     {{"k", KEY_BLOB}},
     {{"a", DATUM_NULL}, {"b", DATUM_TEXT("")}}},
    {"log", 1, 1, {{"id", KEY_TEXT}}, {{"v", DATUM_NULL}}},
    {"pair",
     1,
     2,
     {{"id", KEY_INTEGER}},
     {{"x", DATUM_NULL}, {"y", DATUM_NULL}}},
};

int64_t application_number(size_t machine, size_t program)
{
    return (int64_t)(machine * 100 + program);
}

bool application_logs(int64_t number)
{
    return number % 3 == 0;
}

void application_log_id(int64_t program, int64_t number,
                        char id[APPLICATION_LOG_SIZE])
{
    snprintf(id, APPLICATION_LOG_SIZE, "p%lld-%lld", (long long)program,
             (long long)number);
}
