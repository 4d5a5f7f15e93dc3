/* Version vectors: site -> version, "I hold everything that site published
 * up to here".  A site that is not in the vector has version 0. */
#ifndef CORE_VV_H
#define CORE_VV_H

#include "core/types.h"

#include <stddef.h>

/* 10,000 sites of 24 bytes are 240,000 bytes: one frame holds them all. */
#define VV_SITES_MAX 10000
#define VV_ENTRY_SIZE 24

struct vv_entry {
    struct site site;
    gv_version version; /* 1 to VERSION_MAX */
};

/* Ascending by site, no site twice.  hash is the sum modulo 2^64 of
 * hash64(site, version big-endian) over the entries: equal vectors have equal
 * hashes. */
struct vv {
    struct vv_entry *entries;
    size_t count;
    size_t capacity;
    uint64_t hash;
};

/* A vector as it stands in a frame or in the store: @count entries of
 * VV_ENTRY_SIZE bytes, site then version big-endian, ascending by site, no
 * site twice.  Borrowed bytes. */
struct vv_view {
    const uint8_t *bytes;
    size_t count;
};

void vv_init(struct vv *vv);
void vv_close(struct vv *vv);
void vv_clear(struct vv *vv);

/* Make @vv equal to @from.  Errors: GV_ENOMEM; @vv is unchanged. */
int vv_copy(struct vv *vv, const struct vv *from);

/* 0 for a site that is not there.  O(log n). */
gv_version vv_get(const struct vv *vv, const struct site *site);

/* Raise @site in @vv to @version.  A lower or equal version is a no-op.
 *
 * Errors: GV_ELIMIT (@site is new and @vv is full), GV_ENOMEM.  @vv is
 * unchanged. */
int vv_raise(struct vv *vv, const struct site *site, gv_version version);

/* Raise every entry of @view.  On error some entries may have been raised. */
int vv_raise_view(struct vv *vv, struct vv_view view);

/* Whether @vv >= each entry of the other. */
bool vv_covers(const struct vv *vv, const struct vv *other);
bool vv_covers_view(const struct vv *vv, struct vv_view view);

/* How many entries of @other are above those of @vv. */
size_t vv_lacks(const struct vv *vv, const struct vv *other);

/* Entry @index of @view, decoded. */
struct vv_entry vv_view_at(struct vv_view view, size_t index);

/* Whether @view keeps its promises: ascending, no site twice, versions from 1
 * to VERSION_MAX, at most VV_SITES_MAX entries. */
bool vv_view_valid(struct vv_view view);
/* The same, with versions from @version_min on. */
bool vv_view_valid_from(struct vv_view view, gv_version version_min);

/* What @entry adds to the hash of a vector. */
uint64_t vv_entry_hash(const struct vv_entry *entry);

/* Write @entry in the view's form into @bytes[VV_ENTRY_SIZE]. */
void vv_entry_store(const struct vv_entry *entry, uint8_t *bytes);

#endif
