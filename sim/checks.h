/* The invariants that are checked in every run (RELIABILITY numbers), by what
 * can be seen from outside the nodes: messages as they leave, files, vectors,
 * and the ledger. */
#ifndef SIM_CHECKS_H
#define SIM_CHECKS_H

#include "sim/ledger/ledger.h"
#include "sim/machine/machine.h"

struct checks;

/* @ledger NULL: the model of a store is used, and the checks on files are
 * left out. */
struct checks *checks_new(struct world *world, struct ledger *ledger,
                          size_t machine_count);
void checks_free(struct checks *checks);

/* As it happens. */
void checks_opened(struct checks *checks, struct machine *machine);
/* The ledger is told nothing. */
void checks_blind(struct checks *checks, bool blind);
void checks_committed(struct checks *checks, struct machine *machine,
                      const struct store_sealed *sealed);
void checks_sending(struct checks *checks, struct machine *machine,
                    gv_link link, const struct message *message);
void checks_stepped(struct checks *checks, struct machine *machine,
                    const struct event *event);
void checks_died(struct checks *checks, struct machine *machine);
/* A file was put back or replaced on purpose: its vector may fall. */
void checks_rewound(struct checks *checks, struct machine *machine);
/* It goes on as if its file were the one that it was. */
void checks_unnoticed(struct checks *checks, struct machine *machine);
/* A program's statement failed that should not have. */
void checks_refused(struct checks *checks, size_t machine, int code,
                    const char *statement);

/* At rest: these machines live and should hold the same. */
bool checks_equal(struct machine *const *machines, size_t count);
void checks_unequal(struct checks *checks, struct machine *const *machines,
                    size_t count); /* fails with what differs */
/* Begin and end of a quiet time; whether since its begin anything but
 * heartbeats has left, or a link is still missing. */
void checks_rest_begin(struct checks *checks, struct machine *const *machines,
                       size_t count);
bool checks_restless(struct checks *checks, struct machine *const *machines,
                     size_t count);
void checks_rest_end(struct checks *checks, struct machine *const *machines,
                     size_t count, sim_time duration);
void checks_end(struct checks *checks, struct machine *const *machines,
                size_t count);

/* Whether something of this file waits to be sealed, in its journal or in
 * slices; also if it cannot be read.  The id it has. */
bool checks_waiting(struct machine *machine);
const struct site *checks_site(struct machine *machine);

/* How often the application's triggers have fired in this file. */
uint64_t checks_triggers_fired(struct machine *machine);

/* The invariants by id, one a line. */
void checks_list(FILE *out);
size_t checks_count(void);

#endif
