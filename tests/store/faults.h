/* Memory and disk that fail when a test says so: SQLite's allocations and file
 * system, and our own allocations (the linker wraps malloc). */
#ifndef TESTS_STORE_FAULTS_H
#define TESTS_STORE_FAULTS_H

#include "copies.h"

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
/* The state file as a power cut would leave it. */
static uint8_t state_synced[64];
static size_t state_synced_size;

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
    uint64_t is_state; /* what follows it is aligned */
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
    sqlite3_int64 size = 0;

    if (faulty(FAULT_SYNC))
        return SQLITE_IOERR_FSYNC;
    sync_count++;
    if (((struct shim *)file)->is_state) {
        REAL(file)->xFileSize(real_of(file), &size);
        CHECK(size > 0 && (size_t)size <= sizeof state_synced);
        REAL(file)->xRead(real_of(file), state_synced, (int)size, 0);
        state_synced_size = (size_t)size;
    }
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
    shim->is_state = name != NULL && strstr(name, "-gv/state") != NULL;
    rc = below->xOpen(below, name, shim->real, flags, out_flags);
    if (rc == SQLITE_OK)
        shim->base.pMethods = &shim_methods;
    return rc;
}

static void faults_install(void)
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

/* After a fault */

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

#endif
