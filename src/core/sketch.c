#include "core/sketch.h"

#include "base/assert.h"
#include "base/buffer.h"

#include <string.h>

/* A range is named by the first bits of its sites, of which two bytes are
 * looked at. */
_Static_assert(SKETCH_HASHES_MAX <= 65536, "16 bits name a range");
_Static_assert(VV_SITES_MAX / SKETCH_RANGE_MIN < 2 * SKETCH_HASHES_MAX,
               "the longest vector has a sketch of the usual detail");

size_t sketch_count(size_t entries)
{
    size_t count = 1;

    GV_ASSERT(entries <= VV_SITES_MAX);
    if (entries <= SKETCH_PLAIN_MAX)
        return 0;
    while (2 * count * SKETCH_RANGE_MIN <= entries)
        count *= 2;
    GV_ASSERT(count <= SKETCH_HASHES_MAX);
    return count;
}

static size_t range_of(const struct site *site, size_t count)
{
    size_t first = (size_t)site->bytes[0] << 8 | site->bytes[1];

    GV_ASSERT(count > 0 && (count & (count - 1)) == 0);
    return first * count / 65536;
}

static void sums(const struct vv *vv, size_t count, uint64_t *hashes)
{
    GV_ASSERT(count <= SKETCH_HASHES_MAX);
    memset(hashes, 0, count * sizeof(*hashes));
    for (size_t i = 0; i < vv->count; i++)
        hashes[range_of(&vv->entries[i].site, count)] +=
            vv_entry_hash(&vv->entries[i]);
}

void sketch_store(const struct vv *vv, size_t count, uint8_t *bytes)
{
    uint64_t hashes[SKETCH_HASHES_MAX];

    sums(vv, count, hashes);
    for (size_t i = 0; i < count; i++)
        store_u64(bytes + i * SKETCH_HASH_SIZE, hashes[i]);
}

/* The hash of range @index of @count, out of a sketch that has more. */
static uint64_t range_hash(struct sketch_view sketch, size_t count,
                           size_t index)
{
    size_t parts = sketch.count / count;
    uint64_t hash = 0;

    GV_ASSERT(parts * count == sketch.count && index < count);
    for (size_t i = 0; i < parts; i++)
        hash +=
            load_u64(sketch.bytes + (index * parts + i) * SKETCH_HASH_SIZE);
    return hash;
}

void sketch_compare(const struct vv *vv, size_t count,
                    struct sketch_view other, struct sketch_ranges *ranges)
{
    uint64_t hashes[SKETCH_HASHES_MAX];
    size_t common = count < other.count ? count : other.count;

    GV_ASSERT(count <= SKETCH_HASHES_MAX);
    memset(ranges, 0, sizeof(*ranges));
    ranges->count = common > 0 ? common : 1;
    if (common > 0)
        sums(vv, common, hashes);
    for (size_t i = 0; i < ranges->count; i++) {
        ranges->differs[i] =
            common == 0 || range_hash(other, common, i) != hashes[i];
        ranges->differing += ranges->differs[i];
    }
    GV_ASSERT(common > 0 || ranges->differing == 1);
}

bool sketch_differs(const struct sketch_ranges *ranges,
                    const struct site *site)
{
    GV_ASSERT(ranges->differing <= ranges->count);
    return ranges->differs[range_of(site, ranges->count)];
}
