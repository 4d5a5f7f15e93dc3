#include "base/hash.h"
#include "base/random.h"
#include "check.h"

/* These constants stand in every file and on every wire: a change of them is
 * a change of the format. */

TEST(hash64_is_what_the_format_says)
{
    CHECK(hash64("", 0) == UINT64_C(0x21712e6e65928eb4));
    CHECK(hash64("grapevine", 9) == UINT64_C(0x57cc329c0c672540));
    CHECK(hash64("0123456789abcdef", 16) == UINT64_C(0x957f30074a7e631c));
}

TEST(hash128_is_what_the_format_says)
{
    struct hash128 empty = {UINT64_C(0x831d5f78d8bf43dc),
                            UINT64_C(0x5e14784bcd4790e0)};
    struct hash128 word = {UINT64_C(0xe7b4eacebc4a994a),
                           UINT64_C(0x24fec88653f942d7)};

    CHECK(hash128_equal(hash128("", 0), empty));
    CHECK(hash128_equal(hash128("grapevine", 9), word));
}

TEST(a_tagged_hash_is_the_hash_of_the_tag_and_the_bytes)
{
    struct random random;
    uint8_t bytes[601];

    random_seed(&random, 1);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)random_u64(&random);
    for (size_t size = 0; size < sizeof(bytes); size++) {
        bytes[0] = (uint8_t)size;
        CHECK(hash64_tagged(bytes[0], bytes + 1, size) ==
              hash64(bytes, size + 1));
    }
}

/* What other programs say of XXH64 with seed 0. */
TEST(a_hash_of_a_block_is_xxh64)
{
    static const char text[] = "Nobody inspects the spammish repetition";

    CHECK(hash64_block("", 0) == UINT64_C(0xef46db3751d8e999));
    CHECK(hash64_block("a", 1) == UINT64_C(0xd24ec4f1a98c6e5b));
    CHECK(hash64_block("abc", 3) == UINT64_C(0x44bc2cf5ad770999));
    CHECK(hash64_block("xxhash", 6) == UINT64_C(0x32dd38952c4bc720));
    CHECK(hash64_block(text, strlen(text)) == UINT64_C(0xfbcea83c8a378bf1));
}

TEST(a_hash_of_a_block_depends_on_each_bit)
{
    uint8_t bytes[150] = {0};

    for (size_t size = 1; size <= sizeof bytes; size++) {
        uint64_t before = hash64_block(bytes, size);

        for (size_t bit = 0; bit < 8 * size; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            CHECK(hash64_block(bytes, size) != before);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        CHECK(hash64_block(bytes, size) == before);
    }
}

TEST(sums_carry_and_borrow)
{
    struct hash128 one = {0, 1}, carry = {1, 0};
    struct hash128 low = {0, UINT64_MAX}, all = {UINT64_MAX, UINT64_MAX};
    struct hash128 zero = {0, 0};

    CHECK(hash128_equal(hash128_add(low, one), carry));
    CHECK(hash128_equal(hash128_subtract(carry, one), low));
    CHECK(hash128_equal(hash128_add(all, one), zero));
    CHECK(hash128_equal(hash128_subtract(zero, one), all));
    CHECK(!hash128_equal(one, carry));
    CHECK(!hash128_equal(one, zero));
}

TEST(a_sum_does_not_depend_on_the_order)
{
    struct hash128 sum = {0, 0};

    for (int i = 0; i < 1000; i++)
        sum = hash128_add(sum, hash128(&i, sizeof(i)));
    for (int i = 999; i >= 0; i -= 2)
        sum = hash128_subtract(sum, hash128(&i, sizeof(i)));
    for (int i = 0; i < 1000; i += 2)
        sum = hash128_subtract(sum, hash128(&i, sizeof(i)));
    CHECK(sum.high == 0 && sum.low == 0);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
