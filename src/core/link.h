/* A link's life. */
#ifndef CORE_LINK_H
#define CORE_LINK_H

#include "core/state.h"

struct link *link_find(const struct core *core, gv_link number);
struct link *link_new(struct core *core, gv_link number, struct peer *peer);
void link_up(struct core *core, const struct event *event);
void link_down(struct core *core, const struct event *event);
/* Say BYE and close; @text says why, for people on both sides. */
void link_bye(struct core *core, struct link *link, enum bye_code code,
              const char *text);
/* Close without a word to the peer. */
void link_close(struct core *core, struct link *link, enum bye_code code,
                const char *reason);
void link_receive_bye(struct core *core, struct link *link,
                      const struct message_bye *bye);
void link_free_closed(struct core *core);
void link_tick(struct core *core);
gv_time_ms link_deadline(const struct core *core);
/* "NAME (SITE8)", or where it is before its HELLO.  @text has 2 *
 * TEXT_SPACE. */
const char *link_who(const struct link *link, char *text);

#endif
