/* The disk as a whole; disk_internal.h says which file has what. */
#include "disk_internal.h"

#include "base/assert.h"
#include "base/buffer.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* Faults and losses have random numbers of their own, so that one does not
 * shift the other. */
static void seed_chance(struct disk *disk, uint64_t seed)
{
    random_seed(&disk->chance, seed);
    random_seed(&disk->loss, seed ^ UINT64_C(0x6c6f7373));
}

struct disk *disk_new(const struct disk_options *options)
{
    struct disk *disk = must_make(sizeof *disk);

    GV_ASSERT(options->sector == 512 || options->sector == 4096);
    disk->options = *options;
    seed_chance(disk, options->seed);
    random_seed(&disk->bytes, options->seed ^ UINT64_C(0x6279746573));
    return disk;
}

void disk_free(struct disk *disk)
{
    if (disk == NULL)
        return;
    GV_ASSERT(disk->processes == NULL && disk->locks == NULL);
    while (disk->inode_count > 0)
        inode_free(disk, disk->inodes[disk->inode_count - 1]);
    for (size_t i = 0; i < disk->directory_count; i++)
        free(disk->directories[i]);
    free(disk->directories);
    free(disk->inodes);
    free(disk);
}

void disk_set_faults(struct disk *disk, const struct disk_faults *faults)
{
    disk->faults = *faults;
}

uint64_t disk_latency_take(struct disk *disk)
{
    uint64_t latency_us = disk->latency_us;

    disk->latency_us = 0;
    return latency_us;
}

void disk_power_cut(struct disk *disk, enum disk_loss loss)
{
    for (size_t i = 0; i < disk->inode_count; i++)
        for (const struct handle *handle = disk->inodes[i]->handles;
             handle != NULL; handle = handle->next)
            GV_ASSERT(handle->process->spared);
    for (struct process *process = disk->processes; process != NULL;
         process = process->next)
        process_kill(process);
    cut_power(disk, loss);
}

void disk_unshare(struct disk *disk, uint64_t seed)
{
    seed_chance(disk, seed);
    for (size_t i = 0; i < disk->inode_count; i++)
        shm_unshare(disk->inodes[i]);
}

uint64_t disk_size(const struct disk *disk)
{
    return disk->size;
}

static int path_compare(const void *a, const void *b)
{
    const struct inode *const *x = a, *const *y = b;

    return strcmp((*x)->path, (*y)->path);
}

uint64_t disk_hash(const struct disk *disk)
{
    struct inode **linked =
        must_make((disk->inode_count + 1) * sizeof(struct inode *));
    uint8_t numbers[24];
    uint64_t hash = 0;
    size_t count = 0;

    for (size_t i = 0; i < disk->inode_count; i++)
        if (disk->inodes[i]->linked)
            linked[count++] = disk->inodes[i];
    qsort(linked, count, sizeof(struct inode *), path_compare);
    for (size_t i = 0; i < count; i++) {
        store_u64(numbers, hash);
        store_u64(numbers + 8, hash64(linked[i]->path, linked[i]->path_size));
        store_u64(numbers + 16,
                  hash64(linked[i]->seen.data, linked[i]->seen.size));
        hash = hash64(numbers, sizeof numbers);
    }
    free(linked);
    return hash;
}

void disk_seed_sqlite(uint64_t seed)
{
    /* SQLite takes the lower half, and zero as "from the system". */
    int lower = (int)(seed & 0x7fffffff);

    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, lower == 0 ? 1 : lower,
                         NULL);
}

uint64_t disk_file_size(const struct disk *disk, const char *path)
{
    const struct inode *inode = inode_find(disk, path);

    return inode == NULL ? 0 : inode->seen.size;
}

bool disk_synced(const struct disk *disk, const char *path)
{
    const struct inode *inode = inode_find(disk, path);

    return inode == NULL ||
           (inode->linked_durably && inode->change_count == 0);
}

void disk_write_back(struct disk *disk, const char *path)
{
    struct inode *inode = inode_find(disk, path);

    if (inode != NULL)
        inode_sync(disk, inode);
}
