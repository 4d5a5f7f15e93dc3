#include "copies.h"

#include "wire/frame.h"

#define CONTACTS                                                              \
    "CREATE TABLE t(id TEXT PRIMARY KEY, name, phone, email, note)"
#define FILL                                                                  \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE "     \
    "i<%d)"                                                                   \
    " INSERT INTO t SELECT printf('%%036d', i), 'name'||i, i, 'e'||i, NULL"   \
    " FROM n"

static void fill(struct copy *copy, int rows)
{
    char text[400];

    snprintf(text, sizeof text, FILL, rows);
    sql(copy, text);
}

TEST(one_row_of_200000_is_found_without_a_scan_and_travels_in_2048_bytes)
{
    struct copy a, b;
    struct extract *extract;
    struct gv_error error = {0};
    struct vv_view view;
    uint8_t bytes[VV_ENTRY_SIZE * 8];
    uint64_t scans, steps;
    struct buffer frame;
    struct message want = {.kind = MESSAGE_WANT};

    copy_make(&a, "large-a", CONTACTS);
    copy_make(&b, "large-b", CONTACTS);
    fill(&a, 200000);
    track(&a, "t");
    track(&b, "t");
    must_pull(&b, &a);
    check_equal(&a, &b);
    sql(&a, "UPDATE t SET phone = '555' WHERE id = printf('%036d', 77777)");
    seal(&a);
    view_of(store_vv(b.store), bytes, &view);
    CHECK_INT(extract_whole(&a, view, &extract, &error), ==, GV_OK);
    extract_effort(extract, &scans, &steps);
    CHECK_INT(scans, ==, 0);
    CHECK_INT(steps, <, 10000);
    want.as.want.vv = view;
    want.as.want.token = UINT64_MAX;
    want.as.want.credit = 1 << 20;
    buffer_init(&frame, MESSAGE_FRAME_SIZE_MAX);
    CHECK_INT(frame_encode(&want, &frame), ==, GV_OK);
    CHECK_INT(frame.size + extract_size(extract), <, 1900);
    fprintf(stderr, "  %zu + %llu bytes, %llu steps\n", frame.size,
            (unsigned long long)extract_size(extract),
            (unsigned long long)steps);
    buffer_close(&frame);
    extract_free(extract);
    must_pull(&b, &a);
    check_equal(&a, &b);
    copy_close(&a);
    copy_close(&b);
}

TEST(a_long_delta_goes_by_files_that_are_deleted_again)
{
    struct copy a, b;
    char path[400];

    copy_make(&a, "spool-a", CONTACTS);
    copy_make(&b, "spool-b", CONTACTS);
    fill(&a, 20000);
    track(&a, "t");
    track(&b, "t");
    must_pull(&b, &a);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT count(*)||max(name) FROM t"),
               ask(&a, "SELECT count(*)||max(name) FROM t"));
    snprintf(path, sizeof path, "%s-gv/out-0", a.path);
    CHECK(access(path, F_OK) != 0);
    snprintf(path, sizeof path, "%s-gv/in-0", b.path);
    CHECK(access(path, F_OK) != 0);
    copy_close(&a);
    copy_close(&b);
}

TEST(nothing_is_read_while_the_journal_is_not_empty)
{
    struct copy a;
    struct extract *extract;
    struct gv_error error = {0};
    struct vv_view none = {NULL, 0};

    copy_make(&a, "waiting", CONTACTS);
    track(&a, "t");
    fill(&a, 3);
    for (int i = 0; i < 5; i++)
        CHECK_INT(extract_begin(a.store, none, &extract, &error), ==,
                  GV_EBUSY);
    seal(&a);
    CHECK_INT(extract_whole(&a, none, &extract, &error), ==, GV_OK);
    extract_free(extract);
    copy_close(&a);
}

/* The peer must end with what was sealed and never have had the rest. */
TEST(an_unsealed_value_is_never_sent_under_an_old_dot)
{
    struct copy a, b;
    struct extract *extract;
    struct gv_error error = {0};
    struct vv_view none = {NULL, 0};
    bool done = false;

    copy_make(&a, "unsealed-a", CONTACTS);
    copy_make(&b, "unsealed-b", CONTACTS);
    track(&a, "t");
    track(&b, "t");
    fill(&a, 1);
    seal(&a);
    CHECK_INT(extract_begin(a.store, none, &extract, &error), ==, GV_OK);
    sql(&a, "UPDATE t SET name = 'two'");
    CHECK_INT(extract_step(extract, 100, &done, &error), ==, GV_OK);
    CHECK(done);
    extract_free(extract);
    sql(&a, "UPDATE t SET name = 'name1'");
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT name FROM t"), "name1");
    check_equal(&a, &b);
    copy_close(&a);
    copy_close(&b);
}

TEST(a_value_written_past_the_triggers_is_sealed_before_it_is_sent)
{
    struct copy a, b;
    struct gv_error error = {0};

    copy_make(&a, "past-a", CONTACTS);
    copy_make(&b, "past-b", CONTACTS);
    track(&a, "t");
    track(&b, "t");
    fill(&a, 2);
    seal(&a);
    sqlite3_db_config(a.app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sql(&a, "UPDATE t SET name = 'hidden' WHERE phone = 2");
    CHECK_INT(pull(&b, &a, &error), ==, GV_EDIFFERS);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "0");
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT name FROM t WHERE phone = 2"), "hidden");
    check_equal(&a, &b);
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    copy_close(&a);
    copy_close(&b);
}

TEST(damaged_metadata_is_named_and_not_sent)
{
    struct copy a, b;
    struct gv_error error = {0};

    copy_make(&a, "damage-a", CONTACTS);
    copy_make(&b, "damage-b", CONTACTS);
    track(&a, "t");
    track(&b, "t");
    fill(&a, 2);
    seal(&a);
    sql(&a, "UPDATE gv_row_1 SET state = substr(state, 1, 2)||x'ff'"
            "||substr(state, 4) WHERE rid = 2");
    CHECK_INT(pull(&b, &a, &error), ==, GV_ECORRUPT);
    CHECK(strstr(error.what, "0000002'") != NULL);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "0");
    copy_close(&a);
    copy_close(&b);
}

TEST(only_the_records_that_the_asker_lacks_are_sent)
{
    struct copy a, b;
    struct extract *extract;
    struct gv_error error = {0};
    struct vv_view view;
    uint8_t bytes[VV_ENTRY_SIZE * 8];

    copy_make(&a, "lacks-a", CONTACTS);
    copy_make(&b, "lacks-b", CONTACTS);
    track(&a, "t");
    track(&b, "t");
    sql(&a, "INSERT INTO t VALUES('x', zeroblob(50000), 1, 2, 3)");
    sync_both(&a, &b);
    sql(&a, "UPDATE t SET phone = 2");
    seal(&a);
    view_of(store_vv(b.store), bytes, &view);
    CHECK_INT(extract_whole(&a, view, &extract, &error), ==, GV_OK);
    CHECK_INT(extract_size(extract), <, 300);
    extract_free(extract);
    copy_close(&a);
    copy_close(&b);
}

TEST(a_schema_that_moves_under_an_extract_ends_it)
{
    struct copy a;
    struct extract *extract;
    struct gv_error error = {0};
    struct vv_view none = {NULL, 0};
    bool done = false;

    copy_make(&a, "moves", CONTACTS);
    track(&a, "t");
    fill(&a, 1000);
    seal(&a);
    CHECK_INT(extract_begin(a.store, none, &extract, &error), ==, GV_OK);
    CHECK_INT(extract_step(extract, 10, &done, &error), ==, GV_OK);
    sql(&a, "ALTER TABLE t ADD COLUMN more");
    seal(&a);
    CHECK_INT(extract_step(extract, 10, &done, &error), ==, GV_EBUSY);
    extract_free(extract);
    CHECK_INT(extract_whole(&a, none, &extract, &error), ==, GV_OK);
    extract_free(extract);
    copy_close(&a);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
