/* A renewal: cells of the id that was lost move to the new one. */
#ifndef STORE_MOVING_H
#define STORE_MOVING_H

#include "store/internal.h"

/* The cells of a row whose records of store->lost_id move to the own id. */
int moving_cells(struct store *store, struct store_table *table,
                 const struct row_key *key);

#endif
