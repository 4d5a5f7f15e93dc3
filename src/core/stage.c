/* A delta that was cut: its bytes stay in the store, and the next WANT to its
 * provider names the spool and where they end.
 *
 * Only the provider can go on with it, since no other one has just these
 * bytes; when another one is asked, they are dropped, and nothing of them was
 * shown. */
#include "core/stage.h"

#include "base/assert.h"
#include "core/emit.h"
#include "core/state.h"

_Static_assert(STAGE_KEEP_MS > STAGE_WAIT_MS, "what is waited for is kept");

bool stage_keep(struct core *core)
{
    const struct want *want = &core->want;
    struct core_stage *held = &core->stage.held;

    GV_ASSERT(want->state == WANT_ASKED && want->link != NULL);
    /* Not answered: what waited before waits on. */
    if (want->spool == 0)
        return held->token != 0;
    GV_ASSERT(held->token == 0);
    if (want->staging > 0 || want->staged == 0 || want->last ||
        !(want->link->agreed.features & FEATURE_RESUME))
        return false;
    GV_ASSERT(want->staged == want->received);
    held->token = want->token;
    held->site = want->link->site;
    held->spool = want->spool;
    held->size = want->staged;
    core->stage.since = core->now;
    return true;
}

void stage_drop(struct core *core)
{
    struct effect effect = {.kind = EFFECT_DROP_STAGE};

    GV_ASSERT(core->stage.held.token != 0);
    effect.as.drop.token = core->stage.held.token;
    (void)emit(core, &effect);
    core->stage.held.token = 0;
}

bool stage_is_of(const struct core *core, const struct link *link)
{
    const struct core_stage *held = &core->stage.held;

    GV_ASSERT(held->token == 0 || (held->spool != 0 && held->size > 0));
    return held->token != 0 && link->greeted &&
           (link->agreed.features & FEATURE_RESUME) &&
           site_equal(&link->site, &held->site);
}

void stage_cursor(struct core *core, const struct link *link,
                  struct message_want *want)
{
    const struct core_stage *held = &core->stage.held;

    GV_ASSERT(core->want.state == WANT_NONE);
    if (held->token == 0)
        return;
    if (!stage_is_of(core, link)) {
        stage_drop(core);
        return;
    }
    want->spool = held->spool;
    want->offset = held->size;
    GV_ASSERT(want->spool != 0 && want->offset > 0);
}

int stage_answered(struct core *core, const struct link *link,
                   const struct message_delta *delta)
{
    const struct core_stage *held = &core->stage.held;
    struct want *want = &core->want;

    GV_ASSERT(want->spool == 0 && want->received == 0);
    if (delta->spool == 0)
        return GV_EPROTO;
    if (stage_is_of(core, link) && delta->spool == held->spool &&
        delta->offset >= held->size) {
        want->received = want->staged = held->size;
        want->kept = want->acked = held->size;
        core->stage.held.token = 0; /* the next stage goes on with it */
        core->counters.deltas_resumed++;
    } else if (held->token != 0) {
        stage_drop(core);
    }
    want->spool = delta->spool;
    GV_ASSERT(held->token == 0);
    return GV_OK;
}

gv_time_ms stage_patience(const struct core *core)
{
    const struct stage *stage = &core->stage;

    GV_ASSERT(core->delta_credit > 0);
    if (stage->held.token == 0 || stage->held.size < core->delta_credit)
        return 0;
    return stage->since == NEVER ? NEVER : stage->since + STAGE_WAIT_MS;
}

void stage_wait_no_more(struct core *core)
{
    struct stage *stage = &core->stage;

    GV_ASSERT(core->want.state == WANT_NONE);
    if (stage->held.token != 0)
        stage->since = core->now - STAGE_WAIT_MS;
}

/* Whether its provider says that nothing is missing any more. */
static bool is_needless(const struct core *core)
{
    for (size_t i = 0; i < core->link_count; i++) {
        const struct link *link = core->links[i];

        if (link->state == LINK_UP && stage_is_of(core, link))
            return link->missing.version == 0 && link->unheard_since == NEVER;
    }
    return false;
}

void stage_tick(struct core *core)
{
    struct stage *stage = &core->stage;

    if (stage->held.token == 0 || core->want.state != WANT_NONE)
        return;
    if (stage->since == NEVER)
        stage->since = core->now;
    GV_ASSERT(stage->since <= core->now);
    if (is_needless(core) || stage->since + STAGE_KEEP_MS <= core->now)
        stage_drop(core);
}
