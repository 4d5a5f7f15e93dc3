/* Asking for what is missing: one WANT at a time, to the link that has most
 * of it; its answer is staged by the store until the last byte is there. */
#include "core/want.h"

#include "base/assert.h"
#include "base/plant.h"
#include "core/emit.h"
#include "core/link.h"
#include "core/mark.h"
#include "core/news.h"
#include "core/room.h"
#include "core/stage.h"
#include "core/state.h"
#include "core/tell.h"

#include <stdlib.h>
#include <string.h>

/* While one thing after another is missing for a moment only, as under a
 * stream of news, an older hole could hide behind the newest; so something
 * missing without a break for this long is asked for in any case. */
#define BEHIND_MAX_MS (30 * CORE_GRACE_MS)

/* A WANT and the NEWS before it, or a VV, may be on their way twice as long as
 * was measured, and wait for a packet that is sent again. */
#define WANT_WAY_MS 300

/* After n failures on end the next WANT waits CORE_GRACE_MS << n, at most 64
 * times as long. */
#define FAILURES_SHIFT_MAX 6

_Static_assert(CORE_GRACE_MS > CORE_VV_PROGRESS_MS,
               "news on its way comes before it is asked for");
_Static_assert(CORE_WANT_PATIENCE_MS > CORE_SILENCE_MAX_MS,
               "a dead link ends its WANT before patience does");
_Static_assert(CORE_GRACE_MS << FAILURES_SHIFT_MAX < CORE_WANT_PATIENCE_MS,
               "the wait after failures is shorter than a failure");
_Static_assert(CORE_WANT_PACE_MS > CORE_WANT_PATIENCE_MS,
               "what is slow is found later than what stands still");
_Static_assert(DELTA_ACK_SIZE + MESSAGE_DELTA_SIZE_MAX <= CORE_DELTA_CREDIT,
               "an ACK leaves before the provider is out of credit");

void want_note(struct core *core, struct link *link, const struct site *site,
               gv_version version)
{
    GV_ASSERT((link->missing.version == 0) == (link->missing_since == NEVER));
    if (link->missing.version != 0 || vv_get(&core->pending, site) >= version)
        return;
    link->missing.site = *site;
    link->missing.version = version;
    link->missing_since = core->now;
    if (link->behind_since == NEVER)
        link->behind_since = core->now;
    GV_ASSERT(link->behind_since <= link->missing_since);
}

static bool still_missing(const struct core *core, const struct link *link)
{
    return link->missing.version != 0 &&
           vv_get(&core->pending, &link->missing.site) < link->missing.version;
}

void want_rescan(struct core *core, struct link *link)
{
    if (still_missing(core, link))
        return;
    link->missing.version = 0;
    link->missing_since = NEVER;
    for (size_t i = 0; i < link->believed.count; i++) {
        const struct vv_entry *entry = &link->believed.entries[i];
        want_note(core, link, &entry->site, entry->version);
        if (link->missing.version != 0)
            return;
    }
    GV_ASSERT(link->missing_since == NEVER);
    link->behind_since = NEVER;
}

/* What another link is about to bring is worth some waiting, be it the thing
 * itself or what it depends on: it comes whole, and is passed on, which what
 * is asked for is not.  Who is the source itself pushes before it tells: what
 * it tells and did not bring, it will not. */
static gv_time_ms grace_of(const struct core *core, const struct link *link)
{
    gv_time_ms grace = CORE_GRACE_MS;

    GV_ASSERT(link->rtt_ms >= -1);
    if (mark_elsewhere(core, link, &link->missing.site) ||
        room_next_of(core, &link->missing.site))
        grace += CORE_SOURCE_GRACE_MS;
    if (link->rtt_ms > 0)
        grace += link->rtt_ms;
    return grace < BEHIND_MAX_MS ? grace : BEHIND_MAX_MS;
}

/* Frames were lost, and nothing is known to be missing: they told of what came
 * another way, most of the time.  What is on its way would come twice if it
 * were asked for with the vector. */
static bool lacks_vector(const struct core *core, const struct link *link)
{
    return link->missing.version == 0 && core->stage.held.token == 0 &&
           (link->agreed.features & FEATURE_VECTORS);
}

/* Frames keep their order, so a vector that is not what it was said to be says
 * that one was lost, unless it waits to leave with others. */
static gv_time_ms unheard_grace(const struct core *core,
                                const struct link *link)
{
    gv_time_ms grace = CORE_GRACE_MS + (link->rtt_ms > 0 ? link->rtt_ms : 0);

    return lacks_vector(core, link) && grace < CORE_HEARTBEAT_MS
               ? grace
               : CORE_HEARTBEAT_MS;
}

/* When @link is to be asked; NEVER while there is no cause. */
static gv_time_ms due_at(const struct core *core, const struct link *link)
{
    gv_time_ms patience = stage_patience(core);
    gv_time_ms due = NEVER;

    if (link->state != LINK_UP || link->refused != GV_OK)
        return NEVER;
    if (link->missing.version != 0) {
        /* Neither is NEVER, to which nothing can be added. */
        GV_ASSERT(link->missing_since != NEVER);
        GV_ASSERT(link->behind_since <= link->missing_since);
        due = link->missing_since + grace_of(core, link);
        if (due > link->behind_since + BEHIND_MAX_MS)
            due = link->behind_since + BEHIND_MAX_MS;
    }
    if (link->unheard_since != NEVER &&
        due > link->unheard_since + unheard_grace(core, link))
        due = link->unheard_since + unheard_grace(core, link);
    if (due < patience && !stage_is_of(core, link))
        due = patience;
    return due;
}

static gv_time_ms all_due_at(const struct core *core)
{
    gv_time_ms due = NEVER;

    for (size_t i = 0; i < core->link_count; i++) {
        gv_time_ms at = due_at(core, core->links[i]);
        if (at < due)
            due = at;
    }
    return due;
}

/* How much of what is missing @link is believed to have.  What was begun with
 * it is worth more than that. */
static size_t worth(const struct core *core, const struct link *link)
{
    if (stage_is_of(core, link))
        return SIZE_MAX;
    return vv_lacks(&core->pending, &link->believed);
}

static struct link *choose(const struct core *core)
{
    struct link *best = NULL;
    size_t best_lacks = 0;

    for (size_t i = 0; i < core->link_count; i++) {
        struct link *link = core->links[i];
        size_t lacks;
        if (due_at(core, link) == NEVER ||
            (stage_patience(core) > core->now && !stage_is_of(core, link)))
            continue;
        lacks = worth(core, link);
        if (best == NULL || link->want_failures < best->want_failures ||
            (link->want_failures == best->want_failures &&
             lacks > best_lacks)) {
            best = link;
            best_lacks = lacks;
        }
    }
    GV_ASSERT(best == NULL || best->state == LINK_UP);
    return best;
}

static enum want_answer answer_wanted(const struct core *core,
                                      const struct link *link)
{
    if (link->unheard_since == NEVER)
        return ANSWER_NEWS;
    return lacks_vector(core, link) ? ANSWER_VECTOR : ANSWER_WHOLE;
}

static void ask(struct core *core, struct link *link)
{
    struct message message = {.kind = MESSAGE_WANT};
    struct want *want = &core->want;
    uint64_t token;

    GV_ASSERT(want->state == WANT_NONE && want->claim == NULL);
    GV_ASSERT(link->state == LINK_UP && link->refused == GV_OK);
    do
        token = random_u64(&core->random);
    while (token == 0);
    message.as.want.token = token;
    message.as.want.credit = core->delta_credit;
    stage_cursor(core, link, &message.as.want);
    message.as.want.answer = answer_wanted(core, link);
    /* The vector that stands, not the one that is pending: an apply may
     * fail, and what it was to bring must not be left out.  Of it the peer
     * knows what it was told; if part of that was lost, it sends more. */
    if (!tell_changed(core, link, &message.as.want.vv) ||
        !emit_message(core, link->number, &message))
        return;
    memset(want, 0, sizeof(*want));
    want->state = WANT_ASKED;
    want->link = link;
    want->token = token;
    want->sent_at = core->now;
    want->progress_at = core->now;
    if (link->unheard_since != NEVER)
        link->unheard_since = core->now; /* not again at once */
    core->counters.wants_sent++;
    link->served = true;
    mark_asks(core, link);
}

static void end(struct core *core)
{
    GV_ASSERT(core->want.state != WANT_NONE);
    free(core->want.claim);
    core->want.claim = NULL;
    core->want.link = NULL;
    core->want.state = WANT_NONE;
}

static void drop_stage(struct core *core)
{
    struct effect effect = {.kind = EFFECT_DROP_STAGE,
                            .link = core->want.link->number};

    GV_ASSERT(core->want.state == WANT_ASKED);
    effect.as.drop.token = core->want.token;
    (void)emit(core, &effect);
    end(core);
}

static void failed(struct core *core, struct link *link)
{
    unsigned shift = link->want_failures < FAILURES_SHIFT_MAX
                         ? link->want_failures
                         : FAILURES_SHIFT_MAX;

    link->want_failures++;
    core->want.not_before = core->now + ((gv_time_ms)CORE_GRACE_MS << shift);
}

/* What has come waits for the rest, if it can. */
static void cut(struct core *core)
{
    if (stage_keep(core))
        end(core);
    else
        drop_stage(core);
}

static void give_up(struct core *core)
{
    struct link *link = core->want.link;

    cut(core);
    failed(core, link);
}

void want_link_gone(struct core *core, struct link *link)
{
    if (core->want.link != link)
        return;
    GV_ASSERT(core->want.state != WANT_NONE);
    if (core->want.state == WANT_ASKED)
        cut(core);
    core->want.link = NULL;
}

void want_stop(struct core *core)
{
    if (core->want.state == WANT_ASKED)
        cut(core);
}

static void acknowledge(struct core *core, bool applied)
{
    struct message message = {.kind = MESSAGE_ACK};
    struct want *want = &core->want;

    GV_ASSERT(want->acked <= want->kept && want->kept <= want->staged);
    GV_ASSERT(!applied || (want->last && want->staged == want->received));
    GV_ASSERT(want->link->state == LINK_UP);
    message.as.ack.token = want->token;
    message.as.ack.delta_size = want->kept - want->acked;
    message.as.ack.delta_applied = applied;
    want->acked = want->kept;
    (void)emit_message(core, want->link->number, &message);
}

static bool keep_claim(struct core *core, struct vv_view claim)
{
    struct want *want = &core->want;
    size_t size = claim.count * VV_ENTRY_SIZE;

    GV_ASSERT(want->claim == NULL && !want->last);
    GV_ASSERT(claim.count <= VV_SITES_MAX);
    want->claim = malloc(size + 1);
    if (want->claim == NULL) {
        core->error = GV_ENOMEM;
        return false;
    }
    if (size > 0)
        memcpy(want->claim, claim.bytes, size);
    want->claim_count = claim.count;
    want->last = true;
    return true;
}

static bool stage(struct core *core, const struct message_delta *delta)
{
    struct effect effect = {.kind = EFFECT_STAGE,
                            .link = core->want.link->number};

    GV_ASSERT(delta->token == core->want.token);
    GV_ASSERT(delta->offset == core->want.received);
    effect.as.stage.token = delta->token;
    effect.as.stage.site = core->want.link->site;
    effect.as.stage.spool = core->want.spool;
    effect.as.stage.offset = delta->offset;
    effect.as.stage.bytes = delta->bytes;
    effect.as.stage.size = delta->size;
    if (!emit(core, &effect))
        return false;
    core->want.staging++;
    core->want.received += delta->size;
    core->want.progress_at = core->now;
    core->counters.delta_bytes_received += delta->size;
    return true;
}

int want_receive(struct core *core, struct link *link,
                 const struct message_delta *delta)
{
    struct want *want = &core->want;

    if (want->state != WANT_ASKED || want->link != link ||
        want->token != delta->token)
        return GV_OK; /* of a WANT that was given up */
    if (delta->size > MESSAGE_DELTA_SIZE_MAX ||
        (delta->last && !vv_view_valid(delta->claim)))
        return GV_EPROTO;
    if (want->spool == 0) {
        if (stage_answered(core, link, delta) != GV_OK)
            return GV_EPROTO;
        want->pace_at = core->now;
        want->pace_from = want->received;
    }
    if (delta->spool != want->spool)
        return GV_EPROTO;
    if (want->last || delta->offset < want->received)
        return GV_OK; /* has come already */
    if (delta->offset > want->received) {
        give_up(core); /* a piece was lost */
        return GV_OK;
    }
    if (want->received + delta->size - want->acked > core->delta_credit)
        return GV_EPROTO;
    if (!stage(core, delta) ||
        (delta->last && !keep_claim(core, delta->claim)))
        give_up(core);
    return GV_OK;
}

/* Frames keep their order.  So a VV that left after an answer's piece, and
 * comes without it, says that the piece was lost; and one that left after the
 * WANT came, and speaks of no answer, that the WANT was, or the NEWS that
 * answered it. */
void want_heard(struct core *core, struct link *link,
                const struct message_vv *vv)
{
    struct want *want = &core->want;
    gv_time_ms way = 2 * (link->rtt_ms > 0 ? link->rtt_ms : 0) + WANT_WAY_MS;

    GV_ASSERT(link->state == LINK_UP);
    if (want->state != WANT_ASKED || want->link != link || want->last ||
        !vv->says_answer)
        return;
    if (vv->answers == want->token ? vv->answered > want->received
                                   : want->progress_at + way <= core->now) {
        core->counters.wants_lost++;
        give_up(core);
    } else if (vv->answers == want->token && want->spool == 0 &&
               core->now < want->sent_at + CORE_WANT_READING_MS) {
        want->progress_at = core->now; /* it reads, or reads for others */
    }
}

/* A byte now and then is progress of which nothing comes to its end.  What
 * has come may be gone on with, but it is not waited for. */
static void keep_pace(struct core *core)
{
    struct want *want = &core->want;
    char who[2 * TEXT_SPACE];

    GV_ASSERT(want->state == WANT_ASKED && want->received >= want->pace_from);
    if (want->spool == 0 || want->last ||
        want->pace_at + CORE_WANT_PACE_MS > core->now)
        return;
    if (want->received - want->pace_from >= core->delta_credit ||
        want->staging > 0) {
        want->pace_at = core->now;
        want->pace_from = want->received;
        return;
    }
    emit_log(core, GV_LOG_WARNING,
             "%s sends what is missing too slowly: another one is asked, if"
             " there is one",
             link_who(want->link, who));
    give_up(core);
    stage_wait_no_more(core);
}

/* What came was new, or had come; what of it waits, or fails in the store, is
 * missing still. */
int want_answered(struct core *core, struct link *link, uint64_t token)
{
    struct want *want = &core->want;

    if (want->state != WANT_ASKED || want->link != link ||
        want->token != token)
        return GV_OK;
    if (want->spool != 0)
        return GV_EPROTO; /* a DELTA began to answer it */
    if (still_missing(core, link) && link->missing_since <= want->sent_at)
        failed(core, link);
    else
        link->want_failures = 0;
    core->counters.wants_by_news++;
    end(core);
    return GV_OK;
}

static void start_apply(struct core *core)
{
    struct want *want = &core->want;
    struct effect effect = {.kind = EFFECT_APPLY_DELTA,
                            .link = want->link->number};

    GV_ASSERT(want->state == WANT_ASKED && want->last);
    GV_ASSERT(want->staging == 0 && want->staged == want->received);
    GV_ASSERT(want->claim != NULL);
    effect.as.apply_delta.token = want->token;
    effect.as.apply_delta.size = want->received;
    effect.as.apply_delta.claim.bytes = want->claim;
    effect.as.apply_delta.claim.count = want->claim_count;
    if (!emit(core, &effect)) {
        give_up(core);
        return;
    }
    want->state = WANT_APPLYING;
    core->applying++;
    /* News that follows the claim may queue behind it. */
    (void)vv_raise_view(&core->pending, effect.as.apply_delta.claim);
}

void want_staged(struct core *core, const struct event *event)
{
    struct want *want = &core->want;
    char who[2 * TEXT_SPACE];

    if (want->state != WANT_ASKED || want->token != event->as.staged.token)
        return;
    GV_ASSERT(want->staging > 0);
    want->staging--;
    if (event->code != GV_OK) {
        emit_log(core, GV_LOG_ERROR, "what %s sends could not be kept: %s",
                 link_who(want->link, who),
                 event->reason != NULL ? event->reason
                                       : gv_strerror(event->code));
        failed(core, want->link);
        drop_stage(core);
        return;
    }
    want->staged += event->as.staged.size;
    if (want->kept < event->as.staged.kept)
        want->kept = event->as.staged.kept;
    GV_ASSERT(want->kept <= want->staged && want->staged <= want->received);
    want->progress_at = core->now;
    if (want->kept - want->acked >= core->delta_credit / DELTA_ACK_PARTS)
        acknowledge(core, false);
    if (plant("half-delta") && !want->last && want->staging == 0) {
        struct vv_view view;

        if (emit_vv(core, &want->link->believed, &view))
            (void)keep_claim(core, view);
    }
    if (!want->last || want->staging > 0)
        return;
    want->kept = want->staged; /* what is whole is asked for no more */
    if (want->kept > want->acked)
        acknowledge(core, false);
    start_apply(core);
}

static void applied(struct core *core, struct link *link,
                    const struct event *event)
{
    struct want *want = &core->want;
    struct vv_view vv = event->as.delta_applied.vv;
    bool rose = false;

    GV_ASSERT(want->state == WANT_APPLYING);
    GV_ASSERT(vv.count <= VV_SITES_MAX);
    core->counters.deltas_applied++;
    for (size_t i = 0; i < vv.count; i++) {
        struct vv_entry entry = vv_view_at(vv, i);
        if (vv_get(&core->vv, &entry.site) >= entry.version)
            continue;
        tell_raise(core, &entry.site, entry.version);
        rose = true;
    }
    core->own_end = vv_get(&core->vv, &core->site);
    core->fingerprint = event->as.delta_applied.fingerprint;
    for (size_t i = 0; rose && i < core->link_count; i++) {
        if (core->links[i]->lag_since != NEVER)
            tell_soon(core, core->links[i]);
    }
    if (link == NULL)
        return;
    acknowledge(core, true);
    tell_believe_view(core, link,
                      (struct vv_view){want->claim, want->claim_count});
    link->unheard_since = NEVER;
    link->reason_code = GV_OK;
    /* What it was said to hold when it was asked, it must have sent: else do
     * not ask again at once. */
    if (still_missing(core, link) && link->missing_since <= want->sent_at)
        failed(core, link);
    else
        link->want_failures = 0;
}

static gv_version largest(const struct want *want)
{
    struct vv_view claim = {want->claim, want->claim_count};
    gv_version version = 0;

    for (size_t i = 0; i < claim.count; i++) {
        struct vv_entry entry = vv_view_at(claim, i);
        if (entry.version > version)
            version = entry.version;
    }
    return version;
}

static void refused(struct core *core, struct link *link,
                    const struct event *event)
{
    const char *reason =
        event->reason != NULL ? event->reason : gv_strerror(event->code);
    char who[2 * TEXT_SPACE];

    core->counters.deltas_refused++;
    core->want.not_before = core->now + CORE_GRACE_MS;
    if (link == NULL)
        return;
    if (event->code == GV_ESCHEMA || event->code == GV_ECLOCK) {
        news_refuse(core, link, event->code, largest(&core->want), reason);
        return;
    }
    failed(core, link);
    emit_log(core, GV_LOG_ERROR, "a delta from %s was not applied: %s",
             link_who(link, who), reason);
    if (event->code == GV_EPROTO) {
        core->counters.bad_messages++;
        link_bye(core, link, BYE_BAD_MESSAGE, reason);
    }
}

void want_applied(struct core *core, const struct event *event)
{
    struct want *want = &core->want;

    if (want->state != WANT_APPLYING ||
        want->token != event->as.delta_applied.token)
        return;
    GV_ASSERT(core->applying > 0);
    GV_ASSERT(want->claim != NULL);
    if (event->code == GV_OK || event->code == GV_EDUPLICATE)
        applied(core, want->link, event);
    else
        refused(core, want->link, event);
    end(core);
    news_apply_ended(core);
}

static void lift_refusal(struct core *core, struct link *link)
{
    GV_ASSERT(link->refused == GV_ESCHEMA || link->refused == GV_ECLOCK);
    link->refused = GV_OK;
    link->refused_until = NEVER;
    link->reason[0] = '\0';
    want_rescan(core, link);
}

void want_schema_changed(struct core *core)
{
    for (size_t i = 0; i < core->link_count; i++) {
        if (core->links[i]->refused == GV_ESCHEMA)
            lift_refusal(core, core->links[i]);
    }
}

void want_tick(struct core *core)
{
    struct want *want = &core->want;
    struct link *link;

    for (size_t i = 0; i < core->link_count; i++) {
        if (core->links[i]->refused_until <= core->wall)
            lift_refusal(core, core->links[i]);
        if (core->links[i]->missing.version != 0)
            want_rescan(core, core->links[i]);
    }
    if (want->state == WANT_ASKED &&
        want->progress_at + CORE_WANT_PATIENCE_MS <= core->now)
        give_up(core);
    if (want->state == WANT_ASKED)
        keep_pace(core);
    stage_tick(core);
    if (want->state != WANT_NONE || want->not_before > core->now ||
        all_due_at(core) > core->now)
        return;
    link = choose(core);
    if (link != NULL && !news_refuse_again(core, link))
        ask(core, link);
}

gv_time_ms want_deadline(const struct core *core)
{
    const struct want *want = &core->want;
    gv_time_ms deadline = NEVER;

    for (size_t i = 0; i < core->link_count; i++) {
        const struct link *link = core->links[i];
        if (link->refused == GV_ECLOCK &&
            link->refused_until - core->wall < deadline - core->now)
            deadline = core->now + (link->refused_until - core->wall);
    }
    if (want->state == WANT_ASKED) {
        gv_time_ms due = want->progress_at + CORE_WANT_PATIENCE_MS;
        if (want->spool != 0 && !want->last &&
            want->pace_at + CORE_WANT_PACE_MS < due)
            due = want->pace_at + CORE_WANT_PACE_MS;
        if (due < deadline)
            deadline = due;
    } else if (want->state == WANT_NONE) {
        gv_time_ms due = all_due_at(core);
        if (due < want->not_before)
            due = want->not_before;
        if (due < deadline)
            deadline = due;
    }
    return deadline;
}
