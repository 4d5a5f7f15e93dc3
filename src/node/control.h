/* The control socket of a running node: <db>-gv/control, a Unix stream, for
 * its owner only (0600 in a directory of 0700).  A client sends one line of
 * JSON and gets one line of JSON, as often as it likes.
 *
 * A socket's path may have 107 bytes, a file's 4,095: both sides open the
 * directory and name the socket /proc/self/fd/N/control. */
#ifndef NODE_CONTROL_H
#define NODE_CONTROL_H

#include "grapevine.h"

#include <poll.h>
#include <stdbool.h>
#include <sys/un.h>

#define CONTROL_CLIENTS_MAX 16
#define CONTROL_FDS_MAX (CONTROL_CLIENTS_MAX + 1)
#define CONTROL_LINE_MAX 65536
/* Of these, at most so many are told what happens; what one of them has not
 * read is bounded, and beyond that what it missed is only counted. */
#define CONTROL_WATCHERS_MAX 8
#define CONTROL_BACKLOG_MAX (1024 * 1024)
/* A client that does not read its answers is cut off. */
#define CONTROL_ANSWERS_MAX (16 * 1024 * 1024)

struct control;

/* Answer one line of @size bytes (NUL-terminated as well) with one line
 * without its newline, to be freed; NULL: out of memory.  *@watches: from now
 * on the client is told what happens. */
typedef char *control_answer(void *context, const char *line, size_t size,
                             bool *watches);

/* Listen in the node's directory beside @path.  The caller holds the file's
 * lock, so a socket that is there belongs to nobody.
 * Errors: GV_EIO, GV_ENOMEM. */
int control_open(const char *path, control_answer *answer, void *context,
                 struct control **control, struct gv_error *error);

/* Stop listening and remove the socket; connections stay open. */
void control_unlink(struct control *control);

/* End all connections.  NULL is harmless. */
void control_free(struct control *control);

/* What to wait for: fills @fds, CONTROL_FDS_MAX at most; how many. */
size_t control_poll(const struct control *control, struct pollfd *fds);

/* Serve those that are ready of what control_poll() filled.  Never blocks. */
void control_serve(struct control *control, const struct pollfd *fds,
                   size_t count);

/* How many are told what happens. */
size_t control_watchers(const struct control *control);

/* Tell them @line (without newline).  Who is too far behind gets a line that
 * counts what it missed, {"event": "lost", "count": n}, once it has read the
 * rest. */
void control_tell(struct control *control, const char *line);

/* Open the directory of the database at @path and write the address of its
 * control socket; the address is good as long as the descriptor is open.
 * Returns the descriptor, or -1 with errno. */
int control_address(const char *path, struct sockaddr_un *address);

#endif
