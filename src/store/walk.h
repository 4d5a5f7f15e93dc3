/* The audit's walk: every row of the log and of the user's tables, in slices.
 * Between two slices nothing is held, so that the walk keeps no snapshot. */
#ifndef STORE_WALK_H
#define STORE_WALK_H

#include "store/internal.h"
#include "store/seal.h"

/* What is done with a row that is unlike the log. */
typedef int walk_found(struct store *store, struct audit_table *entry,
                       const struct store_table *table,
                       const struct row_key *key, enum look look);

/* Start anew. */
void walk_start(struct store *store);

/* Go on for about @rows rows, inside a transaction; *@done after the last
 * table.  With @publish only the tables so marked are walked, and the rows of
 * the others are not counted. */
int walk_slice(struct store *store, size_t rows, bool publish,
               walk_found *found, bool *done, struct gv_error *error);

#endif
