#include "workers.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* Seeds that may be done while an earlier one still runs. */
#define WINDOW 256
/* One seed in so many is run twice (I24). */
#define TWICE_EVERY 20
/* Each death that is narrated costs another run. */
#define DEATHS_NARRATED 5

enum slot_state { SLOT_FREE, SLOT_RUNS, SLOT_DONE };

struct slot {
    enum slot_state state;
    struct trial trial;
    struct outcome outcome;
};

struct bench {
    const struct workers *workers;
    uint64_t begun, reported; /* seeds, counted from 0 */
    size_t running, deaths;
    struct slot slots[WINDOW];
};

static struct trial_options options_of(const struct workers *workers,
                                       const struct script *script)
{
    struct trial_options options = {0};

    options.twice = workers->twice || script->seed % TWICE_EVERY == 0;
    options.run.model = swarm_needs_model(&script->swarm);
    return options;
}

static void draw(const struct bench *bench, uint64_t index,
                 struct script *script)
{
    int rc = script_draw(script, bench->workers->seed + index,
                         bench->workers->wishes);

    GV_ASSERT(rc == 0);
}

static void begin(struct bench *bench)
{
    struct slot *slot = &bench->slots[bench->begun % WINDOW];
    struct trial_options options;
    struct script script;

    GV_ASSERT(slot->state == SLOT_FREE);
    draw(bench, bench->begun, &script);
    options = options_of(bench->workers, &script);
    trial_start(&slot->trial, &script, &options);
    script_close(&script);
    slot->state = SLOT_RUNS;
    bench->begun++;
    bench->running++;
}

static struct slot *slot_of(struct bench *bench, pid_t pid)
{
    for (size_t i = 0; i < WINDOW; i++)
        if (bench->slots[i].state == SLOT_RUNS &&
            bench->slots[i].trial.pid == pid)
            return &bench->slots[i];
    return NULL;
}

/* Wait for any of them. */
static void await(struct bench *bench)
{
    int status;
    pid_t pid = waitpid(-1, &status, 0);
    struct slot *slot;

    if (pid < 0) {
        GV_ASSERT(errno == EINTR);
        return;
    }
    slot = slot_of(bench, pid);
    GV_ASSERT(slot != NULL);
    trial_end(&slot->trial, status, &slot->outcome);
    slot->state = SLOT_DONE;
    bench->running--;
}

static void narrate_death(const struct bench *bench, struct slot *slot)
{
    struct trial_options options;
    struct script script;

    draw(bench, bench->reported, &script);
    options = options_of(bench->workers, &script);
    trial_narrate_death(&script, &options, &slot->outcome);
    script_close(&script);
}

static void report_ready(struct bench *bench)
{
    while (bench->reported < bench->begun) {
        struct slot *slot = &bench->slots[bench->reported % WINDOW];

        if (slot->state != SLOT_DONE)
            return;
        if (outcome_died(&slot->outcome) && bench->deaths++ < DEATHS_NARRATED)
            narrate_death(bench, slot);
        bench->workers->report(bench->workers->context, &slot->outcome);
        outcome_close(&slot->outcome);
        slot->state = SLOT_FREE;
        bench->reported++;
    }
}

void workers_run(const struct workers *workers)
{
    struct bench *bench = calloc(1, sizeof *bench);

    GV_ASSERT(bench != NULL);
    bench->workers = workers;
    while (bench->reported < workers->seeds) {
        while (bench->running < workers->jobs &&
               bench->begun < workers->seeds &&
               bench->begun - bench->reported < WINDOW)
            begin(bench);
        await(bench);
        report_ready(bench);
    }
    free(bench);
}
