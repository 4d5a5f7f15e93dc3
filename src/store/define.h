/* Definitions from peers. */
#ifndef STORE_DEFINE_H
#define STORE_DEFINE_H

#include "store/internal.h"

/* The table that a stream's TABLE item means, and all of its columns,
 * registered if they were not; with the file's consent (create.c) also made.
 * Errors: GV_EPROTO, GV_ESCHEMA (more than is kept, or a kind of column that
 * is not known), …; then the apply is to be taken back. */
int definition_take(struct store *store, const struct stream_item *item,
                    struct store_table **taken, struct gv_error *error);
/* The index of the column, or column_count. */
size_t column_by_wire(const struct store_table *table,
                      struct stream_text wire);
/* The bit of a column of a definition that was taken.  *@plain: the peer takes
 * for a plain one what has a kind here; it may define it so, as long as it has
 * written nothing there. */
uint16_t definition_bit(const struct store_table *table,
                        const struct stream_column *column, bool *plain);
/* It has. */
int definition_plain(const struct store_table *table, size_t bit,
                     struct gv_error *error);

#endif
