#include "wire/value.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "grapevine.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The class byte, and eight bytes of an integer or a real. */
#define VALUE_FIXED_SIZE 9

static uint64_t real_bits(double real)
{
    uint64_t bits;

    memcpy(&bits, &real, sizeof(bits));
    return bits;
}

static void value_store_fixed(const struct value *value,
                              uint8_t bytes[VALUE_FIXED_SIZE])
{
    bytes[0] = (uint8_t)value->class;
    store_u64(bytes + 1, value->class == VALUE_INTEGER
                             ? (uint64_t)value->integer
                             : real_bits(value->real));
}

uint64_t value_digest(const struct value *value)
{
    uint8_t bytes[VALUE_FIXED_SIZE];

    switch (value->class) {
    case VALUE_NULL:
        bytes[0] = VALUE_NULL;
        return hash64(bytes, 1);
    case VALUE_INTEGER:
    case VALUE_REAL:
        value_store_fixed(value, bytes);
        return hash64(bytes, sizeof(bytes));
    case VALUE_TEXT:
    case VALUE_BLOB:
        break;
    }
    return hash64_tagged((uint8_t)value->class, value->bytes, value->size);
}

bool value_equal(const struct value *a, const struct value *b)
{
    if (a->class != b->class)
        return false;
    switch (a->class) {
    case VALUE_NULL:
        return true;
    case VALUE_INTEGER:
        return a->integer == b->integer;
    case VALUE_REAL:
        return real_bits(a->real) == real_bits(b->real);
    case VALUE_TEXT:
    case VALUE_BLOB:
        break;
    }
    return a->size == b->size &&
           (a->size == 0 || memcmp(a->bytes, b->bytes, a->size) == 0);
}

/* Whether @real is exactly an int64.  -2^63 is one, 2^63 is none; the bounds
 * are exact doubles, and what lies between them converts without fault. */
static bool real_is_integer(double real, int64_t *integer)
{
    if (!(real >= -9223372036854775808.0 && real < 9223372036854775808.0))
        return false;
    *integer = (int64_t)real;
    return real == (double)*integer;
}

static void key_append_fixed(struct buffer *buffer, const struct value *value)
{
    struct value canonical = *value;
    uint8_t bytes[4 + VALUE_FIXED_SIZE];

    if (value->class == VALUE_REAL &&
        real_is_integer(value->real, &canonical.integer))
        canonical.class = VALUE_INTEGER;
    store_u32(bytes, VALUE_FIXED_SIZE);
    value_store_fixed(&canonical, bytes + 4);
    buffer_append(buffer, bytes, sizeof(bytes));
}

int key_append(struct buffer *buffer, const struct value *value)
{
    switch (value->class) {
    case VALUE_NULL:
        buffer_append_u32(buffer, 1);
        return buffer_append_u8(buffer, VALUE_NULL);
    case VALUE_INTEGER:
    case VALUE_REAL:
        key_append_fixed(buffer, value);
        return buffer->error;
    case VALUE_TEXT:
    case VALUE_BLOB:
        break;
    }
    GV_ASSERT(value->size < UINT32_MAX);
    buffer_append_u32(buffer, (uint32_t)(value->size + 1));
    buffer_append_u8(buffer, (uint8_t)value->class);
    return buffer_append(buffer, value->bytes, value->size);
}

/* Decode the @size canonical bytes of one column of a key. */
static int key_decode(const uint8_t *bytes, size_t size, struct value *value)
{
    struct value decoded = {.class = VALUE_NULL};
    uint64_t bits;

    switch (bytes[0]) {
    case VALUE_NULL:
        if (size != 1)
            return GV_EPROTO;
        break;
    case VALUE_INTEGER:
    case VALUE_REAL:
        if (size != VALUE_FIXED_SIZE)
            return GV_EPROTO;
        bits = load_u64(bytes + 1);
        decoded.class = (enum value_class)bytes[0];
        decoded.integer = (int64_t)bits;
        if (decoded.class == VALUE_INTEGER)
            break;
        memcpy(&decoded.real, &bits, sizeof(bits));
        if (real_is_integer(decoded.real, &decoded.integer))
            return GV_EPROTO;
        decoded.integer = 0;
        break;
    case VALUE_TEXT:
    case VALUE_BLOB:
        decoded.class = (enum value_class)bytes[0];
        decoded.bytes = bytes + 1;
        decoded.size = size - 1;
        break;
    default:
        return GV_EPROTO;
    }
    *value = decoded;
    return GV_OK;
}

int key_next(const uint8_t *key, size_t size, size_t *offset,
             struct value *value)
{
    const uint8_t *at = key + *offset;
    size_t left = size - *offset;
    uint32_t column_size;
    int rc;

    GV_ASSERT(*offset <= size);
    if (left < 4)
        return GV_EPROTO;
    column_size = load_u32(at);
    if (column_size < 1 || column_size > left - 4)
        return GV_EPROTO;
    rc = key_decode(at + 4, column_size, value);
    if (rc == GV_OK)
        *offset += 4 + (size_t)column_size;
    return rc;
}

/* Text that is cut when it is full. */
struct key_text {
    char *bytes;
    size_t size; /* without the NUL */
    size_t used;
    bool cut;
};

static void key_text_append(struct key_text *text, const char *bytes,
                            size_t size)
{
    size_t left = text->size - text->used;

    if (size > left) {
        text->cut = true;
        size = left;
    }
    if (size > 0)
        memcpy(text->bytes + text->used, bytes, size);
    text->used += size;
}

static void key_text_format(struct key_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void key_text_format(struct key_text *text, const char *format, ...)
{
    char piece[64];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(piece, sizeof(piece), format, arguments);
    va_end(arguments);
    key_text_append(text, piece, strlen(piece));
}

static void key_format_hex(struct key_text *text, const struct value *value)
{
    key_text_append(text, "x'", 2);
    for (size_t i = 0; i < value->size && !text->cut; i++)
        key_text_format(text, "%02x", value->bytes[i]);
    key_text_append(text, "'", 1);
}

/* A text that a terminal or JSON cannot hold is shown by its bytes. */
static void key_format_text(struct key_text *text, const struct value *value)
{
    const char *bytes = (const char *)value->bytes;

    if (!utf8_printable(bytes, value->size)) {
        key_text_append(text, "CAST(", 5);
        key_format_hex(text, value);
        key_text_append(text, " AS TEXT)", 9);
        return;
    }
    key_text_append(text, "'", 1);
    for (size_t i = 0; i < value->size && !text->cut; i++)
        key_text_append(text, bytes[i] == '\'' ? "''" : &bytes[i],
                        bytes[i] == '\'' ? 2 : 1);
    key_text_append(text, "'", 1);
}

/* SQL has no literal for infinity but a number that is too large, and digits
 * alone are an integer. */
static void key_format_real(struct key_text *text, double real)
{
    char digits[40];

    snprintf(digits, sizeof(digits), "%.17g", real);
    if (strstr(digits, "inf") != NULL)
        key_text_format(text, real < 0 ? "-9e999" : "9e999");
    else
        key_text_format(text, "%s%s", digits,
                        strpbrk(digits, ".e") == NULL ? ".0" : "");
}

static void key_format_value(struct key_text *text, const struct value *value)
{
    switch (value->class) {
    case VALUE_NULL:
        key_text_append(text, "NULL", 4);
        return;
    case VALUE_INTEGER:
        key_text_format(text, "%" PRId64, value->integer);
        return;
    case VALUE_REAL:
        key_format_real(text, value->real);
        return;
    case VALUE_TEXT:
        key_format_text(text, value);
        return;
    case VALUE_BLOB:
        key_format_hex(text, value);
        return;
    }
}

/* Make room for the ellipsis between two characters. */
static void key_text_end(struct key_text *text)
{
    static const char ellipsis[] = "…";
    size_t size = sizeof(ellipsis) - 1;

    if (text->cut) {
        if (size > text->size)
            size = text->size;
        text->used = text->size - size;
        while (text->used > 0 &&
               ((uint8_t)text->bytes[text->used] & 0xc0) == 0x80)
            text->used--;
        if (size == sizeof(ellipsis) - 1) {
            memcpy(text->bytes + text->used, ellipsis, size);
            text->used += size;
        }
    }
    text->bytes[text->used] = '\0';
}

void key_format(const uint8_t *key, size_t key_size, char *text, size_t size)
{
    struct key_text out = {text, size - 1, 0, false};
    struct value value;
    size_t offset = 0;

    GV_ASSERT(size > 0);
    while (offset < key_size && !out.cut) {
        if (offset > 0)
            key_text_append(&out, ", ", 2);
        if (key_next(key, key_size, &offset, &value) != GV_OK) {
            key_text_append(&out, "?", 1);
            break;
        }
        key_format_value(&out, &value);
    }
    key_text_end(&out);
}

void value_format(const struct value *value, char *text, size_t size)
{
    struct key_text out = {text, size - 1, 0, false};

    GV_ASSERT(size > 0);
    key_format_value(&out, value);
    key_text_end(&out);
}
