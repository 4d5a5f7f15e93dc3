#include "replica.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH "/app.db"

/* The host: that of the node's process, but for random bytes. */

static struct replica *of(void *context)
{
    return context;
}

static const struct host *inner(void *context)
{
    return process_host(of(context)->node);
}

static gv_time_ms host_wall(void *context)
{
    return of(context)->wall;
}

/* Sixteen bytes are a site id. */
static void host_random(void *context, void *bytes, size_t size)
{
    struct replica *replica = of(context);
    const struct host *host = inner(context);
    uint8_t *id = bytes;

    if (size != sizeof(struct site)) {
        host->random(host->context, bytes, size);
        return;
    }
    memset(id, 0, size);
    id[0] = (uint8_t)replica->letter;
    id[size - 1] = replica->renewals++;
}

static int host_resolve(void *context, const char *path, char *resolved,
                        size_t size)
{
    return inner(context)->resolve(inner(context)->context, path, resolved,
                                   size);
}

static int host_marks(void *context, const char *path,
                      struct file_marks *marks)
{
    int rc = inner(context)->marks(inner(context)->context, path, marks);

    if (rc == GV_OK && of(context)->links != 0)
        marks->links = of(context)->links;
    return rc;
}

static int host_directory(void *context, const char *path)
{
    return inner(context)->directory(inner(context)->context, path);
}

static int host_lock(void *context, const char *path, void **lock)
{
    return inner(context)->lock(inner(context)->context, path, lock);
}

static void host_unlock(void *context, void *lock)
{
    inner(context)->unlock(inner(context)->context, lock);
}

static const struct host our_host = {
    .wall = host_wall,
    .random = host_random,
    .resolve = host_resolve,
    .marks = host_marks,
    .directory = host_directory,
    .lock = host_lock,
    .unlock = host_unlock,
};

/* Programs */

/* With SQLite's default, synchronous=FULL: what an application committed is on
 * the disk, so a power cut takes none of the case's own writes. */
static sqlite3 *connect(const struct process *process)
{
    sqlite3 *db;

    GV_ASSERT(sqlite3_open_v2(PATH, &db,
                              SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                              process_vfs(process)) == SQLITE_OK);
    return db;
}

static void open_store(struct replica *replica)
{
    struct store_options options = {.mode = STORE_WRITE,
                                    .host = &replica->host,
                                    .vfs = process_vfs(replica->node)};
    struct gv_error error = {0};

    options.slices.journal_rows = options.slices.keys = replica->slice_rows;
    if (store_open(PATH, &options, &replica->store, &error) != GV_OK) {
        fprintf(stderr, "%c: open: %s\n", replica->letter, error.what);
        exit(1);
    }
}

static void start_processes(struct replica *replica)
{
    char name[40];

    snprintf(name, sizeof name, "%c-node-%u", replica->letter,
             replica->starts);
    replica->node = process_new(replica->disk, name, false);
    snprintf(name, sizeof name, "%c-program-%u", replica->letter,
             replica->starts++);
    replica->program = process_new(replica->disk, name, false);
    GV_ASSERT(replica->node != NULL && replica->program != NULL);
    replica->app = connect(replica->program);
    replica->look = connect(replica->program);
}

static void stop(struct replica *replica)
{
    store_close(replica->store);
    replica->store = NULL;
    sqlite3_close(replica->app);
    sqlite3_close(replica->look);
    process_free(replica->node);
    process_free(replica->program);
    replica->node = replica->program = NULL;
}

static void exec(sqlite3 *db, const char *text)
{
    char *message = NULL;

    if (sqlite3_exec(db, text, NULL, NULL, &message) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", text, message);
        exit(1);
    }
}

void replica_init(struct replica *replica, char letter)
{
    struct disk_options options = {.seed = (uint64_t)letter,
                                   .sector = 4096,
                                   .context = replica,
                                   .wall = host_wall};

    memset(replica, 0, sizeof *replica);
    replica->letter = letter;
    replica->wall = REPLICA_EPOCH_MS;
    replica->host = our_host;
    replica->host.context = replica;
    replica->disk = disk_new(&options);
    GV_ASSERT(replica->disk != NULL);
}

void replica_make(struct replica *replica, const char *schema)
{
    struct gv_error error = {0};

    start_processes(replica);
    exec(replica->app, "PRAGMA page_size=1024");
    exec(replica->app, schema);
    open_store(replica);
    GV_ASSERT(store_join(replica->store, "conformance", &error) == GV_OK);
}

void replica_wake(struct replica *replica, const struct disk_image *image)
{
    disk_image_put(replica->disk, image, true);
    replica->renewals = 1;
    start_processes(replica);
    open_store(replica);
}

struct disk_image *replica_take(struct replica *replica)
{
    struct disk_image *image;

    stop(replica);
    image = disk_image_take(replica->disk);
    start_processes(replica);
    open_store(replica);
    return image;
}

void replica_close(struct replica *replica)
{
    stop(replica);
    sqlite3_close(replica->kept);
    disk_image_free(replica->image);
    disk_free(replica->disk);
}

void replica_restart(struct replica *replica)
{
    stop(replica);
    start_processes(replica);
    open_store(replica);
}

void replica_crash(struct replica *replica, enum disk_loss loss)
{
    process_kill(replica->node);
    process_kill(replica->program);
    stop(replica);
    disk_power_cut(replica->disk, loss);
    start_processes(replica);
    open_store(replica);
}

/* Backups */

static void backup(sqlite3 *to, sqlite3 *from)
{
    sqlite3_backup *run = sqlite3_backup_init(to, "main", from, "main");

    GV_ASSERT(run != NULL);
    GV_ASSERT(sqlite3_backup_step(run, -1) == SQLITE_DONE);
    GV_ASSERT(sqlite3_backup_finish(run) == SQLITE_OK);
}

/* It is a copy, so it takes a new id. */
void replica_make_old(struct replica *replica, const char *golden)
{
    char path[1000];
    sqlite3 *old;

    snprintf(path, sizeof path, "%s/%s", GOLDEN, golden);
    GV_ASSERT(sqlite3_open_v2(path, &old, SQLITE_OPEN_READONLY, NULL) ==
              SQLITE_OK);
    start_processes(replica);
    backup(replica->app, old);
    sqlite3_close(old);
    replica->renewals = 1;
    open_store(replica);
}

void replica_save(struct replica *replica)
{
    sqlite3_close(replica->kept);
    GV_ASSERT(sqlite3_open(":memory:", &replica->kept) == SQLITE_OK);
    backup(replica->kept, replica->app);
}

void replica_restore(struct replica *to, const struct replica *from,
                     bool running)
{
    GV_ASSERT(from->kept != NULL);
    if (!running) {
        store_close(to->store);
        to->store = NULL;
    }
    backup(to->app, from->kept);
    if (!running)
        open_store(to);
}

void replica_replace(struct replica *replica, bool running)
{
    static const char *const names[] = {PATH, PATH "-wal", PATH "-journal"};
    sqlite3_vfs *vfs;

    GV_ASSERT(replica->kept != NULL);
    if (!running) {
        stop(replica);
        start_processes(replica);
    }
    sqlite3_close(replica->app);
    sqlite3_close(replica->look);
    vfs = sqlite3_vfs_find(process_vfs(replica->program));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        vfs->xDelete(vfs, names[i], 1);
    replica->app = connect(replica->program);
    backup(replica->app, replica->kept);
    replica->look = connect(replica->program);
    if (!running)
        open_store(replica);
}

void replica_snapshot(struct replica *replica)
{
    disk_image_free(replica->image);
    replica->image = replica_take(replica);
}

void replica_rewind(struct replica *to, const struct replica *from)
{
    GV_ASSERT(from->image != NULL);
    stop(to);
    disk_image_put(to->disk, from->image, true);
    start_processes(to);
    open_store(to);
}

#define KINDS_MAX 8

int replica_track(struct replica *replica, const char *table,
                  struct gv_error *error)
{
    struct store_kind list[KINDS_MAX];
    struct store_kinds kinds = {list, 0};
    char text[256], *rest, *name, *kind;
    struct buffer notes;
    int rc;

    snprintf(text, sizeof text, "%s", table);
    name = strtok_r(text, text[0] == '"' ? "\"" : " ", &rest);
    while (kinds.count < KINDS_MAX &&
           (kind = strtok_r(NULL, " ", &rest)) != NULL)
        list[kinds.count++] = (struct store_kind){
            .column = strtok_r(NULL, " ", &rest),
            .kind = strcmp(kind, "mv") == 0 ? COLUMN_MV : COLUMN_COUNTER,
        };
    buffer_init(&notes, 65536);
    rc = store_track_as(replica->store, name, &kinds, &notes, error);
    buffer_close(&notes);
    return rc;
}

/* Questions */

/* As an SQL literal, so that every storage class shows. */
static void put_value(sqlite3_stmt *row, int column, FILE *out)
{
    const uint8_t *bytes;
    char *text = NULL;

    switch (sqlite3_column_type(row, column)) {
    case SQLITE_INTEGER:
        fprintf(out, "%lld", sqlite3_column_int64(row, column));
        break;
    case SQLITE_FLOAT:
        text = sqlite3_mprintf("%!.17g", sqlite3_column_double(row, column));
        break;
    case SQLITE_TEXT:
        text = sqlite3_mprintf("%Q", sqlite3_column_text(row, column));
        break;
    case SQLITE_BLOB:
        bytes = sqlite3_column_blob(row, column);
        fputs("x'", out);
        for (int i = 0; i < sqlite3_column_bytes(row, column); i++)
            fprintf(out, "%02x", bytes[i]);
        fputs("'", out);
        break;
    default:
        fputs("NULL", out);
    }
    if (text != NULL)
        fputs(text, out);
    sqlite3_free(text);
}

static void put_row(sqlite3_stmt *row, FILE *out)
{
    int columns = sqlite3_column_count(row);

    for (int i = 0; i < columns; i++) {
        fputs(i > 0 ? "|" : "", out);
        put_value(row, i, out);
    }
}

static char *ask(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *row = NULL;
    char *text = NULL;
    bool any = false;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    int rc;

    GV_ASSERT(out != NULL);
    rc = sqlite3_prepare_v2(db, sql, -1, &row, NULL);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(row);
        if (rc != SQLITE_ROW)
            break;
        fputs(any ? "; " : "", out);
        put_row(row, out);
        any = true;
    }
    if (rc != SQLITE_DONE)
        fprintf(out, "error: %s", sqlite3_errmsg(db));
    else if (!any)
        fputs("none", out);
    sqlite3_finalize(row);
    fclose(out);
    return text;
}

char *replica_ask(struct replica *replica, const char *sql)
{
    return ask(replica->look, sql);
}

char *replica_ask_app(struct replica *replica, const char *sql)
{
    return ask(replica->app, sql);
}

const char *replica_site_name(const struct site *site, char name[8])
{
    static const char marks[] = "''''";
    size_t renewals = site->bytes[15] < 4 ? site->bytes[15] : 4;

    snprintf(name, 8, "%c%s", site->bytes[0], marks + 4 - renewals);
    return name;
}
