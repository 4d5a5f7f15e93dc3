/* What SQLite does with an open file. */
#include "disk_internal.h"

#include "base/assert.h"

#include <string.h>

static struct handle *handle_of(sqlite3_file *file)
{
    return (struct handle *)(void *)file;
}

static bool dead(const struct handle *handle)
{
    return handle->process->dead;
}

static int file_close(sqlite3_file *file)
{
    struct handle *handle = handle_of(file), **at;
    struct inode *inode = handle->inode;
    struct disk *disk = handle->process->disk;

    shm_unmap(handle);
    for (at = &inode->handles; *at != handle; at = &(*at)->next)
        ;
    *at = handle->next;
    if (handle->delete_on_close && inode->linked && !dead(handle))
        inode_unlink(disk, inode, false);
    else
        inode_release(disk, inode);
    return SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *bytes, int size,
                     sqlite3_int64 offset)
{
    const struct handle *handle = handle_of(file);
    const struct content *seen = &handle->inode->seen;
    struct disk *disk = handle->process->disk;
    size_t wanted = (size_t)size, there = 0;

    if (dead(handle))
        return SQLITE_IOERR_READ;
    disk->latency_us += disk->faults.read_us;
    if (process_faulty(handle->process, disk->faults.read_error,
                       DISK_READ_ERROR))
        return SQLITE_IOERR_READ;
    if ((uint64_t)offset < seen->size)
        there = seen->size - (size_t)offset;
    if (there > wanted)
        there = wanted;
    if (there > 0)
        memcpy(bytes, seen->data + offset, there);
    if (there == wanted)
        return SQLITE_OK;
    memset((uint8_t *)bytes + there, 0, wanted - there);
    return SQLITE_IOERR_SHORT_READ;
}

/* A temporary file is gone after a crash: none of its writes is a point
 * where one could tell that it came. */
static enum fate operate_on(const struct handle *handle)
{
    if (handle->inode->path == NULL)
        return handle->process->dead ? FATE_DEAD : FATE_GO;
    return process_operate(handle->process);
}

static bool full(const struct handle *handle, uint64_t end)
{
    const struct disk *disk = handle->process->disk;
    uint64_t before = handle->inode->seen.size;

    if (disk->faults.capacity == 0 || handle->process->spared ||
        end <= before || disk->size + (end - before) <= disk->faults.capacity)
        return false;
    process_tell(handle->process, DISK_FULL);
    return true;
}

static int file_write(sqlite3_file *file, const void *bytes, int size,
                      sqlite3_int64 offset)
{
    struct handle *handle = handle_of(file);
    struct disk *disk = handle->process->disk;
    uint64_t begin = (uint64_t)offset;
    enum fate fate = operate_on(handle);

    if (fate == FATE_DIES && handle->process->torn)
        inode_write(disk, handle->inode, begin, bytes,
                    inode_torn_size(disk, &disk->chance, begin, (size_t)size));
    if (fate != FATE_GO)
        return SQLITE_IOERR_WRITE;
    disk->latency_us += disk->faults.write_us;
    if (process_faulty(handle->process, disk->faults.write_error,
                       DISK_WRITE_ERROR))
        return SQLITE_IOERR_WRITE;
    if (full(handle, begin + (uint64_t)size))
        return SQLITE_FULL;
    inode_write(disk, handle->inode, begin, bytes, (size_t)size);
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct handle *handle = handle_of(file);
    struct disk *disk = handle->process->disk;

    if (operate_on(handle) != FATE_GO)
        return SQLITE_IOERR_TRUNCATE;
    disk->latency_us += disk->faults.write_us;
    if (process_faulty(handle->process, disk->faults.write_error,
                       DISK_WRITE_ERROR))
        return SQLITE_IOERR_TRUNCATE;
    inode_truncate(disk, handle->inode, (uint64_t)size);
    return SQLITE_OK;
}

/* The system took the pages for clean: no later sync writes them.  It tells
 * each file that is open of it once, as Linux does. */
static void drop_unsynced(struct inode *inode)
{
    inode_settle(inode);
    for (struct handle *handle = inode->handles; handle != NULL;
         handle = handle->next)
        handle->sync_lost = true;
}

static int file_sync(sqlite3_file *file, int flags)
{
    struct handle *handle = handle_of(file);
    struct disk *disk = handle->process->disk;

    (void)flags;
    if (operate_on(handle) != FATE_GO)
        return SQLITE_IOERR_FSYNC;
    disk->latency_us += disk->faults.sync_us;
    if (process_faulty(handle->process, disk->faults.sync_error,
                       DISK_SYNC_ERROR)) {
        if (disk->faults.sync_drops)
            drop_unsynced(handle->inode);
        handle->sync_lost = false;
        return SQLITE_IOERR_FSYNC;
    }
    if (handle->sync_lost) {
        handle->sync_lost = false;
        return SQLITE_IOERR_FSYNC;
    }
    inode_sync(disk, handle->inode);
    if (handle->syncs_directory && handle->inode->linked)
        inode_sync_directory(disk, handle->inode);
    handle->syncs_directory = false;
    return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    const struct handle *handle = handle_of(file);

    if (dead(handle))
        return SQLITE_IOERR_FSTAT;
    *size = (sqlite3_int64)handle->inode->seen.size;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *file, int level)
{
    struct handle *handle = handle_of(file);

    return dead(handle) ? SQLITE_IOERR_LOCK : lock_take(handle, level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    lock_release(handle_of(file), level);
    return SQLITE_OK;
}

static int file_check_reserved(sqlite3_file *file, int *held)
{
    const struct handle *handle = handle_of(file);

    if (dead(handle))
        return SQLITE_IOERR_CHECKRESERVEDLOCK;
    *held = lock_reserved(handle);
    return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
    const struct handle *handle = handle_of(file);

    if (operation != SQLITE_FCNTL_HAS_MOVED)
        return SQLITE_NOTFOUND;
    *(int *)argument = !handle->inode->linked;
    return SQLITE_OK;
}

static int file_sector_size(sqlite3_file *file)
{
    return (int)handle_of(file)->process->disk->options.sector;
}

static int file_characteristics(sqlite3_file *file)
{
    return handle_of(file)->process->disk->options.characteristics;
}

static int file_shm_map(sqlite3_file *file, int region, int size, int extend,
                        void volatile **map)
{
    struct handle *handle = handle_of(file);

    GV_ASSERT(size == REGION_SIZE);
    return dead(handle) ? SQLITE_IOERR_SHMMAP
                        : shm_map(handle, region, extend, map);
}

static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    struct handle *handle = handle_of(file);

    return dead(handle) ? SQLITE_IOERR_SHMLOCK
                        : shm_lock(handle, offset, count, flags);
}

/* One thread: nothing to order. */
static void file_shm_barrier(sqlite3_file *file)
{
    (void)file;
}

static int file_shm_unmap(sqlite3_file *file, int delete_it)
{
    (void)delete_it; /* the last user's unmap does */
    shm_unmap(handle_of(file));
    return SQLITE_OK;
}

const sqlite3_io_methods disk_file_methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};
