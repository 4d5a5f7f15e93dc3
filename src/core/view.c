/* With whom this node links when it knows more peers than it can link with
 * all: an active view, as of HyParView (Leitao, Pereira, Rodrigues: HyParView,
 * 2007).
 *
 * It dials while it has fewer than CORE_VIEW_WANTED links and refuses above
 * CORE_VIEW_MAX, naming others; who has hardly a link is let in and another
 * goes, so that the mesh stays one piece.  Links that stand are left alone.
 * The other peers are passive: dialled one at a time now and then, so that
 * their addresses and round trips are fresh when one is promoted. */
#include "core/view.h"

#include "base/assert.h"
#include "core/exchange.h"
#include "core/link.h"
#include "core/mark.h"
#include "core/peer.h"
#include "core/state.h"
#include "core/tell.h"

_Static_assert(CORE_VIEW_WANTED < CORE_VIEW_MAX,
               "some have room for who still looks for links");
_Static_assert(VIEW_URGENT < CORE_VIEW_WANTED,
               "who is urgent still looks for links");
_Static_assert(VIEW_GIVEN < CORE_VIEW_WANTED, "links differ in kind");

/* Peers that there may be somebody at. */
static size_t likely(const struct core *core)
{
    size_t count = 0;

    for (size_t i = 0; i < core->peer_count; i++)
        count += core->peers[i]->failures < PEER_FAILURES_MAX;
    GV_ASSERT(count <= core->peer_count);
    return count;
}

bool view_narrow(const struct core *core)
{
    return core->exchange && core->peer_count > CORE_FULL_MAX &&
           likely(core) > CORE_FULL_MAX;
}

static size_t links_up(const struct core *core)
{
    size_t count = 0;

    for (size_t i = 0; i < core->link_count; i++)
        count += core->links[i]->state == LINK_UP;
    GV_ASSERT(count <= core->link_count);
    return count;
}

bool view_urgent(const struct core *core)
{
    return links_up(core) < VIEW_URGENT;
}

bool view_looks(const struct core *core, const struct link *link)
{
    GV_ASSERT(link->state != LINK_UP);
    return link->peer != NULL && view_narrow(core) &&
           links_up(core) >= CORE_VIEW_WANTED;
}

bool view_aside(const struct link *link)
{
    GV_ASSERT(!link->probe || link->peer != NULL);
    return link->probe || link->looks;
}

/* A link with a peer that people named. */
static bool is_given(const struct core *core, const struct link *link)
{
    if (link->peer != NULL)
        return link->peer->given;
    for (size_t i = 0; i < core->given_count; i++) {
        if (core->peers[i]->twin == link)
            return true;
    }
    return false;
}

static size_t given_links(const struct core *core)
{
    size_t count = 0;

    for (size_t i = 0; i < core->link_count; i++)
        count += is_given(core, core->links[i]);
    GV_ASSERT(count <= core->link_count);
    return count;
}

/* A link that can be done without, by chance: to let go of the slowest would
 * part a mesh where its paths are long.  Not one of the few with given peers,
 * nor one whose peer has hardly another or cannot be dialled. */
static struct link *victim(struct core *core)
{
    bool keep_given = given_links(core) <= VIEW_GIVEN;
    struct link *chosen = NULL;
    uint64_t count = 0;

    for (size_t i = 0; i < core->link_count; i++) {
        struct link *link = core->links[i];
        if (link->state != LINK_UP || link->endpoint_count == 0 ||
            (link->urgent && core->now - link->up_at < VIEW_GRACE_MS) ||
            (keep_given && is_given(core, link)))
            continue;
        count++;
        if (random_below(&core->random, count) == 0)
            chosen = link;
    }
    GV_ASSERT((chosen != NULL) == (count > 0));
    return chosen;
}

static void release(struct core *core, struct link *link)
{
    exchange_tell(core, link);
    link_bye(core, link, BYE_FULL,
             "this node has as many links as it wants; it named other peers");
}

bool view_admit(struct core *core, struct link *link)
{
    size_t up = links_up(core);
    struct link *other;

    GV_ASSERT(link->greeted && link->state == LINK_GREETING);
    if (link->peer != NULL) {
        link->peer->rtt_ms = core->now - link->since;
        return true;
    }
    if (!view_narrow(core) || up < CORE_VIEW_MAX)
        return true;
    other = link->urgent ? victim(core) : NULL;
    if (other == NULL) {
        release(core, link);
        return false;
    }
    GV_ASSERT(other != link);
    release(core, other);
    return true;
}

/* One that may be dialled, by chance; after @best one that is nearer, or
 * @best. */
static struct peer *draw(struct core *core, struct peer *best)
{
    struct peer *drawn = NULL;
    uint64_t count = 0;

    for (size_t i = 0; i < core->peer_count; i++) {
        struct peer *peer = core->peers[i];
        if (peer_due(core, peer) <= core->now &&
            random_below(&core->random, ++count) == 0)
            drawn = peer;
    }
    GV_ASSERT((drawn != NULL) == (count > 0));
    if (best != NULL && best->rtt_ms >= 0 &&
        (drawn->rtt_ms < 0 || drawn->rtt_ms >= best->rtt_ms))
        return best;
    return drawn;
}

/* Given peers first, until there are some; then by turns the nearest of three
 * and any one.  Who always took the nearest would end in a clique. */
static struct peer *choose(struct core *core)
{
    bool near = random_below(&core->random, 2) == 0;
    struct peer *chosen;

    if (given_links(core) < VIEW_GIVEN) {
        for (size_t i = 0; i < core->given_count; i++) {
            if (peer_due(core, core->peers[i]) <= core->now)
                return core->peers[i];
        }
    }
    chosen = draw(core, NULL);
    for (int i = 0; near && chosen != NULL && i < 2; i++)
        chosen = draw(core, chosen);
    GV_ASSERT(chosen == NULL || chosen->link == NULL);
    return chosen;
}

/* The passive peer that was not heard for longest. */
static struct peer *stalest(const struct core *core)
{
    struct peer *chosen = NULL;

    for (size_t i = 0; i < core->peer_count; i++) {
        struct peer *peer = core->peers[i];
        if (peer_due(core, peer) <= core->now &&
            (chosen == NULL || peer->heard_at < chosen->heard_at))
            chosen = peer;
    }
    return chosen;
}

static void probe(struct core *core)
{
    struct peer *peer = stalest(core);

    core->probe_at = core->now + CORE_PROBE_MS / 2 +
                     (gv_time_ms)random_below(&core->random, CORE_PROBE_MS);
    GV_ASSERT(core->probe_at > core->now);
    if (peer != NULL)
        peer_dial(core, peer);
}

/* A peer that was only looked at. */
static struct link *looked_at(const struct core *core)
{
    for (size_t i = 0; i < core->link_count; i++) {
        if (core->links[i]->probe && core->links[i]->state == LINK_UP)
            return core->links[i];
    }
    return NULL;
}

/* Who holds the same, or gets what is new somewhere else, is reached by others
 * too.  Who had to ask, or had to be asked, may be of another part of the
 * mesh: that link stays, is pushed on from now on, and another goes. */
static void judge(struct core *core, struct link *link)
{
    bool long_enough = core->now - link->up_at >= CORE_SILENCE_MAX_MS;

    GV_ASSERT(link->probe && link->state == LINK_UP);
    if (link->believed.hash == core->vv.hash ||
        (long_enough && !link->served)) {
        release(core, link);
        return;
    }
    if (!long_enough)
        return;
    link->probe = false;
    tell_hello(core, link);
    mark_link_up(core, link);
}

/* One a heartbeat: two that let go of one another's links at once shall see
 * what is left before they go on. */
static void trim(struct core *core)
{
    struct link *link = looked_at(core);

    core->trim_at = core->now + CORE_HEARTBEAT_MS;
    if (link != NULL) {
        judge(core, link);
        return;
    }
    link = links_up(core) > CORE_VIEW_MAX ? victim(core) : NULL;
    if (link != NULL)
        release(core, link);
}

void view_tick(struct core *core)
{
    struct peer *peer;

    GV_ASSERT(core->exchange);
    if (core->trim_at <= core->now)
        trim(core);
    while (core->link_count < CORE_VIEW_WANTED &&
           (peer = choose(core)) != NULL)
        peer_dial(core, peer);
    if (core->probe_at <= core->now)
        probe(core);
}

gv_time_ms view_deadline(const struct core *core)
{
    gv_time_ms deadline = core->probe_at;

    if ((looked_at(core) != NULL || links_up(core) > CORE_VIEW_MAX) &&
        core->trim_at < deadline)
        deadline = core->trim_at;
    for (size_t i = 0;
         core->link_count < CORE_VIEW_WANTED && i < core->peer_count; i++) {
        gv_time_ms due = peer_due(core, core->peers[i]);
        if (due < deadline)
            deadline = due;
    }
    GV_ASSERT(deadline < NEVER);
    return deadline;
}
