/* How a connection lives.
 *
 * It has two ends, the dialler's and the accepter's.  An end is open while its
 * node has a link number for it.  What travels are frames and ends of streams;
 * both meet partitions where they would arrive.  A frame that comes to an end
 * which its process has left is answered with an end of stream, as TCP answers
 * with a reset, unless that machine is dark.
 *
 * An accepter that closes its link forgets it and no more, because a ROUTER
 * socket cannot close one connection: the dialler is not told, and what it
 * sends later comes as a new link.
 *
 * The machines are called from events of the world alone, never from within
 * their own calls.  Frames and connections are kept for use again: a run has
 * millions of them. */
#include "network_state.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

/* Memory */

static void *make(size_t size)
{
    void *made = calloc(1, size);

    GV_ASSERT(made != NULL);
    return made;
}

struct connection *connection_make(struct network *network)
{
    struct connection *connection = network->connections_kept;
    struct connection *made_next;

    if (connection == NULL) {
        connection = make(sizeof *connection);
        connection->made_next = network->connections_made;
        network->connections_made = connection;
    } else {
        network->connections_kept = connection->next;
    }
    made_next = connection->made_next;
    *connection =
        (struct connection){.network = network, .made_next = made_next};
    for (int side = 0; side < 2; side++)
        connection->ends[side].held_last = &connection->ends[side].held;
    return connection;
}

void connection_drop(struct connection *connection)
{
    struct network *network = connection->network;

    GV_ASSERT(connection->uses > 0);
    if (--connection->uses > 0)
        return;
    connection->next = network->connections_kept;
    network->connections_kept = connection;
}

static unsigned class_of(size_t size)
{
    unsigned class = 0;

    while (((size_t)1 << (class + CLASS_SMALLEST)) < size)
        class ++;
    GV_ASSERT(class < CLASSES);
    return class;
}

struct frame *frame_make(struct connection *connection, int side,
                         const uint8_t *bytes, size_t size)
{
    struct network *network = connection->network;
    unsigned class = class_of(sizeof(struct frame) + size);
    struct frame *frame = network->frames_kept[class];
    struct frame *made_next;

    if (frame == NULL) {
        frame = make((size_t)1 << (class + CLASS_SMALLEST));
        frame->made_next = network->frames_made;
        network->frames_made = frame;
    } else {
        network->frames_kept[class] = frame->next;
    }
    made_next = frame->made_next;
    *frame = (struct frame){.made_next = made_next,
                            .connection = connection,
                            .size = size,
                            .class = class,
                            .side = side};
    if (size > 0)
        memcpy(frame->bytes, bytes, size);
    connection->uses++;
    return frame;
}

void frame_drop(struct frame *frame)
{
    struct connection *connection = frame->connection;
    struct network *network = connection->network;

    if (frame->counted)
        connection->ends[frame->side].waiting--;
    frame->next = network->frames_kept[frame->class];
    network->frames_kept[frame->class] = frame;
    connection_drop(connection);
}

struct network *network_new(struct world *world, size_t node_count,
                            sim_time path,
                            const struct network_listener *listener)
{
    struct network *network = make(sizeof *network);

    network->world = world;
    network->listener = *listener;
    network->path = path;
    network->node_count = node_count;
    network->nodes = make(node_count * sizeof *network->nodes);
    network->blocks = make(node_count * node_count);
    for (size_t i = 0; i < node_count; i++) {
        struct node *node = &network->nodes[i];
        snprintf(node->endpoint, sizeof node->endpoint,
                 ENDPOINT_HEAD "%zu:20000", i);
        node->next_accepted = 1;
    }
    return network;
}

void network_free(struct network *network)
{
    if (network == NULL)
        return;
    for (size_t i = 0; i < network->node_count; i++)
        free(network->nodes[i].ports);
    while (network->frames_made != NULL) {
        struct frame *frame = network->frames_made;
        network->frames_made = frame->made_next;
        free(frame);
    }
    while (network->connections_made != NULL) {
        struct connection *connection = network->connections_made;
        network->connections_made = connection->made_next;
        free(connection);
    }
    free(network->nodes);
    free(network->blocks);
    free(network);
}

void network_set_faults(struct network *network,
                        const struct network_faults *faults)
{
    network->faults = *faults;
}

uint64_t network_count(const struct network *network, enum network_event event)
{
    return network->counts[event];
}

const char *network_endpoint(const struct network *network, size_t node)
{
    GV_ASSERT(node < network->node_count);
    return network->nodes[node].endpoint;
}
