#include "values.h"

#include "base/assert.h"
#include "sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define HUGE_PER_MILLION 8000
#define HUGE_BITS_MIN 12
#define HUGE_BITS_MAX 19 /* with the rest below: a megabyte at most */

static const struct datum plain[] = {
    DATUM_NULL,         DATUM_NULL,         DATUM_INTEGER(0),
    DATUM_INTEGER(1),   DATUM_INTEGER(-1),  DATUM_INTEGER(2),
    DATUM_INTEGER(3),   DATUM_INTEGER(7),   DATUM_INTEGER(1000000),
    DATUM_REAL(1.0),    DATUM_REAL(1.5),    DATUM_REAL(-1.5),
    DATUM_REAL(0.1),    DATUM_TEXT(""),     DATUM_TEXT("a"),
    DATUM_TEXT("x"),    DATUM_TEXT("007"),  DATUM_TEXT("5"),
    DATUM_TEXT("1e3"),  DATUM_TEXT("o'k"),  DATUM_TEXT("longer than most"),
    DATUM_BLOB(""),     DATUM_BLOB("\x00"), DATUM_BLOB("\x00\xff"),
    DATUM_BLOB("blob"),
};

static const struct datum odd_numbers[] = {
    DATUM_REAL(-0.0),
    DATUM_REAL(0.0),
    DATUM_REAL(4.9406564584124654e-324),
    DATUM_REAL(2.2250738585072009e-308),
    DATUM_REAL(1e300),
    DATUM_REAL(1.7976931348623157e308),
    DATUM_REAL(__builtin_inf()),
    DATUM_REAL(-__builtin_inf()),
    DATUM_REAL(9007199254740992.0),
    DATUM_REAL(9223372036854775808.0),
    DATUM_REAL(0.30000000000000004),
    DATUM_INTEGER(9007199254740991),
    DATUM_INTEGER(9007199254740993),
    DATUM_INTEGER(-9007199254740993),
    DATUM_INTEGER(INT64_MAX),
    DATUM_INTEGER(INT64_MIN),
    DATUM_INTEGER(INT32_MIN),
    DATUM_INTEGER((sqlite3_int64)1 << 47),
};

static const struct datum odd_texts[] = {
    DATUM_TEXT("a\0b"),
    DATUM_TEXT("\0"),
    DATUM_TEXT("\xff\x61"),
    DATUM_TEXT("\xed\xa0\x80"),     /* half of a surrogate pair */
    DATUM_TEXT("\xc0\x80"),         /* NUL, overlong */
    DATUM_TEXT("e\xcc\x81"),        /* e and an accent … */
    DATUM_TEXT("\xc3\xa9"),         /* … and both in one */
    DATUM_TEXT("\xef\xbb\xbftext"), /* a byte order mark */
    DATUM_TEXT("\xf0\x9f\x8d\x87"), /* beyond 16 bits */
    DATUM_TEXT("' OR 1=1; --"),
    DATUM_TEXT("9223372036854775808"),
    DATUM_TEXT(" 5"),
};

/* A text or blob of @size bytes, like no other of its length. */
static void make_long(const struct values *values, size_t size,
                      struct datum *datum)
{
    uint64_t mark = random_u64(values->random);
    char digits[17];

    *datum = (struct datum){
        .type = chance(values->random, 500000) ? SQLITE_TEXT : SQLITE_BLOB,
        .size = size,
        .made = malloc(size)};
    GV_ASSERT(datum->made != NULL && size >= 16);
    memset(datum->made, 'z', size);
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)mark);
    memcpy(datum->made, digits, 16);
    datum->bytes = datum->made;
}

static const struct datum *pick(struct random *random,
                                const struct datum *data, size_t count)
{
    return &data[random_below(random, count)];
}

/* Numbers that tell apart who wrote last. */
static void make_distinct(const struct values *values, struct datum *datum)
{
    *datum = (struct datum)DATUM_INTEGER(
        between(values->random, 10000, 1000000000));
}

void values_draw(const struct values *values, struct datum *datum)
{
    struct random *random = values->random;

    if (values->huge && chance(random, HUGE_PER_MILLION)) {
        values->counts->huge++;
        /* The largest ones seldom. */
        int bits = (int)between(random, HUGE_BITS_MIN,
                                between(random, HUGE_BITS_MIN, HUGE_BITS_MAX));

        make_long(values,
                  ((size_t)1 << bits) +
                      random_below(random, (uint64_t)1 << bits),
                  datum);
    } else if (values->odd_numbers && chance(random, 250000)) {
        values->counts->odd_numbers++;
        *datum = *pick(random, odd_numbers, COUNT(odd_numbers));
    } else if (values->odd_text && chance(random, 250000)) {
        values->counts->odd_texts++;
        if (chance(random, 100000))
            make_long(values, 300 + random_below(random, 8000), datum);
        else
            *datum = *pick(random, odd_texts, COUNT(odd_texts));
    } else if (chance(random, 400000)) {
        make_distinct(values, datum);
    } else {
        *datum = *pick(random, plain, COUNT(plain));
    }
}

/* The plain keys of each kind come first, then those of odd text and odd
 * numbers. */
static const struct datum text_keys[] = {
    DATUM_TEXT("a"),   DATUM_TEXT("b"),  DATUM_TEXT("c"), DATUM_TEXT("d"),
    DATUM_TEXT("e"),   DATUM_TEXT("A"),  DATUM_TEXT(""),  DATUM_TEXT("ab"),
    DATUM_INTEGER(7),  DATUM_TEXT("x "), DATUM_BLOB("a"), DATUM_TEXT("x\0"),
    DATUM_TEXT("\xff")};
static const struct datum integer_keys[] = {
    DATUM_INTEGER(1),         DATUM_INTEGER(2),
    DATUM_INTEGER(3),         DATUM_INTEGER(4),
    DATUM_INTEGER(5),         DATUM_INTEGER(6),
    DATUM_INTEGER(0),         DATUM_INTEGER(-1),
    DATUM_INTEGER(-5),        DATUM_INTEGER(INT64_MAX),
    DATUM_INTEGER(INT64_MIN), DATUM_INTEGER((sqlite3_int64)1 << 53)};
static const struct datum blob_keys[] = {
    DATUM_BLOB("a"),    DATUM_BLOB("b"),        DATUM_BLOB("\x00"),
    DATUM_BLOB(""),     DATUM_BLOB("\x00\xff"), DATUM_BLOB("\xff"),
    DATUM_TEXT("a"),    DATUM_INTEGER(1),       DATUM_REAL(1.0),
    DATUM_BLOB("four"), DATUM_BLOB("fifteen"),  DATUM_TEXT("")};
static const struct datum real_keys[] = {
    DATUM_REAL(1.5),    DATUM_INTEGER(1),
    DATUM_REAL(2.25),   DATUM_INTEGER(0),
    DATUM_TEXT("2"),    DATUM_TEXT("z"),
    DATUM_REAL(0.5),    DATUM_REAL(-2.5),
    DATUM_REAL(-0.0),   DATUM_INTEGER(9007199254740993),
    DATUM_REAL(-1e300), DATUM_REAL(0.1),
    DATUM_REAL(1e15)};
static const struct datum untyped_keys[] = {
    DATUM_INTEGER(1),  DATUM_REAL(1.0),
    DATUM_TEXT("1"),   DATUM_BLOB("1"),
    DATUM_INTEGER(0),  DATUM_REAL(1.5),
    DATUM_TEXT(""),    DATUM_BLOB(""),
    DATUM_NULL, /* its row stays in its file */
    DATUM_REAL(-0.0),  DATUM_INTEGER(9007199254740993),
    DATUM_REAL(1e300), DATUM_REAL(9007199254740992.0)};

void values_draw_key(const struct values *values, enum key_kind kind,
                     struct datum *datum)
{
    static const struct {
        const struct datum *keys;
        size_t plain, count;
    } kinds[] = {
        [KEY_TEXT] = {text_keys, 11, COUNT(text_keys)},
        [KEY_INTEGER] = {integer_keys, 9, COUNT(integer_keys)},
        [KEY_BLOB] = {blob_keys, COUNT(blob_keys), COUNT(blob_keys)},
        [KEY_REAL] = {real_keys, 8, COUNT(real_keys)},
        [KEY_UNTYPED] = {untyped_keys, 9, COUNT(untyped_keys)},
    };
    bool hot = chance(values->random, values->hot);
    bool odd = kind == KEY_TEXT ? values->odd_text : values->odd_numbers;
    size_t count = odd ? kinds[kind].count : kinds[kind].plain;

    GV_ASSERT(kind != KEY_NONE);
    values->counts->hot += hot;
    *datum = *pick(values->random, kinds[kind].keys, hot ? 3 : count);
}

void datum_close(struct datum *datum)
{
    free(datum->made);
    *datum = (struct datum)DATUM_NULL;
}

int datum_bind(sqlite3_stmt *statement, int index, const struct datum *datum)
{
    switch (datum->type) {
    case SQLITE_INTEGER:
        return sqlite3_bind_int64(statement, index, datum->integer);
    case SQLITE_FLOAT:
        return sqlite3_bind_double(statement, index, datum->real);
    case SQLITE_TEXT:
        return sqlite3_bind_text64(statement, index, datum->bytes, datum->size,
                                   SQLITE_TRANSIENT, SQLITE_UTF8);
    case SQLITE_BLOB:
        return sqlite3_bind_blob64(statement, index, datum->bytes, datum->size,
                                   SQLITE_TRANSIENT);
    default:
        return sqlite3_bind_null(statement, index);
    }
}

static void format_bytes(const struct datum *datum, char *text, size_t size)
{
    size_t shown = datum->size < 12 ? datum->size : 12, used;

    used =
        (size_t)snprintf(text, size, datum->type == SQLITE_TEXT ? "'" : "x'");
    for (size_t i = 0; i < shown && used + 8 < size; i++) {
        unsigned char byte = (unsigned char)datum->bytes[i];
        bool letter =
            datum->type == SQLITE_TEXT && byte >= 0x20 && byte < 0x7f;

        used += (size_t)snprintf(text + used, size - used,
                                 letter ? "%c" : "\\%02x", byte);
    }
    snprintf(text + used, size - used, datum->size > shown ? "…'" : "'");
}

void datum_format(const struct datum *datum, char *text, size_t size)
{
    switch (datum->type) {
    case SQLITE_INTEGER:
        snprintf(text, size, "%lld", (long long)datum->integer);
        break;
    case SQLITE_FLOAT:
        snprintf(text, size, "%.17g", datum->real);
        break;
    case SQLITE_TEXT:
    case SQLITE_BLOB:
        format_bytes(datum, text, size);
        break;
    default:
        snprintf(text, size, "NULL");
    }
}
