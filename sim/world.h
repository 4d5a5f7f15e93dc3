/* The simulated world: virtual time, what happens next, chance, and the
 * trace.
 *
 * One thread; one heap of events by (time, order of asking).  Every purpose
 * draws from a stream of its own, so that one more fault of one kind does not
 * shift the dice of the others.  Each thing that happens goes into a hash: two
 * runs of one seed are the same run when their hashes are equal. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "base/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Microseconds of virtual time since the run began. */
typedef int64_t sim_time;

#define SIM_MS ((sim_time)1000)
#define SIM_SECOND (1000 * SIM_MS)
#define SIM_NEVER INT64_MAX

/* What dice are thrown for. */
enum stream {
    STREAM_SWARM,   /* which faults are on, and how strong */
    STREAM_SCRIPT,  /* what is done when */
    STREAM_NETWORK, /* delays and losses of frames */
    STREAM_DISK,    /* errors, and what a crash leaves */
    STREAM_CLOCK,   /* wall clocks */
    STREAM_MACHINE, /* ids, instances, how long work takes */
    STREAM_CHECK,   /* samples */
    STREAMS
};

struct world;

/* NULL: no memory. */
struct world *world_new(uint64_t seed);
void world_free(struct world *world);

sim_time world_now(const struct world *world);
struct random *world_random(struct world *world, enum stream stream);

/* Call @run(@context, @argument) at @when (in the past: next).  Events at one
 * time happen in the order in which they were asked for.  They cannot be
 * taken back: whoever gets one looks whether it still matters. */
void world_at(struct world *world, sim_time when,
              void (*run)(void *context, uint64_t argument), void *context,
              uint64_t argument);
/* Let the next event happen, if it is due by @until; else set the time to
 * @until.  False: nothing was due, or the world has failed. */
bool world_step(struct world *world, sim_time until);
uint64_t world_steps(const struct world *world);

/* Chance.  @per_million 0 never, 1000000 always, and then no die is thrown. */
bool chance(struct random *random, unsigned per_million);
/* Uniform in [low, high]. */
int64_t between(struct random *random, int64_t low, int64_t high);
/* Exponential with @mean (up to 10^11), at most 20 times it.  Made of
 * integers, so that all compilers agree. */
int64_t exponential(struct random *random, int64_t mean);

/* The trace.  A note is for people and for the hash; a mark for the hash
 * alone. */
void world_note(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* For those who follow: neither kept nor hashed. */
void world_detail(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void world_mark(struct world *world, uint64_t value);
uint64_t world_hash(const struct world *world);
/* Print each note as it comes. */
void world_follow(struct world *world, FILE *out);
/* Print the last @count notes. */
void world_narrate(const struct world *world, FILE *out, size_t count);

/* An invariant is broken.  The first one is kept; the run ends. */
void world_fail(struct world *world, const char *invariant, const char *format,
                ...) __attribute__((format(printf, 3, 4)));
bool world_failed(const struct world *world);
/* "" until it fails. */
const char *world_failure(const struct world *world);
const char *world_broken(const struct world *world);

#endif
