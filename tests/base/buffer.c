#include "base/buffer.h"
#include "check.h"
#include "grapevine.h"

TEST(a_new_buffer_is_empty_and_closes)
{
    struct buffer buffer;

    buffer_init(&buffer, 10);
    CHECK(buffer.data == NULL);
    CHECK_INT(buffer.size, ==, 0);
    CHECK_INT(buffer.error, ==, GV_OK);
    buffer_close(&buffer);
}

TEST(appends_stand_one_behind_the_other)
{
    static const uint8_t expected[] = {'a', 'b', 7, 1, 2, 3, 4, 8,
                                       9,   0,   1, 2, 3, 4, 5};
    struct buffer buffer;

    buffer_init(&buffer, 100);
    CHECK_INT(buffer_append(&buffer, "ab", 2), ==, GV_OK);
    CHECK_INT(buffer_append_u8(&buffer, 7), ==, GV_OK);
    CHECK_INT(buffer_append_u32(&buffer, 0x01020304), ==, GV_OK);
    CHECK_INT(buffer_append_u64(&buffer, UINT64_C(0x0809000102030405)), ==,
              GV_OK);
    CHECK_INT(buffer.size, ==, sizeof(expected));
    CHECK(memcmp(buffer.data, expected, sizeof(expected)) == 0);
    buffer_close(&buffer);
}

TEST(many_appends_keep_what_was_there)
{
    struct buffer buffer;

    buffer_init(&buffer, 1000000);
    for (uint32_t i = 0; i < 100000; i++)
        CHECK_INT(buffer_append_u32(&buffer, i), ==, GV_OK);
    for (uint32_t i = 0; i < 100000; i++)
        CHECK_INT(load_u32(buffer.data + 4 * (size_t)i), ==, i);
    buffer_close(&buffer);
}

TEST(the_limit_can_be_reached_and_not_passed)
{
    struct buffer buffer;

    buffer_init(&buffer, 5);
    CHECK_INT(buffer_append(&buffer, "12345", 5), ==, GV_OK);
    CHECK_INT(buffer_append_u8(&buffer, 'x'), ==, GV_ELIMIT);
    CHECK_INT(buffer.size, ==, 5);
    buffer_close(&buffer);
}

TEST(the_first_error_sticks_until_the_buffer_is_cleared)
{
    struct buffer buffer;

    buffer_init(&buffer, 5);
    CHECK_INT(buffer_append(&buffer, "1234567", 7), ==, GV_ELIMIT);
    CHECK_INT(buffer_append_u8(&buffer, 'x'), ==, GV_ELIMIT);
    CHECK(buffer_extend(&buffer, 1) == NULL);
    CHECK_INT(buffer.size, ==, 0);
    buffer_clear(&buffer);
    CHECK_INT(buffer_append_u8(&buffer, 'x'), ==, GV_OK);
    CHECK_INT(buffer.size, ==, 1);
    buffer_close(&buffer);
}

TEST(a_size_that_would_wrap_is_over_the_limit)
{
    struct buffer buffer;

    buffer_init(&buffer, SIZE_MAX / 2);
    CHECK_INT(buffer_append_u8(&buffer, 'x'), ==, GV_OK);
    CHECK(buffer_extend(&buffer, SIZE_MAX) == NULL);
    CHECK_INT(buffer.error, ==, GV_ELIMIT);
    CHECK_INT(buffer.size, ==, 1);
    buffer_close(&buffer);
}

TEST(nothing_can_be_appended_from_nowhere)
{
    struct buffer buffer;

    buffer_init(&buffer, 5);
    CHECK_INT(buffer_append(&buffer, NULL, 0), ==, GV_OK);
    CHECK(buffer_extend(&buffer, 0) != NULL);
    CHECK_INT(buffer.size, ==, 0);
    buffer_close(&buffer);
}

TEST(extend_gives_bytes_to_fill)
{
    struct buffer buffer;
    uint8_t *bytes;

    buffer_init(&buffer, 1000);
    buffer_append(&buffer, "head", 4);
    bytes = buffer_extend(&buffer, 900);
    CHECK(bytes == buffer.data + 4);
    memset(bytes, 'x', 900);
    CHECK_INT(buffer.size, ==, 904);
    CHECK(memcmp(buffer.data, "head", 4) == 0);
    buffer_close(&buffer);
}

TEST(loads_and_stores_are_big_endian)
{
    uint8_t bytes[8];

    store_u32(bytes, 0x80ff0102);
    CHECK(memcmp(bytes, "\x80\xff\x01\x02", 4) == 0);
    CHECK(load_u32(bytes) == 0x80ff0102);
    store_u64(bytes, UINT64_C(0xfedcba9876543210));
    CHECK(memcmp(bytes, "\xfe\xdc\xba\x98\x76\x54\x32\x10", 8) == 0);
    CHECK(load_u64(bytes) == UINT64_C(0xfedcba9876543210));
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
