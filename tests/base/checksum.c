#include "base/checksum.h"
#include "check.h"

/* RFC 7693's function; the values are those of `b2sum -l 256`. */

static const char *hash_of(const char *first, const char *second)
{
    static char text[2 * CHECKSUM_SIZE + 1];
    uint8_t hash[CHECKSUM_SIZE];
    struct checksum checksum;

    checksum_init(&checksum);
    checksum_add(&checksum, first, strlen(first));
    checksum_add(&checksum, second, strlen(second));
    checksum_end(&checksum, hash);
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    return text;
}

TEST(the_checksum_is_what_the_format_says)
{
    CHECK_TEXT(
        hash_of("", ""),
        "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    CHECK_TEXT(
        hash_of("grapevine", ""),
        "145318821bcba5f510be8c8163e1051800241d2fa6c39986969471ec504b52ab");
}

TEST(pieces_are_hashed_as_one_run)
{
    CHECK_TEXT(
        hash_of("grape", "vine"),
        "145318821bcba5f510be8c8163e1051800241d2fa6c39986969471ec504b52ab");
    CHECK_TEXT(
        hash_of("", "grapevine"),
        "145318821bcba5f510be8c8163e1051800241d2fa6c39986969471ec504b52ab");
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
