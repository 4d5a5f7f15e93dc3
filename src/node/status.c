#include "node/status.h"

#include "node/health.h"
#include "node/lacks.h"
#include "node/loop.h"
#include "node/proving.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Versions and counts that may exceed 2^53 travel as decimal text. */
static json_t *decimal(uint64_t number)
{
    return json_sprintf("%" PRIu64, number);
}

/* Names come from peers and from files: what is not UTF-8 is replaced, so
 * that the answer is always JSON. */
static json_t *text(const char *bytes)
{
    json_t *string = json_string(bytes);

    if (string == NULL) {
        char copy[1024];
        size_t size = 0;

        for (; bytes[size] != '\0' && size + 1 < sizeof copy; size++)
            copy[size] = (unsigned char)bytes[size] < 128 ? bytes[size] : '?';
        copy[size] = '\0';
        string = json_string(copy);
    }
    return string;
}

json_t *status_text(const char *bytes)
{
    return text(bytes);
}

const char *status_name_of(const struct gv_node *node, const struct site *site)
{
    size_t count = core_known_count(node->core);

    if (site_equal(site, store_site(node->store)))
        return node->config.name;
    for (size_t i = 0; i < count; i++) {
        struct known_info info;

        core_known_info(node->core, i, loop_now(), &info);
        if (site_equal(&info.site, site))
            return info.name;
    }
    return "";
}

static json_t *site_text(const struct site *site)
{
    char hex[33];

    site_format(site, hex);
    return json_string(hex);
}

json_t *status_of_vv(struct vv_view view)
{
    json_t *object = json_object();

    for (size_t i = 0; i < view.count; i++) {
        struct vv_entry entry = vv_view_at(view, i);
        char hex[33];

        site_format(&entry.site, hex);
        json_object_set_new(object, hex, decimal(entry.version));
    }
    return object;
}

static json_t *vv_object(const struct vv *vv)
{
    json_t *object = json_object();

    for (size_t i = 0; i < vv->count; i++) {
        char hex[33];

        site_format(&vv->entries[i].site, hex);
        json_object_set_new(object, hex, decimal(vv->entries[i].version));
    }
    return object;
}

static json_t *tables_array(const struct store_status *status)
{
    json_t *array = json_array();

    for (size_t i = 0; i < status->table_count; i++) {
        const struct store_table_status *table = &status->tables[i];
        json_t *item = json_object();

        json_object_set_new(item, "name", text(table->name));
        if (strcmp(table->name, table->wire) != 0)
            json_object_set_new(item, "wire", text(table->wire));
        json_object_set_new(item, "rows", json_integer(table->rows));
        json_object_set_new(item, "deleted", json_integer(table->deleted));
        json_object_set_new(item, "null_keys", json_integer(table->null_keys));
        if (table->fault != NULL)
            json_object_set_new(item, "fault", text(table->fault));
        json_array_append_new(array, item);
    }
    return array;
}

static json_t *warnings_array(const struct store_status *status)
{
    json_t *array = json_array();

    for (size_t i = 0; i < status->table_count; i++) {
        const struct store_table_status *table = &status->tables[i];

        if (table->fault != NULL)
            json_array_append_new(
                array, json_sprintf("%s is not shared at present: %s",
                                    table->name, table->fault));
        if (table->null_keys > 0)
            json_array_append_new(
                array,
                json_sprintf("%s has %" PRId64 " row%s with NULL in the key; "
                             "such rows stay in this file",
                             table->name, table->null_keys,
                             table->null_keys == 1 ? "" : "s"));
    }
    for (size_t i = 0; i < status->warning_count; i++)
        json_array_append_new(array, text(status->warnings[i]));
    return array;
}

/* Why rows wait, or NULL. */
static json_t *audit_reason(const struct store_audit_state *audit)
{
    if (audit->table == NULL)
        return NULL;
    if (audit->waiting == 0)
        return json_sprintf("table %s is not as it was; it is synced again"
                            " when it is, or looked at when the schema has"
                            " been left alone for 10 s",
                            audit->table);
    if (audit->most_died)
        return json_sprintf("more than half of the rows of %s are gone; that"
                            " is published when the schema has been left alone"
                            " for 60 s, or by 'grapevine verify --accept'",
                            audit->table);
    return json_sprintf("table %s was written past the triggers, or a"
                        " migration is under way; what is there is published"
                        " when the schema has been left alone for 10 s, or by"
                        " 'grapevine verify --accept'",
                        audit->table);
}

static json_t *audit_object(const struct store *store)
{
    struct store_audit_state audit;
    json_t *object = json_object(), *why;

    store_audit_state(store, &audit);
    json_object_set_new(object, "last_ms", json_integer(audit.last));
    json_object_set_new(object, "due", json_boolean(audit.due));
    json_object_set_new(object, "found",
                        json_integer((json_int_t)audit.found));
    json_object_set_new(object, "waiting",
                        json_integer((json_int_t)audit.waiting));
    json_object_set_new(object, "damaged",
                        json_integer((json_int_t)audit.damaged));
    why = audit_reason(&audit);
    if (why != NULL)
        json_object_set_new(object, "why", why);
    return object;
}

/* What is parked, and what frees it. */
static json_t *notes_array(const struct store_status *status)
{
    json_t *array = json_array();

    for (size_t i = 0; i < status->parked_note_count; i++)
        json_array_append_new(array, text(status->parked_notes[i]));
    return array;
}

static json_t *offline_summary(const struct store_status *status)
{
    if (!status->tracked)
        return json_string("No node runs, and nothing is shared yet.");
    for (size_t i = 0; i < status->table_count; i++) {
        const struct store_table_status *table = &status->tables[i];

        if (table->fault != NULL)
            return json_sprintf("No node runs; table %s is not shared at"
                                " present: %s.",
                                table->name, table->fault);
    }
    if (status->journal == 0)
        return json_string("No node runs.");
    return json_sprintf("No node runs; %lld row%s written and not published.",
                        (long long)status->journal,
                        status->journal == 1 ? " is" : "s are");
}

json_t *status_of_store(struct store *store, struct gv_error *error)
{
    struct store_status status;
    struct hash128 fingerprint = store_fingerprint(store);
    json_t *json;

    if (store_status(store, &status, error) != GV_OK)
        return NULL;
    json = json_object();
    if (status.tracked)
        json_object_set_new(json, "site", site_text(&status.site));
    else
        json_object_set_new(json, "site", json_string(""));
    json_object_set_new(json, "name", json_string(""));
    json_object_set_new(json, "mesh", text(status.mesh));
    json_object_set_new(json, "summary", offline_summary(&status));
    json_object_set_new(json, "running", json_false());
    json_object_set_new(json, "vv", vv_object(store_vv(store)));
    json_object_set_new(json, "fingerprint",
                        json_sprintf("%016" PRIx64 "%016" PRIx64,
                                     fingerprint.high, fingerprint.low));
    json_object_set_new(json, "busy", json_boolean(status.busy != NULL));
    if (status.busy != NULL)
        json_object_set_new(json, "busy_why", text(status.busy));
    json_object_set_new(json, "journal", json_integer(status.journal));
    json_object_set_new(json, "parked", json_integer(status.parked));
    if (status.tracked)
        json_object_set_new(json, "audit", audit_object(store));
    json_object_set_new(json, "hollow", json_integer(status.hollow));
    json_object_set_new(json, "parked_notes", notes_array(&status));
    json_object_set_new(json, "tables", tables_array(&status));
    json_object_set_new(json, "warnings", warnings_array(&status));
    store_status_close(&status);
    return json;
}

static const char *state_name(enum link_state state)
{
    switch (state) {
    case LINK_WAITING:
        return "waiting";
    case LINK_CONNECTING:
        return "connecting";
    case LINK_GREETING:
        return "greeting";
    case LINK_UP:
        return "up";
    case LINK_REFUSED:
        return "refused";
    }
    return "unknown";
}

static void set_count(json_t *object, const char *name, uint64_t count)
{
    json_object_set_new(object, name, json_integer((json_int_t)count));
}

static json_t *link_object(struct gv_node *node, const struct link_info *info)
{
    static const struct site nobody;
    struct net_traffic traffic;
    json_t *object = json_object();

    net_traffic(node->net, info->link, &traffic);
    json_object_set_new(object, "endpoint", text(info->endpoint));
    json_object_set_new(object, "dialled", json_boolean(info->dialled));
    json_object_set_new(object, "name", text(info->name));
    json_object_set_new(object, "site",
                        site_equal(&info->site, &nobody)
                            ? json_string("")
                            : site_text(&info->site));
    json_object_set_new(object, "state", json_string(state_name(info->state)));
    json_object_set_new(object, "lag_ms", json_integer(info->lag_ms));
    set_count(object, "sent_bytes", traffic.sent_bytes);
    set_count(object, "sent_frames", traffic.sent_frames);
    set_count(object, "received_bytes", traffic.received_bytes);
    set_count(object, "received_frames", traffic.received_frames);
    json_object_set_new(object, "news_received",
                        json_integer((json_int_t)info->news_received));
    json_object_set_new(object, "news_duplicate",
                        json_integer((json_int_t)info->news_duplicate));
    json_object_set_new(object, "news_bytes",
                        json_integer((json_int_t)info->news_bytes));
    set_count(object, "lazy", info->lazy);
    set_count(object, "pruned", info->pruned);
    json_object_set_new(object, "refused", json_boolean(info->refused));
    json_object_set_new(object, "diverged", json_boolean(info->diverged));
    json_object_set_new(object, "clock_ahead_ms",
                        json_integer(info->clock_ahead_ms));
    json_object_set_new(object, "schema_differs",
                        json_boolean(info->schema_differs));
    health_of_link(info, object);
    if (info->reason != NULL && info->reason[0] != '\0')
        json_object_set_new(object, "reason", text(info->reason));
    if (info->state == LINK_UP) {
        json_object_set_new(object, "heard_ms", json_integer(info->heard_ms));
        json_object_set_new(object, "peer_lacks",
                            lacks_object(node, info->believed));
        json_object_set_new(object, "we_lack",
                            lacks_here_object(node, info->believed));
    }
    return object;
}

static void warn_of_link(json_t *warnings, const struct link_info *info)
{
    const char *name = info->name[0] != '\0' ? info->name : info->endpoint;

    if (info->diverged)
        json_array_append_new(
            warnings,
            json_sprintf("%s has the same vector and another fingerprint: "
                         "grapevine verify DB --peer %s names the rows",
                         name,
                         info->endpoint[0] != '\0' ? info->endpoint : "EP"));
    if (info->clock_ahead_ms != 0)
        json_array_append_new(
            warnings,
            json_sprintf("the clock of this node is %lld s %s that of %s: what"
                         " %s writes is refused until time has caught up",
                         llabs(info->clock_ahead_ms) / 1000,
                         info->clock_ahead_ms > 0 ? "ahead of" : "behind",
                         name, info->clock_ahead_ms > 0 ? "this node" : "it"));
    if (info->state == LINK_REFUSED && !info->itself)
        json_array_append_new(warnings,
                              json_sprintf("the link with %s is refused: %s",
                                           name, info->reason));
}

static json_t *links_array(struct gv_node *node, json_t *warnings)
{
    json_t *array = json_array();
    size_t count = core_link_count(node->core);

    for (size_t i = 0; i < count; i++) {
        struct link_info info;

        core_link_info(node->core, i, loop_now(), &info);
        json_array_append_new(array, link_object(node, &info));
        warn_of_link(warnings, &info);
    }
    return array;
}

static json_t *counters_object(const struct core_counters *counters)
{
    json_t *object = json_object();

#define COUNTER(name)                                                         \
    json_object_set_new(object, #name,                                        \
                        json_integer((json_int_t)counters->name))
    COUNTER(news_sent);
    COUNTER(news_received);
    COUNTER(news_applied);
    COUNTER(news_duplicate);
    COUNTER(news_early);
    COUNTER(news_refused);
    COUNTER(forks);
    COUNTER(wants_sent);
    COUNTER(wants_received);
    COUNTER(deltas_applied);
    COUNTER(deltas_refused);
    COUNTER(delta_bytes_sent);
    COUNTER(delta_bytes_received);
    COUNTER(bad_messages);
    COUNTER(divergences);
    COUNTER(proofs);
    COUNTER(rows_differed);
    COUNTER(rows_mended);
#undef COUNTER
    return object;
}

json_t *status_of_error(const struct gv_error *error)
{
    json_t *object = json_object();

    json_object_set_new(object, "code", json_integer(error->code));
    json_object_set_new(object, "what", text(error->what));
    json_object_set_new(object, "meaning", text(error->meaning));
    json_object_set_new(object, "remedy", text(error->remedy));
    return object;
}

static void read_text(const json_t *json, const char *key, char *to,
                      size_t size)
{
    const char *value = json_string_value(json_object_get(json, key));

    snprintf(to, size, "%s", value != NULL ? value : "");
}

void status_read_error(const json_t *json, struct gv_error *error)
{
    error->code = (int)json_integer_value(json_object_get(json, "code"));
    read_text(json, "what", error->what, sizeof error->what);
    read_text(json, "meaning", error->meaning, sizeof error->meaning);
    read_text(json, "remedy", error->remedy, sizeof error->remedy);
}

static json_t *refusals_array(struct gv_node *node)
{
    json_t *array = json_array();

    refusals_prune(&node->refusals, core_vv(node->core));
    for (size_t i = 0; i < node->refusals.count; i++) {
        const struct refusal *refusal = &node->refusals.items[i];
        json_t *item = json_object();

        json_object_set_new(item, "from", text(refusal->from));
        json_object_set_new(item, "why", status_of_error(&refusal->why));
        json_object_set_new(item, "count",
                            json_integer((json_int_t)refusal->count));
        json_object_set_new(item, "last_ms", json_integer(refusal->last));
        json_array_append_new(array, item);
    }
    return array;
}

/* A program that keeps a transaction open stops all others that write. */
#define BUSY_WARNING_MS 5000

static void warn_of_lock(const struct gv_node *node, json_t *warnings)
{
    gv_time_ms busy_ms =
        node->busy_since == 0 ? 0 : loop_now() - node->busy_since;

    if (busy_ms >= BUSY_WARNING_MS)
        json_array_append_new(
            warnings,
            json_sprintf("another program has kept a writing transaction open"
                         " for %d s: nothing can be synced until it ends",
                         (int)(busy_ms / 1000)));
}

static void warn_of_damage(const struct gv_node *node, json_t *warnings)
{
    struct store_audit_state audit;

    store_audit_state(node->store, &audit);
    if (audit.damaged > 0)
        json_array_append_new(
            warnings,
            json_sprintf("the log of %llu row%s is damaged: nothing of %s is"
                         " sent; 'grapevine verify DB --peer EP --repair'"
                         " takes %s from a peer",
                         (unsigned long long)audit.damaged,
                         audit.damaged == 1 ? "" : "s",
                         audit.damaged == 1 ? "it" : "them",
                         audit.damaged == 1 ? "it" : "them"));
}

static void warn_of_withheld(const struct gv_node *node, json_t *warnings)
{
    const char *row;
    size_t count = store_withheld(node->store, &row);

    if (count > 0)
        json_array_append_new(
            warnings,
            json_sprintf("changes of %zu row%s stay here, since what is known"
                         " of the row before is damaged: %s%s; 'grapevine"
                         " verify DB --peer EP --repair' takes that from a"
                         " peer, and then they are sent",
                         count, count == 1 ? "" : "s", row,
                         count == 1 ? "" : " and others"));
}

static void warn_of_node(struct gv_node *node, json_t *warnings)
{
    warn_of_damage(node, warnings);
    warn_of_withheld(node, warnings);
    if (node->trouble.code != GV_OK)
        json_array_append_new(warnings, text(node->trouble.what));
    if (node->unkept != GV_OK)
        json_array_append_new(
            warnings,
            json_sprintf("what a peer sends could not be kept: %s; it is asked"
                         " for again, every few seconds",
                         gv_strerror(node->unkept)));
    warn_of_lock(node, warnings);
    if (node->watch.fd < 0)
        json_array_append_new(
            warnings, json_string("the system gave no file watch: changes "
                                  "are noticed once a second"));
    for (size_t i = 0; i < node->refusals.count; i++)
        json_array_append_new(warnings,
                              json_sprintf("refused %s: %s",
                                           node->refusals.items[i].from,
                                           node->refusals.items[i].why.what));
}

json_t *status_of_node(struct gv_node *node, struct gv_error *error)
{
    json_t *json = status_of_store(node->store, error);
    const char *endpoint = net_endpoint(node->net);
    json_t *warnings;

    if (json == NULL)
        return NULL;
    warnings = json_object_get(json, "warnings");
    json_object_set_new(json, "name", text(node->config.name));
    json_object_set_new(json, "running", json_true());
    json_object_set_new(json, "pid", json_integer(getpid()));
    json_object_set_new(json, "endpoint",
                        endpoint != NULL ? text(endpoint) : json_null());
    json_object_set_new(json, "summary", lacks_summary(node));
    json_object_set_new(json, "links", links_array(node, warnings));
    health_of_node(node, json, warnings);
    if (node->discovery.lan != NULL)
        json_object_set_new(json, "discovery",
                            discovery_object(&node->discovery, loop_now()));
    json_object_set_new(json, "known", lacks_known_array(node));
    json_object_set_new(json, "counters",
                        counters_object(core_counters(node->core)));
    json_object_set_new(json, "refusals", refusals_array(node));
    proving_status(node, json, warnings);
    warn_of_node(node, warnings);
    return json;
}

static void take_finding(void *context, const struct store_finding *finding)
{
    json_t *array = context;
    json_t *item;

    if (json_array_size(array) == STATUS_FINDINGS_MAX)
        return;
    item = json_object();
    json_object_set_new(item, "table", text(finding->table));
    json_object_set_new(item, "key", text(finding->key));
    json_object_set_new(item, "finding", text(finding->text));
    json_array_append_new(array, item);
}

json_t *status_of_accept(struct store *store, struct gv_error *error)
{
    uint64_t published;

    if (store_audit_accept(store, &published, error) != GV_OK)
        return NULL;
    return json_pack("{s:I}", "published", (json_int_t)published);
}

json_t *status_of_verify(struct store *store, struct gv_error *error)
{
    struct store_verified verified = {0};
    json_t *findings = json_array();
    json_t *json;

    if (store_verify(store, take_finding, findings, &verified, error) !=
        GV_OK) {
        json_decref(findings);
        return NULL;
    }
    json = json_object();
    json_object_set_new(json, "ok", json_boolean(verified.findings == 0));
    json_object_set_new(json, "rows", json_integer((json_int_t)verified.rows));
    json_object_set_new(json, "records",
                        json_integer((json_int_t)verified.records));
    json_object_set_new(json, "finding_count",
                        json_integer((json_int_t)verified.findings));
    json_object_set_new(json, "findings", findings);
    return json;
}
