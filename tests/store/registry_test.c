/* Tables and columns that this file has not, and those that it makes. */
#include "copies.h"
#include "wire/frame.h"

static const struct site stranger = {{7, 7, 7}};

static struct stream_column column_of(const char *wire, const char *local,
                                      const char *type)
{
    return (struct stream_column){.wire = stream_text(wire),
                                  .local = stream_text(local),
                                  .type = stream_text(type),
                                  .kind = stream_text("lww"),
                                  .initial = {.class = VALUE_NULL}};
}

static void define(struct buffer *out, const char *wire, const char *local,
                   unsigned options, const struct stream_column *columns,
                   size_t count)
{
    struct stream_column key = column_of("id", "id", "TEXT");
    struct stream_table table = {.wire = stream_text(wire),
                                 .local = stream_text(local),
                                 .options = options,
                                 .key_count = 1,
                                 .column_count = count};

    CHECK_INT(stream_write_table(out, &table, &key, columns), ==, GV_OK);
}

/* Apply @stream as the next interval of a stranger, in the transaction that
 * is open. */
static int apply_stream(struct copy *copy, const struct buffer *stream,
                        struct gv_error *error)
{
    gv_version from = vv_get(store_vv(copy->store), &stranger);
    struct interval interval = {.site = stranger};
    struct vv_view none = {NULL, 0};
    struct buffer bytes;
    int rc;

    buffer_init(&bytes, 10000000);
    CHECK_INT(interval_encode(&stranger, from, from + 1, none, stream->data,
                              stream->size, &bytes),
              ==, GV_OK);
    interval.bytes = bytes.data;
    interval.size = bytes.size;
    rc = store_apply_interval(copy->store, &interval, error);
    buffer_close(&bytes);
    return rc;
}

static int take_stream(struct copy *copy, const struct buffer *stream,
                       struct gv_error *error)
{
    struct store_sealed sealed;
    int rc;

    CHECK_INT(store_begin(copy->store, error), ==, GV_OK);
    rc = apply_stream(copy, stream, error);
    CHECK_INT(store_commit(copy->store, &sealed, &(struct gv_error){0}), ==,
              GV_OK);
    return rc;
}

static int take_definition(struct copy *copy, const char *wire,
                           const char *local, unsigned options,
                           const struct stream_column *columns, size_t count)
{
    struct gv_error error = {0};
    struct buffer stream;
    int rc;

    buffer_init(&stream, 10000000);
    define(&stream, wire, local, options, columns, count);
    rc = take_stream(copy, &stream, &error);
    CHECK(rc == GV_OK || error.what[0] != '\0');
    buffer_close(&stream);
    return rc;
}

/* Whether a warning of status holds @word. */
static bool warned(struct copy *copy, const char *word)
{
    struct store_status status;
    struct gv_error error = {0};
    bool found = false;

    CHECK_INT(store_status(copy->store, &status, &error), ==, GV_OK);
    for (size_t i = 0; i < status.warning_count; i++)
        found |= strstr(status.warnings[i], word) != NULL;
    store_status_close(&status);
    return found;
}

static void untrack(struct copy *copy, const char *table, bool purge)
{
    struct gv_error error = {0};
    struct buffer notes;

    buffer_init(&notes, 65536);
    if (store_untrack(copy->store, table, purge, &notes, &error) != GV_OK) {
        fprintf(stderr, "untrack: %s\n", error.what);
        exit(1);
    }
    CHECK(notes.size > 0);
    buffer_close(&notes);
}

static void member(struct copy *copy, const char *name, const char *schema)
{
    struct gv_error error = {0};

    copy_make(copy, name, schema);
    CHECK_INT(store_join(copy->store, "m", &error), ==, GV_OK);
}

/* A new file that makes the mesh's tables. */
static void maker(struct copy *copy, const char *name)
{
    struct gv_error error = {0};

    member(copy, name, NULL);
    CHECK_INT(store_create_tables(copy->store, &error), ==, GV_OK);
}

TEST(an_unknown_table_is_registered_once_with_its_columns)
{
    struct stream_column columns[3];
    struct copy a;

    member(&a, "unknown", NULL);
    columns[0] = column_of("a", "a", "INT");
    columns[1] = column_of("b", "bee", "");
    columns[2] = column_of("c", "c", "REAL");
    columns[1].initial = (struct value){.class = VALUE_INTEGER, .integer = 3};
    for (int i = 0; i < 2; i++)
        CHECK_INT(
            take_definition(&a, "t", "here", STREAM_TABLE_STRICT, columns, 2),
            ==, GV_OK);
    CHECK_TEXT(ask(&a, "SELECT group_concat(wire||','||local||','||tracked"
                       "||','||options) FROM gv_table"),
               "t,here,0,1");
    CHECK_TEXT(ask(&a, "SELECT group_concat(bit||wire||coalesce(local,'-')||"
                       "type||coalesce(peer,'-')||coalesce(initial,'-')) FROM"
                       " (SELECT * FROM gv_col ORDER BY bit)"),
               "-1ididTEXT--,1a-INT--,2b-bee3");
    /* A column that comes later gets the next bit. */
    columns[0] = columns[2];
    CHECK_INT(take_definition(&a, "t", "here", 0, columns, 2), ==, GV_OK);
    CHECK_TEXT(ask(&a, "SELECT wire FROM gv_col WHERE bit=3"), "c");
    CHECK(warned(&a, "there is no such table"));
    copy_reopen(&a, STORE_WRITE);
    CHECK_INT(take_definition(&a, "t", "here", 0, columns, 2), ==, GV_OK);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_col"), "4");
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    copy_close(&a);
}

TEST(what_is_taken_back_was_never_registered)
{
    struct stream_column column = column_of("b", "b", "");
    struct store_sealed sealed;
    struct gv_error error = {0};
    struct buffer stream;
    struct copy a;

    copy_make(&a, "takenback", "CREATE TABLE t(id TEXT PRIMARY KEY, a)");
    track(&a, "t");
    buffer_init(&stream, 10000);
    define(&stream, "u", "u", 0, &column, 1);
    define(&stream, "t", "t", 0, &column, 1);
    buffer_append(&stream, "\0\0\0\1x", 5);
    CHECK_INT(store_begin(a.store, &error), ==, GV_OK);
    CHECK_INT(apply_stream(&a, &stream, &error), ==, GV_EPROTO);
    /* Nor does memory hold what the next apply of the transaction uses. */
    stream.size -= 5;
    CHECK_INT(apply_stream(&a, &stream, &error), ==, GV_OK);
    CHECK_INT(store_commit(a.store, &sealed, &error), ==, GV_OK);
    CHECK_TEXT(ask(&a, "SELECT group_concat(tbl||wire||bit) FROM (SELECT *"
                       " FROM gv_col WHERE bit>0 ORDER BY tbl,bit)"),
               "1a1,1b2,2b1");
    sql(&a, "INSERT INTO t VALUES('x', 1)");
    CHECK(seal(&a).any);
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    buffer_close(&stream);
    copy_close(&a);
}

TEST(a_column_of_peers_is_adopted_when_it_is_there)
{
    struct stream_column columns[2];
    struct copy a, b;

    copy_make(&a, "adopt", "CREATE TABLE t(id TEXT PRIMARY KEY, a)");
    track(&a, "t");
    columns[0] = column_of("b", "b", "INT");
    columns[1] = column_of("c", "sea", "INT");
    columns[0].initial = (struct value){.class = VALUE_INTEGER, .integer = 5};
    CHECK_INT(take_definition(&a, "t", "t", 0, columns, 2), ==, GV_OK);
    sql(&a, "INSERT INTO t VALUES('x', 1)");
    CHECK(seal(&a).any);
    sql(&a, "ALTER TABLE t ADD COLUMN sea TEXT DEFAULT 'blue';"
            "ALTER TABLE t ADD COLUMN B INT DEFAULT 6;"
            "ALTER TABLE t ADD COLUMN d");
    CHECK(!seal(&a).any); /* the defaults are no writes */
    CHECK(warned(&a, "column B of t has another default"));
    CHECK_TEXT(ask(&a, "SELECT group_concat(wire||'='||local||type) FROM"
                       " (SELECT * FROM gv_col WHERE bit>0 ORDER BY bit)"),
               "a=a,b=BINT,c=seaTEXT,d=d");
    /* What stands in them travels under the wire's names. */
    sql(&a, "UPDATE t SET sea='deep', b=7");
    copy_make(&b, "adopted",
              "CREATE TABLE t(id TEXT PRIMARY KEY, a, b, c,"
              " d)");
    track(&b, "t");
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT a||b||c FROM t"), "17deep");
    check_equal(&a, &b);
    copy_close(&a);
    copy_close(&b);
}

TEST(a_type_follows_the_table)
{
    struct copy a;

    copy_make(&a, "type", "CREATE TABLE t(id TEXT PRIMARY KEY, a INT)");
    track(&a, "t");
    sql(&a, "BEGIN; DROP TABLE t;"
            "CREATE TABLE t(id CHAR PRIMARY KEY, a VARCHAR(9)) WITHOUT ROWID;"
            "COMMIT");
    seal(&a);
    CHECK_TEXT(ask(&a, "SELECT group_concat(type) FROM (SELECT * FROM gv_col"
                       " ORDER BY bit)"),
               "CHAR,VARCHAR(9)");
    CHECK_TEXT(ask(&a, "SELECT options FROM gv_table"), "2");
    copy_close(&a);
}

TEST(defaults_that_differ_are_told)
{
    struct stream_column column = column_of("a", "a", "INT");
    struct copy a;

    copy_make(&a, "defaults",
              "CREATE TABLE t(id TEXT PRIMARY KEY, a INT DEFAULT 5)");
    track(&a, "t");
    column.initial = (struct value){.class = VALUE_INTEGER, .integer = 5};
    CHECK_INT(take_definition(&a, "t", "t", 0, &column, 1), ==, GV_OK);
    CHECK(!warned(&a, "default"));
    column.initial.integer = 6;
    CHECK_INT(take_definition(&a, "t", "t", 0, &column, 1), ==, GV_OK);
    CHECK(warned(&a, "column a of t has another default"));
    copy_reopen(&a, STORE_WRITE);
    CHECK(warned(&a, "column a of t has another default"));
    column.initial.integer = 5;
    CHECK_INT(take_definition(&a, "t", "t", 0, &column, 1), ==, GV_OK);
    copy_reopen(&a, STORE_WRITE);
    CHECK(!warned(&a, "default"));
    copy_close(&a);
}

TEST(what_makes_no_sense_or_is_not_known_is_refused)
{
    struct stream_column columns[2];
    struct copy a;

    member(&a, "nonsense", NULL);
    columns[0] = columns[1] = column_of("a", "a", "");
    CHECK_INT(take_definition(&a, "t", "t", 0, columns, 2), ==, GV_EPROTO);
    columns[1] = column_of("id", "id", "");
    CHECK_INT(take_definition(&a, "t", "t", 0, columns, 2), ==, GV_EPROTO);
    columns[1] = column_of("b", "b", "");
    columns[1].kind = stream_text("set");
    CHECK_INT(take_definition(&a, "t", "t", 0, columns, 2), ==, GV_ESCHEMA);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_table"), "0");
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_col"), "0");
    copy_close(&a);
}

TEST(a_member_cannot_register_without_end)
{
    static struct stream_column columns[STREAM_COLUMNS_MAX];
    static char names[STREAM_COLUMNS_MAX][16];
    struct gv_error error = {0};
    struct buffer stream;
    struct copy a;

    member(&a, "bounds", NULL);
    buffer_init(&stream, 10000000);
    for (int i = 0; i < 1001; i++) {
        snprintf(names[0], sizeof names[0], "t%d", i);
        if (i == 1000)
            CHECK_INT(take_stream(&a, &stream, &error), ==, GV_OK);
        define(&stream, names[0], names[0], 0, NULL, 0);
    }
    CHECK_INT(take_stream(&a, &stream, &error), ==, GV_ESCHEMA);
    CHECK(strstr(error.what, "1000") != NULL);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_table"), "1000");
    for (int i = 0; i < STREAM_COLUMNS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "c%d", i);
        columns[i] = column_of(names[i], names[i], "");
    }
    CHECK_INT(take_definition(&a, "t0", "t0", 0, columns, STREAM_COLUMNS_MAX),
              ==, GV_OK);
    columns[0] = column_of("more", "more", "");
    CHECK_INT(take_definition(&a, "t0", "t0", 0, columns, 1), ==, GV_ESCHEMA);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_col WHERE tbl=1"), "2001");
    buffer_close(&stream);
    copy_close(&a);
}

static const char shapes[] =
    "CREATE TABLE people(id TEXT PRIMARY KEY, name VARCHAR(20) DEFAULT"
    " 'it''s', age INTEGER DEFAULT -3, size REAL DEFAULT 1.5, raw BLOB DEFAULT"
    " x'00ff', whatever);"
    "CREATE TABLE \"odd \"\" näme\"(\"first key\" TEXT, \"select\" INT, v TEXT"
    " NOT NULL DEFAULT '', PRIMARY KEY(\"select\", \"first key\")) STRICT,"
    " WITHOUT ROWID;"
    "CREATE TABLE n(id INTEGER PRIMARY KEY, t DATETIME)";

static void make_shapes(struct copy *copy, const char *name)
{
    copy_make(copy, name, shapes);
    track(copy, "people");
    track(copy, "odd \" näme");
    track(copy, "n");
    sql(copy, "INSERT INTO people(id) VALUES('default');"
              "INSERT INTO people VALUES('x', 'X', 1, 2, 3, 4.5);"
              "INSERT INTO \"odd \"\" näme\" VALUES('a', 1, 'v'),"
              "('b', 1, 'w');"
              "INSERT INTO n VALUES(7, 'now'), (-9, NULL)");
}

static const char *dump(struct copy *copy, const char *table)
{
    char text[200];

    sqlite3_snprintf(sizeof text, text,
                     "SELECT group_concat(type||name||coalesce(dflt_value,"
                     "'-')||pk||';') FROM (SELECT * FROM"
                     " pragma_table_info(%Q) ORDER BY name)",
                     table);
    return ask(copy, text);
}

TEST(a_new_file_makes_the_tables_of_the_mesh)
{
    static const char *const tables[] = {"people", "odd \" näme", "n"};
    struct copy a, b, c;

    make_shapes(&a, "origin");
    maker(&b, "made");
    sync_both(&a, &b);
    check_equal(&a, &b);
    for (size_t i = 0; i < 3; i++)
        CHECK_TEXT(dump(&b, tables[i]), dump(&a, tables[i]));
    CHECK_TEXT(ask(&b, "SELECT name||age||size||hex(raw) FROM people WHERE"
                       " id='default'"),
               "it's-31.500FF");
    CHECK_TEXT(ask(&b, "SELECT group_concat(id) FROM n"), "-9,7");
    CHECK_TEXT(ask(&b, "SELECT group_concat(strict||wr) FROM"
                       " pragma_table_list('odd \" näme')"),
               "11");
    CHECK(store_schema_digest(a.store) == store_schema_digest(b.store));
    CHECK(!warned(&b, ""));
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    /* And they are shared from here on. */
    sql(&b, "INSERT INTO n VALUES(8, 'b'); DELETE FROM people WHERE id='x';"
            "UPDATE \"odd \"\" näme\" SET v='new' WHERE \"first key\"='b'");
    maker(&c, "again");
    sync_both(&b, &c);
    sync_both(&a, &c);
    sync_both(&a, &b);
    check_equal(&a, &b);
    check_equal(&a, &c);
    CHECK_TEXT(ask(&c, "SELECT v FROM \"odd \"\" näme\" WHERE"
                       " \"first key\"='b'"),
               "new");
    copy_close(&a);
    copy_close(&b);
    copy_close(&c);
}

TEST(a_table_without_rows_is_made_too)
{
    struct copy a, b;

    copy_make(&a, "empty",
              "CREATE TABLE e(id TEXT PRIMARY KEY, a); CREATE TABLE t(id TEXT"
              " PRIMARY KEY)");
    track(&a, "e");
    track(&a, "t");
    sql(&a, "INSERT INTO t VALUES('x')");
    maker(&b, "emptied");
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT group_concat(local) FROM gv_table WHERE"
                       " tracked"),
               "e,t");
    copy_close(&a);
    copy_close(&b);
}

TEST(a_file_that_makes_tables_adds_later_columns)
{
    struct copy a, b;

    make_shapes(&a, "later");
    maker(&b, "laterm");
    sync_both(&a, &b);
    sql(&a, "ALTER TABLE people ADD COLUMN mail TEXT DEFAULT 'none';"
            "UPDATE people SET mail='x@y' WHERE id='x'");
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT group_concat(mail) FROM people"), "none,x@y");
    check_equal(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT local FROM gv_col WHERE wire='mail'"), "mail");
    sql(&b, "UPDATE people SET mail='z' WHERE id='default'");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT group_concat(mail) FROM people"), "z,x@y");
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    copy_close(&a);
    copy_close(&b);
}

TEST(what_stands_here_is_never_taken_over)
{
    struct stream_column column = column_of("a", "a", "");
    struct copy a, b;

    maker(&a, "standing");
    sql(&a, "CREATE TABLE T(id TEXT PRIMARY KEY, a); INSERT INTO t VALUES('x',"
            " 'mine'); CREATE VIEW v AS SELECT 1");
    CHECK_INT(take_definition(&a, "t", "t", 0, &column, 1), ==, GV_OK);
    CHECK_INT(take_definition(&a, "v", "v", 0, &column, 1), ==, GV_OK);
    CHECK_TEXT(ask(&a, "SELECT sum(tracked)||count(*) FROM gv_table"), "02");
    CHECK_TEXT(ask(&a, "SELECT a FROM t"), "mine");
    CHECK(warned(&a, "is not tracked"));
    /* Until a person says so. */
    track(&a, "T");
    CHECK_TEXT(ask(&a, "SELECT group_concat(wire||local||tracked) FROM"
                       " gv_table"),
               "tT1,vv0");
    copy_make(&b, "standing2", "CREATE TABLE t(id TEXT PRIMARY KEY, a)");
    track(&b, "t");
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT a FROM t"), "mine");
    copy_close(&a);
    copy_close(&b);
}

TEST(a_file_with_tables_of_its_own_makes_none)
{
    struct stream_column column = column_of("a", "a", "");
    struct gv_error error = {0};
    struct copy a;

    member(&a, "own", "CREATE TABLE mine(x)");
    CHECK_INT(store_create_tables(a.store, &error), ==, GV_OK);
    CHECK_INT(take_definition(&a, "t", "t", 0, &column, 1), ==, GV_OK);
    CHECK_TEXT(ask(&a, "SELECT tracked FROM gv_table"), "0");
    copy_close(&a);
}

/* Nothing of a type but words and sizes becomes SQL. */
TEST(a_type_that_is_none_becomes_no_type)
{
    static const struct {
        const char *type, *made;
    } cases[] = {
        {"TEXT", "TEXT"},
        {"UNSIGNED BIG INT", "UNSIGNED BIG INT"},
        {"DECIMAL(10,5)", "DECIMAL(10,5)"},
        {"DECIMAL ( 10 , 5 )", "DECIMAL ( 10 , 5 )"},
        {"_x9 y (3)", "_x9 y (3)"},
        {"", ""},
        {"TEXT UNIQUE", ""},
        {"TEXT NOT NULL", ""},
        {"INT DEFAULT 7", ""},
        {"TEXT collate NOCASE", ""},
        {"INT CHECK(0)", ""},
        {"INT, evil INT", ""},
        {"INT); DROP TABLE gv_meta; --", ""},
        {"INT(1,2,3)", ""},
        {"INT()", ""},
        {"INT(1) x", ""},
        {"INT(1", ""},
        {"(1)", ""},
        {"9INT", ""},
        {"\"INT\"", ""},
        {"INT/**/", ""},
        {"entier é", ""},
    };
    const size_t count = sizeof cases / sizeof cases[0];
    struct stream_column columns[sizeof cases / sizeof cases[0]];
    char names[sizeof cases / sizeof cases[0]][8];
    struct copy a;

    maker(&a, "types");
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "c%zu", i);
        columns[i] = column_of(names[i], names[i], cases[i].type);
    }
    CHECK_INT(take_definition(&a, "t", "t", 0, columns, count), ==, GV_OK);
    CHECK_TEXT(ask(&a, "SELECT tracked FROM gv_table"), "1");
    for (size_t i = 0; i < count; i++) {
        char text[100];

        snprintf(text, sizeof text,
                 "SELECT type FROM pragma_table_info('t') WHERE name='c%zu'",
                 i);
        CHECK_TEXT(ask(&a, text), cases[i].made);
    }
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM pragma_index_list('t')"), "1");
    copy_close(&a);
}

/* A table that SQLite does not take is kept as one that is not here. */
TEST(a_table_that_cannot_be_made_is_registered)
{
    struct stream_column columns[2];
    struct copy a;

    maker(&a, "unmade");
    columns[0] = column_of("a", "a", "NOSUCHTYPE");
    CHECK_INT(take_definition(&a, "t", "t", STREAM_TABLE_STRICT, columns, 1),
              ==, GV_OK);
    columns[0] = column_of("a", "x", "");
    columns[1] = column_of("b", "X", "");
    CHECK_INT(take_definition(&a, "u", "u", 0, columns, 2), ==, GV_OK);
    CHECK_TEXT(ask(&a, "SELECT sum(tracked)||count(*) FROM gv_table"), "02");
    copy_close(&a);
}

TEST(an_untracked_table_stays_and_is_taken_up_again)
{
    struct copy a, b;
    struct hash128 before;

    copy_make(&a, "untrack",
              "CREATE TABLE t(id TEXT PRIMARY KEY, a); CREATE TABLE u(id TEXT"
              " PRIMARY KEY, a)");
    copy_make(&b, "untrackb",
              "CREATE TABLE t(id TEXT PRIMARY KEY, a); CREATE TABLE u(id TEXT"
              " PRIMARY KEY, a)");
    track(&a, "t");
    track(&a, "u");
    track(&b, "t");
    track(&b, "u");
    sql(&a, "INSERT INTO t VALUES('x', 1), ('y', 1)");
    sync_both(&a, &b);
    before = store_fingerprint(a.store);
    sql(&a, "INSERT INTO t VALUES('late', 1)"); /* is sealed first */
    untrack(&a, "T", false);
    CHECK(!hash128_equal(before, store_fingerprint(a.store)));
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM sqlite_schema WHERE type="
                       "'trigger'"),
               "4");
    CHECK(warned(&a, "t of the mesh is kept"));
    sql(&a, "UPDATE t SET a=2 WHERE id='x'; INSERT INTO u VALUES('u', 1)");
    seal(&a);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_journal"), "0");
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    track(&a, "t");
    CHECK_TEXT(ask(&a, "SELECT group_concat(id||wire||tracked) FROM"
                       " gv_table"),
               "1t1,2u1");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||a) FROM (SELECT * FROM t"
                       " ORDER BY id)"),
               "late1,x2,y1");
    check_equal(&a, &b);
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    copy_close(&a);
    copy_close(&b);
}

TEST(a_purge_forgets_all_of_a_table)
{
    struct gv_error error = {0};
    struct buffer notes;
    struct copy a;
    struct hash128 before;

    copy_make(&a, "purge",
              "CREATE TABLE t(id TEXT PRIMARY KEY, a); CREATE TABLE n(id"
              " INTEGER PRIMARY KEY, a); CREATE TABLE u(id TEXT PRIMARY KEY)");
    track(&a, "u");
    sql(&a, "INSERT INTO u VALUES('u')");
    seal(&a);
    before = store_fingerprint(a.store);
    track(&a, "t");
    track(&a, "n");
    sql(&a, "INSERT INTO t VALUES('x', 1), ('y', 2); INSERT INTO n VALUES(4,"
            " 5); DELETE FROM t WHERE id='y'");
    seal(&a);
    CHECK(!hash128_equal(before, store_fingerprint(a.store)));
    untrack(&a, "t", true);
    untrack(&a, "n", false);
    untrack(&a, "n", true);
    CHECK(hash128_equal(before, store_fingerprint(a.store)));
    CHECK_TEXT(ask(&a, "SELECT group_concat(wire) FROM gv_table"), "u");
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_ver"), "1");
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM sqlite_schema WHERE name LIKE"
                       " 'gv\\_row%' ESCAPE '\\'"),
               "1");
    CHECK_TEXT(ask(&a, "SELECT a FROM t"), "1");
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    buffer_init(&notes, 1000);
    CHECK_INT(store_untrack(a.store, "t", true, &notes, &error), ==,
              GV_ENOTFOUND);
    CHECK_INT(store_untrack(a.store, "none", false, &notes, &error), ==,
              GV_ENOTFOUND);
    copy_reopen(&a, STORE_WRITE);
    track(&a, "t");
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    buffer_close(&notes);
    copy_close(&a);
}

/* A file without the table, and one without a column of it, stand between two
 * that have both. */
TEST(what_a_file_cannot_show_goes_through_it)
{
    struct copy a, none, part, b;

    make_shapes(&a, "far");
    member(&none, "none", NULL);
    copy_make(
        &part, "part",
        "CREATE TABLE people(id TEXT PRIMARY KEY, age INTEGER DEFAULT -3)");
    track(&part, "people");
    maker(&b, "near");
    must_pull(&none, &a);
    must_pull(&part, &none);
    must_pull(&b, &part);
    check_equal(&a, &none);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT name||age||size FROM people WHERE id='x'"),
               "X12.0");
    for (int i = 0; i < 3; i++)
        CHECK_TEXT(dump(&b, i == 0   ? "people"
                            : i == 1 ? "odd \" näme"
                                     : "n"),
                   dump(&a, i == 0   ? "people"
                            : i == 1 ? "odd \" näme"
                                     : "n"));
    CHECK_INT(verify_findings(&none, NULL), ==, 0);
    /* And is shown when the file can. */
    sql(&none, shapes);
    track(&none, "people");
    track(&none, "n");
    track(&none, "odd \" näme");
    CHECK_TEXT(ask(&none, "SELECT name||age||size FROM people WHERE id='x'"),
               "X12.0");
    CHECK_TEXT(ask(&none, "SELECT group_concat(id) FROM n"), "-9,7");
    check_equal(&a, &none);
    CHECK_INT(verify_findings(&none, NULL), ==, 0);
    copy_close(&a);
    copy_close(&none);
    copy_close(&part);
    copy_close(&b);
}

TEST(what_comes_for_an_untracked_table_is_shown_when_it_is_tracked)
{
    struct copy a, b;

    copy_make(&a, "away", "CREATE TABLE t(id TEXT PRIMARY KEY, a, b)");
    copy_make(&b, "awayb", "CREATE TABLE t(id TEXT PRIMARY KEY, a, b)");
    track(&a, "t");
    track(&b, "t");
    sql(&a, "INSERT INTO t VALUES('x', 1, 1), ('gone', 1, 1)");
    sync_both(&a, &b);
    untrack(&b, "t", false);
    sql(&a, "UPDATE t SET a=2 WHERE id='x'; INSERT INTO t VALUES('new', 3, 3);"
            "DELETE FROM t WHERE id='gone'");
    sql(&b, "UPDATE t SET b=9 WHERE id='x'");
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||a||b) FROM (SELECT * FROM t"
                       " ORDER BY id)"),
               "gone11,x19");
    check_equal(&a, &b);
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    track(&b, "t");
    CHECK_TEXT(ask(&b, "SELECT group_concat(id||a||b) FROM (SELECT * FROM t"
                       " ORDER BY id)"),
               "new33,x29");
    sync_both(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT group_concat(id||a||b) FROM (SELECT * FROM t"
                       " ORDER BY id)"),
               "new33,x29");
    check_equal(&a, &b);
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    copy_close(&a);
    copy_close(&b);
}

TEST(a_table_of_peers_with_other_keys_cannot_be_tracked)
{
    struct gv_error error = {0};
    struct copy a;

    member(&a, "otherkeys", NULL);
    CHECK_INT(take_definition(&a, "t", "t", 0, NULL, 0), ==, GV_OK);
    sql(&a, "CREATE TABLE t(a, id, PRIMARY KEY(a, id))");
    CHECK_INT(try_track(&a, "t", &error), ==, GV_EREFUSED);
    CHECK(strstr(error.what, "key") != NULL);
    CHECK_TEXT(ask(&a, "SELECT tracked FROM gv_table"), "0");
    copy_close(&a);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
