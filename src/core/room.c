/* The waiting room: intervals that came before what they follow or depend on.
 *
 * Trees differ from origin to origin, so an answer may overtake what it
 * answers.  Mostly the rest is on its way, and asking for it would bring it
 * twice.  What waits counts as not dealt with, so a peer's credit bounds it
 * per link; beside that the room has bounds of its own.  Whatever waits here
 * is missing too, and is asked for after the grace (want.c). */
#include "core/room.h"

#include "base/assert.h"
#include "core/link.h"
#include "core/news.h"
#include "core/parcel.h"
#include "core/state.h"
#include "core/tell.h"

#include <string.h>

/* As long as a WANT may take without progress: then something is wrong with
 * what waits, not with what it waits for. */
#define ROOM_PATIENCE_MS CORE_WANT_PATIENCE_MS

_Static_assert(ROOM_LINK_SIZE_MAX <= CORE_NEWS_CREDIT,
               "the room of a link is within its credit");
_Static_assert(ROOM_LINK_SIZE_MAX <= ROOM_SIZE_MAX &&
                   ROOM_LINK_COUNT_MAX <= ROOM_COUNT_MAX,
               "no link has more than the room");

/* Whether @interval of @link finds a place. */
static bool has_place(const struct room *room, gv_link link,
                      const struct interval *interval)
{
    size_t count = 0, size = interval->size;

    GV_ASSERT(room->count <= ROOM_COUNT_MAX && room->size <= ROOM_SIZE_MAX);
    for (size_t i = 0; i < room->count; i++) {
        if (room->guests[i].link != link)
            continue;
        count++;
        size += room->guests[i].parcel->interval.size;
    }
    return count < ROOM_LINK_COUNT_MAX && size <= ROOM_LINK_SIZE_MAX &&
           room->count < ROOM_COUNT_MAX &&
           room->size + interval->size <= ROOM_SIZE_MAX;
}

bool room_holds(const struct core *core, const struct interval *interval)
{
    const struct room *room = &core->room;

    for (size_t i = 0; i < room->count; i++) {
        const struct interval *guest = &room->guests[i].parcel->interval;
        if (site_equal(&guest->site, &interval->site) &&
            guest->to == interval->to && guest->from == interval->from)
            return true;
    }
    return false;
}

bool room_next_of(const struct core *core, const struct site *site)
{
    const struct room *room = &core->room;

    GV_ASSERT(room->count <= ROOM_COUNT_MAX);
    for (size_t i = 0; i < room->count; i++) {
        const struct interval *guest = &room->guests[i].parcel->interval;
        if (site_equal(&guest->site, site) &&
            vv_get(&core->pending, site) == guest->from)
            return true;
    }
    return false;
}

bool room_enter(struct core *core, struct link *link,
                const struct interval *interval)
{
    struct room *room = &core->room;
    struct guest *guest = &room->guests[room->count];

    GV_ASSERT(!room_holds(core, interval));
    GV_ASSERT(!site_equal(&interval->site, &core->site));
    if (!has_place(room, link->number, interval))
        return false;
    guest->parcel = parcel_new(core, interval);
    if (guest->parcel == NULL)
        return false;
    guest->link = link->number;
    guest->since = core->now;
    room->count++;
    room->size += interval->size;
    link->news_pending += interval->size;
    GV_ASSERT(link->news_pending <= 2 * CORE_NEWS_CREDIT);
    core->counters.news_waited++;
    return true;
}

/* Guest @at goes; it was dealt with, or is the store's from here on. */
static void leave(struct core *core, size_t at, bool dealt)
{
    struct room *room = &core->room;
    struct guest guest = room->guests[at];
    struct link *link = link_find(core, guest.link);
    size_t size = guest.parcel->interval.size;

    GV_ASSERT(at < room->count && room->size >= size);
    room->count--;
    room->size -= size;
    memmove(&room->guests[at], &room->guests[at + 1],
            (room->count - at) * sizeof(guest));
    if (link != NULL) {
        GV_ASSERT(link->news_pending >= size);
        link->news_pending -= size;
        if (dealt)
            tell_dealt(core, link, size);
    }
    parcel_drop(core, guest.parcel);
}

/* What becomes of guest @at now; false: it waits on. */
static bool look(struct core *core, size_t at)
{
    const struct guest *guest = &core->room.guests[at];
    const struct interval *interval = &guest->parcel->interval;
    gv_version held = vv_get(&core->pending, &interval->site);
    struct link *link = link_find(core, guest->link);
    struct parcel *parcel;

    if (held > interval->from || link == NULL) {
        /* It came another way; or who brought it can be asked no more. */
        leave(core, at, true);
        return true;
    }
    if (held < interval->from ||
        !vv_covers_view(&core->pending, interval->dependencies))
        return false;
    core->counters.news_in_time++;
    parcel = parcel_share(guest->parcel);
    leave(core, at, false);
    if (!news_apply(core, link, interval))
        tell_dealt(core, link, interval->size);
    parcel_drop(core, parcel);
    return true;
}

void room_retry(struct core *core)
{
    struct room *room = &core->room;
    bool moved = room->count > 0 && room->looked_at != core->pending.hash;

    /* Each round takes one guest out, or is the last. */
    while (moved) {
        moved = false;
        for (size_t i = 0; i < room->count && !moved; i++)
            moved = look(core, i);
    }
    room->looked_at = core->pending.hash;
}

void room_tick(struct core *core)
{
    for (size_t i = core->room.count; i-- > 0;) {
        if (core->room.guests[i].since + ROOM_PATIENCE_MS <= core->now)
            leave(core, i, true);
    }
}

gv_time_ms room_deadline(const struct core *core)
{
    gv_time_ms deadline = NEVER;

    for (size_t i = 0; i < core->room.count; i++) {
        gv_time_ms due = core->room.guests[i].since + ROOM_PATIENCE_MS;
        if (due < deadline)
            deadline = due;
    }
    return deadline;
}

void room_close(struct core *core)
{
    while (core->room.count > 0)
        parcel_drop(core, core->room.guests[--core->room.count].parcel);
    core->room.size = 0;
}
