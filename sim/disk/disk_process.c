/* Processes: each has a VFS of its own over the shared disk. */
#include "disk_internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define PATH_SIZE_MAX 1024

/* Life and death */

void process_kill(struct process *process)
{
    struct disk *disk = process->disk;

    if (process->dead || process->spared)
        return;
    process->dead = true;
    for (size_t i = 0; i < disk->inode_count; i++)
        for (struct handle *handle = disk->inodes[i]->handles; handle != NULL;
             handle = handle->next)
            if (handle->process == process)
                lock_forsake(handle);
    for (struct path_lock *lock = disk->locks; lock != NULL; lock = lock->next)
        if (lock->process == process)
            lock->held = false;
}

bool process_dead(const struct process *process)
{
    return process->dead;
}

uint64_t process_operations(const struct process *process)
{
    return process->operations;
}

void process_kill_at(struct process *process, uint64_t n, bool torn)
{
    GV_ASSERT(!process->spared);
    process->kill_in = n;
    process->torn = torn;
}

void process_tell(const struct process *process, enum disk_event event)
{
    const struct disk_options *options = &process->disk->options;

    if (options->event != NULL)
        options->event(options->context, event);
}

enum fate process_operate(struct process *process)
{
    if (process->dead)
        return FATE_DEAD;
    if (process->spared)
        return FATE_GO;
    process->operations++;
    if (process->kill_in == 0 || --process->kill_in > 0)
        return FATE_GO;
    process_kill(process);
    process_tell(process, DISK_CRASH);
    return FATE_DIES;
}

bool process_faulty(const struct process *process, unsigned per_million,
                    enum disk_event event)
{
    if (per_million == 0 || process->spared ||
        random_below(&process->disk->chance, 1000000) >= per_million)
        return false;
    process_tell(process, event);
    return true;
}

void process_random(struct process *process, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)random_u64(&process->disk->bytes);
}

/* The file system */

static struct process *process_of(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file,
                    int flags, int *flags_out)
{
    struct process *process = process_of(vfs);
    struct handle *handle = (struct handle *)(void *)file;
    struct inode *inode =
        path == NULL ? NULL : inode_find(process->disk, path);

    memset(handle, 0, sizeof *handle);
    if (process->dead ||
        (inode == NULL && path != NULL && !(flags & SQLITE_OPEN_CREATE)))
        return SQLITE_CANTOPEN;
    if (inode == NULL) {
        if (path != NULL && process_operate(process) != FATE_GO)
            return SQLITE_CANTOPEN;
        inode = inode_create(process->disk, path);
    }
    handle->process = process;
    handle->inode = inode;
    handle->syncs_directory =
        path != NULL &&
        (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_MASTER_JOURNAL |
                  SQLITE_OPEN_WAL)) != 0;
    handle->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    handle->next = inode->handles;
    inode->handles = handle;
    handle->base.pMethods = &disk_file_methods;
    if (flags_out != NULL)
        *flags_out = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_directory)
{
    struct process *process = process_of(vfs);
    struct inode *inode = inode_find(process->disk, path);

    if (process->dead)
        return SQLITE_IOERR_DELETE;
    if (inode == NULL)
        return SQLITE_IOERR_DELETE_NOENT;
    if (process_operate(process) != FATE_GO)
        return SQLITE_IOERR_DELETE;
    inode_unlink(process->disk, inode, sync_directory != 0);
    return SQLITE_OK;
}

/* As on unix, an empty file does not exist for SQLITE_ACCESS_EXISTS. */
static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags,
                      int *result)
{
    const struct process *process = process_of(vfs);
    const struct inode *inode = inode_find(process->disk, path);

    if (process->dead)
        return SQLITE_IOERR_ACCESS;
    *result = inode != NULL &&
              (flags != SQLITE_ACCESS_EXISTS || inode->seen.size > 0);
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int size,
                         char *full_path)
{
    size_t length = strlen(path);

    (void)vfs;
    if (length >= (size_t)size)
        return SQLITE_CANTOPEN;
    memcpy(full_path, path, length + 1);
    return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *vfs, int size, char *bytes)
{
    process_random(process_of(vfs), (uint8_t *)bytes, (size_t)size);
    return size;
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    process_of(vfs)->disk->latency_us += (uint64_t)microseconds;
    return microseconds;
}

/* SQLite counts from noon of 24 November 4714 BC. */
static int vfs_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *now)
{
    const struct disk_options *options = &process_of(vfs)->disk->options;

    *now = options->wall(options->context) + INT64_C(210866760000000);
    return SQLITE_OK;
}

static int vfs_time(sqlite3_vfs *vfs, double *now)
{
    sqlite3_int64 ms = 0;

    vfs_time_ms(vfs, &ms);
    *now = (double)ms / 86400000.0;
    return SQLITE_OK;
}

/* Making and freeing */

static void set_up(struct process *process)
{
    process->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = (int)sizeof(struct handle),
        .mxPathname = PATH_SIZE_MAX,
        .zName = process->name,
        .pAppData = process,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xCurrentTimeInt64 = vfs_time_ms,
    };
}

struct process *process_new(struct disk *disk, const char *name, bool spared)
{
    struct process *process = must_make(sizeof *process);

    GV_ASSERT(sqlite3_vfs_find(name) == NULL);
    process->disk = disk;
    process->spared = spared;
    process->name = must_make(strlen(name) + 1);
    memcpy(process->name, name, strlen(name));
    set_up(process);
    host_set_up(process);
    process->next = disk->processes;
    disk->processes = process;
    if (sqlite3_vfs_register(&process->vfs, 0) != SQLITE_OK)
        abort();
    return process;
}

void process_free(struct process *process)
{
    struct process **at;

    if (process == NULL)
        return;
    for (size_t i = 0; i < process->disk->inode_count; i++)
        for (const struct handle *handle = process->disk->inodes[i]->handles;
             handle != NULL; handle = handle->next)
            GV_ASSERT(handle->process != process);
    host_unlock_all(process);
    for (at = &process->disk->processes; *at != process; at = &(*at)->next)
        ;
    *at = process->next;
    sqlite3_vfs_unregister(&process->vfs);
    free(process->name);
    free(process);
}

const char *process_vfs(const struct process *process)
{
    return process->name;
}

const struct host *process_host(const struct process *process)
{
    return &process->host;
}
