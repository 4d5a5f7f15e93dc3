/* What heartbeats measure: how far a peer is, and how its clock differs.
 *
 * As NTP does (Mills, RFC 5905, section 8): a stamp goes out, and the peer's
 * next heartbeat says which stamp it heard last and how long it held it.  The
 * rest of the time is the way there and back, and the peer's clock was read
 * somewhere in the second part of it: the shorter the round trip, the surer
 * the offset.  Of the last eight the shortest counts. */
#include "core/timing.h"

#include "base/assert.h"
#include "core/clock.h"
#include "core/emit.h"
#include "core/link.h"
#include "core/state.h"

#include <stdlib.h>

/* Stamps are never 0, which says that none was heard. */
static gv_time_ms stamp_now(const struct core *core)
{
    return core->now + 1;
}

void timing_reset(struct link *link)
{
    link->peer_stamp = 0;
    link->sample_count = 0;
    link->rtt_ms = -1;
    link->clock_measured = false;
}

/* Of the wall clock. */
static gv_time_ms left(const struct core *core, gv_time_ms until)
{
    return until == NEVER || until <= core->wall ? 0 : until - core->wall;
}

void timing_beat(const struct core *core, const struct link *link,
                 struct message_beat *beat)
{
    GV_ASSERT(link->peer_stamp >= 0);
    *beat = (struct message_beat){.stamp = stamp_now(core),
                                  .echo = link->peer_stamp};
    if (link->peer_stamp != 0)
        beat->held = core->now - link->peer_stamp_at;
    GV_ASSERT(beat->held >= 0);
    if (link->refused == GV_OK)
        return;
    beat->refusal =
        link->refused == GV_ECLOCK ? REFUSES_CLOCK : REFUSES_SCHEMA;
    beat->retry = left(core, link->refused_until);
}

/* Two offsets that cannot both be right: each is off by at most half of its
 * round trip, so one of the clocks was set in between. */
static bool moved(const struct sample *a, const struct sample *b)
{
    return llabs(a->ahead - b->ahead) > (a->rtt + b->rtt) / 2 + 2;
}

static void add_sample(struct link *link, struct sample sample)
{
    const struct sample *best;

    GV_ASSERT(sample.rtt >= 0);
    for (size_t i = 0; i < link->sample_count && i < TIMING_SAMPLES; i++) {
        if (moved(&link->samples[i], &sample))
            link->sample_count = 0;
    }
    link->samples[link->sample_count++ % TIMING_SAMPLES] = sample;
    best = &link->samples[0];
    for (size_t i = 1; i < link->sample_count && i < TIMING_SAMPLES; i++) {
        if (link->samples[i].rtt < best->rtt)
            best = &link->samples[i];
    }
    link->rtt_ms = best->rtt;
    link->clock_ahead = best->ahead;
    link->clock_measured = true;
    GV_ASSERT(link->rtt_ms >= 0);
    if (link->peer != NULL)
        link->peer->rtt_ms = best->rtt;
}

/* A peer that refuses what this node has says so, since only it knows. */
static void hear_refusal(struct core *core, struct link *link,
                         const struct message_beat *beat)
{
    bool news =
        beat->refusal == REFUSES_CLOCK && link->peer_refuses != REFUSES_CLOCK;
    char who[2 * TEXT_SPACE];

    GV_ASSERT(beat->refusal < REFUSALS);
    link->peer_refuses = beat->refusal;
    link->peer_retry_at = core->now + beat->retry;
    if (news)
        emit_log(core, GV_LOG_WARNING,
                 "%s refuses what this node has: it lies more than %d s ahead "
                 "of its clock; it tries again in %lld s",
                 link_who(link, who), CLOCK_DRIFT_MAX_MS / 1000,
                 (long long)beat->retry / 1000);
}

static int compare_times(const void *a, const void *b)
{
    const gv_time_ms *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

size_t timing_median(const struct core *core, gv_time_ms *ahead)
{
    gv_time_ms all[CORE_LINKS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < core->link_count; i++) {
        if (core->links[i]->state == LINK_UP)
            all[count++] = core->links[i]->clock_ahead;
    }
    GV_ASSERT(count <= CORE_LINKS_MAX);
    *ahead = 0;
    if (count == 0)
        return 0;
    qsort(all, count, sizeof(all[0]), compare_times);
    /* Of two in the middle the smaller difference: one liar among two is
     * believed by nobody. */
    *ahead = all[count / 2];
    if (count % 2 == 0 && llabs(all[count / 2 - 1]) < llabs(*ahead))
        *ahead = all[count / 2 - 1];
    return count;
}

static void compare(struct core *core)
{
    gv_time_ms ahead;
    size_t count = timing_median(core, &ahead);
    int wrong = count < 2 || llabs(ahead) <= CORE_CLOCK_WARN_MS ? 0
                : ahead > 0                                     ? 1
                                                                : -1;

    if (wrong != core->clock_wrong && wrong != 0)
        emit_log(
            core, GV_LOG_WARNING,
            "the clock of this node is %lld s %s those of most of its %zu "
            "peers; set it%s",
            llabs(ahead) / 1000, wrong > 0 ? "ahead of" : "behind", count,
            wrong > 0 ? ": what is written under it wins over what others "
                        "write, and over 60 s it is refused"
                      : "");
    GV_ASSERT(wrong >= -1 && wrong <= 1);
    core->clock_wrong = wrong;
}

void timing_heard(struct core *core, struct link *link,
                  const struct message_vv *vv)
{
    const struct message_beat *beat = &vv->beat;
    gv_time_ms rtt = stamp_now(core) - beat->echo - beat->held;

    link->peer_stamp = beat->stamp;
    link->peer_stamp_at = core->now;
    hear_refusal(core, link, beat);
    /* An echo of another life of this node means nothing, nor does a time
     * that cannot be. */
    if (beat->echo > 0 && rtt >= 0 && beat->echo > link->since)
        add_sample(link,
                   (struct sample){rtt, core->wall - vv->clock - rtt / 2});
    else if (!link->clock_measured)
        link->clock_ahead = core->wall - vv->clock;
    compare(core);
}
