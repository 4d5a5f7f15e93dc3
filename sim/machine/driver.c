/* The node's loop once more: wait, one event at a time into the core, carry
 * out the effects.  It is src/node's with simulated parts around it; where
 * the node's loop blocks in the store, this one lets virtual time pass. */
#include "driver_internal.h"

#include "base/assert.h"

#include <stdlib.h>

#define DRIVER_POLL_MS 1000
#define DRIVER_AUDIT_ROWS 200
/* Above the longest that an audit waits for; the daily one is further away. */
#define AUDIT_SOON_MS 70000

gv_time_ms driver_now(const struct machine *machine)
{
    return world_now(driver_world(machine)) / SIM_MS;
}

/* The loop is asked for at most once; what was asked for earlier and is no
 * longer the next turn finds another wake_at. */
static void turn(void *context, uint64_t when);

void driver_wake(struct machine *machine, sim_time when)
{
    sim_time now = world_now(driver_world(machine));

    if (when < machine->busy_until)
        when = machine->busy_until;
    if (when < now)
        when = now;
    if (when >= machine->wake_at)
        return;
    machine->wake_at = when;
    world_at(driver_world(machine), when, turn, machine, (uint64_t)when);
}

bool driver_dead(const struct machine *machine)
{
    return machine->process != NULL && process_dead(machine->process);
}

/* Steps */

void driver_finish(struct machine *machine, const struct event *event)
{
    struct finished *finished = &machine->finished;

    if (finished->count == finished->capacity) {
        finished->capacity = finished->capacity * 2 + 16;
        finished->items = reallocarray(finished->items, finished->capacity,
                                       sizeof *finished->items);
        GV_ASSERT(finished->items != NULL);
    }
    finished->items[finished->count++] = *event;
}

static void step(struct machine *machine, struct event *event)
{
    struct effects effects = {0};

    event->now = driver_now(machine);
    event->wall = machine_wall(machine);
    core_step(machine->core, event, &effects);
    machine->options.watcher->stepped(machine->options.watcher->context,
                                      machine, event);
    driver_carry_out(machine, &effects);
}

void driver_feed(struct machine *machine, struct event *event)
{
    struct finished *finished = &machine->finished;

    step(machine, event);
    while (!machine->falling && finished->first < finished->count) {
        struct event next = finished->items[finished->first++];

        step(machine, &next);
    }
    finished->first = 0;
    finished->count = 0;
}

/* The loop */

/* Whether this is still the file that was opened. */
static void look(struct machine *machine)
{
    struct gv_error why = {0};

    if (machine->keeper->methods->look(machine->keeper, &why) == GV_EMOVED)
        driver_end_node(machine, &why);
}

void driver_look(struct machine *machine)
{
    look(machine);
    machine_fallen(machine);
}

static void take_commits(struct machine *machine)
{
    struct store_news news = {false, false};
    gv_time_ms now = driver_now(machine);

    if (now < machine->poll_due)
        return;
    machine->poll_due = now + DRIVER_POLL_MS;
    look(machine);
    if (machine->falling || driver_dead(machine))
        return;
    if (machine->keeper->methods->poll(machine->keeper, &news) != GV_OK)
        return;
    if (news.schema_moved)
        machine->schema_moved = true;
    if (news.schema_moved)
        machine->audit_due = 0;
    if (news.committed || news.schema_moved)
        machine->write_wanted = true;
}

static void take_time(struct machine *machine)
{
    struct event tick = {.kind = EVENT_TICK};

    if (!machine->falling &&
        driver_now(machine) >= core_deadline(machine->core))
        driver_feed(machine, &tick);
}

static bool write_pending(const struct machine *machine)
{
    return machine->write_wanted || machine->applies.first != NULL;
}

static void write_if_due(struct machine *machine)
{
    if (!machine->falling && write_pending(machine) &&
        driver_now(machine) >= machine->write_due)
        driver_write_turn(machine);
}

static bool idle(const struct machine *machine)
{
    return !machine->falling && !machine->work.pending &&
           !write_pending(machine) && machine->deltas == NULL;
}

/* One slice of the audit when nothing else is to be done. */
static void audit_if_idle(struct machine *machine)
{
    gv_time_ms now = driver_now(machine);
    struct store_audit audit;
    struct gv_error why = {0};
    int rc;

    if (!idle(machine) || now < machine->audit_due)
        return;
    rc = machine->keeper->methods->audit_step(machine->keeper, now,
                                              DRIVER_AUDIT_ROWS, &audit, &why);
    machine->audit_due = rc == GV_OK ? audit.due : now + DRIVER_POLL_MS;
    machine->write_wanted |= audit.write || audit.resumed;
    machine->schema_moved |= audit.resumed;
}

bool machine_audits(const struct machine *machine)
{
    return machine_alive(machine) &&
           machine->audit_due < driver_now(machine) + AUDIT_SOON_MS;
}

/* What was done since the turn began took the disk so long, and the processor
 * a moment. */
static void pass_time(struct machine *machine)
{
    struct world *world = driver_world(machine);
    sim_time spent = 0;

    if (machine->disk != NULL)
        spent = (sim_time)disk_latency_take(machine->disk);
    if (machine->work.pending && machine->work_max > 0)
        spent +=
            between(world_random(world, STREAM_MACHINE), 0, machine->work_max);
    machine->busy_until = world_now(world) + spent;
}

static void ask_for_next(struct machine *machine)
{
    gv_time_ms due = core_deadline(machine->core);

    if (machine->work.pending || driver_delta_due(machine) != NULL ||
        driver_proofs_ready(machine))
        due = driver_now(machine);
    if (machine->poll_due < due)
        due = machine->poll_due;
    if (write_pending(machine) && machine->write_due < due)
        due = machine->write_due;
    if (idle(machine) && machine->audit_due < due)
        due = machine->audit_due;
    driver_wake(machine, due < SIM_NEVER / SIM_MS ? due * SIM_MS : SIM_NEVER);
}

static void loop(struct machine *machine)
{
    machine->wake_at = SIM_NEVER;
    driver_work_done(machine);
    if (!machine->falling)
        take_commits(machine);
    driver_take_arrivals(machine);
    take_time(machine);
    write_if_due(machine);
    /* Between two slices a node looks at all else. */
    if (!machine->falling && (!machine->work.pending || machine->work.slice))
        driver_delta_turn(machine);
    driver_proofs_turn(machine);
    audit_if_idle(machine);
    if (machine_fallen(machine))
        return;
    pass_time(machine);
    ask_for_next(machine);
}

static void turn(void *context, uint64_t when)
{
    struct machine *machine = context;

    if (!machine->alive || machine->wake_at != (sim_time)when)
        return;
    if (world_now(driver_world(machine)) < machine->busy_until) {
        machine->wake_at = SIM_NEVER;
        driver_wake(machine, machine->busy_until);
        return;
    }
    loop(machine);
}

/* Beginning and end */

void driver_start(struct machine *machine)
{
    machine->wake_at = SIM_NEVER;
    machine->busy_until = 0;
    machine->poll_due = driver_now(machine);
    machine->write_due = 0;
    machine->audit_due = 0;
    machine->write_wanted = true;
    machine->schema_moved = false;
    machine->io_errors = 0;
    driver_tell_sealed(machine);
    driver_wake(machine, world_now(driver_world(machine)));
}

void driver_say_bye(struct machine *machine)
{
    struct effects effects = {0};

    core_stop(machine->core, driver_now(machine), &effects);
    driver_carry_out(machine, &effects);
}

void driver_clear(struct machine *machine)
{
    while (machine->arrivals != NULL) {
        struct arrival *got = machine->arrivals;

        machine->arrivals = got->next;
        free(got);
    }
    machine->arrivals_end = &machine->arrivals;
    driver_applies_clear(&machine->applies);
    free(machine->slicing);
    machine->slicing = NULL;
    if (machine->work.pending)
        driver_applies_clear(&machine->work.batch);
    machine->work.pending = false;
    proofs_forget(&machine->proofs);
    while (machine->deltas != NULL)
        driver_delta_drop(machine, machine->deltas->link,
                          machine->deltas->token, false);
    machine->finished.first = 0;
    machine->finished.count = 0;
}
