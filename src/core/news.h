/* Intervals in. */
#ifndef CORE_NEWS_H
#define CORE_NEWS_H

#include "core/state.h"

void news_sealed(struct core *core, const struct event *event);
int news_receive(struct core *core, struct link *link,
                 const struct message_news *news);
void news_applied(struct core *core, const struct event *event);
/* Hand @interval to the store; false if there is no room for it. */
bool news_apply(struct core *core, struct link *link,
                const struct interval *interval);
void news_acknowledged(struct link *link, uint64_t size);
/* One apply has ended. */
void news_apply_ended(struct core *core);
/* Mark what @link offers as refused until the cause may have passed. */
void news_refuse(struct core *core, struct link *link, int code,
                 gv_version largest, const char *reason);
/* Whether @link offers what was refused before, and is still too far ahead;
 * then it is refused without asking for it. */
bool news_refuse_again(struct core *core, struct link *link);

#endif
