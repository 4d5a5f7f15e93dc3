/* Rows of gv_row_N, on the writer. */
#ifndef STORE_ROWS_H
#define STORE_ROWS_H

#include "store/internal.h"

/* Read a row's state into store->space; causal length 0 if there is none. */
int rows_find(struct store *store, struct store_table *table,
              const struct row_key *key, struct gv_error *error);
/* The same in two steps, for a reader that may need only the first: damage is
 * seen by the second. */
int rows_read(struct store *store, struct store_table *table,
              const struct row_key *key, struct gv_error *error);
int rows_check(struct store *store, const struct store_table *table,
               const struct row_key *key, struct gv_error *error);
/* Write store->space back, with the fingerprint; gv_ver follows by the next
 * rows_flush(), and so does the state of a row that a batch has. */
int rows_save(struct store *store, struct store_table *table,
              const struct row_key *key);
/* A state into gv_row_N by itself. */
int rows_update(struct store_table *table, int64_t rid, uint64_t causal_length,
                const uint8_t *state, size_t size);
/* Write the dots that wait into gv_ver: before the transaction ends, or a
 * savepoint of it, and before gv_ver is read. */
int rows_flush(struct store *store);
/* The bits that records hold. */
void rows_held(const struct row *row, size_t words, uint64_t *held);

#endif
