#include "store/host.h"

#include "base/assert.h"
#include "grapevine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static gv_time_ms system_wall(void *context)
{
    struct timespec now;
    int rc = clock_gettime(CLOCK_REALTIME, &now);

    (void)context;
    GV_ASSERT(rc == 0);
    return (gv_time_ms)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Without randomness two files could get one identity: nothing works then. */
static void system_random(void *context, void *bytes, size_t size)
{
    (void)context;
    GV_ASSERT(size <= 256); /* so many come at once; more might come short */
    if (getrandom(bytes, size, 0) != (ssize_t)size) {
        perror("grapevine: no random bytes from the system");
        abort();
    }
}

static int system_resolve(void *context, const char *path, char *resolved,
                          size_t size)
{
    char found[PATH_MAX];

    (void)context;
    if (realpath(path, found) == NULL)
        return errno == ENOENT ? GV_ENOTFOUND : GV_EIO;
    GV_ASSERT(found[0] == '/');
    if (strlen(found) >= size)
        return GV_ELIMIT;
    strcpy(resolved, found);
    return GV_OK;
}

static int system_marks(void *context, const char *path,
                        struct file_marks *marks)
{
    struct statx found;

    (void)context;
    if (statx(AT_FDCWD, path, 0,
              STATX_INO | STATX_BTIME | STATX_NLINK | STATX_MTIME,
              &found) != 0)
        return errno == ENOENT ? GV_ENOTFOUND : GV_EIO;
    marks->inode = found.stx_ino;
    marks->links = found.stx_nlink;
    marks->birth_ns = 0;
    marks->written_ns =
        (int64_t)found.stx_mtime.tv_sec * 1000000000 + found.stx_mtime.tv_nsec;
    if (found.stx_mask & STATX_BTIME)
        marks->birth_ns = (int64_t)found.stx_btime.tv_sec * 1000000000 +
                          found.stx_btime.tv_nsec;
    return GV_OK;
}

static int system_directory(void *context, const char *path)
{
    struct stat found;

    (void)context;
    if (mkdir(path, 0700) == 0)
        return GV_OK;
    if (errno == EEXIST && stat(path, &found) == 0 && S_ISDIR(found.st_mode))
        return GV_OK;
    return GV_EIO;
}

static int system_lock(void *context, const char *path, void **lock)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int *held;

    (void)context;
    if (fd < 0)
        return GV_EIO;
    held = malloc(sizeof *held);
    if (held == NULL || flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int code = held == NULL           ? GV_ENOMEM
                   : errno == EWOULDBLOCK ? GV_ELOCKED
                                          : GV_EIO;
        free(held);
        close(fd);
        return code;
    }
    *held = fd;
    *lock = held;
    return GV_OK;
}

static void system_unlock(void *context, void *lock)
{
    int *held = lock;

    (void)context;
    GV_ASSERT(held != NULL && *held >= 0);
    close(*held);
    free(held);
}

const struct host *host_system(void)
{
    static const struct host host = {
        .wall = system_wall,
        .random = system_random,
        .resolve = system_resolve,
        .marks = system_marks,
        .directory = system_directory,
        .lock = system_lock,
        .unlock = system_unlock,
    };

    return &host;
}
