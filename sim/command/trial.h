/* A trial: one run in a process of its own, so that one that aborts, hangs or
 * is stopped by a sanitizer is a failure among others. */
#ifndef SIM_TRIAL_H
#define SIM_TRIAL_H

#include "sim/run.h"

#include <sys/types.h>

struct trial_options {
    struct run_options run;
    bool twice; /* in one process, and the traces must be equal (I24) */
};

/* How it ended. */
struct outcome {
    uint64_t seed;
    struct swarm swarm;
    struct run_result result; /* broken: also "assert", "crash", "hang",
                                 "exit" */
    char *told;               /* what it wrote to stderr */
};

struct trial {
    uint64_t seed;
    struct swarm swarm;
    pid_t pid;
    int told;
    struct trial_room *room; /* shared with the process */
};

/* @script need not outlive the call.  Failures of the system end the
 * program. */
void trial_start(struct trial *trial, const struct script *script,
                 const struct trial_options *options);
/* Its process has ended with @status, as waitpid() says. */
void trial_end(struct trial *trial, int status, struct outcome *outcome);

/* Wait for it, too. */
void trial_wait(struct trial *trial, struct outcome *outcome);

/* Start one and wait for it.  One that dies is run again so as to tell what
 * came before, which a dead process cannot. */
void trial_run(const struct script *script,
               const struct trial_options *options, struct outcome *outcome);
/* The second half of it. */
void trial_narrate_death(const struct script *script,
                         const struct trial_options *options,
                         struct outcome *outcome);
/* Whether it ended by dying rather than by a check. */
bool outcome_died(const struct outcome *outcome);
void outcome_close(struct outcome *outcome);

#endif
