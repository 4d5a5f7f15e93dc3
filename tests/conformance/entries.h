/* What a replica's log says of a row, read as a peer that has nothing would
 * get it: a delta for an empty vector. */
#ifndef TESTS_CONFORMANCE_ENTRIES_H
#define TESTS_CONFORMANCE_ENTRIES_H

#include "replica.h"

#define ENTRIES_COLUMNS_MAX 16

struct entry_cell {
    char column[40]; /* "*" is the row's existence */
    struct site site;
    gv_version version;
};

struct entry_row {
    uint64_t length; /* causal; 0: the log knows nothing of the row */
    struct entry_cell cells[ENTRIES_COLUMNS_MAX];
    size_t cell_count;
};

/* @key as SQL literals, as in "1" or "'x', 2".  The journal is empty. */
int entries_find(struct replica *replica, const char *table, const char *key,
                 struct entry_row *row, struct gv_error *error);

#endif
