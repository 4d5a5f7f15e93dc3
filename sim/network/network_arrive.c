/* What arrives, what partitions stop, and the ends of connections. */
#include "network_state.h"

#include "base/assert.h"
#include "base/buffer.h"

#include <stdlib.h>
#include <string.h>

/* Open ends */

struct port *port_find(const struct network *network, size_t at, gv_link link)
{
    const struct node *node = &network->nodes[at];

    GV_ASSERT(at < network->node_count);
    for (size_t i = 0; i < node->port_count; i++) {
        if (node->ports[i].link == link)
            return &node->ports[i];
    }
    return NULL;
}

void end_open(struct connection *connection, int side, gv_link link)
{
    struct end *end = &connection->ends[side];
    struct node *node = &connection->network->nodes[end->node];

    GV_ASSERT(end->link == 0 && link != 0);
    if (node->port_count == node->port_capacity) {
        size_t capacity = 2 * node->port_capacity + 8;
        node->ports = reallocarray(node->ports, capacity, sizeof *node->ports);
        GV_ASSERT(node->ports != NULL);
        node->port_capacity = capacity;
    }
    node->ports[node->port_count++] = (struct port){link, connection, side};
    end->link = link;
    connection->uses++;
}

void end_close(struct connection *connection, int side)
{
    struct network *network = connection->network;
    struct end *end = &connection->ends[side];
    struct node *node = &network->nodes[end->node];
    struct port *port = port_find(network, end->node, end->link);

    GV_ASSERT(port != NULL && port->connection == connection);
    *port = node->ports[--node->port_count];
    end->link = 0;
    connection_drop(connection);
}

void end_hear_down(struct connection *connection, int side, const char *reason)
{
    struct network *network = connection->network;
    const struct end *end = &connection->ends[side];
    size_t node = end->node;
    gv_link link = end->link;

    if (link == 0)
        return;
    end_close(connection, side);
    world_mark(network->world, link);
    network->listener.down(network->listener.context, node, link, reason);
}

/* Arrivals */

/* A message ends with its own hash, so the last bytes stand for all. */
static void mark_frame(struct network *network, const struct frame *frame)
{
    uint64_t last = frame->size;

    if (frame->size >= sizeof last)
        last = load_u64(frame->bytes + frame->size - sizeof last);
    world_mark(network->world, last);
}

static enum block block_between(const struct network *network, size_t from,
                                size_t to)
{
    return network->blocks[from * network->node_count + to];
}

static enum block block_of(const struct frame *frame)
{
    const struct end *ends = frame->connection->ends;

    return block_between(frame->connection->network, ends[frame->side].node,
                         ends[!frame->side].node);
}

void end_finish(struct connection *connection, int side)
{
    struct world *world = connection->network->world;
    struct end *end = &connection->ends[side];
    sim_time due = world_now(world) + connection->network->path;
    struct frame *frame = frame_make(connection, side, NULL, 0);

    frame->end = true;
    if (end->due < due)
        end->due = due;
    world_at(world, end->due, frame_arrive, frame, 0);
}

/* Whether the process that had the end where @frame arrives has left it. */
static bool is_left(const struct frame *frame)
{
    const struct connection *connection = frame->connection;
    const struct end *end = &connection->ends[!frame->side];
    const struct node *node = &connection->network->nodes[end->node];

    return !node->listening || node->life != end->life ||
           (frame->side == 1 && end->link == 0);
}

static void hand_over_bytes(struct frame *frame)
{
    struct connection *connection = frame->connection;
    struct network *network = connection->network;
    const struct network_listener *listener = &network->listener;
    struct end *end = &connection->ends[!frame->side];
    struct node *node = &network->nodes[end->node];

    if (is_left(frame)) {
        if (!node->dark)
            end_finish(connection, !frame->side);
        return;
    }
    if (end->link == 0) {
        end_open(connection, !frame->side, node->next_accepted);
        node->next_accepted += 2;
        listener->up(listener->context, end->node, end->link);
        if (end->link == 0)
            return;
    }
    mark_frame(network, frame);
    listener->frame(listener->context, end->node, end->link, frame->bytes,
                    frame->size);
}

static void hand_over(struct frame *frame)
{
    struct connection *connection = frame->connection;

    if (!connection->broken && frame->end) {
        connection->broken = true;
        end_hear_down(connection, !frame->side, "the connection was closed");
    } else if (!connection->broken) {
        hand_over_bytes(frame);
    }
    frame_drop(frame);
}

static void hold(struct frame *frame)
{
    struct connection *connection = frame->connection;
    struct network *network = connection->network;
    struct end *from = &connection->ends[frame->side];

    frame->next = NULL;
    *from->held_last = frame;
    from->held_last = &frame->next;
    if (connection->holding)
        return;
    connection->holding = true;
    connection->holding_next = network->holding;
    network->holding = connection;
}

void frame_arrive(void *context, uint64_t argument)
{
    struct frame *frame = context;
    struct network *network = frame->connection->network;
    enum block block = block_of(frame);

    (void)argument;
    if (block != BLOCK_NONE)
        network->counts[NETWORK_HELD]++;
    if (block == BLOCK_LOSES)
        frame_drop(frame);
    else if (block == BLOCK_HOLDS ||
             frame->connection->ends[frame->side].held != NULL)
        hold(frame);
    else
        hand_over(frame);
}

void frame_arrive_again(void *context, uint64_t argument)
{
    struct frame *frame = context;
    struct network *network = frame->connection->network;
    size_t from = frame->connection->ends[frame->side].node;
    size_t to = frame->connection->ends[!frame->side].node;
    const struct node *node = &network->nodes[to];

    (void)argument;
    /* Without replays none comes, also of what was sent before. */
    for (size_t i = 0; network->faults.replay > 0 && i < node->port_count;
         i++) {
        const struct port *port = &node->ports[i];
        const struct end *other = &port->connection->ends[!port->side];
        if (other->node != from || other->link == 0 ||
            port->connection->broken || block_of(frame) != BLOCK_NONE)
            continue;
        network->counts[NETWORK_REPLAYED]++;
        mark_frame(network, frame);
        network->listener.frame(network->listener.context, to, port->link,
                                frame->bytes, frame->size);
        break;
    }
    frame_drop(frame);
}

/* Partitions */

/* Hand over what @connection holds from @side until a block stops it. */
static void release_side(struct connection *connection, int side)
{
    struct end *from = &connection->ends[side];

    while (from->held != NULL && block_of(from->held) == BLOCK_NONE) {
        struct frame *frame = from->held;
        from->held = frame->next;
        if (from->held == NULL)
            from->held_last = &from->held;
        hand_over(frame);
    }
}

static void release(void *context, uint64_t argument)
{
    struct network *network = context;
    struct connection *next = network->holding;

    (void)argument;
    network->sweeping = false;
    network->holding = NULL;
    while (next != NULL) {
        struct connection *connection = next;
        next = connection->holding_next;
        connection->uses++;
        for (int side = 0; side < 2; side++)
            release_side(connection, side);
        connection->holding = connection->ends[0].held != NULL ||
                              connection->ends[1].held != NULL;
        if (connection->holding) {
            connection->holding_next = network->holding;
            network->holding = connection;
        }
        connection_drop(connection);
    }
}

/* Held frames go on when those that are sent now would arrive. */
static void release_soon(struct network *network)
{
    if (network->sweeping || network->holding == NULL)
        return;
    network->sweeping = true;
    world_at(network->world, world_now(network->world) + network->path,
             release, network, 0);
}

void network_block(struct network *network, size_t from, size_t to,
                   bool blocked, bool held)
{
    uint8_t *block = &network->blocks[from * network->node_count + to];

    GV_ASSERT(from < network->node_count && to < network->node_count);
    network->block_count -= *block != BLOCK_NONE;
    network->block_count += blocked;
    *block = !blocked ? BLOCK_NONE : held ? BLOCK_HOLDS : BLOCK_LOSES;
    if (!blocked)
        release_soon(network);
}

bool network_blocked(const struct network *network, size_t from, size_t to)
{
    return block_between(network, from, to) != BLOCK_NONE;
}

void network_heal(struct network *network)
{
    size_t pairs = network->node_count * network->node_count;

    network->faults = (struct network_faults){0};
    if (network->block_count > 0)
        memset(network->blocks, BLOCK_NONE, pairs);
    network->block_count = 0;
    release_soon(network);
}
