/* The peers that a node learned, kept for its next start in the file `peers`
 * of the directory beside the database.  A node that is told to keep to the
 * peers it was given neither reads nor writes it. */
#ifndef NODE_REMEMBERED_H
#define NODE_REMEMBERED_H

#include "core/types.h"

struct gv_node;

struct remembered {
    uint64_t changes;    /* core_known_changes() of what stands in the file */
    gv_time_ms saved_at; /* monotonic */
};

/* Tell a new core what the file says.  One that is missing or damaged says
 * less. */
void remembered_load(struct gv_node *node);

/* Once a second: write the file when what stands there is not so any more. */
void remembered_turn(struct gv_node *node);

/* Write it now. */
void remembered_save(struct gv_node *node);

#endif
