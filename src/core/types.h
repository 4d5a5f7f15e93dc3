/* The terms that every layer shares (DESIGN: site, version). */
#ifndef CORE_TYPES_H
#define CORE_TYPES_H

#include <stdbool.h>
#include <stdint.h>

/* One database file's identity: 16 random bytes. */
struct site {
    uint8_t bytes[16];
};

/* A hybrid logical clock (Kulkarni et al. 2014): milliseconds since 1970 in
 * the upper 48 bits, a counter in the lower 16.  Larger than every version
 * that its site had seen.  0 is "before everything". */
typedef uint64_t gv_version;

/* Milliseconds; since 1970 where it says wall, from any start where it says
 * monotonic. */
typedef int64_t gv_time_ms;

/* 2^62 - 1: a larger one is refused at decode, so that adding one never
 * overflows and SQLite can hold it as an integer. */
#define VERSION_MAX (((gv_version)1 << 62) - 1)

/* Bytes order of the 16 bytes: <0, 0, >0. */
int site_compare(const struct site *a, const struct site *b);
bool site_equal(const struct site *a, const struct site *b);

/* 32 lower-case hex digits and a NUL into @text. */
void site_format(const struct site *site, char text[33]);

#endif
