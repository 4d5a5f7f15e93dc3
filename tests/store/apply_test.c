#include "copies.h"

#include "core/clock.h"
#include "wire/frame.h"
#include "wire/stream.h"

#define CONTACTS "CREATE TABLE t(id TEXT PRIMARY KEY, a, b INTEGER DEFAULT 7)"

static void pair_with(struct copy *a, struct copy *b, const char *schema)
{
    static int number;
    char name[32];

    snprintf(name, sizeof name, "apply%d-a", ++number);
    copy_make(a, name, schema);
    snprintf(name, sizeof name, "apply%d-b", number);
    copy_make(b, name, schema);
    track(a, "t");
    track(b, "t");
}

static void end_pair(struct copy *a, struct copy *b)
{
    CHECK_INT(verify_findings(a, NULL), ==, 0);
    CHECK_INT(verify_findings(b, NULL), ==, 0);
    CHECK(!seal(a).any);
    CHECK(!seal(b).any);
    copy_close(a);
    copy_close(b);
}

TEST(concurrent_edits_of_different_columns_both_survive)
{
    struct copy a, b;

    pair_with(&a, &b, CONTACTS);
    sql(&a, "INSERT INTO t VALUES('x', 'x', 1)");
    sync_both(&a, &b);
    sql(&a, "UPDATE t SET a = 'A'");
    sql(&b, "UPDATE t SET b = 2");
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT a||b FROM t"), "A2");
    CHECK_TEXT(ask(&b, "SELECT a||b FROM t"), "A2");
    end_pair(&a, &b);
}

TEST(the_later_of_two_edits_wins_whichever_way_they_travel)
{
    struct copy a, b;

    for (int way = 0; way < 2; way++) {
        pair_with(&a, &b, CONTACTS);
        sql(&a, "INSERT INTO t VALUES('x', 'x', 1)");
        sync_both(&a, &b);
        sql(&a, "UPDATE t SET a = 'early'");
        sql(&b, "UPDATE t SET a = 'late'");
        sql(&b, "UPDATE gv_journal SET day = day + 5 / 86400000.0");
        copies_wall = host_system()->wall(NULL) + 10;
        seal(&a);
        seal(&b);
        copies_wall = 0;
        if (way == 0)
            sync_both(&a, &b);
        else
            sync_both(&b, &a);
        check_equal(&a, &b);
        CHECK_TEXT(ask(&a, "SELECT a FROM t"), "late");
        CHECK_TEXT(ask(&b, "SELECT a FROM t"), "late");
        end_pair(&a, &b);
    }
}

TEST(a_delete_beats_a_concurrent_edit_and_a_new_life_has_its_own_values)
{
    struct copy a, b;

    pair_with(&a, &b, CONTACTS);
    sql(&a, "INSERT INTO t VALUES('x', 'x', 1)");
    sync_both(&a, &b);
    sql(&a, "DELETE FROM t");
    sql(&b, "UPDATE t SET a = 'edited'");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM t"), "0");
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "0");
    sql(&b, "INSERT INTO t(id, b) VALUES('x', 5)");
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT coalesce(a, 'none')||b FROM t"), "none5");
    end_pair(&a, &b);
}

TEST(the_same_rows_on_two_sides_merge_without_a_change)
{
    struct copy a, b;

    copy_make(&a, "same-a", CONTACTS);
    copy_make(&b, "same-b", CONTACTS);
    sql(&a, "INSERT INTO t VALUES('x', 1, 2), ('only a', 1, 2)");
    sql(&b, "INSERT INTO t VALUES('x', 1, 2), ('only b', 3, 4)");
    track(&a, "t");
    track(&b, "t");
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT group_concat(id||a||b) FROM t ORDER BY 1"),
               ask(&b, "SELECT group_concat(id||a||b) FROM"
                       " (SELECT * FROM t ORDER BY id = 'only b')"));
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM t"), "3");
    end_pair(&a, &b);
}

static const char *const awkward_values[] = {"NULL",
                                             "0",
                                             "-1",
                                             "9223372036854775807",
                                             "-9223372036854775808",
                                             "9007199254740993",
                                             "0.0",
                                             "-0.0",
                                             "1e300",
                                             "5e-324",
                                             "1.0",
                                             "9007199254740992.0",
                                             "9e999",
                                             "-9e999",
                                             "''",
                                             "x''",
                                             "'1'",
                                             "'007'",
                                             "'a'||char(0)||'b'",
                                             "CAST(x'ff61' AS TEXT)",
                                             "x'00ff'",
                                             "zeroblob(300)",
                                             "'1.0'"};

TEST(all_storage_classes_arrive_bit_for_bit)
{
    struct copy a, b;
    char text[300];
    size_t count = sizeof awkward_values / sizeof *awkward_values;

    pair_with(&a, &b, "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b BLOB) ");
    for (size_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "INSERT INTO t VALUES(%zu, %s, %s)", i,
                 awkward_values[i], awkward_values[count - 1 - i]);
        sql(&a, text);
    }
    sync_both(&a, &b);
    check_equal(&a, &b);
    snprintf(text, sizeof text, "ATTACH '%s' AS other", b.path);
    sql(&a, text);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM main.t AS x JOIN other.t AS y"
                       " USING(id) WHERE x.a IS y.a AND typeof(x.a) ="
                       " typeof(y.a) AND x.b IS y.b AND typeof(x.b) ="
                       " typeof(y.b)"),
               "23");
    CHECK_TEXT(ask(&a, "SELECT 1 / (SELECT a FROM other.t WHERE id = 7)"),
               "(null)");
    end_pair(&a, &b);
}

#define KEY_LIST                                                              \
    "SELECT group_concat(hex(id)||typeof(id)||a) FROM"                        \
    " (SELECT * FROM t ORDER BY a)"

TEST(all_classes_of_keys_arrive_bit_for_bit)
{
    static const char *const schemas[] = {
        "CREATE TABLE t(id PRIMARY KEY, a, b)",
        "CREATE TABLE t(id PRIMARY KEY, a, b) WITHOUT ROWID",
        ("CREATE TABLE t(id BLOB, k TEXT DEFAULT '', a, b, "
         "PRIMARY KEY(k, id))")};

    for (size_t s = 0; s < 3; s++) {
        struct copy a, b;
        char text[300];

        pair_with(&a, &b, schemas[s]);
        for (size_t i = 1; i < 22; i++) {
            snprintf(text, sizeof text,
                     "INSERT OR IGNORE INTO t(id, a, b) VALUES(%s, %zu, 1)",
                     awkward_values[i], i);
            sql(&a, text);
        }
        sync_both(&a, &b);
        check_equal(&a, &b);
        /* A whole real is the same key as the integer, and travels as it. */
        sql(&a, "UPDATE t SET id = CAST(id AS INTEGER) WHERE typeof(id) ="
                " 'real' AND abs(id) < 9e18 AND id = CAST(id AS INTEGER)");
        CHECK_TEXT(ask(&b, KEY_LIST), ask(&a, KEY_LIST));
        sql(&b, "DELETE FROM t WHERE a % 2 = 0");
        sync_both(&a, &b);
        CHECK_TEXT(ask(&a, "SELECT count(*) FROM t WHERE a % 2 = 0"), "0");
        end_pair(&a, &b);
    }
}

TEST(a_strict_table_travels)
{
    struct copy a, b;

    pair_with(&a, &b,
              "CREATE TABLE t(id TEXT PRIMARY KEY, a ANY, b INTEGER) STRICT");
    sql(&a, "INSERT INTO t VALUES('x', '007', 1), ('y', 7.0, 2)");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT group_concat(quote(a)) FROM t"), "'007',7.0");
    end_pair(&a, &b);
}

TEST(an_unknown_table_is_kept_and_shown_after_track)
{
    struct copy a, b;
    struct gv_error error = {0};
    struct store_sealed sealed;

    pair_with(&a, &b, CONTACTS);
    sql(&a, "CREATE TABLE u(id TEXT PRIMARY KEY, v)");
    track(&a, "u");
    sql(&a, "INSERT INTO t VALUES('x', 1, 1); INSERT INTO u VALUES('y', 1)");
    sealed = seal(&a);
    CHECK_INT(apply_interval(&b, &sealed.interval, &error), ==, GV_OK);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "1");
    check_equal(&a, &b);
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    sql(&b, "CREATE TABLE u(id TEXT PRIMARY KEY, v)");
    track(&b, "u");
    CHECK_TEXT(ask(&b, "SELECT (SELECT count(*) FROM t)+count(*) FROM u"),
               "2");
    check_equal(&a, &b);
    end_pair(&a, &b);
}

TEST(an_unknown_column_is_kept_and_shown_after_alter)
{
    struct copy a, b;

    pair_with(&a, &b, CONTACTS);
    sql(&a, "ALTER TABLE t ADD COLUMN c DEFAULT 'none'");
    sql(&a, "INSERT INTO t(id, a) VALUES('x', 1)");
    must_pull(&b, &a); /* nothing of the new column is in it */
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "1");
    sql(&a, "UPDATE t SET c = 'some', a = 2");
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT a FROM t"), "2");
    check_equal(&a, &b);
    sql(&b, "ALTER TABLE t ADD COLUMN c DEFAULT 'none'");
    CHECK(!seal(&b).any);
    CHECK_TEXT(ask(&b, "SELECT c||a FROM t"), "some2");
    check_equal(&a, &b);
    end_pair(&a, &b);
}

TEST(an_interval_out_of_its_turn_is_not_applied)
{
    struct copy a, b;
    struct store_sealed sealed;
    uint8_t first[4096], second[4096];
    struct interval one, two;
    const uint8_t *fragments;
    size_t size, one_size, two_size;

    pair_with(&a, &b, CONTACTS);
    sql(&a, "INSERT INTO t VALUES('x', 1, 1)");
    sealed = seal(&a);
    one_size = sealed.interval.size;
    memcpy(first, sealed.interval.bytes, one_size);
    sql(&a, "UPDATE t SET a = 2");
    sealed = seal(&a);
    two_size = sealed.interval.size;
    memcpy(second, sealed.interval.bytes, two_size);
    CHECK_INT(interval_decode(first, one_size, &one, &fragments, &size), ==,
              GV_OK);
    CHECK_INT(interval_decode(second, two_size, &two, &fragments, &size), ==,
              GV_OK);
    CHECK_INT(apply_interval(&b, &two, NULL), ==, GV_EGAP);
    CHECK_INT(apply_interval(&b, &one, NULL), ==, GV_OK);
    CHECK_INT(apply_interval(&b, &one, NULL), ==, GV_EDUPLICATE);
    CHECK_INT(apply_interval(&b, &two, NULL), ==, GV_OK);
    check_equal(&a, &b);
    end_pair(&a, &b);
}

TEST(an_effect_is_not_applied_before_its_cause)
{
    struct copy a, b, c;
    struct store_sealed cause, effect;

    pair_with(&a, &b, CONTACTS);
    copy_make(&c, "effect-c", CONTACTS);
    track(&c, "t");
    sql(&a, "INSERT INTO t VALUES('x', 1, 1)");
    cause = seal(&a);
    CHECK_INT(apply_interval(&b, &cause.interval, NULL), ==, GV_OK);
    sql(&b, "UPDATE t SET a = 2");
    effect = seal(&b);
    CHECK_INT(apply_interval(&c, &effect.interval, NULL), ==, GV_EGAP);
    CHECK_TEXT(ask(&c, "SELECT count(*) FROM t"), "0");
    CHECK_INT(apply_interval(&c, &cause.interval, NULL), ==, GV_OK);
    CHECK_INT(apply_interval(&c, &effect.interval, NULL), ==, GV_OK);
    CHECK_TEXT(ask(&c, "SELECT a FROM t"), "2");
    check_equal(&b, &c);
    copy_close(&c);
    end_pair(&a, &b);
}

TEST(a_clock_too_far_ahead_is_refused_whole)
{
    struct copy a, b;
    struct gv_error error = {0};
    struct store_sealed sealed;

    pair_with(&a, &b, CONTACTS);
    copies_wall = host_system()->wall(NULL) + 3600000;
    sql(&a, "INSERT INTO t VALUES('x', 1, 1)");
    sql(&a, "UPDATE gv_journal SET day = day + 1 / 24.0");
    sealed = seal(&a);
    copies_wall = 0;
    CHECK_INT(apply_interval(&b, &sealed.interval, &error), ==, GV_ECLOCK);
    CHECK_INT(pull(&b, &a, &error), ==, GV_ECLOCK);
    CHECK_INT(store_vv(b.store)->count, ==, 0);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "0");
    copies_wall = host_system()->wall(NULL) + 3600000;
    must_pull(&b, &a);
    copies_wall = 0;
    check_equal(&a, &b);
    copy_close(&a);
    copy_close(&b);
}

TEST(a_local_write_is_sealed_before_anything_is_applied)
{
    struct copy a, b;
    struct store_sealed sealed;

    pair_with(&a, &b, CONTACTS);
    sql(&a, "INSERT INTO t VALUES('x', 'from a', 1)");
    sealed = seal(&a);
    /* In one millisecond the larger site would win; what the triggers make of
     * julianday() may be one less than the time. */
    while (host_system()->wall(NULL) <= clock_wall(sealed.interval.to) + 1)
        continue;
    sql(&b, "INSERT INTO t VALUES('x', 'from b', 1)");
    CHECK_INT(apply_interval(&b, &sealed.interval, NULL), ==, GV_OK);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_journal"), "0");
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT a FROM t"), "from b");
    end_pair(&a, &b);
}

TEST(a_row_changed_past_the_triggers_is_published_first)
{
    struct copy a, b;
    struct gv_error error = {0};

    pair_with(&a, &b, CONTACTS);
    sql(&a, "INSERT INTO t VALUES('x', 1, 1)");
    sync_both(&a, &b);
    sqlite3_db_config(b.app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sql(&b, "DELETE FROM t; INSERT INTO t VALUES('y', 'hidden', 1)");
    sql(&a, "UPDATE t SET a = 2; INSERT INTO t VALUES('y', 'seen', 2)");
    /* First the two hidden writes are found, one at a time. */
    CHECK_INT(pull(&b, &a, &error), ==, GV_EDIFFERS);
    CHECK_INT(pull(&b, &a, &error), ==, GV_EDIFFERS);
    must_pull(&b, &a);
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM t WHERE id = 'x'"), "0");
    CHECK_TEXT(ask(&a, "SELECT a FROM t WHERE id = 'y'"), "hidden");
    end_pair(&a, &b);
}

TEST(twenty_columns_and_two_thousand_travel)
{
    static const int counts[] = {20, 64, 200, 1900};

    for (size_t i = 0; i < 4; i++) {
        struct copy a, b;
        char *text = malloc(200000);
        size_t used;
        char name[32];

        used = (size_t)sprintf(text, "CREATE TABLE t(id TEXT PRIMARY KEY");
        for (int c = 0; c < counts[i]; c++)
            used += (size_t)sprintf(text + used, ", c%d", c);
        sprintf(text + used, ")");
        snprintf(name, sizeof name, "wide%zu-a", i);
        copy_make(&a, name, text);
        snprintf(name, sizeof name, "wide%zu-b", i);
        copy_make(&b, name, text);
        track(&a, "t");
        track(&b, "t");
        sql(&a, "INSERT INTO t(id, c0, c19) VALUES('x', 1, 2)");
        snprintf(text, 200, "UPDATE t SET c%d = 'last'", counts[i] - 1);
        sync_both(&a, &b);
        sql(&b, text);
        sync_both(&a, &b);
        snprintf(text, 200, "SELECT c%d FROM t", counts[i] - 1);
        CHECK_TEXT(ask(&a, text), "last");
        check_equal(&a, &b);
        free(text);
        end_pair(&a, &b);
    }
}

TEST(a_malformed_interval_changes_nothing)
{
    struct copy a, b;
    struct store_sealed sealed;
    struct gv_error error = {0};
    struct gv_error ignored = {0};

    pair_with(&a, &b, CONTACTS);
    sql(&a, "INSERT INTO t VALUES('x', 'some text', 1), ('y', 'more', 2)");
    sealed = seal(&a);
    for (size_t i = 0; i < sealed.interval.size; i++) {
        uint8_t bytes[4096];
        struct interval bad = sealed.interval;

        memcpy(bytes, sealed.interval.bytes, sealed.interval.size);
        bytes[i] ^= 0x55;
        bad.bytes = bytes;
        CHECK_INT(store_begin(b.store, &ignored), ==, GV_OK);
        store_apply_interval(b.store, &bad, &error);
        store_rollback(b.store);
        CHECK(!seal(&b).any);
    }
    CHECK_INT(apply_interval(&b, &sealed.interval, NULL), ==, GV_OK);
    check_equal(&a, &b);
    end_pair(&a, &b);
}

TEST(triggers_that_feed_a_full_text_index_fire_on_apply)
{
    struct copy a, b;
    const char *schema = "CREATE TABLE t(id TEXT PRIMARY KEY, a);"
                         "CREATE VIRTUAL TABLE f USING fts5(id, a);"
                         "CREATE TRIGGER f_i AFTER INSERT ON t BEGIN"
                         " INSERT INTO f VALUES(new.id, new.a); END;"
                         "CREATE TRIGGER f_u AFTER UPDATE OF a ON t BEGIN"
                         " UPDATE f SET a = new.a WHERE id = new.id; END;"
                         "CREATE TRIGGER f_d AFTER DELETE ON t BEGIN"
                         " DELETE FROM f WHERE id = old.id; END;";

    pair_with(&a, &b, schema);
    sql(&a, "INSERT INTO t VALUES('x', 'quick fox'), ('y', 'slow dog')");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT id FROM f WHERE f MATCH 'fox'"), "x");
    sql(&a, "UPDATE t SET a = 'quick cat' WHERE id = 'x';"
            "DELETE FROM t WHERE id = 'y'");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||a) FROM f"), "xquick cat");
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_journal"), "0");
    check_equal(&a, &b);
    end_pair(&a, &b);
}

TEST(triggers_that_write_a_tracked_table_do_not_fire_on_apply)
{
    struct copy a, b;
    const char *schema =
        "CREATE TABLE t(id TEXT PRIMARY KEY, a);"
        "CREATE TABLE u(id TEXT PRIMARY KEY, n);"
        "CREATE TABLE log(line);"
        "CREATE TRIGGER l AFTER INSERT ON t BEGIN"
        " INSERT INTO log VALUES(new.id); END;"
        "CREATE TRIGGER c AFTER INSERT ON t BEGIN"
        " INSERT INTO u VALUES(new.id, hex(randomblob(4))); END;";

    copy_make(&a, "fire-a", schema);
    copy_make(&b, "fire-b", schema);
    track(&a, "t");
    track(&a, "u");
    track(&b, "t");
    track(&b, "u");
    sql(&a, "INSERT INTO t VALUES('x', 1)");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT n FROM u"), ask(&a, "SELECT n FROM u"));
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM log"), "0");
    check_equal(&a, &b);
    end_pair(&a, &b);
}

/* A site or a column that is named twice could give a row one dot twice. */
TEST(names_given_twice_are_malformed)
{
    static const char *const columns[] = {"a", "a"};
    struct copy a, b;
    struct site site = {{1}};
    struct vv_view none = {NULL, 0};

    pair_with(&a, &b, CONTACTS);
    for (int twice = 0; twice < 2; twice++) {
        struct buffer stream, bytes;
        struct interval interval = {.site = site, .from = 0, .to = 5};
        struct gv_error error = {0};

        buffer_init(&stream, 65536);
        buffer_init(&bytes, 65536);
        stream_write_site(&stream, &site, 0);
        if (twice == 0)
            stream_write_site(&stream, &site, 0);
        write_table(&stream, "t", columns, twice == 0 ? 1 : 2);
        CHECK_INT(interval_encode(&site, 0, 5, none, stream.data, stream.size,
                                  &bytes),
                  ==, GV_OK);
        interval.bytes = bytes.data;
        interval.size = bytes.size;
        CHECK_INT(apply_interval(&b, &interval, &error), ==, GV_EPROTO);
        CHECK(strstr(error.what, "named twice") != NULL);
        buffer_close(&stream);
        buffer_close(&bytes);
    }
    end_pair(&a, &b);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
