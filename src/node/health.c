#include "node/health.h"

#include "node/loop.h"
#include "node/status.h"

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

static json_t *features_array(uint64_t features)
{
    json_t *array = json_array();

    for (uint64_t bit = 1; bit != 0; bit <<= 1) {
        if (features & FEATURES_ALL & bit)
            json_array_append_new(array,
                                  json_string(dialect_feature_name(bit)));
    }
    return array;
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
    if (info->agreed.version == 0)
        return;
    json_object_set_new(object, "protocol",
                        json_integer((json_int_t)info->agreed.version));
    json_object_set_new(object, "features",
                        features_array(info->agreed.features));
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

/* Who dials this node and is not let in: people would look for it here. */
static json_t *away_array(const struct gv_node *node, json_t *warnings)
{
    json_t *array = json_array();
    struct away_info info;

    for (size_t i = 0; core_away_info(node->core, i, loop_now(), &info); i++) {
        char site[33];

        site_format(&info.site, site);
        json_array_append_new(array,
                              json_pack("{s:o,s:s,s:o,s:I}", "name",
                                        status_text(info.name), "site", site,
                                        "reason", status_text(info.reason),
                                        "ago_ms", (json_int_t)info.ago_ms));
        json_array_append_new(
            warnings, json_sprintf("%s dialled this node and is refused: %s",
                                   info.name, info.reason));
    }
    return array;
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
    json_object_set_new(object, "protocol",
                        json_pack("{s:I,s:I,s:o}", "min",
                                  (json_int_t)status.dialect.min, "max",
                                  (json_int_t)status.dialect.max, "features",
                                  features_array(status.dialect.features)));
    json_object_set_new(object, "turned_away", away_array(node, warnings));
    warn_of_clock(&status, warnings);
    warn_of_refusals(node, warnings);
}
