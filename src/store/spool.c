#include "store/spool.h"

#include "base/assert.h"
#include "core/message.h"
#include "grapevine.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW_SIZE 65536

/* What holds between any two calls: the file is there when bytes are in it,
 * and the window shows bytes of it. */
static void check(const struct spool *spool)
{
    GV_ASSERT(spool->path != NULL); /* closed, or never made */
    GV_ASSERT(spool->file != NULL || spool->written == 0);
    GV_ASSERT(spool->file != NULL || spool->window.size == 0);
    GV_ASSERT(spool->window_at <= spool->written);
    GV_ASSERT(spool->window.size <= spool->written - spool->window_at);
}

void spool_init(struct spool *spool, const char *vfs, char *path)
{
    GV_ASSERT(path != NULL && path[0] == '/');
    *spool = (struct spool){.vfs = vfs, .path = path};
    buffer_init(&spool->memory, SIZE_MAX);
    buffer_init(&spool->window, WINDOW_SIZE);
}

void spool_close(struct spool *spool)
{
    if (spool->file != NULL) {
        file_close(spool->file);
        file_delete(spool->vfs, spool->path);
    }
    buffer_close(&spool->memory);
    buffer_close(&spool->window);
    free(spool->path);
    *spool = (struct spool){0};
}

uint64_t spool_size(const struct spool *spool)
{
    return spool->written + spool->memory.size;
}

int spool_flush(struct spool *spool)
{
    int rc;

    check(spool);
    if (spool->file == NULL || spool->memory.size == 0)
        return GV_OK;
    rc = file_write(spool->file, spool->written, spool->memory.data,
                    spool->memory.size);
    if (rc == GV_OK) {
        spool->written += spool->memory.size;
        buffer_clear(&spool->memory);
    }
    return rc;
}

int spool_append(struct spool *spool, const void *bytes, size_t size)
{
    int rc = buffer_append(&spool->memory, bytes, size);

    check(spool);
    if (rc != GV_OK || spool->memory.size <= MESSAGE_DELTA_SIZE_MAX)
        return rc;
    if (spool->file == NULL) {
        rc = file_open(spool->vfs, spool->path, 1, &spool->file);
        if (rc == GV_OK)
            rc = file_truncate(spool->file, 0);
    }
    if (rc == GV_OK)
        rc = spool_flush(spool);
    /* More than a frame never stays in memory. */
    GV_ASSERT(rc != GV_OK || spool->memory.size == 0);
    return rc;
}

/* Read from the file, which has it all. */
static int read_file(struct spool *spool, uint64_t offset, void *bytes,
                     size_t size)
{
    struct buffer *window = &spool->window;
    uint64_t left = spool->written - offset;
    int rc = GV_OK;

    GV_ASSERT(offset < spool->written && size <= left);
    if (size > WINDOW_SIZE)
        return file_read(spool->file, offset, bytes, size);
    if (offset < spool->window_at ||
        offset + size > spool->window_at + window->size) {
        size_t fill = left < WINDOW_SIZE ? (size_t)left : WINDOW_SIZE;
        uint8_t *room;

        buffer_clear(window);
        room = buffer_extend(window, fill);
        rc = room == NULL ? window->error
                          : file_read(spool->file, offset, room, fill);
        spool->window_at = offset;
        GV_ASSERT(fill >= size);
    }
    GV_ASSERT(offset >= spool->window_at);
    if (rc == GV_OK && size > 0)
        memcpy(bytes, window->data + (offset - spool->window_at), size);
    else if (rc != GV_OK)
        buffer_clear(window);
    return rc;
}

int spool_read(struct spool *spool, uint64_t offset, void *bytes, size_t size)
{
    check(spool);
    if (offset > spool_size(spool) || size > spool_size(spool) - offset)
        return GV_EIO;
    if (offset + size > spool->written && offset < spool->written) {
        size_t in_file = (size_t)(spool->written - offset);
        int rc = read_file(spool, offset, bytes, in_file);

        GV_ASSERT(size - in_file <= spool->memory.size);
        if (rc == GV_OK)
            memcpy((uint8_t *)bytes + in_file, spool->memory.data,
                   size - in_file);
        return rc;
    }
    if (offset < spool->written)
        return read_file(spool, offset, bytes, size);
    GV_ASSERT(offset - spool->written + size <= spool->memory.size);
    if (size > 0)
        memcpy(bytes, spool->memory.data + (offset - spool->written), size);
    return GV_OK;
}
