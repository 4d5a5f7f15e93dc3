/* Endpoints that are known: which there are, when to dial them, how long to
 * wait, and which are forgotten.
 *
 * Some were given by people; they stay.  The others were learned, from a
 * HELLO or from PEERS, and fade: what nobody hears of any more is forgotten.
 * view.c says which of them are to be linked with. */
#include "core/peer.h"

#include "base/assert.h"
#include "core/emit.h"
#include "core/link.h"
#include "core/state.h"
#include "core/view.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(CORE_PEERS_MAX <= CORE_LINKS_MAX,
               "every peer that was given can have its link");
_Static_assert(CORE_PEERS_MAX < CORE_KNOWN_MAX,
               "beside those that were given some can be learned");
_Static_assert(CORE_REFUSED_RETRY_MS > CORE_RECONNECT_MAX_MS * 3 / 2,
               "a refusal waits longer than any back-off");
_Static_assert(CORE_UNREACHED_MAX_MS < PEER_HEARSAY_MS,
               "who was never reached is tried again before it is forgotten");

struct peer *peer_find(const struct core *core, const char *endpoint)
{
    for (size_t i = 0; i < core->peer_count; i++) {
        if (strcmp(core->peers[i]->endpoint, endpoint) == 0)
            return core->peers[i];
    }
    return NULL;
}

static struct peer *peer_new(struct core *core, const char *endpoint)
{
    struct peer *peer = calloc(1, sizeof(*peer));

    GV_ASSERT(endpoint[0] != '\0' &&
              strlen(endpoint) <= MESSAGE_TEXT_SIZE_MAX);
    if (peer == NULL) {
        core->error = GV_ENOMEM;
        return NULL;
    }
    (void)snprintf(peer->endpoint, sizeof(peer->endpoint), "%s", endpoint);
    peer->backoff_ms = CORE_RECONNECT_MIN_MS;
    peer->retry_at = core->now;
    peer->heard_at = peer->told_at = peer->dialled_at = LONG_AGO;
    peer->rtt_ms = -1;
    return peer;
}

/* Given ones stand first, in the order in which they were given. */
static void peer_insert(struct core *core, struct peer *peer)
{
    size_t at = peer->given ? core->given_count++ : core->peer_count;

    GV_ASSERT(core->peer_count < CORE_KNOWN_MAX);
    GV_ASSERT(core->given_count <= CORE_PEERS_MAX);
    memmove(&core->peers[at + 1], &core->peers[at],
            (core->peer_count - at) * sizeof(struct peer *));
    core->peers[at] = peer;
    core->peer_count++;
}

static void peer_take_out(struct core *core, const struct peer *peer)
{
    size_t at = core->given_count;

    GV_ASSERT(!peer->given);
    while (core->peers[at] != peer)
        at++;
    GV_ASSERT(at < core->peer_count);
    core->peer_count--;
    memmove(&core->peers[at], &core->peers[at + 1],
            (core->peer_count - at) * sizeof(struct peer *));
}

void peer_forget(struct core *core, struct peer *peer)
{
    GV_ASSERT(peer->link == NULL);
    core->known_changes += peer->heard_at != LONG_AGO;
    peer_take_out(core, peer);
    free(peer);
}

/* What is least worth keeping goes first: who was never reached, then who was
 * missed most often, then who was not heard of for longest. */
static bool worse(const struct peer *a, const struct peer *b)
{
    gv_time_ms a_at = a->heard_at > a->told_at ? a->heard_at : a->told_at;
    gv_time_ms b_at = b->heard_at > b->told_at ? b->heard_at : b->told_at;

    GV_ASSERT(!a->given && !b->given);
    if ((a->heard_at == LONG_AGO) != (b->heard_at == LONG_AGO))
        return a->heard_at == LONG_AGO;
    if (a->failures != b->failures)
        return a->failures > b->failures;
    return a_at < b_at;
}

static bool make_room(struct core *core)
{
    struct peer *worst = NULL;

    GV_ASSERT(core->peer_count <= CORE_KNOWN_MAX);
    if (core->peer_count < CORE_KNOWN_MAX)
        return true;
    for (size_t i = core->given_count; i < core->peer_count; i++) {
        struct peer *peer = core->peers[i];
        if (peer->link == NULL && peer->twin == NULL &&
            (worst == NULL || worse(peer, worst)))
            worst = peer;
    }
    if (worst != NULL)
        peer_forget(core, worst);
    return worst != NULL;
}

void peer_close(struct core *core)
{
    while (core->peer_count > 0)
        free(core->peers[--core->peer_count]);
    core->given_count = 0;
}

/* It was learned; a person wants it now. */
static void raise_to_given(struct core *core, struct peer *peer)
{
    GV_ASSERT(!peer->given);
    peer_take_out(core, peer);
    peer->forgotten = false;
    peer->backoff_ms = CORE_RECONNECT_MIN_MS;
    if (peer->retry_at > core->now)
        peer->retry_at = core->now;
}

int core_add_peer(struct core *core, const char *endpoint)
{
    size_t size = strlen(endpoint);
    struct peer *peer = peer_find(core, endpoint);

    if (size == 0 || size > MESSAGE_TEXT_SIZE_MAX)
        return GV_EINVAL;
    if (peer != NULL && peer->given)
        return GV_EEXIST;
    if (core->given_count == CORE_PEERS_MAX ||
        (peer == NULL && !make_room(core)))
        return GV_ELIMIT;
    if (peer != NULL)
        raise_to_given(core, peer);
    else
        peer = peer_new(core, endpoint);
    if (peer == NULL)
        return GV_ENOMEM;
    peer->given = true;
    peer_insert(core, peer);
    return GV_OK;
}

void core_drop_peer(struct core *core, const char *endpoint)
{
    struct peer *peer = peer_find(core, endpoint);
    size_t at = 0;

    if (peer == NULL || !peer->given ||
        (!core->exchange && peer->link != NULL))
        return;
    while (core->peers[at] != peer)
        at++;
    GV_ASSERT(at < core->given_count);
    core->peer_count--;
    core->given_count--;
    memmove(&core->peers[at], &core->peers[at + 1],
            (core->peer_count - at) * sizeof(struct peer *));
    peer->given = false;
    peer_insert(core, peer);
    if (!core->exchange)
        peer_forget(core, peer);
}

struct peer *peer_learn(struct core *core, const char *endpoint)
{
    struct peer *peer = peer_find(core, endpoint);

    GV_ASSERT(core->exchange);
    if (peer != NULL)
        peer->forgotten = false;
    if (peer != NULL || !make_room(core))
        return peer;
    peer = peer_new(core, endpoint);
    if (peer == NULL)
        return NULL;
    /* All who are told at once shall not dial at once. */
    peer->retry_at +=
        (gv_time_ms)random_below(&core->random, CORE_RECONNECT_MIN_MS);
    peer_insert(core, peer);
    GV_ASSERT(!peer->given);
    return peer;
}

void peer_doubt(struct core *core, struct peer *peer)
{
    for (size_t i = 0; i < core->peer_count; i++) {
        if (core->peers[i] != peer)
            continue;
        GV_ASSERT(peer->link == NULL);
        peer->twin = NULL;
        peer->sited = false;
    }
}

/* Of two files that live under one site id each is at an endpoint of its own:
 * the one is not there because the other is linked. */
static bool is_twin(const struct peer *peer, const struct link *link)
{
    GV_ASSERT(peer->link != link);
    return link->greeted && peer->sited &&
           site_equal(&peer->site, &link->site) &&
           (peer->instance == 0 || peer->instance == link->instance);
}

void peer_place(struct core *core, struct peer *peer, const struct site *site,
                uint64_t instance)
{
    /* What was kept of it is not what it is. */
    core->known_changes += peer->heard_at != LONG_AGO && peer->sited &&
                           !site_equal(&peer->site, site);
    peer->site = *site;
    peer->sited = true;
    peer->instance = instance;
    peer->twin = NULL;
    GV_ASSERT(peer->link == NULL || !peer->link->greeted ||
              site_equal(&peer->link->site, site));
    for (size_t i = 0; peer->link == NULL && i < core->link_count; i++) {
        if (is_twin(peer, core->links[i]))
            peer->twin = core->links[i];
    }
}

void peer_heard(struct core *core, struct peer *peer)
{
    core->known_changes += peer->heard_at == LONG_AGO;
    peer->heard_at = core->now;
    GV_ASSERT(peer->heard_at != LONG_AGO);
}

void peer_greeted(struct core *core, struct link *link)
{
    struct peer *own = link->peer;
    uint64_t changes = core->known_changes;

    GV_ASSERT(link->greeted);
    if (own != NULL) {
        GV_ASSERT(own->link == link);
        peer_place(core, own, &link->site, link->instance);
        peer_heard(core, own);
    }
    for (size_t i = 0; i < core->peer_count; i++) {
        struct peer *peer = core->peers[i];
        if (peer->link == NULL && is_twin(peer, link)) {
            peer->twin = link;
            peer_heard(core, peer);
        }
    }
    link->placed_anew = core->known_changes != changes;
}

/* Doubled each time, and spread by half either way: peers that lost one
 * another at once shall not all come back at once. */
static gv_time_ms back_off(struct core *core, struct peer *peer)
{
    gv_time_ms most = peer->given                  ? CORE_RECONNECT_MAX_MS
                      : peer->heard_at != LONG_AGO ? CORE_LEARNED_MAX_MS
                                                   : CORE_UNREACHED_MAX_MS;
    gv_time_ms delay =
        peer->backoff_ms / 2 +
        (gv_time_ms)random_below(&core->random, (uint64_t)peer->backoff_ms);

    GV_ASSERT(peer->backoff_ms >= CORE_RECONNECT_MIN_MS &&
              peer->backoff_ms <= CORE_UNREACHED_MAX_MS);
    GV_ASSERT(delay >= CORE_RECONNECT_MIN_MS / 2);
    peer->backoff_ms *= 2;
    if (peer->backoff_ms > most)
        peer->backoff_ms = most;
    return delay;
}

void peer_link_gone(struct core *core, const struct link *link,
                    enum bye_code code)
{
    for (size_t i = 0; i < core->peer_count; i++) {
        struct peer *peer = core->peers[i];
        if (peer->link == NULL && link->greeted && peer->sited &&
            site_equal(&peer->site, &link->site))
            peer_heard(core, peer);
        if (peer->twin != link)
            continue;
        peer_place(core, peer, &link->site, peer->instance);
        if (peer->twin != NULL)
            continue;
        peer->backoff_ms =
            code == BYE_FULL ? CORE_RECONNECT_MAX_MS : CORE_RECONNECT_MIN_MS;
        peer->retry_at = core->now + back_off(core, peer);
        GV_ASSERT(peer->retry_at > core->now);
    }
}

bool peer_complain(struct peer *peer, int complaint)
{
    bool news = peer->complaint != complaint;

    GV_ASSERT(complaint != 0); /* which stands for: nothing was said */
    peer->complaint = complaint;
    /* Of whom they named themselves people want to hear. */
    return news && peer->given;
}

/* Whether nothing speaks for @peer any more. */
static bool faded(const struct core *core, const struct peer *peer)
{
    GV_ASSERT(peer->link == NULL);
    if (peer->forgotten)
        return true;
    return !peer->given && peer->twin == NULL &&
           peer->failures >= PEER_FAILURES_MAX &&
           core->now - peer->told_at > PEER_HEARSAY_MS &&
           core->now - peer->heard_at > CORE_PEER_AGE_MAX_MS;
}

static void set_retry(struct core *core, struct peer *peer, enum bye_code code)
{
    peer->refused = false;
    switch (code) {
    case BYE_SELF:
        peer->refused = true;
        peer->retry_at = NEVER;
        return;
    case BYE_OTHER_MESH:
    case BYE_OTHER_VERSION:
        peer->refused = true;
        peer->retry_at = core->now + CORE_REFUSED_RETRY_MS;
        return;
    case BYE_FULL: /* it lives, and named others */
        peer->backoff_ms = CORE_RECONNECT_MAX_MS;
        break;
    case BYE_SAME_SITE: /* one of the two takes another site id, soon */
        peer->refused = true;
        break;
    case BYE_UNKNOWN:
    case BYE_DUPLICATE:
    case BYE_STOPPING:
    case BYE_SAY_HELLO:
    case BYE_BAD_MESSAGE:
    case BYE_SILENT:
        break;
    }
    peer->retry_at = core->now + back_off(core, peer);
    GV_ASSERT(peer->retry_at > core->now);
}

bool peer_settle(struct core *core, struct peer *peer, const struct link *link,
                 enum bye_code code, const char *reason)
{
    GV_ASSERT(peer->link == NULL);
    GV_ASSERT(reason != NULL);
    (void)snprintf(peer->reason, sizeof(peer->reason), "%s", reason);
    if (link->greeted) {
        peer_place(core, peer, &link->site, link->instance);
        peer_heard(core, peer);
    }
    peer->failures = link->greeted || code != 0 ? 0 : peer->failures + 1;
    if (link->state == LINK_UP &&
        core->now - link->up_at >= CORE_SILENCE_MAX_MS)
        peer->backoff_ms = CORE_RECONNECT_MIN_MS;
    set_retry(core, peer, code);
    if (!faded(core, peer))
        return true;
    peer_forget(core, peer);
    return false;
}

void peer_dial(struct core *core, struct peer *peer)
{
    struct effect effect = {.kind = EFFECT_CONNECT};
    struct link *link;

    GV_ASSERT(peer->link == NULL && peer->twin == NULL);
    GV_ASSERT(core->next_link % 2 == 0);
    if (!peer->given)
        core->stranger_at = core->now + PEER_STRANGER_MS;
    if (core->link_count == CORE_LINKS_MAX) {
        peer->retry_at = core->now + CORE_RECONNECT_MAX_MS;
        return;
    }
    link = link_new(core, core->next_link, peer);
    if (link == NULL) {
        peer->retry_at = core->now + back_off(core, peer);
        return;
    }
    core->next_link += 2;
    peer->dialled_at = core->now;
    GV_ASSERT(peer->link == link);
    effect.link = link->number;
    effect.as.connect.endpoint = emit_text(core, peer->endpoint);
    if (effect.as.connect.endpoint != NULL)
        (void)emit(core, &effect); /* lost: it times out like any dial */
}

gv_time_ms peer_due(const struct core *core, const struct peer *peer)
{
    if (peer->link != NULL || peer->twin != NULL)
        return NEVER;
    if (!peer->given && peer->retry_at < core->stranger_at)
        return core->stranger_at;
    return peer->retry_at;
}

void peer_tick(struct core *core)
{
    GV_ASSERT(core->given_count <= core->peer_count);
    if (view_narrow(core)) {
        view_tick(core);
        return;
    }
    for (size_t i = 0; i < core->peer_count; i++) {
        struct peer *peer = core->peers[i];
        if (peer_due(core, peer) <= core->now)
            peer_dial(core, peer);
    }
}

gv_time_ms peer_deadline(const struct core *core)
{
    gv_time_ms deadline = NEVER;

    if (view_narrow(core))
        return view_deadline(core);
    for (size_t i = 0; i < core->peer_count; i++) {
        gv_time_ms due = peer_due(core, core->peers[i]);
        if (due < deadline)
            deadline = due;
    }
    return deadline;
}
