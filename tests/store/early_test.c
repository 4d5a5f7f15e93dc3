/* A seal reads before it takes the write lock.  What others write between the
 * two is sealed as it is then, and the rest is not read again. */
#include "copies.h"

#include "store/borrowed.h"
#include "store/internal.h"

static struct copy a, b;
static const char *between; /* what the application writes before the lock */
static bool locked;         /* the lock was asked for */
static int read_again;      /* user's rows read under the lock */

static void write_between(void)
{
    const char *text = between;

    between = NULL;
    if (text != NULL)
        sql(&a, text);
}

static int watch(unsigned event, void *context, void *statement, void *text)
{
    const char *now = text;

    (void)event;
    (void)context;
    (void)statement;
    if (strcmp(now, "DELETE FROM gv_journal WHERE 0") == 0) {
        write_between();
        locked = true;
    }
    read_again += locked && strstr(now, "FROM main.\"t\" WHERE") != NULL;
    return 0;
}

static void make(const char *name, const char *schema)
{
    char other[40];

    snprintf(other, sizeof other, "%s-b", name);
    copy_make(&a, name, schema);
    copy_make(&b, other, schema);
    track(&a, "t");
    track(&b, "t");
    CHECK_INT(sqlite3_trace_v2(a.store->db, SQLITE_TRACE_STMT, watch, NULL),
              ==, SQLITE_OK);
}

#define ROWS                                                                  \
    "WITH RECURSIVE c(n) AS (VALUES(1) UNION ALL SELECT n + 1 FROM c WHERE"   \
    " n < 200) INSERT INTO t SELECT "

/* @first, then a seal in whose middle @second is written. */
static struct store_sealed seal_around(const char *first, const char *second)
{
    struct store_sealed sealed;

    sql(&a, first);
    between = second;
    locked = false;
    read_again = 0;
    sealed = seal(&a);
    CHECK(between == NULL);
    CHECK(locked);
    return sealed;
}

/* All is sealed, as it is in the table. */
static void check_sealed(void)
{
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_journal"), "0");
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    must_pull(&b, &a);
    check_equal(&a, &b);
}

static void end(void)
{
    copy_close(&a);
    copy_close(&b);
}

static const struct {
    const char *name, *schema, *rows;
} shapes[] = {
    {"text", "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, m)",
     ROWS "printf('%03d', (n * 77) % 200), n, n FROM c"},
    {"integer", "CREATE TABLE t(id INTEGER PRIMARY KEY, n INT, m)",
     ROWS "(n * 77) % 200, n, n FROM c"},
    {"clustered",
     "CREATE TABLE t(id PRIMARY KEY NOT NULL, n INT, m) WITHOUT ROWID",
     ROWS "(n * 77) % 200, n, n FROM c"},
};

TEST(rows_written_between_the_reading_and_the_lock_are_read_again)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        make(shapes[i].name, shapes[i].schema);
        CHECK(seal_around(shapes[i].rows,
                          "UPDATE t SET m = 'later' WHERE n IN (1, 100);"
                          "DELETE FROM t WHERE n = 3;"
                          "INSERT INTO t VALUES(1000, 0, 'new'),"
                          " (-5, 0, 'new')")
                  .any);
        CHECK_INT(read_again, ==, 5);
        check_sealed();
        CHECK(seal_around("UPDATE t SET m = 'now'",
                          "UPDATE t SET m = 'later' WHERE n > 190;"
                          "UPDATE t SET n = 7 WHERE n = 5")
                  .any);
        CHECK_INT(read_again, ==, 11);
        check_sealed();
        end();
    }
}

/* A slice has 50 keys of 200; of what is written, two are in the first. */
TEST(slices_of_a_seal_read_before_the_lock_too)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct store_worked worked = {.more = true};
        struct gv_error error = {0};
        char name[40];

        snprintf(name, sizeof name, "sliced-%s", shapes[i].name);
        copies_slices = (struct store_slices){.journal_rows = 20, .keys = 50};
        make(name, shapes[i].schema);
        copies_slices = (struct store_slices){0};
        sql(&a, shapes[i].rows);
        between = "UPDATE t SET m = 'later' WHERE n IN (13, 1);"
                  "INSERT INTO t VALUES(-5, 0, 'new')";
        locked = false;
        read_again = 0;
        for (int slices = 0; worked.more; slices++) {
            CHECK_INT(slices, <, 5);
            CHECK_INT(store_work(a.store, &worked, &error), ==, GV_OK);
            CHECK(locked && between == NULL);
        }
        CHECK(worked.sealed.any);
        CHECK_INT(read_again, ==, 2);
        check_sealed();
        end();
    }
}

TEST(nothing_is_read_again_when_nobody_wrote)
{
    make("nobody", shapes[0].schema);
    CHECK(seal_around(shapes[0].rows, NULL).any);
    CHECK_INT(read_again, ==, 0);
    check_sealed();
    CHECK(seal_around("UPDATE t SET n = n + 1", NULL).any);
    CHECK_INT(read_again, ==, 0);
    check_sealed();
    CHECK(!seal_around("UPDATE t SET n = n", NULL).any);
    CHECK_INT(read_again, ==, 0);
    end();
}

TEST(a_few_rows_are_sealed_as_they_are_under_the_lock)
{
    make("few", shapes[0].schema);
    CHECK(seal_around("INSERT INTO t VALUES('x', 1, 1), ('y', 1, 1)",
                      "UPDATE t SET m = 2 WHERE id = 'x';"
                      "INSERT INTO t VALUES('z', 1, 1)")
              .any);
    check_sealed();
    end();
}

TEST(a_row_put_back_between_the_two_was_never_changed)
{
    make("back", shapes[0].schema);
    CHECK(seal_around(shapes[0].rows, NULL).any);
    CHECK(!seal_around("UPDATE t SET n = -n", "UPDATE t SET n = -n").any);
    check_sealed();
    end();
}

TEST(a_schema_that_moves_between_the_two_makes_it_begin_anew)
{
    make("schema", shapes[0].schema);
    CHECK(seal_around(shapes[0].rows,
                      "ALTER TABLE t ADD COLUMN added DEFAULT 3;"
                      "UPDATE t SET added = n WHERE n < 50")
              .any);
    sql(&b, "ALTER TABLE t ADD COLUMN added DEFAULT 3");
    check_sealed();
    end();
}

TEST(rows_of_many_tables_are_read_early)
{
    copy_make(&a, "many",
              "CREATE TABLE s(id PRIMARY KEY, n);"
              "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, m);"
              "CREATE TABLE u(id INTEGER PRIMARY KEY, n)");
    copy_make(&b, "many-b",
              "CREATE TABLE s(id PRIMARY KEY, n);"
              "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, m);"
              "CREATE TABLE u(id INTEGER PRIMARY KEY, n)");
    for (const char *table = "stu"; *table != '\0'; table++) {
        char name[2] = {*table, '\0'};

        track(&a, name);
        track(&b, name);
    }
    sqlite3_trace_v2(a.store->db, SQLITE_TRACE_STMT, watch, NULL);
    sql(&a, shapes[0].rows);
    CHECK(seal_around("INSERT INTO s SELECT id, n FROM t;"
                      "INSERT INTO u SELECT n, m FROM t",
                      "DELETE FROM s WHERE n = 1; UPDATE u SET n = 'x' WHERE"
                      " id = 200; UPDATE t SET n = 0 WHERE n = 9")
              .any);
    CHECK_INT(read_again, ==, 1);
    check_sealed();
    end();
}

/* A table of keys of all classes, with a counter, a multi-value column and a
 * column that the other file alone has without a type. */
static void make_odd(void)
{
    static const struct store_kind list[] = {{"n", COLUMN_COUNTER},
                                             {"m", COLUMN_MV}};
    static const struct store_kinds kinds = {list, 2};
    struct gv_error error = {0};
    struct copy *both[] = {&a, &b};

    copies_slices = (struct store_slices){.seal_many = 2, .apply_many = 2};
    copy_make(&a, "odd",
              "CREATE TABLE t(k PRIMARY KEY, n INT DEFAULT 0, m,"
              " p INT)");
    copy_make(&b, "odd-b",
              "CREATE TABLE t(k PRIMARY KEY, n INT DEFAULT 0,"
              " m, p)");
    copies_slices = (struct store_slices){0};
    for (size_t i = 0; i < 2; i++) {
        struct buffer notes;

        buffer_init(&notes, 65536);
        CHECK_INT(store_track_as(both[i]->store, "t", &kinds, &notes, &error),
                  ==, GV_OK);
        buffer_close(&notes);
    }
    sql(&b, "INSERT INTO t(k, p) VALUES('parked', '1'), ('freed', '2')");
    must_pull(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM t WHERE typeof(p) = 'integer'"),
               "2");
    CHECK_INT(sqlite3_trace_v2(a.store->db, SQLITE_TRACE_STMT, watch, NULL),
              ==, SQLITE_OK);
}

TEST(rows_of_all_kinds_written_between_the_two_are_read_again)
{
    static const char *const rows =
        "SELECT group_concat(quote(k)||quote(n)||quote(m)||quote(p)) FROM"
        " (SELECT * FROM t WHERE k IS NOT NULL ORDER BY k)";

    make_odd();
    CHECK(seal_around("INSERT INTO t(k, n, m) VALUES(7, 1, 'a'),"
                      " ('7', 2, 'b'), (x'37', 3, 'c'), (NULL, 4, 'd'),"
                      " (7.5, 5, 'e');"
                      "UPDATE t SET n = 9 WHERE k = 'parked' OR k = 'freed'",
                      "UPDATE t SET n = n + 10, m = m||'!' WHERE k = 7;"
                      "DELETE FROM t WHERE k = '7';"
                      "UPDATE t SET k = 8 WHERE k IS NULL;"
                      "UPDATE t SET k = NULL WHERE k = 7.5;"
                      "UPDATE t SET p = 3 WHERE k = 'freed'")
              .any);
    check_sealed();
    CHECK_TEXT(ask(&b, "SELECT n||m FROM t WHERE k = 7"), "11a!");
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t WHERE k = '7' OR k = 7.5"),
               "0");
    CHECK_TEXT(ask(&b, "SELECT quote(p) FROM t WHERE k = 'parked'"), "'1'");
    CHECK_TEXT(ask(&b, "SELECT quote(p) FROM t WHERE k = 'freed'"), "3");
    CHECK(seal_around("UPDATE t SET n = n + 1, m = 'x' WHERE k <> 'parked'",
                      "INSERT INTO t(k, n) VALUES('7', 1);"
                      "DELETE FROM t WHERE k = 7;"
                      "INSERT INTO t(k, n, m) VALUES(7, 100, 'again');"
                      "UPDATE t SET m = 'y' WHERE k = x'37'")
              .any);
    check_sealed();
    CHECK_TEXT(ask(&b, "SELECT n||m FROM t WHERE k = 7"), "100again");
    must_pull(&a, &b);
    sql(&b, "UPDATE t SET p = 1 WHERE k = 'parked'");
    must_pull(&a, &b);
    CHECK_TEXT(ask(&a, rows), ask(&b, rows));
    end();
}

TEST(who_holds_the_lock_is_waited_for_and_nothing_is_lost)
{
    struct store_sealed sealed;
    struct gv_error error = {0};

    make("holds", shapes[0].schema);
    sql(&a, shapes[0].rows);
    between = "BEGIN IMMEDIATE; UPDATE t SET m = 'held' WHERE n = 4";
    CHECK_INT(store_begin(a.store, &error), ==, GV_EBUSY);
    CHECK(between == NULL);
    CHECK(!transaction_open(a.store));
    sql(&a, "COMMIT");
    sealed = seal(&a);
    CHECK(sealed.any);
    check_sealed();
    end();
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
