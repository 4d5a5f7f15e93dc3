/* Copies of one file in a temporary directory, each with a store and with a
 * connection as an application has it. */
#ifndef TESTS_STORE_COPIES_H
#define TESTS_STORE_COPIES_H

#include "check.h"
#include "store/store.h"
#include "wire/stream.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <unistd.h>

struct copy {
    char path[256];
    struct store *store;
    sqlite3 *app;
};

static char copies_directory[128];
static gv_time_ms copies_wall; /* 0: the system's */
static struct store_slices copies_slices;

static gv_time_ms copies_host_wall(void *context)
{
    (void)context;
    return copies_wall != 0 ? copies_wall : host_system()->wall(NULL);
}

static inline const struct host *copies_host(void)
{
    static struct host host;

    host = *host_system();
    host.wall = copies_host_wall;
    return &host;
}

static void copies_remove(void)
{
    char command[256];

    if (copies_directory[0] == '\0')
        return;
    snprintf(command, sizeof command, "rm -rf '%s'", copies_directory);
    if (system(command) != 0)
        fprintf(stderr, "cannot remove %s\n", copies_directory);
    copies_directory[0] = '\0';
}

static inline void sql(struct copy *copy, const char *text)
{
    char *message = NULL;

    if (sqlite3_exec(copy->app, text, NULL, NULL, &message) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", text, message);
        exit(1);
    }
}

/* The first column of the first row as text, or "(none)". */
static inline const char *ask(struct copy *copy, const char *text)
{
    static char answers[8][4096];
    static unsigned next;
    char *answer = answers[next++ % 8];
    sqlite3_stmt *statement;

    if (sqlite3_prepare_v2(copy->app, text, -1, &statement, NULL) !=
        SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", text, sqlite3_errmsg(copy->app));
        exit(1);
    }
    snprintf(answer, sizeof answers[0], "(none)");
    if (sqlite3_step(statement) == SQLITE_ROW) {
        const char *value = (const char *)sqlite3_column_text(statement, 0);

        snprintf(answer, sizeof answers[0], "%s",
                 value == NULL ? "(null)" : value);
    }
    sqlite3_finalize(statement);
    return answer;
}

static inline void copy_reopen(struct copy *copy, enum store_mode mode)
{
    struct store_options options = {
        .mode = mode, .host = copies_host(), .slices = copies_slices};
    struct gv_error error = {0};

    store_close(copy->store);
    copy->store = NULL;
    if (store_open(copy->path, &options, &copy->store, &error) != GV_OK) {
        fprintf(stderr, "open: %s\n", error.what);
        exit(1);
    }
}

/* A new file with @schema, not tracked. */
static inline void copy_make(struct copy *copy, const char *name,
                             const char *schema)
{
    memset(copy, 0, sizeof *copy);
    if (copies_directory[0] == '\0') {
        const char *base = getenv("TMPDIR");

        snprintf(copies_directory, sizeof copies_directory, "%s/gv-XXXXXX",
                 base == NULL ? "/tmp" : base);
        CHECK(mkdtemp(copies_directory) != NULL);
        atexit(copies_remove);
    }
    snprintf(copy->path, sizeof copy->path, "%s/%s.db", copies_directory,
             name);
    CHECK(sqlite3_open(copy->path, &copy->app) == SQLITE_OK);
    sqlite3_busy_timeout(copy->app, 5000);
    if (schema != NULL)
        sql(copy, schema);
    copy_reopen(copy, STORE_WRITE);
}

static inline int try_track(struct copy *copy, const char *table,
                            struct gv_error *error)
{
    struct buffer notes;
    int rc;

    buffer_init(&notes, 65536);
    rc = store_track(copy->store, table, &notes, error);
    buffer_close(&notes);
    return rc;
}

static inline void track(struct copy *copy, const char *table)
{
    struct gv_error error = {0};

    if (try_track(copy, table, &error) != GV_OK) {
        fprintf(stderr, "track: %s\n", error.what);
        exit(1);
    }
}

static inline void copy_close(struct copy *copy)
{
    store_close(copy->store);
    sqlite3_close(copy->app);
    memset(copy, 0, sizeof *copy);
}

/* The file stays, and nobody has it open. */
static inline void shut(struct copy *copy)
{
    store_close(copy->store);
    copy->store = NULL;
    sqlite3_close(copy->app);
    copy->app = NULL;
}

static inline void open_again(struct copy *copy)
{
    CHECK(sqlite3_open(copy->path, &copy->app) == SQLITE_OK);
    copy_reopen(copy, STORE_WRITE);
}

static inline void shell(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

static inline void shell(const char *format, ...)
{
    char command[2000];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    if (system(command) != 0) {
        fprintf(stderr, "failed: %s\n", command);
        exit(1);
    }
}

/* Two files with @schema, whose table t both share. */
static inline void two(struct copy *a, struct copy *b, const char *schema)
{
    copy_make(a, "a", schema);
    copy_make(b, "b", schema);
    track(a, "t");
    track(b, "t");
}

static inline void close_two(struct copy *a, struct copy *b)
{
    copy_close(a);
    copy_close(b);
    copies_remove();
}

/* Seal what waits; the interval is good until the next transaction. */
static inline struct store_sealed seal(struct copy *copy)
{
    struct store_sealed sealed = {0};
    struct gv_error error = {0};

    if (store_begin(copy->store, &error) != GV_OK ||
        store_commit(copy->store, &sealed, &error) != GV_OK) {
        fprintf(stderr, "seal: %s\n", error.what);
        exit(1);
    }
    return sealed;
}

/* The schema moved: audit without waiting.  How many rows that publishes. */
static inline uint64_t audit_now(struct copy *copy)
{
    struct gv_error error = {0};
    uint64_t published;

    if (store_audit_accept(copy->store, &published, &error) != GV_OK) {
        fprintf(stderr, "audit: %s\n", error.what);
        exit(1);
    }
    return published;
}

static inline int apply_interval(struct copy *to,
                                 const struct interval *interval,
                                 struct gv_error *error)
{
    struct store_sealed sealed;
    struct gv_error ignored = {0};
    int rc;

    CHECK_INT(store_begin(to->store, &ignored), ==, GV_OK);
    rc = store_apply_interval(to->store, interval, error);
    CHECK_INT(store_commit(to->store, &sealed, &ignored), ==, GV_OK);
    return rc;
}

static inline size_t view_of(const struct vv *vv, uint8_t *bytes,
                             struct vv_view *view)
{
    for (size_t i = 0; i < vv->count; i++)
        vv_entry_store(&vv->entries[i], bytes + i * VV_ENTRY_SIZE);
    *view = (struct vv_view){bytes, vv->count};
    return vv->count;
}

static inline int extract_whole(struct copy *from, struct vv_view vv,
                                struct extract **extract,
                                struct gv_error *error)
{
    bool done = false;
    int rc = extract_begin(from->store, vv, extract, error);

    if (rc != GV_OK)
        return rc;
    while (rc == GV_OK && !done)
        rc = extract_step(*extract, 100, &done, error);
    if (rc != GV_OK)
        extract_free(*extract);
    return rc;
}

/* Everything @from has goes to @to as one delta, by way of the stage. */
static inline int pull(struct copy *to, struct copy *from,
                       struct gv_error *error)
{
    static uint64_t token;
    static uint8_t bytes[VV_ENTRY_SIZE * 64];
    uint8_t *piece = malloc(1000);
    struct extract *extract;
    struct store_sealed sealed;
    struct vv_view view;
    int rc;

    seal(from);
    view_of(store_vv(to->store), bytes, &view);
    rc = extract_whole(from, view, &extract, error);
    token++;
    if (rc != GV_OK) {
        free(piece);
        return rc;
    }
    CHECK_INT(store_stage(to->store, token, 0, NULL, 0), ==, GV_OK);
    for (uint64_t at = 0; at < extract_size(extract);) {
        uint64_t left = extract_size(extract) - at;
        size_t size = left < 1000 ? (size_t)left : 1000;

        CHECK_INT(extract_read(extract, at, piece, size), ==, GV_OK);
        CHECK_INT(store_stage(to->store, token, at, piece, size), ==, GV_OK);
        at += size;
    }
    CHECK_INT(store_begin(to->store, error), ==, GV_OK);
    rc = store_apply_delta(to->store, token, extract_claim(extract), error);
    /* Only a file that went back in time cannot be committed then. */
    CHECK_INT(store_commit(to->store, &sealed, &(struct gv_error){0}), ==,
              rc == GV_EFORK ? GV_EMOVED : GV_OK);
    if (rc == GV_OK)
        rc = store_work_all(to->store, token, NULL, error);
    extract_free(extract);
    free(piece);
    return rc;
}

static inline void must_pull(struct copy *to, struct copy *from)
{
    struct gv_error error = {0};

    if (pull(to, from, &error) != GV_OK) {
        fprintf(stderr, "pull: %s (%d)\n", error.what, error.code);
        exit(1);
    }
}

/* Exchange until both hold everything. */
static inline void sync_both(struct copy *a, struct copy *b)
{
    must_pull(b, a);
    must_pull(a, b);
    must_pull(b, a);
}

static void copies_print_finding(void *context,
                                 const struct store_finding *finding)
{
    char *last = context;

    snprintf(last, 1024, "%s %s: %s", finding->table, finding->key,
             finding->text);
    fprintf(stderr, "finding: %s\n", last);
}

/* How many things verify finds; the last one's text into @last (1,024
 * bytes). */
static inline uint64_t verify_findings(struct copy *copy, char *last)
{
    char unused[1024];
    struct store_verified verified;
    struct gv_error error = {0};

    if (store_verify(copy->store, copies_print_finding,
                     last == NULL ? unused : last, &verified,
                     &error) != GV_OK) {
        fprintf(stderr, "verify: %s\n", error.what);
        exit(1);
    }
    return verified.findings;
}

static inline void check_equal(struct copy *a, struct copy *b)
{
    CHECK(store_vv(a->store)->hash == store_vv(b->store)->hash);
    CHECK(hash128_equal(store_fingerprint(a->store),
                        store_fingerprint(b->store)));
}

/* A definition of a table whose key is "id" and whose columns have no types
 * or defaults. */
static inline void write_table(struct buffer *out, const char *name,
                               const char *const *columns, size_t count)
{
    struct stream_column list[8] = {{.wire = stream_text("id")}};
    struct stream_table table = {.wire = stream_text(name),
                                 .local = stream_text(name),
                                 .key_count = 1,
                                 .column_count = count};

    CHECK_INT(count, <, 8);
    list[0].local = list[0].wire;
    for (size_t i = 0; i < count; i++)
        list[i + 1] = (struct stream_column){.wire = stream_text(columns[i]),
                                             .local = stream_text(columns[i]),
                                             .kind = stream_text("lww")};
    CHECK_INT(stream_write_table(out, &table, list, list + 1), ==, GV_OK);
}

#endif
