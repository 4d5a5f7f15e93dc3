/* The simulator's command: a seed in, a verdict out. */
#include "base/plant.h"
#include "options.h"
#include "report.h"
#include "sim/checks.h"
#include "sim/scale/scale.h"
#include "workers.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* A run takes about a fifth of a second, and after so many of them a script
 * has become as short as it will be. */
#define SHRINK_TRIES 600
/* With all their narrations; of further ones a line is enough. */
#define FAILURES_TOLD 5

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Of the processes that ran. */
static double busy(void)
{
    struct rusage usage;

    getrusage(RUSAGE_CHILDREN, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static FILE *open_file(const char *path, const char *mode)
{
    FILE *file = fopen(path, mode);

    if (file == NULL)
        fprintf(stderr, "gvsim: %s: %s\n", path, strerror(errno));
    return file;
}

/* --list */

static void list_classes(void)
{
    printf("Classes of faults (--with, --without, --only):\n");
    for (enum fault fault = 1; fault < FAULTS; fault++) {
        const struct fault_class *class = fault_class(fault);

        printf("  %2d %-14s %s\n", fault, class->name, class->what);
        if (class->waits != NULL)
            printf("     %-14s waits for %s\n", "", class->waits);
    }
}

static void list_plants(void)
{
    size_t count;
    const struct plant *plants = plant_list(&count);

    printf("\nPlanted bugs (--plant), each with the faults it needs and the "
           "seeds within which it has to be found:\n");
    if (count == 0)
        printf("  none: this build has no plants (cmake -D "
               "GRAPEVINE_PLANTS=ON)\n");
    for (size_t i = 0; i < count; i++)
        printf("  %-24s %-12s %5u  %s\n", plants[i].name,
               plants[i].needs != NULL ? plants[i].needs : "-",
               plants[i].budget, plants[i].what);
}

static int list(void)
{
    list_classes();
    printf("\nInvariants:\n");
    checks_list(stdout);
    printf("\nScenarios (--scenario):\n");
    scale_list(stdout);
    list_plants();
    return EXIT_HOLDS;
}

/* One run */

static int save(const struct script *script, const char *path)
{
    FILE *file = open_file(path, "w");
    bool written;

    if (file == NULL)
        return EXIT_USAGE;
    script_write(script, file);
    written = ferror(file) == 0;
    if (fclose(file) != 0 || !written) {
        fprintf(stderr, "gvsim: %s could not be written\n", path);
        return EXIT_USAGE;
    }
    return EXIT_HOLDS;
}

struct shrinking {
    const struct trial_options *options;
    const char *broken;
};

static bool still_fails(void *context, const struct script *script)
{
    const struct shrinking *shrinking = context;
    struct outcome outcome;
    struct trial trial;
    bool fails;

    trial_start(&trial, script, shrinking->options);
    trial_wait(&trial, &outcome);
    fails = strcmp(outcome.result.broken, shrinking->broken) == 0;
    if (fails)
        fprintf(stderr, "shrinking: %zu actions break it too\n",
                script->count);
    outcome_close(&outcome);
    return fails;
}

/* The shortest script that breaks what @outcome broke, and its story. */
static void shrink(struct script *script, const struct trial_options *options,
                   const struct outcome *outcome)
{
    struct trial_options quiet = *options;
    struct shrinking shrinking = {&quiet, outcome->result.broken};
    size_t before = script->count;
    struct outcome shrunk;

    quiet.run = (struct run_options){.model = options->run.model};
    script_shrink(script, still_fails, &shrinking, SHRINK_TRIES);
    trial_run(script, &quiet, &shrunk);
    printf("\nof %zu actions these %zu are enough:\n", before, script->count);
    script_write(script, stdout);
    printf("\n");
    report_failure(&shrunk, NULL, stdout);
    outcome_close(&shrunk);
}

static int play(const struct options *options, struct script *script,
                FILE *ledger)
{
    const char *again = options->script == NULL ? options->again : NULL;
    struct trial_options trial = {.twice = options->twice};
    struct outcome outcome;
    bool broken;
    int rc = EXIT_HOLDS;

    trial.run.model = swarm_needs_model(&script->swarm);
    trial.run.follow = options->trace ? stdout : NULL;
    trial.run.ledger = ledger;
    trial_run(script, &trial, &outcome);
    broken = outcome.result.broken[0] != '\0';
    if (!options->quiet)
        report_one(&outcome, stdout);
    if (broken)
        report_failure(&outcome, again, stdout);
    else if (!options->quiet)
        printf("all holds\n");
    if (broken && options->shrink)
        shrink(script, &trial, &outcome);
    else if (options->shrink)
        printf("nothing to shrink\n");
    if (options->save != NULL)
        rc = save(script, options->save);
    outcome_close(&outcome);
    return rc != EXIT_HOLDS ? rc : broken ? EXIT_BROKEN : EXIT_HOLDS;
}

static int read_script(const char *path, struct script *script)
{
    FILE *file = open_file(path, "r");
    int rc;

    if (file == NULL)
        return EXIT_USAGE;
    rc = script_read(script, file);
    fclose(file);
    return rc == 0 ? EXIT_HOLDS : EXIT_USAGE;
}

static int get_script(const struct options *options, struct script *script)
{
    if (options->script != NULL)
        return read_script(options->script, script);
    if (script_draw(script, options->seed, &options->wishes) == 0)
        return EXIT_HOLDS;
    fprintf(stderr, "gvsim: out of memory\n");
    return EXIT_USAGE;
}

static int one(const struct options *options)
{
    struct script script;
    FILE *ledger = NULL;
    int rc = get_script(options, &script);

    if (rc != EXIT_HOLDS)
        return rc;
    printf("seed %" PRIu64 "\n", script.seed);
    fflush(stdout);
    if (options->ledger != NULL) {
        ledger = open_file(options->ledger, "w");
        if (ledger == NULL)
            rc = EXIT_USAGE;
    }
    if (rc == EXIT_HOLDS)
        rc = play(options, &script, ledger);
    if (ledger != NULL)
        fclose(ledger);
    script_close(&script);
    return rc;
}

/* Many runs */

struct tally {
    const struct options *options;
    struct totals totals;
};

static void count_outcome(void *context, const struct outcome *outcome)
{
    struct tally *tally = context;
    const struct run_result *result = &outcome->result;
    bool broken = result->broken[0] != '\0';

    totals_add(&tally->totals, outcome);
    if (broken && tally->totals.failures <= FAILURES_TOLD)
        report_failure(outcome, tally->options->again, stdout);
    else if (broken)
        printf("seed %" PRIu64 ": %s is broken\n", outcome->seed,
               result->broken);
    else if (!tally->options->quiet)
        printf("seed %" PRIu64 ": holds, %" PRIu64
               " commits, trace %016" PRIx64 "\n",
               outcome->seed, result->commits, result->hash);
    fflush(stdout);
}

static int many(const struct options *options)
{
    struct tally tally = {.options = options};
    struct workers workers = {
        .seed = options->seed,
        .seeds = options->seeds,
        .jobs = options->jobs,
        .wishes = &options->wishes,
        .twice = options->twice,
        .context = &tally,
        .report = count_outcome,
    };
    double begin = now();

    printf("seeds %" PRIu64 "..%" PRIu64 "\n", options->seed,
           options->seed + options->seeds - 1);
    fflush(stdout);
    workers_run(&workers);
    totals_print(&tally.totals, now() - begin, busy(), stdout);
    return tally.totals.failures > 0 ? EXIT_BROKEN : EXIT_HOLDS;
}

static int scenario(const struct options *options)
{
    printf("seed %" PRIu64 "\n", options->seed);
    fflush(stdout);
    return scale_run(options->scenario, options->seed, options->wishes.nodes,
                     options->svg, stdout);
}

int main(int argc, char **argv)
{
    struct options options;
    int rc = options_read(&options, argc, argv);

    /* Disks are made and dropped by the megabyte: keep what was freed. */
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    /* One thread, and nobody asks how much SQLite holds. */
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);

    if (rc != EXIT_HOLDS)
        return rc;
    if (options.help) {
        options_help(stdout);
        return EXIT_HOLDS;
    }
    if (options.list)
        return list();
    if (options.plant != NULL && !plant_choose(options.plant)) {
        fprintf(stderr,
                "gvsim: this build has no plant '%s'; --list shows "
                "those it has.\n",
                options.plant);
        return EXIT_USAGE;
    }
    if (options.scenario != NULL)
        return scenario(&options);
    return options.seeds != 0 ? many(&options) : one(&options);
}
