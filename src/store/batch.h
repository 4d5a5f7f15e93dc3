/* Rows read ahead: a seal of many rows knows their keys before it looks at the
 * first, and many rows by one statement cost half of what one by one does. */
#ifndef STORE_BATCH_H
#define STORE_BATCH_H

#include "store/internal.h"

/* Fewer are not worth the statements. */
#define BATCH_ROWS_MIN 64

/* A row of the batch.  Where its bytes and values lie is the batch's own. */
struct batch_row {
    size_t key_at, key_size; /* in the batch's keys */
    bool stored;             /* gv_row_N has it */
    int64_t rid;
    uint64_t causal_length;
    size_t state_at, state_size;
    bool read;    /* the user's row was read */
    bool present; /* and is there */
    int64_t user_rowid;
    size_t values_at;
};

/* How many rows of @table one batch may have. */
size_t batch_room(const struct store_table *table);
/* Begin a batch of @table's rows, none yet; any earlier one ends. */
int batch_begin(struct store *store, struct store_table *table);
/* One more row.  Keys differ and stand in key order. */
int batch_add(struct store *store, const uint8_t *key, size_t size);
/* Read all: states, and the user's rows.  Nothing else may write to states
 * before the batch ends, but each row's own reader, once; of a user's row that
 * is written before its reader comes, batch_outdated() is to know. */
int batch_read(struct store *store);
/* Read states alone. */
int batch_read_states(struct store *store);
/* Find out about table->has_rowid: whether rows have a rowid apart from their
 * key, and no column of its name hides it. */
int batch_look_for_rowid(struct store *store, struct store_table *table);
/* Of the row added as number @index; 0: the log has none. */
uint64_t batch_causal_length(const struct store *store, size_t index);
/* The key of the row added as number @index, borrowed from the batch. */
int batch_key(const struct store *store, size_t index, struct row_key *key);
/* Its rid, causal length and state are what @list has from column @first
 * on. */
int batch_take_state(struct store *store, size_t index, sqlite3_stmt *list,
                     int first);
/* scan.c: read the states of a batch whose keys stand in the order of the
 * index, and close together; *@done: they did. */
int scan_states(struct store *store, struct store_table *table, bool *done);
/* Let the batch wait, with no batch at hand, and take it up again. */
struct batch *batch_set_aside(struct store *store);
void batch_resume(struct store *store, struct batch *batch);
void batch_free(struct batch *batch);
/* Rows, and bytes of values, that it holds. */
size_t batch_count(const struct batch *batch);
size_t batch_values_size(const struct batch *batch);
/* Whether it begins with the row of this key. */
bool batch_begins(const struct batch *batch, const struct store_table *table,
                  const struct row_key *key);
/* The user's row of this key is read again, by itself. */
void batch_outdated(struct store *store, const struct store_table *table,
                    const struct row_key *key);
/* The row with @key if it was read ahead, else NULL.  Rows are asked for in
 * the order in which they were added. */
const struct batch_row *batch_find(struct store *store,
                                   const struct store_table *table,
                                   const struct row_key *key);
const uint8_t *batch_state(const struct store *store,
                           const struct batch_row *row);
/* The user's values by column index, borrowed until the batch ends, and their
 * digests. */
void batch_values(const struct store *store, const struct store_table *table,
                  const struct batch_row *row, struct value *values,
                  uint64_t *digests);
/* Put a row of the batch that gv_row_N lacks there, with the state in
 * store->state; *@rid is its own from now on.  It is written with others, by
 * the next batch_flush() at the latest. */
int batch_insert(struct store *store, const struct row_key *key,
                 uint64_t causal_length, int64_t *rid);
/* Put store->state there for a row of the batch that gv_row_N has: with
 * others, likewise. */
int batch_update(struct store *store, int64_t rid, uint64_t causal_length);
int batch_flush(struct store *store);
/* A row that the batch lacks takes the next rid of gv_row_N: write what waits
 * before it, and count anew behind it. */
int batch_yield(struct store *store);
/* What was not flushed is lost. */
void batch_end(struct store *store);

/* *@hidden: rows have no rowid apart from their key, or a column of its name
 * hides it. */
int batch_rowid_hidden(sqlite3 *db, const struct store_table *table,
                       int64_t *hidden);

/* Let @db read the rows of @store's batch as a table, gv_batch.  An
 * application's connection that the store borrowed gets no such table. */
int batch_register(struct store *store, sqlite3 *db);

#endif
