/* A sketch of a version vector: its sites in ranges, and of each range the
 * hash.  Two nodes that show one another their sketches then send only what
 * stands in ranges that differ.
 *
 * The hash of a vector is a sum over its entries, so a range's is the sum over
 * its own, and two ranges that lie side by side make one of half the detail by
 * adding.  Sites are random, so equal ranges of numbers hold equally many.  A
 * vector of 10,000 sites has 512 ranges of 8 bytes, with 20 entries each: one
 * entry that differs costs 4.1 + 0.5 kB where the whole costs 240 kB.  (Ranges
 * of ranges would halve that at the price of a round trip.) */
#ifndef CORE_SKETCH_H
#define CORE_SKETCH_H

#include "core/message.h"

/* A vector of so many entries is sent as it is, at once: 768 bytes are not
 * worth a round trip. */
#define SKETCH_PLAIN_MAX 32
/* Entries a range, at least. */
#define SKETCH_RANGE_MIN 16

_Static_assert(SKETCH_PLAIN_MAX >= SKETCH_RANGE_MIN,
               "a vector that is not sent as it is has a range");

/* Which ranges differ. */
struct sketch_ranges {
    size_t count; /* a power of two */
    size_t differing;
    bool differs[SKETCH_HASHES_MAX];
};

/* How many hashes the sketch of a vector of @entries has; 0: it is sent
 * whole. */
size_t sketch_count(size_t entries);

/* Write the sketch of @vv in @count ranges (a power of two) into @bytes[count
 * * SKETCH_HASH_SIZE]. */
void sketch_store(const struct vv *vv, size_t count, uint8_t *bytes);

/* Compare @vv, whose own sketch has @count hashes, with the other side's, in
 * as many ranges as the shorter has; both sides get the same.  If one of the
 * two is empty, there is one range and it differs. */
void sketch_compare(const struct vv *vv, size_t count,
                    struct sketch_view other, struct sketch_ranges *ranges);

/* Whether @site lies in a range that differs. */
bool sketch_differs(const struct sketch_ranges *ranges,
                    const struct site *site);

#endif
