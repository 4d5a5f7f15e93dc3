/* Runs scripts of plain SQL on tracked files and tells what each look
 * publishes, byte for byte; looks_test.py judges it.
 *
 * There are two files; all but E is about the one that U chose.  Reads lines,
 * each a letter and a text, and answers each but M, S and U with one:
 *     U 0|1     the first file, the second
 *     M 0|1     1: from the next N on, this file does for two rows what is
 *               otherwise done for many
 *     N         a new file
 *     S SQL     one statement of the application's; it may fail
 *     T TABLE   track it
 *     L         look: the interval in hexadecimal, "-" if nothing was
 *               published, "long" if it has none
 *     I         the other file is sent what the last look published: "ok", or
 *               why it does not take it
 *     D         the other file is sent a delta for what it holds; likewise
 *     V         verify: how many things it finds
 *     E         "equal" if vectors and fingerprints are */
#include "store/bundle.h"
#include "wire/frame.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct side {
    char path[512];
    sqlite3 *app;
    struct store *store;
    struct buffer published; /* by the last look */
    bool small;              /* what it does for many rows is done for few */
};

static void fail(const char *what, const struct gv_error *error)
{
    fprintf(stderr, "%s: %s\n", what, error->what);
    exit(1);
}

static void answer(const char *text)
{
    puts(text);
    fflush(stdout);
}

static void remove_file(const char *path)
{
    static const char *const ends[] = {
        "", "-wal", "-shm", "-gv/state", "-gv/lock", "-gv/unsynced"};
    char name[2048];

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
    snprintf(name, sizeof name, "%s-gv", path);
    rmdir(name);
}

static void close_file(struct side *side)
{
    store_close(side->store);
    side->store = NULL;
    sqlite3_close(side->app);
    side->app = NULL;
    buffer_clear(&side->published);
}

static void new_file(struct side *side)
{
    struct store_options options = {.mode = STORE_WRITE,
                                    .host = host_system()};
    struct gv_error error = {0};

    if (side->small)
        options.slices = (struct store_slices){.delta_size = 300,
                                               .journal_rows = 10000,
                                               .rows = 3,
                                               .keys = 2,
                                               .seal_many = 2,
                                               .apply_many = 2};
    close_file(side);
    remove_file(side->path);
    if (sqlite3_open(side->path, &side->app) != SQLITE_OK ||
        sqlite3_exec(side->app,
                     "PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON;"
                     "PRAGMA synchronous=OFF",
                     NULL, NULL, NULL) != SQLITE_OK)
        exit(1);
    if (store_open(side->path, &options, &side->store, &error) != 0 ||
        store_join(side->store, "looks", &error) != 0)
        fail("open", &error);
    answer("-");
}

static void look(struct side *side)
{
    struct store_sealed sealed = {.any = false};
    struct gv_error error = {0};

    if (store_begin(side->store, &error) != 0 ||
        store_commit(side->store, &sealed, &error) != 0)
        fail("look", &error);
    buffer_clear(&side->published);
    if (!sealed.any)
        putchar('-');
    else if (sealed.interval.bytes == NULL)
        fputs("long", stdout);
    for (size_t i = 0; sealed.any && i < sealed.interval.size; i++)
        printf("%02x", sealed.interval.bytes[i]);
    if (sealed.any && sealed.interval.bytes != NULL)
        buffer_append(&side->published, sealed.interval.bytes,
                      sealed.interval.size);
    answer("");
}

/* What store_track() published cannot be seen, so the tables are tracked while
 * they are empty. */
static void track(struct side *side, const char *table)
{
    struct gv_error error = {0};
    struct buffer notes;

    buffer_init(&notes, 65536);
    if (store_track(side->store, table, &notes, &error) != 0)
        fail(table, &error);
    buffer_close(&notes);
    answer("-");
}

/* Both have looked: the apply seals nothing. */
static void send_interval(struct side *from, struct side *to)
{
    struct store_sealed sealed = {.any = false};
    struct gv_error error = {0};
    const uint8_t *fragments;
    struct interval interval;
    size_t size;
    int rc;

    if (interval_decode(from->published.data, from->published.size, &interval,
                        &fragments, &size) != 0 ||
        store_begin(to->store, &error) != 0)
        fail("interval", &error);
    rc = store_apply_interval(to->store, &interval, &error);
    if (store_commit(to->store, &sealed, &error) != 0)
        fail("commit", &error);
    answer(rc != 0 ? error.what : sealed.any ? "it published" : "ok");
}

static void send_delta(struct side *from, struct side *to)
{
    uint8_t bytes[2 * VV_ENTRY_SIZE];
    const struct vv *vv = store_vv(to->store);
    struct gv_error error = {0};
    struct buffer bundle;

    buffer_init(&bundle, SIZE_MAX);
    for (size_t i = 0; i < vv->count && i < 2; i++)
        vv_entry_store(&vv->entries[i], bytes + i * VV_ENTRY_SIZE);
    if (bundle_write_buffer(from->store, (struct vv_view){bytes, vv->count},
                            &bundle, &error) != 0 ||
        bundle_apply_bytes(to->store, bundle.data, bundle.size, &error) != 0)
        answer(error.what);
    else
        answer("ok");
    buffer_close(&bundle);
}

static void print_finding(void *context, const struct store_finding *finding)
{
    (void)context;
    fprintf(stderr, "%s %s: %s\n", finding->table, finding->key,
            finding->text);
}

static void verify(struct side *side)
{
    struct store_verified verified = {0};
    struct gv_error error = {0};

    if (store_verify(side->store, print_finding, NULL, &verified, &error) != 0)
        fail("verify", &error);
    printf("%llu", (unsigned long long)verified.findings);
    answer("");
}

static void compare(const struct side *a, const struct side *b)
{
    bool equal = store_vv(a->store)->hash == store_vv(b->store)->hash &&
                 hash128_equal(store_fingerprint(a->store),
                               store_fingerprint(b->store));

    answer(equal ? "equal" : "unequal");
}

/* A letter that is none ends the program. */
static bool obey(struct side *side, struct side *other, const char *line)
{
    switch (line[0]) {
    case 'M':
        side->small = line[2] == '1';
        return true;
    case 'N':
        new_file(side);
        return true;
    case 'S':
        sqlite3_exec(side->app, line + 2, NULL, NULL, NULL);
        return true;
    case 'T':
        track(side, line + 2);
        return true;
    case 'L':
        look(side);
        return true;
    case 'I':
        send_interval(side, other);
        return true;
    case 'D':
        send_delta(side, other);
        return true;
    case 'V':
        verify(side);
        return true;
    case 'E':
        compare(side, other);
        return true;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    struct side sides[2] = {{.app = NULL}};
    char *line = NULL;
    size_t capacity = 0, at = 0;
    ssize_t size;
    bool known = true;

    for (size_t i = 0; i < 2; i++) {
        snprintf(sides[i].path, sizeof sides[i].path, "%s%s",
                 argc > 1 ? argv[1] : "looks.db", i == 0 ? "" : ".other");
        buffer_init(&sides[i].published, SIZE_MAX);
    }
    while (known && (size = getline(&line, &capacity, stdin)) > 0) {
        line[size - 1] = '\0';
        if (line[0] == 'U')
            at = line[2] == '1';
        else
            known = obey(&sides[at], &sides[1 - at], line);
    }
    for (size_t i = 0; i < 2; i++) {
        close_file(&sides[i]);
        remove_file(sides[i].path);
        buffer_close(&sides[i].published);
    }
    free(line);
    return known ? 0 : 1;
}
