/* What gv_ver has of the row in store->space. */
#ifndef STORE_VER_H
#define STORE_VER_H

#include "store/tables.h"

/* Rows of gv_ver that go into one INSERT. */
#define VER_ROWS 32
#define VER_COLUMNS 4

struct ver_row {
    int64_t columns[VER_COLUMNS]; /* site, version, table, rid */
};

/* Take out the dots that are gone, put in the new ones, by the next
 * ver_flush(). */
int ver_follow(struct store *store, const struct store_table *table);
int ver_flush(struct store *store);

#endif
