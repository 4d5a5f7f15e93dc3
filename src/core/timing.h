/* Clocks and round trips. */
#ifndef CORE_TIMING_H
#define CORE_TIMING_H

#include "core/state.h"

void timing_reset(struct link *link);
void timing_beat(const struct core *core, const struct link *link,
                 struct message_beat *beat);
void timing_heard(struct core *core, struct link *link,
                  const struct message_vv *vv);
/* By how much this node's clock is ahead of the median of its peers'; returns
 * how many these are. */
size_t timing_median(const struct core *core, gv_time_ms *ahead);

#endif
