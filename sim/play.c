/* What the actions of a script do to a mesh. */
#include "sim/simulation.h"

#include "base/assert.h"
#include "core/clock.h"
#include "sim/machine/visit.h"

#define RETRY (20 * SIM_MS)

/* Strength, drawn once a run. */

static unsigned strength(struct random *random, bool on, unsigned most)
{
    /* Thrown always, so that classes do not shift one another. */
    unsigned drawn = (unsigned)between(random, 1, most);

    return on ? drawn : 0;
}

static void draw_frame_faults(struct simulation *simulation)
{
    const bool *on = simulation->script->swarm.on;
    struct network_faults *faults = &simulation->frame_faults;
    struct random random;

    random_seed(&random, simulation->script->swarm.seed_of_strength);
    *faults = (struct network_faults){
        .lose = strength(&random, on[FAULT_FRAMES], 100000),
        .duplicate = strength(&random, on[FAULT_FRAMES], 100000),
        .reorder = strength(&random, on[FAULT_FRAMES], 50000),
        .replay = strength(&random, on[FAULT_FRAMES], 20000),
        .flip = strength(&random, on[FAULT_DAMAGED_FRAME], 5000),
        .truncate = strength(&random, on[FAULT_DAMAGED_FRAME], 5000),
        .reset = strength(&random, on[FAULT_RESET], 2000),
        .jitter = strength(&random, true, 100) * SIM_MS / 2,
    };
}

static void draw_habits(struct simulation *simulation)
{
    const struct swarm *swarm = &simulation->script->swarm;

    simulation->habits = (struct application_habits){
        .deletes = 100000 + swarm->seed_of_strength % 300000,
        .hot = swarm->on[FAULT_HOT] ? 800000 : 0,
        .odd_text = swarm->on[FAULT_TEXT],
        .odd_numbers = swarm->on[FAULT_NUMBERS],
        .misbehave = swarm->on[FAULT_PROGRAM],
        .huge = swarm->on[FAULT_HUGE],
        .kinds = swarm->on[FAULT_KINDS],
        .skew = swarm->on[FAULT_SCHEMA_MIX],
        .big = swarm->on[FAULT_BIG],
        .score = simulation->census != NULL,
        .full_sync = swarm->full_sync,
    };
}

/* Later ends of actions carry their index. */

static void later(struct simulation *simulation, size_t index, sim_time delay,
                  void (*run)(void *context, uint64_t index))
{
    world_at(simulation->world, world_now(simulation->world) + delay, run,
             simulation, index);
}

static const struct action *action_at(const struct simulation *simulation,
                                      uint64_t index)
{
    return &simulation->script->actions[index];
}

static struct machine *machine_at(const struct simulation *simulation,
                                  const struct action *action)
{
    return simulation->machines[action->machine];
}

/* Programs */

static struct application *program_at(const struct simulation *simulation,
                                      const struct action *action)
{
    size_t programs = simulation->script->swarm.programs;

    return simulation->extras[action->machine]
        .programs[(size_t)action->amount % programs];
}

static void write_again(void *context, uint64_t index)
{
    struct simulation *simulation = context;
    const struct action *action = action_at(simulation, index);

    if (machine_powered(machine_at(simulation, action)) &&
        !simulation->extras[action->machine].silent)
        application_act(program_at(simulation, action), action->seed);
}

static void write_once(struct simulation *simulation, size_t index)
{
    const struct action *action = action_at(simulation, index);
    struct machine *machine = machine_at(simulation, action);

    if (simulation->ledger == NULL) {
        machine_write(machine, 20 + action->seed % 400);
        return;
    }
    if (!machine_powered(machine) ||
        simulation->extras[action->machine].silent ||
        application_holding(program_at(simulation, action)))
        return;
    if (!application_act(program_at(simulation, action), action->seed))
        later(simulation, index, RETRY, write_again);
}

static void release(void *context, uint64_t index)
{
    struct simulation *simulation = context;
    const struct action *action = action_at(simulation, index);

    application_release(program_at(simulation, action));
}

static void hold(struct simulation *simulation, size_t index)
{
    const struct action *action = action_at(simulation, index);
    struct application *program = program_at(simulation, action);

    if (!machine_powered(machine_at(simulation, action)) ||
        simulation->extras[action->machine].silent ||
        application_holding(program))
        return;
    application_hold(program, action->seed);
    simulation->fired[FAULT_SLOW_DISK]++;
    later(simulation, index, action->duration, release);
}

/* Partitions */

enum shape { HALVES, ALONE, RING, BRIDGE, PAIRS, ONE_WAY, SHAPES };

/* Whether frames from @a to @b are held up in this partition. */
static bool cut_between(const struct action *action, size_t count, size_t a,
                        size_t b)
{
    uint64_t seed = action->seed / (2 * SHAPES);
    bool side_a = (seed >> a) & 1, side_b = (seed >> b) & 1;

    switch ((enum shape)(action->seed / 2 % SHAPES)) {
    case HALVES:
        return side_a != side_b;
    case ALONE:
        return a == action->machine || b == action->machine;
    case RING:
        return a + 1 != b && b + 1 != a && a + b != count - 1;
    case BRIDGE:
        return side_a != side_b && a != action->machine &&
               b != action->machine;
    case PAIRS:
        return (seed >> ((a * 7 + b * 7) % 50)) & 1;
    case ONE_WAY:
        return a == action->machine && side_b;
    case SHAPES:
        break;
    }
    return false;
}

static void partition(struct simulation *simulation,
                      const struct action *action, bool cut)
{
    for (size_t a = 0; a < simulation->count; a++)
        for (size_t b = 0; b < simulation->count; b++)
            if (a != b && cut_between(action, simulation->count, a, b))
                network_block(simulation->network, a, b, cut,
                              action->seed % 2 == 0);
}

static void partition_end(void *context, uint64_t index)
{
    struct simulation *simulation = context;

    world_note(simulation->world, "a partition ends");
    partition(simulation, action_at(simulation, index), false);
}

static void narrow_end(void *context, uint64_t index)
{
    struct simulation *simulation = context;

    (void)index;
    if (simulation->chaos)
        network_set_faults(simulation->network, &simulation->frame_faults);
}

static void narrow(struct simulation *simulation, size_t index)
{
    const struct action *action = action_at(simulation, index);
    struct network_faults faults = simulation->frame_faults;

    faults.bandwidth = 1000 + action->seed % 100000;
    faults.queue_max = 20 + action->seed / 100000 % 2000;
    network_set_faults(simulation->network, &faults);
    later(simulation, index, action->duration, narrow_end);
}

/* Disks */

static void disk_end(void *context, uint64_t argument)
{
    struct simulation *simulation = context;
    size_t machine = (size_t)(argument >> 32);
    struct disk_faults none = {0};

    if (simulation->extras[machine].disk_turn == (uint32_t)argument)
        disk_set_faults(machine_disk(simulation->machines[machine]), &none);
}

static void disk_trouble(struct simulation *simulation,
                         const struct action *action)
{
    struct disk *disk = machine_disk(machine_at(simulation, action));
    struct disk_faults faults = {0};
    unsigned turn = ++simulation->extras[action->machine].disk_turn;

    switch ((unsigned)action->fault) {
    case FAULT_SYNC:
        faults.sync_error = 300000;
        faults.sync_drops = action->seed % 2 == 0 &&
                            machine_alive(machine_at(simulation, action));
        break;
    case FAULT_DISK_FULL:
        faults.capacity = disk_size(disk) + action->seed % 20000;
        break;
    case FAULT_SLOW_DISK:
        faults.read_us = (unsigned)(action->seed % 500);
        faults.write_us = (unsigned)(action->seed / 500 % 5000);
        faults.sync_us = (unsigned)(action->seed / 3000000 % 200000);
        simulation->fired[FAULT_SLOW_DISK]++;
        break;
    default:
        faults.read_error = (unsigned)(action->seed % 20000);
        faults.write_error = (unsigned)(action->seed / 20000 % 50000);
        break;
    }
    simulation->extras[action->machine].sync_drops = faults.sync_drops;
    disk_set_faults(disk, &faults);
    world_at(simulation->world,
             world_now(simulation->world) + action->duration, disk_end,
             simulation, (uint64_t)action->machine << 32 | turn);
}

/* A sync whose failure nobody hears of, because no node has the file open,
 * takes what programs were promised: no node can mend that. */
void play_spare_disk(struct simulation *simulation, size_t machine)
{
    struct machine_extra *extra = &simulation->extras[machine];
    struct disk_faults none = {0};

    if (!extra->sync_drops)
        return;
    extra->sync_drops = false;
    extra->disk_turn++;
    disk_set_faults(machine_disk(simulation->machines[machine]), &none);
}

static enum disk_loss loss_of(const struct action *action)
{
    static const enum disk_loss losses[] = {LOSS_ALL, LOSS_TAIL, LOSS_SOME,
                                            LOSS_TRASH};

    return losses[action->seed % 4];
}

/* Files put back */

static void kill_programs(struct simulation *simulation, size_t machine)
{
    for (size_t i = 0; i < simulation->script->swarm.programs; i++)
        application_kill(simulation->extras[machine].programs[i]);
}

/* @restored: as additions in it that are not sealed may be in another one. */
static void note_rewound(struct simulation *simulation,
                         struct machine *machine, bool restored)
{
    if (simulation->census != NULL)
        census_rewound(simulation->census, machine, restored);
    else
        ledger_rewound(simulation->ledger, machine);
    checks_rewound(simulation->checks, machine);
}

static void put_file(struct simulation *simulation, size_t machine,
                     struct disk_image *image)
{
    struct machine *target = simulation->machines[machine];

    kill_programs(simulation, machine);
    machine_kill(target);
    disk_image_leave_out(image, MACHINE_PATH "-gv/state");
    /* Whoever restores a backup takes longer than the system's write-back. */
    disk_write_back(machine_disk(target), MACHINE_PATH "-gv/state");
    machine_replace_file(target, image, false);
    note_rewound(simulation, target, true);
}

/* A backup as people make it, of a file that is in use: by itself, with its
 * log in it.  False: the file cannot be read now. */
static bool back_up(struct simulation *simulation, size_t machine,
                    char path[BACKUP_PATH_SIZE])
{
    struct disk *disk = machine_disk(simulation->machines[machine]);
    struct visit visit;
    char name[48], sql[80];
    int rc;

    snprintf(path, BACKUP_PATH_SIZE, "/backup-%llu.db",
             (unsigned long long)++simulation->backups);
    snprintf(name, sizeof name, "n%zu%s", machine, path);
    snprintf(sql, sizeof sql, "VACUUM INTO '%s'", path);
    rc = visit_begin(&visit, disk, name);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(visit.db, sql, NULL, NULL, NULL);
    visit_end(&visit);
    disk_write_back(disk, path);
    return rc == SQLITE_OK;
}

/* Whether a checkpoint of the file was carried through since the last that
 * was cut off: before that no node can tell a copy from its second half. */
static bool is_settled(struct simulation *simulation, size_t machine)
{
    struct machine *target = simulation->machines[machine];
    struct disk_faults none = {0};

    kill_programs(simulation, machine);
    disk_set_faults(machine_disk(target), &none);
    machine_disarm(target);
    return machine_checkpoint(target) && machine_idle(target);
}

/* Under a node that runs; it is up to the node to find out. */
static void copy_over(struct simulation *simulation, size_t machine,
                      size_t other, const char *path)
{
    struct machine *target = simulation->machines[machine];

    note_rewound(simulation, target, true);
    machine_copy_over(target, machine_disk(simulation->machines[other]), path);
    if (machine_alive(target))
        checks_unnoticed(simulation->checks, target);
}

static void old_file_back(void *context, uint64_t index)
{
    struct simulation *simulation = context;
    const struct action *action = action_at(simulation, index);
    struct machine_extra *extra = &simulation->extras[action->machine];

    if (simulation->chaos && machine_powered(machine_at(simulation, action))) {
        world_note(simulation->world, "n%zu: an old copy is put back",
                   action->machine);
        if (extra->backup_path[0] != '\0' &&
            disk_file_size(machine_disk(machine_at(simulation, action)),
                           extra->backup_path) > 0 &&
            machine_idle(machine_at(simulation, action)) &&
            is_settled(simulation, action->machine))
            copy_over(simulation, action->machine, action->machine,
                      extra->backup_path);
        else
            put_file(simulation, action->machine, extra->backup);
        simulation->fired[FAULT_OLD_FILE]++;
    }
    disk_image_free(extra->backup);
    extra->backup = NULL;
}

static void old_file(struct simulation *simulation, size_t index)
{
    const struct action *action = action_at(simulation, index);
    struct machine_extra *extra = &simulation->extras[action->machine];

    if (!machine_powered(machine_at(simulation, action)) ||
        extra->backup != NULL)
        return;
    if (action->seed % 2 != 0 ||
        !back_up(simulation, action->machine, extra->backup_path))
        extra->backup_path[0] = '\0';
    extra->backup =
        disk_image_take(machine_disk(machine_at(simulation, action)));
    later(simulation, index, action->duration, old_file_back);
}

static void copied_file(struct simulation *simulation,
                        const struct action *action)
{
    struct disk_image *image;
    char path[BACKUP_PATH_SIZE];

    if (!machine_powered(machine_at(simulation, action)) ||
        !machine_powered(simulation->machines[action->other]))
        return;
    world_note(simulation->world, "n%zu: gets a copy of n%zu's file",
               action->machine, action->other);
    simulation->fired[FAULT_COPIED_FILE]++;
    if (action->seed % 2 == 0 &&
        machine_idle(machine_at(simulation, action)) &&
        back_up(simulation, action->other, path) &&
        is_settled(simulation, action->machine)) {
        copy_over(simulation, action->machine, action->other, path);
        return;
    }
    image = disk_image_take(machine_disk(simulation->machines[action->other]));
    put_file(simulation, action->machine, image);
    disk_image_free(image);
}

/* A machine starts as the image of another one, which goes on: nothing tells
 * the two files apart but that both nodes live.  What both would publish
 * before they meet is not for this (src/store/README.md says what becomes of
 * it): so the twin's programs begin once it has an id of its own, and the
 * image is taken where nothing waits to be sealed. */
static void twin(struct simulation *simulation, const struct action *action)
{
    struct machine *target = machine_at(simulation, action);
    struct machine *origin = simulation->machines[action->other];
    struct machine_extra *extra = &simulation->extras[action->machine];
    struct disk_image *image;

    if (simulation->ledger == NULL || !machine_powered(target) ||
        !machine_idle(origin) || simulation->extras[action->other].silent ||
        checks_waiting(origin))
        return;
    world_note(simulation->world, "n%zu: starts as a twin of n%zu",
               action->machine, action->other);
    kill_programs(simulation, action->machine);
    machine_kill(target);
    image = disk_image_take(machine_disk(origin));
    machine_replace_file(target, image, true);
    disk_image_free(image);
    note_rewound(simulation, target, false);
    extra->silent = true;
    extra->twin = *checks_site(origin);
    simulation->fired[FAULT_TWIN]++;
    if (!extra->away)
        machine_start(target);
}

/* Clocks and absence */

static void drift_end(void *context, uint64_t index)
{
    struct simulation *simulation = context;

    machine_clock_drift(machine_at(simulation, action_at(simulation, index)),
                        0);
}

/* Whether versions follow such a clock. */
static bool clock_counts(gv_time_ms wall)
{
    return (gv_version)wall < CLOCK_TOP >> 16;
}

static void jump(struct simulation *simulation, const struct action *action)
{
    struct machine *machine = machine_at(simulation, action);
    gv_time_ms ahead;

    world_note(simulation->world, "n%zu: the clock jumps by %lld ms",
               action->machine, (long long)action->amount);
    machine_clock_jump(machine, action->amount);
    ahead = machine_wall(machine) - MACHINE_WALL -
            world_now(simulation->world) / SIM_MS;
    if (ahead > simulation->ahead && clock_counts(machine_wall(machine)))
        simulation->ahead = ahead;
    simulation->fired[FAULT_CLOCK]++;
}

static void back(void *context, uint64_t index)
{
    struct simulation *simulation = context;
    const struct action *action = action_at(simulation, index);

    simulation->extras[action->machine].away = false;
    if (!simulation->chaos)
        return;
    machine_set_restart(machine_at(simulation, action), SIM_SECOND);
    machine_start(machine_at(simulation, action));
}

static void leave(struct simulation *simulation, size_t index)
{
    const struct action *action = action_at(simulation, index);

    if (simulation->extras[action->machine].away)
        return;
    simulation->extras[action->machine].away = true;
    machine_set_restart(machine_at(simulation, action), SIM_NEVER);
    machine_stop(machine_at(simulation, action));
    simulation->fired[FAULT_CHURN]++;
    later(simulation, index, action->duration, back);
}

/* Deaths */

static void set_restart(struct simulation *simulation,
                        const struct action *action)
{
    if (!simulation->extras[action->machine].away)
        machine_set_restart(machine_at(simulation, action),
                            action->duration > 0 ? action->duration
                                                 : SIM_SECOND);
}

static void play(void *context, uint64_t index)
{
    struct simulation *simulation = context;
    const struct action *action = action_at(simulation, index);
    struct machine *machine = machine_at(simulation, action);

    if (!simulation->chaos)
        return;
    if (action->fault == FAULT_COMPOUND)
        simulation->fired[FAULT_COMPOUND]++;
    switch (action->kind) {
    case ACTION_WRITE:
        write_once(simulation, index);
        break;
    case ACTION_HOLD:
        hold(simulation, index);
        break;
    case ACTION_PROGRAM_KILL:
        application_kill_at(program_at(simulation, action),
                            (uint64_t)action->amount);
        break;
    case ACTION_KILL:
        set_restart(simulation, action);
        machine_kill_at_operation(machine, (uint64_t)action->amount,
                                  action->seed % 2 == 0);
        break;
    case ACTION_STEP_KILL:
        set_restart(simulation, action);
        machine_kill_at_effect(machine, (uint64_t)action->amount);
        simulation->fired[FAULT_STEP_KILL]++;
        break;
    case ACTION_POWER_CUT:
        set_restart(simulation, action);
        machine_power_cut_at(machine, (uint64_t)action->amount,
                             loss_of(action));
        break;
    case ACTION_PARTITION:
        world_note(simulation->world, "a partition begins");
        partition(simulation, action, true);
        later(simulation, index, action->duration, partition_end);
        break;
    case ACTION_RESET:
        network_reset(simulation->network, action->machine, action->other);
        simulation->fired[FAULT_RESET]++;
        break;
    case ACTION_CLOG:
        narrow(simulation, index);
        break;
    case ACTION_DISK:
        disk_trouble(simulation, action);
        break;
    case ACTION_JUMP:
        jump(simulation, action);
        break;
    case ACTION_DRIFT:
        machine_clock_drift(machine, (int)action->amount);
        simulation->fired[FAULT_CLOCK]++;
        later(simulation, index, action->duration, drift_end);
        break;
    case ACTION_PAUSE:
        world_note(simulation->world, "n%zu: stands still for %lld ms",
                   action->machine, (long long)(action->duration / SIM_MS));
        machine_pause(machine, action->duration);
        simulation->fired[FAULT_PAUSE]++;
        break;
    case ACTION_AWAY:
        leave(simulation, index);
        break;
    case ACTION_OLD_FILE:
        old_file(simulation, index);
        break;
    case ACTION_COPIED_FILE:
        copied_file(simulation, action);
        break;
    case ACTION_TWIN:
        twin(simulation, action);
        break;
    case ACTION_ALTER:
        alter_play(simulation, action);
        break;
    case ACTIONS:
        break;
    }
}

void play_begin(struct simulation *simulation)
{
    const struct script *script = simulation->script;

    draw_frame_faults(simulation);
    draw_habits(simulation);
    simulation->chaos = true;
    network_set_faults(simulation->network, &simulation->frame_faults);
    for (size_t i = 0; i < simulation->count; i++) {
        machine_set_lost_ends(simulation->machines[i],
                              script->swarm.on[FAULT_LOST_END] ? 200000 : 0);
        machine_set_cuts(simulation->machines[i],
                         script->swarm.on[FAULT_GIVER] ? 20000 : 0,
                         script->swarm.on[FAULT_CURSOR] ? 60000 : 0);
    }
    for (size_t i = 0; i < script->count; i++)
        world_at(simulation->world, script->actions[i].when, play, simulation,
                 i);
}

void play_heal(struct simulation *simulation)
{
    struct disk_faults none = {0};

    simulation->chaos = false;
    network_heal(simulation->network);
    for (size_t i = 0; i < simulation->count; i++) {
        struct machine *machine = simulation->machines[i];

        machine_clock_right(machine);
        machine_set_lost_ends(machine, 0);
        machine_set_cuts(machine, 0, 0);
        machine_set_restart(machine, SIM_SECOND);
        machine_disarm(machine);
        if (simulation->ledger == NULL)
            continue;
        disk_set_faults(machine_disk(machine), &none);
        for (size_t p = 0; p < simulation->script->swarm.programs; p++)
            application_release(simulation->extras[i].programs[p]);
    }
}
