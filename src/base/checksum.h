/* A hash of a run of bytes that comes in pieces: BLAKE2b with 32 bytes and no
 * key (RFC 7693) from libsodium, what `b2sum -l 256` prints. */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#define CHECKSUM_SIZE 32

struct checksum {
    /* libsodium's own state, whose type is nobody's business. */
    _Alignas(64) uint8_t state[384];
};

void checksum_init(struct checksum *checksum);
void checksum_add(struct checksum *checksum, const void *bytes, size_t size);
/* Of all that was added; nothing can be added any more. */
void checksum_end(struct checksum *checksum, uint8_t hash[CHECKSUM_SIZE]);

#endif
