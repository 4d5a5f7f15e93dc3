/* In which rows this node and a peer differ: questions to the peer, one at a
 * time, and answers to its own.
 *
 * What is asked and what an answer means is the store's affair
 * (store/proof.c): the core says when, with whom, and carries the bytes.  Only
 * what both vectors cover is compared, by both sides in the same words (the
 * *meet* goes with each question), so that neither has to stand still: a row
 * that either writes meanwhile is left out.
 *
 * The one who asks keeps all there is to keep; who answers keeps nothing.  So
 * each of two nodes that see themselves differ looks for itself, and names
 * what it finds in its own log. */
#include "core/proof.h"

#include "base/assert.h"
#include "core/emit.h"
#include "core/link.h"
#include "core/state.h"
#include "core/tell.h"

_Static_assert(CORE_PROOF_REST_MS < CORE_PROOF_AGAIN_MS,
               "what moved is looked at before what did not");

static bool same(const struct compared *a, const struct compared *b)
{
    return a->vv_hash == b->vv_hash && hash128_equal(a->ours, b->ours) &&
           hash128_equal(a->theirs, b->theirs);
}

/* A person repairs; the node itself only says what differs, and says it again
 * when something moved or much later: no two nodes go on comparing for ever
 * what nobody mends. */
void proof_diverged(struct core *core, struct link *link,
                    struct hash128 theirs)
{
    struct compared now = {core->vv.hash, core->fingerprint, theirs,
                           core->now};

    GV_ASSERT(link->state == LINK_UP);
    GV_ASSERT(!hash128_equal(now.ours, now.theirs));
    if (link->proof_at != NEVER || core->proof.link == link ||
        !(link->agreed.features & FEATURE_PROOFS))
        return;
    if (same(&now, &link->proven)) {
        link->proof_at = link->proven.at + CORE_PROOF_AGAIN_MS;
        return;
    }
    link->proven = now;
    link->proof_at = core->now;
    if (link->proof_at < core->proof.rest_until)
        link->proof_at = core->proof.rest_until;
}

void proof_wish(struct core *core, const struct event *event)
{
    struct link *link = link_find(core, event->link);

    if (link == NULL || link->state != LINK_UP ||
        !(link->agreed.features & FEATURE_PROOFS))
        return;
    /* What it was just sent it may hold by its next heartbeat. */
    link->proof_at = core->now;
    if (!vv_covers(&link->believed, &core->vv))
        link->proof_at += CORE_HEARTBEAT_MS + CORE_VV_PROGRESS_MS;
    link->proof_asked = true;
    link->proof_mend = event->as.prove.mend;
    proof_tick(core);
}

/* What both vectors cover into @meet. */
static bool find_meet(struct core *core, const struct link *link,
                      struct vv *meet)
{
    vv_clear(meet);
    for (size_t i = 0; i < core->vv.count; i++) {
        struct vv_entry entry = core->vv.entries[i];
        gv_version theirs = vv_get(&link->believed, &entry.site);

        if (theirs < entry.version)
            entry.version = theirs;
        if (entry.version > 0 &&
            vv_raise(meet, &entry.site, entry.version) != GV_OK) {
            core->error = GV_ENOMEM;
            return false;
        }
    }
    GV_ASSERT(vv_covers(&core->vv, meet));
    GV_ASSERT(vv_covers(&link->believed, meet));
    return true;
}

static void begin(struct core *core, struct link *link)
{
    struct proof_turn *proof = &core->proof;
    struct effect effect = {.kind = EFFECT_PROVE, .link = link->number};

    GV_ASSERT(proof->state == PROOF_NONE && proof->link == NULL);
    GV_ASSERT(link->state == LINK_UP);
    link->proof_at = NEVER;
    do
        proof->token = random_u64(&core->random);
    while (proof->token == 0);
    proof->mend = link->proof_mend;
    proof->asked = link->proof_asked;
    link->proof_mend = link->proof_asked = false;
    effect.as.prove.token = proof->token;
    effect.as.prove.mend = proof->mend;
    effect.as.prove.pieces = link->agreed.features & FEATURE_PIECES;
    effect.as.prove.asked = proof->asked;
    effect.as.prove.peer = link->name;
    if (!find_meet(core, link, &proof->meet) ||
        !emit_vv(core, &proof->meet, &effect.as.prove.meet) ||
        !emit(core, &effect))
        return;
    proof->state = PROOF_WORKING;
    proof->link = link;
}

static void end(struct core *core)
{
    struct proof_turn *proof = &core->proof;

    GV_ASSERT(proof->state != PROOF_NONE);
    proof->state = PROOF_NONE;
    proof->link = NULL;
    vv_clear(&proof->meet);
    if (!proof->asked)
        proof->rest_until = core->now + CORE_PROOF_REST_MS;
}

/* The store need not go on with it; it is tried again after a rest. */
static void drop(struct core *core)
{
    struct effect effect = {.kind = EFFECT_DROP_PROOF,
                            .link = core->proof.link->number};

    GV_ASSERT(core->proof.state != PROOF_NONE);
    effect.as.drop.token = core->proof.token;
    (void)emit(core, &effect);
    core->proof.link->proven.vv_hash = ~core->vv.hash;
    end(core);
}

static void drop_attest(struct core *core, struct link *link, uint64_t *token)
{
    struct effect effect = {.kind = EFFECT_DROP_ATTEST, .link = link->number};

    effect.as.drop.token = *token;
    if (*token != 0)
        (void)emit(core, &effect);
    *token = 0;
}

void proof_link_gone(struct core *core, struct link *link)
{
    if (core->proof.link == link)
        drop(core);
    drop_attest(core, link, &link->attesting);
    drop_attest(core, link, &link->carrying);
}

static void ask(struct core *core, const struct event *event)
{
    struct proof_turn *proof = &core->proof;
    struct message message = {.kind = MESSAGE_CHECK};
    struct message_check *check = &message.as.check;

    GV_ASSERT(proof->state == PROOF_WORKING);
    GV_ASSERT(event->as.proved.what >= CHECK_SUMS &&
              event->as.proved.what <= CHECK_REST);
    GV_ASSERT(proof->mend || event->as.proved.what < CHECK_MEND);
    check->token = proof->token;
    check->what = event->as.proved.what;
    check->bytes = event->as.proved.bytes;
    check->size = event->as.proved.size;
    proof->state = PROOF_ASKED;
    proof->asked_at = core->now;
    if (check->size + proof->meet.count * VV_ENTRY_SIZE >
            MESSAGE_DELTA_SIZE_MAX ||
        !emit_vv(core, &proof->meet, &check->meet) ||
        !emit_message(core, proof->link->number, &message))
        drop(core);
}

static void say_end(struct core *core, const struct event *event)
{
    uint64_t differ = event->as.proved.differ;
    uint64_t mended = event->as.proved.mended;
    char who[2 * TEXT_SPACE];

    core->counters.proofs++;
    core->counters.rows_differed += differ;
    core->counters.rows_mended += mended;
    emit_log(core, differ > mended ? GV_LOG_ERROR : GV_LOG_INFO,
             "compared with %s: %llu row%s differ%s, %llu mended",
             link_who(core->proof.link, who), (unsigned long long)differ,
             differ == 1 ? "" : "s", differ == 1 ? "s" : "",
             (unsigned long long)mended);
}

static void take_fingerprint(struct core *core, const struct event *event)
{
    if (!event->as.proved.wrote)
        return;
    core->fingerprint = event->as.proved.fingerprint;
    for (size_t i = 0; i < core->link_count; i++)
        tell_soon(core, core->links[i]);
}

void proof_proved(struct core *core, const struct event *event)
{
    struct proof_turn *proof = &core->proof;
    char who[2 * TEXT_SPACE];

    take_fingerprint(core, event);
    if (proof->state != PROOF_WORKING ||
        proof->token != event->as.proved.token)
        return; /* of one that was dropped */
    GV_ASSERT(proof->link != NULL);
    if (event->code != GV_OK) {
        emit_log(core, GV_LOG_WARNING,
                 "the comparison with %s did not come to its end: %s",
                 link_who(proof->link, who),
                 event->reason != NULL ? event->reason
                                       : gv_strerror(event->code));
        drop(core);
    } else if (event->as.proved.what != 0) {
        ask(core, event);
    } else {
        say_end(core, event);
        end(core);
    }
}

int proof_receive(struct core *core, struct link *link,
                  const struct message_proof *answer)
{
    struct proof_turn *proof = &core->proof;
    struct effect effect = {.kind = EFFECT_PROVE_ON, .link = link->number};

    if (proof->state != PROOF_ASKED || proof->link != link ||
        proof->token != answer->token)
        return GV_OK; /* of one that was given up */
    if (answer->size > MESSAGE_DELTA_SIZE_MAX)
        return GV_EPROTO;
    effect.as.prove_on.token = proof->token;
    effect.as.prove_on.done = answer->done;
    effect.as.prove_on.bytes = answer->bytes;
    effect.as.prove_on.size = answer->size;
    if (emit(core, &effect))
        proof->state = PROOF_WORKING;
    else
        drop(core);
    return GV_OK;
}

static void answer(struct core *core, struct link *link, uint64_t token,
                   bool done, const uint8_t *bytes, size_t size)
{
    struct message message = {.kind = MESSAGE_PROOF};

    GV_ASSERT(size <= MESSAGE_DELTA_SIZE_MAX);
    GV_ASSERT(done || size == 0);
    message.as.proof.token = token;
    message.as.proof.done = done;
    message.as.proof.bytes = bytes;
    message.as.proof.size = size;
    (void)emit_message(core, link->number, &message);
}

int proof_asked(struct core *core, struct link *link,
                const struct message_check *check)
{
    struct effect effect = {.kind = EFFECT_ATTEST, .link = link->number};
    bool piece = check->what > CHECK_MEND;

    if (piece && !(link->agreed.features & FEATURE_PIECES))
        return GV_OK;
    if (check->token == 0 || !vv_view_valid(check->meet) ||
        check->size > MESSAGE_DELTA_SIZE_MAX)
        return GV_EPROTO;
    /* One question a link: a newer one takes the place of an older one. */
    drop_attest(core, link, &link->attesting);
    if (!piece || link->carrying != check->token)
        drop_attest(core, link, &link->carrying);
    /* Of what is not held nothing can be said. */
    if (!vv_covers_view(&core->vv, check->meet)) {
        answer(core, link, check->token, false, NULL, 0);
        return GV_OK;
    }
    effect.as.attest = *check;
    if (!emit(core, &effect))
        return GV_OK;
    link->attesting = check->token;
    if (piece) {
        link->carrying = check->token;
        link->carrying_at = core->now;
    }
    return GV_OK;
}

void proof_attested(struct core *core, const struct event *event)
{
    struct link *link = link_find(core, event->link);
    bool done = event->code == GV_OK;
    const char *reason =
        event->reason != NULL ? event->reason : gv_strerror(event->code);
    char who[2 * TEXT_SPACE];

    take_fingerprint(core, event);
    core->counters.rows_mended += event->as.proved.mended;
    if (link == NULL || link->attesting == 0 ||
        link->attesting != event->as.proved.token)
        return;
    GV_ASSERT(link->greeted);
    link->attesting = 0;
    if (!done)
        link->carrying = 0; /* the store let go of it */
    if (event->as.proved.mended > 0)
        emit_log(core, GV_LOG_WARNING,
                 "a person had %llu row%s made equal with %s",
                 (unsigned long long)event->as.proved.mended,
                 event->as.proved.mended == 1 ? "" : "s", link_who(link, who));
    if (event->code == GV_EPROTO) {
        core->counters.bad_messages++;
        emit_log(core, GV_LOG_ERROR, "%s asked what makes no sense: %s",
                 link_who(link, who), reason);
        link_bye(core, link, BYE_BAD_MESSAGE, reason);
        return;
    }
    answer(core, link, event->as.proved.token, done,
           done ? event->as.proved.bytes : NULL,
           done ? event->as.proved.size : 0);
}

bool core_prove_pending(const struct core *core)
{
    if (core->proof.state != PROOF_NONE && core->proof.asked)
        return true;
    for (size_t i = 0; i < core->link_count; i++)
        if (core->links[i]->proof_asked)
            return true;
    return false;
}

/* Until when the pieces that came on @link are kept. */
static gv_time_ms carried_until(const struct link *link)
{
    return link->carrying != 0 && link->attesting == 0
               ? link->carrying_at + CORE_PROOF_PATIENCE_MS
               : NEVER;
}

void proof_tick(struct core *core)
{
    struct proof_turn *proof = &core->proof;
    struct link *next = NULL;
    char who[2 * TEXT_SPACE];

    if (proof->state == PROOF_ASKED &&
        proof->asked_at + CORE_PROOF_PATIENCE_MS <= core->now) {
        emit_log(core, GV_LOG_WARNING,
                 "%s does not answer what its rows are made of",
                 link_who(proof->link, who));
        drop(core);
    }
    for (size_t i = 0; i < core->link_count; i++)
        if (carried_until(core->links[i]) <= core->now)
            drop_attest(core, core->links[i], &core->links[i]->carrying);
    if (proof->state != PROOF_NONE)
        return;
    for (size_t i = 0; i < core->link_count; i++) {
        struct link *link = core->links[i];

        if (link->state == LINK_UP && link->proof_at <= core->now &&
            (next == NULL || link->proof_at < next->proof_at))
            next = link;
    }
    if (next == NULL)
        return;
    /* Several peers may differ; one look a minute is enough. */
    if (!next->proof_asked && proof->rest_until > core->now)
        next->proof_at = proof->rest_until;
    else
        begin(core, next);
}

gv_time_ms proof_deadline(const struct core *core)
{
    const struct proof_turn *proof = &core->proof;
    gv_time_ms deadline = NEVER;

    if (proof->state == PROOF_ASKED)
        deadline = proof->asked_at + CORE_PROOF_PATIENCE_MS;
    for (size_t i = 0; i < core->link_count; i++) {
        const struct link *link = core->links[i];

        if (carried_until(link) < deadline)
            deadline = carried_until(link);
        if (proof->state == PROOF_NONE && link->state == LINK_UP &&
            link->proof_at < deadline)
            deadline = link->proof_at;
    }
    return deadline;
}
