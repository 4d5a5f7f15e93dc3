/* What sites without a link here hold, by word of mouth. */
#ifndef CORE_KNOWN_H
#define CORE_KNOWN_H

#include "core/state.h"

/* What is known of sites: how many, entries of their vectors together (600
 * kB), words on a link a second, how often a word is told again when nothing
 * but its time is new, and how long a site is kept when others want its
 * place. */
#define KNOWN_SITES_MAX 256
#define KNOWN_ENTRIES_MAX 25000
#define KNOWN_INTERVAL_MS CORE_HEARTBEAT_MS
#define KNOWN_REFRESH_MS 60000
#define KNOWN_KEEP_MS (3600 * 1000)

/* Add the words that are due on @link. */
void known_say(struct core *core, struct link *link, struct message_vv *vv);
void known_hear(struct core *core, struct link *link,
                const struct message_vv *vv);
/* @link was greeted whole, is about to go. */
void known_linked(struct core *core, struct link *link);
void known_parted(struct core *core, struct link *link);
void known_close(struct core *core);

#endif
