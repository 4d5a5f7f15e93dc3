/* A long run of bytes that is written once from its start and then read: in
 * memory while it fits one frame, then in a file of the node's directory. */
#ifndef STORE_SPOOL_H
#define STORE_SPOOL_H

#include "base/buffer.h"
#include "store/file.h"

struct spool {
    const char *vfs;
    char *path;           /* of the file it may come to; owned */
    struct buffer memory; /* what is not in the file yet */
    struct file *file;    /* NULL while all is in memory */
    uint64_t written;     /* bytes in the file */
    /* What was read last, and from where: small reads in order cost a call
     * of the VFS for many of them, not for each. */
    struct buffer window;
    uint64_t window_at;
};

/* Takes @path, which came from malloc(). */
void spool_init(struct spool *spool, const char *vfs, char *path);
/* Also deletes the file. */
void spool_close(struct spool *spool);

uint64_t spool_size(const struct spool *spool);

/* On an error the spool may hold a part of @bytes: close it. */
int spool_append(struct spool *spool, const void *bytes, size_t size);

/* No more appends: what is read from the file is all there. */
int spool_flush(struct spool *spool);

/* GV_EIO also past the end. */
int spool_read(struct spool *spool, uint64_t offset, void *bytes, size_t size);

#endif
