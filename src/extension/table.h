/* gv_changes: a delta as a table.
 *
 *     tbl, pk, col, value, version, site, cl, since HIDDEN
 *
 * Selected, it seals and then gives one row for each cell that `since` lacks
 * (col is NULL for the row's existence), and last the claim row: tbl is NULL,
 * pk is the vector it was selected for and value the vector to claim, cl the
 * count of the rows before it and version the sum of their hashes.
 *
 * Inserted, rows wait for the claim row of the same transaction, which merges
 * them.  A transaction with rows and no claim row cannot be committed. */
#ifndef EXTENSION_TABLE_H
#define EXTENSION_TABLE_H

#include "extension/waiting.h"

#include <sqlite3.h>

enum table_column {
    TABLE_TBL,
    TABLE_PK,
    TABLE_COL,
    TABLE_VALUE,
    TABLE_VERSION,
    TABLE_SITE,
    TABLE_CL,
    TABLE_SINCE,
    TABLE_COLUMNS
};

/* SQLite's object comes first. */
struct table {
    sqlite3_vtab base;
    sqlite3 *db;
    struct waiting waiting;
};

/* Say @error; SQLite's code for it. */
int table_fail(struct table *table, const struct gv_error *error);

/* SQLite's codes. */
int table_register(sqlite3 *db);

#endif
