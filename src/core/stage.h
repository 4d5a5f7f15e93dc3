/* A delta that was cut goes on where it was. */
#ifndef CORE_STAGE_H
#define CORE_STAGE_H

#include "core/state.h"

/* Of a delta that was cut, as much as a credit is worth waiting for its
 * provider for so long: time enough to dial again after a process was started
 * again.  Then another one is asked. */
#define STAGE_WAIT_MS 3000
/* A provider keeps its side as long. */
#define STAGE_KEEP_MS 3600000

/* The WANT ends, and its bytes wait for the rest; false: they cannot. */
bool stage_keep(struct core *core);
/* They are not waited for any more. */
void stage_drop(struct core *core);
/* The cursor of a WANT to @link; drops what is another provider's. */
void stage_cursor(struct core *core, const struct link *link,
                  struct message_want *want);
/* The first piece of an answer: whether it goes on, or begins anew. */
int stage_answered(struct core *core, const struct link *link,
                   const struct message_delta *delta);
/* Whether @link is the provider of what waits. */
bool stage_is_of(const struct core *core, const struct link *link);
/* Until when no other one than the provider is asked. */
gv_time_ms stage_patience(const struct core *core);
/* Any other one may be. */
void stage_wait_no_more(struct core *core);
void stage_tick(struct core *core);

#endif
