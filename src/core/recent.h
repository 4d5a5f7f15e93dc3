/* Intervals that passed lately. */
#ifndef CORE_RECENT_H
#define CORE_RECENT_H

#include "core/state.h"

/* @shared: a copy of @interval for this step; made if it is NULL. */
void recent_keep(struct core *core, const struct interval *interval,
                 struct parcel **shared);
/* Answer a WANT by them; false if they are not all that @link's peer lacks,
 * or too much. */
bool recent_answer(struct core *core, struct link *link, uint64_t token);
void recent_close(struct core *core);

#endif
