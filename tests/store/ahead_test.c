/* An apply that takes many rows at once ends as one that takes them one by
 * one, for every kind of table, and where the table refuses some of them. */
#include "copies.h"

#define ROWS 700
#define FEW 10 /* too few to be read ahead */

struct kind {
    const char *name;
    const char *sent; /* the table where rows are written */
    const char *kept; /* and where they come to; NULL: the same */
    const char *insert;
};

/* Keys that do not ascend with n. */
#define KEY "printf('%%08x', (n * 7919) %% 65521)"
#define NUMBERS                                                               \
    "WITH RECURSIVE c(n) AS (VALUES(%d) UNION ALL SELECT n+1 FROM c"          \
    " WHERE n<%d)"
#define PLAIN "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, a, b DEFAULT 'd')"

static const struct kind kinds[] = {
    {"text", PLAIN, NULL,
     NUMBERS "INSERT INTO t SELECT " KEY ", n, n %% 5, 'x' || n FROM c"},
    {"ascending", PLAIN, NULL,
     NUMBERS "INSERT INTO t SELECT printf('%%08d', n), n, n %% 5, 'x' || n"
             " FROM c"},
    {"integer", "CREATE TABLE t(id INTEGER PRIMARY KEY, n INT, a, b)", NULL,
     NUMBERS "INSERT INTO t SELECT (n - 250) * 1000, n, n %% 5, 'x' || n"
             " FROM c"},
    {"two", "CREATE TABLE t(id TEXT, n INT, a, y INT, b, PRIMARY KEY(y, id))",
     NULL,
     NUMBERS "INSERT INTO t SELECT " KEY ", n, n %% 5, n %% 3, 'x' || n"
             " FROM c"},
    {"mixed", "CREATE TABLE t(id PRIMARY KEY, n INT, a, b)", NULL,
     NUMBERS "INSERT INTO t SELECT CASE n %% 4 WHEN 0 THEN n WHEN 1 THEN"
             " 'k' || n WHEN 2 THEN CAST('k' || n AS BLOB) ELSE n + 0.5 END,"
             " n, n %% 5, CASE n %% 5 WHEN 0 THEN NULL WHEN 1 THEN n / 7.0"
             " WHEN 2 THEN zeroblob(0) WHEN 3 THEN '' ELSE n END FROM c"},
    {"large", PLAIN, NULL,
     NUMBERS "INSERT INTO t SELECT " KEY ", n, n %% 5,"
             " zeroblob(CASE n %% 50 WHEN 7 THEN 300000 + n ELSE n END)"
             " FROM c"},
    /* '7' and 7 are two keys where they are written, and one here. */
    {"variants", "CREATE TABLE t(id PRIMARY KEY, n INT, a, b)",
     "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, a, b)",
     NUMBERS "INSERT INTO t SELECT CASE n %% 2 WHEN 0 THEN n / 2"
             " ELSE '' || (n / 2) END, n, n %% 5, 'x' || n FROM c"},
    {"changed", PLAIN,
     "CREATE TABLE t(id TEXT PRIMARY KEY, n TEXT, a REAL, b)",
     NUMBERS "INSERT INTO t SELECT " KEY ", n, n %% 5, 'x' || n FROM c"},
    {"not null", PLAIN,
     "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, a NOT NULL DEFAULT 9, b)",
     NUMBERS "INSERT INTO t SELECT " KEY ", n,"
             " CASE WHEN n %% 90 > 2 THEN n END, 'x' || n FROM c"},
    {"strict", PLAIN,
     "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, a INT, b TEXT) STRICT",
     NUMBERS "INSERT INTO t SELECT " KEY ", n,"
             " CASE WHEN n %% 90 > 2 THEN n ELSE 'no' END, 'x' || n FROM c"},
    /* All is kept as it is until rows change. */
    {"changed later", PLAIN,
     "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, a TEXT, b DEFAULT 'd')",
     NUMBERS "INSERT INTO t SELECT " KEY ", n, 'a' || n, 'x' || n FROM c"},
    {"refused later", PLAIN,
     "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, a NOT NULL, b DEFAULT 'd')",
     NUMBERS "INSERT INTO t SELECT " KEY ", n, 'a' || n, 'x' || n FROM c"},
    {"needed",
     "CREATE TABLE t(id TEXT PRIMARY KEY, n INT NOT NULL, a NOT NULL,"
     " b TEXT NOT NULL)",
     NULL, NUMBERS "INSERT INTO t SELECT " KEY ", n, n %% 5, 'x' || n FROM c"},
    {"needed and strict",
     "CREATE TABLE t(id TEXT PRIMARY KEY, n INTEGER NOT NULL,"
     " a ANY NOT NULL, b TEXT NOT NULL) STRICT",
     NULL, NUMBERS "INSERT INTO t SELECT " KEY ", n, n %% 5, 'x' || n FROM c"},
    {"no rowid",
     "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, a, b) WITHOUT ROWID", NULL,
     NUMBERS "INSERT INTO t SELECT " KEY ", n, n %% 5, 'x' || n FROM c"},
    {"fewer", PLAIN, "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, a)",
     NUMBERS "INSERT INTO t SELECT " KEY ", n, n %% 5, 'x' || n FROM c"},
};

static const char *const changes[] = {
    "UPDATE OR IGNORE t SET a = CASE n %% 40 WHEN 0 THEN n WHEN 1 THEN NULL"
    " ELSE 'y' || n END WHERE n BETWEEN %d AND %d",
    "UPDATE t SET a = 'new' WHERE n %% 3 = 0 AND n BETWEEN %d AND %d",
    "DELETE FROM t WHERE n %% 7 = 0 AND n BETWEEN %d AND %d",
    /* Not the same columns in each row. */
    "UPDATE t SET a = 'of ' || n, b = CASE n %% 40 WHEN 0 THEN b ELSE n END"
    " WHERE n BETWEEN %d AND %d",
    "UPDATE t SET n = n + 100000 WHERE n %% 11 = 0 AND n BETWEEN %d AND %d",
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

static const char *users(struct copy *copy)
{
    return ask(copy, "SELECT count(*) || ' ' || sum(unicode(substr(quote(id),"
                     " -3)) * (n + 3)) || ' ' || total(length(quote(a)) * n)"
                     " || ' ' || count(DISTINCT a) FROM t");
}

static const char *parked(struct copy *copy)
{
    return ask(copy, "SELECT count(*) || ' ' || coalesce(sum(bit * (held + 2)"
                     "), 0) || ' ' || count(shown) FROM gv_parked");
}

static void check_same(struct copy *at_once, struct copy *by_few)
{
    check_equal(at_once, by_few);
    CHECK_TEXT(users(at_once), users(by_few));
    CHECK_TEXT(parked(at_once), parked(by_few));
    CHECK_INT(verify_findings(at_once, NULL), ==, 0);
    CHECK_INT(verify_findings(by_few, NULL), ==, 0);
}

/* @format on all rows of @origin, a few a seal; each goes to @by_few at once,
 * and all together to @at_once. */
static void in_steps(struct copy *origin, const char *format,
                     struct copy *by_few, struct copy *at_once)
{
    for (int first = 1; first <= ROWS; first += FEW) {
        sql_range(origin, format, first, first + FEW - 1);
        must_pull(by_few, origin);
    }
    must_pull(at_once, origin);
}

static void three(const struct kind *kind, struct copy *origin,
                  struct copy *by_few, struct copy *at_once)
{
    const char *kept = kind->kept == NULL ? kind->sent : kind->kept;
    char name[64];

    snprintf(name, sizeof name, "%s-origin", kind->name);
    copy_make(origin, name, kind->sent);
    snprintf(name, sizeof name, "%s-few", kind->name);
    copy_make(by_few, name, kept);
    snprintf(name, sizeof name, "%s-once", kind->name);
    copy_make(at_once, name, kept);
    track(origin, "t");
    track(by_few, "t");
    track(at_once, "t");
}

TEST(rows_at_once_end_as_rows_one_by_one)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct copy origin, by_few, at_once, whole;
        char name[64];

        three(&kinds[i], &origin, &by_few, &at_once);
        in_steps(&origin, kinds[i].insert, &by_few, &at_once);
        check_same(&at_once, &by_few);
        for (size_t j = 0; j < sizeof changes / sizeof *changes; j++) {
            in_steps(&origin, changes[j], &by_few, &at_once);
            check_same(&at_once, &by_few);
        }
        /* Known rows, deaths and new rows in one delta. */
        snprintf(name, sizeof name, "%s-whole", kinds[i].name);
        copy_make(&whole, name, kinds[i].sent);
        track(&whole, "t");
        must_pull(&whole, &origin);
        check_equal(&whole, &origin);
        CHECK_TEXT(users(&whole), users(&origin));
        CHECK(!seal(&at_once).any);
        copy_close(&origin);
        copy_close(&by_few);
        copy_close(&at_once);
        copy_close(&whole);
    }
}

/* A UNIQUE index made after track takes the first of two rows. */
TEST(rows_that_a_unique_index_refuses_are_parked)
{
    struct copy origin, by_few, at_once;

    three(&(struct kind){"unique", "CREATE TABLE t(id PRIMARY KEY, n, a, b)",
                         NULL, NULL},
          &origin, &by_few, &at_once);
    sql(&by_few, "CREATE UNIQUE INDEX u ON t(b)");
    sql(&at_once, "CREATE UNIQUE INDEX u ON t(b)");
    audit_now(&by_few);
    audit_now(&at_once);
    in_steps(&origin,
             NUMBERS "INSERT INTO t SELECT printf('%%08d', n), n, n %% 5,"
                     " CASE WHEN n %% 40 = 0 THEN 'twin' ELSE n END FROM c",
             &by_few, &at_once);
    check_same(&at_once, &by_few);
    CHECK_TEXT(ask(&at_once, "SELECT count(*) FROM t"), "700");
    CHECK_TEXT(ask(&at_once, "SELECT count(*) FROM t WHERE b = 'twin'"), "1");
    CHECK_TEXT(ask(&at_once, "SELECT count(*) FROM gv_parked"), "16");
    copy_close(&origin);
    copy_close(&by_few);
    copy_close(&at_once);
}

/* A row that the log knows nothing of stands in the way of one of many. */
TEST(a_row_past_the_triggers_is_found_among_many)
{
    struct copy origin, by_few, at_once;
    struct gv_error error = {0};

    three(&(struct kind){"past", PLAIN, PLAIN, NULL}, &origin, &by_few,
          &at_once);
    sqlite3_db_config(at_once.app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sql(&at_once, "INSERT INTO t VALUES('00000423', 1, 'mine', 'mine')");
    sql_range(&origin,
              NUMBERS "INSERT INTO t SELECT printf('%%08d', n), n, n %% 5,"
                      " 'x' || n FROM c",
              1, ROWS);
    CHECK_INT(pull(&at_once, &origin, &error), ==, GV_EDIFFERS);
    CHECK(strstr(error.what, "00000423") != NULL);
    CHECK_TEXT(ask(&at_once, "SELECT count(*) FROM t"), "1");
    CHECK_TEXT(ask(&at_once, "SELECT count(*) FROM gv_row_1"), "0");
    must_pull(&at_once, &origin);
    CHECK_TEXT(ask(&at_once, "SELECT count(*) FROM t"), "700");
    sync_both(&origin, &at_once);
    check_equal(&origin, &at_once);
    CHECK_INT(verify_findings(&at_once, NULL), ==, 0);
    copy_close(&origin);
    copy_close(&by_few);
    copy_close(&at_once);
}

/* A row that the log has is not there when many are changed. */
TEST(a_row_that_is_gone_is_found_among_many)
{
    struct copy origin, by_few, at_once;
    struct gv_error error = {0};

    three(&(struct kind){"gone", PLAIN, PLAIN, NULL}, &origin, &by_few,
          &at_once);
    in_steps(&origin,
             NUMBERS "INSERT INTO t SELECT printf('%%08d', n), n, n %% 5,"
                     " 'x' || n FROM c",
             &by_few, &at_once);
    sqlite3_db_config(at_once.app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sql(&at_once, "DELETE FROM t WHERE id = '00000423'");
    sql(&origin, "UPDATE t SET a = 'new'");
    CHECK_INT(pull(&at_once, &origin, &error), ==, GV_EDIFFERS);
    CHECK(strstr(error.what, "00000423") != NULL);
    CHECK_TEXT(ask(&at_once, "SELECT count(*) || ' ' || sum(a) FROM t"),
               "699 1397");
    must_pull(&at_once, &origin);
    sync_both(&origin, &at_once);
    check_equal(&origin, &at_once);
    CHECK_TEXT(ask(&origin, "SELECT count(*) FROM t WHERE a = 'new'"), "699");
    CHECK_INT(verify_findings(&at_once, NULL), ==, 0);
    copy_close(&origin);
    copy_close(&by_few);
    copy_close(&at_once);
}

/* Where the first row of a stream stands. */
static size_t first_row(const uint8_t *bytes, size_t size)
{
    size_t at = 0;

    while (at < size) {
        size_t item = load_u32(bytes + at);
        struct stream_item decoded;

        CHECK_INT(stream_decode(bytes + at + 4, item, &decoded), ==, GV_OK);
        if (decoded.kind == STREAM_ROW)
            break;
        at += 4 + item;
    }
    return at;
}

/* Two parts of one row under one key, a run apart or next to one another: the
 * second is merged into what the first made. */
TEST(a_key_may_come_twice_in_one_delta)
{
    struct kind twice = kinds[0];
    struct copy origin, by_few, at_once;
    struct extract *extract;
    struct store_sealed sealed;
    struct gv_error error = {0};
    uint8_t *bytes;
    size_t size, rows;

    twice.name = "twice";
    three(&twice, &origin, &by_few, &at_once);
    copy_close(&at_once);
    in_steps(&origin, kinds[0].insert, &by_few, &by_few);
    CHECK_INT(
        extract_whole(&origin, (struct vv_view){NULL, 0}, &extract, &error),
        ==, GV_OK);
    size = (size_t)extract_size(extract);
    bytes = malloc(size);
    CHECK_INT(extract_read(extract, 0, bytes, size), ==, GV_OK);
    rows = first_row(bytes, size);
    for (uint64_t token = 1; token <= 2; token++) {
        /* All rows twice; or the first one twice. */
        size_t again = token == 1 ? size : rows + 4 + load_u32(bytes + rows);

        copy_make(&at_once, token == 1 ? "all twice" : "one twice",
                  kinds[0].sent);
        track(&at_once, "t");
        CHECK_INT(store_stage(at_once.store, token, 0, bytes, again), ==,
                  GV_OK);
        CHECK_INT(store_stage(at_once.store, token, again, bytes + rows,
                              size - rows),
                  ==, GV_OK);
        CHECK_INT(store_begin(at_once.store, &error), ==, GV_OK);
        CHECK_INT(store_apply_delta(at_once.store, token,
                                    extract_claim(extract), &error),
                  ==, GV_OK);
        CHECK_INT(store_commit(at_once.store, &sealed, &error), ==, GV_OK);
        check_same(&at_once, &by_few);
        copy_close(&at_once);
    }
    extract_free(extract);
    free(bytes);
    copy_close(&origin);
    copy_close(&by_few);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
