#include "store/spool.h"

#include "core/message.h"
#include "grapevine.h"

#include <stdlib.h>
#include <string.h>

void spool_init(struct spool *spool, const char *vfs, char *path)
{
    *spool = (struct spool){.vfs = vfs, .path = path};
    buffer_init(&spool->memory, SIZE_MAX);
}

void spool_close(struct spool *spool)
{
    if (spool->file != NULL) {
        file_close(spool->file);
        file_delete(spool->vfs, spool->path);
    }
    buffer_close(&spool->memory);
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

    if (rc != GV_OK || spool->memory.size <= MESSAGE_DELTA_SIZE_MAX)
        return rc;
    if (spool->file == NULL) {
        rc = file_open(spool->vfs, spool->path, 1, &spool->file);
        if (rc == GV_OK)
            rc = file_truncate(spool->file, 0);
    }
    return rc == GV_OK ? spool_flush(spool) : rc;
}

int spool_read(struct spool *spool, uint64_t offset, void *bytes, size_t size)
{
    if (offset > spool_size(spool) || size > spool_size(spool) - offset)
        return GV_EIO;
    if (offset >= spool->written) {
        if (size > 0)
            memcpy(bytes, spool->memory.data + (offset - spool->written),
                   size);
        return GV_OK;
    }
    if (offset + size > spool->written) {
        size_t in_file = (size_t)(spool->written - offset);
        int rc = file_read(spool->file, offset, bytes, in_file);

        if (rc == GV_OK)
            memcpy((uint8_t *)bytes + in_file, spool->memory.data,
                   size - in_file);
        return rc;
    }
    return file_read(spool->file, offset, bytes, size);
}
