#include "tables.h"

#include "application.h"
#include "base/assert.h"

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
    "CREATE TABLE tally(id INTEGER PRIMARY KEY, n INTEGER DEFAULT 0, note);"
    "CREATE TABLE written(program INTEGER, number INTEGER,"
    " PRIMARY KEY(program, number)) WITHOUT ROWID;";

/* Each keeps count of itself, so that a run can tell that it fired.  What
 * keeps an index writes untracked tables only, and fires on apply as well. */
static const char *const trigger_sets[] = {
    "CREATE TABLE mirror(k REAL PRIMARY KEY, a);"
    "CREATE TRIGGER mirror_i AFTER INSERT ON t6 BEGIN"
    " INSERT OR REPLACE INTO mirror VALUES(new.k,new.a);"
    " UPDATE fired SET n=n+1; END;"
    "CREATE TRIGGER mirror_u AFTER UPDATE ON t6 BEGIN"
    " DELETE FROM mirror WHERE k IS old.k;"
    " INSERT OR REPLACE INTO mirror VALUES(new.k,new.a);"
    " UPDATE fired SET n=n+1; END;"
    "CREATE TRIGGER mirror_d AFTER DELETE ON t6 BEGIN"
    " DELETE FROM mirror WHERE k IS old.k; UPDATE fired SET n=n+1; END;",
    "CREATE TRIGGER rewrites_i AFTER INSERT ON t7"
    " WHEN typeof(new.b)='text' AND new.b NOT LIKE 'text:%' BEGIN"
    " UPDATE t7 SET b='text:'||length(new.b) WHERE rowid=new.rowid;"
    " UPDATE fired SET n=n+1; END;"
    "CREATE TRIGGER rewrites_u AFTER UPDATE OF b ON t7"
    " WHEN typeof(new.b)='text' AND new.b NOT LIKE 'text:%' BEGIN"
    " UPDATE t7 SET b='text:'||length(new.b) WHERE rowid=new.rowid;"
    " UPDATE fired SET n=n+1; END;",
    "CREATE TRIGGER ignores BEFORE UPDATE ON t3 WHEN new.a IS NULL"
    " AND old.a IS NOT '" TABLES_PASSING "' AND old.b IS NOT"
    " '" TABLES_PASSING "' BEGIN"
    " UPDATE fired SET n=n+1; SELECT RAISE(IGNORE); END;"
    "CREATE TRIGGER fails AFTER INSERT ON t3 WHEN new.b IS NULL BEGIN"
    " UPDATE fired SET n=n+1; SELECT RAISE(FAIL,'fails'); END;",
    "CREATE TRIGGER aborts AFTER UPDATE ON t5 WHEN new.a > 100 BEGIN"
    " SELECT RAISE(ABORT,'aborts'); END;",
    "CREATE TRIGGER follows AFTER DELETE ON t0 BEGIN"
    " INSERT OR REPLACE INTO t4 VALUES(CAST(old.id AS BLOB),1);"
    " UPDATE fired SET n=n+1; END;"};

void application_triggers(unsigned seed, char *sql, size_t size)
{
    size_t used = 0;

    GV_ASSERT(size >= APPLICATION_TRIGGERS_SIZE);
    used = (size_t)snprintf(sql, size,
                            "CREATE TABLE fired(n); INSERT INTO fired"
                            " VALUES(0);");
    for (size_t i = 0; i < sizeof trigger_sets / sizeof *trigger_sets; i++)
        if (seed >> i & 1)
            used += (size_t)snprintf(sql + used, size - used, "%s",
                                     trigger_sets[i]);
    GV_ASSERT(used < size);
}

const char application_tables[] =
    "t0 t1 t2 t3 t4 t5 t6 t7 log pair tally:n,note";

const struct table tables[TABLES] = {
    {"t0",
     1,
     3,
     {{"id", KEY_TEXT}},
     {{"a", DATUM_NULL, SHOWS_LAST},
      {"b", DATUM_INTEGER(7), SHOWS_LAST},
      {"c", DATUM_NULL, SHOWS_LAST}}},
    {"t1",
     1,
     3,
     {{"id", KEY_INTEGER}},
     {{"a", DATUM_TEXT("x"), SHOWS_LAST},
      {"b", DATUM_NULL, SHOWS_LAST},
      {"c", DATUM_INTEGER(5), SHOWS_LAST}}},
    {"t2",
     2,
     2,
     {{"y", KEY_INTEGER}, {"x", KEY_TEXT}},
     {{"a", DATUM_NULL, SHOWS_LAST}, {"b", DATUM_BLOB("\x00"), SHOWS_LAST}}},
    {"t3",
     1,
     2,
     {{"k", KEY_UNTYPED}},
     {{"a", DATUM_NULL, SHOWS_LAST}, {"b", DATUM_NULL, SHOWS_LAST}}},
    {"t4",
     2,
     0,
     {{"k", KEY_BLOB}, {"l", KEY_UNTYPED}},
     {{NULL, DATUM_NULL, SHOWS_LAST}}},
    {"t5",
     1,
     3,
     {{"id", KEY_TEXT}},
     {{"a", DATUM_INTEGER(3), SHOWS_LAST},
      {"b", DATUM_NULL, SHOWS_LAST},
      {"c", DATUM_NULL, SHOWS_LAST}}},
    {"t6", 1, 1, {{"k", KEY_REAL}}, {{"a", DATUM_REAL(-1.5), SHOWS_LAST}}},
    {"t7",
     1,
     2,
     {{"k", KEY_BLOB}},
     {{"a", DATUM_NULL, SHOWS_LAST}, {"b", DATUM_TEXT(""), SHOWS_LAST}}},
    {"log", 1, 1, {{"id", KEY_TEXT}}, {{"v", DATUM_NULL, SHOWS_LAST}}},
    {"pair",
     1,
     2,
     {{"id", KEY_INTEGER}},
     {{"x", DATUM_NULL, SHOWS_LAST}, {"y", DATUM_NULL, SHOWS_LAST}}},
    {"tally",
     1,
     2,
     {{"id", KEY_INTEGER}},
     {{"n", DATUM_INTEGER(0), SHOWS_SUM},
      {"note", DATUM_NULL, SHOWS_SIBLINGS}}},
    {"skew",
     1,
     3,
     {{"id", KEY_TEXT}},
     {{"a", DATUM_NULL, SHOWS_LAST},
      {"b", DATUM_TEXT("b"), SHOWS_LAST},
      {"c", DATUM_INTEGER(4), SHOWS_LAST}}},
};

static const char *const skew_schemas[SKEW_SHAPES] = {
    [SKEW_WHOLE] = SKEW_WHOLE_SQL,
    [SKEW_SHORT] = "CREATE TABLE skew(id TEXT PRIMARY KEY, a, b DEFAULT 'b');",
    [SKEW_BARE] = "CREATE TABLE skew(id TEXT PRIMARY KEY, a);",
    [SKEW_MISSING] = "",
    [SKEW_TYPED] = "CREATE TABLE skew(id TEXT PRIMARY KEY, a INTEGER,"
                   " b DEFAULT 'b', c DEFAULT 4);",
    [SKEW_STRICT] = "CREATE TABLE skew(id TEXT PRIMARY KEY, a ANY,"
                    " b TEXT DEFAULT 'b', c ANY DEFAULT 4) STRICT;",
};

const char *application_skew(enum skew_shape shape)
{
    return skew_schemas[shape];
}

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
