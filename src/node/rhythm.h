/* The rhythm in which applications commit, and how much of a long delta fits
 * between two of their commits.
 *
 * A transaction that reads and then writes fails at once if the node writes in
 * between, whatever its timeout.  Where the node cannot wait, it writes right
 * behind a commit: whoever committed just then is between two transactions,
 * and most programs that write much do so in loops, with pauses alike.
 * Time comes in, in microseconds; it decides nothing. */
#ifndef NODE_RHYTHM_H
#define NODE_RHYTHM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The shortest of so many pauses counts: one that was longer by chance would
 * have the node write into a transaction. */
#define RHYTHM_GAPS 8
/* Of that pause the node takes a part: the rest is for who comes early, for
 * noticing late, and for slices that take longer than was thought. */
#define RHYTHM_PART 2
/* Less than this is not worth a transaction of its own. */
#define RHYTHM_MIN_US 150
/* Rows of a slice: so few cost no more than the transaction around them; so
 * many take about 2 ms. */
#define RHYTHM_ROWS_MIN 20
#define RHYTHM_ROWS_MAX 400

struct rhythm {
    int64_t last_us; /* the last commit that was noticed at once; 0: none */
    int64_t gaps[RHYTHM_GAPS];
    size_t count, next;
    int64_t row_ns; /* what a row took lately, its share of the commit too */
};

void rhythm_init(struct rhythm *rhythm);

/* Another program committed between @since_us and @now_us. */
void rhythm_commit(struct rhythm *rhythm, int64_t since_us, int64_t now_us);

/* Whether enough pauses were seen to tell. */
bool rhythm_known(const struct rhythm *rhythm);

/* How long from now the node may write; 0: not now, or nothing is known. */
int64_t rhythm_left_us(const struct rhythm *rhythm, int64_t now_us);

/* A slice of @rows rows took so long. */
void rhythm_took(struct rhythm *rhythm, size_t rows, int64_t took_us);

/* Rows that @left_us are enough for. */
size_t rhythm_rows(const struct rhythm *rhythm, int64_t left_us);

#endif
