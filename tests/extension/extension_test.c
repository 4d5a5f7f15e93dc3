#include "files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Merging */

/* Cases of the corpus of conformance tests in small: what both start with,
 * what each writes apart, and what both show in the end. */
static const struct {
    const char *id, *base, *a, *b, *expected;
} cases[] = {
    {"L9", "INSERT INTO t VALUES(1,'x','y')", "UPDATE t SET a='A'",
     "UPDATE t SET b='B'", "1='A','B';"},
    {"L17", "SELECT 1", "INSERT INTO t VALUES(1,1,2)",
     "INSERT INTO t VALUES(1,1,2)", "1=1,2;"},
    {"D10", "INSERT INTO t VALUES(1,'x','y')", "DELETE FROM t",
     "UPDATE t SET a='B'", ""},
    {"D27", "INSERT INTO t VALUES(1,1,1),(2,2,2),(3,3,3)",
     "DELETE FROM t WHERE id<3", "DELETE FROM t WHERE id=1", "3=3,3;"},
    {"K1", "INSERT INTO t VALUES(1,'x','y')", "UPDATE t SET id=2", "SELECT 1",
     "2='x','y';"},
    {"K6", "INSERT INTO t VALUES(1,'x','y')", "UPDATE t SET id=2",
     "UPDATE t SET id=3", "2='x','y';3='x','y';"},
    {"Q1", "INSERT INTO t VALUES(1,1,1),(2,2,2)",
     "UPDATE t SET rowid=77 WHERE id=1", "SELECT 1", "2=2,2;77=1,1;"},
    {"Q23", "INSERT INTO t VALUES(1,1,1)", "UPDATE OR IGNORE t SET a=2",
     "SELECT 1", "1=2,1;"},
};

static void run_case(size_t index, void (*way)(struct file *, struct file *),
                     bool swapped)
{
    struct file a, b;
    char shown[4096];

    pair(&a, &b, TABLE);
    sql(&a, cases[index].base);
    exchange(&a, &b, way);
    sql(&a, cases[index].a);
    sql(&b, cases[index].b);
    if (swapped)
        exchange(&b, &a, way);
    else
        exchange(&a, &b, way);
    contents(&a, shown, sizeof shown);
    fprintf(stderr, "%s\n", cases[index].id);
    CHECK_TEXT(shown, cases[index].expected);
    check_equal(&a, &b);
    file_close(&a);
    file_close(&b);
}

TEST(cases_of_the_corpus_hold_by_delta_and_by_rows_in_each_order)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int swapped = 0; swapped < 2; swapped++) {
            run_case(i, pull, swapped);
            run_case(i, pull_rows, swapped);
        }
}

static const char *const odd_values[] = {
    "NULL",
    "9223372036854775807",
    "-9223372036854775807-1",
    "0.1",
    "-0.0",
    "1e300",
    "1.0/3",
    "''",
    "x''",
    "zeroblob(300000)",
    "'a'||char(0)||'b'",
    "CAST(x'ff61' AS TEXT)",
    "'ÄÖ''\"'",
};

TEST(values_arrive_bit_for_bit_both_ways)
{
    struct file a, b, c;
    char insert[256];

    pair(&a, &b, TABLE);
    file_make(&c, TABLE);
    ask(&c, "SELECT gv_track('t')");
    for (size_t i = 0; i < sizeof odd_values / sizeof *odd_values; i++) {
        snprintf(insert, sizeof insert, "INSERT INTO t VALUES(%zu,%s,%s)", i,
                 odd_values[i], odd_values[i]);
        sql(&a, insert);
    }
    pull(&b, &a);
    pull_rows(&c, &a);
    check_equal(&a, &b);
    check_equal(&a, &c);
    file_close(&a);
    file_close(&b);
    file_close(&c);
}

TEST(a_long_delta_and_a_long_transaction_of_rows)
{
    struct file a, b, c;

    pair(&a, &b, TABLE);
    file_make(&c, TABLE);
    ask(&c, "SELECT gv_track('t')");
    sql(&a, "WITH n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5000)"
            " INSERT INTO t SELECT i, hex(zeroblob(40)), i*i FROM n");
    pull(&b, &a);
    pull_rows(&c, &b);
    CHECK_TEXT(ask(&c, "SELECT count(*)||' '||sum(b) FROM t"),
               "5000 41679167500");
    CHECK_TEXT(ask(&a, "SELECT hex(fingerprint) FROM gv_meta"),
               ask(&c, "SELECT hex(fingerprint) FROM gv_meta"));
    file_close(&a);
    file_close(&b);
    file_close(&c);
}

TEST(since_a_version_of_this_site_means_what_was_published_after)
{
    struct file a, b;
    char query[200];

    pair(&a, &b, TABLE);
    sql(&a, "INSERT INTO t VALUES(1,1,1)");
    ask(&a, "SELECT length(gv_delta(NULL))");
    snprintf(query, sizeof query,
             "SELECT count(*) FROM gv_changes WHERE since=%s",
             ask(&a, "SELECT gv_version()"));
    CHECK_TEXT(ask(&a, query), "1"); /* the claim row */
    sql(&a, "UPDATE t SET a=2");
    CHECK_TEXT(ask(&a, query), "2");
    /* One between two publications is as good as the earlier one. */
    snprintf(query, sizeof query,
             "SELECT count(*) FROM gv_changes WHERE since=%s-1",
             ask(&a, "SELECT gv_version()"));
    CHECK_TEXT(ask(&a, query), "2");
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_changes"), "4");
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_changes WHERE since=1"), "4");
    refused(&a, "SELECT * FROM gv_changes WHERE since='x'",
            "no version vector");
    refused(&a, "SELECT gv_delta(x'00')", "no version vector");
    file_close(&a);
    file_close(&b);
}

/* What must not be taken */

TEST(a_transaction_without_its_claim_row_cannot_be_committed)
{
    struct file a, b;
    sqlite3_value *vv;
    char before[4096], after[4096];

    pair(&a, &b, TABLE);
    sql(&a, "INSERT INTO t VALUES(1,1,1)");
    snapshot(&b, before, sizeof before);
    vv = vector_of(&b);
    sql(&b, "BEGIN");
    CHECK_INT(copy_changes(&b, &a, vv, 3), ==, SQLITE_DONE);
    refused(&b, "COMMIT", "without their claim row");
    /* The failed commit has rolled back. */
    CHECK(sqlite3_get_autocommit(b.db));
    /* One row in autocommit is a transaction, too. */
    CHECK_INT(copy_changes(&b, &a, vv, -1), ==, SQLITE_ERROR);
    snapshot(&b, after, sizeof after);
    CHECK_TEXT(before, after);
    CHECK_INT(sqlite3_value_bytes(vv), ==, 0);
    CHECK_TEXT(ask(&b, "SELECT length(gv_vv())"), "0");
    /* Nothing of it waits for the next one. */
    pull_rows(&b, &a);
    check_equal(&a, &b);
    sqlite3_value_free(vv);
    file_close(&a);
    file_close(&b);
}

TEST(rows_that_were_lost_on_the_way_are_missed)
{
    struct file a, b;
    sqlite3_value *vv;

    pair(&a, &b, TABLE);
    sql(&a, "INSERT INTO t VALUES(1,1,1),(2,2,2)");
    vv = vector_of(&b);
    for (int row = 0; row < 6; row++) {
        sql(&b, "BEGIN");
        CHECK_INT(copy_changes(&b, &a, vv, row), ==, SQLITE_ERROR);
        CHECK(strstr(sqlite3_errmsg(b.db), "5 came of 6") != NULL);
        refused(&b, "COMMIT", "could not be merged");
        CHECK_TEXT(ask(&b, "SELECT count(*)||length(gv_vv()) FROM t"), "00");
    }
    sqlite3_value_free(vv);
    file_close(&a);
    file_close(&b);
}

TEST(a_value_that_was_changed_on_the_way_is_seen)
{
    struct file a, b;

    pair(&a, &b, TABLE);
    sql(&a, "INSERT INTO t VALUES(1,1,1.5)");
    sql(&b, "CREATE TEMP TABLE way(tbl, pk, col, value, version, site, cl)");
    {
        sqlite3_stmt *read = prepare(&a, "SELECT * FROM gv_changes");
        sqlite3_stmt *write =
            prepare(&b, "INSERT INTO way VALUES(?,?,?,?,?,?,?)");

        while (sqlite3_step(read) == SQLITE_ROW) {
            for (int i = 0; i < 7; i++)
                sqlite3_bind_value(write, i + 1,
                                   sqlite3_column_value(read, i));
            CHECK_INT(sqlite3_step(write), ==, SQLITE_DONE);
            sqlite3_reset(write);
        }
        sqlite3_finalize(read);
        sqlite3_finalize(write);
    }
    sql(&b, "UPDATE way SET value=1.25 WHERE col='b'");
    refused(&b, "INSERT INTO gv_changes SELECT * FROM way",
            "a value was changed on the way");
    CHECK_TEXT(ask(&b, "SELECT count(*)||length(gv_vv()) FROM t"), "00");
    sql(&b, "UPDATE way SET value=1.5 WHERE col='b'");
    /* In one statement, in any order but for the claim row, and twice. */
    sql(&b, "INSERT INTO gv_changes SELECT * FROM (SELECT * FROM way UNION ALL"
            " SELECT * FROM way WHERE tbl='t') ORDER BY tbl IS NULL, value");
    check_equal(&a, &b);
    file_close(&a);
    file_close(&b);
}

/* Else B would claim, for ever, what it never had. */
TEST(what_was_made_for_a_file_that_holds_more_is_refused)
{
    struct file a, b, c;
    sqlite3_value *vv, *delta;
    sqlite3_stmt *statement;

    pair(&a, &b, TABLE);
    file_make(&c, TABLE);
    ask(&c, "SELECT gv_track('t')");
    sql(&a, "INSERT INTO t VALUES(1,1,1)");
    pull(&c, &a);
    sql(&a, "UPDATE t SET a=2");
    vv = vector_of(&c);
    delta = delta_for(&a, vv);
    statement = prepare(&b, "SELECT gv_apply(?)");
    sqlite3_bind_value(statement, 1, delta);
    CHECK_INT(sqlite3_step(statement), ==, SQLITE_ERROR);
    CHECK(strstr(sqlite3_errmsg(b.db), "does not stand yet") != NULL);
    sqlite3_reset(statement);
    /* In a transaction not even what it sealed first stays. */
    sql(&b, "BEGIN; INSERT INTO t VALUES(2,2,2)");
    CHECK_INT(sqlite3_step(statement), ==, SQLITE_ERROR);
    CHECK_TEXT(ask(&b, "SELECT count(*)||length(gv_vv()) FROM gv_journal"),
               "10");
    sql(&b, "ROLLBACK");
    sqlite3_finalize(statement);
    sql(&b, "BEGIN");
    CHECK_INT(copy_changes(&b, &a, vv, -1), ==, SQLITE_ERROR);
    CHECK(strstr(sqlite3_errmsg(b.db), "does not stand yet") != NULL);
    sql(&b, "ROLLBACK");
    CHECK_TEXT(ask(&b, "SELECT count(*)||length(gv_vv()) FROM t"), "00");
    apply(&c, delta);
    check_equal(&a, &c);
    sqlite3_value_free(delta);
    sqlite3_value_free(vv);
    file_close(&a);
    file_close(&b);
    file_close(&c);
}

TEST(what_is_no_delta_and_no_row_is_refused)
{
    struct file a, b;

    pair(&a, &b, TABLE);
    refused(&a, "SELECT gv_apply('text')", "no delta");
    refused(&a, "SELECT gv_apply(x'00')", "ends too early");
    refused(&a, "SELECT gv_apply(zeroblob(100))", "does not begin as one");
    refused(&a, "INSERT INTO gv_changes(tbl) VALUES('t')", "column pk");
    refused(&a,
            "INSERT INTO gv_changes VALUES('t',x'00','a',1,-1,"
            "zeroblob(16),1)",
            "column version");
    refused(&a,
            "INSERT INTO gv_changes VALUES('t',x'00','a',1,1,"
            "zeroblob(15),1)",
            "column site");
    refused(&a, "INSERT INTO gv_changes(tbl) VALUES(NULL)",
            "no version vector");
    refused(&a, "DELETE FROM gv_changes", "the statement itself writes");
    file_close(&a);
    file_close(&b);
}

/* The application's transactions */

TEST(what_was_merged_in_a_transaction_goes_with_its_rollback)
{
    struct file a, b;
    sqlite3_value *vv, *delta;
    char before[4096], after[4096];

    pair(&a, &b, TABLE);
    sql(&a, "INSERT INTO t VALUES(1,1,1)");
    sql(&b, "INSERT INTO t VALUES(2,2,2)");
    vv = vector_of(&b);
    delta = delta_for(&a, vv);
    snapshot(&b, before, sizeof before);
    sql(&b, "BEGIN; INSERT INTO t VALUES(3,3,3)");
    apply(&b, delta);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "3");
    sql(&b, "ROLLBACK");
    snapshot(&b, after, sizeof after);
    CHECK_TEXT(before, after);
    CHECK_TEXT(ask(&b, "SELECT length(gv_vv())"), "0");
    sql(&b, "BEGIN");
    CHECK_INT(copy_changes(&b, &a, vv, -1), ==, SQLITE_DONE);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "2");
    sql(&b, "ROLLBACK");
    snapshot(&b, after, sizeof after);
    CHECK_TEXT(before, after);
    /* Committed, it stays, and what was written in it is published. */
    sql(&b, "BEGIN; INSERT INTO t VALUES(3,3,3)");
    apply(&b, delta);
    sql(&b, "INSERT INTO t VALUES(4,4,4); COMMIT");
    exchange(&a, &b, pull);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM t"), "4");
    check_equal(&a, &b);
    sqlite3_value_free(delta);
    sqlite3_value_free(vv);
    file_close(&a);
    file_close(&b);
}

TEST(a_failed_call_leaves_the_transaction_as_it_was)
{
    struct file a;

    file_make(&a, TABLE ";CREATE TABLE n(a)");
    sql(&a, "BEGIN; INSERT INTO t VALUES(1,1,1)");
    refused(&a, "SELECT gv_track('n')", "no declared primary key");
    refused(&a, "SELECT gv_apply(x'00')", "Nothing is tracked");
    ask(&a, "SELECT gv_track('t')");
    refused(&a, "SELECT gv_apply(x'00')", "ends too early");
    sql(&a, "INSERT INTO t VALUES(2,2,2)");
    sql(&a, "COMMIT");
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_changes WHERE col IS NULL"),
               "3");
    file_close(&a);
}

TEST(tracking_goes_with_the_rollback_too)
{
    struct file a;

    file_make(&a, TABLE);
    sql(&a, "INSERT INTO t VALUES(1,1,1)");
    sql(&a, "BEGIN");
    CHECK(strstr(ask(&a, "SELECT gv_track('t')"),
                 "stays without a write-ahead log") != NULL);
    CHECK(atoi(ask(&a, "SELECT count(*) FROM sqlite_schema")) > 5);
    sql(&a, "ROLLBACK");
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM sqlite_schema"), "1");
    CHECK_TEXT(ask(&a, "SELECT gv_site_id()"), "(null)");
    CHECK(strstr(ask(&a, "SELECT gv_track('t')"), "now in WAL mode") != NULL);
    CHECK_TEXT(ask(&a, "SELECT gv_version()>0 AND length(gv_site_id())=16"),
               "1");
    file_close(&a);
}

TEST(rows_wait_and_go_with_savepoints)
{
    struct file a, b;
    sqlite3_value *vv;

    pair(&a, &b, TABLE);
    sql(&a, "INSERT INTO t VALUES(1,1,1)");
    vv = vector_of(&b);
    sql(&b, "SAVEPOINT x; SAVEPOINT y");
    CHECK_INT(copy_changes(&b, &a, vv, 3), ==, SQLITE_DONE);
    sql(&b, "ROLLBACK TO x; RELEASE x");
    /* A merge that is taken back lets its rows wait again. */
    sql(&b, "SAVEPOINT x");
    CHECK_INT(copy_changes(&b, &a, vv, 3), ==, SQLITE_DONE);
    sql(&b, "SAVEPOINT y");
    CHECK_INT(copy_changes(&b, &a, vv, -1), ==, SQLITE_DONE);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "1");
    sql(&b, "ROLLBACK TO y");
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "0");
    refused(&b, "RELEASE x", "3 rows were inserted");
    sql(&b, "ROLLBACK");
    /* A failed merge is forgotten with the savepoint before it. */
    sql(&b, "BEGIN; SAVEPOINT x");
    CHECK_INT(copy_changes(&b, &a, vv, 1), ==, SQLITE_ERROR);
    sql(&b, "ROLLBACK TO x");
    CHECK_INT(copy_changes(&b, &a, vv, -1), ==, SQLITE_DONE);
    sql(&b, "RELEASE x; COMMIT");
    check_equal(&a, &b);
    sqlite3_value_free(vv);
    file_close(&a);
    file_close(&b);
}

TEST(nothing_uncommitted_leaves_the_file)
{
    struct file a, b;

    pair(&a, &b, TABLE);
    sql(&a, "CREATE TABLE box(d); INSERT INTO t VALUES(1,1,1)");
    sql(&a, "BEGIN");
    refused(&a, "SELECT gv_delta(NULL)", "A transaction is open");
    refused(&a, "SELECT * FROM gv_changes", "A transaction is open");
    sql(&a, "ROLLBACK");
    refused(&a, "INSERT INTO box SELECT gv_delta(NULL)",
            "A transaction is open");
    refused(&a, "INSERT INTO box SELECT value FROM gv_changes",
            "A transaction is open");
    refused(&a, "INSERT INTO box SELECT gv_apply(x'00')",
            "The statement itself writes");
    refused(&a, "BEGIN; INSERT INTO box SELECT gv_apply(x'00')",
            "The statement itself writes");
    sql(&a, "COMMIT");
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM box"), "0");
    file_close(&a);
    file_close(&b);
}

/* A statement that reads goes on over a call's own transaction. */
TEST(calls_for_the_rows_of_a_query)
{
    struct file a, b;
    sqlite3_value *vv, *delta;
    sqlite3_stmt *put;

    pair(&a, &b, TABLE);
    sql(&b, "CREATE TABLE inbox(id INTEGER PRIMARY KEY, d)");
    put = prepare(&b, "INSERT INTO inbox(d) VALUES(?)");
    vv = vector_of(&b);
    for (int i = 1; i <= 3; i++) {
        char insert[100];

        snprintf(insert, sizeof insert, "INSERT INTO t VALUES(%d,1,1)", i);
        sql(&a, insert);
        delta = delta_for(&a, vv);
        sqlite3_bind_value(put, 1, delta);
        CHECK_INT(sqlite3_step(put), ==, SQLITE_DONE);
        sqlite3_reset(put);
        sqlite3_value_free(delta);
    }
    sqlite3_finalize(put);
    CHECK_TEXT(ask(&b, "SELECT sum(gv_apply(d)) FROM inbox"), "3");
    check_equal(&a, &b);
    sqlite3_value_free(vv);
    file_close(&a);
    file_close(&b);
}

/* The application's connection */

TEST(the_connection_is_as_it_was)
{
    struct file a, b;
    int on;

    pair(&a, &b,
         "CREATE TABLE p(id INTEGER PRIMARY KEY);"
         "CREATE TABLE t(id INTEGER PRIMARY KEY, a CHECK(a<>13),"
         " b REFERENCES p(id));"
         "CREATE TABLE seen(n);"
         "CREATE TRIGGER s AFTER INSERT ON p BEGIN"
         " INSERT INTO seen VALUES(new.id); END");
    sql(&a, "PRAGMA foreign_keys=OFF; PRAGMA ignore_check_constraints=ON;"
            "INSERT INTO t VALUES(1,13,7)");
    sql(&b, "PRAGMA foreign_keys=ON; INSERT INTO seen(rowid,n) VALUES(41,0)");
    pull(&b, &a); /* neither is enforced on what was merged */
    CHECK_TEXT(ask(&b, "SELECT last_insert_rowid()"), "41");
    sql(&a, "INSERT INTO t VALUES(9,13,7)");
    pull_rows(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT group_concat(a||b) FROM t"), "137,137");
    refused(&b, "INSERT INTO t VALUES(2,13,NULL)", "CHECK");
    refused(&b, "INSERT INTO t VALUES(2,1,9)", "FOREIGN KEY");
    sql(&b, "INSERT INTO p VALUES(5)");
    CHECK_TEXT(ask(&b, "SELECT max(n) FROM seen"), "5");
    sqlite3_db_config(b.db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, -1, &on);
    CHECK_INT(on, ==, 1);
    CHECK_TEXT(ask(&b, "PRAGMA busy_timeout"), "5000");
    CHECK_TEXT(ask(&a, "PRAGMA foreign_keys"), "0");
    CHECK_TEXT(ask(&a, "PRAGMA ignore_check_constraints"), "1");
    file_close(&a);
    file_close(&b);
}

TEST(an_index_that_triggers_keep_stays_right)
{
    struct file a, b;

    pair(&a, &b,
         "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);"
         "CREATE VIRTUAL TABLE f USING fts5(a, content='t',"
         " content_rowid='id');"
         "CREATE TRIGGER fi AFTER INSERT ON t BEGIN INSERT INTO f(rowid,a)"
         " VALUES(new.id,new.a); END;"
         "CREATE TRIGGER fd AFTER DELETE ON t BEGIN INSERT INTO f(f,rowid,a)"
         " VALUES('delete',old.id,old.a); END;"
         "CREATE TRIGGER fu AFTER UPDATE ON t BEGIN INSERT INTO f(f,rowid,a)"
         " VALUES('delete',old.id,old.a);"
         " INSERT INTO f(rowid,a) VALUES(new.id,new.a); END");
    sql(&a, "INSERT INTO t VALUES(1,'one vine',1),(2,'two vines',2)");
    pull(&b, &a);
    sql(&a, "UPDATE t SET a='three grapes' WHERE id=1;"
            "DELETE FROM t WHERE id=2;"
            "INSERT INTO t VALUES(3,'more vine',3)");
    pull_rows(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT group_concat(rowid) FROM f WHERE f MATCH"
                       " 'vine OR grapes'"),
               "1,3");
    sql(&b, "INSERT INTO f(f,rank) VALUES('integrity-check',1)");
    check_equal(&a, &b);
    file_close(&a);
    file_close(&b);
}

TEST(a_row_changed_past_the_triggers_is_published_first)
{
    struct file a, b;

    pair(&a, &b, TABLE);
    sql(&a, "INSERT INTO t VALUES(1,1,1)");
    exchange(&a, &b, pull);
    sqlite3_db_config(a.db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sql(&a, "UPDATE t SET a=5");
    sqlite3_db_config(a.db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, NULL);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_journal"), "0");
    ask(&a, "SELECT length(gv_delta(NULL))");
    pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT a FROM t"), "5");
    check_equal(&a, &b);
    file_close(&a);
    file_close(&b);
}

TEST(a_file_without_a_write_ahead_log_exchanges_too)
{
    struct file a, b;

    file_make(&a, TABLE);
    file_make(&b, TABLE);
    sql(&a, "BEGIN");
    ask(&a, "SELECT gv_track('t')");
    sql(&a, "INSERT INTO t VALUES(1,1,1); COMMIT");
    sql(&b, "BEGIN");
    ask(&b, "SELECT gv_track('t')");
    sql(&b, "COMMIT");
    exchange(&a, &b, pull);
    exchange(&a, &b, pull_rows);
    CHECK_TEXT(ask(&b, "PRAGMA journal_mode"), "delete");
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "1");
    check_equal(&a, &b);
    file_close(&a);
    file_close(&b);
}

/* Files */

TEST(what_is_no_file_of_its_own_is_refused)
{
    struct file a, b = {.path = ":memory:"};
    char path[300];

    file_open(&b);
    sql(&b, TABLE);
    refused(&b, "SELECT gv_track('t')", "not a file");
    refused(&b, "SELECT gv_delta(NULL)", "not a file");
    CHECK_TEXT(ask(&b, "SELECT gv_site_id()"), "(null)");
    file_close(&b);

    file_make(&a, TABLE);
    refused(&a, "SELECT gv_delta(NULL)", "Nothing is tracked");
    ask(&a, "SELECT gv_track('t')");
    file_close(&a);
    snprintf(path, sizeof path, "file:%s?mode=ro", a.path);
    CHECK_INT(sqlite3_open_v2(path, &b.db,
                              SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI, NULL),
              ==, SQLITE_OK);
    load(b.db);
    refused(&b, "SELECT gv_delta(NULL)", "read-only");
    CHECK_TEXT(ask(&b, "SELECT length(gv_site_id())"), "16");
    file_close(&b);
}

TEST(a_file_that_somebody_syncs_is_left_to_him)
{
    struct file a, b;
    char path[300];
    int lock;

    pair(&a, &b, TABLE);
    snprintf(path, sizeof path, "%s-gv/lock", a.path);
    lock = open(path, O_RDWR);
    CHECK(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0);
    refused(&a, "SELECT gv_delta(NULL)", "Another node or command");
    refused(&a, "SELECT gv_apply(x'00')", "Another node or command");
    refused(&a, "BEGIN; SELECT gv_apply(x'00')", "Another node or command");
    sql(&a, "INSERT INTO t VALUES(1,1,1); COMMIT");
    CHECK_TEXT(ask(&a, "SELECT length(gv_site_id())"), "16");
    close(lock);
    pull(&b, &a);
    check_equal(&a, &b);
    file_close(&a);
    file_close(&b);
}

TEST(a_copy_of_a_file_takes_an_identity_of_its_own)
{
    struct file a, b;
    char command[700], site[100];

    file_make(&a, TABLE);
    ask(&a, "SELECT gv_track('t')");
    sql(&a, "INSERT INTO t VALUES(1,1,1)");
    ask(&a, "SELECT length(gv_delta(NULL))");
    sql(&a, "PRAGMA wal_checkpoint(TRUNCATE)");
    snprintf(site, sizeof site, "%s", ask(&a, "SELECT hex(gv_site_id())"));
    file_make(&b, "SELECT 1");
    file_close(&b);
    snprintf(command, sizeof command, "cp '%s' '%s'", a.path, b.path);
    CHECK(system(command) == 0);
    file_open(&b);
    sql(&b, "UPDATE t SET a=2");
    sql(&a, "UPDATE t SET b=3");
    exchange(&a, &b, pull);
    CHECK(strcmp(ask(&b, "SELECT hex(gv_site_id())"), site) != 0);
    CHECK_TEXT(ask(&a, "SELECT hex(gv_site_id())"), site);
    CHECK_TEXT(ask(&a, "SELECT a||b FROM t"), "23");
    check_equal(&a, &b);
    file_close(&a);
    file_close(&b);
}

/* Its application closes it, an old state of the file and of what stands
 * beside it is put back, and it is opened again. */
static void go_back(struct file *file, void (*between)(struct file *))
{
    char command[2000];

    sql(file, "PRAGMA wal_checkpoint(TRUNCATE)");
    snprintf(command, sizeof command, "cp '%s' '%s-old'; cp -r '%s-gv' '%s-o'",
             file->path, file->path, file->path, file->path);
    CHECK(system(command) == 0);
    between(file);
    file_close(file);
    snprintf(command, sizeof command,
             "cat '%s-old' > '%s'; cat '%s-o/state' > '%s-gv/state'",
             file->path, file->path, file->path, file->path);
    CHECK(system(command) == 0);
    file_open(file);
}

static struct file partner;

static void publish_and_tell(struct file *file)
{
    sql(file, "UPDATE t SET a='told'");
    pull(&partner, file);
}

/* The delta says what the file forgot: it takes a new id, of whose vector the
 * next delta is. */
static void tell(struct file *file)
{
    sqlite3_value *vv = vector_of(file), *delta = delta_for(&partner, vv);
    sqlite3_stmt *statement = prepare(file, "SELECT gv_apply(?)");

    sqlite3_bind_value(statement, 1, delta);
    CHECK_INT(sqlite3_step(statement), ==, SQLITE_ERROR);
    sqlite3_finalize(statement);
    sqlite3_value_free(delta);
    sqlite3_value_free(vv);
}

/* All that it forgot comes back, and no version is used for two things. */
TEST(a_file_that_went_back_is_told_by_a_delta_and_goes_on)
{
    struct file a;
    char site[100];

    pair(&a, &partner, TABLE);
    sql(&a, "INSERT INTO t VALUES(1,1,1)");
    exchange(&a, &partner, pull);
    snprintf(site, sizeof site, "%s", ask(&a, "SELECT hex(gv_site_id())"));
    go_back(&a, publish_and_tell);
    CHECK_TEXT(ask(&a, "SELECT a FROM t"), "1");
    sql(&a, "UPDATE t SET b='after'");
    tell(&a);
    pull(&a, &partner);
    CHECK_TEXT(ask(&a, "SELECT a||b FROM t"), "toldafter");
    CHECK(strcmp(ask(&a, "SELECT hex(gv_site_id())"), site) != 0);
    exchange(&a, &partner, pull_rows);
    check_equal(&a, &partner);
    file_close(&a);
    file_close(&partner);
}

/* What a file cannot show */

TEST(what_cannot_be_shown_is_kept_and_passed_on)
{
    struct file a, b, c;

    pair(&a, &c, TABLE);
    file_make(&b, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    ask(&b, "SELECT gv_track('t')");
    sql(&a, "INSERT INTO t VALUES(1,'one',22)");
    pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT a FROM t"), "one");
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_changes WHERE value=22"), "1");
    pull_rows(&c, &b);
    CHECK_TEXT(ask(&c, "SELECT a||b FROM t"), "one22");
    sql(&b, "ALTER TABLE t ADD COLUMN b");
    exchange(&a, &b, pull_rows);
    CHECK_TEXT(ask(&b, "SELECT a||b FROM t"), "one22");
    check_equal(&a, &b);
    file_close(&a);
    file_close(&b);
    file_close(&c);
}

TEST(a_table_that_is_not_tracked_any_more_stays_as_it_is)
{
    struct file a, b;

    pair(&a, &b, TABLE);
    sql(&a, "INSERT INTO t VALUES(1,1,1)");
    exchange(&a, &b, pull);
    CHECK(ask(&b, "SELECT gv_untrack('t')")[0] != '\0');
    sql(&a, "UPDATE t SET a=2");
    pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT a FROM t"), "1");
    ask(&b, "SELECT gv_track('t')");
    exchange(&a, &b, pull);
    CHECK_TEXT(ask(&b, "SELECT a FROM t"), "2");
    check_equal(&a, &b);
    refused(&b, "SELECT gv_untrack('u')", "u");
    sql(&b, "BEGIN");
    ask(&b, "SELECT gv_untrack('t', 1)");
    sql(&b, "ROLLBACK");
    check_equal(&a, &b);
    file_close(&a);
    file_close(&b);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
