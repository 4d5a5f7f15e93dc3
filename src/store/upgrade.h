/* Files of older formats. */
#ifndef STORE_UPGRADE_H
#define STORE_UPGRADE_H

#include "store/internal.h"

/* What format 2 added to 1. */
#define TABLES_OF_2                                                           \
    "CREATE TABLE gv_parked(tbl INT, rid INT, bit INT, held INT, value,"      \
    " shown INT, PRIMARY KEY(tbl, rid, bit)) WITHOUT ROWID;"                  \
    "CREATE TABLE gv_history(id INTEGER PRIMARY KEY, tbl INT, rid INT,"       \
    " bit INT, value, size INT, site INT, version INT, by_site INT,"          \
    " by_version INT);"                                                       \
    "CREATE TABLE gv_inbox(at INTEGER PRIMARY KEY, bytes BLOB, sum INT);"     \
    "CREATE TABLE gv_cell(tbl INT, rid INT, bit INT, site INT, version INT,"  \
    " value, over BLOB, PRIMARY KEY(tbl, rid, bit, site)) WITHOUT ROWID;"
/* Bring the tables to STORE_FORMAT; inside a write transaction. */
int upgrade(struct store *store, struct gv_error *error);

#endif
