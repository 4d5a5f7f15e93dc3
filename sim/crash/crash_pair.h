/* A pair of machines that crashes: two stores in a mesh, the script, and what
 * must hold afterwards. */
#ifndef SIM_CRASH_PAIR_H
#define SIM_CRASH_PAIR_H

#include "sim/disk/disk.h"

#include <stdbool.h>

#define PAIR_TRANSACTIONS_MAX 500

enum pair_victim { VICTIM_NODE, VICTIM_APPLICATION };

struct pair_setting {
    uint64_t seed;
    int transactions;
    bool full; /* the application's synchronous: FULL, else NORMAL */
    unsigned sector;
    int characteristics; /* SQLITE_IOCAP_* */
};

struct pair;

/* Two machines with a plain database each; nothing is open yet. */
struct pair *pair_new(const struct pair_setting *setting);
/* No process is dead.  NULL is harmless. */
void pair_free(struct pair *pair);

/* The victim dies at its @n-th operation from now, its write @torn or not done
 * at all; @n = 0: nobody dies. */
void pair_arm(struct pair *pair, enum pair_victim victim, uint64_t n,
              bool torn);

enum pair_end {
    PAIR_DONE,
    PAIR_CRASHED, /* a process of the first machine died */
    PAIR_VIOLATED /* pair_violation() says what */
};

/* Open what is not open (and after a crash see what is left), or run the next
 * transaction of the script and exchange what it brings. */
enum pair_end pair_advance(struct pair *pair);
/* Advance until all is open and then by @transactions, but not beyond the end
 * of the script. */
enum pair_end pair_run(struct pair *pair, int transactions);
/* Exchange until quiet and compare.  False: pair_violation(). */
bool pair_finish(struct pair *pair);

/* Transactions run so far. */
int pair_step(const struct pair *pair);
/* Operations of the first machine's processes so far. */
uint64_t pair_operations(const struct pair *pair, enum pair_victim victim);
/* After a power cut: equal when all that decides what follows is equal.  When
 * all is open again, what SQLite reads counts in place of the first machine's
 * files. */
uint64_t pair_hash(const struct pair *pair);

/* In a child after fork(), each with another seed. */
void pair_unshare(struct pair *pair, uint64_t seed);

/* After a crash: close what died, and only that. */
void pair_bury(struct pair *pair);
/* The first machine loses its power. */
void pair_power_cut(struct pair *pair, enum disk_loss loss);

const char *pair_violation(const struct pair *pair);

#endif
