#include "copies.h"

/* @schema's table t is refused, and the reason holds @word; the file is
 * unchanged. */
static void refuses(const char *name, const char *schema, const char *word)
{
    struct copy a;
    struct gv_error error = {0};

    copy_make(&a, name, schema);
    CHECK_INT(try_track(&a, "t", &error), ==, GV_EREFUSED);
    if (strstr(error.what, word) == NULL) {
        fprintf(stderr, "'%s' is not in '%s'\n", word, error.what);
        exit(1);
    }
    CHECK(error.meaning[0] != '\0' && error.remedy[0] != '\0');
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM sqlite_schema WHERE name LIKE"
                       " 'gv_%'"),
               "0");
    copy_close(&a);
}

TEST(what_cannot_be_shared_is_refused_with_its_reason)
{
    refuses("nokey", "CREATE TABLE t(a, b)", "primary key");
    refuses("fts", "CREATE VIRTUAL TABLE t USING fts5(a)", "virtual");
    refuses("view", "CREATE VIEW t AS SELECT 1 AS a", "view");
    refuses("unique1", "CREATE TABLE t(id TEXT PRIMARY KEY, e UNIQUE)",
            "UNIQUE");
    refuses("unique2",
            "CREATE TABLE t(id TEXT PRIMARY KEY, e);"
            "CREATE UNIQUE INDEX u ON t(e) WHERE e > 0",
            "UNIQUE");
    refuses("nocase1", "CREATE TABLE t(id TEXT COLLATE NOCASE PRIMARY KEY)",
            "collation");
    refuses("nocase2",
            "CREATE TABLE t(id TEXT, PRIMARY KEY(id COLLATE NOCASE))",
            "collation");
    refuses("nocase3",
            "CREATE TABLE t(id TEXT COLLATE NOCASE, a,"
            " PRIMARY KEY(id COLLATE BINARY))",
            "collation");
    refuses("control", "CREATE TABLE t(id TEXT PRIMARY KEY, \"a\tb\")",
            "name");
    refuses("utf16",
            "PRAGMA encoding='UTF-16'; CREATE TABLE t(id TEXT PRIMARY KEY)",
            "UTF-16");
}

static void own_function(sqlite3_context *context, int count,
                         sqlite3_value **values)
{
    (void)count;
    (void)values;
    sqlite3_result_int(context, 1);
}

TEST(a_function_of_the_applications_own_is_refused)
{
    static const char *const schemas[] = {
        "CREATE TABLE t(id TEXT PRIMARY KEY, a CHECK (own(a)))",
        "CREATE TABLE t(id TEXT PRIMARY KEY, a); CREATE INDEX i ON t(own(a))"};

    for (size_t i = 0; i < 2; i++) {
        struct copy a;
        struct gv_error error = {0};

        copy_make(&a, i == 0 ? "own0" : "own1", NULL);
        sqlite3_create_function(a.app, "own", 1,
                                SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL,
                                own_function, NULL, NULL);
        sql(&a, schemas[i]);
        CHECK_INT(try_track(&a, "t", &error), ==, GV_EREFUSED);
        CHECK(strstr(error.what, "function") != NULL);
        copy_close(&a);
    }
}

TEST(a_hard_linked_file_is_refused)
{
    struct copy a;
    struct gv_error error = {0};
    char other[300];

    copy_make(&a, "linked", "CREATE TABLE t(id TEXT PRIMARY KEY)");
    snprintf(other, sizeof other, "%s.link", a.path);
    CHECK(link(a.path, other) == 0);
    CHECK_INT(try_track(&a, "t", &error), ==, GV_EREFUSED);
    CHECK(unlink(other) == 0);
    CHECK_INT(try_track(&a, "t", &error), ==, GV_OK);
    copy_close(&a);
}

TEST(a_missing_table_is_not_found)
{
    struct copy a;
    struct gv_error error = {0};

    copy_make(&a, "missing", "CREATE TABLE t(id TEXT PRIMARY KEY)");
    CHECK_INT(try_track(&a, "nosuch", &error), ==, GV_ENOTFOUND);
    copy_close(&a);
}

TEST(rows_that_are_there_are_published_once)
{
    struct copy a;
    struct gv_error error = {0};

    copy_make(&a, "once",
              "CREATE TABLE t(id TEXT PRIMARY KEY, a);"
              "INSERT INTO t VALUES('x', 1), ('y', 2)");
    track(&a, "t");
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_ver"), "2");
    CHECK_TEXT(ask(&a, "PRAGMA journal_mode"), "wal");
    CHECK_INT(try_track(&a, "t", &error), ==, GV_OK);
    CHECK_INT(try_track(&a, "T", &error), ==, GV_OK);
    CHECK(!seal(&a).any);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_interval"), "1");
    copy_close(&a);
}

TEST(numbers_that_sqlite_gives_are_warned_of)
{
    struct copy a;
    struct buffer notes;

    copy_make(&a, "numbers", "CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    buffer_init(&notes, 65536);
    CHECK_INT(store_track(a.store, "t", &notes, NULL), ==, GV_OK);
    buffer_append_u8(&notes, 0);
    CHECK(strstr((char *)notes.data, "warning:") != NULL);
    CHECK(strstr((char *)notes.data, "randomblob") != NULL);
    buffer_close(&notes);
    copy_close(&a);
}

TEST(odd_names_and_generated_columns_are_fine)
{
    struct copy a, b;
    const char *schema =
        "CREATE TABLE \"we\"\"ird 't\"(\"k 1\" TEXT, \"order\" INT,"
        " \"a\"\"b\" DEFAULT 'x''y', g AS (\"order\" + 1), v AS (1) STORED,"
        " PRIMARY KEY(\"order\", \"k 1\"))";

    copy_make(&a, "odd-a", schema);
    copy_make(&b, "odd-b", schema);
    track(&a, "we\"ird 't");
    track(&b, "we\"ird 't");
    sql(&a, "INSERT INTO \"we\"\"ird 't\" VALUES('k', 5, 'v')");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT \"a\"\"b\"||g FROM \"we\"\"ird 't\""), "v6");
    sql(&b, "DELETE FROM \"we\"\"ird 't\"");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM \"we\"\"ird 't\""), "0");
    check_equal(&a, &b);
    copy_close(&a);
    copy_close(&b);
}

TEST(a_key_of_six_columns_widens_the_journal)
{
    struct copy a, b;
    const char *schema =
        "CREATE TABLE t(a, b, c, d, e, f, v, PRIMARY KEY(a,b,c,d,e,f))";

    copy_make(&a, "six-a", schema);
    copy_make(&b, "six-b", schema);
    track(&a, "t");
    track(&b, "t");
    sql(&a, "INSERT INTO t VALUES(1,2,3,4,5,6,7), (1,2,3,4,5,0,7)");
    sync_both(&a, &b);
    sql(&b, "UPDATE t SET f = 9 WHERE f = 0");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT group_concat(f) FROM t"), "6,9");
    check_equal(&a, &b);
    copy_close(&a);
    copy_close(&b);
}

TEST(a_table_of_keys_alone_travels)
{
    struct copy a, b;
    const char *schema = "CREATE TABLE t(id TEXT PRIMARY KEY) WITHOUT ROWID";

    copy_make(&a, "keys-a", schema);
    copy_make(&b, "keys-b", schema);
    track(&a, "t");
    track(&b, "t");
    sql(&a, "INSERT INTO t VALUES('x'), ('y')");
    sync_both(&a, &b);
    sql(&b, "DELETE FROM t WHERE id = 'x'");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT group_concat(id) FROM t"), "y");
    sql(&a, "INSERT INTO t VALUES('x')");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "2");
    check_equal(&a, &b);
    copy_close(&a);
    copy_close(&b);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
