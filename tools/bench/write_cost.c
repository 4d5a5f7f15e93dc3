/* What tracking costs the application that writes.
 *
 * The same rows go into a tracked and into an untracked table, by turns, each
 * time into new files; one prepared statement a row on both sides.  README.md
 * explains the output. */
#include "contacts.h"
#include "measure.h"
#include "processes.h"
#include "tracked.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TARGET 1.7
/* The node seals what waits within a second or so for each 200,000 rows. */
#define NODE_PATIENCE_NS ((int64_t)120 * 1000000000)

enum side { PLAIN, TRACKED, BESIDE_PATIENT, BESIDE_HASTY, SIDES };

static const char *const side_names[SIDES] = {"untracked", "tracked",
                                              "tracked, node, timeout 10 s",
                                              "tracked, node, no timeout"};

enum operation { INSERT, UPDATE, DELETE, OPERATIONS };

static const char *const operation_names[OPERATIONS] = {"insert", "update",
                                                        "delete"};
/* Rows a transaction; 0: all.  The last one does the whole table in one
 * statement, so it has no insert. */
enum batch { BATCH_ONE, BATCH_HUNDRED, BATCH_ALL, BATCH_STATEMENT, BATCHES };

static const char *const batch_names[BATCHES] = {
    "1 a transaction", "100 a transaction", "all in one", "one statement"};
static const uint32_t batch_rows[BATCHES] = {1, 100, UINT32_MAX, 0};

struct results {
    struct samples wall, cpu; /* ns a row */
    uint64_t busy;            /* SQLITE_BUSY answers, all rounds */
    uint64_t transactions;
};

struct settings {
    const char *directory;
    uint32_t rows;
    uint32_t single_rows;
    int rounds;
    bool node;
};

struct writer {
    sqlite3 *db;
    sqlite3_stmt *begin, *commit, *statements[OPERATIONS];
    uint32_t first_row;
    uint64_t busy;
};

static struct results results[SIDES][BATCHES][OPERATIONS];

/* Do it again for as long as the file is busy: each refusal counts. */
static void write_step(struct writer *writer, sqlite3_stmt *statement)
{
    int rc;

    while ((rc = sqlite3_step(statement)) == SQLITE_BUSY) {
        sqlite3_reset(statement);
        writer->busy++;
        sleep_ns(100000);
    }
    if (rc != SQLITE_DONE)
        die("%s: %s.", sqlite3_sql(statement), sqlite3_errmsg(writer->db));
    sqlite3_reset(statement);
}

static void write_row(struct writer *writer, enum operation operation,
                      uint32_t row)
{
    sqlite3_stmt *statement = writer->statements[operation];

    row += writer->first_row;
    switch (operation) {
    case INSERT:
        contacts_bind(statement, &contacts_narrow, row);
        break;
    case UPDATE:
        contacts_bind_key(statement, 1, &contacts_narrow, row);
        contacts_bind_change(statement, 2, row, 1);
        break;
    case DELETE:
        contacts_bind_key(statement, 1, &contacts_narrow, row);
        break;
    case OPERATIONS:
        break;
    }
    write_step(writer, statement);
}

static uint64_t write_rows(struct writer *writer, enum operation operation,
                           uint32_t rows, uint32_t batch)
{
    uint64_t transactions = 0;

    for (uint32_t row = 0; row < rows; transactions++) {
        uint32_t end = rows - row < batch ? rows : row + batch;

        if (batch > 1)
            write_step(writer, writer->begin);
        for (; row < end; row++)
            write_row(writer, operation, row);
        if (batch > 1)
            write_step(writer, writer->commit);
    }
    return transactions;
}

static void open_writer(struct writer *writer, const char *path)
{
    *writer = (struct writer){.db = plain_open(path)};
    writer->begin = plain_prepare(writer->db, "BEGIN IMMEDIATE");
    writer->commit = plain_prepare(writer->db, "COMMIT");
    writer->statements[INSERT] =
        contacts_prepare_insert(writer->db, &contacts_narrow);
    writer->statements[UPDATE] =
        plain_prepare(writer->db, "UPDATE contacts SET phone=?2 WHERE id=?1");
    writer->statements[DELETE] =
        plain_prepare(writer->db, "DELETE FROM contacts WHERE id=?1");
}

static void close_writer(struct writer *writer)
{
    sqlite3_finalize(writer->begin);
    sqlite3_finalize(writer->commit);
    for (int i = 0; i < OPERATIONS; i++)
        sqlite3_finalize(writer->statements[i]);
    if (sqlite3_close(writer->db) != SQLITE_OK)
        die("Cannot close the file: %s.", sqlite3_errmsg(writer->db));
}

/* A node beside works off the journal; what it still owes of one measurement
 * must not fall into the next. */
static void wait_for_node(struct writer *writer)
{
    int64_t end = wall_now_ns() + NODE_PATIENCE_NS;

    while (plain_number(writer->db,
                        "SELECT EXISTS(SELECT 1 FROM gv_journal)") != 0) {
        if (wall_now_ns() > end)
            die("The node does not seal.");
        sleep_ns(10000000);
    }
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

static void settle(struct writer *writer, bool beside)
{
    if (beside)
        wait_for_node(writer);
    plain_checkpoint(writer->db);
}

static void note(struct results *into, struct span span, uint32_t rows)
{
    samples_add(&into->wall, span.wall_ns / rows);
    samples_add(&into->cpu, span.cpu_ns / rows);
}

static void measure_batch(struct writer *writer, enum side side,
                          enum batch batch, uint32_t rows)
{
    for (int i = 0; i < OPERATIONS; i++) {
        struct results *into = &results[side][batch][i];
        struct span begin;

        settle(writer, side >= BESIDE_PATIENT);
        writer->busy = 0;
        begin = span_begin();
        into->transactions +=
            write_rows(writer, (enum operation)i, rows, batch_rows[batch]);
        note(into, span_end(begin), rows);
        into->busy += writer->busy;
    }
}

static void measure_statement(struct writer *writer, enum side side,
                              uint32_t rows)
{
    static const char *const texts[OPERATIONS] = {
        NULL, "UPDATE contacts SET note='somewhere else'",
        "DELETE FROM contacts"};

    write_rows(writer, INSERT, rows, rows);
    for (int i = UPDATE; i < OPERATIONS; i++) {
        struct results *into = &results[side][BATCH_STATEMENT][i];
        sqlite3_stmt *statement = plain_prepare(writer->db, texts[i]);
        struct span begin;

        settle(writer, side >= BESIDE_PATIENT);
        writer->busy = 0;
        begin = span_begin();
        write_step(writer, statement);
        note(into, span_end(begin), rows);
        into->transactions++;
        into->busy += writer->busy;
        sqlite3_finalize(statement);
    }
}

static void make_file(const char *path, enum side side)
{
    sqlite3 *db = plain_open(path);

    contacts_create(db, &contacts_narrow);
    sqlite3_close(db);
    if (side != PLAIN)
        tracked_make(path);
}

static void remove_file(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char name[600];

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

static void measure(const struct settings *settings, int round, enum side side,
                    enum batch batch)
{
    uint32_t rows =
        batch == BATCH_ONE ? settings->single_rows : settings->rows;
    struct writer writer;
    char name[64], path[600];
    pid_t node = 0;

    snprintf(name, sizeof name, "%d-%d-%d.db", round, side, batch);
    snprintf(path, sizeof path, "%s", directory_file(name));
    make_file(path, side);
    if (side >= BESIDE_PATIENT)
        node = start_node(path);
    open_writer(&writer, path);
    writer.first_row = (uint32_t)round * settings->rows;
    if (side == BESIDE_HASTY)
        sqlite3_busy_timeout(writer.db, 0);
    if (batch == BATCH_STATEMENT)
        measure_statement(&writer, side, rows);
    else
        measure_batch(&writer, side, batch, rows);
    if (node != 0)
        command_stop(node);
    close_writer(&writer);
    remove_file(path);
}

static double microseconds(struct samples *samples)
{
    return (double)samples_median(samples) / 1000;
}

static double ratio(struct samples *a, struct samples *b)
{
    return (double)samples_median(a) / (double)samples_median(b);
}

static void print_line(enum side side, enum batch batch, int operation)
{
    struct results *plain = &results[PLAIN][batch][operation];
    struct results *other = &results[side][batch][operation];

    printf("%-8s %-18s %8.2f %8.2f %6.2f   %8.2f %8.2f %6.2f",
           operation_names[operation], batch_names[batch],
           microseconds(&plain->cpu), microseconds(&other->cpu),
           ratio(&other->cpu, &plain->cpu), microseconds(&plain->wall),
           microseconds(&other->wall), ratio(&other->wall, &plain->wall));
    if (side >= BESIDE_PATIENT)
        printf(" %8llu of %llu", (unsigned long long)other->busy,
               (unsigned long long)other->transactions);
    putchar('\n');
}

static void print_side(enum side side)
{
    printf("\n%s\n", side_names[side]);
    printf("%-27s %8s %8s %6s   %8s %8s %6s%s\n", "us a row, median", "plain",
           "tracked", "ratio", "plain", "tracked", "ratio",
           side >= BESIDE_PATIENT ? "     busy of transactions" : "");
    printf("%-27s %24s   %24s\n", "", "CPU", "wall");
    for (int batch = 0; batch < BATCHES; batch++)
        for (int i = batch == BATCH_STATEMENT; i < OPERATIONS; i++)
            print_line(side, (enum batch)batch, i);
}

/* The largest ratio without a node, a statement a row. */
static void print_worst(void)
{
    double cpu = 0, wall = 0;

    for (int batch = 0; batch < BATCH_STATEMENT; batch++) {
        for (int i = 0; i < OPERATIONS; i++) {
            struct results *plain = &results[PLAIN][batch][i];
            struct results *tracked = &results[TRACKED][batch][i];

            cpu = fmax(cpu, ratio(&tracked->cpu, &plain->cpu));
            wall = fmax(wall, ratio(&tracked->wall, &plain->wall));
        }
    }
    printf("\nlargest ratio, a statement a row, no node: %.2f CPU, %.2f wall"
           " (hold to %.1f)\n",
           cpu, wall, TARGET);
}

static void take_options(int argc, char **argv, struct settings *settings)
{
    static const struct option names[] = {
        {"dir", required_argument, NULL, 'd'},
        {"rows", required_argument, NULL, 'r'},
        {"single-rows", required_argument, NULL, 's'},
        {"rounds", required_argument, NULL, 'n'},
        {"node", no_argument, NULL, 'b'},
        {"grapevine", required_argument, NULL, 'g'},
        {0}};
    int found;

    while ((found = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (found == 'd')
            settings->directory = optarg;
        else if (found == 'r')
            settings->rows = (uint32_t)strtoul(optarg, NULL, 10);
        else if (found == 's')
            settings->single_rows = (uint32_t)strtoul(optarg, NULL, 10);
        else if (found == 'n')
            settings->rounds = atoi(optarg);
        else if (found == 'b')
            settings->node = true;
        else if (found == 'g')
            command_use(optarg);
        else
            die("bench-write-cost [--dir D] [--rows N] [--single-rows N]"
                " [--rounds N] [--node] [--grapevine COMMAND]");
    }
    if (settings->rows == 0 || settings->single_rows == 0 ||
        settings->rounds < 1)
        die("Rows and rounds are numbers above 0.");
}

int main(int argc, char **argv)
{
    struct settings settings = {.directory = BENCH_DIRECTORY,
                                .rows = 200000,
                                .single_rows = 20000,
                                .rounds = 5};
    enum side sides;
    bool memory;

    take_options(argc, argv, &settings);
    directory_make(settings.directory);
    printf("write cost: SQLite %s, %s, %s; WAL, synchronous NORMAL\n",
           sqlite3_libversion(), file_system(settings.directory, &memory),
           build_kind());
    printf("%u rows (%u at 1 a transaction), %d rounds by turns\n",
           settings.rows, settings.single_rows, settings.rounds);
    sides = settings.node ? SIDES : BESIDE_PATIENT;
    for (int round = 0; round < settings.rounds; round++)
        for (int batch = 0; batch < BATCHES; batch++)
            for (int side = 0; side < (int)sides; side++)
                measure(&settings, round, (enum side)side, (enum batch)batch);
    for (int side = TRACKED; side < (int)sides; side++)
        print_side((enum side)side);
    print_worst();
    return 0;
}
