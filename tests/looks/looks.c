/* Runs scripts of plain SQL on tracked files and tells what each look
 * publishes, byte for byte; looks_test.py judges it.
 *
 * Reads lines, each a letter and a text, and answers each but an S with one:
 *     N         a new file
 *     S SQL     one statement of the application's; it may fail
 *     T TABLE   track it
 *     L         look: the interval in hexadecimal, "-" if nothing was
 *               published, "long" if it has none */
#include "store/store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct runner {
    const char *path;
    sqlite3 *app;
    struct store *store;
};

static void fail(const char *what, const struct gv_error *error)
{
    fprintf(stderr, "%s: %s\n", what, error->what);
    exit(1);
}

static void remove_file(const char *path)
{
    static const char *const ends[] = {
        "", "-wal", "-shm", "-gv/state", "-gv/lock", "-gv/unsynced"};
    char name[512];

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
    snprintf(name, sizeof name, "%s-gv", path);
    rmdir(name);
}

static void close_file(struct runner *runner)
{
    store_close(runner->store);
    runner->store = NULL;
    sqlite3_close(runner->app);
    runner->app = NULL;
}

static void answer(const struct store_sealed *sealed)
{
    if (!sealed->any)
        putchar('-');
    else if (sealed->interval.bytes == NULL)
        fputs("long", stdout);
    for (size_t i = 0; sealed->any && i < sealed->interval.size; i++)
        printf("%02x", sealed->interval.bytes[i]);
    putchar('\n');
    fflush(stdout);
}

static void new_file(struct runner *runner)
{
    struct store_options options = {.mode = STORE_WRITE,
                                    .host = host_system()};
    struct gv_error error = {0};

    close_file(runner);
    remove_file(runner->path);
    if (sqlite3_open(runner->path, &runner->app) != SQLITE_OK ||
        sqlite3_exec(runner->app,
                     "PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON;"
                     "PRAGMA synchronous=OFF",
                     NULL, NULL, NULL) != SQLITE_OK)
        exit(1);
    if (store_open(runner->path, &options, &runner->store, &error) != 0)
        fail("open", &error);
    answer(&(struct store_sealed){.any = false});
}

static void look(struct runner *runner)
{
    struct store_sealed sealed = {.any = false};
    struct gv_error error = {0};

    if (store_begin(runner->store, &error) != 0 ||
        store_commit(runner->store, &sealed, &error) != 0)
        fail("look", &error);
    answer(&sealed);
}

/* What store_track() published cannot be seen, so the tables are tracked while
 * they are empty. */
static void track(struct runner *runner, const char *table)
{
    struct store_sealed sealed = {.any = false};
    struct gv_error error = {0};
    struct buffer notes;

    buffer_init(&notes, 65536);
    if (store_track(runner->store, table, &notes, &error) != 0)
        fail(table, &error);
    buffer_close(&notes);
    answer(&sealed);
}

int main(int argc, char **argv)
{
    struct runner runner = {.path = argc > 1 ? argv[1] : "looks.db"};
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;

    while ((size = getline(&line, &capacity, stdin)) > 0) {
        line[size - 1] = '\0';
        switch (line[0]) {
        case 'N':
            new_file(&runner);
            break;
        case 'S':
            sqlite3_exec(runner.app, line + 2, NULL, NULL, NULL);
            break;
        case 'T':
            track(&runner, line + 2);
            break;
        case 'L':
            look(&runner);
            break;
        default:
            return 1;
        }
    }
    close_file(&runner);
    remove_file(runner.path);
    free(line);
    return 0;
}
