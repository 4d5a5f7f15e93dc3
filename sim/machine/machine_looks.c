/* What can be seen of a machine, and how it is set up. */
#include "machine_state.h"

static struct world *world_of(const struct machine *machine)
{
    return machine->options.world;
}

size_t machine_index(const struct machine *machine)
{
    return machine->options.index;
}

uint64_t machine_foreign(const struct machine *machine)
{
    return machine->foreign;
}

bool machine_exchanges(const struct machine *machine)
{
    return machine->options.exchange;
}

bool machine_dials(const struct machine *machine, size_t other)
{
    for (size_t i = 0; i < machine->options.peer_count; i++)
        if (machine->options.peers[i] == other)
            return true;
    return false;
}

bool machine_alive(const struct machine *machine)
{
    return machine->alive;
}

bool machine_powered(const struct machine *machine)
{
    return machine->powered;
}

sim_time machine_lived(const struct machine *machine)
{
    sim_time now = world_now(world_of(machine));

    return machine->lived + (machine->alive ? now - machine->alive_since : 0);
}

uint64_t machine_starts(const struct machine *machine)
{
    return machine->starts;
}

struct disk *machine_disk(struct machine *machine)
{
    return machine->disk;
}

const struct core *machine_core(const struct machine *machine)
{
    return machine->core;
}

struct keeper *machine_keeper(struct machine *machine)
{
    return machine->keeper;
}

sqlite3 *machine_observer(struct machine *machine)
{
    return machine->observer.db;
}

uint64_t machine_operations(const struct machine *machine)
{
    return machine->operations + (machine->process != NULL
                                      ? process_operations(machine->process)
                                      : 0);
}

const struct machine_sent *machine_sent(const struct machine *machine)
{
    return &machine->sent;
}

bool machine_busy(const struct machine *machine)
{
    return !machine->options.model && machine->keeper != NULL &&
           store_busy(store_keeper_store(machine->keeper));
}

uint64_t machine_slices(const struct machine *machine)
{
    return machine->slices;
}

uint64_t machine_givers_died(const struct machine *machine)
{
    return machine->givers_died;
}

/* Who was asked counts too; halves of one thing. */
uint64_t machine_resumed(const struct machine *machine)
{
    return machine->resumed +
           (machine->core != NULL
                ? core_counters(machine->core)->deltas_resumed
                : 0);
}

uint64_t machine_lost_ends(const struct machine *machine)
{
    return machine->ends_lost;
}

/* Settings */

void machine_set_lost_ends(struct machine *machine, unsigned per_million)
{
    machine->lost_ends = per_million;
}

void machine_set_cuts(struct machine *machine, unsigned dies, unsigned breaks)
{
    machine->giver_dies = dies;
    machine->giver_cut = breaks;
}

void machine_set_restart(struct machine *machine, sim_time delay)
{
    machine->restart_delay = delay;
}

void machine_set_work(struct machine *machine, sim_time work_max)
{
    machine->work_max = work_max;
}
