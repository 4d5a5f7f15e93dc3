/* Spools that are kept for who was cut off. */
#ifndef STORE_KEPT_H
#define STORE_KEPT_H

#include "store/internal.h"

/* The spools that an earlier run left: those of this site that are complete
 * are kept on, the others deleted. */
int kept_load(struct store *store);

/* Whether there is one less of those that nobody is sent now: the oldest. */
bool kept_give_way(struct store *store);

#endif
