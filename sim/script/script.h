/* What is done to a mesh, as a list: programs' transactions and faults, each
 * with its time, its machine and a seed of its own.
 *
 * Each action ends by itself, and none needs another one, so that any part of
 * a script is a script: that is what shrinking takes away from. */
#ifndef SIM_SCRIPT_H
#define SIM_SCRIPT_H

#include "faults.h"

enum action_kind {
    ACTION_WRITE, /* one transaction of a program; seed */
    ACTION_HOLD,  /* a program's transaction left open for a while */
    ACTION_PROGRAM_KILL,
    ACTION_KILL,        /* the node, at the amount-th operation of the disk */
    ACTION_STEP_KILL,   /* the node, at the amount-th effect */
    ACTION_POWER_CUT,   /* at the amount-th operation; seed chooses the loss */
    ACTION_PARTITION,   /* seed chooses the shape; duration */
    ACTION_RESET,       /* the connection between machine and other */
    ACTION_CLOG,        /* duration */
    ACTION_DISK,        /* errors, full or slow for duration, by fault */
    ACTION_JUMP,        /* the wall clock, by amount ms */
    ACTION_DRIFT,       /* the wall clock, amount ppm, for duration */
    ACTION_PAUSE,       /* duration */
    ACTION_AWAY,        /* stopped for duration of simulated time that may be
                           a month, and back */
    ACTION_OLD_FILE,    /* a copy of the file is put back while the node is
                           stopped */
    ACTION_COPIED_FILE, /* another machine's file is put in place of this one
                         */
    ACTION_TWIN,        /* the machine starts as an image of another that
                           goes on */
    ACTION_ALTER,       /* the table skew, in a way that seed chooses */
    ACTIONS
};

struct action {
    sim_time when;
    enum action_kind kind;
    enum fault fault; /* the class it belongs to; 0: ordinary life */
    size_t machine, other;
    int64_t amount;
    sim_time duration;
    uint64_t seed;
};

struct script {
    struct swarm swarm;
    uint64_t seed;          /* of the run: the streams of the world */
    struct action *actions; /* by time */
    size_t count;
};

/* Draw the script of @seed.  Errors: GV_ENOMEM. */
int script_draw(struct script *script, uint64_t seed,
                const struct wishes *wishes);
void script_close(struct script *script);

/* As text, one action a line, and back.  script_read() prints what is wrong to
 * stderr and returns GV_EINVAL. */
void script_write(const struct script *script, FILE *out);
int script_read(struct script *script, FILE *in);

/* Take away what @fails does not need: whole kinds first, then halves, then
 * single actions (delta debugging, Zeller and Hildebrandt 2002, section 3).
 * @fails runs a script (in a process of its own) and says whether it still
 * breaks the same invariant.  @tries_max bounds the runs. */
void script_shrink(struct script *script,
                   bool (*fails)(void *context, const struct script *script),
                   void *context, size_t tries_max);

#endif
