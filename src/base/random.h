/* A seeded generator: xoshiro256** (Blackman and Vigna 2018), filled from the
 * seed by splitmix64.  The same seed gives the same numbers everywhere. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state[4];
};

void random_seed(struct random *random, uint64_t seed);
uint64_t random_u64(struct random *random);

/* Uniform in [0, bound); @bound > 0. */
uint64_t random_below(struct random *random, uint64_t bound);

#endif
