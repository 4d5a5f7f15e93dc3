/* Intervals that passed here lately.  A WANT for nothing but some of them is
 * answered by a NEWS that has them as they came.
 *
 * So what was pushed and lost costs neither side's store a spool; and what
 * the answer brings is passed on, which what a delta brings cannot be: one
 * lost push would have each node behind it ask in turn. */
#include "core/recent.h"

#include "base/assert.h"
#include "core/parcel.h"
#include "core/push.h"
#include "core/state.h"

_Static_assert(MESSAGE_NEWS_SIZE_MAX + VV_SITES_MAX * VV_ENTRY_SIZE <=
                   RECENT_SIZE_MAX,
               "the longest interval finds a place");

/* What a parcel holds beside its head. */
static size_t weight(const struct interval *interval)
{
    return interval->size + interval->dependencies.count * VV_ENTRY_SIZE;
}

static struct parcel *item(const struct recent *recent, size_t number)
{
    GV_ASSERT(number < recent->count);
    return recent->items[(recent->first + number) % RECENT_COUNT_MAX];
}

static void forget_oldest(struct core *core)
{
    struct recent *recent = &core->recent;
    struct parcel *oldest = item(recent, 0);

    GV_ASSERT(recent->size >= weight(&oldest->interval));
    recent->size -= weight(&oldest->interval);
    recent->first = (recent->first + 1) % RECENT_COUNT_MAX;
    recent->count--;
    parcel_drop(core, oldest);
}

void recent_keep(struct core *core, const struct interval *interval,
                 struct parcel **shared)
{
    struct recent *recent = &core->recent;
    size_t size = weight(interval);

    GV_ASSERT(vv_get(&core->vv, &interval->site) >= interval->to);
    if (*shared == NULL)
        *shared = parcel_new(core, interval);
    if (*shared == NULL)
        return; /* a WANT for it is answered by a DELTA */
    while (recent->count == RECENT_COUNT_MAX ||
           recent->size + size > RECENT_SIZE_MAX)
        forget_oldest(core);
    recent->items[(recent->first + recent->count) % RECENT_COUNT_MAX] =
        parcel_share(*shared);
    recent->count++;
    recent->size += size;
    GV_ASSERT(recent->size <= RECENT_SIZE_MAX);
}

/* What follows on @held, which rises with it: one interval after another, in
 * the order in which they were applied here, and so after what they depend
 * on.  False: there is a hole, or it is too much for one NEWS. */
static bool gather(const struct recent *recent, struct vv *held,
                   struct message_news *news)
{
    size_t size = 0;

    for (size_t i = 0; i < recent->count; i++) {
        const struct interval *interval = &item(recent, i)->interval;
        gv_version at = vv_get(held, &interval->site);
        if (interval->to <= at)
            continue;
        size += interval->size;
        if (interval->from != at || size > MESSAGE_NEWS_SIZE_MAX ||
            news->interval_count == MESSAGE_INTERVALS_MAX ||
            vv_raise(held, &interval->site, interval->to) != GV_OK)
            return false;
        news->intervals[news->interval_count++] = *interval;
    }
    return true;
}

bool recent_answer(struct core *core, struct link *link, uint64_t token)
{
    struct message_news news = {.token = token};
    struct vv held = {0};
    bool all;

    GV_ASSERT(token != 0 && link->state == LINK_UP);
    GV_ASSERT(link->give.state == GIVE_NONE);
    if (vv_copy(&held, &link->believed) != GV_OK) {
        vv_close(&held);
        return false;
    }
    all = gather(&core->recent, &held, &news) && vv_covers(&held, &core->vv);
    vv_close(&held);
    return all && push_answer(core, link, &news);
}

void recent_close(struct core *core)
{
    while (core->recent.count > 0)
        forget_oldest(core);
}
