#include "base/checksum.h"

#include <sodium/crypto_generichash_blake2b.h>

typedef crypto_generichash_blake2b_state blake2b_state;

_Static_assert(sizeof(blake2b_state) <= sizeof(struct checksum),
               "libsodium's state fits");
_Static_assert(_Alignof(blake2b_state) <= _Alignof(struct checksum),
               "and stands where it must");

static blake2b_state *state_of(struct checksum *checksum)
{
    return (blake2b_state *)(void *)checksum->state;
}

/* None of the three can fail with a length that libsodium takes. */

void checksum_init(struct checksum *checksum)
{
    (void)crypto_generichash_blake2b_init(state_of(checksum), NULL, 0,
                                          CHECKSUM_SIZE);
}

void checksum_add(struct checksum *checksum, const void *bytes, size_t size)
{
    (void)crypto_generichash_blake2b_update(state_of(checksum), bytes, size);
}

void checksum_end(struct checksum *checksum, uint8_t hash[CHECKSUM_SIZE])
{
    (void)crypto_generichash_blake2b_final(state_of(checksum), hash,
                                           CHECKSUM_SIZE);
}
