/* The table that the benchmarks fill, and plain SQLite connections to it as
 * an application has them. */
#ifndef BENCH_CONTACTS_H
#define BENCH_CONTACTS_H

#include <sqlite3.h>
#include <stdint.h>

/* Columns besides the key: 4 as people know them, or 19. */
struct contacts_shape {
    const char *name;
    int columns;
    int integer_key;
    int ordered; /* text keys ascend as rows are written */
};

extern const struct contacts_shape contacts_narrow;  /* text key, 4 columns */
extern const struct contacts_shape contacts_ordered; /* the same, ascending */
extern const struct contacts_shape contacts_wide;    /* text key, 19 */
extern const struct contacts_shape contacts_integer; /* integer key, 4 */

/* Open @path, WAL, synchronous NORMAL, busy timeout 10 s. */
sqlite3 *plain_open(const char *path);
void plain_run(sqlite3 *db, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
sqlite3_stmt *plain_prepare(sqlite3 *db, const char *text);
/* Step to the end and reset; ends the program on an error. */
void plain_finish(sqlite3_stmt *statement);
int64_t plain_number(sqlite3 *db, const char *text);
/* Move the write-ahead log into the file and empty it. */
void plain_checkpoint(sqlite3 *db);

void contacts_create(sqlite3 *db, const struct contacts_shape *shape);
/* INSERT with the key as ?1 and the columns as ?2, ?3, … */
sqlite3_stmt *contacts_prepare_insert(sqlite3 *db,
                                      const struct contacts_shape *shape);
/* The key of row @row: a text of 36 characters, or row + 1. */
void contacts_bind_key(sqlite3_stmt *statement, int index,
                       const struct contacts_shape *shape, uint32_t row);
/* Key and columns of row @row, always the same. */
void contacts_bind(sqlite3_stmt *statement, const struct contacts_shape *shape,
                   uint32_t row);
/* What an update writes to a column of @row. */
void contacts_bind_change(sqlite3_stmt *statement, int index, uint32_t row,
                          uint32_t round);

#endif
