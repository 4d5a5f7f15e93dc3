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
    unsigned lose, resend; /* of a million frames */
    size_t operations;
    sim_time gap;   /* mean time between two operations */
    size_t writers; /* nodes that write; 0: all */
    bool split;     /* two halves from the first operation on, for an hour */
    bool find;      /* peers tell of peers; a third of the nodes is killed and
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
    uint64_t frames[MESSAGE_KIND_MAX + 1];
    uint64_t bytes[MESSAGE_KIND_MAX + 1];
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
    uint32_t *waits;     /* the same, but from when the halves met, if later */
    size_t latency_count;
    uint64_t warm_received; /* by news, of those from publication 100 on */
    size_t warm_intervals;
    sim_time began, ended, rest_began;
    sim_time healed; /* when the halves met; else the last operation */
    struct traffic idle, busy, rest; /* up to the end of each part */
};

/* One line of a plot, and all of them. */
#define SCALE_POINTS 101
#define SCALE_CURVES_MAX 8

struct scale_curve {
    char title[100];
    double ms[SCALE_POINTS]; /* of equal parts of all arrivals */
};

struct scale_plot {
    struct scale_curve curves[SCALE_CURVES_MAX];
    size_t count;
};

/* scale_plot.c: 0, or -1 if the file cannot be written. */
void scale_plot_add(struct scale_plot *plot, struct scale *scale);
int scale_plot_write(const struct scale_plot *plot, const char *path);

/* One line of figures. */
void scale_summary(const struct scale *scale, char *text, size_t size);
bool scale_all_arrived(const struct scale *scale);

/* All figures of a play that is over. */
void scale_print(struct scale *scale, FILE *out);

#endif
