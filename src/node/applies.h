/* What came from others and waits for the next transaction.  Bounded by the
 * credit that the core grants. */
#ifndef NODE_APPLIES_H
#define NODE_APPLIES_H

#include "core/core.h"

enum apply_kind { APPLY_INTERVAL, APPLY_DELTA };

/* Owns everything it points to. */
struct apply {
    enum apply_kind kind;
    gv_link link;
    struct interval interval; /* APPLY_INTERVAL */
    uint64_t token;           /* APPLY_DELTA */
    struct vv_view claim;
    int code;            /* how it ended */
    struct gv_error why; /* when not GV_OK */
    struct apply *next;
};

struct applies {
    struct apply *first;
    struct apply **end;
};

void applies_init(struct applies *applies);
void applies_close(struct applies *applies);

/* Copy what the effect @effect (APPLY or APPLY_DELTA) carries to the end of
 * the queue.  Errors: GV_ENOMEM. */
int applies_add(struct applies *applies, const struct effect *effect);

/* Take the first ones, up to @size bytes of intervals and at least one, as a
 * queue of their own.  A delta is the last of it: what comes behind waits
 * until it is applied. */
void applies_take(struct applies *applies, size_t size, struct applies *taken);

/* The last one of the queue, out of it; to be freed.  NULL: it is empty. */
struct apply *applies_take_last(struct applies *applies);

#endif
