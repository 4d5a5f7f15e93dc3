/* The simulated disk: plain SQLite works on it, with several programs at
 * once, and what crashes leave is what SQLite promises. */
#include "check.h"
#include "sim/disk/disk.h"
#include "store/store.h"

#include "grapevine.h"

#include <sqlite3.h>

#define COMMITS 8

static const enum disk_loss losses[] = {LOSS_NONE, LOSS_ALL, LOSS_TAIL,
                                        LOSS_SOME, LOSS_TRASH};
static const char *const modes[] = {"WAL", "DELETE", "TRUNCATE"};

static gv_time_ms now_ms;
static unsigned events[DISK_EVENTS];

static gv_time_ms wall(void *context)
{
    (void)context;
    return now_ms;
}

static void count_event(void *context, enum disk_event event)
{
    (void)context;
    events[event]++;
}

static struct disk *make(uint64_t seed, unsigned sector)
{
    struct disk_options options = {
        .seed = seed,
        .sector = sector,
        .characteristics = SQLITE_IOCAP_POWERSAFE_OVERWRITE,
        .wall = wall,
        .event = count_event,
    };

    now_ms = 1600000000000;
    memset(events, 0, sizeof events);
    disk_seed_sqlite(seed);
    return disk_new(&options);
}

static sqlite3 *connect(const struct process *process)
{
    sqlite3 *db;

    CHECK_INT(sqlite3_open_v2("/a.db", &db,
                              SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                              process_vfs(process)),
              ==, SQLITE_OK);
    return db;
}

static int run(sqlite3 *db, const char *text)
{
    return sqlite3_exec(db, text, NULL, NULL, NULL);
}

static int set_mode(sqlite3 *db, const char *journal, const char *synchronous)
{
    char text[100];

    snprintf(text, sizeof text,
             "PRAGMA journal_mode=%s; PRAGMA synchronous=%s", journal,
             synchronous);
    return run(db, text);
}

/* The first column of the first row, or -1. */
static int64_t number(sqlite3 *db, const char *text)
{
    sqlite3_stmt *statement;
    int64_t found = -1;

    if (sqlite3_prepare_v2(db, text, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        found = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return found;
}

static void check_integrity(sqlite3 *db)
{
    CHECK_INT(number(db, "SELECT integrity_check='ok' FROM"
                         " pragma_integrity_check"),
              ==, 1);
}

static int create(sqlite3 *db)
{
    return run(db, "CREATE TABLE IF NOT EXISTS"
                   " t(id INTEGER PRIMARY KEY, v BLOB);"
                   "CREATE INDEX IF NOT EXISTS i ON t(v)");
}

/* Transaction @n: one row that says so, among other work. */
static int commit(sqlite3 *db, int n)
{
    char text[200];

    snprintf(text, sizeof text,
             "BEGIN IMMEDIATE;"
             "INSERT INTO t VALUES(%d,zeroblob(%d));"
             "UPDATE t SET v=zeroblob(%d) WHERE id%%3=%d;"
             "COMMIT",
             n, 100 * n, 70 * n, n % 3);
    return run(db, text);
}

/* How many transactions are there: always the first ones, none by half. */
static int64_t commits_kept(sqlite3 *db)
{
    int64_t count = number(db, "SELECT count(*) FROM t");

    check_integrity(db);
    if (count <= 0)
        return 0;
    CHECK_INT(number(db, "SELECT max(id) FROM t"), ==, count);
    CHECK_INT(number(db, "SELECT length(v) FROM t ORDER BY id DESC"), ==,
              70 * count);
    return count;
}

TEST(plain_sqlite_works_in_every_journal_mode)
{
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct disk *disk = make(1, 4096);
        struct process *process = process_new(disk, "p", false);
        sqlite3 *db = connect(process);

        CHECK_INT(set_mode(db, modes[i], "FULL"), ==, SQLITE_OK);
        CHECK_INT(create(db), ==, SQLITE_OK);
        for (int n = 1; n <= COMMITS; n++)
            CHECK_INT(commit(db, n), ==, SQLITE_OK);
        CHECK_INT(run(db, "CREATE TEMP TABLE u AS SELECT * FROM t; VACUUM"),
                  ==, SQLITE_OK);
        sqlite3_close(db);
        db = connect(process);
        CHECK_INT(commits_kept(db), ==, COMMITS);
        sqlite3_close(db);
        process_free(process);
        CHECK_INT(disk_size(disk), >, 4096);
        disk_free(disk);
    }
}

TEST(sqlite_reads_the_clock_of_the_disk)
{
    struct disk *disk = make(1, 512);
    struct process *process = process_new(disk, "p", false);
    sqlite3 *db = connect(process);

    CHECK_INT(number(db, "SELECT strftime('%s','now')"), ==, 1600000000);
    now_ms += 5000;
    CHECK_INT(number(db, "SELECT strftime('%s','now')"), ==, 1600000005);
    CHECK_INT(process_host(process)->wall(process_host(process)->context), ==,
              now_ms);
    sqlite3_close(db);
    process_free(process);
    disk_free(disk);
}

TEST(two_programs_see_each_others_commits_and_exclude_each_other)
{
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct disk *disk = make(2, 512);
        struct process *p = process_new(disk, "p", false);
        struct process *q = process_new(disk, "q", true);
        sqlite3 *a = connect(p), *b = connect(q);

        CHECK_INT(set_mode(a, modes[i], "NORMAL"), ==, SQLITE_OK);
        CHECK_INT(create(a), ==, SQLITE_OK);
        CHECK_INT(commit(a, 1), ==, SQLITE_OK);
        CHECK_INT(commits_kept(b), ==, 1);
        CHECK_INT(commit(b, 2), ==, SQLITE_OK);
        CHECK_INT(commits_kept(a), ==, 2);
        CHECK_INT(run(a, "BEGIN IMMEDIATE"), ==, SQLITE_OK);
        CHECK_INT(commit(b, 3), ==, SQLITE_BUSY);
        CHECK_INT(run(a, "ROLLBACK"), ==, SQLITE_OK);
        CHECK_INT(commit(b, 3), ==, SQLITE_OK);
        sqlite3_close(a);
        sqlite3_close(b);
        process_free(p);
        process_free(q);
        disk_free(disk);
    }
}

TEST(a_reader_keeps_its_snapshot_in_wal_and_the_lock_without)
{
    for (int wal = 0; wal < 2; wal++) {
        struct disk *disk = make(3, 512);
        struct process *p = process_new(disk, "p", false);
        struct process *q = process_new(disk, "q", false);
        sqlite3 *a = connect(p), *b = connect(q);

        CHECK_INT(set_mode(a, wal ? "WAL" : "DELETE", "FULL"), ==, SQLITE_OK);
        CHECK_INT(create(a), ==, SQLITE_OK);
        CHECK_INT(commit(a, 1), ==, SQLITE_OK);
        CHECK_INT(run(b, "BEGIN; SELECT * FROM t"), ==, SQLITE_OK);
        CHECK_INT(commit(a, 2), ==, wal ? SQLITE_OK : SQLITE_BUSY);
        CHECK_INT(number(b, "SELECT count(*) FROM t"), ==, 1);
        if (wal) /* the reader's mark holds the log */
            CHECK_INT(run(a, "PRAGMA wal_checkpoint(TRUNCATE)"), ==,
                      SQLITE_OK);
        CHECK_INT(number(b, "SELECT count(*) FROM t"), ==, 1);
        CHECK_INT(run(b, "COMMIT"), ==, SQLITE_OK);
        if (!wal) { /* PENDING was kept: the commit is only to be repeated */
            CHECK_INT(run(a, "COMMIT"), ==, SQLITE_OK);
        }
        CHECK_INT(number(b, "SELECT count(*) FROM t"), ==, 2);
        sqlite3_close(a);
        sqlite3_close(b);
        process_free(p);
        process_free(q);
        disk_free(disk);
    }
}

TEST(the_locks_of_a_killed_program_are_gone)
{
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct disk *disk = make(4, 512);
        struct process *p = process_new(disk, "p", false);
        struct process *q = process_new(disk, "q", false);
        sqlite3 *a = connect(p), *b = connect(q);

        CHECK_INT(set_mode(a, modes[i], "FULL"), ==, SQLITE_OK);
        CHECK_INT(create(a), ==, SQLITE_OK);
        CHECK_INT(commit(a, 1), ==, SQLITE_OK);
        CHECK_INT(run(a, "BEGIN IMMEDIATE; INSERT INTO t VALUES(9,'x')"), ==,
                  SQLITE_OK);
        CHECK_INT(commit(b, 2), ==, SQLITE_BUSY);
        process_kill(p);
        CHECK(process_dead(p));
        CHECK_INT(commit(b, 2), ==, SQLITE_OK);
        CHECK_INT(run(a, "COMMIT"), !=, SQLITE_OK);
        sqlite3_close(a);
        process_free(p);
        CHECK_INT(commits_kept(b), ==, 2);
        CHECK_INT(commit(b, 3), ==, SQLITE_OK);
        sqlite3_close(b);
        process_free(q);
        disk_free(disk);
    }
}

/* What a dead program still does in memory must not reach the others: it
 * rolls back in the wal-index while another one goes on writing. */
TEST(a_dead_program_changes_no_shared_memory)
{
    struct disk *disk = make(5, 512);
    struct process *p = process_new(disk, "p", false);
    struct process *q = process_new(disk, "q", false);
    sqlite3 *a = connect(p), *b = connect(q);

    CHECK_INT(set_mode(a, "WAL", "FULL"), ==, SQLITE_OK);
    CHECK_INT(create(a), ==, SQLITE_OK);
    CHECK_INT(commit(a, 1), ==, SQLITE_OK);
    CHECK_INT(run(a, "PRAGMA cache_size=2; BEGIN IMMEDIATE;"
                     "INSERT INTO t VALUES(9,zeroblob(100000))"),
              ==, SQLITE_OK);
    process_kill(p);
    for (int n = 2; n <= COMMITS; n++)
        CHECK_INT(commit(b, n), ==, SQLITE_OK);
    run(a, "ROLLBACK");
    sqlite3_close(a);
    process_free(p);
    CHECK_INT(commits_kept(b), ==, COMMITS);
    p = process_new(disk, "p", false);
    a = connect(p);
    CHECK_INT(commits_kept(a), ==, COMMITS);
    sqlite3_close(a);
    sqlite3_close(b);
    process_free(p);
    process_free(q);
    disk_free(disk);
}

struct crash {
    const char *mode, *synchronous;
    enum disk_loss loss;
    unsigned sector;
    bool torn;
    uint64_t at; /* 0: after all */
};

/* Commits until the crash, the power cut, and what is there afterwards.
 * Returns how many operations there were; *@told is what was acknowledged. */
static uint64_t crash(const struct crash *how, int *told, int64_t *kept)
{
    struct disk *disk = make(how->at + 7, how->sector);
    struct process *process = process_new(disk, "p", false);
    uint64_t operations;
    sqlite3 *db;
    int rc;

    process_kill_at(process, how->at, how->torn);
    rc = sqlite3_open_v2("/a.db", &db,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "p");
    if (rc == SQLITE_OK)
        rc = set_mode(db, how->mode, how->synchronous);
    if (rc == SQLITE_OK)
        rc = create(db);
    for (*told = 0; rc == SQLITE_OK && *told < COMMITS;) {
        rc = commit(db, *told + 1);
        *told += rc == SQLITE_OK;
        if (*told == COMMITS / 2)
            run(db, "PRAGMA wal_checkpoint");
    }
    if (how->at == 0)
        process_kill(process);
    CHECK(process_dead(process));
    operations = process_operations(process);
    sqlite3_close(db);
    process_free(process);
    disk_power_cut(disk, how->loss);
    process = process_new(disk, "p", false);
    db = connect(process);
    *kept = commits_kept(db);
    CHECK_INT(create(db), ==, SQLITE_OK);
    CHECK_INT(commit(db, (int)*kept + 1), ==, SQLITE_OK);
    sqlite3_close(db);
    process_free(process);
    disk_free(disk);
    return operations;
}

TEST(what_was_acknowledged_with_full_survives_every_power_cut)
{
    for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++)
        for (int torn = 0; torn < 2; torn++)
            for (unsigned sector = 512; sector <= 4096; sector *= 8) {
                struct crash how = {"WAL",  "FULL",    losses[i],
                                    sector, torn == 1, 0};
                int told;
                int64_t kept;
                uint64_t total = crash(&how, &told, &kept);

                CHECK_INT(told, ==, COMMITS);
                CHECK_INT(kept, ==, COMMITS);
                for (how.at = 1 + (uint64_t)torn; how.at <= total;
                     how.at += 2) { /* whole and torn in turns */
                    crash(&how, &told, &kept);
                    CHECK_INT(kept, >=, told);
                    CHECK_INT(kept, <=, told + 1);
                }
            }
}

/* Only the deletion of the journal may be undone, unless it is synced. */
TEST(a_rollback_journal_survives_every_power_cut)
{
    for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++)
        for (int torn = 0; torn < 2; torn++) {
            struct crash how = {"DELETE", "FULL",    losses[i],
                                512,      torn == 1, 0};
            int told;
            int64_t kept;
            uint64_t total = crash(&how, &told, &kept);

            for (how.at = 1 + (uint64_t)torn; how.at <= total;
                 how.at += 2) { /* whole and torn in turns */
                how.synchronous = "FULL";
                crash(&how, &told, &kept);
                CHECK_INT(kept, >=, told - 1);
                CHECK_INT(kept, <=, told + 1);
                how.synchronous = "EXTRA";
                crash(&how, &told, &kept);
                CHECK_INT(kept, >=, told);
            }
        }
}

TEST(unsynced_commits_may_be_lost_but_damage_nothing)
{
    int64_t lost_with[5] = {0};

    for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++)
        for (int torn = 0; torn < 2; torn++) {
            struct crash how = {"WAL", "NORMAL", losses[i], 512, torn == 1, 0};
            int told;
            int64_t kept;
            uint64_t total = crash(&how, &told, &kept);

            for (how.at = 1 + (uint64_t)torn; how.at <= total;
                 how.at += 2) { /* whole and torn in turns */
                crash(&how, &told, &kept);
                CHECK_INT(kept, <=, told + 1);
                if (kept < told)
                    lost_with[i] += told - kept;
            }
        }
    CHECK_INT(lost_with[0], ==, 0);
    for (size_t i = 1; i < sizeof losses / sizeof losses[0]; i++)
        CHECK_INT(lost_with[i], >, 0);
    CHECK_INT(lost_with[1], >=, lost_with[2]);
}

/* The shim itself can lose what SQLite needs: without syncs a power cut
 * damages a database sooner or later. */
TEST(a_program_that_never_syncs_is_damaged_by_trash)
{
    bool damaged = false;

    for (uint64_t seed = 1; seed <= 50 && !damaged; seed++) {
        struct disk *disk = make(seed, 512);
        struct process *process = process_new(disk, "p", false);
        sqlite3 *db = connect(process);

        set_mode(db, "DELETE", "FULL");
        create(db);
        set_mode(db, "DELETE", "OFF");
        for (int n = 1; n <= COMMITS; n++)
            commit(db, n);
        process_kill(process);
        sqlite3_close(db);
        process_free(process);
        disk_power_cut(disk, LOSS_TRASH);
        process = process_new(disk, "p", false);
        db = connect(process);
        damaged = number(db, "SELECT integrity_check='ok' FROM"
                             " pragma_integrity_check") != 1;
        sqlite3_close(db);
        process_free(process);
        disk_free(disk);
    }
    CHECK(damaged);
}

TEST(a_failed_sync_loses_its_writes_and_the_next_one_succeeds)
{
    struct disk *disk = make(8, 512);
    struct process *process = process_new(disk, "p", false);
    struct disk_faults faults = {.sync_error = 1000000, .sync_drops = true};
    sqlite3 *db = connect(process);

    CHECK_INT(set_mode(db, "WAL", "FULL"), ==, SQLITE_OK);
    CHECK_INT(create(db), ==, SQLITE_OK);
    CHECK_INT(commit(db, 1), ==, SQLITE_OK);
    disk_set_faults(disk, &faults);
    CHECK_INT(commit(db, 2), ==, SQLITE_IOERR);
    CHECK_INT(events[DISK_SYNC_ERROR], >, 0);
    disk_set_faults(disk, &(struct disk_faults){0});
    CHECK_INT(commit(db, 2), ==, SQLITE_OK);
    process_kill(process);
    sqlite3_close(db);
    process_free(process);
    disk_power_cut(disk, LOSS_ALL);
    process = process_new(disk, "p", false);
    db = connect(process);
    CHECK_INT(commits_kept(db), >=, 1);
    sqlite3_close(db);
    process_free(process);
    disk_free(disk);
}

TEST(a_full_disk_refuses_and_goes_on_when_there_is_room)
{
    struct disk *disk = make(9, 512);
    struct process *process = process_new(disk, "p", false);
    struct process *observer = process_new(disk, "o", true);
    sqlite3 *db = connect(process), *seen = connect(observer);
    struct disk_faults faults = {0};

    CHECK_INT(set_mode(db, "WAL", "FULL"), ==, SQLITE_OK);
    CHECK_INT(create(db), ==, SQLITE_OK);
    CHECK_INT(commit(db, 1), ==, SQLITE_OK);
    faults.capacity = disk_size(disk) + 1000;
    disk_set_faults(disk, &faults);
    CHECK_INT(commit(db, 2), ==, SQLITE_FULL);
    CHECK_INT(events[DISK_FULL], >, 0);
    CHECK_INT(disk_size(disk), <=, faults.capacity);
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    CHECK_INT(number(seen, "SELECT count(*) FROM t"), ==, 1);
    faults.capacity *= 100;
    disk_set_faults(disk, &faults);
    CHECK_INT(commit(db, 2), ==, SQLITE_OK);
    CHECK_INT(commits_kept(seen), ==, 2);
    sqlite3_close(db);
    sqlite3_close(seen);
    process_free(process);
    process_free(observer);
    disk_free(disk);
}

TEST(errors_hit_programs_and_spare_observers)
{
    struct disk *disk = make(10, 512);
    struct process *process = process_new(disk, "p", false);
    struct process *observer = process_new(disk, "o", true);
    struct disk_faults faults = {.read_error = 20000,
                                 .write_error = 50000,
                                 .sync_error = 50000,
                                 .read_us = 10,
                                 .write_us = 20,
                                 .sync_us = 1000};
    sqlite3 *db = connect(process), *seen = connect(observer);
    int n = 1;

    CHECK_INT(set_mode(db, "WAL", "FULL"), ==, SQLITE_OK);
    run(db, "PRAGMA cache_size=2");
    CHECK_INT(create(db), ==, SQLITE_OK);
    disk_latency_take(disk);
    disk_set_faults(disk, &faults);
    for (int i = 0; i < 300; i++) {
        if (commit(db, n) != SQLITE_OK)
            run(db, "ROLLBACK");
        n = (int)number(seen, "SELECT count(*) FROM t") + 1;
        CHECK_INT(n, >, 0);
    }
    check_integrity(seen);
    CHECK_INT(events[DISK_READ_ERROR], >, 0);
    CHECK_INT(events[DISK_WRITE_ERROR], >, 0);
    CHECK_INT(events[DISK_SYNC_ERROR], >, 0);
    CHECK_INT(disk_latency_take(disk), >, 1000);
    CHECK_INT(disk_latency_take(disk), ==, 0);
    CHECK_INT(process_operations(observer), ==, 0);
    sqlite3_close(db);
    sqlite3_close(seen);
    process_free(process);
    process_free(observer);
    disk_free(disk);
}

static uint64_t hash_of_a_run(uint64_t seed)
{
    struct disk *disk = make(seed, 512);
    struct process *process = process_new(disk, "p", false);
    struct disk_faults faults = {.write_error = 10000, .sync_error = 10000};
    sqlite3 *db = connect(process);
    uint64_t hash;

    set_mode(db, "WAL", "NORMAL");
    create(db);
    disk_set_faults(disk, &faults);
    for (int n = 1; n <= 40; n++)
        if (commit(db, n) != SQLITE_OK)
            run(db, "ROLLBACK");
    process_kill(process);
    sqlite3_close(db);
    process_free(process);
    disk_power_cut(disk, LOSS_TRASH);
    hash = disk_hash(disk);
    disk_free(disk);
    return hash;
}

TEST(the_same_seed_makes_the_same_disk)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        CHECK(hash_of_a_run(seed) == hash_of_a_run(seed));
        CHECK(hash_of_a_run(seed) != hash_of_a_run(seed + 1));
    }
}

static struct file_marks marks_of(const struct process *process)
{
    const struct host *host = process_host(process);
    struct file_marks marks;

    CHECK_INT(host->marks(host->context, "/a.db", &marks), ==, GV_OK);
    return marks;
}

TEST(images_bring_bytes_back_and_marks_as_asked)
{
    struct disk *disk = make(11, 512), *other = make(12, 512);
    struct process *p = process_new(disk, "p", false);
    struct process *q = process_new(other, "q", false);
    struct disk_image *image;
    struct file_marks before = marks_of((sqlite3_close(connect(p)), p)), after;
    sqlite3 *db = connect(p);
    uint64_t hash;

    set_mode(db, "WAL", "FULL");
    create(db);
    commit(db, 1);
    sqlite3_close(db);
    before = marks_of(p);
    hash = disk_hash(disk);
    image = disk_image_take(disk);
    db = connect(p);
    commit(db, 2);
    sqlite3_close(db);
    CHECK(disk_hash(disk) != hash);
    disk_image_put(disk, image, false);
    CHECK(disk_hash(disk) == hash);
    after = marks_of(p);
    CHECK(after.inode == before.inode && after.birth_ns == before.birth_ns);
    disk_image_put(other, image, false);
    CHECK(disk_hash(other) == hash);
    after = marks_of(q);
    CHECK(after.birth_ns != before.birth_ns);
    disk_image_put(other, image, true);
    after = marks_of(q);
    CHECK(after.inode == before.inode && after.birth_ns == before.birth_ns);
    db = connect(q);
    CHECK_INT(commits_kept(db), ==, 1);
    commit(db, 2);
    sqlite3_close(db);
    disk_image_leave_out(image, "/a.db");
    disk_image_put(other, image, false);
    CHECK(disk_hash(other) != hash);
    process_free(p);
    process_free(q);
    disk_image_free(image);
    disk_free(disk);
    disk_free(other);
}

TEST(a_file_put_in_the_place_of_an_open_one_is_noticed)
{
    struct disk *disk = make(13, 512);
    struct process *process = process_new(disk, "p", false);
    sqlite3_vfs *vfs = sqlite3_vfs_find("p");
    sqlite3 *db = connect(process);
    int moved = 1;

    set_mode(db, "DELETE", "FULL");
    create(db);
    sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    CHECK_INT(moved, ==, 0);
    CHECK_INT(vfs->xDelete(vfs, "/a.db", 1), ==, SQLITE_OK);
    sqlite3_close(connect(process));
    sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    CHECK_INT(moved, ==, 1);
    sqlite3_close(db);
    process_free(process);
    disk_free(disk);
}

TEST(one_process_has_the_lock_of_a_path_until_it_dies)
{
    struct disk *disk = make(14, 512);
    struct process *p = process_new(disk, "p", false);
    struct process *q = process_new(disk, "q", false);
    const struct host *a = process_host(p), *b = process_host(q);
    void *first, *second;

    CHECK_INT(a->directory(a->context, "/d"), ==, GV_OK);
    CHECK_INT(b->directory(b->context, "/d"), ==, GV_OK);
    CHECK_INT(a->lock(a->context, "/d/lock", &first), ==, GV_OK);
    CHECK_INT(a->lock(a->context, "/d/lock", &second), ==, GV_ELOCKED);
    CHECK_INT(b->lock(b->context, "/d/lock", &second), ==, GV_ELOCKED);
    process_kill(p);
    CHECK_INT(b->lock(b->context, "/d/lock", &second), ==, GV_OK);
    a->unlock(a->context, first);
    CHECK_INT(a->lock(a->context, "/d/other", &first), ==, GV_EIO);
    process_free(p);
    b->unlock(b->context, second);
    process_free(q);
    disk_free(disk);
}

/* The store on it */

static int track(struct process *process, bool join)
{
    struct store_options options = {.mode = STORE_WRITE,
                                    .host = process_host(process),
                                    .vfs = process_vfs(process)};
    struct gv_error error = {0};
    struct buffer notes;
    struct store *store;
    int rc = store_open("/a.db", &options, &store, &error);

    if (rc != GV_OK)
        return rc;
    buffer_init(&notes, 65536);
    if (join)
        rc = store_join(store, "shop", &error);
    if (rc == GV_OK)
        rc = store_track(store, "t", &notes, &error);
    buffer_close(&notes);
    process_kill(process); /* closing it would move the log into the file */
    store_close(store);
    return rc;
}

/* There is nothing to publish, so no seal syncs the log. */
TEST(a_table_that_is_empty_when_it_is_tracked_stays_tracked)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct disk *disk = make(seed, 4096);
        struct process *program = process_new(disk, "program", false);
        struct process *node = process_new(disk, "node", false);
        sqlite3 *db = connect(program);

        CHECK_INT(create(db), ==, SQLITE_OK);
        sqlite3_close(db);
        CHECK_INT(track(node, seed % 2 == 0), ==, GV_OK);
        process_free(node);
        process_free(program);
        disk_power_cut(disk, losses[seed % 5]);
        program = process_new(disk, "after", false);
        db = connect(program);
        CHECK_INT(number(db, "SELECT count(*) FROM gv_table"), ==, 1);
        check_integrity(db);
        sqlite3_close(db);
        process_free(program);
        disk_free(disk);
    }
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
