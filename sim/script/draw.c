/* How a script is drawn from a seed.
 *
 * Merges go wrong where things come together: so programs write in bursts,
 * several machines within milliseconds, mostly where a fault begins or ends;
 * nodes are killed close to a write; and with FAULT_COMPOUND a second fault
 * comes while a node recovers from the first. */
#include "script.h"

#include "grapevine.h"

#include <stdlib.h>

#define MONTH (30 * 86400 * SIM_SECOND)
#define HOUR_MS ((int64_t)3600 * 1000)
#define YEAR_MS ((int64_t)365 * 24 * HOUR_MS)

struct draw {
    struct script *script;
    struct random random;
    size_t capacity;
    size_t writes; /* the writes drawn, which come first in no order */
    size_t years;  /* jumps by years */
    bool failed;
    struct action spare; /* where an action goes without memory */
};

/* How much of each class a run of three minutes gets. */
struct dose {
    enum fault fault;
    enum action_kind kind;
    size_t count_max;
    sim_time shortest, longest;
};

/* Those that come whenever they like. */
static const struct dose doses[] = {
    {FAULT_PARTITION, ACTION_PARTITION, 8, 50 * SIM_MS, 60 * SIM_SECOND},
    {FAULT_CLOG, ACTION_CLOG, 5, SIM_SECOND, 30 * SIM_SECOND},
    {FAULT_RESET, ACTION_RESET, 12, 0, 0},
    {FAULT_SYNC, ACTION_DISK, 4, 500 * SIM_MS, 20 * SIM_SECOND},
    {FAULT_IO_ERROR, ACTION_DISK, 4, 500 * SIM_MS, 20 * SIM_SECOND},
    {FAULT_DISK_FULL, ACTION_DISK, 3, 500 * SIM_MS, 20 * SIM_SECOND},
    {FAULT_SLOW_DISK, ACTION_DISK, 3, SIM_SECOND, 30 * SIM_SECOND},
    {FAULT_SLOW_DISK, ACTION_HOLD, 6, 10 * SIM_MS, 5 * SIM_SECOND},
    /* Few: jumps add up, and what is written by a clock that is ahead by more
     * than a minute has to wait for the others' clocks. */
    {FAULT_CLOCK, ACTION_JUMP, 4, SIM_SECOND, 60 * SIM_SECOND},
    {FAULT_CLOCK, ACTION_DRIFT, 3, 5 * SIM_SECOND, 120 * SIM_SECOND},
    {FAULT_PAUSE, ACTION_PAUSE, 5, 100 * SIM_MS, 60 * SIM_SECOND},
    {FAULT_CHURN, ACTION_AWAY, 3, SIM_SECOND, 180 * SIM_SECOND},
    {FAULT_OLD_FILE, ACTION_OLD_FILE, 1, SIM_SECOND, 60 * SIM_SECOND},
    {FAULT_COPIED_FILE, ACTION_COPIED_FILE, 1, SIM_SECOND, 30 * SIM_SECOND},
    {FAULT_TWIN, ACTION_TWIN, 2, 0, 0},
    {FAULT_SCHEMA_MIX, ACTION_ALTER, 24, 0, 0},
};

/* Those that come close to a write; the duration is the time until the node
 * starts again. */
static const struct dose deaths[] = {
    {FAULT_KILL, ACTION_KILL, 10, 50 * SIM_MS, 20 * SIM_SECOND},
    {FAULT_KILL, ACTION_PROGRAM_KILL, 6, 0, 0},
    {FAULT_STEP_KILL, ACTION_STEP_KILL, 10, 50 * SIM_MS, 20 * SIM_SECOND},
    {FAULT_POWER, ACTION_POWER_CUT, 3, 50 * SIM_MS, 30 * SIM_SECOND},
    /* A connection that breaks just after a write takes the end of a delta
     * with it. */
    {FAULT_LOST_END, ACTION_RESET, 10, 0, 0},
};

static size_t draw_below(struct draw *draw, size_t bound)
{
    return (size_t)random_below(&draw->random, bound);
}

/* An action of a machine at some time; two machines are always two. */
static struct action *draw_add(struct draw *draw, enum action_kind kind,
                               enum fault fault)
{
    struct script *script = draw->script;
    size_t nodes = script->swarm.nodes;
    struct action *action = &draw->spare;

    if (script->count == draw->capacity) {
        size_t capacity = draw->capacity * 2 + 256;
        struct action *actions =
            reallocarray(script->actions, capacity, sizeof *actions);

        if (actions == NULL)
            draw->failed = true;
        else {
            script->actions = actions;
            draw->capacity = capacity;
        }
    }
    if (!draw->failed)
        action = &script->actions[script->count++];
    *action = (struct action){.kind = kind, .fault = fault};
    action->when = between(&draw->random, 0, script->swarm.chaos);
    action->machine = draw_below(draw, nodes);
    action->other =
        (action->machine + 1 + draw_below(draw, nodes - 1)) % nodes;
    action->seed = random_u64(&draw->random);
    return action;
}

/* From @shortest to @longest, short ones more often. */
static sim_time draw_duration(struct draw *draw, sim_time shortest,
                              sim_time longest)
{
    return between(&draw->random, shortest,
                   between(&draw->random, shortest, longest));
}

static sim_time draw_near(struct draw *draw, sim_time when, sim_time spread)
{
    sim_time end = draw->script->swarm.chaos;

    when += between(&draw->random, -spread, spread);
    return when < 0 ? 0 : when > end ? end : when;
}

/* To the year 5800, which no version can tell: it counts as no clock. */
#define BEYOND_MS INT64_C(120000000000000)

/* Milliseconds.  Forward at most five minutes: the mesh takes what a clock
 * that is ahead has written only when its own clocks have come that far.  Back
 * by years at most three times, so that it is never before 1970. */
static int64_t draw_jump(struct draw *draw)
{
    switch (draw_below(draw, 9)) {
    case 8:
        return BEYOND_MS;
    case 0:
        if (draw->years++ >= 3)
            return -HOUR_MS;
        return -(int64_t)(1 + draw_below(draw, 10)) * YEAR_MS;
    case 1:
        return -HOUR_MS;
    case 2:
    case 3:
        return between(&draw->random, -300000, 300000);
    default:
        return between(&draw->random, -65000, 65000);
    }
}

static int64_t draw_amount(struct draw *draw, enum action_kind kind)
{
    int64_t sign = draw_below(draw, 2) == 0 ? -1 : 1;

    /* Most operations and effects of a step are near its begin. */
    if (kind == ACTION_KILL || kind == ACTION_PROGRAM_KILL ||
        kind == ACTION_POWER_CUT)
        return draw_duration(draw, 1, 60);
    if (kind == ACTION_STEP_KILL)
        return draw_duration(draw, 1, 40);
    if (kind == ACTION_JUMP)
        return draw_jump(draw);
    /* What crystals do, and what no crystal does. */
    if (kind == ACTION_DRIFT)
        return sign * (draw_below(draw, 3) != 0 ? 500 : 50000);
    return 0;
}

/* How often in this run: in proportion to its length. */
static size_t draw_count(struct draw *draw, size_t count_max)
{
    sim_time chaos = draw->script->swarm.chaos;
    size_t spans = (size_t)(chaos / (180 * SIM_SECOND)) + 1;

    return 1 + draw_below(draw, count_max * spans);
}

static void draw_dose(struct draw *draw, const struct dose *dose)
{
    size_t count = draw_count(draw, dose->count_max);

    for (size_t i = 0; i < count; i++) {
        struct action *action = draw_add(draw, dose->kind, dose->fault);

        action->amount = draw_amount(draw, dose->kind);
        action->duration = draw_duration(draw, dose->shortest, dose->longest);
        /* Flapping, and storms of connections that come again. */
        if (i > 0 && action != &draw->spare && draw_below(draw, 3) == 0)
            action->when = draw_near(draw, action[-1].when, 2 * SIM_SECOND);
    }
}

/* A moment at which a fault begins or ends. */
static sim_time draw_anchor(struct draw *draw)
{
    const struct script *script = draw->script;
    const struct action *action;

    if (script->count == draw->writes || draw_below(draw, 2) == 0)
        return between(&draw->random, 0, script->swarm.chaos);
    do
        action = &script->actions[draw_below(draw, script->count)];
    while (action->kind == ACTION_WRITE);
    return action->when + (draw_below(draw, 2) == 0 ? 0 : action->duration);
}

/* At most @left writes within milliseconds, on all machines or on one. */
static size_t draw_burst(struct draw *draw, size_t left)
{
    sim_time anchor = draw_near(draw, draw_anchor(draw), 30 * SIM_MS);
    sim_time spread = between(&draw->random, 0, 9) * SIM_MS;
    size_t count = 1 + draw_below(draw, 8);
    size_t machine = draw_below(draw, draw->script->swarm.nodes);
    bool alone = draw_below(draw, 4) == 0;

    if (count > left)
        count = left;
    for (size_t i = 0; i < count; i++) {
        struct action *action = draw_add(draw, ACTION_WRITE, 0);

        action->when = draw_near(draw, anchor, spread);
        if (alone)
            action->machine = machine;
        action->other = 0;
        /* Which of the machine's programs. */
        action->amount =
            (int64_t)draw_below(draw, draw->script->swarm.programs);
        draw->writes++;
    }
    return count;
}

static void draw_writes(struct draw *draw, size_t count)
{
    while (count > 0 && !draw->failed)
        count -= draw_burst(draw, count);
}

/* Close to a write: where it was made, or where it is going. */
static void draw_death(struct draw *draw, const struct dose *dose)
{
    const struct script *script = draw->script;
    size_t from = script->count;

    draw_dose(draw, dose);
    for (size_t i = from; i < script->count && draw->writes > 0; i++) {
        struct action *action = &script->actions[i];
        const struct action *write;

        do
            write = &script->actions[draw_below(draw, from)];
        while (write->kind != ACTION_WRITE);
        action->when = draw_near(draw, write->when, 100 * SIM_MS);
        if (draw_below(draw, 2) == 0 && write->machine != action->other)
            action->machine = write->machine;
    }
}

static bool draw_on(const struct draw *draw, enum fault fault)
{
    return draw->script->swarm.on[fault];
}

/* A death, and a second fault soon after the node is back, of the classes that
 * are on. */
static void draw_pair(struct draw *draw)
{
    bool cut = draw_on(draw, FAULT_POWER) &&
               (!draw_on(draw, FAULT_KILL) || draw_below(draw, 3) == 0);
    enum action_kind kind = cut ? ACTION_POWER_CUT : ACTION_KILL;
    struct action first, *second;

    draw_add(draw, kind, FAULT_COMPOUND);
    if (draw->failed)
        return;
    second = &draw->script->actions[draw->script->count - 1];
    second->amount = draw_amount(draw, kind);
    second->duration = draw_duration(draw, 50 * SIM_MS, 5 * SIM_SECOND);
    first = *second;
    if (draw_on(draw, FAULT_IO_ERROR) && draw_below(draw, 2) == 0)
        kind = ACTION_DISK;
    else if (draw_on(draw, FAULT_POWER))
        kind = ACTION_POWER_CUT;
    second = draw_add(draw, kind, FAULT_COMPOUND);
    second->machine = first.machine;
    second->when = draw_near(draw, first.when + first.duration, 500 * SIM_MS);
    second->amount = draw_amount(draw, kind);
    second->duration = draw_duration(draw, 50 * SIM_MS, 5 * SIM_SECOND);
}

/* All go away for a month, one comes back a little early, and what was to
 * come after their leaving comes after the month.  Programs still write now
 * and then: a file needs no node.  All, since a mesh whose other nodes go on
 * talking has millions of heartbeats in that time. */
static void draw_month(struct draw *draw)
{
    struct script *script = draw->script;
    sim_time leaving = script->swarm.chaos / 2;
    size_t early = draw_below(draw, script->swarm.nodes);

    for (size_t i = 0; i < script->count; i++) {
        struct action *action = &script->actions[i];

        /* Who is away already could be back within the month. */
        if (action->when < leaving && action->kind == ACTION_AWAY &&
            action->when + action->duration >= leaving)
            action->duration = leaving - action->when - 1;
        if (action->when < leaving)
            continue;
        if (action->kind == ACTION_WRITE && draw_below(draw, 10) == 0)
            action->when = between(&draw->random, leaving, leaving + MONTH);
        else
            action->when += MONTH;
    }
    script->swarm.chaos += MONTH;
    for (size_t i = 0; i < script->swarm.nodes; i++) {
        struct action *action = draw_add(draw, ACTION_AWAY, FAULT_CHURN);

        action->when = leaving;
        action->machine = i;
        action->duration = MONTH - between(&draw->random, 0, 10 * SIM_SECOND);
        if (i == early)
            action->duration -= 60 * SIM_SECOND;
    }
}

/* No two actions are equal: the seeds differ. */
static int compare_actions(const void *a, const void *b)
{
    const struct action *left = a, *right = b;

    if (left->when != right->when)
        return left->when < right->when ? -1 : 1;
    return (left->seed > right->seed) - (left->seed < right->seed);
}

static void draw_all(struct draw *draw, const struct wishes *wishes)
{
    size_t operations = draw->script->swarm.operations;

    for (size_t i = 0; i < sizeof doses / sizeof doses[0]; i++)
        if (draw_on(draw, doses[i].fault))
            draw_dose(draw, &doses[i]);
    draw_writes(draw, operations / 2);
    for (size_t i = 0; i < sizeof deaths / sizeof deaths[0]; i++)
        if (draw_on(draw, deaths[i].fault))
            draw_death(draw, &deaths[i]);
    if (draw_on(draw, FAULT_COMPOUND))
        for (size_t i = draw_count(draw, 4); i > 0; i--)
            draw_pair(draw);
    draw_writes(draw, operations - operations / 2);
    /* Who wishes for a length does not wish for a month. */
    if (draw_on(draw, FAULT_CHURN) && wishes->chaos == 0 &&
        draw_below(draw, 4) == 0)
        draw_month(draw);
}

int script_draw(struct script *script, uint64_t seed,
                const struct wishes *wishes)
{
    struct draw draw = {.script = script};
    struct random swarm;

    *script = (struct script){.seed = seed};
    random_seed(&swarm, seed ^ UINT64_C(0x737761726d000000));
    random_seed(&draw.random, seed ^ UINT64_C(0x7363726970740000));
    swarm_draw(&script->swarm, &swarm, wishes);
    draw_all(&draw, wishes);
    if (draw.failed) {
        script_close(script);
        return GV_ENOMEM;
    }
    qsort(script->actions, script->count, sizeof *script->actions,
          compare_actions);
    return 0;
}
