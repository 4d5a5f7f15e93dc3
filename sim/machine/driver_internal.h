/* The node's loop from inside: driver.c (turns and steps), driver_arrive.c
 * (from the network), driver_effects.c (what a step asks for),
 * driver_writes.c (transactions), driver_deltas.c (what peers asked for). */
#ifndef SIM_DRIVER_INTERNAL_H
#define SIM_DRIVER_INTERNAL_H

#include "machine_state.h"

static inline struct world *driver_world(const struct machine *machine)
{
    return machine->options.world;
}

/* driver.c */
bool driver_dead(const struct machine *machine); /* its process was killed */
/* Let the core have @event, and then all that finished meanwhile. */
void driver_feed(struct machine *machine, struct event *event);
/* An effect has ended: the core hears of it after the step in hand. */
void driver_finish(struct machine *machine, const struct event *event);

/* driver_arrive.c */
void driver_take_arrivals(struct machine *machine);

/* driver_effects.c */
void driver_carry_out(struct machine *machine, const struct effects *effects);
void driver_send_message(struct machine *machine, gv_link link,
                         const struct message *message);
void driver_link_down(struct machine *machine, gv_link link,
                      const char *reason);
/* The node ends by itself when the call in hand is over. */
void driver_end_node(struct machine *machine, const struct gv_error *why);

/* driver_writes.c */
void driver_apply_later(struct machine *machine, const struct effect *effect);
/* One transaction: all that waits to be applied, and a seal. */
void driver_write_turn(struct machine *machine);
/* Tell what became of it. */
void driver_work_done(struct machine *machine);
void driver_applies_clear(struct applies *applies);
/* The core hears what the file holds of this site and it was not told. */
void driver_tell_sealed(struct machine *machine);

/* driver_proofs.c */
void driver_prove(struct machine *machine, const struct effect *effect);
bool driver_proofs_ready(const struct machine *machine);
void driver_proofs_turn(struct machine *machine);

/* driver_deltas.c */
void driver_extract_later(struct machine *machine,
                          const struct effect *effect);
void driver_send_delta(struct machine *machine, const struct effect *effect);
void driver_delta_drop(struct machine *machine, gv_link link, uint64_t token,
                       bool applied);
/* The first that can be read now, NULL: none. */
struct delta *driver_delta_due(const struct machine *machine);
void driver_delta_turn(struct machine *machine);
/* What waited for a seal waits no more. */
void driver_deltas_sealed(struct machine *machine);

#endif
