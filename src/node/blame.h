/* What `grapevine blame --json` prints: who wrote each value of a row, and
 * what it beat. */
#ifndef NODE_BLAME_H
#define NODE_BLAME_H

#include "store/store.h"

#include <jansson.h>

/* What people call a site: "" where it is not known. */
typedef const char *blame_name_of(void *context, const struct site *site);

/* The row of @table with the key @parts, an array of texts.  @name_of may be
 * NULL.  NULL: @error. */
json_t *blame_of_store(struct store *store, const char *table,
                       const json_t *parts, blame_name_of *name_of,
                       void *context, struct gv_error *error);

#endif
