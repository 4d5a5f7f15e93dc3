/* In which rows a peer differs. */
#ifndef CORE_PROOF_H
#define CORE_PROOF_H

#include "core/state.h"

/* The vectors are equal and the fingerprints are not. */
void proof_diverged(struct core *core, struct link *link,
                    struct hash128 theirs);
void proof_wish(struct core *core, const struct event *event);
void proof_proved(struct core *core, const struct event *event);
void proof_attested(struct core *core, const struct event *event);
int proof_receive(struct core *core, struct link *link,
                  const struct message_proof *proof);
int proof_asked(struct core *core, struct link *link,
                const struct message_check *check);
void proof_link_gone(struct core *core, struct link *link);
void proof_tick(struct core *core);
gv_time_ms proof_deadline(const struct core *core);

#endif
