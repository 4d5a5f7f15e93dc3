/* Locks of databases, and wal-index memory with its locks, as SQLite's unix
 * VFS gives them to connections of several processes.
 *
 * Every handle maps a wal-index for itself: when its process dies, its
 * mapping becomes a private copy, because SQLite goes on to roll back in
 * memory what a dead program would have left as it was. */
#include "disk_internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The highest level that another handle of the file holds. */
static int level_of_others(const struct handle *handle)
{
    int level = SQLITE_LOCK_NONE;

    for (const struct handle *other = handle->inode->handles; other != NULL;
         other = other->next)
        if (other != handle && other->level > level)
            level = other->level;
    return level;
}

/* A handle that cannot have EXCLUSIVE yet keeps PENDING, so that no reader
 * comes in any more. */
int lock_take(struct handle *handle, int level)
{
    int others = level_of_others(handle);

    if (handle->level >= level)
        return SQLITE_OK;
    if (others >= SQLITE_LOCK_PENDING)
        return SQLITE_BUSY;
    if (level == SQLITE_LOCK_SHARED) {
        handle->level = level;
        return SQLITE_OK;
    }
    if (others >= SQLITE_LOCK_RESERVED)
        return SQLITE_BUSY;
    if (level == SQLITE_LOCK_EXCLUSIVE && others >= SQLITE_LOCK_SHARED) {
        handle->level = SQLITE_LOCK_PENDING;
        return SQLITE_BUSY;
    }
    handle->level = level;
    return SQLITE_OK;
}

void lock_release(struct handle *handle, int level)
{
    if (handle->level > level)
        handle->level = level;
}

bool lock_reserved(const struct handle *handle)
{
    return handle->level >= SQLITE_LOCK_RESERVED ||
           level_of_others(handle) >= SQLITE_LOCK_RESERVED;
}

/* wal-index memory */

static struct wal_index *wal_index_new(void)
{
    struct wal_index *index = must_make(sizeof *index);

    index->fd = memfd_create("wal-index", MFD_CLOEXEC);
    if (index->fd < 0)
        abort();
    return index;
}

static void wal_index_size(struct wal_index *index, int region_count)
{
    if (ftruncate(index->fd, (off_t)region_count * REGION_SIZE) != 0)
        abort();
    index->region_count = region_count;
}

/* It lives as long as a process that lives uses it. */
static void wal_index_release(struct inode *inode)
{
    for (const struct handle *user = inode->handles; user != NULL;
         user = user->next)
        if (user->shm_user)
            return;
    if (inode->wal_index == NULL)
        return;
    close(inode->wal_index->fd);
    free(inode->wal_index);
    inode->wal_index = NULL;
}

static void *region_map(const struct wal_index *index, int region)
{
    void *map = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                     index->fd, (off_t)region * REGION_SIZE);

    if (map == MAP_FAILED)
        abort();
    return map;
}

int shm_map(struct handle *handle, int region, int extend, void volatile **map)
{
    struct inode *inode = handle->inode;

    if (inode->wal_index == NULL)
        inode->wal_index = wal_index_new();
    handle->shm_user = true;
    *map = NULL;
    if (region >= inode->wal_index->region_count) {
        if (!extend)
            return SQLITE_OK;
        wal_index_size(inode->wal_index, region + 1);
    }
    if (region >= handle->region_count) {
        handle->regions = must_grow(
            handle->regions, (size_t)(region + 1) * sizeof *handle->regions);
        for (int i = handle->region_count; i <= region; i++)
            handle->regions[i] = region_map(inode->wal_index, i);
        handle->region_count = region + 1;
    }
    *map = handle->regions[region];
    return SQLITE_OK;
}

int shm_lock(struct handle *handle, int offset, int count, int flags)
{
    unsigned mask = ((1u << count) - 1) << offset;
    bool shared = (flags & SQLITE_SHM_SHARED) != 0;

    GV_ASSERT(offset >= 0 && count >= 1 && offset + count <= SHM_LOCKS);
    if (flags & SQLITE_SHM_UNLOCK) {
        handle->shm_shared &= ~mask;
        handle->shm_exclusive &= ~mask;
        return SQLITE_OK;
    }
    for (const struct handle *other = handle->inode->handles; other != NULL;
         other = other->next) {
        unsigned held = other->shm_exclusive;

        if (!shared)
            held |= other->shm_shared;
        if (other != handle && (held & mask) != 0)
            return SQLITE_BUSY;
    }
    if (shared)
        handle->shm_shared |= mask;
    else
        handle->shm_exclusive |= mask;
    return SQLITE_OK;
}

void shm_unmap(struct handle *handle)
{
    for (int i = 0; i < handle->region_count; i++)
        munmap(handle->regions[i], REGION_SIZE);
    free(handle->regions);
    handle->regions = NULL;
    handle->region_count = 0;
    handle->shm_shared = handle->shm_exclusive = 0;
    handle->shm_user = false;
    wal_index_release(handle->inode);
}

static void region_part(void *region)
{
    void *copy = must_make(REGION_SIZE);

    memcpy(copy, region, REGION_SIZE);
    if (mmap(region, REGION_SIZE, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != region)
        abort();
    memcpy(region, copy, REGION_SIZE);
    free(copy);
}

void lock_forsake(struct handle *handle)
{
    handle->level = SQLITE_LOCK_NONE;
    handle->shm_shared = handle->shm_exclusive = 0;
    for (int i = 0; i < handle->region_count; i++)
        region_part(handle->regions[i]);
    handle->shm_user = false;
    wal_index_release(handle->inode);
}

void shm_forget(struct inode *inode)
{
    struct wal_index *index = inode->wal_index;
    int count = index == NULL ? 0 : index->region_count;

    if (count == 0)
        return;
    wal_index_size(index, 0);
    wal_index_size(index, count);
}

/* Give @index memory of its own with the same contents. */
static void wal_index_dup(struct wal_index *index)
{
    struct wal_index *made = wal_index_new();
    uint8_t *region = must_make(REGION_SIZE);

    wal_index_size(made, index->region_count);
    for (int i = 0; i < index->region_count; i++) {
        off_t at = (off_t)i * REGION_SIZE;

        if (pread(index->fd, region, REGION_SIZE, at) != REGION_SIZE ||
            pwrite(made->fd, region, REGION_SIZE, at) != REGION_SIZE)
            abort();
    }
    free(region);
    close(index->fd);
    *index = *made;
    free(made);
}

void shm_unshare(struct inode *inode)
{
    if (inode->wal_index == NULL)
        return;
    wal_index_dup(inode->wal_index);
    for (struct handle *handle = inode->handles; handle != NULL;
         handle = handle->next) {
        if (!handle->shm_user)
            continue; /* of a dead program: private already */
        for (int i = 0; i < handle->region_count; i++)
            if (mmap(handle->regions[i], REGION_SIZE, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_FIXED, inode->wal_index->fd,
                     (off_t)i * REGION_SIZE) != handle->regions[i])
                abort();
    }
}
