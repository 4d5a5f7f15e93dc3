/* Who was turned away. */
#ifndef CORE_AWAY_H
#define CORE_AWAY_H

#include "core/state.h"

/* False: people know. */
bool away_note(struct core *core, const struct message_hello *hello,
               enum bye_code code, const char *reason);
/* It was let in. */
void away_forget(struct core *core, const struct site *site);

#endif
