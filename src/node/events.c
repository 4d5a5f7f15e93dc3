#include "node/events.h"

#include "node/loop.h"
#include "node/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A link that is up. */
struct event_link {
    gv_link number;
    struct site site;
    char name[MESSAGE_TEXT_SIZE_MAX + 1];
    char endpoint[MESSAGE_TEXT_SIZE_MAX + 1];
};

void events_init(struct events *events)
{
    memset(events, 0, sizeof *events);
}

void events_close(struct events *events)
{
    vv_close(&events->told);
    free(events->links);
    events_init(events);
}

static bool wanted(const struct gv_node *node)
{
    return node->config.row != NULL || node->config.link != NULL ||
           control_watchers(node->control) > 0;
}

/* To the clients of the control socket.  Takes @event. */
static void tell_clients(struct gv_node *node, json_t *event)
{
    char *line = json_dumps(event, JSON_COMPACT);

    if (line != NULL)
        control_tell(node->control, line);
    free(line);
    json_decref(event);
}

/* Links */

static size_t list_links(const struct gv_node *node, struct event_link *links)
{
    size_t count = core_link_count(node->core), up = 0;

    for (size_t i = 0; i < count && up < CORE_LINKS_MAX; i++) {
        struct link_info info;

        core_link_info(node->core, i, loop_now(), &info);
        if (info.state != LINK_UP)
            continue;
        links[up].number = info.link;
        links[up].site = info.site;
        snprintf(links[up].name, sizeof links[up].name, "%s", info.name);
        snprintf(links[up].endpoint, sizeof links[up].endpoint, "%s",
                 info.endpoint);
        up++;
    }
    return up;
}

/* Why the peer at @link has no link any more, as far as is known. */
static const char *reason_of(const struct gv_node *node,
                             const struct event_link *link)
{
    size_t count = core_link_count(node->core);

    for (size_t i = 0; i < count; i++) {
        struct link_info info;

        core_link_info(node->core, i, loop_now(), &info);
        if (info.state != LINK_UP && info.reason != NULL &&
            link->endpoint[0] != '\0' &&
            strcmp(info.endpoint, link->endpoint) == 0)
            return info.reason;
    }
    return "";
}

static void tell_link(struct gv_node *node, const struct event_link *link,
                      bool up)
{
    const char *reason = up ? "" : reason_of(node, link);
    struct gv_link_event event = {.up = up,
                                  .site = link->site.bytes,
                                  .name = link->name,
                                  .endpoint = link->endpoint,
                                  .reason = reason};
    char site[33];

    if (node->config.link != NULL)
        node->config.link(node->config.event_context, &event);
    if (control_watchers(node->control) == 0)
        return;
    site_format(&link->site, site);
    tell_clients(node, json_pack("{s:s, s:I, s:s, s:s, s:o, s:o, s:o}",
                                 "event", "link", "time_ms",
                                 node->host->wall(node->host->context),
                                 "state", up ? "up" : "down", "site", site,
                                 "name", status_text(link->name), "endpoint",
                                 status_text(link->endpoint), "reason",
                                 status_text(reason)));
}

static bool has_link(const struct event_link *links, size_t count,
                     const struct site *site)
{
    for (size_t i = 0; i < count; i++) {
        if (site_equal(&links[i].site, site))
            return true;
    }
    return false;
}

/* A link that took another's place with the same site is no news. */
static void look_at_links(struct gv_node *node, bool tell)
{
    struct events *events = &node->events;
    struct event_link *links = calloc(CORE_LINKS_MAX, sizeof *links);
    size_t count;

    if (links == NULL)
        return; /* at the next turn */
    count = list_links(node, links);
    for (size_t i = 0; tell && i < events->link_count; i++) {
        if (!has_link(links, count, &events->links[i].site))
            tell_link(node, &events->links[i], false);
    }
    for (size_t i = 0; tell && i < count; i++) {
        if (!has_link(events->links, events->link_count, &links[i].site))
            tell_link(node, &links[i], true);
    }
    free(events->links);
    events->links = links;
    events->link_count = count;
}

/* Rows */

struct telling {
    struct gv_node *node;
    struct site site;
    size_t left; /* rows that may still be named */
};

static void tell_row(struct telling *telling, const struct store_row *row)
{
    struct gv_node *node = telling->node;
    bool local = site_equal(&telling->site, store_site(node->store));
    const char *name = status_name_of(node, &telling->site);
    struct gv_row_event event = {
        .site = telling->site.bytes, .name = name, .local = local};
    char site[33];
    json_t *json;

    if (row != NULL) {
        event.table = row->table;
        event.key = row->key;
        event.alive = row->alive;
        event.version = row->version;
    }
    if (node->config.row != NULL)
        node->config.row(node->config.event_context, &event);
    if (control_watchers(node->control) == 0)
        return;
    site_format(&telling->site, site);
    json = json_pack("{s:s, s:I, s:s, s:o, s:b}", "event",
                     row != NULL ? "row" : "more rows", "time_ms",
                     node->host->wall(node->host->context), "site", site,
                     "name", status_text(name), "local", (int)local);
    if (row != NULL) {
        json_object_set_new(json, "table", status_text(row->table));
        json_object_set_new(json, "key", status_text(row->key));
        json_object_set_new(json, "alive", json_boolean(row->alive));
        json_object_set_new(json, "version",
                            json_sprintf("%" PRIu64, row->version));
    }
    tell_clients(node, json);
}

static void take_row(void *context, const struct store_row *row)
{
    struct telling *telling = context;

    telling->left--;
    tell_row(telling, row);
}

static void tell_span(struct telling *telling, const struct store_span *span)
{
    bool more = false;

    telling->site = span->site;
    if (store_span_rows(telling->node->store, span, telling->left, take_row,
                        telling, &more) != GV_OK ||
        more)
        tell_row(telling, NULL);
}

/* Whatever raised the vector, a seal, an interval or a delta: what it brought
 * is what the log has of each site above what was told. */
static void look_at_rows(struct gv_node *node, bool tell)
{
    struct vv *told = &node->events.told;
    const struct vv *vv = store_vv(node->store);
    struct telling telling = {.node = node, .left = EVENTS_ROWS_MAX};

    if (told->hash == vv->hash && told->count == vv->count)
        return;
    for (size_t i = 0; tell && i < vv->count; i++) {
        struct store_span span = {.site = vv->entries[i].site,
                                  .from = vv_get(told, &vv->entries[i].site),
                                  .to = vv->entries[i].version};

        if (span.from < span.to)
            tell_span(&telling, &span);
    }
    vv_clear(told);
    (void)vv_copy(told, vv); /* without memory they are told once more */
}

void events_begin(struct gv_node *node)
{
    if (node->events.active)
        return;
    node->events.active = true;
    look_at_links(node, false);
    look_at_rows(node, false);
}

void events_turn(struct gv_node *node)
{
    if (!wanted(node)) {
        node->events.active = false;
        return;
    }
    events_begin(node);
    /* Between the slices of an apply the log has what is not claimed yet. */
    if (store_busy(node->store))
        return;
    look_at_links(node, true);
    look_at_rows(node, true);
}
