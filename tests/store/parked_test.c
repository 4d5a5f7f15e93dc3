/* Cells that the user's table does not show: parked, hollow, forwarded, and
 * shown when the table can. */
#include "copies.h"

#include "store/internal.h"
#include "store/parked.h"
#include "store/schema.h"

#define T "CREATE TABLE t(id TEXT PRIMARY KEY, a, b)"

static void make(struct copy *copy, const char *schema)
{
    static int number;
    char name[32];

    snprintf(name, sizeof name, "parked%d", ++number);
    copy_make(copy, name, schema);
    track(copy, "t");
}

/* Have the tables read anew. */
static void move_schema(struct copy *copy)
{
    static int number;
    char text[64];

    snprintf(text, sizeof text, "CREATE TABLE moved%d(x)", ++number);
    sql(copy, text);
    seal(copy);
}

/* Register a column that the table does not have. */
static void know_column(struct copy *copy, int bit, const char *wire)
{
    char text[256];

    snprintf(text, sizeof text,
             "INSERT INTO gv_col(tbl, bit, wire, kind, type)"
             " VALUES(1, %d, '%s', 'lww', '')",
             bit, wire);
    sql(copy, text);
    move_schema(copy);
}

/* The same for a table 'u' with two columns. */
static void know_table(struct copy *copy)
{
    sql(copy, "INSERT INTO gv_table(id, wire, local, tracked)"
              " VALUES(2, 'u', 'u', 0);"
              "INSERT INTO gv_col(tbl, bit, wire, kind, type) VALUES"
              "(2, -1, 'id', 'key', 'TEXT'), (2, 1, 'v', 'lww', ''),"
              "(2, 2, 'w', 'lww', '');"
              "CREATE TABLE gv_row_2(rid INTEGER PRIMARY KEY, k1, cl INT,"
              " state BLOB, UNIQUE(k1))");
    move_schema(copy);
}

/* The table of know_table() is there now, and somebody said so. */
static void show_table(struct copy *copy)
{
    sql(copy, "CREATE TABLE u(id TEXT PRIMARY KEY, v, w);"
              "UPDATE gv_table SET tracked = 1 WHERE id = 2;"
              "UPDATE gv_col SET local = wire WHERE tbl = 2");
}

/* Everything @from has, whatever @to holds of it. */
static void pull_whole(struct copy *to, struct copy *from)
{
    static uint64_t token = 1000000;
    struct gv_error error = {0};
    struct store_sealed sealed;
    struct extract *extract;
    uint8_t *bytes;

    seal(from);
    CHECK_INT(extract_whole(from, (struct vv_view){NULL, 0}, &extract, &error),
              ==, GV_OK);
    bytes = malloc(extract_size(extract));
    CHECK_INT(extract_read(extract, 0, bytes, extract_size(extract)), ==,
              GV_OK);
    CHECK_INT(store_stage(to->store, ++token, 0, bytes, extract_size(extract)),
              ==, GV_OK);
    CHECK_INT(store_begin(to->store, &error), ==, GV_OK);
    CHECK_INT(
        store_apply_delta(to->store, token, extract_claim(extract), &error),
        ==, GV_OK);
    CHECK_INT(store_commit(to->store, &sealed, &error), ==, GV_OK);
    CHECK(!sealed.any);
    free(bytes);
    extract_free(extract);
}

static void check_counts(struct copy *copy, int64_t parked, int64_t hollow)
{
    struct store_status status;

    CHECK_INT(store_status(copy->store, &status, NULL), ==, GV_OK);
    CHECK_INT(status.parked, ==, parked);
    CHECK_INT(status.hollow, ==, hollow);
    store_status_close(&status);
}

/* The first of what status says is parked. */
static const char *first_note(struct copy *copy)
{
    static char text[512];
    struct store_status status;

    CHECK_INT(store_status(copy->store, &status, NULL), ==, GV_OK);
    snprintf(text, sizeof text, "%s",
             status.parked_note_count == 0 ? "(none)"
                                           : status.parked_notes[0]);
    store_status_close(&status);
    return text;
}

static const char *entries(struct copy *copy)
{
    return ask(copy, "SELECT count(*) FROM gv_parked");
}

/* Nothing is left to say, and nothing is wrong. */
static void end(struct copy *copy)
{
    CHECK(!seal(copy).any);
    CHECK_INT(verify_findings(copy, NULL), ==, 0);
    CHECK(!seal(copy).any);
    copy_close(copy);
}

/* CORPUS C7 */
TEST(a_value_without_its_column_is_kept_and_shown_after_alter)
{
    struct copy a, b;

    make(&a, "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)");
    make(&b, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    know_column(&b, 2, "b");
    sql(&a, "INSERT INTO t VALUES(1, 'A', 'B')");
    must_pull(&b, &a);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT id||a FROM t"), "1A");
    check_counts(&b, 1, 0);
    CHECK_TEXT(first_note(&b),
               "t.b: 1 value parked: ALTER TABLE t ADD COLUMN b");
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    sql(&b, "ALTER TABLE t ADD COLUMN b");
    CHECK(!seal(&b).any);
    CHECK_TEXT(ask(&b, "SELECT id||a||b FROM t"), "1AB");
    CHECK_TEXT(entries(&b), "0");
    check_equal(&a, &b);
    end(&a);
    end(&b);
}

/* The statement that status tells can be copied. */
TEST(a_note_quotes_names_and_has_the_type)
{
    struct copy a, b;
    const char *statement;

    make(&a, "CREATE TABLE t(id TEXT PRIMARY KEY, \"or\"\"der\" VARCHAR(9))");
    make(&b, "CREATE TABLE t(id TEXT PRIMARY KEY)");
    sql(&a, "INSERT INTO t VALUES('x', 7)");
    must_pull(&b, &a);
    CHECK_TEXT(first_note(&b), "t.or\"der: 1 value parked: ALTER TABLE t ADD"
                               " COLUMN \"or\"\"der\" VARCHAR(9)");
    statement = strstr(first_note(&b), "ALTER");
    sql(&b, statement);
    CHECK(!seal(&b).any);
    CHECK_TEXT(ask(&b, "SELECT quote(\"or\"\"der\") FROM t"), "'7'");
    check_equal(&a, &b);
    end(&a);
    end(&b);
}

/* CORPUS C8 */
TEST(a_transaction_with_an_unknown_column_needs_no_second_message)
{
    struct copy a, b;
    struct store_sealed sealed;

    make(&a, T);
    make(&b, "CREATE TABLE t(id TEXT PRIMARY KEY, a)");
    know_column(&b, 2, "b");
    sql(&a, "BEGIN; INSERT INTO t VALUES('x', 1, 'one'), ('y', 2, 'two');"
            "INSERT INTO t(id, a) VALUES('z', 3); COMMIT");
    sealed = seal(&a);
    CHECK_INT(apply_interval(&b, &sealed.interval, NULL), ==, GV_OK);
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||a) FROM t"), "x1,y2,z3");
    CHECK_TEXT(entries(&b), "2");
    sql(&b, "ALTER TABLE t ADD COLUMN b DEFAULT 'none'");
    CHECK(!seal(&b).any);
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||b) FROM t"),
               "xone,ytwo,znone");
    check_equal(&a, &b);
    end(&a);
    end(&b);
}

#define ALL_B "SELECT group_concat(quote(b)) FROM (SELECT b FROM t ORDER BY a)"

TEST(what_a_node_cannot_show_it_passes_on)
{
    struct copy a, b, c;

    make(&a, T);
    make(&b, "CREATE TABLE t(id TEXT PRIMARY KEY, a)");
    make(&c, T);
    know_column(&b, 2, "b");
    sql(&a, "INSERT INTO t VALUES('x', 1, 'through'), ('y', 2, x'00ff'),"
            " ('z', 3, -0.0), ('i', 4, 9007199254740993)");
    must_pull(&b, &a);
    must_pull(&c, &b);
    check_equal(&a, &c);
    CHECK_TEXT(ask(&c, ALL_B), ask(&a, ALL_B));
    /* An update of what B parks goes the same way. */
    sql(&a, "UPDATE t SET b = 'later' WHERE id = 'x'");
    must_pull(&b, &a);
    must_pull(&c, &b);
    CHECK_TEXT(ask(&c, "SELECT b FROM t WHERE id = 'x'"), "later");
    CHECK_TEXT(entries(&b), "4");
    check_equal(&a, &b);
    check_equal(&a, &c);
    end(&a);
    end(&b);
    end(&c);
}

TEST(a_local_write_over_a_parked_cell_is_a_write)
{
    struct copy a, b;

    make(&a, T);
    make(&b, "CREATE TABLE t(id TEXT PRIMARY KEY, a INTEGER, b)");
    sql(&a, "INSERT INTO t VALUES('x', '1', 1), ('y', '2', 1)");
    must_pull(&b, &a);
    CHECK_TEXT(entries(&b), "2");
    CHECK_TEXT(first_note(&b),
               "t.a: 2 values parked that the column would change or refuses:"
               " give it the type and the constraints that the peers have");
    /* The same value again is none, another column is no write of this. */
    sql(&b, "UPDATE t SET a = 1, b = 2 WHERE id = 'x'");
    CHECK(seal(&b).any);
    CHECK_TEXT(entries(&b), "2");
    sql(&b, "UPDATE t SET a = 7 WHERE id = 'x'");
    CHECK(seal(&b).any);
    CHECK_TEXT(entries(&b), "1");
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT group_concat(quote(a)||b) FROM t"), "72,'2'1");
    /* A remote one beats the entry too. */
    sql(&a, "UPDATE t SET a = 5 WHERE id = 'y'");
    must_pull(&b, &a);
    CHECK_TEXT(entries(&b), "0");
    CHECK_TEXT(ask(&b, "SELECT a FROM t WHERE id = 'y'"), "5");
    end(&a);
    end(&b);
}

TEST(entries_end_with_the_life_of_their_row)
{
    struct copy a, b;

    make(&a, T);
    make(&b, "CREATE TABLE t(id TEXT PRIMARY KEY, a INTEGER)");
    know_column(&b, 2, "b");
    sql(&a, "INSERT INTO t VALUES('x', '1', 'b'), ('y', '2', 'b'),"
            " ('z', '3', 'b')");
    must_pull(&b, &a);
    CHECK_TEXT(entries(&b), "6");
    sql(&a, "DELETE FROM t WHERE id = 'x'");
    sql(&b, "DELETE FROM t WHERE id = 'y'");
    sync_both(&a, &b);
    CHECK_TEXT(entries(&b), "2");
    sql(&a, "DELETE FROM t WHERE id = 'z'");
    seal(&a);
    sql(&a, "INSERT INTO t(id, a) VALUES('z', 4)");
    seal(&a);
    must_pull(&b, &a);
    CHECK_TEXT(entries(&b), "0");
    CHECK_TEXT(ask(&b, "SELECT id||a FROM t"), "z4");
    sql(&b, "ALTER TABLE t ADD COLUMN b DEFAULT 'new'");
    CHECK(!seal(&b).any);
    CHECK_TEXT(ask(&b, "SELECT id||a||b FROM t"), "z4new");
    check_equal(&a, &b);
    end(&a);
    end(&b);
}

/* CORPUS Q15 */
TEST(types_that_change_a_value_publish_nothing)
{
    static const struct {
        const char *ours, *theirs, *value;
        int parked;
    } cases[] = {
        {"INTEGER", "REAL", "1", 1},
        {"TEXT", "INTEGER", "'007'", 1},
        {"REAL", "TEXT", "0.1", 1},
        {"INTEGER", "REAL", "9007199254740993", 1},
        {"", "REAL", "-0.0", 1},
        {"TEXT", "INTEGER", "'twelve'", 0},
        {"REAL", "INTEGER", "1.5", 0},
        {"", "ANY", "'007'", 1},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct copy a, b, c;
        char text[200];

        snprintf(text, sizeof text,
                 "CREATE TABLE t(id TEXT PRIMARY KEY, v %s)", cases[i].ours);
        make(&a, text);
        make(&c, text);
        snprintf(text, sizeof text,
                 "CREATE TABLE t(id TEXT PRIMARY KEY, v %s)", cases[i].theirs);
        make(&b, text);
        snprintf(text, sizeof text, "INSERT INTO t VALUES('ann', %s)",
                 cases[i].value);
        sql(&a, text);
        must_pull(&b, &a);
        check_equal(&a, &b);
        check_counts(&b, cases[i].parked, 0);
        CHECK(!seal(&b).any);
        must_pull(&c, &b);
        CHECK_TEXT(ask(&c, "SELECT quote(v) FROM t"),
                   ask(&a, "SELECT quote(v) FROM t"));
        sync_both(&a, &b);
        end(&a);
        end(&b);
        end(&c);
    }
}

TEST(a_column_of_the_right_type_takes_what_was_parked)
{
    struct copy a, b;

    make(&a, "CREATE TABLE t(id TEXT PRIMARY KEY, a, b)");
    make(&b, "CREATE TABLE t(id TEXT PRIMARY KEY, a INT, b TEXT) STRICT");
    sql(&a, "INSERT INTO t VALUES('x', 'text', 'b'), ('y', 5, x'00')");
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||coalesce(a, '-')||"
                       "coalesce(b, '-')) FROM t"),
               "x-b,y5-");
    check_counts(&b, 2, 0);
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    sql(&b, "BEGIN; CREATE TABLE made(id TEXT PRIMARY KEY, a, b);"
            "INSERT INTO made SELECT * FROM t; DROP TABLE t;"
            "ALTER TABLE made RENAME TO t; COMMIT");
    CHECK(!seal(&b).any);
    CHECK_INT(audit_now(&b), ==, 0); /* it was rebuilt */
    CHECK(!seal(&b).any);
    CHECK_TEXT(ask(&b, "SELECT group_concat(quote(a)||quote(b)) FROM t"),
               "'text''b',5X'00'");
    CHECK_TEXT(entries(&b), "0");
    check_equal(&a, &b);
    end(&a);
    end(&b);
}

TEST(a_row_that_the_table_refuses_is_kept_beside_it)
{
    struct copy a, b, c;

    make(&a, T);
    make(&b, "CREATE TABLE t(id TEXT PRIMARY KEY, a NOT NULL, b)");
    make(&c, T);
    sql(&b, "CREATE UNIQUE INDEX one_b ON t(b)");
    sql(&a, "INSERT INTO t VALUES('x', 1, 5), ('y', 2, 5)");
    must_pull(&b, &a);
    check_equal(&a, &b);
    /* With its default instead of the 5 the row gets in. */
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||a||coalesce(b, '-')) FROM t"),
               "x15,y2-");
    CHECK_TEXT(entries(&b), "1");
    must_pull(&c, &b);
    CHECK_TEXT(ask(&c, "SELECT group_concat(id||a||b) FROM t"), "x15,y25");
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    sql(&b, "DROP INDEX one_b");
    CHECK(!seal(&b).any);
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||a||b) FROM t"), "x15,y25");
    CHECK_TEXT(entries(&b), "0");
    end(&a);
    end(&b);
    end(&c);
}

TEST(a_row_whose_key_would_change_is_no_delete)
{
    struct copy a, b, c;

    make(&a, "CREATE TABLE t(id PRIMARY KEY, a, b)");
    make(&b, T);
    make(&c, "CREATE TABLE t(id PRIMARY KEY, a, b)");
    sql(&a, "INSERT INTO t VALUES(7, 'int', 1), ('7', 'text', 2)");
    must_pull(&b, &a);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT group_concat(a) FROM t"), "text");
    CHECK_TEXT(first_note(&b),
               "t: 1 row that the table here refuses: give it the constraints"
               " and types that the peers have");
    /* A look at it, an update of it and its end. */
    sql(&b, "INSERT INTO gv_journal(tbl, day, k1) VALUES(1, 2460000, 7)");
    CHECK(!seal(&b).any);
    sql(&a, "UPDATE t SET a = 'changed' WHERE id = 7 AND b = 1");
    must_pull(&b, &a);
    must_pull(&c, &b);
    check_equal(&a, &c);
    CHECK_TEXT(ask(&c, "SELECT a||b FROM t WHERE typeof(id) = 'integer'"),
               "changed1");
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    sql(&c, "DELETE FROM t WHERE b = 1");
    must_pull(&b, &c);
    CHECK_TEXT(entries(&b), "0");
    CHECK_TEXT(ask(&b, "SELECT group_concat(a) FROM t"), "text");
    must_pull(&a, &b);
    end(&a);
    end(&b);
    end(&c);
}

TEST(a_row_of_ones_own_in_place_of_a_refused_one_is_a_write)
{
    struct copy a, b;

    make(&a, T);
    make(&b, "CREATE TABLE t(id TEXT PRIMARY KEY, a NOT NULL, b NOT NULL)");
    sql(&a, "INSERT INTO t VALUES('x', NULL, NULL)");
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "0");
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    sql(&b, "INSERT INTO t VALUES('x', 'mine', 'too')");
    CHECK(seal(&b).any);
    CHECK_TEXT(entries(&b), "0");
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT a||b FROM t"), "minetoo");
    CHECK_TEXT(ask(&a, "SELECT cl FROM gv_row_1"), "1");
    end(&a);
    end(&b);
}

TEST(a_table_that_is_not_here_is_kept_whole_and_passed_on)
{
    struct copy a, b, c;

    make(&a, T);
    sql(&a, "CREATE TABLE u(id TEXT PRIMARY KEY, v, w)");
    track(&a, "u");
    make(&b, T);
    know_table(&b);
    make(&c, T);
    sql(&c, "CREATE TABLE u(id TEXT PRIMARY KEY, v, w)");
    track(&c, "u");
    sql(&a, "INSERT INTO t VALUES('x', 1, 1);"
            "INSERT INTO u VALUES('p', 1, 2), ('q', 3, 4), ('r', 5, 6)");
    must_pull(&b, &a);
    must_pull(&c, &b);
    check_equal(&a, &c);
    CHECK_TEXT(ask(&c, "SELECT group_concat(id||v||w) FROM u"), "p12,q34,r56");
    sql(&a, "UPDATE u SET v = 8 WHERE id = 'p'; DELETE FROM u WHERE id = 'q'");
    must_pull(&b, &a);
    check_equal(&a, &b);
    check_counts(&b, 4, 0);
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    show_table(&b);
    CHECK(!seal(&b).any);
    CHECK_INT(audit_now(&b), ==, 0); /* its triggers are new */
    CHECK(!seal(&b).any);
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||v||w) FROM u"), "p82,r56");
    CHECK_TEXT(entries(&b), "0");
    sql(&b, "UPDATE u SET w = 'back'");
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT group_concat(w) FROM u"), "back,back");
    end(&a);
    end(&b);
    end(&c);
}

TEST(what_comes_in_a_migration_is_shown_after_it_and_nothing_is_published)
{
    struct copy a, b;

    make(&a, T);
    make(&b, T);
    sql(&a, "INSERT INTO t VALUES('x', 1, 1), ('y', 2, 2), ('z', 3, 3),"
            " ('l', 4, 4)");
    sync_both(&a, &b);
    sql(&b, "ALTER TABLE t RENAME TO away");
    sql(&a, "UPDATE t SET a = 'new' WHERE id = 'x';"
            "DELETE FROM t WHERE id = 'y'; INSERT INTO t VALUES('n', 5, 5)");
    sql(&a, "DELETE FROM t WHERE id = 'l'");
    must_pull(&b, &a);
    sql(&a, "INSERT INTO t(id, b) VALUES('l', 'again')");
    must_pull(&b, &a);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT total(a) FROM away"), "10.0");
    sql(&b, "ALTER TABLE away RENAME TO t");
    CHECK(!seal(&b).any);
    CHECK_INT(audit_now(&b), ==, 0);
    CHECK(!seal(&b).any);
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||coalesce(a, '-')||b) FROM"
                       " (SELECT * FROM t ORDER BY id)"),
               "l-again,n55,xnew1,z33");
    CHECK_TEXT(entries(&b), "0");
    check_equal(&a, &b);
    end(&a);
    end(&b);
}

TEST(a_write_of_ones_own_in_a_migration_is_found_after_it)
{
    struct copy a, b;

    make(&a, T);
    make(&b, T);
    sql(&a, "INSERT INTO t VALUES('x', 1, 1), ('y', 2, 2)");
    sync_both(&a, &b);
    sql(&b, "ALTER TABLE t RENAME TO away");
    sql(&a, "UPDATE t SET a = 'theirs'");
    must_pull(&b, &a);
    sql(&b, "UPDATE away SET a = 'mine' WHERE id = 'y';"
            "ALTER TABLE away RENAME TO t");
    CHECK(!seal(&b).any);
    CHECK_INT(audit_now(&b), ==, 1);
    CHECK(!seal(&b).any);
    CHECK_TEXT(ask(&b, "SELECT group_concat(a) FROM t"), "theirs,mine");
    CHECK_TEXT(entries(&b), "0");
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT group_concat(a) FROM t"), "theirs,mine");
    end(&a);
    end(&b);
}

static void drop_column(struct copy *copy)
{
    sql(copy, "ALTER TABLE t DROP COLUMN b");
    seal(copy);
}

TEST(a_dropped_columns_cells_are_hollow_until_their_value_comes)
{
    struct copy a, b, c;

    make(&a, T);
    make(&b, T);
    make(&c, T);
    sql(&a, "INSERT INTO t VALUES('x', 1, 'kept'), ('y', 2, 'lost')");
    must_pull(&b, &a);
    drop_column(&b);
    check_equal(&a, &b);
    must_pull(&c, &b);
    check_equal(&a, &c);
    CHECK_TEXT(ask(&c, "SELECT group_concat(a||coalesce(b, '-')) FROM t"),
               "1-,2-");
    check_counts(&c, 0, 2);
    CHECK_INT(verify_findings(&c, NULL), ==, 0);
    /* B's column comes back: its default is nobody's write. */
    sql(&b, "ALTER TABLE t ADD COLUMN b DEFAULT 'new'");
    CHECK(!seal(&b).any);
    check_counts(&b, 0, 2);
    check_equal(&a, &b);
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    /* The value of the same dot fills the cell. */
    pull_whole(&c, &a);
    CHECK_TEXT(ask(&c, "SELECT group_concat(b) FROM t"), "kept,lost");
    check_counts(&c, 0, 0);
    pull_whole(&b, &c);
    CHECK_TEXT(ask(&b, "SELECT group_concat(b) FROM t"), "kept,lost");
    check_counts(&b, 0, 0);
    end(&a);
    end(&b);
    end(&c);
}

/* However the opens lie between DROP and ADD. */
TEST(a_column_dropped_in_one_open_and_added_in_another_writes_nothing)
{
    for (int how = 0; how < 4; how++) {
        struct copy a, b;

        make(&a, T);
        make(&b, T);
        sql(&a, "INSERT INTO t VALUES('x', 1, 'one'), ('y', 2, 'two'),"
                " ('z', 3, 'three')");
        must_pull(&b, &a);
        if (how == 1)
            copy_reopen(&a, STORE_WRITE);
        sql(&a, "ALTER TABLE t DROP COLUMN b");
        if (how == 0)
            seal(&a);
        if (how < 2)
            copy_reopen(&a, how == 0 ? STORE_READ : STORE_WRITE);
        sql(&a, how == 2 ? "ALTER TABLE t ADD COLUMN b DEFAULT 7"
                         : "ALTER TABLE t ADD COLUMN b");
        sql(&a, "UPDATE t SET a = 3 WHERE id = 'y'");
        if (how < 3)
            copy_reopen(&a, STORE_WRITE);
        CHECK(seal(&a).any);
        CHECK_INT(audit_now(&a), ==, 0);
        CHECK_INT(verify_findings(&a, NULL), ==, 0);
        pull_whole(&a, &b);
        CHECK_TEXT(ask(&a, "SELECT group_concat(b) FROM t"), "one,two,three");
        must_pull(&b, &a);
        CHECK_TEXT(ask(&b, "SELECT group_concat(a||b) FROM t"),
                   "1one,3two,3three");
        check_equal(&a, &b);
        copy_close(&a);
        copy_close(&b);
    }
}

TEST(a_hollow_cell_without_a_column_is_parked_when_its_value_comes)
{
    struct copy a, b;

    make(&a, T);
    make(&b, T);
    sql(&a, "INSERT INTO t VALUES('x', 1, 'once')");
    must_pull(&b, &a);
    drop_column(&b);
    check_counts(&b, 0, 0);
    pull_whole(&b, &a);
    check_counts(&b, 1, 0);
    sql(&b, "ALTER TABLE t ADD COLUMN b");
    CHECK(!seal(&b).any);
    CHECK_TEXT(ask(&b, "SELECT b FROM t"), "once");
    check_equal(&a, &b);
    end(&a);
    end(&b);
}

TEST(a_write_between_alter_and_the_next_look_is_a_write)
{
    struct copy a, b;

    make(&a, T);
    make(&b, "CREATE TABLE t(id TEXT PRIMARY KEY, a)");
    know_column(&b, 2, "b");
    sql(&a, "INSERT INTO t VALUES('x', 1, 'theirs'), ('y', 2, 'theirs')");
    must_pull(&b, &a);
    sql(&b, "ALTER TABLE t ADD COLUMN b DEFAULT 'none';"
            "UPDATE t SET b = 'mine' WHERE id = 'y'");
    CHECK(seal(&b).any);
    CHECK_TEXT(ask(&b, "SELECT group_concat(b) FROM t"), "theirs,mine");
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT group_concat(b) FROM t"), "theirs,mine");
    end(&a);
    end(&b);
}

TEST(rows_lost_with_their_table_are_no_deletes)
{
    struct copy a, b;
    struct gv_error error = {0};
    struct store_sealed sealed;
    struct store_table *table;

    make(&a, T);
    make(&b, T);
    sql(&a, "INSERT INTO t VALUES('x', 1, 1), ('y', 2, 2)");
    must_pull(&b, &a);
    sql(&b, "DROP TABLE t");
    seal(&b);
    sql(&a, "INSERT INTO t VALUES('z', 3, 3)");
    must_pull(&b, &a);
    sql(&b, T);
    CHECK_INT(store_begin(b.store, &error), ==, GV_OK);
    table = schema_by_wire(b.store, "t", 1);
    CHECK_INT(parked_show(b.store, table, NULL, &error), ==, GV_OK);
    CHECK_INT(store_commit(b.store, &sealed, &error), ==, GV_OK);
    CHECK(!sealed.any);
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||'-') FROM t"), "z-");
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    CHECK_INT(audit_now(&b), ==, 0);
    check_equal(&a, &b);
    pull_whole(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||a||b) FROM"
                       " (SELECT * FROM t ORDER BY id)"),
               "x11,y22,z33");
    CHECK_TEXT(entries(&b), "0");
    end(&a);
    end(&b);
}

TEST(a_value_too_large_to_travel_stays_and_its_digest_goes)
{
    struct copy a, b, c;
    struct store_sealed sealed;

    make(&a, T);
    make(&b, T);
    make(&c, T);
    sql(&a, "INSERT INTO t VALUES('x', zeroblob(67108865), 'small')");
    sealed = seal(&a);
    CHECK(sealed.any && sealed.interval.bytes != NULL);
    CHECK_INT(apply_interval(&b, &sealed.interval, NULL), ==, GV_OK);
    must_pull(&c, &b);
    check_equal(&a, &b);
    check_equal(&a, &c);
    CHECK_TEXT(ask(&c, "SELECT coalesce(a, 'none')||b FROM t"), "nonesmall");
    CHECK_TEXT(ask(&a, "SELECT length(a) FROM t"), "67108865");
    check_counts(&a, 0, 0);
    check_counts(&b, 0, 1);
    sync_both(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT length(a) FROM t"), "67108865");
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    /* A small one is written over it. */
    sql(&c, "UPDATE t SET a = 'fits'");
    must_pull(&a, &c);
    must_pull(&b, &c);
    CHECK_TEXT(ask(&a, "SELECT a FROM t"), "fits");
    check_counts(&b, 0, 0);
    end(&a);
    end(&b);
    end(&c);
}

TEST(a_parked_value_that_was_damaged_is_named_and_not_sent)
{
    struct copy a, b, c;
    struct gv_error error = {0};
    char text[1024];

    make(&a, T);
    make(&b, "CREATE TABLE t(id TEXT PRIMARY KEY, a)");
    make(&c, T);
    know_column(&b, 2, "b");
    sql(&a, "INSERT INTO t VALUES('x', 1, 'right')");
    must_pull(&b, &a);
    sql(&b, "UPDATE gv_parked SET value = 'wrong'");
    CHECK_INT(verify_findings(&b, text), ==, 1);
    CHECK(strstr(text, "parked value") != NULL);
    CHECK_INT(pull(&c, &b, &error), ==, GV_ECORRUPT);
    CHECK(strstr(error.what, "'x'") != NULL);
    sql(&b, "INSERT INTO gv_parked SELECT tbl, 99, bit, held, value, shown"
            " FROM gv_parked; UPDATE gv_parked SET value = 'right'");
    CHECK_INT(verify_findings(&b, text), ==, 1);
    CHECK(strstr(text, "no row has") != NULL);
    copy_close(&a);
    copy_close(&b);
    copy_close(&c);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
