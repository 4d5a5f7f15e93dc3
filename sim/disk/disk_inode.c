/* Contents and names of files: what is seen, and what is durable.
 * disk_internal.h describes the model. */
#include "disk_internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

void *must_grow(void *memory, size_t size)
{
    void *grown = realloc(memory, size);

    if (grown == NULL)
        abort();
    return grown;
}

void *must_make(size_t size)
{
    void *made = calloc(1, size);

    if (made == NULL)
        abort();
    return made;
}

/* Contents */

static void content_reserve(struct content *content, size_t size)
{
    size_t capacity = content->capacity == 0 ? 16384 : content->capacity;

    while (capacity < size)
        capacity *= 2;
    if (capacity == content->capacity)
        return;
    content->data = must_grow(content->data, capacity);
    content->capacity = capacity;
}

/* What is new is zero. */
void content_resize(struct content *content, size_t size)
{
    if (size > content->size) {
        content_reserve(content, size);
        memset(content->data + content->size, 0, size - content->size);
    }
    content->size = size;
}

void content_write(struct content *content, uint64_t offset, const void *bytes,
                   size_t size)
{
    size_t end = (size_t)offset + size;

    if (size == 0)
        return;
    if (end > content->size) {
        content_reserve(content, end);
        if (offset > content->size)
            memset(content->data + content->size, 0,
                   (size_t)offset - content->size);
        content->size = end;
    }
    memcpy(content->data + offset, bytes, size);
}

void content_copy(struct content *content, const struct content *from)
{
    content->size = 0;
    content_write(content, 0, from->data, from->size);
}

void content_close(struct content *content)
{
    free(content->data);
    *content = (struct content){NULL, 0, 0};
}

/* Inodes */

/* The year 2255. */
#define BIRTH_MAX_MS 9000000000000

struct inode *inode_find(const struct disk *disk, const char *path)
{
    size_t size = strlen(path);

    for (size_t i = 0; i < disk->inode_count; i++) {
        struct inode *inode = disk->inodes[i];

        if (inode->linked && inode->path_size == size &&
            memcmp(inode->path, path, size) == 0)
            return inode;
    }
    return NULL;
}

struct inode *inode_create(struct disk *disk, const char *path)
{
    struct inode *inode = must_make(sizeof *inode);
    int64_t now_ns = disk->options.wall(disk->options.context);

    /* A clock that is thousands of years ahead has nanoseconds that no stat()
     * of Linux could say either. */
    if (now_ns > BIRTH_MAX_MS)
        now_ns = BIRTH_MAX_MS;
    now_ns *= 1000000;
    if (disk->inode_count == disk->inode_capacity) {
        disk->inode_capacity = disk->inode_capacity * 2 + 8;
        disk->inodes = must_grow(disk->inodes,
                                 disk->inode_capacity * sizeof *disk->inodes);
    }
    disk->inodes[disk->inode_count++] = inode;
    /* Files of two disks are not born in the same nanosecond. */
    now_ns += (int64_t)random_below(&disk->bytes, 1000000);
    if (now_ns <= disk->last_birth_ns)
        now_ns = disk->last_birth_ns + 1;
    disk->last_birth_ns = now_ns;
    inode->birth_ns = now_ns;
    inode->number = ++disk->last_inode;
    inode->link_order = ++disk->order;
    if (path != NULL) {
        inode->path_size = strlen(path);
        inode->path = must_make(inode->path_size + 1);
        memcpy(inode->path, path, inode->path_size);
        inode->linked = true;
    }
    return inode;
}

void inode_settle(struct inode *inode)
{
    inode->change_count = 0;
    inode->pending.size = 0;
}

void inode_free(struct disk *disk, struct inode *inode)
{
    size_t i = 0;

    GV_ASSERT(inode->handles == NULL && inode->wal_index == NULL);
    while (disk->inodes[i] != inode)
        i++;
    memmove(disk->inodes + i, disk->inodes + i + 1,
            (--disk->inode_count - i) * sizeof *disk->inodes);
    content_close(&inode->seen);
    content_close(&inode->durable);
    content_close(&inode->pending);
    free(inode->changes);
    free(inode->path);
    free(inode);
}

/* Programs can't reach it; a ghost stays for the power cut. */
void inode_release(struct disk *disk, struct inode *inode)
{
    if (inode->linked || inode->handles != NULL)
        return;
    disk->size -= inode->seen.size;
    content_close(&inode->seen);
    if (!inode->linked_durably)
        inode_free(disk, inode);
}

/* The platter has another file of this name, or none. */
void inode_forget_ghost(struct disk *disk, const struct inode *inode)
{
    for (size_t i = 0; i < disk->inode_count; i++) {
        struct inode *ghost = disk->inodes[i];

        if (ghost == inode || ghost->linked || !ghost->linked_durably ||
            strcmp(ghost->path, inode->path) != 0)
            continue;
        ghost->linked_durably = false;
        if (ghost->handles == NULL)
            inode_free(disk, ghost);
        return;
    }
}

static bool same_directory(const struct inode *a, const struct inode *b)
{
    const char *x = strrchr(a->path, '/'), *y = strrchr(b->path, '/');
    size_t size = x == NULL ? 0 : (size_t)(x - a->path);

    return size == (y == NULL ? 0 : (size_t)(y - b->path)) &&
           memcmp(a->path, b->path, size) == 0;
}

void inode_sync_directory(struct disk *disk, const struct inode *of)
{
    for (size_t i = disk->inode_count; i-- > 0;) {
        struct inode *inode = disk->inodes[i];

        if (inode->path == NULL || inode->linked == inode->linked_durably ||
            !same_directory(inode, of))
            continue;
        inode->linked_durably = inode->linked;
        if (inode != of && !inode->linked && inode->handles == NULL)
            inode_free(disk, inode);
    }
}

void inode_unlink(struct disk *disk, struct inode *inode, bool synced)
{
    inode->linked = false;
    inode->unlink_order = ++disk->order;
    if (synced)
        inode_sync_directory(disk, inode);
    inode_release(disk, inode);
}

/* Changes */

static struct change *change_add(struct disk *disk, struct inode *inode,
                                 enum change_kind kind)
{
    struct change *change;

    if (inode->change_count == inode->change_capacity) {
        inode->change_capacity = inode->change_capacity * 2 + 16;
        inode->changes = must_grow(inode->changes, inode->change_capacity *
                                                       sizeof *inode->changes);
    }
    change = &inode->changes[inode->change_count++];
    *change = (struct change){.order = ++disk->order, .kind = kind};
    return change;
}

/* What has no name is gone after a crash in any case. */
void inode_write(struct disk *disk, struct inode *inode, uint64_t offset,
                 const void *bytes, size_t size)
{
    size_t before = inode->seen.size;

    content_write(&inode->seen, offset, bytes, size);
    disk->size += inode->seen.size - before;
    if (inode->path != NULL && size > 0) {
        struct change *change = change_add(disk, inode, CHANGE_WRITE);

        change->offset = offset;
        change->size = size;
        change->at = inode->pending.size;
        content_write(&inode->pending, change->at, bytes, size);
    }
}

void inode_truncate(struct disk *disk, struct inode *inode, uint64_t size)
{
    disk->size += size;
    disk->size -= inode->seen.size;
    content_resize(&inode->seen, (size_t)size);
    if (inode->path != NULL)
        change_add(disk, inode, CHANGE_TRUNCATE)->offset = size;
}

void inode_land(struct inode *inode, const struct change *change)
{
    if (change->kind == CHANGE_TRUNCATE)
        content_resize(&inode->durable, (size_t)change->offset);
    else
        content_write(&inode->durable, change->offset,
                      inode->pending.data + change->at, change->size);
}

void inode_sync(struct disk *disk, struct inode *inode)
{
    for (size_t i = 0; i < inode->change_count; i++)
        inode_land(inode, &inode->changes[i]);
    inode_settle(inode);
    if (inode->linked && !inode->linked_durably) {
        inode->linked_durably = true;
        inode_forget_ghost(disk, inode);
    }
}

size_t inode_torn_size(const struct disk *disk, struct random *random,
                       uint64_t offset, size_t size)
{
    uint64_t sector = disk->options.sector;
    uint64_t first = offset / sector;
    uint64_t count, end;

    if (size == 0)
        return 0;
    count = (offset + size - 1) / sector - first + 1;
    end = (first + random_below(random, count)) * sector;
    return end > offset ? (size_t)(end - offset) : 0;
}
