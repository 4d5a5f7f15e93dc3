/* Answering a WANT. */
#ifndef CORE_GIVE_H
#define CORE_GIVE_H

#include "core/state.h"

/* A delta's spool is dropped when its asker is silent about it for this
 * long: three times as long as any asker waits. */
#define GIVE_PATIENCE_MS (3 * CORE_WANT_PATIENCE_MS)

int give_receive(struct core *core, struct link *link,
                 const struct message_want *want);
void give_acknowledged(struct core *core, struct link *link,
                       const struct message_ack *ack);
void give_extracted(struct core *core, const struct event *event);
/* Say in @vv what leaves for the peer. */
void give_say(const struct link *link, struct message_vv *vv);
void give_drop(struct core *core, struct link *link);
/* The asker says what it holds. */
void give_heard(struct core *core, struct link *link);
void give_next(struct core *core);
void give_tick(struct core *core);
gv_time_ms give_deadline(const struct core *core);

#endif
