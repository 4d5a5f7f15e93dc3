/* Counters and multi-value columns: STORE.md's examples, their ends, and what
 * a file's lives do to them. */
#include "copies.h"

#include "store/internal.h"

#define T "CREATE TABLE t(id TEXT PRIMARY KEY, n INTEGER DEFAULT 0, note, a)"

static const struct store_kinds kinds = {
    (const struct store_kind[]){{"n", COLUMN_COUNTER}, {"note", COLUMN_MV}},
    2};

static int try_kinds(struct copy *copy, const char *table,
                     const struct store_kinds *asked, struct gv_error *error)
{
    struct buffer notes;
    int rc;

    buffer_init(&notes, 65536);
    rc = store_track_as(copy->store, table, asked, &notes, error);
    buffer_close(&notes);
    return rc;
}

static void make_as(struct copy *copy, const char *schema)
{
    static int number;
    struct gv_error error = {0};
    char name[32];

    snprintf(name, sizeof name, "kinds%d", ++number);
    copy_make(copy, name, schema);
    if (try_kinds(copy, "t", &kinds, &error) != GV_OK) {
        fprintf(stderr, "track: %s\n", error.what);
        exit(1);
    }
}

static void make(struct copy *copy)
{
    make_as(copy, T);
}

static void make_two(struct copy *a, struct copy *b)
{
    make(a);
    make(b);
    sql(a, "INSERT INTO t VALUES('x', 10, NULL, 'A')");
    sync_both(a, b);
    CHECK_TEXT(ask(b, "SELECT n FROM t"), "10");
}

static const char *shown(struct copy *copy, const char *column)
{
    char text[100];

    snprintf(text, sizeof text, "SELECT %s FROM t WHERE id = 'x'", column);
    return ask(copy, text);
}

static void check_both(struct copy *a, struct copy *b, const char *column,
                       const char *value)
{
    CHECK_TEXT(shown(a, column), value);
    CHECK_TEXT(shown(b, column), value);
}

/* Nothing is left to say, and nothing is wrong. */
static void end(struct copy *copy)
{
    CHECK(!seal(copy).any);
    CHECK_INT(verify_findings(copy, NULL), ==, 0);
    copy_close(copy);
}

static void end_both(struct copy *a, struct copy *b)
{
    check_equal(a, b);
    end(a);
    end(b);
}

/* STORE.md 9 */
TEST(what_is_added_apart_is_added_up)
{
    struct copy a, b, c;

    make_two(&a, &b);
    make(&c);
    sync_both(&b, &c);
    sql(&b, "UPDATE t SET n = n + 5");
    sql(&c, "UPDATE t SET n = n + 5");
    sync_both(&b, &c);
    sync_both(&a, &b);
    must_pull(&c, &a);
    check_both(&a, &b, "n", "20");
    CHECK_TEXT(shown(&c, "n"), "20");
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_cell"), "3");
    check_equal(&a, &c);
    end(&c);
    end_both(&a, &b);
}

TEST(a_number_that_is_set_is_the_difference_to_what_was_seen)
{
    struct copy a, b;

    make_two(&a, &b);
    sql(&a, "UPDATE t SET n = 0");
    sql(&b, "UPDATE t SET n = n + 1");
    sync_both(&a, &b);
    check_both(&a, &b, "n", "1");
    end_both(&a, &b);
}

TEST(a_row_that_is_inserted_by_two_has_both_their_numbers)
{
    struct copy a, b;

    make(&a);
    make(&b);
    sql(&a, "INSERT INTO t VALUES('x', 3, NULL, NULL)");
    sql(&b, "INSERT INTO t VALUES('x', 4, NULL, NULL)");
    sync_both(&a, &b);
    check_both(&a, &b, "n", "7");
    end_both(&a, &b);
}

TEST(a_new_life_counts_from_its_insert)
{
    struct copy a, b;

    make_two(&a, &b);
    sql(&b, "UPDATE t SET n = n + 5");
    sync_both(&a, &b);
    sql(&a, "DELETE FROM t");
    seal(&a);
    sql(&a, "INSERT INTO t VALUES('x', 2, 'new', NULL)");
    sql(&b, "UPDATE t SET n = n + 100");
    sync_both(&a, &b);
    check_both(&a, &b, "n", "2");
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_cell WHERE bit = 1"), "1");
    sql(&a, "DELETE FROM t");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_cell"), "0");
    end_both(&a, &b);
}

TEST(a_counter_starts_from_its_default)
{
    struct copy a, b;
    const char *schema =
        "CREATE TABLE t(id TEXT PRIMARY KEY, n INTEGER DEFAULT 100, note)";

    make_as(&a, schema);
    make_as(&b, schema);
    sql(&a, "INSERT INTO t(id) VALUES('x')");
    sync_both(&a, &b);
    sql(&a, "UPDATE t SET n = n + 1");
    sql(&b, "UPDATE t SET n = n + 2");
    sync_both(&a, &b);
    check_both(&a, &b, "n", "103");
    end_both(&a, &b);
}

TEST(what_is_no_integer_stays_in_the_file)
{
    struct store_status status;
    struct copy a, b;

    make_two(&a, &b);
    sql(&a, "UPDATE t SET n = 'many'");
    sync_both(&a, &b);
    CHECK_TEXT(shown(&a, "n"), "many");
    CHECK_TEXT(shown(&b, "n"), "10");
    CHECK(!seal(&a).any);
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    CHECK_INT(store_status(a.store, &status, NULL), ==, GV_OK);
    CHECK_INT(status.parked_note_count, ==, 1);
    CHECK_TEXT(status.parked_notes[0],
               "t.n: 1 value here that a counter cannot have, so peers show"
               " another: write an integer");
    store_status_close(&status);
    sql(&a, "UPDATE t SET n = 12");
    sync_both(&a, &b);
    check_both(&a, &b, "n", "12");
    end_both(&a, &b);
}

TEST(null_counts_as_nothing)
{
    struct copy a, b;

    make_two(&a, &b);
    sql(&a, "UPDATE t SET n = NULL");
    sync_both(&a, &b);
    CHECK_TEXT(shown(&a, "n"), "(null)");
    CHECK_TEXT(shown(&b, "n"), "0");
    sql(&b, "UPDATE t SET n = n + 1");
    sync_both(&a, &b);
    check_both(&a, &b, "n", "1");
    end_both(&a, &b);
}

/* N8 */
TEST(a_sum_is_never_wrapped)
{
    struct copy a, b;

    make_two(&a, &b);
    sql(&a, "UPDATE t SET n = 9223372036854775807");
    sync_both(&a, &b);
    sql(&a, "UPDATE t SET n = n + 1"); /* a real, which is not counted */
    sql(&b, "UPDATE t SET n = n - 1");
    sync_both(&a, &b);
    check_both(&a, &b, "n", "9223372036854775806");
    sql(&a, "UPDATE t SET n = n + 1");
    sql(&b, "UPDATE t SET n = n + 1");
    sync_both(&a, &b);
    check_both(&a, &b, "n", "9223372036854775807");
    sql(&b, "UPDATE t SET n = 0");
    sync_both(&a, &b);
    check_both(&a, &b, "n", "0");
    sql(&a, "UPDATE t SET n = 1"); /* more than A's own cell holds */
    CHECK(!seal(&a).any);
    sync_both(&a, &b);
    CHECK_TEXT(shown(&a, "n"), "1");
    CHECK_TEXT(shown(&b, "n"), "0");
    end_both(&a, &b);
}

TEST(values_written_apart_are_all_kept_and_one_is_shown)
{
    struct copy a, b;

    make_two(&a, &b);
    sql(&a, "UPDATE t SET note = 'one'");
    sql(&b, "UPDATE t SET note = 'two'");
    sync_both(&a, &b);
    CHECK_TEXT(shown(&a, "note"), shown(&b, "note"));
    CHECK_TEXT(ask(&a, "SELECT group_concat(value) FROM (SELECT value FROM"
                       " gv_siblings ORDER BY value)"),
               "one,two");
    CHECK_TEXT(ask(&b, "SELECT \"table\" || \"key\" || \"column\" ||"
                       " length(site) || length(time) FROM gv_siblings"),
               "txnote3223");
    sql(&b, "UPDATE t SET note = 'three'");
    sync_both(&a, &b);
    check_both(&a, &b, "note", "three");
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_siblings"), "1");
    end_both(&a, &b);
}

TEST(a_value_that_was_not_seen_is_not_replaced)
{
    struct copy a, b, c;

    make_two(&a, &b);
    make(&c);
    must_pull(&c, &a);
    sql(&a, "UPDATE t SET note = 'one'");
    must_pull(&b, &a);
    sql(&c, "UPDATE t SET note = 'two'");
    sql(&b, "UPDATE t SET note = 'after one'");
    sync_both(&b, &c);
    sync_both(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT group_concat(value) FROM (SELECT value FROM"
                       " gv_siblings ORDER BY value)"),
               "after one,two");
    must_pull(&c, &a);
    check_equal(&a, &c);
    end(&c);
    end_both(&a, &b);
}

/* What was replaced comes late, by another way. */
TEST(a_value_that_was_replaced_does_not_come_back)
{
    struct copy a, b, c;

    make_two(&a, &b);
    make(&c);
    sql(&a, "UPDATE t SET note = 'one'");
    must_pull(&c, &a);
    must_pull(&b, &a);
    sql(&b, "UPDATE t SET note = 'two'");
    seal(&b);
    must_pull(&b, &c);
    must_pull(&a, &b);
    must_pull(&a, &c);
    must_pull(&c, &b);
    check_both(&a, &b, "note", "two");
    CHECK_TEXT(ask(&c, "SELECT count(*) FROM gv_siblings"), "1");
    check_equal(&a, &c);
    end(&c);
    end_both(&a, &b);
}

/* M6 */
TEST(values_of_all_types_are_siblings)
{
    struct copy a, b, c;

    make_two(&a, &b);
    make(&c);
    must_pull(&c, &a);
    sql(&a, "UPDATE t SET note = 'text'");
    sql(&b, "UPDATE t SET note = x'00ff'");
    sql(&c, "UPDATE t SET note = 1.5");
    sync_both(&a, &b);
    sync_both(&b, &c);
    must_pull(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT group_concat(v) FROM (SELECT quote(value) AS v"
                       " FROM gv_siblings ORDER BY v)"),
               "'text',1.5,X'00FF'");
    CHECK_TEXT(shown(&a, "quote(note)"), shown(&c, "quote(note)"));
    check_equal(&a, &c);
    end(&c);
    end_both(&a, &b);
}

/* A copy takes a new id: what was counted before stays counted once, and what
 * nobody published yet is counted under the new one. */
TEST(a_copied_file_counts_what_was_not_sealed_once)
{
    struct copy a, b, copied;
    struct site old;

    make_two(&a, &b);
    sql(&a, "UPDATE t SET n = n + 5");
    sync_both(&a, &b);
    old = *store_site(a.store);
    sql(&a, "UPDATE t SET n = n + 7");
    sqlite3_close(a.app);
    store_close(a.store);
    a.store = NULL;
    copied = a;
    snprintf(copied.path, sizeof copied.path, "%s/copied.db",
             copies_directory);
    shell("cp '%s' '%s'", a.path, copied.path);
    CHECK(sqlite3_open(copied.path, &copied.app) == SQLITE_OK);
    copy_reopen(&copied, STORE_WRITE);
    CHECK(!site_equal(&old, store_site(copied.store)));
    sync_both(&copied, &b);
    check_both(&copied, &b, "n", "22");
    end_both(&copied, &b);
}

/* A column that comes with its kind from a peer, before the table has it. */
TEST(cells_of_a_column_that_is_not_here_are_kept_and_shown_after_alter)
{
    struct copy a, b, c;
    struct gv_error error = {0};
    const struct store_kinds note = {
        &(const struct store_kind){"note", COLUMN_MV}, 1};

    make(&a);
    make(&c);
    copy_make(&b, "narrow", "CREATE TABLE t(id TEXT PRIMARY KEY, note)");
    CHECK_INT(try_kinds(&b, "t", &note, &error), ==, GV_OK);
    sql(&a, "INSERT INTO t VALUES('x', 10, NULL, NULL)");
    sync_both(&a, &b);
    sync_both(&b, &c);
    sql(&a, "UPDATE t SET n = n + 5");
    sql(&c, "UPDATE t SET n = n + 6");
    sync_both(&a, &b);
    sync_both(&b, &c);
    sync_both(&a, &b);
    check_both(&a, &c, "n", "21");
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    sql(&b, "ALTER TABLE t ADD COLUMN n INTEGER DEFAULT 0");
    CHECK(!seal(&b).any);
    CHECK_TEXT(shown(&b, "n"), "21");
    sql(&b, "UPDATE t SET n = n + 1");
    sync_both(&a, &b);
    sync_both(&b, &c);
    check_both(&a, &b, "n", "22");
    check_equal(&a, &c);
    end(&c);
    end_both(&a, &b);
}

TEST(other_kinds_at_two_nodes_are_refused_and_named)
{
    struct copy a, b;
    struct gv_error error = {0};

    make(&a);
    copy_make(&b, "plain", T);
    track(&b, "t");
    sql(&b, "INSERT INTO t VALUES('y', 7, NULL, NULL)");
    sql(&a, "INSERT INTO t VALUES('x', 10, NULL, NULL)");
    CHECK_INT(pull(&b, &a, &error), ==, GV_ESCHEMA);
    CHECK(strstr(error.what, "'lww' here, and 'counter'") != NULL);
    CHECK(error.remedy[0] != '\0');
    CHECK_INT(pull(&a, &b, &error), ==, GV_ESCHEMA);
    CHECK(strstr(error.what, "'counter' here, and 'lww'") != NULL);
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    copy_close(&a);
    copy_close(&b);
}

static const struct store_kinds late = {
    (const struct store_kind[]){{"n", COLUMN_COUNTER}, {"m", COLUMN_MV}}, 2};

/* Columns that were added to a shared table get their kinds; the others hear
 * of them with the first change, and may have written other columns. */
TEST(columns_that_nobody_wrote_take_a_kind_on_every_node)
{
    struct copy a, b;
    struct gv_error error = {0};

    copy_make(&a, "late", "CREATE TABLE t(id TEXT PRIMARY KEY, x)");
    copy_make(&b, "lateb", "CREATE TABLE t(id TEXT PRIMARY KEY, x)");
    track(&a, "t");
    track(&b, "t");
    sql(&a, "INSERT INTO t VALUES('r', 1)");
    sync_both(&a, &b);
    sql(&a, "ALTER TABLE t ADD COLUMN n INTEGER DEFAULT 3;"
            "ALTER TABLE t ADD COLUMN m");
    sql(&b, "ALTER TABLE t ADD COLUMN n INTEGER DEFAULT 3;"
            "ALTER TABLE t ADD COLUMN m");
    seal(&b);
    CHECK_INT(try_kinds(&a, "t", &late, &error), ==, GV_OK);
    CHECK_INT(audit_now(&a), ==, 0);
    CHECK_TEXT(ask(&a, "SELECT group_concat(kind) FROM gv_col WHERE bit > 0"),
               "lww,counter,mv");
    CHECK_INT(try_kinds(&a, "t", &late, &error), ==, GV_OK); /* again */
    /* One who has not heard of it is understood. */
    sql(&b, "UPDATE t SET x = 2");
    must_pull(&a, &b);
    sql(&a, "UPDATE t SET n = n + 10, m = 'a'");
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT group_concat(kind) FROM gv_col WHERE bit > 0"),
               "lww,counter,mv");
    sql(&a, "UPDATE t SET n = n + 20, m = 'one'");
    sql(&b, "UPDATE t SET n = n + 5, m = 'two'");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT n||x FROM t"), "382");
    CHECK_TEXT(ask(&b, "SELECT n||x FROM t"), "382");
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_siblings"), "2");
    check_equal(&a, &b);
    copy_reopen(&b, STORE_WRITE);
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    copy_close(&a);
    copy_close(&b);
}

TEST(a_column_that_was_written_keeps_its_kind)
{
    struct copy a, b, c;
    struct gv_error error = {0};

    copy_make(&a, "wrote", "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, m)");
    copy_make(&b, "wroteb", "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, m)");
    copy_make(&c, "wrotec", "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, m)");
    track(&a, "t");
    track(&b, "t");
    track(&c, "t");
    sql(&a, "INSERT INTO t(id, m) VALUES('r', 1)");
    CHECK_INT(try_kinds(&a, "t", &late, &error), ==, GV_EREFUSED);
    CHECK(strstr(error.what, "'m'") != NULL);
    CHECK(strstr(error.remedy, "ADD COLUMN m_2") != NULL);
    /* Neither has the kind then. */
    CHECK_TEXT(ask(&a, "SELECT group_concat(kind) FROM gv_col WHERE bit > 0"),
               "lww,lww");
    sql(&a, "UPDATE t SET n = 5");
    CHECK(seal(&a).any);
    CHECK_INT(pull(&c, &a, &error), ==, GV_OK);
    check_equal(&a, &c);
    /* Two nodes give two kinds: both say so, and nothing is mixed up. */
    CHECK_INT(try_kinds(&b, "t",
                        &(struct store_kinds){
                            &(struct store_kind){"n", COLUMN_COUNTER}, 1},
                        &error),
              ==, GV_OK);
    sql(&b, "INSERT INTO t VALUES('s', 6, 7)");
    seal(&b);
    CHECK_INT(pull(&c, &b, &error), ==, GV_ESCHEMA);
    CHECK_INT(pull(&b, &c, &error), ==, GV_ESCHEMA);
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    CHECK_INT(verify_findings(&c, NULL), ==, 0);
    copy_close(&a);
    copy_close(&b);
    copy_close(&c);
}

/* What is told when it is taken up again is as at the first time. */
TEST(a_table_that_is_taken_up_again_may_get_kinds)
{
    struct copy a;
    struct buffer notes;

    buffer_init(&notes, 65536);
    copy_make(&a, "again", "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, m)");
    track(&a, "t");
    sql(&a, "INSERT INTO t(id) VALUES('r')");
    CHECK_INT(store_untrack(a.store, "t", false, &notes, NULL), ==, GV_OK);
    CHECK_INT(try_kinds(&a, "t", &late, NULL), ==, GV_OK);
    sql(&a, "UPDATE t SET n = 4, m = 'x'");
    CHECK(seal(&a).any);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_cell"), "2");
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    buffer_close(&notes);
    copy_close(&a);
}

/* File and state file, from one to the other. */
static void copy_machine(const struct copy *copy, bool back)
{
    char saved[300], state[300], saved_state[300];

    snprintf(saved, sizeof saved, "%s.old", copy->path);
    snprintf(state, sizeof state, "%s-gv/state", copy->path);
    snprintf(saved_state, sizeof saved_state, "%s.state", copy->path);
    shell("cat '%s' > '%s'", back ? saved : copy->path,
          back ? copy->path : saved);
    shell("cat '%s' > '%s'", back ? saved_state : state,
          back ? state : saved_state);
}

/* The machine went back, and counted on: what peers hold of the lost life
 * counts once, and so does what was not sealed yet. */
TEST(a_machine_that_went_back_counts_nothing_twice)
{
    struct copy a, b;
    struct gv_error error = {0};
    struct site site;

    make_two(&a, &b);
    site = *store_site(a.store);
    shut(&a);
    copy_machine(&a, false);
    open_again(&a);
    sql(&a, "UPDATE t SET n = n + 5");
    sync_both(&a, &b);
    shut(&a);
    copy_machine(&a, true);
    open_again(&a);
    CHECK(site_equal(&site, store_site(a.store)));
    sql(&a, "UPDATE t SET n = n + 1, note = 'second life'");
    seal(&a);
    sql(&a, "UPDATE t SET n = n + 100");
    CHECK_INT(
        store_heard_own(a.store, vv_get(store_vv(b.store), &site), &error), ==,
        GV_EMOVED);
    shut(&a);
    open_again(&a);
    CHECK(!site_equal(&site, store_site(a.store)));
    sync_both(&a, &b);
    check_both(&a, &b, "n", "115");
    check_both(&a, &b, "note", "second life");
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_siblings"), "1");
    end_both(&a, &b);
}

static void keep_line(void *context, enum gv_log_level level, const char *line)
{
    (void)level;
    if (strstr(line, "takes the new site id") != NULL)
        snprintf(context, 500, "%s", line);
}

/* What a renewal says, of a file that published an addition to t.n, if
 * @counter, in a life that is over. */
static void check_renewal(bool counter, const char *end)
{
    struct copy a;
    char line[500] = "";
    struct store_options options = {
        .mode = STORE_WRITE, .host = copies_host(), .log = {keep_line, line}};
    struct gv_error error = {0};

    copy_make(&a, counter ? "counted" : "told",
              "CREATE TABLE t(id TEXT PRIMARY KEY, n INT)");
    if (counter)
        CHECK_INT(try_kinds(&a, "t",
                            &(struct store_kinds){
                                &(struct store_kind){"n", COLUMN_COUNTER}, 1},
                            &error),
                  ==, GV_OK);
    else
        track(&a, "t");
    sql(&a, "INSERT INTO t VALUES('r', 5)");
    seal(&a);
    CHECK_INT(store_heard_own(
                  a.store, vv_get(store_vv(a.store), store_site(a.store)) + 1,
                  &error),
              ==, GV_EMOVED);
    store_close(a.store);
    CHECK_INT(store_open(a.path, &options, &a.store, &error), ==, GV_OK);
    CHECK(strlen(line) > strlen(end));
    CHECK_TEXT(line + strlen(line) - strlen(end), end);
    copy_close(&a);
}

TEST(a_renewal_tells_what_it_may_lose)
{
    check_renewal(false, "nothing is lost");
    check_renewal(true, "nothing is lost but what was added to counters since"
                        " then, if no peer had it");
}

static void check_refused(struct copy *copy, const char *column,
                          enum column_kind kind, const char *word)
{
    struct store_kinds asked = {&(struct store_kind){column, kind}, 1};
    struct gv_error error = {0};

    CHECK_INT(try_kinds(copy, "t", &asked, &error), ==, GV_EREFUSED);
    CHECK(strstr(error.what, word) != NULL);
}

TEST(kinds_that_a_column_cannot_have_are_refused)
{
    struct copy a;
    struct gv_error error = {0};

    copy_make(&a, "refused",
              "CREATE TABLE t(id TEXT PRIMARY KEY, n INTEGER, x TEXT,"
              " r REAL, d DEFAULT 'd')");
    check_refused(&a, "id", COLUMN_MV, "key");
    check_refused(&a, "nowhere", COLUMN_MV, "no column");
    check_refused(&a, "x", COLUMN_COUNTER, "type");
    check_refused(&a, "r", COLUMN_COUNTER, "type");
    check_refused(&a, "d", COLUMN_COUNTER, "default");
    CHECK_INT(try_kinds(&a, "t",
                        &(struct store_kinds){
                            &(struct store_kind){"N", COLUMN_COUNTER}, 1},
                        &error),
              ==, GV_OK);
    check_refused(&a, "n", COLUMN_MV, "cannot change");
    sql(&a, "INSERT INTO t(id, x) VALUES('r', 'written')");
    check_refused(&a, "x", COLUMN_MV, "cannot change");
    CHECK_INT(try_kinds(&a, "t",
                        &(struct store_kinds){
                            &(struct store_kind){"n", COLUMN_COUNTER}, 1},
                        &error),
              ==, GV_OK);
    copy_close(&a);
}

TEST(damage_in_a_cell_is_found_and_not_sent)
{
    struct copy a, b;
    struct gv_error error = {0};

    make_two(&a, &b);
    sql(&a, "UPDATE t SET n = n + 1");
    seal(&a);
    sql(&a, "UPDATE gv_cell SET value = 1000");
    CHECK_INT(verify_findings(&a, NULL), >, 0);
    CHECK_INT(pull(&b, &a, &error), ==, GV_ECORRUPT);
    CHECK_TEXT(shown(&b, "n"), "10");
    copy_close(&a);
    copy_close(&b);
}

/* A row that two sites wrote column "c" of, of the kind @named, with @count
 * values; as cells if @cells. */
static int apply_two(struct copy *to, const char *named, size_t count,
                     bool cells, const struct value *value)
{
    static uint64_t token = 5000;
    const struct vv_entry entries[2] = {{{{8}}, 100}, {{{9}}, 100}};
    const uint64_t masks[2] = {3, 2};
    struct stream_column list[2] = {{.wire = stream_text("id")},
                                    {.wire = stream_text("c")}};
    struct stream_table table = {.wire = stream_text(named),
                                 .local = stream_text(named),
                                 .key_count = 1,
                                 .column_count = 1};
    struct value text = {VALUE_TEXT, 0, 0, (const uint8_t *)"k", 1};
    uint8_t claim[2 * VV_ENTRY_SIZE];
    struct stream_row_writer writer;
    struct store_sealed sealed;
    struct gv_error error = {0};
    struct buffer out, key;
    int rc;

    list[0].local = list[0].wire;
    list[1].local = list[1].wire;
    list[1].kind = stream_text(named);
    buffer_init(&out, 65536);
    buffer_init(&key, 65536);
    key_append(&key, &text);
    for (size_t i = 0; i < 2; i++) {
        stream_write_site(&out, &entries[i].site, 0);
        vv_entry_store(&entries[i], claim + i * VV_ENTRY_SIZE);
    }
    stream_write_table(&out, &table, list, list + 1);
    stream_begin_row(&writer, &out, 0, key.data, key.size, 1, 2, count);
    for (size_t i = 0; i < 2; i++)
        stream_write_group(&writer, (uint32_t)i, 100, &masks[i], 1);
    for (size_t i = 0; i < count && !cells; i++)
        stream_write_value(&writer, value);
    for (size_t i = 0; i < count && cells; i++)
        stream_write_cell(&writer, value, (struct vv_view){NULL, 0});
    CHECK_INT(stream_end_row(&writer), ==, GV_OK);
    CHECK_INT(store_stage(to->store, ++token, 0, out.data, out.size), ==,
              GV_OK);
    CHECK_INT(store_begin(to->store, &error), ==, GV_OK);
    rc = store_apply_delta(to->store, token, (struct vv_view){claim, 2},
                           &error);
    CHECK_INT(store_commit(to->store, &sealed, &error), ==, GV_OK);
    buffer_close(&out);
    buffer_close(&key);
    return rc;
}

TEST(values_that_do_not_fit_the_kind_are_malformed)
{
    const struct value text = {VALUE_TEXT, 0, 0, (const uint8_t *)"v", 1};
    const struct value number = {VALUE_INTEGER, 7, 0, NULL, 0};
    struct copy a;

    make(&a);
    CHECK_INT(apply_two(&a, "lww", 2, false, &text), ==, GV_EPROTO);
    CHECK_INT(apply_two(&a, "lww", 1, false, &text), ==, GV_EPROTO);
    CHECK_INT(apply_two(&a, "counter", 1, false, &number), ==, GV_EPROTO);
    CHECK_INT(apply_two(&a, "counter", 2, false, &text), ==, GV_EPROTO);
    CHECK_INT(apply_two(&a, "counter", 2, true, &number), ==, GV_EPROTO);
    CHECK_INT(apply_two(&a, "mv", 2, false, &text), ==, GV_EPROTO);
    CHECK_INT(apply_two(&a, "other", 2, false, &text), ==, GV_ESCHEMA);
    CHECK_INT(apply_two(&a, "counter", 2, false, &number), ==, GV_OK);
    CHECK_INT(apply_two(&a, "mv", 2, true, &text), ==, GV_OK);
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    copy_close(&a);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
