/* Rows of the user's table, on the writer. */
#ifndef STORE_USER_H
#define STORE_USER_H

#include "store/internal.h"

/* Read the user's row: *@present, and the values of the columns that are
 * shown, by column index, borrowed until user_read_done(). */
int user_read(struct store *store, struct store_table *table,
              const struct row_key *key, struct value *values, bool *present);
void user_read_done(struct store_table *table);
/* The statement that puts @rows rows into the user's table. */
int user_insert_prepare(struct store *store, const struct store_table *table,
                        size_t rows, sqlite3_stmt **statement);
/* Write the user's row.  GV_EDIFFERS when the table does not hold what the
 * log says it does.  @values by column index. */
int user_insert(struct store *store, struct store_table *table,
                const struct row_key *key, const struct value *values);
int user_update(struct store *store, struct store_table *table,
                const struct row_key *key, const uint64_t *mask,
                const struct value *values);
int user_delete(struct store *store, struct store_table *table,
                const struct row_key *key);
/* Whether the row is stored under exactly this key. */
int user_key_kept(struct store *store, struct store_table *table,
                  const struct row_key *key, bool *kept);
/* Whether the key columns surely keep this key as it is. */
bool user_key_sure(const struct store_table *table, const struct row_key *key);
/* SQLite finds a row under 7 when asked for '7': *@present, where user_read()
 * found one that is not @expected, becomes whether it has this very key. */
int user_present(struct store *store, struct store_table *table,
                 const struct row_key *key, bool expected, bool *present);
/* Whether a column of this affinity surely keeps @value as it is. */
bool affinity_keeps(enum affinity affinity, const struct value *value);

#endif
