/* Reading gv_changes: the changes that a vector lacks, then the claim row. */
#ifndef EXTENSION_CURSOR_H
#define EXTENSION_CURSOR_H

#include "extension/since.h"
#include "store/changes.h"

/* SQLite's object comes first. */
struct cursor_of_changes {
    sqlite3_vtab_cursor base;
    struct changes *changes;
    struct buffer since; /* a vector */
    struct change change;
    struct changes_sum sum; /* of the changes up to the one at hand */
    bool claiming;          /* the row at hand is the claim row */
    bool ended;
};

/* Read all that @since (NULL: nothing) lacks, and go to the first row.
 * Errors: those of call_begin() and changes_read(). */
int cursor_begin(struct cursor_of_changes *cursor, sqlite3 *db,
                 sqlite3_value *since, struct gv_error *error);
int cursor_move(struct cursor_of_changes *cursor, struct gv_error *error);
/* The row at hand; @column is one of enum table_column. */
void cursor_column(const struct cursor_of_changes *cursor,
                   sqlite3_context *context, int column);
void cursor_end(struct cursor_of_changes *cursor);

#endif
