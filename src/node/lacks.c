#include "node/lacks.h"

#include "core/clock.h"
#include "node/loop.h"
#include "node/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static gv_time_ms age_of(const struct gv_node *node, gv_version version)
{
    gv_time_ms age =
        node->host->wall(node->host->context) - clock_wall(version);

    return age > 0 ? age : 0;
}

/* Count what of @span @lack has not counted yet; how many there were. */
static uint64_t count_span(struct gv_node *node, const struct store_span *span,
                           struct lack *lack)
{
    uint64_t left = LACKS_COUNT_MAX - lack->changes, count = 0;
    gv_version oldest = 0;

    lack->sites++;
    if (store_span_count(node->store, span, left + 1, &count, &oldest) !=
        GV_OK)
        count = 0;
    if (count > 0 && age_of(node, oldest) > lack->oldest_ms)
        lack->oldest_ms = age_of(node, oldest);
    if (count > left) {
        lack->more = true;
        count = left;
    }
    lack->changes += count;
    return count;
}

static json_t *span_object(const struct gv_node *node,
                           const struct store_span *span, uint64_t changes)
{
    char site[33];

    site_format(&span->site, site);
    return json_pack("{s:s, s:o, s:I, s:I}", "site", site, "name",
                     status_text(status_name_of(node, &span->site)), "changes",
                     (json_int_t)changes, "behind_ms",
                     span->from == 0
                         ? age_of(node, 0)
                         : clock_wall(span->to) - clock_wall(span->from));
}

/* @of, unless NULL, gets the first sites. */
static void walk(struct gv_node *node, const struct vv *vv, struct lack *lack,
                 json_t *of)
{
    const struct vv *own = store_vv(node->store);

    *lack = (struct lack){.sites = 0};
    if (own->hash == vv->hash && own->count == vv->count)
        return;
    for (size_t i = 0; i < own->count; i++) {
        struct store_span span = {.site = own->entries[i].site,
                                  .from = vv_get(vv, &own->entries[i].site),
                                  .to = own->entries[i].version};
        uint64_t changes;

        if (span.from >= span.to)
            continue;
        changes = count_span(node, &span, lack);
        if (of != NULL && json_array_size(of) < LACKS_SITES_MAX)
            json_array_append_new(of, span_object(node, &span, changes));
    }
}

void lacks_of(struct gv_node *node, const struct vv *vv, struct lack *lack)
{
    walk(node, vv, lack, NULL);
}

json_t *lacks_object(struct gv_node *node, const struct vv *vv)
{
    json_t *of = json_array();
    struct lack lack;

    walk(node, vv, &lack, of);
    return json_pack("{s:I, s:I, s:b, s:I, s:o}", "sites",
                     (json_int_t)lack.sites, "changes",
                     (json_int_t)lack.changes, "more", (int)lack.more,
                     "oldest_ms", (json_int_t)lack.oldest_ms, "of", of);
}

/* How many sites' changes this file lacks of @vv, and by how much at most. */
static uint64_t lacks_here(const struct gv_node *node, const struct vv *vv,
                           gv_time_ms *behind)
{
    const struct vv *own = store_vv(node->store);
    uint64_t sites = 0;

    *behind = 0;
    for (size_t i = 0; i < vv->count; i++) {
        gv_version held = vv_get(own, &vv->entries[i].site);
        gv_time_ms ms = clock_wall(vv->entries[i].version) - clock_wall(held);

        if (held >= vv->entries[i].version)
            continue;
        sites++;
        if (held > 0 && ms > *behind)
            *behind = ms;
    }
    return sites;
}

json_t *lacks_here_object(struct gv_node *node, const struct vv *vv)
{
    gv_time_ms behind;
    uint64_t sites = lacks_here(node, vv, &behind);

    return json_pack("{s:I, s:I}", "sites", (json_int_t)sites, "behind_ms",
                     (json_int_t)behind);
}

json_t *lacks_known_array(struct gv_node *node)
{
    json_t *array = json_array();
    size_t count = core_known_count(node->core);

    for (size_t i = 0; i < count; i++) {
        struct known_info info;
        char site[33];
        json_t *object;

        core_known_info(node->core, i, loop_now(), &info);
        site_format(&info.site, site);
        object = json_pack("{s:s, s:o, s:b, s:I, s:b}", "site", site, "name",
                           status_text(info.name), "linked", (int)info.linked,
                           "heard_ms", (json_int_t)info.heard_ms, "exact",
                           (int)info.exact);
        if (info.vv != NULL)
            json_object_set_new(object, "lacks", lacks_object(node, info.vv));
        json_array_append_new(array, object);
    }
    return array;
}

/* Words */

static json_t *plural(uint64_t count, const char *format_one,
                      const char *format_many)
{
    return count == 1 ? json_string(format_one)
                      : json_sprintf(format_many, (size_t)count);
}

static const char *peer_name(const struct link_info *info)
{
    if (info->name[0] != '\0')
        return info->name;
    return info->endpoint[0] != '\0' ? info->endpoint : "a peer";
}

/* "3 changes, the oldest 20 ms old" */
static void describe_lack(const struct lack *lack, char *text, size_t size)
{
    if (lack->changes == 0)
        snprintf(text, size, "something newer of %" PRIu64 " site%s",
                 lack->sites, lack->sites == 1 ? "" : "s");
    else
        snprintf(text, size, "%s%" PRIu64 " change%s, the oldest %lld ms old",
                 lack->more ? "more than " : "", lack->changes,
                 lack->changes == 1 ? "" : "s", (long long)lack->oldest_ms);
}

/* @text without the full stop at its end, as a part of a sentence. */
static json_t *clause(const char *text)
{
    size_t size = strlen(text);

    return json_sprintf(
        "%.*s", (int)(size > 0 && text[size - 1] == '.' ? size - 1 : size),
        text);
}

/* This file lacks something of a peer, and why if that is known. */
static json_t *lack_sentence(const struct link_info *info)
{
    json_t *reason = info->refused ? clause(info->reason) : NULL;
    json_t *sentence =
        json_sprintf("this file lacks what %s holds%s%s", peer_name(info),
                     reason != NULL ? ": " : "",
                     reason != NULL ? json_string_value(reason) : "");

    json_decref(reason);
    return sentence;
}

/* What stands between this file and a peer with a link. */
static json_t *link_sentence(struct gv_node *node,
                             const struct link_info *info)
{
    struct lack lack;
    gv_time_ms behind;
    char text[160];

    if (info->diverged)
        return json_sprintf("this file and %s hold different data under"
                            " equal version vectors",
                            peer_name(info));
    if (lacks_here(node, info->believed, &behind) > 0)
        return lack_sentence(info);
    lacks_of(node, info->believed, &lack);
    if (lack.sites == 0)
        return NULL;
    describe_lack(&lack, text, sizeof text);
    return json_sprintf("%s lacks %s", peer_name(info), text);
}

struct count {
    size_t given;    /* peers that people named, this node itself excepted */
    size_t given_up; /* of them linked */
    size_t up;       /* all links that are */
    size_t all;      /* that are, or were named */
};

static struct count count_links(const struct gv_node *node)
{
    struct count count = {0};
    size_t links = core_link_count(node->core);

    for (size_t i = 0; i < links; i++) {
        struct link_info info;
        bool up;

        core_link_info(node->core, i, loop_now(), &info);
        up = info.state == LINK_UP;
        count.up += up;
        if (info.given && !info.itself) {
            count.given++;
            count.given_up += up;
        }
        count.all += !info.itself && (up || info.given);
    }
    return count;
}

static void add_away(struct gv_node *node, json_t *sentences)
{
    struct away_info info;

    for (size_t i = 0; core_away_info(node->core, i, loop_now(), &info); i++)
        json_array_append_new(
            sentences, json_sprintf("%s dialled this node and is refused: %s",
                                    info.name, info.reason));
}

static void add_unlinked(struct gv_node *node, size_t peers, json_t *sentences)
{
    struct count count = count_links(node);
    size_t links = core_link_count(node->core);
    size_t wanted = peers > 0 ? peers : count.given > 0 ? count.given : 1;
    size_t got = peers > 0 || count.given == 0 ? count.up : count.given_up;

    if (got >= wanted)
        return;
    json_array_append_new(
        sentences, json_sprintf("%zu of %zu peers connected", got, wanted));
    for (size_t i = 0; i < links; i++) {
        struct link_info info;

        core_link_info(node->core, i, loop_now(), &info);
        if (info.state != LINK_UP && info.given && !info.itself)
            json_array_append_new(
                sentences,
                json_sprintf("%s is not connected%s%s", peer_name(&info),
                             info.reason[0] != '\0' ? ": " : "", info.reason));
    }
    add_away(node, sentences);
}

/* Of the first links with which something is missing, a sentence each. */
static void add_links(struct gv_node *node, json_t *sentences)
{
    size_t links = core_link_count(node->core);

    for (size_t i = 0; i < links; i++) {
        struct link_info info;
        json_t *sentence = NULL;

        core_link_info(node->core, i, loop_now(), &info);
        if (info.state == LINK_UP)
            sentence = link_sentence(node, &info);
        if (sentence != NULL)
            json_array_append_new(sentences, sentence);
    }
}

/* Rows that the audit found and does not publish yet. */
static void add_waiting(const struct gv_node *node, json_t *sentences)
{
    struct store_audit_state audit;

    store_audit_state(node->store, &audit);
    if (audit.waiting == 0)
        return;
    json_array_append_new(
        sentences,
        plural(audit.waiting, "1 row waits for the audit of its table",
               "%zu rows wait for the audit of their table"));
}

static void add_own(struct gv_node *node, json_t *sentences)
{
    uint64_t unsealed = 0;

    if (store_unsealed(node->store, LACKS_COUNT_MAX, &unsealed) == GV_OK &&
        unsealed > 0)
        json_array_append_new(
            sentences, plural(unsealed, "1 row is written and not published",
                              "%zu rows are written and not published"));
    if (store_busy(node->store) || node->applies.first != NULL)
        json_array_append_new(sentences,
                              json_string("what came is being written"));
    if (node->trouble.code != GV_OK)
        json_array_append_new(sentences, clause(node->trouble.what));
    if (node->unkept != GV_OK)
        json_array_append_new(sentences,
                              json_sprintf("what came could not be kept: %s",
                                           gv_strerror(node->unkept)));
    add_waiting(node, sentences);
}

json_t *lacks_sentences(struct gv_node *node, size_t peers)
{
    json_t *sentences = json_array();

    add_unlinked(node, peers, sentences);
    add_own(node, sentences);
    add_links(node, sentences);
    return sentences;
}

/* What a person has to put right, though this file and its peers hold the
 * same. */
static void add_amiss(const struct gv_node *node, json_t *sentences)
{
    const char *table, *why;
    struct store_audit_state audit;

    store_audit_state(node->store, &audit);
    if (store_faults(node->store, &table, &why) > 0)
        json_array_append_new(
            sentences,
            json_sprintf("Table %s is not shared at present: %s", table, why));
    if (audit.damaged > 0)
        json_array_append_new(
            sentences, plural(audit.damaged, "The log of 1 row is damaged",
                              "The log of %zu rows is damaged"));
}

/* The first of @sentences, which are given up, behind @before; NULL if there
 * is none. */
static json_t *first_of(const char *before, json_t *sentences)
{
    const char *text = json_string_value(json_array_get(sentences, 0));
    json_t *first =
        text == NULL
            ? NULL
            : json_sprintf("%s%s%s.", before, text,
                           json_array_size(sentences) > 1 ? ", and more" : "");

    json_decref(sentences);
    return first;
}

/* "Up to date.", or what is most in the way. */
static json_t *first_sentence(struct gv_node *node, const struct count *count)
{
    json_t *sentences = json_array(), *amiss = json_array(), *first;

    add_own(node, sentences);
    add_links(node, sentences);
    add_amiss(node, amiss);
    first = first_of("Not level yet: ", sentences);
    if (first != NULL) {
        json_decref(amiss);
        return first;
    }
    first = first_of("", amiss);
    if (first != NULL)
        return first;
    if (count->up > 0)
        return json_string("Up to date.");
    return json_string(count->all > 0 ? "Cut off." : "On its own.");
}

json_t *lacks_summary(struct gv_node *node)
{
    struct count count = count_links(node);
    json_t *first = first_sentence(node, &count), *summary;

    if (count.all == 0)
        summary = json_sprintf("%s No peer is named, and none is linked.",
                               json_string_value(first));
    else
        summary = json_sprintf("%s %zu of %zu peer%s connected.",
                               json_string_value(first), count.up, count.all,
                               count.all == 1 ? "" : "s");
    json_decref(first);
    return summary;
}
