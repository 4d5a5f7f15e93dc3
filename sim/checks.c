#include "checks_internal.h"

#include "base/assert.h"
#include "core/clock.h"

#include <stdlib.h>
#include <string.h>

/* Versions stay so near to the clock of whoever accepts them. */
#define DRIFT_MAX_MS CLOCK_DRIFT_MAX_MS
/* More events than this without a tick of the clock: a loop. */
#define STILL_EVENTS_MAX 10000

static const struct {
    const char *id, *what;
} invariants[] = {
    {"I1", "equal vectors, equal fingerprints and equal tables"},
    {"I2", "after healing all living nodes come to hold the same, in time"},
    {"I3", "a node shows what the set of publications it covers says"},
    {"I4", "no acknowledged and durable transaction is lost"},
    {"I4b", "a table that is only inserted into loses no row"},
    {"I5", "nothing is shown that no program committed"},
    {"I7", "a node's vector does not fall; what it told stays its own"},
    {"I8", "a vector claims only what its file holds or has replaced"},
    {"I9", "one site and version is one content, for ever"},
    {"I10", "a deleted row comes back only by a new insert"},
    {"I11", "a row shows only cells of its present life"},
    {"I12", "a transaction is shown whole or not at all"},
    {"I13", "nothing is held without what it depends on"},
    {"I14", "a site's versions rise above all that it had seen"},
    {"I15", "no version is accepted from too far ahead"},
    {"I16", "memory and the write-ahead log stay bounded"},
    {"I17", "at rest: heartbeats only, and no write to the disk"},
    {"I18", "an interval goes to one peer at most twice per connection"},
    {"I19", "integrity_check is ok, and the schema as the programs left it"},
    {"I20", "nothing that was written is missed by the capture"},
    {"I21", "what a node tells of itself is synced"},
    {"I22", "programs can write, whatever the network does"},
    {"I26", "a counter shows each addition once (in a census)"},
    {"I24", "one seed is one run (with --twice)"},
    {"I27", "verify recomputes every digest and sum, and finds nothing"},
    {"I30", "time goes on: no endless loop"},
    {"I31", "a multi-value cell keeps each value that nobody has replaced"},
    {"I32", "an index that triggers keep is right on every node"},
    {"I33", "a node notices that its file was written over"},
    {"I34", "nothing is served between the slices of a long seal or apply"},
    {"I35", "two nodes that live and meet do not keep one site id"},
    {"I36", "rows that rotted are named by a comparison, and mended"},
    {"I37", "nodes that tell each other of peers find one another"},
    {"core", "the numbered invariants of the core, after each step"},
};

struct checks *checks_new(struct world *world, struct ledger *ledger,
                          size_t machine_count)
{
    struct checks *checks = calloc(1, sizeof *checks);

    GV_ASSERT(checks != NULL);
    checks->world = world;
    checks->ledger = ledger;
    checks->count = machine_count;
    checks->watches = calloc(machine_count, sizeof *checks->watches);
    GV_ASSERT(checks->watches != NULL);
    for (size_t i = 0; i < machine_count; i++) {
        vv_init(&checks->watches[i].vv);
        vv_init(&checks->watches[i].ever);
    }
    return checks;
}

void checks_free(struct checks *checks)
{
    if (checks == NULL)
        return;
    for (size_t i = 0; i < checks->count; i++) {
        vv_close(&checks->watches[i].vv);
        vv_close(&checks->watches[i].ever);
        free(checks->watches[i].pushes);
    }
    free(checks->watches);
    free(checks->dots);
    free(checks);
}

struct watch *checks_watch(struct checks *checks,
                           const struct machine *machine)
{
    return &checks->watches[machine_index(machine)];
}

const struct vv *checks_vv(struct machine *machine)
{
    struct keeper *keeper = machine_keeper(machine);

    return keeper->methods->vv(keeper);
}

const struct site *checks_site(struct machine *machine)
{
    struct keeper *keeper = machine_keeper(machine);

    return keeper->methods->site(keeper);
}

struct hash128 checks_fingerprint(struct machine *machine)
{
    struct keeper *keeper = machine_keeper(machine);

    return keeper->methods->fingerprint(keeper);
}

/* Vectors */

/* I7, I15 and, for our own entry, I14.  @limit: the clock of who accepts. */
static void check_entry(struct checks *checks, struct machine *machine,
                        const struct vv_entry *entry)
{
    struct watch *watch = checks_watch(checks, machine);
    gv_version before = vv_get(&watch->vv, &entry->site);

    if (entry->version < before)
        world_fail(checks->world, "I7",
                   "n%zu: an entry of its vector fell from %llu to %llu",
                   machine_index(machine), (unsigned long long)before,
                   (unsigned long long)entry->version);
    if (entry->version > before &&
        !site_equal(&entry->site, checks_site(machine)) &&
        clock_wall(entry->version) > machine_wall(machine) + DRIFT_MAX_MS)
        world_fail(
            checks->world, "I15",
            "n%zu: took a version %lld ms ahead of its clock",
            machine_index(machine),
            (long long)(clock_wall(entry->version) - machine_wall(machine)));
}

static gv_version largest(const struct vv *vv)
{
    gv_version most = 0;

    for (size_t i = 0; i < vv->count; i++)
        if (vv->entries[i].version > most)
            most = vv->entries[i].version;
    return most;
}

/* I14: what a node seals lies above all that stood in its vector before. */
static void check_sealed(struct checks *checks, struct machine *machine,
                         const struct interval *interval)
{
    struct watch *watch = checks_watch(checks, machine);

    if (interval->to <= largest(&watch->vv) ||
        interval->from != vv_get(&watch->vv, &interval->site))
        world_fail(checks->world, "I14",
                   "n%zu: sealed (%llu, %llu] though it had seen %llu",
                   machine_index(machine), (unsigned long long)interval->from,
                   (unsigned long long)interval->to,
                   (unsigned long long)largest(&watch->vv));
}

static void note_vector(struct checks *checks, struct machine *machine)
{
    struct watch *watch = checks_watch(checks, machine);
    const struct vv *vv = checks_vv(machine);
    int rc = vv_copy(&watch->vv, vv);

    GV_ASSERT(rc == GV_OK);
}

void checks_blind(struct checks *checks, bool blind)
{
    checks->blind = blind;
}

void checks_opened(struct checks *checks, struct machine *machine)
{
    struct watch *watch = checks_watch(checks, machine);

    vv_clear(&watch->vv);
    note_vector(checks, machine);
    watch->synced = vv_get(&watch->vv, checks_site(machine));
    watch->push_count = 0;
    if (checks->ledger == NULL)
        return;
    checks_integrity(checks, machine);
    checks_schema(checks, machine);
}

void checks_committed(struct checks *checks, struct machine *machine,
                      const struct store_sealed *sealed)
{
    struct watch *watch = checks_watch(checks, machine);
    const struct vv *vv = checks_vv(machine);

    if (sealed->any)
        check_sealed(checks, machine, &sealed->interval);
    for (size_t i = 0; i < vv->count; i++)
        check_entry(checks, machine, &vv->entries[i]);
    if (vv->count < watch->vv.count)
        world_fail(checks->world, "I7", "n%zu: its vector lost a site",
                   machine_index(machine));
    note_vector(checks, machine);
    if (!sealed->any)
        return;
    /* Right after a commit that sealed, the log may hold nothing that is not
     * on the platter. */
    if (checks->ledger != NULL &&
        !disk_synced(machine_disk(machine), MACHINE_PATH "-wal"))
        world_fail(checks->world, "I21",
                   "n%zu: sealed %llu, and its log is not synced",
                   machine_index(machine),
                   (unsigned long long)sealed->interval.to);
    watch->synced = sealed->interval.to;
}

/* I30 and the core's own. */
void checks_stepped(struct checks *checks, struct machine *machine,
                    const struct event *event)
{
    const char *which;
    sim_time now = world_now(checks->world);

    (void)event;
    if (now != checks->still_at) {
        checks->still_at = now;
        checks->still_steps = world_steps(checks->world);
    } else if (world_steps(checks->world) - checks->still_steps >
               STILL_EVENTS_MAX) {
        world_fail(checks->world, "I30", "n%zu: the clock stands still",
                   machine_index(machine));
    }
    if (!core_check(machine_core(machine), &which))
        world_fail(checks->world, "core", "n%zu: %s", machine_index(machine),
                   which);
}

void checks_died(struct checks *checks, struct machine *machine)
{
    checks_watch(checks, machine)->push_count = 0;
}

void checks_rewound(struct checks *checks, struct machine *machine)
{
    /* Another machine's file has other triggers. */
    checks_watch(checks, machine)->schema = 0;
    vv_clear(&checks_watch(checks, machine)->vv);
}

void checks_unnoticed(struct checks *checks, struct machine *machine)
{
    world_fail(checks->world, "I33",
               "n%zu: its file was copied over, and its node goes on",
               machine_index(machine));
}

void checks_refused(struct checks *checks, size_t machine, int code,
                    const char *statement)
{
    world_fail(checks->world, "I22", "n%zu: a program's %s failed with %d",
               machine, statement, code);
}

void checks_list(FILE *out)
{
    for (size_t i = 0; i < checks_count(); i++)
        fprintf(out, "  %-5s %s\n", invariants[i].id, invariants[i].what);
}

size_t checks_count(void)
{
    return sizeof invariants / sizeof invariants[0];
}
