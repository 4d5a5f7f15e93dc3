/* Values and keys: their canonical bytes, which digests, keys and frames
 * share, and their digests.
 *
 * Canonical bytes of a value: a class byte (0 NULL, 1 integer, 2 real, 3
 * text, 4 blob), then int64 or IEEE 754 bits big-endian, or the raw bytes.  A
 * key is its columns in key order, each as a 4-byte big-endian length and the
 * canonical bytes; in a key a real that is exactly an int64 is that integer
 * (-0.0 is 0), because SQLite calls them one key. */
#ifndef WIRE_VALUE_H
#define WIRE_VALUE_H

#include "base/buffer.h"

#include <stdbool.h>

enum value_class {
    VALUE_NULL,
    VALUE_INTEGER,
    VALUE_REAL,
    VALUE_TEXT,
    VALUE_BLOB
};

/* bytes is borrowed; meaningful for text and blob only. */
struct value {
    enum value_class class;
    int64_t integer;
    double real;
    const uint8_t *bytes;
    size_t size;
};

/* A larger text or blob never travels: it would fill a peer's memory. */
#define VALUE_SIZE_MAX (64u * 1024 * 1024)
#define KEY_COLUMNS_MAX 64

/* 64-bit digest of the canonical bytes. */
uint64_t value_digest(const struct value *value);

/* Bit for bit the same class and bytes. */
bool value_equal(const struct value *a, const struct value *b);

/* Append @value as one column of a key, made canonical. */
int key_append(struct buffer *buffer, const struct value *value);

/* Read the next column of a key at *@offset and move *@offset behind it.
 * Errors: GV_EPROTO (not canonical bytes); *@offset is unchanged. */
int key_next(const uint8_t *key, size_t size, size_t *offset,
             struct value *value);

/* The key as SQL literals for people ('ann', 7, x'ff'), cut with "…" to
 * fit @size bytes including the NUL. */
void key_format(const uint8_t *key, size_t key_size, char *text, size_t size);

/* A value as an SQL literal for people, cut likewise. */
void value_format(const struct value *value, char *text, size_t size);

#endif
