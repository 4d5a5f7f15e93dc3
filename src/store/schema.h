/* The registered tables. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include "store/internal.h"

int schema_create(struct store *store);
/* Read the tracked tables if the schema moved since; inside a write
 * transaction it registers new columns and puts triggers back. */
int schema_refresh(struct store *store, bool may_write,
                   struct gv_error *error);
/* Whether the tables that were read are as the file has them, each of them
 * shown and with nothing left to decide: inside a transaction, what is
 * registered then changes none of them. */
bool schema_stands(const struct store *store);
/* As schema_refresh(), where schema_stands() and the table @id was registered
 * since: it alone is read. */
int schema_refresh_added(struct store *store, int64_t id,
                         struct gv_error *error);
void schema_close(struct store *store);
struct store_table *schema_by_id(const struct store *store, int64_t id);
struct store_table *schema_by_wire(const struct store *store, const char *wire,
                                   size_t size);
/* The tracked table that this file calls so. */
struct store_table *schema_by_local(const struct store *store,
                                    const char *local);
void table_free(struct store_table *table);
void column_close(struct store_column *column);
/* Make what follows from @table's columns, again if they have grown. */
int table_finish(struct store_table *table);
/* Read the registered table @id, and put it behind the others. */
int schema_load(struct store *store, int64_t id, struct store_table **loaded);

#endif
