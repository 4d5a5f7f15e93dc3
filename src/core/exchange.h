/* Who else can be dialled. */
#ifndef CORE_EXCHANGE_H
#define CORE_EXCHANGE_H

#include "core/state.h"

/* PEERS go to one peer once in a while, and soon after something new; a
 * receiver does not listen more often than each pause.  What was not seen for
 * an hour is not told. */
#define EXCHANGE_EVERY_MS (5 * 60 * 1000)
#define EXCHANGE_SOON_MS 2000
#define EXCHANGE_PAUSE_MS 500
#define EXCHANGE_AGE_MS (3600 * 1000)

void exchange_tell(struct core *core, struct link *link);
/* @link was greeted: where its site is. */
void exchange_learn(struct core *core, struct link *link);
/* @link is up: both sides tell what they know. */
void exchange_begin(struct core *core, struct link *link);
int exchange_receive(struct core *core, struct link *link,
                     const struct message_peers *peers);
void exchange_tick(struct core *core);
gv_time_ms exchange_deadline(const struct core *core);

#endif
