/* Intervals: checked when received, given to push.c when sealed or applied. */
#include "core/news.h"

#include "base/assert.h"
#include "base/plant.h"
#include "core/clock.h"
#include "core/emit.h"
#include "core/link.h"
#include "core/mark.h"
#include "core/push.h"
#include "core/room.h"
#include "core/state.h"
#include "core/tell.h"
#include "core/want.h"

#include <string.h>

/* A refusal for the clock is not tried again before this, even where the
 * clocks here and in the store do not agree on when it is over. */
#define CLOCK_RETRY_MIN_MS 100

void news_sealed(struct core *core, const struct event *event)
{
    const struct interval *interval = &event->as.sealed.interval;

    GV_ASSERT(site_equal(&interval->site, &core->site));
    GV_ASSERT(interval->from < interval->to && interval->to <= VERSION_MAX);
    if (interval->to > core->own_end)
        core->own_end = interval->to;
    tell_raise(core, &interval->site, interval->to);
    core->fingerprint = event->as.sealed.fingerprint;
    push_all(core, interval);
}

static bool well_formed(const struct link *link,
                        const struct message_news *news)
{
    size_t size = link->news_pending + link->news_owed;

    GV_ASSERT(size <= 2 * CORE_NEWS_CREDIT);
    if ((news->interval_count < 1 && news->token == 0) ||
        news->interval_count > MESSAGE_INTERVALS_MAX)
        return false;
    for (size_t i = 0; i < news->interval_count; i++) {
        const struct interval *interval = &news->intervals[i];
        if (interval->from >= interval->to || interval->to > VERSION_MAX ||
            interval->size > MESSAGE_NEWS_SIZE_MAX ||
            !vv_view_valid(interval->dependencies))
            return false;
        size += interval->size;
    }
    /* Twice the credit: the sender takes what our VV covers for
     * acknowledged, even if that ACK was lost. */
    return size <= 2 * CORE_NEWS_CREDIT;
}

static void found_fork(struct core *core, struct link *link,
                       const struct interval *interval)
{
    char who[2 * TEXT_SPACE], site[33];

    core->counters.forks++;
    if (link->fork_told)
        return;
    link->fork_told = true;
    site_format(&interval->site, site);
    if (site_equal(&interval->site, &core->site))
        emit_log(core, GV_LOG_ERROR,
                 "%s holds changes of this very file that it does not have: "
                 "this file went back in time, as a restored backup does",
                 link_who(link, who));
    else
        emit_log(core, GV_LOG_ERROR,
                 "%s offers changes of site %.8s that straddle what this "
                 "node holds: two files publish under that site id",
                 link_who(link, who), site);
}

bool news_apply(struct core *core, struct link *link,
                const struct interval *interval)
{
    struct effect effect = {.kind = EFFECT_APPLY, .link = link->number};

    /* What this site published, only its own store may hand in. */
    GV_ASSERT(!site_equal(&interval->site, &core->site));
    GV_ASSERT(interval->from < interval->to);
    effect.as.apply.interval = *interval;
    if (vv_raise(&core->pending, &interval->site, interval->to) != GV_OK ||
        !emit(core, &effect)) {
        if (core->applying == 0)
            (void)vv_copy(&core->pending, &core->vv);
        return false;
    }
    core->applying++;
    link->news_pending += interval->size;
    GV_ASSERT(link->news_pending <= 2 * CORE_NEWS_CREDIT);
    return true;
}

/* @interval is none of those that are new; true if it was one of those. */
static bool is_old(struct core *core, struct link *link,
                   const struct interval *interval)
{
    gv_version held = vv_get(&core->pending, &interval->site);

    if (interval->to <= held || room_holds(core, interval)) {
        core->counters.news_duplicate++;
        link->news_duplicate++;
        mark_again(core, link, &interval->site);
        return true;
    }
    if (site_equal(&interval->site, &core->site) ||
        (interval->from < held && held < interval->to)) {
        found_fork(core, link, interval);
        return true;
    }
    GV_ASSERT(held <= interval->from);
    return false;
}

/* What becomes of @interval; true if its bytes count as dealt with when it
 * has been applied, or has waited long enough. */
static bool accept(struct core *core, struct link *link,
                   const struct interval *interval)
{
    gv_version held = vv_get(&core->pending, &interval->site);

    if (is_old(core, link, interval))
        return false;
    if (plant("gap-not-seen") && held < interval->from)
        held = interval->from;
    mark_first(core, link, &interval->site);
    if (held == interval->from &&
        vv_covers_view(&core->pending, interval->dependencies) &&
        news_apply(core, link, interval))
        return true;
    /* An effect before its cause, or after a hole: its link is believed to
     * hold what comes before, and is asked unless that comes soon. */
    core->counters.news_early++;
    return room_enter(core, link, interval);
}

int news_receive(struct core *core, struct link *link,
                 const struct message_news *news)
{
    GV_ASSERT(link->greeted);
    if (!well_formed(link, news))
        return GV_EPROTO;
    for (size_t i = 0; i < news->interval_count; i++) {
        const struct interval *interval = &news->intervals[i];
        core->counters.news_received++;
        link->news_received++;
        if (!accept(core, link, interval))
            tell_dealt(core, link, interval->size);
        tell_believe(core, link, &interval->site, interval->to);
    }
    if (news->token != 0)
        return want_answered(core, link, news->token);
    return GV_OK;
}

void news_apply_ended(struct core *core)
{
    GV_ASSERT(core->applying > 0);
    if (--core->applying > 0 || core->pending.hash == core->vv.hash)
        return;
    /* Something failed.  @pending has room for @vv, which it covers. */
    (void)vv_copy(&core->pending, &core->vv);
    for (size_t i = 0; i < core->link_count; i++)
        want_rescan(core, core->links[i]);
}

void news_refuse(struct core *core, struct link *link, int code,
                 gv_version largest, const char *reason)
{
    gv_time_ms until = clock_wall(largest) - CLOCK_DRIFT_MAX_MS;
    char who[2 * TEXT_SPACE];

    GV_ASSERT(code == GV_ESCHEMA || code == GV_ECLOCK);
    GV_ASSERT(largest <= VERSION_MAX);
    if (until < core->wall + CLOCK_RETRY_MIN_MS)
        until = core->wall + CLOCK_RETRY_MIN_MS;
    if (link->reason_code != code)
        emit_log(core, GV_LOG_WARNING, "refused what %s offers: %s",
                 link_who(link, who), reason);
    link->refused = code;
    link->reason_code = code;
    link->refused_until = code == GV_ECLOCK ? until : NEVER;
    GV_ASSERT(link->refused_until > core->wall);
    (void)snprintf(link->reason, sizeof(link->reason), "%s", reason);
    if (code != GV_ECLOCK)
        return;
    core->too_far = largest;
    memcpy(core->too_far_reason, link->reason, sizeof(core->too_far_reason));
}

bool news_refuse_again(struct core *core, struct link *link)
{
    if (!clock_too_far(core->too_far, core->wall))
        return false;
    for (size_t i = 0; i < link->believed.count; i++) {
        gv_version version = link->believed.entries[i].version;

        if (version < core->too_far || !clock_too_far(version, core->wall))
            continue;
        GV_ASSERT(core->too_far_reason[0] != '\0');
        news_refuse(core, link, GV_ECLOCK, version, core->too_far_reason);
        return true;
    }
    return false;
}

static void failed(struct core *core, struct link *link,
                   const struct event *event)
{
    const struct interval *interval = &event->as.applied.interval;
    const char *reason =
        event->reason != NULL ? event->reason : gv_strerror(event->code);
    char who[2 * TEXT_SPACE];

    GV_ASSERT(event->code != GV_OK && event->code != GV_EDUPLICATE);
    if (event->code == GV_EGAP) {
        core->counters.news_early++;
        return;
    }
    core->counters.news_refused++;
    if (link == NULL)
        return;
    if (event->code == GV_ESCHEMA || event->code == GV_ECLOCK) {
        news_refuse(core, link, event->code, interval->to, reason);
    } else if (event->code == GV_EFORK) {
        found_fork(core, link, interval);
    } else if (event->code == GV_EPROTO) {
        core->counters.bad_messages++;
        emit_log(core, GV_LOG_ERROR, "%s sent changes that make no sense: %s",
                 link_who(link, who), reason);
        link_bye(core, link, BYE_BAD_MESSAGE, reason);
    } else {
        emit_log(core, GV_LOG_ERROR, "changes from %s were not applied: %s",
                 link_who(link, who), reason);
    }
}

void news_applied(struct core *core, const struct event *event)
{
    const struct interval *interval = &event->as.applied.interval;
    struct link *link = link_find(core, event->link);
    bool held = event->code == GV_OK || event->code == GV_EDUPLICATE;

    GV_ASSERT(core->applying > 0);
    GV_ASSERT(!site_equal(&interval->site, &core->site));
    if (link != NULL) {
        GV_ASSERT(link->news_pending >= interval->size);
        link->news_pending -= interval->size;
        tell_dealt(core, link, interval->size);
    }
    if (held) {
        tell_raise(core, &interval->site, interval->to);
        core->fingerprint = event->as.applied.fingerprint;
    } else {
        failed(core, link, event);
    }
    news_apply_ended(core);
    if (!held)
        return;
    if (event->code == GV_OK)
        core->counters.news_applied++;
    else
        core->counters.news_duplicate++;
    push_all(core, interval);
}

void news_acknowledged(struct link *link, uint64_t size)
{
    /* More than is owed is an ACK overtaken by a VV that covered it. */
    link->news_unacked -=
        size < link->news_unacked ? (size_t)size : link->news_unacked;
    GV_ASSERT(link->news_unacked <= CORE_NEWS_CREDIT);
}
