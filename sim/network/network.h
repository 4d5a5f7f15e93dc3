/* The network between machines: connections that delay, lose, repeat, reorder
 * and damage frames, and that partitions hold up.
 *
 * It behaves as the node's own network layer does toward the core: a dialled
 * connection comes up or goes down, an accepted one is first heard of by its
 * first frame, and a frame arrives whole or not at all, except that this one
 * may also break each of these promises when a fault says so. */
#ifndef SIM_NETWORK_H
#define SIM_NETWORK_H

#include "core/core.h"
#include "sim/world.h"

struct network;

/* What the machines hear.  @bytes live during the call, a reason for ever. */
struct network_listener {
    void *context;
    void (*up)(void *context, size_t node, gv_link link);
    void (*down)(void *context, size_t node, gv_link link, const char *reason);
    void (*frame)(void *context, size_t node, gv_link link,
                  const uint8_t *bytes, size_t size);
};

/* Chances are per million frames. */
struct network_faults {
    unsigned lose, duplicate, reorder;
    unsigned replay;    /* sent again up to ten minutes later, to a link that
                           still stands between the two */
    unsigned flip;      /* one bit of the frame is turned */
    unsigned truncate;  /* the frame ends early */
    unsigned reset;     /* the connection breaks as the frame is sent */
    unsigned resend;    /* it is lost on the way, and TCP sends it again: those
                           behind it wait */
    sim_time jitter;    /* mean of an exponential delay on top of the path's */
    uint64_t bandwidth; /* bytes a second each way of a connection; 0: no
                           limit */
    size_t queue_max;   /* frames that may wait on a connection; then sending
                           fails; 0: no limit */
};

enum network_event {
    NETWORK_LOST,
    NETWORK_DUPLICATED,
    NETWORK_REORDERED,
    NETWORK_REPLAYED,
    NETWORK_FLIPPED,
    NETWORK_TRUNCATED,
    NETWORK_RESET,
    NETWORK_HELD,    /* a frame met a partition */
    NETWORK_CLOGGED, /* bandwidth or a full queue held a frame up */
    NETWORK_EVENTS
};

/* @path: the plain delay from one machine to another. */
struct network *network_new(struct world *world, size_t node_count,
                            sim_time path,
                            const struct network_listener *listener);
void network_free(struct network *network);

void network_set_faults(struct network *network,
                        const struct network_faults *faults);
/* How often each event happened. */
uint64_t network_count(const struct network *network,
                       enum network_event event);

/* Where node @node is dialled. */
const char *network_endpoint(const struct network *network, size_t node);

/* A machine's process is there and listens, or is gone.  When it goes its
 * connections break; @silent: the other ends do not hear of it (the power
 * failed), and frames to it vanish until it listens again; then they are
 * answered by the end of their connection. */
void network_listen(struct network *network, size_t node);
void network_leave(struct network *network, size_t node, bool silent);

/* What the core's effects ask for.  @link is the core's (even).  The end of a
 * connect comes as up() or down(): a machine that is dark or behind a block
 * takes three seconds.  The accepter hears of a dialler's close; a dialler
 * does not hear of an accepter's, whose link is merely forgotten: what comes
 * later comes as a new link. */
void network_connect(struct network *network, size_t node, gv_link link,
                     const char *endpoint);
void network_close(struct network *network, size_t node, gv_link link);
/* Errors: GV_ENOTFOUND (no such link), GV_ELIMIT (its queue is full). */
int network_send(struct network *network, size_t node, gv_link link,
                 const uint8_t *bytes, size_t size);

/* Frames from @from to @to do not pass while it is blocked.  @held: those that
 * meet the block arrive after it (a cut that is shorter than TCP's patience);
 * else they are lost. */
void network_block(struct network *network, size_t from, size_t to,
                   bool blocked, bool held);
bool network_blocked(const struct network *network, size_t from, size_t to);
/* Everything passes, no fault is on. */
void network_heal(struct network *network);
/* Connections between the two break, and both ends hear of it. */
void network_reset(struct network *network, size_t a, size_t b);

#endif
