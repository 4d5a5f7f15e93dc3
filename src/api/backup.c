/* A backup: a new file that holds what another one holds, and is nobody
 * yet. */
#include "api/db.h"
#include "base/error.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int cannot_make(const char *to, int why, struct gv_error *error)
{
    int rc = why == ENOSPC || why == EDQUOT ? GV_EFULL : GV_EIO;

    error_set(error, rc, "%s cannot be made: %s.", to, strerror(why));
    error_remedy(error, "Look whether its directory exists and may be "
                        "written.");
    return rc;
}

/* An empty file, which nobody may read who may not read the original. */
static int make_empty(const char *path, const char *to, struct gv_error *error)
{
    struct stat found;
    int fd;

    if (stat(path, &found) != 0)
        return error_set(error, GV_ENOTFOUND, "There is no file %s.", path);
    fd = open(to, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, found.st_mode & 0666);
    if (fd >= 0) {
        close(fd); /* SQLite has not opened it yet */
        return GV_OK;
    }
    if (errno != EEXIST)
        return cannot_make(to, errno, error);
    error_set(error, GV_EEXIST, "%s is there already.", to);
    error_meaning(error, "A backup never overwrites a file.");
    error_remedy(error, "Name another file, or remove this one first.");
    return GV_EEXIST;
}

/* The file's name is on the disk only when its directory is. */
static int sync_directory(const char *to, struct gv_error *error)
{
    const char *slash = strrchr(to, '/');
    char *directory;
    int fd, rc = GV_OK;

    if (slash == NULL)
        directory = strdup(".");
    else
        directory = strndup(to, slash == to ? 1 : (size_t)(slash - to));
    if (directory == NULL)
        return error_set(error, GV_ENOMEM, "There is no memory left.");
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        rc = cannot_make(to, errno, error);
    if (fd >= 0)
        close(fd);
    free(directory);
    return rc;
}

int gv_backup(struct gv_db *db, const char *to, struct gv_error *error)
{
    int rc = make_empty(db->path, to, error);

    if (rc != GV_OK)
        return rc;
    rc = store_backup(db->path, to, NULL, error);
    if (rc == GV_OK)
        rc = sync_directory(to, error);
    if (rc != GV_OK)
        (void)unlink(to);
    return rc;
}
