/* From a commit in one file to its row in another, through two nodes that
 * are linked directly; beside it, from the same run, what the least possible
 * way is made of.  README.md explains the output. */
#include "contacts.h"
#include "measure.h"
#include "processes.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <zmq.h>

#define PACE_NS ((int64_t)10 * 1000000)
/* Short enough not to count beside a sync, long enough to leave the nodes
 * both cores. */
#define READER_PAUSE_NS 20000
/* Commits and floor samples take turns in blocks of this many. */
#define BLOCK 100
#define WARM_UP 50
#define PATIENCE_NS ((int64_t)30 * 1000000000)
/* A NEWS of one row has about this many bytes. */
#define PAYLOAD_SIZE 300
#define TARGET 2.0

struct settings {
    const char *directory;
    uint32_t commits;
    int idle_s;
    int port;
    bool anyway;
};

/* The reader of file B: the moment each row was seen. */
struct reader {
    pthread_t thread;
    sqlite3 *db;
    uint32_t count;
    int64_t *seen_ns;
    atomic_uint seen; /* rows 0 … seen - 1 */
    atomic_bool stop;
};

static int64_t read_number(sqlite3_stmt *statement)
{
    int64_t number = -1;

    if (sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return number;
}

/* Commits come over in order, so only the next row is asked for. */
static void look(struct reader *reader, sqlite3_stmt *select)
{
    uint32_t row = atomic_load(&reader->seen);

    while (row < reader->count) {
        contacts_bind_key(select, 1, &contacts_narrow, row);
        if (read_number(select) < 0)
            break;
        reader->seen_ns[row++] = wall_now_ns();
        atomic_store(&reader->seen, row);
    }
}

static void *read_on(void *context)
{
    struct reader *reader = context;
    sqlite3_stmt *version = plain_prepare(reader->db, "PRAGMA data_version");
    sqlite3_stmt *select =
        plain_prepare(reader->db, "SELECT length(name) FROM contacts"
                                  " WHERE id=?1");
    int64_t last = -1;

    /* The kernel adds 50 us to a pause otherwise. */
    prctl(PR_SET_TIMERSLACK, 1UL);
    while (!atomic_load(&reader->stop)) {
        int64_t now = read_number(version);

        if (now != last)
            look(reader, select);
        last = now;
        sleep_ns(READER_PAUSE_NS);
    }
    sqlite3_finalize(version);
    sqlite3_finalize(select);
    return NULL;
}

static void reader_start(struct reader *reader, const char *path,
                         uint32_t count)
{
    reader->db = plain_open(path);
    reader->count = count;
    reader->seen_ns = calloc(count, sizeof *reader->seen_ns);
    if (reader->seen_ns == NULL)
        die("Out of memory.");
    if (pthread_create(&reader->thread, NULL, read_on, reader) != 0)
        die("Cannot start a thread.");
}

static void reader_wait(struct reader *reader, uint32_t rows)
{
    int64_t end = wall_now_ns() + PATIENCE_NS;

    while (atomic_load(&reader->seen) < rows) {
        if (wall_now_ns() > end)
            die("Row %u does not come over.", atomic_load(&reader->seen));
        sleep_ns(1000000);
    }
}

static void reader_stop(struct reader *reader)
{
    atomic_store(&reader->stop, true);
    pthread_join(reader->thread, NULL);
    sqlite3_close(reader->db);
}

/* A bare message between two contexts, as between two processes; the receiver
 * sleeps in poll and has to be woken. */
struct courier {
    pthread_t thread;
    void *contexts[2];
    void *router, *dealer;
    atomic_llong arrived_ns;
};

static void *receive_on(void *context)
{
    struct courier *courier = context;
    uint8_t bytes[PAYLOAD_SIZE + 64];

    for (;;) {
        zmq_pollitem_t item = {courier->router, 0, ZMQ_POLLIN, 0};
        int size = 0, more = 1;
        size_t more_size = sizeof more;

        zmq_poll(&item, 1, -1);
        while (more) {
            size = zmq_recv(courier->router, bytes, sizeof bytes, 0);
            if (size < 0)
                return NULL;
            zmq_getsockopt(courier->router, ZMQ_RCVMORE, &more, &more_size);
        }
        atomic_store(&courier->arrived_ns, wall_now_ns());
        if (size == 1)
            return NULL; /* the last message */
    }
}

static void courier_start(struct courier *courier)
{
    char endpoint[128];
    size_t size = sizeof endpoint;

    for (int i = 0; i < 2; i++)
        courier->contexts[i] = zmq_ctx_new();
    courier->router = zmq_socket(courier->contexts[0], ZMQ_ROUTER);
    courier->dealer = zmq_socket(courier->contexts[1], ZMQ_DEALER);
    if (zmq_bind(courier->router, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(courier->router, ZMQ_LAST_ENDPOINT, endpoint, &size) !=
            0 ||
        zmq_connect(courier->dealer, endpoint) != 0)
        die("Cannot connect two sockets: %s.", zmq_strerror(errno));
    if (pthread_create(&courier->thread, NULL, receive_on, courier) != 0)
        die("Cannot start a thread.");
}

static int64_t courier_send(struct courier *courier)
{
    uint8_t bytes[PAYLOAD_SIZE] = {0};
    int64_t begin = wall_now_ns(), arrived;

    atomic_store(&courier->arrived_ns, 0);
    if (zmq_send(courier->dealer, bytes, sizeof bytes, 0) < 0)
        die("Cannot send: %s.", zmq_strerror(errno));
    while ((arrived = atomic_load(&courier->arrived_ns)) == 0)
        sleep_ns(100000);
    return arrived - begin;
}

static void courier_stop(struct courier *courier)
{
    zmq_send(courier->dealer, "", 1, 0);
    pthread_join(courier->thread, NULL);
    zmq_close(courier->dealer);
    zmq_close(courier->router);
    for (int i = 0; i < 2; i++)
        zmq_ctx_term(courier->contexts[i]);
}

/* The floor's parts */

struct floor {
    sqlite3 *first, *second; /* plain files on the same disk */
    sqlite3_stmt *first_insert, *second_insert;
    struct courier courier;
    struct samples first_commit, sync, message, second_commit;
};

static void floor_open(struct floor *floor)
{
    floor->first = plain_open(directory_file("floor-1.db"));
    floor->second = plain_open(directory_file("floor-2.db"));
    contacts_create(floor->first, &contacts_narrow);
    contacts_create(floor->second, &contacts_narrow);
    floor->first_insert =
        contacts_prepare_insert(floor->first, &contacts_narrow);
    floor->second_insert =
        contacts_prepare_insert(floor->second, &contacts_narrow);
    courier_start(&floor->courier);
}

static void floor_close(struct floor *floor)
{
    courier_stop(&floor->courier);
    sqlite3_finalize(floor->first_insert);
    sqlite3_finalize(floor->second_insert);
    sqlite3_close(floor->first);
    sqlite3_close(floor->second);
}

static int64_t timed_insert(sqlite3_stmt *insert, uint32_t row)
{
    int64_t begin;

    contacts_bind(insert, &contacts_narrow, row);
    begin = wall_now_ns();
    plain_finish(insert);
    return wall_now_ns() - begin;
}

/* The write-ahead log's own handle, right after a commit was appended. */
static int64_t timed_sync(sqlite3 *db)
{
    sqlite3_file *file = NULL;
    int64_t begin;

    sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
    if (file == NULL || file->pMethods == NULL)
        die("There is no write-ahead log.");
    begin = wall_now_ns();
    if (file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) != SQLITE_OK)
        die("Cannot sync the write-ahead log.");
    return wall_now_ns() - begin;
}

/* One of each, a third of the pace apart, so that each finds the machine as
 * idle as the nodes do. */
static void floor_sample(struct floor *floor, uint32_t row, int64_t at_ns)
{
    sleep_until_ns(at_ns);
    samples_add(&floor->first_commit, timed_insert(floor->first_insert, row));
    samples_add(&floor->sync, timed_sync(floor->first));
    sleep_until_ns(at_ns + PACE_NS / 3);
    samples_add(&floor->message, courier_send(&floor->courier));
    sleep_until_ns(at_ns + 2 * PACE_NS / 3);
    samples_add(&floor->second_commit,
                timed_insert(floor->second_insert, row));
}

/* The nodes */

struct nodes {
    char paths[2][600];
    pid_t pids[2];
};

static void make_file(const char *path)
{
    const char *const track[] = {"track", path, "contacts", NULL};
    sqlite3 *db = plain_open(path);

    contacts_create(db, &contacts_narrow);
    sqlite3_close(db);
    command_run(track);
}

static void start_nodes(struct nodes *nodes, int port)
{
    char endpoint[64];
    const char *const first[] = {
        "run", nodes->paths[0], "--mesh",   "bench",  "--name",
        "a",   "--static",      "--listen", endpoint, NULL};
    const char *const second[] = {
        "run", nodes->paths[1], "--mesh", "bench",  "--name",
        "b",   "--static",      "--peer", endpoint, NULL};

    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
    nodes->pids[0] = command_start(first, directory_file("a.log"));
    nodes->pids[1] = command_start(second, directory_file("b.log"));
}

static void make_nodes(struct nodes *nodes, int port)
{
    for (int i = 0; i < 2; i++) {
        snprintf(nodes->paths[i], sizeof nodes->paths[i], "%s",
                 directory_file(i == 0 ? "a.db" : "b.db"));
        make_file(nodes->paths[i]);
    }
    start_nodes(nodes, port);
}

/* The run */

struct run {
    sqlite3 *db;
    sqlite3_stmt *insert;
    int64_t *begun_ns, *done_ns;
    uint32_t late; /* commits that began over 1 ms after their time */
};

static void timed_commit(struct run *run, uint32_t row, int64_t at_ns)
{
    int rc;

    contacts_bind(run->insert, &contacts_narrow, row);
    sleep_until_ns(at_ns);
    run->begun_ns[row] = wall_now_ns();
    rc = sqlite3_step(run->insert);
    run->done_ns[row] = wall_now_ns();
    if (rc != SQLITE_DONE)
        die("Cannot commit: %s.", sqlite3_errmsg(run->db));
    sqlite3_reset(run->insert);
    run->late += run->begun_ns[row] - at_ns > 1000000;
}

static void run_commits(struct run *run, uint32_t from, uint32_t to)
{
    int64_t start = wall_now_ns() + PACE_NS;

    for (uint32_t row = from; row < to; row++)
        timed_commit(run, row, start + (int64_t)(row - from) * PACE_NS);
}

static void run_open(struct run *run, const char *path, uint32_t count)
{
    run->db = plain_open(path);
    run->insert = contacts_prepare_insert(run->db, &contacts_narrow);
    run->begun_ns = calloc(count, sizeof *run->begun_ns);
    run->done_ns = calloc(count, sizeof *run->done_ns);
    if (run->begun_ns == NULL || run->done_ns == NULL)
        die("Out of memory.");
}

/* Commits and the floor by turns. */
static void run_blocks(struct run *run, struct floor *floor,
                       struct reader *reader, uint32_t count)
{
    run_commits(run, 0, WARM_UP);
    reader_wait(reader, WARM_UP);
    run->late = 0;
    for (uint32_t from = WARM_UP; from < count; from += BLOCK) {
        uint32_t to = count - from < BLOCK ? count : from + BLOCK;
        int64_t start;

        run_commits(run, from, to);
        reader_wait(reader, to);
        start = wall_now_ns() + PACE_NS;
        for (uint32_t i = 0; i < to - from; i++)
            floor_sample(floor, from + i, start + (int64_t)i * PACE_NS);
    }
}

/* Output */

static double us_at(struct samples *samples, double part)
{
    return (double)samples_at(samples, part) / 1000;
}

static void print_part(const char *what, struct samples *samples)
{
    printf("  %-36s %8.0f %8.0f\n", what, us_at(samples, 0.5),
           us_at(samples, 0.99));
}

static double print_floor(struct floor *floor)
{
    double sum = us_at(&floor->first_commit, 0.5) + us_at(&floor->sync, 0.5) +
                 us_at(&floor->message, 0.5) +
                 us_at(&floor->second_commit, 0.5);

    printf("\nfloor, us                                   p50      p99\n");
    print_part("a plain commit", &floor->first_commit);
    print_part("a sync of that write-ahead log", &floor->sync);
    print_part("a message, ROUTER/DEALER, one way", &floor->message);
    print_part("a plain commit", &floor->second_commit);
    printf("  %-36s %8.0f\n", "sum of p50", sum);
    return sum;
}

static void print_run(const struct run *run, const struct reader *reader,
                      double floor)
{
    struct samples after = {0}, whole = {0}, commit = {0};

    for (uint32_t row = WARM_UP; row < reader->count; row++) {
        samples_add(&commit, run->done_ns[row] - run->begun_ns[row]);
        samples_add(&after, reader->seen_ns[row] - run->done_ns[row]);
        samples_add(&whole, reader->seen_ns[row] - run->begun_ns[row]);
    }
    printf("\ncommit to visible, us                       p50      p99\n");
    print_part("the application's commit", &commit);
    print_part("from its end to visible", &after);
    print_part("from its begin to visible", &whole);
    printf("\ncommit to visible p50 %.0f us, %.2f times the floor (hold to"
           " %.1f); p99 %.0f us\n",
           us_at(&whole, 0.5), us_at(&whole, 0.5) / floor, TARGET,
           us_at(&whole, 0.99));
    printf("from the commit's end: p50 %.0f us, %.2f times the floor\n",
           us_at(&after, 0.5), us_at(&after, 0.5) / floor);
    printf("commits that began over 1 ms late: %u of %u\n", run->late,
           reader->count - WARM_UP);
    samples_free(&after);
    samples_free(&whole);
    samples_free(&commit);
}

static void print_idle(const struct nodes *nodes, int seconds)
{
    int64_t before[2], after[2];

    if (seconds == 0)
        return;
    sleep_ns((int64_t)2 * 1000000000); /* what still follows the commits */
    for (int i = 0; i < 2; i++)
        before[i] = command_cpu_ms(nodes->pids[i]);
    sleep_ns((int64_t)seconds * 1000000000);
    for (int i = 0; i < 2; i++)
        after[i] = command_cpu_ms(nodes->pids[i]);
    printf("idle CPU of the two nodes over %d s: %.2f %% and %.2f %% of a"
           " core\n",
           seconds, (double)(after[0] - before[0]) / 10 / seconds,
           (double)(after[1] - before[1]) / 10 / seconds);
}

static void take_options(int argc, char **argv, struct settings *settings)
{
    static const struct option names[] = {
        {"dir", required_argument, NULL, 'd'},
        {"commits", required_argument, NULL, 'c'},
        {"idle", required_argument, NULL, 'i'},
        {"port", required_argument, NULL, 'p'},
        {"grapevine", required_argument, NULL, 'g'},
        {"anyway", no_argument, NULL, 'a'},
        {0}};
    int found;

    while ((found = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (found == 'd')
            settings->directory = optarg;
        else if (found == 'c')
            settings->commits = (uint32_t)strtoul(optarg, NULL, 10);
        else if (found == 'i')
            settings->idle_s = atoi(optarg);
        else if (found == 'p')
            settings->port = atoi(optarg);
        else if (found == 'g')
            command_use(optarg);
        else if (found == 'a')
            settings->anyway = true;
        else
            die("bench-commit-to-visible [--dir D] [--commits N] [--idle S]"
                " [--port N] [--grapevine COMMAND] [--anyway]");
    }
    if (settings->commits == 0)
        die("Commits are a number above 0.");
}

static void print_head(const struct settings *settings)
{
    bool memory;
    const char *name = file_system(settings->directory, &memory);

    if (memory && !settings->anyway)
        die("%s lies in memory (%s): a sync there costs nothing. Name a"
            " directory on a disk with --dir, or say --anyway.",
            settings->directory, name);
    printf("commit to visible: SQLite %s, %s, %s\n", sqlite3_libversion(),
           name, build_kind());
    printf("%u commits 10 ms apart, in blocks of %d by turns with the floor;"
           " two nodes on 127.0.0.1, shipped settings\n"
           "the reader asks PRAGMA data_version with pauses of %d us, then"
           " for the row by its key\n",
           settings->commits, BLOCK, READER_PAUSE_NS / 1000);
}

int main(int argc, char **argv)
{
    struct settings settings = {.directory = BENCH_DIRECTORY,
                                .commits = 1000,
                                .idle_s = 10,
                                .port = 28431};
    static struct nodes nodes;
    static struct floor floor;
    static struct reader reader;
    struct run run = {0};
    uint32_t count;

    take_options(argc, argv, &settings);
    print_head(&settings);
    directory_make(settings.directory);
    prctl(PR_SET_TIMERSLACK, 1UL);
    count = settings.commits + WARM_UP;
    make_nodes(&nodes, settings.port);
    run_open(&run, nodes.paths[0], count);
    floor_open(&floor);
    reader_start(&reader, nodes.paths[1], count);
    run_blocks(&run, &floor, &reader, count);
    reader_stop(&reader);
    print_run(&run, &reader, print_floor(&floor));
    floor_close(&floor);
    print_idle(&nodes, settings.idle_s);
    for (int i = 0; i < 2; i++)
        command_stop(nodes.pids[i]);
    sqlite3_finalize(run.insert);
    sqlite3_close(run.db);
    free(run.begun_ns);
    free(run.done_ns);
    free(reader.seen_ns);
    return 0;
}
