#include "store/file.h"

#include "base/assert.h"
#include "store/sql.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* SQLite's file object comes behind ours; its name must live as long. */
struct file {
    char *path;
    sqlite3_file *handle;
};

_Static_assert(sizeof(struct file) % 8 == 0,
               "what stands behind it is aligned as SQLite's objects are");

/* VFS implementations may look for URI parameters behind the name, so it
 * ends with more zeroes than one. */
static char *name_dup(const char *path)
{
    size_t size = strlen(path);
    char *name = calloc(1, size + 4);

    if (name != NULL)
        memcpy(name, path, size);
    return name;
}

int file_open(const char *vfs_name, const char *path, int create,
              struct file **file)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(vfs_name);
    /* The kind of file whose first sync is one of its directory too. */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_MASTER_JOURNAL |
                (create ? SQLITE_OPEN_CREATE : 0);
    struct file *made;
    int rc, there = 0;

    GV_ASSERT(path[0] == '/'); /* a VFS takes full names alone */
    if (vfs == NULL)
        return GV_EIO;
    GV_ASSERT((size_t)vfs->szOsFile >= sizeof(sqlite3_file));
    if (!create) {
        rc = vfs->xAccess(vfs, path, SQLITE_ACCESS_EXISTS, &there);
        if (rc != SQLITE_OK || !there)
            return rc != SQLITE_OK ? GV_EIO : GV_ENOTFOUND;
    }
    made = calloc(1, sizeof *made + (size_t)vfs->szOsFile);
    if (made == NULL)
        return GV_ENOMEM;
    made->handle = (sqlite3_file *)(made + 1);
    made->path = name_dup(path);
    rc = made->path == NULL
             ? SQLITE_NOMEM
             : vfs->xOpen(vfs, made->path, made->handle, flags, NULL);
    if (rc != SQLITE_OK) {
        free(made->path);
        free(made);
        return sql_code(rc);
    }
    GV_ASSERT(made->handle->pMethods != NULL);
    *file = made;
    return GV_OK;
}

void file_close(struct file *file)
{
    if (file == NULL)
        return;
    file->handle->pMethods->xClose(file->handle);
    free(file->path);
    free(file);
}

/* SQLite never writes more than a page at once, and its unix VFS keeps only
 * the lower 17 bits of a size. */
#define PIECE_SIZE_MAX 65536
_Static_assert(PIECE_SIZE_MAX < 1 << 17, "a piece's size survives");
/* A VFS counts in signed numbers. */
#define OFFSET_MAX ((uint64_t)INT64_MAX)

int file_write(struct file *file, uint64_t offset, const void *bytes,
               size_t size)
{
    const uint8_t *at = bytes;
    int rc = SQLITE_OK;

    GV_ASSERT(offset <= OFFSET_MAX && size <= OFFSET_MAX - offset);
    GV_ASSERT(bytes != NULL || size == 0);
    while (size > 0 && rc == SQLITE_OK) {
        int piece = size > PIECE_SIZE_MAX ? PIECE_SIZE_MAX : (int)size;

        rc = file->handle->pMethods->xWrite(file->handle, at, piece,
                                            (sqlite3_int64)offset);
        at += piece;
        offset += (uint64_t)piece;
        size -= (size_t)piece;
    }
    return sql_code(rc);
}

int file_read(struct file *file, uint64_t offset, void *bytes, size_t size)
{
    uint8_t *at = bytes;
    int rc = SQLITE_OK;

    GV_ASSERT(offset <= OFFSET_MAX && size <= OFFSET_MAX - offset);
    GV_ASSERT(bytes != NULL || size == 0);
    while (size > 0 && rc == SQLITE_OK) {
        int piece = size > PIECE_SIZE_MAX ? PIECE_SIZE_MAX : (int)size;

        rc = file->handle->pMethods->xRead(file->handle, at, piece,
                                           (sqlite3_int64)offset);
        at += piece;
        offset += (uint64_t)piece;
        size -= (size_t)piece;
    }
    return sql_code(rc);
}

int file_size(struct file *file, uint64_t *size)
{
    sqlite3_int64 bytes = 0;
    int rc = file->handle->pMethods->xFileSize(file->handle, &bytes);

    GV_ASSERT(rc != SQLITE_OK || bytes >= 0);
    if (rc == SQLITE_OK)
        *size = (uint64_t)bytes;
    return sql_code(rc);
}

int file_truncate(struct file *file, uint64_t size)
{
    GV_ASSERT(size <= OFFSET_MAX);
    return sql_code(
        file->handle->pMethods->xTruncate(file->handle, (sqlite3_int64)size));
}

int file_sync(struct file *file)
{
    GV_ASSERT(file->handle->pMethods != NULL);
    return sql_code(
        file->handle->pMethods->xSync(file->handle, SQLITE_SYNC_NORMAL));
}

int file_delete(const char *vfs_name, const char *path)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(vfs_name);
    int rc, there = 0;

    GV_ASSERT(path[0] == '/');
    if (vfs == NULL)
        return GV_EIO;
    rc = vfs->xAccess(vfs, path, SQLITE_ACCESS_EXISTS, &there);
    if (rc == SQLITE_OK && there)
        rc = vfs->xDelete(vfs, path, 0);
    return sql_code(rc);
}
