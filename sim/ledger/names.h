/* Rows and values as numbers, the same for all machines: equal numbers, equal
 * bit for bit (keys: as SQLite compares keys). */
#ifndef SIM_NAMES_H
#define SIM_NAMES_H

#include "intern.h"
#include "sim/program/tables.h"

struct names {
    struct intern rows, values;
};

void names_init(struct names *names);
void names_close(struct names *names);

uint32_t names_value(struct names *names, const struct datum *datum);
/* False: its key has a NULL in it, so the row stays in its file. */
bool names_row(struct names *names, size_t table, const struct datum *keys,
               size_t count, uint32_t *row);
/* A short value; borrowed.  False: only the hash of a long one is known. */
bool names_datum(const struct names *names, uint32_t value,
                 struct datum *datum);
/* Bytes of a long one; 0 for all others. */
uint64_t names_long(const struct names *names, uint32_t value);
/* Of an integer; of anything else 0. */
int64_t names_integer(const struct names *names, uint32_t value);
size_t names_table(const struct names *names, uint32_t row);

/* As text for people and for the dump.  Equal texts, equal values. */
#define NAMES_VALUE_SIZE 256
#define NAMES_KEY_SIZE (2 * NAMES_VALUE_SIZE)
void names_format_value(const struct names *names, uint32_t value, char *text,
                        size_t size);
void names_format_key(const struct names *names, uint32_t row, char *text,
                      size_t size);

#endif
