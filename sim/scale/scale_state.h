/* What a play of a scenario leaves: scale.c plays, scale_figures.c prints. */
#ifndef SIM_SCALE_STATE_H
#define SIM_SCALE_STATE_H

#include "topology.h"

#include <stdio.h>

struct scenario {
    const char *name;
    const char *what;
    size_t nodes;
    enum topology topology;
    size_t dials;
    sim_time path, jitter;
    unsigned lose;
    size_t operations;
    sim_time gap; /* mean time between two operations */
    bool split;   /* two halves from the first operation on, for an hour */
    bool find;    /* peers tell of peers; a third of the nodes is killed and
                     comes back while they find one another */
};

struct operation {
    size_t node;
    sim_time written;
    gv_version to; /* of its interval; 0: not sealed yet */
    sim_time last; /* arrival */
    size_t arrived;
};

/* A node, and what it wrote. */
struct origin {
    struct machine *machine;
    struct site site;
    size_t *operations;
    size_t count, sealed;
};

/* Of all nodes together. */
struct traffic {
    uint64_t frames[MESSAGE_BYE + 1];
    uint64_t bytes[MESSAGE_BYE + 1];
};

struct scale {
    const struct scenario *scenario;
    size_t count;                       /* of nodes */
    size_t links, links_min, links_max; /* the latter with @find */
    struct world *world;
    struct network *network;
    struct origin *origins;
    size_t *by_site;   /* origins ascending by site */
    uint32_t *reached; /* [node * count + origin]: operations held */
    struct operation *operations;
    size_t operation_count, intervals;
    uint32_t *latencies; /* of each arrival, in tenths of a millisecond */
    size_t latency_count;
    sim_time began, ended, rest_began;
    sim_time healed; /* when the halves met; else the last operation */
    struct traffic idle, busy, rest; /* up to the end of each part */
};

bool scale_all_arrived(const struct scale *scale);

/* All figures of a play that is over. */
void scale_print(struct scale *scale, FILE *out);

#endif
