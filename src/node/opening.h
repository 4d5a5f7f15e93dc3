/* The file, and what is made from it: its store, the watch, the core.  At the
 * start, and again when the file was replaced or restored underneath, or its
 * site id turned out to be another's too: the store looks at it anew (and
 * renews its identity if need be), and the node goes on with its sockets. */
#ifndef NODE_OPENING_H
#define NODE_OPENING_H

#include "grapevine.h"

/* Errors: as store_open(); GV_ELOCKED names the node that has the file. */
int opening_store(struct gv_node *node, struct gv_error *error);

/* Errors: GV_ENOMEM.  Without a watch the node looks at intervals. */
int opening_watch(struct gv_node *node, struct gv_error *error);

int opening_core(struct gv_node *node, struct gv_error *error);

/* Open again what node->moved is about.  Ends the node when that cannot be
 * done, or has been done too often in a row.  Between two turns of the loop
 * only. */
void opening_again(struct gv_node *node);

/* Say BYE on all links. */
void opening_say_bye(struct gv_node *node);

#endif
