/* Answering a WANT: extract what the asker lacks, one extract at a time, and
 * send it in pieces as far as the asker's credit goes.
 *
 * A WANT with a cursor goes on with the extract of an earlier one, if that is
 * still kept and what it was read for is covered by what the asker has now;
 * else the answer starts at 0, under another spool. */
#include "core/give.h"

#include "base/assert.h"
#include "base/plant.h"
#include "core/emit.h"
#include "core/link.h"
#include "core/push.h"
#include "core/recent.h"
#include "core/state.h"
#include "core/tell.h"

_Static_assert(MESSAGE_DELTA_SIZE_MAX >= VV_SITES_MAX * VV_ENTRY_SIZE,
               "the largest claim fits a DELTA alone");
_Static_assert(MESSAGE_DELTA_SIZE_MAX <= CORE_DELTA_CREDIT / DELTA_PIECE_PARTS,
               "several pieces fit a credit nobody uses");
_Static_assert(GIVE_PATIENCE_MS > CORE_WANT_PATIENCE_MS,
               "an asker gives up before its spool goes");

int give_receive(struct core *core, struct link *link,
                 const struct message_want *want)
{
    struct give *give = &link->give;
    bool twice = plant("want-twice") && give->state != GIVE_NONE &&
                 give->token == want->token;
    bool cut = plant("sent-is-held") && give->state == GIVE_SENDING &&
               give->last_sent && give->acked < give->offset &&
               give->size < MESSAGE_DELTA_SIZE_MAX &&
               give->token != want->token;

    if (!vv_view_valid(want->vv) || want->token == 0 || want->credit == 0)
        return GV_EPROTO;
    core->counters.wants_received++;
    link->served = true;
    tell_believe_view(core, link, want->vv);
    give_drop(core, link);
    vv_clear(&give->vv);
    if (vv_copy(&give->vv, &link->believed) != GV_OK ||
        ((twice || cut) && vv_copy(&give->vv, &core->vv) != GV_OK)) {
        core->error = GV_ENOMEM;
        return GV_OK;
    }
    GV_ASSERT(give->state == GIVE_NONE);
    if (want->answer == ANSWER_VECTOR && link->state == LINK_UP) {
        const struct message_news nothing = {.token = want->token};

        if (push_answer(core, link, &nothing))
            tell_whole(core, link);
        return GV_OK;
    }
    if (want->answer != ANSWER_DELTA && want->spool == 0 &&
        link->state == LINK_UP && recent_answer(core, link, want->token)) {
        if (want->answer == ANSWER_WHOLE)
            tell_whole(core, link); /* as the claim of a DELTA does */
        return GV_OK;
    }
    give->state = GIVE_QUEUED;
    give->token = want->token;
    give->credit =
        want->credit < CORE_DELTA_CREDIT ? want->credit : CORE_DELTA_CREDIT;
    give->order = core->give_order++;
    give->spool = want->spool;
    give->offset = want->offset;
    give->acked = 0;
    give->last_sent = false;
    return GV_OK;
}

static void drop(struct core *core, struct link *link, bool applied)
{
    struct give *give = &link->give;
    struct effect effect = {.kind = EFFECT_DROP_EXTRACT, .link = link->number};

    GV_ASSERT(give->state == GIVE_NONE || give->token != 0);
    if (give->state == GIVE_READING || give->state == GIVE_SENDING) {
        effect.as.drop.token = give->token;
        effect.as.drop.applied = applied;
        (void)emit(core, &effect);
    }
    give->state = GIVE_NONE;
}

void give_say(const struct link *link, struct message_vv *vv)
{
    const struct give *give = &link->give;

    vv->says_answer = true;
    if (give->state == GIVE_NONE)
        return;
    vv->answers = give->token;
    if (give->state == GIVE_SENDING)
        vv->answered = give->offset;
}

void give_drop(struct core *core, struct link *link)
{
    drop(core, link, false);
}

/* The next one to read, or NULL while one is being read. */
static struct link *next_queued(const struct core *core)
{
    struct link *next = NULL;

    for (size_t i = 0; i < core->link_count; i++) {
        struct link *link = core->links[i];
        if (link->give.state == GIVE_READING)
            return NULL;
        if (link->give.state == GIVE_QUEUED &&
            (next == NULL || link->give.order < next->give.order))
            next = link;
    }
    return next;
}

void give_next(struct core *core)
{
    struct link *link = next_queued(core);
    struct effect effect = {.kind = EFFECT_EXTRACT};

    if (link == NULL)
        return;
    GV_ASSERT(link->give.state == GIVE_QUEUED && link->give.token != 0);
    GV_ASSERT(!link->give.last_sent && link->give.acked == 0);
    effect.link = link->number;
    effect.as.extract.token = link->give.token;
    effect.as.extract.spool = link->give.spool;
    effect.as.extract.offset = link->give.offset;
    link->give.state = GIVE_NONE; /* out of memory: it will ask again */
    if (emit_vv(core, &link->give.vv, &effect.as.extract.vv) &&
        emit(core, &effect))
        link->give.state = GIVE_READING;
}

/* The size of the next piece; *@last if the claim goes with it. */
static uint64_t next_piece(const struct core *core, const struct give *give,
                           bool *last)
{
    uint64_t left = give->size - give->offset;
    uint64_t credit = give->credit - (give->offset - give->acked);
    uint64_t piece = left < credit ? left : credit;

    GV_ASSERT(give->acked <= give->offset && give->offset <= give->size);
    GV_ASSERT(give->offset - give->acked <= give->credit);
    if (piece > MESSAGE_DELTA_SIZE_MAX)
        piece = MESSAGE_DELTA_SIZE_MAX;
    if (piece > core->delta_credit / DELTA_PIECE_PARTS)
        piece = core->delta_credit / DELTA_PIECE_PARTS;
    *last = piece == left && piece + give->claim_count * VV_ENTRY_SIZE <=
                                 MESSAGE_DELTA_SIZE_MAX;
    return piece;
}

static void send_pieces(struct core *core, struct link *link)
{
    struct give *give = &link->give;
    struct effect effect = {.kind = EFFECT_SEND_DELTA, .link = link->number};

    GV_ASSERT(give->state == GIVE_SENDING);
    while (!give->last_sent) {
        bool last;
        uint64_t piece = next_piece(core, give, &last);
        if (piece == 0 && !last)
            return; /* no credit */
        effect.as.send_delta.token = give->token;
        effect.as.send_delta.spool = give->spool;
        effect.as.send_delta.offset = give->offset;
        effect.as.send_delta.size = (size_t)piece;
        effect.as.send_delta.last = last;
        if (!emit(core, &effect))
            return;
        give->offset += piece;
        give->last_sent = last;
        GV_ASSERT(!last || give->offset == give->size);
        core->counters.delta_bytes_sent += piece;
    }
}

void give_extracted(struct core *core, const struct event *event)
{
    struct link *link = link_find(core, event->link);
    struct give *give;
    char who[2 * TEXT_SPACE];

    if (link == NULL || link->give.state != GIVE_READING ||
        link->give.token != event->as.extracted.token)
        return;
    give = &link->give;
    if (event->code != GV_OK) {
        emit_log(core, GV_LOG_WARNING, "could not read what %s asked for: %s",
                 link_who(link, who),
                 event->reason != NULL ? event->reason
                                       : gv_strerror(event->code));
        give->state = GIVE_NONE;
        return;
    }
    /* 0 is the cursor of a WANT that resumes nothing. */
    GV_ASSERT(event->as.extracted.spool != 0);
    GV_ASSERT(event->as.extracted.claim_count <= VV_SITES_MAX);
    GV_ASSERT(event->as.extracted.offset == 0 ||
              (event->as.extracted.offset == give->offset &&
               event->as.extracted.spool == give->spool));
    GV_ASSERT(event->as.extracted.offset <= event->as.extracted.size);
    GV_ASSERT(give->acked == 0 && !give->last_sent);
    /* The asker's is not needed any more.  Who holds what is held here now
     * holds the claim, which was read before. */
    if (vv_copy(&give->vv, &core->vv) != GV_OK) {
        core->error = GV_ENOMEM;
        give_drop(core, link);
        return;
    }
    give->state = GIVE_SENDING;
    give->size = event->as.extracted.size;
    give->offset = event->as.extracted.offset;
    give->spool = event->as.extracted.spool;
    give->acked = give->offset;
    core->counters.deltas_resumed += give->offset > 0;
    give->claim_count = event->as.extracted.claim_count;
    give->progress_at = core->now;
    send_pieces(core, link);
}

void give_acknowledged(struct core *core, struct link *link,
                       const struct message_ack *ack)
{
    struct give *give = &link->give;

    if (ack->token == 0 || give->state != GIVE_SENDING ||
        give->token != ack->token)
        return;
    /* More than was sent is worth no more than what was sent. */
    give->acked += ack->delta_size < give->offset - give->acked
                       ? ack->delta_size
                       : give->offset - give->acked;
    GV_ASSERT(give->acked <= give->offset);
    give->progress_at = core->now;
    if (ack->delta_applied)
        drop(core, link, true);
    else
        send_pieces(core, link);
}

void give_heard(struct core *core, struct link *link)
{
    struct give *give = &link->give;

    if (give->state == GIVE_SENDING && give->last_sent &&
        vv_covers(&link->believed, &give->vv))
        drop(core, link, true);
}

void give_tick(struct core *core)
{
    for (size_t i = 0; i < core->link_count; i++) {
        struct give *give = &core->links[i]->give;
        if (give->state == GIVE_SENDING &&
            give->progress_at + GIVE_PATIENCE_MS <= core->now)
            give_drop(core, core->links[i]);
    }
}

gv_time_ms give_deadline(const struct core *core)
{
    gv_time_ms deadline = NEVER;

    for (size_t i = 0; i < core->link_count; i++) {
        const struct give *give = &core->links[i]->give;
        gv_time_ms due = give->progress_at + GIVE_PATIENCE_MS;
        if (give->state == GIVE_SENDING && due < deadline)
            deadline = due;
    }
    return deadline;
}
