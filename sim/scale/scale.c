/* A scenario is played in four parts: the nodes link, programs write at random
 * nodes, the news reach all (or not), and then all rest for a while.
 *
 * A write is one operation.  It has reached a node when that node's core knows
 * that its store holds it. */
#include "scale.h"

#include "base/assert.h"
#include "scale_state.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINK_TIME (10 * SIM_SECOND)
#define FIND_TIME (150 * SIM_SECOND)
#define REST_TIME (20 * SIM_SECOND)
/* Vectors and acknowledgements are still told after the last arrival. */
#define CALM_TIME (5 * SIM_SECOND)
#define PATIENCE (600 * SIM_SECOND)
#define SPLIT_TIME (3600 * SIM_SECOND)
#define WORK_MAX SIM_MS
#define WRITE_SIZE 100

/* From this publication on trees are expected to stand. */
#define WARM_OPERATIONS 100

static const struct scenario scenarios[] = {
    {.name = "lan",
     .what = "1 ms paths, 8 dials each, 40 of them write",
     .nodes = 200,
     .topology = TOPOLOGY_RANDOM,
     .dials = 8,
     .path = SIM_MS,
     .operations = 400,
     .gap = 50 * SIM_MS,
     .writers = 40},
    {.name = "wan",
     .what = "60 ms mean paths, 2 % of the packets lost and sent again by "
             "TCP, 4 dials each, 30 of them write",
     .nodes = 1000,
     .topology = TOPOLOGY_RANDOM,
     .dials = 4,
     .path = 30 * SIM_MS,
     .jitter = 30 * SIM_MS,
     .resend = 20000,
     .operations = 400,
     .gap = 100 * SIM_MS,
     .writers = 30},
    {.name = "drops",
     .what = "as wan, but 2 % of the frames vanish, which TCP does not do",
     .nodes = 1000,
     .topology = TOPOLOGY_RANDOM,
     .dials = 4,
     .path = 30 * SIM_MS,
     .jitter = 30 * SIM_MS,
     .lose = 20000,
     .operations = 400,
     .gap = 100 * SIM_MS,
     .writers = 30},
    {.name = "split",
     .what = "full mesh, 10 ms paths, two halves for an hour",
     .nodes = 50,
     .topology = TOPOLOGY_FULL,
     .path = 10 * SIM_MS,
     .operations = 400,
     .gap = 9 * SIM_SECOND,
     .split = true},
    {.name = "view",
     .what = "10 ms paths; each knows one other, a third dies and comes "
             "back, 30 of them write",
     .nodes = 150,
     .topology = TOPOLOGY_SEED,
     .path = 10 * SIM_MS,
     .operations = 600,
     .gap = 50 * SIM_MS,
     .writers = 30,
     .find = true},
/* Gossip Glomers 3d and 3e: 20 s of 50 writes a second. */
#define GLOMERS(title, text, shape, links)                                    \
    {                                                                         \
        .name = "glomers-" title, .what = "100 ms paths, " text, .nodes = 25, \
        .topology = shape, .dials = links, .path = 100 * SIM_MS,              \
        .operations = 1000, .gap = 20 * SIM_MS                                \
    }
    GLOMERS("line", "a line", TOPOLOGY_LINE, 0),
    GLOMERS("ring", "a ring", TOPOLOGY_RANDOM, 1),
    GLOMERS("grid", "a grid of 5 by 5", TOPOLOGY_GRID, 0),
    GLOMERS("tree", "a tree with 4 children each", TOPOLOGY_TREE, 0),
    GLOMERS("random", "3 dials each", TOPOLOGY_RANDOM, 3),
    GLOMERS("full", "everybody with everybody", TOPOLOGY_FULL, 0),
};
#define SCENARIOS (sizeof scenarios / sizeof scenarios[0])

/* What arrives */

static int compare_sites(const void *a, const void *b, void *context)
{
    const struct origin *origins = context;

    return site_compare(&origins[*(const size_t *)a].site,
                        &origins[*(const size_t *)b].site);
}

static struct origin *origin_of(struct scale *scale, const struct site *site)
{
    size_t low = 0, high = scale->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct origin *origin = &scale->origins[scale->by_site[middle]];
        int order = site_compare(&origin->site, site);
        if (order == 0)
            return origin;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    GV_ASSERT(low < high);
    return NULL;
}

/* What halves that did not meet could not do is nobody's delay. */
static sim_time wait_begin(const struct scale *scale,
                           const struct operation *operation)
{
    return scale->scenario->split && operation->written < scale->healed
               ? scale->healed
               : operation->written;
}

static void arrive(struct scale *scale, size_t node, const struct site *site,
                   gv_version version)
{
    struct origin *origin = origin_of(scale, site);
    size_t from = (size_t)(origin - scale->origins);
    uint32_t *reached = &scale->reached[node * scale->count + from];

    for (; *reached < origin->sealed; (*reached)++) {
        struct operation *operation =
            &scale->operations[origin->operations[*reached]];
        if (operation->to > version)
            return;
        operation->arrived++;
        operation->last = world_now(scale->world);
        scale->latencies[scale->latency_count] =
            (uint32_t)((operation->last - operation->written) / 100);
        scale->waits[scale->latency_count++] =
            (uint32_t)((operation->last - wait_begin(scale, operation)) / 100);
    }
}

/* Copies of what was published first are those by which nodes find their
 * trees; they are counted apart. */
static void receive_copies(struct scale *scale,
                           const struct message_news *news)
{
    for (size_t i = 0; i < news->interval_count; i++) {
        const struct interval *interval = &news->intervals[i];
        const struct origin *origin = origin_of(scale, &interval->site);
        size_t low = 0, high = origin->sealed;

        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (scale->operations[origin->operations[middle]].to <
                interval->to)
                low = middle + 1;
            else
                high = middle;
        }
        GV_ASSERT(low < origin->sealed);
        if (origin->operations[low] >= WARM_OPERATIONS)
            scale->warm_received++;
    }
}

static void on_stepped(void *context, struct machine *machine,
                       const struct event *event)
{
    struct scale *scale = context;
    size_t node = machine_index(machine);

    if (event->kind == EVENT_MESSAGE &&
        event->as.message.message->kind == MESSAGE_NEWS)
        receive_copies(scale, &event->as.message.message->as.news);
    if (event->code != GV_OK)
        return;
    if (event->kind == EVENT_APPLIED) {
        arrive(scale, node, &event->as.applied.interval.site,
               event->as.applied.interval.to);
    } else if (event->kind == EVENT_DELTA_APPLIED) {
        struct vv_view vv = event->as.delta_applied.vv;
        for (size_t i = 0; i < vv.count; i++) {
            struct vv_entry entry = vv_view_at(vv, i);
            arrive(scale, node, &entry.site, entry.version);
        }
    }
}

/* All that was written at the node so far stands in what it sealed now. */
static void on_committed(void *context, struct machine *machine,
                         const struct store_sealed *sealed)
{
    struct scale *scale = context;
    size_t node = machine_index(machine);
    struct origin *origin = &scale->origins[node];

    if (!sealed->any)
        return;
    GV_ASSERT(origin->sealed < origin->count);
    scale->intervals++;
    if (origin->operations[origin->sealed] >= WARM_OPERATIONS)
        scale->warm_intervals++;
    for (; origin->sealed < origin->count; origin->sealed++)
        scale->operations[origin->operations[origin->sealed]].to =
            sealed->interval.to;
    scale->reached[node * scale->count + node] = (uint32_t)origin->sealed;
}

static void on_machine(void *context, struct machine *machine)
{
    (void)context;
    (void)machine;
}

static void on_sending(void *context, struct machine *machine, gv_link link,
                       const struct message *message)
{
    (void)context;
    (void)machine;
    (void)link;
    (void)message;
}

/* The network's listener */

static void on_up(void *context, size_t node, gv_link link)
{
    struct scale *scale = context;

    machine_take_up(scale->origins[node].machine, link);
}

static void on_down(void *context, size_t node, gv_link link,
                    const char *reason)
{
    struct scale *scale = context;

    machine_take_down(scale->origins[node].machine, link, reason);
}

static void on_frame(void *context, size_t node, gv_link link,
                     const uint8_t *bytes, size_t size)
{
    struct scale *scale = context;

    machine_take_frame(scale->origins[node].machine, link, bytes, size);
}

/* Making a mesh */

static void *make(size_t count, size_t size)
{
    void *made = calloc(count + 1, size);

    GV_ASSERT(made != NULL);
    return made;
}

static void start_machine(void *context, uint64_t node)
{
    struct scale *scale = context;

    machine_start(scale->origins[node].machine);
}

static void make_machine(struct scale *scale, size_t node,
                         const struct machine_watcher *watcher)
{
    const struct scenario *scenario = scale->scenario;
    struct random *random = world_random(scale->world, STREAM_SCRIPT);
    bool small = scenario->topology == TOPOLOGY_RANDOM &&
                 scale->count <= CORE_PEERS_MAX && scenario->nodes > 64;
    struct machine_options options = {.index = node,
                                      .world = scale->world,
                                      .network = scale->network,
                                      .watcher = watcher,
                                      .model = true,
                                      .exchange = scenario->find};
    struct origin *origin = &scale->origins[node];

    options.peer_count =
        topology_peers(small ? TOPOLOGY_FULL : scenario->topology, node,
                       scale->count, scenario->dials, random, options.peers);
    origin->machine = machine_new(&options);
    machine_set_work(origin->machine, WORK_MAX);
    origin->site = *machine_keeper(origin->machine)
                        ->methods->site(machine_keeper(origin->machine));
    origin->operations =
        make(scenario->operations, sizeof *origin->operations);
    scale->by_site[node] = node;
    world_at(scale->world, between(random, 0, SIM_SECOND), start_machine,
             scale, node);
}

static void make_mesh(struct scale *scale, uint64_t seed,
                      struct machine_watcher *watcher)
{
    const struct scenario *scenario = scale->scenario;
    struct network_listener listener = {scale, on_up, on_down, on_frame};
    struct network_faults faults = {.lose = scenario->lose,
                                    .resend = scenario->resend,
                                    .jitter = scenario->jitter};
    size_t count = scale->count, operations = scenario->operations;

    *watcher = (struct machine_watcher){scale,        on_machine, on_machine,
                                        on_committed, on_sending, on_stepped,
                                        on_machine};
    scale->world = world_new(seed);
    GV_ASSERT(scale->world != NULL);
    scale->network =
        network_new(scale->world, count, scenario->path, &listener);
    network_set_faults(scale->network, &faults);
    scale->origins = make(count, sizeof *scale->origins);
    scale->by_site = make(count, sizeof *scale->by_site);
    scale->reached = make(count * count, sizeof *scale->reached);
    scale->operations = make(operations, sizeof *scale->operations);
    scale->latencies = make(operations * count, sizeof *scale->latencies);
    scale->waits = make(operations * count, sizeof *scale->waits);
    for (size_t i = 0; i < count; i++)
        make_machine(scale, i, watcher);
    qsort_r(scale->by_site, count, sizeof *scale->by_site, compare_sites,
            scale->origins);
}

static void free_mesh(struct scale *scale)
{
    for (size_t i = 0; i < scale->count; i++) {
        machine_free(scale->origins[i].machine);
        free(scale->origins[i].operations);
    }
    network_free(scale->network);
    world_free(scale->world);
    free(scale->origins);
    free(scale->by_site);
    free(scale->reached);
    free(scale->operations);
    free(scale->latencies);
    free(scale->waits);
}

/* The parts of a play */

static void run_for(struct scale *scale, sim_time time)
{
    sim_time until = world_now(scale->world) + time;

    while (world_step(scale->world, until))
        ;
}

static struct traffic traffic_now(const struct scale *scale)
{
    struct traffic traffic = {{0}, {0}};

    for (size_t i = 0; i < scale->count; i++) {
        const struct machine_sent *sent =
            machine_sent(scale->origins[i].machine);
        for (size_t kind = 0; kind <= MESSAGE_KIND_MAX; kind++) {
            traffic.frames[kind] += sent->frames[kind];
            traffic.bytes[kind] += sent->bytes[kind];
        }
    }
    return traffic;
}

static void write_one(void *context, uint64_t node)
{
    struct scale *scale = context;
    struct origin *origin = &scale->origins[node];
    struct operation *operation = &scale->operations[scale->operation_count];

    operation->node = node;
    operation->written = world_now(scale->world);
    origin->operations[origin->count++] = scale->operation_count++;
    machine_write(origin->machine, WRITE_SIZE);
}

/* Returns when the last operation is done. */
static sim_time plan_writes(struct scale *scale)
{
    const struct scenario *scenario = scale->scenario;
    struct random *random = world_random(scale->world, STREAM_SCRIPT);
    sim_time when = world_now(scale->world);
    size_t writers = scenario->writers > 0 && scenario->writers < scale->count
                         ? scenario->writers
                         : scale->count;

    for (size_t i = 0; i < scenario->operations; i++) {
        when += exponential(random, scenario->gap);
        if (scenario->split && when > scale->began + SPLIT_TIME)
            when = scale->began + SPLIT_TIME;
        world_at(scale->world, when, write_one, scale,
                 random_below(random, writers));
    }
    return when;
}

/* Halves know nothing of one another. */
static void split(struct scale *scale)
{
    size_t half = scale->count / 2;

    for (size_t a = 0; a < half; a++) {
        for (size_t b = half; b < scale->count; b++) {
            network_block(scale->network, a, b, true, false);
            network_block(scale->network, b, a, true, false);
        }
    }
}

bool scale_all_arrived(const struct scale *scale)
{
    return scale->operation_count == scale->scenario->operations &&
           scale->latency_count == scale->operation_count * (scale->count - 1);
}

static void run_until_all_arrived(struct scale *scale)
{
    sim_time until = world_now(scale->world) + PATIENCE;

    while (!scale_all_arrived(scale) && world_step(scale->world, until))
        ;
    scale->ended = world_now(scale->world);
}

/* A third of the nodes, none of which is then needed by another. */
static void kill_some(struct scale *scale)
{
    struct random *random = world_random(scale->world, STREAM_SCRIPT);

    for (size_t i = 1; i < scale->count; i += 3) {
        sim_time back = world_now(scale->world) +
                        between(random, SIM_SECOND, 30 * SIM_SECOND);
        machine_kill(scale->origins[i].machine);
        world_at(scale->world, back, start_machine, scale, i);
    }
}

static size_t links_of(const struct scale *scale, size_t node)
{
    const struct core *core = machine_core(scale->origins[node].machine);
    struct core_status status;

    core_status(core, &status);
    return status.links_up;
}

/* All look for links, then some are gone for a while. */
static void find(struct scale *scale)
{
    run_for(scale, FIND_TIME / 3);
    kill_some(scale);
    run_for(scale, FIND_TIME);
    scale->links_min = SIZE_MAX;
    for (size_t i = 0; i < scale->count; i++) {
        size_t links = links_of(scale, i);
        scale->links_min = links < scale->links_min ? links : scale->links_min;
        scale->links_max = links > scale->links_max ? links : scale->links_max;
    }
}

static size_t count_links(const struct scale *scale)
{
    size_t up = 0;

    for (size_t i = 0; i < scale->count; i++)
        up += links_of(scale, i);
    return up;
}

static void play(struct scale *scale)
{
    sim_time last;

    run_for(scale, LINK_TIME);
    if (scale->scenario->find)
        find(scale);
    scale->links = count_links(scale);
    scale->idle = traffic_now(scale);
    scale->began = world_now(scale->world);
    if (scale->scenario->split)
        split(scale);
    last = plan_writes(scale);
    if (scale->scenario->split)
        last = scale->began + SPLIT_TIME;
    run_for(scale, last - scale->began);
    if (scale->scenario->split)
        network_heal(scale->network);
    scale->healed = world_now(scale->world);
    run_until_all_arrived(scale);
    run_for(scale, CALM_TIME);
    scale->busy = traffic_now(scale);
    scale->rest_began = world_now(scale->world);
    run_for(scale, REST_TIME);
    scale->rest = traffic_now(scale);
}

/* Whether all nodes hold the same, and no core is unwell. */
static bool all_equal(const struct scale *scale, FILE *out)
{
    const struct keeper *first = machine_keeper(scale->origins[0].machine);
    const char *which = "";

    for (size_t i = 0; i < scale->count; i++) {
        struct machine *machine = scale->origins[i].machine;
        const struct keeper *keeper = machine_keeper(machine);
        if (!core_check(machine_core(machine), &which)) {
            fprintf(out, "  n%zu BREAKS %s\n", i, which);
            return false;
        }
        if (core_vv(machine_core(machine))->hash !=
                first->methods->vv(first)->hash ||
            !hash128_equal(keeper->methods->fingerprint(keeper),
                           first->methods->fingerprint(first))) {
            fprintf(out, "  n%zu DIFFERS from n0\n", i);
            return false;
        }
    }
    return true;
}

static double seconds_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int run_scenario(const struct scenario *scenario, uint64_t seed,
                        size_t nodes, struct scale_plot *plot, FILE *out)
{
    struct scale scale = {.scenario = scenario,
                          .count = nodes > 0 ? nodes : scenario->nodes};
    struct machine_watcher watcher;
    double start = seconds_now();
    bool well;

    make_mesh(&scale, seed, &watcher);
    play(&scale);
    scale_print(&scale, out);
    scale_plot_add(plot, &scale);
    well = all_equal(&scale, out) && scale_all_arrived(&scale);
    fprintf(
        out, "  seed %llu, hash %016llx, %.0f s simulated in %.1f s\n",
        (unsigned long long)seed, (unsigned long long)world_hash(scale.world),
        (double)world_now(scale.world) / SIM_SECOND, seconds_now() - start);
    fflush(out);
    free_mesh(&scale);
    return well ? 0 : 1;
}

void scale_list(FILE *out)
{
    for (size_t i = 0; i < SCENARIOS; i++)
        fprintf(out, "%-15s %5zu nodes, %s\n", scenarios[i].name,
                scenarios[i].nodes, scenarios[i].what);
    fprintf(out, "%-15s all whose names begin so\n", "glomers");
}

/* "glomers" stands for each "glomers-…". */
static bool is_named(const struct scenario *scenario, const char *name)
{
    size_t size = strlen(name);

    return strncmp(scenario->name, name, size) == 0 &&
           (scenario->name[size] == '\0' || scenario->name[size] == '-');
}

int scale_run(const char *name, uint64_t seed, size_t nodes, const char *svg,
              FILE *out)
{
    struct scale_plot plot = {.count = 0};
    int worst = 2;

    for (size_t i = 0; i < SCENARIOS; i++) {
        int result;
        if (!is_named(&scenarios[i], name))
            continue;
        result = run_scenario(&scenarios[i], seed, nodes, &plot, out);
        worst = worst == 2 || result > worst ? result : worst;
    }
    if (worst == 2)
        fprintf(out, "There is no scenario '%s'.\n", name);
    if (svg != NULL && plot.count > 0 && scale_plot_write(&plot, svg) != 0) {
        fprintf(out, "%s could not be written.\n", svg);
        return 2;
    }
    return worst;
}
