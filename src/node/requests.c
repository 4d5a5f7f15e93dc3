/* What can be asked through the control socket:
 *
 *     {"op": "status"}               what `grapevine status --json` prints
 *     {"op": "verify"}               {"ok", "rows", "records", "findings", …}
 *     {"op": "accept"}               publish what the audit found:
 * {"published"}
 *     {"op": "track", "table": "t",
 *      "kinds": [["n", "counter"], ["note", "mv"]]}  {"notes": "…"}
 *     {"op": "blame", "table": "t", "key": ["ann"]}
 *                                    what `grapevine blame --json` prints
 *     {"op": "untrack", "table": "t", "purge": false}  {"notes": "…"}
 *     {"op": "stop"}                 {"stopping": true}
 *
 * An error is {"error": {"code", "what", "meaning", "remedy"}}. */
#include "node/blame.h"
#include "node/loop.h"
#include "node/status.h"
#include "node/tracking.h"

#include <string.h>

static json_t *ask_status(struct gv_node *node, const json_t *request,
                          struct gv_error *error)
{
    (void)request;
    return status_of_node(node, error);
}

static json_t *ask_verify(struct gv_node *node, const json_t *request,
                          struct gv_error *error)
{
    (void)request;
    return status_of_verify(node->store, error);
}

static json_t *ask_accept(struct gv_node *node, const json_t *request,
                          struct gv_error *error)
{
    struct store_audit again = {.due = 0, .resumed = true};
    json_t *answer = status_of_accept(node->store, error);

    (void)request;
    if (answer == NULL && error->code == GV_EMOVED) {
        loop_moved(node, error);
        error_remedy(error, "Try again: the node is opening it anew.");
    }
    if (answer != NULL) {
        loop_follow_audit(node, &again);
        writes_tell_sealed(node);
    }
    return answer;
}

static json_t *ask_track(struct gv_node *node, const json_t *request,
                         struct gv_error *error)
{
    const char *table = json_string_value(json_object_get(request, "table"));
    struct buffer notes;
    json_t *answer = NULL;
    int rc;

    buffer_init(&notes, CONTROL_LINE_MAX);
    rc = tracking_request(node->store, request, &notes, error);
    if (rc == GV_EMOVED) {
        loop_moved(node, error);
        error_remedy(error, "Try again: the node is opening it anew.");
    }
    if (rc == GV_OK) {
        answer = json_pack("{s:s%}", "notes",
                           notes.size > 0 ? (const char *)notes.data : "",
                           notes.size);
        node->write_wanted = true;
        node->schema_moved = true;
        writes_tell_sealed(node);
        log_line(&node->log, GV_LOG_INFO, "tracking %s", table);
    }
    buffer_close(&notes);
    return answer;
}

/* Names come with a HELLO: they are known of peers that are linked. */
static const char *name_of(void *context, const struct site *site)
{
    struct gv_node *node = context;
    size_t count = core_link_count(node->core);

    if (site_equal(site, store_site(node->store)))
        return node->config.name;
    for (size_t i = 0; i < count; i++) {
        struct link_info info;

        core_link_info(node->core, i, loop_now(), &info);
        if (site_equal(&info.site, site))
            return info.name;
    }
    return "";
}

static json_t *ask_blame(struct gv_node *node, const json_t *request,
                         struct gv_error *error)
{
    const char *table = json_string_value(json_object_get(request, "table"));

    if (table == NULL) {
        error_set(error, GV_EINVAL, "The request names no table.");
        return NULL;
    }
    return blame_of_store(node->store, table, json_object_get(request, "key"),
                          name_of, node, error);
}

static json_t *ask_untrack(struct gv_node *node, const json_t *request,
                           struct gv_error *error)
{
    const char *table = json_string_value(json_object_get(request, "table"));
    bool purge = json_is_true(json_object_get(request, "purge"));
    struct buffer notes;
    json_t *answer = NULL;

    if (table == NULL) {
        error_set(error, GV_EINVAL, "The request names no table.");
        return NULL;
    }
    buffer_init(&notes, CONTROL_LINE_MAX);
    if (store_untrack(node->store, table, purge, &notes, error) == GV_OK) {
        answer = json_pack("{s:s%}", "notes",
                           notes.size > 0 ? (const char *)notes.data : "",
                           notes.size);
        node->write_wanted = true;
        node->schema_moved = true;
        writes_tell_sealed(node);
        log_line(&node->log, GV_LOG_INFO, "%s %s",
                 purge ? "forgetting" : "no longer tracking", table);
    }
    buffer_close(&notes);
    return answer;
}

static json_t *ask_stop(struct gv_node *node, const json_t *request,
                        struct gv_error *error)
{
    (void)request;
    (void)error;
    node->stopping = true;
    return json_pack("{s:b}", "stopping", 1);
}

static const struct {
    const char *op;
    json_t *(*ask)(struct gv_node *node, const json_t *request,
                   struct gv_error *error);
} operations[] = {
    {"status", ask_status}, {"verify", ask_verify},   {"accept", ask_accept},
    {"track", ask_track},   {"untrack", ask_untrack}, {"blame", ask_blame},
    {"stop", ask_stop},
};

static json_t *ask(struct gv_node *node, const json_t *request,
                   struct gv_error *error)
{
    const char *op = json_string_value(json_object_get(request, "op"));

    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        if (op != NULL && strcmp(op, operations[i].op) == 0)
            return operations[i].ask(node, request, error);
    }
    error_set(error, GV_EINVAL, "The request is not one that is known.");
    error_meaning(error, "A request is a line such as {\"op\": \"status\"}; "
                         "there are status, verify, accept, track, untrack, "
                         "blame and "
                         "stop.");
    return NULL;
}

char *requests_answer(void *context, const char *line, size_t size)
{
    struct gv_node *node = context;
    struct gv_error error = {0};
    json_error_t syntax;
    json_t *request = json_loadb(line, size, 0, &syntax);
    json_t *answer = ask(node, request, &error);
    char *text;

    if (answer == NULL)
        answer = json_pack("{s:o}", "error", status_of_error(&error));
    text = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    json_decref(request);
    return text;
}
