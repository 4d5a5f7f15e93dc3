#include "core/types.h"

#include <string.h>

/* Sites are compared and copied as they stand, so nothing but the id may be in
 * one. */
_Static_assert(sizeof(struct site) == 16, "a site is its 16 bytes");
_Static_assert(VERSION_MAX < INT64_MAX, "SQLite holds every version");
int site_compare(const struct site *a, const struct site *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool site_equal(const struct site *a, const struct site *b)
{
    return site_compare(a, b) == 0;
}

void site_format(const struct site *site, char text[33])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < sizeof(site->bytes); i++) {
        text[2 * i] = digits[site->bytes[i] >> 4];
        text[2 * i + 1] = digits[site->bytes[i] & 15];
    }
    text[32] = '\0';
}
