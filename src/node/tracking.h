/* A request to track a table: {"table": "t", "kinds": [["n", "counter"],
 * ["note", "mv"]]}.  The node answers it, and a command that finds no node. */
#ifndef NODE_TRACKING_H
#define NODE_TRACKING_H

#include "store/store.h"

#include <jansson.h>

/* Errors: GV_EINVAL (no such request), and those of store_track_as(). */
int tracking_request(struct store *store, const json_t *request,
                     struct buffer *notes, struct gv_error *error);

#endif
