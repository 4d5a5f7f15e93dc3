/* Intervals that came early. */
#ifndef CORE_ROOM_H
#define CORE_ROOM_H

#include "core/state.h"

bool room_holds(const struct core *core, const struct interval *interval);
/* Whether what follows of @site waits, for its dependencies only. */
bool room_next_of(const struct core *core, const struct site *site);
/* False if there is no place. */
bool room_enter(struct core *core, struct link *link,
                const struct interval *interval);
/* Hand the store what can be applied now. */
void room_retry(struct core *core);
void room_tick(struct core *core);
gv_time_ms room_deadline(const struct core *core);
void room_close(struct core *core);

#endif
