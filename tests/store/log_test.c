/* The log after a sync that failed, on the simulated disk: what no sync had
 * confirmed is written again, and what one had confirmed is not touched. */
#include "check.h"
#include "sim/disk/disk.h"
#include "store/store.h"

#include "grapevine.h"

#include <sqlite3.h>

#define SEEDS 12

static const enum disk_loss losses[] = {LOSS_ALL, LOSS_TAIL, LOSS_SOME,
                                        LOSS_TRASH};

static struct disk *disk;
static struct process *program, *node;
static sqlite3 *app;
static struct store *store;

static gv_time_ms wall(void *context)
{
    (void)context;
    return 1600000000000;
}

static void run(const char *text)
{
    char *message = NULL;

    if (sqlite3_exec(app, text, NULL, NULL, &message) != SQLITE_OK)
        fprintf(stderr, "%s: %s\n", text, message);
    CHECK(message == NULL);
}

static void app_start(const char *synchronous)
{
    char *pragma = sqlite3_mprintf("PRAGMA wal_autocheckpoint=0;"
                                   "PRAGMA synchronous=%s",
                                   synchronous);

    program = process_new(disk, "program", false);
    CHECK_INT(sqlite3_open_v2("/a.db", &app,
                              SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                              process_vfs(program)),
              ==, SQLITE_OK);
    run(pragma);
    sqlite3_free(pragma);
}

static void app_kill(void)
{
    process_kill(program);
    sqlite3_close(app);
    process_free(program);
}

static int node_open(struct gv_error *error)
{
    struct store_options options = {.mode = STORE_WRITE,
                                    .host = process_host(node),
                                    .vfs = process_vfs(node)};

    return store_open("/a.db", &options, &store, error);
}

static void node_start(void)
{
    struct gv_error error = {0};

    node = process_new(disk, "node", false);
    CHECK_INT(node_open(&error), ==, GV_OK);
}

static void node_kill(void)
{
    process_kill(node);
    store_close(store);
    process_free(node);
    store = NULL;
}

static void node_stop(void)
{
    store_close(store);
    process_free(node);
    store = NULL;
}

static int seal(void)
{
    struct store_sealed sealed;
    struct gv_error error = {0};
    int rc = store_begin(store, &error);

    return rc == GV_OK ? store_commit(store, &sealed, &error) : rc;
}

static void sync_fails(bool fails)
{
    const struct disk_faults faults = {.sync_error = fails ? 1000000 : 0,
                                       .sync_drops = fails};

    disk_set_faults(disk, &faults);
}

/* A file that is tracked, with an application and a node on it. */
static void setup(uint64_t seed, const char *synchronous)
{
    struct disk_options options = {
        .seed = seed,
        .sector = seed % 2 == 0 ? 512 : 4096,
        .characteristics = SQLITE_IOCAP_POWERSAFE_OVERWRITE,
        .wall = wall,
    };
    struct gv_error error = {0};
    struct buffer notes;

    disk_seed_sqlite(seed);
    disk = disk_new(&options);
    app_start(synchronous);
    run("PRAGMA journal_mode=WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    node_start();
    buffer_init(&notes, 65536);
    CHECK_INT(store_join(store, "shop", &error), ==, GV_OK);
    CHECK_INT(store_track(store, "t", &notes, &error), ==, GV_OK);
    buffer_close(&notes);
    CHECK_INT(seal(), ==, GV_OK);
}

static void teardown(void)
{
    disk_free(disk);
}

static void power_fails(enum disk_loss loss)
{
    app_kill();
    disk_power_cut(disk, loss);
    app_start("FULL");
}

static void check_row(int id)
{
    sqlite3_stmt *statement;

    CHECK_INT(sqlite3_prepare_v2(app, "SELECT count(*) FROM t WHERE id=?", -1,
                                 &statement, NULL),
              ==, SQLITE_OK);
    sqlite3_bind_int(statement, 1, id);
    CHECK_INT(sqlite3_step(statement), ==, SQLITE_ROW);
    CHECK_INT(sqlite3_column_int(statement, 0), ==, 1);
    sqlite3_finalize(statement);
}

/* Start a node that is killed at its @n-th change of the disk; false when it
 * got through before. */
static bool node_dies_at(uint64_t n, bool torn)
{
    struct gv_error error = {0};
    bool died;

    node = process_new(disk, "node", false);
    process_kill_at(node, n, torn);
    if (node_open(&error) != GV_OK)
        store = NULL;
    died = process_dead(node);
    node_stop();
    return died;
}

/* What comes after a log of which the node's last sync failed: a row that the
 * program alone had synced, or the node too. */
static void fail_after(const char *confirmed)
{
    run(confirmed);
    CHECK_INT(seal(), ==, GV_OK);
    run("INSERT INTO t VALUES(2,'later')");
    sync_fails(true);
    CHECK_INT(seal(), ==, GV_EIO);
    sync_fails(false);
    node_kill();
}

TEST(what_a_failed_sync_dropped_is_on_the_disk_before_it_is_told)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        setup(seed, "NORMAL");
        fail_after("INSERT INTO t VALUES(1,zeroblob(9000))");
        node_start();
        run("INSERT INTO t VALUES(3,'last')");
        CHECK_INT(seal(), ==, GV_OK);
        node_kill();
        power_fails(losses[seed % 4]);
        check_row(1);
        check_row(2);
        check_row(3);
        app_kill();
        teardown();
    }
}

/* After @begin a node dies at each of its changes of the disk in turn, and the
 * power fails: the first @rows rows are there. */
static void each_death(void (*begin)(void), bool tears, int rows)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        bool died = true;

        for (uint64_t n = 1; died; n++) {
            setup(seed, "FULL");
            begin();
            died = node_dies_at(n, tears && seed % 3 == 0);
            power_fails(losses[n % 4]);
            for (int id = 1; id <= rows; id++)
                check_row(id);
            app_kill();
            teardown();
        }
    }
}

static void fail_after_a_long_row(void)
{
    fail_after("INSERT INTO t VALUES(1,zeroblob(9000))");
}

TEST(mending_spoils_nothing_that_was_confirmed_before)
{
    each_death(fail_after_a_long_row, true, 1);
}

/* A checkpoint moved the marked log into the database file. */
static void fail_and_begin_the_log_anew(void)
{
    fail_after("INSERT INTO t VALUES(1,1)");
    /* The program is told of the failure, too: once. */
    sqlite3_exec(app, "PRAGMA wal_checkpoint", NULL, NULL, NULL);
    run("PRAGMA wal_checkpoint(RESTART)");
    run("INSERT INTO t VALUES(3,zeroblob(400000))");
}

TEST(a_log_that_was_begun_since_is_not_written_again)
{
    each_death(fail_and_begin_the_log_anew, false, 3);
}

TEST(after_a_failed_sync_nothing_is_told_until_the_file_is_opened_again)
{
    setup(1, "NORMAL");
    run("INSERT INTO t VALUES(1,1)");
    sync_fails(true);
    CHECK_INT(seal(), ==, GV_EIO);
    sync_fails(false);
    run("INSERT INTO t VALUES(2,2)");
    CHECK_INT(seal(), ==, GV_EIO);
    CHECK_INT(store_checkpoint(store), ==, GV_EIO);
    node_stop();
    node_start();
    run("INSERT INTO t VALUES(3,3)");
    CHECK_INT(seal(), ==, GV_OK);
    node_kill();
    power_fails(LOSS_ALL);
    for (int id = 1; id <= 3; id++)
        check_row(id);
    app_kill();
    teardown();
}

/* SQLite syncs the log at a checkpoint, and the system tells of a failure
 * once: the store's own sync would succeed. */
TEST(a_failed_sync_of_a_checkpoint_is_no_less_one)
{
    setup(1, "NORMAL");
    run("INSERT INTO t VALUES(1,1)");
    sync_fails(true);
    CHECK_INT(store_checkpoint(store), !=, GV_OK);
    sync_fails(false);
    CHECK_INT(seal(), ==, GV_EIO);
    node_kill();
    node_start();
    run("INSERT INTO t VALUES(2,2)");
    CHECK_INT(seal(), ==, GV_OK);
    node_kill();
    power_fails(LOSS_ALL);
    check_row(1);
    check_row(2);
    app_kill();
    teardown();
}

TEST(a_failed_sync_when_the_file_is_closed_is_no_less_one)
{
    for (int alone = 0; alone <= 1; alone++) {
        setup(1, "NORMAL");
        run("INSERT INTO t VALUES(1,1)");
        if (alone)
            app_kill(); /* the node is the last, whose close checkpoints */
        sync_fails(true);
        node_stop();
        sync_fails(false);
        if (alone)
            app_start("NORMAL");
        node_start();
        run("INSERT INTO t VALUES(2,2)");
        CHECK_INT(seal(), ==, GV_OK);
        node_kill();
        power_fails(LOSS_ALL);
        check_row(1);
        check_row(2);
        app_kill();
        teardown();
    }
}

/* A mark that says nothing: all of the log is written again. */
TEST(a_mark_that_is_not_whole_still_says_that_a_sync_failed)
{
    setup(1, "NORMAL");
    fail_after("INSERT INTO t VALUES(1,1)");
    {
        sqlite3_vfs *vfs = sqlite3_vfs_find(process_vfs(program));
        sqlite3_file *mark = calloc(1, (size_t)vfs->szOsFile);

        CHECK_INT(
            vfs->xOpen(vfs, "/a.db-gv/unsynced", mark,
                       SQLITE_OPEN_READWRITE | SQLITE_OPEN_MASTER_JOURNAL,
                       NULL),
            ==, SQLITE_OK);
        CHECK_INT(mark->pMethods->xTruncate(mark, 9), ==, SQLITE_OK);
        mark->pMethods->xClose(mark);
        free(mark);
    }
    node_start();
    node_kill();
    power_fails(LOSS_ALL);
    check_row(1);
    check_row(2);
    app_kill();
    teardown();
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
