/* A node: one database file that is kept in step with its mesh.  This is the
 * layer where core, wire, store and net meet; node/README.md says how.
 *
 * struct gv_node is the public library's: its functions are these. */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "grapevine.h"

/* Open @path (resolved, existing) for writing, join the mesh, bind, open the
 * control socket, make the core.  When this returns the node can be reached.
 * Errors: as gv_node_new(). */
int node_new(const char *path, const struct gv_node_options *options,
             struct gv_node **node, struct gv_error *error);

/* Run until node_stop() or until it cannot go on.  Errors: as
 * gv_node_run(). */
int node_run(struct gv_node *node, struct gv_error *error);

/* Run in a thread of its own, in which all signals are blocked.
 * Errors: GV_ELIMIT (no thread to be had), GV_EMISUSE (it does already). */
int node_start(struct gv_node *node, struct gv_error *error);

/* Wait until that thread ended; what node_run() returned in it.
 * Errors: GV_EMISUSE (it was not started). */
int node_join(struct gv_node *node, struct gv_error *error);

/* Any thread; async-signal-safe. */
void node_stop(struct gv_node *node);

/* NULL is harmless.  Who asked for the stop through the control socket sees
 * its connection end only after the file's lock is free. */
void node_free(struct gv_node *node);

#endif
