/* A machine from inside: what machine.c (life and death), machine_file.c (its
 * file), machine_looks.c (what is seen of it) and driver*.c (the node's loop)
 * share. */
#ifndef SIM_MACHINE_STATE_H
#define SIM_MACHINE_STATE_H

#include "core/core.h"
#include "machine.h"
#include "store/proofs.h"
#include "visit.h"

/* What came from the network while the node was at work. */
struct arrival {
    struct arrival *next;
    enum { ARRIVAL_UP, ARRIVAL_DOWN, ARRIVAL_FRAME } kind;
    gv_link link;
    const char *reason;
    size_t size;
    uint8_t bytes[];
};

/* An interval or delta to apply, copied from its effect. */
struct apply {
    struct apply *next;
    enum effect_kind kind; /* EFFECT_APPLY, EFFECT_APPLY_DELTA */
    gv_link link;
    struct interval interval;
    uint64_t token;
    struct vv_view claim;
    int code;
    struct gv_error why;
    uint8_t bytes[];
};

struct applies {
    struct apply *first, **end;
};

/* A delta that a peer asked for. */
struct delta {
    struct delta *next;
    gv_link link;
    uint64_t token;
    bool waits_for_seal;
    unsigned tries;
    struct keeper_extract *extract; /* NULL: not read yet */
    uint64_t spool, offset;         /* of the cursor; 0: none */
    size_t vv_count;
    uint8_t vv[];
};

/* Ends of effects that wait for the step to be over. */
struct finished {
    struct event *items;
    size_t count, first, capacity;
};

/* A transaction that has committed, or not, and was not told yet: its disk is
 * still at it. */
struct work {
    bool pending;
    bool slice; /* of what takes more than one transaction: */
    struct store_worked worked;
    int code;
    struct store_sealed sealed;
    struct applies batch;
    struct gv_error why;
};

struct machine {
    struct machine_options options;
    char name[16];
    struct disk *disk;
    struct visit observer;
    bool powered;
    sim_time restart_delay;
    uint64_t starts;
    uint64_t operations; /* of processes that are gone */

    /* The wall clock. */
    gv_time_ms wall_offset;
    int drift_ppm;
    sim_time drift_since;

    /* The node, while it lives. */
    bool alive;
    sim_time alive_since, lived; /* lived: by those that ended */
    struct process *process;
    struct keeper *keeper;
    struct core *core;
    uint64_t kill_next; /* operations of its next process; 0: none */
    bool power_follows; /* its death by an operation is a power cut */
    enum disk_loss loss;
    unsigned lost_ends; /* per million */
    uint64_t ends_lost; /* how many */
    /* Per million and piece of a delta: this node dies; the link breaks. */
    unsigned giver_dies, giver_cut;
    uint64_t givers_died;  /* how many */
    uint64_t resumed;      /* by cores that are gone */
    uint64_t effects_left; /* until it is killed at an effect; 0: never */
    bool falling;          /* it dies when the call in hand is over */
    bool ending;           /* it ends by itself, for a reason */

    struct proofs proofs;

    /* The driver. */
    sim_time wake_at; /* SIM_NEVER: nothing is asked for */
    sim_time busy_until;
    sim_time work_max;
    gv_time_ms poll_due;
    gv_time_ms audit_due;
    gv_time_ms write_due;
    bool write_wanted, schema_moved;
    unsigned io_errors; /* in a row */
    struct arrival *arrivals, **arrivals_end;
    struct applies applies;
    uint64_t slices;
    uint64_t foreign;      /* starts that spoke otherwise */
    struct apply *slicing; /* a delta that is applied in slices, or NULL */
    struct delta *deltas;
    struct finished finished;
    struct work work;
    struct machine_sent sent;
};

/* driver.c */
void driver_start(struct machine *machine);
/* Forget all work of the node that died. */
void driver_clear(struct machine *machine);
/* The file's name came or went: look at it, as each second. */
void driver_look(struct machine *machine);
/* Let the loop turn at @when, or sooner if it was to anyway. */
void driver_wake(struct machine *machine, sim_time when);
/* Carry out what core_stop() asks for. */
void driver_say_bye(struct machine *machine);
gv_time_ms driver_now(const struct machine *machine); /* monotonic, ms */

/* machine.c: after each call that may have killed the node; true: it is dead
 * now, and the caller returns at once. */
bool machine_fallen(struct machine *machine);

/* machine_file.c: the connection that only reads; the node's process, and its
 * store. */
void machine_open_observer(struct machine *machine);
void machine_close_observer(struct machine *machine);
void machine_open_process(struct machine *machine);
void machine_close_process(struct machine *machine);
int machine_open_keeper(struct machine *machine, struct gv_error *why);

#endif
