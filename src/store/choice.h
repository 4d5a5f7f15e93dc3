/* The kinds that a person gives to columns. */
#ifndef STORE_CHOICE_H
#define STORE_CHOICE_H

#include "store/internal.h"

/* Set the kinds that store->kinds asks for in a table that is being
 * registered. Errors: GV_EREFUSED. */
int choice_take(const struct store *store, struct store_table *table,
                struct gv_error *error);
/* Give them to columns of a registered table that nobody has written to; the
 * tables may be read anew.  Errors: GV_EREFUSED, GV_EBUSY. */
int choice_give(struct store *store, struct store_table *table, bool *given,
                struct gv_error *error);
/* Whether a record holds the column; a look at all rows, until one does. */
int choice_written(struct store *store, const struct store_table *table,
                   size_t bit, bool *written);
/* A plain column that nobody has written to is of @kind from now on. */
int choice_set(struct store *store, struct store_table *table, size_t bit,
               enum column_kind kind);

#endif
