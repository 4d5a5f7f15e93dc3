/* One run: a mesh is made, the script is played (chaos), a core of the mesh is
 * healed, everything comes to rest, and all is checked. */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "sim/script/script.h"

struct run_options {
    FILE *follow; /* each note as it comes, or NULL */
    FILE *ledger; /* the dump for the oracle in Python, or NULL */
    bool model;   /* the model of a store */
};

struct run_result {
    uint64_t hash;
    char broken[32]; /* the invariant, "" if all hold */
    char failure[1024];
    uint64_t fired[FAULTS]; /* how often each class did something */
    uint64_t steps, operations /* of disks */;
    uint64_t commits; /* of programs */
    uint64_t publications;
    double node_hours_counted; /* with at least 60 commits by that node, and
                                    6 faults fired in the run */
    double node_hours;
    sim_time simulated, settled; /* all of it; from healing to rest */
};

/* Play @script.  The narration of a failure goes to stderr. */
void run_script(const struct script *script, const struct run_options *options,
                struct run_result *result);

#endif
