/* Bundles: a delta by itself.  Whatever is damaged, cut or made up is refused,
 * and the file stays as it was. */
#include "copies.h"

#include "base/checksum.h"
#include "base/random.h"
#include "store/bundle.h"

#define TABLE "CREATE TABLE t(id TEXT PRIMARY KEY, a, b INTEGER DEFAULT 7)"
#define HEAD_SIZE 32

static void make_two(struct copy *a, struct copy *b)
{
    two(a, b, TABLE);
}

/* What @from gives a file with @to's vector, or an empty one. */
static struct buffer bundle_of(struct copy *from, struct copy *to)
{
    static uint8_t bytes[VV_ENTRY_SIZE * 64];
    struct vv_view view = {NULL, 0};
    struct gv_error error = {0};
    struct buffer bundle;

    if (to != NULL)
        view_of(store_vv(to->store), bytes, &view);
    buffer_init(&bundle, SIZE_MAX);
    CHECK_INT(bundle_write_buffer(from->store, view, &bundle, &error), ==,
              GV_OK);
    return bundle;
}

static int take(struct copy *to, const struct buffer *bundle,
                struct gv_error *error)
{
    return bundle_apply_bytes(to->store, bundle->data, bundle->size, error);
}

static void must_take(struct copy *to, const struct buffer *bundle)
{
    struct gv_error error = {0};

    if (take(to, bundle, &error) != GV_OK) {
        fprintf(stderr, "take: %s\n", error.what);
        exit(1);
    }
}

/* Give changed bytes a hash that is right. */
static void hash_again(struct buffer *bundle)
{
    size_t size = bundle->size - CHECKSUM_SIZE;
    struct checksum checksum;

    checksum_init(&checksum);
    checksum_add(&checksum, bundle->data, size);
    checksum_end(&checksum, bundle->data + size);
}

/* All of a small file that can change. */
static const char *contents(struct copy *copy)
{
    return ask(copy, "SELECT (SELECT group_concat(id||'|'||a||'|'||b, ';')"
                     " FROM t) ||"
                     "(SELECT group_concat(hex(state)) FROM gv_row_1) ||"
                     "(SELECT hex(fingerprint)||clock FROM gv_meta) ||"
                     "(SELECT group_concat(hex(site)||version||told)"
                     " FROM gv_site)");
}

static void fill(struct copy *copy)
{
    sql(copy, "INSERT INTO t VALUES('k1', 'one', 1), ('k2', x'00ff', 2.5),"
              "('k3', NULL, -3); DELETE FROM t WHERE id = 'k3'");
    seal(copy);
    sql(copy, "UPDATE t SET b = 5 WHERE id = 'k1'; DELETE FROM t WHERE"
              " id = 'k2'");
    seal(copy);
}

TEST(two_files_that_exchange_bundles_are_equal)
{
    struct copy a, b;
    struct buffer bundle;

    make_two(&a, &b);
    fill(&a);
    sql(&b, "INSERT INTO t VALUES('k4', 'four', 4)");
    bundle = bundle_of(&a, &b);
    must_take(&b, &bundle);
    buffer_close(&bundle);
    bundle = bundle_of(&b, &a);
    must_take(&a, &bundle);
    buffer_close(&bundle);
    check_equal(&a, &b);
    CHECK_TEXT(
        ask(&a,
            "SELECT group_concat(id||b) FROM (SELECT * FROM t ORDER BY id)"),
        "k15,k44");
    CHECK_TEXT(
        ask(&b,
            "SELECT group_concat(id||b) FROM (SELECT * FROM t ORDER BY id)"),
        "k15,k44");
    close_two(&a, &b);
}

TEST(a_bundle_of_nothing_is_one)
{
    struct copy a, b;
    struct buffer bundle;

    make_two(&a, &b);
    bundle = bundle_of(&a, NULL);
    CHECK_INT(bundle.size, ==, HEAD_SIZE + CHECKSUM_SIZE);
    must_take(&b, &bundle);
    CHECK_INT(store_vv(b.store)->count, ==, 0);
    buffer_close(&bundle);
    close_two(&a, &b);
}

/* What programs wrote is sealed before either. */
TEST(a_bundle_has_what_was_not_sealed_and_meets_what_was_not_sealed)
{
    struct copy a, b;
    struct buffer bundle;

    make_two(&a, &b);
    copies_wall = 1700000000000;
    sql(&a, "INSERT INTO t VALUES('k', 'a', 1)");
    bundle = bundle_of(&a, NULL);
    sql(&b, "INSERT INTO t VALUES('k', 'b', 2)");
    must_take(&b, &bundle);
    buffer_close(&bundle);
    CHECK_INT(store_vv(b.store)->count, ==, 2);
    bundle = bundle_of(&b, &a);
    must_take(&a, &bundle);
    buffer_close(&bundle);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT a||b FROM t"), ask(&b, "SELECT a||b FROM t"));
    copies_wall = 0;
    close_two(&a, &b);
}

TEST(every_bit_that_turns_is_refused_and_changes_nothing)
{
    struct copy a, b;
    struct gv_error error = {0};
    struct buffer bundle;
    char before[4096];

    make_two(&a, &b);
    fill(&a);
    sql(&b, "INSERT INTO t VALUES('k9', 9, 9)");
    seal(&b);
    bundle = bundle_of(&a, NULL);
    snprintf(before, sizeof before, "%s", contents(&b));
    for (size_t i = 0; i < bundle.size * 8; i++) {
        int rc;

        bundle.data[i / 8] ^= (uint8_t)(1 << i % 8);
        rc = take(&b, &bundle, &error);
        CHECK(rc == GV_EPROTO || rc == GV_EVERSION);
        CHECK(error.what[0] != '\0' && error.meaning[0] != '\0');
        bundle.data[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    CHECK_TEXT(contents(&b), before);
    must_take(&b, &bundle);
    buffer_close(&bundle);
    close_two(&a, &b);
}

TEST(a_bundle_that_is_cut_or_longer_is_refused_and_changes_nothing)
{
    struct copy a, b;
    struct gv_error error = {0};
    struct buffer bundle;
    char before[4096];
    size_t whole;

    make_two(&a, &b);
    fill(&a);
    bundle = bundle_of(&a, NULL);
    whole = bundle.size;
    snprintf(before, sizeof before, "%s", contents(&b));
    for (bundle.size = 0; bundle.size < whole; bundle.size++)
        CHECK_INT(take(&b, &bundle, &error), ==, GV_EPROTO);
    buffer_append_u8(&bundle, 0);
    CHECK_INT(take(&b, &bundle, &error), ==, GV_EPROTO);
    CHECK_TEXT(contents(&b), before);
    buffer_close(&bundle);
    close_two(&a, &b);
}

/* With a right hash: it may be applied or not, but never by half, and what
 * was applied verifies. */
TEST(made_up_bytes_leave_a_sound_file)
{
    struct copy a, b;
    struct buffer bundle, changed;
    struct random random;
    int refused = 0, applied = 0;

    make_two(&a, &b);
    fill(&a);
    bundle = bundle_of(&a, NULL);
    random_seed(&random, 7);
    for (int i = 0; i < 3000; i++) {
        struct gv_error error = {0};
        char before[4096];
        size_t at = (size_t)(random_u64(&random) % (bundle.size - 32));

        snprintf(before, sizeof before, "%s", contents(&b));
        buffer_init(&changed, SIZE_MAX);
        buffer_append(&changed, bundle.data, bundle.size);
        changed.data[at] = (uint8_t)random_u64(&random);
        if (i % 3 == 0)
            changed.data[(at + 1) % (bundle.size - 32)] =
                (uint8_t)random_u64(&random);
        hash_again(&changed);
        if (take(&b, &changed, &error) == GV_OK) {
            applied++;
        } else {
            refused++;
            CHECK_TEXT(contents(&b), before);
            CHECK(error.what[0] != '\0');
        }
        buffer_close(&changed);
    }
    fprintf(stderr, "  %d refused, %d applied\n", refused, applied);
    CHECK(refused > 100 && applied > 0);
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    buffer_close(&bundle);
    close_two(&a, &b);
}

TEST(numbers_out_of_range_in_a_head_are_refused)
{
    static const struct {
        size_t at;
        const char *bytes;
        size_t size;
        int code;
    } cases[] = {
        {0, "x", 1, GV_EPROTO},                  /* the magic */
        {8, "\0\0\0\1", 4, GV_EVERSION},         /* an older format */
        {8, "\0\0\0\3", 4, GV_EVERSION},         /* a newer one */
        {12, "\0\0\1\0", 4, GV_EPROTO},          /* the mesh's name */
        {16, "\0\0\x27\x11", 4, GV_EPROTO},      /* 10,001 sites */
        {20, "\xff\xff\xff\xff", 4, GV_EPROTO},  /* sites of the claim */
        {24, "\x80\0\0\0\0\0\0\0", 8, GV_EPROTO} /* the stream */
    };
    struct copy a, b;
    struct gv_error error = {0};

    make_two(&a, &b);
    fill(&a);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer bundle = bundle_of(&a, NULL);

        memcpy(bundle.data + cases[i].at, cases[i].bytes, cases[i].size);
        hash_again(&bundle);
        CHECK_INT(take(&b, &bundle, &error), ==, cases[i].code);
        if (cases[i].code == GV_EVERSION)
            CHECK_TEXT(error.remedy,
                       cases[i].bytes[3] > 2
                           ? "Update Grapevine here."
                           : "Update Grapevine where it was made, and make it"
                             " again.");
        buffer_close(&bundle);
    }
    close_two(&a, &b);
}

TEST(a_bundle_made_for_more_than_the_file_holds_is_a_gap)
{
    struct copy a, b, c;
    struct gv_error error = {0};
    struct buffer first, second;
    char site[33];

    make_two(&a, &b);
    copy_make(&c, "c", TABLE);
    track(&c, "t");
    sql(&a, "INSERT INTO t VALUES('k1', 1, 1)");
    first = bundle_of(&a, NULL);
    must_take(&b, &first);
    sql(&a, "INSERT INTO t VALUES('k2', 2, 2)");
    second = bundle_of(&a, &b);
    site_format(store_site(a.store), site);
    CHECK_INT(take(&c, &second, &error), ==, GV_EGAP);
    CHECK(strstr(error.what, site) != NULL);
    CHECK(error.remedy[0] != '\0');
    CHECK_INT(store_vv(c.store)->count, ==, 0);
    CHECK_TEXT(ask(&c, "SELECT count(*) FROM t"), "0");
    must_take(&c, &first);
    must_take(&c, &second);
    must_take(&b, &second);
    must_take(&b, &first); /* twice, and late */
    check_equal(&a, &b);
    check_equal(&a, &c);
    buffer_close(&first);
    buffer_close(&second);
    copy_close(&c);
    close_two(&a, &b);
}

TEST(a_bundle_of_another_mesh_is_refused)
{
    struct copy a, b, c;
    struct gv_error error = {0};
    struct buffer bundle;

    make_two(&a, &b);
    copy_make(&c, "c", TABLE);
    track(&c, "t");
    CHECK_INT(store_join(a.store, "north", &error), ==, GV_OK);
    CHECK_INT(store_join(b.store, "south", &error), ==, GV_OK);
    fill(&a);
    bundle = bundle_of(&a, NULL);
    CHECK_INT(take(&b, &bundle, &error), ==, GV_EMESH);
    CHECK(strstr(error.what, "north") != NULL);
    CHECK(strstr(error.what, "south") != NULL);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "0");
    must_take(&c, &bundle); /* of no mesh yet */
    check_equal(&a, &c);
    buffer_close(&bundle);
    copy_close(&c);
    close_two(&a, &b);
}

TEST(a_row_changed_past_the_triggers_is_sealed_first_and_the_bundle_applied)
{
    struct copy a, b;
    struct buffer bundle;

    make_two(&a, &b);
    sql(&a, "INSERT INTO t VALUES('k', 'old', 1)");
    bundle = bundle_of(&a, NULL);
    must_take(&b, &bundle);
    buffer_close(&bundle);
    sqlite3_db_config(b.app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sql(&b, "DELETE FROM t");
    sqlite3_db_config(b.app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, NULL);
    sql(&a, "UPDATE t SET a = 'new'");
    bundle = bundle_of(&a, &b);
    must_take(&b, &bundle);
    buffer_close(&bundle);
    bundle = bundle_of(&b, &a);
    must_take(&a, &bundle);
    buffer_close(&bundle);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM t"), "0");
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    /* The one that writes looks at what it sends. */
    sql(&b, "INSERT INTO t VALUES('m', 'old', 1)");
    seal(&b);
    sqlite3_db_config(b.app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sql(&b, "UPDATE t SET a = 'hidden'");
    bundle = bundle_of(&b, &a);
    must_take(&a, &bundle);
    buffer_close(&bundle);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT a FROM t"), "hidden");
    close_two(&a, &b);
}

/* A delta that was made for this very file when it held more of itself, by one
 * that holds nothing of it. */
TEST(a_bundle_shows_that_a_file_went_back)
{
    struct copy a, b;
    struct gv_error error = {0};
    struct site site;
    struct buffer bundle;

    make_two(&a, &b);
    sql(&b, "INSERT INTO t VALUES('1', 1, 1)");
    seal(&b);
    sql(&b, "PRAGMA wal_checkpoint(TRUNCATE)");
    shell("cp '%s' '%s.old'", b.path, b.path);
    sql(&b, "INSERT INTO t VALUES('2', 2, 2)");
    seal(&b);
    sql(&a, "INSERT INTO t VALUES('3', 3, 3)");
    bundle = bundle_of(&a, NULL);
    must_take(&b, &bundle);
    buffer_close(&bundle);
    sql(&a, "INSERT INTO t VALUES('4', 4, 4)");
    bundle = bundle_of(&a, &b);
    site = *store_site(b.store);
    shut(&b);
    shell("cat '%s.old' > '%s' && rm '%s-gv/state'", b.path, b.path, b.path);
    open_again(&b);
    CHECK(site_equal(&site, store_site(b.store)));
    CHECK_INT(take(&b, &bundle, &error), ==, GV_EMOVED);
    CHECK_INT(take(&b, &bundle, &error), ==, GV_EMOVED);
    buffer_close(&bundle);
    copy_reopen(&b, STORE_WRITE);
    CHECK(!site_equal(&site, store_site(b.store)));
    bundle = bundle_of(&a, &b);
    must_take(&b, &bundle);
    buffer_close(&bundle);
    bundle = bundle_of(&b, &a);
    must_take(&a, &bundle);
    buffer_close(&bundle);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT group_concat(id, '') FROM (SELECT id FROM t"
                       " ORDER BY id)"),
               "134");
    close_two(&a, &b);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
