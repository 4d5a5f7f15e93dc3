/* What is done in slices, with a crash after each. */
#include "base/hash.h"
#include "copies.h"

#include "wire/frame.h"
#include "wire/stream.h"

#define TABLE "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b INTEGER DEFAULT 7)"
#define ROWS(count)                                                           \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE "     \
    "i<" #count ") INSERT INTO t(id,a) SELECT i,'row '||i FROM n"

/* With slices of @rows rows. */
static void make_pair_of(struct copy *a, struct copy *b, size_t rows)
{
    static int number;
    char name[32];

    copies_slices = (struct store_slices){
        .delta_size = 500, .journal_rows = 20, .rows = rows, .keys = 7};
    snprintf(name, sizeof name, "slices%d-a", ++number);
    copy_make(a, name, TABLE);
    snprintf(name, sizeof name, "slices%d-b", number);
    copy_make(b, name, TABLE);
    track(a, "t");
    track(b, "t");
}

static void make_pair(struct copy *a, struct copy *b)
{
    make_pair_of(a, b, 7);
}

static void end_pair(struct copy *a, struct copy *b)
{
    CHECK_INT(verify_findings(a, NULL), ==, 0);
    CHECK_INT(verify_findings(b, NULL), ==, 0);
    CHECK(!seal(a).any);
    CHECK(!seal(b).any);
    check_equal(a, b);
    copy_close(a);
    copy_close(b);
}

static struct store_worked must_work(struct copy *copy)
{
    struct store_worked worked;
    struct gv_error error = {0};

    if (store_work(copy->store, &worked, &error) != GV_OK) {
        fprintf(stderr, "work: %s\n", error.what);
        exit(1);
    }
    return worked;
}

static gv_version own(struct copy *copy)
{
    return vv_get(store_vv(copy->store), store_site(copy->store));
}

static bool hidden(struct copy *copy)
{
    return hash128_equal(store_fingerprint(copy->store),
                         (struct hash128){0, 0});
}

static void check_serves_nothing(struct copy *copy)
{
    struct extract *extract;
    struct gv_error error = {0};

    CHECK(store_busy(copy->store));
    CHECK(hidden(copy));
    for (int i = 0; i < 6; i++)
        CHECK_INT(
            extract_begin(copy->store, (struct vv_view){0}, &extract, &error),
            ==, GV_EBUSY);
}

/* Stage and accept what @from has above @view. */
static int give_above(struct copy *to, struct copy *from, struct vv_view view,
                      uint64_t token, struct gv_error *error)
{
    struct extract *extract;
    struct store_sealed sealed;
    uint8_t *all;
    size_t size;
    int rc;

    seal(from);
    CHECK_INT(extract_whole(from, view, &extract, error), ==, GV_OK);
    size = (size_t)extract_size(extract);
    all = malloc(size + 1);
    CHECK_INT(extract_read(extract, 0, all, size), ==, GV_OK);
    CHECK_INT(store_stage(to->store, token, 0, all, size / 2), ==, GV_OK);
    CHECK_INT(store_stage(to->store, token, size / 2, all + size / 2,
                          size - size / 2),
              ==, GV_OK);
    CHECK_INT(store_begin(to->store, error), ==, GV_OK);
    rc = store_apply_delta(to->store, token, extract_claim(extract), error);
    CHECK_INT(store_commit(to->store, &sealed, error), ==, GV_OK);
    extract_free(extract);
    free(all);
    return rc;
}

/* What it lacks. */
static int give(struct copy *to, struct copy *from, uint64_t token,
                struct gv_error *error)
{
    static uint8_t bytes[VV_ENTRY_SIZE * 64];
    struct vv_view view;

    view_of(store_vv(to->store), bytes, &view);
    return give_above(to, from, view, token, error);
}

TEST(a_long_seal_moves_the_vector_when_the_journal_is_empty)
{
    struct copy a, b;
    struct store_worked worked;
    gv_version before;
    int slices = 0;

    make_pair(&a, &b);
    before = own(&a);
    sql(&a, ROWS(100));
    do {
        worked = must_work(&a);
        slices++;
        if (!worked.more)
            break;
        CHECK(!worked.sealed.any);
        CHECK_INT(own(&a), ==, before);
        check_serves_nothing(&a);
    } while (true);
    CHECK_INT(slices, ==, 15);
    CHECK(worked.sealed.any);
    CHECK(worked.sealed.interval.bytes == NULL);
    CHECK_INT(worked.sealed.interval.from, ==, before);
    CHECK_INT(worked.sealed.interval.to, ==, own(&a));
    CHECK(!store_busy(a.store) && !hidden(&a));
    CHECK_TEXT(ask(&a, "SELECT count(DISTINCT version) FROM gv_ver"), "15");
    CHECK(!must_work(&a).more);
    must_pull(&b, &a);
    end_pair(&a, &b);
}

TEST(a_row_written_between_the_slices_of_a_seal_is_in_its_interval)
{
    struct copy a, b;
    struct store_worked worked;

    make_pair(&a, &b);
    sql(&a, ROWS(100));
    for (int i = 0; (worked = must_work(&a)).more; i++) {
        CHECK(!worked.sealed.any);
        if (i == 1)
            sql(&a, "INSERT INTO t(id, a) VALUES(-5, 'between')");
        if (i == 2)
            sql(&a, "UPDATE t SET a = 'again' WHERE id = 1 OR id = 99");
    }
    CHECK(worked.sealed.any);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_journal"), "0");
    CHECK(!seal(&a).any);
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT a FROM t WHERE id = -5"), "between");
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t WHERE a = 'again'"), "2");
    end_pair(&a, &b);
}

TEST(runs_of_a_long_seal_keep_their_own_time)
{
    struct copy a, b;
    gv_time_ms now = host_system()->wall(NULL);
    char text[200];

    make_pair(&a, &b);
    sql(&a, ROWS(60));
    /* Every third row an hour ago, in front of the others. */
    snprintf(text, sizeof text,
             "UPDATE gv_journal SET id = id + 1000 WHERE id %% 3 <> 0;"
             "UPDATE gv_journal SET day = %lld/86400000.0+2440587.5"
             " WHERE id < 1000",
             (long long)now - 3600000);
    sql(&a, text);
    CHECK_INT(store_work_all(a.store, 0, NULL, NULL), ==, GV_OK);
    snprintf(text, sizeof text,
             "SELECT count(*) FROM gv_ver WHERE (version >> 16) BETWEEN %lld"
             " AND %lld",
             (long long)now - 3600000, (long long)now - 3600000);
    CHECK_TEXT(ask(&a, text), "20");
    must_pull(&b, &a);
    end_pair(&a, &b);
}

TEST(versions_rise_when_the_clock_is_set_back_between_slices)
{
    struct copy a, b;
    char sealed[64];

    for (int suspended = 0; suspended < 2; suspended++) {
        make_pair(&a, &b);
        copies_wall = host_system()->wall(NULL);
        if (suspended) {
            sql(&a, "CREATE TABLE u(id INTEGER PRIMARY KEY, a)");
            track(&a, "u");
            sql(&a, "INSERT INTO u VALUES(1, 1); DROP TABLE u");
        }
        sql(&a, ROWS(100));
        must_work(&a);
        snprintf(sealed, sizeof sealed, "%s",
                 ask(&a, "SELECT version FROM gv_ver WHERE rid = 1 AND"
                         " tbl = 1"));
        copies_wall -= 4000;
        sql(&a, "UPDATE t SET a = 'again', b = 8 WHERE id = 1");
        while (must_work(&a).more)
            ;
        CHECK_INT(strtoll(ask(&a, "SELECT max(version) FROM gv_ver WHERE"
                                  " rid = 1 AND tbl = 1"),
                          NULL, 10),
                  >, strtoll(sealed, NULL, 10));
        copies_wall = 0;
        if (!suspended)
            must_pull(&b, &a);
        if (!suspended)
            check_equal(&a, &b);
        copy_close(&a);
        copy_close(&b);
    }
}

TEST(a_seal_goes_on_after_a_crash_behind_each_slice)
{
    for (int crash = 1; crash <= 15; crash++) {
        struct copy a, b;

        make_pair(&a, &b);
        sql(&a, ROWS(100));
        for (int i = 0; i < crash; i++)
            must_work(&a);
        CHECK(store_busy(a.store) == (crash < 15));
        copy_reopen(&a, STORE_WRITE);
        CHECK(store_busy(a.store) == (crash < 15));
        sql(&a, "UPDATE t SET a = 'after' WHERE id % 10 = 0");
        while (must_work(&a).more)
            ;
        seal(&a);
        must_pull(&b, &a);
        CHECK_TEXT(ask(&b, "SELECT count(*) FROM t WHERE a = 'after'"), "10");
        end_pair(&a, &b);
    }
}

TEST(a_long_delta_is_claimed_by_its_last_slice)
{
    struct copy a, b;
    struct store_worked worked = {.more = true};
    struct gv_error error = {0};
    gv_version claimed;
    int busy = 0;

    make_pair(&a, &b);
    sql(&a, ROWS(100));
    CHECK_INT(give(&b, &a, 77, &error), ==, GV_OK);
    CHECK(store_working(b.store) && !store_busy(b.store));
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "0");
    while (store_working(b.store)) {
        CHECK(worked.more && worked.token == 0);
        worked = must_work(&b);
        claimed = vv_get(store_vv(b.store), store_site(a.store));
        CHECK_INT(claimed, ==, store_working(b.store) ? 0 : own(&a));
        busy += store_busy(b.store);
        if (store_busy(b.store))
            check_serves_nothing(&b);
    }
    CHECK_INT(busy, ==, 15);
    CHECK_INT(worked.token, ==, 77);
    CHECK_INT(worked.code, ==, GV_OK);
    while (must_work(&b).more)
        ;
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_inbox"), "0");
    end_pair(&a, &b);
}

TEST(what_is_written_between_the_slices_of_a_delta_goes_by_delta)
{
    struct copy a, b;
    struct store_worked worked = {0};
    struct store_sealed sealed;
    struct gv_error error = {0};
    gv_version before;
    bool was_busy;
    char text[100];

    make_pair(&a, &b);
    sql(&b, "INSERT INTO t(id, a) VALUES(50, 'old')");
    seal(&b);
    before = own(&b);
    sql(&a, ROWS(100));
    CHECK_INT(give(&b, &a, 77, &error), ==, GV_OK);
    for (int i = 0; store_working(b.store); i++) {
        snprintf(text, sizeof text,
                 "INSERT OR REPLACE INTO t(id, a) VALUES(%d, 'local')",
                 100 - i * 3);
        sql(&b, text);
        was_busy = store_busy(b.store);
        worked = must_work(&b);
        if (!was_busy)
            before = own(&b); /* the check shows nothing, and hides nothing */
        CHECK(own(&b) == before || !store_working(b.store));
    }
    /* As of an interval that is too long for a NEWS. */
    CHECK(worked.sealed.any && worked.sealed.interval.bytes == NULL);
    CHECK_INT(worked.sealed.interval.from, ==, before);
    CHECK_INT(worked.sealed.interval.to, ==, own(&b));
    /* The next interval begins there and depends on what was claimed. */
    before = own(&b);
    sql(&b, "INSERT INTO t(id, a) VALUES(1000, 'next')");
    sealed = seal(&b);
    CHECK_INT(sealed.interval.from, ==, before);
    CHECK_INT(sealed.interval.dependencies.count, ==, 1);
    CHECK_INT(apply_interval(&a, &sealed.interval, &error), ==, GV_EGAP);
    sync_both(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT count(*) > 10 FROM t WHERE a = 'local'"), "1");
    end_pair(&a, &b);
}

TEST(applications_that_never_pause_do_not_hold_up_a_delta)
{
    struct copy a, b;
    struct store_worked worked;
    int turns = 0;

    make_pair(&a, &b);
    sql(&a, ROWS(60));
    CHECK_INT(give(&b, &a, 77, NULL), ==, GV_OK);
    do {
        char text[128];

        /* Ten times what a slice of one size seals. */
        snprintf(text, sizeof text,
                 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n"
                 " WHERE i<70) INSERT INTO t(id) SELECT -i-%d FROM n",
                 turns * 70);
        sql(&b, text);
        worked = must_work(&b);
    } while (worked.token == 0 && ++turns < 100);
    CHECK_INT(worked.token, ==, 77);
    CHECK_INT(turns, <, 50);
    while (must_work(&b).more)
        continue;
    must_pull(&a, &b);
    end_pair(&a, &b);
}

TEST(a_delta_goes_on_after_a_crash_behind_each_slice)
{
    for (int crash = 0; crash <= 20; crash++) {
        struct copy a, b;
        struct gv_error error = {0};

        make_pair(&a, &b);
        sql(&a, ROWS(100));
        sql(&b, "INSERT INTO t(id, a) VALUES(5, 'mine'), (95, 'mine')");
        CHECK_INT(give(&b, &a, 77, &error), ==, GV_OK);
        for (int i = 0; i < crash; i++)
            must_work(&b);
        CHECK(store_working(b.store) == (crash < 20));
        copy_reopen(&b, STORE_WRITE);
        CHECK(store_working(b.store) == (crash < 20));
        sql(&b, "UPDATE t SET a = 'after' WHERE id % 10 = 0");
        while (must_work(&b).more)
            ;
        CHECK(!store_busy(b.store) && !store_working(b.store));
        CHECK_INT(vv_get(store_vv(b.store), store_site(a.store)), ==, own(&a));
        sync_both(&a, &b);
        end_pair(&a, &b);
    }
}

TEST(a_begin_finishes_what_is_left)
{
    for (int slices = 0; slices < 19; slices++) {
        struct copy a, b;
        struct gv_error error = {0};

        make_pair(&a, &b);
        sql(&a, ROWS(100));
        CHECK_INT(give(&b, &a, 77, &error), ==, GV_OK);
        for (int i = 0; i < slices; i++)
            must_work(&b);
        sql(&b, "INSERT INTO t(id, a) VALUES(200, 'mine')");
        CHECK(seal(&b).any);
        CHECK(!store_working(b.store) && !store_busy(b.store));
        CHECK_INT(vv_get(store_vv(b.store), store_site(a.store)), ==, own(&a));
        sync_both(&a, &b);
        end_pair(&a, &b);
    }
}

TEST(a_refused_delta_is_refused_before_anything_of_it_is_shown)
{
    struct copy a, b;
    struct store_worked worked = {.more = true};
    struct gv_error error = {0};
    uint8_t claim[VV_ENTRY_SIZE];
    struct vv_entry entry = {{{9}}, 5};
    struct extract *extract;
    struct store_sealed sealed;
    uint8_t *all;
    size_t size;

    make_pair(&a, &b);
    sql(&a, ROWS(100));
    seal(&a);
    while (must_work(&a).more)
        ;
    CHECK_INT(extract_whole(&a, (struct vv_view){0}, &extract, &error), ==,
              GV_OK);
    size = (size_t)extract_size(extract);
    all = malloc(size + 3);
    CHECK_INT(extract_read(extract, 0, all, size), ==, GV_OK);
    memset(all + size, 255, 3);
    CHECK_INT(store_stage(b.store, 7, 0, all, size + 3), ==, GV_OK);
    CHECK_INT(store_begin(b.store, &error), ==, GV_OK);
    CHECK_INT(store_apply_delta(b.store, 7, extract_claim(extract), &error),
              ==, GV_OK);
    CHECK_INT(store_commit(b.store, &sealed, &error), ==, GV_OK);
    while (store_working(b.store)) {
        worked = must_work(&b);
        CHECK(!store_busy(b.store));
    }
    CHECK_INT(worked.token, ==, 7);
    CHECK_INT(worked.code, ==, GV_EPROTO);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "0");
    /* A claim that does not cover what it brings is refused likewise. */
    vv_entry_store(&entry, claim);
    CHECK_INT(store_stage(b.store, 8, 0, all, size), ==, GV_OK);
    CHECK_INT(store_begin(b.store, &error), ==, GV_OK);
    CHECK_INT(
        store_apply_delta(b.store, 8, (struct vv_view){claim, 1}, &error), ==,
        GV_OK);
    CHECK_INT(store_commit(b.store, &sealed, &error), ==, GV_OK);
    CHECK_INT(store_work_all(b.store, 8, NULL, &error), ==, GV_EPROTO);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "0");
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_inbox"), "0");
    extract_free(extract);
    free(all);
    must_pull(&b, &a);
    end_pair(&a, &b);
}

/* A row that follows sound ones. */
struct last_row {
    const char *name;
    uint32_t table, site;
    size_t keys;
    enum value_class key; /* VALUE_INTEGER or VALUE_TEXT */
    int64_t number;
    uint64_t causal_length;
    gv_version version;
    uint64_t masks[2]; /* the second: of another dot; 0: none */
    bool cell;
    int code;
};

#define VERSION ((gv_version)1 << 40)
#define SOUND 50

static void write_last(struct buffer *out, const struct last_row *row)
{
    struct value value = {.class = row->key,
                          .integer = row->number,
                          .bytes = (const uint8_t *)"k",
                          .size = row->key == VALUE_TEXT};
    size_t first = mask_count(row->masks, 1) - (row->masks[0] & 1);
    size_t values = first + mask_count(row->masks + 1, 1);
    struct stream_row_writer writer;
    struct buffer key;

    buffer_init(&key, 1000);
    for (size_t i = 0; i < row->keys; i++)
        key_append(&key, &value);
    stream_begin_row(&writer, out, row->table, key.data, key.size,
                     row->causal_length, row->masks[1] == 0 ? 1 : 2, values);
    stream_write_group(&writer, row->site, (int64_t)row->version, row->masks,
                       1);
    if (row->masks[1] != 0)
        stream_write_group(&writer, row->site, (int64_t)row->version - 1,
                           row->masks + 1, 1);
    for (size_t i = 0; i < values; i++) {
        if (row->cell)
            stream_write_cell(&writer, &value, (struct vv_view){NULL, 0});
        else
            stream_write_value(&writer, &value);
    }
    CHECK_INT(stream_end_row(&writer), ==, GV_OK);
    buffer_close(&key);
}

/* A delta of sound rows and @last, in slices; @last NULL: of sound ones. */
static int apply_with(struct copy *to, uint64_t token,
                      const struct last_row *last)
{
    static const char *const columns[] = {"a", "b"};
    struct vv_entry entry = {{.bytes = {9}}, VERSION};
    struct gv_error error = {0};
    struct store_sealed sealed;
    uint8_t claim[VV_ENTRY_SIZE];
    struct buffer out;
    int rc;

    buffer_init(&out, 1000000);
    stream_write_site(&out, &entry.site, 0);
    write_table(&out, "t", columns, 2);
    for (int64_t i = 0; i < SOUND; i++)
        write_last(&out, &(struct last_row){.keys = 1,
                                            .key = VALUE_INTEGER,
                                            .number = i,
                                            .causal_length = 1,
                                            .version = VERSION,
                                            .masks = {7}});
    if (last != NULL)
        write_last(&out, last);
    vv_entry_store(&entry, claim);
    CHECK_INT(store_stage(to->store, token, 0, out.data, out.size), ==, GV_OK);
    CHECK_INT(store_begin(to->store, &error), ==, GV_OK);
    CHECK_INT(store_apply_delta(to->store, token, (struct vv_view){claim, 1},
                                &error),
              ==, GV_OK);
    CHECK_INT(store_commit(to->store, &sealed, &error), ==, GV_OK);
    rc = store_work_all(to->store, token, NULL, &error);
    buffer_close(&out);
    return rc;
}

static const struct last_row last_rows[] = {
    {"sound", 0, 0, 1, VALUE_INTEGER, 99, 1, VERSION, {7}, false, GV_OK},
    {"sound, known life",
     0,
     0,
     1,
     VALUE_INTEGER,
     -1,
     1,
     VERSION,
     {6},
     false,
     GV_OK},
    {"table", 1, 0, 1, VALUE_INTEGER, 99, 1, VERSION, {7}, false, GV_EPROTO},
    {"site", 0, 1, 1, VALUE_INTEGER, 99, 1, VERSION, {7}, false, GV_EPROTO},
    {"claim",
     0,
     0,
     1,
     VALUE_INTEGER,
     99,
     1,
     VERSION + 1,
     {7},
     false,
     GV_EPROTO},
    {"column", 0, 0, 1, VALUE_INTEGER, 99, 1, VERSION, {15}, false, GV_EPROTO},
    {"twice",
     0,
     0,
     1,
     VALUE_INTEGER,
     99,
     1,
     VERSION,
     {7, 4},
     false,
     GV_EPROTO},
    {"two keys",
     0,
     0,
     2,
     VALUE_INTEGER,
     99,
     1,
     VERSION,
     {7},
     false,
     GV_ESCHEMA},
    {"text", 0, 0, 1, VALUE_TEXT, 0, 1, VERSION, {7}, false, GV_ESCHEMA},
    {"cell", 0, 0, 1, VALUE_INTEGER, 99, 1, VERSION, {7}, true, GV_EPROTO},
    {"life", 0, 0, 1, VALUE_INTEGER, 99, 1, VERSION, {6}, false, GV_EPROTO},
    {"later life",
     0,
     0,
     1,
     VALUE_INTEGER,
     -1,
     3,
     VERSION,
     {6},
     false,
     GV_EPROTO},
};

TEST(each_kind_of_bad_row_is_refused_before_anything_is_shown)
{
    for (size_t i = 0; i < sizeof last_rows / sizeof *last_rows; i++) {
        struct copy a, b;
        bool good = last_rows[i].code == GV_OK;
        int code;

        make_pair(&a, &b);
        sql(&b, "INSERT INTO t(id, a) VALUES(-1, 'here')");
        CHECK(seal(&b).any);
        code = apply_with(&b, 70, &last_rows[i]);
        if (code != last_rows[i].code)
            fprintf(stderr, "%s\n", last_rows[i].name);
        CHECK_INT(code, ==, last_rows[i].code);
        CHECK(!store_busy(b.store));
        CHECK_INT(vv_get(store_vv(b.store), &(struct site){.bytes = {9}}), ==,
                  good ? VERSION : 0);
        if (!good)
            CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "1");
        CHECK_INT(apply_with(&b, 71, NULL), ==, GV_OK);
        CHECK(atoi(ask(&b, "SELECT count(*) FROM t")) > SOUND);
        must_pull(&a, &b);
        end_pair(&a, &b);
    }
}

/* The rows before it are compared with the log then. */
TEST(each_kind_of_bad_row_is_refused_behind_rows_that_are_held)
{
    for (size_t i = 0; i < sizeof last_rows / sizeof *last_rows; i++) {
        struct copy a, b;
        int code;

        make_pair_of(&a, &b, 400);

        sql(&b, "INSERT INTO t(id, a) VALUES(-1, 'here')");
        CHECK(seal(&b).any);
        CHECK_INT(apply_with(&b, 70, NULL), ==, GV_OK);
        code = apply_with(&b, 71, &last_rows[i]);
        if (code != last_rows[i].code)
            fprintf(stderr, "%s\n", last_rows[i].name);
        CHECK_INT(code, ==, last_rows[i].code);
        CHECK(!store_busy(b.store));
        must_pull(&a, &b);
        end_pair(&a, &b);
    }
}

/* All that @from has is given again; returns in how many slices it was taken,
 * and whether @to was @busy meanwhile. */
static int give_again(struct copy *to, struct copy *from, bool *busy)
{
    struct gv_error error = {0};
    struct store_worked worked;
    int slices = 0;

    *busy = false;
    CHECK_INT(give_above(to, from, (struct vv_view){NULL, 0}, 90, &error), ==,
              GV_OK);
    do {
        worked = must_work(to);
        slices++;
        *busy |= store_busy(to->store);
        CHECK_INT(worked.code, ==, GV_OK);
    } while (worked.token == 0);
    CHECK_INT(worked.token, ==, 90);
    while (worked.more)
        worked = must_work(to);
    return slices;
}

/* Each slice compares two rows for one that a slice merges. */
TEST(a_delta_that_is_held_ends_with_its_check)
{
    struct copy a, b;
    bool busy;

    make_pair(&a, &b);
    sql(&a, ROWS(98));
    must_pull(&b, &a);
    CHECK_INT(give_again(&b, &a, &busy), ==, 7);
    CHECK(!busy);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_inbox"), "0");
    end_pair(&a, &b);
}

/* Wherever among the rows that are held the news stands. */
TEST(a_row_that_is_news_among_held_ones_is_merged)
{
    static const char *const changes[] = {
        "UPDATE t SET a = 'new' WHERE id = 1",
        "UPDATE t SET a = 'new' WHERE id = 50",
        "UPDATE t SET a = 'new' WHERE id = 98",
        "INSERT INTO t(id, a) VALUES(1000, 'new')",
        "DELETE FROM t WHERE id = 40"};

    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct copy a, b;
        bool busy;

        make_pair_of(&a, &b, 20);

        sql(&a, ROWS(98));
        must_pull(&b, &a);
        sql(&a, changes[i]);
        give_again(&b, &a, &busy);
        CHECK(busy);
        end_pair(&a, &b);
    }
}

/* Every value is what it was, under a dot of its own. */
TEST(a_value_that_was_written_back_is_not_held)
{
    struct copy a, b;
    bool busy;

    make_pair_of(&a, &b, 20);
    sql(&a, ROWS(98));
    CHECK(seal(&a).any);
    sql(&a, "UPDATE t SET a = 'first' WHERE id = 50");
    must_pull(&b, &a);
    sql(&a, "UPDATE t SET a = 'second' WHERE id = 50");
    CHECK(seal(&a).any);
    sql(&a, "UPDATE t SET a = 'first' WHERE id = 50");
    give_again(&b, &a, &busy);
    CHECK(busy);
    end_pair(&a, &b);
}

/* As files have it whose last writer knew hash64() alone. */
static void sum_as_before(struct copy *copy)
{
    sqlite3_stmt *list, *update;

    CHECK_INT(sqlite3_prepare_v2(copy->app, "SELECT at,bytes FROM gv_inbox",
                                 -1, &list, NULL),
              ==, SQLITE_OK);
    CHECK_INT(sqlite3_prepare_v2(copy->app,
                                 "UPDATE gv_inbox SET sum=?2 WHERE at=?1", -1,
                                 &update, NULL),
              ==, SQLITE_OK);
    while (sqlite3_step(list) == SQLITE_ROW) {
        uint64_t sum = hash64(sqlite3_column_blob(list, 1),
                              (size_t)sqlite3_column_bytes(list, 1));

        sqlite3_bind_int64(update, 1, sqlite3_column_int64(list, 0));
        sqlite3_bind_int64(update, 2, (int64_t)sum);
        CHECK_INT(sqlite3_step(update), ==, SQLITE_DONE);
        sqlite3_reset(update);
    }
    sqlite3_finalize(list);
    sqlite3_finalize(update);
}

TEST(a_delta_whose_blocks_have_the_former_hash_goes_on)
{
    struct copy a, b;
    struct gv_error error = {0};

    make_pair_of(&a, &b, 20);
    sql(&a, ROWS(98));
    CHECK_INT(give_above(&b, &a, (struct vv_view){NULL, 0}, 92, &error), ==,
              GV_OK);
    sum_as_before(&b);
    copy_reopen(&b, STORE_WRITE);
    CHECK_INT(store_work_all(b.store, 92, NULL, &error), ==, GV_OK);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "98");
    end_pair(&a, &b);
}

/* Each part of a state that is not what the delta says is met by the merge,
 * which reads it whole: a state ends in its last digest and its check. */
TEST(a_row_that_is_damaged_is_not_held)
{
    static const char *const damage[] = {
        "substr(state, 1, length(state) - 5) || X'5a' || substr(state, -4)",
        "substr(state, 1, 4) || X'5a5a' || substr(state, 7)",
        "substr(state, 1, 10) || X'0b' || substr(state, 12)",
        "substr(state, 1, length(state) - 4)",
        "X'01'",
        "NULL"};

    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        struct copy a, b;
        struct gv_error error = {0};
        struct store_worked worked = {0};
        char text[300];
        bool busy = false;

        make_pair_of(&a, &b, 20);
        sql(&a, ROWS(98));
        must_pull(&b, &a);
        snprintf(text, sizeof text,
                 "UPDATE gv_row_1 SET state = CAST(%s AS BLOB) WHERE rid = 50",
                 damage[i]);
        sql(&b, text);
        CHECK_INT(give_above(&b, &a, (struct vv_view){NULL, 0}, 91, &error),
                  ==, GV_OK);
        for (int j = 0; j < 20 && worked.code == GV_OK; j++) {
            CHECK_INT(worked.token, ==, 0);
            if (store_work(b.store, &worked, &error) != GV_OK)
                break;
            busy |= store_busy(b.store);
        }
        CHECK(busy);
        CHECK_INT(error.code, ==, GV_ECORRUPT);
        copy_close(&a);
        copy_close(&b);
        copies_remove();
    }
}

/* What the log holds may have lost its value. */
TEST(a_delta_that_is_held_brings_a_value_that_is_not_here)
{
    struct copy a, b;
    bool busy;

    make_pair(&a, &b);
    sql(&a, ROWS(98));
    must_pull(&b, &a);
    sql(&b, "ALTER TABLE t DROP COLUMN a");
    CHECK(!seal(&b).any);
    sql(&b, "ALTER TABLE t ADD COLUMN a");
    CHECK(!seal(&b).any);
    CHECK_TEXT(ask(&b, "SELECT count(a) FROM t"), "0");
    give_again(&b, &a, &busy);
    CHECK_TEXT(ask(&b, "SELECT count(a) FROM t"), "98");
    end_pair(&a, &b);
}

/* Past the triggers: no journal row, and no reason to audit. */
static void write_past(struct copy *copy, const char *text)
{
    sqlite3_db_config(copy->app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sql(copy, text);
    sqlite3_db_config(copy->app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, NULL);
}

TEST(a_row_past_the_triggers_is_sealed_between_slices)
{
    struct copy a, b;
    struct gv_error error = {0};

    make_pair(&a, &b);
    sql(&a, ROWS(100));
    seal(&a);
    must_pull(&b, &a);
    while (must_work(&b).more)
        ;
    sql(&a, "UPDATE t SET b = 1");
    CHECK_INT(give(&b, &a, 77, &error), ==, GV_OK);
    for (int i = 0; i < 10; i++)
        must_work(&b);
    CHECK(store_busy(b.store));
    write_past(&b, "DELETE FROM t WHERE id = 97");
    while (must_work(&b).more)
        ;
    CHECK(!store_working(b.store) && !store_busy(b.store));
    sync_both(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM t WHERE b = 1"), "99");
    end_pair(&a, &b);
}

TEST(a_row_past_the_triggers_is_sealed_by_a_begin_that_finishes)
{
    for (int slices = 0; slices < 19; slices += 4) {
        for (int local = 0; local < 2; local++) {
            struct copy a, b;
            struct gv_error error = {0};
            struct store_sealed sealed;

            make_pair(&a, &b);
            sql(&a, ROWS(100));
            seal(&a);
            must_pull(&b, &a);
            sql(&a, "UPDATE t SET b = 1");
            CHECK_INT(give(&b, &a, 77, &error), ==, GV_OK);
            for (int i = 0; i < slices; i++)
                must_work(&b);
            write_past(&b, "DELETE FROM t WHERE id = 97 OR id = 98");
            if (local)
                sql(&b, "INSERT INTO t(id, a) VALUES(300, 'local')");
            sealed = seal(&b);
            CHECK(sealed.any && sealed.interval.to == own(&b));
            CHECK(sealed.interval.bytes == NULL);
            CHECK(!store_working(b.store) && !store_busy(b.store));
            sync_both(&a, &b);
            CHECK_TEXT(ask(&a, "SELECT count(*) FROM t WHERE b = 1"), "98");
            end_pair(&a, &b);
        }
    }
}

/* All that status says, or NULL. */
static char *busy_note(struct copy *copy)
{
    struct store_status status;
    struct gv_error error = {0};
    char *note;

    CHECK_INT(store_status(copy->store, &status, &error), ==, GV_OK);
    note = status.busy == NULL ? NULL : strdup(status.busy);
    store_status_close(&status);
    return note;
}

static void check_note(struct copy *copy, const char *part)
{
    char *note = busy_note(copy);

    if (note == NULL || strstr(note, part) == NULL)
        fprintf(stderr, "note: %s\n", note == NULL ? "(none)" : note);
    CHECK(note != NULL && strstr(note, part) != NULL);
    free(note);
}

static int try_open(struct copy *copy, struct gv_error *error)
{
    struct store_options options = {
        .mode = STORE_WRITE, .host = copies_host(), .slices = copies_slices};

    store_close(copy->store);
    copy->store = NULL;
    return store_open(copy->path, &options, &copy->store, error);
}

static const char *const damages[] = {
    "DELETE FROM gv_inbox WHERE at >= 0",
    "UPDATE gv_inbox SET bytes = substr(bytes, 2) WHERE at >= 0",
    "UPDATE gv_inbox SET at = at + 1 WHERE at >= 0",
    "UPDATE gv_inbox SET bytes = x'' WHERE at = -1",
    "UPDATE gv_inbox SET bytes = substr(bytes, 1, 8)||x'7fffffffffffff00'||"
    "substr(bytes, 17) WHERE at = -1",
    "UPDATE gv_inbox SET bytes = substr(bytes, 1, 16)||x'ffffffffffffff00'||"
    "substr(bytes, 25) WHERE at = -1",
    "UPDATE gv_inbox SET bytes = substr(bytes, 1, 24)||x'7fffffff'||"
    "substr(bytes, 29) WHERE at = -1",
    "UPDATE gv_inbox SET bytes = zeroblob(8)||substr(bytes, 9) WHERE at = -1",
};

TEST(a_damaged_delta_that_was_not_begun_is_dropped)
{
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        struct copy a, b;
        struct gv_error error = {0};

        make_pair(&a, &b);
        sql(&a, ROWS(100));
        CHECK_INT(give(&b, &a, 77, &error), ==, GV_OK);
        store_close(b.store);
        b.store = NULL;
        sql(&b, damages[i]);
        CHECK_INT(try_open(&b, &error), ==, GV_OK);
        CHECK(!store_working(b.store) && !store_busy(b.store));
        CHECK(busy_note(&b) == NULL);
        must_pull(&b, &a);
        CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_inbox"), "0");
        end_pair(&a, &b);
    }
}

TEST(a_damaged_delta_that_was_begun_is_named)
{
    for (size_t i = 0; i <= sizeof damages / sizeof *damages; i++) {
        struct copy a, b;
        struct gv_error error = {0};

        make_pair(&a, &b);
        sql(&a, ROWS(100));
        CHECK_INT(give(&b, &a, 77, &error), ==, GV_OK);
        for (int n = 0; n < 8; n++)
            must_work(&b);
        check_note(&b, "delta is being applied in slices");
        store_close(b.store);
        b.store = NULL;
        sql(&b, i < sizeof damages / sizeof *damages ? damages[i]
                                                     : "DELETE FROM gv_inbox");
        CHECK_INT(try_open(&b, &error), ==, GV_ECORRUPT);
        CHECK(strstr(error.what, "damaged") != NULL);
        CHECK(strstr(error.remedy, "grapevine backup") != NULL);
        copy_reopen(&b, STORE_READ);
        check_note(&b, "grapevine backup");
        copy_close(&a);
        copy_close(&b);
    }
}

/* Another letter in the bytes of gv_inbox, which still are a delta. */
static void spoil_value(struct copy *copy)
{
    sqlite3_blob *bytes;
    char *all, *at;
    int size;

    CHECK(sqlite3_blob_open(
              copy->app, "main", "gv_inbox", "bytes",
              strtoll(ask(copy, "SELECT max(at) FROM gv_inbox"), NULL, 10), 1,
              &bytes) == SQLITE_OK);
    size = sqlite3_blob_bytes(bytes);
    all = malloc((size_t)size + 1);
    CHECK(sqlite3_blob_read(bytes, all, size, 0) == SQLITE_OK);
    at = memmem(all, (size_t)size, "row 97!", 7);
    CHECK(at != NULL);
    CHECK(sqlite3_blob_write(bytes, "R", 1, (int)(at - all)) == SQLITE_OK);
    CHECK(sqlite3_blob_close(bytes) == SQLITE_OK);
    free(all);
}

TEST(damage_met_by_a_slice_is_in_the_status)
{
    static const char *const texts[] = {
        "UPDATE gv_inbox SET bytes = CAST(substr(bytes, 1, 2600)||"
        "zeroblob(20)||substr(bytes, 2621) AS BLOB) WHERE at >= 0",
        "UPDATE gv_row_1 SET state = x'00' WHERE rid = 97"};

    for (int i = 0; i < 3; i++) {
        struct copy a, b;
        struct gv_error error = {0};
        struct store_worked worked = {.more = true};
        int rc = GV_OK;

        make_pair(&a, &b);
        sql(&a, ROWS(100));
        seal(&a);
        must_pull(&b, &a);
        sql(&a, "UPDATE t SET a = a||'!'");
        CHECK_INT(give(&b, &a, 77, &error), ==, GV_OK);
        while (!store_busy(b.store))
            must_work(&b);
        if (i < 2)
            sql(&b, texts[i]);
        else
            spoil_value(&b);
        if (i != 1)
            copy_reopen(&b, STORE_WRITE); /* it had read them */
        for (int n = 0; n < 100 && rc == GV_OK && worked.more; n++)
            rc = store_work(b.store, &worked, &error);
        CHECK_INT(rc, ==, GV_ECORRUPT);
        check_note(&b, "damaged");
        CHECK_INT(store_begin(b.store, &error), ==, GV_ECORRUPT);
        CHECK(strstr(error.what, "damaged") != NULL);
        copy_close(&a);
        copy_close(&b);
    }
}

/* A copy of the file as it stands, opened as another. */
static void copy_file(struct copy *to, const struct copy *from)
{
    static int number;
    char command[1100];

    memset(to, 0, sizeof *to);
    snprintf(to->path, sizeof to->path, "%s/taken%d.db", copies_directory,
             ++number);
    snprintf(command, sizeof command, "cp '%s' '%s' && cp '%s-wal' '%s-wal'",
             from->path, to->path, from->path, to->path);
    CHECK_INT(system(command), ==, 0);
    CHECK(sqlite3_open(to->path, &to->app) == SQLITE_OK);
    copy_reopen(to, STORE_WRITE);
}

TEST(a_copy_taken_between_slices_of_a_seal_converges)
{
    for (int slices = 1; slices < 15; slices += 3) {
        struct copy a, b, taken;

        make_pair(&a, &b);
        sql(&a, "INSERT INTO t(id, a) VALUES(1, 'first'), (2, 'first')");
        seal(&a);
        sql(&a, ROWS(100) " WHERE true ON CONFLICT DO UPDATE SET"
                          " a = excluded.a");
        for (int i = 0; i < slices; i++)
            must_work(&a);
        copy_file(&taken, &a);
        CHECK(!site_equal(store_site(taken.store), store_site(a.store)));
        while (must_work(&taken).more)
            ;
        while (must_work(&a).more)
            ;
        seal(&taken);
        CHECK_INT(verify_findings(&taken, NULL), ==, 0);
        must_pull(&b, &taken);
        sync_both(&a, &b);
        sync_both(&taken, &b);
        check_equal(&taken, &b);
        copy_close(&taken);
        end_pair(&a, &b);
    }
}

TEST(a_copy_taken_between_slices_of_a_delta_converges)
{
    for (int slices = 0; slices < 19; slices += 2) {
        struct copy a, b, taken;
        struct gv_error error = {0};

        make_pair(&a, &b);
        sql(&a, ROWS(100));
        CHECK_INT(give(&b, &a, 77, &error), ==, GV_OK);
        for (int i = 0; i < slices; i++) {
            sql(&b, "UPDATE t SET a = a||'!' WHERE id = (SELECT max(id)"
                    " FROM t)");
            must_work(&b);
        }
        copy_file(&taken, &b);
        while (must_work(&taken).more)
            ;
        while (must_work(&b).more)
            ;
        seal(&taken);
        CHECK_INT(verify_findings(&taken, NULL), ==, 0);
        must_pull(&b, &taken);
        sync_both(&a, &b);
        sync_both(&taken, &b);
        check_equal(&taken, &b);
        copy_close(&taken);
        end_pair(&a, &b);
    }
}

/* 3 MB: 48 rows of gv_inbox. */
static void give_half(struct copy *to, uint64_t token)
{
    size_t size = 3 * 1024 * 1024;
    uint8_t *bytes = calloc(1, size);

    for (size_t at = 0; at < size; at += size / 3)
        CHECK_INT(store_stage(to->store, token, at, bytes, size / 3), ==,
                  GV_OK);
    free(bytes);
}

TEST(a_delta_that_another_takes_over_is_swept_away)
{
    struct copy a, b;
    struct gv_error error = {0};

    make_pair(&a, &b);
    sql(&a, ROWS(100));
    give_half(&b, 5);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_inbox"), "48");
    CHECK_INT(give(&b, &a, 6, &error), ==, GV_OK);
    CHECK_INT(store_work_all(b.store, 6, NULL, &error), ==, GV_OK);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_inbox"), "0");
    give_half(&b, 7);
    copy_reopen(&b, STORE_WRITE);
    CHECK(!store_working(b.store));
    CHECK_INT(store_work_all(b.store, 0, NULL, &error), ==, GV_OK);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_inbox"), "0");
    end_pair(&a, &b);
}

TEST(an_application_s_own_connection_finishes_it)
{
    for (int slices = 0; slices < 19; slices += 3) {
        struct copy a, b;
        struct gv_error error = {0};
        struct store_options options = {.mode = STORE_WRITE,
                                        .host = copies_host(),
                                        .slices = copies_slices};
        struct store_sealed sealed;

        make_pair(&a, &b);
        options.slices = copies_slices;
        sql(&a, ROWS(100));
        CHECK_INT(give(&b, &a, 77, &error), ==, GV_OK);
        for (int i = 0; i < slices; i++)
            must_work(&b);
        store_close(b.store);
        sql(&b, "BEGIN IMMEDIATE; INSERT INTO t(id, a) VALUES(300, 'in')");
        options.borrowed = b.app;
        options.within = STORE_IN_TRANSACTION;
        CHECK_INT(store_open(b.path, &options, &b.store, &error), ==, GV_OK);
        CHECK_INT(store_begin(b.store, &error), ==, GV_OK);
        CHECK_INT(store_commit(b.store, &sealed, &error), ==, GV_OK);
        CHECK(!store_busy(b.store) && !store_working(b.store));
        store_close(b.store);
        b.store = NULL;
        sql(&b, "COMMIT");
        copy_reopen(&b, STORE_WRITE);
        CHECK_INT(vv_get(store_vv(b.store), store_site(a.store)), ==, own(&a));
        sync_both(&a, &b);
        CHECK_TEXT(ask(&a, "SELECT a FROM t WHERE id = 300"), "in");
        end_pair(&a, &b);
    }
}

TEST(a_long_transaction_that_came_before_the_lock_is_sealed_in_slices)
{
    struct copy a, b;
    struct gv_error error = {0};
    struct store_worked worked;
    int slices = 0;
    bool begun;

    make_pair(&a, &b);
    CHECK(!must_work(&a).more);
    sql(&a, ROWS(100));
    CHECK_INT(store_begin_short(a.store, &begun, &error), ==, GV_OK);
    CHECK(!begun);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_journal"), "100");
    do {
        worked = must_work(&a);
        slices++;
    } while (worked.more);
    CHECK_INT(slices, >, 10);
    CHECK(worked.sealed.any);
    CHECK_INT(store_begin_short(a.store, &begun, &error), ==, GV_OK);
    CHECK(begun);
    store_rollback(a.store);
    sync_both(&a, &b);
    end_pair(&a, &b);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
