/* What models published: kept once for all of them, encoded as its origin
 * encoded it.
 *
 * There is one register in a process, so one world at a time; it is empty
 * again when the last model is closed. */
#ifndef SIM_SHELVES_H
#define SIM_SHELVES_H

#include "base/buffer.h"
#include "core/message.h"

/* One interval, as its origin made it. */
struct made {
    size_t number;
    gv_version from, to;
    struct interval interval; /* borrows @bytes */
    struct buffer bytes;
    struct hash128 hash;
};

/* A site's intervals, ascending. */
struct shelf {
    struct site site;
    struct made **items;
    size_t count, capacity;
};

/* NULL: @site published nothing. */
const struct shelf *shelf_find(const struct site *site);
/* The index in @shelf of the first interval that ends after @version. */
size_t shelf_first_after(const struct shelf *shelf, gv_version version);
/* An interval of @size bytes, behind the last one of @site. */
const struct made *shelf_publish(const struct site *site, gv_version from,
                                 gv_version to, struct vv_view dependencies,
                                 size_t size);
/* What was published with just these bytes, or NULL: they were damaged. */
const struct made *shelf_find_made(const uint8_t *bytes, size_t size);

/* A model is opened, and closed. */
void shelves_enter(void);
void shelves_leave(void);

#endif
