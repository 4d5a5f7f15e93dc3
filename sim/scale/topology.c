#include "topology.h"

#include "base/assert.h"
#include "core/core.h"

#define TREE_CHILDREN 4

static size_t grid_peers(size_t node, size_t count, size_t *peers)
{
    size_t width = 1, found = 0;

    while (width * width < count)
        width++;
    if (node % width + 1 < width && node + 1 < count)
        peers[found++] = node + 1;
    if (node + width < count)
        peers[found++] = node + width;
    return found;
}

static size_t tree_peers(size_t node, size_t *peers)
{
    if (node == 0)
        return 0;
    peers[0] = (node - 1) / TREE_CHILDREN;
    return 1;
}

static bool is_among(const size_t *peers, size_t count, size_t node)
{
    for (size_t i = 0; i < count; i++) {
        if (peers[i] == node)
            return true;
    }
    return false;
}

/* The ring makes the graph one piece whatever the dice say. */
static size_t random_peers(size_t node, size_t count, size_t dials,
                           struct random *random, size_t *peers)
{
    size_t found = 0;

    if (dials > count - 1)
        dials = count - 1;
    if (dials > 0)
        peers[found++] = (node + 1) % count;
    while (found < dials) {
        size_t peer = random_below(random, count);
        if (peer != node && !is_among(peers, found, peer))
            peers[found++] = peer;
    }
    return found;
}

/* Each dials the half of the circle before it, so that all dial alike. */
static size_t full_peers(size_t node, size_t count, size_t *peers)
{
    size_t found = 0, half = (count - 1) / 2;

    for (size_t i = 1; i <= half; i++)
        peers[found++] = (node + i) % count;
    if (count % 2 == 0 && node < count / 2)
        peers[found++] = node + count / 2;
    return found;
}

size_t topology_peers(enum topology topology, size_t node, size_t count,
                      size_t dials, struct random *random,
                      size_t peers[MACHINE_PEERS_MAX])
{
    GV_ASSERT(node < count && dials <= MACHINE_PEERS_MAX);
    switch (topology) {
    case TOPOLOGY_LINE:
        peers[0] = node + 1;
        return node + 1 < count;
    case TOPOLOGY_GRID:
        return grid_peers(node, count, peers);
    case TOPOLOGY_TREE:
        return tree_peers(node, peers);
    case TOPOLOGY_RANDOM:
        return random_peers(node, count, dials, random, peers);
    case TOPOLOGY_SEED:
        peers[0] = node > 0 ? random_below(random, node) : 0;
        return node > 0;
    case TOPOLOGY_FULL:
        if (count > CORE_LINKS_MAX)
            return random_peers(node, count, 8, random, peers);
        return full_peers(node, count, peers);
    }
    return 0;
}
