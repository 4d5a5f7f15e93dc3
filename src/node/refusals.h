/* What this node had to refuse and does not hold yet, for status.  A refusal
 * is over when the node's vector covers what was refused. */
#ifndef NODE_REFUSALS_H
#define NODE_REFUSALS_H

#include "core/vv.h"
#include "grapevine.h"

#define REFUSALS_MAX 16

struct refusal {
    char from[600]; /* "news of site …", "a delta of NAME" */
    struct gv_error why;
    struct vv needed;
    uint64_t count;  /* how often */
    gv_time_ms last; /* wall clock */
};

struct refusals {
    struct refusal items[REFUSALS_MAX];
    size_t count;
};

void refusals_init(struct refusals *refusals);
void refusals_close(struct refusals *refusals);

/* Remember; the oldest one makes room.  The same text again only counts. */
void refusals_add(struct refusals *refusals, const char *from,
                  const struct gv_error *why, struct vv_view needed,
                  gv_time_ms wall);

/* Forget what @vv covers. */
void refusals_prune(struct refusals *refusals, const struct vv *vv);

#endif
