#include "sim/simulation.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

/* From healing to equality: links are made again (5 s), wants are given up
 * and sent again (10 s, thrice), refusals are tried again (30 s). */
#define SETTLE_MAX (180 * SIM_SECOND)
/* After equality links are still made, a peer may wait for its turn to ask
 * again, a giver for an ACK that was lost (30 s), and an audit for a minute
 * without a change of the schema: within the first all that is over, and for
 * the second, which is longer than a WANT waits for its answer (10 s), all is
 * quiet. */
#define CALM_MAX (150 * SIM_SECOND)
#define CALM (11 * SIM_SECOND)
#define REST (5 * SIM_SECOND)
#define LOOK_EVERY (100 * SIM_MS)
/* Commits that nobody notices until the next look by itself. */
#define UNNOTICED 50000

/* Wiring */

/* Whether the ledger is told what happens. */
static bool seeing(const struct simulation *simulation)
{
    return simulation->ledger != NULL && simulation->census == NULL;
}

/* A twin that has noticed is a machine as any other. */
static void end_silence(struct simulation *simulation, struct machine *machine)
{
    struct machine_extra *extra = &simulation->extras[machine_index(machine)];
    struct keeper *keeper = machine_keeper(machine);

    if (extra->silent &&
        !site_equal(keeper->methods->site(keeper), &extra->twin))
        extra->silent = false;
}

static void watch_opened(void *context, struct machine *machine)
{
    struct simulation *simulation = context;

    simulation->extras[machine_index(machine)].unsure = false;
    checks_opened(simulation->checks, machine);
    end_silence(simulation, machine);
    if (seeing(simulation))
        ledger_opened(simulation->ledger, machine);
    if (simulation->census != NULL)
        census_opened(simulation->census, machine);
}

static void watch_turning(void *context, struct machine *machine)
{
    struct simulation *simulation = context;

    if (seeing(simulation))
        ledger_turning(simulation->ledger, machine);
    if (simulation->census != NULL)
        census_turning(simulation->census, machine);
}

static void watch_committed(void *context, struct machine *machine,
                            const struct store_sealed *sealed)
{
    struct simulation *simulation = context;

    checks_committed(simulation->checks, machine, sealed);
    if (simulation->census != NULL)
        census_committed(simulation->census, machine, sealed->any);
    if (!seeing(simulation))
        return;
    ledger_committed(simulation->ledger, machine, sealed);
    ledger_compare(simulation->ledger, machine);
}

static void watch_sending(void *context, struct machine *machine, gv_link link,
                          const struct message *message)
{
    struct simulation *simulation = context;

    checks_sending(simulation->checks, machine, link, message);
    if (seeing(simulation) &&
        (message->kind == MESSAGE_NEWS || message->kind == MESSAGE_VV))
        ledger_told(simulation->ledger, machine,
                    core_vv(machine_core(machine)));
}

static void watch_stepped(void *context, struct machine *machine,
                          const struct event *event)
{
    struct simulation *simulation = context;

    checks_stepped(simulation->checks, machine, event);
}

static void watch_died(void *context, struct machine *machine)
{
    struct simulation *simulation = context;
    size_t index = machine_index(machine);

    checks_died(simulation->checks, machine);
    if (simulation->ledger == NULL)
        return;
    play_spare_disk(simulation, index);
    if (!machine_powered(machine)) {
        for (size_t i = 0; i < simulation->script->swarm.programs; i++)
            application_kill(simulation->extras[index].programs[i]);
        simulation->fired[FAULT_POWER]++;
    }
    if (seeing(simulation))
        ledger_died(simulation->ledger, machine);
}

static void watch_disk(void *context, struct machine *machine,
                       enum disk_event event)
{
    static const enum fault faults[DISK_EVENTS] = {
        [DISK_READ_ERROR] = FAULT_IO_ERROR,
        [DISK_WRITE_ERROR] = FAULT_IO_ERROR,
        [DISK_SYNC_ERROR] = FAULT_SYNC,
        [DISK_FULL] = FAULT_DISK_FULL,
        [DISK_CRASH] = FAULT_KILL,
    };
    struct simulation *simulation = context;

    simulation->fired[faults[event]]++;
    if (event == DISK_SYNC_ERROR)
        simulation->extras[machine_index(machine)].unsure = true;
}

static void program_committed(void *context, size_t machine, size_t program,
                              int64_t number, bool durable)
{
    struct simulation *simulation = context;

    durable = durable && !simulation->extras[machine].unsure;
    if (seeing(simulation))
        ledger_program_committed(simulation->ledger, machine, program, number,
                                 durable);
    if (simulation->census != NULL)
        census_program_committed(simulation->census, machine, program, number,
                                 durable);
    machine_wake(
        simulation->machines[machine],
        chance(world_random(simulation->world, STREAM_MACHINE), UNNOTICED));
}

static void program_refused(void *context, size_t machine, size_t program,
                            int code, const char *statement)
{
    struct simulation *simulation = context;

    /* Another program has the lock: that is between the two. */
    for (size_t i = 0; i < simulation->script->swarm.programs; i++)
        if (i != program &&
            application_holding(simulation->extras[machine].programs[i]))
            return;
    checks_refused(simulation->checks, machine, code, statement);
}

static void net_up(void *context, size_t node, gv_link link)
{
    struct simulation *simulation = context;

    machine_take_up(simulation->machines[node], link);
}

static void net_down(void *context, size_t node, gv_link link,
                     const char *reason)
{
    struct simulation *simulation = context;

    machine_take_down(simulation->machines[node], link, reason);
}

static void net_frame(void *context, size_t node, gv_link link,
                      const uint8_t *bytes, size_t size)
{
    struct simulation *simulation = context;

    machine_take_frame(simulation->machines[node], link, bytes, size);
}

/* Making the mesh */

/* Everybody dials all before it, or its neighbours in a line, a ring or a
 * star. */
static void choose_peers(struct simulation *simulation, size_t index,
                         unsigned topology, struct machine_options *options)
{
    for (size_t other = 0; other < simulation->count; other++) {
        bool peer = other < index;

        if (topology == 1)
            peer = other + 1 == index;
        else if (topology == 2)
            peer = other == (index + 1) % simulation->count;
        else if (topology == 3)
            peer = other == 0;
        if (peer && other != index && options->peer_count < MACHINE_PEERS_MAX)
            options->peers[options->peer_count++] = other;
    }
}

/* The file, with some of the application's triggers: other ones on each
 * machine. */
static void prepare(struct simulation *simulation, size_t index)
{
    const struct swarm *swarm = &simulation->script->swarm;
    enum skew_shape shape = alter_shape(simulation, index);
    char schema[8192], names[200], rows[200] = "";
    size_t used =
        (size_t)snprintf(schema, sizeof schema, "%s", application_schema);

    if (swarm->on[FAULT_TRIGGERS])
        application_triggers(swarm->seed_of_strength >> index, schema + used,
                             sizeof schema - used);
    used += strlen(schema + used);
    snprintf(schema + used, sizeof schema - used, "%s%s",
             application_skew(shape),
             simulation->census != NULL ? CENSUS_SCHEMA : "");
    simulation->fired[FAULT_SCHEMA_MIX] += shape != SKEW_WHOLE;
    snprintf(names, sizeof names, "%s%s%s", application_tables,
             shape == SKEW_MISSING ? "" : " skew",
             simulation->census != NULL ? " " CENSUS_TABLE : "");
    if (index == 0 && swarm->rows > 0)
        snprintf(rows, sizeof rows,
                 "INSERT INTO log WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
                 " SELECT i+1 FROM n LIMIT %zu) SELECT 'row '||i,i FROM n;",
                 swarm->rows);
    machine_prepare(simulation->machines[index], schema, names, rows);
}

static void make_machine(struct simulation *simulation, size_t index,
                         bool model)
{
    const struct swarm *swarm = &simulation->script->swarm;
    struct machine_options options = {
        .index = index,
        .world = simulation->world,
        .network = simulation->network,
        .watcher = &simulation->watcher,
        .model = model,
        .sector = swarm->sector,
        .characteristics = swarm->characteristics,
        .disk_event = watch_disk,
    };

    if (swarm->on[FAULT_SLICES])
        options.slices = (struct store_slices){
            .delta_size = 1500, .journal_rows = 12, .rows = 5, .keys = 4};
    if (swarm->on[FAULT_GIVER] || swarm->on[FAULT_CURSOR]) {
        /* Many pieces, of which files keep the most. */
        options.delta_credit = 2048;
        options.slices.spool_size = 600;
        options.slices.stage_size = 600;
    }
    options.mixed = swarm->on[FAULT_PROTOCOL_MIX];
    /* Who knows one peer finds no other by the plain way, and what rots is
     * mended by no other. */
    if (swarm->on[FAULT_STRANGERS])
        options.features_kept |= FEATURE_EXCHANGE;
    if (swarm->on[FAULT_CORRUPT_PAGE])
        options.features_kept |= FEATURE_PROOFS;
    if (swarm->on[FAULT_BIG])
        options.slices.value_size = APPLICATION_TRAVELS;
    /* Half of the meshes are full.  Strangers know the one before them. */
    options.exchange = swarm->on[FAULT_STRANGERS];
    choose_peers(simulation, index,
                 options.exchange ? 1 : swarm->seed_of_strength % 6, &options);
    simulation->machines[index] = machine_new(&options);
    machine_set_work(simulation->machines[index], 2 * SIM_MS);
    if (!model)
        prepare(simulation, index);
}

static void make_programs(struct simulation *simulation, size_t index)
{
    static const struct application_listener template = {
        .committed = program_committed, .refused = program_refused};
    struct application_listener listener = template;

    listener.context = simulation;
    for (size_t i = 0; i < simulation->script->swarm.programs; i++)
        simulation->extras[index].programs[i] = application_new(
            simulation->world, machine_disk(simulation->machines[index]),
            index, i, &simulation->habits, &listener);
}

static void make(struct simulation *simulation, const struct script *script,
                 const struct run_options *options)
{
    struct network_listener listener = {simulation, net_up, net_down,
                                        net_frame};

    simulation->script = script;
    simulation->count = script->swarm.nodes;
    simulation->world = world_new(script->seed);
    GV_ASSERT(simulation->world != NULL);
    if (options->follow != NULL)
        world_follow(simulation->world, options->follow);
    simulation->watcher = (struct machine_watcher){
        simulation,    watch_opened,  watch_turning, watch_committed,
        watch_sending, watch_stepped, watch_died};
    simulation->network =
        network_new(simulation->world, simulation->count,
                    between(world_random(simulation->world, STREAM_NETWORK),
                            100, 30 * SIM_MS),
                    &listener);
    simulation->machines = calloc(simulation->count, sizeof(struct machine *));
    simulation->extras = calloc(simulation->count, sizeof *simulation->extras);
    GV_ASSERT(simulation->machines != NULL && simulation->extras != NULL);
    if (!options->model)
        simulation->ledger = ledger_new(simulation->world, simulation->count);
    simulation->drops = alter_drops(&script->swarm);
    if (simulation->ledger != NULL && simulation->drops)
        ledger_expect_drops(simulation->ledger);
    if (!options->model && swarm_blind(&script->swarm))
        simulation->census = census_new(simulation->world, simulation->count);
    simulation->checks =
        checks_new(simulation->world, simulation->ledger, simulation->count);
    checks_blind(simulation->checks, simulation->census != NULL);
    for (size_t i = 0; i < simulation->count; i++)
        make_machine(simulation, i, options->model);
    play_begin(simulation);
    for (size_t i = 0; i < simulation->count; i++) {
        if (!options->model)
            make_programs(simulation, i);
        machine_start(simulation->machines[i]);
    }
}

static void unmake(struct simulation *simulation)
{
    for (size_t i = 0; i < simulation->count; i++) {
        for (size_t p = 0; p < PROGRAMS_MAX; p++)
            application_free(simulation->extras[i].programs[p]);
        disk_image_free(simulation->extras[i].backup);
        machine_free(simulation->machines[i]);
    }
    free(simulation->machines);
    free(simulation->extras);
    checks_free(simulation->checks);
    ledger_free(simulation->ledger);
    census_free(simulation->census);
    network_free(simulation->network);
    world_free(simulation->world);
}

/* Phases */

static void run_until(struct simulation *simulation, sim_time until)
{
    while (world_step(simulation->world, until))
        ;
}

/* The machines that must come together: all, or most of them while the others
 * stay dead. */
static size_t choose_core(struct simulation *simulation,
                          struct machine **healed)
{
    struct random *random = world_random(simulation->world, STREAM_SCRIPT);
    bool some = chance(random, 200000) && simulation->count > 3;
    size_t count = 0;

    for (size_t i = 0; i < simulation->count; i++)
        if (!some || i == 0 || i + 1 != simulation->count)
            healed[count++] = simulation->machines[i];
    return count;
}

static void stop_others(struct simulation *simulation,
                        struct machine *const *healed, size_t count)
{
    for (size_t i = 0; i < simulation->count; i++) {
        bool core = false;

        for (size_t j = 0; j < count; j++)
            core |= healed[j] == simulation->machines[i];
        if (core) {
            machine_start(simulation->machines[i]);
        } else {
            machine_set_restart(simulation->machines[i], SIM_NEVER);
            machine_kill(simulation->machines[i]);
        }
    }
}

static void settle(struct simulation *simulation,
                   struct machine *const *healed, size_t count)
{
    sim_time end =
        world_now(simulation->world) + SETTLE_MAX + simulation->ahead * SIM_MS;

    while (world_now(simulation->world) < end &&
           !world_failed(simulation->world) &&
           !(alter_equal(simulation, healed, count) &&
             checks_equal(healed, count)))
        run_until(simulation, world_now(simulation->world) + LOOK_EVERY);
    if (!world_failed(simulation->world) && !checks_equal(healed, count))
        checks_unequal(simulation->checks, healed, count);
}

static void rest(struct simulation *simulation, struct machine *const *healed,
                 size_t count)
{
    sim_time end = world_now(simulation->world) + CALM_MAX;

    do {
        checks_rest_begin(simulation->checks, healed, count);
        run_until(simulation, world_now(simulation->world) + CALM);
    } while (!world_failed(simulation->world) &&
             world_now(simulation->world) < end &&
             checks_restless(simulation->checks, healed, count));
    if (world_failed(simulation->world))
        return;
    checks_rest_begin(simulation->checks, healed, count);
    run_until(simulation, world_now(simulation->world) + REST);
    if (!world_failed(simulation->world))
        checks_rest_end(simulation->checks, healed, count, REST);
}

static void count_odd(struct simulation *simulation, size_t machine)
{
    uint64_t *fired = simulation->fired;

    for (size_t i = 0; i < simulation->script->swarm.programs; i++) {
        const struct odd_counts *counts =
            application_counts(simulation->extras[machine].programs[i]);

        fired[FAULT_TEXT] += counts->odd_texts;
        fired[FAULT_NUMBERS] += counts->odd_numbers;
        fired[FAULT_HUGE] += counts->huge;
        fired[FAULT_HOT] += counts->hot;
        fired[FAULT_PROGRAM] += counts->misbehaved;
        fired[FAULT_KINDS] += counts->kinds;
        fired[FAULT_BIG] += counts->big;
    }
}

/* Links that it dialled and was not told to. */
static void count_strangers(struct simulation *simulation,
                            const struct machine *machine)
{
    const struct core *core = machine_core(machine);

    for (size_t i = 0; core != NULL && i < core_link_count(core); i++) {
        struct link_info info;

        core_link_info(core, i, 0, &info);
        simulation->fired[FAULT_STRANGERS] +=
            info.state == LINK_UP && info.dialled && !info.given;
    }
}

/* What the classes that change no flow of control did. */
static void count_fired(struct simulation *simulation)
{
    const struct network *network = simulation->network;
    uint64_t *fired = simulation->fired;

    fired[FAULT_FRAMES] += network_count(network, NETWORK_LOST) +
                           network_count(network, NETWORK_DUPLICATED) +
                           network_count(network, NETWORK_REORDERED) +
                           network_count(network, NETWORK_REPLAYED);
    fired[FAULT_PARTITION] += network_count(network, NETWORK_HELD);
    fired[FAULT_CLOG] += network_count(network, NETWORK_CLOGGED);
    fired[FAULT_RESET] += network_count(network, NETWORK_RESET);
    fired[FAULT_DAMAGED_FRAME] += network_count(network, NETWORK_FLIPPED) +
                                  network_count(network, NETWORK_TRUNCATED);
    for (size_t i = 0; i < simulation->count; i++) {
        count_strangers(simulation, simulation->machines[i]);
        fired[FAULT_LOST_END] += machine_lost_ends(simulation->machines[i]);
        fired[FAULT_PROTOCOL_MIX] += machine_foreign(simulation->machines[i]);
        fired[FAULT_SLICES] += machine_slices(simulation->machines[i]);
        fired[FAULT_GIVER] += machine_givers_died(simulation->machines[i]);
        if (simulation->script->swarm.on[FAULT_CURSOR])
            fired[FAULT_CURSOR] += machine_resumed(simulation->machines[i]);
        if (simulation->ledger == NULL)
            continue;
        count_odd(simulation, i);
        fired[FAULT_TRIGGERS] +=
            checks_triggers_fired(simulation->machines[i]);
    }
}

static void report(struct simulation *simulation,
                   const struct run_options *options,
                   struct run_result *result)
{
    struct world *world = simulation->world;

    count_fired(simulation);
    result->hash = world_hash(world);
    snprintf(result->broken, sizeof result->broken, "%s", world_broken(world));
    snprintf(result->failure, sizeof result->failure, "%s",
             world_failure(world));
    memcpy(result->fired, simulation->fired, sizeof result->fired);
    result->steps = world_steps(world);
    result->simulated = world_now(world);
    for (size_t i = 0; i < simulation->count; i++)
        result->operations += machine_operations(simulation->machines[i]);
    if (simulation->ledger != NULL) {
        result->commits = ledger_transactions(simulation->ledger);
        result->publications = ledger_publications(simulation->ledger);
    }
    if (simulation->census != NULL)
        result->commits = census_transactions(simulation->census);
    if (world_failed(world))
        world_narrate(world, stderr, 40);
    else if (options->ledger != NULL && simulation->ledger != NULL)
        ledger_dump(simulation->ledger, simulation->machines,
                    simulation->count, options->ledger);
}

static uint64_t transactions_of(const struct simulation *simulation,
                                size_t machine)
{
    return simulation->census != NULL
               ? census_machine_transactions(simulation->census, machine)
               : ledger_machine_transactions(simulation->ledger, machine);
}

/* An hour of a node counts if its programs committed 60 times in it and 6
 * faults hit the run. */
static void count_hours(const struct simulation *simulation,
                        struct run_result *result)
{
    uint64_t faults = 0;

    for (size_t i = 1; i < FAULTS; i++)
        faults += result->fired[i];
    for (size_t i = 0; i < simulation->count; i++) {
        double hours = (double)machine_lived(simulation->machines[i]) / 3.6e9;

        result->node_hours += hours;
        if (simulation->ledger != NULL && (double)faults >= 6 * hours &&
            (double)transactions_of(simulation, i) >= 60 * hours)
            result->node_hours_counted += hours;
    }
}

void run_script(const struct script *script, const struct run_options *options,
                struct run_result *result)
{
    struct simulation simulation = {0};
    struct machine **healed;
    size_t count;

    memset(result, 0, sizeof *result);
    disk_seed_sqlite(script->seed);
    make(&simulation, script, options);
    healed = calloc(simulation.count, sizeof(struct machine *));
    GV_ASSERT(healed != NULL);
    run_until(&simulation, script->swarm.chaos);
    if (!world_failed(simulation.world)) {
        play_heal(&simulation);
        count = choose_core(&simulation, healed);
        stop_others(&simulation, healed, count);
        settle(&simulation, healed, count);
        result->settled = world_now(simulation.world) - script->swarm.chaos;
        if (!world_failed(simulation.world))
            rest(&simulation, healed, count);
        if (!world_failed(simulation.world) && simulation.ledger != NULL &&
            script->swarm.on[FAULT_CORRUPT_PAGE])
            rot_play(&simulation, healed, count);
        if (!world_failed(simulation.world))
            checks_end(simulation.checks, healed, count);
        if (!world_failed(simulation.world) && simulation.census != NULL)
            census_account(simulation.census, healed, count,
                           script->swarm.programs);
    }
    report(&simulation, options, result);
    count_hours(&simulation, result);
    unmake(&simulation);
    free(healed);
}
