#include "node/health.h"

#include "node/loop.h"

#include <stdlib.h>

static const char *refusal_name(enum beat_refusal refusal)
{
    switch (refusal) {
    case REFUSES_SCHEMA:
        return "schema";
    case REFUSES_CLOCK:
        return "clock";
    case REFUSES_NOTHING:
    case REFUSALS:
        break;
    }
    return "";
}

void health_of_link(const struct link_info *info, json_t *object)
{
    json_object_set_new(object, "rtt_ms",
                        info->rtt_ms >= 0 ? json_integer(info->rtt_ms)
                                          : json_null());
    json_object_set_new(object, "offset_ms", json_integer(info->offset_ms));
    json_object_set_new(object, "retry_ms", json_integer(info->retry_ms));
    json_object_set_new(object, "peer_refuses",
                        json_string(refusal_name(info->peer_refuses)));
    json_object_set_new(object, "peer_retry_ms",
                        json_integer(info->peer_retry_ms));
}

static const char *view_name(const struct gv_node *node, bool narrow)
{
    if (node->config.static_peers)
        return "static";
    return narrow ? "some" : "all";
}

static void warn_of_clock(const struct core_status *status, json_t *warnings)
{
    gv_time_ms ahead = status->clock_ahead_ms;

    if (status->clocks < 2 || llabs(ahead) <= CORE_CLOCK_WARN_MS)
        return;
    json_array_append_new(
        warnings,
        json_sprintf("the clock of this node is %lld s %s those of"
                     " most of its %d peers: set it",
                     llabs(ahead) / 1000, ahead > 0 ? "ahead of" : "behind",
                     (int)status->clocks));
}

static void warn_of_refusals(const struct gv_node *node, json_t *warnings)
{
    for (size_t i = 0; i < core_link_count(node->core); i++) {
        struct link_info info;

        core_link_info(node->core, i, loop_now(), &info);
        if (info.peer_refuses != REFUSES_CLOCK)
            continue;
        json_array_append_new(
            warnings,
            json_sprintf("%.255s refuses what this node has, which"
                         " lies too far ahead of its clock; it tries"
                         " again in %lld s",
                         info.name, (long long)info.peer_retry_ms / 1000));
    }
}

void health_of_node(const struct gv_node *node, json_t *object,
                    json_t *warnings)
{
    struct core_status status;

    core_status(node->core, &status);
    json_object_set_new(object, "peers",
                        json_pack("{s:I,s:I,s:s}", "known",
                                  (json_int_t)status.known, "linked",
                                  (json_int_t)status.links_up, "view",
                                  view_name(node, status.narrow)));
    json_object_set_new(object, "clock",
                        json_pack("{s:I,s:I}", "peers",
                                  (json_int_t)status.clocks, "ahead_ms",
                                  (json_int_t)status.clock_ahead_ms));
    warn_of_clock(&status, warnings);
    warn_of_refusals(node, warnings);
}
