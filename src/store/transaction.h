/* What is checked at a begin. */
#ifndef STORE_TRANSACTION_H
#define STORE_TRANSACTION_H

#include "store/internal.h"

/* The beginning of store_begin(): nothing may be sealed or applied yet. */
int transaction_begin(struct store *store, struct gv_error *error);
/* Then: the tables as they are, and what the audit found into the journal,
 * which is to be sealed next. */
int transaction_look(struct store *store, struct gv_error *error);
/* Whether another file bears the name of the one that is open: then the log
 * beside it is not the other's. */
bool log_is_orphan(struct store *store);

#endif
