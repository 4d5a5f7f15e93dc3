/* What the rooms of a batch share: batch.c has its rows, batch_table.c shows
 * their keys to SQLite, batch_read.c reads what they name, batch_insert.c
 * writes the new ones, batch_update.c those that change. */
#ifndef STORE_BATCH_INTERNAL_H
#define STORE_BATCH_INTERNAL_H

#include "store/batch.h"

#define BATCH_ROWS_MAX 16384

/* New rows of gv_row_N that go into one INSERT. */
#define NEW_ROWS 16

struct new_row {
    const struct batch_row *row;
    int64_t rid;
    uint64_t causal_length;
    size_t state_at, state_size; /* in new_states */
};

/* States of gv_row_N that go there by one statement. */
#define CHANGED_ROWS 16

struct changed_row {
    int64_t rid;
    uint64_t causal_length;
    size_t state_at, state_size; /* in changed_states */
};

struct batch {
    struct store_table *table;
    struct batch_row *rows;
    size_t count, room;
    size_t at;            /* what was asked for last */
    struct buffer keys;   /* of all rows */
    struct buffer states; /* likewise */
    struct buffer values;
    /* What gv_batch shows: these rows, by key or by the user's rowid. */
    uint32_t *order;
    size_t order_count;
    bool by_rowid;

    struct new_row new_rows[NEW_ROWS];
    size_t new_count;
    struct buffer new_states;
    int64_t last_rid; /* given to a row of gv_row_N; 0: not read yet */

    struct changed_row changed[CHANGED_ROWS];
    size_t changed_count;
    struct buffer changed_states;
};

/* Write what waits of batch_update(). */
int batch_update_flush(struct store *store);

#endif
