/* Marks per link and origin: who pushes whose intervals to whom (Leitao,
 * Pereira, Rodrigues: Epidemic Broadcast Trees, 2007, with version vectors in
 * place of its announcements, and a tree per origin in place of one).
 *
 * At first all links are eager for all origins.  What brings a new interval
 * is the *source* for its origin; what brings it once more is told not to,
 * with PRUNE.  A site that this node is linked with is its own source, and of
 * others' neighbours one of those others is, so that most sources are agreed
 * on before anything is sent twice.  Eager again become: the link of a WANT,
 * for origins whose source was late before, and when a source goes away, or
 * lost its own, all links.  A mark that is wrong costs a copy or a delay,
 * never an interval: vectors find what was not pushed. */
#include "core/mark.h"

#include "base/assert.h"
#include "core/emit.h"
#include "core/link.h"
#include "core/state.h"
#include "core/view.h"

#include <stdlib.h>
#include <string.h>

#define MARK_LAZY 1   /* the peer asked for no pushes of this origin */
#define MARK_PRUNED 2 /* this node wants none */
#define MARK_SAID 4   /* and the peer was told so */
#define MARK_PLEAD 8  /* it is to be told the contrary, told so or not */

/* Links come up in bunches, and a second one with a peer replaces the first:
 * what follows from that is said once. */
#define MARK_GATHER_MS 50
/* A PRUNE without effect for so long was lost. */
#define MARK_AGAIN_MS CORE_HEARTBEAT_MS

/* A source that let so many WANTs in a row be necessary is not relied on. */
#define MARK_LATE_MAX 2

#define NO_SLOT SIZE_MAX

/* Where @site stands, or would, among the slots in their sites' order. */
static size_t place_of(const struct origins *origins, const struct site *site)
{
    size_t low = 0, high = origins->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct origin *origin = &origins->items[origins->order[middle]];
        if (site_compare(&origin->site, site) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t find(const struct core *core, const struct site *site)
{
    const struct origins *origins = &core->origins;
    size_t at = place_of(origins, site);

    if (at == origins->count ||
        !site_equal(&origins->items[origins->order[at]].site, site))
        return NO_SLOT;
    return origins->order[at];
}

static bool reserve(struct core *core)
{
    struct origins *origins = &core->origins;
    size_t capacity = origins->capacity == 0 ? 16 : 2 * origins->capacity;
    struct origin *items;
    uint32_t *order;

    GV_ASSERT(origins->count <= origins->capacity);
    if (origins->count < origins->capacity)
        return true;
    items = realloc(origins->items, capacity * sizeof(*items));
    if (items != NULL)
        origins->items = items;
    order = realloc(origins->order, capacity * sizeof(*order));
    if (order != NULL)
        origins->order = order;
    if (items == NULL || order == NULL) {
        core->error = GV_ENOMEM;
        return false;
    }
    origins->capacity = capacity;
    return true;
}

/* The slot of @site, a new one if it has none.  Sites that nobody here has
 * anything of get half of the slots at most, so that a peer that names many
 * takes none from those that publish.  An origin without a slot is eager. */
static size_t slot_of(struct core *core, const struct site *site)
{
    struct origins *origins = &core->origins;
    size_t slot = find(core, site), at;

    if (slot != NO_SLOT || origins->count >= VV_SITES_MAX ||
        (origins->count >= VV_SITES_MAX / 2 && vv_get(&core->vv, site) == 0) ||
        !reserve(core))
        return slot;
    at = place_of(origins, site);
    slot = origins->count++;
    GV_ASSERT(at <= slot && slot < origins->capacity);
    memmove(&origins->order[at + 1], &origins->order[at],
            (slot - at) * sizeof(*origins->order));
    origins->order[at] = (uint32_t)slot;
    origins->items[slot] = (struct origin){.site = *site};
    return slot;
}

static uint8_t get(const struct link *link, size_t slot)
{
    return slot < link->marks.count ? link->marks.bytes[slot] : 0;
}

static void set(struct core *core, struct link *link, size_t slot,
                uint8_t mark)
{
    struct marks *marks = &link->marks;

    GV_ASSERT(slot < core->origins.count);
    if (slot >= marks->count && mark != 0) {
        size_t count = core->origins.capacity;
        uint8_t *bytes = realloc(marks->bytes, count);
        if (bytes == NULL) {
            core->error = GV_ENOMEM;
            return;
        }
        memset(bytes + marks->count, 0, count - marks->count);
        marks->bytes = bytes;
        marks->count = count;
    }
    if (slot < marks->count)
        marks->bytes[slot] = mark;
}

static void say_at(struct link *link, gv_time_ms at)
{
    if (link->marks.say_at > at)
        link->marks.say_at = at;
}

/* Whether the peer knows of trees.  One that does not pushes all that it has,
 * cannot say that it lost its source, and so is the source of nothing but what
 * it publishes itself. */
static bool heeds(const struct link *link)
{
    return (link->agreed.features & FEATURE_TREES) != 0;
}

static void prune(struct core *core, struct link *link, size_t slot,
                  gv_time_ms at)
{
    uint8_t mark = get(link, slot);

    if (!heeds(link))
        return;
    if ((mark & MARK_PRUNED) && (mark & MARK_SAID)) {
        if (core->now - link->marks.said_at < MARK_AGAIN_MS)
            return; /* what comes was on its way */
        mark &= (uint8_t)~MARK_SAID;
    }
    set(core, link, slot, (mark | MARK_PRUNED) & (uint8_t)~MARK_PLEAD);
    say_at(link, at);
}

/* Have @link told to push again, whatever it was told. */
static void plead(struct core *core, struct link *link, size_t slot,
                  gv_time_ms at)
{
    uint8_t mark = get(link, slot) & (uint8_t)~MARK_PRUNED;

    if (!heeds(link))
        return;
    set(core, link, slot, mark | MARK_PLEAD);
    say_at(link, at);
}

static void unprune(struct core *core, struct link *link, size_t slot,
                    gv_time_ms at)
{
    uint8_t mark = get(link, slot);

    if (!(mark & MARK_PRUNED))
        return;
    set(core, link, slot, mark & (uint8_t)~MARK_PRUNED);
    say_at(link, at);
}

bool mark_lazy(const struct core *core, const struct link *link,
               const struct site *site)
{
    size_t slot;

    if (view_aside(link))
        return true;
    slot = find(core, site);
    /* Two nodes that pushed to their sources could become each other's, and
     * both would have none. */
    return slot != NO_SLOT &&
           ((get(link, slot) & MARK_LAZY) ||
            core->origins.items[slot].source == link->number);
}

/* The link that brings what the origin at @slot publishes, or NULL. */
static struct link *source_of(const struct core *core, size_t slot)
{
    struct link *link = link_find(core, core->origins.items[slot].source);

    GV_ASSERT(slot < core->origins.count);
    if (link == NULL || link->state != LINK_UP ||
        (get(link, slot) & MARK_PRUNED))
        return NULL;
    return link;
}

bool mark_elsewhere(const struct core *core, const struct link *link,
                    const struct site *site)
{
    size_t slot = find(core, site);
    const struct link *source = slot != NO_SLOT ? source_of(core, slot) : NULL;

    return source != NULL && source != link;
}

static void take_source(struct core *core, size_t slot,
                        const struct link *link, bool near)
{
    struct origin *origin = &core->origins.items[slot];

    GV_ASSERT(slot < core->origins.count);
    origin->late = 0;
    origin->near = near || (origin->near && origin->source == link->number);
    origin->source = link->number;
}

void mark_first(struct core *core, struct link *link, const struct site *site)
{
    size_t slot = slot_of(core, site);

    GV_ASSERT(!site_equal(site, &core->site));
    if (slot == NO_SLOT || view_aside(link) ||
        (!heeds(link) && !site_equal(site, &link->site)))
        return;
    /* What was pruned and comes first was on its way; the next may not. */
    if ((get(link, slot) & MARK_PRUNED) && source_of(core, slot) != NULL) {
        prune(core, link, slot, core->now);
        return;
    }
    unprune(core, link, slot, core->now);
    take_source(core, slot, link, false);
}

void mark_again(struct core *core, struct link *link, const struct site *site)
{
    size_t slot = slot_of(core, site);
    struct link *source;

    if (slot == NO_SLOT || view_aside(link) ||
        (!heeds(link) && !site_equal(site, &link->site)))
        return;
    source = source_of(core, slot);
    GV_ASSERT(source == NULL || source->state == LINK_UP);
    if (source == link) {
        core->origins.items[slot].late = 0; /* late, but it brings it */
        return;
    }
    if (source != NULL || site_equal(site, &core->site)) {
        prune(core, link, slot, core->now);
        return;
    }
    unprune(core, link, slot, core->now);
    take_source(core, slot, link, false);
}

/* What is still to be said of the origin at @slot; PRUNE_KINDS: nothing. */
static enum prune_kind unsaid(const struct core *core, const struct link *link,
                              size_t slot)
{
    const struct link *source;
    uint8_t mark = get(link, slot);

    if (!(mark & MARK_PRUNED))
        return mark & (MARK_SAID | MARK_PLEAD) ? PRUNE_PUSH : PRUNE_KINDS;
    GV_ASSERT(!(mark & MARK_PLEAD));
    if (mark & MARK_SAID)
        return PRUNE_KINDS;
    source = source_of(core, slot);
    return source != NULL &&
                   site_equal(&source->site, &core->origins.items[slot].site)
               ? PRUNE_LINKED
               : PRUNE_STOP;
}

static void say(struct core *core, struct link *link, enum prune_kind kind)
{
    struct message message = {.kind = MESSAGE_PRUNE};
    struct marks *marks = &link->marks;
    size_t count = 0, size = sizeof(struct site);
    uint8_t *sites;

    for (size_t slot = 0; slot < marks->count; slot++)
        count += unsaid(core, link, slot) == kind;
    GV_ASSERT(count <= core->origins.count && count <= VV_SITES_MAX);
    sites = count > 0 ? emit_memory(core, count * size) : NULL;
    if (sites == NULL)
        return;
    message.as.prune.sites = sites;
    message.as.prune.count = count;
    message.as.prune.kind = kind;
    if (!emit_message(core, link->number, &message))
        return;
    for (size_t slot = 0; slot < marks->count; slot++) {
        if (unsaid(core, link, slot) != kind)
            continue;
        memcpy(sites, core->origins.items[slot].site.bytes, size);
        sites += size;
        marks->bytes[slot] &= (uint8_t) ~(MARK_SAID | MARK_PLEAD);
        if (kind != PRUNE_PUSH)
            marks->bytes[slot] |= MARK_SAID;
    }
    GV_ASSERT(sites == message.as.prune.sites + count * size);
    core->counters.prunes_sent++;
}

void mark_tick(struct core *core)
{
    for (size_t i = 0; i < core->link_count; i++) {
        struct link *link = core->links[i];
        if (link->marks.say_at > core->now)
            continue;
        GV_ASSERT(link->greeted);
        link->marks.say_at = NEVER;
        link->marks.said_at = core->now;
        for (int kind = 0; kind < PRUNE_KINDS; kind++)
            say(core, link, (enum prune_kind)kind);
    }
}

gv_time_ms mark_deadline(const struct core *core)
{
    gv_time_ms deadline = NEVER;

    for (size_t i = 0; i < core->link_count; i++) {
        if (core->links[i]->marks.say_at < deadline)
            deadline = core->links[i]->marks.say_at;
    }
    return deadline;
}

/* The source of the origin at @slot is gone, or has lost its own.  All are
 * told: whoever has this node as its source has lost it too. */
static void lose_source(struct core *core, size_t slot)
{
    core->origins.items[slot].source = 0;
    core->origins.items[slot].near = false;
    for (size_t i = 0; i < core->link_count; i++) {
        if (core->links[i]->greeted && !view_aside(core->links[i]))
            plead(core, core->links[i], slot, core->now + MARK_GATHER_MS);
    }
}

/* The origin at @slot has a source near by: nobody else need push it. */
static void settle(struct core *core, size_t slot, const struct link *source)
{
    GV_ASSERT(source->state == LINK_UP);
    take_source(core, slot, source, true);
    for (size_t i = 0; i < core->link_count; i++) {
        struct link *link = core->links[i];
        if (link != source && link->state == LINK_UP && !view_aside(link))
            prune(core, link, slot, core->now + MARK_GATHER_MS);
    }
}

/* The peer wishes @kind for the origin at @slot. */
static void heed(struct core *core, struct link *link, size_t slot,
                 enum prune_kind kind)
{
    const struct origin *origin = &core->origins.items[slot];
    uint8_t mark = get(link, slot);

    if (kind == PRUNE_PUSH) {
        set(core, link, slot, mark & (uint8_t)~MARK_LAZY);
        if (origin->source == link->number)
            lose_source(core, slot);
        return;
    }
    set(core, link, slot, mark | MARK_LAZY);
    if (kind == PRUNE_LINKED && link->state == LINK_UP && heeds(link) &&
        !site_equal(&origin->site, &core->site) &&
        source_of(core, slot) == NULL && !(mark & MARK_PRUNED))
        settle(core, slot, link);
}

int mark_receive(struct core *core, struct link *link,
                 const struct message_prune *message)
{
    if (message->count < 1 || message->count > VV_SITES_MAX ||
        message->kind >= PRUNE_KINDS)
        return GV_EPROTO;
    GV_ASSERT(link->greeted);
    for (size_t i = 0; i < message->count; i++) {
        struct site site;
        size_t slot;
        memcpy(site.bytes, message->sites + i * sizeof(site), sizeof(site));
        slot = message->kind == PRUNE_PUSH ? find(core, &site)
                                           : slot_of(core, &site);
        if (slot != NO_SLOT)
            heed(core, link, slot, message->kind);
    }
    core->counters.prunes_received++;
    return GV_OK;
}

/* What @link's peer holds and this node lacks, its source did not bring in
 * time.  Once may be chance, a packet that is sent again; then trees that
 * changed each time would cost more copies than they save delays. */
void mark_asks(struct core *core, struct link *link)
{
    if (view_aside(link))
        return;
    for (size_t i = 0; i < link->believed.count; i++) {
        const struct vv_entry *entry = &link->believed.entries[i];
        struct origin *origin;
        size_t slot;
        if (vv_get(&core->pending, &entry->site) >= entry->version ||
            (slot = find(core, &entry->site)) == NO_SLOT)
            continue;
        origin = &core->origins.items[slot];
        if (origin->source == link->number)
            continue;
        if (origin->late < MARK_LATE_MAX)
            origin->late++;
        if (origin->late == MARK_LATE_MAX || source_of(core, slot) == NULL)
            plead(core, link, slot, core->now);
    }
}

void mark_link_up(struct core *core, struct link *link)
{
    size_t slot = slot_of(core, &link->site);

    GV_ASSERT(link->state == LINK_UP);
    if (view_aside(link))
        return;
    for (size_t i = 0; i < core->origins.count; i++) {
        if (i != slot && core->origins.items[i].near &&
            source_of(core, i) != NULL)
            prune(core, link, i, core->now + MARK_GATHER_MS);
    }
    if (slot == NO_SLOT)
        return;
    unprune(core, link, slot, core->now + MARK_GATHER_MS);
    settle(core, slot, link);
}

void mark_link_gone(struct core *core, const struct link *link)
{
    for (size_t slot = 0; slot < core->origins.count; slot++) {
        if (core->origins.items[slot].source == link->number)
            lose_source(core, slot);
    }
}

void mark_count(const struct core *core, const struct link *link, size_t *lazy,
                size_t *pruned)
{
    *lazy = *pruned = 0;
    GV_ASSERT(link->marks.count <= core->origins.capacity);
    for (size_t i = 0; i < link->marks.count; i++) {
        *lazy += (link->marks.bytes[i] & MARK_LAZY) != 0;
        *pruned += (link->marks.bytes[i] & MARK_PRUNED) != 0;
    }
}

bool mark_sound(const struct core *core, const struct link *link)
{
    for (size_t slot = 0; slot < core->origins.count; slot++) {
        if (core->origins.items[slot].source == link->number &&
            (get(link, slot) & MARK_PRUNED))
            return false;
    }
    return link->marks.count <= core->origins.capacity;
}

void mark_close(struct core *core)
{
    free(core->origins.items);
    free(core->origins.order);
    core->origins = (struct origins){0};
}
