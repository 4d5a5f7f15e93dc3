/* Hearing who is on the LAN without being a node. */
#ifndef NODE_LISTENING_H
#define NODE_LISTENING_H

#include "grapevine.h"

#include <jansson.h>

struct lan;

/* As gv_discover(). */
int listening_run(const char *mesh, int timeout_ms, char **json,
                  struct gv_error *error);

/* An array of what each interface is called, and why it is not used. */
json_t *listening_interfaces(const struct lan *lan);

#endif
