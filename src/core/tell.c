/* What is told about vectors: HELLO and VV out, VV in, and ACKs, which leave
 * before each VV.
 *
 * A link keeps what it told (@told), so a VV carries only what changed.  That
 * is safe although frames may be lost: each VV carries the hash of the whole
 * vector, so the peer sees that it did not hear all, and asks (want.c). */
#include "core/tell.h"

#include "base/assert.h"
#include "base/plant.h"
#include "core/emit.h"
#include "core/give.h"
#include "core/hello.h"
#include "core/known.h"
#include "core/link.h"
#include "core/news.h"
#include "core/proof.h"
#include "core/state.h"
#include "core/timing.h"
#include "core/view.h"
#include "core/want.h"

#include <string.h>

_Static_assert(NEWS_ACK_SIZE + MESSAGE_NEWS_SIZE_MAX <= CORE_NEWS_CREDIT,
               "an ACK leaves before its sender is out of credit");
_Static_assert(MESSAGE_FRAME_SIZE_MAX > TELL_ENTRIES_MAX * VV_ENTRY_SIZE,
               "the entries of a VV fit a frame");
_Static_assert(CORE_VV_PROGRESS_MS < CORE_HEARTBEAT_MS,
               "soon is before the next heartbeat");

static struct text text_of(const char *text)
{
    return (struct text){text, strlen(text)};
}

static void tell_ack(struct core *core, struct link *link)
{
    struct message message = {.kind = MESSAGE_ACK};

    GV_ASSERT(link->state != LINK_CONNECTING);
    GV_ASSERT(link->news_owed <= 2 * CORE_NEWS_CREDIT);
    GV_ASSERT(link->news_owed >= NEWS_ACK_SIZE);
    message.as.ack.news_size = link->news_owed;
    if (emit_message(core, link->number, &message))
        link->news_owed = 0;
}

/* @last: nothing of the vector follows, so words that refer to it may. */
static void send_vv(struct core *core, struct link *link,
                    struct vv_view entries, bool last)
{
    struct message message = {.kind = MESSAGE_VV};
    struct message_vv *vv = &message.as.vv;

    GV_ASSERT(entries.count <= TELL_ENTRIES_MAX);
    GV_ASSERT(link->spoken);
    vv->epoch = link->own_epoch;
    vv->entries = entries;
    vv->vv_hash = core->vv.hash;
    if (core->applying == 0)
        vv->fingerprint = core->fingerprint;
    vv->clock = core->wall;
    if (last && link->state == LINK_UP)
        known_say(core, link, vv);
    timing_beat(core, link, &vv->beat);
    vv->news_size = link->news_owed;
    give_say(link, vv);
    if (emit_message(core, link->number, &message))
        link->news_owed = 0;
}

/* Send @entries in as many VVs as it takes.  With @closing the last one is
 * not full, which tells a peer that waits for them that these are all. */
static void send_vvs(struct core *core, struct link *link,
                     struct vv_view entries, bool closing)
{
    size_t sent = 0;
    bool last;

    do {
        struct vv_view part = {entries.bytes + sent * VV_ENTRY_SIZE,
                               entries.count - sent};
        bool full = part.count >= TELL_ENTRIES_MAX;
        if (full)
            part.count = TELL_ENTRIES_MAX;
        sent += part.count;
        last = sent == entries.count && !(closing && full);
        send_vv(core, link, part, last);
    } while (!last);
    GV_ASSERT(sent == entries.count);
}

/* The entries of our vector that are above those told. */
static bool changed_entries(struct core *core, const struct vv *told,
                            struct vv_view *view)
{
    size_t count = core->vv.hash == told->hash ? 0 : vv_lacks(told, &core->vv);
    uint8_t *bytes = emit_memory(core, count * VV_ENTRY_SIZE);

    GV_ASSERT(count <= core->vv.count);
    if (bytes == NULL)
        return false;
    view->bytes = bytes;
    view->count = count;
    for (size_t i = 0; count > 0; i++) {
        const struct vv_entry *entry = &core->vv.entries[i];
        GV_ASSERT(i < core->vv.count);
        if (vv_get(told, &entry->site) >= entry->version)
            continue;
        vv_entry_store(entry, bytes);
        bytes += VV_ENTRY_SIZE;
        count--;
    }
    GV_ASSERT(bytes == view->bytes + view->count * VV_ENTRY_SIZE);
    return true;
}

bool tell_changed(struct core *core, struct link *link, struct vv_view *view)
{
    GV_ASSERT(link->spoken);
    if (!changed_entries(core, &link->told, view))
        return false;
    if (link->told.hash != core->vv.hash &&
        vv_copy(&link->told, &core->vv) != GV_OK)
        core->error = GV_ENOMEM;
    return true;
}

static void tell_vv(struct core *core, struct link *link)
{
    struct vv_view changed;

    link->vv_at = core->now + CORE_HEARTBEAT_MS;
    link->quiet_at = NEVER;
    if (tell_changed(core, link, &changed))
        send_vvs(core, link, changed, false);
}

void tell_whole(struct core *core, struct link *link)
{
    GV_ASSERT(link->state == LINK_UP);
    vv_clear(&link->told);
    tell_vv(core, link);
}

/* Fill in the sketch of what this HELLO says that we hold. */
static bool show_sketch(struct core *core, struct link *link,
                        struct sketch_view *sketch)
{
    size_t count = sketch_count(link->told.count);
    uint8_t *bytes = emit_memory(core, count * SKETCH_HASH_SIZE);

    if (bytes == NULL)
        return false;
    if (count > 0)
        sketch_store(&link->told, count, bytes);
    link->own_sketch = count;
    *sketch = (struct sketch_view){bytes, count};
    return true;
}

void tell_hello(struct core *core, struct link *link)
{
    struct message message = {.kind = MESSAGE_HELLO};
    struct message_hello *hello = &message.as.hello;

    GV_ASSERT(link->state != LINK_CONNECTING);
    GV_ASSERT(core->endpoint_count <= MESSAGE_ENDPOINTS_MAX);
    if (!link->spoken) {
        link->own_epoch = random_u64(&core->random);
        if (vv_copy(&link->told, &core->vv) != GV_OK)
            core->error = GV_ENOMEM;
        link->probe = view_looks(core, link);
    }
    GV_ASSERT(link->told.count <= VV_SITES_MAX);
    hello->dialect = core->dialect;
    hello->mesh = text_of(core->mesh);
    hello->site = core->site;
    hello->instance = core->instance;
    hello->epoch = link->own_epoch;
    hello->name = text_of(core->name);
    for (size_t i = 0; i < core->endpoint_count; i++)
        hello->endpoints[i] = text_of(core->endpoints[i]);
    hello->endpoint_count = core->endpoint_count;
    hello->vv_count = (uint32_t)link->told.count;
    hello->schema_digest = core->schema_digest;
    hello->clock = core->wall;
    if (!show_sketch(core, link, &hello->sketch))
        return;
    hello->urgent = view_urgent(core);
    hello->looks = link->probe;
    (void)emit_message(core, link->number, &message);
    if (link->spoken)
        return; /* only the rest of it is new */
    link->spoken = true;
    if (link->own_sketch > 0)
        return; /* the peer's HELLO says what to send */
    vv_clear(&link->told);
    tell_vv(core, link);
}

/* Of a vector that stands in ranges: believe what is equal. */
static void take_equal(struct core *core, struct link *link,
                       const struct sketch_ranges *ranges)
{
    for (size_t i = 0; i < link->told.count; i++) {
        const struct vv_entry *entry = &link->told.entries[i];
        if (!sketch_differs(ranges, &entry->site) &&
            vv_raise(&link->believed, &entry->site, entry->version) != GV_OK)
            core->error = GV_ENOMEM;
    }
    GV_ASSERT(link->believed.count <= link->told.count);
}

/* Send what differs of the vector that our HELLO spoke of. */
static void send_differing(struct core *core, struct link *link,
                           const struct sketch_ranges *ranges)
{
    struct vv_view view = {NULL, 0};
    uint8_t *bytes = emit_memory(core, link->told.count * VV_ENTRY_SIZE);

    if (bytes == NULL)
        return;
    view.bytes = bytes;
    for (size_t i = 0; i < link->told.count; i++) {
        if (!sketch_differs(ranges, &link->told.entries[i].site))
            continue;
        vv_entry_store(&link->told.entries[i], bytes);
        bytes += VV_ENTRY_SIZE;
        view.count++;
    }
    GV_ASSERT(view.count <= VV_SITES_MAX);
    send_vvs(core, link, view, true);
}

void tell_meet(struct core *core, struct link *link,
               const struct message_hello *hello)
{
    struct sketch_ranges ranges;

    GV_ASSERT(link->believed.count == 0 && link->state != LINK_UP);
    sketch_compare(&link->told, link->own_sketch, hello->sketch, &ranges);
    link->vv_left = hello->sketch.count == 0 ? hello->vv_count : 0;
    link->vv_open = hello->sketch.count > 0 && ranges.differing > 0;
    if (link->own_sketch == 0)
        return; /* all of ours went with our HELLO */
    if (hello->sketch.count > 0)
        take_equal(core, link, &ranges);
    if (ranges.differing > 0)
        send_differing(core, link, &ranges);
    link->vv_at = core->now + CORE_VV_PROGRESS_MS;
    GV_ASSERT(link->vv_left == 0 || !link->vv_open);
}

void tell_anew(struct core *core, struct link *link)
{
    vv_clear(&link->believed);
    vv_clear(&link->pushed);
    vv_clear(&link->told);
    link->own_sketch = 0;
    tell_vv(core, link);
}

void tell_soon(struct core *core, struct link *link)
{
    gv_time_ms soon = core->now + CORE_VV_PROGRESS_MS;

    if (link->state == LINK_UP && link->vv_at > soon)
        link->vv_at = soon;
}

void tell_later(struct core *core, struct link *link)
{
    GV_ASSERT(link->state == LINK_UP);
    link->quiet_at = core->now + CORE_VV_QUIET_MS;
}

void tell_dealt(struct core *core, struct link *link, size_t news_size)
{
    GV_ASSERT(news_size <= MESSAGE_NEWS_SIZE_MAX);
    link->news_owed += news_size;
    GV_ASSERT(link->news_pending + link->news_owed <= 2 * CORE_NEWS_CREDIT);
    if (link->news_owed >= NEWS_ACK_SIZE)
        tell_ack(core, link);
}

void tell_tick(struct core *core)
{
    for (size_t i = 0; i < core->link_count; i++) {
        struct link *link = core->links[i];
        if (link->vv_at <= core->now || link->quiet_at <= core->now)
            tell_vv(core, link);
    }
}

gv_time_ms tell_deadline(const struct core *core)
{
    gv_time_ms deadline = NEVER;

    for (size_t i = 0; i < core->link_count; i++) {
        const struct link *link = core->links[i];
        if (link->vv_at < deadline)
            deadline = link->vv_at;
        if (link->quiet_at < deadline)
            deadline = link->quiet_at;
    }
    return deadline;
}

void tell_lag(struct core *core, struct link *link)
{
    if (vv_covers(&link->believed, &core->vv))
        link->lag_since = NEVER;
    else if (link->lag_since == NEVER)
        link->lag_since = core->now;
}

/* What peers hold of this very site ends where one of its intervals did, or
 * another life of this file published it.  Only the store knows all ends. */
static void hear_own(struct core *core, const struct link *link,
                     gv_version version)
{
    struct effect effect = {.kind = EFFECT_HEARD_OWN, .link = link->number};

    if (version == core->own_end ||
        version <= vv_get(&link->believed, &core->site))
        return;
    effect.as.heard_own.version = version;
    (void)emit(core, &effect);
}

void tell_believe(struct core *core, struct link *link,
                  const struct site *site, gv_version version)
{
    if (site_equal(site, &core->site))
        hear_own(core, link, version);
    if (vv_raise(&link->believed, site, version) == GV_ENOMEM)
        core->error = GV_ENOMEM;
    want_note(core, link, site, version);
}

void tell_believe_view(struct core *core, struct link *link,
                       struct vv_view view)
{
    for (size_t i = 0; i < view.count; i++) {
        struct vv_entry entry = vv_view_at(view, i);
        tell_believe(core, link, &entry.site, entry.version);
    }
    if (link->lag_since != NEVER)
        tell_lag(core, link);
    /* All that was pushed has arrived one way or another, so what is not
     * acknowledged yet is an ACK on its way, or lost. */
    if (link->pushed.count > 0 && vv_covers(&link->believed, &link->pushed)) {
        vv_clear(&link->pushed);
        link->news_unacked = 0;
    }
}

void tell_raise(struct core *core, const struct site *site, gv_version version)
{
    if (vv_raise(&core->vv, site, version) == GV_ENOMEM ||
        vv_raise(&core->pending, site, version) == GV_ENOMEM)
        core->error = GV_ENOMEM;
    for (size_t i = 0; i < core->link_count; i++) {
        struct link *link = core->links[i];
        if (link->greeted && link->lag_since == NEVER &&
            vv_get(&link->believed, site) < version)
            link->lag_since = core->now;
    }
}

/* Equal vectors must mean equal data (invariant 12). */
static void compare(struct core *core, struct link *link,
                    const struct message_vv *vv)
{
    static const struct hash128 hidden;
    char who[2 * TEXT_SPACE];

    if (core->applying > 0 || vv->vv_hash != core->vv.hash ||
        hash128_equal(vv->fingerprint, hidden) ||
        hash128_equal(core->fingerprint, hidden))
        return;
    if (hash128_equal(vv->fingerprint, core->fingerprint)) {
        link->diverged = false;
        if (!link->proof_asked)
            link->proof_at = NEVER;
        return;
    }
    proof_diverged(core, link, vv->fingerprint);
    if (link->diverged)
        return;
    link->diverged = true;
    core->counters.divergences++;
    emit_log(core, GV_LOG_ERROR,
             "this node and %s hold different data under equal version "
             "vectors; %s",
             link_who(link, who),
             link->agreed.features & FEATURE_PROOFS
                 ? "looking for the rows"
                 : "its release is too old to be asked for the rows");
}

/* A VV of @count entries came for the peer's first vector; true if it is
 * whole now. */
static bool first_vector(struct core *core, struct link *link, size_t count)
{
    GV_ASSERT(link->vv_left == 0 || !link->vv_open);
    link->vv_left -= count < link->vv_left ? count : link->vv_left;
    if (count < TELL_ENTRIES_MAX)
        link->vv_open = false;
    if (link->vv_left > 0 || link->vv_open)
        return false;
    hello_complete(core, link);
    return true;
}

int tell_receive(struct core *core, struct link *link,
                 const struct message_vv *vv)
{
    size_t count = vv->entries.count;

    if (!vv_view_valid(vv->entries))
        return GV_EPROTO;
    news_acknowledged(link, vv->news_size);
    if (vv->epoch != link->epoch)
        return GV_OK; /* of an earlier HELLO: worth nothing */
    link->peer_clock = vv->clock;
    timing_heard(core, link, vv);
    tell_believe_view(core, link, vv->entries);
    if (link->state != LINK_UP && !first_vector(core, link, count))
        return GV_OK;
    GV_ASSERT(link->state == LINK_UP);
    if (link->believed.hash == vv->vv_hash)
        link->unheard_since = NEVER;
    else if (link->unheard_since == NEVER && count < TELL_ENTRIES_MAX)
        link->unheard_since = core->now;
    compare(core, link, vv);
    known_hear(core, link, vv);
    want_heard(core, link, vv);
    give_heard(core, link);
    if (plant("answers-each-vector"))
        tell_soon(core, link);
    return GV_OK;
}
