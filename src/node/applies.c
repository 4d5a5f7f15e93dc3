#include "node/applies.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

void applies_init(struct applies *applies)
{
    applies->first = NULL;
    applies->end = &applies->first;
}

void applies_close(struct applies *applies)
{
    struct apply *apply = applies->first;

    while (apply != NULL) {
        struct apply *next = apply->next;

        free(apply);
        apply = next;
    }
    applies_init(applies);
}

/* One allocation: the entry, then the vector's bytes, then the interval's. */
static struct apply *apply_new(struct vv_view vv, const uint8_t *bytes,
                               size_t size, struct vv_view *vv_copy,
                               const uint8_t **bytes_copy)
{
    size_t vv_size = vv.count * VV_ENTRY_SIZE;
    struct apply *apply = calloc(1, sizeof *apply + vv_size + size);
    uint8_t *room;

    if (apply == NULL)
        return NULL;
    room = (uint8_t *)(apply + 1);
    if (vv_size > 0)
        memcpy(room, vv.bytes, vv_size);
    *vv_copy = (struct vv_view){room, vv.count};
    if (size > 0)
        memcpy(room + vv_size, bytes, size);
    *bytes_copy = room + vv_size;
    return apply;
}

static struct apply *apply_of_interval(const struct interval *interval)
{
    const uint8_t *bytes;
    struct vv_view dependencies;
    struct apply *apply = apply_new(interval->dependencies, interval->bytes,
                                    interval->size, &dependencies, &bytes);

    if (apply == NULL)
        return NULL;
    apply->kind = APPLY_INTERVAL;
    apply->interval = *interval;
    apply->interval.dependencies = dependencies;
    apply->interval.bytes = bytes;
    return apply;
}

static struct apply *apply_of_delta(uint64_t token, struct vv_view claim)
{
    const uint8_t *none;
    struct vv_view copy;
    struct apply *apply = apply_new(claim, NULL, 0, &copy, &none);

    if (apply == NULL)
        return NULL;
    apply->kind = APPLY_DELTA;
    apply->token = token;
    apply->claim = copy;
    return apply;
}

int applies_add(struct applies *applies, const struct effect *effect)
{
    struct apply *apply;

    GV_ASSERT(effect->kind == EFFECT_APPLY ||
              effect->kind == EFFECT_APPLY_DELTA);
    if (effect->kind == EFFECT_APPLY)
        apply = apply_of_interval(&effect->as.apply.interval);
    else
        apply = apply_of_delta(effect->as.apply_delta.token,
                               effect->as.apply_delta.claim);
    if (apply == NULL)
        return GV_ENOMEM;
    apply->link = effect->link;
    *applies->end = apply;
    applies->end = &apply->next;
    return GV_OK;
}

struct apply *applies_take_last(struct applies *applies)
{
    struct apply **at = &applies->first, *last;

    while (*at != NULL && (*at)->next != NULL)
        at = &(*at)->next;
    last = *at;
    *at = NULL;
    applies->end = at;
    return last;
}

void applies_take(struct applies *applies, size_t size, struct applies *taken)
{
    size_t sum = 0;
    bool delta = false;

    applies_init(taken);
    while (applies->first != NULL && sum < size && !delta) {
        struct apply *apply = applies->first;

        sum += apply->interval.size;
        delta = apply->kind == APPLY_DELTA;
        applies->first = apply->next;
        apply->next = NULL;
        *taken->end = apply;
        taken->end = &apply->next;
    }
    if (applies->first == NULL)
        applies->end = &applies->first;
}
