/* Rows inserted into gv_changes: they wait for the claim row of the same
 * transaction, and follow its savepoints. */
#ifndef EXTENSION_WAITING_H
#define EXTENSION_WAITING_H

#include "extension/call.h"

#include <stddef.h>

struct waiting_row;

/* What a savepoint goes back to. */
struct waiting_mark {
    size_t count, claimed;
    bool failed;
};

/* Zeroes are an empty one. */
struct waiting {
    struct waiting_row **rows;
    size_t count, capacity;
    size_t claimed; /* so many of them have been merged */
    bool failed;    /* a merge ended half-way: only a rollback helps */
    struct waiting_mark *marks; /* by SQLite's number of the savepoint */
    size_t mark_count, mark_capacity;
};

/* One row.  @values are its columns, by enum table_column.
 * Errors: GV_EINVAL, GV_ENOMEM; it was not added. */
int waiting_add(struct waiting *waiting, sqlite3_value **values,
                struct gv_error *error);
/* The claim row: merge what waits.  Errors: GV_EINVAL, and those of
 * call_begin() and changes_apply(). */
int waiting_claim(struct waiting *waiting, sqlite3 *db, sqlite3_value **values,
                  struct gv_error *error);
/* Whether the transaction may be committed; GV_EMISUSE with the reason. */
int waiting_check(const struct waiting *waiting, struct gv_error *error);

/* SQLite's numbers count from 0; -1 is the savepoint that began the
 * transaction.  Errors: GV_ENOMEM. */
int waiting_save(struct waiting *waiting, int number);
void waiting_release(struct waiting *waiting, int number);
void waiting_go_back(struct waiting *waiting, int number);

/* The transaction has ended. */
void waiting_clear(struct waiting *waiting);
void waiting_close(struct waiting *waiting);

#endif
