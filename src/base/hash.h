/* SipHash-2-4 (Aumasson and Bernstein 2012) from libsodium, with keys that
 * are constants of the file format and the protocol: they make digests equal
 * on all nodes and are no secret. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 128-bit sums, modulo 2^128. */
struct hash128 {
    uint64_t high;
    uint64_t low;
};

/* 64 bits: digests of values and names, hashes of version vectors. */
uint64_t hash64(const void *bytes, size_t size);

/* hash64() of the byte @tag followed by @bytes, without a copy: digests of
 * values of any size need no memory. */
uint64_t hash64_tagged(uint8_t tag, const void *bytes, size_t size);

/* XXH64 with seed 0 (Collet), a sixth of hash64()'s work: whether a block of
 * bytes is still what was written.  Not for what must differ where contents
 * do. */
uint64_t hash64_block(const void *bytes, size_t size);

/* 128 bits (SipHashx-2-4): one record of the fingerprint. */
struct hash128 hash128(const void *bytes, size_t size);

struct hash128 hash128_add(struct hash128 a, struct hash128 b);
struct hash128 hash128_subtract(struct hash128 a, struct hash128 b);
bool hash128_equal(struct hash128 a, struct hash128 b);

#endif
