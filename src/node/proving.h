/* Comparing with a peer, as a person asks for it and sees it. */
#ifndef NODE_PROVING_H
#define NODE_PROVING_H

#include "core/message.h"
#include "grapevine.h"

#include <jansson.h>

struct gv_node;

/* A peer that is dialled only to be compared with, until nobody has asked for
 * it for a while. */
struct visited {
    char endpoint[MESSAGE_TEXT_SIZE_MAX + 1]; /* "": none */
    gv_time_ms asked_at;
};

/* {"op": "prove", "peer", "repair"}: have the core compare with the peer that
 * is linked under this endpoint; one that is not known is dialled.
 * {"started": false}: it is not linked yet; ask again.  {"started": true,
 * "number"}: what "proof" is to say. */
json_t *proving_begin(struct gv_node *node, const json_t *request,
                      struct gv_error *error);
/* {"op": "proof", "number"}: {"ended": false}, or with what was found. */
json_t *proving_state(struct gv_node *node, const json_t *request,
                      struct gv_error *error);
/* Now and then: who need not be dialled any more is not. */
void proving_turn(struct gv_node *node);
/* What was found last and is not mended, into status. */
void proving_status(struct gv_node *node, json_t *json, json_t *warnings);

#endif
