/* SQLite's unix VFS locks with fcntl(), and lets a program put a function of
 * its own in its place.  Who writes to a file in WAL mode holds the first of
 * the lock bytes of its -shm file (wal-index format, "WAL Locks"). */
#include "locks.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>

#define WRITE_LOCK_BYTE 120

static struct span since, held;

static void note(const struct flock *lock)
{
    if (lock->l_start != WRITE_LOCK_BYTE || lock->l_len != 1)
        return;
    if (lock->l_type == F_WRLCK)
        since = span_begin();
    else if (lock->l_type == F_UNLCK)
        held = span_end(since);
}

/* SQLite gives every command a third argument, a number or a pointer: both
 * are passed on as they come. */
static int watched_fcntl(int file, int command, ...)
{
    va_list arguments;
    void *argument;
    int rc;

    va_start(arguments, command);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    rc = fcntl(file, command, argument);
    if (rc == 0 && command == F_SETLK)
        note(argument);
    return rc;
}

void locks_watch(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find("unix");

    if (vfs == NULL || vfs->xSetSystemCall == NULL ||
        vfs->xSetSystemCall(vfs, "fcntl",
                            (sqlite3_syscall_ptr)watched_fcntl) != SQLITE_OK)
        die("Cannot watch SQLite's locks.");
}

struct span locks_held(void)
{
    return held;
}
