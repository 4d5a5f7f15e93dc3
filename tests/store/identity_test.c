#include "copies.h"

#include <stdarg.h>

#define CONTACTS "CREATE TABLE t(id TEXT PRIMARY KEY, a)"

static void shell(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

static void shell(const char *format, ...)
{
    char command[2000];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    if (system(command) != 0) {
        fprintf(stderr, "failed: %s\n", command);
        exit(1);
    }
}

static void shut(struct copy *copy)
{
    store_close(copy->store);
    copy->store = NULL;
    sqlite3_close(copy->app);
    copy->app = NULL;
}

static void open_again(struct copy *copy)
{
    CHECK(sqlite3_open(copy->path, &copy->app) == SQLITE_OK);
    copy_reopen(copy, STORE_WRITE);
}

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

    make(&a, "moved");
    shell("cp '%s' '%s.new' && mv '%s.new' '%s'", a.path, a.path, a.path,
          a.path);
    CHECK_INT(store_begin(a.store, &error), ==, GV_EMOVED);
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
