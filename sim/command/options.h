/* The command line of gvsim. */
#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include "sim/script/faults.h"

enum { EXIT_HOLDS = 0, EXIT_BROKEN = 1, EXIT_USAGE = 2 };

struct options {
    uint64_t seed;
    uint64_t seeds; /* how many, from seed on; 0: just that one, in detail */
    size_t jobs;
    struct wishes wishes;
    const char *scenario, *svg, *script, *save, *ledger, *plant;
    bool help, list, shrink, trace, twice, quiet;
    /* What shapes a run, to be typed again behind a seed. */
    char again[512];
};

/* EXIT_HOLDS, or EXIT_USAGE after saying on stderr what is wrong. */
int options_read(struct options *options, int argc, char **argv);

void options_help(FILE *out);

#endif
