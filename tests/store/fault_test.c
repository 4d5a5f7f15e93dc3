/* Memory and disk that fail at the nth call, once or from then on, inside
 * each thing a store does.  Whatever fails: the program goes on, nothing is
 * applied by half, what the store says equals what the file holds, and the
 * next try without a fault succeeds. */
#include "faults.h"
#include "store/bundle.h"

/* The copies and what is done to them */

#define TABLE "CREATE TABLE t(id TEXT PRIMARY KEY, a, b INTEGER DEFAULT 7)"

static struct copy from, to;
static struct store_sealed news; /* what @from sealed last */
static int round_number;

static void write_some(struct copy *copy)
{
    char text[600];

    round_number++;
    snprintf(text, sizeof text,
             "BEGIN IMMEDIATE;"
             "INSERT INTO t VALUES('k%d', hex(zeroblob(%d)), %d);"
             "INSERT INTO t SELECT 'm%d'||id, a, 1 FROM t LIMIT 5;"
             "UPDATE t SET a = b WHERE id = 'k%d';"
             "DELETE FROM t WHERE id = 'k%d'; COMMIT",
             round_number, round_number % 7 == 0 ? 3000 : 20, round_number,
             round_number, round_number - 3, round_number - 5);
    sql(copy, text);
}

static int try_seal(struct copy *copy)
{
    struct store_sealed sealed;
    struct gv_error error = {0};
    int rc = store_begin(copy->store, &error);

    return rc == GV_OK ? store_commit(copy->store, &sealed, &error) : rc;
}

/* As a driver does: apply, then commit, whatever the apply said. */
static int try_interval(void)
{
    struct store_sealed sealed;
    struct gv_error error = {0};
    int rc = store_begin(to.store, &error), committed;

    if (rc != GV_OK)
        return rc;
    rc = store_apply_interval(to.store, &news.interval, &error);
    committed = store_commit(to.store, &sealed, &error);
    return rc == GV_OK ? committed : rc;
}

static int stage_delta(struct extract **extract, uint64_t token)
{
    static uint8_t piece[4096];
    uint64_t at = 0;
    int rc = GV_OK;

    while (rc == GV_OK && at < extract_size(*extract)) {
        uint64_t left = extract_size(*extract) - at;
        size_t size = left < sizeof piece ? (size_t)left : sizeof piece;

        rc = extract_read(*extract, at, piece, size);
        if (rc == GV_OK)
            rc = store_stage(to.store, token, at, piece, size);
        at += size;
    }
    return rc;
}

static int try_delta(void)
{
    static uint8_t bytes[VV_ENTRY_SIZE * 8];
    static uint64_t token;
    struct gv_error error = {0};
    struct store_sealed sealed;
    struct extract *extract;
    struct vv_view view;
    int rc, committed;

    view_of(store_vv(to.store), bytes, &view);
    rc = extract_whole(&from, view, &extract, &error);
    if (rc != GV_OK)
        return rc;
    rc = store_stage(to.store, ++token, 0, NULL, 0);
    if (rc == GV_OK)
        rc = stage_delta(&extract, token);
    if (rc == GV_OK)
        rc = store_begin(to.store, &error);
    if (rc == GV_OK) {
        rc =
            store_apply_delta(to.store, token, extract_claim(extract), &error);
        committed = store_commit(to.store, &sealed, &error);
        rc = rc == GV_OK ? committed : rc;
    }
    store_stage_drop(to.store, token);
    extract_free(extract);
    return rc;
}

static int try_bundle(void)
{
    static uint8_t bytes[VV_ENTRY_SIZE * 8];
    struct gv_error error = {0};
    struct vv_view view;
    struct buffer bundle;
    int rc;

    view_of(store_vv(to.store), bytes, &view);
    buffer_init(&bundle, SIZE_MAX);
    rc = bundle_write_buffer(from.store, view, &bundle, &error);
    if (rc == GV_OK)
        rc = bundle_apply_bytes(to.store, bundle.data, bundle.size, &error);
    CHECK(rc == GV_OK || error.what[0] != '\0');
    CHECK(rc == GV_OK || error.code == rc);
    buffer_close(&bundle);
    return rc;
}

static int try_open(void)
{
    struct store_options options = {.mode = STORE_WRITE,
                                    .host = copies_host()};
    struct gv_error error = {0};

    store_close(to.store);
    to.store = NULL;
    return store_open(to.path, &options, &to.store, &error);
}

static int try_track_new(void)
{
    struct gv_error error = {0};
    char table[40];

    snprintf(table, sizeof table, "n%d", round_number);
    return try_track(&to, table, &error);
}

enum deed { SEAL, INTERVAL, DELTA, BUNDLE, OPEN, TRACK, MAKE, DEED_COUNT };
static const char *const deed_names[] = {
    "a seal",  "an interval",         "a delta", "a bundle", "an open",
    "a track", "the making of tables"};

/* A new table of the mesh, and a new column of the one before. */
static void define_some(void)
{
    char text[400];

    snprintf(text, sizeof text,
             "CREATE TABLE n%d(k TEXT PRIMARY KEY, v INT DEFAULT 4);"
             "INSERT INTO n%d VALUES(1, 2), ('x', 'y');",
             round_number + 1, round_number + 1);
    sql(&from, text);
    snprintf(text, sizeof text, "n%d", ++round_number);
    track(&from, text);
    snprintf(text, sizeof text,
             "ALTER TABLE n%d ADD COLUMN more TEXT DEFAULT 'm';"
             "UPDATE n%d SET more = v WHERE k = 'x'",
             round_number - 1, round_number - 1);
    sql(&from, text);
    seal(&from);
}

/* What the deed needs, made without a fault. */
static void prepare(enum deed deed)
{
    char text[300];

    switch (deed) {
    case SEAL:
    case OPEN:
        write_some(&to);
        break;
    case INTERVAL:
        seal(&to);
        write_some(&from);
        write_some(&to);
        news = seal(&from);
        CHECK(news.interval.bytes != NULL);
        break;
    case DELTA:
        write_some(&from);
        write_some(&to);
        seal(&from);
        break;
    case BUNDLE:
        write_some(&from);
        write_some(&to);
        break;
    case TRACK:
        round_number++;
        snprintf(text, sizeof text,
                 "CREATE TABLE n%d(k PRIMARY KEY, v);"
                 "INSERT INTO n%d VALUES(1, 2), ('x', 'y');",
                 round_number, round_number);
        sql(&to, text);
        break;
    case MAKE:
        define_some();
        break;
    case DEED_COUNT:
        break;
    }
}

static int perform(enum deed deed)
{
    switch (deed) {
    case SEAL:
        return try_seal(&to);
    case INTERVAL:
        return try_interval();
    case DELTA:
    case MAKE:
        return try_delta();
    case BUNDLE:
        return try_bundle();
    case OPEN:
        return try_open();
    case TRACK:
        return try_track_new();
    case DEED_COUNT:
        break;
    }
    return GV_OK;
}

static void fail_at(enum deed deed, enum fault fault, int call, bool again,
                    bool *reached)
{
    int rc;

    prepare(deed);
    arm(fault, call, again);
    rc = perform(deed);
    *reached = disarm();
    /* To a check of its pages, a page that cannot be read is a bad one. */
    if (rc == GV_ECORRUPT && deed == OPEN && *reached)
        rc = GV_EIO;
    if (!may_fail(rc) || (rc != GV_OK && !*reached)) {
        fprintf(stderr, "%s, %s, call %d: %d\n", deed_names[deed],
                fault_names[fault], call, rc);
        exit(1);
    }
    if (rc == GV_EIO || to.store == NULL) {
        /* What a node does then: it ends, and is started again. */
        copy_reopen(&to, STORE_WRITE);
        copy_reopen(&from, STORE_WRITE);
        seal(&from);
    }
    if (rc != GV_OK)
        seal(&to); /* what comes next reads again what could not be read */
    check_store(&to);
    if (rc != GV_OK && deed == INTERVAL)
        deed = DELTA; /* the interval's bytes went with its store */
    if (rc != GV_OK) {
        rc = perform(deed);
        if (rc != GV_OK)
            fprintf(stderr, "%s, %s, call %d, again: %d\n", deed_names[deed],
                    fault_names[fault], call, rc);
        CHECK_INT(rc, ==, GV_OK);
        check_store(&to);
    }
    seal(&to);
}

static void fail_everywhere(enum deed deed, int stride)
{
    for (int fault = 0; fault < FAULT_COUNT; fault++)
        for (int again = 0; again < 2; again++) {
            bool reached = true;

            for (int call = 1; reached; call += 1 + call / stride)
                fail_at(deed, (enum fault)fault, call, again, &reached);
        }
}

/* Each making costs both files a table: fewer of them.  All calls but the
 * last ones are those of any delta. */
#define MAKE_STRIDE 2

static void make_everywhere(void)
{
    struct gv_error error = {0};

    round_number = 10;
    copy_make(&from, "from", "CREATE TABLE n10(k TEXT PRIMARY KEY, v)");
    copy_make(&to, "to", NULL);
    track(&from, "n10");
    CHECK_INT(store_join(to.store, "m", &error), ==, GV_OK);
    CHECK_INT(store_create_tables(to.store, &error), ==, GV_OK);
    fail_everywhere(MAKE, MAKE_STRIDE);
    must_pull(&to, &from);
    check_equal(&from, &to);
    CHECK(store_schema_digest(from.store) == store_schema_digest(to.store));
    copy_close(&from);
    copy_close(&to);
    copies_remove();
}

static void everywhere(enum deed deed)
{
    const char *stride = getenv("FAULT_STRIDE");

    round_number = 10;
    copy_make(&from, "from", TABLE);
    copy_make(&to, "to", TABLE);
    track(&from, "t");
    track(&to, "t");
    fail_everywhere(deed, stride == NULL ? 1 : atoi(stride));
    if (deed != TRACK) { /* whose new tables @from has not */
        sync_both(&from, &to);
        check_equal(&from, &to);
    }
    copy_close(&from);
    copy_close(&to);
    copies_remove();
}

/* An earlier run may have ended between a commit and its sync. */
TEST(what_this_site_publishes_is_synced_before_anyone_hears_of_it)
{
    copy_make(&to, "to", TABLE);
    track(&to, "t");
    sql(&to, "INSERT INTO t VALUES('k', 1, 1)");
    sync_count = 0;
    CHECK(seal(&to).any);
    CHECK_INT(sync_count, ==, 1);
    CHECK(!seal(&to).any);
    CHECK_INT(sync_count, ==, 1);
    copy_reopen(&to, STORE_WRITE);
    CHECK_INT(sync_count, >, 1);
    copy_close(&to);
    copies_remove();
}

/* Put the state file as it was last synced in its place. */
static void cut_power(struct copy *copy)
{
    char path[300];
    FILE *file;

    snprintf(path, sizeof path, "%s-gv/state", copy->path);
    CHECK(remove(path) == 0);
    if (state_synced_size == 0)
        return;
    file = fopen(path, "w");
    CHECK(file != NULL);
    CHECK_INT(fwrite(state_synced, 1, state_synced_size, file), ==,
              state_synced_size);
    CHECK(fclose(file) == 0);
}

static void copy_file(const char *from_path, const char *to_path)
{
    char command[700];

    snprintf(command, sizeof command, "cp '%s' '%s'", from_path, to_path);
    CHECK(system(command) == 0);
}

/* A file that published, and an older copy of it; the state file of its start
 * is lost. */
static struct site make_older(char older[300])
{
    state_synced_size = 0;
    copy_make(&to, "to", TABLE);
    track(&to, "t");
    CHECK_INT(state_synced_size, >, 0); /* its name is on the disk */
    sql(&to, "INSERT INTO t VALUES('k', 1, 1)");
    CHECK(seal(&to).any);
    sql(&to, "PRAGMA wal_checkpoint(TRUNCATE)");
    snprintf(older, 300, "%s.old", to.path);
    copy_file(to.path, older);
    sql(&to, "INSERT INTO t VALUES('l', 2, 2)");
    CHECK(seal(&to).any);
    sql(&to, "PRAGMA wal_checkpoint(TRUNCATE)");
    CHECK(!seal(&to).any); /* the store knows of the checkpoint */
    state_synced_size = 0;
    return *store_site(to.store);
}

static bool file_has(const struct site *site)
{
    copy_reopen(&to, STORE_WRITE);
    return site_equal(site, store_site(to.store));
}

TEST(a_power_cut_after_a_copy_over_an_open_file_was_noticed_still_renews)
{
    char older[300];
    struct site site = make_older(older);
    struct gv_error error = {0};

    copy_file(older, to.path);
    CHECK_INT(store_look(to.store, &error), ==, GV_EMOVED);
    sqlite3_close(to.app);
    to.app = NULL;
    store_close(to.store);
    to.store = NULL;
    cut_power(&to);
    CHECK(!file_has(&site));
    copy_close(&to);
    copies_remove();
}

TEST(a_power_cut_during_a_renewal_still_renews)
{
    struct store_options options = {.mode = STORE_WRITE,
                                    .host = copies_host()};
    struct gv_error error = {0};
    char older[300];
    struct site site = make_older(older), renewed;

    sqlite3_close(to.app);
    to.app = NULL;
    store_close(to.store);
    to.store = NULL;
    copy_file(older, to.path);
    arm(FAULT_WRITE, 1, true);
    CHECK_INT(store_open(to.path, &options, &to.store, &error), !=, GV_OK);
    CHECK(disarm());
    cut_power(&to);
    CHECK(!file_has(&site));
    renewed = *store_site(to.store);
    store_close(to.store);
    to.store = NULL;
    cut_power(&to);
    CHECK(file_has(&renewed));
    copy_close(&to);
    copies_remove();
}

TEST(a_state_file_that_cannot_be_read_now_is_not_taken_for_none)
{
    struct store_options options = {.mode = STORE_WRITE,
                                    .host = copies_host()};
    char older[300];
    struct site site = make_older(older);
    char state[300], kept[300];
    int failed = 0;

    store_close(to.store);
    sqlite3_close(to.app);
    to.app = NULL;
    snprintf(state, sizeof state, "%s-gv/state", to.path);
    snprintf(kept, sizeof kept, "%s.state", to.path);
    copy_file(state, kept);
    for (bool was = true; was;) {
        struct gv_error error = {0};
        int rc;

        to.store = NULL;
        copy_file(older, to.path);
        copy_file(kept, state);
        arm(FAULT_READ, ++failed, false);
        rc = store_open(to.path, &options, &to.store, &error);
        was = disarm();
        CHECK_INT(rc == GV_OK, ==, to.store != NULL);
        if (rc == GV_OK)
            CHECK(!site_equal(&site, store_site(to.store)));
        store_close(to.store);
    }
    CHECK_INT(failed, >, 3);
    to.store = NULL;
    copy_close(&to);
    copies_remove();
}

/* A rollback whose reading failed leaves a vector that knows nothing. */
TEST(no_fault_makes_a_file_believe_that_it_went_back)
{
    gv_version own;
    int call = 1;

    copy_make(&to, "to", TABLE);
    track(&to, "t");
    for (bool was = true; was; call++) {
        struct gv_error error = {0};

        sql(&to, "INSERT OR REPLACE INTO t VALUES('k', random(), 1)");
        own = vv_get(store_vv(to.store), store_site(to.store));
        arm(FAULT_SQLITE, call, true);
        try_seal(&to);
        CHECK_INT(store_heard_own(to.store, own, &error), !=, GV_EMOVED);
        was = disarm();
        CHECK_INT(store_heard_own(to.store, own, &error), ==, GV_OK);
        CHECK_INT(try_seal(&to), ==, GV_OK);
    }
    CHECK_INT(call, >, 10);
    copy_close(&to);
    copies_remove();
}

TEST(a_seal_survives_any_fault)
{
    everywhere(SEAL);
}

TEST(an_interval_is_applied_whole_or_not_at_all)
{
    everywhere(INTERVAL);
}

TEST(a_delta_is_applied_whole_or_not_at_all)
{
    everywhere(DELTA);
}

TEST(a_bundle_is_applied_whole_or_not_at_all)
{
    everywhere(BUNDLE);
}

TEST(tables_are_made_whole_or_not_at_all)
{
    make_everywhere();
}

TEST(an_open_that_fails_changes_nothing)
{
    everywhere(OPEN);
}

TEST(a_track_that_fails_can_be_tried_again)
{
    everywhere(TRACK);
}

/* A file of format 1, as it was left. */
static void take_golden(void)
{
    char command[600];

    store_close(to.store);
    to.store = NULL;
    snprintf(command, sizeof command,
             "rm -rf '%s'* && cat '%s/format1.db' > '%s'", to.path, GOLDEN,
             to.path);
    CHECK(system(command) == 0);
}

/* Whatever fails, the file is of the old format, or whole of the new one. */
static void upgrade_failing(enum fault fault, int call, bool again,
                            bool *reached)
{
    sqlite3 *app;
    int64_t format = 0;
    int rc;

    take_golden();
    arm(fault, call, again);
    rc = try_open();
    *reached = disarm();
    CHECK(rc == GV_OK || *reached);
    CHECK(sqlite3_open(to.path, &app) == SQLITE_OK);
    sqlite3_close(to.app);
    to.app = app;
    format = atoi(ask(&to, "SELECT format FROM gv_meta"));
    CHECK(format == 1 || format == 2);
    CHECK_TEXT(ask(&to, "SELECT count(*) FROM sqlite_schema WHERE name ="
                        " 'gv_parked'"),
               format == 1 ? "0" : "1");
    if (rc != GV_OK)
        copy_reopen(&to, STORE_WRITE);
    CHECK_TEXT(ask(&to, "SELECT format FROM gv_meta"), "2");
    CHECK_INT(verify_findings(&to, NULL), ==, 0);
    CHECK(seal(&to).any);
}

TEST(an_upgrade_that_fails_changes_nothing)
{
    copy_make(&to, "to", TABLE);
    for (int fault = 0; fault < FAULT_COUNT; fault++)
        for (int again = 0; again < 2; again++) {
            bool reached = true;

            for (int call = 1; reached; call += 1 + call / 20)
                upgrade_failing((enum fault)fault, call, again, &reached);
        }
    copy_close(&to);
    copies_remove();
}

int main(int argc, char **argv)
{
    faults_install();
    return check_main(argc, argv);
}
