/* What can be said of files without knowing what each publication says.
 *
 * Where a seal or an apply goes in slices a file shows, between two of them,
 * what no publication says; and where two nodes have one site id a version
 * does not say whose it is.  The ledger cannot fold that.  What holds all the
 * same is counted here: rows that are only inserted are all there; a pair is
 * one value; what was taken back is seen by nobody; a counter to which each
 * transaction of a program adds one shows how many of them there were, none
 * lost and none counted twice; and equal vectors show equal tables. */
#ifndef SIM_CENSUS_H
#define SIM_CENSUS_H

#include "sim/machine/machine.h"

/* The table that each transaction of a program with a mark in written adds
 * one to, and how it is tracked. */
#define CENSUS_SCHEMA                                                         \
    "CREATE TABLE score(program INTEGER PRIMARY KEY, n INTEGER DEFAULT 0);"
#define CENSUS_TABLE "score:n"

struct census;

struct census *census_new(struct world *world, size_t machine_count);
void census_free(struct census *census);

/* A transaction of a program has returned.  @durable: no power cut may take
 * it. */
void census_program_committed(struct census *census, size_t machine,
                              size_t program, int64_t number, bool durable);
/* Its node has opened the file.  I4: what may not vanish is there. */
void census_opened(struct census *census, struct machine *machine);
/* Its node is about to write, and has. */
void census_turning(struct census *census, struct machine *machine);
void census_committed(struct census *census, struct machine *machine,
                      bool sealed);
/* Another file took the place of its own: what that held alone is gone.
 * @restored: the new one may hold additions that are not sealed yet and are
 * in the journal of another file too; each of the two publishes them. */
void census_rewound(struct census *census, struct machine *machine,
                    bool restored);
/* At rest, with equal vectors: I1, I4, I4b, I26. */
void census_account(struct census *census, struct machine *const *machines,
                    size_t count, size_t programs);
/* How many transactions of programs there were, on all machines and on one. */
uint64_t census_transactions(const struct census *census);
uint64_t census_machine_transactions(const struct census *census,
                                     size_t machine);

#endif
