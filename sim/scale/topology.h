/* Who dials whom. */
#ifndef SIM_TOPOLOGY_H
#define SIM_TOPOLOGY_H

#include "sim/machine/machine.h"

enum topology {
    TOPOLOGY_LINE,
    TOPOLOGY_GRID,   /* as square as can be, links to four sides */
    TOPOLOGY_TREE,   /* four children each */
    TOPOLOGY_RANDOM, /* a ring, and random others */
    TOPOLOGY_SEED,   /* one that was there before, at random */
    TOPOLOGY_FULL    /* up to 128 nodes; more: random with 8 dials */
};

/* The peers that @node of @count dials, each pair once, at most
 * MACHINE_PEERS_MAX.  @dials: with TOPOLOGY_RANDOM, how many (2 or more; the
 * links that others dial come on top).  Returns how many there are. */
size_t topology_peers(enum topology topology, size_t node, size_t count,
                      size_t dials, struct random *random,
                      size_t peers[MACHINE_PEERS_MAX]);

#endif
