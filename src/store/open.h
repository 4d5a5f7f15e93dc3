/* Connections and what they prepare; membership of a mesh. */
#ifndef STORE_OPEN_H
#define STORE_OPEN_H

#include "store/internal.h"

/* A connection with our settings. */
int connection_open(struct store *store, sqlite3 **db, struct gv_error *error);
struct statement_text {
    sqlite3_stmt **statement;
    const char *text;
};
/* Prepare those of @list that are not yet. */
int prepare_list(sqlite3 *db, const struct statement_text *list, size_t count);
/* Make the file a member, of no mesh yet. */
int store_adopt(struct store *store, struct gv_error *error);

#endif
