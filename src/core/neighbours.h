/* Who was heard on the LAN.  A table with time put in from outside; its
 * owner dials whom it names. */
#ifndef CORE_NEIGHBOURS_H
#define CORE_NEIGHBOURS_H

#include "core/types.h"

#include <stddef.h>

/* Nodes announce themselves so often, after a burst at the start. */
#define NEIGHBOUR_INTERVAL_MS 3000
/* An address that was not heard for two intervals may be replaced. */
#define NEIGHBOUR_STALE_MS 7000
/* Five announcements missed: it is gone. */
#define NEIGHBOUR_GONE_MS 16000
#define NEIGHBOURS_MAX 256

#define NEIGHBOUR_ENDPOINT_SIZE 112
#define NEIGHBOUR_NAME_SIZE 65
#define NEIGHBOUR_BY_SIZE 16

struct neighbour {
    struct site site;
    uint64_t instance;                      /* of its run */
    char endpoint[NEIGHBOUR_ENDPOINT_SIZE]; /* to dial it at */
    char name[NEIGHBOUR_NAME_SIZE];
    char by[NEIGHBOUR_BY_SIZE]; /* the interface */
    gv_time_ms heard;           /* last, monotonic */
    gv_time_ms said;            /* at this endpoint, likewise */
};

struct neighbours {
    struct neighbour items[NEIGHBOURS_MAX];
    size_t count;
    uint64_t refused; /* there was no room */
};

enum neighbour_news {
    NEIGHBOUR_KNOWN, /* as before, or by another way as well */
    NEIGHBOUR_NEW,
    NEIGHBOUR_RESTARTED, /* another instance: dial it now */
    NEIGHBOUR_MOVED,     /* another address, and the old one was silent */
    NEIGHBOUR_REFUSED    /* no room: the table is full of live ones */
};

/* @heard->heard is now.  *@old: the endpoint that is replaced (MOVED, and
 * RESTARTED at another one), or empty. */
enum neighbour_news neighbours_hear(struct neighbours *table,
                                    const struct neighbour *heard,
                                    char old[NEIGHBOUR_ENDPOINT_SIZE]);

/* Take one that is gone out of the table; false: none is. */
bool neighbours_expire(struct neighbours *table, gv_time_ms now,
                       struct neighbour *gone);

/* When the next one would be gone; INT64_MAX: there is none. */
gv_time_ms neighbours_deadline(const struct neighbours *table);

#endif
