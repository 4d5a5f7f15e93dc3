/* One call of the extension: the store on the application's connection, from
 * the call's beginning to its end. */
#ifndef EXTENSION_CALL_H
#define EXTENSION_CALL_H

#include "store/store.h"

#include <sqlite3.h>

/* What a call needs of the connection. */
enum call_kind {
    CALL_GIVES,  /* data leave the file: no transaction may be open, since
                    what is given must be committed */
    CALL_WRITES, /* a transaction may be open: the call is a savepoint in it */
    CALL_INSERTS /* it is a statement that writes */
};

struct call {
    sqlite3 *db;
    struct store *store;
    bool savepoint;
};

/* Open the store.  Errors, after which nothing is left open: GV_EMISUSE (a
 * database without a file, or one that is read only; a transaction or
 * statement in the way), and those of store_open(). */
int call_begin(sqlite3 *db, enum call_kind kind, struct call *call,
               struct gv_error *error);
/* As call_begin(), for a file in which something is tracked; else
 * GV_EMISUSE. */
int call_begin_tracked(sqlite3 *db, enum call_kind kind, struct call *call,
                       struct gv_error *error);
/* Close it.  With @rc not GV_OK a transaction that was open is again as it was
 * before the call. */
void call_end(struct call *call, int rc);

/* @error in one text, from sqlite3_malloc(). */
char *call_text(const struct gv_error *error);
/* SQLite's code for one of ours. */
int call_code(int rc);

#endif
