/* What a running node costs the application beside it: the time of its
 * writes, transactions refused, the log's size and syncs.
 *
 * An untracked and a tracked file with a node take turns.  README.md explains
 * the output. */
#include "contacts.h"
#include "measure.h"
#include "processes.h"
#include "tracked.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROWS 10000
#define GAP_NS 1000000
#define FAST_GAP_NS (1000000000 / 3000)
#define NODE_PATIENCE_NS ((int64_t)60 * 1000000000)

struct settings {
    const char *directory;
    uint32_t commits;
    int seconds;
};

/* An application with a file. */
struct side {
    char path[600];
    sqlite3 *db;
    sqlite3_stmt *update, *select, *begin, *immediate, *commit, *rollback;
    uint32_t next;
};

/* The application's own syncs. */
static uint64_t sync_count;

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    sync_count++;
    return (int)syscall(SYS_fdatasync, fd);
}

static void fill(struct side *side)
{
    sqlite3_stmt *insert = contacts_prepare_insert(side->db, &contacts_narrow);

    plain_run(side->db, "BEGIN IMMEDIATE");
    for (uint32_t row = 0; row < ROWS; row++) {
        contacts_bind(insert, &contacts_narrow, row);
        plain_finish(insert);
    }
    plain_run(side->db, "COMMIT");
    sqlite3_finalize(insert);
}

static void open_side(struct side *side, const char *name, bool tracked)
{
    *side = (struct side){.next = 0};
    snprintf(side->path, sizeof side->path, "%s", directory_file(name));
    side->db = plain_open(side->path);
    contacts_create(side->db, &contacts_narrow);
    fill(side);
    if (tracked)
        tracked_make(side->path);
    side->update =
        plain_prepare(side->db, "UPDATE contacts SET phone=?2 WHERE id=?1");
    side->select =
        plain_prepare(side->db, "SELECT phone FROM contacts WHERE id=?1");
    side->begin = plain_prepare(side->db, "BEGIN");
    side->immediate = plain_prepare(side->db, "BEGIN IMMEDIATE");
    side->commit = plain_prepare(side->db, "COMMIT");
    side->rollback = plain_prepare(side->db, "ROLLBACK");
    plain_checkpoint(side->db);
}

static void close_side(struct side *side)
{
    sqlite3_stmt *const all[] = {side->update, side->select,
                                 side->begin,  side->immediate,
                                 side->commit, side->rollback};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sqlite3_finalize(all[i]);
    sqlite3_close(side->db);
}

static pid_t start_node(const char *path)
{
    const char *const arguments[] = {"run",    path,    "--mesh",   "bench",
                                     "--name", "bench", "--static", NULL};
    const char *log = directory_file("node.log");
    int64_t end = wall_now_ns() + NODE_PATIENCE_NS;
    char control[640];
    pid_t node = command_start(arguments, log);

    snprintf(control, sizeof control, "%s-gv/control", path);
    while (access(control, F_OK) != 0) {
        if (wall_now_ns() > end)
            die("The node does not start; see %s.", log);
        sleep_ns(10000000);
    }
    return node;
}

static void bind_update(struct side *side)
{
    uint32_t row = side->next++;

    contacts_bind_key(side->update, 1, &contacts_narrow, row * 7919 % ROWS);
    contacts_bind_change(side->update, 2, row, row / ROWS);
}

/* One autocommit update; its time. */
static int64_t write_one(struct side *side)
{
    int64_t begin;

    bind_update(side);
    begin = wall_now_ns();
    plain_finish(side->update);
    return wall_now_ns() - begin;
}

static uint64_t log_size(const struct side *side)
{
    struct stat status;
    char path[640];

    snprintf(path, sizeof path, "%s-wal", side->path);
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

/* Writes one @gap_ns apart. */
struct pace {
    struct samples taken;
    uint64_t syncs, log_max;
    double rate; /* a second */
};

static void write_paced(struct side *side, uint32_t commits, int64_t gap_ns,
                        struct pace *pace)
{
    int64_t begin = wall_now_ns(), next = begin;

    *pace = (struct pace){.log_max = 0};
    sync_count = 0;
    for (uint32_t i = 0; i < commits; i++) {
        uint64_t size;

        samples_add(&pace->taken, write_one(side));
        size = log_size(side);
        if (size > pace->log_max)
            pace->log_max = size;
        next += gap_ns;
        sleep_until_ns(next);
    }
    pace->syncs = sync_count;
    pace->rate = commits * 1e9 / (double)(wall_now_ns() - begin);
}

static void print_pace(const char *title, struct pace *alone,
                       struct pace *beside, uint32_t commits)
{
    double before = (double)samples_median(&alone->taken) / 1000;
    double after = (double)samples_median(&beside->taken) / 1000;

    printf("%-24s alone %6.1f us p50 (%.0f a second), beside %6.1f us p50"
           " (%.0f a second): %.2f x\n",
           title, before, alone->rate, after, beside->rate, after / before);
    printf("%-24s syncs of its own a commit: alone %.3f, beside %.3f;"
           " largest log %.1f MB\n",
           "", (double)alone->syncs / commits, (double)beside->syncs / commits,
           (double)beside->log_max / 1e6);
    samples_free(&alone->taken);
    samples_free(&beside->taken);
}

/* A transaction that reads, then writes; whether it could. */
static bool read_then_write(struct side *side, sqlite3_stmt *begin)
{
    int rc = sqlite3_step(begin);

    sqlite3_reset(begin);
    if (rc != SQLITE_DONE)
        return false;
    bind_update(side);
    contacts_bind_key(side->select, 1, &contacts_narrow, side->next % ROWS);
    sqlite3_step(side->select);
    sqlite3_reset(side->select);
    rc = sqlite3_step(side->update);
    sqlite3_reset(side->update);
    plain_finish(rc == SQLITE_DONE ? side->commit : side->rollback);
    return rc == SQLITE_DONE;
}

static void refusals(struct side *side, const char *name, sqlite3_stmt *begin,
                     uint32_t transactions)
{
    uint32_t refused = 0;

    for (uint32_t i = 0; i < transactions; i++) {
        refused += !read_then_write(side, begin);
        sleep_ns(GAP_NS);
    }
    printf("%-24s %u of %u refused (%.2f %%)\n", name, refused, transactions,
           100.0 * refused / transactions);
}

static void measure(const struct settings *settings)
{
    struct side plain, tracked;
    struct pace alone, beside;
    uint32_t fast = (uint32_t)settings->seconds * 3000;
    pid_t node;

    open_side(&plain, "plain.db", false);
    open_side(&tracked, "tracked.db", true);
    node = start_node(tracked.path);
    write_paced(&plain, settings->commits, GAP_NS, &alone);
    write_paced(&tracked, settings->commits, GAP_NS, &beside);
    print_pace("a write each ms", &alone, &beside, settings->commits);
    puts("                         (hold to 1.5 x)");
    write_paced(&plain, fast, FAST_GAP_NS, &alone);
    write_paced(&tracked, fast, FAST_GAP_NS, &beside);
    print_pace("3,000 writes a second", &alone, &beside, fast);
    puts("                         (hold to 0.05 syncs a commit, 8 MB)");
    puts("BEGIN; SELECT; UPDATE; COMMIT with gaps of 1 ms, timeout 10 s");
    refusals(&tracked, "BEGIN", tracked.begin, settings->commits);
    puts("                         (hold to 1 %)");
    refusals(&tracked, "BEGIN IMMEDIATE", tracked.immediate,
             settings->commits);
    puts("                         (hold to 0)");
    command_stop(node);
    close_side(&plain);
    close_side(&tracked);
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"dir", required_argument, NULL, 'd'},
        {"commits", required_argument, NULL, 'c'},
        {"seconds", required_argument, NULL, 's'},
        {"grapevine", required_argument, NULL, 'g'},
        {0}};
    struct settings settings = {
        .directory = BENCH_DIRECTORY, .commits = 3000, .seconds = 5};
    bool memory;
    int found;

    while ((found = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (found == 'd')
            settings.directory = optarg;
        else if (found == 'c')
            settings.commits = (uint32_t)strtoul(optarg, NULL, 10);
        else if (found == 's')
            settings.seconds = atoi(optarg);
        else if (found == 'g')
            command_use(optarg);
        else
            die("bench-beside [--dir D] [--commits N] [--seconds S]"
                " [--grapevine COMMAND]");
    }
    if (settings.commits == 0 || settings.seconds < 1)
        die("Commits and seconds are numbers above 0.");
    directory_make(settings.directory);
    printf("beside a node: SQLite %s, %s, %s; WAL, synchronous NORMAL,"
           " %d rows\n",
           sqlite3_libversion(), file_system(settings.directory, &memory),
           build_kind(), ROWS);
    measure(&settings);
    return 0;
}
