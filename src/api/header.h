/* Looking at a file before SQLite does. */
#ifndef API_HEADER_H
#define API_HEADER_H

#include "grapevine.h"

/* Whether the file at @path is a SQLite database, or empty and so about to
 * become one.
 *
 * Closing any descriptor of a file drops all POSIX locks that this process
 * has on it, those of SQLite's handles too.  So a file is opened once in a
 * process, looked at through that descriptor ever after, and never closed.
 *
 * Errors: GV_ENOTFOUND, GV_EINVAL (a directory, a device, not a database),
 * GV_EIO, GV_ENOMEM. */
int header_check(const char *path, struct gv_error *error);

#endif
