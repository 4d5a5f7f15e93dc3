#include "copies.h"

#include "core/clock.h"

#define CONTACTS "CREATE TABLE t(id TEXT PRIMARY KEY, a, b INTEGER DEFAULT 7)"

/* A time in ms as the journal keeps it. */
#define JULIAN(ms) #ms " / 86400000.0 + 2440587.5"

TEST(a_commit_is_one_publication_and_reaches_another_copy)
{
    struct copy a, b;
    struct store_sealed sealed;

    copy_make(&a, "a", CONTACTS);
    copy_make(&b, "b", CONTACTS);
    track(&a, "t");
    track(&b, "t");
    sql(&a, "BEGIN; INSERT INTO t VALUES('x', 'one', 1);"
            "INSERT INTO t(id, a) VALUES('y', 'two'); COMMIT");
    sealed = seal(&a);
    CHECK(sealed.any);
    CHECK(sealed.interval.bytes != NULL);
    CHECK_INT(sealed.interval.from, ==, 0);
    CHECK_INT(apply_interval(&b, &sealed.interval, NULL), ==, GV_OK);
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||a||b, ',') FROM t"),
               "xone1,ytwo7");
    check_equal(&a, &b);
    CHECK(!seal(&a).any);
    CHECK(!seal(&b).any);
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    copy_close(&a);
    copy_close(&b);
}

TEST(what_two_looks_do_not_see_is_no_change)
{
    struct copy a;

    copy_make(&a, "looks", CONTACTS);
    track(&a, "t");
    sql(&a, "INSERT INTO t VALUES('x', 1, 2)");
    CHECK(seal(&a).any);
    sql(&a, "UPDATE t SET a = 5; UPDATE t SET a = 1");
    CHECK(!seal(&a).any);
    sql(&a, "BEGIN; DELETE FROM t; INSERT INTO t VALUES('x', 1, 2); COMMIT");
    CHECK(!seal(&a).any);
    sql(&a, "UPDATE t SET a = a");
    CHECK(!seal(&a).any);
    sql(&a, "INSERT INTO t VALUES('y', 0, 0); DELETE FROM t WHERE id = 'y'");
    CHECK(!seal(&a).any);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_journal"), "0");
    copy_close(&a);
}

TEST(deletes_and_new_lives_follow_the_causal_length)
{
    struct copy a, b;

    copy_make(&a, "life-a", CONTACTS);
    copy_make(&b, "life-b", CONTACTS);
    track(&a, "t");
    track(&b, "t");
    sql(&a, "INSERT INTO t VALUES('x', 1, 2)");
    sync_both(&a, &b);
    sql(&a, "DELETE FROM t");
    seal(&a);
    CHECK_TEXT(ask(&a, "SELECT cl FROM gv_row_1"), "2");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "0");
    sql(&a, "INSERT INTO t(id, a) VALUES('x', 9)");
    seal(&a);
    CHECK_TEXT(ask(&a, "SELECT cl FROM gv_row_1"), "3");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT a||','||b FROM t"), "9,7");
    check_equal(&a, &b);
    copy_close(&a);
    copy_close(&b);
}

TEST(a_rowid_update_moves_the_row_to_another_key)
{
    static const char *const names[] = {"rowid", "oid", "_rowid_"};

    for (size_t i = 0; i < 3; i++) {
        struct copy a, b;
        char text[200];

        copy_make(&a,
                  i == 0   ? "ra0"
                  : i == 1 ? "ra1"
                           : "ra2",
                  "CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
        copy_make(&b,
                  i == 0   ? "rb0"
                  : i == 1 ? "rb1"
                           : "rb2",
                  "CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
        track(&a, "t");
        track(&b, "t");
        sql(&a, "INSERT INTO t VALUES(1, 'x'), (2, 'y')");
        sync_both(&a, &b);
        snprintf(text, sizeof text, "UPDATE t SET %s = 77 WHERE id = 1",
                 names[i]);
        sql(&a, text);
        sync_both(&a, &b);
        CHECK_TEXT(ask(&b, "SELECT group_concat(id||a) FROM t"), "2y,77x");
        check_equal(&a, &b);
        copy_close(&a);
        copy_close(&b);
    }
}

TEST(an_offline_journal_is_cut_where_it_pauses)
{
    struct copy a;
    struct store_sealed sealed;

    copy_make(&a, "runs", CONTACTS);
    track(&a, "t");
    sql(&a, "INSERT INTO t VALUES('x', 1, 2), ('y', 1, 2), ('z', 1, 2)");
    sql(&a, "UPDATE gv_journal SET day = day - 30 / 86400.0 WHERE k1 = 'x';"
            "UPDATE gv_journal SET day = day - 12 / 86400.0 WHERE k1 = 'y'");
    sealed = seal(&a);
    CHECK(sealed.any);
    CHECK_TEXT(ask(&a, "SELECT count(DISTINCT version) FROM gv_ver"), "3");
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_interval"), "1");
    /* Each keeps its own time. */
    CHECK_TEXT(ask(&a, "SELECT (max(version)>>16)-(min(version)>>16) > 29000"
                       " FROM gv_ver"),
               "1");
    copy_close(&a);
}

TEST(versions_never_go_down_when_the_clock_does)
{
    struct copy a;
    gv_version first, second;

    copies_wall = 1800000000000;
    copy_make(&a, "clock", CONTACTS);
    track(&a, "t");
    sql(&a, "INSERT INTO t VALUES('x', 1, 2)");
    sql(&a, "UPDATE gv_journal SET day = " JULIAN(1800000000000));
    first = seal(&a).interval.to;
    CHECK_INT(clock_wall(first), ==, 1800000000000);
    copies_wall = 1700000000000;
    sql(&a, "UPDATE t SET a = 2");
    second = seal(&a).interval.to;
    CHECK_INT(second, ==, first + 1);
    copies_wall = 0;
    copy_close(&a);
}

TEST(a_wall_clock_beyond_all_versions_counts_as_none)
{
    struct copy a;
    gv_version first, second;

    copies_wall = 1800000000000;
    copy_make(&a, "beyond", CONTACTS);
    track(&a, "t");
    sql(&a, "INSERT INTO t VALUES('x', 1, 2)");
    first = seal(&a).interval.to;
    copies_wall = 140000000000000; /* the year 6406 */
    sql(&a, "UPDATE t SET a = 2");
    sql(&a, "UPDATE gv_journal SET day = " JULIAN(140000000000000));
    second = seal(&a).interval.to;
    CHECK_INT(second, ==, first + 1);
    copies_wall = 0;
    copy_close(&a);
}

static int try_seal(struct copy *copy, struct gv_error *error)
{
    struct store_sealed sealed;
    int rc = store_begin(copy->store, error);

    return rc == GV_OK ? store_commit(copy->store, &sealed, error) : rc;
}

TEST(a_clock_at_its_end_stops_the_seal_and_keeps_what_was_written)
{
    struct copy a;
    struct gv_error error = {0};

    copy_make(&a, "end", CONTACTS);
    track(&a, "t");
    sql(&a, "INSERT INTO t VALUES('x', 1, 2)");
    CHECK(seal(&a).any);
    store_close(a.store);
    a.store = NULL;
    /* The last but one that may be issued from. */
    sql(&a, "UPDATE gv_meta SET clock = (1 << 62) - 1 - (1 << 20) - 1");
    copy_reopen(&a, STORE_WRITE);
    sql(&a, "UPDATE t SET a = 2");
    CHECK_INT(seal(&a).interval.to, ==, CLOCK_TOP);
    sql(&a, "UPDATE t SET a = 3");
    for (int i = 0; i < 3; i++) {
        CHECK_INT(try_seal(&a, &error), ==, GV_ELIMIT);
        CHECK(strstr(error.what, "clock") != NULL);
        CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_journal"), "1");
        copy_reopen(&a, STORE_WRITE);
    }
    CHECK_TEXT(ask(&a, "SELECT a FROM t"), "3");
    copy_close(&a);
}

TEST(a_row_with_null_in_its_key_stays_here)
{
    struct copy a;
    struct store_status status;

    copy_make(&a, "nulls", CONTACTS);
    track(&a, "t");
    sql(&a, "INSERT INTO t VALUES(NULL, 1, 1), (NULL, 2, 2)");
    CHECK(!seal(&a).any);
    CHECK_INT(store_status(a.store, &status, NULL), ==, GV_OK);
    CHECK_INT(status.tables[0].null_keys, ==, 2);
    store_status_close(&status);
    sql(&a, "UPDATE t SET id = 'n' WHERE a = 1");
    CHECK(seal(&a).any);
    CHECK_TEXT(ask(&a, "SELECT k1||cl FROM gv_row_1"), "n1");
    sql(&a, "UPDATE t SET id = NULL WHERE id = 'n'");
    CHECK(seal(&a).any);
    CHECK_TEXT(ask(&a, "SELECT k1||cl FROM gv_row_1"), "n2");
    copy_close(&a);
}

TEST(or_ignore_and_replace_are_captured)
{
    struct copy a;

    copy_make(&a, "or", CONTACTS);
    track(&a, "t");
    sql(&a, "INSERT INTO t VALUES('x', 1, 2)");
    CHECK(seal(&a).any);
    sql(&a, "UPDATE OR IGNORE t SET a = 2");
    CHECK(seal(&a).any);
    sql(&a, "REPLACE INTO t VALUES('x', 3, 3)");
    CHECK(seal(&a).any);
    CHECK_TEXT(ask(&a, "SELECT cl FROM gv_row_1"), "1");
    sql(&a, "INSERT INTO t VALUES('x', 4, 4) ON CONFLICT(id)"
            " DO UPDATE SET a = excluded.a");
    CHECK(seal(&a).any);
    copy_close(&a);
}

TEST(a_younger_trigger_of_the_application_cannot_hide_a_write)
{
    struct copy a;

    copy_make(&a, "young", CONTACTS);
    track(&a, "t");
    sql(&a, "INSERT INTO t VALUES('x', 1, 2)");
    CHECK(seal(&a).any);
    sql(&a, "CREATE TRIGGER x AFTER UPDATE ON t BEGIN"
            " SELECT RAISE(IGNORE); END");
    CHECK(!seal(&a).any);
    sql(&a, "UPDATE t SET a = 9");
    CHECK(seal(&a).any);
    copy_close(&a);
}

TEST(an_added_column_changes_nothing_until_it_is_written)
{
    struct copy a;

    copy_make(&a, "add", CONTACTS);
    track(&a, "t");
    sql(&a, "INSERT INTO t VALUES('x', 1, 2), ('y', 1, 2)");
    CHECK(seal(&a).any);
    sql(&a, "ALTER TABLE t ADD COLUMN c INT DEFAULT 2");
    CHECK(!seal(&a).any);
    sql(&a, "UPDATE t SET c = 4 WHERE id = 'x'");
    CHECK(seal(&a).any);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_ver"), "3");
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    copy_close(&a);
}

TEST(a_column_that_is_gone_stays_in_the_log_and_the_others_are_sealed)
{
    struct copy a;

    copy_make(&a, "gone", CONTACTS);
    track(&a, "t");
    sql(&a, "INSERT INTO t VALUES('x', 1, 2)");
    CHECK(seal(&a).any);
    sql(&a, "ALTER TABLE t DROP COLUMN a; UPDATE t SET b = 3");
    CHECK(seal(&a).any);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_ver"), "2");
    CHECK_TEXT(ask(&a, "SELECT wire FROM gv_col WHERE local IS NULL"), "a");
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    copy_close(&a);
}

TEST(a_dependency_is_told_once_and_the_own_site_never_waits)
{
    static const char untold[] =
        "SELECT count(*) FROM gv_site WHERE version<>told";
    struct copy a, b;
    struct store_sealed sealed;

    copy_make(&a, "told-a", CONTACTS);
    copy_make(&b, "told-b", CONTACTS);
    track(&a, "t");
    track(&b, "t");
    sql(&a, "INSERT INTO t VALUES('x', 1, 2)");
    sealed = seal(&a);
    CHECK_INT(apply_interval(&b, &sealed.interval, NULL), ==, GV_OK);
    CHECK_TEXT(ask(&b, untold), "1");
    sql(&b, "INSERT INTO t VALUES('y', 1, 2)");
    sealed = seal(&b);
    CHECK_INT(sealed.interval.dependencies.count, ==, 1);
    CHECK_TEXT(ask(&b, untold), "0");
    sql(&b, "UPDATE t SET a = 3 WHERE id = 'y'");
    sealed = seal(&b);
    CHECK(sealed.any);
    CHECK_INT(sealed.interval.dependencies.count, ==, 0);
    CHECK_TEXT(ask(&b, untold), "0");
    copy_close(&a);
    copy_close(&b);
}

TEST(a_long_interval_is_not_pushed)
{
    struct copy a;
    struct store_sealed sealed;

    copy_make(&a, "long", CONTACTS);
    track(&a, "t");
    sql(&a, "INSERT INTO t VALUES('x', zeroblob(70000), 1)");
    sealed = seal(&a);
    CHECK(sealed.any);
    CHECK(sealed.interval.bytes == NULL);
    CHECK(sealed.interval.to > 0);
    copy_close(&a);
}

TEST(nothing_is_written_at_rest)
{
    struct copy a;
    const char *before;

    copy_make(&a, "rest", CONTACTS);
    track(&a, "t");
    sql(&a, "INSERT INTO t VALUES('x', 1, 2)");
    seal(&a);
    before = ask(&a, "PRAGMA data_version");
    for (int i = 0; i < 10; i++)
        seal(&a);
    CHECK_TEXT(ask(&a, "PRAGMA data_version"), before);
    copy_close(&a);
}

TEST(a_key_written_in_two_runs_belongs_to_the_last)
{
    struct copy a;
    struct store_sealed sealed;
    char text[200];

    copy_make(&a, "two-runs", CONTACTS);
    track(&a, "t");
    sql(&a, "INSERT INTO t VALUES('x', 1, 1); INSERT INTO t VALUES('y', 1, 1);"
            "UPDATE gv_journal SET day = day - 20 / 86400.0;"
            "UPDATE t SET a = 2 WHERE id = 'x'");
    sealed = seal(&a);
    snprintf(text, sizeof text,
             "SELECT group_concat(k1) FROM gv_ver JOIN gv_row_1 USING(rid)"
             " WHERE version = %llu",
             (unsigned long long)sealed.interval.to);
    CHECK_TEXT(ask(&a, text), "x");
    copy_close(&a);
}

TEST(the_time_of_a_write_is_kept_to_the_millisecond)
{
    struct copy a;
    gv_time_ms ms = 1800000000000;
    char text[200];

    copies_wall = ms + 1000000;
    copy_make(&a, "millisecond", CONTACTS);
    track(&a, "t");
    sql(&a, "INSERT INTO t VALUES('x', 0, 1)");
    for (int i = 0; i < 100; i++) {
        ms += 997;
        sql(&a, "UPDATE t SET a = a + 1");
        snprintf(text, sizeof text,
                 "UPDATE gv_journal SET day = julianday(%lld, 'unixepoch')"
                 " + %lld / 86400000.0",
                 (long long)(ms / 1000), (long long)(ms % 1000));
        sql(&a, text);
        CHECK_INT(clock_wall(seal(&a).interval.to), ==, ms);
    }
    copies_wall = 0;
    copy_close(&a);
}

TEST(a_delete_has_the_time_of_its_run_or_of_its_seal)
{
    struct copy a;
    struct store_sealed sealed;
    gv_time_ms now = 1800000000000;

    copies_wall = now;
    copy_make(&a, "untimed", CONTACTS);
    track(&a, "t");
    sql(&a, "INSERT INTO t VALUES('x', 1, 2), ('y', 1, 2), ('z', 1, 2)");
    sql(&a, "UPDATE gv_journal SET day = " JULIAN(1790000000000));
    seal(&a);
    sql(&a, "UPDATE t SET a = 2 WHERE id = 'y'; DELETE FROM t WHERE id = 'x'");
    sql(&a, "UPDATE gv_journal SET day = " JULIAN(
                1795000000000) " WHERE day NOT NULL");
    sealed = seal(&a);
    CHECK_INT(clock_wall(sealed.interval.to), ==, 1795000000000);
    CHECK_TEXT(ask(&a, "SELECT count(DISTINCT version) FROM gv_ver WHERE"
                       " version >> 16 = 1795000000000"),
               "1");
    sql(&a, "DELETE FROM t WHERE id = 'z'");
    sealed = seal(&a);
    CHECK_INT(clock_wall(sealed.interval.to), ==, now);
    copies_wall = 0;
    copy_close(&a);
}

/* What peers refuse must not stand in the way of all else. */
TEST(a_value_over_64_mib_stays_here_and_the_rest_goes)
{
    struct copy a, b;

    copy_make(&a, "huge-a", CONTACTS);
    copy_make(&b, "huge-b", CONTACTS);
    track(&a, "t");
    track(&b, "t");
    sql(&a, "INSERT INTO t VALUES('huge', zeroblob(67108865), 1),"
            "('large', zeroblob(1048576), 2), ('x', 'small', 3)");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||coalesce(length(a), '-')||b)"
                       " FROM (SELECT * FROM t ORDER BY id)"),
               "huge-1,large10485762,x53");
    check_equal(&a, &b);
    sql(&a, "UPDATE t SET a = 'fits' WHERE id = 'huge'");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT a FROM t WHERE id = 'huge'"), "fits");
    copy_close(&a);
    copy_close(&b);
}

TEST(a_commit_of_others_shows_before_it_is_asked_for)
{
    struct copy a;
    struct store_news news;

    copy_make(&a, "shows", "CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    track(&a, "t");
    CHECK_INT(store_poll(a.store, &news), ==, GV_OK);
    CHECK(!store_shows_commit(a.store));
    sql(&a, "BEGIN IMMEDIATE; INSERT INTO t VALUES(1, 1)");
    CHECK(!store_shows_commit(a.store));
    sql(&a, "COMMIT");
    CHECK(store_shows_commit(a.store));
    CHECK_INT(store_poll(a.store, &news), ==, GV_OK);
    CHECK(news.committed);
    CHECK(!store_shows_commit(a.store));
    copy_close(&a);
}

TEST(who_writes_shows_before_the_commit)
{
    struct copy a;

    copy_make(&a, "writes", "CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    track(&a, "t");
    CHECK(!store_shows_writer(a.store));
    for (int i = 0; i < 3; i++) {
        /* More than the application's memory holds. */
        sql(&a, "PRAGMA cache_size = 2; BEGIN IMMEDIATE");
        CHECK(!store_shows_writer(a.store));
        sql(&a, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM"
                " n WHERE i < 100) INSERT INTO t(a) SELECT zeroblob(4000)"
                " FROM n");
        CHECK(store_shows_writer(a.store));
        sql(&a, "COMMIT");
        CHECK(!store_shows_writer(a.store));
        seal(&a);
        CHECK(!store_shows_writer(a.store));
        /* The next one begins the log anew. */
        sql(&a, "PRAGMA wal_checkpoint(RESTART)");
        CHECK(!store_shows_writer(a.store));
    }
    sql(&a, "BEGIN IMMEDIATE; UPDATE t SET a = zeroblob(4001)");
    CHECK(store_shows_writer(a.store));
    sql(&a, "ROLLBACK; UPDATE t SET a = 1 WHERE id = 1; DELETE FROM t");
    seal(&a);
    copy_close(&a);
}

TEST(the_length_of_the_log_is_whoever_wrote_it)
{
    struct copy a;
    int before;

    copy_make(&a, "frames", "CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    track(&a, "t");
    before = store_wal_frames(a.store);
    CHECK_INT(before, >, 0);
    sql(&a, "INSERT INTO t VALUES(1, zeroblob(40000))");
    CHECK_INT(store_wal_frames(a.store), >, before + 9);
    sql(&a, "PRAGMA wal_checkpoint");
    CHECK_INT(store_wal_frames(a.store), ==, 0); /* all is in the file */
    sql(&a, "INSERT INTO t VALUES(2, 1)");
    CHECK_INT(store_wal_frames(a.store), >, 0);
    CHECK_INT(store_wal_frames(a.store), <, 9);
    copy_close(&a);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
