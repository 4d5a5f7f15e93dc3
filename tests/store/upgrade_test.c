/* Files that older programs left, and one that a newer one did. */
#include "copies.h"

#include <inttypes.h>

/* A copy of a golden file, not opened yet. */
static void take(struct copy *copy, const char *golden, const char *name)
{
    copy_make(copy, name, NULL);
    store_close(copy->store);
    copy->store = NULL;
    sqlite3_close(copy->app);
    shell("cat '%s/%s' > '%s'", GOLDEN, golden, copy->path);
    CHECK(sqlite3_open(copy->path, &copy->app) == SQLITE_OK);
    sqlite3_busy_timeout(copy->app, 5000);
}

static int open_as(struct copy *copy, enum store_mode mode,
                   struct gv_error *error)
{
    struct store_options options = {.mode = mode, .host = copies_host()};

    return store_open(copy->path, &options, &copy->store, error);
}

static const char *notes(struct copy *copy)
{
    return ask(copy, "SELECT group_concat(quote(id)||quote(a)||quote(b), ' ')"
                     " FROM (SELECT * FROM notes ORDER BY id)");
}

static const char *pairs(struct copy *copy)
{
    return ask(copy, "SELECT group_concat(quote(x)||quote(y)||quote(v)||"
                     "quote(w), ' ') FROM (SELECT * FROM \"odd pairs\""
                     " ORDER BY x)");
}

static void check_rows(struct copy *copy, const char *y)
{
    char expected[200];

    snprintf(expected, sizeof expected,
             "'new'NULL3 'x''b again''a again' 'y''not sealed'%s", y);
    CHECK_TEXT(notes(copy), expected);
    CHECK_TEXT(pairs(copy), "1'one'7.0'lives again' 2'two'2.5NULL");
    CHECK_TEXT(ask(copy, "SELECT cl FROM gv_row_1 WHERE k1='gone'"), "2");
    CHECK_TEXT(ask(copy, "SELECT cl FROM gv_row_1 WHERE k1='z'"), "2");
    CHECK_TEXT(ask(copy, "SELECT cl FROM gv_row_2 WHERE k1=1"), "3");
    CHECK_INT(verify_findings(copy, NULL), ==, 0);
}

TEST(a_file_of_format_1_is_brought_up_and_holds_what_it_held)
{
    struct copy a;
    struct hash128 held = {0xddff4aab6ccd7f43, 0xced556fb4b795fe1};

    take(&a, "format1.db", "one");
    copy_reopen(&a, STORE_WRITE);
    CHECK_TEXT(ask(&a, "SELECT format FROM gv_meta"), "2");
    CHECK(hash128_equal(store_fingerprint(a.store), held));
    CHECK_INT(store_vv(a.store)->count, ==, 2);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_journal"), "3");
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    CHECK(seal(&a).any);
    CHECK_INT(store_vv(a.store)->count, ==, 3); /* a copy: under a new id */
    check_rows(&a, "2.5");
    copy_reopen(&a, STORE_READ);
    check_rows(&a, "2.5");
    copy_close(&a);
}

/* Our tables with their columns, in no order. */
static const char *columns(struct copy *copy)
{
    return ask(copy, "SELECT group_concat(c, ' ') FROM (SELECT m.name||'.'||"
                     "c.name AS c FROM sqlite_schema m JOIN"
                     " pragma_table_info(m.name) c WHERE m.type='table' AND"
                     " m.name GLOB 'gv_*' AND m.name<>'gv_journal' ORDER BY"
                     " 1)");
}

TEST(a_file_that_was_brought_up_has_the_tables_of_a_new_one)
{
    struct copy old, new;

    take(&old, "format1.db", "old");
    copy_reopen(&old, STORE_WRITE);
    copy_make(&new, "new",
              "CREATE TABLE notes(id TEXT PRIMARY KEY, a TEXT, b);"
              "CREATE TABLE pairs(x, y, v, w, PRIMARY KEY(x, y))");
    track(&new, "notes");
    track(&new, "pairs");
    CHECK_TEXT(columns(&old), columns(&new));
    CHECK_TEXT(ask(&old, "SELECT group_concat(tracked) FROM gv_table"), "1,1");
    copy_close(&old);
    copy_close(&new);
}

TEST(files_of_format_1_and_2_merge)
{
    struct copy a, b, fresh;

    take(&a, "format1.db", "a");
    take(&b, "format1-peer.db", "b");
    copy_reopen(&a, STORE_WRITE);
    copy_reopen(&b, STORE_WRITE);
    copy_make(&fresh, "fresh",
              "CREATE TABLE notes(id TEXT PRIMARY KEY, a TEXT, b DEFAULT"
              " 'none'); CREATE TABLE \"odd pairs\"(x INTEGER, y TEXT, v REAL,"
              " w BLOB, PRIMARY KEY(x, y))");
    track(&fresh, "notes");
    track(&fresh, "odd pairs");
    sql(&b, "UPDATE notes SET b = 'of b' WHERE id = 'y'");
    sync_both(&a, &b);
    sync_both(&fresh, &b);
    check_equal(&a, &b);
    check_equal(&fresh, &b);
    check_rows(&a, "'of b'");
    check_rows(&b, "'of b'");
    check_rows(&fresh, "'of b'");
    copy_close(&a);
    copy_close(&b);
    copy_close(&fresh);
}

/* Refused with the reason; not a byte of the file is another. */
static void refused(const char *name, const char *change, enum store_mode mode,
                    const char *what, const char *remedy)
{
    struct copy a;
    struct gv_error error = {0};
    char path[sizeof a.path];

    take(&a, "format1.db", name);
    snprintf(path, sizeof path, "%s", a.path);
    if (change != NULL)
        sql(&a, change);
    shell("cp '%s' '%s.before'", path, path);
    CHECK_INT(open_as(&a, mode, &error), ==, GV_EVERSION);
    CHECK(strstr(error.what, what) != NULL);
    CHECK(strstr(error.remedy, remedy) != NULL);
    shell("cmp '%s' '%s.before'", path, path);
    copy_close(&a);
    shell("cmp '%s' '%s.before'", path, path);
}

TEST(a_newer_format_is_refused_and_left_as_it_is)
{
    const char *newer = "UPDATE gv_meta SET format = 99";

    refused("newer", newer, STORE_WRITE, "format 99", "newer program");
    refused("read", newer, STORE_READ, "format 99", "newer program");
}

TEST(who_only_reads_an_older_format_is_told_what_brings_it_up)
{
    refused("older", NULL, STORE_READ, "format 1", "grapevine run");
}

/* SQLite knows nothing of what we find wrong: its "not an error" would be all
 * that a person is told. */
TEST(damage_of_ours_is_not_told_in_the_words_of_sqlite)
{
    static const char *const damage[] = {"DELETE FROM gv_site",
                                         "DELETE FROM gv_meta"};

    for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
        struct copy a;
        struct gv_error error = {0};

        copy_make(&a, "damaged", "CREATE TABLE t(id TEXT PRIMARY KEY, x)");
        track(&a, "t");
        sql(&a, "INSERT INTO t VALUES('r', 1)");
        seal(&a);
        store_close(a.store);
        a.store = NULL;
        sql(&a, damage[i]);
        CHECK_INT(open_as(&a, STORE_WRITE, &error), !=, GV_OK);
        CHECK(strstr(error.what, "not an error") == NULL);
        sqlite3_close(a.app);
        copies_remove();
    }
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
