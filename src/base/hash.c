#include "base/hash.h"

#include "base/buffer.h"

#include <sodium/crypto_shorthash_siphash24.h>

/* Constants of the file format and of the protocol: a file written with
 * other keys would not verify, and nodes with other keys would never agree.
 * The texts are "grapevine hash64" and "grapevine sum128". */
static const uint8_t hash64_key[crypto_shorthash_siphash24_KEYBYTES] = {
    'g', 'r', 'a', 'p', 'e', 'v', 'i', 'n',
    'e', ' ', 'h', 'a', 's', 'h', '6', '4'};
static const uint8_t hash128_key[crypto_shorthash_siphashx24_KEYBYTES] = {
    'g', 'r', 'a', 'p', 'e', 'v', 'i', 'n',
    'e', ' ', 's', 'u', 'm', '1', '2', '8'};

uint64_t hash64(const void *bytes, size_t size)
{
    uint8_t result[crypto_shorthash_siphash24_BYTES];

    crypto_shorthash_siphash24(result, bytes, size, hash64_key);
    return load_u64(result);
}

struct hash128 hash128(const void *bytes, size_t size)
{
    uint8_t result[crypto_shorthash_siphashx24_BYTES];

    crypto_shorthash_siphashx24(result, bytes, size, hash128_key);
    return (struct hash128){load_u64(result), load_u64(result + 8)};
}

/* SipHash-2-4 once more, because libsodium has it for one run of bytes only,
 * and a value of 64 MiB should not be copied to put one byte before it. */

static uint64_t load_little(const uint8_t *bytes, size_t size)
{
    uint64_t word = 0;

    for (size_t i = 0; i < size; i++)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

static inline uint64_t load_little_u64(const uint8_t *bytes)
{
    return __builtin_bswap64(load_u64(bytes));
}

static inline uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

struct siphash {
    uint64_t v0, v1, v2, v3;
};

static inline void siphash_round(struct siphash *hash)
{
    hash->v0 += hash->v1;
    hash->v2 += hash->v3;
    hash->v1 = rotate(hash->v1, 13) ^ hash->v0;
    hash->v3 = rotate(hash->v3, 16) ^ hash->v2;
    hash->v0 = rotate(hash->v0, 32) + hash->v3;
    hash->v2 += hash->v1;
    hash->v3 = rotate(hash->v3, 21) ^ hash->v0;
    hash->v1 = rotate(hash->v1, 17) ^ hash->v2;
    hash->v2 = rotate(hash->v2, 32);
}

static inline void siphash_word(struct siphash *hash, uint64_t word)
{
    hash->v3 ^= word;
    siphash_round(hash);
    siphash_round(hash);
    hash->v0 ^= word;
}

static struct siphash siphash_start(void)
{
    uint64_t k0 = load_little_u64(hash64_key);
    uint64_t k1 = load_little_u64(hash64_key + 8);

    return (struct siphash){
        k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
        k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
}

/* The tag and the first seven bytes are the first word; a last word holds
 * what is left and, in its top byte, the size modulo 256.  Where there are
 * eight bytes, whole words that overlap are read instead of single bytes. */
uint64_t hash64_tagged(uint8_t tag, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t last = (uint64_t)(size + 1) << 56;
    struct siphash hash = siphash_start();

    if (size < 7) {
        last |= load_little(at, size) << 8 | tag;
    } else if (size >= 8) {
        siphash_word(&hash, load_little_u64(at) << 8 | tag);
        at += 7;
        size -= 7;
        for (; size >= 8; at += 8, size -= 8)
            siphash_word(&hash, load_little_u64(at));
        if (size > 0)
            last |= load_little_u64(at + size - 8) >> (64 - 8 * size);
    } else {
        siphash_word(&hash, load_little(at, 7) << 8 | tag);
    }
    siphash_word(&hash, last);
    hash.v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        siphash_round(&hash);
    /* The result's bytes are little-endian; ours are read big-endian. */
    return __builtin_bswap64(hash.v0 ^ hash.v1 ^ hash.v2 ^ hash.v3);
}

/* XXH64: four lanes of eight bytes each, then what is left. */

#define PRIME_1 UINT64_C(0x9e3779b185ebca87)
#define PRIME_2 UINT64_C(0xc2b2ae3d27d4eb4f)
#define PRIME_3 UINT64_C(0x165667b19e3779f9)
#define PRIME_4 UINT64_C(0x85ebca77c2b2ae63)
#define PRIME_5 UINT64_C(0x27d4eb2f165667c5)

static inline uint64_t lane_add(uint64_t lane, uint64_t word)
{
    return rotate(lane + word * PRIME_2, 31) * PRIME_1;
}

static inline uint64_t lane_merge(uint64_t hash, uint64_t lane)
{
    return (hash ^ lane_add(0, lane)) * PRIME_1 + PRIME_4;
}

/* All whole blocks of 32 bytes from *@at on, which moves behind them. */
static uint64_t hash_lanes(const uint8_t **at, size_t size)
{
    uint64_t a = PRIME_1 + PRIME_2, b = PRIME_2, c = 0, d = 0 - PRIME_1;
    const uint8_t *end = *at + size / 32 * 32;

    for (; *at < end; *at += 32) {
        a = lane_add(a, load_little_u64(*at));
        b = lane_add(b, load_little_u64(*at + 8));
        c = lane_add(c, load_little_u64(*at + 16));
        d = lane_add(d, load_little_u64(*at + 24));
    }
    return lane_merge(
        lane_merge(lane_merge(lane_merge(rotate(a, 1) + rotate(b, 7) +
                                             rotate(c, 12) + rotate(d, 18),
                                         a),
                              b),
                   c),
        d);
}

uint64_t hash64_block(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t hash = (size < 32 ? PRIME_5 : hash_lanes(&at, size)) + size;

    for (size %= 32; size >= 8; size -= 8, at += 8)
        hash = rotate(hash ^ lane_add(0, load_little_u64(at)), 27) * PRIME_1 +
               PRIME_4;
    if (size >= 4) {
        hash = rotate(hash ^ load_little(at, 4) * PRIME_1, 23) * PRIME_2 +
               PRIME_3;
        size -= 4;
        at += 4;
    }
    for (; size > 0; size--, at++)
        hash = rotate(hash ^ *at * PRIME_5, 11) * PRIME_1;
    hash = (hash ^ hash >> 33) * PRIME_2;
    hash = (hash ^ hash >> 29) * PRIME_3;
    return hash ^ hash >> 32;
}

struct hash128 hash128_add(struct hash128 a, struct hash128 b)
{
    uint64_t low = a.low + b.low;

    return (struct hash128){a.high + b.high + (low < a.low), low};
}

struct hash128 hash128_subtract(struct hash128 a, struct hash128 b)
{
    return (struct hash128){a.high - b.high - (a.low < b.low), a.low - b.low};
}

bool hash128_equal(struct hash128 a, struct hash128 b)
{
    return a.high == b.high && a.low == b.low;
}
