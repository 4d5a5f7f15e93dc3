#include "node/discovery.h"

#include "base/assert.h"
#include "net/endpoint.h"
#include "node/listening.h"
#include "node/loop.h"
#include "wire/beacon.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pauses of the burst that a start, and a change of the interfaces, begins
 * with: a switch may be learning who stands where. */
static const gv_time_ms burst_pauses[] = {100, 300, 1000};
#define BURST (sizeof burst_pauses / sizeof burst_pauses[0])
/* Who is heard for the first time is answered soon, so that it need not wait
 * for the next announcement; but a flood of newcomers by few. */
#define ANSWER_MS 100
#define PAUSE_MIN_MS 200
/* Datagrams of one turn; what a flood leaves over, the system drops. */
#define DATAGRAMS_MAX 64

/* Where this node can be reached, and hence where it announces itself. */
static int read_listening(struct gv_node *node, struct lan_options *options,
                          struct endpoint *endpoint, struct gv_error *error)
{
    const char *bound = net_endpoint(node->net);
    int rc;

    if (bound == NULL)
        return error_set(error, GV_EINVAL, "The node listens nowhere.");
    rc = endpoint_parse(endpoint, bound, true, error);
    if (rc != GV_OK)
        return rc;
    options->ipv4 = true;
    if (endpoint->kind == ENDPOINT_IPV6 && strcmp(endpoint->host, "::") != 0)
        options->ipv4 = false;
    options->ipv6 = endpoint->kind == ENDPOINT_IPV6;
    options->loopback = endpoint->loopback || !node->config.insecure;
    if (endpoint->kind != ENDPOINT_ANY && !endpoint->loopback &&
        strcmp(endpoint->host, "::") != 0 &&
        strcmp(endpoint->host, "0.0.0.0") != 0)
        options->only = endpoint->host;
    return GV_OK;
}

int discovery_open(struct gv_node *node, struct gv_error *error)
{
    struct discovery *discovery = &node->discovery;
    struct lan_options options = {0};
    struct endpoint endpoint;
    int rc;

    if (!node->config.discover)
        return GV_OK;
    rc = read_listening(node, &options, &endpoint, error);
    if (rc == GV_OK)
        rc = lan_open(&options, &discovery->lan, error);
    if (rc != GV_OK)
        return rc;
    node->host->random(node->host->context, &discovery->instance,
                       sizeof discovery->instance);
    random_seed(&discovery->random, discovery->instance);
    discovery->port = (uint16_t)atoi(endpoint.port);
    discovery->due = loop_now();
    discovery->sent = discovery->due - PAUSE_MIN_MS;
    return GV_OK;
}

void discovery_close(struct discovery *discovery)
{
    lan_close(discovery->lan);
    discovery->lan = NULL;
}

size_t discovery_poll(const struct discovery *discovery,
                      struct pollfd fds[LAN_FDS])
{
    return discovery->lan == NULL ? 0 : lan_poll(discovery->lan, fds);
}

gv_time_ms discovery_deadline(const struct discovery *discovery)
{
    gv_time_ms gone;

    if (discovery->lan == NULL)
        return INT64_MAX;
    gone = neighbours_deadline(&discovery->neighbours);
    return discovery->due < gone ? discovery->due : gone;
}

/* Announcing */

static void announce(struct gv_node *node, gv_time_ms now)
{
    struct discovery *discovery = &node->discovery;
    struct beacon beacon = {.mesh_mark = beacon_mark(node->mesh),
                            .site = *store_site(node->store),
                            .instance = discovery->instance,
                            .port = discovery->port};
    uint8_t bytes[BEACON_SIZE_MAX];
    gv_time_ms pause = NEIGHBOUR_INTERVAL_MS;
    size_t size;

    beacon_set_name(&beacon, node->config.name);
    size = beacon_encode(&beacon, bytes);
    (void)lan_send(discovery->lan, bytes, size);
    if (discovery->burst < BURST)
        pause = burst_pauses[discovery->burst++];
    /* Nodes that started together shall not go on speaking together. */
    pause +=
        (gv_time_ms)random_below(&discovery->random, (uint64_t)pause / 4 + 1);
    discovery->sent = now;
    discovery->due = now + pause;
}

static void answer_soon(struct discovery *discovery, gv_time_ms now)
{
    gv_time_ms due = discovery->sent + PAUSE_MIN_MS;

    if (due < now)
        due = now + (gv_time_ms)random_below(&discovery->random, ANSWER_MS);
    if (due < discovery->due)
        discovery->due = due;
}

static void announce_if_due(struct gv_node *node, gv_time_ms now)
{
    struct discovery *discovery = &node->discovery;

    if (lan_look(discovery->lan)) {
        log_line(&node->log, GV_LOG_INFO,
                 "the network interfaces changed: looking for peers anew");
        discovery->burst = 0;
        discovery->due = now;
    }
    if (discovery->due <= now)
        announce(node, now);
}

/* Hearing */

static void meet(struct gv_node *node, const struct neighbour *heard,
                 const char *what)
{
    log_line(&node->log, GV_LOG_INFO, "%s %s at %s on %s", what,
             heard->name[0] != '\0' ? heard->name : "a node", heard->endpoint,
             heard->by);
    if (core_learn_peer(node->core, heard->endpoint) == GV_ELIMIT)
        log_line(&node->log, GV_LOG_DEBUG, "there are peers enough");
}

static void hear(struct gv_node *node, const struct neighbour *heard)
{
    struct discovery *discovery = &node->discovery;
    char old[NEIGHBOUR_ENDPOINT_SIZE];
    enum neighbour_news news =
        neighbours_hear(&discovery->neighbours, heard, old);

    if (old[0] != '\0')
        core_forget_peer(node->core, old);
    switch (news) {
    case NEIGHBOUR_NEW:
        meet(node, heard, "found");
        answer_soon(discovery, heard->heard);
        break;
    case NEIGHBOUR_RESTARTED:
        meet(node, heard, "started again:");
        answer_soon(discovery, heard->heard);
        break;
    case NEIGHBOUR_MOVED:
        meet(node, heard, "moved:");
        break;
    case NEIGHBOUR_KNOWN:
    case NEIGHBOUR_REFUSED:
        break;
    }
}

static void take(struct gv_node *node, const struct lan_datagram *datagram,
                 gv_time_ms now)
{
    struct discovery *discovery = &node->discovery;
    struct neighbour heard = {.heard = now, .said = now};
    struct beacon beacon;
    int rc = beacon_decode(datagram->bytes, datagram->size, &beacon);

    if (rc != GV_OK) {
        discovery->malformed += rc == GV_EPROTO;
        discovery->other_version += rc == GV_EVERSION;
        return;
    }
    if (beacon.instance == discovery->instance)
        return;
    discovery->heard++;
    if (beacon.mesh_mark != beacon_mark(node->mesh)) {
        discovery->other_mesh++;
        return;
    }
    heard.site = beacon.site;
    heard.instance = beacon.instance;
    snprintf(heard.endpoint, sizeof heard.endpoint, "tcp://%s:%u",
             datagram->host, (unsigned)beacon.port);
    snprintf(heard.name, sizeof heard.name, "%s", beacon.name);
    snprintf(heard.by, sizeof heard.by, "%s", datagram->name);
    hear(node, &heard);
}

static void forget_the_gone(struct gv_node *node, gv_time_ms now)
{
    struct neighbour gone;

    while (neighbours_expire(&node->discovery.neighbours, now, &gone)) {
        log_line(&node->log, GV_LOG_INFO, "not heard any more: %s at %s",
                 gone.name[0] != '\0' ? gone.name : "a node", gone.endpoint);
        core_forget_peer(node->core, gone.endpoint);
    }
}

void discovery_turn(struct gv_node *node)
{
    struct discovery *discovery = &node->discovery;
    struct lan_datagram datagram;
    gv_time_ms now = loop_now();

    if (discovery->lan == NULL)
        return;
    announce_if_due(node, now);
    for (int i = 0; i < DATAGRAMS_MAX; i++) {
        if (!lan_next(discovery->lan, &datagram))
            break;
        take(node, &datagram, now);
    }
    forget_the_gone(node, now);
    GV_ASSERT(discovery->neighbours.count <= NEIGHBOURS_MAX);
}

/* Status */

static json_t *neighbours_array(const struct neighbours *table, gv_time_ms now)
{
    json_t *array = json_array();

    for (size_t i = 0; i < table->count; i++) {
        const struct neighbour *item = &table->items[i];
        char site[33];

        site_format(&item->site, site);
        json_array_append_new(
            array,
            json_pack("{s:s,s:s,s:s,s:s,s:I}", "name", item->name, "site",
                      site, "endpoint", item->endpoint, "interface", item->by,
                      "heard_ms", (json_int_t)(now - item->heard)));
    }
    return array;
}

json_t *discovery_object(const struct discovery *discovery, gv_time_ms now)
{
    if (discovery->lan == NULL)
        return NULL;
    return json_pack("{s:o,s:o,s:I,s:I,s:I,s:I,s:I}", "interfaces",
                     listening_interfaces(discovery->lan), "neighbours",
                     neighbours_array(&discovery->neighbours, now), "heard",
                     (json_int_t)discovery->heard, "malformed",
                     (json_int_t)discovery->malformed, "other_version",
                     (json_int_t)discovery->other_version, "other_mesh",
                     (json_int_t)discovery->other_mesh, "refused",
                     (json_int_t)discovery->neighbours.refused);
}
