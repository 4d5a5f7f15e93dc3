/* Runs that die, hang on to nothing and differ: with a run_script() of the
 * test's own in place of the simulation. */
#include "sim/command/trial.h"
#include "sim/command/workers.h"

#include "check.h"

#include <signal.h>
#include <unistd.h>

static void (*misdeed)(void);

static void die_by_abort(void)
{
    fprintf(stderr, "a bug: not so: 1 == 2\n");
    abort();
}

static void die_by_signal(void)
{
    /* Also where a sanitizer would like to know of it. */
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}

static void die_of_cpu(void)
{
    signal(SIGXCPU, SIG_DFL);
    raise(SIGXCPU);
}

static void leave(void)
{
    _exit(3);
}

static void note_the_actions(struct world *world, const struct script *script)
{
    for (size_t i = 0; i < script->count; i++)
        world_note(world, "action %zu of seed %llu", i,
                   (unsigned long long)script->seed);
}

static unsigned runs; /* of this process */

static void differ(void)
{
    runs++;
}

void run_script(const struct script *script, const struct run_options *options,
                struct run_result *result)
{
    struct world *world = world_new(script->seed);

    CHECK(world != NULL);
    memset(result, 0, sizeof *result);
    world_follow(world, options->follow);
    note_the_actions(world, script);
    if (misdeed != NULL && script->seed % 3 == 1)
        misdeed();
    world_mark(world, runs);
    result->commits = script->seed;
    result->hash = world_hash(world);
    if (script->seed == 1000) {
        snprintf(result->broken, sizeof result->broken, "I1");
        world_narrate(world, stderr, 2);
    }
    world_free(world);
}

static void draw_short(struct script *script, uint64_t seed)
{
    struct wishes wishes = {.operations = 100, .only = true};

    CHECK_INT(script_draw(script, seed, &wishes), ==, 0);
}

static void try_seed(uint64_t seed, void (*deed)(void), bool twice,
                     struct outcome *outcome)
{
    struct trial_options options = {.twice = twice};
    struct script script;

    misdeed = deed;
    draw_short(&script, seed);
    trial_run(&script, &options, outcome);
    script_close(&script);
}

TEST(a_run_that_holds_gives_its_result)
{
    struct outcome outcome;

    try_seed(5, NULL, false, &outcome);
    CHECK_TEXT(outcome.result.broken, "");
    CHECK_INT(outcome.result.commits, ==, 5);
    CHECK_INT(outcome.seed, ==, 5);
    CHECK_TEXT(outcome.told, "");
    outcome_close(&outcome);
}

TEST(a_run_that_breaks_an_invariant_gives_what_it_told)
{
    struct outcome outcome;

    try_seed(1000, NULL, false, &outcome);
    CHECK_TEXT(outcome.result.broken, "I1");
    CHECK(strstr(outcome.told, "action 99 of seed 1000") != NULL);
    CHECK(!outcome_died(&outcome));
    outcome_close(&outcome);
}

TEST(an_assertion_in_a_run_is_told_with_what_came_before)
{
    struct outcome outcome;

    try_seed(1, die_by_abort, false, &outcome);
    CHECK_TEXT(outcome.result.broken, "assert");
    CHECK(strstr(outcome.told, "a bug: not so: 1 == 2") != NULL);
    CHECK(strstr(outcome.told, "action 99 of seed 1\n") != NULL);
    CHECK(strstr(outcome.told, "action 60 of seed 1\n") != NULL);
    CHECK(strstr(outcome.told, "action 59 of seed 1\n") == NULL);
    outcome_close(&outcome);
}

TEST(each_way_to_die_has_its_name)
{
    static const struct {
        void (*deed)(void);
        const char *broken;
    } deaths[] = {
        {die_by_abort, "assert"},
        {die_by_signal, "crash"},
        {die_of_cpu, "hang"},
        {leave, "exit"},
    };

    for (size_t i = 0; i < sizeof deaths / sizeof deaths[0]; i++) {
        struct outcome outcome;

        try_seed(1, deaths[i].deed, false, &outcome);
        CHECK_TEXT(outcome.result.broken, deaths[i].broken);
        CHECK(outcome_died(&outcome));
        outcome_close(&outcome);
    }
}

TEST(two_runs_that_differ_break_the_invariant_of_determinism)
{
    struct outcome outcome;

    try_seed(1, differ, true, &outcome);
    CHECK_TEXT(outcome.result.broken, "I24");
    outcome_close(&outcome);
    try_seed(1, NULL, true, &outcome);
    CHECK_TEXT(outcome.result.broken, "");
    outcome_close(&outcome);
}

struct seen {
    uint64_t next, broken;
};

static void see(void *context, const struct outcome *outcome)
{
    struct seen *seen = context;

    CHECK_INT(outcome->seed, ==, seen->next);
    seen->next++;
    CHECK_INT(outcome->result.broken[0] != '\0', ==, outcome->seed % 3 == 1);
    seen->broken += outcome->result.broken[0] != '\0';
}

TEST(many_seeds_are_reported_in_their_order_and_the_dead_among_them)
{
    struct wishes wishes = {.operations = 10, .only = true};
    struct seen seen = {.next = 100};
    struct workers workers = {.seed = 100,
                              .seeds = 60,
                              .jobs = 4,
                              .wishes = &wishes,
                              .context = &seen,
                              .report = see};

    misdeed = die_by_abort;
    workers_run(&workers);
    CHECK_INT(seen.next, ==, 160);
    CHECK_INT(seen.broken, ==, 20);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
