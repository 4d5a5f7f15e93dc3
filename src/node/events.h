/* What happens, for who asked to be told: clients of the control socket and
 * the program that holds the node.  Nothing is done while nobody did. */
#ifndef NODE_EVENTS_H
#define NODE_EVENTS_H

#include "core/core.h"

/* Rows named after one commit; of more it is only said that there are. */
#define EVENTS_ROWS_MAX 1000

struct gv_node;
struct event_link;

struct events {
    bool active;
    struct vv told;           /* all changes up to here were */
    struct event_link *links; /* that were up at the last look */
    size_t link_count;
};

void events_init(struct events *events);
void events_close(struct events *events);

/* From now on there is somebody to tell: what is there is known to him. */
void events_begin(struct gv_node *node);

/* Look what changed since the last turn, and tell it. */
void events_turn(struct gv_node *node);

#endif
