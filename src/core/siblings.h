/* Which cells of a multi-value column still count.
 *
 * A cell says what it replaces: `over` has, by site, the version up to which
 * its writer had seen cells of that site, and all that those had replaced.
 * So a cell that was ever replaced stands in the `over` of one that was not,
 * and cells need no tombstones (dotted version vector sets; Preguica, Baquero,
 * Almeida and others 2010). */
#ifndef CORE_SIBLINGS_H
#define CORE_SIBLINGS_H

#include "core/vv.h"

#include <stdbool.h>
#include <stddef.h>

struct sibling {
    const struct site *site;
    gv_version version;
    struct vv_view over; /* of other sites alone */
    bool dead;
};

/* Set `dead` for each of @cells that another one is over, or that is older
 * than another one of its site.  A dot that is there twice kills nothing of
 * itself.  What lives does not depend on the order of the cells, and is the
 * same however they are brought together. */
void siblings_judge(struct sibling *cells, size_t count);

/* Raise @over to what a cell of @site replaces that is written by someone who
 * has seen @cells.
 *
 * Errors: as vv_raise(). */
int siblings_over(const struct sibling *cells, size_t count,
                  const struct site *site, struct vv *over);

/* The cell that is shown: the largest (version, site) of those not dead;
 * @count if there is none. */
size_t siblings_shown(const struct sibling *cells, size_t count);

#endif
