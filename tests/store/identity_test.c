#include "copies.h"

#define CONTACTS "CREATE TABLE t(id TEXT PRIMARY KEY, a)"

static void make(struct copy *copy, const char *name)
{
    copy_make(copy, name, CONTACTS);
    track(copy, "t");
    sql(copy, "INSERT INTO t VALUES('x', 1)");
    seal(copy);
}

TEST(an_identity_is_kept_over_a_restart_a_rename_and_a_vacuum)
{
    struct copy a;
    struct site site;
    char old[256];

    make(&a, "keep");
    site = *store_site(a.store);
    shut(&a);
    open_again(&a);
    CHECK(site_equal(&site, store_site(a.store)));
    sql(&a, "VACUUM");
    shut(&a);
    open_again(&a);
    CHECK(site_equal(&site, store_site(a.store)));
    shut(&a);
    snprintf(old, sizeof old, "%s", a.path);
    snprintf(a.path, sizeof a.path, "%s/renamed.db", copies_directory);
    shell("mv '%s' '%s'", old, a.path);
    open_again(&a);
    CHECK(site_equal(&site, store_site(a.store)));
    shut(&a);
    shell("rm -r '%s-gv'", a.path);
    open_again(&a);
    CHECK(site_equal(&site, store_site(a.store)));
    copy_close(&a);
}

/* One way to bring a file to another state, and what must follow. */
static void renews_after(const char *name, const char *way)
{
    struct copy a, b;
    struct site site;
    char other[32];

    make(&a, name);
    snprintf(other, sizeof other, "%s-peer", name);
    copy_make(&b, other, CONTACTS);
    track(&b, "t");
    site = *store_site(a.store);
    shut(&a);
    shell("cp '%s' '%s.old'", a.path, a.path);
    open_again(&a);
    sql(&a, "INSERT INTO t VALUES('later', 2)");
    seal(&a);
    sync_both(&a, &b);
    shut(&a);
    shell("cd '%s' && f='%s' && %s", copies_directory, a.path, way);
    open_again(&a);
    CHECK(!site_equal(&site, store_site(a.store)));
    CHECK_INT(vv_get(store_vv(a.store), &site), >, 0);
    sql(&a, "INSERT OR REPLACE INTO t VALUES('new', 3)");
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT group_concat(id) FROM t"),
               ask(&b, "SELECT group_concat(id) FROM t"));
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "3");
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    copy_close(&a);
    copy_close(&b);
}

TEST(a_copy_over_the_file_renews)
{
    renews_after("over", "cp \"$f.old\" \"$f\"");
}

TEST(a_remade_file_renews_even_with_the_same_inode)
{
    renews_after("remade", "cp \"$f\" k && rm \"$f\" && cp k \"$f\"");
}

TEST(a_restore_by_the_shell_renews)
{
    renews_after("restore", "sqlite3 \"$f\" \".restore '$f.old'\"");
}

TEST(a_file_made_by_vacuum_into_renews)
{
    renews_after("into", "sqlite3 \"$f\" \"VACUUM INTO '$f.new'\" &&"
                         " mv \"$f.new\" \"$f\"");
}

TEST(a_copy_elsewhere_is_another_site_and_both_go_on)
{
    struct copy a, b;

    make(&a, "copied");
    shut(&a);
    memset(&b, 0, sizeof b);
    snprintf(b.path, sizeof b.path, "%s/copy.db", copies_directory);
    shell("cp '%s' '%s'", a.path, b.path);
    open_again(&a);
    open_again(&b);
    CHECK(!site_equal(store_site(a.store), store_site(b.store)));
    sql(&a, "UPDATE t SET a = 'a'");
    sql(&b, "INSERT INTO t VALUES('y', 'b')");
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT group_concat(a) FROM t"), "a,b");
    copy_close(&a);
    copy_close(&b);
}

TEST(a_file_replaced_while_it_is_open_stops_the_store)
{
    struct copy a;
    struct gv_error error = {0};
    struct extract *extract;

    make(&a, "moved");
    CHECK_INT(store_look(a.store, &error), ==, GV_OK);
    shell("cp '%s' '%s.new' && mv '%s.new' '%s'", a.path, a.path, a.path,
          a.path);
    CHECK_INT(
        extract_begin(a.store, (struct vv_view){NULL, 0}, &extract, &error),
        ==, GV_EMOVED);
    CHECK_INT(store_look(a.store, &error), ==, GV_EMOVED);
    CHECK_INT(store_begin(a.store, &error), ==, GV_EMOVED);
    copy_close(&a);
}

/* SQLite would play the log of the old file into the new one. */
TEST(a_file_put_in_place_of_an_open_one_keeps_clear_of_its_log)
{
    struct copy a, b;
    struct site site;

    make(&a, "old");
    sqlite3_close(a.app); /* it would keep the log in use */
    a.app = NULL;
    make(&b, "other");
    for (int i = 0; i < 50; i++)
        sql(&b, "INSERT INTO t VALUES(hex(randomblob(8)), 'of b')");
    shut(&b);
    shell("sqlite3 -cmd '.timeout 5000' '%s' \"INSERT INTO t"
          " VALUES('late', 2)\"",
          a.path);
    site = *store_site(a.store);
    shell("mv '%s' '%s.away' && mv '%s' '%s'", a.path, a.path, b.path, a.path);
    store_close(a.store);
    a.store = NULL;
    open_again(&a);
    CHECK(!site_equal(&site, store_site(a.store)));
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM t WHERE a = 'of b'"), "50");
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM t WHERE id = 'late'"), "0");
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    CHECK_TEXT(ask(&a, "PRAGMA integrity_check"), "ok");
    shut(&a);
    /* And what was moved away is whole. */
    shell("test \"$(sqlite3 '%s.away' \"SELECT group_concat(id) FROM (SELECT *"
          " FROM t ORDER BY id)\")\" = late,x",
          a.path);
    copy_close(&a);
}

/* SQLite goes on with the pages that it has in memory. */
TEST(a_copy_over_an_open_file_is_noticed_without_a_write)
{
    struct copy a;
    struct gv_error error = {0};

    make(&a, "copied-over");
    sql(&a, "PRAGMA wal_checkpoint(TRUNCATE)");
    shell("cp '%s' '%s.old'", a.path, a.path);
    sql(&a, "INSERT INTO t VALUES('later', 2)");
    seal(&a);
    sql(&a, "PRAGMA wal_checkpoint(TRUNCATE)");
    CHECK_INT(store_look(a.store, &error), ==, GV_OK);
    shell("cp '%s.old' '%s'", a.path, a.path);
    CHECK_INT(store_look(a.store, &error), ==, GV_EMOVED);
    copy_close(&a);
}

/* Else a log that is needed would be dropped. */
TEST(nothing_that_sqlite_does_is_taken_for_a_copy_over_the_file)
{
    static const char *const deeds[] = {
        "INSERT INTO t VALUES(hex(randomblob(9)), randomblob(300))",
        "UPDATE t SET a = randomblob(200) WHERE rowid % 3 = 0",
        "DELETE FROM t WHERE rowid % 5 = 0",
        "VACUUM",
        "CREATE TABLE IF NOT EXISTS u(x)",
        "DROP TABLE IF EXISTS u",
        "PRAGMA wal_checkpoint(PASSIVE)",
        "PRAGMA wal_checkpoint(RESTART)",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA wal_autocheckpoint=7",
        "PRAGMA wal_autocheckpoint=1000",
    };
    struct copy a;
    struct gv_error error = {0};
    struct store_news news;
    uint32_t random = 1;

    make(&a, "alone");
    for (int i = 0; i < 600; i++) {
        random = random * 1664525 + 1013904223;
        sql(&a, deeds[(random >> 16) % (sizeof deeds / sizeof *deeds)]);
        if ((random >> 8) % 3 == 0)
            seal(&a);
        if ((random >> 9) % 4 == 0)
            CHECK_INT(store_checkpoint(a.store), ==, GV_OK);
        if ((random >> 10) % 4 == 0)
            CHECK_INT(store_poll(a.store, &news), ==, GV_OK);
        if ((random >> 11) % 5 == 0)
            shell("touch '%s'", a.path);
        CHECK_INT(store_look(a.store, &error), ==, GV_OK);
    }
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    copy_close(&a);
}

TEST(a_copy_over_an_open_file_whose_log_hides_it_drops_the_log)
{
    struct copy a;
    struct gv_error error = {0};

    make(&a, "hidden");
    sql(&a, "PRAGMA wal_checkpoint(TRUNCATE)");
    shell("cp '%s' '%s.old'", a.path, a.path);
    sql(&a, "INSERT INTO t VALUES('later', 2)");
    seal(&a);
    sql(&a, "PRAGMA wal_checkpoint(TRUNCATE)");
    CHECK_INT(store_look(a.store, &error), ==, GV_OK);
    sql(&a, "INSERT INTO t VALUES('in the log', 3)");
    seal(&a);
    CHECK_INT(store_look(a.store, &error), ==, GV_OK);
    shell("cp '%s.old' '%s'", a.path, a.path);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM t"), "3");
    CHECK_INT(store_look(a.store, &error), ==, GV_EMOVED);
    copy_reopen(&a, STORE_WRITE);
    CHECK_TEXT(ask(&a, "SELECT group_concat(id) FROM t"), "x");
    CHECK_TEXT(ask(&a, "PRAGMA integrity_check"), "ok");
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    sql(&a, "INSERT INTO t VALUES('new', 4)");
    CHECK(seal(&a).any);
    copy_close(&a);
}

/* A backup that SQLite made may have the very same gv_meta. */
TEST(a_backup_copied_over_a_file_that_no_node_has_written_since_is_noticed)
{
    struct copy a;
    struct gv_error error = {0};
    char text[300];

    make(&a, "vacuumed");
    sql(&a, "VACUUM");
    sql(&a, "PRAGMA wal_checkpoint(TRUNCATE)");
    CHECK_INT(store_look(a.store, &error), ==, GV_OK);
    snprintf(text, sizeof text, "VACUUM INTO '%s.old'", a.path);
    sql(&a, text);
    sql(&a, "INSERT INTO t VALUES('in the log', 3)");
    CHECK_INT(store_look(a.store, &error), ==, GV_OK);
    shell("cp '%s.old' '%s'", a.path, a.path);
    CHECK_INT(store_look(a.store, &error), ==, GV_EMOVED);
    copy_close(&a);
}

TEST(a_file_restored_while_it_is_open_stops_the_store)
{
    struct copy a;
    struct gv_error error = {0};

    make(&a, "restored");
    shell("sqlite3 '%s' \".backup '%s.old'\"", a.path, a.path);
    sql(&a, "INSERT INTO t VALUES('y', 1)");
    seal(&a);
    shell("sqlite3 '%s' \".restore '%s.old'\"", a.path, a.path);
    CHECK_INT(store_begin(a.store, &error), ==, GV_EMOVED);
    copy_close(&a);
}

TEST(a_second_store_finds_the_lock_taken)
{
    struct copy a;
    struct store_options options = {.mode = STORE_WRITE,
                                    .host = copies_host()};
    struct gv_error error = {0};
    struct store *second;

    make(&a, "locked");
    CHECK_INT(store_open(a.path, &options, &second, &error), ==, GV_ELOCKED);
    CHECK(error.remedy[0] != '\0');
    copy_close(&a);
}

TEST(a_peer_that_holds_more_of_us_than_we_do_makes_the_next_start_renew)
{
    struct copy a, b;
    struct site site;
    struct gv_error error = {0};

    make(&a, "behind");
    copy_make(&b, "behind-peer", CONTACTS);
    track(&b, "t");
    shut(&a);
    shell("cp '%s' '%s.old'", a.path, a.path);
    open_again(&a);
    sql(&a, "INSERT INTO t VALUES('later', 2)");
    sync_both(&a, &b);
    site = *store_site(a.store);
    shut(&a);
    /* The state file goes too, and the inode stays: nothing tells. */
    shell("cat '%s.old' > '%s' && rm '%s-gv/state'", a.path, a.path, a.path);
    open_again(&a);
    CHECK(site_equal(&site, store_site(a.store)));
    CHECK_INT(pull(&a, &b, &error), ==, GV_EFORK);
    shut(&a);
    open_again(&a);
    CHECK(!site_equal(&site, store_site(a.store)));
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM t"), "2");
    copy_close(&a);
    copy_close(&b);
}

/* A whole machine that goes back: the file, with its marks, and the state
 * file. */

#define MACHINE                                                               \
    CONTACTS ";CREATE TABLE n(id INTEGER PRIMARY KEY, a);"                    \
             "CREATE TABLE p(x, y, a, PRIMARY KEY(x, y))"

static const char *const machine_tables[] = {"t", "n", "p"};
static const gv_time_ms machine_wall = 1700000000000;

static void machine_make(struct copy *copy, const char *name)
{
    copy_make(copy, name, MACHINE);
    for (size_t i = 0; i < 3; i++)
        track(copy, machine_tables[i]);
}

static void snapshot(struct copy *copy)
{
    shut(copy);
    shell("cp '%s' '%s.old' && cp '%s-gv/state' '%s.state'", copy->path,
          copy->path, copy->path, copy->path);
    open_again(copy);
}

static void rewind_to_snapshot(struct copy *copy)
{
    shut(copy);
    shell("cat '%s.old' > '%s' && cat '%s.state' > '%s-gv/state'", copy->path,
          copy->path, copy->path, copy->path);
    open_again(copy);
}

static void write_at(struct copy *copy, gv_time_ms wall, const char *text)
{
    copies_wall = machine_wall + wall;
    sql(copy, text);
    seal(copy);
}

/* What both lives share is row 'x'; @b holds what the old one published at
 * 10 s, of which @a knows nothing. */
static struct site two_lives(struct copy *a, struct copy *b, const char *name)
{
    char other[32];

    copies_wall = machine_wall;
    machine_make(a, name);
    snprintf(other, sizeof other, "%s-peer", name);
    machine_make(b, other);
    write_at(a, 0,
             "INSERT INTO t VALUES('x', 1), ('y', 1);"
             "INSERT INTO n VALUES(1, 1); INSERT INTO p VALUES(1, 2, 3)");
    sync_both(a, b);
    write_at(b, 100, "UPDATE t SET a = 'of b' WHERE id = 'x'");
    sync_both(a, b);
    snapshot(a);
    write_at(a, 10000,
             "INSERT INTO t VALUES('old', 2);"
             "INSERT INTO n VALUES(2, 2); UPDATE p SET a = 4");
    must_pull(b, a);
    rewind_to_snapshot(a);
    return *store_site(a->store);
}

/* Nothing goes out or in any more; after the next start nothing is lost. */
static void renews_whole(struct copy *a, struct copy *b,
                         const struct site *site, const char *rows)
{
    struct gv_error error = {0};
    struct extract *extract;

    CHECK_INT(store_begin(a->store, &error), ==, GV_EMOVED);
    CHECK_INT(
        extract_begin(a->store, (struct vv_view){NULL, 0}, &extract, &error),
        ==, GV_EMOVED);
    CHECK_INT(store_heard_own(a->store, 0, &error), ==, GV_EMOVED);
    shut(a);
    open_again(a);
    CHECK(!site_equal(site, store_site(a->store)));
    CHECK_INT(verify_findings(a, NULL), ==, 0);
    sync_both(a, b);
    check_equal(a, b);
    for (struct copy *copy = a; copy != NULL; copy = copy == a ? b : NULL) {
        CHECK_TEXT(ask(copy, "SELECT group_concat(id||a) FROM"
                             " (SELECT * FROM t ORDER BY id)"),
                   rows);
        CHECK_TEXT(ask(copy, "SELECT group_concat(id||a) FROM n"), "11,22");
        CHECK_TEXT(ask(copy, "SELECT a FROM p"), "4");
        CHECK_INT(verify_findings(copy, NULL), ==, 0);
    }
    /* And it stays that way, whatever peers say of the new id. */
    write_at(a, 30000, "INSERT INTO n VALUES(3, 3)");
    sync_both(a, b);
    check_equal(a, b);
    site = store_site(a->store);
    CHECK_INT(
        store_heard_own(a->store, vv_get(store_vv(b->store), site), &error),
        ==, GV_OK);
    copy_close(a);
    copy_close(b);
    copies_wall = 0;
}

TEST(a_machine_that_went_back_and_published_on_hears_it_from_a_vector)
{
    struct copy a, b;
    struct gv_error error = {0};
    struct site site = two_lives(&a, &b, "vector");

    write_at(&a, 20000,
             "INSERT INTO t VALUES('new', 3);"
             "DELETE FROM t WHERE id = 'y'");
    CHECK_INT(
        store_heard_own(a.store, vv_get(store_vv(b.store), &site), &error), ==,
        GV_EMOVED);
    CHECK(error.remedy[0] != '\0');
    renews_whole(&a, &b, &site, "new3,old2,xof b");
}

TEST(a_machine_that_went_back_and_published_on_gives_no_delta)
{
    struct copy a, b;
    struct gv_error error = {0};
    struct site site = two_lives(&a, &b, "asked");

    write_at(&a, 20000, "INSERT INTO t VALUES('new', 3)");
    CHECK_INT(pull(&b, &a, &error), ==, GV_EMOVED);
    renews_whole(&a, &b, &site, "new3,old2,xof b,y1");
}

TEST(a_machine_that_went_back_and_publishes_while_it_hears_takes_that_back)
{
    struct copy a, b;
    struct gv_error error = {0};
    struct site site = two_lives(&a, &b, "claimed");

    /* What pull() seals for @a would pass what the claim holds of it. */
    copies_wall = machine_wall + 20000;
    write_at(&b, 20000, "UPDATE t SET a = 5 WHERE id = 'y'");
    sql(&a, "INSERT INTO t VALUES('new', 3)");
    CHECK_INT(pull(&a, &b, &error), ==, GV_EFORK);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_journal"), "1");
    renews_whole(&a, &b, &site, "new3,old2,xof b,y5");
}

TEST(a_machine_that_went_back_and_published_on_hears_it_from_dependencies)
{
    struct copy a, b;
    struct store_sealed sealed, none;
    struct gv_error error = {0};
    struct site site = two_lives(&a, &b, "depends");

    write_at(&a, 20000, "INSERT INTO t VALUES('new', 3)");
    sql(&b, "UPDATE t SET a = 5 WHERE id = 'y'");
    sealed = seal(&b);
    CHECK_INT(store_begin(a.store, &error), ==, GV_OK);
    CHECK_INT(store_apply_interval(a.store, &sealed.interval, &error), ==,
              GV_EFORK);
    CHECK_INT(store_commit(a.store, &none, &error), ==, GV_EMOVED);
    renews_whole(&a, &b, &site, "new3,old2,xof b,y5");
}

/* What it published below the other life's end, peers take for held. */
TEST(nothing_is_lost_that_a_lagging_clock_published_after_it_went_back)
{
    struct copy a, b;
    struct gv_error error = {0};
    struct site site = two_lives(&a, &b, "lagging");
    gv_version theirs = vv_get(store_vv(b.store), &site);

    write_at(&a, 5000, "INSERT INTO t VALUES('slow', 3)");
    CHECK_INT(vv_get(store_vv(a.store), &site), <, theirs);
    CHECK_INT(store_heard_own(a.store, theirs, &error), ==, GV_EMOVED);
    renews_whole(&a, &b, &site, "old2,slow3,xof b,y1");

    site = two_lives(&a, &b, "both");
    theirs = vv_get(store_vv(b.store), &site);
    write_at(&a, 5000, "INSERT INTO t VALUES('slow', 3)");
    write_at(&a, 20000, "INSERT INTO t VALUES('new', 3)");
    CHECK_INT(store_heard_own(a.store, theirs, &error), ==, GV_EMOVED);
    renews_whole(&a, &b, &site, "new3,old2,slow3,xof b,y1");
}

/* What it published in a run that met nobody stands in no other file, though
 * peers claim to hold its dots. */
TEST(a_machine_that_went_back_and_hears_of_it_in_a_later_run_loses_nothing)
{
    struct copy a, b;
    struct gv_error error = {0};
    struct site site = two_lives(&a, &b, "later");

    write_at(&a, 5000, "INSERT INTO t VALUES('new', 3)");
    shut(&a);
    open_again(&a);
    CHECK(site_equal(&site, store_site(a.store)));
    CHECK_INT(
        store_heard_own(a.store, vv_get(store_vv(b.store), &site), &error), ==,
        GV_EMOVED);
    renews_whole(&a, &b, &site, "new3,old2,xof b,y1");
}

TEST(a_machine_that_hears_before_it_writes_loses_nothing)
{
    struct copy a, b;
    struct gv_error error = {0};
    struct site site = two_lives(&a, &b, "hears");

    CHECK_INT(
        store_heard_own(a.store, vv_get(store_vv(b.store), &site), &error), ==,
        GV_EMOVED);
    renews_whole(&a, &b, &site, "old2,xof b,y1");
}

TEST(a_file_whose_id_another_live_node_has_takes_a_new_one)
{
    struct copy a, b;
    struct gv_error error = {0};
    struct site site = two_lives(&a, &b, "twin");

    write_at(&a, 5000, "INSERT INTO t VALUES('new', 3)");
    CHECK_INT(store_heard_own(a.store, VERSION_MAX, &error), ==, GV_EMOVED);
    CHECK(strstr(error.what, "Another live node") != NULL);
    renews_whole(&a, &b, &site, "new3,old2,xof b,y1");
}

TEST(the_ends_of_its_own_intervals_are_no_news_to_a_file)
{
    struct copy a;
    struct gv_error error = {0};
    gv_version first, second;

    make(&a, "ends");
    first = vv_get(store_vv(a.store), store_site(a.store));
    sql(&a, "INSERT INTO t VALUES('y', 1)");
    second = seal(&a).interval.to;
    CHECK_INT(store_heard_own(a.store, 0, &error), ==, GV_OK);
    CHECK_INT(store_heard_own(a.store, first, &error), ==, GV_OK);
    CHECK_INT(store_heard_own(a.store, second, &error), ==, GV_OK);
    copy_reopen(&a, STORE_WRITE);
    CHECK_INT(store_heard_own(a.store, first, &error), ==, GV_OK);
    CHECK_INT(store_heard_own(a.store, first - 1, &error), ==, GV_EMOVED);
    copy_close(&a);
}

TEST(the_mesh_is_named_once_and_kept)
{
    struct copy a;
    struct gv_error error = {0};

    copy_make(&a, "mesh", CONTACTS);
    CHECK_INT(store_join(a.store, NULL, &error), ==, GV_EMESH);
    CHECK_INT(store_join(a.store, "shop", &error), ==, GV_OK);
    CHECK_INT(store_join(a.store, NULL, &error), ==, GV_OK);
    CHECK_INT(store_join(a.store, "other", &error), ==, GV_EMESH);
    CHECK(strstr(error.what, "'shop'") != NULL);
    copy_reopen(&a, STORE_WRITE);
    CHECK_INT(store_join(a.store, "other", &error), ==, GV_EMESH);
    copy_close(&a);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
