#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define NODES_MIN 3
#define NODES_MAX 1000
#define JOBS_MAX 64
#define MINUTES_MAX 1000000

static const char help_text[] =
    "gvsim drives the code of Grapevine's nodes (protocol, frames, store on\n"
    "SQLite) through a simulated network, disk, clock and programs, all "
    "drawn\n"
    "from a seed, and checks after every step what must hold.\n"
    "\n"
    "usage: gvsim [--seed N] [OPTION …]\n"
    "\n"
    "One run; without --seed, a seed is drawn and printed:\n"
    "\n"
    "  gvsim --seed 42              exit code 0: all holds; 1: something "
    "broke\n"
    "  gvsim --seed 42 --trace      what happens, line by line\n"
    "  gvsim --seed 42 --twice      twice in one process: the same trace?\n"
    "  gvsim --seed 42 --shrink     if it fails: the fewest actions that do\n"
    "  gvsim --seed 42 --save FILE  write its script (with --shrink: the "
    "short\n"
    "                               one), to read, edit and play again\n"
    "  gvsim --script FILE          play a script\n"
    "  gvsim --seed 42 --ledger FILE  write what was committed and what the\n"
    "                               files hold, for sim/ledger/oracle.py\n"
    "\n"
    "Many runs, each in a process of its own:\n"
    "\n"
    "  gvsim --seeds 1..2000 --jobs 2     from 1 to 2000; totals at the end\n"
    "  gvsim --seed 7 --seeds 100 --quiet 100 from 7 on; only what fails\n"
    "\n"
    "What a seed draws can be narrowed down:\n"
    "\n"
    "  --nodes N        3 to 1000; over 50, a model takes the store's place\n"
    "  --ops N          transactions of programs\n"
    "  --rows N         that are in a file when the mesh begins\n"
    "  --minutes M, --hours H   of faults, before all is healed\n"
    "  --with CLASS,…   these faults are on\n"
    "  --without CLASS,…   these are off\n"
    "  --only CLASS,…   these are on and no others; 'none' for none\n"
    "  --plant NAME     with a planted bug, in builds that have them\n"
    "\n"
    "More:\n"
    "\n"
    "  --list           classes of faults and what the missing ones wait "
    "for,\n"
    "                   invariants, scenarios, plants\n"
    "  --scenario NAME  a large mesh on the model of a store, and its "
    "figures\n"
    "  --svg FILE       draw its latencies\n"
    "\n"
    "Exit codes: 0 all holds, 1 an invariant broke, 2 wrong usage.\n";

void options_help(FILE *out)
{
    fputs(help_text, out);
}

static int usage(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

static int usage(const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "gvsim: ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\ngvsim --help shows what there is.\n");
    return EXIT_USAGE;
}

static bool parse_u64(const char *text, uint64_t *number)
{
    char *end;
    unsigned long long parsed;

    errno = 0;
    parsed = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0)
        return false;
    *number = parsed;
    return true;
}

static int read_size(const char *name, const char *text, size_t low,
                     size_t high, size_t *size)
{
    uint64_t number;

    if (!parse_u64(text, &number) || number < low || number > high)
        return usage("--%s takes a number from %zu to %zu, not '%s'.", name,
                     low, high, text);
    *size = number;
    return EXIT_HOLDS;
}

static int read_span(const char *name, const char *text, sim_time unit,
                     sim_time *span)
{
    char *end;
    double number = strtod(text, &end);

    if (end == text || *end != '\0' || !(number > 0) || number > MINUTES_MAX)
        return usage("--%s takes a number above 0, not '%s'.", name, text);
    *span = (sim_time)(number * (double)unit);
    if (*span == 0)
        *span = 1;
    return EXIT_HOLDS;
}

/* "A..B", or how many. */
static int read_seeds(struct options *options, char *text)
{
    char *dots = strstr(text, "..");
    uint64_t last;

    if (dots == NULL) {
        if (!parse_u64(text, &options->seeds) || options->seeds == 0)
            return usage("--seeds takes A..B or how many, not '%s'.", text);
        return EXIT_HOLDS;
    }
    *dots = '\0';
    if (!parse_u64(text, &options->seed) || !parse_u64(dots + 2, &last) ||
        last < options->seed || last - options->seed == UINT64_MAX)
        return usage("--seeds takes A..B with A not above B.");
    options->seeds = last - options->seed + 1;
    return EXIT_HOLDS;
}

static int read_classes(const char *option, const char *text,
                        bool classes[FAULTS])
{
    char copy[512], *rest, *name;

    if (strlen(text) >= sizeof copy)
        return usage("--%s has too many classes.", option);
    strcpy(copy, text);
    name = strtok_r(copy, ",", &rest);
    for (; name != NULL; name = strtok_r(NULL, ",", &rest)) {
        enum fault fault = fault_find(name);

        if (strcmp(name, "none") == 0)
            continue;
        if (fault == 0)
            return usage("There is no class of faults '%s'; --list shows "
                         "them.",
                         name);
        if (fault_class(fault)->waits != NULL)
            return usage("The faults '%s' wait for %s.", name,
                         fault_class(fault)->waits);
        classes[fault] = true;
    }
    return EXIT_HOLDS;
}

enum letter {
    LETTER_SEED = 256,
    LETTER_SEEDS,
    LETTER_JOBS,
    LETTER_NODES,
    LETTER_OPS,
    LETTER_ROWS,
    LETTER_MINUTES,
    LETTER_HOURS,
    LETTER_WITH,
    LETTER_WITHOUT,
    LETTER_ONLY,
    LETTER_SCENARIO,
    LETTER_SVG,
    LETTER_SCRIPT,
    LETTER_SAVE,
    LETTER_LEDGER,
    LETTER_PLANT
};

/* Whether an option shapes a run, so that it has to be typed again. */
static bool shapes(int letter)
{
    return (letter >= LETTER_NODES && letter <= LETTER_ONLY) ||
           letter == LETTER_PLANT;
}

static int read_wish(struct wishes *wishes, int letter, const char *name,
                     const char *value)
{
    switch (letter) {
    case LETTER_NODES:
        return read_size(name, value, NODES_MIN, NODES_MAX, &wishes->nodes);
    case LETTER_OPS:
        return read_size(name, value, 1, 1000000000, &wishes->operations);
    case LETTER_ROWS:
        return read_size(name, value, 0, 10000000, &wishes->rows);
    case LETTER_MINUTES:
        return read_span(name, value, 60 * SIM_SECOND, &wishes->chaos);
    case LETTER_HOURS:
        return read_span(name, value, 3600 * SIM_SECOND, &wishes->chaos);
    case LETTER_WITH:
        return read_classes(name, value, wishes->force);
    case LETTER_WITHOUT:
        return read_classes(name, value, wishes->forbid);
    case LETTER_ONLY:
        wishes->only = true;
        return read_classes(name, value, wishes->force);
    default:
        return EXIT_HOLDS;
    }
}

static int read_valued(struct options *options, int letter, const char *name,
                       char *value)
{
    switch (letter) {
    case LETTER_SEED:
        if (!parse_u64(value, &options->seed))
            return usage("--seed takes a number, not '%s'.", value);
        return EXIT_HOLDS;
    case LETTER_SEEDS:
        return read_seeds(options, value);
    case LETTER_JOBS:
        return read_size(name, value, 1, JOBS_MAX, &options->jobs);
    case LETTER_SCENARIO:
        options->scenario = value;
        return EXIT_HOLDS;
    case LETTER_SVG:
        options->svg = value;
        return EXIT_HOLDS;
    case LETTER_SCRIPT:
        options->script = value;
        return EXIT_HOLDS;
    case LETTER_SAVE:
        options->save = value;
        return EXIT_HOLDS;
    case LETTER_LEDGER:
        options->ledger = value;
        return EXIT_HOLDS;
    case LETTER_PLANT:
        options->plant = value;
        options->wishes.force[FAULT_PLANT] = true;
        return EXIT_HOLDS;
    default:
        return read_wish(&options->wishes, letter, name, value);
    }
}

static void remember(struct options *options, const char *name,
                     const char *value)
{
    size_t size = strlen(options->again);

    snprintf(options->again + size, sizeof options->again - size, " --%s %s",
             name, value);
}

static int read_flag(struct options *options, int letter)
{
    switch (letter) {
    case 'h':
        options->help = true;
        return EXIT_HOLDS;
    case 'l':
        options->list = true;
        return EXIT_HOLDS;
    case 's':
        options->shrink = true;
        return EXIT_HOLDS;
    case 't':
        options->trace = true;
        return EXIT_HOLDS;
    case '2':
        options->twice = true;
        return EXIT_HOLDS;
    case 'q':
        options->quiet = true;
        return EXIT_HOLDS;
    default: /* getopt_long() has said what is wrong. */
        return EXIT_USAGE;
    }
}

/* What does not go together. */
static int check_together(const struct options *options)
{
    bool many = options->seeds != 0;

    if (many && (options->trace || options->shrink || options->save ||
                 options->ledger || options->script || options->scenario))
        return usage("--trace, --shrink, --save, --ledger, --script and "
                     "--scenario are for one run, without --seeds.");
    if (options->svg != NULL && options->scenario == NULL)
        return usage("--svg draws a --scenario.");
    if (options->scenario != NULL && options->script != NULL)
        return usage("--scenario and --script are two different runs.");
    if (options->script != NULL && options->again[0] != '\0' &&
        options->plant == NULL)
        return usage("A script has its own mesh and faults; these options "
                     "change nothing:%s.",
                     options->again);
    for (enum fault fault = 1; fault < FAULTS; fault++)
        if (options->wishes.force[fault] && options->wishes.forbid[fault])
            return usage("The faults '%s' cannot be both on and off.",
                         fault_class(fault)->name);
    return EXIT_HOLDS;
}

/* A seed that is easy to type. */
static uint64_t draw_seed(void)
{
    uint32_t seed = 0;

    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed = (uint32_t)getpid();
    return seed;
}

static const struct option long_options[] = {
    {"seed", required_argument, NULL, LETTER_SEED},
    {"seeds", required_argument, NULL, LETTER_SEEDS},
    {"jobs", required_argument, NULL, LETTER_JOBS},
    {"nodes", required_argument, NULL, LETTER_NODES},
    {"ops", required_argument, NULL, LETTER_OPS},
    {"rows", required_argument, NULL, LETTER_ROWS},
    {"minutes", required_argument, NULL, LETTER_MINUTES},
    {"hours", required_argument, NULL, LETTER_HOURS},
    {"with", required_argument, NULL, LETTER_WITH},
    {"without", required_argument, NULL, LETTER_WITHOUT},
    {"only", required_argument, NULL, LETTER_ONLY},
    {"scenario", required_argument, NULL, LETTER_SCENARIO},
    {"svg", required_argument, NULL, LETTER_SVG},
    {"script", required_argument, NULL, LETTER_SCRIPT},
    {"save", required_argument, NULL, LETTER_SAVE},
    {"ledger", required_argument, NULL, LETTER_LEDGER},
    {"plant", required_argument, NULL, LETTER_PLANT},
    {"help", no_argument, NULL, 'h'},
    {"list", no_argument, NULL, 'l'},
    {"shrink", no_argument, NULL, 's'},
    {"trace", no_argument, NULL, 't'},
    {"twice", no_argument, NULL, '2'},
    {"quiet", no_argument, NULL, 'q'},
    {NULL, 0, NULL, 0},
};

static int read_option(struct options *options, int letter, int index)
{
    if (letter < LETTER_SEED)
        return read_flag(options, letter);
    if (shapes(letter))
        remember(options, long_options[index].name, optarg);
    return read_valued(options, letter, long_options[index].name, optarg);
}

int options_read(struct options *options, int argc, char **argv)
{
    int letter, index = 0, rc = EXIT_HOLDS;

    *options = (struct options){.jobs = 1};
    options->seed = draw_seed();
    while (rc == EXIT_HOLDS &&
           (letter = getopt_long(argc, argv, "h", long_options, &index)) != -1)
        rc = read_option(options, letter, index);
    if (rc != EXIT_HOLDS)
        return rc;
    if (optind < argc)
        return usage("'%s' is not an option.", argv[optind]);
    return check_together(options);
}
