/* One run from inside: what run.c (its phases) and play.c (what the script
 * does to it) share. */
#ifndef SIM_SIMULATION_H
#define SIM_SIMULATION_H

#include "sim/checks.h"
#include "sim/ledger/census.h"
#include "sim/program/application.h"
#include "sim/run.h"

#define PROGRAMS_MAX 4
#define BACKUP_PATH_SIZE 32

struct machine_extra {
    struct application *programs[PROGRAMS_MAX];
    unsigned disk_turn; /* counts faults of the disk, so that an older one's
                           end does not end a newer one */
    bool sync_drops;    /* among its disk's present faults */
    bool unsure; /* a sync failed, and no node has mended the log since: what
                    programs commit may be lost, through no fault of ours */
    bool away;
    bool silent;      /* its programs wait until it has a site id of its own */
    struct site twin; /* the id it has not, then */
    bool equal;       /* its table skew is what it is on the others */
    struct disk_image *backup;          /* to be put back, or NULL */
    char backup_path[BACKUP_PATH_SIZE]; /* the same as one file, or "" */
};

struct simulation {
    const struct script *script;
    struct world *world;
    struct network *network;
    struct network_faults frame_faults; /* without those of a clog */
    struct machine_watcher watcher;
    struct machine **machines;
    struct machine_extra *extras;
    size_t count;
    struct ledger *ledger; /* NULL with the model */
    struct census *census; /* in its place, or NULL */
    struct checks *checks;
    struct application_habits habits;
    gv_time_ms ahead; /* how far a clock was set forward at most */
    bool chaos;       /* the script plays */
    bool drops;       /* columns are dropped */
    uint64_t alterations, backups; /* tried */
    uint64_t fired[FAULTS];
};

/* alter.c: the table skew, whose columns differ between machines. */
enum skew_shape alter_shape(const struct simulation *simulation, size_t index);
bool alter_drops(const struct swarm *swarm);
void alter_play(struct simulation *simulation, const struct action *action);
/* Whether it is the same on all of these; a step towards that is made. */
bool alter_equal(struct simulation *simulation,
                 struct machine *const *machines, size_t count);

/* rot.c: rows of one file are damaged, and have to be found and mended. */
void rot_play(struct simulation *simulation, struct machine *const *machines,
              size_t count);

/* play.c: have everything in the script happen in its time. */
void play_begin(struct simulation *simulation);
/* Its node died. */
void play_spare_disk(struct simulation *simulation, size_t machine);
/* All faults end; clocks are right. */
void play_heal(struct simulation *simulation);

#endif
