/* Deltas that were cut: what the provider keeps, and what the asker does. */
#include "copies.h"

#define TABLE "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b INTEGER DEFAULT 7)"
#define ROWS(from, to)                                                        \
    "WITH RECURSIVE n(i) AS (SELECT " #from " UNION ALL SELECT i+1 FROM n "   \
    "WHERE i<" #to ") INSERT INTO t(id,a) SELECT i,'row '||i FROM n"

static const struct vv_view nobody = {NULL, 0};
static struct site provider = {{7}};

/* Two files; the second of no site that the first knows. */
static void make_pair(struct copy *a, struct copy *b)
{
    static int number;
    char name[32];

    copies_slices = (struct store_slices){
        .delta_size = 500, .spool_size = 300, .stage_size = 400};
    snprintf(name, sizeof name, "resume%d-a", ++number);
    copy_make(a, name, TABLE);
    snprintf(name, sizeof name, "resume%d-b", number);
    copy_make(b, name, TABLE);
    track(a, "t");
    track(b, "t");
}

static struct extract *read_for(struct copy *from, struct vv_view vv)
{
    struct extract *extract = NULL;
    struct gv_error error = {0};

    seal(from);
    CHECK_INT(extract_whole(from, vv, &extract, &error), ==, GV_OK);
    return extract;
}

static struct extract *resume(struct copy *from, struct vv_view vv,
                              uint64_t spool, uint64_t offset)
{
    struct extract *extract = NULL;
    struct gv_error error = {0};

    CHECK_INT(extract_resume(from->store, vv, spool, offset, &extract, &error),
              ==, GV_OK);
    return extract;
}

static bool file_is_there(const struct copy *copy, int slot)
{
    char path[400];

    snprintf(path, sizeof path, "%s-gv/out-%d", copy->path, slot);
    return access(path, F_OK) == 0;
}

static int files(const struct copy *copy)
{
    int count = 0;

    for (int slot = 0; slot < 64; slot++)
        count += file_is_there(copy, slot);
    return count;
}

TEST(a_spool_outlives_its_process)
{
    struct copy a, b;
    struct extract *extract;
    static uint8_t before[300000], after[300000];
    uint64_t id;
    size_t size;

    make_pair(&a, &b);
    sql(&a, ROWS(1, 5000));
    extract = read_for(&a, nobody);
    id = extract_spool(extract);
    size = (size_t)extract_size(extract);
    CHECK_INT(size, >, 65536); /* more than a block */
    CHECK_INT(size, <, sizeof before);
    CHECK_INT(extract_read(extract, 0, before, size), ==, GV_OK);
    extract_keep(extract, 1000);
    CHECK(file_is_there(&a, 0));
    sql(&a, ROWS(6000, 6100)); /* it claims what it did */
    seal(&a);
    copy_reopen(&a, STORE_WRITE);
    CHECK(resume(&a, nobody, id + 1, 100) == NULL);
    CHECK(resume(&a, nobody, id, size + 1) == NULL);
    extract = resume(&a, nobody, id, 100);
    CHECK(extract != NULL);
    CHECK_INT(extract_size(extract), ==, size);
    CHECK_INT(extract_claim(extract).count, ==, 1);
    CHECK_INT(extract_read(extract, 0, after, size), ==, GV_OK);
    CHECK(memcmp(before, after, size) == 0);
    CHECK_INT(extract_read(extract, size - 1, after, 2), ==, GV_EIO);
    CHECK(resume(&a, nobody, id, 100) == NULL); /* it is in use */
    extract_free(extract);
    CHECK(!file_is_there(&a, 0));
    close_two(&a, &b);
}

TEST(a_spool_is_for_those_who_lack_no_more_than_it_was_read_for)
{
    struct copy a, b;
    static uint8_t bytes[VV_ENTRY_SIZE * 64];
    struct vv_view first;
    struct extract *extract;
    uint64_t id;

    make_pair(&a, &b);
    sql(&a, ROWS(1, 10));
    must_pull(&b, &a);
    view_of(store_vv(b.store), bytes, &first);
    sql(&a, ROWS(100, 600));
    extract = read_for(&a, first);
    id = extract_spool(extract);
    extract_keep(extract, 0);
    CHECK(resume(&a, nobody, id, 100) == NULL);
    CHECK(resume(&a, first, id, 100) != NULL);
    close_two(&a, &b);
}

TEST(a_spool_that_is_torn_is_none_and_one_that_rots_is_not_sent)
{
    struct copy a, b;
    struct extract *extract;
    uint8_t byte;
    uint64_t id;

    make_pair(&a, &b);
    sql(&a, ROWS(1, 5000));
    extract_keep(read_for(&a, nobody), 0);
    shell("truncate -s -1 '%s-gv/out-0'", a.path);
    copy_reopen(&a, STORE_WRITE);
    CHECK(!file_is_there(&a, 0));
    extract = read_for(&a, nobody);
    id = extract_spool(extract);
    extract_keep(extract, 0);
    shell("printf '\\377' | dd of='%s-gv/out-0' bs=1 seek=70000 conv=notrunc "
          "status=none",
          a.path);
    copy_reopen(&a, STORE_WRITE);
    extract = resume(&a, nobody, id, 100);
    CHECK(extract != NULL);
    CHECK_INT(extract_read(extract, 100, &byte, 1), ==, GV_OK);
    CHECK_INT(extract_read(extract, 70100, &byte, 1), ==, GV_EIO);
    extract_keep(extract, 0); /* not that one again */
    CHECK(!file_is_there(&a, 0));
    close_two(&a, &b);
}

TEST(a_file_that_is_a_copy_keeps_no_spool)
{
    struct copy a, b, c = {0};

    make_pair(&a, &b);
    sql(&a, ROWS(1, 500));
    extract_keep(read_for(&a, nobody), 0);
    shut(&a);
    snprintf(c.path, sizeof c.path, "%s/c.db", copies_directory);
    shell("cp '%s' '%s' && cp -r '%s-gv' '%s-gv'", a.path, c.path, a.path,
          c.path);
    open_again(&c);
    CHECK(!file_is_there(&c, 0));
    CHECK(file_is_there(&a, 0));
    open_again(&a);
    CHECK(file_is_there(&a, 0));
    copy_close(&c);
    close_two(&a, &b);
}

TEST(few_spools_are_kept_and_none_longer_than_an_hour)
{
    struct copy a, b;

    make_pair(&a, &b);
    sql(&a, ROWS(1, 500));
    for (int i = 0; i < 6; i++) {
        struct extract *extract = read_for(&a, nobody);

        extract_keep(extract, 1000 * i);
    }
    CHECK_INT(files(&a), ==, 4);
    extracts_expire(a.store, 2000 + EXTRACTS_KEPT_MS);
    CHECK_INT(files(&a), ==, 3);
    copy_reopen(&a, STORE_WRITE);
    CHECK_INT(files(&a), ==, 3);
    extracts_expire(a.store, 77); /* an hour from the first look */
    extracts_expire(a.store, 76 + EXTRACTS_KEPT_MS);
    CHECK_INT(files(&a), ==, 3);
    extracts_expire(a.store, 77 + EXTRACTS_KEPT_MS);
    CHECK_INT(files(&a), ==, 0);
    close_two(&a, &b);
}

/* The asker */

static uint8_t delta[300000];
static size_t delta_size;
static uint8_t claim[VV_ENTRY_SIZE * 8];
static size_t claim_count;

/* All that @a has and @b lacks. */
static void read_delta(struct copy *a, struct copy *b)
{
    static uint8_t bytes[VV_ENTRY_SIZE * 64];
    struct vv_view vv;
    struct extract *extract;

    view_of(store_vv(b->store), bytes, &vv);
    extract = read_for(a, vv);
    delta_size = (size_t)extract_size(extract);
    CHECK_INT(delta_size, <, sizeof delta);
    CHECK_INT(extract_read(extract, 0, delta, delta_size), ==, GV_OK);
    claim_count = extract_claim(extract).count;
    memcpy(claim, extract_claim(extract).bytes, claim_count * VV_ENTRY_SIZE);
    extract_free(extract);
}

/* Stage what stands from @from to @to in pieces; what a crash would leave. */
static uint64_t stage(struct copy *b, uint64_t token, size_t from, size_t to)
{
    struct core_stage at = {.token = token, .site = provider, .spool = 5};
    uint64_t kept = 0;

    for (size_t offset = from; offset < to; offset += 100) {
        size_t size = to - offset < 100 ? to - offset : 100;

        at.size = offset;
        CHECK_INT(store_stage_from(b->store, &at, delta + offset, size, &kept),
                  ==, GV_OK);
        CHECK_INT(kept, <=, offset + size);
        CHECK_INT(kept, >=, offset + size >= 400 ? offset + size - 400 : 0);
    }
    return kept;
}

static struct core_stage held(const struct copy *b)
{
    struct core_stage stage;

    store_stage_held(b->store, &stage);
    return stage;
}

static void apply(struct copy *b, uint64_t token)
{
    struct store_sealed sealed;
    struct gv_error error = {0};

    CHECK_INT(store_begin(b->store, &error), ==, GV_OK);
    CHECK_INT(store_apply_delta(b->store, token,
                                (struct vv_view){claim, claim_count}, &error),
              ==, GV_OK);
    CHECK_INT(store_commit(b->store, &sealed, &error), ==, GV_OK);
    CHECK_INT(store_work_all(b->store, token, NULL, &error), ==, GV_OK);
}

TEST(a_stage_goes_on_in_another_process)
{
    struct copy a, b;
    uint64_t kept;

    make_pair(&a, &b);
    sql(&a, ROWS(1, 1000));
    read_delta(&a, &b);
    kept = stage(&b, 11, 0, 10050);
    CHECK_INT(kept, >=, 9650);
    CHECK_INT(held(&b).size, ==, 10050);
    copy_reopen(&b, STORE_WRITE);
    CHECK_INT(held(&b).token, ==, 11);
    CHECK_INT(held(&b).size, ==, kept);
    CHECK_INT(held(&b).spool, ==, 5);
    CHECK_INT(memcmp(held(&b).site.bytes, provider.bytes, 16), ==, 0);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "0");
    stage(&b, 12, (size_t)kept, delta_size);
    apply(&b, 12);
    CHECK_INT(held(&b).token, ==, 0);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_inbox"), "0");
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    close_two(&a, &b);
}

/* While applications write, many short locks are better than few long ones. */
TEST(each_piece_can_be_committed_by_itself)
{
    struct copy a, b;

    make_pair(&a, &b);
    sql(&a, ROWS(1, 1000));
    read_delta(&a, &b);
    CHECK_INT(stage(&b, 11, 0, 500), ==, 400);
    store_stage_each(b.store, true);
    CHECK_INT(stage(&b, 11, 500, 600), ==, 600); /* with what waited */
    CHECK_INT(stage(&b, 11, 600, 800), ==, 800);
    CHECK_TEXT(ask(&b, "SELECT count(*)||'|'||sum(length(bytes)) FROM gv_inbox"
                       " WHERE at>=0 AND length(bytes)<=400"),
               "4|800");
    store_stage_each(b.store, false);
    CHECK_INT(stage(&b, 11, 800, 900), ==, 800);
    stage(&b, 11, 900, delta_size);
    apply(&b, 11);
    check_equal(&a, &b);
    close_two(&a, &b);
}

TEST(a_stage_begins_anew_where_another_is_sent)
{
    struct copy a, b;
    struct core_stage other = {.token = 12, .site = provider, .spool = 6};
    uint64_t kept;

    make_pair(&a, &b);
    sql(&a, ROWS(1, 1000));
    read_delta(&a, &b);
    stage(&b, 11, 0, 10000);
    other.size = 10000; /* as many bytes, of another spool */
    CHECK_INT(store_stage_from(b.store, &other, delta, 100, &kept), ==,
              GV_EPROTO);
    other.size = 0;
    CHECK_INT(store_stage_from(b.store, &other, delta, 100, &kept), ==, GV_OK);
    CHECK_INT(held(&b).size, ==, 100);
    CHECK_INT(kept, ==, 0);
    copy_reopen(&b, STORE_WRITE);
    stage(&b, 13, 0, delta_size);
    apply(&b, 13);
    check_equal(&a, &b);
    close_two(&a, &b);
}

TEST(a_stage_that_was_dropped_does_not_come_back)
{
    struct copy a, b;
    struct store_worked worked = {.more = true};
    struct gv_error error = {0};

    make_pair(&a, &b);
    sql(&a, ROWS(1, 1000));
    read_delta(&a, &b);
    stage(&b, 11, 0, 10000);
    store_stage_drop(b.store, 11);
    while (worked.more)
        CHECK_INT(store_work(b.store, &worked, &error), ==, GV_OK);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_inbox"), "0");
    copy_reopen(&b, STORE_WRITE);
    CHECK_INT(held(&b).token, ==, 0);
    close_two(&a, &b);
}

/* What is done to a file with half a delta, so that this may not go on. */
static bool goes_on_after(const char *what)
{
    struct copy a, b;
    bool held_on;

    make_pair(&a, &b);
    sql(&a, ROWS(1, 10));
    must_pull(&b, &a);
    sql(&a, ROWS(100, 1000));
    read_delta(&a, &b);
    stage(&b, 11, 0, 10000);
    shut(&b);
    CHECK(sqlite3_open(b.path, &b.app) == SQLITE_OK);
    sql(&b, what);
    sqlite3_close(b.app);
    open_again(&b);
    held_on = held(&b).token != 0;
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_inbox WHERE at=-2"),
               held_on ? "1" : "0");
    close_two(&a, &b);
    return held_on;
}

TEST(a_stage_goes_on_only_where_it_is_whole_and_its_vector_is_covered)
{
    CHECK(goes_on_after("UPDATE t SET b=8 WHERE id=1"));
    CHECK(!goes_on_after(
        "UPDATE gv_site SET version=version-1 WHERE version>0"));
    CHECK(!goes_on_after(
        "DELETE FROM gv_inbox WHERE at IN (SELECT at FROM gv_inbox"
        " WHERE at>=0 LIMIT 1 OFFSET 2)"));
    CHECK(!goes_on_after(
        "DELETE FROM gv_inbox WHERE at IN (SELECT at FROM gv_inbox"
        " WHERE at>=0 LIMIT 1)"));
    CHECK(
        !goes_on_after("UPDATE gv_inbox SET bytes=bytes||x'00' WHERE at=-2"));
    CHECK(!goes_on_after("UPDATE gv_inbox SET sum=sum+1 WHERE at=-2"));
    CHECK(!goes_on_after("DELETE FROM gv_inbox WHERE at=-2"));
}

TEST(a_byte_that_rots_on_the_way_is_not_applied)
{
    struct copy a, b;
    struct gv_error error = {0};
    struct store_sealed sealed;
    size_t kept;
    int rc;

    make_pair(&a, &b);
    sql(&a, ROWS(1, 1000));
    read_delta(&a, &b);
    kept = (size_t)stage(&b, 11, 0, 10000);
    shut(&b);
    CHECK(sqlite3_open(b.path, &b.app) == SQLITE_OK);
    sql(&b, "UPDATE gv_inbox SET bytes=CAST(x'ff'||substr(bytes,2) AS BLOB)"
            " WHERE at IN"
            " (SELECT at FROM gv_inbox WHERE at>=0 LIMIT 1)");
    sqlite3_close(b.app);
    open_again(&b);
    stage(&b, 12, kept, delta_size);
    CHECK_INT(store_begin(b.store, &error), ==, GV_OK);
    rc = store_apply_delta(b.store, 12, (struct vv_view){claim, claim_count},
                           &error);
    CHECK_INT(store_commit(b.store, &sealed, &error), ==, GV_OK);
    if (rc == GV_OK)
        rc = store_work_all(b.store, 12, NULL, &error);
    CHECK_INT(rc, ==, GV_ECORRUPT);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "0");
    must_pull(&b, &a); /* and it is not in the way of another */
    check_equal(&a, &b);
    close_two(&a, &b);
}

TEST(a_stage_in_a_copy_of_the_file_is_another_site_s)
{
    struct copy a, b, c = {0};

    make_pair(&a, &b);
    sql(&a, ROWS(1, 1000));
    read_delta(&a, &b);
    stage(&b, 11, 0, 10000);
    shut(&b);
    snprintf(c.path, sizeof c.path, "%s/c.db", copies_directory);
    shell("cp '%s' '%s'", b.path, c.path);
    open_again(&c);
    CHECK_INT(held(&c).token, ==, 0);
    open_again(&b);
    CHECK_INT(held(&b).token, ==, 11);
    copy_close(&c);
    close_two(&a, &b);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
