#include "node/proving.h"

#include "node/loop.h"
#include "node/status.h"

#include <stdio.h>
#include <string.h>

/* The link that is up with the peer at @endpoint, and what was @agreed on it;
 * *@known: it is dialled, or tried. */
static gv_link find_link(const struct gv_node *node, const char *endpoint,
                         bool *known, struct agreed *agreed)
{
    *known = false;
    for (size_t i = 0; i < core_link_count(node->core); i++) {
        struct link_info info;

        core_link_info(node->core, i, loop_now(), &info);
        if (strcmp(info.endpoint, endpoint) != 0 &&
            strcmp(info.name, endpoint) != 0)
            continue;
        *known = true;
        *agreed = info.agreed;
        if (info.state == LINK_UP)
            return info.link;
    }
    return 0;
}

/* Longer than who asks is away between two questions. */
#define VISIT_MS 5000

static void visit_end(struct gv_node *node)
{
    struct visited *visited = &node->visited;

    if (visited->endpoint[0] != '\0')
        core_drop_peer(node->core, visited->endpoint);
    visited->endpoint[0] = '\0';
}

void proving_turn(struct gv_node *node)
{
    if (loop_now() - node->visited.asked_at >= VISIT_MS &&
        !core_prove_pending(node->core))
        visit_end(node);
}

static int visit(struct gv_node *node, const char *peer,
                 struct gv_error *error)
{
    int rc = config_check_endpoint("--peer", peer, false,
                                   node->config.insecure, error);

    if (rc != GV_OK)
        return rc;
    visit_end(node);
    rc = core_add_peer(node->core, peer);
    if (rc == GV_OK)
        snprintf(node->visited.endpoint, sizeof node->visited.endpoint, "%s",
                 peer);
    if (rc == GV_OK || rc == GV_EEXIST)
        return GV_OK;
    return error_set(error, rc, "%s cannot be dialled: %s.", peer,
                     gv_strerror(rc));
}

json_t *proving_begin(struct gv_node *node, const json_t *request,
                      struct gv_error *error)
{
    const char *peer = json_string_value(json_object_get(request, "peer"));
    struct event event = {.kind = EVENT_PROVE};
    uint64_t number = node->proofs.asked_count + 1;
    struct agreed agreed = {0};
    bool known;

    if (peer == NULL) {
        error_set(error, GV_EINVAL, "The request names no peer.");
        return NULL;
    }
    event.link = find_link(node, peer, &known, &agreed);
    node->visited.asked_at = loop_now();
    if (!known && visit(node, peer, error) != GV_OK)
        return NULL;
    if (event.link == 0)
        return json_pack("{s:b}", "started", 0);
    if (!(agreed.features & FEATURE_PROOFS)) {
        error_set(error, GV_EVERSION,
                  "%s cannot be compared with: its release is too old.", peer);
        return NULL;
    }
    event.as.prove.mend = json_is_true(json_object_get(request, "repair"));
    loop_feed(node, &event);
    return json_pack("{s:b, s:I}", "started", 1, "number", (json_int_t)number);
}

static json_t *findings_array(const struct proof *proof)
{
    json_t *array = json_array();
    struct proof_finding finding;

    for (size_t i = 0; proof_finding(proof, i, &finding); i++) {
        json_t *item = json_object();

        json_object_set_new(item, "table", status_text(finding.table));
        json_object_set_new(item, "key", status_text(finding.key));
        json_object_set_new(item, "finding", status_text(finding.text));
        json_object_set_new(item, "mended", json_boolean(finding.mended));
        json_array_append_new(array, item);
    }
    return array;
}

/* Whether all that this file holds was compared. */
static bool is_all(const struct vv *vv, struct vv_view meet)
{
    bool all = vv->count == meet.count;

    for (size_t i = 0; i < vv->count && all; i++)
        all = vv->entries[i].version == vv_view_at(meet, i).version;
    return all;
}

/* The last comparison, as people are told of it. */
static json_t *shown_object(const struct gv_node *node)
{
    const struct proofs *proofs = &node->proofs;
    struct vv_view meet = {proofs->shown_meet.data,
                           proofs->shown_meet.size / VV_ENTRY_SIZE};
    json_t *json = json_object();

    json_object_set_new(json, "peer", status_text(proofs->shown_peer));
    json_object_set_new(json, "compared", status_of_vv(meet));
    json_object_set_new(json, "all",
                        json_boolean(is_all(store_vv(node->store), meet)));
    json_object_set_new(json, "differ",
                        json_integer((json_int_t)proof_differ(proofs->shown)));
    json_object_set_new(json, "mended",
                        json_integer((json_int_t)proof_mended(proofs->shown)));
    json_object_set_new(json, "findings", findings_array(proofs->shown));
    return json;
}

json_t *proving_state(struct gv_node *node, const json_t *request,
                      struct gv_error *error)
{
    const struct proofs *proofs = &node->proofs;
    json_int_t number = json_integer_value(json_object_get(request, "number"));
    json_t *json;

    node->visited.asked_at = loop_now();
    if (number <= 0 || (json_int_t)proofs->asked_ended < number) {
        if (core_prove_pending(node->core))
            return json_pack("{s:b}", "ended", 0);
        error_set(error, GV_EBUSY,
                  "The link with the peer ended before it was compared.");
        return NULL;
    }
    if (proofs->shown == NULL) {
        *error = proofs->shown_why;
        if (error->code == GV_OK)
            error_set(error, GV_EBUSY, "The comparison was given up.");
        return NULL;
    }
    json = shown_object(node);
    json_object_set_new(json, "ended", json_true());
    return json;
}

void proving_status(struct gv_node *node, json_t *json, json_t *warnings)
{
    const struct proofs *proofs = &node->proofs;
    uint64_t left;

    if (proofs->shown == NULL)
        return;
    left = proof_differ(proofs->shown) - proof_mended(proofs->shown);
    left -= left < proofs->mended_since ? left : proofs->mended_since;
    json_object_set_new(json, "proof", shown_object(node));
    if (left > 0)
        json_array_append_new(
            warnings,
            json_sprintf("%llu row%s other than on %s: 'grapevine verify DB"
                         " --peer' names them, with --repair it makes them"
                         " equal",
                         (unsigned long long)left, left == 1 ? " is" : "s are",
                         proofs->shown_peer));
}
