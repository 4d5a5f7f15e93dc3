#include "node/refusals.h"

#include <stdio.h>
#include <string.h>

void refusals_init(struct refusals *refusals)
{
    refusals->count = 0;
}

static void refusals_remove(struct refusals *refusals, size_t index)
{
    vv_close(&refusals->items[index].needed);
    refusals->count--;
    memmove(&refusals->items[index], &refusals->items[index + 1],
            (refusals->count - index) * sizeof refusals->items[0]);
}

void refusals_close(struct refusals *refusals)
{
    while (refusals->count > 0)
        refusals_remove(refusals, refusals->count - 1);
}

static struct refusal *refusals_find(struct refusals *refusals,
                                     const char *from,
                                     const struct gv_error *why)
{
    for (size_t i = 0; i < refusals->count; i++) {
        struct refusal *refusal = &refusals->items[i];

        if (refusal->why.code == why->code &&
            strcmp(refusal->from, from) == 0 &&
            strcmp(refusal->why.what, why->what) == 0)
            return refusal;
    }
    return NULL;
}

void refusals_add(struct refusals *refusals, const char *from,
                  const struct gv_error *why, struct vv_view needed,
                  gv_time_ms wall)
{
    struct refusal *refusal = refusals_find(refusals, from, why);

    if (refusal == NULL) {
        if (refusals->count == REFUSALS_MAX)
            refusals_remove(refusals, 0);
        refusal = &refusals->items[refusals->count++];
        memset(refusal, 0, sizeof *refusal);
        vv_init(&refusal->needed);
        snprintf(refusal->from, sizeof refusal->from, "%s", from);
        refusal->why = *why;
    }
    /* Short of memory the vector stays behind, and the refusal is forgotten
     * too early: it is for show only. */
    (void)vv_raise_view(&refusal->needed, needed);
    refusal->count++;
    refusal->last = wall;
}

void refusals_prune(struct refusals *refusals, const struct vv *vv)
{
    for (size_t i = refusals->count; i-- > 0;) {
        if (vv_covers(vv, &refusals->items[i].needed))
            refusals_remove(refusals, i);
    }
}
