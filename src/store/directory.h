/* The node's directory beside the file. */
#ifndef STORE_DIRECTORY_H
#define STORE_DIRECTORY_H

#include "store/internal.h"

/* Deltas kept at once, each in a spool of its own; a node reads one and sends
 * the others. */
#define EXTRACTS_MAX 64
/* The path of a file of the node's directory, from malloc(). */
char *store_file_path(const struct store *store, const char *name);
/* Make the directory and take its lock. */
int directory_lock(struct store *store, struct gv_error *error);

#endif
