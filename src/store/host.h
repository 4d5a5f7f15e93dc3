/* What the store needs of the world besides SQLite's VFS: a simulator puts
 * its own in place. */
#ifndef STORE_HOST_H
#define STORE_HOST_H

#include "core/types.h"

#include <stddef.h>

/* What tells one file from its copy. */
struct file_marks {
    uint64_t inode;
    int64_t birth_ns;   /* since 1970; 0 where the file system keeps none */
    uint64_t links;     /* names of this file */
    int64_t written_ns; /* when its bytes last changed; 0 if unknown */
};

struct host {
    void *context;
    /* Wall clock, ms since 1970. */
    gv_time_ms (*wall)(void *context);
    /* Unpredictable bytes. */
    void (*random)(void *context, void *bytes, size_t size);
    /* Resolve symbolic links; @resolved has @size bytes. */
    int (*resolve)(void *context, const char *path, char *resolved,
                   size_t size);
    /* GV_ENOTFOUND, GV_EIO. */
    int (*marks)(void *context, const char *path, struct file_marks *marks);
    /* Make a directory with mode 0700; one that is there is fine. */
    int (*directory)(void *context, const char *path);
    /* Lock the file at @path, made if need be, against other processes and
     * other stores of this one.  GV_ELOCKED, GV_EIO. */
    int (*lock)(void *context, const char *path, void **lock);
    void (*unlock)(void *context, void *lock);
};

/* The operating system. */
const struct host *host_system(void);

#endif
