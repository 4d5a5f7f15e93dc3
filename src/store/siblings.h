/* The view of all values of multi-value columns. */
#ifndef STORE_SIBLINGS_H
#define STORE_SIBLINGS_H

#include "store/internal.h"

/* Make it as the tables are now; inside a write transaction. */
int siblings_view(struct store *store);

#endif
