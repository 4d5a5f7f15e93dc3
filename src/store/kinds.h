/* Columns with a cell for each site. */
#ifndef STORE_KINDS_H
#define STORE_KINDS_H

#include "store/internal.h"

const char *kind_name(enum column_kind kind);
/* False if no kind is called so. */
bool kind_named(const char *name, size_t size, enum column_kind *kind);
/* Make the table's masks of such columns. */
int kinds_masks(struct store_table *table);
/* Whether @bit is of such a column. */
bool kinds_each(const struct store_table *table, size_t bit);
/* What the column shows in the row in store->space; borrowed from its cells.
 */
void kinds_value(const struct store *store, const struct store_table *table,
                 size_t bit, struct value *value);
/* The digests of what such columns show into the row. */
int kinds_show(struct store *store, const struct store_table *table);
/* Before row_write(): store->values of the bits of @written become own cells;
 * with @reset, of a new life.  What cannot be published leaves @written. */
int kinds_write(struct store *store, const struct store_table *table,
                const struct row_key *key, bool reset, uint64_t *written);
/* After row_write() with @version: the digests.  Both make entries in
 * store->parked where the table does not show what the cells do. */
void kinds_written(struct store *store, const struct store_table *table,
                   gv_version version, const uint64_t *written);
/* All cells go: another life. */
void kinds_reset(struct store *store);
/* Before row_merge(): take cells that others replace out of both sides.
 * @cleared gets the bits that the row lost cells of. */
int kinds_judge(struct store *store, const struct store_table *table,
                uint64_t *cleared);
/* After row_merge(): the row's cells follow, and store->values gets what the
 * columns of @cleared and @won show now; both are in @won. */
int kinds_merged(struct store *store, const struct store_table *table,
                 bool reset, const uint64_t *cleared, uint64_t *won);

#endif
