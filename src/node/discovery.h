/* Finding peers on the LAN: the node announces itself by UDP and dials whom
 * it hears.  A beacon only introduces: the link that follows decides. */
#ifndef NODE_DISCOVERY_H
#define NODE_DISCOVERY_H

#include "base/random.h"
#include "core/neighbours.h"
#include "net/lan.h"

#include <jansson.h>

struct gv_node;

struct discovery {
    struct lan *lan; /* NULL: the node does not look for peers */
    struct neighbours neighbours;
    struct random random;
    uint64_t instance;
    uint16_t port; /* where the node listens, TCP */
    gv_time_ms due, sent;
    unsigned burst; /* announcements since the start, or since an interface
                       came or went */
    uint64_t heard, malformed, other_version, other_mesh;
};

/* If the node is to do so; its core and net stand.  Errors: GV_EADDRESS,
 * GV_ENOMEM. */
int discovery_open(struct gv_node *node, struct gv_error *error);
void discovery_close(struct discovery *discovery);

size_t discovery_poll(const struct discovery *discovery,
                      struct pollfd fds[LAN_FDS]);
/* When it wants its turn; INT64_MAX: never. */
gv_time_ms discovery_deadline(const struct discovery *discovery);

/* Announce if it is time, and take what came. */
void discovery_turn(struct gv_node *node);

/* For status: interfaces, neighbours, counters; NULL: none. */
json_t *discovery_object(const struct discovery *discovery, gv_time_ms now);

#endif
