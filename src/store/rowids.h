/* Rowids of the user's rows, ascending, as a table to SQLite: gv_rowids, a
 * virtual table that is there on our connections without being in the file.
 * A join with it reads rows in the order in which they lie, and goes from one
 * to the next without a search from the top. */
#ifndef STORE_ROWIDS_H
#define STORE_ROWIDS_H

#include "store/internal.h"

struct rowid {
    int64_t rowid;
    uint32_t row; /* whose it is; the reader's to know */
};

struct rowids {
    struct rowid *list;
    size_t count;
};

/* Ascending.  @spare has room for as many, and takes the list's place in
 * @rowids where that is quicker.  Time is linear. */
void rowids_sort(struct rowids *rowids, struct rowid **spare);

/* Let @db read store->rowids, as it is when a statement begins, as the column
 * `place` of gv_rowids. */
int rowids_register(struct store *store, sqlite3 *db);

#endif
