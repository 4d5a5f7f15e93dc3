/* The tables of every simulated file, as programs and the ledger know them. */
#ifndef SIM_TABLES_H
#define SIM_TABLES_H

#include "values.h"

#define TABLE_COLUMNS_MAX 3
#define TABLE_KEYS_MAX 2

/* What a column shows of what was written to it. */
enum column_shows {
    SHOWS_LAST,
    SHOWS_SUM,     /* … of what each write added */
    SHOWS_SIBLINGS /* the last; each that nobody replaced is kept beside */
};

struct table {
    const char *name;
    size_t key_count, column_count;
    struct {
        const char *name;
        enum key_kind kind;
    } keys[TABLE_KEYS_MAX];
    struct {
        const char *name;
        struct datum initial; /* shown where nobody wrote */
        enum column_shows shows;
    } columns[TABLE_COLUMNS_MAX];
};

enum {
    TABLES_FREE = 8,         /* written in every way … */
    TABLE_LOG = TABLES_FREE, /* … only inserted into … */
    TABLE_PAIR,  /* … x and y are one value in each transaction */
    TABLE_TALLY, /* … n is a counter, note has siblings … */
    TABLE_SKEW,  /* … and whose columns differ between machines */
    TABLES
};

extern const struct table tables[TABLES];

/* What TABLE_SKEW's column may be called in a machine's file. */
#define TABLE_RENAMED "_new"

/* A text that a program writes and overwrites in one transaction, and the
 * start of log's keys in transactions that are taken back: nobody may ever
 * see either. */
#define TABLES_PASSING "passing"
#define TABLES_NEVER "never"

#endif
