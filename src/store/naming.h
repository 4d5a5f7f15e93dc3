/* Which registration a table takes up, or its name on the wire. */
#ifndef STORE_NAMING_H
#define STORE_NAMING_H

#include "store/internal.h"

/* "a, b" or "t(a, b)", of the key columns' names here; sqlite3_free() it. */
char *naming_keys(const struct store_table *table);
char *naming_by_key(const char *name, const struct store_table *table);
/* The registration that the untracked table @now takes up, or NULL: then
 * @now's wire name is that of a new one.  Errors: GV_EREFUSED. */
int naming_find(struct store *store, struct store_table *now,
                struct store_table **known, struct gv_error *error);
/* Registration @id is called @local here: no other is. */
int naming_take(struct store *store, const char *local, int64_t id);

#endif
