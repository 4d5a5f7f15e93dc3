/* Copies of intervals that outlive their event: those that wait for their
 * dependencies (room.c), those that wait to leave (push.c), and those that
 * passed lately (recent.c).  One copy serves all. */
#include "core/parcel.h"

#include "base/assert.h"
#include "core/state.h"

#include <stdlib.h>
#include <string.h>

struct parcel *parcel_new(struct core *core, const struct interval *interval)
{
    size_t dependencies = interval->dependencies.count * VV_ENTRY_SIZE;
    struct parcel *parcel =
        malloc(sizeof(*parcel) + interval->size + dependencies);

    GV_ASSERT(interval->bytes != NULL);
    GV_ASSERT(interval->size <= MESSAGE_NEWS_SIZE_MAX);
    GV_ASSERT(dependencies <= VV_SITES_MAX * VV_ENTRY_SIZE);
    if (parcel == NULL) {
        core->error = GV_ENOMEM;
        return NULL;
    }
    parcel->owners = 1;
    parcel->next_spent = NULL;
    parcel->interval = *interval;
    memcpy(parcel->bytes, interval->bytes, interval->size);
    if (dependencies > 0)
        memcpy(parcel->bytes + interval->size, interval->dependencies.bytes,
               dependencies);
    parcel->interval.bytes = parcel->bytes;
    parcel->interval.dependencies.bytes = parcel->bytes + interval->size;
    return parcel;
}

struct parcel *parcel_share(struct parcel *parcel)
{
    /* The links, the ring of recent ones, the room. */
    GV_ASSERT(parcel->owners > 0 && parcel->owners <= CORE_LINKS_MAX + 2);
    parcel->owners++;
    return parcel;
}

void parcel_drop(struct core *core, struct parcel *parcel)
{
    GV_ASSERT(parcel->owners > 0 && parcel->next_spent == NULL);
    if (--parcel->owners > 0)
        return;
    /* An effect of this step may point into it. */
    parcel->next_spent = core->spent;
    core->spent = parcel;
}

void parcel_free_spent(struct core *core)
{
    while (core->spent != NULL) {
        struct parcel *parcel = core->spent;
        GV_ASSERT(parcel->owners == 0);
        core->spent = parcel->next_spent;
        free(parcel);
    }
}
