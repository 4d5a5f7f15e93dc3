/* Many seeds, some at a time, reported in their order. */
#ifndef SIM_WORKERS_H
#define SIM_WORKERS_H

#include "trial.h"

struct workers {
    uint64_t seed, seeds; /* the first, and how many */
    size_t jobs;
    const struct wishes *wishes;
    bool twice; /* each seed; else one in twenty */
    void *context;
    /* Gets the outcomes by rising seed; they live during the call. */
    void (*report)(void *context, const struct outcome *outcome);
};

void workers_run(const struct workers *workers);

#endif
