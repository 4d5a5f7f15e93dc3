/* Endpoints to dial: when, how often, and when never again. */
#include "core/state.h"

#include "base/assert.h"

#include <string.h>

_Static_assert(CORE_PEERS_MAX <= CORE_LINKS_MAX,
               "every peer can have its link");
_Static_assert(CORE_REFUSED_RETRY_MS > CORE_RECONNECT_MAX_MS * 3 / 2,
               "a refusal waits longer than any back-off");
int core_add_peer(struct core *core, const char *endpoint)
{
    size_t size = strlen(endpoint);
    struct peer *peer;

    if (size == 0 || size > MESSAGE_TEXT_SIZE_MAX)
        return GV_EINVAL;
    for (size_t i = 0; i < core->peer_count; i++) {
        if (strcmp(core->peers[i].endpoint, endpoint) == 0)
            return GV_EEXIST;
    }
    if (core->peer_count == CORE_PEERS_MAX)
        return GV_ELIMIT;
    GV_ASSERT(core->peer_count < CORE_PEERS_MAX);
    peer = &core->peers[core->peer_count++];
    memset(peer, 0, sizeof(*peer));
    memcpy(peer->endpoint, endpoint, size + 1);
    peer->backoff_ms = CORE_RECONNECT_MIN_MS;
    peer->retry_at = core->now;
    return GV_OK;
}

/* Doubled each time, and spread by half either way: peers that lost one
 * another at once shall not all come back at once. */
static gv_time_ms back_off(struct core *core, struct peer *peer)
{
    gv_time_ms delay =
        peer->backoff_ms / 2 +
        (gv_time_ms)random_below(&core->random, (uint64_t)peer->backoff_ms);

    GV_ASSERT(peer->backoff_ms >= CORE_RECONNECT_MIN_MS &&
              peer->backoff_ms <= CORE_RECONNECT_MAX_MS);
    GV_ASSERT(delay >= CORE_RECONNECT_MIN_MS / 2);
    peer->backoff_ms *= 2;
    if (peer->backoff_ms > CORE_RECONNECT_MAX_MS)
        peer->backoff_ms = CORE_RECONNECT_MAX_MS;
    return delay;
}

bool peer_complain(struct peer *peer, int complaint)
{
    bool news = peer->complaint != complaint;

    GV_ASSERT(complaint != 0); /* which stands for: nothing was said */
    peer->complaint = complaint;
    return news;
}

void peer_settle(struct core *core, struct peer *peer, enum bye_code code,
                 const char *reason)
{
    GV_ASSERT(peer->link != NULL);
    GV_ASSERT(reason != NULL);
    peer->link = NULL;
    peer->refused = false;
    (void)snprintf(peer->reason, sizeof(peer->reason), "%s", reason);
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
    case BYE_FULL:
        peer->backoff_ms = CORE_RECONNECT_MAX_MS;
        break;
    case BYE_SAME_SITE: /* one of the two takes another site id, soon */
        peer->refused = true;
        break;
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

struct link *peer_twin(const struct core *core, const struct peer *peer)
{
    if (!peer->twin || peer->link != NULL)
        return NULL;
    for (size_t i = 0; i < core->link_count; i++) {
        struct link *link = core->links[i];
        GV_ASSERT(link->peer != peer);
        if (link->greeted && site_equal(&link->site, &peer->site))
            return link;
    }
    return NULL;
}

static void dial(struct core *core, struct peer *peer)
{
    struct effect effect = {.kind = EFFECT_CONNECT};
    struct link *link;

    GV_ASSERT(peer->link == NULL && !peer->twin);
    GV_ASSERT(core->next_link % 2 == 0);
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
    GV_ASSERT(peer->link == link);
    effect.link = link->number;
    effect.as.connect.endpoint = peer->endpoint;
    (void)emit(core, &effect); /* lost: it times out like any dial */
}

void peer_tick(struct core *core)
{
    for (size_t i = 0; i < core->peer_count; i++) {
        struct peer *peer = &core->peers[i];
        if (peer->link != NULL || peer_twin(core, peer) != NULL)
            continue;
        if (peer->twin) {
            peer->twin = false;
            peer->backoff_ms = CORE_RECONNECT_MIN_MS;
            peer->retry_at = core->now + back_off(core, peer);
        }
        if (peer->retry_at <= core->now)
            dial(core, peer);
    }
}

gv_time_ms peer_deadline(const struct core *core)
{
    gv_time_ms deadline = NEVER;

    for (size_t i = 0; i < core->peer_count; i++) {
        const struct peer *peer = &core->peers[i];
        gv_time_ms due = peer->twin ? core->now : peer->retry_at;
        if (peer->link != NULL || peer_twin(core, peer) != NULL)
            continue;
        if (due < deadline)
            deadline = due;
    }
    return deadline;
}
