/* Intervals out. */
#ifndef CORE_PUSH_H
#define CORE_PUSH_H

#include "core/state.h"

void push_all(struct core *core, const struct interval *interval);
/* Send @news, which @link asked for; false without credit. */
bool push_answer(struct core *core, struct link *link,
                 const struct message_news *news);
/* Forget what is held for @link. */
void push_drop(struct core *core, struct link *link);
void push_tick(struct core *core);
gv_time_ms push_deadline(const struct core *core);

#endif
