/* What each live site is last known to hold, also one without a link here.
 *
 * A site with a link tells it by its VVs.  Of others one hears by words that
 * stand in the heartbeats of those who are linked with it, or heard of it
 * themselves: at most eight a second and link, none where nothing is new, so
 * nothing is sent at rest but, of one site at a time and once a minute, that
 * it lives.  Nodes that are both linked with a site say so once and spare one
 * another the rest: in a mesh where everybody has a link with everybody no
 * words pass.
 *
 * A word names the entries in which that site's vector is not the speaker's
 * own, which the hearer knows.  With more than 32 of them it has only the
 * hash.  Words of one life of a site (an instance) are ordered by its own
 * clock, and what they say only rises.  Nobody depends on them: they are for
 * people. */
#include "core/known.h"

#include "base/assert.h"
#include "core/emit.h"
#include "core/hello.h"
#include "core/state.h"

#include <stdlib.h>
#include <string.h>

/* A name, cut where a character of UTF-8 begins. */
static void keep_name(struct known *known, const char *name, size_t size)
{
    if (size > MESSAGE_WORD_NAME_MAX) {
        size = MESSAGE_WORD_NAME_MAX;
        while (size > 0 && ((unsigned char)name[size] & 0xc0) == 0x80)
            size--;
    }
    GV_ASSERT(size < sizeof(known->name));
    memcpy(known->name, name, size);
    known->name[size] = '\0';
}

static struct known *find(const struct core *core, const struct site *site)
{
    for (size_t i = 0; i < core->known_count; i++) {
        if (site_equal(&core->known[i].site, site))
            return &core->known[i];
    }
    return NULL;
}

/* The place of a site that was not heard of for long, or NULL. */
static struct known *stale(struct core *core)
{
    struct known *oldest = NULL;

    for (size_t i = 0; i < core->known_count; i++) {
        struct known *known = &core->known[i];
        if (known->link == NULL &&
            known->heard_at + KNOWN_KEEP_MS < core->now &&
            (oldest == NULL || known->heard_at < oldest->heard_at))
            oldest = known;
    }
    if (oldest == NULL)
        return NULL;
    for (size_t i = 0; i < core->link_count; i++) {
        if (core->links[i]->passed != NULL)
            core->links[i]->passed[oldest - core->known] = (struct passed){0};
    }
    vv_close(&oldest->vv);
    return oldest;
}

/* Where @site is kept; NULL if there is no room. */
static struct known *place(struct core *core, const struct site *site)
{
    struct known *known = find(core, site);

    GV_ASSERT(!site_equal(site, &core->site));
    if (known != NULL)
        return known;
    if (core->known == NULL) {
        core->known = calloc(KNOWN_SITES_MAX, sizeof(*core->known));
        if (core->known == NULL)
            return NULL;
    }
    known = core->known_count < KNOWN_SITES_MAX
                ? &core->known[core->known_count++]
                : stale(core);
    if (known == NULL)
        return NULL;
    memset(known, 0, sizeof(*known));
    known->site = *site;
    GV_ASSERT(core->known_count <= KNOWN_SITES_MAX);
    return known;
}

static bool passed_ready(struct link *link)
{
    if (link->passed == NULL)
        link->passed = calloc(KNOWN_SITES_MAX, sizeof(*link->passed));
    return link->passed != NULL;
}

/* Keep the vectors within their bound; @known has the newest. */
static void bound(struct core *core, struct known *known)
{
    size_t entries = 0;

    for (size_t i = 0; i < core->known_count; i++)
        entries += core->known[i].vv.capacity;
    if (entries <= KNOWN_ENTRIES_MAX)
        return;
    vv_close(&known->vv);
    known->kept = false;
}

/* What a site with a link says itself is newer than any word. */
static void refresh(struct known *known)
{
    const struct link *link = known->link;

    if (link == NULL)
        return;
    GV_ASSERT(link->state == LINK_UP);
    GV_ASSERT(site_equal(&link->site, &known->site));
    known->instance = link->instance;
    known->clock = link->peer_clock;
    known->heard_at = link->heard_at;
    known->hash = link->believed.hash;
}

void known_linked(struct core *core, struct link *link)
{
    struct known *known = place(core, &link->site);

    GV_ASSERT(link->state == LINK_UP);
    link->words_at = core->now + KNOWN_INTERVAL_MS;
    if (known == NULL)
        return;
    vv_close(&known->vv);
    known->kept = false;
    known->link = link;
    keep_name(known, link->name, strlen(link->name));
    refresh(known);
}

void known_parted(struct core *core, struct link *link)
{
    struct known *known = link->greeted ? find(core, &link->site) : NULL;

    if (known == NULL || known->link != link)
        return;
    refresh(known);
    known->link = NULL;
    GV_ASSERT(known->vv.entries == NULL);
    known->vv = link->believed;
    vv_init(&link->believed);
    known->kept = true;
    bound(core, known);
}

void known_close(struct core *core)
{
    for (size_t i = 0; i < core->known_count; i++)
        vv_close(&core->known[i].vv);
    free(core->known);
}

/* Saying */

/* The vector of @known, as far as it is whole; or NULL. */
static const struct vv *whole_vector(const struct known *known)
{
    if (known->link != NULL)
        return &known->link->believed;
    return known->kept && known->vv.hash == known->hash ? &known->vv : NULL;
}

/* Take the entry of @vv at *@at if it is that of @site: its version, or 0. */
static gv_version take(const struct vv *vv, size_t *at,
                       const struct site *site)
{
    if (*at == vv->count || !site_equal(&vv->entries[*at].site, site))
        return 0;
    return vv->entries[(*at)++].version;
}

/* Write the entries of @vv that are not @own's, 0 where it has none; false if
 * they are more than a word may have. */
static bool list_differing(const struct vv *vv, const struct vv *own,
                           uint8_t *bytes, size_t *count)
{
    size_t a = 0, b = 0;

    *count = 0;
    while (vv->hash != own->hash && (a < vv->count || b < own->count)) {
        bool left = b == own->count ||
                    (a < vv->count && site_compare(&vv->entries[a].site,
                                                   &own->entries[b].site) < 0);
        struct vv_entry entry = {.site = left ? vv->entries[a].site
                                              : own->entries[b].site};
        gv_version other = take(own, &b, &entry.site);
        entry.version = take(vv, &a, &entry.site);
        if (entry.version == other)
            continue;
        if (*count == MESSAGE_WORD_ENTRIES_MAX)
            return false;
        vv_entry_store(&entry, bytes + *count * VV_ENTRY_SIZE);
        (*count)++;
    }
    GV_ASSERT(*count <= MESSAGE_WORD_ENTRIES_MAX);
    return true;
}

static void fill_differs(struct core *core, const struct known *known,
                         struct word *word)
{
    const struct vv *vv = whole_vector(known);
    uint8_t bytes[MESSAGE_WORD_ENTRIES_MAX * VV_ENTRY_SIZE];
    uint8_t *copy;
    size_t count;

    if (vv == NULL || !list_differing(vv, &core->vv, bytes, &count))
        return;
    copy = emit_memory(core, count * VV_ENTRY_SIZE);
    if (copy == NULL)
        return;
    memcpy(copy, bytes, count * VV_ENTRY_SIZE);
    word->differs = (struct vv_view){copy, count};
    word->whole = true;
}

static void say(struct core *core, struct passed *passed,
                const struct known *known, struct message_vv *vv)
{
    struct word *word = &vv->words[vv->word_count++];

    GV_ASSERT(vv->word_count <= MESSAGE_WORDS_MAX);
    *word = (struct word){.site = known->site,
                          .instance = known->instance,
                          .name = {known->name, strlen(known->name)},
                          .clock = known->clock,
                          .linked = known->link != NULL,
                          .vv_hash = known->hash};
    if (core->now > known->heard_at)
        word->age_ms = (uint64_t)(core->now - known->heard_at);
    if (word->age_ms > MESSAGE_WORD_AGE_MAX)
        word->age_ms = MESSAGE_WORD_AGE_MAX;
    if (!passed->peer_linked)
        fill_differs(core, known, word);
    passed->instance = known->instance;
    passed->clock = known->clock;
    passed->hash = known->hash;
    passed->said_linked = word->linked;
}

/* Whether the peer of @link has not heard what we know; @refreshing: also the
 * mere time of it. */
static bool is_news(struct core *core, const struct link *link, size_t index,
                    bool refreshing)
{
    struct known *known = &core->known[index];
    const struct passed *passed = &link->passed[index];

    if (site_equal(&known->site, &link->site) || known->instance == 0)
        return false;
    refresh(known);
    if (passed->said_linked != (known->link != NULL))
        return true;
    if (passed->peer_linked)
        return false;
    if (refreshing)
        return known->clock >= passed->clock + KNOWN_REFRESH_MS;
    return passed->instance != known->instance || passed->hash != known->hash;
}

void known_say(struct core *core, struct link *link, struct message_vv *vv)
{
    size_t count = core->known_count;

    GV_ASSERT(link->state == LINK_UP && vv->word_count == 0);
    if (core->now < link->words_at || count == 0 || !passed_ready(link))
        return;
    link->words_at = core->now + KNOWN_INTERVAL_MS;
    for (int refreshing = 0; refreshing < 2; refreshing++) {
        size_t max = refreshing ? 1 : MESSAGE_WORDS_MAX;
        size_t from = link->words_from;
        for (size_t n = 0; n < count && vv->word_count < max; n++) {
            size_t index = (from + n) % count;
            if (!is_news(core, link, index, refreshing))
                continue;
            say(core, &link->passed[index], &core->known[index], vv);
            link->words_from = index + 1;
        }
    }
    GV_ASSERT(link->words_from <= KNOWN_SITES_MAX);
}

/* Hearing */

/* Among words of one moment the hash decides, so that both sides keep the
 * same. */
static bool is_newer(const struct word *word, const struct known *known)
{
    if (word->instance != known->instance)
        return word->instance > known->instance;
    if (word->clock != known->clock)
        return word->clock > known->clock;
    return word->vv_hash > known->hash;
}

/* The vector of the word's site is the speaker's but for @differs. */
static void rebuild(struct core *core, struct known *known,
                    const struct vv *speaker, struct vv_view differs)
{
    size_t at = 0;

    for (size_t i = 0; i < speaker->count || at < differs.count;) {
        struct vv_entry entry = {.version = 0};
        bool other = false;
        int order = i == speaker->count ? 1 : -1;

        if (at < differs.count) {
            entry = vv_view_at(differs, at);
            if (i < speaker->count)
                order = site_compare(&speaker->entries[i].site, &entry.site);
            other = order >= 0;
        }
        if (!other)
            entry = speaker->entries[i];
        i += order <= 0;
        at += other;
        if (vv_raise(&known->vv, &entry.site, entry.version) == GV_ENOMEM)
            core->error = GV_ENOMEM;
    }
    GV_ASSERT(at == differs.count);
    known->kept = true;
    bound(core, known);
}

static void hear(struct core *core, struct link *link, const struct word *word,
                 bool founded)
{
    struct known *known = place(core, &word->site);
    struct passed *passed;
    char name[TEXT_SPACE];

    if (known == NULL)
        return;
    passed = &link->passed[known - core->known];
    passed->instance = word->instance;
    passed->clock = word->clock;
    passed->hash = word->vv_hash;
    passed->peer_linked = word->linked;
    if (known->link != NULL || !is_newer(word, known))
        return;
    if (word->instance != known->instance) {
        vv_clear(&known->vv);
        known->kept = false;
    }
    known->instance = word->instance;
    known->clock = word->clock;
    known->hash = word->vv_hash;
    known->heard_at = core->now - (gv_time_ms)word->age_ms;
    hello_text(word->name, name);
    keep_name(known, name, strlen(name));
    if (word->whole && founded)
        rebuild(core, known, &link->believed, word->differs);
}

void known_hear(struct core *core, struct link *link,
                const struct message_vv *vv)
{
    /* Words refer to the vector of the VV that brings them. */
    bool founded = link->believed.hash == vv->vv_hash;

    GV_ASSERT(vv->word_count <= MESSAGE_WORDS_MAX);
    if (vv->word_count == 0 || !passed_ready(link))
        return;
    for (size_t i = 0; i < vv->word_count; i++) {
        const struct word *word = &vv->words[i];
        if (word->instance != 0 && !site_equal(&word->site, &core->site) &&
            !site_equal(&word->site, &link->site))
            hear(core, link, word, founded);
    }
}

/* Showing */

size_t core_known_count(const struct core *core)
{
    return core->known_count;
}

void core_known_info(const struct core *core, size_t index, gv_time_ms now,
                     struct known_info *info)
{
    struct known *known = &core->known[index];

    GV_ASSERT(index < core->known_count);
    refresh(known);
    *info = (struct known_info){.site = known->site,
                                .name = known->name,
                                .linked = known->link != NULL};
    if (now > known->heard_at)
        info->heard_ms = now - known->heard_at;
    if (known->link != NULL) {
        info->vv = &known->link->believed;
        info->exact = known->link->unheard_since == NEVER;
    } else if (known->kept) {
        info->vv = &known->vv;
        info->exact = known->vv.hash == known->hash;
    }
    GV_ASSERT(info->heard_ms >= 0);
}
