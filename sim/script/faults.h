/* The classes of faults, and which of them a seed has. */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "sim/world.h"

/* The numbers are those of the list that --list prints; a class keeps its
 * number for ever. */
enum fault {
    FAULT_FRAMES = 1, /* lost, repeated, reordered, late, replayed */
    FAULT_PARTITION,  /* halves, single, ring, bridge, random; one way */
    FAULT_CLOG,       /* narrow or full connections */
    FAULT_RESET,      /* a connection breaks in the middle; half-open */
    FAULT_DAMAGED_FRAME,
    FAULT_KILL,  /* at any operation on the disk */
    FAULT_POWER, /* what no sync confirmed is lost or trashed */
    FAULT_SYNC,  /* a sync fails once, then "succeeds" */
    FAULT_IO_ERROR,
    FAULT_DISK_FULL,
    FAULT_CORRUPT_PAGE,
    FAULT_SLOW_DISK, /* and programs that hold the lock */
    FAULT_MEMORY,
    FAULT_COPIED_FILE,
    FAULT_OLD_FILE, /* an old copy put back */
    FAULT_EMPTIED_FILE,
    FAULT_CLOCK,
    FAULT_PAUSE,
    FAULT_PROTOCOL_MIX, /* upgrades, and back */
    FAULT_SCHEMA_MIX,
    FAULT_MALICE,
    FAULT_FLOOD,
    FAULT_HUGE,
    FAULT_LOST_END,  /* the last piece of a delta never comes */
    FAULT_PROGRAM,   /* programs misbehave */
    FAULT_CHURN,     /* away for a month, and back */
    FAULT_HOT,       /* all write the same few keys */
    FAULT_STEP_KILL, /* between any two effects of a step */
    FAULT_TEXT,
    FAULT_NUMBERS,
    FAULT_COMPOUND,  /* a fault during the recovery from another */
    FAULT_PLANT,     /* a planted bug that must be found */
    FAULT_TRIGGERS,  /* the application's own, other ones on each machine */
    FAULT_KINDS,     /* counters and multi-value columns */
    FAULT_SLICES,    /* short slices */
    FAULT_TWIN,      /* two live nodes with one site id */
    FAULT_STRANGERS, /* nodes that know one peer each find the others */
    FAULT_GIVER,     /* the provider of a delta dies in its middle */
    FAULT_CURSOR,    /* a delta is cut, and goes on where it was */
    FAULT_DROP,      /* a tracked table is dropped, and made again */
    FAULT_BIG,       /* values too large to travel */
    FAULTS
};

struct fault_class {
    const char *name;
    const char *what;
    const char *waits; /* NULL: built; else for what it waits */
};

/* @fault from 1. */
const struct fault_class *fault_class(enum fault fault);
/* 0: no such name or number. */
enum fault fault_find(const char *name);

/* What a seed draws: which classes are on, and everything's strength. */
struct swarm {
    bool on[FAULTS];
    size_t nodes, programs; /* programs a machine */
    sim_time chaos;         /* how long it lasts */
    size_t operations;      /* transactions of programs in it */
    size_t rows;            /* in the first file at the beginning */
    unsigned sector;
    int characteristics;
    bool full_sync;
    unsigned seed_of_strength;
};

/* What the command line wants of it. */
struct wishes {
    size_t nodes;      /* 0: the seed's */
    size_t operations; /* 0: the seed's */
    size_t rows;       /* that the mesh begins with */
    sim_time chaos;    /* 0: the seed's */
    bool force[FAULTS], forbid[FAULTS];
    bool only; /* none but the forced ones */
};

void swarm_draw(struct swarm *swarm, struct random *random,
                const struct wishes *wishes);

/* The ledger cannot follow: a census takes its place. */
bool swarm_blind(const struct swarm *swarm);

/* Over 50 nodes a run on SQLite takes minutes: a model takes the store's
 * place. */
bool swarm_needs_model(const struct swarm *swarm);

#endif
