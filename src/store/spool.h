/* A long run of bytes that is written once from its start and then read: in
 * memory while it is short, then in a file of the node's directory, which a
 * later run can open again. */
#ifndef STORE_SPOOL_H
#define STORE_SPOOL_H

#include "base/buffer.h"
#include "core/vv.h"
#include "store/file.h"

struct spool {
    const char *vfs;
    char *path;           /* of the file it may come to; owned */
    size_t memory_max;    /* more than this goes to the file */
    struct buffer memory; /* what is not in the file yet */
    struct file *file;    /* NULL while all is in memory */
    uint64_t written;     /* bytes in the file */
    struct buffer sums;   /* the hash of each block of it, 8 bytes each */
    /* The block that was read last, and its number. */
    struct buffer window;
    uint64_t window_at;
};

/* What stands behind the bytes of a file that is complete. */
struct spool_head {
    struct site site; /* whose file it was read from */
    uint64_t id;
    struct vv_view asked; /* for whom */
    struct vv_view claim;
};

/* Takes @path, which came from malloc(). */
void spool_init(struct spool *spool, const char *vfs, size_t memory_max,
                char *path);
/* Open one that spool_finish() completed; @bytes gets what @head borrows.
 * Errors: GV_ENOTFOUND, GV_ECORRUPT (not complete, or damaged), GV_EIO,
 * GV_ENOMEM; the spool is only good for spool_close() then. */
int spool_open(struct spool *spool, struct buffer *bytes,
               struct spool_head *head);
/* The file stays. */
void spool_leave(struct spool *spool);
/* Also deletes the file. */
void spool_close(struct spool *spool);

uint64_t spool_size(const struct spool *spool);
bool spool_is_file(const struct spool *spool);

/* On an error the spool may hold a part of @bytes: close it. */
int spool_append(struct spool *spool, const void *bytes, size_t size);

/* No more appends. */
int spool_finish(struct spool *spool, const struct spool_head *head);

/* After spool_finish().  GV_EIO also past the end, and where the bytes are
 * not those that were written. */
int spool_read(struct spool *spool, uint64_t offset, void *bytes, size_t size);

#endif
