/* A seal that reads its rows ahead sees what one that reads them one by one
 * does, for every kind of table. */
#include "copies.h"

/* One seal of all rows is a batch; seals of a few rows each are none. */
#define ROWS 500
#define FEW 20

struct kind {
    const char *name;
    const char *schema;
    const char *insert; /* rows ?1 to ?2 of n */
};

/* Keys that neither ascend with n nor lie where they were written. */
#define KEY "printf('%%08x', (n * 7919) %% 65521)"
#define NUMBERS                                                               \
    "WITH RECURSIVE c(n) AS (VALUES(%d) UNION ALL SELECT n+1 FROM c"          \
    " WHERE n<%d)"

static const struct kind kinds[] = {
    {"text", "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, a, b DEFAULT 'd')",
     NUMBERS "INSERT INTO t SELECT " KEY ", n, n %% 5, 'x' || n FROM c"},
    {"integer", "CREATE TABLE t(id INTEGER PRIMARY KEY, n INT, a, b)",
     NUMBERS "INSERT INTO t SELECT (n - 250) * 1000, n, n %% 5, 'x' || n"
             " FROM c"},
    {"two", "CREATE TABLE t(x TEXT, n INT, a, y INT, b, PRIMARY KEY(y, x))",
     NUMBERS "INSERT INTO t SELECT " KEY ", n, n %% 5, n %% 3, 'x' || n"
             " FROM c"},
    {"clustered",
     "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, n INT, a, b)"
     " WITHOUT ROWID",
     NUMBERS "INSERT INTO t SELECT " KEY ", n, n %% 5, 'x' || n FROM c"},
    {"hidden", "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, a, b, _RowId_ INT)",
     NUMBERS "INSERT INTO t SELECT " KEY ", n, n %% 5, 'x' || n,"
             " n %% 4 FROM c"},
    {"mixed", "CREATE TABLE t(id PRIMARY KEY, n INT, a, b)",
     NUMBERS "INSERT INTO t SELECT CASE n %% 4 WHEN 0 THEN n WHEN 1 THEN"
             " 'k' || n WHEN 2 THEN CAST('k' || n AS BLOB) ELSE n + 0.5 END,"
             " n, n %% 5, CASE n %% 5 WHEN 0 THEN NULL WHEN 1 THEN n / 7.0"
             " WHEN 2 THEN zeroblob(0) WHEN 3 THEN '' ELSE n END FROM c"},
    {"large", "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, a, b)",
     NUMBERS "INSERT INTO t SELECT " KEY ", n, n %% 5,"
             " zeroblob(CASE n %% 50 WHEN 7 THEN 4000000 + n ELSE n END)"
             " FROM c"},
};

/* What is done to the rows from the first number to the second. */
static const char *const changes[] = {
    "UPDATE t SET a = 'new' WHERE n %% 3 = 0 AND n BETWEEN %d AND %d",
    "DELETE FROM t WHERE n %% 7 = 0 AND n BETWEEN %d AND %d",
    "UPDATE t SET a = a, b = b WHERE n %% 5 = 0 AND n BETWEEN %d AND %d",
    "UPDATE t SET b = NULL, a = -a WHERE n %% 11 = 0 AND n BETWEEN %d AND %d",
};

static void sql_range(struct copy *copy, const char *format, int first,
                      int last)
{
    char text[600];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, format, first, last);
#pragma GCC diagnostic pop
    sql(copy, text);
}

/* @format on all rows, @step rows a seal. */
static void in_steps(struct copy *copy, const char *format, int step)
{
    for (int first = 1; first <= ROWS; first += step) {
        sql_range(copy, format, first, first + step - 1);
        seal(copy);
    }
}

/* Keys, lives and the sizes of states: which columns which seal wrote. */
static const char *states(struct copy *copy, const char *name)
{
    return ask(copy, strcmp(name, "integer") == 0
                         ? "SELECT sum(rid * (cl * 1000 + length(state)))"
                           " || ' ' || count(*) FROM gv_row_1"
                         : "SELECT sum(unicode(substr(quote(k1), -3)) *"
                           " (cl * 1000 + length(state))) || ' ' || count(*)"
                           " FROM gv_row_1");
}

static const char *users(struct copy *copy)
{
    return ask(copy, "SELECT count(*) || ' ' || sum(n * length(quote(a))) ||"
                     " ' ' || sum(n * coalesce(length(b), 3)) || ' ' ||"
                     " group_concat(a) FROM (SELECT * FROM t ORDER BY n)");
}

static void check_same(struct copy *at_once, struct copy *by_few,
                       const char *name)
{
    CHECK_TEXT(users(at_once), users(by_few));
    CHECK_TEXT(states(at_once, name), states(by_few, name));
    CHECK_INT(verify_findings(at_once, NULL), ==, 0);
    CHECK_INT(verify_findings(by_few, NULL), ==, 0);
}

TEST(a_seal_that_reads_ahead_sees_what_others_see)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct kind *kind = &kinds[i];
        struct copy at_once, by_few, reader;
        char name[64];

        snprintf(name, sizeof name, "%s-once", kind->name);
        copy_make(&at_once, name, kind->schema);
        snprintf(name, sizeof name, "%s-few", kind->name);
        copy_make(&by_few, name, kind->schema);
        snprintf(name, sizeof name, "%s-reader", kind->name);
        copy_make(&reader, name, kind->schema);
        track(&at_once, "t");
        track(&by_few, "t");
        track(&reader, "t");
        in_steps(&at_once, kind->insert, ROWS);
        in_steps(&by_few, kind->insert, FEW);
        check_same(&at_once, &by_few, kind->name);
        for (size_t j = 0; j < sizeof changes / sizeof *changes; j++) {
            in_steps(&at_once, changes[j], ROWS);
            in_steps(&by_few, changes[j], FEW);
            check_same(&at_once, &by_few, kind->name);
        }
        must_pull(&reader, &at_once);
        check_equal(&reader, &at_once);
        CHECK_TEXT(users(&reader), users(&at_once));
        copy_close(&at_once);
        copy_close(&by_few);
        copy_close(&reader);
    }
}

TEST(what_lived_and_died_in_one_journal_is_looked_at_once)
{
    struct copy copy;

    copy_make(&copy, "lives", kinds[0].schema);
    track(&copy, "t");
    in_steps(&copy, kinds[0].insert, ROWS);
    sql(&copy, "BEGIN; UPDATE t SET a = a + 1; DELETE FROM t WHERE n < 9;"
               "UPDATE t SET a = a - 1; COMMIT");
    sql(&copy, "INSERT INTO t SELECT 'z' || n, 1000 + n, 1, 2 FROM t;"
               "DELETE FROM t WHERE n > 1000");
    seal(&copy);
    CHECK_TEXT(ask(&copy, "SELECT count(*) FROM gv_row_1"), "500");
    CHECK_TEXT(ask(&copy, "SELECT sum(cl) FROM gv_row_1"), "508");
    CHECK_TEXT(ask(&copy, "SELECT count(DISTINCT version) FROM gv_ver"), "2");
    CHECK_INT(verify_findings(&copy, NULL), ==, 0);
    copy_close(&copy);
}

/* 16,384 rows are a batch; in the second seal one row of five is new, so that
 * some of them wait when a batch ends. */
TEST(a_seal_may_have_more_rows_than_a_batch)
{
    struct copy copy;

    copy_make(&copy, "many", kinds[0].schema);
    track(&copy, "t");
    sql_range(&copy, kinds[0].insert, 1, 20000);
    seal(&copy);
    CHECK_TEXT(ask(&copy, "SELECT count(*) FROM gv_row_1"), "20000");
    CHECK_INT(verify_findings(&copy, NULL), ==, 0);
    sql(&copy, "BEGIN; UPDATE t SET a = -1");
    sql_range(&copy, kinds[0].insert, 20001, 25000);
    sql(&copy, "COMMIT");
    seal(&copy);
    CHECK_TEXT(ask(&copy, "SELECT count(*) FROM gv_row_1"), "25000");
    CHECK_TEXT(ask(&copy, "SELECT count(*) FROM gv_ver"), "45000");
    CHECK_INT(verify_findings(&copy, NULL), ==, 0);
    copy_close(&copy);
}

TEST(a_peers_new_column_comes_between_two_long_seals)
{
    static const char many[] =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE"
        " i<500) INSERT OR REPLACE INTO t(id,a) SELECT 'k'||i,%d FROM n";
    struct copy here, peer;
    char text[200];

    copy_make(&here, "column-here", "CREATE TABLE t(id TEXT PRIMARY KEY, a)");
    copy_make(&peer, "column-peer", "CREATE TABLE t(id TEXT PRIMARY KEY, a)");
    track(&here, "t");
    track(&peer, "t");
    snprintf(text, sizeof text, many, 1);
    sql(&here, text);
    seal(&here);
    sql(&peer, "ALTER TABLE t ADD COLUMN b; INSERT INTO t VALUES('k1',0,2)");
    seal(&peer);
    must_pull(&here, &peer);
    snprintf(text, sizeof text, many, 2);
    sql(&here, text);
    CHECK(seal(&here).any);
    sql(&here, "ALTER TABLE t ADD COLUMN b");
    seal(&here);
    sync_both(&here, &peer);
    check_equal(&here, &peer);
    CHECK_TEXT(ask(&here, "SELECT count(*)||':'||sum(a) FROM t"), "500:1000");
    copy_close(&here);
    copy_close(&peer);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
