/* A look at some values of a column. */
#ifndef STORE_SAMPLE_H
#define STORE_SAMPLE_H

#include "store/internal.h"

/* The column that vanished and whose values @appeared has, or NULL. */
int sample_renamed(struct store *store, struct store_table *table,
                   const struct store_table *now,
                   const struct store_column *appeared,
                   struct store_column **renamed);
/* A column that was dropped and added again between two looks bears its name,
 * and has lost all values without a trigger: it is shown again, and nobody
 * has written a default into every row.  (One value alone says too little.) */
int sample_emptied(struct store *store, struct store_table *table,
                   const struct store_table *now);

#endif
