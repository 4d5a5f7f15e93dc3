/* What a node says of itself on its LAN by UDP, so that others can dial it:
 * wire/README.md, Beacons.  It introduces and proves nothing. */
#ifndef WIRE_BEACON_H
#define WIRE_BEACON_H

#include "core/types.h"
#include "grapevine.h"

#include <stddef.h>

#define BEACON_NAME_SIZE_MAX 64 /* bytes; longer names are cut */
#define BEACON_SIZE_MAX 160

struct beacon {
    uint64_t mesh_mark; /* beacon_mark() of the mesh's name */
    struct site site;
    uint64_t instance; /* random, new at each start of the node */
    uint16_t port;     /* TCP, where it listens */
    char name[BEACON_NAME_SIZE_MAX + 1]; /* of the node, for people: see
                                            beacon_set_name() */
};

/* Of a longer one as many characters as fit. */
void beacon_set_name(struct beacon *beacon, const char *name);

/* What tells meshes apart without naming them to everybody. */
uint64_t beacon_mark(const char *mesh);

/* The datagram; its size. */
size_t beacon_encode(const struct beacon *beacon,
                     uint8_t bytes[BEACON_SIZE_MAX]);

/* Errors: GV_EPROTO (not a beacon, or damaged), GV_EVERSION (one of a
 * Grapevine that this one does not understand). */
int beacon_decode(const uint8_t *bytes, size_t size, struct beacon *beacon);

#endif
