/* gv_cell: the cells of columns that have one for each site. */
#ifndef STORE_CELLS_H
#define STORE_CELLS_H

#include "core/vv.h"
#include "store/tables.h"

/* The cell of one site in a column of a row; see cells.c. */
struct cell {
    size_t bit;
    uint32_t site;
    gv_version version;
    struct value value;
    struct vv_view over; /* what it replaces; multi-value columns alone */
    uint8_t *owned;      /* the bytes of value and over, or NULL: borrowed */
    bool changed;        /* to be written, or deleted */
    bool gone;
};

struct cells {
    struct cell *items;
    size_t count, capacity;
};

/* What a record's digest of a cell is. */
uint64_t cell_digest(enum column_kind kind, const struct value *value,
                     struct vv_view over);
void cells_clear(struct cells *cells);
void cells_close(struct cells *cells);
/* NULL if there is none. */
struct cell *cells_get(const struct cells *cells, size_t bit, uint32_t site);
/* The cell to write; made if there is none, NULL without memory.  Its value
 * and version are the caller's to set. */
struct cell *cells_put(struct cells *cells, size_t bit, uint32_t site);
void cells_drop(struct cell *cell);
/* Keep copies of @value and @over.  Errors: GV_ENOMEM. */
int cell_own(struct cell *cell, const struct value *value,
             struct vv_view over);
int cells_prepare(sqlite3 *db, sqlite3_stmt **read);
/* Read the cells of row @rid, whose state is in store->space, with the
 * statement of cells_prepare(); the digests of their columns become those of
 * what they show.  GV_ECORRUPT: they are not those of the state. */
int cells_load(struct store *store, const struct store_table *table,
               int64_t rid, sqlite3_stmt *read);
/* The same on the connection that writes, for the row in store->space. */
int cells_find(struct store *store, const struct store_table *table);
/* Write what changed for the row in store->space, which is stored. */
int cells_save(struct store *store, const struct store_table *table);

#endif
