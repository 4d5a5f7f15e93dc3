#include "wire/beacon.h"

#include "base/hash.h"
#include "check.h"

#include <string.h>

static struct beacon sample(void)
{
    struct beacon beacon = {.mesh_mark = beacon_mark("shop"),
                            .instance = 0x1122334455667788,
                            .port = 7401,
                            .name = "till 3, Zürich"};

    for (size_t i = 0; i < sizeof beacon.site.bytes; i++)
        beacon.site.bytes[i] = (uint8_t)(i * 17);
    return beacon;
}

TEST(what_is_encoded_is_decoded)
{
    struct beacon in = sample(), out;
    uint8_t bytes[BEACON_SIZE_MAX];
    size_t size = beacon_encode(&in, bytes);

    CHECK_INT(beacon_decode(bytes, size, &out), ==, GV_OK);
    CHECK(out.mesh_mark == in.mesh_mark);
    CHECK(site_equal(&out.site, &in.site));
    CHECK(out.instance == in.instance);
    CHECK_INT(out.port, ==, in.port);
    CHECK_TEXT(out.name, in.name);
}

TEST(meshes_have_their_own_marks)
{
    CHECK(beacon_mark("shop") != beacon_mark("shoq"));
    CHECK(beacon_mark("") != beacon_mark("shop"));
}

TEST(a_long_name_is_cut_between_characters)
{
    struct beacon in = sample(), out;
    uint8_t bytes[BEACON_SIZE_MAX];
    char name[BEACON_NAME_SIZE_MAX + 10];

    memset(name, 'a', sizeof name);
    memcpy(name + BEACON_NAME_SIZE_MAX - 1, "ü and more", 9);
    name[sizeof name - 1] = '\0';
    beacon_set_name(&in, name);
    CHECK_INT(beacon_decode(bytes, beacon_encode(&in, bytes), &out), ==,
              GV_OK);
    CHECK_INT(strlen(out.name), ==, BEACON_NAME_SIZE_MAX - 1);
}

TEST(no_part_and_no_change_of_it_is_taken)
{
    struct beacon in = sample(), out;
    uint8_t bytes[BEACON_SIZE_MAX];
    size_t size = beacon_encode(&in, bytes);

    for (size_t cut = 0; cut < size; cut++)
        CHECK(beacon_decode(bytes, cut, &out) != GV_OK);
    for (size_t i = 0; i < size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] = (uint8_t)(bytes[i] ^ 1u << bit);
            CHECK(beacon_decode(bytes, size, &out) != GV_OK);
            bytes[i] = (uint8_t)(bytes[i] ^ 1u << bit);
        }
    }
    bytes[size] = 0;
    CHECK_INT(beacon_decode(bytes, size + 1, &out), ==, GV_EPROTO);
}

TEST(a_later_version_is_named_as_one)
{
    struct beacon in = sample(), out;
    uint8_t bytes[BEACON_SIZE_MAX];
    size_t size = beacon_encode(&in, bytes);

    bytes[8] = 2;
    CHECK_INT(beacon_decode(bytes, size, &out), ==, GV_EVERSION);
}

/* Anybody can compute the sum. */
static int decode_forged(uint8_t *bytes, size_t size)
{
    struct beacon out;
    uint64_t sum = hash64(bytes, size - 8);

    for (int i = 0; i < 8; i++)
        bytes[size - 8 + (size_t)i] = (uint8_t)(sum >> (56 - 8 * i));
    return beacon_decode(bytes, size, &out);
}

TEST(a_forged_one_cannot_say_what_none_would)
{
    struct beacon in = sample();
    uint8_t bytes[BEACON_SIZE_MAX];
    size_t size = beacon_encode(&in, bytes);

    CHECK_INT(decode_forged(bytes, size), ==, GV_OK);
    bytes[41] = bytes[42] = 0; /* no port */
    CHECK_INT(decode_forged(bytes, size), ==, GV_EPROTO);
    size = beacon_encode(&in, bytes);
    bytes[43]++; /* a longer name than there is */
    CHECK_INT(decode_forged(bytes, size), ==, GV_EPROTO);
    size = beacon_encode(&in, bytes);
    bytes[44] = '\n'; /* a line of the log that is another's */
    CHECK_INT(decode_forged(bytes, size), ==, GV_EPROTO);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
