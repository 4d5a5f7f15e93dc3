/* Asking for what is missing. */
#ifndef CORE_WANT_H
#define CORE_WANT_H

#include "core/state.h"

void want_note(struct core *core, struct link *link, const struct site *site,
               gv_version version);
void want_rescan(struct core *core, struct link *link);
void want_link_gone(struct core *core, struct link *link);
int want_receive(struct core *core, struct link *link,
                 const struct message_delta *delta);
/* What the peer says of its answer. */
void want_heard(struct core *core, struct link *link,
                const struct message_vv *vv);
/* A NEWS was the answer to the WANT of @token. */
int want_answered(struct core *core, struct link *link, uint64_t token);
void want_staged(struct core *core, const struct event *event);
void want_applied(struct core *core, const struct event *event);
void want_stop(struct core *core);
void want_schema_changed(struct core *core);
void want_tick(struct core *core);
gv_time_ms want_deadline(const struct core *core);

#endif
