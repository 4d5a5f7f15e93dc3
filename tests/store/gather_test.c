/* An extract that gathers the user's rows in the order in which they lie sends
 * what one that joins them does, byte for byte, for every kind of table. */
#include "copies.h"

#define ROWS 500

struct kind {
    const char *name;
    const char *schema;
    const char *insert;
};

/* Keys that neither ascend with n nor lie where they were written. */
#define KEY "printf('%08x', (n * 7919) % 65521)"
#define INSERT                                                                \
    "WITH RECURSIVE c(n) AS (VALUES(1) UNION ALL SELECT n+1 FROM c"           \
    " WHERE n<500) INSERT INTO t SELECT "

static const struct kind kinds[] = {
    {"text", "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, a, b DEFAULT 'd')",
     INSERT KEY ", n, n % 5, 'x' || n FROM c"},
    {"in order", "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, a, b)",
     INSERT "printf('%08x', n), n, n % 5, 'x' || n FROM c"},
    {"integer", "CREATE TABLE t(id INTEGER PRIMARY KEY, n INT, a, b)",
     INSERT "(n * 7919) % 65521, n, n % 5, 'x' || n FROM c"},
    {"two", "CREATE TABLE t(x TEXT, n INT, a, y INT, b, PRIMARY KEY(y, x))",
     INSERT KEY ", n, n % 5, n % 3, 'x' || n FROM c"},
    {"clustered",
     "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, n INT, a, b)"
     " WITHOUT ROWID",
     INSERT KEY ", n, n % 5, 'x' || n FROM c"},
    {"hidden", "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, a, b, _RowId_ INT)",
     INSERT KEY ", n, n % 5, 'x' || n, n % 4 FROM c"},
    {"no columns", "CREATE TABLE t(n, id, PRIMARY KEY(id, n))",
     INSERT "n, " KEY " FROM c"},
    {"mixed", "CREATE TABLE t(id PRIMARY KEY, n INT, a, b)",
     INSERT "CASE n % 4 WHEN 0 THEN (n * 7919) % 65521 WHEN 1 THEN"
            " 'k' || (n * 7919 % 65521) WHEN 2 THEN CAST('k' || n AS BLOB)"
            " ELSE 300 - n + 0.5 END, n, n % 5, CASE n % 5 WHEN 0 THEN NULL"
            " WHEN 1 THEN n / 7.0 WHEN 2 THEN zeroblob(0) WHEN 3 THEN ''"
            " ELSE n END FROM c"},
    {"sizes", "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, a, b)",
     INSERT KEY ", n, zeroblob(n % 70), substr(hex(zeroblob(300)), 1, n)"
                " FROM c"},
    {"large", "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, a, b)",
     INSERT KEY ", n, n % 5, zeroblob(CASE n % 100 WHEN 7 THEN 13000000 + n"
                " WHEN 8 THEN 7000000 + n ELSE n END) FROM c"},
    {"far apart", "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, a, b)",
     "WITH RECURSIVE c(n) AS (VALUES(1) UNION ALL SELECT n+1 FROM c WHERE"
     " n<500) INSERT INTO t(rowid, id, n, a, b) SELECT CASE n % 5 WHEN 0 THEN"
     " 9223372036854775807 - n WHEN 1 THEN -9223372036854775807 + n ELSE n"
     " * 1000003 END, " KEY ", n, n % 5, 'x' || n FROM c"},
};

/* What a peer that has nothing is sent by @copy, whose tables are gathered
 * from @many rows on. */
static void extract_as(struct copy *copy, size_t many, struct buffer *out)
{
    struct vv_view none = {NULL, 0};
    struct extract *extract;
    struct gv_error error = {0};
    uint8_t *room;

    copies_slices = (struct store_slices){.extract_many = many};
    copy_reopen(copy, STORE_WRITE);
    CHECK_INT(extract_whole(copy, none, &extract, &error), ==, GV_OK);
    buffer_init(out, SIZE_MAX);
    room = buffer_extend(out, (size_t)extract_size(extract));
    CHECK(room != NULL);
    CHECK_INT(extract_read(extract, 0, room, out->size), ==, GV_OK);
    extract_free(extract);
}

/* @what: of the copy, for who reads what failed. */
static void check_same(struct copy *copy, const char *what)
{
    static const size_t many[] = {2, 20, 60, 400};
    struct buffer joined, gathered;

    extract_as(copy, SIZE_MAX / 16, &joined);
    for (size_t i = 0; i < sizeof many / sizeof *many; i++) {
        extract_as(copy, many[i], &gathered);
        if (gathered.size != joined.size ||
            memcmp(gathered.data, joined.data, joined.size) != 0)
            fprintf(stderr, "table %s, gathered from %zu rows on\n", what,
                    many[i]);
        CHECK_INT(gathered.size, ==, joined.size);
        CHECK(memcmp(gathered.data, joined.data, joined.size) == 0);
        buffer_close(&gathered);
    }
    buffer_close(&joined);
    copies_slices = (struct store_slices){0};
}

TEST(what_is_gathered_is_what_is_joined)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct copy copy;

        copy_make(&copy, "rows", kinds[i].schema);
        sql(&copy, kinds[i].insert);
        track(&copy, "t");
        seal(&copy);
        check_same(&copy, kinds[i].name);
        /* Rows that are dead, that live again, and other values. */
        sql(&copy, "DELETE FROM t WHERE n % 3 = 0");
        seal(&copy);
        if (strcmp(kinds[i].name, "no columns") != 0)
            sql(&copy, "UPDATE t SET a = 'new' WHERE n % 5 = 1");
        seal(&copy);
        check_same(&copy, kinds[i].name);
        copy_close(&copy);
        copies_remove();
    }
}

/* A gathered extract is more than one turn, and other turns come between. */
TEST(what_is_committed_meanwhile_is_not_sent)
{
    struct copy a, b;
    struct extract *extract;
    struct gv_error error = {0};
    struct vv_view none = {NULL, 0};
    struct vv before;
    bool done = false;

    copies_slices = (struct store_slices){.extract_many = 8};
    two(&a, &b, kinds[0].schema);
    sql(&a, kinds[0].insert);
    seal(&a);
    vv_init(&before);
    CHECK_INT(vv_copy(&before, store_vv(a.store)), ==, GV_OK);
    CHECK_INT(extract_begin(a.store, none, &extract, &error), ==, GV_OK);
    for (size_t turn = 0; !done; turn++) {
        CHECK_INT(extract_step(extract, 7, &done, &error), ==, GV_OK);
        if (turn % 4 == 0) {
            sql(&a, "UPDATE t SET b = b || 'y' WHERE n % 4 = 0");
            seal(&a);
        }
    }
    CHECK(vv_covers_view(&before, extract_claim(extract)));
    extract_free(extract);
    vv_close(&before);
    must_pull(&b, &a);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t WHERE b GLOB '*yy'"), "125");
    close_two(&a, &b);
    copies_slices = (struct store_slices){0};
}

/* One that got past the triggers is found in the middle of it. */
TEST(a_gathered_row_is_compared_with_its_digest)
{
    struct copy a, b;
    struct gv_error error = {0};

    copies_slices = (struct store_slices){.extract_many = 8};
    two(&a, &b, kinds[0].schema);
    sql(&a, kinds[0].insert);
    seal(&a);
    sqlite3_db_config(a.app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sql(&a, "UPDATE t SET b = 'past' WHERE n = 333");
    CHECK_INT(pull(&b, &a, &error), ==, GV_EDIFFERS);
    sql(&a, "DELETE FROM t WHERE n = 332");
    CHECK_INT(pull(&b, &a, &error), ==, GV_EDIFFERS);
    must_pull(&b, &a);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT b FROM t WHERE n = 333"), "past");
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "499");
    close_two(&a, &b);
    copies_slices = (struct store_slices){0};
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
