#include "copies.h"

#define TABLE "CREATE TABLE t(id TEXT PRIMARY KEY, a, b)"
#define DAY_MS 86400000

static gv_time_ms now = 1000000;

/* The audit as far as it goes at this time, in slices of @rows; how many
 * publications its transactions made. */
static int audit_in(struct copy *copy, size_t rows)
{
    struct store_audit report;
    struct gv_error error = {0};
    int published = 0;

    do {
        if (store_audit_step(copy->store, now, rows, &report, &error) !=
            GV_OK) {
            fprintf(stderr, "audit: %s\n", error.what);
            exit(1);
        }
        if (report.write)
            published += seal(copy).any;
    } while (report.write || report.due <= now);
    return published;
}

static int audit(struct copy *copy)
{
    return audit_in(copy, 3);
}

/* What is asked of it @later ms after it last saw the schema move. */
static int audit_later(struct copy *copy, gv_time_ms later)
{
    int published = audit(copy);

    now += later;
    return published + audit(copy);
}

/* A look and the audit between any two statements of a migration; what peers
 * hold is asked for and sent as well, and may be refused meanwhile. */
static int look(struct copy *a, struct copy *b)
{
    struct gv_error error = {0};
    int published = seal(a).any + audit(a);

    (void)pull(b, a, &error);
    (void)pull(a, b, &error);
    now += 5000;
    return published + audit(a);
}

static int migrate(struct copy *a, struct copy *b, const char *const *steps)
{
    int published = 0;

    for (; *steps != NULL; steps++) {
        sql(a, *steps);
        published += look(a, b);
        /* The schema is left alone only after the last one. */
        sql(a, "CREATE TABLE still_migrating(x); DROP TABLE still_migrating");
    }
    return published;
}

static void triggers(struct copy *copy, int on)
{
    CHECK_INT(
        sqlite3_db_config(copy->app, SQLITE_DBCONFIG_ENABLE_TRIGGER, on, NULL),
        ==, SQLITE_OK);
}

/* Ten rows, 'k0' to 'k9'. */
static void fill(struct copy *copy)
{
    sql(copy, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n"
              " WHERE i<9) INSERT INTO t SELECT 'k'||i, i, 'b'||i FROM n");
}

static const char *all(struct copy *copy)
{
    return ask(copy, "SELECT group_concat(id||a||b, ' ') FROM (SELECT * FROM t"
                     " ORDER BY id)");
}

static struct store_audit_state state(struct copy *copy)
{
    struct store_audit_state now_so;

    store_audit_state(copy->store, &now_so);
    return now_so;
}

TEST(what_only_the_audit_found_waits_until_the_schema_is_quiet)
{
    struct copy a, b;

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    sql(&a, "DROP TRIGGER gv_1_u; UPDATE t SET a = 70 WHERE id = 'k7';"
            "DROP TRIGGER gv_1_d; DELETE FROM t WHERE id = 'k3';"
            "DROP TRIGGER gv_1_i; INSERT INTO t VALUES('new', 1, 2)");
    CHECK(!seal(&a).any);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM sqlite_schema WHERE name LIKE"
                       " 'gv_1_%' AND type = 'trigger'"),
               "4");
    CHECK_INT(audit(&a), ==, 0);
    CHECK_INT(state(&a).waiting, ==, 3);
    CHECK_TEXT(state(&a).table, "t");
    now += 9999;
    CHECK_INT(audit(&a), ==, 0);
    now += 1;
    CHECK_INT(audit(&a), ==, 1);
    CHECK_INT(state(&a).waiting, ==, 0);
    CHECK_INT(state(&a).found, ==, 3);
    CHECK(!state(&a).due);
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT a FROM t WHERE id = 'k7'"), "70");
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t WHERE id = 'k3'"), "0");
    CHECK_TEXT(ask(&b, "SELECT a FROM t WHERE id = 'new'"), "1");
    check_equal(&a, &b);
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    close_two(&a, &b);
}

TEST(a_former_text_of_a_trigger_is_replaced_and_not_audited)
{
    struct copy a, b;

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    sql(&a, "DROP TRIGGER gv_1_k;"
            "CREATE TRIGGER \"gv_1_k\" AFTER UPDATE ON \"t\" WHEN"
            " old.\"id\" IS NOT new.\"id\" COLLATE BINARY BEGIN INSERT INTO"
            " gv_journal(tbl,day,k1) VALUES(1,julianday(),old.\"id\"); END;"
            "UPDATE t SET id = 'moved' WHERE id = 'k7'");
    CHECK(seal(&a).any); /* at once: the table is not suspended */
    CHECK_TEXT(ask(&a, "SELECT group_concat(name, ' ') FROM (SELECT name FROM"
                       " sqlite_schema WHERE type = 'trigger' AND (name <>"
                       " 'gv_1_k' OR sql LIKE '% UPDATE OF \"id\" ON %')"
                       " ORDER BY 1)"),
               "gv_1_d gv_1_i gv_1_k gv_1_u");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t WHERE id = 'k7'"), "0");
    check_equal(&a, &b);
    close_two(&a, &b);
}

TEST(a_massacre_waits_for_a_minute)
{
    struct copy a, b;

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    triggers(&a, 0);
    sql(&a, "DELETE FROM t WHERE id < 'k6'; CREATE TABLE other(x)");
    CHECK(!seal(&a).any);
    CHECK_INT(audit_later(&a, 59999), ==, 0);
    CHECK(state(&a).most_died);
    CHECK_INT(state(&a).waiting, ==, 6);
    now += 1;
    CHECK_INT(audit(&a), ==, 1);
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "4");
    close_two(&a, &b);
}

TEST(the_death_of_half_a_table_waits_no_longer_than_other_changes)
{
    struct copy a, b;

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    triggers(&a, 0);
    sql(&a, "DELETE FROM t WHERE id < 'k5'; CREATE TABLE other(x)");
    CHECK_INT(audit_later(&a, 9999), ==, 0);
    CHECK(!state(&a).most_died);
    now += 1;
    CHECK_INT(audit(&a), ==, 1);
    close_two(&a, &b);
}

TEST(a_person_publishes_a_massacre_at_once)
{
    struct copy a, b;

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    triggers(&a, 0);
    sql(&a, "DELETE FROM t; CREATE TABLE other(x)");
    CHECK_INT(audit_later(&a, 20000), ==, 0);
    CHECK_INT(audit_now(&a), ==, 10);
    CHECK_INT(audit_now(&a), ==, 0);
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "0");
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    close_two(&a, &b);
}

TEST(rows_that_come_back_in_time_were_never_gone)
{
    struct copy a, b;

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    triggers(&a, 0);
    sql(&a, "CREATE TABLE kept AS SELECT * FROM t; DELETE FROM t");
    CHECK_INT(audit_later(&a, 30000), ==, 0);
    CHECK_INT(state(&a).waiting, ==, 10);
    sql(&a, "INSERT INTO t SELECT * FROM kept");
    CHECK_INT(audit_later(&a, 60000), ==, 0);
    CHECK_INT(state(&a).waiting, ==, 0);
    close_two(&a, &b);
}

TEST(nothing_is_said_of_a_row_that_waits_to_be_sealed)
{
    struct copy a, b;
    struct store_audit report;
    struct gv_error error = {0};

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    sql(&a, "CREATE TABLE other(x)");
    seal(&a);
    sql(&a, "UPDATE t SET a = 9; DELETE FROM t WHERE id = 'k1'");
    do
        CHECK_INT(store_audit_step(a.store, now, 100, &report, &error), ==,
                  GV_OK);
    while (!report.write);
    CHECK_INT(state(&a).waiting, ==, 0);
    CHECK(seal(&a).any);
    CHECK_INT(state(&a).found, ==, 0);
    close_two(&a, &b);
}

TEST(what_no_schema_change_tells_of_is_found_within_a_day)
{
    struct copy a, b;

    copies_wall = 1700000000000;
    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    CHECK_INT(audit(&a), ==, 0);
    triggers(&a, 0);
    sql(&a, "UPDATE t SET a = 'past' WHERE id = 'k2'");
    copies_wall += DAY_MS - 1;
    CHECK_INT(audit_later(&a, 0), ==, 0);
    copy_reopen(&a, STORE_WRITE);
    CHECK_INT(audit_later(&a, 0), ==, 0);
    copies_wall += 1;
    /* Nobody has moved the schema for a day, so that nothing waits. */
    CHECK_INT(audit_later(&a, 10000), ==, 1);
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT a FROM t WHERE id = 'k2'"), "past");
    copies_wall = 0;
    close_two(&a, &b);
}

TEST(a_file_whose_schema_moved_while_no_node_ran_is_audited_at_its_start)
{
    struct copy a, b;

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    triggers(&a, 0);
    sql(&a, "UPDATE t SET a = 'past' WHERE id = 'k2'; CREATE INDEX i ON t(a)");
    copy_reopen(&a, STORE_WRITE);
    CHECK(state(&a).due);
    CHECK_INT(audit_later(&a, 9999), ==, 0);
    now += 1;
    CHECK_INT(audit(&a), ==, 1);
    copy_reopen(&a, STORE_WRITE);
    CHECK(!state(&a).due);
    close_two(&a, &b);
}

static void rebuilt(const char *const *steps, const char *schema)
{
    struct copy a, b;
    char *before;

    two(&a, &b, schema);
    fill(&a);
    sync_both(&a, &b);
    before = strdup(all(&a));
    CHECK_INT(migrate(&a, &b, steps), ==, 0);
    CHECK_INT(audit_later(&a, 60000), ==, 0);
    CHECK_INT(state(&a).waiting, ==, 0);
    sync_both(&a, &b);
    CHECK_TEXT(all(&b), before);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_row_1 WHERE cl <> 1"), "0");
    check_equal(&a, &b);
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    /* It is tracked as before, by triggers that capture. */
    sql(&a, "UPDATE t SET a = 'after' WHERE id = 'k1'");
    CHECK(seal(&a).any);
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT a FROM t WHERE id = 'k1'"), "after");
    free(before);
    close_two(&a, &b);
}

TEST(a_rebuild_like_djangos_publishes_nothing)
{
    static const char *const steps[] = {
        "CREATE TABLE new__t(id TEXT PRIMARY KEY, a, b)",
        "INSERT INTO new__t SELECT * FROM t", "DROP TABLE t",
        "ALTER TABLE new__t RENAME TO t", NULL};

    rebuilt(steps, TABLE);
}

TEST(a_rebuild_that_renames_the_old_table_away_publishes_nothing)
{
    static const char *const steps[] = {
        "ALTER TABLE t RENAME TO t_old",
        TABLE,
        "INSERT INTO t(id) SELECT id FROM t_old",
        "UPDATE t SET a = (SELECT a FROM t_old WHERE t_old.id = t.id)",
        "UPDATE t SET b = (SELECT b FROM t_old WHERE t_old.id = t.id)",
        "DROP TABLE t_old",
        NULL};

    rebuilt(steps, TABLE);
}

TEST(a_table_dropped_and_filled_again_publishes_nothing)
{
    static const char *const steps[] = {
        "CREATE TABLE dump AS SELECT * FROM t",
        "DROP TABLE t",
        TABLE,
        "INSERT INTO t SELECT * FROM dump WHERE id < 'k5'",
        "INSERT INTO t SELECT * FROM dump WHERE id >= 'k5'",
        "DROP TABLE dump",
        NULL};

    rebuilt(steps, TABLE);
}

TEST(columns_that_are_added_one_by_one_are_the_ones_that_were_there)
{
    static const char *const steps[] = {
        "ALTER TABLE t RENAME TO t_old",
        "CREATE TABLE t(id TEXT PRIMARY KEY)",
        "ALTER TABLE t ADD COLUMN b",
        "ALTER TABLE t ADD COLUMN a",
        "INSERT INTO t(id, a, b) SELECT id, a, b FROM t_old",
        "DROP TABLE t_old",
        NULL};
    struct copy a, b;

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    CHECK_INT(migrate(&a, &b, steps), ==, 0);
    CHECK_INT(audit_later(&a, 60000), ==, 0);
    sync_both(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT group_concat(wire||local) FROM gv_col"),
               "idid,aa,bb");
    check_equal(&a, &b);
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    close_two(&a, &b);
}

TEST(the_twelve_steps_that_change_values_are_published_once)
{
    static const char *const steps[] = {
        "CREATE TABLE saved AS SELECT name, sql FROM sqlite_schema WHERE"
        " type = 'trigger' AND tbl_name = 't'",
        "CREATE TABLE new_t(id TEXT PRIMARY KEY, a, b)",
        "INSERT INTO new_t SELECT id, a + 100, b FROM t",
        "DROP TABLE t",
        "ALTER TABLE new_t RENAME TO t",
        "DROP TABLE saved",
        NULL};
    struct copy a, b;

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    CHECK_INT(migrate(&a, &b, steps), ==, 0);
    CHECK_INT(audit_later(&a, 10000), ==, 1);
    CHECK_INT(state(&a).found, ==, 10);
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT min(a)||' '||max(a) FROM t"), "100 109");
    check_equal(&a, &b);
    close_two(&a, &b);
}

TEST(a_table_that_is_not_as_it_was_stops_no_other)
{
    struct copy a, b;
    struct store_status status;

    two(&a, &b, TABLE "; CREATE TABLE u(id TEXT PRIMARY KEY, c)");
    track(&a, "u");
    track(&b, "u");
    fill(&a);
    sync_both(&a, &b);
    sql(&a, "ALTER TABLE t RENAME TO t_old; INSERT INTO u VALUES('x', 1);"
            "UPDATE t_old SET a = 5");
    CHECK(seal(&a).any);
    CHECK(!seal(&a).any);
    CHECK_INT(store_status(a.store, &status, NULL), ==, GV_OK);
    CHECK_INT(status.journal, ==, 10);
    store_status_close(&status);
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT c FROM u"), "1");
    sql(&b, "UPDATE u SET c = 2");
    must_pull(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT c FROM u"), "2");
    CHECK_INT(audit(&a), ==, 0);
    sql(&a, "ALTER TABLE t_old RENAME TO t");
    CHECK_INT(seal(&a).any + audit_later(&a, 0), ==, 0);
    CHECK_INT(audit_later(&a, 10000), ==, 1);
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT sum(a) FROM t"), "50");
    check_equal(&a, &b);
    close_two(&a, &b);
}

/* In the middle of a migration come a peer's want and its news. */
static void meddle(bool want_first)
{
    struct copy a, b, c;
    struct gv_error error = {0};

    two(&a, &b, TABLE);
    copy_make(&c, "c", TABLE);
    track(&c, "t");
    fill(&a);
    sync_both(&a, &b);
    sql(&b, "UPDATE t SET a = 'b' WHERE id = 'k1'");
    /* With our triggers there, only the rows tell. */
    triggers(&a, 0);
    sql(&a, "CREATE TABLE kept AS SELECT * FROM t; DELETE FROM t");
    seal(&a);
    if (want_first)
        CHECK_INT(pull(&c, &a, &error), !=, GV_OK);
    (void)pull(&a, &b, &error); /* kept beside the table, or refused */
    CHECK_INT(pull(&c, &a, &error), !=, GV_OK);
    CHECK(!seal(&a).any);
    CHECK_INT(audit_later(&a, 30000), ==, 0);
    sql(&a, "INSERT INTO t SELECT * FROM kept");
    CHECK_INT(audit_later(&a, 60000), ==, 0);
    sync_both(&a, &b);
    must_pull(&c, &a);
    CHECK_TEXT(ask(&c, "SELECT count(*)||max(a) FROM t"), "10b");
    check_equal(&a, &b);
    copy_close(&c);
    close_two(&a, &b);
}

TEST(a_row_that_is_missing_in_a_migration_is_not_taken_for_dead)
{
    meddle(true);
    meddle(false);
}

TEST(a_renamed_table_is_followed_when_the_schema_is_quiet)
{
    struct copy a, b;

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    sql(&a, "ALTER TABLE t RENAME TO people;"
            "UPDATE people SET a = 'p' WHERE id = 'k1'");
    CHECK(!seal(&a).any);
    CHECK_INT(audit_later(&a, 9999), ==, 0);
    CHECK_TEXT(ask(&a, "SELECT wire||local FROM gv_table"), "tt");
    now += 1;
    CHECK_INT(audit(&a), ==, 1);
    CHECK_TEXT(ask(&a, "SELECT wire||local FROM gv_table"), "tpeople");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT a FROM t WHERE id = 'k1'"), "p");
    sql(&b, "DELETE FROM t WHERE id = 'k2'");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM people"), "9");
    check_equal(&a, &b);
    close_two(&a, &b);
}

TEST(a_table_that_is_gone_is_not_dead)
{
    struct copy a, b;
    struct store_status status;

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    sql(&a, "UPDATE t SET a = 1; DROP TABLE t");
    CHECK(!seal(&a).any);
    CHECK_INT(audit_later(&a, 600000), ==, 0);
    CHECK_INT(store_status(a.store, &status, NULL), ==, GV_OK);
    CHECK_INT(status.journal, ==, 0);
    CHECK_TEXT(status.tables[0].fault, "there is no table 't' in the file");
    store_status_close(&status);
    /* It comes back, as from a dump. */
    sql(&a, TABLE "; INSERT INTO t VALUES('k1', 1, 'b1')");
    CHECK_INT(seal(&a).any + audit_later(&a, 20000), ==, 0);
    CHECK(!state(&a).most_died);
    CHECK_INT(state(&a).waiting, ==, 0);
    CHECK_INT(audit_later(&a, 600000), ==, 0);
    CHECK_TEXT(all(&a), "k11b1");
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "10");
    check_equal(&a, &b);
    close_two(&a, &b);
}

static void made_again(bool restart, bool triggers_too)
{
    struct copy a, b;

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    if (triggers_too)
        sql(&a, "CREATE TABLE saved AS SELECT sql FROM sqlite_schema WHERE"
                " type = 'trigger'");
    sql(&a, "DROP TABLE t");
    CHECK_INT(seal(&a).any + audit_later(&a, 10000), ==, 0);
    /* Written elsewhere while it was not here. */
    sql(&b, "UPDATE t SET a = 70, b = 'seven' WHERE id = 'k7';"
            "DELETE FROM t WHERE id = 'k3'; INSERT INTO t VALUES('n', 1, 2);"
            "UPDATE t SET a = 10 WHERE id = 'k1'");
    must_pull(&a, &b);
    if (restart)
        copy_reopen(&a, STORE_WRITE);
    CHECK_INT(seal(&a).any + audit(&a), ==, 0);
    CHECK(!state(&a).due);
    sql(&a, TABLE);
    if (triggers_too) {
        const char *text;

        while (strcmp(text = ask(&a, "SELECT sql FROM saved"), "(none)") !=
               0) {
            sql(&a, text);
            sql(&a, "DELETE FROM saved WHERE rowid ="
                    " (SELECT min(rowid) FROM saved)");
        }
    }
    CHECK_INT(seal(&a).any + audit(&a), ==, 0);
    /* It may still be filled: nothing is put in anybody's way. */
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM t"), "0");
    sql(&a, "INSERT INTO t VALUES('k1', 11, 'b1'), ('own', 5, 6)");
    CHECK_INT(seal(&a).any + audit_later(&a, 9999), ==, 0);
    now += 1;
    CHECK_INT(audit(&a), ==, 1);
    CHECK_TEXT(all(&a), "k111b1 k770seven n12 own56");
    must_pull(&b, &a);
    CHECK_TEXT(all(&b), "k00b0 k111b1 k22b2 k44b4 k55b5 k66b6 k770seven"
                        " k88b8 k99b9 n12 own56");
    check_equal(&a, &b);
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    CHECK_INT(audit_later(&a, 600000), ==, 0);
    /* From now on it is a table like any other. */
    sql(&a, "DELETE FROM t WHERE id = 'n'");
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t WHERE id = 'n'"), "0");
    close_two(&a, &b);
}

TEST(a_table_that_was_gone_and_is_made_again_is_shown_again)
{
    made_again(false, false);
    made_again(true, false);
    made_again(true, true);
}

TEST(a_table_with_other_key_columns_is_not_tracked_any_more)
{
    struct copy a, b;

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    sql(&a, "DROP TABLE t; CREATE TABLE t(a PRIMARY KEY, id, b);"
            "INSERT INTO t VALUES(1, 2, 3)");
    CHECK(!seal(&a).any);
    CHECK_INT(audit_later(&a, 9999), ==, 0);
    CHECK_TEXT(ask(&a, "SELECT tracked FROM gv_table"), "1");
    now += 1;
    CHECK_INT(audit(&a), ==, 0);
    CHECK_TEXT(ask(&a, "SELECT tracked FROM gv_table"), "0");
    CHECK(!state(&a).due);
    close_two(&a, &b);
}

/* A warning of status that begins so; "" if there is none. */
static const char *warning(struct copy *copy, const char *with)
{
    static char text[1000];
    struct store_status status;

    text[0] = '\0';
    CHECK_INT(store_status(copy->store, &status, NULL), ==, GV_OK);
    for (size_t i = 0; i < status.warning_count; i++)
        if (strncmp(status.warnings[i], with, strlen(with)) == 0)
            snprintf(text, sizeof text, "%s", status.warnings[i]);
    store_status_close(&status);
    return text;
}

/* CORPUS Q8 */
TEST(rows_lost_to_a_unique_index_are_found_and_it_is_warned_of)
{
    struct copy a, b;

    copies_wall = 1700000000000;
    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    CHECK_TEXT(warning(&a, "t has"), "");
    sql(&a, "CREATE UNIQUE INDEX u ON t(a)");
    seal(&a);
    CHECK_TEXT(warning(&a, "t has"),
               "t has the UNIQUE index u beside its primary key: a peer's row"
               " that has a value for the second time is kept beside the"
               " table, and a row that a REPLACE takes away is only missed by"
               " the audit, within the hour. Way out: DROP INDEX u, and make"
               " it again as an ordinary one");
    CHECK_INT(audit_later(&a, 10000), ==, 0);
    sql(&a, "REPLACE INTO t VALUES('new', 1, 'evicts k1')");
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "11");
    copies_wall += 3600000 - 1;
    CHECK_INT(audit_later(&a, 0), ==, 0);
    copies_wall += 1;
    CHECK_INT(audit_later(&a, 10000), ==, 1);
    CHECK_INT(state(&a).found, ==, 1);
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT group_concat(id) FROM t WHERE a = 1"), "new");
    check_equal(&a, &b);
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    sql(&a, "DROP INDEX u; CREATE INDEX u ON t(a)");
    seal(&a);
    CHECK_TEXT(warning(&a, "t has"), "");
    sql(&a, "ALTER TABLE t RENAME TO t_old; CREATE TABLE t(id TEXT PRIMARY"
            " KEY, a UNIQUE, b); INSERT INTO t SELECT * FROM t_old;"
            "DROP TABLE t_old");
    seal(&a);
    CHECK(strstr(warning(&a, "t has a UNIQUE constraint"),
                 "make the table anew without it") != NULL);
    copies_wall = 0;
    close_two(&a, &b);
}

static void rekey(struct copy *copy, const char *rows)
{
    sql(copy, "DROP TABLE t; CREATE TABLE t(a, id, b, PRIMARY KEY(a))");
    sql(copy, rows);
    CHECK_INT(seal(copy).any + audit_later(copy, 10000), ==, 0);
}

TEST(a_table_whose_key_changed_is_shared_under_its_name_and_key)
{
    struct copy a, b;
    struct hash128 before;

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    before = store_fingerprint(a.store);
    rekey(&a, "INSERT INTO t VALUES(1, 'k1', 'b1')");
    CHECK_TEXT(warning(&a, "the key of t"),
               "the key of t is (a) now; it was tracked with (id), and is not"
               " any more: 'grapevine track DB t' shares it as a table of its"
               " own, and what the mesh has under the old key is kept for"
               " other nodes");
    copy_reopen(&a, STORE_WRITE);
    CHECK(warning(&a, "the key of t is (a) now")[0] != '\0');
    track(&a, "t");
    CHECK_TEXT(ask(&a, "SELECT group_concat(wire||':'||local||':'||tracked,"
                       " ' ') FROM gv_table"),
               "t:t(id):0 t(a):t:1");
    CHECK(warning(&a, "t(id) of the mesh is kept")[0] != '\0');
    CHECK(!hash128_equal(before, store_fingerprint(a.store)));
    /* The other file has the old table, and goes on with it. */
    sql(&b, "UPDATE t SET b = 'old' WHERE id = 'k5'");
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT b FROM t WHERE id = 'k5'"), "old");
    CHECK(warning(&b, "t(a) of the mesh is kept for other nodes: on a peer it"
                      " is table t with the key (a)")[0] != '\0');
    /* Until it follows; what both had made apart is one table then. */
    rekey(&b, "INSERT INTO t VALUES(1, 'k1', 'b1'), (2, 'k2', 'b2')");
    track(&b, "t");
    CHECK_TEXT(ask(&b, "SELECT group_concat(wire||':'||local||':'||tracked,"
                       " ' ') FROM gv_table"),
               "t:t(id):0 t(a):t:1");
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT group_concat(a||id||b) FROM t"), "1k1b1,2k2b2");
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    close_two(&a, &b);
}

TEST(track_does_not_wait_until_a_changed_key_is_believed)
{
    struct copy a, b;

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    sql(&a, "DROP TABLE t; CREATE TABLE t(a, id, b, PRIMARY KEY(a, b));"
            "INSERT INTO t VALUES(1, 'k1', 'b1')");
    track(&a, "t");
    CHECK_TEXT(ask(&a, "SELECT wire FROM gv_table WHERE tracked"), "t(a, b)");
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "10");
    CHECK_INT(audit_later(&a, 600000), ==, 0);
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    close_two(&a, &b);
}

/* By the book, and with triggers that name a key column that is gone. */
TEST(triggers_that_came_along_with_another_key_stop_no_write)
{
    struct copy a, b;
    char *trigger;

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    trigger = strdup(ask(&a, "SELECT sql FROM sqlite_schema WHERE name ="
                             " 'gv_1_i'"));
    sql(&a, "DROP TABLE t; CREATE TABLE t(a PRIMARY KEY, b)");
    sql(&a, trigger);
    CHECK(!seal(&a).any);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM sqlite_schema WHERE type ="
                       " 'trigger'"),
               "0");
    sql(&a, "INSERT INTO t VALUES(1, 2)");
    free(trigger);
    close_two(&a, &b);
}

TEST(files_whose_key_changes_apart_meet_and_may_go_back)
{
    struct copy a, b, c;

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    rekey(&a, "INSERT INTO t VALUES(1, 'k1', 'b1')");
    rekey(&b, "INSERT INTO t VALUES(2, 'k2', 'b2')");
    track(&a, "t");
    track(&b, "t");
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM t"), "2");
    /* A new file that has heard of both takes the one with its key. */
    copy_make(&c, "c", NULL);
    CHECK_INT(store_join(c.store, "m", NULL), ==, GV_OK);
    must_pull(&c, &a);
    sql(&c, "CREATE TABLE t(a PRIMARY KEY, id, b)");
    track(&c, "t");
    CHECK_TEXT(ask(&c, "SELECT count(*) FROM t"), "2");
    CHECK_TEXT(ask(&c, "SELECT wire FROM gv_table WHERE tracked"), "t(a)");
    check_equal(&a, &c);
    /* The old key again: the old table, as far as it is still known. */
    sql(&a, "DROP TABLE t; " TABLE "; INSERT INTO t VALUES('k1', 1, 'b1')");
    CHECK_INT(seal(&a).any + audit_later(&a, 10000), ==, 0);
    track(&a, "t");
    CHECK_TEXT(ask(&a, "SELECT group_concat(wire||':'||local||':'||tracked,"
                       " ' ') FROM gv_table"),
               "t:t:1 t(a):t(a):0");
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    copy_close(&c);
    close_two(&a, &b);
}

TEST(a_renamed_column_keeps_its_name_on_the_wire)
{
    struct copy a, b;

    two(&a, &b, TABLE);
    fill(&a);
    sql(&a, "UPDATE t SET a = 'same'");
    sync_both(&a, &b);
    sql(&a, "ALTER TABLE t RENAME COLUMN a TO c; ALTER TABLE t ADD COLUMN a;"
            "UPDATE t SET c = 'new' WHERE id = 'k1'");
    CHECK(seal(&a).any);
    CHECK_TEXT(ask(&a, "SELECT local FROM gv_col WHERE wire = 'b'"), "b");
    /* The name decides: "a" is there again, and is that column. */
    CHECK_TEXT(ask(&a, "SELECT local FROM gv_col WHERE wire = 'a'"), "a");
    close_two(&a, &b);
    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    sql(&a, "ALTER TABLE t RENAME COLUMN a TO c;"
            "ALTER TABLE t RENAME COLUMN b TO d;"
            "UPDATE t SET c = 'new' WHERE id = 'k1'");
    CHECK(seal(&a).any);
    CHECK_TEXT(ask(&a, "SELECT group_concat(wire||local) FROM gv_col"),
               "idid,ac,bd");
    sql(&a, "ALTER TABLE t ADD COLUMN a");
    CHECK_INT(seal(&a).any, ==, 0);
    CHECK_TEXT(ask(&a, "SELECT wire FROM gv_col WHERE local = 'a'"), "a.2");
    close_two(&a, &b);
}

TEST(a_column_renamed_while_no_node_ran_is_known_by_its_values)
{
    struct copy a;

    copy_make(&a, "a", "CREATE TABLE t(id TEXT PRIMARY KEY, a, b)");
    track(&a, "t");
    fill(&a);
    seal(&a);
    store_close(a.store);
    a.store = NULL;
    /* By its place, "c" would be "b". */
    sql(&a, "ALTER TABLE t RENAME COLUMN a TO z; ALTER TABLE t DROP COLUMN b;"
            "ALTER TABLE t ADD COLUMN c; UPDATE t SET c = z;"
            "ALTER TABLE t DROP COLUMN z; DELETE FROM gv_journal");
    copy_reopen(&a, STORE_WRITE);
    CHECK_TEXT(ask(&a, "SELECT wire FROM gv_col WHERE local = 'c'"), "a");
    copy_close(&a);
    copies_remove();
}

TEST(a_renamed_column_is_known_wherever_it_stands)
{
    struct copy a;

    copy_make(&a, "a", "CREATE TABLE t(id TEXT PRIMARY KEY, a, b)");
    track(&a, "t");
    sql(&a, "ALTER TABLE t DROP COLUMN a");
    seal(&a);
    sql(&a, "ALTER TABLE t ADD COLUMN a");
    seal(&a);
    sql(&a, "ALTER TABLE t RENAME COLUMN b TO c");
    seal(&a);
    CHECK_TEXT(ask(&a, "SELECT group_concat(wire||local) FROM gv_col"),
               "idid,aa,bc");
    copy_close(&a);
    copies_remove();
}

TEST(a_renamed_column_without_values_is_known_by_its_place)
{
    struct copy a;

    copy_make(&a, "a", "CREATE TABLE t(id TEXT PRIMARY KEY, a INT, b TEXT)");
    track(&a, "t");
    sql(&a, "ALTER TABLE t RENAME COLUMN b TO c");
    seal(&a);
    CHECK_TEXT(ask(&a, "SELECT wire FROM gv_col WHERE local = 'c'"), "b");
    sql(&a, "ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN d REAL");
    seal(&a);
    CHECK_TEXT(ask(&a, "SELECT wire FROM gv_col WHERE local = 'd'"), "d");
    copy_close(&a);
    copies_remove();
}

/* It shows its default where the values are lost, which is no sign that it is
 * another column. */
TEST(a_column_whose_values_are_lost_is_renamed_like_any_other)
{
    struct copy a;

    copy_make(&a, "a", "CREATE TABLE t(id TEXT PRIMARY KEY, a, b)");
    track(&a, "t");
    fill(&a);
    seal(&a);
    sql(&a, "ALTER TABLE t DROP COLUMN b");
    seal(&a);
    sql(&a, "ALTER TABLE t ADD COLUMN b DEFAULT 'none'");
    seal(&a);
    sql(&a, "ALTER TABLE t RENAME COLUMN b TO c");
    seal(&a);
    CHECK_TEXT(ask(&a, "SELECT group_concat(wire||local) FROM gv_col"),
               "idid,aa,bc");
    copy_close(&a);
    copies_remove();
}

TEST(a_column_that_was_dropped_comes_back_under_its_name)
{
    struct copy a, b;

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    sql(&a, "ALTER TABLE t DROP COLUMN a");
    CHECK(!seal(&a).any);
    sql(&a, "UPDATE t SET b = 'x' WHERE id = 'k1'");
    CHECK(seal(&a).any);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_col WHERE local IS NULL"),
               "1");
    sql(&a, "ALTER TABLE t ADD COLUMN a; UPDATE t SET a = 'y'");
    CHECK(seal(&a).any);
    CHECK_TEXT(ask(&a, "SELECT local FROM gv_col WHERE wire = 'a'"), "a");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT a||b FROM t WHERE id = 'k1'"), "yx");
    check_equal(&a, &b);
    close_two(&a, &b);
}

TEST(a_busy_file_loses_no_finding)
{
    struct copy a, b;
    struct store_audit report;
    struct gv_error error = {0};

    two(&a, &b, TABLE);
    fill(&a);
    sync_both(&a, &b);
    triggers(&a, 0);
    sql(&a, "UPDATE t SET a = 'past' WHERE id IN ('k2', 'k8');"
            "CREATE TABLE other(x)");
    CHECK_INT(audit(&a), ==, 0);
    now += 10000;
    do
        CHECK_INT(store_audit_step(a.store, now, 3, &report, &error), ==,
                  GV_OK);
    while (!report.write);
    sql(&a, "BEGIN IMMEDIATE");
    CHECK_INT(store_begin(a.store, &error), ==, GV_EBUSY);
    sql(&a, "COMMIT");
    CHECK_INT(store_begin(a.store, &error), ==, GV_OK);
    store_rollback(a.store);
    CHECK_INT(audit(&a), ==, 1);
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t WHERE a = 'past'"), "2");
    close_two(&a, &b);
}

TEST(keys_of_every_kind_are_walked)
{
    static const char *const schemas[] = {
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a)",
        "CREATE TABLE t(id, k BLOB, a, PRIMARY KEY(k, id)) WITHOUT ROWID",
        "CREATE TABLE t(id PRIMARY KEY, a)"};
    static const char *const fills[] = {
        "INSERT INTO t VALUES(-9223372036854775807-1, 1), (-1, 1), (0, 1),"
        " (9223372036854775807, 1), (7, 1)",
        "INSERT INTO t VALUES(1, x'00', 1), ('1', x'', 1), (1.5, 'x', 1),"
        " (1, 'y', 1), (x'31', 1, 1)",
        "INSERT INTO t VALUES(1, 1), ('1', 1), (x'31', 1), (1.5, 1), ('', 1),"
        " (NULL, 1), (NULL, 2)"};

    for (size_t i = 0; i < 3; i++) {
        struct copy a, b;

        two(&a, &b, schemas[i]);
        sql(&a, fills[i]);
        sync_both(&a, &b);
        triggers(&a, 0);
        sql(&a, "UPDATE t SET a = 2; CREATE TABLE other(x)");
        CHECK_INT(audit_in(&a, 1), ==, 0);
        CHECK_INT(state(&a).waiting, ==, 5);
        now += 10000;
        CHECK_INT(audit_in(&a, 1), ==, 1);
        sql(&a, "DELETE FROM gv_journal; UPDATE t SET a = 3; DROP TABLE other;"
                "CREATE TABLE kept AS SELECT * FROM t; DELETE FROM t");
        CHECK_INT(audit_in(&a, 2), ==, 0);
        CHECK_INT(state(&a).waiting, ==, 5);
        now += 60000;
        CHECK_INT(audit_in(&a, 2), ==, 1);
        sql(&a, "INSERT INTO t SELECT * FROM kept; DROP TABLE kept");
        CHECK_INT(audit_in(&a, 2), ==, 0);
        CHECK_INT(state(&a).waiting, ==, 5);
        now += 10000;
        CHECK_INT(audit_in(&a, 2), ==, 1);
        sync_both(&a, &b);
        CHECK_TEXT(ask(&b, "SELECT sum(a) FROM t"), "15");
        check_equal(&a, &b);
        close_two(&a, &b);
    }
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
