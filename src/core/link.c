/* A link's life: dialled or accepted, up, greeted, silent, closed. */
#include "core/link.h"

#include "base/assert.h"
#include "base/plant.h"
#include "core/emit.h"
#include "core/give.h"
#include "core/hello.h"
#include "core/known.h"
#include "core/mark.h"
#include "core/peer.h"
#include "core/proof.h"
#include "core/push.h"
#include "core/state.h"
#include "core/tell.h"
#include "core/timing.h"
#include "core/want.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(CORE_SILENCE_MAX_MS > 2 * CORE_HEARTBEAT_MS,
               "one heartbeat that is lost ends no link");

struct link *link_find(const struct core *core, gv_link number)
{
    for (size_t i = 0; i < core->link_count; i++) {
        if (core->links[i]->number == number)
            return core->links[i];
    }
    return NULL;
}

struct link *link_new(struct core *core, gv_link number, struct peer *peer)
{
    struct link *link = calloc(1, sizeof(*link));

    GV_ASSERT(core->link_count < CORE_LINKS_MAX);
    GV_ASSERT((number % 2 == 0) == (peer != NULL));
    GV_ASSERT(peer == NULL || peer->link == NULL);
    GV_ASSERT(link_find(core, number) == NULL);
    if (link == NULL) {
        core->error = GV_ENOMEM;
        return NULL;
    }
    link->number = number;
    link->peer = peer;
    link->state = LINK_CONNECTING;
    link->since = core->now;
    link->heard_at = core->now;
    link->missing_since = NEVER;
    link->behind_since = NEVER;
    link->unheard_since = NEVER;
    link->lag_since = NEVER;
    link->vv_at = NEVER;
    link->quiet_at = NEVER;
    link->marks.say_at = NEVER;
    link->refused_until = NEVER;
    link->exchange_at = NEVER;
    timing_reset(link);
    link->proof_at = NEVER;
    if (peer != NULL)
        peer->link = link;
    core->links[core->link_count++] = link;
    return link;
}

const char *link_who(const struct link *link, char *text)
{
    char site[33];

    if (link->peer != NULL && !link->greeted)
        return link->peer->endpoint;
    if (!link->greeted)
        return link->name[0] != '\0' ? link->name : "an unknown peer";
    site_format(&link->site, site);
    (void)snprintf(text, 2 * TEXT_SPACE, "%s (%.8s)", link->name, site);
    return text;
}

void link_up(struct core *core, const struct event *event)
{
    struct link *link = link_find(core, event->link);

    if (link == NULL && event->link % 2 == 0)
        return; /* dialled, and given up meanwhile */
    if (link == NULL) {
        if (core->link_count == CORE_LINKS_MAX) {
            emit_bye(core, event->link, BYE_FULL,
                     "this node has as many links as it can");
            emit_close_link(core, event->link);
            return;
        }
        link = link_new(core, event->link, NULL);
        if (link == NULL) {
            emit_close_link(core, event->link);
            return;
        }
    }
    if (link->state != LINK_CONNECTING)
        return;
    GV_ASSERT(!link->greeted && !link->announced);
    GV_ASSERT(link->vv_at == NEVER && link->quiet_at == NEVER);
    link->state = LINK_GREETING;
    link->since = core->now;
    link->heard_at = core->now;
    link->local = event->as.up.local;
    tell_hello(core, link);
}

/* Take @link out of the table.  Its memory lives on until the next step:
 * effects may point into it. */
static void remove_link(struct core *core, struct link *link)
{
    size_t at = 0;

    GV_ASSERT(link_find(core, link->number) == link);
    GV_ASSERT(link->next_closed == NULL);
    while (core->links[at] != link)
        at++;
    core->link_count--;
    memmove(&core->links[at], &core->links[at + 1],
            (core->link_count - at) * sizeof(struct link *));
    link->next_closed = core->closed;
    core->closed = link;
}

static void forget(struct core *core, struct link *link, enum bye_code code,
                   const char *reason)
{
    struct peer *peer = link->peer;
    bool gone = false;

    known_parted(core, link);
    remove_link(core, link);
    if (peer != NULL) {
        GV_ASSERT(peer->link == link);
        peer->link = NULL;
    }
    peer_link_gone(core, link, code);
    give_drop(core, link);
    want_link_gone(core, link);
    mark_link_gone(core, link);
    proof_link_gone(core, link);
    GV_ASSERT(link->give.state == GIVE_NONE);
    GV_ASSERT(core->want.link != link);
    if (peer == NULL)
        return;
    GV_ASSERT(link->state != LINK_UP || link->up_at <= core->now);
    if ((plant("slow-peer-dropped") && link->lag_since < core->now - 300 &&
         link->news_unacked > 0 && strstr(reason, "too far behind")) ||
        (plant("reset-is-refusal") && strstr(reason, "reset")) ||
        (plant("dial-gives-up") && link->state == LINK_CONNECTING &&
         peer->backoff_ms == CORE_RECONNECT_MAX_MS &&
         strstr(reason, "timed out")) ||
        (plant("late-is-gone") && link->vv_at < core->now - 10000))
        gone = true;
    if (peer_settle(core, peer, link, code, reason) && gone)
        peer->retry_at = NEVER;
}

/* Tell people once per streak that a peer cannot be reached, and always that
 * a link that they were told of is gone. */
static void log_end(struct core *core, const struct link *link,
                    const char *reason)
{
    char who[2 * TEXT_SPACE];

    GV_ASSERT(reason != NULL);
    GV_ASSERT(link->greeted || !link->announced);
    if (link->announced) {
        emit_log(core, GV_LOG_WARNING, "lost the link with %s: %s",
                 link_who(link, who), reason);
    } else if (link->peer != NULL &&
               peer_complain(link->peer, COMPLAINT_UNREACHABLE)) {
        emit_log(core, GV_LOG_WARNING, "cannot reach %s: %s; trying again",
                 link->peer->endpoint, reason);
    }
}

void link_close(struct core *core, struct link *link, enum bye_code code,
                const char *reason)
{
    GV_ASSERT(link->state != LINK_CONNECTING || !link->greeted);
    emit_close_link(core, link->number);
    forget(core, link, code, reason);
}

void link_bye(struct core *core, struct link *link, enum bye_code code,
              const char *text)
{
    emit_bye(core, link->number, code, text);
    link_close(core, link, code, text);
}

void link_down(struct core *core, const struct event *event)
{
    struct link *link = link_find(core, event->link);
    const char *reason =
        event->reason != NULL ? event->reason : "the connection broke";

    if (link == NULL)
        return;
    log_end(core, link, reason);
    forget(core, link, 0, reason);
}

static const char *bye_meaning(enum bye_code code)
{
    switch (code) {
    case BYE_UNKNOWN:
        return "it gave a reason that this version does not know";
    case BYE_STOPPING:
        return "it is stopping";
    case BYE_SAY_HELLO:
        return "it has started anew";
    case BYE_DUPLICATE:
        return "another link with it stays";
    case BYE_SELF:
        return "this is this node itself";
    case BYE_SAME_SITE:
        return "it has the same site id as this node; one of the two files "
               "is a copy of the other, and the later one takes a new id";
    case BYE_OTHER_MESH:
        return "it belongs to another mesh";
    case BYE_OTHER_VERSION:
        return "it speaks another version of the protocol";
    case BYE_BAD_MESSAGE:
        return "it could not understand a message of ours";
    case BYE_FULL:
        return "it has as many links as it wants";
    case BYE_SILENT:
        return "it heard nothing from this node, which hears it: this one "
               "stood still, or frames pass one way only";
    }
    return "it gave no reason";
}

/* A third node, with which another one of our site is linked too, says that
 * this one started later. */
static void hear_of_twin(struct core *core, const struct link *link)
{
    struct effect effect = {.kind = EFFECT_HEARD_OWN, .link = link->number};

    if (!link->greeted)
        return; /* the twin itself: its HELLO says it */
    GV_ASSERT(!site_equal(&link->site, &core->site));
    effect.as.heard_own.version = VERSION_MAX;
    (void)emit(core, &effect); /* lost: it is said again */
}

void link_receive_bye(struct core *core, struct link *link,
                      const struct message_bye *bye)
{
    const char *meaning = bye_meaning(bye->code);
    char text[TEXT_SPACE], reason[2 * TEXT_SPACE], who[2 * TEXT_SPACE];

    hello_text(bye->text, text);
    (void)snprintf(reason, sizeof(reason), "%s", meaning);
    if (bye->code == BYE_SAME_SITE)
        hear_of_twin(core, link);
    switch (bye->code) {
    case BYE_STOPPING:
        if (link->announced)
            emit_log(core, GV_LOG_INFO, "%s is stopping", link_who(link, who));
        break;
    case BYE_DUPLICATE:
        break;
    case BYE_SELF:
    case BYE_SAME_SITE:
    case BYE_OTHER_MESH:
    case BYE_OTHER_VERSION:
        (void)snprintf(reason, sizeof(reason), "%s (it says: %s)", meaning,
                       text);
        if (link->peer != NULL && peer_complain(link->peer, (int)bye->code))
            emit_log(core, GV_LOG_ERROR, "%s refuses this node: %s",
                     link->peer->endpoint, reason);
        break;
    case BYE_FULL:
        if (link->announced)
            emit_log(core, GV_LOG_INFO,
                     "%s has links enough and ends this one",
                     link_who(link, who));
        break;
    case BYE_UNKNOWN:
        (void)snprintf(reason, sizeof(reason), "%s (it says: %s)", meaning,
                       text);
        log_end(core, link, reason);
        break;
    case BYE_SAY_HELLO:
    case BYE_BAD_MESSAGE:
    case BYE_SILENT:
        log_end(core, link, reason);
        break;
    }
    link_close(core, link, bye->code, reason);
}

void link_free_closed(struct core *core)
{
    while (core->closed != NULL) {
        struct link *link = core->closed;
        core->closed = link->next_closed;
        vv_close(&link->believed);
        vv_close(&link->pushed);
        vv_close(&link->told);
        vv_close(&link->give.vv);
        free(link->passed);
        push_drop(core, link);
        free(link->marks.bytes);
        free(link);
    }
}

/* When @link is given up unless something comes. */
static gv_time_ms patience_end(const struct link *link)
{
    GV_ASSERT(link->heard_at >= link->since);
    return (link->state == LINK_UP ? link->heard_at : link->since) +
           CORE_SILENCE_MAX_MS;
}

void link_tick(struct core *core)
{
    for (size_t i = core->link_count; i-- > 0;) {
        struct link *link = core->links[i];
        if (patience_end(link) > core->now)
            continue;
        if (link->state == LINK_UP) {
            log_end(core, link, "nothing was heard for 3 s");
            link_bye(core, link, BYE_SILENT, "nothing was heard for 3 s");
        } else {
            log_end(core, link, "no answer within 3 s");
            /* It may hear this node, and take the link for sound. */
            if (link->state == LINK_GREETING)
                emit_bye(core, link->number, BYE_SILENT,
                         "no answer within 3 s");
            link_close(core, link, 0, "no answer within 3 s");
        }
    }
}

gv_time_ms link_deadline(const struct core *core)
{
    gv_time_ms deadline = NEVER;

    for (size_t i = 0; i < core->link_count; i++) {
        gv_time_ms due = patience_end(core->links[i]);
        if (due < deadline)
            deadline = due;
    }
    return deadline;
}
