/* What anyone can read of a machine's file: its tables, the journal, the
 * vector. */
#ifndef SIM_LOOK_H
#define SIM_LOOK_H

#include "core/types.h"
#include "names.h"

/* A column that the file does not have. */
#define LOOK_ABSENT UINT32_MAX

/* What the table skew is like in this file. */
struct look_skew {
    bool shared; /* it is here and captured */
    struct look_skew_column {
        bool here, typed; /* typed: it cannot show each value */
        char name[16];
    } columns[TABLE_COLUMNS_MAX];
};

struct look_row {
    uint64_t seen_in; /* the look that saw it last */
    uint32_t values[TABLE_COLUMNS_MAX];
};

/* One look replaces the one before. */
struct look {
    sqlite3 *db; /* the observer whose statements these are */
    sqlite3_stmt *tables[TABLES];
    sqlite3_stmt *begin, *end, *changed, *journal, *any, *vector, *clock,
        *written, *schema;
    int64_t data_version;
    int64_t schema_version; /* of the statements */
    struct look_skew skew;
    uint64_t number; /* 0: none yet */
    struct look_row *rows;
    size_t row_count;
};

/* Everything of the connection is given back: before it is closed. */
void look_forget(struct look *look);
void look_close(struct look *look);

/* Read all tables with @db.  False: SQLite says why in look_error().  Costs
 * nothing if nobody has committed since the last. */
bool look_take(struct look *look, struct names *names, sqlite3 *db);
const char *look_error(const struct look *look);
/* The row as it was seen, or NULL: it is not there. */
const struct look_row *look_at(const struct look *look, uint32_t row);

/* The value in @column of the row at hand; borrowed. */
void look_datum(sqlite3_stmt *row, int column, struct datum *datum);

/* One journal row, in the journal's order.  @ms 0: not timed. */
struct look_journal {
    uint32_t row;
    int64_t ms;
};
/* All of it, into an array that the caller frees. */
bool look_journal(struct look *look, struct names *names, sqlite3 *db,
                  struct look_journal **journal, size_t *count);
/* Whether it has rows. */
bool look_journal_any(struct look *look, sqlite3 *db);

/* The vector as the file has it: calls @entry for each. */
bool look_vector(struct look *look, sqlite3 *db,
                 void (*entry)(void *context, const struct site *site,
                               gv_version version),
                 void *context);
/* The largest version that the file says was seen. */
gv_version look_clock(struct look *look, sqlite3 *db);
/* Whether it holds a program's transaction: its row in written, or the row
 * @id in log. */
bool look_written(struct look *look, sqlite3 *db, int64_t program,
                  int64_t number, const char *id, bool *there);

#endif
