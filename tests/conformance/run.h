/* One way through one case: its replicas, what was sent between them, and
 * what must hold all the time. */
#ifndef TESTS_CONFORMANCE_RUN_H
#define TESTS_CONFORMANCE_RUN_H

#include "case.h"
#include "delta.h"
#include "replica.h"

#define RUN_LATE_MAX 64

/* How the replicas exchange, and whether they crash. */
struct run_manner {
    bool pull;           /* by deltas; else by intervals */
    unsigned order;      /* of the exchanges of a "full" */
    bool crash;          /* after every step */
    enum disk_loss loss; /* what such a crash takes */
};

/* What one seal of a site published, as the frame that carries it. */
struct publication {
    struct site site;
    gv_version from, to;
    struct buffer frame;
    unsigned sent; /* bits: the replicas that were sent it */
};

struct late_delta {
    size_t to;
    struct delta delta;
};

/* The disks of a case before its first step, kept for its other runs. */
struct run_start {
    struct disk_image *images[CASE_SITES_MAX];
};

struct run {
    struct run_start *start;
    const struct case_file *file;
    const struct case_variant *variant;
    struct run_manner manner;
    struct replica replicas[CASE_SITES_MAX];
    size_t count;
    struct publication *publications;
    size_t publication_count;
    struct late_delta late[RUN_LATE_MAX];
    size_t late_count;
    uint64_t token;
    unsigned touched;  /* bits: replicas that wrote since the last crash */
    bool findings;     /* the case expects verify to find something */
    int64_t *monotone; /* CASE_LIST_MAX for each replica */
    int line;          /* of the case, at hand */
    bool failed;
    char what[2000];
};

/* The first failure of a run stays. */
void run_fail(struct run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The replica of a letter; fails the run if there is none. */
struct replica *run_replica(struct run *run, char letter);
size_t run_index(const struct run *run, const struct replica *replica);

/* Look at what must never be seen on @replica, and at what never falls. */
void run_watch(struct run *run, struct replica *replica);
/* A power cut may take back what other sites published. */
void run_unwatch(struct run *run, const struct replica *replica);

/* Play the variant; the result is in @run, of which only start, file, variant
 * and manner are set.  run_close() frees the rest. */
void run_play(struct run *run);
void run_close(struct run *run);

#endif
