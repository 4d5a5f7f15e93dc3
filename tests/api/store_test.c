/* Merging without a network, through the public header alone. */
#include "check.h"
#include "grapevine.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <unistd.h>

#define TABLE "CREATE TABLE t(id TEXT PRIMARY KEY, a, b)"

static char directory[] = "/tmp/gv-store-XXXXXX";

/* A file, an application's connection, and a store. */
struct copy {
    char path[128];
    sqlite3 *app;
    struct gv_db *db;
    struct gv_store *store;
};

static void must(int rc, const struct gv_error *error)
{
    if (rc != GV_OK) {
        fprintf(stderr, "%s %s %s\n", error->what, error->meaning,
                error->remedy);
        exit(1);
    }
}

static void sql(struct copy *copy, const char *text)
{
    char *message = NULL;

    if (sqlite3_exec(copy->app, text, NULL, NULL, &message) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", text, message);
        exit(1);
    }
}

static int keep_text(void *context, int count, char **values, char **names)
{
    (void)names;
    CHECK_INT(count, ==, 1);
    snprintf(context, 256, "%s", values[0] == NULL ? "" : values[0]);
    return 0;
}

static const char *ask(struct copy *copy, const char *text)
{
    static char answers[4][256];
    static unsigned next;
    char *answer = answers[next++ % 4];

    answer[0] = '\0';
    CHECK_INT(sqlite3_exec(copy->app, text, keep_text, answer, NULL), ==,
              SQLITE_OK);
    return answer;
}

static const char *rows(struct copy *copy)
{
    return ask(copy, "SELECT group_concat(id||':'||a||':'||b) FROM"
                     " (SELECT * FROM t ORDER BY id)");
}

static void make_untracked(struct copy *copy, const char *name)
{
    struct gv_error error = {0};

    snprintf(copy->path, sizeof copy->path, "%s/%s.db", directory, name);
    must(gv_open(copy->path, GV_OPEN_CREATE, &copy->db, &error), &error);
    CHECK_INT(sqlite3_open(copy->path, &copy->app), ==, SQLITE_OK);
    sqlite3_busy_timeout(copy->app, 10000);
    sql(copy, TABLE);
}

static void open_store(struct copy *copy)
{
    struct gv_error error = {0};

    must(gv_store_open(copy->db, NULL, &copy->store, &error), &error);
}

static void make(struct copy *copy, const char *name)
{
    struct gv_error error = {0};

    make_untracked(copy, name);
    must(gv_track(copy->db, "t", NULL, &error), &error);
    open_store(copy);
}

static void drop(struct copy *copy)
{
    char command[400];

    gv_store_close(copy->store);
    gv_close(copy->db);
    sqlite3_close(copy->app);
    snprintf(command, sizeof command, "rm -r '%s' '%s-gv'", copy->path,
             copy->path);
    (void)!system(command);
    *copy = (struct copy){0};
}

struct bytes {
    void *data;
    size_t size;
};

/* What @to lacks of @from's. */
static struct bytes delta_for(struct copy *from, struct copy *to)
{
    struct gv_error error = {0};
    struct bytes delta;
    void *vv = NULL;
    size_t size = 0;

    if (to != NULL)
        must(gv_store_vv(to->store, &vv, &size, &error), &error);
    must(gv_store_extract_bytes(from->store, vv, size, &delta.data,
                                &delta.size, &error),
         &error);
    gv_free(vv);
    return delta;
}

static void give(struct copy *from, struct copy *to)
{
    struct gv_error error = {0};
    struct bytes delta = delta_for(from, to);

    must(gv_store_apply_bytes(to->store, delta.data, delta.size, &error),
         &error);
    gv_free(delta.data);
}

static void check_equal(struct copy *a, struct copy *b)
{
    uint8_t of_a[GV_FINGERPRINT_SIZE], of_b[GV_FINGERPRINT_SIZE];
    struct bytes vv_a, vv_b;

    CHECK_INT(gv_store_vv(a->store, &vv_a.data, &vv_a.size, NULL), ==, GV_OK);
    CHECK_INT(gv_store_vv(b->store, &vv_b.data, &vv_b.size, NULL), ==, GV_OK);
    CHECK_INT(vv_a.size, ==, vv_b.size);
    CHECK(memcmp(vv_a.data, vv_b.data, vv_a.size) == 0);
    gv_free(vv_a.data);
    gv_free(vv_b.data);
    gv_store_fingerprint(a->store, of_a);
    gv_store_fingerprint(b->store, of_b);
    CHECK(memcmp(of_a, of_b, sizeof of_a) == 0);
}

TEST(two_files_are_equal_after_an_exchange)
{
    struct copy a = {0}, b = {0};

    make(&a, "a");
    make(&b, "b");
    sql(&a, "INSERT INTO t VALUES('x', 1, 1), ('y', 1, 1)");
    sql(&b, "INSERT INTO t VALUES('z', 1, 1)");
    give(&a, &b);
    give(&b, &a);
    check_equal(&a, &b);
    sql(&a, "UPDATE t SET a = 2 WHERE id = 'x'; DELETE FROM t WHERE"
            " id = 'y'");
    sql(&b, "UPDATE t SET b = 3 WHERE id = 'x'");
    give(&b, &a);
    give(&a, &b);
    check_equal(&a, &b);
    CHECK_TEXT(rows(&a), "x:2:3,z:1:1");
    CHECK_TEXT(rows(&b), "x:2:3,z:1:1");
    drop(&a);
    drop(&b);
}

TEST(what_the_first_writes_reaches_the_last_of_a_chain_and_back)
{
    struct copy a = {0}, b = {0}, c = {0};

    make(&a, "a");
    make(&b, "b");
    make(&c, "c");
    sql(&a, "INSERT INTO t VALUES('x', 1, 1)");
    give(&a, &b);
    give(&b, &c);
    CHECK_TEXT(rows(&c), "x:1:1");
    sql(&c, "UPDATE t SET a = 2; INSERT INTO t VALUES('y', 3, 3)");
    sql(&b, "UPDATE t SET b = 4");
    give(&c, &b);
    give(&b, &a);
    give(&b, &c);
    check_equal(&a, &b);
    check_equal(&b, &c);
    CHECK_TEXT(rows(&a), "x:2:4,y:3:3");
    CHECK_TEXT(rows(&c), "x:2:4,y:3:3");
    drop(&a);
    drop(&b);
    drop(&c);
}

TEST(a_seal_says_what_it_published_and_the_vector_shows_it)
{
    struct copy a = {0};
    struct gv_error error = {0};
    uint8_t site[GV_SITE_SIZE];
    uint64_t version = 1;
    char expected[128], *json;
    struct bytes vv;

    make(&a, "a");
    must(gv_store_seal(a.store, &version, &error), &error);
    CHECK_INT(version, ==, 0);
    must(gv_store_vv(a.store, &vv.data, &vv.size, &error), &error);
    CHECK_INT(vv.size, ==, 0);
    must(gv_vv_json(vv.data, vv.size, &json, &error), &error);
    CHECK_TEXT(json, "{}");
    gv_free(json);
    gv_free(vv.data);
    sql(&a, "INSERT INTO t VALUES('x', 1, 1)");
    must(gv_store_seal(a.store, &version, &error), &error);
    CHECK(version >> 16 > UINT64_C(1600000000000));
    must(gv_store_vv(a.store, &vv.data, &vv.size, &error), &error);
    CHECK_INT(vv.size, ==, GV_VV_ENTRY_SIZE);
    gv_store_site(a.store, site);
    CHECK(memcmp(vv.data, site, sizeof site) == 0);
    must(gv_vv_json(vv.data, vv.size, &json, &error), &error);
    snprintf(expected, sizeof expected, "\": \"%" PRIu64 "\"\n}", version);
    CHECK(strstr(json, expected) != NULL);
    gv_free(json);
    CHECK_INT(gv_vv_json(vv.data, vv.size - 1, &json, &error), ==, GV_EINVAL);
    CHECK(error.what[0] && error.meaning[0] && error.remedy[0]);
    gv_free(vv.data);
    must(gv_store_seal(a.store, &version, &error), &error);
    CHECK_INT(version, ==, 0);
    drop(&a);
}

static void check_locked(int rc, const struct gv_error *error)
{
    CHECK_INT(rc, ==, GV_ELOCKED);
    CHECK_INT(error->code, ==, GV_ELOCKED);
    CHECK(error->what[0] && error->meaning[0] && error->remedy[0]);
}

TEST(a_file_that_a_node_serves_is_locked)
{
    struct gv_node_options options = {.mesh = "locked"};
    struct copy a = {0};
    struct gv_error error = {0};
    struct gv_store *store = NULL;
    struct gv_node *node = NULL;

    make(&a, "a");
    check_locked(gv_store_open(a.db, NULL, &store, &error), &error);
    error = (struct gv_error){0};
    check_locked(gv_node_new(a.db, &options, &node, &error), &error);
    gv_store_close(a.store);
    a.store = NULL;
    must(gv_node_new(a.db, &options, &node, &error), &error);
    error = (struct gv_error){0};
    check_locked(gv_store_open(a.db, NULL, &store, &error), &error);
    CHECK(store == NULL);
    gv_node_free(node);
    open_store(&a);
    drop(&a);
}

TEST(a_file_in_which_nothing_is_tracked_has_nothing_to_merge)
{
    struct copy a = {0};
    struct gv_error error = {0};

    make_untracked(&a, "a");
    CHECK_INT(gv_store_open(a.db, NULL, &a.store, &error), ==, GV_EMISUSE);
    CHECK(error.what[0] && error.meaning[0] && error.remedy[0]);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM sqlite_schema"
                       " WHERE name LIKE 'gv_%'"),
               "0");
    drop(&a);
}

static int refuse_write(void *context, const void *bytes, size_t size)
{
    int *left = context;

    (void)bytes;
    (void)size;
    return (*left)-- > 0 ? GV_OK : GV_EFULL;
}

/* Gives what it has, one byte at a time, then a code. */
struct slow_reader {
    const struct bytes *bytes;
    size_t at;
    int end;
};

static int read_slowly(void *context, void *bytes, size_t size, size_t *got)
{
    struct slow_reader *reader = context;

    CHECK_INT(size, >, 0);
    *got = reader->at < reader->bytes->size;
    if (*got == 0)
        return reader->end;
    memcpy(bytes, (const char *)reader->bytes->data + reader->at++, 1);
    return GV_OK;
}

TEST(a_callers_failure_is_passed_on_and_changes_nothing)
{
    struct copy a = {0}, b = {0};
    struct gv_error error = {0};
    struct bytes delta;
    struct slow_reader reader = {.bytes = &delta, .end = GV_ENONODE};
    int writes;

    make(&a, "a");
    make(&b, "b");
    sql(&a, "INSERT INTO t VALUES('x', 1, 1)");
    for (int i = 0;; i++) {
        int rc;

        writes = i;
        error.what[0] = '\0';
        rc = gv_store_extract(a.store, NULL, 0, refuse_write, &writes, &error);
        if (rc == GV_OK)
            break;
        CHECK_INT(rc, ==, GV_EFULL);
        CHECK(error.what[0] != '\0');
        CHECK_INT(i, <, 20);
    }
    delta = delta_for(&a, NULL);
    delta.size--;
    CHECK_INT(gv_store_apply(b.store, read_slowly, &reader, &error), ==,
              GV_ENONODE);
    CHECK_TEXT(rows(&b), "");
    delta.size++;
    reader.at = 0;
    must(gv_store_apply(b.store, read_slowly, &reader, &error), &error);
    CHECK_INT(reader.at, ==, delta.size);
    check_equal(&a, &b);
    gv_free(delta.data);
    drop(&a);
    drop(&b);
}

TEST(deltas_one_behind_the_other_are_read_one_by_one)
{
    struct copy a = {0}, b = {0};
    struct gv_error error = {0};
    struct bytes first, second, both;
    struct slow_reader reader = {.bytes = &both};

    make(&a, "a");
    make(&b, "b");
    sql(&a, "INSERT INTO t VALUES('x', 1, 1)");
    first = delta_for(&a, NULL);
    sql(&a, "INSERT INTO t VALUES('y', 1, 1)");
    second = delta_for(&a, NULL);
    both.size = first.size + second.size;
    both.data = malloc(both.size);
    memcpy(both.data, first.data, first.size);
    memcpy((char *)both.data + first.size, second.data, second.size);
    CHECK_INT(gv_store_apply_bytes(b.store, both.data, both.size, &error), ==,
              GV_EPROTO);
    CHECK_TEXT(rows(&b), "");
    must(gv_store_apply(b.store, read_slowly, &reader, &error), &error);
    CHECK_TEXT(rows(&b), "x:1:1");
    must(gv_store_apply(b.store, read_slowly, &reader, &error), &error);
    check_equal(&a, &b);
    gv_free(first.data);
    gv_free(second.data);
    free(both.data);
    drop(&a);
    drop(&b);
}

TEST(wrong_bytes_are_refused_with_words)
{
    struct copy a = {0}, b = {0};
    struct gv_error error = {0};
    struct bytes delta, gap;

    make(&a, "a");
    make(&b, "b");
    sql(&a, "INSERT INTO t VALUES('x', 1, 1)");
    delta = delta_for(&a, NULL);
    for (size_t i = 0; i < delta.size; i++) {
        uint8_t *byte = (uint8_t *)delta.data + i;

        error = (struct gv_error){0};
        *byte ^= 0x10;
        CHECK_INT(
            gv_store_apply_bytes(b.store, delta.data, delta.size, &error), <,
            GV_OK);
        CHECK(error.what[0] && error.meaning[0] && error.remedy[0]);
        *byte ^= 0x10;
        CHECK_INT(gv_store_apply_bytes(b.store, delta.data, i, &error), ==,
                  GV_EPROTO);
    }
    sql(&a, "INSERT INTO t VALUES('y', 1, 1)");
    gap = delta_for(&a, &a);
    CHECK_INT(gv_store_apply_bytes(b.store, gap.data, gap.size, &error), ==,
              GV_EGAP);
    CHECK(error.what[0] && error.meaning[0] && error.remedy[0]);
    CHECK_TEXT(rows(&b), "");
    CHECK_INT(gv_store_extract_bytes(a.store, "not a vector", 12, &gap.data,
                                     &gap.size, &error),
              ==, GV_EINVAL);
    gv_free(gap.data);
    gv_free(delta.data);
    drop(&a);
    drop(&b);
}

/* A file system in which one can see that somebody waits for a lock. */
static sem_t someone_waits;
static int (*system_sleep)(sqlite3_vfs *, int);

static int waits(sqlite3_vfs *vfs, int microseconds)
{
    sem_post(&someone_waits);
    return system_sleep(vfs, microseconds);
}

static void *commit_when_waited_for(void *context)
{
    while (sem_wait(&someone_waits) != 0)
        CHECK_INT(errno, ==, EINTR);
    sql(context, "COMMIT");
    return NULL;
}

TEST(another_writer_is_waited_for)
{
    sqlite3_vfs *system = sqlite3_vfs_find(NULL), watched = *system;
    struct copy a = {0};
    struct gv_error error = {0};
    pthread_t thread;
    uint64_t version = 0;

    watched.zName = "watched";
    system_sleep = system->xSleep;
    watched.xSleep = waits;
    CHECK_INT(sem_init(&someone_waits, 0, 0), ==, 0);
    CHECK_INT(sqlite3_vfs_register(&watched, 1), ==, SQLITE_OK);
    make(&a, "a");
    sql(&a, "BEGIN IMMEDIATE; INSERT INTO t VALUES('x', 1, 1)");
    CHECK_INT(pthread_create(&thread, NULL, commit_when_waited_for, &a), ==,
              0);
    must(gv_store_seal(a.store, &version, &error), &error);
    pthread_join(thread, NULL);
    CHECK(version != 0);
    drop(&a);
    CHECK_INT(sqlite3_vfs_unregister(&watched), ==, SQLITE_OK);
    CHECK_INT(sqlite3_vfs_register(system, 1), ==, SQLITE_OK);
}

static long peak_kib(void)
{
    struct rusage usage;

    CHECK_INT(getrusage(RUSAGE_SELF, &usage), ==, 0);
    return usage.ru_maxrss;
}

static int write_file(void *context, const void *bytes, size_t size)
{
    CHECK_INT(size, <=, 65536);
    return fwrite(bytes, 1, size, context) == size ? GV_OK : GV_EIO;
}

static int read_file(void *context, void *bytes, size_t size, size_t *got)
{
    *got = fread(bytes, 1, size, context);
    return ferror((FILE *)context) ? GV_EIO : GV_OK;
}

/* Sanitizers keep what was freed. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_IS_MEASURED 0
#else
#define MEMORY_IS_MEASURED 1
#endif

/* In small transactions, so that the delta is what takes most memory. */
static void fill(struct copy *copy)
{
    struct gv_error error = {0};
    char text[300];
    uint64_t version;

    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text,
                 "WITH RECURSIVE n(i) AS (SELECT %d UNION ALL"
                 " SELECT i+1 FROM n WHERE i<%d) INSERT INTO t"
                 " SELECT printf('%%036d', i), i, hex(zeroblob(200)) FROM n",
                 i * 5000 + 1, (i + 1) * 5000);
        sql(copy, text);
        must(gv_store_seal(copy->store, &version, &error), &error);
    }
}

TEST(a_delta_of_100000_rows_takes_little_memory)
{
    struct copy a = {0}, b = {0};
    struct gv_error error = {0};
    FILE *file = tmpfile();
    long before, size;

    make(&a, "a");
    make(&b, "b");
    fill(&a);
    before = peak_kib();
    must(gv_store_extract(a.store, NULL, 0, write_file, file, &error), &error);
    size = ftell(file) / 1024;
    rewind(file);
    must(gv_store_apply(b.store, read_file, file, &error), &error);
    fprintf(stderr, "  %ld KiB, memory grew by %ld KiB\n", size,
            peak_kib() - before);
    CHECK_INT(size, >, 40000);
    if (MEMORY_IS_MEASURED)
        CHECK_INT(peak_kib() - before, <, 16384);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT count(*)||sum(a) FROM t"),
               ask(&a, "SELECT count(*)||sum(a) FROM t"));
    fclose(file);
    drop(&a);
    drop(&b);
}

int main(int argc, char **argv)
{
    char command[64];
    int rc;

    CHECK(mkdtemp(directory) != NULL);
    rc = check_main(argc, argv);
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command) != 0 ? 1 : rc;
}
