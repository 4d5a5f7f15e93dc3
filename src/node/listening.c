#include "node/listening.h"

#include "base/assert.h"
#include "base/error.h"
#include "core/neighbours.h"
#include "net/lan.h"
#include "node/loop.h"
#include "wire/beacon.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Senders of what was passed over that are listed; more are only counted. */
#define PASSED_MAX 64

struct listening {
    struct lan *lan;
    const char *mesh; /* NULL: any */
    json_t *nodes;    /* what gv_discover() lists, by endpoint and interface */
    json_t *passed;
    int64_t heard, uncounted;
};

/* The entry of @array with these two, made if there is none and room. */
static json_t *entry(json_t *array, size_t most, const char *key,
                     const char *value, const char *interface)
{
    json_t *item;
    size_t i;

    json_array_foreach(array, i, item)
    {
        if (strcmp(json_string_value(json_object_get(item, key)), value) ==
                0 &&
            strcmp(json_string_value(json_object_get(item, "interface")),
                   interface) == 0)
            return item;
    }
    if (json_array_size(array) >= most)
        return NULL;
    item = json_pack("{s:s,s:s,s:I}", key, value, "interface", interface,
                     "count", (json_int_t)0);
    json_array_append_new(array, item);
    return item;
}

static void pass_over(struct listening *listening,
                      const struct lan_datagram *datagram, const char *why)
{
    json_t *item = entry(listening->passed, PASSED_MAX, "from", datagram->host,
                         datagram->name);
    json_t *count = json_object_get(item, "count");

    if (item == NULL) {
        listening->uncounted++;
        return;
    }
    json_integer_set(count, json_integer_value(count) + 1);
    json_object_set_new(item, "why", json_string(why));
}

static void list(struct listening *listening,
                 const struct lan_datagram *datagram,
                 const struct beacon *beacon)
{
    char endpoint[NEIGHBOUR_ENDPOINT_SIZE], site[33];
    json_t *item, *count;

    snprintf(endpoint, sizeof endpoint, "tcp://%s:%u", datagram->host,
             (unsigned)beacon->port);
    item = entry(listening->nodes, NEIGHBOURS_MAX, "endpoint", endpoint,
                 datagram->name);
    if (item == NULL) {
        listening->uncounted++;
        return;
    }
    count = json_object_get(item, "count");
    json_integer_set(count, json_integer_value(count) + 1);
    site_format(&beacon->site, site);
    json_object_set_new(item, "name", json_string(beacon->name));
    json_object_set_new(item, "site", json_string(site));
    json_object_set_new(item, "mesh_mark",
                        json_sprintf("%016" PRIx64, beacon->mesh_mark));
}

static void take(struct listening *listening,
                 const struct lan_datagram *datagram)
{
    struct beacon beacon;

    listening->heard++;
    switch (beacon_decode(datagram->bytes, datagram->size, &beacon)) {
    case GV_OK:
        if (listening->mesh == NULL ||
            beacon.mesh_mark == beacon_mark(listening->mesh))
            list(listening, datagram, &beacon);
        else
            pass_over(listening, datagram, "it is of another mesh");
        break;
    case GV_EVERSION:
        pass_over(listening, datagram, "it is of a later Grapevine");
        break;
    default:
        pass_over(listening, datagram, "it is no beacon, or damaged");
        break;
    }
}

static void listen_until(struct listening *listening, gv_time_ms end)
{
    struct lan_datagram datagram;
    struct pollfd fds[LAN_FDS];
    size_t count = lan_poll(listening->lan, fds);

    for (gv_time_ms now = loop_now(); now < end; now = loop_now()) {
        if (poll(fds, count, (int)(end - now)) < 0 && errno != EINTR)
            return;
        (void)lan_look(listening->lan);
        for (int i = 0; i < 64 && lan_next(listening->lan, &datagram); i++)
            take(listening, &datagram);
    }
}

json_t *listening_interfaces(const struct lan *lan)
{
    json_t *array = json_array();

    for (size_t i = 0; i < lan_interface_count(lan); i++) {
        const char *skipped;
        const char *name = lan_interface(lan, i, &skipped);
        json_t *item = json_pack("{s:s}", "name", name);

        if (skipped != NULL)
            json_object_set_new(item, "skipped", json_string(skipped));
        json_array_append_new(array, item);
    }
    return array;
}

int listening_run(const char *mesh, int timeout_ms, char **json,
                  struct gv_error *error)
{
    struct lan_options options = {.ipv4 = true, .ipv6 = true};
    struct listening listening = {.mesh = mesh};
    json_t *report;
    int rc = lan_open(&options, &listening.lan, error);

    *json = NULL;
    if (rc != GV_OK)
        return rc;
    listening.nodes = json_array();
    listening.passed = json_array();
    listen_until(&listening, loop_now() + timeout_ms);
    report = json_pack("{s:o,s:o,s:o,s:I,s:I}", "nodes", listening.nodes,
                       "passed", listening.passed, "interfaces",
                       listening_interfaces(listening.lan), "heard",
                       (json_int_t)listening.heard, "unlisted",
                       (json_int_t)listening.uncounted);
    *json = json_dumps(report, JSON_INDENT(2));
    json_decref(report);
    lan_close(listening.lan);
    return *json != NULL
               ? GV_OK
               : error_set(error, GV_ENOMEM, "There is no memory left.");
}
