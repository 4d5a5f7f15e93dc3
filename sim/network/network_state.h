/* What the files of the network share: a connection's life is told at the head
 * of network.c. */
#ifndef SIM_NETWORK_STATE_H
#define SIM_NETWORK_STATE_H

#include "network.h"

#define ENDPOINT_HEAD "tcp://node-"

/* Frames are allocated in sizes of 2^6 to 2^19 bytes: the largest message and
 * what stands before it. */
#define CLASS_SMALLEST 6
#define CLASSES 14

struct frame {
    struct frame *next; /* held, or kept for use again */
    struct frame *made_next;
    struct connection *connection;
    size_t size;
    unsigned class;
    int side;     /* the sender's */
    bool end;     /* no frame: the sender's stream ends here */
    bool counted; /* among those that wait */
    uint8_t bytes[];
};

struct end {
    size_t node;
    uint64_t life;      /* of the process that this end belongs to */
    gv_link link;       /* 0: closed, or not heard of yet */
    sim_time due;       /* when the last frame sent here arrives */
    sim_time busy;      /* until when the line carries frames sent here */
    size_t waiting;     /* frames sent here that have not arrived */
    struct frame *held; /* sent here, stopped by a partition, in order */
    struct frame **held_last;
};

struct connection {
    struct network *network;
    struct connection *next; /* kept for use again */
    struct connection *made_next;
    struct connection *holding_next;
    size_t uses; /* open ends, frames and events that name it */
    bool holding;
    bool standing;      /* the dial succeeded */
    bool broken;        /* nothing arrives any more */
    struct end ends[2]; /* the dialler's, the accepter's */
};

struct port {
    gv_link link;
    struct connection *connection;
    int side;
};

struct node {
    char endpoint[40];
    bool listening;
    bool dark;     /* the machine does not even answer "refused" */
    uint64_t life; /* processes before this one */
    gv_link next_accepted;
    struct port *ports;
    size_t port_count, port_capacity;
};

enum block { BLOCK_NONE, BLOCK_LOSES, BLOCK_HOLDS };

struct network {
    struct world *world;
    struct network_listener listener;
    struct network_faults faults;
    uint64_t counts[NETWORK_EVENTS];
    sim_time path;
    size_t node_count;
    struct node *nodes;
    uint8_t *blocks; /* [from * node_count + to] */
    size_t block_count;
    struct connection *holding; /* those with frames held */
    bool sweeping;              /* release() is about to be called */
    struct frame *frames_made, *frames_kept[CLASSES];
    struct connection *connections_made, *connections_kept;
};

/* network.c: kept for use again once nobody names them any more. */
struct connection *connection_make(struct network *network);
void connection_drop(struct connection *connection);
struct frame *frame_make(struct connection *connection, int side,
                         const uint8_t *bytes, size_t size);
void frame_drop(struct frame *frame);

/* network_arrive.c */
/* NULL: @node has no such link. */
struct port *port_find(const struct network *network, size_t node,
                       gv_link link);
void end_open(struct connection *connection, int side, gv_link link);
void end_close(struct connection *connection, int side);
/* The node at @side hears that its link is gone; @connection may be too. */
void end_hear_down(struct connection *connection, int side,
                   const char *reason);
/* The stream from @side ends once what was sent there has arrived. */
void end_finish(struct connection *connection, int side);
/* Events of the world: the frame @context is there. */
void frame_arrive(void *context, uint64_t argument);
/* Sent again: on any connection that stands between the two by now. */
void frame_arrive_again(void *context, uint64_t argument);

/* network_dial.c */
/* Nothing arrives any more, and both ends hear of it. */
void connection_break(struct connection *connection);

#endif
