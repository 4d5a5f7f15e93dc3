/* Who pushes whose intervals to whom. */
#ifndef CORE_MARK_H
#define CORE_MARK_H

#include "core/state.h"

/* Whether the peer gets what @site publishes from somewhere else. */
bool mark_lazy(const struct core *core, const struct link *link,
               const struct site *site);
/* Whether another link than @link is to bring what @site publishes. */
bool mark_elsewhere(const struct core *core, const struct link *link,
                    const struct site *site);
/* @link brought something of @site that was new, or that was not. */
void mark_first(struct core *core, struct link *link, const struct site *site);
void mark_again(struct core *core, struct link *link, const struct site *site);
int mark_receive(struct core *core, struct link *link,
                 const struct message_prune *message);
/* This node asks the peer. */
void mark_asks(struct core *core, struct link *link);
void mark_link_up(struct core *core, struct link *link);
void mark_link_gone(struct core *core, const struct link *link);
/* Of how many origins nothing is pushed to the peer, and by it. */
void mark_count(const struct core *core, const struct link *link, size_t *lazy,
                size_t *pruned);
void mark_tick(struct core *core);
gv_time_ms mark_deadline(const struct core *core);
void mark_close(struct core *core);
/* For core_check(). */
bool mark_sound(const struct core *core, const struct link *link);

#endif
