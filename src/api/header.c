#include "api/header.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_SIZE 16

static const char header_magic[HEADER_SIZE] = "SQLite format 3";

/* The descriptors that stay open, by what names a file. */
struct held {
    struct held *next;
    dev_t device;
    ino_t inode;
    int fd;
};

static struct held *held_files;
static pthread_mutex_t held_mutex = PTHREAD_MUTEX_INITIALIZER;

static int unreadable(const char *path, struct gv_error *error)
{
    int rc = errno == ENOENT || errno == ENOTDIR ? GV_ENOTFOUND : GV_EIO;

    if (rc == GV_ENOTFOUND) {
        error_set(error, rc, "There is no file %s.", path);
        error_meaning(error, "Grapevine shares a database that exists.");
        error_remedy(error, "Check the path, or let grapevine run --create "
                            "make an empty one.");
    } else {
        error_set(error, rc, "%s cannot be read: %s.", path, strerror(errno));
        error_meaning(error, "Nothing was changed.");
        error_remedy(error, "Look at the rights of the file.");
    }
    return rc;
}

/* The descriptor for the file of @status, opened now if it never was. */
static int held_open(const char *path, const struct stat *status)
{
    struct held *held = held_files;

    while (held != NULL &&
           (held->device != status->st_dev || held->inode != status->st_ino))
        held = held->next;
    if (held != NULL)
        return held->fd;
    held = malloc(sizeof *held);
    if (held == NULL)
        return -1;
    held->device = status->st_dev;
    held->inode = status->st_ino;
    held->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (held->fd < 0) {
        free(held);
        return -1;
    }
    held->next = held_files;
    held_files = held;
    return held->fd;
}

static ssize_t read_header(const char *path, const struct stat *status,
                           char bytes[HEADER_SIZE])
{
    ssize_t size = -1;
    int fd;

    pthread_mutex_lock(&held_mutex);
    fd = held_open(path, status);
    if (fd >= 0)
        size = pread(fd, bytes, HEADER_SIZE, 0);
    pthread_mutex_unlock(&held_mutex);
    return size;
}

static int not_a_database(const char *path, const char *what,
                          struct gv_error *error)
{
    error_set(error, GV_EINVAL, "%s is %s.", path, what);
    error_meaning(error, "Grapevine shares the tables of SQLite database "
                         "files, and changes nothing else.");
    error_remedy(error, "Name a database file, such as one made with: "
                        "sqlite3 app.db 'CREATE TABLE …'");
    return GV_EINVAL;
}

int header_check(const char *path, struct gv_error *error)
{
    char bytes[HEADER_SIZE];
    struct stat status;
    ssize_t size;

    if (stat(path, &status) != 0)
        return unreadable(path, error);
    if (!S_ISREG(status.st_mode))
        return not_a_database(path,
                              S_ISDIR(status.st_mode) ? "a directory"
                                                      : "not a regular file",
                              error);
    size = read_header(path, &status, bytes);
    if (size < 0)
        return unreadable(path, error);
    if (size == 0 ||
        (size == HEADER_SIZE && memcmp(bytes, header_magic, HEADER_SIZE) == 0))
        return GV_OK;
    return not_a_database(path, "not a SQLite database", error);
}
