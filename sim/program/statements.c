#include "statements.h"

#include "base/assert.h"
#include "tables.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BINDS_MAX 8
#define BULK_FIRST 1000 /* keys of the rows that come by the hundred */

struct statement {
    char sql[512];
    size_t used;
    struct datum binds[BINDS_MAX];
    size_t count;
};

void statements_init(struct statements *statements, sqlite3 *db,
                     struct random *random,
                     const struct application_habits *habits,
                     struct odd_counts *counts)
{
    *statements = (struct statements){
        .db = db,
        .habits = habits,
        .values = {.random = random,
                   .odd_text = habits->odd_text,
                   .odd_numbers = habits->odd_numbers,
                   .huge = habits->huge,
                   .hot = habits->hot,
                   .counts = counts},
    };
}

/* Putting one together */

static void put(struct statement *statement, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void put(struct statement *statement, const char *format, ...)
{
    size_t room = sizeof statement->sql - statement->used;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length =
        vsnprintf(statement->sql + statement->used, room, format, arguments);
    va_end(arguments);
    GV_ASSERT(length >= 0 && (size_t)length < room);
    statement->used += (size_t)length;
}

/* Where the next value goes. */
static struct datum *put_bind(struct statement *statement)
{
    GV_ASSERT(statement->count < BINDS_MAX);
    return &statement->binds[statement->count++];
}

static void put_value(struct statements *statements,
                      struct statement *statement)
{
    values_draw(&statements->values, put_bind(statement));
}

static void put_key(struct statements *statements, struct statement *statement,
                    const struct table *table, size_t which)
{
    values_draw_key(&statements->values, table->keys[which].kind,
                    put_bind(statement));
}

static void trace(struct statements *statements, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void trace(struct statements *statements, const char *format, ...)
{
    size_t used = strlen(statements->trace);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(statements->trace + used, sizeof statements->trace - used,
              format, arguments);
    va_end(arguments);
}

/* "INSERT t1 (3, 'a')": enough to follow what happens. */
static void trace_statement(struct statements *statements,
                            const struct statement *statement, int rc)
{
    char value[48];

    trace(statements, "%s%.40s (", statements->trace[0] == '\0' ? "" : "; ",
          statement->sql);
    for (size_t i = 0; i < statement->count && i < 3; i++) {
        datum_format(&statement->binds[i], value, sizeof value);
        trace(statements, "%s%s", i == 0 ? "" : ",", value);
    }
    trace(statements, rc == SQLITE_OK ? ")" : ") refused");
}

/* A refusal is the program's own affair: a key that is there, a type that a
 * STRICT table does not take. */
static bool own_affair(int rc)
{
    int base = rc & 0xff;

    return base == SQLITE_CONSTRAINT || base == SQLITE_MISMATCH;
}

/* Prepare, bind and step; closes the values. */
static int execute(struct statements *statements, struct statement *statement)
{
    sqlite3_stmt *prepared;
    int rc = sqlite3_prepare_v2(statements->db, statement->sql, -1, &prepared,
                                NULL);

    for (size_t i = 0; i < statement->count && rc == SQLITE_OK; i++)
        /* Those that are chosen from a list need not use them all. */
        if (i < (size_t)sqlite3_bind_parameter_count(prepared))
            rc = datum_bind(prepared, (int)i + 1, &statement->binds[i]);
    if (rc == SQLITE_OK) {
        while (sqlite3_step(prepared) == SQLITE_ROW)
            continue;
        rc = sqlite3_finalize(prepared);
    } else {
        sqlite3_finalize(prepared);
    }
    trace_statement(statements, statement, rc);
    for (size_t i = 0; i < statement->count; i++)
        datum_close(&statement->binds[i]);
    return rc;
}

/* The same, where a refusal is as good as done. */
static int execute_freely(struct statements *statements,
                          struct statement *statement)
{
    int rc = execute(statements, statement);

    return own_affair(rc) ? SQLITE_OK : rc;
}

static bool with_chance(struct statements *statements, unsigned percent)
{
    return chance(statements->values.random, percent * 10000);
}

static size_t below(struct statements *statements, size_t bound)
{
    return random_below(statements->values.random, bound);
}

/* The kinds of statements */

static void put_where(struct statements *statements,
                      struct statement *statement, const struct table *table)
{
    put(statement, " WHERE %s = ?", table->keys[0].name);
    put_key(statements, statement, table, 0);
    if (table->key_count > 1 && with_chance(statements, 70)) {
        put(statement, " AND %s = ?", table->keys[1].name);
        put_key(statements, statement, table, 1);
    }
}

static void put_insert(struct statements *statements,
                       struct statement *statement, const struct table *table)
{
    bool written[TABLE_COLUMNS_MAX] = {false};

    put(statement, "%s(%s", table->name, table->keys[0].name);
    put_key(statements, statement, table, 0);
    if (table->key_count > 1) {
        put(statement, ",%s", table->keys[1].name);
        put_key(statements, statement, table, 1);
    }
    for (size_t i = 0; i < table->column_count; i++)
        if (with_chance(statements, 60)) {
            written[i] = true;
            put(statement, ",%s", table->columns[i].name);
        }
    put(statement, ") VALUES(?%s", table->key_count > 1 ? ",?" : "");
    for (size_t i = 0; i < table->column_count; i++)
        if (written[i]) {
            put(statement, ",?");
            put_value(statements, statement);
        }
    put(statement, ")");
}

static int insert(struct statements *statements, const struct table *table)
{
    static const char *const verbs[] = {
        "INSERT INTO ", "INSERT OR IGNORE INTO ", "INSERT OR REPLACE INTO ",
        "REPLACE INTO "};
    struct statement statement = {.used = 0};
    size_t verb_count = statements->habits->misbehave ? 4 : 2;
    bool upsert = table->column_count > 0 && with_chance(statements, 40);
    size_t verb = upsert ? 0 : below(statements, verb_count);

    statements->values.counts->misbehaved += verb >= 2;
    put(&statement, "%s", verbs[verb]);
    put_insert(statements, &statement, table);
    if (upsert) {
        const char *column =
            table->columns[below(statements, table->column_count)].name;

        put(&statement, " ON CONFLICT(%s%s%s) DO UPDATE SET %s = ?",
            table->keys[0].name, table->key_count > 1 ? "," : "",
            table->key_count > 1 ? table->keys[1].name : "", column);
        put_value(statements, &statement);
    }
    return execute_freely(statements, &statement);
}

static int change_key(struct statements *statements, const struct table *table)
{
    static const char *const verbs[] = {"UPDATE", "UPDATE OR REPLACE",
                                        "UPDATE OR IGNORE"};
    struct statement statement = {.used = 0};
    size_t which = below(statements, table->key_count);

    statements->values.counts->misbehaved++;
    put(&statement, "%s %s SET %s = ?", verbs[below(statements, 3)],
        table->name, table->keys[which].name);
    put_key(statements, &statement, table, which);
    put_where(statements, &statement, table);
    return execute_freely(statements, &statement);
}

/* A large value in each of a thousand rows is more than a run can hold. */
static void spare_many(struct statements *statements)
{
    statements->values.huge = false;
}

static int update(struct statements *statements, const struct table *table)
{
    struct statement statement = {.used = 0};
    bool one = with_chance(statements, 90);
    size_t first;

    if (table->column_count == 0)
        return insert(statements, table);
    if (statements->habits->misbehave && with_chance(statements, 15))
        return change_key(statements, table);
    if (!one)
        spare_many(statements);
    first = below(statements, table->column_count);
    put(&statement, "UPDATE %s SET %s = ?", table->name,
        table->columns[first].name);
    put_value(statements, &statement);
    if (table->column_count > 1 && with_chance(statements, 35)) {
        put(&statement, ", %s = ?",
            table->columns[(first + 1) % table->column_count].name);
        put_value(statements, &statement);
    }
    if (one)
        put_where(statements, &statement, table);
    return execute_freely(statements, &statement);
}

static int delete (struct statements *statements, const struct table *table)
{
    struct statement statement = {.used = 0};

    put(&statement, "DELETE FROM %s", table->name);
    if (with_chance(statements, 80)) {
        put_where(statements, &statement, table);
    } else if (with_chance(statements, 80)) {
        put(&statement, " WHERE %s > ?", table->keys[0].name);
        put_key(statements, &statement, table, 0);
    }
    return execute_freely(statements, &statement);
}

/* Gone and back in one transaction: between two looks it never died. */
static int delete_and_insert(struct statements *statements,
                             const struct table *table)
{
    struct statement gone = {.used = 0}, back = {.used = 0};
    struct datum key;
    int rc;

    values_draw_key(&statements->values, table->keys[0].kind, &key);
    put(&gone, "DELETE FROM %s WHERE %s = ?", table->name,
        table->keys[0].name);
    *put_bind(&gone) = key;
    rc = execute_freely(statements, &gone);
    if (rc != SQLITE_OK)
        return rc;
    put(&back, "INSERT INTO ");
    put_insert(statements, &back, table);
    back.binds[0] = key;
    return execute_freely(statements, &back);
}

/* One cell written twice: nobody may see the first. */
static int write_twice(struct statements *statements,
                       const struct table *table)
{
    struct datum passing = DATUM_TEXT(TABLES_PASSING);
    struct statement first = {.used = 0}, second = {.used = 0};
    const char *column;
    struct datum key;
    int rc;

    if (table->column_count == 0)
        return insert(statements, table);
    column = table->columns[below(statements, table->column_count)].name;
    values_draw_key(&statements->values, table->keys[0].kind, &key);
    put(&first, "UPDATE %s SET %s = ? WHERE %s = ?", table->name, column,
        table->keys[0].name);
    *put_bind(&first) = passing;
    *put_bind(&first) = key;
    rc = execute(statements, &first);
    if (rc != SQLITE_OK)
        return own_affair(rc) ? SQLITE_OK : rc;
    put(&second, "UPDATE %s SET %s = ? WHERE %s = ?", table->name, column,
        table->keys[0].name);
    put_value(statements, &second);
    *put_bind(&second) = key;
    return execute(statements, &second);
}

/* x and y are one value in whatever anybody sees. */
static int write_pair(struct statements *statements, bool alone)
{
    struct datum value =
        DATUM_INTEGER(between(statements->values.random, 1, 1000000000));
    struct datum key = DATUM_INTEGER((sqlite3_int64)below(statements, 6));
    int rc = SQLITE_OK;

    if (alone || with_chance(statements, 50)) {
        struct statement both = {.used = 0};

        put(&both, "INSERT INTO pair(id,x,y) VALUES(?1,?2,?2) ON CONFLICT(id)"
                   " DO UPDATE SET x = ?2, y = ?2");
        *put_bind(&both) = key;
        *put_bind(&both) = value;
        return execute(statements, &both);
    }
    for (size_t i = 0; i < 2 && rc == SQLITE_OK; i++) {
        struct statement one = {.used = 0};

        put(&one, "UPDATE pair SET %s = ? WHERE id = ?", i == 0 ? "x" : "y");
        *put_bind(&one) = value;
        *put_bind(&one) = key;
        rc = execute(statements, &one);
    }
    return rc;
}

static int delete_pair(struct statements *statements)
{
    struct statement statement = {.used = 0};
    struct datum key = DATUM_INTEGER((sqlite3_int64)below(statements, 6));

    put(&statement, "DELETE FROM pair WHERE id = ?");
    *put_bind(&statement) = key;
    return execute(statements, &statement);
}

/* Two rows change places by way of a third key, in three statements of one
 * transaction, or in one where alone. */
static int swap_keys(struct statements *statements)
{
    static const int steps[][2] = {{0, -77}, {1, 0}, {-77, 1}};
    sqlite3_int64 keys[2] = {(sqlite3_int64)below(statements, 6),
                             (sqlite3_int64)below(statements, 6)};
    int rc = SQLITE_OK;

    if (sqlite3_get_autocommit(statements->db))
        return SQLITE_OK;
    for (size_t i = 0; i < 3 && rc == SQLITE_OK; i++) {
        struct statement statement = {.used = 0};
        int from = steps[i][0], to = steps[i][1];

        put(&statement, "UPDATE t1 SET id = ? WHERE id = ?");
        *put_bind(&statement) =
            (struct datum)DATUM_INTEGER(to < 0 ? to : keys[to]);
        *put_bind(&statement) =
            (struct datum)DATUM_INTEGER(from < 0 ? from : keys[from]);
        rc = execute_freely(statements, &statement);
    }
    return rc;
}

/* Statements that write more rows, or other ones, than they seem to. */
static int write_oddly(struct statements *statements)
{
    static const char *const sql[] = {
        "UPDATE t1 SET rowid = ?1 WHERE id = ?2",
        "UPDATE OR REPLACE t1 SET oid = oid + 1 WHERE id BETWEEN ?1 AND ?2",
        "UPDATE OR IGNORE t1 SET _rowid_ = ?1 - id WHERE id < ?2",
        "UPDATE t1 SET a = b, b = c, c = a WHERE id IN (?1, ?2)",
        "INSERT INTO t1(id,a) VALUES(?1,1),(?2,2),(?1,3)"
        " ON CONFLICT(id) DO UPDATE SET a = excluded.a WHERE id IS NOT ?2",
        "INSERT OR REPLACE INTO t1(rowid,b) SELECT id + ?1, a FROM t1"
        " WHERE id <= ?2",
        "REPLACE INTO t1 SELECT ?1, a, b, c FROM t1 WHERE id = ?2",
        "DELETE FROM t1 WHERE rowid IN (SELECT id FROM pair)",
        "INSERT OR IGNORE INTO t3(k,a) SELECT id, a FROM t1 WHERE id < ?1",
    };
    struct statement statement = {.used = 0};

    statements->values.counts->misbehaved++;
    if (with_chance(statements, 20))
        return swap_keys(statements);
    put(&statement, "%s", sql[below(statements, sizeof sql / sizeof *sql)]);
    for (size_t i = 0; i < 2; i++)
        *put_bind(&statement) =
            (struct datum)DATUM_INTEGER((sqlite3_int64)below(statements, 12));
    return execute_freely(statements, &statement);
}

/* n is a counter: programs write it as any other column. */
static int write_tally(struct statements *statements)
{
    static const char *const sql[] = {
        ("INSERT INTO tally(id,n,note) VALUES(?1,?2,?3) ON CONFLICT(id)"
         " DO UPDATE SET n = n + excluded.n"),
        "INSERT OR REPLACE INTO tally(id,n,note) VALUES(?1,?2,?3)",
        "UPDATE tally SET n = n + ?2 WHERE id = ?1 OR ?3 IS 0",
        "UPDATE tally SET n = n - ?2, note = ?3 WHERE id = ?1",
        "UPDATE tally SET n = ?2 WHERE id = ?1 OR ?3 IS 0",
        "UPDATE tally SET note = ?3 WHERE id = ?1 OR ?2 IS 0",
        "UPDATE tally SET note = ?3 WHERE id = ?1 OR ?2 IS 0",
        "DELETE FROM tally WHERE id = ?1 AND ?2 % 2 = 0 AND ?3 IS NOT 0",
    };
    struct statement statement = {.used = 0};

    statements->values.counts->kinds++;
    put(&statement, "%s", sql[below(statements, sizeof sql / sizeof *sql)]);
    *put_bind(&statement) =
        (struct datum)DATUM_INTEGER((sqlite3_int64)below(statements, 6));
    *put_bind(&statement) = (struct datum)DATUM_INTEGER(
        between(statements->values.random, -20, 1000));
    put_value(statements, &statement);
    return execute_freely(statements, &statement);
}

/* The columns of skew that are here and shared. */
static int skew_columns(struct statements *statements, char names[][16],
                        size_t *count)
{
    sqlite3_stmt *list;
    int rc =
        sqlite3_prepare_v2(statements->db,
                           "SELECT name FROM pragma_table_info('skew') WHERE"
                           " NOT pk AND EXISTS(SELECT 1 FROM sqlite_schema"
                           " WHERE type='trigger' AND tbl_name='skew') AND NOT"
                           " EXISTS(SELECT 1 FROM gv_table WHERE wire='skew'"
                           " AND away)",
                           -1, &list, NULL);

    *count = 0;
    while (rc == SQLITE_OK && *count < TABLE_COLUMNS_MAX &&
           sqlite3_step(list) == SQLITE_ROW)
        snprintf(names[(*count)++], 16, "%s",
                 (const char *)sqlite3_column_text(list, 0));
    /* A read that failed may have ended the transaction. */
    return rc == SQLITE_OK ? sqlite3_finalize(list) : rc;
}

/* Short values on which types differ. */
static void put_plain(struct statements *statements,
                      struct statement *statement)
{
    static const struct datum plain[] = {
        DATUM_INTEGER(4), DATUM_INTEGER(17),  DATUM_TEXT("b"),
        DATUM_TEXT("12"), DATUM_TEXT("word"), DATUM_REAL(3.0),
        DATUM_REAL(2.5),  DATUM_BLOB("\x01"), DATUM_NULL,
    };

    *put_bind(statement) =
        plain[below(statements, sizeof plain / sizeof *plain)];
}

/* One of two values that do not travel. */
static void put_big(struct statements *statements, struct statement *statement)
{
    static const char bytes[APPLICATION_TRAVELS + 2];

    statements->values.counts->big++;
    *put_bind(statement) =
        (struct datum){.type = SQLITE_BLOB,
                       .bytes = bytes,
                       .size = APPLICATION_TRAVELS + 1 + below(statements, 2)};
}

static int write_skew(struct statements *statements)
{
    struct statement statement = {.used = 0};
    char names[TABLE_COLUMNS_MAX][16];
    size_t count, first;
    int rc = skew_columns(statements, names, &count);
    static const char *const keys[] = {"k0", "k1", "k2", "k3",
                                       "k4", "k5", "k6", "k7"};
    const char *key = keys[below(statements, 8)];
    size_t kind = below(statements, 10);

    if (rc != SQLITE_OK || count == 0)
        return rc;
    first = below(statements, count);
    if (kind < 4)
        put(&statement,
            "INSERT INTO skew(id,%s) VALUES('%s',?) ON CONFLICT(id) DO UPDATE"
            " SET %s = excluded.%s",
            names[first], key, names[first], names[first]);
    else if (kind < 5)
        put(&statement, "DELETE FROM skew WHERE id = '%s'", key);
    else if (kind < 9)
        put(&statement, "UPDATE skew SET %s = ?1 WHERE id = '%s'",
            names[first], key);
    else
        put(&statement, "UPDATE skew SET %s = ?1, %s = ?1 WHERE id > '%s'",
            names[first], names[(first + 1) % count], key);
    if (statements->habits->big && with_chance(statements, 10))
        put_big(statements, &statement);
    else
        put_plain(statements, &statement);
    return execute_freely(statements, &statement);
}

/* Hundreds of rows at once. */
static int write_bulk(struct statements *statements)
{
    struct statement statement = {.used = 0};
    struct datum count =
        DATUM_INTEGER(between(statements->values.random, 200, 1000));

    spare_many(statements);
    switch (below(statements, 3)) {
    case 0:
        put(&statement, "DELETE FROM t1 WHERE id >= %d", BULK_FIRST);
        break;
    case 1:
        put(&statement, "UPDATE t1 SET a = ? WHERE id >= %d", BULK_FIRST);
        put_value(statements, &statement);
        break;
    default:
        put(&statement,
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n"
            " WHERE i + 1 < ?) INSERT OR REPLACE INTO t1(id,a)"
            " SELECT %d + i, ? FROM n",
            BULK_FIRST);
        *put_bind(&statement) = count;
        put_value(statements, &statement);
    }
    return execute_freely(statements, &statement);
}

int statements_run(struct statements *statements, bool alone)
{
    const struct application_habits *habits = statements->habits;
    const struct table *table = &tables[below(statements, TABLES_FREE)];
    size_t kind;

    statements->values.huge = habits->huge;

    if (habits->skew && with_chance(statements, 25))
        return write_skew(statements);
    if (habits->kinds && with_chance(statements, 20))
        return write_tally(statements);
    if (habits->misbehave && with_chance(statements, 8))
        return write_oddly(statements);
    if (habits->huge && chance(statements->values.random, 10000))
        return write_bulk(statements);
    if (chance(statements->values.random, habits->deletes))
        return with_chance(statements, 10) ? delete_pair(statements)
                                           : delete (statements, table);
    kind = below(statements, 100);
    if (kind < 12)
        return write_pair(statements, alone);
    if (kind < 20 && !alone)
        return write_twice(statements, table);
    if (kind < 28 && !alone)
        return delete_and_insert(statements, table);
    return kind < 65 ? insert(statements, table) : update(statements, table);
}

int statements_plain(struct statements *statements, const char *sql)
{
    struct statement statement = {.used = 0};

    put(&statement, "%s", sql);
    return execute(statements, &statement);
}

int statements_take_back(struct statements *statements, int64_t number)
{
    int rc = sqlite3_exec(statements->db, "SAVEPOINT s", NULL, NULL, NULL);

    trace(statements, " [");
    if (rc == SQLITE_OK)
        rc = statements_run(statements, false);
    if (rc == SQLITE_OK)
        rc = statements_log(statements, 0, number, true);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(statements->db, "ROLLBACK TO s", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(statements->db, "RELEASE s", NULL, NULL, NULL);
    trace(statements, "] taken back");
    return rc;
}

/* Marks are no news to people: they leave no trace. */
static int execute_quietly(struct statements *statements,
                           struct statement *statement)
{
    size_t used = strlen(statements->trace);
    int rc = execute(statements, statement);

    statements->trace[used] = '\0';
    return rc;
}

int statements_mark(struct statements *statements, int64_t program,
                    int64_t number)
{
    struct statement statement = {.used = 0};
    struct datum marks[] = {DATUM_INTEGER(program), DATUM_INTEGER(number)};

    put(&statement, "INSERT INTO written(program,number) VALUES(?,?)");
    *put_bind(&statement) = marks[0];
    *put_bind(&statement) = marks[1];
    return execute_quietly(statements, &statement);
}

int statements_score(struct statements *statements, int64_t program)
{
    struct statement statement = {.used = 0};
    struct datum which = DATUM_INTEGER(program);

    put(&statement, "INSERT INTO score(program,n) VALUES(?,1) ON"
                    " CONFLICT(program) DO UPDATE SET n=n+1");
    *put_bind(&statement) = which;
    return execute_quietly(statements, &statement);
}

int statements_log(struct statements *statements, int64_t program,
                   int64_t number, bool never)
{
    struct statement statement = {.used = 0};
    struct datum *id;
    char text[APPLICATION_LOG_SIZE];

    application_log_id(program, number, text);
    put(&statement, "INSERT INTO log(id,v) VALUES(%s?,?)",
        never ? "'" TABLES_NEVER "'||" : "");
    id = put_bind(&statement);
    *id = (struct datum){
        .type = SQLITE_TEXT, .bytes = text, .size = strlen(text)};
    put_value(statements, &statement);
    return execute_quietly(statements, &statement);
}
