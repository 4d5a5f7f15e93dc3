/* Cells whose value does not stand in the user's table. */
#ifndef STORE_PARKED_H
#define STORE_PARKED_H

#include "store/tables.h"

/* What gv_parked says of a cell: `held` in the file. */
enum parked_kind {
    PARKED_HOLLOW,  /* a record holds it, and its value is not here */
    PARKED_VALUE,   /* a record holds it, and this is its value */
    PARKED_DEFAULT, /* no record holds it; also the entry of existence */
};

/* The entries of the row at hand, by bit; see parked.c. */
struct parked {
    uint64_t listed[ROW_WORDS_MAX];  /* bits with an entry */
    uint64_t seen[ROW_WORDS_MAX];    /* those whose entry has `shown` */
    uint64_t changed[ROW_WORDS_MAX]; /* to be written, or deleted */
    enum parked_kind kinds[ROW_BITS_MAX];
    uint64_t shown[ROW_BITS_MAX];
    struct value values[ROW_BITS_MAX];
    struct buffer bytes; /* of values that were loaded */
};

/* No entry; those of a new row. */
void parked_clear(struct store *store, const struct store_table *table);
/* Read the entries of row @rid into store->parked.  @find: the statement of
 * parked_prepare() on the connection that reads. */
int parked_load(struct store *store, const struct store_table *table,
                int64_t rid, sqlite3_stmt *find);
int parked_prepare(sqlite3 *db, sqlite3_stmt **find);
/* The same on the connection that writes, for the row in store->space. */
int parked_find(struct store *store, const struct store_table *table);
/* Make the entry of @bit, or drop it.  @value is borrowed until
 * parked_save(); @shown may be NULL. */
void parked_put(struct parked *parked, size_t bit, enum parked_kind kind,
                const struct value *value, const uint64_t *shown);
void parked_drop(struct parked *parked, size_t bit);
void parked_drop_all(struct store *store, const struct store_table *table);
/* Write what changed for the row in store->space, which is stored. */
int parked_save(struct store *store, struct store_table *table);
/* What the table should hold in a column: the record's digest, or that of the
 * default. */
uint64_t parked_expected(const struct store_table *table,
                         const struct row *row, const uint64_t *held,
                         size_t column);
/* Whether a cell of @digest, read from the table, is no local write. */
bool parked_agrees(const struct parked *parked, size_t bit, uint64_t digest,
                   uint64_t expected);
/* Columns are shown that were not (bits of @columns), or the table is (NULL):
 * what is parked moves into the table where the table takes it.  The table
 * was read anew and @shown is set; inside a write transaction, before the
 * journal is looked at. */
int parked_show(struct store *store, struct store_table *table,
                const uint64_t *columns, struct gv_error *error);
/* A table that was not to be read or written for a while is again: only what
 * came meanwhile moves into it.  Whatever else it holds or lacks was written
 * meanwhile, and is for the next look. */
int parked_resume(struct store *store, struct store_table *table,
                  struct gv_error *error);

#endif
