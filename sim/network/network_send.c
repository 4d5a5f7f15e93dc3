/* What becomes of a frame on its way out. */
#include "network_state.h"

/* Linux waits the round trip and at least this long before it sends again. */
#define RESEND_AFTER (200 * SIM_MS)
#define REPLAY_DELAY_MAX (600 * SIM_SECOND)
/* A line that is busy for longer takes nothing more. */
#define BUSY_MAX (3 * SIM_SECOND)

static bool happens(struct network *network, unsigned per_million,
                    enum network_event event)
{
    struct random *random = world_random(network->world, STREAM_NETWORK);
    bool yes = chance(random, per_million);

    network->counts[event] += yes;
    return yes;
}

/* When the last byte of @size has left. */
static sim_time departure(struct network *network, struct end *end,
                          size_t size)
{
    uint64_t bandwidth = network->faults.bandwidth;
    sim_time now = world_now(network->world);

    if (bandwidth == 0)
        return now;
    if (end->busy > now)
        network->counts[NETWORK_CLOGGED]++;
    else
        end->busy = now;
    end->busy += (sim_time)(size * SIM_SECOND / bandwidth);
    return end->busy;
}

static sim_time travel(struct network *network)
{
    sim_time jitter = network->faults.jitter;
    struct random *random = world_random(network->world, STREAM_NETWORK);

    return network->path + (jitter > 0 ? exponential(random, jitter) : 0);
}

/* A connection keeps its order; a frame that is out of order comes later than
 * its turn, and those behind it do not wait for it. */
static void put_on_way(struct network *network, struct frame *frame,
                       sim_time departs)
{
    struct random *random = world_random(network->world, STREAM_NETWORK);
    struct end *end = &frame->connection->ends[frame->side];
    sim_time due = departs + travel(network);

    if (chance(random, network->faults.resend))
        due += RESEND_AFTER + 2 * network->path;
    if (due < end->due)
        due = end->due;
    if (happens(network, network->faults.reorder, NETWORK_REORDERED))
        due += SIM_MS + exponential(random, network->path + SIM_MS);
    else
        end->due = due;
    world_at(network->world, due, frame_arrive, frame, 0);
}

static void damage(struct network *network, struct frame *frame)
{
    struct random *random = world_random(network->world, STREAM_NETWORK);

    if (frame->size == 0)
        return;
    if (happens(network, network->faults.flip, NETWORK_FLIPPED)) {
        uint64_t bit = random_below(random, 8 * frame->size);
        frame->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    if (happens(network, network->faults.truncate, NETWORK_TRUNCATED))
        frame->size = random_below(random, frame->size);
}

static void send_copies(struct connection *connection, int side,
                        const uint8_t *bytes, size_t size)
{
    struct network *network = connection->network;
    struct random *random = world_random(network->world, STREAM_NETWORK);
    sim_time now = world_now(network->world);

    if (happens(network, network->faults.duplicate, NETWORK_DUPLICATED))
        put_on_way(network, frame_make(connection, side, bytes, size), now);
    if (chance(random, network->faults.replay))
        world_at(network->world, now + between(random, 1, REPLAY_DELAY_MAX),
                 frame_arrive_again, frame_make(connection, side, bytes, size),
                 0);
}

int network_send(struct network *network, size_t node, gv_link link,
                 const uint8_t *bytes, size_t size)
{
    const struct network_faults *faults = &network->faults;
    struct port *port = port_find(network, node, link);
    struct connection *connection;
    struct end *end;
    struct frame *frame;
    sim_time departs;
    int side;

    if (port == NULL || !port->connection->standing)
        return GV_ENOTFOUND;
    connection = port->connection;
    side = port->side;
    end = &connection->ends[side];
    if ((faults->queue_max > 0 && end->waiting >= faults->queue_max) ||
        end->busy > world_now(network->world) + BUSY_MAX) {
        network->counts[NETWORK_CLOGGED]++;
        return GV_ELIMIT;
    }
    if (happens(network, faults->reset, NETWORK_RESET))
        connection_break(connection);
    departs = departure(network, end, size);
    if (connection->broken || happens(network, faults->lose, NETWORK_LOST))
        return GV_OK;
    frame = frame_make(connection, side, bytes, size);
    frame->counted = true;
    end->waiting++;
    damage(network, frame);
    put_on_way(network, frame, departs);
    send_copies(connection, side, bytes, size);
    return GV_OK;
}
