/* The state machine's front: what each event leads to.  README.md has the
 * protocol; each file of this directory has one part of it. */
#include "core/state.h"

#include "base/assert.h"
#include "core/emit.h"
#include "core/exchange.h"
#include "core/give.h"
#include "core/hello.h"
#include "core/known.h"
#include "core/link.h"
#include "core/mark.h"
#include "core/news.h"
#include "core/parcel.h"
#include "core/peer.h"
#include "core/proof.h"
#include "core/push.h"
#include "core/recent.h"
#include "core/room.h"
#include "core/tell.h"
#include "core/want.h"

#include <stdlib.h>
#include <string.h>

static bool copy_text(char to[TEXT_SPACE], const char *from)
{
    size_t size = strlen(from);

    if (size > MESSAGE_TEXT_SIZE_MAX)
        return false;
    memcpy(to, from, size + 1);
    return true;
}

static bool copy_texts(struct core *core, const struct core_config *config)
{
    if (!copy_text(core->mesh, config->mesh) ||
        !copy_text(core->name, config->name) ||
        config->endpoint_count > MESSAGE_ENDPOINTS_MAX)
        return false;
    for (size_t i = 0; i < config->endpoint_count; i++) {
        if (!copy_text(core->endpoints[i], config->endpoints[i]))
            return false;
    }
    core->endpoint_count = config->endpoint_count;
    return true;
}

int core_new(const struct core_config *config, struct core **out)
{
    struct core *core = calloc(1, sizeof(*core));

    GV_ASSERT(config->mesh != NULL && config->name != NULL);
    GV_ASSERT(config->vv != NULL && config->vv->count <= VV_SITES_MAX);
    if (core == NULL)
        return GV_ENOMEM;
    if (!copy_texts(core, config)) {
        core_free(core);
        return GV_EINVAL;
    }
    if (vv_copy(&core->vv, config->vv) != GV_OK ||
        vv_copy(&core->pending, config->vv) != GV_OK) {
        core_free(core);
        return GV_ENOMEM;
    }
    core->dialect = config->dialect;
    if (core->dialect.max == 0)
        core->dialect = (struct dialect){PROTOCOL_VERSION_MIN,
                                         PROTOCOL_VERSION_MAX, FEATURES_ALL};
    GV_ASSERT(core->dialect.min >= 1 &&
              core->dialect.min <= core->dialect.max);
    core->site = config->site;
    core->now = config->now;
    core->exchange = config->exchange;
    core->instance = config->instance;
    core->schema_digest = config->schema_digest;
    core->fingerprint = config->fingerprint;
    core->own_end = vv_get(&core->vv, &core->site);
    core->next_link = config->first_link != 0 ? config->first_link : 2;
    core->delta_credit =
        config->delta_credit != 0 ? config->delta_credit : CORE_DELTA_CREDIT;
    GV_ASSERT(core->delta_credit >= DELTA_ACK_PARTS &&
              core->delta_credit <= CORE_DELTA_CREDIT);
    core->stage.held = config->stage;
    core->stage.since = NEVER;
    GV_ASSERT(core->next_link % 2 == 0);
    random_seed(&core->random, config->seed);
    GV_ASSERT(core->pending.hash == core->vv.hash);
    *out = core;
    return GV_OK;
}

void core_free(struct core *core)
{
    if (core == NULL)
        return;
    while (core->link_count > 0) {
        struct link *link = core->links[--core->link_count];
        GV_ASSERT(link->next_closed == NULL);
        link->next_closed = core->closed;
        core->closed = link;
    }
    link_free_closed(core);
    room_close(core);
    recent_close(core);
    parcel_free_spent(core);
    mark_close(core);
    emit_close(core);
    peer_close(core);
    free(core->want.claim);
    vv_close(&core->vv);
    vv_close(&core->pending);
    known_close(core);
    vv_close(&core->proof.meet);
    free(core);
}

static int dispatch(struct core *core, struct link *link,
                    const struct message *message)
{
    switch (message->kind) {
    case MESSAGE_HELLO:
        return hello_receive(core, link, &message->as.hello);
    case MESSAGE_NEWS:
        return news_receive(core, link, &message->as.news);
    case MESSAGE_VV:
        return tell_receive(core, link, &message->as.vv);
    case MESSAGE_WANT:
        return give_receive(core, link, &message->as.want);
    case MESSAGE_DELTA:
        return want_receive(core, link, &message->as.delta);
    case MESSAGE_ACK:
        news_acknowledged(link, message->as.ack.news_size);
        give_acknowledged(core, link, &message->as.ack);
        return GV_OK;
    case MESSAGE_BYE:
        link_receive_bye(core, link, &message->as.bye);
        return GV_OK;
    case MESSAGE_PRUNE:
        return mark_receive(core, link, &message->as.prune);
    case MESSAGE_CHECK:
        return proof_asked(core, link, &message->as.check);
    case MESSAGE_PROOF:
        return proof_receive(core, link, &message->as.proof);
    case MESSAGE_PEERS:
        return exchange_receive(core, link, &message->as.peers);
    }
    return GV_EPROTO;
}

static int bad_message(struct core *core, struct link *link)
{
    char who[2 * TEXT_SPACE];

    /* A handler closes a link or calls its message bad, never both. */
    GV_ASSERT(link_find(core, link->number) == link);
    core->counters.bad_messages++;
    emit_log(core, GV_LOG_ERROR,
             "%s sent something that is not our protocol; link closed",
             link_who(link, who));
    link_bye(core, link, BYE_BAD_MESSAGE,
             "a message that breaks the protocol");
    return GV_EPROTO;
}

static int receive(struct core *core, const struct event *event)
{
    const struct message *message = event->as.message.message;
    struct link *link = link_find(core, event->link);

    if (link == NULL || link->state == LINK_CONNECTING)
        return GV_OK;
    GV_ASSERT(link->state == LINK_GREETING || link->state == LINK_UP);
    GV_ASSERT(link->greeted || link->state != LINK_UP);
    GV_ASSERT(link->heard_at <= core->now);
    link->heard_at = core->now;
    if (message->kind == MESSAGE_NEWS)
        link->news_bytes += event->as.message.frame_size;
    if (!link->greeted && message->kind != MESSAGE_HELLO &&
        message->kind != MESSAGE_BYE) {
        link_bye(core, link, BYE_SAY_HELLO, "say HELLO first");
        return GV_OK;
    }
    if (dialect_needs(message->kind) & ~link->agreed.features)
        return GV_OK; /* of no use to a side that does not speak it */
    if (dispatch(core, link, message) != GV_OK)
        return bad_message(core, link);
    return GV_OK;
}

static void schema_changed(struct core *core, const struct event *event)
{
    bool tell = core->schema_digest != event->as.schema.schema_digest;

    core->schema_digest = event->as.schema.schema_digest;
    core->fingerprint = event->as.schema.fingerprint;
    want_schema_changed(core);
    for (size_t i = 0; tell && i < core->link_count; i++) {
        if (core->links[i]->state != LINK_CONNECTING)
            tell_hello(core, core->links[i]);
    }
}

static void tick(struct core *core)
{
    link_tick(core);
    peer_tick(core);
    exchange_tick(core);
    give_tick(core);
    room_tick(core);
    want_tick(core);
    mark_tick(core);
    push_tick(core);
    proof_tick(core);
    tell_tick(core);
}

static int handle(struct core *core, const struct event *event)
{
    struct link *link;

    switch (event->kind) {
    case EVENT_TICK:
        tick(core);
        break;
    case EVENT_LINK_UP:
        link_up(core, event);
        break;
    case EVENT_LINK_DOWN:
        link_down(core, event);
        break;
    case EVENT_MESSAGE:
        return receive(core, event);
    case EVENT_BAD_FRAME:
        link = link_find(core, event->link);
        return link != NULL ? bad_message(core, link) : GV_OK;
    case EVENT_SEALED:
        news_sealed(core, event);
        break;
    case EVENT_APPLIED:
        news_applied(core, event);
        break;
    case EVENT_STAGED:
        want_staged(core, event);
        break;
    case EVENT_DELTA_APPLIED:
        want_applied(core, event);
        break;
    case EVENT_EXTRACTED:
        give_extracted(core, event);
        break;
    case EVENT_SCHEMA_CHANGED:
        schema_changed(core, event);
        break;
    case EVENT_PROVE:
        proof_wish(core, event);
        break;
    case EVENT_PROVED:
        proof_proved(core, event);
        break;
    case EVENT_ATTESTED:
        proof_attested(core, event);
        break;
    }
    return GV_OK;
}

/* What of the invariants is looked at after each step; core_check() walks all
 * of them. */
static void assert_sound(const struct core *core)
{
    const struct want *want = &core->want;

    GV_ASSERT(core->link_count <= CORE_LINKS_MAX);
    GV_ASSERT(core->peer_count <= CORE_KNOWN_MAX);
    GV_ASSERT(core->effect_count <= core->effect_capacity);
    GV_ASSERT(want->state == WANT_NONE || want->token != 0);
    GV_ASSERT(want->state != WANT_ASKED || want->link != NULL);
    GV_ASSERT(want->state != WANT_APPLYING || core->applying > 0);
    GV_ASSERT(want->acked <= want->staged && want->staged <= want->received);
    GV_ASSERT(want->received - want->acked <= core->delta_credit);
}

int core_step(struct core *core, const struct event *event,
              struct effects *effects)
{
    int rc;

    link_free_closed(core);
    parcel_free_spent(core);
    emit_begin(core);
    GV_ASSERT(event->now >= core->now);
    core->now = event->now;
    core->wall = event->wall;
    rc = handle(core, event);
    room_retry(core);
    give_next(core);
    assert_sound(core);
    effects->items = core->effects;
    effects->count = core->effect_count;
    return core->error != GV_OK ? core->error : rc;
}

static gv_time_ms earlier(gv_time_ms a, gv_time_ms b)
{
    return a < b ? a : b;
}

gv_time_ms core_deadline(const struct core *core)
{
    gv_time_ms deadline = earlier(peer_deadline(core), link_deadline(core));

    deadline = earlier(deadline, exchange_deadline(core));
    deadline = earlier(deadline, tell_deadline(core));
    deadline = earlier(deadline, want_deadline(core));
    deadline = earlier(deadline, proof_deadline(core));
    deadline = earlier(deadline, room_deadline(core));
    deadline = earlier(deadline, mark_deadline(core));
    deadline = earlier(deadline, push_deadline(core));
    return earlier(deadline, give_deadline(core));
}

void core_stop(struct core *core, gv_time_ms now, struct effects *effects)
{
    link_free_closed(core);
    parcel_free_spent(core);
    emit_begin(core);
    GV_ASSERT(now >= core->now);
    core->now = now;
    want_stop(core);
    while (core->link_count > 0) {
        struct link *link = core->links[core->link_count - 1];
        if (link->state == LINK_CONNECTING)
            link_close(core, link, 0, "");
        else
            link_bye(core, link, BYE_STOPPING, "the node is stopping");
    }
    GV_ASSERT(core->want.link == NULL && core->want.state != WANT_ASKED);
    effects->items = core->effects;
    effects->count = core->effect_count;
}

gv_link core_next_link(const struct core *core)
{
    return core->next_link;
}

const struct vv *core_vv(const struct core *core)
{
    return &core->vv;
}

const struct core_counters *core_counters(const struct core *core)
{
    return &core->counters;
}
