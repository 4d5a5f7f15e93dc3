#include "shelves.h"

#include "base/assert.h"
#include "grapevine.h"
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

static struct {
    struct shelf **shelves; /* ascending by site */
    size_t shelf_count, shelf_capacity;
    size_t made_count;
    size_t models;
} published;

/* Room for one more. */
static void *grow(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = 2 * *capacity + 8;
    items = reallocarray(items, *capacity, size);
    GV_ASSERT(items != NULL);
    return items;
}

/* The index of the first shelf that is not below @site. */
static size_t shelf_index(const struct site *site)
{
    size_t low = 0, high = published.shelf_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (site_compare(&published.shelves[middle]->site, site) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct shelf *find_shelf(const struct site *site)
{
    size_t at = shelf_index(site);

    if (at == published.shelf_count ||
        !site_equal(&published.shelves[at]->site, site))
        return NULL;
    return published.shelves[at];
}

static struct shelf *make_shelf(const struct site *site)
{
    size_t at = shelf_index(site);
    struct shelf *shelf = calloc(1, sizeof *shelf), **slot;

    GV_ASSERT(shelf != NULL);
    shelf->site = *site;
    published.shelves =
        grow(published.shelves, published.shelf_count,
             &published.shelf_capacity, sizeof *published.shelves);
    slot = &published.shelves[at];
    memmove(slot + 1, slot, (published.shelf_count - at) * sizeof *slot);
    *slot = shelf;
    published.shelf_count++;
    return shelf;
}

const struct shelf *shelf_find(const struct site *site)
{
    return find_shelf(site);
}

size_t shelf_first_after(const struct shelf *shelf, gv_version version)
{
    size_t low = 0, high = shelf->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (shelf->items[middle]->to <= version)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct made *shelf_publish(const struct site *site, gv_version from,
                                 gv_version to, struct vv_view dependencies,
                                 size_t size)
{
    struct shelf *shelf = find_shelf(site);
    struct made *made = calloc(1, sizeof *made);
    uint8_t *fragments = calloc(1, size + 1);
    const uint8_t *unused;
    size_t unused_size;
    int rc;

    GV_ASSERT(made != NULL && fragments != NULL);
    if (shelf == NULL)
        shelf = make_shelf(site);
    GV_ASSERT(shelf->count == 0 || shelf->items[shelf->count - 1]->to == from);
    buffer_init(&made->bytes, SIZE_MAX);
    rc = interval_encode(site, from, to, dependencies, fragments, size,
                         &made->bytes);
    GV_ASSERT(rc == GV_OK);
    rc = interval_decode(made->bytes.data, made->bytes.size, &made->interval,
                         &unused, &unused_size);
    GV_ASSERT(rc == GV_OK && unused_size == size);
    free(fragments);
    made->number = published.made_count++;
    made->from = from;
    made->to = to;
    made->hash = hash128(made->bytes.data, made->bytes.size);
    shelf->items = grow(shelf->items, shelf->count, &shelf->capacity,
                        sizeof *shelf->items);
    shelf->items[shelf->count++] = made;
    return made;
}

const struct made *shelf_find_made(const uint8_t *bytes, size_t size)
{
    struct interval interval;
    const uint8_t *fragments;
    const struct made *made;
    struct shelf *shelf;
    size_t fragments_size, at;

    if (interval_decode(bytes, size, &interval, &fragments, &fragments_size) !=
        GV_OK)
        return NULL;
    shelf = find_shelf(&interval.site);
    if (shelf == NULL)
        return NULL;
    at = shelf_first_after(shelf, interval.to - 1);
    if (at == shelf->count)
        return NULL;
    made = shelf->items[at];
    if (made->bytes.size != size || memcmp(made->bytes.data, bytes, size) != 0)
        return NULL;
    return made;
}

static void forget_published(void)
{
    for (size_t i = 0; i < published.shelf_count; i++) {
        struct shelf *shelf = published.shelves[i];
        for (size_t j = 0; j < shelf->count; j++) {
            buffer_close(&shelf->items[j]->bytes);
            free(shelf->items[j]);
        }
        free(shelf->items);
        free(shelf);
    }
    free(published.shelves);
    memset(&published, 0, sizeof published);
}

void shelves_enter(void)
{
    published.models++;
}

void shelves_leave(void)
{
    if (--published.models == 0)
        forget_published();
}
