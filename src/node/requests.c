/* What can be asked through the control socket:
 *
 *     {"op": "status"}               what `grapevine status --json` prints
 *     {"op": "verify"}               {"ok", "rows", "records", "findings", …}
 *     {"op": "accept"}               publish what the audit found, with
 *                                    {"published"}
 *     {"op": "track", "table": "t",
 *      "kinds": [["n", "counter"], ["note", "mv"]]}  {"notes": "…"}
 *     {"op": "blame", "table": "t", "key": ["ann"]}
 *                                    what `grapevine blame --json` prints
 *     {"op": "untrack", "table": "t", "purge": false}  {"notes": "…"}
 *     {"op": "level", "peers": 2}    {"level": true, "summary", "lacking"}
 *     {"op": "watch"}                {"watching": true}, then a line for all
 *                                    that happens
 *     {"op": "prove", "peer": "tcp://…", "repair": false}
 *                                    begin to compare: {"started", …}
 *     {"op": "proof"}                what became of it
 *     {"op": "stop"}                 {"stopping": true}
 *
 * An error is {"error": {"code", "what", "meaning", "remedy"}}. */
#include "node/blame.h"
#include "node/lacks.h"
#include "node/loop.h"
#include "node/proving.h"
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

static const char *name_of(void *context, const struct site *site)
{
    return status_name_of(context, site);
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

/* Whether this file and its peers hold the same; @peers are to be linked. */
static json_t *ask_level(struct gv_node *node, const json_t *request,
                         struct gv_error *error)
{
    json_int_t peers = json_integer_value(json_object_get(request, "peers"));
    json_t *lacking = lacks_sentences(node, peers > 0 ? (size_t)peers : 0);

    (void)error;
    return json_pack("{s:b, s:o, s:o}", "level", json_array_size(lacking) == 0,
                     "summary", lacks_summary(node), "lacking", lacking);
}

static json_t *ask_watch(struct gv_node *node, const json_t *request,
                         struct gv_error *error)
{
    (void)request;
    if (control_watchers(node->control) < CONTROL_WATCHERS_MAX) {
        events_begin(node);
        return json_pack("{s:b, s:o}", "watching", 1, "summary",
                         lacks_summary(node));
    }
    error_set(error, GV_ELIMIT, "%d others watch this node already.",
              CONTROL_WATCHERS_MAX);
    error_remedy(error, "End one of them.");
    return NULL;
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
    {"status", ask_status},   {"verify", ask_verify},   {"accept", ask_accept},
    {"track", ask_track},     {"untrack", ask_untrack}, {"blame", ask_blame},
    {"level", ask_level},     {"watch", ask_watch},     {"stop", ask_stop},
    {"prove", proving_begin}, {"proof", proving_state},
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
                         "blame, level, watch, prove, proof and stop.");
    return NULL;
}

char *requests_answer(void *context, const char *line, size_t size,
                      bool *watches)
{
    struct gv_node *node = context;
    struct gv_error error = {0};
    json_error_t syntax;
    json_t *request = json_loadb(line, size, 0, &syntax);
    json_t *answer = ask(node, request, &error);
    char *text;

    *watches |= json_is_true(json_object_get(answer, "watching"));
    if (answer == NULL)
        answer = json_pack("{s:o}", "error", status_of_error(&error));
    text = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    json_decref(request);
    return text;
}
