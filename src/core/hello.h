/* Who may talk with whom. */
#ifndef CORE_HELLO_H
#define CORE_HELLO_H

#include "core/state.h"

int hello_receive(struct core *core, struct link *link,
                  const struct message_hello *hello);
/* The first vector is complete. */
void hello_complete(struct core *core, struct link *link);
/* Copy what a peer calls itself so that it can stand in a line: no control
 * bytes, valid UTF-8. */
void hello_text(struct text from, char to[TEXT_SPACE]);

#endif
