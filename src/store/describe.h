/* A table as SQLite describes it now, with no registration. */
#ifndef STORE_DESCRIBE_H
#define STORE_DESCRIBE_H

#include "store/internal.h"

/* describe_done() frees what it keeps for the next call. */
void describe_done(struct store *store);
int schema_describe(struct store *store, const char *local,
                    struct store_table **table, struct gv_error *error);

/* Copy @value with its bytes. */
int value_keep(struct value *kept, const struct value *value);

#endif
