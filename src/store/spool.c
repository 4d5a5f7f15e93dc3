/* The file of a spool: its bytes; then, once it is complete,
 *
 *     sums     hash64_block of each block of 64 KiB, 8 bytes each
 *              (big-endian, as all numbers)
 *     vectors  that of who asked, then the claim, 24 bytes an entry
 *     foot     "gvspool2", site 16, id 8, size of the bytes 8, entries of the
 *              two vectors 4 + 4, hash64 of all from the sums up to here 8
 *
 * It is not synced: after a power cut what stands there may be anything.  So a
 * foot that is not whole is no spool, and each block is compared with its sum
 * when it is read. */
#include "store/spool.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/plant.h"
#include "core/message.h"
#include "core/vv.h"
#include "grapevine.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 65536
#define FOOT_SIZE 56
#define FOOT_WORD "gvspool2"

/* What holds between any two calls: the file is there when bytes are in it,
 * each whole block has its sum, and the window shows one of them. */
static void check(const struct spool *spool)
{
    GV_ASSERT(spool->path != NULL); /* closed, or never made */
    GV_ASSERT(spool->file != NULL || spool->written == 0);
    GV_ASSERT(spool->file != NULL || spool->window.size == 0);
    GV_ASSERT(spool->sums.size / 8 ==
              (spool->written + BLOCK_SIZE - 1) / BLOCK_SIZE);
    GV_ASSERT(spool->window.size <= BLOCK_SIZE);
}

void spool_init(struct spool *spool, const char *vfs, size_t memory_max,
                char *path)
{
    GV_ASSERT(path != NULL && path[0] == '/');
    *spool =
        (struct spool){.vfs = vfs, .path = path, .memory_max = memory_max};
    buffer_init(&spool->memory, SIZE_MAX);
    buffer_init(&spool->sums, SIZE_MAX);
    buffer_init(&spool->window, BLOCK_SIZE);
}

void spool_leave(struct spool *spool)
{
    if (spool->file != NULL)
        file_close(spool->file);
    buffer_close(&spool->memory);
    buffer_close(&spool->sums);
    buffer_close(&spool->window);
    free(spool->path);
    *spool = (struct spool){0};
}

void spool_close(struct spool *spool)
{
    if (spool->file != NULL) {
        file_close(spool->file);
        spool->file = NULL;
        file_delete(spool->vfs, spool->path);
    }
    spool_leave(spool);
}

uint64_t spool_size(const struct spool *spool)
{
    return spool->written + spool->memory.size;
}

bool spool_is_file(const struct spool *spool)
{
    return spool->file != NULL;
}

/* Writing */

/* The first @size bytes of those in memory: whole blocks, or the last one. */
static int write_out(struct spool *spool, size_t size)
{
    struct buffer *memory = &spool->memory;
    int rc = file_write(spool->file, spool->written, memory->data, size);

    GV_ASSERT(size <= memory->size && spool->written % BLOCK_SIZE == 0);
    for (size_t at = 0; rc == GV_OK && at < size; at += BLOCK_SIZE) {
        size_t part = size - at < BLOCK_SIZE ? size - at : BLOCK_SIZE;

        rc = buffer_append_u64(&spool->sums,
                               hash64_block(memory->data + at, part));
    }
    if (rc != GV_OK)
        return rc;
    spool->written += size;
    memmove(memory->data, memory->data + size, memory->size - size);
    memory->size -= size;
    check(spool);
    return GV_OK;
}

int spool_append(struct spool *spool, const void *bytes, size_t size)
{
    int rc = buffer_append(&spool->memory, bytes, size);

    check(spool);
    if (rc != GV_OK || spool->memory.size <= spool->memory_max)
        return rc;
    if (spool->file == NULL) {
        rc = file_open(spool->vfs, spool->path, 1, &spool->file);
        if (rc == GV_OK)
            rc = file_truncate(spool->file, 0);
    }
    size = spool->memory.size - spool->memory.size % BLOCK_SIZE;
    if (rc == GV_OK && size > 0)
        rc = write_out(spool, size);
    return rc;
}

static int put_foot(struct buffer *out, const struct spool *spool,
                    const struct spool_head *head)
{
    buffer_append(out, spool->sums.data, spool->sums.size);
    buffer_append(out, head->asked.bytes, head->asked.count * VV_ENTRY_SIZE);
    buffer_append(out, head->claim.bytes, head->claim.count * VV_ENTRY_SIZE);
    buffer_append(out, FOOT_WORD, 8);
    buffer_append(out, head->site.bytes, sizeof head->site.bytes);
    buffer_append_u64(out, head->id);
    buffer_append_u64(out, spool->written);
    buffer_append_u32(out, (uint32_t)head->asked.count);
    buffer_append_u32(out, (uint32_t)head->claim.count);
    if (out->error == GV_OK)
        buffer_append_u64(out, hash64(out->data, out->size));
    GV_ASSERT(out->error != GV_OK || out->size >= FOOT_SIZE);
    return out->error;
}

int spool_finish(struct spool *spool, const struct spool_head *head)
{
    struct buffer foot;
    int rc = GV_OK;

    check(spool);
    if (spool->file == NULL)
        return GV_OK;
    GV_ASSERT(head->id != 0);
    if (spool->memory.size > 0)
        rc = write_out(spool, spool->memory.size);
    buffer_init(&foot, SIZE_MAX);
    if (rc == GV_OK)
        rc = put_foot(&foot, spool, head);
    if (rc == GV_OK)
        rc = file_write(spool->file, spool->written, foot.data, foot.size);
    buffer_close(&foot);
    return rc;
}

/* Opening */

/* The foot's own bytes into @foot, from which those before it follow. */
static int read_foot(struct spool *spool, uint64_t size,
                     uint8_t foot[FOOT_SIZE], struct spool_head *head)
{
    int rc = size < FOOT_SIZE
                 ? GV_ECORRUPT
                 : file_read(spool->file, size - FOOT_SIZE, foot, FOOT_SIZE);

    if (rc != GV_OK)
        return rc;
    if (memcmp(foot, FOOT_WORD, 8) != 0)
        return GV_ECORRUPT;
    memcpy(head->site.bytes, foot + 8, sizeof head->site.bytes);
    head->id = load_u64(foot + 24);
    spool->written = load_u64(foot + 32);
    head->asked.count = load_u32(foot + 40);
    head->claim.count = load_u32(foot + 44);
    return head->asked.count > VV_SITES_MAX ||
                   head->claim.count > VV_SITES_MAX || head->id == 0 ||
                   spool->written > size
               ? GV_ECORRUPT
               : GV_OK;
}

static int take_foot(struct spool *spool, uint64_t size, struct buffer *bytes,
                     struct spool_head *head)
{
    uint64_t blocks = (spool->written + BLOCK_SIZE - 1) / BLOCK_SIZE;
    size_t vectors = (head->asked.count + head->claim.count) * VV_ENTRY_SIZE;
    uint64_t rest = size - spool->written;
    uint8_t *room;
    int rc;

    if (rest != blocks * 8 + vectors + FOOT_SIZE)
        return GV_ECORRUPT;
    buffer_clear(bytes);
    room = buffer_extend(bytes, (size_t)rest);
    if (room == NULL)
        return bytes->error;
    rc = file_read(spool->file, spool->written, room, (size_t)rest);
    if (rc == GV_OK &&
        hash64(room, (size_t)rest - 8) != load_u64(room + rest - 8))
        rc = GV_ECORRUPT;
    if (rc == GV_OK)
        rc = buffer_append(&spool->sums, room, (size_t)blocks * 8);
    head->asked.bytes = room + blocks * 8;
    head->claim.bytes = head->asked.bytes + head->asked.count * VV_ENTRY_SIZE;
    if (rc == GV_OK &&
        (!vv_view_valid(head->asked) || !vv_view_valid(head->claim)))
        rc = GV_ECORRUPT;
    return rc;
}

int spool_open(struct spool *spool, struct buffer *bytes,
               struct spool_head *head)
{
    uint8_t foot[FOOT_SIZE];
    uint64_t size = 0;
    int rc;

    GV_ASSERT(spool->file == NULL && spool_size(spool) == 0);
    rc = file_open(spool->vfs, spool->path, 0, &spool->file);
    if (rc == GV_OK)
        rc = file_size(spool->file, &size);
    if (rc == GV_OK)
        rc = read_foot(spool, size, foot, head);
    if (rc == GV_OK)
        rc = take_foot(spool, size, bytes, head);
    if (rc == GV_OK)
        check(spool);
    return rc;
}

/* Reading */

static int load_block(struct spool *spool, uint64_t block)
{
    struct buffer *window = &spool->window;
    uint64_t at = block * BLOCK_SIZE;
    uint64_t left = spool->written - at;
    size_t size = left < BLOCK_SIZE ? (size_t)left : BLOCK_SIZE;
    uint8_t *room;
    int rc;

    GV_ASSERT(at < spool->written);
    if (window->size > 0 && spool->window_at == block)
        return GV_OK;
    buffer_clear(window);
    room = buffer_extend(window, size);
    if (room == NULL)
        return window->error;
    rc = file_read(spool->file, at, room, size);
    if (rc == GV_OK &&
        hash64_block(room, size) != load_u64(spool->sums.data + block * 8) &&
        !plant("spool-unchecked"))
        rc = GV_EIO;
    if (rc != GV_OK)
        buffer_clear(window);
    spool->window_at = block;
    return rc;
}

int spool_read(struct spool *spool, uint64_t offset, void *bytes, size_t size)
{
    uint8_t *to = bytes;

    check(spool);
    if (offset > spool_size(spool) || size > spool_size(spool) - offset)
        return GV_EIO;
    if (spool->file == NULL) {
        if (size > 0)
            memcpy(to, spool->memory.data + offset, size);
        return GV_OK;
    }
    GV_ASSERT(spool->memory.size == 0); /* it is finished */
    while (size > 0) {
        size_t in = (size_t)(offset % BLOCK_SIZE), part;
        int rc = load_block(spool, offset / BLOCK_SIZE);

        if (rc != GV_OK)
            return rc;
        part = spool->window.size - in;
        if (part > size)
            part = size;
        memcpy(to, spool->window.data + in, part);
        to += part;
        offset += part;
        size -= part;
    }
    return GV_OK;
}
