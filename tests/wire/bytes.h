/* Bytes for decoders to fail on. */
#ifndef TESTS_WIRE_BYTES_H
#define TESTS_WIRE_BYTES_H

#include "base/random.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A copy in an allocation of exactly @size bytes, so that a sanitizer sees
 * the first byte read behind it. */
static inline uint8_t *bytes_exact(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size);

    if (size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

/* A copy with one to four faults: a byte changed, a bit turned, a run removed
 * or doubled, the end cut off.  @size gets its size. */
static inline uint8_t *bytes_mutated(struct random *random,
                                     const uint8_t *bytes, size_t *size)
{
    uint8_t *copy = malloc(*size * 16 + 1), *exact;
    size_t n = *size;

    memcpy(copy, bytes, n);
    for (uint64_t faults = 1 + random_below(random, 4); faults > 0; faults--) {
        size_t at = n > 0 ? (size_t)random_below(random, n) : 0;
        size_t run = n > at ? 1 + (size_t)random_below(random, n - at) : 0;
        if (n == 0)
            break;
        if (run > 8)
            run = 1 + run % 8;
        switch (random_below(random, 6)) {
        case 0:
            copy[at] = (uint8_t)random_u64(random);
            break;
        case 1:
            copy[at] ^= (uint8_t)(1u << random_below(random, 8));
            break;
        case 2:
            copy[at] = (uint8_t)(0xc0 + random_below(random, 32));
            break;
        case 3:
            memmove(copy + at, copy + at + run, n - at - run);
            n -= run;
            break;
        case 4:
            memmove(copy + at + run, copy + at, n - at);
            n += run;
            break;
        default:
            if (random_below(random, 4) == 0)
                n = at;
            break;
        }
    }
    exact = bytes_exact(copy, n);
    free(copy);
    *size = n;
    return exact;
}

#endif
