/* Values and keys as bytes: a class, then what tells two of the class apart.
 * Of long ones the size and a hash. */
#include "names.h"

#include "base/assert.h"
#include "base/buffer.h"
#include "base/hash.h"

#include <stdio.h>
#include <string.h>

#define SHORT_SIZE_MAX 64
#define BYTES_MAX (1 + SHORT_SIZE_MAX + 8)

enum {
    CLASS_NULL = 'n',
    CLASS_INTEGER = 'i',
    CLASS_REAL = 'r',
    CLASS_TEXT = 't',
    CLASS_BLOB = 'b',
    CLASS_LONG_TEXT = 'T',
    CLASS_LONG_BLOB = 'B'
};

void names_init(struct names *names)
{
    *names = (struct names){0};
}

void names_close(struct names *names)
{
    intern_close(&names->rows);
    intern_close(&names->values);
}

static size_t encode_bytes(const struct datum *datum, uint8_t *bytes)
{
    bool text = datum->type == SQLITE_TEXT;
    struct hash128 hash;

    if (datum->size <= SHORT_SIZE_MAX) {
        bytes[0] = text ? CLASS_TEXT : CLASS_BLOB;
        if (datum->size > 0)
            memcpy(bytes + 1, datum->bytes, datum->size);
        return 1 + datum->size;
    }
    hash = hash128(datum->bytes, datum->size);
    bytes[0] = text ? CLASS_LONG_TEXT : CLASS_LONG_BLOB;
    store_u64(bytes + 1, datum->size);
    store_u64(bytes + 9, hash.high);
    store_u64(bytes + 17, hash.low);
    return 25;
}

static size_t encode(const struct datum *datum, bool key, uint8_t *bytes)
{
    double real = datum->real;
    uint64_t bits;

    switch (datum->type) {
    case SQLITE_NULL:
        bytes[0] = CLASS_NULL;
        return 1;
    case SQLITE_INTEGER:
        bytes[0] = CLASS_INTEGER;
        store_u64(bytes + 1, (uint64_t)datum->integer);
        return 9;
    case SQLITE_FLOAT:
        /* SQLite calls 1 and 1.0 one key. */
        if (key && real >= -9223372036854775808.0 &&
            real < 9223372036854775808.0 &&
            (double)(sqlite3_int64)real == real) {
            bytes[0] = CLASS_INTEGER;
            store_u64(bytes + 1, (uint64_t)(sqlite3_int64)real);
            return 9;
        }
        bytes[0] = CLASS_REAL;
        memcpy(&bits, &real, sizeof bits);
        store_u64(bytes + 1, bits);
        return 9;
    default:
        return encode_bytes(datum, bytes);
    }
}

uint32_t names_value(struct names *names, const struct datum *datum)
{
    uint8_t bytes[BYTES_MAX];
    size_t size = encode(datum, false, bytes);

    return intern_number(&names->values, bytes, size);
}

bool names_row(struct names *names, size_t table, const struct datum *keys,
               size_t count, uint32_t *row)
{
    uint8_t bytes[1 + TABLE_KEYS_MAX * (1 + BYTES_MAX)];
    size_t used = 1;

    bytes[0] = (uint8_t)table;
    for (size_t i = 0; i < count; i++) {
        size_t size;

        if (keys[i].type == SQLITE_NULL)
            return false; /* stays in its file */
        size = encode(&keys[i], true, bytes + used + 1);
        bytes[used] = (uint8_t)size;
        used += 1 + size;
    }
    *row = intern_number(&names->rows, bytes, used);
    return true;
}

size_t names_table(const struct names *names, uint32_t row)
{
    size_t size;

    return intern_bytes(&names->rows, row, &size)[0];
}

bool names_datum(const struct names *names, uint32_t value,
                 struct datum *datum)
{
    size_t size;
    const uint8_t *bytes = intern_bytes(&names->values, value, &size);
    uint64_t bits;

    *datum = (struct datum){.type = SQLITE_NULL};
    switch (bytes[0]) {
    case CLASS_NULL:
        return true;
    case CLASS_INTEGER:
        datum->type = SQLITE_INTEGER;
        datum->integer = (sqlite3_int64)load_u64(bytes + 1);
        return true;
    case CLASS_REAL:
        datum->type = SQLITE_FLOAT;
        bits = load_u64(bytes + 1);
        memcpy(&datum->real, &bits, sizeof bits);
        return true;
    case CLASS_TEXT:
    case CLASS_BLOB:
        datum->type = bytes[0] == CLASS_TEXT ? SQLITE_TEXT : SQLITE_BLOB;
        datum->bytes = (const char *)bytes + 1;
        datum->size = size - 1;
        return true;
    default:
        return false;
    }
}

uint64_t names_long(const struct names *names, uint32_t value)
{
    size_t size;
    const uint8_t *bytes = intern_bytes(&names->values, value, &size);

    return bytes[0] == CLASS_LONG_TEXT || bytes[0] == CLASS_LONG_BLOB
               ? load_u64(bytes + 1)
               : 0;
}

int64_t names_integer(const struct names *names, uint32_t value)
{
    size_t size;
    const uint8_t *bytes = intern_bytes(&names->values, value, &size);

    return bytes[0] == CLASS_INTEGER ? (int64_t)load_u64(bytes + 1) : 0;
}

/* Text */

static size_t format_text(const uint8_t *bytes, size_t size, char *text,
                          size_t room)
{
    size_t used = (size_t)snprintf(text, room, "t");

    for (size_t i = 0; i < size && used + 4 < room; i++) {
        bool plain = bytes[i] > 0x20 && bytes[i] < 0x7f && bytes[i] != '%' &&
                     bytes[i] != '"' && bytes[i] != '\\' && bytes[i] != '|';

        used += (size_t)snprintf(text + used, room - used,
                                 plain ? "%c" : "%%%02x", bytes[i]);
    }
    return used;
}

static size_t format(const uint8_t *bytes, size_t size, char *text,
                     size_t room)
{
    uint64_t bits;
    double real;
    size_t used;

    switch (bytes[0]) {
    case CLASS_NULL:
        return (size_t)snprintf(text, room, "null");
    case CLASS_INTEGER:
        return (size_t)snprintf(text, room, "i%lld",
                                (long long)load_u64(bytes + 1));
    case CLASS_REAL:
        bits = load_u64(bytes + 1);
        memcpy(&real, &bits, sizeof real);
        return (size_t)snprintf(text, room, "r%a", real);
    case CLASS_TEXT:
        return format_text(bytes + 1, size - 1, text, room);
    case CLASS_BLOB:
        used = (size_t)snprintf(text, room, "b");
        for (size_t i = 1; i < size; i++)
            used +=
                (size_t)snprintf(text + used, room - used, "%02x", bytes[i]);
        return used;
    default:
        return (size_t)snprintf(text, room, "%c%llu:%016llx%016llx", bytes[0],
                                (unsigned long long)load_u64(bytes + 1),
                                (unsigned long long)load_u64(bytes + 9),
                                (unsigned long long)load_u64(bytes + 17));
    }
}

void names_format_value(const struct names *names, uint32_t value, char *text,
                        size_t size)
{
    size_t length;
    const uint8_t *bytes = intern_bytes(&names->values, value, &length);

    GV_ASSERT(size >= NAMES_VALUE_SIZE);
    format(bytes, length, text, size);
}

void names_format_key(const struct names *names, uint32_t row, char *text,
                      size_t size)
{
    size_t length, used = 0;
    const uint8_t *bytes = intern_bytes(&names->rows, row, &length);

    GV_ASSERT(size >= NAMES_KEY_SIZE);
    for (size_t at = 1; at < length; at += 1 + bytes[at]) {
        if (at > 1)
            text[used++] = '|';
        used += format(bytes + at + 1, bytes[at], text + used, size - used);
    }
}
