/* Memory and disk that fail at the nth call, once or from then on, inside
 * each thing a store does.  Whatever fails: the program goes on, nothing is
 * applied by half, what the store says equals what the file holds, and the
 * next try without a fault succeeds. */
#include "copies.h"

#include "store/bundle.h"

/* What fails: SQLite's allocations, ours (the linker wraps malloc), or a
 * call of the file system. */
enum fault {
    FAULT_SQLITE,
    FAULT_MALLOC,
    FAULT_WRITE,
    FAULT_FULL,
    FAULT_READ,
    FAULT_SYNC,
    FAULT_COUNT
};
static const char *const fault_names[] = {"SQLite's memory", "our memory",
                                          "a write",         "a full disk",
                                          "a read",          "a sync"};

static enum fault armed = FAULT_COUNT;
static int calls_left;
static bool lasting, fired;
static int sync_count;

static bool faulty(enum fault fault)
{
    if (armed != fault || (fired && !lasting))
        return false;
    if (!fired && --calls_left > 0)
        return false;
    fired = true;
    return true;
}

static void arm(enum fault fault, int call, bool from_then_on)
{
    armed = fault;
    calls_left = call;
    lasting = from_then_on;
    fired = false;
}

/* Whether it failed. */
static bool disarm(void)
{
    armed = FAULT_COUNT;
    return fired;
}

/* Our allocations */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *bytes, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *bytes, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
    return faulty(FAULT_MALLOC) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return faulty(FAULT_MALLOC) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *bytes, size_t size)
{
    return faulty(FAULT_MALLOC) ? NULL : __real_realloc(bytes, size);
}

char *__wrap_strdup(const char *text)
{
    return faulty(FAULT_MALLOC) ? NULL : __real_strdup(text);
}

/* SQLite's allocations */

static sqlite3_mem_methods memory;

static void *memory_malloc(int size)
{
    return faulty(FAULT_SQLITE) ? NULL : memory.xMalloc(size);
}

static void *memory_realloc(void *bytes, int size)
{
    return faulty(FAULT_SQLITE) ? NULL : memory.xRealloc(bytes, size);
}

/* The file system: SQLite's own, with our functions in front of those that
 * fail.  Its file object comes behind ours. */

struct shim {
    sqlite3_file base;
    sqlite3_file *real;
};

static sqlite3_vfs *below;
static sqlite3_vfs shim_vfs;
static sqlite3_io_methods shim_methods;

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct shim *)file)->real;
}

#define REAL(file) real_of(file)->pMethods

static int shim_close(sqlite3_file *file)
{
    return REAL(file)->xClose(real_of(file));
}

static int shim_read(sqlite3_file *file, void *bytes, int size,
                     sqlite3_int64 offset)
{
    if (faulty(FAULT_READ))
        return SQLITE_IOERR_READ;
    return REAL(file)->xRead(real_of(file), bytes, size, offset);
}

static int shim_write(sqlite3_file *file, const void *bytes, int size,
                      sqlite3_int64 offset)
{
    if (faulty(FAULT_WRITE))
        return SQLITE_IOERR_WRITE;
    if (faulty(FAULT_FULL))
        return SQLITE_FULL;
    return REAL(file)->xWrite(real_of(file), bytes, size, offset);
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return REAL(file)->xTruncate(real_of(file), size);
}

static int shim_sync(sqlite3_file *file, int flags)
{
    if (faulty(FAULT_SYNC))
        return SQLITE_IOERR_FSYNC;
    sync_count++;
    (void)file;
    (void)flags;
    return SQLITE_OK; /* no power is cut here, and disks are slow */
}

static int shim_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return REAL(file)->xFileSize(real_of(file), size);
}

static int shim_lock(sqlite3_file *file, int level)
{
    return REAL(file)->xLock(real_of(file), level);
}

static int shim_unlock(sqlite3_file *file, int level)
{
    return REAL(file)->xUnlock(real_of(file), level);
}

static int shim_reserved(sqlite3_file *file, int *held)
{
    return REAL(file)->xCheckReservedLock(real_of(file), held);
}

static int shim_control(sqlite3_file *file, int operation, void *argument)
{
    return REAL(file)->xFileControl(real_of(file), operation, argument);
}

static int shim_sector(sqlite3_file *file)
{
    return REAL(file)->xSectorSize(real_of(file));
}

static int shim_characteristics(sqlite3_file *file)
{
    return REAL(file)->xDeviceCharacteristics(real_of(file));
}

static int shim_shm_map(sqlite3_file *file, int page, int size, int extend,
                        void volatile **map)
{
    return REAL(file)->xShmMap(real_of(file), page, size, extend, map);
}

static int shim_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return REAL(file)->xShmLock(real_of(file), offset, count, flags);
}

static void shim_shm_barrier(sqlite3_file *file)
{
    REAL(file)->xShmBarrier(real_of(file));
}

static int shim_shm_unmap(sqlite3_file *file, int delete)
{
    return REAL(file)->xShmUnmap(real_of(file), delete);
}

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file,
                     int flags, int *out_flags)
{
    struct shim *shim = (struct shim *)file;
    int rc;

    (void)vfs;
    shim->base.pMethods = NULL;
    shim->real = (sqlite3_file *)(shim + 1);
    rc = below->xOpen(below, name, shim->real, flags, out_flags);
    if (rc == SQLITE_OK)
        shim->base.pMethods = &shim_methods;
    return rc;
}

static void install(void)
{
    static const sqlite3_io_methods methods = {2,
                                               shim_close,
                                               shim_read,
                                               shim_write,
                                               shim_truncate,
                                               shim_sync,
                                               shim_size,
                                               shim_lock,
                                               shim_unlock,
                                               shim_reserved,
                                               shim_control,
                                               shim_sector,
                                               shim_characteristics,
                                               shim_shm_map,
                                               shim_shm_lock,
                                               shim_shm_barrier,
                                               shim_shm_unmap,
                                               NULL,
                                               NULL};
    sqlite3_mem_methods faulty_memory;

    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory);
    faulty_memory = memory;
    faulty_memory.xMalloc = memory_malloc;
    faulty_memory.xRealloc = memory_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &faulty_memory);
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
    CHECK_INT(sqlite3_initialize(), ==, SQLITE_OK);
    below = sqlite3_vfs_find(NULL);
    shim_methods = methods;
    shim_vfs = *below;
    shim_vfs.zName = "shim";
    shim_vfs.pNext = NULL;
    shim_vfs.szOsFile = (int)sizeof(struct shim) + below->szOsFile;
    shim_vfs.xOpen = shim_open;
    CHECK_INT(sqlite3_vfs_register(&shim_vfs, 1), ==, SQLITE_OK);
}

/* The copies and what is done to them */

#define TABLE "CREATE TABLE t(id TEXT PRIMARY KEY, a, b INTEGER DEFAULT 7)"

static struct copy from, to;
static struct store_sealed news; /* what @from sealed last */
static int round_number;

static bool may_fail(int rc)
{
    return rc == GV_OK || rc == GV_ENOMEM || rc == GV_EIO || rc == GV_EFULL ||
           rc == GV_ELIMIT || rc == GV_EBUSY;
}

/* What the store says is what the file holds. */
static void check_store(struct copy *copy)
{
    const struct vv *vv = store_vv(copy->store);
    struct hash128 sum = store_fingerprint(copy->store);
    char hex[40];

    CHECK_INT(vv->count, ==,
              atoi(ask(copy, "SELECT count(*) FROM gv_site WHERE"
                             " version > 0")));
    for (size_t i = 0; i < vv->count; i++) {
        char text[200], site[33];

        site_format(&vv->entries[i].site, site);
        snprintf(text, sizeof text,
                 "SELECT version FROM gv_site WHERE site = x'%s'", site);
        CHECK_INT(atoll(ask(copy, text)), ==, vv->entries[i].version);
    }
    snprintf(hex, sizeof hex, "%016llX%016llX", (unsigned long long)sum.high,
             (unsigned long long)sum.low);
    CHECK_TEXT(ask(copy, "SELECT hex(fingerprint) FROM gv_meta"), hex);
    CHECK_INT(verify_findings(copy, NULL), ==, 0);
}

static void write_some(struct copy *copy)
{
    char text[600];

    round_number++;
    snprintf(text, sizeof text,
             "BEGIN IMMEDIATE;"
             "INSERT INTO t VALUES('k%d', hex(zeroblob(%d)), %d);"
             "INSERT INTO t SELECT 'm%d'||id, a, 1 FROM t LIMIT 5;"
             "UPDATE t SET a = b WHERE id = 'k%d';"
             "DELETE FROM t WHERE id = 'k%d'; COMMIT",
             round_number, round_number % 7 == 0 ? 3000 : 20, round_number,
             round_number, round_number - 3, round_number - 5);
    sql(copy, text);
}

static int try_seal(struct copy *copy)
{
    struct store_sealed sealed;
    struct gv_error error = {0};
    int rc = store_begin(copy->store, &error);

    return rc == GV_OK ? store_commit(copy->store, &sealed, &error) : rc;
}

/* As a driver does: apply, then commit, whatever the apply said. */
static int try_interval(void)
{
    struct store_sealed sealed;
    struct gv_error error = {0};
    int rc = store_begin(to.store, &error), committed;

    if (rc != GV_OK)
        return rc;
    rc = store_apply_interval(to.store, &news.interval, &error);
    committed = store_commit(to.store, &sealed, &error);
    return rc == GV_OK ? committed : rc;
}

static int stage_delta(struct extract **extract, uint64_t token)
{
    static uint8_t piece[4096];
    uint64_t at = 0;
    int rc = GV_OK;

    while (rc == GV_OK && at < extract_size(*extract)) {
        uint64_t left = extract_size(*extract) - at;
        size_t size = left < sizeof piece ? (size_t)left : sizeof piece;

        rc = extract_read(*extract, at, piece, size);
        if (rc == GV_OK)
            rc = store_stage(to.store, token, at, piece, size);
        at += size;
    }
    return rc;
}

static int try_delta(void)
{
    static uint8_t bytes[VV_ENTRY_SIZE * 8];
    static uint64_t token;
    struct gv_error error = {0};
    struct store_sealed sealed;
    struct extract *extract;
    struct vv_view view;
    int rc, committed;

    view_of(store_vv(to.store), bytes, &view);
    rc = extract_whole(&from, view, &extract, &error);
    if (rc != GV_OK)
        return rc;
    rc = store_stage(to.store, ++token, 0, NULL, 0);
    if (rc == GV_OK)
        rc = stage_delta(&extract, token);
    if (rc == GV_OK)
        rc = store_begin(to.store, &error);
    if (rc == GV_OK) {
        rc =
            store_apply_delta(to.store, token, extract_claim(extract), &error);
        committed = store_commit(to.store, &sealed, &error);
        rc = rc == GV_OK ? committed : rc;
    }
    store_stage_drop(to.store, token);
    extract_free(extract);
    return rc;
}

static int try_bundle(void)
{
    static uint8_t bytes[VV_ENTRY_SIZE * 8];
    struct gv_error error = {0};
    struct vv_view view;
    struct buffer bundle;
    int rc;

    view_of(store_vv(to.store), bytes, &view);
    buffer_init(&bundle, SIZE_MAX);
    rc = bundle_write_buffer(from.store, view, &bundle, &error);
    if (rc == GV_OK)
        rc = bundle_apply_bytes(to.store, bundle.data, bundle.size, &error);
    CHECK(rc == GV_OK || error.what[0] != '\0');
    CHECK(rc == GV_OK || error.code == rc);
    buffer_close(&bundle);
    return rc;
}

static int try_open(void)
{
    struct store_options options = {.mode = STORE_WRITE,
                                    .host = copies_host()};
    struct gv_error error = {0};

    store_close(to.store);
    to.store = NULL;
    return store_open(to.path, &options, &to.store, &error);
}

static int try_track_new(void)
{
    struct gv_error error = {0};
    char table[40];

    snprintf(table, sizeof table, "n%d", round_number);
    return try_track(&to, table, &error);
}

enum deed { SEAL, INTERVAL, DELTA, BUNDLE, OPEN, TRACK, MAKE, DEED_COUNT };
static const char *const deed_names[] = {
    "a seal",  "an interval",         "a delta", "a bundle", "an open",
    "a track", "the making of tables"};

/* A new table of the mesh, and a new column of the one before. */
static void define_some(void)
{
    char text[400];

    snprintf(text, sizeof text,
             "CREATE TABLE n%d(k TEXT PRIMARY KEY, v INT DEFAULT 4);"
             "INSERT INTO n%d VALUES(1, 2), ('x', 'y');",
             round_number + 1, round_number + 1);
    sql(&from, text);
    snprintf(text, sizeof text, "n%d", ++round_number);
    track(&from, text);
    snprintf(text, sizeof text,
             "ALTER TABLE n%d ADD COLUMN more TEXT DEFAULT 'm';"
             "UPDATE n%d SET more = v WHERE k = 'x'",
             round_number - 1, round_number - 1);
    sql(&from, text);
    seal(&from);
}

/* What the deed needs, made without a fault. */
static void prepare(enum deed deed)
{
    char text[300];

    switch (deed) {
    case SEAL:
    case OPEN:
        write_some(&to);
        break;
    case INTERVAL:
        seal(&to);
        write_some(&from);
        write_some(&to);
        news = seal(&from);
        CHECK(news.interval.bytes != NULL);
        break;
    case DELTA:
        write_some(&from);
        write_some(&to);
        seal(&from);
        break;
    case BUNDLE:
        write_some(&from);
        write_some(&to);
        break;
    case TRACK:
        round_number++;
        snprintf(text, sizeof text,
                 "CREATE TABLE n%d(k PRIMARY KEY, v);"
                 "INSERT INTO n%d VALUES(1, 2), ('x', 'y');",
                 round_number, round_number);
        sql(&to, text);
        break;
    case MAKE:
        define_some();
        break;
    case DEED_COUNT:
        break;
    }
}

static int perform(enum deed deed)
{
    switch (deed) {
    case SEAL:
        return try_seal(&to);
    case INTERVAL:
        return try_interval();
    case DELTA:
    case MAKE:
        return try_delta();
    case BUNDLE:
        return try_bundle();
    case OPEN:
        return try_open();
    case TRACK:
        return try_track_new();
    case DEED_COUNT:
        break;
    }
    return GV_OK;
}

static void fail_at(enum deed deed, enum fault fault, int call, bool again,
                    bool *reached)
{
    int rc;

    prepare(deed);
    arm(fault, call, again);
    rc = perform(deed);
    *reached = disarm();
    /* To a check of its pages, a page that cannot be read is a bad one. */
    if (rc == GV_ECORRUPT && deed == OPEN && *reached)
        rc = GV_EIO;
    if (!may_fail(rc) || (rc != GV_OK && !*reached)) {
        fprintf(stderr, "%s, %s, call %d: %d\n", deed_names[deed],
                fault_names[fault], call, rc);
        exit(1);
    }
    if (rc == GV_EIO || to.store == NULL) {
        /* What a node does then: it ends, and is started again. */
        copy_reopen(&to, STORE_WRITE);
        copy_reopen(&from, STORE_WRITE);
        seal(&from);
    }
    if (rc != GV_OK)
        seal(&to); /* what comes next reads again what could not be read */
    check_store(&to);
    if (rc != GV_OK && deed == INTERVAL)
        deed = DELTA; /* the interval's bytes went with its store */
    if (rc != GV_OK) {
        rc = perform(deed);
        if (rc != GV_OK)
            fprintf(stderr, "%s, %s, call %d, again: %d\n", deed_names[deed],
                    fault_names[fault], call, rc);
        CHECK_INT(rc, ==, GV_OK);
        check_store(&to);
    }
    seal(&to);
}

static void fail_everywhere(enum deed deed, int stride)
{
    for (int fault = 0; fault < FAULT_COUNT; fault++)
        for (int again = 0; again < 2; again++) {
            bool reached = true;

            for (int call = 1; reached; call += 1 + call / stride)
                fail_at(deed, (enum fault)fault, call, again, &reached);
        }
}

/* Each making costs both files a table: fewer of them.  All calls but the
 * last ones are those of any delta. */
#define MAKE_STRIDE 2

static void make_everywhere(void)
{
    struct gv_error error = {0};

    round_number = 10;
    copy_make(&from, "from", "CREATE TABLE n10(k TEXT PRIMARY KEY, v)");
    copy_make(&to, "to", NULL);
    track(&from, "n10");
    CHECK_INT(store_join(to.store, "m", &error), ==, GV_OK);
    CHECK_INT(store_create_tables(to.store, &error), ==, GV_OK);
    fail_everywhere(MAKE, MAKE_STRIDE);
    must_pull(&to, &from);
    check_equal(&from, &to);
    CHECK(store_schema_digest(from.store) == store_schema_digest(to.store));
    copy_close(&from);
    copy_close(&to);
    copies_remove();
}

static void everywhere(enum deed deed)
{
    const char *stride = getenv("FAULT_STRIDE");

    round_number = 10;
    copy_make(&from, "from", TABLE);
    copy_make(&to, "to", TABLE);
    track(&from, "t");
    track(&to, "t");
    fail_everywhere(deed, stride == NULL ? 1 : atoi(stride));
    if (deed != TRACK) { /* whose new tables @from has not */
        sync_both(&from, &to);
        check_equal(&from, &to);
    }
    copy_close(&from);
    copy_close(&to);
    copies_remove();
}

/* An earlier run may have ended between a commit and its sync. */
TEST(what_this_site_publishes_is_synced_before_anyone_hears_of_it)
{
    copy_make(&to, "to", TABLE);
    track(&to, "t");
    sql(&to, "INSERT INTO t VALUES('k', 1, 1)");
    sync_count = 0;
    CHECK(seal(&to).any);
    CHECK_INT(sync_count, ==, 1);
    CHECK(!seal(&to).any);
    CHECK_INT(sync_count, ==, 1);
    copy_reopen(&to, STORE_WRITE);
    CHECK_INT(sync_count, >, 1);
    copy_close(&to);
    copies_remove();
}

TEST(a_seal_survives_any_fault)
{
    everywhere(SEAL);
}

TEST(an_interval_is_applied_whole_or_not_at_all)
{
    everywhere(INTERVAL);
}

TEST(a_delta_is_applied_whole_or_not_at_all)
{
    everywhere(DELTA);
}

TEST(a_bundle_is_applied_whole_or_not_at_all)
{
    everywhere(BUNDLE);
}

TEST(tables_are_made_whole_or_not_at_all)
{
    make_everywhere();
}

TEST(an_open_that_fails_changes_nothing)
{
    everywhere(OPEN);
}

TEST(a_track_that_fails_can_be_tried_again)
{
    everywhere(TRACK);
}

/* A file of format 1, as it was left. */
static void take_golden(void)
{
    char command[600];

    store_close(to.store);
    to.store = NULL;
    snprintf(command, sizeof command,
             "rm -rf '%s'* && cat '%s/format1.db' > '%s'", to.path, GOLDEN,
             to.path);
    CHECK(system(command) == 0);
}

/* Whatever fails, the file is of the old format, or whole of the new one. */
static void upgrade_failing(enum fault fault, int call, bool again,
                            bool *reached)
{
    sqlite3 *app;
    int64_t format = 0;
    int rc;

    take_golden();
    arm(fault, call, again);
    rc = try_open();
    *reached = disarm();
    CHECK(rc == GV_OK || *reached);
    CHECK(sqlite3_open(to.path, &app) == SQLITE_OK);
    sqlite3_close(to.app);
    to.app = app;
    format = atoi(ask(&to, "SELECT format FROM gv_meta"));
    CHECK(format == 1 || format == 2);
    CHECK_TEXT(ask(&to, "SELECT count(*) FROM sqlite_schema WHERE name ="
                        " 'gv_parked'"),
               format == 1 ? "0" : "1");
    if (rc != GV_OK)
        copy_reopen(&to, STORE_WRITE);
    CHECK_TEXT(ask(&to, "SELECT format FROM gv_meta"), "2");
    CHECK_INT(verify_findings(&to, NULL), ==, 0);
    CHECK(seal(&to).any);
}

TEST(an_upgrade_that_fails_changes_nothing)
{
    copy_make(&to, "to", TABLE);
    for (int fault = 0; fault < FAULT_COUNT; fault++)
        for (int again = 0; again < 2; again++) {
            bool reached = true;

            for (int call = 1; reached; call += 1 + call / 20)
                upgrade_failing((enum fault)fault, call, again, &reached);
        }
    copy_close(&to);
    copies_remove();
}

int main(int argc, char **argv)
{
    install();
    return check_main(argc, argv);
}
