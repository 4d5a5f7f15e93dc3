/* The row at hand into the user's table. */
#ifndef STORE_SHOW_H
#define STORE_SHOW_H

#include "store/internal.h"

/* Cells of a row that is in the table get store->values, hollow ones their
 * column's default; what the table does not keep is parked, as is what it
 * does not show.  GV_EDIFFERS as user_update(). */
int show_update(struct store *store, struct store_table *table,
                const struct row_key *key, const uint64_t *cells);
/* The whole row, which is not in the table: @cells as above, the others from
 * store->parked, else their defaults.  A row that the table does not take is
 * parked whole.  GV_EDIFFERS as user_insert(). */
int show_insert(struct store *store, struct store_table *table,
                const struct row_key *key, const uint64_t *cells);
/* Cells of a row of a table that is not shown are parked.  The entry of
 * existence is as it was before; @in_table: the table had the row. */
void show_nothing(struct store *store, const struct store_table *table,
                  const uint64_t *cells, bool reset, bool in_table);

#endif
