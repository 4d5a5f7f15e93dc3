/* A bounded reader of msgpack: never looks past its end, never allocates,
 * never trusts a claimed length.  The first error sticks, and what is read
 * after it is zero or empty, so that a reader looks once at the end. */
#ifndef WIRE_CURSOR_H
#define WIRE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    int error; /* GV_OK or GV_EPROTO */
};

enum cursor_type {
    CURSOR_END,
    CURSOR_NIL,
    CURSOR_BOOL,
    CURSOR_INTEGER, /* any width, signed or not, that fits its reader */
    CURSOR_REAL,
    CURSOR_TEXT,
    CURSOR_BLOB,
    CURSOR_ARRAY,
    CURSOR_MAP,
    CURSOR_OTHER /* extension types, float 32, and the byte never used */
};

void cursor_init(struct cursor *cursor, const uint8_t *bytes, size_t size);

/* What comes next; reads nothing. */
enum cursor_type cursor_peek(const struct cursor *cursor);

/* Each reads one object of its type, or sets the error. */

/* Reads the head and returns the count; an array that claims more elements
 * than bytes remain is an error. */
uint32_t cursor_array(struct cursor *cursor);
uint64_t cursor_u64(struct cursor *cursor); /* 0 to 2^64 - 1 */
int64_t cursor_i64(struct cursor *cursor);  /* -2^63 to 2^63 - 1 */
bool cursor_bool(struct cursor *cursor);
void cursor_nil(struct cursor *cursor);
double cursor_real(struct cursor *cursor); /* float 64 only, bits kept */
const uint8_t *cursor_blob(struct cursor *cursor, size_t *size);
const char *cursor_text(struct cursor *cursor, size_t *size);

/* Skip one object whatever it is; nesting deeper than 8 is an error. */
void cursor_skip(struct cursor *cursor);

#endif
