/* What can be seen from outside: links for status, and the invariants of
 * README.md for tests and the simulator. */
#include "core/state.h"

#include "base/assert.h"
#include "core/clock.h"
#include "core/known.h"
#include "core/link.h"
#include "core/mark.h"
#include "core/peer.h"
#include "core/timing.h"
#include "core/view.h"

#include <stdlib.h>

/* Whether @link is shown as that of a peer that was given.  Learned peers are
 * shown while they have a link. */
static bool shown_by_peer(const struct core *core, const struct link *link)
{
    if (link->peer != NULL && link->peer->given)
        return true;
    for (size_t i = 0; i < core->given_count; i++) {
        if (core->peers[i]->twin == link)
            return true;
    }
    return false;
}

size_t core_link_count(const struct core *core)
{
    size_t count = core->given_count;

    for (size_t i = 0; i < core->link_count; i++)
        count += !shown_by_peer(core, core->links[i]);
    GV_ASSERT(count <= CORE_PEERS_MAX + CORE_LINKS_MAX);
    return count;
}

static const struct link *other_at(const struct core *core, size_t index)
{
    GV_ASSERT(core->given_count + index < core_link_count(core));
    for (size_t i = 0; i < core->link_count; i++) {
        if (!shown_by_peer(core, core->links[i]) && index-- == 0)
            return core->links[i];
    }
    GV_ASSERT(false); /* the count above is that of this walk */
    return NULL;
}

static gv_time_ms left(gv_time_ms now, gv_time_ms until)
{
    return until == NEVER || until <= now ? 0 : until - now;
}

static void describe_link(const struct core *core, const struct link *link,
                          gv_time_ms now, struct link_info *info)
{
    /* Which stand for a peer without a link. */
    GV_ASSERT(link->state != LINK_WAITING && link->state != LINK_REFUSED);
    info->link = link->number;
    info->dialled = link->peer != NULL;
    info->given = link->peer != NULL && link->peer->given;
    info->state = link->state;
    info->endpoint = link->peer != NULL         ? link->peer->endpoint
                     : link->endpoint_count > 0 ? link->endpoints[0]
                                                : "";
    info->name = link->name;
    info->site = link->site;
    info->reason = link->reason;
    info->refused = link->refused != GV_OK;
    info->schema_differs =
        link->greeted && link->schema_digest != core->schema_digest;
    info->diverged = link->diverged;
    info->agreed = link->agreed;
    GV_ASSERT(link->news_duplicate <= link->news_received);
    info->news_received = link->news_received;
    info->news_duplicate = link->news_duplicate;
    info->news_bytes = link->news_bytes;
    mark_count(core, link, &info->lazy, &info->pruned);
    if (link->greeted && llabs(link->clock_ahead) > CLOCK_DRIFT_MAX_MS)
        info->clock_ahead_ms = link->clock_ahead;
    if (link->greeted)
        info->believed = &link->believed;
    info->rtt_ms = link->rtt_ms;
    if (link->greeted)
        info->offset_ms = -link->clock_ahead;
    if (link->refused != GV_OK)
        info->retry_ms =
            left(core->wall + (now - core->now), link->refused_until);
    info->peer_refuses = link->peer_refuses;
    if (link->peer_refuses != REFUSES_NOTHING)
        info->peer_retry_ms = left(now, link->peer_retry_at);
    if (now > link->heard_at)
        info->heard_ms = now - link->heard_at;
    if (link->greeted && link->lag_since != NEVER)
        info->lag_ms = now > link->lag_since ? now - link->lag_since : 1;
}

void core_link_info(const struct core *core, size_t index, gv_time_ms now,
                    struct link_info *info)
{
    const struct peer *peer;
    const struct link *link;

    *info = (struct link_info){.name = "", .reason = "", .rtt_ms = -1};
    if (index >= core->given_count) {
        link = other_at(core, index - core->given_count);
        describe_link(core, link, now, info);
        return;
    }
    peer = core->peers[index];
    link = peer->link != NULL ? peer->link : peer->twin;
    if (link != NULL)
        describe_link(core, link, now, info);
    info->endpoint = peer->endpoint;
    info->given = true;
    if (link != NULL && link->state == LINK_UP)
        return;
    if (link == NULL) {
        info->dialled = true;
        info->retry_ms = left(now, peer->retry_at);
    }
    if (link == NULL || peer->refused)
        info->state = peer->refused ? LINK_REFUSED : LINK_WAITING;
    info->itself = link == NULL && peer->refused && peer->retry_at == NEVER;
    info->reason = peer->reason;
    GV_ASSERT(info->state != LINK_UP);
}

void core_status(const struct core *core, struct core_status *status)
{
    *status = (struct core_status){.narrow = view_narrow(core),
                                   .dialect = core->dialect};
    for (size_t i = 0; i < core->peer_count; i++)
        status->known += core->peers[i]->failures < PEER_FAILURES_MAX;
    for (size_t i = 0; i < core->link_count; i++)
        status->links_up += core->links[i]->state == LINK_UP;
    GV_ASSERT(status->known <= core->peer_count);
    status->clocks = timing_median(core, &status->clock_ahead_ms);
}

/* The numbers are those of README.md. */
#define INVARIANT(number, text, expression)                                   \
    do {                                                                      \
        if (!(expression)) {                                                  \
            *which = #number ": " text;                                       \
            return false;                                                     \
        }                                                                     \
    } while (0)

static bool check_vectors(const struct core *core, const char **which)
{
    INVARIANT(1, "the pending vector covers the store's",
              vv_covers(&core->pending, &core->vv));
    INVARIANT(1, "nothing is pending when nothing is applied",
              core->applying > 0 || vv_covers(&core->vv, &core->pending));
    INVARIANT(2, "our own entry is what the store sealed",
              vv_get(&core->vv, &core->site) == core->own_end);
    return true;
}

static bool check_want(const struct core *core, const char **which)
{
    const struct want *want = &core->want;

    if (want->state == WANT_NONE) {
        INVARIANT(3, "without a WANT no link and no claim is kept",
                  want->link == NULL && want->claim == NULL);
        return true;
    }
    INVARIANT(3, "a WANT has a token", want->token != 0);
    INVARIANT(3,
              "bytes are acknowledged after they were staged, and staged "
              "after they came",
              want->acked <= want->staged && want->staged <= want->received);
    INVARIANT(3, "what is acknowledged would outlive a crash, or is whole",
              want->acked <= want->kept && want->kept <= want->staged);
    INVARIANT(3, "no more than its credit is on its way",
              want->received - want->acked <= core->delta_credit);
    INVARIANT(3, "while a WANT is answered nothing else is kept",
              want->spool == 0 || core->stage.held.token == 0);
    INVARIANT(3, "a delta is applied when all of it is staged",
              want->state != WANT_APPLYING ||
                  (want->last && want->staged == want->received &&
                   core->applying > 0));
    INVARIANT(3, "a WANT waits for a link that is up",
              want->link == NULL
                  ? want->state == WANT_APPLYING
                  : link_find(core, want->link->number) == want->link &&
                        want->link->state == LINK_UP);
    return true;
}

static bool check_give(const struct core *core, const char **which)
{
    size_t reading = 0;

    for (size_t i = 0; i < core->link_count; i++) {
        const struct give *give = &core->links[i]->give;
        reading += give->state == GIVE_READING;
        if (give->state != GIVE_SENDING)
            continue;
        INVARIANT(4, "no byte is sent past the end or acknowledged unsent",
                  give->acked <= give->offset && give->offset <= give->size);
        INVARIANT(4, "no more than the asker's credit is on its way",
                  give->offset - give->acked <= give->credit &&
                      give->credit <= CORE_DELTA_CREDIT);
    }
    INVARIANT(4, "one extract is read at a time", reading <= 1);
    return true;
}

static bool check_link(const struct core *core, const struct link *link,
                       const char **which)
{
    INVARIANT(5, "a link's number is even where it was dialled, and given",
              link->peer == NULL
                  ? link->number % 2 == 1
                  : link->number % 2 == 0 && link->number < core->next_link);
    INVARIANT(5, "link numbers are unique",
              link_find(core, link->number) == link);
    INVARIANT(6, "a dialled link and its peer name one another",
              link->peer == NULL || link->peer->link == link);
    INVARIANT(7, "a link that is up was greeted whole",
              link->state != LINK_UP ||
                  (link->greeted && link->vv_left == 0 && !link->vv_open));
    INVARIANT(17, "only what both sides speak is agreed",
              !link->greeted ||
                  (link->agreed.version >= core->dialect.min &&
                   link->agreed.version <= core->dialect.max &&
                   (link->agreed.features & ~core->dialect.features) == 0));
    INVARIANT(7, "no link leads to this very site",
              !link->greeted || !site_equal(&link->site, &core->site));
    INVARIANT(8, "NEWS stays within its credit",
              link->news_unacked <= CORE_NEWS_CREDIT &&
                  link->news_pending + link->news_owed <=
                      2 * CORE_NEWS_CREDIT);
    INVARIANT(14, "what leaves together fits a frame",
              link->out.count <= MESSAGE_INTERVALS_MAX &&
                  link->out.size <= MESSAGE_NEWS_SIZE_MAX);
    INVARIANT(16, "no link is silenced for whom it is the source of",
              mark_sound(core, link));
    INVARIANT(9, "a peer is told, and sent, only what the store holds",
              vv_covers(&core->vv, &link->told) &&
                  vv_covers(&core->vv, &link->pushed));
    INVARIANT(10, "what is known to be missing is not held",
              link->missing.version == 0 ||
                  (link->missing_since <= core->now &&
                   link->behind_since <= link->missing_since));
    INVARIANT(11, "a link that was spoken to has a next heartbeat",
              link->state == LINK_CONNECTING ||
                  (!link->greeted && link->own_sketch > 0) ||
                  link->vv_at <= core->now + CORE_HEARTBEAT_MS);
    return true;
}

static bool check_room(const struct core *core, const char **which)
{
    const struct room *room = &core->room;
    size_t size = 0;

    for (size_t i = 0; i < room->count; i++)
        size += room->guests[i].parcel->interval.size;
    INVARIANT(14, "what waits stays within the room",
              room->count <= ROOM_COUNT_MAX && size == room->size &&
                  size <= ROOM_SIZE_MAX);
    return true;
}

static bool check_recent(const struct core *core, const char **which)
{
    const struct recent *recent = &core->recent;

    INVARIANT(14, "what passed lately is bounded",
              recent->count <= RECENT_COUNT_MAX &&
                  recent->size <= RECENT_SIZE_MAX);
    return true;
}

static bool check_proof(const struct core *core, const char **which)
{
    const struct proof_turn *proof = &core->proof;

    INVARIANT(15, "one comparison at a time, with a link that is up",
              proof->state == PROOF_NONE
                  ? proof->link == NULL
                  : proof->token != 0 &&
                        link_find(core, proof->link->number) == proof->link &&
                        proof->link->state == LINK_UP);
    INVARIANT(15, "only what is held is compared",
              vv_covers(&core->vv, &proof->meet));
    for (size_t i = 0; i < core->link_count; i++)
        INVARIANT(15, "pieces are of a peer that was greeted",
                  core->links[i]->carrying == 0 ||
                      (core->links[i]->greeted &&
                       core->links[i]->carrying_at <= core->now));
    return true;
}

static bool check_sites(const struct core *core, const char **which)
{
    for (size_t i = 0; i < core->link_count; i++) {
        const struct link *a = core->links[i];
        for (size_t j = 0; j < i && a->greeted; j++) {
            const struct link *b = core->links[j];
            INVARIANT(7, "one site has one link",
                      !b->greeted || !site_equal(&a->site, &b->site));
        }
    }
    return true;
}

static bool check_known(const struct core *core, const char **which)
{
    size_t entries = 0;

    INVARIANT(13, "what is known of sites is bounded",
              core->known_count <= KNOWN_SITES_MAX);
    for (size_t i = 0; i < core->known_count; i++) {
        const struct known *known = &core->known[i];
        const struct link *link = known->link;
        entries += known->vv.count;
        INVARIANT(13, "no place is for this very site",
                  !site_equal(&known->site, &core->site));
        INVARIANT(13, "a site that is linked speaks for itself",
                  link == NULL ||
                      (link_find(core, link->number) == link &&
                       link->state == LINK_UP && known->vv.count == 0 &&
                       site_equal(&link->site, &known->site)));
    }
    INVARIANT(13, "what is known of their vectors is bounded",
              entries <= KNOWN_ENTRIES_MAX);
    return true;
}

static bool check_peer(const struct core *core, size_t index,
                       const char **which)
{
    const struct peer *peer = core->peers[index];

    INVARIANT(5, "peers that were given stand first",
              peer->given == (index < core->given_count));
    INVARIANT(5, "a core that exchanges nothing knows whom it was given",
              core->exchange || peer->given);
    INVARIANT(6, "a peer names only a link that lives",
              peer->link == NULL || peer->link->peer == peer);
    INVARIANT(6, "a peer without a link knows the link of its site",
              peer->twin == NULL ||
                  (peer->link == NULL && peer->sited &&
                   link_find(core, peer->twin->number) == peer->twin &&
                   site_equal(&peer->twin->site, &peer->site)));
    return true;
}

bool core_check(const struct core *core, const char **which)
{
    INVARIANT(5, "links and peers are bounded",
              core->link_count <= CORE_LINKS_MAX &&
                  core->given_count <= CORE_PEERS_MAX &&
                  core->peer_count <= CORE_KNOWN_MAX);
    for (size_t i = 0; i < core->link_count; i++) {
        if (!check_link(core, core->links[i], which))
            return false;
    }
    for (size_t i = 0; i < core->peer_count; i++) {
        if (!check_peer(core, i, which))
            return false;
    }
    return check_vectors(core, which) && check_want(core, which) &&
           check_give(core, which) && check_proof(core, which) &&
           check_sites(core, which) && check_known(core, which) &&
           check_room(core, which) && check_recent(core, which);
}
