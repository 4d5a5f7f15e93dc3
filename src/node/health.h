/* What status says of links and clocks beyond that a link stands. */
#ifndef NODE_HEALTH_H
#define NODE_HEALTH_H

#include "core/core.h"

#include <jansson.h>

struct gv_node;

/* Round trip, offset of clocks, refusals and when each is over. */
void health_of_link(const struct link_info *info, json_t *object);

/* How many peers are known and how this node's clock stands among theirs;
 * appends to @warnings. */
void health_of_node(const struct gv_node *node, json_t *object,
                    json_t *warnings);

#endif
