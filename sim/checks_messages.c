/* What leaves a node: one content a dot, for ever; nothing of its own that is
 * not synced; no interval too often. */
#include "checks_internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

/* One interval goes to one peer at most so often per connection. */
#define REPEATS_MAX 2

static void check_own_entry(struct checks *checks, struct machine *machine,
                            gv_version version, const char *where)
{
    if (version > checks_watch(checks, machine)->synced)
        world_fail(checks->world, "I21",
                   "n%zu: tells of its own %llu in a %s; synced is %llu",
                   machine_index(machine), (unsigned long long)version, where,
                   (unsigned long long)checks_watch(checks, machine)->synced);
}

static void check_view(struct checks *checks, struct machine *machine,
                       struct vv_view view, const char *where)
{
    const struct site *site = checks_site(machine);

    for (size_t i = 0; i < view.count; i++) {
        struct vv_entry entry = vv_view_at(view, i);

        if (site_equal(&entry.site, site))
            check_own_entry(checks, machine, entry.version, where);
    }
}

static struct dot *dot_at(struct dot *dots, size_t capacity,
                          const struct site *site, gv_version to)
{
    uint64_t hash =
        hash64(site->bytes, sizeof site->bytes) ^ to * 0x9e3779b97f4a7c15;
    size_t at = (hash ^ hash >> 32) & (capacity - 1);

    while (dots[at].to != 0 &&
           (dots[at].to != to || !site_equal(&dots[at].site, site)))
        at = (at + 1) & (capacity - 1);
    return &dots[at];
}

static void dots_grow(struct checks *checks)
{
    size_t capacity =
        checks->dot_capacity == 0 ? 1024 : checks->dot_capacity * 2;
    struct dot *dots = calloc(capacity, sizeof *dots);

    GV_ASSERT(dots != NULL);
    for (size_t i = 0; i < checks->dot_capacity; i++)
        if (checks->dots[i].to != 0)
            *dot_at(dots, capacity, &checks->dots[i].site,
                    checks->dots[i].to) = checks->dots[i];
    free(checks->dots);
    checks->dots = dots;
    checks->dot_capacity = capacity;
}

/* I9 */
static void check_dot(struct checks *checks, struct machine *machine,
                      const struct interval *interval)
{
    struct dot *dot;
    uint64_t content = hash64(interval->bytes, interval->size);

    if (checks->dot_count * 2 >= checks->dot_capacity)
        dots_grow(checks);
    dot = dot_at(checks->dots, checks->dot_capacity, &interval->site,
                 interval->to);
    if (dot->to == 0) {
        *dot = (struct dot){interval->site, interval->from, interval->to,
                            content};
        checks->dot_count++;
    } else if (dot->content != content || dot->from != interval->from) {
        world_fail(checks->world, "I9",
                   "n%zu: sends other content as version %llu of one site",
                   machine_index(machine), (unsigned long long)interval->to);
    }
}

/* I18 */
static void check_repeats(struct checks *checks, struct machine *machine,
                          gv_link link, const struct interval *interval)
{
    struct watch *watch = checks_watch(checks, machine);
    struct push *push = watch->pushes;
    size_t i = 0;

    while (i < watch->push_count &&
           (push[i].link != link || push[i].to != interval->to ||
            !site_equal(&push[i].site, &interval->site)))
        i++;
    if (i == watch->push_count) {
        if (watch->push_count == watch->push_capacity) {
            watch->push_capacity = watch->push_capacity * 2 + 64;
            watch->pushes = reallocarray(watch->pushes, watch->push_capacity,
                                         sizeof *watch->pushes);
            GV_ASSERT(watch->pushes != NULL);
        }
        /* Long ago is enough: repeats come soon. */
        if (watch->push_count == 256)
            watch->push_count = 0;
        watch->pushes[watch->push_count++] =
            (struct push){link, interval->to, interval->site, 1};
    } else if (++push[i].times > REPEATS_MAX) {
        world_fail(checks->world, "I18",
                   "n%zu: sends version %llu on one link the %uth time",
                   machine_index(machine), (unsigned long long)interval->to,
                   push[i].times);
    }
}

static void check_news(struct checks *checks, struct machine *machine,
                       gv_link link, const struct message_news *news)
{
    const struct site *site = checks_site(machine);

    for (size_t i = 0; i < news->interval_count; i++) {
        const struct interval *interval = &news->intervals[i];

        if (site_equal(&interval->site, site))
            check_own_entry(checks, machine, interval->to, "NEWS");
        if (checks->ledger == NULL || checks->blind)
            continue;
        check_dot(checks, machine, interval);
        if (news->token != 0)
            continue; /* it was asked for */
        check_repeats(checks, machine, link, interval);
    }
}

void checks_sending(struct checks *checks, struct machine *machine,
                    gv_link link, const struct message *message)
{
    if (message->kind == MESSAGE_NEWS)
        check_news(checks, machine, link, &message->as.news);
    else if (message->kind == MESSAGE_VV)
        check_view(checks, machine, message->as.vv.entries, "VV");
    else if (message->kind == MESSAGE_WANT)
        check_view(checks, machine, message->as.want.vv, "WANT");
    else if (message->kind == MESSAGE_DELTA && message->as.delta.last)
        check_view(checks, machine, message->as.delta.claim, "DELTA");
    /* The first piece leaves in the step that heard of the read. */
    if (message->kind == MESSAGE_DELTA && message->as.delta.offset == 0 &&
        machine_busy(machine))
        world_fail(checks->world, "I34", "n%zu: it is busy, and sends a delta",
                   machine_index(machine));
}
