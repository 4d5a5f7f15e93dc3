/* Values and keys that programs write: ordinary ones, and the odd ones on
 * which stores break. */
#ifndef SIM_VALUES_H
#define SIM_VALUES_H

#include "base/random.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

/* A value as SQLite stores it.  @bytes of text and blobs are borrowed, from
 * @made if that is not NULL. */
struct datum {
    int type; /* SQLITE_NULL, SQLITE_INTEGER, … */
    sqlite3_int64 integer;
    double real;
    const char *bytes;
    size_t size;
    char *made;
};

#define DATUM_INTEGER(number)                                                 \
    {                                                                         \
        .type = SQLITE_INTEGER, .integer = (number)                           \
    }
#define DATUM_REAL(number)                                                    \
    {                                                                         \
        .type = SQLITE_FLOAT, .real = (number)                                \
    }
#define DATUM_TEXT(text)                                                      \
    {                                                                         \
        .type = SQLITE_TEXT, .bytes = (text), .size = sizeof(text) - 1        \
    }
#define DATUM_BLOB(text)                                                      \
    {                                                                         \
        .type = SQLITE_BLOB, .bytes = (text), .size = sizeof(text) - 1        \
    }
#define DATUM_NULL                                                            \
    {                                                                         \
        .type = SQLITE_NULL                                                   \
    }

enum key_kind {
    KEY_NONE,
    KEY_TEXT,
    KEY_INTEGER,
    KEY_BLOB,
    KEY_REAL,
    KEY_UNTYPED
};

/* How often a program did what only some do. */
struct odd_counts {
    uint64_t odd_texts, odd_numbers, huge, hot, misbehaved, kinds, big;
};

/* What may be drawn; all chances per million. */
struct values {
    struct random *random;
    bool odd_text, odd_numbers, huge;
    unsigned hot; /* of keys: one of the first three */
    struct odd_counts *counts;
};

void values_draw(const struct values *values, struct datum *datum);
/* One of about a dozen of each kind, so that programs meet. */
void values_draw_key(const struct values *values, enum key_kind kind,
                     struct datum *datum);
void datum_close(struct datum *datum);

/* Bind it; SQLite takes a copy. */
int datum_bind(sqlite3_stmt *statement, int index, const struct datum *datum);
/* A few letters for the trace. */
void datum_format(const struct datum *datum, char *text, size_t size);

#endif
