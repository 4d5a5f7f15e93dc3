/* Rows of the user's table that wait while their log is replaced. */
#ifndef STORE_ASIDE_H
#define STORE_ASIDE_H

#include "store/internal.h"

struct aside; /* a list; NULL: none */

/* Keep the user's row, present or not, if a local write of it waits in the
 * journal. */
int aside_take(struct store *store, struct store_table *table,
               const struct row_key *key, struct aside **list);
/* Each row as it was, whatever the table has now.  The journal still names
 * them. */
int aside_put_back(struct store *store, const struct aside *list);
void aside_free(struct aside **list);

#endif
