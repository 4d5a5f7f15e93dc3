/* The checks from inside: checks.c (vectors and steps), checks_messages.c
 * (what leaves), checks_rest.c (whether all is quiet), checks_files.c (what
 * the files hold). */
#ifndef SIM_CHECKS_INTERNAL_H
#define SIM_CHECKS_INTERNAL_H

#include "sim/checks.h"

/* A message's interval as it left its origin first. */
struct dot {
    struct site site;
    gv_version from, to;
    uint64_t content;
};

struct push {
    gv_link link;
    gv_version to;
    struct site site;
    unsigned times;
};

struct watch {
    struct vv vv;      /* the last seen of this run of the node */
    struct vv ever;    /* the largest ever seen here, for versions */
    gv_version synced; /* own entry that is on the platter */
    uint64_t schema;   /* hash of the file's schema */
    struct push *pushes;
    size_t push_count, push_capacity;
    struct machine_sent sent; /* when the quiet time began */
    uint64_t operations;
    size_t links;
};

struct checks {
    struct world *world;
    struct ledger *ledger;
    bool blind; /* it is told nothing */
    size_t count;
    struct watch *watches;
    struct dot *dots; /* open addressing, by site and to */
    size_t dot_count, dot_capacity;
    sim_time still_at;
    uint64_t still_steps;
};

/* checks.c */
struct watch *checks_watch(struct checks *checks,
                           const struct machine *machine);
const struct vv *checks_vv(struct machine *machine);
struct hash128 checks_fingerprint(struct machine *machine);

/* checks_files.c */
/* The first number that @sql answers, -1: none. */
int64_t checks_number(struct machine *machine, const char *sql);
/* I19 */
void checks_integrity(struct checks *checks, struct machine *machine);
void checks_schema(struct checks *checks, struct machine *machine);

#endif
