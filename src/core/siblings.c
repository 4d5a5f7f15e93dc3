#include "core/siblings.h"

#include "base/assert.h"
#include "base/error.h"

/* The version up to which @over covers @site.  Entries ascend by site. */
static gv_version covered(struct vv_view over, const struct site *site)
{
    size_t low = 0, high = over.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct vv_entry entry = vv_view_at(over, middle);
        int order = site_compare(&entry.site, site);

        if (order == 0)
            return entry.version;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    GV_ASSERT(low == high && low <= over.count);
    return 0;
}

static bool replaces(const struct sibling *a, const struct sibling *b)
{
    if (site_equal(a->site, b->site))
        return a->version > b->version;
    return covered(a->over, b->site) >= b->version;
}

void siblings_judge(struct sibling *cells, size_t count)
{
    GV_ASSERT(cells != NULL || count == 0);
    for (size_t i = 0; i < count; i++) {
        GV_ASSERT(cells[i].version > 0); /* else everything covers it */
        cells[i].dead = false;
        for (size_t j = 0; j < count && !cells[i].dead; j++)
            cells[i].dead = replaces(&cells[j], &cells[i]);
    }
}

int siblings_over(const struct sibling *cells, size_t count,
                  const struct site *site, struct vv *over)
{
    int rc = GV_OK;

    GV_ASSERT(site != NULL);
    for (size_t i = 0; i < count && rc == GV_OK; i++) {
        GV_ASSERT(cells[i].version <= VERSION_MAX);
        if (!site_equal(cells[i].site, site))
            rc = vv_raise(over, cells[i].site, cells[i].version);
        for (size_t j = 0; j < cells[i].over.count && rc == GV_OK; j++) {
            struct vv_entry entry = vv_view_at(cells[i].over, j);

            if (!site_equal(&entry.site, site))
                rc = vv_raise(over, &entry.site, entry.version);
        }
    }
    return rc;
}

size_t siblings_shown(const struct sibling *cells, size_t count)
{
    size_t shown = count;

    GV_ASSERT(cells != NULL || count == 0);
    for (size_t i = 0; i < count; i++) {
        if (cells[i].dead)
            continue;
        if (shown == count || cells[i].version > cells[shown].version ||
            (cells[i].version == cells[shown].version &&
             site_compare(cells[i].site, cells[shown].site) > 0))
            shown = i;
    }
    GV_ASSERT(shown <= count);
    return shown;
}
