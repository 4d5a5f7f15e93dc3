/* Processes that come and go, and connections that they make, close and
 * lose. */
#include "network_state.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define DIAL_PATIENCE (3 * SIM_SECOND)

/* Processes */

void network_listen(struct network *network, size_t at)
{
    struct node *node = &network->nodes[at];

    GV_ASSERT(at < network->node_count);
    node->listening = true;
    node->dark = false;
}

void network_leave(struct network *network, size_t at, bool silent)
{
    struct node *node = &network->nodes[at];

    GV_ASSERT(at < network->node_count);
    if (node->listening)
        node->life++;
    node->listening = false;
    node->dark = silent;
    while (node->port_count > 0) {
        struct port port = node->ports[node->port_count - 1];
        if (!silent && port.connection->standing)
            end_finish(port.connection, port.side);
        end_close(port.connection, port.side);
    }
}

/* Dialling */

/* The node that @endpoint names; node_count: none. */
static size_t node_of(const struct network *network, const char *endpoint)
{
    size_t head = strlen(ENDPOINT_HEAD);
    size_t node;

    if (strncmp(endpoint, ENDPOINT_HEAD, head) != 0)
        return network->node_count;
    node = (size_t)strtoul(endpoint + head, NULL, 10);
    if (node >= network->node_count ||
        strcmp(endpoint, network->nodes[node].endpoint) != 0)
        return network->node_count;
    return node;
}

static void give_up(void *context, uint64_t argument)
{
    struct connection *connection = context;

    (void)argument;
    end_hear_down(connection, 0, "the connection timed out");
    connection_drop(connection);
}

/* One round trip after the dial. */
static void answer(void *context, uint64_t argument)
{
    struct connection *connection = context;
    struct network *network = connection->network;
    struct end *ends = connection->ends;
    struct node *node = &network->nodes[ends[1].node];
    sim_time patience = DIAL_PATIENCE - 2 * network->path;

    (void)argument;
    if (node->dark || network_blocked(network, ends[0].node, ends[1].node) ||
        network_blocked(network, ends[1].node, ends[0].node)) {
        world_at(network->world, world_now(network->world) + patience, give_up,
                 connection, 0);
        return;
    }
    if (!node->listening) {
        end_hear_down(connection, 0, "connection refused");
    } else if (ends[0].link != 0 && !connection->broken) {
        connection->standing = true;
        ends[1].life = node->life;
        network->listener.up(network->listener.context, ends[0].node,
                             ends[0].link);
    }
    connection_drop(connection);
}

static void answer_nobody(void *context, uint64_t argument)
{
    struct connection *connection = context;

    (void)argument;
    end_hear_down(connection, 0, "no such machine");
    connection_drop(connection);
}

void network_connect(struct network *network, size_t node, gv_link link,
                     const char *endpoint)
{
    struct connection *connection = connection_make(network);
    size_t to = node_of(network, endpoint);
    bool known = to < network->node_count;

    GV_ASSERT(node < network->node_count && link % 2 == 0);
    connection->ends[0].node = node;
    connection->ends[0].life = network->nodes[node].life;
    connection->ends[1].node = known ? to : node;
    end_open(connection, 0, link);
    connection->uses++;
    world_at(network->world, world_now(network->world) + 2 * network->path,
             known ? answer : answer_nobody, connection, 0);
}

void network_close(struct network *network, size_t node, gv_link link)
{
    struct port *port = port_find(network, node, link);
    struct connection *connection;
    int side;

    if (port == NULL)
        return;
    connection = port->connection;
    side = port->side;
    if (side == 0 && connection->standing)
        end_finish(connection, side);
    end_close(connection, side);
}

static void hear_reset(void *context, uint64_t side)
{
    struct connection *connection = context;

    end_hear_down(connection, (int)side, "connection reset");
    connection_drop(connection);
}

void connection_break(struct connection *connection)
{
    struct world *world = connection->network->world;
    sim_time due = world_now(world) + connection->network->path;

    if (connection->broken)
        return;
    connection->broken = true;
    for (uint64_t side = 0; side < 2; side++) {
        connection->uses++;
        world_at(world, due, hear_reset, connection, side);
    }
}

static void break_between(struct network *network, size_t a, size_t b)
{
    const struct node *node = &network->nodes[a];

    for (size_t i = 0; i < node->port_count; i++) {
        const struct port *port = &node->ports[i];
        if (port->connection->ends[!port->side].node == b)
            connection_break(port->connection);
    }
}

void network_reset(struct network *network, size_t a, size_t b)
{
    break_between(network, a, b);
    break_between(network, b, a);
}
