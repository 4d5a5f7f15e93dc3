/* What a power cut leaves of the changes that no sync confirmed.
 * disk_internal.h describes the model. */
#include "disk_internal.h"

#include <stdlib.h>

struct cut {
    struct disk *disk;
    enum disk_loss loss;
    uint64_t last_kept; /* LOSS_TAIL: the order of the last change kept */
};

static int order_compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* The orders of all that no sync confirmed; returns how many. */
static size_t unsynced(const struct disk *disk, uint64_t **orders)
{
    size_t count = 0, capacity = 2 * disk->inode_count;

    for (size_t i = 0; i < disk->inode_count; i++)
        capacity += disk->inodes[i]->change_count;
    *orders = must_make((capacity + 1) * sizeof **orders);
    for (size_t i = 0; i < disk->inode_count; i++) {
        const struct inode *inode = disk->inodes[i];

        for (size_t j = 0; j < inode->change_count; j++)
            (*orders)[count++] = inode->changes[j].order;
        if (inode->linked && !inode->linked_durably)
            (*orders)[count++] = inode->link_order;
        if (!inode->linked && inode->linked_durably)
            (*orders)[count++] = inode->unlink_order;
    }
    qsort(*orders, count, sizeof **orders, order_compare);
    return count;
}

static uint64_t choose_tail(struct disk *disk)
{
    uint64_t *orders, last = 0;
    size_t count = unsynced(disk, &orders);
    size_t kept = (size_t)random_below(&disk->loss, count + 1);

    if (kept > 0)
        last = orders[kept - 1];
    free(orders);
    return last;
}

static bool keeps(struct cut *cut, uint64_t order)
{
    if (cut->loss == LOSS_TAIL)
        return order <= cut->last_kept;
    return cut->loss != LOSS_ALL && random_below(&cut->disk->loss, 2) == 0;
}

/* Rubbish in some of the sectors that a write touched.  A disk that promises
 * POWERSAFE_OVERWRITE leaves the bytes beside the write alone. */
static void land_rubbish(struct cut *cut, struct inode *inode,
                         const struct change *change)
{
    struct disk *disk = cut->disk;
    uint64_t sector = disk->options.sector;
    uint64_t begin = change->offset, end = begin + change->size;

    inode_land(inode, change);
    if (!(disk->options.characteristics & SQLITE_IOCAP_POWERSAFE_OVERWRITE)) {
        begin -= begin % sector;
        end += sector - 1 - (end - 1) % sector;
        if (end > inode->durable.size)
            end = inode->durable.size;
    }
    while (begin < end) {
        uint64_t next = begin - begin % sector + sector;
        bool spoilt = random_below(&disk->loss, 2) == 0;

        if (next > end)
            next = end;
        for (; begin < next; begin++)
            if (spoilt)
                inode->durable.data[begin] = (uint8_t)random_u64(&disk->loss);
    }
}

static void land(struct cut *cut, struct inode *inode,
                 const struct change *change)
{
    struct change torn = *change;

    if (cut->loss != LOSS_TRASH || change->kind != CHANGE_WRITE) {
        if (keeps(cut, change->order))
            inode_land(inode, change);
        return;
    }
    switch (random_below(&cut->disk->loss, 4)) {
    case 0:
        inode_land(inode, change);
        break;
    case 1:
        torn.size = inode_torn_size(cut->disk, &cut->disk->loss,
                                    change->offset, change->size);
        inode_land(inode, &torn);
        break;
    case 2:
        land_rubbish(cut, inode, change);
        break;
    default:
        break;
    }
}

/* A name that is kept takes the place of the ghost's. */
static void cut_names(struct cut *cut)
{
    struct disk *disk = cut->disk;
    size_t i = 0;

    while (i < disk->inode_count) {
        struct inode *inode = disk->inodes[i];

        if (inode->linked && !inode->linked_durably) {
            if (keeps(cut, inode->link_order)) {
                inode->linked_durably = true;
                inode_forget_ghost(disk, inode);
                i = 0; /* a ghost before it may be gone */
                continue;
            }
            inode->linked = false;
            if (inode->handles == NULL) {
                inode_free(disk, inode);
                continue;
            }
        }
        i++;
    }
    for (i = 0; i < disk->inode_count;) {
        struct inode *inode = disk->inodes[i];

        if (!inode->linked && inode->linked_durably) {
            inode->linked = !keeps(cut, inode->unlink_order);
            inode->linked_durably = inode->linked;
        }
        if (!inode->linked && inode->handles == NULL)
            inode_free(disk, inode);
        else
            i++;
    }
}

static void cut_contents(struct cut *cut)
{
    struct disk *disk = cut->disk;

    disk->size = 0;
    for (size_t i = 0; i < disk->inode_count; i++) {
        struct inode *inode = disk->inodes[i];

        for (size_t j = 0; j < inode->change_count; j++)
            land(cut, inode, &inode->changes[j]);
        inode_settle(inode);
        if (inode->path != NULL) /* else an observer's */
            content_copy(&inode->seen, &inode->durable);
        disk->size += inode->seen.size;
    }
}

void cut_power(struct disk *disk, enum disk_loss loss)
{
    struct cut cut = {disk, loss, 0};

    for (size_t i = 0; i < disk->inode_count; i++)
        shm_forget(disk->inodes[i]);
    if (loss == LOSS_NONE)
        return;
    if (loss == LOSS_TAIL)
        cut.last_kept = choose_tail(disk);
    cut_names(&cut);
    cut_contents(&cut);
}
