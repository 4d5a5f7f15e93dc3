/* The ledger: what was committed where, kept outside the nodes, and what
 * everybody must show because of it.
 *
 * It shares no code with the merge.  It reads what anyone can read: which
 * transactions of programs returned, the user's tables as they stand before a
 * node seals (a look), the journal's times, and which site and versions the
 * seal reported.  What a node must show is then a pure function of the set of
 * publications its vector covers: for a row the largest causal length, for a
 * cell of that life the value with the largest (version, site), for a cell
 * nobody wrote the default. */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include "sim/machine/machine.h"

struct ledger;

struct ledger *ledger_new(struct world *world, size_t machine_count);
void ledger_free(struct ledger *ledger);

/* Columns of skew are dropped in this run. */
void ledger_expect_drops(struct ledger *ledger);

/* A program's COMMIT returned. */
void ledger_program_committed(struct ledger *ledger, size_t machine,
                              size_t program, int64_t number, bool durable);

/* What a machine's watcher is told, in these moments. */
void ledger_opened(struct ledger *ledger, struct machine *machine);
void ledger_turning(struct ledger *ledger, struct machine *machine);
void ledger_committed(struct ledger *ledger, struct machine *machine,
                      const struct store_sealed *sealed);
void ledger_died(struct ledger *ledger, struct machine *machine);
/* @vv was told to anybody: from now on none of its own entries may be lost. */
void ledger_told(struct ledger *ledger, struct machine *machine,
                 const struct vv *vv);
/* The machine's file was put back to an earlier state, or lost, on purpose:
 * what only it held may be gone. */
void ledger_rewound(struct ledger *ledger, struct machine *machine);

/* I3, I5, I10, I11, I12, I13: the machine's tables, vector and journal are
 * what the ledger says.  After a commit of the node, when the journal is
 * empty. */
void ledger_compare(struct ledger *ledger, struct machine *machine);
/* I4, I4b, I8: at the end, when the living machines given are equal: every
 * durable transaction is in a publication that all of them cover. */
void ledger_account(struct ledger *ledger, struct machine *const *machines,
                    size_t count);

/* Publications, transactions and the final tables, as lines of JSON, for
 * sim/ledger/oracle.py. */
int ledger_dump(const struct ledger *ledger, struct machine *const *machines,
                size_t count, FILE *out);

/* For the figures. */
uint64_t ledger_transactions(const struct ledger *ledger);
uint64_t ledger_publications(const struct ledger *ledger);
uint64_t ledger_machine_transactions(const struct ledger *ledger,
                                     size_t machine);

#endif
