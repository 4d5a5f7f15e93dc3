/* What a play cost, from what the nodes counted. */
#include "scale_state.h"

#include "base/assert.h"

#include <stdlib.h>

static int compare_latencies(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void print_latencies(uint32_t *latencies, size_t count,
                            const char *title, FILE *out)
{
    if (count == 0)
        return;
    qsort(latencies, count, sizeof *latencies, compare_latencies);
    fprintf(out, "  %-36s %10.1f %10.1f %10.1f\n", title,
            latencies[count / 2] / 10.0, latencies[count * 99 / 100] / 10.0,
            latencies[count - 1] / 10.0);
}

static void print_times(struct scale *scale, FILE *out)
{
    size_t count = scale->operation_count;
    uint32_t *to_all = calloc(count + 1, sizeof *to_all);
    size_t complete = 0;
    double after = (double)(scale->ended - scale->healed) / SIM_SECOND;

    GV_ASSERT(to_all != NULL);
    for (size_t i = 0; i < count; i++) {
        const struct operation *operation = &scale->operations[i];
        if (operation->arrived == scale->count - 1)
            to_all[complete++] =
                (uint32_t)((operation->last - operation->written) / 100);
    }
    fprintf(out,
            "  all held by all %.3f s after the %s: %.1f heartbeats, %.1f "
            "path delays\n",
            after, scale->scenario->split ? "halves met" : "last operation",
            after * 1000 / CORE_HEARTBEAT_MS,
            after * SIM_SECOND /
                (double)(scale->scenario->path + scale->scenario->jitter));
    fprintf(out, "  %-36s %10s %10s %10s\n", "latency, ms", "median", "p99",
            "maximum");
    print_latencies(scale->latencies, scale->latency_count,
                    "of an operation to a node", out);
    print_latencies(to_all, complete, "of an operation to all nodes", out);
    free(to_all);
}

static struct core_counters all_counters(const struct scale *scale)
{
    struct core_counters all = {0};

    for (size_t i = 0; i < scale->count; i++) {
        const struct core_counters *counters =
            core_counters(machine_core(scale->origins[i].machine));
        all.news_received += counters->news_received;
        all.news_duplicate += counters->news_duplicate;
        all.news_early += counters->news_early;
        all.news_in_time += counters->news_in_time;
        all.news_sent += counters->news_sent;
        all.news_frames += counters->news_frames;
        all.wants_sent += counters->wants_sent;
        all.wants_by_news += counters->wants_by_news;
        all.wants_lost += counters->wants_lost;
        all.deltas_applied += counters->deltas_applied;
        all.divergences += counters->divergences;
        all.forks += counters->forks;
    }
    return all;
}

/* Copies that a node got of each interval, by news, from publication 100 on.
 */
static double warm_copies(const struct scale *scale)
{
    double wanted = (double)scale->warm_intervals * (double)(scale->count - 1);

    GV_ASSERT(scale->intervals >= scale->warm_intervals);
    return wanted > 0 ? (double)scale->warm_received / wanted : 0;
}

static void print_copies(const struct scale *scale, FILE *out)
{
    struct core_counters all = all_counters(scale);
    double wanted = (double)scale->intervals * (double)(scale->count - 1);
    uint64_t in_deltas = 0;

    for (size_t i = 0; i < scale->count; i++)
        in_deltas += model_received(machine_keeper(scale->origins[i].machine));
    fprintf(out,
            "  copies of an interval received by a node: %.2f by news (%.2f "
            "from publication 100 on), %.2f in deltas\n",
            (double)all.news_received / wanted, warm_copies(scale),
            (double)in_deltas / wanted);
    fprintf(out,
            "  of those by news %.3f came early, and for %.3f what they "
            "waited for came; %.1f intervals a frame\n",
            (double)all.news_early / wanted, (double)all.news_in_time / wanted,
            (double)all.news_sent / (double)(all.news_frames + 1));
    fprintf(out,
            "  wants %llu, answered by news %llu, lost %llu, deltas %llu, "
            "divergences %llu, forks %llu\n",
            (unsigned long long)all.wants_sent,
            (unsigned long long)all.wants_by_news,
            (unsigned long long)all.wants_lost,
            (unsigned long long)all.deltas_applied,
            (unsigned long long)all.divergences,
            (unsigned long long)all.forks);
}

static const char *const kinds[MESSAGE_KIND_MAX + 1] = {
    [MESSAGE_HELLO] = "HELLO", [MESSAGE_NEWS] = "NEWS",
    [MESSAGE_VV] = "VV",       [MESSAGE_WANT] = "WANT",
    [MESSAGE_DELTA] = "DELTA", [MESSAGE_ACK] = "ACK",
    [MESSAGE_PRUNE] = "PRUNE", [MESSAGE_PEERS] = "PEERS",
    [MESSAGE_BYE] = "BYE",     [MESSAGE_CHECK] = "CHECK",
    [MESSAGE_PROOF] = "PROOF"};

static struct traffic traffic_between(const struct traffic *from,
                                      const struct traffic *to)
{
    struct traffic between_them = *to;

    for (size_t kind = 0; kind <= MESSAGE_KIND_MAX; kind++) {
        between_them.frames[kind] -= from->frames[kind];
        between_them.bytes[kind] -= from->bytes[kind];
    }
    return between_them;
}

static double per_second(const struct scale *scale, uint64_t total,
                         sim_time from, sim_time to)
{
    return (double)total * SIM_SECOND / (double)(to - from) /
           (double)scale->count;
}

void scale_summary(const struct scale *scale, char *text, size_t size)
{
    struct traffic busy = traffic_between(&scale->idle, &scale->busy);
    uint64_t frames = 0;

    for (size_t kind = MESSAGE_HELLO; kind <= MESSAGE_BYE; kind++)
        frames += busy.frames[kind];
    (void)snprintf(text, size, "%s: %.1f frames an operation, %.2f copies",
                   scale->scenario->name,
                   (double)frames / (double)scale->operation_count,
                   warm_copies(scale));
}

static void print_messages(const struct scale *scale, FILE *out)
{
    struct traffic busy = traffic_between(&scale->idle, &scale->busy);
    double operations = (double)scale->operation_count;
    double nodes = (double)scale->count;
    uint64_t frames = 0, bytes = 0;

    fprintf(out, "  %-8s %14s %14s %18s\n", "message", "frames a node",
            "bytes a node", "frames an operation");
    for (size_t kind = MESSAGE_HELLO; kind <= MESSAGE_KIND_MAX; kind++) {
        frames += busy.frames[kind];
        bytes += busy.bytes[kind];
        if (busy.frames[kind] > 0)
            fprintf(out, "  %-8s %14.1f %14.0f %18.2f\n", kinds[kind],
                    (double)busy.frames[kind] / nodes,
                    (double)busy.bytes[kind] / nodes,
                    (double)busy.frames[kind] / operations);
    }
    fprintf(out, "  %-8s %14.1f %14.0f %18.2f\n", "all",
            (double)frames / nodes, (double)bytes / nodes,
            (double)frames / operations);
}

static void print_vectors(const struct scale *scale, FILE *out)
{
    struct traffic busy = traffic_between(&scale->idle, &scale->busy);
    struct traffic rest = traffic_between(&scale->busy, &scale->rest);
    sim_time middle = scale->rest_began, end = world_now(scale->world);
    uint64_t frames = rest.frames[MESSAGE_VV], bytes = rest.bytes[MESSAGE_VV];

    fprintf(out,
            "  bytes of VV a node and second: %.0f while written, %.0f at "
            "rest (%.1f frames, %.0f bytes each)\n",
            per_second(scale, busy.bytes[MESSAGE_VV], scale->began, middle),
            per_second(scale, bytes, middle, end),
            per_second(scale, frames, middle, end),
            frames > 0 ? (double)bytes / (double)frames : 0);
}

void scale_print(struct scale *scale, FILE *out)
{
    fprintf(out,
            "%s: %zu nodes, %s; %zu operations (%zu intervals), %.1f links a "
            "node\n",
            scale->scenario->name, scale->count, scale->scenario->what,
            scale->operation_count, scale->intervals,
            (double)scale->links / (double)scale->count);
    if (scale->scenario->find)
        fprintf(out, "  links of a node: from %zu to %zu\n", scale->links_min,
                scale->links_max);
    if (!scale_all_arrived(scale))
        fprintf(out, "  NOT EVERYTHING ARRIVED: %zu of %zu\n",
                scale->latency_count,
                scale->operation_count * (scale->count - 1));
    print_times(scale, out);
    print_copies(scale, out);
    print_messages(scale, out);
    print_vectors(scale, out);
}
