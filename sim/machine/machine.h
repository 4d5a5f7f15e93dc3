/* A machine: a wall clock that may be wrong, a disk, a node on it, and the
 * programs that write its file.
 *
 * machine.c is the second driver of the core, beside the node's: it gives the
 * core events and carries out the effects, with the simulated network, disk
 * and clock in place of ZeroMQ, the system's files and time.  While the store
 * works the machine's clock goes on, so a crash can come between any two
 * steps. */
#ifndef SIM_MACHINE_H
#define SIM_MACHINE_H

#include "keeper.h"
#include "sim/disk/disk.h"
#include "sim/network/network.h"
#include "sim/world.h"

#define MACHINE_PEERS_MAX 64
#define MACHINE_PATH "/app.db"
#define MACHINE_MESH "mesh"
/* Wall clocks start here: 2023-11-14. */
#define MACHINE_WALL 1700000000000

struct machine;

/* Who is told what happens in a machine: the checks and the ledger. */
struct machine_watcher {
    void *context;
    /* The store is open and the core is made. */
    void (*opened)(void *context, struct machine *machine);
    /* A transaction of the node is about to begin. */
    void (*turning)(void *context, struct machine *machine);
    /* It has committed.  Nothing has been told to anybody yet. */
    void (*committed)(void *context, struct machine *machine,
                      const struct store_sealed *sealed);
    /* A message is about to leave. */
    void (*sending)(void *context, struct machine *machine, gv_link link,
                    const struct message *message);
    /* The core made a step. */
    void (*stepped)(void *context, struct machine *machine,
                    const struct event *event);
    /* The node is gone: killed, or the power was cut. */
    void (*died)(void *context, struct machine *machine);
};

struct machine_options {
    size_t index;
    struct world *world;
    struct network *network;
    const struct machine_watcher *watcher;
    struct store_slices slices; /* 0: none, all is done at once */
    uint64_t delta_credit;      /* 0: the usual */
    bool model; /* the model of a store, no disk and no programs */
    /* Who is dialled; accepted links come on top. */
    size_t peers[MACHINE_PEERS_MAX];
    size_t peer_count;
    bool exchange; /* dials also whom peers tell of */
    /* Each start is of an earlier version, this one or a later one; they have
     * @features_kept. */
    bool mixed;
    uint64_t features_kept;
    unsigned sector;     /* of the disk */
    int characteristics; /* of the disk */
    /* Of the watcher's context too; NULL: nobody counts. */
    void (*disk_event)(void *context, struct machine *machine,
                       enum disk_event event);
};

struct machine *machine_new(const struct machine_options *options);
void machine_free(struct machine *machine);

/* Make the file with @schema and track @tables (separated by spaces; behind a
 * colon a counter and a multi-value column) by a node's own means; then
 * @rows, SQL of a program, is run.  Before the first start; without faults. */
void machine_prepare(struct machine *machine, const char *schema,
                     const char *tables, const char *rows);

/* Its node runs and is between two transactions. */
bool machine_idle(const struct machine *machine);
/* Have the node track @table, as "grapevine track" asks a running node to.
 * Only when it is idle, and nothing waits to be sealed.  False: try again. */
bool machine_track(struct machine *machine, const char *table);

/* Put the files of @image in the place of this machine's, as "cp" would, or
 * @same_files: as a virtual machine's image.  The node and all programs are
 * dead. */
void machine_replace_file(struct machine *machine,
                          const struct disk_image *image, bool same_files);

/* A program moves all of the log into the file, and the node looks.  False: a
 * reader or writer is in the way. */
bool machine_checkpoint(struct machine *machine);
/* Copy the file at @path of @disk over this machine's while its node runs;
 * all programs are dead.  The node is told that something is written there. */
void machine_copy_over(struct machine *machine, struct disk *disk,
                       const char *path);

/* Start the node; if the store does not open it is tried again each second.
 * A node that lives is left alone. */
void machine_start(struct machine *machine);
/* BYE on all links, and a clean end. */
void machine_stop(struct machine *machine);
/* kill -9 of the node; the programs live on. */
void machine_kill(struct machine *machine);
/* Kill it as it is about to carry out the @n-th effect from now. */
void machine_kill_at_effect(struct machine *machine, uint64_t n);
/* Kill it at the @n-th operation on the disk from now; if it does not live:
 * from its next start. */
void machine_kill_at_operation(struct machine *machine, uint64_t n, bool torn);
/* The power fails: now, or at the node's @n-th operation from now. */
void machine_power_cut(struct machine *machine, enum disk_loss loss);
void machine_power_cut_at(struct machine *machine, uint64_t n,
                          enum disk_loss loss);
/* The process stands still; then everything comes at once. */
void machine_pause(struct machine *machine, sim_time duration);
/* No death waits for an operation or effect any more, and no pause lasts. */
void machine_disarm(struct machine *machine);
/* How often, per million, the last piece of a delta does not leave. */
void machine_set_lost_ends(struct machine *machine, unsigned per_million);
/* How often, per million pieces of a delta behind which others are to follow,
 * the node dies that sends it, or its link breaks. */
void machine_set_cuts(struct machine *machine, unsigned dies, unsigned breaks);
uint64_t machine_givers_died(const struct machine *machine);
/* Deltas that came here and went on where they were cut. */
uint64_t machine_resumed(const struct machine *machine);
uint64_t machine_lost_ends(const struct machine *machine);
/* After a death: start again after this long.  SIM_NEVER: only by
 * machine_start(). */
void machine_set_restart(struct machine *machine, sim_time delay);

/* A program has committed: the node is woken a little later; @unnoticed: only
 * by its own look once a second. */
void machine_wake(struct machine *machine, bool unnoticed);
/* Have the node compare its file with that of @other, and mend what differs;
 * false: no link with it stands. */
bool machine_prove(struct machine *machine, size_t other, bool mend);
const struct proofs *machine_proofs(const struct machine *machine);
/* With a model: an application's transaction. */
void machine_write(struct machine *machine, size_t size);
/* Nothing of it takes longer than this, drawn each time. */
void machine_set_work(struct machine *machine, sim_time work_max);

/* The wall clock: add @ms at once; go @ppm too fast. */
void machine_clock_jump(struct machine *machine, gv_time_ms ms);
void machine_clock_drift(struct machine *machine, int ppm);
void machine_clock_right(struct machine *machine); /* as a time server would */
gv_time_ms machine_wall(const struct machine *machine);

size_t machine_index(const struct machine *machine);
/* Whether it was told to dial that machine. */
bool machine_dials(const struct machine *machine, size_t other);
/* Whether it dials also whom peers tell of. */
/* Starts that spoke otherwise than this version does. */
uint64_t machine_foreign(const struct machine *machine);
bool machine_exchanges(const struct machine *machine);
bool machine_alive(const struct machine *machine); /* its node runs */
/* Its node audits, or waits for an application's migration to be over. */
bool machine_audits(const struct machine *machine);
/* Its node has a delta for a peer, or waits to hear that one was applied. */
bool machine_gives(const struct machine *machine);
/* Its node is between the slices of a long seal or apply. */
bool machine_busy(const struct machine *machine);
/* How many it wrote. */
uint64_t machine_slices(const struct machine *machine);
bool machine_powered(const struct machine *machine);
/* For how long its nodes have run. */
sim_time machine_lived(const struct machine *machine);
/* How often the node has been started. */
uint64_t machine_starts(const struct machine *machine);
struct disk *machine_disk(struct machine *machine);
/* NULL while the node does not live. */
const struct core *machine_core(const struct machine *machine);
struct keeper *machine_keeper(struct machine *machine);
/* A connection that only reads, sees no faults and is always there while the
 * power is on (opened anew after a cut). */
sqlite3 *machine_observer(struct machine *machine);
/* Operations of the disk by this node and its programs so far. */
uint64_t machine_operations(const struct machine *machine);

/* What left this machine, by kind, frames and bytes. */
struct machine_sent {
    uint64_t frames[MESSAGE_KIND_MAX + 1];
    uint64_t bytes[MESSAGE_KIND_MAX + 1];
    uint64_t intervals;
};
const struct machine_sent *machine_sent(const struct machine *machine);

/* The network's listener calls these. */
void machine_take_up(struct machine *machine, gv_link link);
void machine_take_down(struct machine *machine, gv_link link,
                       const char *reason);
void machine_take_frame(struct machine *machine, gv_link link,
                        const uint8_t *bytes, size_t size);

#endif
