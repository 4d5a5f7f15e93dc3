/* Intervals out: to which links, and when.
 *
 * An interval that comes alone leaves at once.  Those that follow on the same
 * link within the hold leave together, in one frame: where commits come
 * thick, frames and acknowledgements become few, and what the peer gets from
 * somewhere else meanwhile is not sent at all. */
#include "core/push.h"

#include "base/assert.h"
#include "core/emit.h"
#include "core/mark.h"
#include "core/parcel.h"
#include "core/recent.h"
#include "core/state.h"
#include "core/tell.h"

/* How long intervals of this site are held: less than people or programs
 * notice, and four of them at 2,000 commits a second. */
#define HOLD_OWN_MS 2
/* How long others' are, at most; else a quarter of the link's round trip,
 * which is half of what they take on the way. */
#define HOLD_MAX_MS 50
#define HOLD_PART 4
/* Longer intervals are not worth a copy that waits. */
#define HOLD_SIZE_MAX (4 * 1024)

_Static_assert(MESSAGE_NEWS_SIZE_MAX <= CORE_NEWS_CREDIT,
               "the longest interval fits a credit nobody uses");
_Static_assert(HOLD_MAX_MS < CORE_GRACE_MS,
               "what is held arrives before it is asked for");
_Static_assert(MESSAGE_INTERVALS_MAX *HOLD_SIZE_MAX >= MESSAGE_NEWS_SIZE_MAX,
               "what is held can fill a frame");

static gv_time_ms hold_ms(const struct core *core, const struct link *link,
                          const struct interval *interval)
{
    gv_time_ms hold = link->rtt_ms / HOLD_PART;

    GV_ASSERT(link->rtt_ms >= -1);
    if (site_equal(&interval->site, &core->site) || hold < HOLD_OWN_MS)
        return HOLD_OWN_MS;
    return hold < HOLD_MAX_MS ? hold : HOLD_MAX_MS;
}

/* Whether @interval is to go to @link by itself. */
static bool wanted(struct core *core, const struct link *link,
                   const struct interval *interval)
{
    return vv_get(&link->believed, &interval->site) < interval->to &&
           !mark_lazy(core, link, &interval->site);
}

/* Count @interval as sent; false without credit, when a VV tells of it. */
static bool charge(struct core *core, struct link *link,
                   const struct interval *interval)
{
    if (link->news_unacked + interval->size > CORE_NEWS_CREDIT) {
        tell_soon(core, link);
        return false;
    }
    link->news_unacked += interval->size;
    GV_ASSERT(link->news_unacked <= CORE_NEWS_CREDIT);
    return true;
}

static void send(struct core *core, struct link *link,
                 const struct message_news *news)
{
    struct message message = {.kind = MESSAGE_NEWS, .as.news = *news};

    GV_ASSERT(link->state == LINK_UP);
    GV_ASSERT(news->interval_count >= 1 || news->token != 0);
    GV_ASSERT(news->interval_count <= MESSAGE_INTERVALS_MAX);
    if (!emit_message(core, link->number, &message)) {
        tell_soon(core, link);
        return;
    }
    core->counters.news_frames++;
    for (size_t i = 0; i < news->interval_count; i++) {
        const struct interval *interval = &news->intervals[i];
        GV_ASSERT(interval->from < interval->to);
        core->counters.news_sent++;
        if (vv_raise(&link->pushed, &interval->site, interval->to) != GV_OK ||
            vv_raise(&link->told, &interval->site, interval->to) != GV_OK)
            core->error = GV_ENOMEM;
    }
}

/* Send what is held, and nothing that the peer has got meanwhile. */
static void flush(struct core *core, struct link *link)
{
    struct outgoing *out = &link->out;
    struct message_news news = {.interval_count = 0};

    for (size_t i = 0; i < out->count; i++) {
        const struct interval *interval = &out->items[i]->interval;
        if (wanted(core, link, interval) && charge(core, link, interval))
            news.intervals[news.interval_count++] = *interval;
        else
            tell_later(core, link);
    }
    push_drop(core, link);
    if (news.interval_count > 0)
        send(core, link, &news);
}

void push_drop(struct core *core, struct link *link)
{
    struct outgoing *out = &link->out;

    GV_ASSERT(out->count <= MESSAGE_INTERVALS_MAX);
    while (out->count > 0)
        parcel_drop(core, out->items[--out->count]);
    out->size = 0;
}

/* Hold @interval back; false if it cannot be. */
static bool hold(struct core *core, struct link *link,
                 const struct interval *interval, struct parcel **shared)
{
    struct outgoing *out = &link->out;
    gv_time_ms latest = core->now + hold_ms(core, link, interval);

    GV_ASSERT(interval->bytes != NULL);
    if (interval->size > HOLD_SIZE_MAX ||
        (out->count == 0 && core->now >= link->push_at) ||
        out->count == MESSAGE_INTERVALS_MAX ||
        out->size + interval->size > MESSAGE_NEWS_SIZE_MAX)
        return false;
    if (*shared == NULL)
        *shared = parcel_new(core, interval);
    if (*shared == NULL)
        return false;
    out->items[out->count++] = parcel_share(*shared);
    out->size += interval->size;
    GV_ASSERT(out->size <= MESSAGE_NEWS_SIZE_MAX);
    if (link->push_at > latest)
        link->push_at = latest; /* what is our own does not wait for others' */
    return true;
}

/* Nothing is pushed twice: a seal and an apply end once. */
static void push(struct core *core, struct link *link,
                 const struct interval *interval, struct parcel **shared)
{
    struct message_news news = {.interval_count = 1};

    if (link->state != LINK_UP)
        return;
    if (!wanted(core, link, interval)) {
        tell_later(core, link);
        return;
    }
    if (interval->bytes == NULL) {
        tell_soon(core, link);
        return;
    }
    if (hold(core, link, interval, shared))
        return;
    flush(core, link); /* what came first goes first */
    if (!charge(core, link, interval))
        return;
    news.intervals[0] = *interval;
    send(core, link, &news);
    link->push_at = core->now + hold_ms(core, link, interval);
}

bool push_answer(struct core *core, struct link *link,
                 const struct message_news *news)
{
    size_t size = 0;

    GV_ASSERT(news->token != 0);
    for (size_t i = 0; i < news->interval_count; i++)
        size += news->intervals[i].size;
    if (link->news_unacked + size > CORE_NEWS_CREDIT)
        return false;
    link->news_unacked += size;
    send(core, link, news);
    return true;
}

void push_all(struct core *core, const struct interval *interval)
{
    struct parcel *shared = NULL;

    GV_ASSERT(interval->from < interval->to && interval->to <= VERSION_MAX);
    GV_ASSERT(interval->bytes == NULL ||
              interval->size <= MESSAGE_NEWS_SIZE_MAX);
    if (interval->bytes != NULL)
        recent_keep(core, interval, &shared);
    for (size_t i = 0; i < core->link_count; i++)
        push(core, core->links[i], interval, &shared);
    if (shared != NULL)
        parcel_drop(core, shared);
}

void push_tick(struct core *core)
{
    for (size_t i = 0; i < core->link_count; i++) {
        struct link *link = core->links[i];
        if (link->out.count == 0 || link->push_at > core->now)
            continue;
        link->push_at =
            core->now +
            hold_ms(core, link,
                    &link->out.items[link->out.count - 1]->interval);
        flush(core, link);
    }
}

gv_time_ms push_deadline(const struct core *core)
{
    gv_time_ms deadline = NEVER;

    for (size_t i = 0; i < core->link_count; i++) {
        const struct link *link = core->links[i];
        GV_ASSERT(link->out.count <= MESSAGE_INTERVALS_MAX);
        if (link->out.count > 0 && link->push_at < deadline)
            deadline = link->push_at;
    }
    return deadline;
}
