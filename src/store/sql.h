/* SQLite, with our error codes and our values. */
#ifndef STORE_SQL_H
#define STORE_SQL_H

#include "base/error.h"
#include "wire/value.h"

#include <sqlite3.h>

/* SQLite's result code as one of ours.  A constraint, a type mismatch or a
 * name that is not there is GV_ESCHEMA. */
int sql_code(int rc);

/* Report SQLite's last failure on @db while doing @what. */
int sql_fail(sqlite3 *db, int rc, struct gv_error *error, const char *what);

/* Prepare a statement that will be kept; sqlite3_mprintf's formats.
 * *@statement is NULL on error. */
int sql_prepare(sqlite3 *db, sqlite3_stmt **statement, const char *format,
                ...);

/* Run statements that return nothing. */
int sql_run(sqlite3 *db, const char *format, ...);

/* 1: a row; 0: done (the statement is reset and its bindings are cleared);
 * negative: one of our codes (the same). */
int sql_step(sqlite3_stmt *statement);

/* Run to the end and reset. */
int sql_finish(sqlite3_stmt *statement);

/* Whether a line of PRAGMA quick_check, which may be NULL, tells of no damage.
 * A NULL that a constraint forbids is none: 3.40.1 finds one in each row of a
 * WITHOUT ROWID table whose key has its columns in another order (its
 * integrity_check does not).  Pages that do not fit come before such lines. */
bool sql_checked(const char *line);

/* A number from a query that gives one. */
int sql_number(sqlite3 *db, int64_t *number, const char *format, ...);

/* A column's text from malloc(), "" for NULL; NULL without memory. */
char *sql_text_dup(sqlite3_stmt *statement, int column);

void sql_bind_value(sqlite3_stmt *statement, int index,
                    const struct value *value);
/* As a virtual table's; the bytes stay borrowed. */
void sql_result_value(sqlite3_context *context, const struct value *value);
/* The same with a copy of them. */
void sql_result_copy(sqlite3_context *context, const struct value *value);
/* Borrowed until the statement moves. */
void sql_column_value(sqlite3_stmt *statement, int index, struct value *value);

#endif
