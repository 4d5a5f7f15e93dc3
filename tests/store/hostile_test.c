/* What others may do to a file or send to it, and what must not come of it. */
#include "copies.h"

#include "wire/frame.h"
#include "wire/stream.h"

#include <math.h>

#define TABLE "CREATE TABLE t(id TEXT PRIMARY KEY, a, b INTEGER DEFAULT 7)"

static void make_two(struct copy *a, struct copy *b)
{
    two(a, b, TABLE);
}

/* Else the row would look deleted here, and be deleted everywhere. */
TEST(a_trigger_that_skips_rows_does_not_fire_on_apply)
{
    struct copy a, b, c;

    make_two(&a, &b);
    copy_make(&c, "c", TABLE);
    track(&c, "t");
    sql(&b, "CREATE TRIGGER i BEFORE INSERT ON t BEGIN"
            " SELECT RAISE(IGNORE); END;"
            "CREATE TRIGGER u BEFORE UPDATE ON t BEGIN"
            " SELECT raise(ABORT, 'no'); END;"
            "CREATE TRIGGER d BEFORE DELETE ON t BEGIN"
            " SELECT RAISE(IGNORE); END;");
    seal(&b);
    sql(&a, "INSERT INTO t VALUES('k', 1, 1), ('l', 2, 2)");
    seal(&a);
    must_pull(&b, &a);
    sql(&a, "UPDATE t SET a = 3 WHERE id = 'k'; DELETE FROM t WHERE id = 'l'");
    seal(&a);
    must_pull(&b, &a);
    must_pull(&c, &b);
    must_pull(&a, &c);
    CHECK_TEXT(ask(&b, "SELECT group_concat(id || a) FROM t"), "k3");
    CHECK_TEXT(ask(&c, "SELECT group_concat(id || a) FROM t"), "k3");
    check_equal(&a, &c);
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    copy_close(&c);
    close_two(&a, &b);
}

TEST(a_node_that_learnt_of_a_fork_publishes_nothing_more_under_its_old_id)
{
    struct copy a, b;
    struct site site;
    struct gv_error error = {0};

    make_two(&a, &b);
    sql(&a, "INSERT INTO t VALUES('1', 1, 1)");
    seal(&a);
    sql(&a, "PRAGMA wal_checkpoint(TRUNCATE)");
    shell("cp '%s' '%s.old'", a.path, a.path);
    sql(&a, "INSERT INTO t VALUES('2', 2, 2)");
    sync_both(&a, &b);
    site = *store_site(a.store);
    shut(&a);
    shell("cat '%s.old' > '%s' && rm '%s-gv/state'", a.path, a.path, a.path);
    open_again(&a);
    CHECK(site_equal(&site, store_site(a.store)));
    CHECK_INT(pull(&a, &b, &error), ==, GV_EFORK);
    /* A driver ends here; the next one starts after the next write. */
    sql(&a, "INSERT INTO t VALUES('3', 3, 3)");
    copy_reopen(&a, STORE_WRITE);
    CHECK(!site_equal(&site, store_site(a.store)));
    sync_both(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&a, "SELECT group_concat(id) FROM (SELECT id FROM t ORDER"
                       " BY id)"),
               "1,2,3");
    close_two(&a, &b);
}

/* Whoever lacks what the file held before must not take it. */
TEST(the_first_interval_of_a_renewed_site_depends_on_all_that_is_there)
{
    struct copy a, b;
    struct store_sealed sealed;
    struct gv_error error = {0};

    make_two(&a, &b);
    sql(&a, "INSERT INTO t VALUES('1', 1, 1)");
    seal(&a);
    shut(&a);
    shell("cp '%s' '%s.k' && mv '%s.k' '%s'", a.path, a.path, a.path, a.path);
    open_again(&a);
    sql(&a, "INSERT INTO t VALUES('2', 2, 2)");
    sealed = seal(&a);
    CHECK_INT(apply_interval(&b, &sealed.interval, &error), ==, GV_EGAP);
    must_pull(&b, &a);
    check_equal(&a, &b);
    close_two(&a, &b);
}

TEST(the_state_of_another_file_makes_a_file_take_a_new_id)
{
    struct copy a, b;
    struct site site;

    make_two(&a, &b);
    site = *store_site(a.store);
    store_close(a.store);
    a.store = NULL;
    shell("cp '%s-gv/state' '%s-gv/state'", b.path, a.path);
    copy_reopen(&a, STORE_WRITE);
    CHECK(!site_equal(&site, store_site(a.store)));
    close_two(&a, &b);
}

TEST(an_interval_names_only_what_changed_since_the_last)
{
    struct copy a, b;
    struct store_sealed sealed;

    make_two(&a, &b);
    sql(&a, "INSERT INTO t VALUES('1', 1, 1)");
    seal(&a);
    must_pull(&b, &a);
    sql(&b, "INSERT INTO t VALUES('2', 2, 2)");
    sealed = seal(&b);
    CHECK_INT(sealed.interval.dependencies.count, ==, 1);
    sql(&b, "INSERT INTO t VALUES('3', 3, 3)");
    sealed = seal(&b);
    CHECK_INT(sealed.interval.dependencies.count, ==, 0);
    close_two(&a, &b);
}

/* A delta that went on would tell of a row what is not so. */
TEST(a_row_that_vanished_past_the_triggers_is_not_sent)
{
    struct copy a, b;
    struct gv_error error = {0};

    make_two(&a, &b);
    sql(&a, "INSERT INTO t VALUES('1', NULL, 7)");
    seal(&a);
    CHECK_INT(
        sqlite3_db_config(a.app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL), ==,
        SQLITE_OK);
    sql(&a, "DELETE FROM t");
    CHECK_INT(pull(&b, &a, &error), ==, GV_EDIFFERS);
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT cl FROM gv_row_1"), "2");
    close_two(&a, &b);
}

#define RECORD_VERSION ((gv_version)1 << 40)
static gv_version claimed_version = RECORD_VERSION;
static const struct value *sent_value; /* NULL: a text */
static gv_version sent_base = RECORD_VERSION;
static int64_t sent_since;

/* A delta of one row with one record. */
static int apply_row_of(struct copy *to, const struct site *site,
                        const char *table, size_t key_columns,
                        uint64_t causal_length, uint64_t mask)
{
    static uint64_t token = 1000;
    static const char *const columns[] = {"a", "b"};
    struct value text = {VALUE_TEXT, 0, 0, (const uint8_t *)"k", 1};
    struct vv_entry entry = {*site, claimed_version};
    uint8_t claim[VV_ENTRY_SIZE];
    struct stream_row_writer writer;
    struct store_sealed sealed;
    struct gv_error error = {0};
    struct buffer out, key;
    int rc;

    buffer_init(&out, 65536);
    buffer_init(&key, 65536);
    for (size_t i = 0; i < key_columns; i++)
        key_append(&key, &text);
    stream_write_site(&out, site, sent_base);
    write_table(&out, table, columns, 2);
    stream_begin_row(&writer, &out, 0, key.data, key.size, causal_length, 1,
                     mask_count(&mask, 1) - (mask & 1));
    stream_write_group(&writer, 0, sent_since, &mask, 1);
    for (size_t i = 0; i < mask_count(&mask, 1) - (mask & 1); i++)
        stream_write_value(&writer, sent_value != NULL ? sent_value : &text);
    CHECK_INT(stream_end_row(&writer), ==, GV_OK);
    vv_entry_store(&entry, claim);
    CHECK_INT(store_stage(to->store, ++token, 0, out.data, out.size), ==,
              GV_OK);
    CHECK_INT(store_begin(to->store, &error), ==, GV_OK);
    rc = store_apply_delta(to->store, token, (struct vv_view){claim, 1},
                           &error);
    CHECK_INT(store_commit(to->store, &sealed, &error), ==, GV_OK);
    buffer_close(&out);
    buffer_close(&key);
    return rc;
}

TEST(a_new_life_without_its_beginning_is_malformed)
{
    struct copy a, b;
    const struct site site = {.bytes = {9}};

    make_two(&a, &b);
    CHECK_INT(apply_row_of(&b, &site, "t", 1, 1, 2), ==, GV_EPROTO);
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    CHECK_INT(apply_row_of(&b, &site, "t", 1, 1, 3), ==, GV_OK);
    CHECK_INT(apply_row_of(&b, &site, "t", 1, 3, 2), ==, GV_EPROTO);
    CHECK_INT(apply_row_of(&b, &site, "t", 1, 2, 1), ==, GV_OK);
    CHECK_INT(apply_row_of(&b, &site, "t", 1, 3, 7), ==, GV_OK);
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    close_two(&a, &b);
}

TEST(a_row_found_changed_stays_in_the_journal_when_triggers_fire_after_it)
{
    struct copy a, b, c;
    struct store_sealed from_a, from_c, sealed;
    struct gv_error error = {0};

    make_two(&a, &b);
    copy_make(&c, "c", TABLE);
    track(&c, "t");
    sql(&b, "CREATE TABLE notes(x); CREATE TRIGGER note AFTER INSERT ON t"
            " BEGIN INSERT INTO notes VALUES(new.id); END");
    seal(&b);
    CHECK_INT(audit_now(&b), ==, 0);
    CHECK_INT(
        sqlite3_db_config(b.app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL), ==,
        SQLITE_OK);
    sql(&b, "INSERT INTO t VALUES('1', 'past', 1)");
    sql(&a, "INSERT INTO t VALUES('1', 1, 1)");
    sql(&c, "INSERT INTO t VALUES('2', 2, 2)");
    from_a = seal(&a);
    from_c = seal(&c);
    CHECK_INT(store_begin(b.store, &error), ==, GV_OK);
    CHECK_INT(store_apply_interval(b.store, &from_a.interval, &error), ==,
              GV_EDIFFERS);
    CHECK_INT(store_apply_interval(b.store, &from_c.interval, &error), ==,
              GV_OK);
    CHECK_INT(store_commit(b.store, &sealed, &error), ==, GV_OK);
    CHECK_TEXT(ask(&b, "SELECT group_concat(x) FROM notes"), "2");
    CHECK_INT(apply_interval(&b, &from_a.interval, &error), ==, GV_OK);
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    copy_close(&c);
    close_two(&a, &b);
}

/* What it claims is all that may stand under its sites. */
TEST(a_record_above_the_claim_is_malformed)
{
    struct copy a, b;
    const struct site site = {.bytes = {9}};

    make_two(&a, &b);
    claimed_version = RECORD_VERSION - 1;
    CHECK_INT(apply_row_of(&b, &site, "t", 1, 1, 3), ==, GV_EPROTO);
    claimed_version = RECORD_VERSION;
    CHECK_INT(apply_row_of(&b, &site, "t", 1, 1, 3), ==, GV_OK);
    close_two(&a, &b);
}

/* The base and what is added to it are in range; their sum is not. */
TEST(a_version_below_the_first_or_above_the_last_is_malformed)
{
    struct copy a, b;
    const struct site site = {.bytes = {9}};

    make_two(&a, &b);
    sent_base = 5;
    sent_since = -5;
    CHECK_INT(apply_row_of(&b, &site, "t", 1, 1, 3), ==, GV_EPROTO);
    sent_since = -6;
    CHECK_INT(apply_row_of(&b, &site, "t", 1, 1, 3), ==, GV_EPROTO);
    sent_base = VERSION_MAX;
    sent_since = (int64_t)VERSION_MAX;
    CHECK_INT(apply_row_of(&b, &site, "t", 1, 1, 3), ==, GV_EPROTO);
    sent_base = RECORD_VERSION + 7;
    sent_since = -7;
    CHECK_INT(apply_row_of(&b, &site, "t", 1, 1, 3), ==, GV_OK);
    sent_base = RECORD_VERSION;
    sent_since = 0;
    close_two(&a, &b);
}

TEST(an_interval_with_a_record_from_before_it_is_malformed)
{
    static const char *const columns[] = {"a", "b"};
    struct copy a, b;
    const struct site site = {.bytes = {9}};
    const uint64_t mask = 1;
    struct value text = {VALUE_TEXT, 0, 0, (const uint8_t *)"k", 1};
    struct stream_row_writer writer;
    struct interval interval = {.site = site};
    struct gv_error error = {0};
    struct buffer out, key, bytes;

    make_two(&a, &b);
    CHECK_INT(apply_row_of(&b, &site, "t", 1, 1, 3), ==, GV_OK);
    buffer_init(&out, 65536);
    buffer_init(&key, 65536);
    buffer_init(&bytes, 65536);
    key_append(&key, &text);
    stream_write_site(&out, &site, 0);
    write_table(&out, "t", columns, 2);
    stream_begin_row(&writer, &out, 0, key.data, key.size, 2, 1, 0);
    stream_write_group(&writer, 0, 7, &mask, 1);
    CHECK_INT(stream_end_row(&writer), ==, GV_OK);
    interval.from = RECORD_VERSION;
    interval.to = interval.from + 1;
    CHECK_INT(interval_encode(&site, interval.from, interval.to,
                              (struct vv_view){NULL, 0}, out.data, out.size,
                              &bytes),
              ==, GV_OK);
    interval.bytes = bytes.data;
    interval.size = bytes.size;
    CHECK_INT(apply_interval(&b, &interval, &error), ==, GV_EPROTO);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "1");
    buffer_close(&out);
    buffer_close(&key);
    buffer_close(&bytes);
    close_two(&a, &b);
}

TEST(a_key_of_more_columns_is_refused_and_not_called_malformed)
{
    struct copy a, b;
    const struct site site = {.bytes = {9}};

    make_two(&a, &b);
    CHECK_INT(apply_row_of(&b, &site, "t", 2, 1, 3), ==, GV_ESCHEMA);
    CHECK_INT(store_vv(b.store)->count, ==, 0);
    close_two(&a, &b);
}

TEST(a_key_that_no_rowid_can_be_is_refused)
{
    struct copy a, b;
    struct gv_error error = {0};

    copy_make(&a, "a", "CREATE TABLE t(id PRIMARY KEY, a)");
    copy_make(&b, "b", "CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    track(&a, "t");
    track(&b, "t");
    sql(&a, "INSERT INTO t VALUES('seven', 1)");
    seal(&a);
    CHECK_INT(pull(&b, &a, &error), ==, GV_ESCHEMA);
    CHECK(strstr(error.what, "another key") != NULL);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_row_1"), "0");
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    close_two(&a, &b);
}

/* SQLite keeps no such real: it would be NULL, and a write of B's. */
TEST(a_real_that_is_no_number_is_held_without_its_value)
{
    const struct value nan = {.class = VALUE_REAL, .real = NAN};
    const struct site site = {.bytes = {9}};
    struct copy a, b;

    make_two(&a, &b);
    sent_value = &nan;
    CHECK_INT(apply_row_of(&b, &site, "t", 1, 1, 3), ==, GV_OK);
    sent_value = NULL;
    CHECK_TEXT(ask(&b, "SELECT quote(a) FROM t"), "NULL");
    CHECK_TEXT(ask(&b, "SELECT held FROM gv_parked"), "0");
    CHECK(!seal(&b).any);
    must_pull(&a, &b);
    check_equal(&a, &b);
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    close_two(&a, &b);
}

TEST(junk_in_the_journal_is_no_change)
{
    struct copy a;

    copy_make(&a, "junk", "CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    track(&a, "t");
    sql(&a, "INSERT INTO t VALUES(5, 1)");
    seal(&a);
    sql(&a, "INSERT INTO gv_journal(tbl, day, k1) VALUES(1, 'x', '5'),"
            " (1, -9223372036854775807, 5), (1, 9223372036854775807, 5),"
            " (1, -9e999, 5), (1, 9e999, 5), (1, 5373484.6, 5),"
            " (99, 0, 5), (NULL, NULL, NULL), (1, 1, 5.5), (1, 1, x'')");
    CHECK(!seal(&a).any);
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    copy_close(&a);
    copies_remove();
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
