/* The registration of tables and columns, ours and those that peers define. */
#ifndef STORE_REGISTER_H
#define STORE_REGISTER_H

#include "store/internal.h"

/* Write a table's registration: gv_table, gv_col, gv_row_N, triggers. */
int schema_register(struct store *store, const char *local,
                    struct gv_error *error);
int register_column(struct store *store, int64_t id, int64_t bit,
                    const struct store_column *column);

/* What a peer defines and this file has not: the log alone.  tables[] has it
 * at once. */
int register_foreign_table(struct store *store, const struct stream_item *item,
                           struct store_table **registered);
/* Track the table that was just made of the definition. */
int register_made_table(struct store *store, const struct stream_item *item,
                        struct store_table **registered,
                        struct gv_error *error);
/* @made: the table has just got the column. */
int register_foreign_column(struct store *store, struct store_table *table,
                            const struct stream_column *from, bool made);
/* Note what a peer's file calls the column. */
int register_peer_name(struct store *store, struct store_table *table,
                       size_t index, struct stream_text name);

#endif
