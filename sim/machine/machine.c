/* A machine's life: its clock, starts and deaths of its node. */
#include "machine_state.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MACHINE_RESTART (1 * SIM_SECOND)

static struct world *world_of(const struct machine *machine)
{
    return machine->options.world;
}

/* The clock */

gv_time_ms machine_wall(const struct machine *machine)
{
    sim_time now = world_now(world_of(machine));
    sim_time drifted =
        (now - machine->drift_since) / 1000000 * machine->drift_ppm;

    return MACHINE_WALL + machine->wall_offset + (now + drifted) / SIM_MS;
}

void machine_clock_jump(struct machine *machine, gv_time_ms ms)
{
    machine->wall_offset += ms;
}

void machine_clock_drift(struct machine *machine, int ppm)
{
    gv_time_ms before = machine_wall(machine);

    machine->drift_ppm = ppm;
    machine->drift_since = world_now(world_of(machine));
    machine->wall_offset += before - machine_wall(machine);
}

void machine_clock_right(struct machine *machine)
{
    machine_clock_drift(machine, 0);
    machine->wall_offset = 0;
}

static gv_time_ms disk_wall(void *context)
{
    const struct machine *machine = context;

    return machine_wall(machine);
}

/* Making one */

static void disk_event(void *context, enum disk_event event)
{
    struct machine *machine = context;

    if (machine->options.disk_event != NULL)
        machine->options.disk_event(machine->options.watcher->context, machine,
                                    event);
}

struct machine *machine_new(const struct machine_options *options)
{
    struct machine *machine = calloc(1, sizeof *machine);
    struct random *random = world_random(options->world, STREAM_MACHINE);

    GV_ASSERT(machine != NULL);
    machine->options = *options;
    snprintf(machine->name, sizeof machine->name, "n%zu", options->index);
    machine->powered = true;
    machine->restart_delay = MACHINE_RESTART;
    machine->wake_at = SIM_NEVER;
    machine->arrivals_end = &machine->arrivals;
    machine->applies.end = &machine->applies.first;
    proofs_init(&machine->proofs);
    if (options->model) {
        int rc = model_open(random_u64(random), &machine->keeper);

        GV_ASSERT(rc == GV_OK);
    } else {
        struct disk_options disk = {
            .seed = random_u64(random),
            .sector = options->sector,
            .characteristics = options->characteristics,
            .context = machine,
            .wall = disk_wall,
            .event = disk_event,
        };

        machine->disk = disk_new(&disk);
        GV_ASSERT(machine->disk != NULL);
    }
    return machine;
}

void machine_free(struct machine *machine)
{
    if (machine == NULL)
        return;
    if (machine->alive)
        machine_kill(machine);
    proofs_close(&machine->proofs);
    machine_close_observer(machine);
    if (machine->options.model)
        machine->keeper->methods->close(machine->keeper);
    disk_free(machine->disk);
    free(machine->finished.items);
    free(machine);
}

/* Starts */

/* What this start speaks.  There is no second version of the protocol yet:
 * those of tomorrow say that they speak it, and all can do without. */
static struct dialect draw_dialect(struct machine *machine,
                                   struct random *random)
{
    struct dialect dialect = {PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX,
                              FEATURES_ALL};
    uint64_t draw;

    if (!machine->options.mixed)
        return dialect;
    draw = random_below(random, 4);
    if (draw == 0)
        dialect.features = 0;
    else if (draw == 1)
        dialect.features &= random_u64(random);
    else if (draw == 2)
        dialect = (struct dialect){PROTOCOL_VERSION_MIN,
                                   PROTOCOL_VERSION_MAX + 1, UINT64_MAX};
    dialect.features |= machine->options.features_kept;
    machine->foreign += draw < 3;
    return dialect;
}

static void make_core(struct machine *machine)
{
    const struct keeper_methods *methods = machine->keeper->methods;
    struct network *network = machine->options.network;
    struct random *random = world_random(world_of(machine), STREAM_MACHINE);
    const char *endpoint = network_endpoint(network, machine->options.index);
    struct core_config config = {
        .site = *methods->site(machine->keeper),
        .mesh = MACHINE_MESH,
        .name = machine->name,
        /* As the node makes it: of two with one site the later gives way. */
        .instance = (uint64_t)(machine_wall(machine) / 1000) << 32 |
                    (random_u64(random) & UINT32_MAX),
        .seed = random_u64(random),
        .endpoints = &endpoint,
        .endpoint_count = 1,
        .exchange = machine->options.exchange,
        .vv = methods->vv(machine->keeper),
        .fingerprint = methods->fingerprint(machine->keeper),
        .schema_digest = methods->schema_digest(machine->keeper),
        .delta_credit = machine->options.delta_credit,
        .dialect = draw_dialect(machine, random),
    };
    int rc;

    methods->stage_held(machine->keeper, &config.stage);
    rc = core_new(&config, &machine->core);
    GV_ASSERT(rc == GV_OK);
    for (size_t i = 0; i < machine->options.peer_count; i++) {
        rc = core_add_peer(
            machine->core,
            network_endpoint(network, machine->options.peers[i]));
        GV_ASSERT(rc == GV_OK);
    }
}

static void start_again(void *context, uint64_t starts)
{
    struct machine *machine = context;

    if (!machine->alive && machine->starts == starts &&
        machine->restart_delay != SIM_NEVER)
        machine_start(machine);
}

static void start_later(struct machine *machine, sim_time delay)
{
    if (delay != SIM_NEVER)
        world_at(world_of(machine), world_now(world_of(machine)) + delay,
                 start_again, machine, machine->starts);
}

/* The process is dead or its store cannot be opened: nothing of it is left. */
static void bury_process(struct machine *machine)
{
    if (machine->keeper != NULL && !machine->options.model) {
        machine->keeper->methods->close(machine->keeper);
        machine->keeper = NULL;
    }
    if (machine->process != NULL)
        machine_close_process(machine);
}

static void cut_power(struct machine *machine)
{
    const struct machine_watcher *watcher = machine->options.watcher;

    machine->power_follows = false;
    machine->powered = false;
    world_note(world_of(machine), "%s: the power fails", machine->name);
    watcher->died(watcher->context, machine);
    machine_close_observer(machine);
    disk_power_cut(machine->disk, machine->loss);
}

static void open_failed(struct machine *machine, const struct gv_error *why)
{
    bool dead = process_dead(machine->process);

    world_note(world_of(machine), "%s: does not start: %s", machine->name,
               dead ? "killed" : why->what);
    bury_process(machine);
    if (machine->power_follows && dead)
        cut_power(machine);
    start_later(machine, machine->restart_delay);
}

void machine_start(struct machine *machine)
{
    const struct machine_watcher *watcher = machine->options.watcher;
    struct gv_error why = {0};

    if (machine->alive)
        return;
    machine->starts++;
    if (!machine->options.model) {
        if (!machine->powered) {
            machine->powered = true;
            machine_open_observer(machine);
        }
        machine_open_process(machine);
        if (machine->kill_next > 0)
            process_kill_at(machine->process, machine->kill_next, false);
        machine->kill_next = 0;
        if (machine_open_keeper(machine, &why) != GV_OK ||
            machine->keeper->methods->finish(machine->keeper, &why) != GV_OK ||
            process_dead(machine->process)) {
            open_failed(machine, &why);
            return;
        }
    }
    make_core(machine);
    machine->alive = true;
    machine->alive_since = world_now(world_of(machine));
    world_note(world_of(machine), "%s: starts", machine->name);
    network_listen(machine->options.network, machine->options.index);
    watcher->opened(watcher->context, machine);
    driver_start(machine);
    machine_fallen(machine);
}

/* Deaths */

static void fall(struct machine *machine, bool power)
{
    const struct machine_watcher *watcher = machine->options.watcher;

    machine->alive = false;
    machine->lived += world_now(world_of(machine)) - machine->alive_since;
    machine->falling = false;
    machine->ending = false;
    machine->effects_left = 0;
    machine->power_follows = false;
    driver_clear(machine);
    network_leave(machine->options.network, machine->options.index, power);
    machine->resumed += core_counters(machine->core)->deltas_resumed;
    core_free(machine->core);
    machine->core = NULL;
    bury_process(machine);
    if (power)
        cut_power(machine);
    else
        watcher->died(watcher->context, machine);
    start_later(machine, machine->restart_delay);
}

bool machine_fallen(struct machine *machine)
{
    bool dead = machine->process != NULL && process_dead(machine->process);

    if (!machine->falling && !dead)
        return false;
    if (machine->ending && !dead) {
        machine->falling = false;
        driver_say_bye(machine);
    } else {
        world_note(world_of(machine), "%s: killed", machine->name);
        if (machine->process != NULL)
            process_kill(machine->process);
    }
    fall(machine, machine->power_follows && dead);
    return true;
}

void machine_stop(struct machine *machine)
{
    if (!machine->alive)
        return;
    world_note(world_of(machine), "%s: stops", machine->name);
    driver_say_bye(machine);
    fall(machine, false);
}

void machine_kill(struct machine *machine)
{
    if (!machine->alive)
        return;
    machine->falling = true;
    machine_fallen(machine);
}

void machine_kill_at_effect(struct machine *machine, uint64_t n)
{
    machine->effects_left = n;
}

void machine_kill_at_operation(struct machine *machine, uint64_t n, bool torn)
{
    if (machine->alive)
        process_kill_at(machine->process, n, torn);
    else
        machine->kill_next = n;
}

void machine_power_cut(struct machine *machine, enum disk_loss loss)
{
    machine->loss = loss;
    if (machine->alive) {
        process_kill(machine->process);
        machine->power_follows = true;
        machine_fallen(machine);
    } else if (machine->powered) {
        cut_power(machine);
        start_later(machine, machine->restart_delay);
    }
}

void machine_power_cut_at(struct machine *machine, uint64_t n,
                          enum disk_loss loss)
{
    machine->loss = loss;
    machine->power_follows = true;
    machine_kill_at_operation(machine, n, true);
}

void machine_disarm(struct machine *machine)
{
    machine->kill_next = 0;
    machine->effects_left = 0;
    machine->power_follows = false;
    if (machine->process != NULL)
        process_kill_at(machine->process, 0, false);
    machine->busy_until = 0;
    if (machine->alive)
        driver_wake(machine, 0);
}

void machine_pause(struct machine *machine, sim_time duration)
{
    sim_time until = world_now(world_of(machine)) + duration;

    if (machine->alive && machine->busy_until < until)
        machine->busy_until = until;
}

/* What programs do */

void machine_wake(struct machine *machine, bool unnoticed)
{
    if (!machine->alive || unnoticed)
        return;
    machine->poll_due =
        driver_now(machine) +
        between(world_random(world_of(machine), STREAM_MACHINE), 0, 2);
    driver_wake(machine, machine->poll_due * SIM_MS);
}

void machine_write(struct machine *machine, size_t size)
{
    GV_ASSERT(machine->options.model);
    model_write(machine->keeper, machine_wall(machine), size);
    machine->write_wanted = true;
    driver_wake(machine, world_now(world_of(machine)));
}
