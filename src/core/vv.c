/* A sorted array: vectors are read and compared far more often than they get
 * a new site, and 10,000 entries fit the second-level cache. */
#include "core/vv.h"

#include "base/assert.h"
#include "base/buffer.h"
#include "base/hash.h"
#include "grapevine.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(VV_ENTRY_SIZE == sizeof(struct site) + sizeof(gv_version),
               "an entry is a site and a version, nothing else");

void vv_init(struct vv *vv)
{
    memset(vv, 0, sizeof(*vv));
}

void vv_close(struct vv *vv)
{
    free(vv->entries);
    vv_init(vv);
}

void vv_clear(struct vv *vv)
{
    vv->count = 0;
    vv->hash = 0;
}

void vv_entry_store(const struct vv_entry *entry, uint8_t *bytes)
{
    memcpy(bytes, entry->site.bytes, sizeof(entry->site.bytes));
    store_u64(bytes + sizeof(entry->site.bytes), entry->version);
}

uint64_t vv_entry_hash(const struct vv_entry *entry)
{
    uint8_t bytes[VV_ENTRY_SIZE];

    GV_ASSERT(entry->version > 0 && entry->version <= VERSION_MAX);
    vv_entry_store(entry, bytes);
    return hash64(bytes, sizeof(bytes));
}

static int reserve(struct vv *vv, size_t count)
{
    size_t capacity = vv->capacity == 0 ? 8 : vv->capacity;
    struct vv_entry *entries;

    GV_ASSERT(count <= VV_SITES_MAX);
    GV_ASSERT((vv->entries == NULL) == (vv->capacity == 0));
    if (count <= vv->capacity)
        return GV_OK;
    while (capacity < count)
        capacity *= 2;
    entries = realloc(vv->entries, capacity * sizeof(*entries));
    if (entries == NULL)
        return GV_ENOMEM;
    vv->entries = entries;
    vv->capacity = capacity;
    GV_ASSERT(vv->capacity >= count);
    return GV_OK;
}

int vv_copy(struct vv *vv, const struct vv *from)
{
    int rc = reserve(vv, from->count);

    GV_ASSERT(vv != from);
    GV_ASSERT(from->count > 0 || from->hash == 0);
    if (rc != GV_OK)
        return rc;
    if (from->count > 0)
        memcpy(vv->entries, from->entries,
               from->count * sizeof(*from->entries));
    vv->count = from->count;
    vv->hash = from->hash;
    return GV_OK;
}

/* The index of the first entry that is not below @site. */
static size_t lower_bound(const struct vv *vv, const struct site *site)
{
    size_t low = 0, high = vv->count;

    GV_ASSERT(vv->count <= vv->capacity);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (site_compare(&vv->entries[middle].site, site) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

gv_version vv_get(const struct vv *vv, const struct site *site)
{
    size_t at = lower_bound(vv, site);

    if (at < vv->count && site_equal(&vv->entries[at].site, site))
        return vv->entries[at].version;
    return 0;
}

static int insert(struct vv *vv, size_t at, const struct site *site,
                  gv_version version)
{
    struct vv_entry *entry;
    int rc;

    GV_ASSERT(at <= vv->count);
    GV_ASSERT(at == 0 || site_compare(&vv->entries[at - 1].site, site) < 0);
    if (vv->count == VV_SITES_MAX)
        return GV_ELIMIT;
    rc = reserve(vv, vv->count + 1);
    if (rc != GV_OK)
        return rc;
    entry = &vv->entries[at];
    memmove(entry + 1, entry, (vv->count - at) * sizeof(*entry));
    entry->site = *site;
    entry->version = version;
    vv->count++;
    GV_ASSERT(at + 1 == vv->count || site_compare(site, &entry[1].site) < 0);
    vv->hash += vv_entry_hash(entry);
    return GV_OK;
}

int vv_raise(struct vv *vv, const struct site *site, gv_version version)
{
    size_t at = lower_bound(vv, site);
    struct vv_entry *entry;

    GV_ASSERT(version <= VERSION_MAX);
    if (version == 0)
        return GV_OK;
    if (at == vv->count || !site_equal(&vv->entries[at].site, site))
        return insert(vv, at, site, version);
    entry = &vv->entries[at];
    if (version > entry->version) {
        vv->hash -= vv_entry_hash(entry);
        entry->version = version;
        vv->hash += vv_entry_hash(entry);
    }
    GV_ASSERT(entry->version >= version);
    return GV_OK;
}

int vv_raise_view(struct vv *vv, struct vv_view view)
{
    for (size_t i = 0; i < view.count; i++) {
        struct vv_entry entry = vv_view_at(view, i);
        int rc = vv_raise(vv, &entry.site, entry.version);
        if (rc != GV_OK)
            return rc;
    }
    return GV_OK;
}

size_t vv_lacks(const struct vv *vv, const struct vv *other)
{
    size_t lacks = 0, at = 0;

    for (size_t i = 0; i < other->count; i++) {
        const struct vv_entry *entry = &other->entries[i];
        while (at < vv->count &&
               site_compare(&vv->entries[at].site, &entry->site) < 0)
            at++;
        if (at == vv->count ||
            !site_equal(&vv->entries[at].site, &entry->site) ||
            vv->entries[at].version < entry->version)
            lacks++;
    }
    /* What covers another vector names all of its sites. */
    GV_ASSERT(lacks > 0 || other->count <= vv->count);
    return lacks;
}

bool vv_covers(const struct vv *vv, const struct vv *other)
{
    return vv_lacks(vv, other) == 0;
}

bool vv_covers_view(const struct vv *vv, struct vv_view view)
{
    for (size_t i = 0; i < view.count; i++) {
        struct vv_entry entry = vv_view_at(view, i);
        if (vv_get(vv, &entry.site) < entry.version)
            return false;
    }
    return true;
}

struct vv_entry vv_view_at(struct vv_view view, size_t index)
{
    const uint8_t *bytes = view.bytes + index * VV_ENTRY_SIZE;
    struct vv_entry entry;

    GV_ASSERT(index < view.count);
    GV_ASSERT(view.bytes != NULL);
    memcpy(entry.site.bytes, bytes, sizeof(entry.site.bytes));
    entry.version = load_u64(bytes + sizeof(entry.site.bytes));
    return entry;
}

bool vv_view_valid(struct vv_view view)
{
    return vv_view_valid_from(view, 1);
}

bool vv_view_valid_from(struct vv_view view, gv_version version_min)
{
    struct vv_entry last = {0};

    if (view.count > VV_SITES_MAX)
        return false;
    for (size_t i = 0; i < view.count; i++) {
        struct vv_entry entry = vv_view_at(view, i);
        if (entry.version < version_min || entry.version > VERSION_MAX)
            return false;
        if (i > 0 && site_compare(&last.site, &entry.site) >= 0)
            return false;
        last = entry;
    }
    return true;
}
