#include "copies.h"

#include "store/internal.h"

static struct copy made(const char *name)
{
    struct copy a;

    copy_make(&a, name, "CREATE TABLE t(id TEXT PRIMARY KEY, a, b)");
    track(&a, "t");
    sql(&a, "INSERT INTO t VALUES('ann', 1, 2), ('bob', 3, 4)");
    seal(&a);
    sql(&a, "UPDATE t SET a = 5 WHERE id = 'bob'");
    seal(&a);
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    sqlite3_db_config(a.app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    return a;
}

/* After @damage, verify names @key and changes nothing. */
static void names(const char *name, const char *damage, const char *key)
{
    struct copy a = made(name);
    char last[1024];
    const char *before;

    sql(&a, damage);
    before = ask(&a, "PRAGMA data_version");
    CHECK_INT(verify_findings(&a, last), >=, 1);
    CHECK_TEXT(ask(&a, "PRAGMA data_version"), before);
    if (strstr(last, key) == NULL && strstr(last, "fingerprint") == NULL) {
        fprintf(stderr, "'%s' is not named in '%s'\n", key, last);
        exit(1);
    }
    copy_close(&a);
}

TEST(a_value_changed_past_the_triggers_is_named)
{
    names("value", "UPDATE t SET b = 9 WHERE id = 'bob'", "'bob'");
    names("gone", "DELETE FROM t WHERE id = 'ann'", "'ann'");
    names("there", "INSERT INTO t VALUES('zoe', 1, 1)", "'zoe'");
}

TEST(every_byte_of_a_state_matters)
{
    for (int i = 1; i <= 50; i++) {
        struct copy a = made("bytes");
        char last[1024] = "", text[300];
        bool named = false;

        snprintf(text, sizeof text,
                 "UPDATE gv_row_1 SET state = substr(state, 1, %d)||"
                 "CASE WHEN substr(state, %d, 1) = x'5a' THEN x'5b' ELSE"
                 " x'5a' END||substr(state, %d) WHERE k1 = 'bob' AND"
                 " length(state) >= %d",
                 i - 1, i, i + 1, i);
        sql(&a, text);
        if (sqlite3_changes(a.app) == 0) {
            CHECK_INT(i, >, 40);
        } else {
            CHECK_INT(verify_findings(&a, last), >=, 1);
            named = true;
        }
        CHECK(named || i > 40);
        copy_close(&a);
        CHECK(remove(a.path) != 0 || true);
        {
            char command[400];

            snprintf(command, sizeof command, "rm -rf '%s/bytes.db'*",
                     copies_directory);
            CHECK(system(command) == 0);
        }
    }
}

/* Two records swap a column: the set of digests stays what it was. */
TEST(a_mask_changed_is_named)
{
    struct copy a = made("mask");
    char last[1024] = "";

    /* bob has a record of existence and b, and one of a: move b over. */
    sql(&a, "UPDATE gv_row_1 SET state = substr(state, 1, 10)||x'01'||"
            "substr(state, 12, 9)||x'06'||substr(state, 22)"
            " WHERE k1 = 'bob'");
    CHECK_INT(sqlite3_changes(a.app), ==, 1);
    CHECK_INT(verify_findings(&a, last), >=, 1);
    copy_close(&a);
}

TEST(gv_ver_and_the_fingerprint_are_recomputed)
{
    names("ver-", "DELETE FROM gv_ver WHERE rid = 1", "'ann'");
    names("ver+", "INSERT INTO gv_ver VALUES(1, 5, 1, 1)", "gv_ver");
    names("sum", "UPDATE gv_meta SET fingerprint = zeroblob(16)",
          "fingerprint");
    names("length", "UPDATE gv_row_1 SET cl = 3 WHERE k1 = 'ann'", "'ann'");
}

TEST(a_write_that_waits_to_be_sealed_is_no_damage)
{
    struct copy a = made("waits");

    sqlite3_db_config(a.app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, NULL);
    sql(&a, "UPDATE t SET b = 9 WHERE id = 'bob';"
            "DELETE FROM t WHERE id = 'ann'; INSERT INTO t VALUES('z', 1, 1)");
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    copy_close(&a);
}

TEST(a_reading_store_verifies_and_writes_nothing)
{
    struct copy a = made("reader");
    const char *before = ask(&a, "PRAGMA data_version");

    sql(&a, "UPDATE t SET b = 9 WHERE id = 'bob'");
    copy_reopen(&a, STORE_READ);
    CHECK_INT(verify_findings(&a, NULL), ==, 1);
    CHECK_TEXT(ask(&a, "PRAGMA data_version"), before);
    copy_close(&a);
}

static int count_steps(void *context)
{
    ++*(uint64_t *)context;
    return 0;
}

/* 2,000 rows in some 0.5 M steps of SQLite's machine; 300 M if each row looks
 * at all others. */
TEST(the_effort_grows_with_the_rows_whatever_the_keys_type)
{
    static const char *const keys[] = {
        "a TEXT, b INTEGER", "a INTEGER, b REAL", "a NUMERIC, b TEXT"};

    for (size_t i = 0; i < 3; i++) {
        struct copy a;
        char text[300], name[32];
        uint64_t thousands = 0;

        snprintf(text, sizeof text, "CREATE TABLE t(%s, v, PRIMARY KEY(a, b))",
                 keys[i]);
        snprintf(name, sizeof name, "effort%zu", i);
        copy_make(&a, name, text);
        track(&a, "t");
        sql(&a, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n"
                " WHERE i<2000) INSERT INTO t SELECT i%2, i, i FROM n");
        seal(&a);
        sqlite3_progress_handler(a.store->db, 1000, count_steps, &thousands);
        CHECK_INT(verify_findings(&a, NULL), ==, 0);
        sqlite3_progress_handler(a.store->db, 0, NULL, NULL);
        CHECK_INT(thousands, <, 2000);
        copy_close(&a);
    }
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
