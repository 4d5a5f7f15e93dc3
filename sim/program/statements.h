/* Random statements of a program: the grammar of what applications do. */
#ifndef SIM_STATEMENTS_H
#define SIM_STATEMENTS_H

#include "application.h"
#include "values.h"

struct statements {
    sqlite3 *db;
    const struct application_habits *habits;
    struct values values;
    char trace[160]; /* what was done, for people */
};

void statements_init(struct statements *statements, sqlite3 *db,
                     struct random *random,
                     const struct application_habits *habits,
                     struct odd_counts *counts);

/* One thing that a program does inside a transaction: mostly a statement,
 * sometimes two or three that belong together; @alone: one statement only, to
 * be a transaction by itself.  A constraint that refuses is the program's own
 * affair and counts as done; any other error is returned, and then the
 * transaction is to be taken back. */
int statements_run(struct statements *statements, bool alone);
/* A savepoint with something in it, taken back. */
int statements_take_back(struct statements *statements, int64_t number);

/* The transaction's own marks: its row in written, and its row in log (with
 * @never: one that nobody may see). */
int statements_mark(struct statements *statements, int64_t program,
                    int64_t number);
/* One more on the program's counter in score. */
int statements_score(struct statements *statements, int64_t program);
int statements_log(struct statements *statements, int64_t program,
                   int64_t number, bool never);

/* Statements without values. */
int statements_plain(struct statements *statements, const char *sql);

#endif
