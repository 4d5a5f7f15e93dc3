/* With whom to link when more are known than can be linked with. */
#ifndef CORE_VIEW_H
#define CORE_VIEW_H

#include "core/state.h"

/* With fewer links a node is let in where others are refused. */
#define VIEW_URGENT 4
/* ... and not let go of at once. */
#define VIEW_GRACE_MS 30000
/* Links that are kept with peers that people named. */
#define VIEW_GIVEN 2

bool view_narrow(const struct core *core);
void view_tick(struct core *core);
gv_time_ms view_deadline(const struct core *core);
/* Whether this node needs any link it can get. */
bool view_urgent(const struct core *core);
/* Whether @link, which this node dialled, is one beyond those wanted. */
bool view_looks(const struct core *core, const struct link *link);
/* Whether @link is no part of any tree: one side only looks at the other. */
bool view_aside(const struct link *link);
/* Whether @link, just greeted, may stay; if not, it is closed. */
bool view_admit(struct core *core, struct link *link);

#endif
