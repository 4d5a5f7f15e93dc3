/* Two live nodes with one site id that are linked here but not with one
 * another. */
#ifndef CORE_RIVALS_H
#define CORE_RIVALS_H

#include "core/state.h"

/* The link @new takes the place of @old, which is of another instance of its
 * site: whether both of them live. */
bool rivals_turn(struct core *core, const struct link *old,
                 const struct link *new);

#endif
