/* The mesh's tables, made in a file that wants them. */
#ifndef STORE_CREATE_H
#define STORE_CREATE_H

#include "store/internal.h"

/* Whether the type may stand in SQL as it is: words that mean nothing to
 * SQLite, and one or two sizes. */
bool type_is_plain(struct stream_text type);
/* Whether this file makes the mesh's tables. */
int creates_tables(struct store *store, bool *creates);
/* Make the table, the column.  Not *@made: the name is taken, or SQLite does
 * not take it. */
int create_table(struct store *store, const struct stream_item *item,
                 bool *made);
int create_column(struct store *store, const struct store_table *table,
                  const struct stream_column *column, bool *made);

#endif
