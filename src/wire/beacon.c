#include "wire/beacon.h"

#include "base/assert.h"
#include "base/buffer.h"
#include "base/hash.h"
#include "base/utf8.h"

#include <string.h>

#define MARK "GVbeacon"
#define MARK_SIZE 8
#define VERSION 1
#define SUM_SIZE 8
/* Mark, version, mesh, site, instance, port, length of the name. */
#define HEAD_SIZE (MARK_SIZE + 1 + 8 + 16 + 8 + 2 + 1)
#define TAG 0xb0

_Static_assert(HEAD_SIZE + BEACON_NAME_SIZE_MAX + SUM_SIZE <= BEACON_SIZE_MAX,
               "any beacon has room");

uint64_t beacon_mark(const char *mesh)
{
    return hash64_tagged(TAG, mesh, strlen(mesh));
}

void beacon_set_name(struct beacon *beacon, const char *name)
{
    size_t size = strlen(name);

    if (size > BEACON_NAME_SIZE_MAX) {
        size = BEACON_NAME_SIZE_MAX;
        while (size > 0 && ((uint8_t)name[size] & 0xc0) == 0x80)
            size--;
    }
    memcpy(beacon->name, name, size);
    beacon->name[size] = '\0';
}

size_t beacon_encode(const struct beacon *beacon,
                     uint8_t bytes[BEACON_SIZE_MAX])
{
    size_t named = strlen(beacon->name);
    uint8_t *at = bytes;

    GV_ASSERT(named <= BEACON_NAME_SIZE_MAX);
    memcpy(at, MARK, MARK_SIZE);
    at += MARK_SIZE;
    *at++ = VERSION;
    store_u64(at, beacon->mesh_mark);
    memcpy(at + 8, beacon->site.bytes, sizeof beacon->site.bytes);
    store_u64(at + 24, beacon->instance);
    at += 32;
    *at++ = (uint8_t)(beacon->port >> 8);
    *at++ = (uint8_t)beacon->port;
    *at++ = (uint8_t)named;
    GV_ASSERT(at - bytes == HEAD_SIZE);
    memcpy(at, beacon->name, named);
    at += named;
    store_u64(at, hash64(bytes, (size_t)(at - bytes)));
    return (size_t)(at + SUM_SIZE - bytes);
}

static int read_head(const uint8_t *bytes, size_t size)
{
    if (size < MARK_SIZE + 1 || memcmp(bytes, MARK, MARK_SIZE) != 0)
        return GV_EPROTO;
    if (bytes[MARK_SIZE] != VERSION)
        return GV_EVERSION;
    return size < HEAD_SIZE + SUM_SIZE || size > BEACON_SIZE_MAX ? GV_EPROTO
                                                                 : GV_OK;
}

int beacon_decode(const uint8_t *bytes, size_t size, struct beacon *beacon)
{
    const uint8_t *at = bytes + MARK_SIZE + 1;
    size_t named;
    int rc = read_head(bytes, size);

    if (rc != GV_OK)
        return rc;
    if (hash64(bytes, size - SUM_SIZE) != load_u64(bytes + size - SUM_SIZE))
        return GV_EPROTO;
    *beacon = (struct beacon){.mesh_mark = load_u64(at),
                              .instance = load_u64(at + 24)};
    memcpy(beacon->site.bytes, at + 8, sizeof beacon->site.bytes);
    at += 32;
    beacon->port = (uint16_t)(at[0] << 8 | at[1]);
    named = at[2];
    at += 3;
    if (named > BEACON_NAME_SIZE_MAX || HEAD_SIZE + named + SUM_SIZE != size ||
        beacon->port == 0 || !utf8_printable((const char *)at, named))
        return GV_EPROTO;
    memcpy(beacon->name, at, named);
    return GV_OK;
}
