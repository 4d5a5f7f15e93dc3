/* Asking a running node through its control socket. */
#ifndef NODE_CLIENT_H
#define NODE_CLIENT_H

#include "grapevine.h"

/* How long an answer may take: the node may be in a long transaction.
 * Verifying reads every row. */
#define CLIENT_PATIENCE_MS 30000
#define CLIENT_VERIFY_PATIENCE_MS 600000
#define CLIENT_ANSWER_SIZE_MAX (16 * 1024 * 1024)

/* Send @request (one line of JSON, without newline) to the node of the
 * database at @path (resolved) and wait for its line.  @answer gets it, to be
 * freed.  With @until_closed it then also waits until the node is gone.
 *
 * Errors: GV_ENONODE (none runs, or it ended before it answered), GV_EBUSY
 * (no answer within @patience_ms), GV_EIO, GV_ENOMEM. */
int client_ask(const char *path, const char *request, bool until_closed,
               int patience_ms, char **answer, struct gv_error *error);

/* Send @request and call @line for each line of the answer, which has no end,
 * until it returns something else than 0.
 *
 * Errors: GV_ENONODE (none runs, or it ended), GV_EBUSY, GV_EIO, GV_ENOMEM. */
int client_follow(const char *path, const char *request,
                  int (*line)(void *context, const char *text), void *context,
                  struct gv_error *error);

/* Whether a node's control socket takes connections. */
bool client_answers(const char *path);

#endif
