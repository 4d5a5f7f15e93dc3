#include "wire/value.h"

#include "bytes.h"
#include "check.h"
#include "grapevine.h"

#include <math.h>

static struct value integer(int64_t number)
{
    return (struct value){.class = VALUE_INTEGER, .integer = number};
}

static struct value real(double number)
{
    return (struct value){.class = VALUE_REAL, .real = number};
}

static struct value real_of_bits(uint64_t bits)
{
    struct value value = {.class = VALUE_REAL};

    memcpy(&value.real, &bits, sizeof(bits));
    return value;
}

static struct value bytes_of(enum value_class class, const char *bytes,
                             size_t size)
{
    return (struct value){
        .class = class, .bytes = (const uint8_t *)bytes, .size = size};
}

static struct value text(const char *string)
{
    return bytes_of(VALUE_TEXT, string, strlen(string));
}

static uint64_t digest(struct value value)
{
    return value_digest(&value);
}

/* Computed by another implementation of SipHash.  They stand in every file:
 * a change of them is a change of the format. */
TEST(digests_are_what_the_format_says)
{
    struct value null = {.class = VALUE_NULL};

    CHECK(digest(null) == UINT64_C(0x45414e6dc2673913));
    CHECK(digest(integer(0)) == UINT64_C(0xb8e18359a1402c13));
    CHECK(digest(integer(-1)) == UINT64_C(0x83c296538215b429));
    CHECK(digest(real(1.5)) == UINT64_C(0x62ac352da9bd3f67));
    CHECK(digest(real(-0.0)) == UINT64_C(0x278fbdd5720f4b74));
    CHECK(digest(text("")) == UINT64_C(0x8504ff4f2f1ff6e2));
    CHECK(digest(text("ann")) == UINT64_C(0x5ecc5c5db6736e45));
    CHECK(digest(bytes_of(VALUE_BLOB, "\0\xff", 2)) ==
          UINT64_C(0xd0193c882e4fe8b2));
    CHECK(digest(bytes_of(VALUE_BLOB, NULL, 0)) ==
          UINT64_C(0x9a7a83f03ed19e1a));
}

TEST(values_that_differ_in_class_or_bits_differ)
{
    struct value values[] = {
        {.class = VALUE_NULL},
        integer(0),
        integer(1),
        integer(INT64_MIN),
        integer(INT64_MAX),
        real(0.0),
        real(-0.0),
        real(1.0),
        real_of_bits(1),
        real_of_bits(UINT64_C(0x7ff8000000000000)),
        real_of_bits(UINT64_C(0x7ff8000000000001)),
        real(INFINITY),
        text(""),
        text("a"),
        bytes_of(VALUE_TEXT, "a\0", 2),
        bytes_of(VALUE_TEXT, "a\0b", 3),
        bytes_of(VALUE_TEXT, "\xff", 1),
        bytes_of(VALUE_BLOB, "", 0),
        bytes_of(VALUE_BLOB, "a", 1),
    };
    size_t count = sizeof(values) / sizeof(*values);

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            CHECK_INT(value_equal(&values[i], &values[j]), ==, i == j);
            CHECK_INT(digest(values[i]) == digest(values[j]), ==, i == j);
        }
    }
}

TEST(equal_bytes_elsewhere_are_equal)
{
    char copy[] = "name";
    struct value a = text("name"), b = text(copy);

    CHECK(value_equal(&a, &b));
    CHECK(digest(a) == digest(b));
}

static bool key_is(struct value value, const char *bytes, size_t size)
{
    struct buffer buffer;
    bool same;

    buffer_init(&buffer, 1000);
    CHECK_INT(key_append(&buffer, &value), ==, GV_OK);
    same = buffer.size == size && memcmp(buffer.data, bytes, size) == 0;
    buffer_close(&buffer);
    return same;
}

TEST(keys_are_what_the_format_says)
{
    CHECK(key_is(integer(1), "\0\0\0\x09\1\0\0\0\0\0\0\0\1", 13));
    CHECK(key_is(integer(-2), "\0\0\0\x09\1\xff\xff\xff\xff\xff\xff\xff\xfe",
                 13));
    CHECK(key_is(real(1.5), "\0\0\0\x09\2\x3f\xf8\0\0\0\0\0\0", 13));
    CHECK(key_is(text("ann"), "\0\0\0\4\3ann", 8));
    CHECK(key_is(text(""), "\0\0\0\1\3", 5));
    CHECK(key_is(bytes_of(VALUE_BLOB, "\0\xff", 2), "\0\0\0\3\4\0\xff", 7));
    CHECK(key_is((struct value){.class = VALUE_NULL}, "\0\0\0\1\0", 5));
}

/* What comes back of a real that was put into a key. */
static struct value through_key(struct value value)
{
    struct buffer buffer;
    struct value back;
    size_t offset = 0;

    buffer_init(&buffer, 1000);
    CHECK_INT(key_append(&buffer, &value), ==, GV_OK);
    CHECK_INT(key_next(buffer.data, buffer.size, &offset, &back), ==, GV_OK);
    CHECK_INT(offset, ==, buffer.size);
    buffer_close(&buffer);
    return back;
}

static bool becomes(double number, int64_t expected)
{
    struct value back = through_key(real(number)), same = integer(expected);

    return value_equal(&back, &same);
}

static bool stays(double number)
{
    struct value back = through_key(real(number)), same = real(number);

    return value_equal(&back, &same);
}

TEST(a_real_that_is_an_integer_is_that_integer_in_a_key)
{
    CHECK(becomes(1.0, 1));
    CHECK(becomes(0.0, 0));
    CHECK(becomes(-0.0, 0));
    CHECK(becomes(-7.0, -7));
    CHECK(becomes(9007199254740992.0, INT64_C(9007199254740992)));
    CHECK(becomes(9007199254740994.0, INT64_C(9007199254740994)));
    CHECK(becomes(9223372036854774784.0, INT64_C(9223372036854774784)));
    CHECK(becomes(-9223372036854775808.0, INT64_MIN));
}

TEST(a_real_that_is_none_stays_one_in_a_key)
{
    CHECK(stays(0.5));
    CHECK(stays(-1.5));
    CHECK(stays(9223372036854775808.0));
    CHECK(stays(-9223372036854777856.0));
    CHECK(stays(1e300));
    CHECK(stays(INFINITY));
    CHECK(stays(-INFINITY));
    CHECK(stays(4.9e-324));
    CHECK(stays(NAN));
}

TEST(a_key_of_many_columns_reads_back)
{
    struct value columns[] = {text("x"), integer(INT64_MIN), text(""),
                              bytes_of(VALUE_BLOB, "\0\0", 2), real(0.1)};
    struct buffer buffer;
    size_t offset = 0;

    buffer_init(&buffer, 1000);
    for (size_t i = 0; i < 5; i++)
        CHECK_INT(key_append(&buffer, &columns[i]), ==, GV_OK);
    for (size_t i = 0; i < 5; i++) {
        struct value back;
        CHECK_INT(key_next(buffer.data, buffer.size, &offset, &back), ==,
                  GV_OK);
        CHECK(value_equal(&back, &columns[i]));
    }
    CHECK_INT(offset, ==, buffer.size);
    buffer_close(&buffer);
}

TEST(bytes_that_are_not_canonical_are_no_key)
{
    static const struct {
        const char *bytes;
        size_t size;
    } wrong[] = {
        {"", 0},
        {"\0\0\0", 3},
        {"\0\0\0\0", 4},
        {"\0\0\0\1", 4},
        {"\0\0\0\2\3", 5},
        {"\xff\xff\xff\xff\3abc", 8},
        {"\0\0\0\1\5", 5},
        {"\0\0\0\2\0\0", 6},
        {"\0\0\0\x08\1\0\0\0\0\0\0\0", 12},
        {"\0\0\0\x0a\1\0\0\0\0\0\0\0\0\0", 14},
        {"\0\0\0\x08\2\0\0\0\0\0\0\0", 12},
        {"\0\0\0\x09\2\x3f\xf0\0\0\0\0\0\0", 13}, /* 1.0 */
        {"\0\0\0\x09\2\x80\0\0\0\0\0\0\0", 13},   /* -0.0 */
        {"\0\0\0\x09\2\xc3\xe0\0\0\0\0\0\0", 13}, /* -2^63 */
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        uint8_t *exact =
            bytes_exact((const uint8_t *)wrong[i].bytes, wrong[i].size);
        struct value value;
        size_t offset = 0;
        CHECK_INT(key_next(exact, wrong[i].size, &offset, &value), ==,
                  GV_EPROTO);
        CHECK_INT(offset, ==, 0);
        free(exact);
    }
}

static const char *shown(const struct value *columns, size_t count,
                         size_t size)
{
    static char *line;
    struct buffer buffer;

    free(line);
    line = malloc(size);
    buffer_init(&buffer, 100000);
    for (size_t i = 0; i < count; i++)
        key_append(&buffer, &columns[i]);
    key_format(buffer.data, buffer.size, line, size);
    buffer_close(&buffer);
    return line;
}

TEST(a_key_is_shown_as_sql_literals)
{
    struct value columns[] = {text("ann"),
                              integer(7),
                              bytes_of(VALUE_BLOB, "\xff\0", 2),
                              real(0.5),
                              {.class = VALUE_NULL},
                              text("it's"),
                              text("é")};

    CHECK_TEXT(shown(columns, 7, 100),
               "'ann', 7, x'ff00', 0.5, NULL, 'it''s', 'é'");
    columns[0] = real(1e300);
    columns[1] = real(9223372036854775808.0);
    columns[2] = real(-INFINITY);
    columns[3] = integer(INT64_MIN);
    columns[4] = real(INFINITY);
    CHECK_TEXT(shown(columns, 5, 100),
               "1.0000000000000001e+300, 9.2233720368547758e+18, -9e999, "
               "-9223372036854775808, 9e999");
}

TEST(text_that_cannot_be_shown_is_shown_by_its_bytes)
{
    struct value value = bytes_of(VALUE_TEXT, "a\0b", 3);

    CHECK_TEXT(shown(&value, 1, 100), "CAST(x'610062' AS TEXT)");
    value = bytes_of(VALUE_TEXT, "\xff\n", 2);
    CHECK_TEXT(shown(&value, 1, 100), "CAST(x'ff0a' AS TEXT)");
}

TEST(a_long_key_is_cut_to_what_fits)
{
    struct value value = text("abcdef");

    CHECK_TEXT(shown(&value, 1, 9), "'abcdef'");
    CHECK_TEXT(shown(&value, 1, 8), "'abc…");
    CHECK_TEXT(shown(&value, 1, 4), "…");
    CHECK_TEXT(shown(&value, 1, 3), "");
    CHECK_TEXT(shown(&value, 1, 1), "");
    value = text("aéé");
    CHECK_TEXT(shown(&value, 1, 7), "'a…");
    CHECK_TEXT(shown(&value, 1, 6), "'a…");
    value = bytes_of(VALUE_BLOB, "0123456789", 10);
    CHECK_TEXT(shown(&value, 1, 10), "x'3031…");
}

TEST(what_is_no_key_is_shown_as_far_as_it_is_one)
{
    char line[50];

    key_format((const uint8_t *)"\0\0\0\2\3ax", 7, line, sizeof(line));
    CHECK_TEXT(line, "'a', ?");
    key_format((const uint8_t *)"", 0, line, sizeof(line));
    CHECK_TEXT(line, "");
}

TEST(mutated_keys_are_read_and_shown_without_fault)
{
    struct value columns[] = {text("ann"), integer(7), real(0.5)};
    struct random random;
    struct buffer buffer;

    random_seed(&random, 5);
    buffer_init(&buffer, 1000);
    for (size_t i = 0; i < 3; i++)
        key_append(&buffer, &columns[i]);
    for (int i = 0; i < 200000; i++) {
        size_t size = buffer.size, offset = 0, room;
        uint8_t *key = bytes_mutated(&random, buffer.data, &size);
        struct value value;
        char *line;

        while (offset < size &&
               key_next(key, size, &offset, &value) == GV_OK) {
            struct value same = through_key(value);
            CHECK_INT(same.class, ==, value.class);
        }
        room = 1 + (size_t)random_below(&random, 40);
        line = malloc(room);
        key_format(key, size, line, room);
        CHECK(strlen(line) < room);
        free(line);
        free(key);
    }
    buffer_close(&buffer);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
