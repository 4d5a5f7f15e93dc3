/* The tables of every simulated file, as programs and the ledger know them. */
#ifndef SIM_TABLES_H
#define SIM_TABLES_H

#include "values.h"

#define TABLE_COLUMNS_MAX 3
#define TABLE_KEYS_MAX 2

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
    } columns[TABLE_COLUMNS_MAX];
};

enum {
    TABLES_FREE = 8,         /* written in every way … */
    TABLE_LOG = TABLES_FREE, /* … only inserted into … */
    TABLE_PAIR, /* … x and y are one value in each transaction */
    TABLES
};

extern const struct table tables[TABLES];

/* A text that a program writes and overwrites in one transaction, and the
 * start of log's keys in transactions that are taken back: nobody may ever
 * see either. */
#define TABLES_PASSING "passing"
#define TABLES_NEVER "never"

#endif
