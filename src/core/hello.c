/* Who may talk with whom: versions, meshes, sites, and which of two links
 * with one peer stays. */
#include "core/hello.h"

#include "base/assert.h"
#include "base/utf8.h"
#include "core/away.h"
#include "core/clock.h"
#include "core/emit.h"
#include "core/exchange.h"
#include "core/known.h"
#include "core/link.h"
#include "core/mark.h"
#include "core/peer.h"
#include "core/rivals.h"
#include "core/state.h"
#include "core/tell.h"
#include "core/view.h"
#include "core/want.h"

#include <string.h>

void hello_text(struct text from, char to[TEXT_SPACE])
{
    size_t size = from.size < TEXT_SPACE - 1 ? from.size : TEXT_SPACE - 1;
    bool printable = utf8_printable(from.bytes, size);

    GV_ASSERT(from.size == 0 || from.bytes != NULL);
    for (size_t i = 0; i < size; i++) {
        char c = from.bytes[i];
        to[i] = printable || (c >= ' ' && c <= '~') ? c : '?';
    }
    to[size] = '\0';
}

/* Log a refusal where it is new: once in a streak. */
static void refuse(struct core *core, struct link *link,
                   const struct message_hello *hello, enum bye_code code,
                   const char *reason)
{
    char who[2 * TEXT_SPACE];
    bool new = link->peer != NULL ? peer_complain(link->peer, (int)code)
                                  : code == BYE_SAME_SITE ||
                                        away_note(core, hello, code, reason);

    /* What does not pass by itself, so that people have to hear of it. */
    GV_ASSERT(code == BYE_OTHER_VERSION || code == BYE_OTHER_MESH ||
              code == BYE_SAME_SITE);
    if (new)
        emit_log(core, GV_LOG_ERROR, "refused %s: %s", link_who(link, who),
                 reason);
    link_bye(core, link, code, reason);
}

static bool same_text(struct text text, const char *other)
{
    return text.size == strlen(other) &&
           memcmp(text.bytes, other, text.size) == 0;
}

/* Two live nodes have one site id.  The instance says in its upper half when
 * a node started: the later one, and by chance one of two that started at
 * once, takes another id and comes again. */
static void same_site(struct core *core, struct link *link,
                      const struct message_hello *hello)
{
    struct effect effect = {.kind = EFFECT_HEARD_OWN, .link = link->number};
    bool later = core->instance > hello->instance;

    GV_ASSERT(core->instance != hello->instance);
    refuse(core, link, hello, BYE_SAME_SITE,
           later ? "it has the same site id as this node: one of the two files"
                   " is a copy of the other; this node, which started later,"
                   " takes a new one"
                 : "it has the same site id as this node: one of the two files"
                   " is a copy of the other; it started later and takes a new"
                   " one");
    effect.as.heard_own.version = VERSION_MAX;
    if (later)
        (void)emit(core, &effect);
}

/* Whether this HELLO is one to refuse; if so, it has been. */
static bool refused(struct core *core, struct link *link,
                    const struct message_hello *hello)
{
    char reason[3 * TEXT_SPACE], mesh[TEXT_SPACE];

    if (!dialect_agree(&core->dialect, &hello->dialect, &link->agreed)) {
        dialect_reason(&core->dialect, &hello->dialect, reason,
                       sizeof(reason));
        refuse(core, link, hello, BYE_OTHER_VERSION, reason);
        return true;
    }
    if (!same_text(hello->mesh, core->mesh)) {
        hello_text(hello->mesh, mesh);
        (void)snprintf(reason, sizeof(reason),
                       "it belongs to mesh '%s', this node to '%s'; "
                       "nothing is exchanged",
                       mesh, core->mesh);
        refuse(core, link, hello, BYE_OTHER_MESH, reason);
        return true;
    }
    if (!site_equal(&hello->site, &core->site))
        return false;
    if (hello->instance == core->instance) {
        if (link->peer != NULL)
            emit_log(core, GV_LOG_INFO,
                     "%s is this node itself; it is not dialled again",
                     link->peer->endpoint);
        link_bye(core, link, BYE_SELF, "this is this node itself");
        return true;
    }
    same_site(core, link, hello);
    return true;
}

/* Whether @new stays beside none of the links with the same site.
 *
 * Both sides must come to the same answer.  Of links dialled from both sides
 * the one dialled by the smaller site stays.  Of two dialled by one side an
 * older one that is up stays; while neither is, the smaller epoch of the
 * dialler, which both sides know. */
static bool new_stays(const struct core *core, const struct link *old,
                      const struct link *new)
{
    bool own_smaller = site_compare(&core->site, &new->site) < 0;
    bool old_dialled = old->peer != NULL, new_dialled = new->peer != NULL;

    GV_ASSERT(old->greeted);
    GV_ASSERT(new->greeted);
    GV_ASSERT(site_equal(&old->site, &new->site));
    GV_ASSERT(!site_equal(&core->site, &new->site));
    GV_ASSERT(new->state == LINK_GREETING);
    if (old->instance != new->instance)
        return true;
    if (old_dialled != new_dialled)
        return new_dialled == own_smaller;
    if (old->state == LINK_UP)
        return false;
    return new_dialled ? new->own_epoch < old->own_epoch
                       : new->epoch < old->epoch;
}

/* Whether @old and @new are of two nodes that both live.  If so the one that
 * started later is told so, and its link is gone. */
static bool part_rivals(struct core *core, struct link *old, struct link *new)
{
    struct link *later = old->instance > new->instance ? old : new;
    char who[2 * TEXT_SPACE];

    if (old->instance == new->instance || !rivals_turn(core, old, new))
        return false;
    emit_log(core, GV_LOG_ERROR,
             "two live nodes have one site id, and come in turns as %s: one of"
             " the two files is a copy of the other; the one that started"
             " later is told to take a new one",
             link_who(new, who));
    link_bye(core, later, BYE_SAME_SITE,
             "another live node, which started earlier, has this site id");
    return true;
}

/* An earlier run of the peer has ended, as a rule; if it lives all the same,
 * its endpoint has to be heard again. */
static void replace(struct core *core, struct link *old,
                    const struct link *new)
{
    struct peer *peer = old->peer;
    bool other = old->instance != new->instance;

    link_bye(core, old, BYE_DUPLICATE, "another link stays");
    if (peer != NULL && other)
        peer_doubt(core, peer);
}

/* False if @link had to go because another one with its peer stays. */
static bool settle_duplicates(struct core *core, struct link *link)
{
    for (size_t i = core->link_count; i-- > 0;) {
        struct link *old = core->links[i];
        if (old == link || !old->greeted ||
            !site_equal(&old->site, &link->site))
            continue;
        if (part_rivals(core, old, link)) {
            if (link_find(core, link->number) == NULL)
                return false;
            continue;
        }
        if (!new_stays(core, old, link)) {
            link_bye(core, link, BYE_DUPLICATE, "another link stays");
            return false;
        }
        /* People need no second line about a peer that stays linked. */
        link->announced = old->announced && old->instance == link->instance;
        replace(core, old, link);
    }
    GV_ASSERT(link_find(core, link->number) == link);
    return true;
}

static void warn_of_clock(struct core *core, const struct link *link)
{
    gv_time_ms ahead = link->clock_ahead;
    char who[2 * TEXT_SPACE];

    if (ahead > CLOCK_DRIFT_MAX_MS)
        emit_log(core, GV_LOG_WARNING,
                 "the clock of this node is %lld s ahead of that of %s, "
                 "which will refuse its changes",
                 (long long)ahead / 1000, link_who(link, who));
    else if (-ahead > CLOCK_DRIFT_MAX_MS)
        emit_log(core, GV_LOG_WARNING,
                 "the clock of this node is %lld s behind that of %s, whose "
                 "changes will be refused",
                 (long long)-ahead / 1000, link_who(link, who));
}

static void keep(struct link *link, const struct message_hello *hello)
{
    GV_ASSERT(hello->vv_count <= VV_SITES_MAX);
    GV_ASSERT(hello->endpoint_count <= MESSAGE_ENDPOINTS_MAX);
    link->greeted = true;
    link->site = hello->site;
    link->instance = hello->instance;
    link->schema_digest = hello->schema_digest;
    hello_text(hello->name, link->name);
    link->endpoint_count = hello->endpoint_count;
    for (size_t i = 0; i < hello->endpoint_count; i++)
        hello_text(hello->endpoints[i], link->endpoints[i]);
    link->urgent = hello->urgent;
    link->looks = hello->looks;
    link->peer_clock = hello->clock;
}

/* The vectors' part of a HELLO.  One that comes again under its epoch renews
 * the rest only.  Under another epoch the peer lost its end of the link and
 * made a new one: both start with nothing, and the hash tells what is lost of
 * it. */
static void keep_vector(struct core *core, struct link *link,
                        const struct message_hello *hello, bool again)
{
    if (again && hello->epoch == link->epoch)
        return;
    link->epoch = hello->epoch;
    link->missing_since = link->behind_since = NEVER;
    link->missing.version = 0;
    link->unheard_since = NEVER;
    if (!again) {
        tell_meet(core, link, hello);
        return;
    }
    link->vv_left = link->state == LINK_UP ? 0 : hello->vv_count;
    link->vv_open = false;
    tell_anew(core, link);
}

int hello_receive(struct core *core, struct link *link,
                  const struct message_hello *hello)
{
    bool again = link->greeted, looked = link->looks;

    GV_ASSERT(again || link->state == LINK_GREETING);
    if (again && (!site_equal(&hello->site, &link->site) ||
                  hello->instance != link->instance))
        return GV_EPROTO;
    if (!again)
        hello_text(hello->name, link->name);
    if (refused(core, link, hello))
        return GV_OK;
    /* Of a version that is not spoken here this may mean something else. */
    if (hello->vv_count > VV_SITES_MAX ||
        hello->sketch.count != sketch_count(hello->vv_count))
        return GV_EPROTO;
    keep(link, hello);
    if (!link->clock_measured)
        link->clock_ahead = core->wall - hello->clock;
    if (!again) {
        if (!settle_duplicates(core, link) || !view_admit(core, link))
            return GV_OK;
        away_forget(core, &link->site);
        peer_greeted(core, link);
        exchange_learn(core, link);
        warn_of_clock(core, link);
    }
    keep_vector(core, link, hello, again);
    if (looked && !link->looks && link->state == LINK_UP)
        mark_link_up(core, link);
    if (link->vv_left == 0 && !link->vv_open)
        hello_complete(core, link);
    return GV_OK;
}

void hello_complete(struct core *core, struct link *link)
{
    char who[2 * TEXT_SPACE];

    GV_ASSERT(link->greeted && link->vv_left == 0 && !link->vv_open);
    tell_lag(core, link);
    want_rescan(core, link);
    if (link->state == LINK_UP)
        return;
    GV_ASSERT(link->state == LINK_GREETING);
    link->state = LINK_UP;
    link->up_at = core->now;
    known_linked(core, link);
    mark_link_up(core, link);
    GV_ASSERT(link->up_at >= link->since);
    if (link->peer != NULL) {
        GV_ASSERT(link->peer->link == link);
        link->peer->complaint = 0;
        link->peer->refused = false;
        link->peer->reason[0] = '\0';
    }
    if (!link->announced)
        emit_log(core, GV_LOG_INFO, "linked with %s%s%s", link_who(link, who),
                 link->peer != NULL ? " at " : ", which dialled this node",
                 link->peer != NULL ? link->peer->endpoint : "");
    link->announced = true;
    exchange_begin(core, link);
}
