/* The state of a row <-> bytes, and its hash. */
#ifndef STORE_STATE_H
#define STORE_STATE_H

#include "store/cells.h"

/* A row's state in memory, with room to change it. */
struct row_space {
    struct row row;
    bool stored; /* gv_row_N has it, under rid */
    int64_t rid;
    size_t capacity;
    size_t words;
    size_t each;      /* each-bits of the table that it is used for */
    size_t each_room; /* cells of each record */
    struct record *records;
    uint64_t *room; /* the records' masks and cells */
    struct cells cells;
    uint64_t digests[ROW_BITS_MAX];
    /* As it was read: what gv_ver and the fingerprint hold of it. */
    struct record *before; /* masks not kept */
    size_t before_count;
    struct hash128 before_sum; /* once checked */
    uint32_t check;            /* of the state as it was read */
    bool checked;
};

/* Rows of @table come next, with its each-bits; before row_space_reserve(). */
void row_space_use(struct row_space *space, const struct store_table *table);
int row_space_reserve(struct row_space *space, size_t records, size_t words);
void row_space_close(struct row_space *space);
/* Errors: GV_ECORRUPT. */
int state_decode(const uint8_t *bytes, size_t size, size_t column_count,
                 struct row_space *space, uint32_t *check);

/* A state's parts one by one, without a row to hold them: its records in
 * order, then the digests of its column bits. */
struct state_walk {
    const uint8_t *at, *end;
};

/* Returns how many records there are; 0: damaged. */
size_t state_walk_begin(struct state_walk *walk, const uint8_t *bytes,
                        size_t size);
/* The next record, whose mask has room for all bits.  Errors: GV_ECORRUPT. */
int state_walk_record(struct state_walk *walk, size_t column_count,
                      struct record *record);
/* Behind the last record: @count digests of 8 bytes, or NULL if there are
 * more or fewer of them, or cells. */
const uint8_t *state_walk_digests(const struct state_walk *walk, size_t count);

int state_encode(const struct row *row, size_t words, uint32_t check,
                 struct buffer *out);
/* Sum of the hashes of the row's records.  Errors: GV_ENOMEM. */
int state_hash(struct store *store, const struct store_table *table,
               const uint8_t *key, size_t key_size, const struct row *row,
               struct hash128 *sum);

#endif
