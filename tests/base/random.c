#include "base/random.h"
#include "check.h"

/* From the authors' own xoshiro256starstar.c and splitmix64.c: seeds of
 * simulations are worth nothing once these numbers change. */
TEST(the_numbers_of_a_seed_are_known)
{
    struct random random;

    random_seed(&random, 0);
    CHECK(random.state[0] == UINT64_C(0xe220a8397b1dcdaf));
    CHECK(random.state[1] == UINT64_C(0x6e789e6aa1b965f4));
    CHECK(random.state[2] == UINT64_C(0x06c45d188009454f));
    CHECK(random.state[3] == UINT64_C(0xf88bb8a8724c81ec));
    CHECK(random_u64(&random) == UINT64_C(0x99ec5f36cb75f2b4));
    CHECK(random_u64(&random) == UINT64_C(0xbf6e1f784956452a));

    random = (struct random){{1, 2, 3, 4}};
    CHECK(random_u64(&random) == 11520);
    CHECK(random_u64(&random) == 0);
    CHECK(random_u64(&random) == 1509978240);
    CHECK(random_u64(&random) == UINT64_C(1215971899390074240));
}

TEST(another_seed_gives_other_numbers)
{
    struct random a, b;

    random_seed(&a, 1);
    random_seed(&b, 2);
    CHECK(random_u64(&a) != random_u64(&b));
}

TEST(below_stays_below_and_reaches_all)
{
    struct random random;
    int counts[7] = {0};

    random_seed(&random, 3);
    for (int i = 0; i < 70000; i++)
        counts[random_below(&random, 7)]++;
    for (int i = 0; i < 7; i++) {
        CHECK_INT(counts[i], >, 9500);
        CHECK_INT(counts[i], <, 10500);
    }
    CHECK(random_below(&random, 1) == 0);
}

TEST(below_a_huge_bound_is_not_biased)
{
    struct random random;
    uint64_t bound = UINT64_C(3) << 62;
    int low = 0;

    /* A plain remainder would fall below 2^62 half the time. */
    random_seed(&random, 4);
    for (int i = 0; i < 30000; i++) {
        uint64_t number = random_below(&random, bound);
        CHECK(number < bound);
        low += number < UINT64_C(1) << 62;
    }
    CHECK_INT(low, >, 9500);
    CHECK_INT(low, <, 10500);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
