/* Peer exchange: nodes tell each other where others can be dialled.
 *
 * A node tells only of sites that it is, or lately was, linked with itself,
 * and how long ago that was; hearsay is not passed on.  So an address that
 * nobody reaches any more is told by nobody any more, and one that never led
 * anywhere spreads no further than to those whom its inventor told. */
#include "core/exchange.h"

#include "base/assert.h"
#include "base/plant.h"
#include "core/emit.h"
#include "core/hello.h"
#include "core/peer.h"
#include "core/state.h"

#include <string.h>

_Static_assert(EXCHANGE_PAUSE_MS < EXCHANGE_SOON_MS,
               "who is told when something changed listens again");

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* An address that means another machine to each machine. */
static bool is_local(const char *endpoint)
{
    return begins(endpoint, "tcp://127.") || begins(endpoint, "tcp://[::1]") ||
           begins(endpoint, "tcp://localhost:");
}

static bool is_own(const struct core *core, const char *endpoint)
{
    for (size_t i = 0; i < core->endpoint_count; i++) {
        if (strcmp(core->endpoints[i], endpoint) == 0)
            return true;
    }
    return false;
}

/* Telling */

static void add(struct core *core, const struct link *link,
                struct message_peers *peers, const char *endpoint,
                const struct site *site, gv_time_ms age)
{
    struct peer_address *address = &peers->addresses[peers->count];
    const char *copy;

    GV_ASSERT(age >= 0 && peers->count <= MESSAGE_PEERS_MAX);
    if (peers->count == MESSAGE_PEERS_MAX || age > EXCHANGE_AGE_MS ||
        endpoint[0] == '\0' || site_equal(site, &link->site) ||
        site_equal(site, &core->site) || (is_local(endpoint) && !link->local))
        return;
    copy = emit_text(core, endpoint);
    if (copy == NULL)
        return;
    *address = (struct peer_address){
        {copy, strlen(copy)}, *site, (uint32_t)(age / 1000)};
    peers->count++;
}

/* From a random one on: where there are more than one PEERS holds, each gets
 * others. */
static void gather(struct core *core, const struct link *link,
                   struct message_peers *peers)
{
    size_t total = core->link_count + core->peer_count;
    size_t first = (size_t)random_below(&core->random, total);

    GV_ASSERT(core->link_count > 0); /* @link itself */
    for (size_t i = 0; i < total; i++) {
        size_t at = (first + i) % total;
        const struct link *other =
            at < core->link_count ? core->links[at] : NULL;
        const struct peer *peer =
            other == NULL ? core->peers[at - core->link_count] : NULL;

        for (size_t e = 0; other != NULL && other->state == LINK_UP &&
                           e < other->endpoint_count;
             e++)
            add(core, link, peers, other->endpoints[e], &other->site, 0);
        if (peer != NULL && peer->sited && peer->link == NULL &&
            peer->twin == NULL)
            add(core, link, peers, peer->endpoint, &peer->site,
                core->now - peer->heard_at);
    }
}

void exchange_tell(struct core *core, struct link *link)
{
    struct message message = {.kind = MESSAGE_PEERS};

    GV_ASSERT(link->state != LINK_CONNECTING);
    link->exchange_at = NEVER;
    if (!(link->agreed.features & FEATURE_EXCHANGE))
        return;
    gather(core, link, &message.as.peers);
    if (message.as.peers.count > 0)
        (void)emit_message(core, link->number, &message);
}

/* The others shall know of @link's peer too: it may be that it cannot dial
 * them. */
static void tell_others_soon(struct core *core, const struct link *link)
{
    for (size_t i = 0; i < core->link_count; i++) {
        struct link *other = core->links[i];
        gv_time_ms soon =
            core->now + EXCHANGE_SOON_MS / 2 +
            (gv_time_ms)random_below(&core->random, EXCHANGE_SOON_MS);
        if (other != link && other->state == LINK_UP &&
            other->exchange_at > soon)
            other->exchange_at = soon;
    }
}

/* Hearing */

/* A site says itself where it is: what was known of it before is past. */
static void forget_others(struct core *core, const struct link *link)
{
    for (size_t i = core->peer_count; i-- > core->given_count;) {
        struct peer *peer = core->peers[i];
        bool named = false;

        for (size_t e = 0; e < link->endpoint_count; e++)
            named |= strcmp(link->endpoints[e], peer->endpoint) == 0;
        if (!named && peer->link == NULL && peer->twin == link)
            peer_forget(core, peer);
    }
}

static bool takes(const struct core *core, const struct link *link,
                  const char *endpoint)
{
    return core->exchange && endpoint[0] != '\0' && !is_own(core, endpoint) &&
           (link->local || !is_local(endpoint));
}

void exchange_learn(struct core *core, struct link *link)
{
    uint64_t changes = core->known_changes;

    GV_ASSERT(link->greeted);
    GV_ASSERT(link->endpoint_count <= MESSAGE_ENDPOINTS_MAX);
    if (link->endpoint_count > 0)
        forget_others(core, link);
    for (size_t i = 0; i < link->endpoint_count; i++) {
        struct peer *peer = takes(core, link, link->endpoints[i])
                                ? peer_learn(core, link->endpoints[i])
                                : NULL;
        if (peer == NULL || peer->link != NULL)
            continue;
        peer_place(core, peer, &link->site, link->instance);
        peer_heard(core, peer);
    }
    /* One that comes back to a place that is known is nothing new. */
    link->placed_anew |= core->known_changes != changes || !core->exchange;
}

void exchange_begin(struct core *core, struct link *link)
{
    GV_ASSERT(link->state == LINK_UP);
    exchange_tell(core, link);
    if (link->endpoint_count > 0 && link->placed_anew)
        tell_others_soon(core, link);
}

static gv_time_ms earlier(gv_time_ms a, gv_time_ms b)
{
    return a < b ? a : b;
}

static void hear(struct core *core, const struct link *link,
                 const struct peer_address *address)
{
    char endpoint[TEXT_SPACE];
    gv_time_ms told_at = core->now - (gv_time_ms)address->age_s * 1000;
    struct peer *peer;

    GV_ASSERT(address->endpoint.size < TEXT_SPACE);
    hello_text(address->endpoint, endpoint);
    if (address->age_s > EXCHANGE_AGE_MS / 1000 + 1 ||
        site_equal(&address->site, &core->site) ||
        !takes(core, link, endpoint))
        return;
    peer = peer_learn(core, endpoint);
    if (peer == NULL)
        return;
    if (told_at > peer->told_at)
        peer->told_at = told_at;
    /* Others reach it: that is worth another try. */
    if (told_at > peer->dialled_at && peer->retry_at > core->now &&
        !peer->refused)
        peer->retry_at =
            earlier(peer->retry_at, peer->dialled_at + CORE_LEARNED_MAX_MS);
    /* What was seen counts for more than what was told. */
    if (peer->heard_at == LONG_AGO && peer->link == NULL)
        peer_place(core, peer, &address->site, 0);
}

int exchange_receive(struct core *core, struct link *link,
                     const struct message_peers *peers)
{
    GV_ASSERT(link->greeted);
    if (peers->count < 1 || peers->count > MESSAGE_PEERS_MAX)
        return GV_EPROTO;
    if (core->now < link->listen_at || plant("peers-unread"))
        return GV_OK; /* so that a flood of names is none of dials */
    link->listen_at = core->now + EXCHANGE_PAUSE_MS;
    for (size_t i = 0; i < peers->count; i++)
        hear(core, link, &peers->addresses[i]);
    GV_ASSERT(core->peer_count <= CORE_KNOWN_MAX);
    return GV_OK;
}

/* Now and then one peer is told, so that ages do not grow for want of a word
 * and a link costs next to nothing. */
static void tell_anyone(struct core *core)
{
    bool first = core->exchange_at == 0; /* only now is it known when now is */
    struct link *chosen = NULL;
    uint64_t count = 0;

    core->exchange_at =
        core->now + EXCHANGE_EVERY_MS / 2 +
        (gv_time_ms)random_below(&core->random, EXCHANGE_EVERY_MS);
    GV_ASSERT(core->exchange_at > core->now);
    for (size_t i = 0; !first && i < core->link_count; i++) {
        if (core->links[i]->state == LINK_UP &&
            random_below(&core->random, ++count) == 0)
            chosen = core->links[i];
    }
    if (chosen != NULL)
        exchange_tell(core, chosen);
}

void exchange_tick(struct core *core)
{
    if (core->link_count > 0 && core->exchange_at <= core->now)
        tell_anyone(core);
    for (size_t i = 0; i < core->link_count; i++) {
        struct link *link = core->links[i];
        if (link->state == LINK_UP && link->exchange_at <= core->now)
            exchange_tell(core, link);
    }
}

gv_time_ms exchange_deadline(const struct core *core)
{
    gv_time_ms deadline = core->link_count > 0 ? core->exchange_at : NEVER;

    for (size_t i = 0; i < core->link_count; i++) {
        if (core->links[i]->exchange_at < deadline)
            deadline = core->links[i]->exchange_at;
    }
    return deadline;
}

/* What the driver knows: from an earlier start, or from the network. */

static int learn(struct core *core, const char *endpoint, struct peer **peer)
{
    if (!core->exchange || endpoint[0] == '\0' || is_own(core, endpoint) ||
        strlen(endpoint) > MESSAGE_TEXT_SIZE_MAX)
        return GV_EINVAL;
    core->error = GV_OK;
    *peer = peer_learn(core, endpoint);
    if (*peer == NULL)
        return core->error != GV_OK ? core->error : GV_ELIMIT;
    return GV_OK;
}

int core_learn_peer(struct core *core, const char *endpoint)
{
    struct peer *peer;
    int rc = learn(core, endpoint, &peer);

    if (rc == GV_OK)
        peer->told_at = core->now;
    return rc;
}

void core_forget_peer(struct core *core, const char *endpoint)
{
    struct peer *peer = peer_find(core, endpoint);

    if (peer == NULL || peer->given)
        return;
    GV_ASSERT(core->exchange);
    if (peer->link == NULL)
        peer_forget(core, peer);
    else
        peer->forgotten = true;
}

int core_know_peer(struct core *core, const char *endpoint,
                   const struct site *site, gv_time_ms age)
{
    struct peer *peer;
    int rc;

    GV_ASSERT(age >= 0);
    if (age > CORE_PEER_AGE_MAX_MS || site_equal(site, &core->site))
        return GV_EINVAL;
    rc = learn(core, endpoint, &peer);
    if (rc != GV_OK)
        return rc;
    if (peer->link == NULL)
        peer_place(core, peer, site, 0);
    peer->heard_at = core->now - age;
    GV_ASSERT(peer->heard_at != LONG_AGO);
    return GV_OK;
}

bool core_known_peer(const struct core *core, size_t index, gv_time_ms now,
                     struct known_peer *known)
{
    const struct peer *peer;

    if (index >= core->peer_count)
        return false;
    peer = core->peers[index];
    GV_ASSERT(now >= core->now);
    known->endpoint = peer->endpoint;
    known->site = peer->site;
    known->heard = peer->heard_at != LONG_AGO && peer->sited;
    /* A dial that nobody answered yet says nothing. */
    known->age = (peer->link != NULL && peer->link->greeted) ||
                         peer->twin != NULL || !known->heard
                     ? 0
                     : now - peer->heard_at;
    return true;
}

uint64_t core_known_changes(const struct core *core)
{
    return core->known_changes;
}
