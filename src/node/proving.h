/* Comparing with a peer, as a person asks for it and sees it. */
#ifndef NODE_PROVING_H
#define NODE_PROVING_H

#include "grapevine.h"

#include <jansson.h>

struct gv_node;

/* {"op": "prove", "peer", "repair"}: have the core compare with the peer that
 * is linked under this endpoint; one that is not known is dialled.
 * {"started": false}: it is not linked yet; ask again.  {"started": true,
 * "number"}: what "proof" is to say. */
json_t *proving_begin(struct gv_node *node, const json_t *request,
                      struct gv_error *error);
/* {"op": "proof", "number"}: {"ended": false}, or with what was found. */
json_t *proving_state(struct gv_node *node, const json_t *request,
                      struct gv_error *error);
/* What was found last and is not mended, into status. */
void proving_status(struct gv_node *node, json_t *json, json_t *warnings);

#endif
