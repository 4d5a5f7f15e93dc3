/* Capture: whatever SQL an application runs on a tracked table, another copy
 * shows the same rows afterwards, nothing is left to publish, and verify finds
 * nothing. */
#include "copies.h"

static void check_pair(struct copy *a, struct copy *b, const char *table,
                       const char *columns)
{
    char text[600];

    sync_both(a, b);
    check_equal(a, b);
    snprintf(
        text, sizeof text,
        "SELECT group_concat(r, char(10)) FROM (SELECT %s AS r FROM \"%s\""
        " ORDER BY 1)",
        columns, table);
    CHECK_TEXT(ask(b, text), ask(a, text));
    CHECK_TEXT(ask(a, "SELECT count(*) FROM gv_journal"), "0");
    CHECK(!seal(a).any);
    CHECK(!seal(b).any);
    CHECK_INT(verify_findings(a, NULL), ==, 0);
    CHECK_INT(verify_findings(b, NULL), ==, 0);
}

static void make_pair(struct copy *a, struct copy *b, const char *schema)
{
    static int number;
    char name[32];

    snprintf(name, sizeof name, "capture%d-a", ++number);
    copy_make(a, name, schema);
    snprintf(name, sizeof name, "capture%d-b", number);
    copy_make(b, name, schema);
}

/* One script, on tables of one shape but many kinds. */

static const char *const kinds[] = {
    "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b DEFAULT 'd')",
    "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a, b DEFAULT 'd')",
    "CREATE TABLE t(id INT PRIMARY KEY NOT NULL, a, b DEFAULT 'd')",
    "CREATE TABLE t(id PRIMARY KEY, a, b DEFAULT 'd') WITHOUT ROWID",
    "CREATE TABLE t(id INTEGER PRIMARY KEY, a ANY, b TEXT DEFAULT 'd') STRICT",
    "CREATE TABLE t(id INT PRIMARY KEY, a ANY, b ANY DEFAULT 'd') STRICT,"
    " WITHOUT ROWID",
    "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b DEFAULT 'd',"
    " v AS (a || b), s AS (id * 2) STORED)",
};

static const struct {
    const char *sql;
    bool rowid; /* for tables whose rowid is the key */
    const char *rows;
} scripts[] = {
    {"INSERT OR REPLACE INTO t VALUES(1, 'n', 'n')", false, "1nn 2pq 3xy 4__"},
    {"REPLACE INTO t(id, a) SELECT id + 1, a FROM t WHERE id < 3", false,
     "1ab 2ad 3pd 4__"},
    {"INSERT OR IGNORE INTO t(id, a, b) VALUES(1, 'n', 'n'), (9, 'n', 'n')",
     false, "1ab 2pq 3xy 4__ 9nn"},
    {"INSERT INTO t(id, a, b) VALUES(1, 'n', 'n'), (9, 'n', 'n') ON"
     " CONFLICT(id) DO UPDATE SET a = excluded.a || a, b = b WHERE id = 1",
     false, "1nab 2pq 3xy 4__ 9nn"},
    {"INSERT INTO t(id, a, b) VALUES(2, 'n', 'n') ON CONFLICT DO NOTHING",
     false, "1ab 2pq 3xy 4__"},
    {"INSERT INTO t(id, a, b) VALUES(2, 'n', 'n') ON CONFLICT(id) DO UPDATE"
     " SET id = 88",
     false, "1ab 3xy 4__ 88pq"},
    {"UPDATE t SET id = 77 WHERE id = 1", false, "2pq 3xy 4__ 77ab"},
    {"UPDATE t SET id = id + 100, a = a || id", false,
     "101a1b 102p2q 103x3y 104__"},
    {"UPDATE OR REPLACE t SET id = 2 WHERE id = 1", false, "2ab 3xy 4__"},
    {"UPDATE OR IGNORE t SET id = 3 WHERE id < 3", false, "1ab 2pq 3xy 4__"},
    {"UPDATE t SET rowid = 77 WHERE id = 1", true, "2pq 3xy 4__ 77ab"},
    {"UPDATE t SET oid = 77, a = 'z' WHERE id = 1", true, "2pq 3xy 4__ 77zb"},
    {"UPDATE t SET _rowid_ = _rowid_ + 10 WHERE id > 2", true,
     "1ab 2pq 13xy 14__"},
    {"REPLACE INTO t(rowid, a, b) VALUES(2, 'n', 'n')", true,
     "1ab 2nn 3xy 4__"},
    /* A swap of two keys in one transaction: each key has the other's
     * values. */
    {"BEGIN; UPDATE t SET id = -1 WHERE id = 1; UPDATE t SET id = 1 WHERE"
     " id = 2; UPDATE t SET id = 2 WHERE id = -1; COMMIT",
     false, "1pq 2ab 3xy 4__"},
    {"BEGIN; UPDATE t SET id = -id; UPDATE t SET id = 5 + id; COMMIT", false,
     "1__ 2xy 3pq 4ab"},
    {"DELETE FROM t WHERE id IN (1, 3)", false, "2pq 4__"},
    {"DELETE FROM t", false, "(null)"},
    {"BEGIN; DELETE FROM t; INSERT INTO t(id, a, b) VALUES(1, 'a', 'b'),"
     " (5, 'n', 'd'); COMMIT",
     false, "1ab 5nd"},
    {"BEGIN; INSERT INTO t(id) VALUES(9); SAVEPOINT s; DELETE FROM t;"
     " INSERT INTO t(id, a, b) VALUES(1, 'n', 'n'); ROLLBACK TO s;"
     " UPDATE t SET a = 'k' WHERE id = 9; RELEASE s; COMMIT",
     false, "1ab 2pq 3xy 4__ 9kd"},
    {"BEGIN; UPDATE t SET a = 'n'; ROLLBACK; UPDATE t SET b = 'm' WHERE"
     " id = 3",
     false, "1ab 2pq 3xm 4__"},
    {"INSERT INTO t(id, a) WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT"
     " i + 1 FROM n WHERE i < 12) SELECT i, i FROM n",
     false, "1ab 2pq 3xy 4__ 1010d 1111d 1212d"},
    {"UPDATE t SET a = (SELECT max(a) FROM t), b = a WHERE id % 2 = 1", false,
     "1xa 2pq 3xx 4__"},
    {"UPDATE t SET a = u.y FROM (SELECT 2 AS x, 'f' AS y) AS u WHERE"
     " t.id = u.x",
     false, "1ab 2fq 3xy 4__"},
    {"INSERT INTO t(id) VALUES(9) RETURNING id; DELETE FROM t WHERE id = 1"
     " RETURNING a",
     false, "2pq 3xy 4__ 9_d"},
    {"UPDATE t SET a = NULL, b = NULL", false, "1__ 2__ 3__ 4__"},
};

TEST(every_kind_of_statement_is_captured_on_every_kind_of_table)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (size_t j = 0; j < sizeof scripts / sizeof *scripts; j++) {
            struct copy a, b;

            if (scripts[j].rowid &&
                strstr(kinds[i], "INTEGER PRIMARY KEY") == NULL)
                continue;
            if (j == 0 && strstr(kinds[i], " v AS ") != NULL)
                continue; /* VALUES without names: fewer than its columns */
            make_pair(&a, &b, kinds[i]);
            track(&a, "t");
            track(&b, "t");
            sql(&a, "INSERT INTO t(id, a, b) VALUES(1, 'a', 'b'),"
                    " (2, 'p', 'q'), (3, 'x', 'y'), (4, NULL, NULL)");
            sync_both(&a, &b);
            sql(&a, scripts[j].sql);
            check_pair(&a, &b, "t", "quote(id)||quote(a)||quote(b)");
            if (strcmp(ask(&b, "SELECT group_concat(r, ' ') FROM (SELECT id"
                               "||coalesce(a,'_')||coalesce(b,'_') AS r FROM t"
                               " ORDER BY id)"),
                       scripts[j].rows) != 0)
                fprintf(stderr, "%s\n%s\n", kinds[i], scripts[j].sql);
            CHECK_TEXT(ask(&b, "SELECT group_concat(r, ' ') FROM (SELECT id"
                               "||coalesce(a,'_')||coalesce(b,'_') AS r FROM t"
                               " ORDER BY id)"),
                       scripts[j].rows);
            copy_close(&a);
            copy_close(&b);
        }
}

/* No statement names the child's key, and some spell the parent's otherwise.
 */
TEST(a_key_that_a_cascade_moves_is_captured)
{
    static const char *const children[] = {
        "p BLOB PRIMARY KEY REFERENCES p(id) ON UPDATE CASCADE, n",
        "p INTEGER PRIMARY KEY REFERENCES p(id) ON UPDATE CASCADE, n",
        ("p, n, PRIMARY KEY(n, p), FOREIGN KEY(p) REFERENCES p(id) ON UPDATE"
         " CASCADE) WITHOUT ROWID; CREATE TABLE other(x"),
    };

    for (size_t i = 0; i < sizeof children / sizeof *children; i++) {
        char schema[400];
        struct copy a, b;

        snprintf(schema, sizeof schema,
                 "CREATE TABLE p(\"id\" PRIMARY KEY NOT NULL, a);"
                 "CREATE TABLE c(%s)",
                 children[i]);
        make_pair(&a, &b, schema);
        track(&a, "p");
        track(&b, "p");
        track(&a, "c");
        track(&b, "c");
        sql(&a, "PRAGMA foreign_keys = ON;"
                "INSERT INTO p VALUES(1, 0), (2, 0);"
                "INSERT INTO c VALUES(1, 5), (2, 6)");
        sync_both(&a, &b);
        sql(&a, "UPDATE p SET (A, ID) = (7, 3) WHERE id = 1");
        check_pair(&a, &b, "c", "quote(p)||quote(n)");
        CHECK_TEXT(ask(&b, "SELECT group_concat(p||n) FROM (SELECT * FROM c"
                           " ORDER BY p)"),
                   "26,35");
        CHECK_TEXT(ask(&b, "SELECT group_concat(id||a) FROM (SELECT * FROM p"
                           " ORDER BY id)"),
                   "20,37");
        copy_close(&a);
        copy_close(&b);
    }
}

TEST(cascades_are_captured_and_not_repeated_on_apply)
{
    struct copy a, b;
    const char *schema =
        "CREATE TABLE p(id TEXT PRIMARY KEY, a);"
        "CREATE TABLE c(id TEXT PRIMARY KEY, p TEXT REFERENCES p(id)"
        " ON UPDATE CASCADE ON DELETE CASCADE, n);"
        "CREATE TABLE s(id TEXT PRIMARY KEY, p TEXT DEFAULT 'none'"
        " REFERENCES p(id) ON UPDATE SET DEFAULT ON DELETE SET NULL);";

    make_pair(&a, &b, schema);
    for (int i = 0; i < 3; i++) {
        track(&a, i == 0 ? "p" : i == 1 ? "c" : "s");
        track(&b, i == 0 ? "p" : i == 1 ? "c" : "s");
    }
    sql(&a, "PRAGMA foreign_keys = ON;"
            "INSERT INTO p VALUES('none', 0), ('x', 1), ('y', 2);"
            "INSERT INTO c VALUES('1', 'x', 1), ('2', 'y', 2);"
            "INSERT INTO s VALUES('1', 'x'), ('2', 'y')");
    sync_both(&a, &b);
    sql(&a, "UPDATE p SET id = 'z' WHERE id = 'x';"
            "DELETE FROM p WHERE id = 'y'");
    check_pair(&a, &b, "c", "quote(id)||quote(p)||quote(n)");
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||p||n) FROM c"), "1z1");
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||coalesce(p, '_')) FROM s"),
               "1none,2_");
    /* A child arrives whose parent was deleted here: it is not refused. */
    sql(&b, "DELETE FROM p WHERE id = 'z'; DELETE FROM c");
    sql(&a, "INSERT INTO c VALUES('3', 'z', 3)");
    check_pair(&a, &b, "c", "quote(id)||quote(p)||quote(n)");
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||p||n) FROM c"), "3z3");
    copy_close(&a);
    copy_close(&b);
}

TEST(what_the_applications_own_triggers_write_is_captured)
{
    struct copy a, b;
    const char *schema =
        "CREATE TABLE t(id TEXT PRIMARY KEY, n DEFAULT 0, touched DEFAULT 0);"
        "CREATE TABLE u(id TEXT PRIMARY KEY, sum DEFAULT 0);"
        "CREATE TRIGGER before BEFORE INSERT ON t BEGIN"
        " INSERT OR IGNORE INTO u(id) VALUES(new.id); END;"
        "CREATE TRIGGER after AFTER UPDATE OF n ON t BEGIN"
        " UPDATE u SET sum = sum + new.n WHERE id = new.id;"
        " UPDATE t SET touched = touched + 1 WHERE id = new.id; END;"
        "CREATE TRIGGER gone AFTER DELETE ON t BEGIN"
        " DELETE FROM u WHERE id = old.id; END;";

    make_pair(&a, &b, schema);
    for (int i = 0; i < 2; i++) {
        track(&a, i == 0 ? "t" : "u");
        track(&b, i == 0 ? "t" : "u");
    }
    sql(&a, "INSERT INTO t(id) VALUES('x'), ('y')");
    sql(&a, "UPDATE t SET n = 5; UPDATE t SET n = 6 WHERE id = 'x'");
    sync_both(&a, &b);
    sql(&a, "DELETE FROM t WHERE id = 'y'");
    sql(&b, "UPDATE t SET n = 1 WHERE id = 'x'");
    sync_both(&a, &b);
    check_pair(&a, &b, "t", "quote(id)||quote(n)||quote(touched)");
    check_pair(&a, &b, "u", "quote(id)||quote(sum)");
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||n||touched) FROM t"), "x13");
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||sum) FROM u"), "x12");
    copy_close(&a);
    copy_close(&b);
}

TEST(five_hundred_columns_are_captured)
{
    struct copy a, b;
    char *schema = malloc(20000);
    size_t used =
        (size_t)sprintf(schema, "CREATE TABLE t(id TEXT PRIMARY KEY");

    CHECK(schema != NULL);
    for (int i = 1; i < 500; i++)
        used += (size_t)sprintf(schema + used, ", c%d DEFAULT %d", i, i);
    sprintf(schema + used, ")");
    make_pair(&a, &b, schema);
    free(schema);
    track(&a, "t");
    track(&b, "t");
    sql(&a, "INSERT INTO t(id, c1, c250, c499) VALUES('x', 'a', 'b', 'c')");
    sync_both(&a, &b);
    sql(&a, "UPDATE t SET c64 = 'A', c128 = 'A'");
    sql(&b, "UPDATE t SET c63 = 'B', c499 = 'B'");
    check_pair(&a, &b, "t", "c1||c63||c64||c128||c250||c499||c498");
    CHECK_TEXT(ask(&a, "SELECT c1||c63||c64||c128||c250||c499||c498 FROM t"),
               "aBAAbB498");
    sql(&b, "DELETE FROM t");
    sql(&b, "INSERT INTO t(id, c70) VALUES('x', 'new')");
    check_pair(&a, &b, "t", "c1||c63||c64||c70||c128||c250||c499");
    copy_close(&a);
    copy_close(&b);
}

TEST(any_name_will_do)
{
    static const char *const names[] = {
        "order",  "we\"\"ird 't", "größe",   "表",     "a b",
        "select", "[x]",          "semi;--", "new.id", "%s%d%w"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct copy a, b;
        const char *n = names[i];
        char text[1000], plain[100];
        size_t size = 0;

        for (const char *c = n; *c != '\0'; c++) {
            plain[size++] = *c;
            c += *c == '"';
        }
        plain[size] = '\0';
        snprintf(text, sizeof text,
                 "CREATE TABLE \"%s\"(\"k %s\" TEXT, \"%s\" TEXT, \"v%s\""
                 " DEFAULT 'it''s', PRIMARY KEY(\"%s\", \"k %s\"))",
                 n, n, n, n, n, n);
        make_pair(&a, &b, text);
        track(&a, plain);
        track(&b, plain);
        snprintf(text, sizeof text,
                 "INSERT INTO \"%s\" VALUES('1', '2', 'x'), ('3', '4', 'y'),"
                 " ('5', '6', 'z'); UPDATE \"%s\" SET \"%s\" = 'moved' WHERE"
                 " \"%s\" = '2'; DELETE FROM \"%s\" WHERE \"k %s\" = '5'",
                 n, n, n, n, n, n);
        sql(&a, text);
        sync_both(&a, &b);
        snprintf(text, sizeof text, "UPDATE \"%s\" SET \"v%s\" = 'w'", n, n);
        sql(&b, text);
        check_equal(&a, &b);
        sync_both(&a, &b);
        snprintf(
            text, sizeof text,
            "SELECT group_concat(r) FROM (SELECT \"k %s\"||\"%s\"||\"v%s\""
            " AS r FROM \"%s\" ORDER BY 1)",
            n, n, n, n);
        CHECK_TEXT(ask(&a, text), "1movedw,34w");
        CHECK_TEXT(ask(&b, text), "1movedw,34w");
        CHECK_INT(verify_findings(&a, NULL), ==, 0);
        copy_close(&a);
        copy_close(&b);
    }
}

/* Constraints on apply */

TEST(not_null_without_default_never_fails_on_apply)
{
    struct copy a, b;
    const char *schema = "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL,"
                         " a TEXT NOT NULL, b INT NOT NULL, c)";

    make_pair(&a, &b, schema);
    track(&a, "t");
    track(&b, "t");
    sql(&a, "INSERT INTO t VALUES('x', 'a', 1, NULL), ('y', 'b', 2, 3)");
    sync_both(&a, &b);
    /* A new life in which one column alone is unlike the old, edits beside
     * it, and a life that a copy meets only when it is over and begun
     * again. */
    sql(&a, "DELETE FROM t WHERE id = 'x'");
    seal(&a);
    sql(&a, "INSERT INTO t VALUES('x', 'a', 5, NULL), ('z', 'z', 1, 1)");
    seal(&a);
    sql(&b, "UPDATE t SET b = 9");
    sql(&a, "UPDATE t SET c = 7 WHERE id = 'z'");
    seal(&a);
    sql(&a, "DELETE FROM t WHERE id = 'y'");
    seal(&a);
    sql(&a, "INSERT INTO t VALUES('y', 'again', 0, NULL)");
    check_pair(&a, &b, "t", "id||a||b||coalesce(c, '_')");
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||a||b||coalesce(c, '_')) FROM"
                       " (SELECT * FROM t ORDER BY id)"),
               "xa5_,yagain0_,zz17");
    copy_close(&a);
    copy_close(&b);
}

TEST(check_constraints_do_not_stop_an_apply)
{
    struct copy a, b;

    copy_make(&a, "check-a",
              "CREATE TABLE t(id TEXT PRIMARY KEY, a, b,"
              " CHECK(a + b < 10))");
    copy_make(&b, "check-b",
              "CREATE TABLE t(id TEXT PRIMARY KEY, a, b,"
              " CHECK(a + b < 10))");
    track(&a, "t");
    track(&b, "t");
    copy_reopen(&a, STORE_WRITE);
    copy_reopen(&b, STORE_WRITE);
    sql(&a, "INSERT INTO t VALUES('x', 1, 1)");
    sync_both(&a, &b);
    /* Each is right alone; together they are not. */
    sql(&a, "UPDATE t SET a = 8");
    sql(&b, "UPDATE t SET b = 8");
    check_pair(&a, &b, "t", "id||a||b");
    CHECK_TEXT(ask(&a, "SELECT a||b FROM t"), "88");
    copy_close(&a);
    copy_close(&b);
}

/* Full-text indexes, as SQLite's documentation makes them (fts5, section
 * 4.4.3: external content tables) */

#define FTS(key)                                                              \
    "CREATE TABLE t(" key ", a TEXT, b TEXT);"                                \
    "CREATE VIRTUAL TABLE f USING fts5(a, b, content='t',"                    \
    " content_rowid='rowid');"                                                \
    "CREATE TRIGGER t_ai AFTER INSERT ON t BEGIN"                             \
    " INSERT INTO f(rowid, a, b) VALUES (new.rowid, new.a, new.b); END;"      \
    "CREATE TRIGGER t_ad AFTER DELETE ON t BEGIN"                             \
    " INSERT INTO f(f, rowid, a, b)"                                          \
    " VALUES('delete', old.rowid, old.a, old.b); END;"                        \
    "CREATE TRIGGER t_au AFTER UPDATE ON t BEGIN"                             \
    " INSERT INTO f(f, rowid, a, b)"                                          \
    " VALUES('delete', old.rowid, old.a, old.b);"                             \
    " INSERT INTO f(rowid, a, b) VALUES (new.rowid, new.a, new.b); END;"

static void check_index(struct copy *copy, const char *word, const char *ids)
{
    char text[200];

    sql(copy, "INSERT INTO f(f, rank) VALUES('integrity-check', 1)");
    snprintf(text, sizeof text,
             "SELECT group_concat(id) FROM (SELECT id FROM t WHERE rowid IN"
             " (SELECT rowid FROM f WHERE f MATCH '%s') ORDER BY id)",
             word);
    CHECK_TEXT(ask(copy, text), ids);
}

static void push(struct copy *to, struct copy *from)
{
    struct store_sealed sealed = seal(from);
    struct gv_error error = {0};

    CHECK(sealed.any);
    if (apply_interval(to, &sealed.interval, &error) != GV_OK) {
        fprintf(stderr, "push: %s\n", error.what);
        exit(1);
    }
}

static void index_stays_right(const char *schema)
{
    struct copy a, b;

    make_pair(&a, &b, schema);
    sql(&a, "INSERT INTO t VALUES(1, 'quick', 'fox'), (2, 'slow', 'dog')");
    track(&a, "t");
    track(&b, "t");
    /* A whole delta, then news: an edit, a delete, an insert. */
    must_pull(&b, &a);
    check_index(&b, "fox", "1");
    sql(&a, "UPDATE t SET a = 'slow' WHERE id = 1;"
            "DELETE FROM t WHERE id = 2; INSERT INTO t VALUES(3, 'a', 'cat')");
    push(&b, &a);
    check_index(&b, "quick OR dog", "(null)");
    check_index(&b, "slow OR cat", "1,3");
    /* A new life over one that is here, and over one that is not. */
    sql(&a, "DELETE FROM t WHERE id = 1");
    seal(&a);
    sql(&a, "INSERT INTO t(id, a) VALUES(1, 'reborn'), (2, 'too')");
    must_pull(&b, &a);
    check_index(&b, "reborn OR too", "1,2");
    check_index(&b, "fox", "(null)");
    sql(&a, "DELETE FROM t WHERE id = 3");
    push(&b, &a);
    sql(&a, "INSERT INTO t VALUES(3, 'third', 'life')");
    push(&b, &a);
    check_index(&b, "third", "3");
    /* Both write, one wins: the loser's words are gone from both. */
    sql(&a, "UPDATE t SET b = 'early' WHERE id = 3");
    seal(&a);
    copies_wall = host_system()->wall(NULL) + 10;
    sql(&b, "UPDATE t SET b = 'late' WHERE id = 3;"
            "UPDATE gv_journal SET day = day + 5 / 86400000.0");
    seal(&b);
    copies_wall = 0;
    check_pair(&a, &b, "t", "quote(id)||quote(a)||quote(b)");
    check_index(&a, "late", "3");
    check_index(&b, "early", "(null)");
    check_index(&a, "early", "(null)");
    CHECK_TEXT(ask(&b, "PRAGMA integrity_check"), "ok");
    copy_close(&a);
    copy_close(&b);
}

TEST(a_full_text_index_of_an_integer_key_stays_right)
{
    index_stays_right(FTS("id INTEGER PRIMARY KEY"));
}

TEST(a_full_text_index_of_another_key_stays_right)
{
    index_stays_right(FTS("id TEXT PRIMARY KEY"));
}

/* One of its triggers writes a tracked table, or may raise: none fires. */
TEST(triggers_fire_on_apply_only_if_all_write_untracked_tables_alone)
{
    static const struct {
        const char *trigger;
        bool fires;
    } cases[] = {{"SELECT 1", true},
                 {"INSERT INTO log VALUES(new.id)", true},
                 {"INSERT INTO other VALUES(new.id)", false},
                 {"UPDATE t SET a = 'x' WHERE id = 'none'", false},
                 {"DELETE FROM other WHERE 0", false},
                 /* By way of another table's trigger. */
                 {"INSERT INTO via VALUES(new.id)", false},
                 {"SELECT RAISE(IGNORE) WHERE new.a = 'skip'", false},
                 {"INSERT INTO log SELECT id FROM other", true}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct copy a, b;
        char schema[1000];

        snprintf(schema, sizeof schema,
                 "CREATE TABLE t(id TEXT PRIMARY KEY, a);"
                 "CREATE TABLE other(id TEXT PRIMARY KEY);"
                 "CREATE TABLE log(line); CREATE TABLE via(id);"
                 "CREATE TABLE fired(line);"
                 "CREATE TRIGGER v AFTER INSERT ON via BEGIN"
                 " INSERT INTO other VALUES(new.id); END;"
                 "CREATE TRIGGER f AFTER INSERT ON t BEGIN"
                 " INSERT INTO fired VALUES(new.id); END;"
                 "CREATE TRIGGER u AFTER INSERT ON t BEGIN %s; END",
                 cases[i].trigger);
        make_pair(&a, &b, schema);
        for (int j = 0; j < 2; j++) {
            track(&a, j == 0 ? "t" : "other");
            track(&b, j == 0 ? "t" : "other");
        }
        sql(&a, "INSERT INTO t VALUES('x', 1)");
        sync_both(&a, &b);
        if (cases[i].fires !=
            (ask(&b, "SELECT count(*) FROM fired")[0] == '1'))
            fprintf(stderr, "%s\n", cases[i].trigger);
        CHECK_TEXT(ask(&b, "SELECT count(*) FROM fired"),
                   cases[i].fires ? "1" : "0");
        check_pair(&a, &b, "t", "id||a");
        copy_close(&a);
        copy_close(&b);
    }
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
