#include "wire/cursor.h"

#include "base/buffer.h"
#include "grapevine.h"

#include <string.h>

/* Frames need 4 levels, and a newer version may nest a little deeper. */
#define CURSOR_DEPTH_MAX 8

void cursor_init(struct cursor *cursor, const uint8_t *bytes, size_t size)
{
    if (bytes == NULL)
        bytes = (const uint8_t *)"";
    *cursor = (struct cursor){bytes, bytes + size, GV_OK};
}

/* From now on everything reads as the end. */
static void cursor_fail(struct cursor *cursor)
{
    cursor->error = GV_EPROTO;
    cursor->at = cursor->end;
}

static size_t cursor_left(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

/* The next @size bytes, or NULL and the error. */
static const uint8_t *cursor_take(struct cursor *cursor, uint64_t size)
{
    const uint8_t *at = cursor->at;

    if (size > cursor_left(cursor)) {
        cursor_fail(cursor);
        return NULL;
    }
    cursor->at += size;
    return at;
}

/* The first byte of the next object; 0xc1, which msgpack never uses, when
 * there is none. */
static uint8_t cursor_head(struct cursor *cursor)
{
    if (cursor->at == cursor->end) {
        cursor_fail(cursor);
        return 0xc1;
    }
    return *cursor->at++;
}

/* A big-endian number of 1 << @width bytes. */
static uint64_t cursor_number(struct cursor *cursor, unsigned width)
{
    const uint8_t *at = cursor_take(cursor, (uint64_t)1 << width);

    if (at == NULL)
        return 0;
    switch (width) {
    case 0:
        return at[0];
    case 1:
        return (uint64_t)at[0] << 8 | at[1];
    case 2:
        return load_u32(at);
    default:
        return load_u64(at);
    }
}

enum cursor_type cursor_peek(const struct cursor *cursor)
{
    uint8_t head;

    if (cursor->at == cursor->end)
        return CURSOR_END;
    head = *cursor->at;
    if (head < 0x80 || head >= 0xe0)
        return CURSOR_INTEGER;
    if (head < 0x90)
        return CURSOR_MAP;
    if (head < 0xa0)
        return CURSOR_ARRAY;
    if (head < 0xc0)
        return CURSOR_TEXT;
    if (head >= 0xcc && head <= 0xd3)
        return CURSOR_INTEGER;
    if (head >= 0xc4 && head <= 0xc6)
        return CURSOR_BLOB;
    switch (head) {
    case 0xc0:
        return CURSOR_NIL;
    case 0xc2:
    case 0xc3:
        return CURSOR_BOOL;
    case 0xcb:
        return CURSOR_REAL;
    case 0xd9:
    case 0xda:
    case 0xdb:
        return CURSOR_TEXT;
    case 0xdc:
    case 0xdd:
        return CURSOR_ARRAY;
    case 0xde:
    case 0xdf:
        return CURSOR_MAP;
    default:
        return CURSOR_OTHER;
    }
}

uint32_t cursor_array(struct cursor *cursor)
{
    uint8_t head = cursor_head(cursor);
    uint64_t count = 0;

    if (head >= 0x90 && head < 0xa0)
        count = head & 0x0f;
    else if (head == 0xdc || head == 0xdd)
        count = cursor_number(cursor, head == 0xdc ? 1 : 2);
    else
        cursor_fail(cursor);
    if (count > cursor_left(cursor)) {
        cursor_fail(cursor);
        return 0;
    }
    return (uint32_t)count;
}

/* Sign-extend the 1 << @width bytes of @number. */
static int64_t cursor_extend(uint64_t number, unsigned width)
{
    uint64_t sign = (uint64_t)1 << ((8u << width) - 1);

    return (int64_t)((number ^ sign) - sign);
}

/* An integer of any width; @negative tells how to read its 64 bits. */
static uint64_t cursor_integer(struct cursor *cursor, bool *negative)
{
    uint8_t head = cursor_head(cursor);
    int64_t number;

    *negative = false;
    if (head < 0x80)
        return head;
    if (head >= 0xcc && head <= 0xcf)
        return cursor_number(cursor, head - 0xccu);
    if (head >= 0xe0) {
        number = cursor_extend(head, 0);
    } else if (head >= 0xd0 && head <= 0xd3) {
        number =
            cursor_extend(cursor_number(cursor, head - 0xd0u), head - 0xd0u);
    } else {
        cursor_fail(cursor);
        return 0;
    }
    *negative = number < 0;
    return (uint64_t)number;
}

uint64_t cursor_u64(struct cursor *cursor)
{
    bool negative;
    uint64_t number = cursor_integer(cursor, &negative);

    if (negative)
        cursor_fail(cursor);
    return cursor->error == GV_OK ? number : 0;
}

int64_t cursor_i64(struct cursor *cursor)
{
    bool negative;
    uint64_t number = cursor_integer(cursor, &negative);

    if (!negative && number > INT64_MAX)
        cursor_fail(cursor);
    return cursor->error == GV_OK ? (int64_t)number : 0;
}

bool cursor_bool(struct cursor *cursor)
{
    uint8_t head = cursor_head(cursor);

    if (head != 0xc2 && head != 0xc3)
        cursor_fail(cursor);
    return head == 0xc3;
}

void cursor_nil(struct cursor *cursor)
{
    if (cursor_head(cursor) != 0xc0)
        cursor_fail(cursor);
}

double cursor_real(struct cursor *cursor)
{
    uint64_t bits = 0;
    double real;

    if (cursor_head(cursor) == 0xcb)
        bits = cursor_number(cursor, 3);
    else
        cursor_fail(cursor);
    memcpy(&real, &bits, sizeof(real));
    return real;
}

/* The @size bytes of a text or blob; an empty one where there are none. */
static const uint8_t *cursor_body(struct cursor *cursor, uint64_t claimed,
                                  size_t *size)
{
    const uint8_t *at = cursor_take(cursor, claimed);

    *size = cursor->error == GV_OK ? (size_t)claimed : 0;
    return at != NULL ? at : (const uint8_t *)"";
}

const uint8_t *cursor_blob(struct cursor *cursor, size_t *size)
{
    uint8_t head = cursor_head(cursor);
    uint64_t claimed = 0;

    if (head >= 0xc4 && head <= 0xc6)
        claimed = cursor_number(cursor, head - 0xc4u);
    else
        cursor_fail(cursor);
    return cursor_body(cursor, claimed, size);
}

const char *cursor_text(struct cursor *cursor, size_t *size)
{
    uint8_t head = cursor_head(cursor);
    uint64_t claimed = 0;

    if (head >= 0xa0 && head < 0xc0)
        claimed = head & 0x1f;
    else if (head >= 0xd9 && head <= 0xdb)
        claimed = cursor_number(cursor, head - 0xd9u);
    else
        cursor_fail(cursor);
    return (const char *)cursor_body(cursor, claimed, size);
}

/* Read a map's head; returns how many objects follow. */
static uint64_t cursor_map(struct cursor *cursor)
{
    uint8_t head = cursor_head(cursor);
    uint64_t pairs;

    if (head < 0x90)
        pairs = head & 0x0f;
    else
        pairs = cursor_number(cursor, head == 0xde ? 1 : 2);
    if (pairs > cursor_left(cursor) / 2)
        cursor_fail(cursor);
    return cursor->error == GV_OK ? pairs * 2 : 0;
}

/* Skip an extension (a type byte and its bytes) or a float 32. */
static void cursor_skip_other(struct cursor *cursor)
{
    uint8_t head = cursor_head(cursor);

    if (head == 0xca)
        cursor_take(cursor, 4);
    else if (head >= 0xd4 && head <= 0xd8)
        cursor_take(cursor, 1 + ((uint64_t)1 << (head - 0xd4)));
    else if (head >= 0xc7 && head <= 0xc9)
        cursor_take(cursor, 1 + cursor_number(cursor, head - 0xc7u));
    else
        cursor_fail(cursor);
}

static void cursor_skip_nested(struct cursor *cursor, unsigned depth);

/* Each element takes a byte at least, so the loop ends with the bytes. */
static void cursor_skip_all(struct cursor *cursor, uint64_t count,
                            unsigned depth)
{
    if (depth == CURSOR_DEPTH_MAX)
        cursor_fail(cursor);
    for (uint64_t i = 0; i < count && cursor->error == GV_OK; i++)
        cursor_skip_nested(cursor, depth + 1);
}

/* @depth is the number of arrays and maps around the object. */
static void cursor_skip_nested(struct cursor *cursor, unsigned depth)
{
    bool negative;
    size_t size;

    switch (cursor_peek(cursor)) {
    case CURSOR_NIL:
    case CURSOR_BOOL:
        cursor->at++;
        return;
    case CURSOR_INTEGER:
        cursor_integer(cursor, &negative);
        return;
    case CURSOR_REAL:
        cursor_real(cursor);
        return;
    case CURSOR_TEXT:
        cursor_text(cursor, &size);
        return;
    case CURSOR_BLOB:
        cursor_blob(cursor, &size);
        return;
    case CURSOR_ARRAY:
        cursor_skip_all(cursor, cursor_array(cursor), depth);
        return;
    case CURSOR_MAP:
        cursor_skip_all(cursor, cursor_map(cursor), depth);
        return;
    case CURSOR_OTHER:
        cursor_skip_other(cursor);
        return;
    case CURSOR_END:
        cursor_fail(cursor);
        return;
    }
}

void cursor_skip(struct cursor *cursor)
{
    cursor_skip_nested(cursor, 0);
}
