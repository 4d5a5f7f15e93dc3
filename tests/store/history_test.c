/* Conflicts one can see: gv_history holds what lost to a write that had not
 * seen it, and nothing else. */
#include "copies.h"

#define TABLE "CREATE TABLE t(id TEXT PRIMARY KEY, a, b INTEGER DEFAULT 7)"
/* What lost, who wrote it and who beat it, by their sites. */
#define LOSSES                                                                \
    "SELECT group_concat(h.bit||':'||quote(h.value), ' ') FROM"               \
    " (SELECT * FROM gv_history ORDER BY bit, quote(value)) AS h"

static void make(struct copy *copies, size_t count, const char *schema)
{
    static int number;

    number++;
    for (size_t i = 0; i < count; i++) {
        char name[32];

        snprintf(name, sizeof name, "history%d-%zu", number, i);
        copy_make(&copies[i], name, schema);
        track(&copies[i], "t");
    }
}

static void end(struct copy *copies, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CHECK_INT(verify_findings(&copies[i], NULL), ==, 0);
        copy_close(&copies[i]);
    }
}

/* Seal what waits as if it were written @ms from now: of two calls the one
 * with more is the later write, however slow the program is. */
static struct store_sealed seal_at(struct copy *copy, int ms)
{
    struct store_sealed sealed;
    char text[200];

    copies_wall = host_system()->wall(NULL) + ms;
    snprintf(text, sizeof text,
             "UPDATE gv_journal SET day = %lld/86400000.0+2440587.5",
             (long long)copies_wall);
    sql(copy, text);
    sealed = seal(copy);
    CHECK(sealed.any);
    copies_wall = 0;
    return sealed;
}

/* The bytes outlive the next transaction. */
static struct interval keep(struct store_sealed sealed)
{
    uint8_t *bytes = malloc(sealed.interval.size);

    CHECK(bytes != NULL && sealed.interval.bytes != NULL);
    memcpy(bytes, sealed.interval.bytes, sealed.interval.size);
    sealed.interval.bytes = bytes;
    return sealed.interval;
}

static void give(struct copy *to, const struct interval *interval)
{
    struct gv_error error = {0};

    if (apply_interval(to, interval, &error) != GV_OK) {
        fprintf(stderr, "apply: %s\n", error.what);
        exit(1);
    }
}

static void drop(struct interval *interval)
{
    free((void *)(uintptr_t)interval->bytes);
}

TEST(an_edit_of_what_its_writer_had_seen_is_no_conflict)
{
    struct copy c[2];

    make(c, 2, TABLE);
    sql(&c[0], "INSERT INTO t VALUES('x', 'one', 1)");
    for (int i = 0; i < 3; i++) {
        sync_both(&c[0], &c[1]);
        sql(&c[(i + 1) % 2], "UPDATE t SET a = a || '.', b = b + 1");
    }
    sync_both(&c[0], &c[1]);
    sql(&c[0], "DELETE FROM t");
    sync_both(&c[0], &c[1]);
    sql(&c[1], "INSERT INTO t VALUES('x', 'again', 2)");
    sync_both(&c[0], &c[1]);
    for (int i = 0; i < 2; i++)
        CHECK_TEXT(ask(&c[i], LOSSES), "(null)");
    end(c, 2);
}

/* By deltas: where the two writes met first. */
TEST(the_loser_of_two_offline_edits_is_kept)
{
    for (int way = 0; way < 2; way++) {
        struct copy c[2];
        int met;

        make(c, 2, TABLE);
        sql(&c[0], "INSERT INTO t VALUES('x', 'one', 1), ('y', 'one', 1)");
        sync_both(&c[0], &c[1]);
        sql(&c[0], "UPDATE t SET a = 'early', b = 5");
        sql(&c[1], "UPDATE t SET a = 'late', b = 5 WHERE id = 'x'");
        seal_at(&c[0], 10);
        seal_at(&c[1], 20);
        /* Equal values of b are no conflict; row y is none. */
        if (way == 0)
            sync_both(&c[0], &c[1]);
        else
            sync_both(&c[1], &c[0]);
        met = way == 0 ? 1 : 0;
        CHECK_TEXT(ask(&c[met], LOSSES), "1:'early'");
        CHECK_TEXT(ask(&c[met], "SELECT (SELECT site FROM gv_site WHERE num ="
                                " h.site) = (SELECT site FROM gv_site WHERE"
                                " num = h.by_site) FROM gv_history AS h"),
                   "0");
        CHECK_TEXT(ask(&c[met], "SELECT by_version > version FROM"
                                " gv_history"),
                   "1");
        CHECK_TEXT(ask(&c[met], "SELECT a FROM t WHERE id = 'x'"), "late");
        end(c, 2);
    }
}

/* By news, each way at once: both sides see it. */
TEST(two_edits_that_cross_are_kept_on_both_sides)
{
    struct copy c[2];
    struct interval early, late;

    make(c, 2, TABLE);
    sql(&c[0], "INSERT INTO t VALUES('x', 'one', 1)");
    sync_both(&c[0], &c[1]);
    sql(&c[0], "UPDATE t SET a = 'early'");
    early = keep(seal_at(&c[0], 100));
    sql(&c[1], "UPDATE t SET a = x'1a7e'");
    late = keep(seal_at(&c[1], 110));
    give(&c[0], &late);
    give(&c[1], &early);
    for (int i = 0; i < 2; i++)
        CHECK_TEXT(ask(&c[i], LOSSES), "1:'early'");
    check_equal(&c[0], &c[1]);
    drop(&early);
    drop(&late);
    end(c, 2);
}

/* The interval names what its writer had seen of the others since the one
 * before; what it does not name it had not seen. */
TEST(news_that_follows_what_its_writer_had_seen_is_no_conflict)
{
    struct copy c[3];
    struct interval first, second, third;

    make(c, 3, TABLE);
    sql(&c[0], "INSERT INTO t VALUES('x', 'one', 1)");
    first = keep(seal_at(&c[0], 200));
    give(&c[1], &first);
    give(&c[2], &first);
    sql(&c[1], "UPDATE t SET a = 'two'");
    second = keep(seal_at(&c[1], 210));
    give(&c[0], &second);
    CHECK_TEXT(ask(&c[0], LOSSES), "(null)");
    /* The third never heard of the second. */
    sql(&c[2], "UPDATE t SET a = 'three'");
    third = keep(seal_at(&c[2], 220));
    give(&c[0], &third);
    CHECK_TEXT(ask(&c[0], LOSSES), "1:'two'");
    give(&c[1], &third);
    CHECK_TEXT(ask(&c[1], LOSSES), "1:'two'");
    give(&c[2], &second);
    CHECK_TEXT(ask(&c[2], LOSSES), "1:'two'");
    drop(&first);
    drop(&second);
    drop(&third);
    end(c, 3);
}

/* Its writer heard nothing of the other since its interval before. */
TEST(news_that_names_no_dependency_is_judged_by_where_it_begins)
{
    struct copy c[2];
    struct interval one, two, three, early, late;

    make(c, 2, TABLE);
    sql(&c[0], "INSERT INTO t VALUES('x', 'one', 1)");
    one = keep(seal_at(&c[0], 230));
    give(&c[1], &one);
    sql(&c[1], "UPDATE t SET b = 2");
    two = keep(seal_at(&c[1], 240));
    /* It had seen 'one' at its interval before. */
    sql(&c[1], "UPDATE t SET a = 'three'");
    three = keep(seal_at(&c[1], 250));
    CHECK_INT(three.dependencies.count, ==, 0);
    give(&c[0], &two);
    give(&c[0], &three);
    CHECK_TEXT(ask(&c[0], LOSSES), "(null)");
    sql(&c[0], "UPDATE t SET a = 'early'");
    early = keep(seal_at(&c[0], 260));
    sql(&c[1], "UPDATE t SET a = 'late'");
    late = keep(seal_at(&c[1], 270));
    CHECK_INT(late.dependencies.count, ==, 0);
    give(&c[0], &late);
    give(&c[1], &early);
    for (int i = 0; i < 2; i++)
        CHECK_TEXT(ask(&c[i], LOSSES), "1:'early'");
    drop(&one);
    drop(&two);
    drop(&three);
    drop(&early);
    drop(&late);
    end(c, 2);
}

TEST(an_edit_that_a_concurrent_delete_beats_is_kept)
{
    struct copy c[2];
    struct interval gone, edited;

    make(c, 2, TABLE);
    sql(&c[0], "INSERT INTO t VALUES('x', 'one', 1)");
    sync_both(&c[0], &c[1]);
    sql(&c[0], "UPDATE t SET a = 'edited'");
    edited = keep(seal_at(&c[0], 300));
    sql(&c[1], "DELETE FROM t");
    gone = keep(seal(&c[1]));
    give(&c[0], &gone);
    give(&c[1], &edited);
    /* What the delete had seen (b) is not lost to it. */
    for (int i = 0; i < 2; i++)
        CHECK_TEXT(ask(&c[i], LOSSES), "1:'edited'");
    check_equal(&c[0], &c[1]);
    drop(&gone);
    drop(&edited);
    end(c, 2);
}

TEST(an_edit_that_a_concurrent_new_life_beats_is_kept)
{
    struct copy c[2];

    make(c, 2, TABLE);
    sql(&c[0], "INSERT INTO t VALUES('x', 'one', 1)");
    sync_both(&c[0], &c[1]);
    sql(&c[0], "UPDATE t SET a = 'edited', b = 2");
    seal_at(&c[0], 400);
    sql(&c[1], "DELETE FROM t");
    seal(&c[1]);
    sql(&c[1], "INSERT INTO t VALUES('x', 'new', 2)");
    sync_both(&c[0], &c[1]);
    CHECK_TEXT(ask(&c[1], LOSSES), "1:'edited'");
    CHECK_TEXT(ask(&c[0], "SELECT a FROM t"), "new");
    end(c, 2);
}

TEST(what_is_not_applied_leaves_no_history)
{
    struct copy c[2];
    struct interval early;
    struct gv_error error = {0};

    make(c, 2, TABLE);
    sql(&c[0], "INSERT INTO t VALUES('x', 'one', 1), ('y', 'one', 1)");
    sync_both(&c[0], &c[1]);
    sql(&c[0], "UPDATE t SET a = 'early'");
    early = keep(seal_at(&c[0], 500));
    sql(&c[1], "UPDATE t SET a = 'late'");
    seal_at(&c[1], 510);
    /* A row of ours is damaged: the interval is taken back whole. */
    sql(&c[1], "UPDATE gv_row_1 SET state = x'00' WHERE k1 = 'y'");
    CHECK_INT(apply_interval(&c[1], &early, &error), ==, GV_ECORRUPT);
    CHECK_TEXT(ask(&c[1], LOSSES), "(null)");
    drop(&early);
    copy_close(&c[0]);
    copy_close(&c[1]);
}

TEST(the_history_keeps_ten_thousand_rows_and_32_kib_of_a_value)
{
    struct copy c[2];

    make(c, 2, TABLE);
    sql(&c[0], "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
               " SELECT i + 1 FROM n WHERE i < 10050)"
               " SELECT printf('%05d', i), 'one', i FROM n");
    sync_both(&c[0], &c[1]);
    sql(&c[0], "UPDATE t SET a = CASE id WHEN '10050' THEN "
               "'x'||replace(hex(zeroblob(16384)), '00', 'ö')"
               " ELSE 'early' END");
    seal_at(&c[0], 600);
    sql(&c[1], "UPDATE t SET a = 'late'");
    seal_at(&c[1], 610);
    must_pull(&c[1], &c[0]);
    CHECK_TEXT(ask(&c[1], "SELECT count(*) FROM gv_history"), "10000");
    CHECK_TEXT(ask(&c[1], "SELECT count(*) FROM gv_history WHERE value IS"
                          " 'early'"),
               "9999");
    /* A text is cut between two characters. */
    CHECK_TEXT(ask(&c[1], "SELECT length(CAST(value AS BLOB))||','||size FROM"
                          " gv_history WHERE size IS NOT NULL"),
               "32767,32769");
    CHECK_TEXT(ask(&c[1], "SELECT min(k1) FROM gv_history JOIN gv_row_1"
                          " USING(rid)"),
               "00051");
    end(c, 2);
}

/* Blame */

static struct store_blame blame_of(struct copy *copy, const char *const *parts,
                                   size_t count)
{
    struct store_blame blame;
    struct gv_error error = {0};

    if (store_blame(copy->store, "T", parts, count, &blame, &error) != GV_OK) {
        fprintf(stderr, "blame: %s\n", error.what);
        exit(1);
    }
    return blame;
}

TEST(blame_names_who_wrote_a_value_and_what_it_beat)
{
    struct copy c[2];
    struct store_blame blame;

    make(c, 2, TABLE);
    sql(&c[0], "INSERT INTO t VALUES('it''s', 'one', 7)");
    sync_both(&c[0], &c[1]);
    sql(&c[0], "UPDATE t SET a = 'early'");
    seal_at(&c[0], 700);
    sql(&c[1], "UPDATE t SET a = 'late'");
    seal_at(&c[1], 710);
    must_pull(&c[1], &c[0]);
    blame = blame_of(&c[1], (const char *[]){"it's"}, 1);
    CHECK(blame.alive && !blame.unsealed);
    CHECK_TEXT(blame.key, "'it''s'");
    CHECK(site_equal(&blame.dot.site, store_site(c[0].store)));
    CHECK_INT(blame.cell_count, ==, 2);
    CHECK_TEXT(blame.cells[0].column, "a");
    CHECK_TEXT(blame.cells[0].value, "'late'");
    CHECK_INT(blame.cells[0].state, ==, CELL_WRITTEN);
    CHECK(site_equal(&blame.cells[0].dot.site, store_site(c[1].store)));
    CHECK_INT(blame.cells[0].lost_count, ==, 1);
    CHECK_TEXT(blame.cells[0].lost[0].value, "'early'");
    CHECK(
        site_equal(&blame.cells[0].lost[0].dot.site, store_site(c[0].store)));
    CHECK_INT(blame.cells[0].lost[0].winner.version, ==,
              blame.cells[0].dot.version);
    CHECK_INT(blame.cells[1].state, ==, CELL_DEFAULT);
    CHECK_TEXT(blame.cells[1].value, "7");
    CHECK_INT(blame.cells[1].dot.version, ==, 0);
    store_blame_close(&blame);
    /* What nobody has sealed yet, by a reader too. */
    sql(&c[1], "UPDATE t SET b = 1.0");
    copy_reopen(&c[1], STORE_READ);
    blame = blame_of(&c[1], (const char *[]){"'it''s'"}, 1);
    CHECK_INT(blame.cells[1].state, ==, CELL_UNSEALED);
    CHECK_TEXT(blame.cells[1].value, "1");
    store_blame_close(&blame);
    copy_reopen(&c[1], STORE_WRITE);
    seal(&c[1]);
    end(c, 2);
}

TEST(blame_says_who_deleted_a_row)
{
    struct copy c[2];
    struct store_blame blame;

    make(c, 2, TABLE);
    sql(&c[0], "INSERT INTO t VALUES('x', 'one', 7)");
    sync_both(&c[0], &c[1]);
    sql(&c[0], "UPDATE t SET a = 'edited'");
    sql(&c[1], "DELETE FROM t");
    sync_both(&c[0], &c[1]);
    blame = blame_of(&c[1], (const char *[]){"x"}, 1);
    CHECK(!blame.alive && !blame.unsealed);
    CHECK(site_equal(&blame.dot.site, store_site(c[1].store)));
    CHECK_INT(blame.cells[0].lost_count, ==, 1);
    CHECK_TEXT(blame.cells[0].lost[0].value, "'edited'");
    store_blame_close(&blame);
    end(c, 2);
}

TEST(a_key_is_named_as_sql_or_as_plain_text)
{
    static const struct {
        const char *parts[2], *key;
    } cases[] = {
        {{"7", "x"}, "7, 'x'"},
        {{"-1.5", "7"}, "-1.5, '7'"},
        {{"9223372036854775808", "x"}, "9.2233720368547758e+18, 'x'"},
        {{"1.0", "''"}, "1, ''"},
        {{"'7'", "'a''b'"}, "'7', 'a''b'"},
        {{"x'00fF'", "x"}, "x'00ff', 'x'"},
        {{"x'0'", "'"}, "'x''0''', ''''"},
        {{"inf", "a'b"}, "'inf', 'a''b'"},
        {{"0x10", "'a'b'"}, "'0x10', '''a''b'''"},
    };
    struct copy c[1];
    struct store_blame blame;
    struct gv_error error = {0};

    make(c, 1, "CREATE TABLE t(k, l TEXT, v, PRIMARY KEY(k, l))");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];

        snprintf(text, sizeof text, "INSERT INTO t VALUES(%s, %zu)",
                 cases[i].key, i);
        sql(&c[0], text);
        blame = blame_of(&c[0], cases[i].parts, 2);
        snprintf(text, sizeof text, "%zu", i);
        CHECK(blame.alive && blame.unsealed);
        CHECK_TEXT(blame.key, cases[i].key);
        CHECK_TEXT(blame.cells[0].value, text);
        store_blame_close(&blame);
    }
    CHECK_INT(store_blame(c[0].store, "t", cases[0].parts, 1, &blame, &error),
              ==, GV_EINVAL);
    CHECK_INT(store_blame(c[0].store, "t", (const char *[]){"8", "x"}, 2,
                          &blame, &error),
              ==, GV_ENOTFOUND);
    CHECK(strstr(error.what, "t 8, 'x'") != NULL);
    CHECK_INT(store_blame(c[0].store, "u", cases[0].parts, 2, &blame, &error),
              ==, GV_ENOTFOUND);
    seal(&c[0]);
    end(c, 1);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
