/* Values that lost to a concurrent write. */
#ifndef STORE_HISTORY_H
#define STORE_HISTORY_H

#include "store/internal.h"

/* Keep what loses to a concurrent write when the row in store->fragment and
 * store->values is merged into the one in store->space; before the merge.  It
 * came in @interval, or in a delta that claims @claim; the other is NULL. */
int history_note(struct store *store, struct store_table *table,
                 const struct row_key *key, const struct interval *interval,
                 const struct vv *claim);

#endif
