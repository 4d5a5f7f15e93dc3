/* gvcrash: the crash at every disk operation.
 *
 * The script runs once to count the operations of the node and of the
 * application on the first machine.  Then it runs again, and before each
 * transaction forks a child for each operation in it, which dies there; that
 * forks one for each thing that a power cut may leave of what was not synced
 * (or only the process died, and the others live on).  Each opens again what
 * died, goes on with the script, exchanges, and looks whether all is as it
 * must be.  What a cut leaves is looked at each time; from machines that are
 * equal then, it goes on once for each kind of cut. */
#include "crash_pair.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOSSES 5
static const char *const loss_names[LOSSES] = {"none", "all", "tail", "some",
                                               "trash"};
static const char *const sync_names[2] = {"normal", "full"};

struct tally {
    unsigned points, distinct, violations;
};

/* What the children tell, in memory that all share. */
#define KNOWN_SLOTS (1u << 18)
struct results {
    struct tally tally[2][LOSSES];
    uint64_t known[KNOWN_SLOTS]; /* hashes of what cuts left; 0: free */
};

struct enumeration {
    struct pair_setting setting;
    uint64_t every;
    uint64_t only_at;    /* 0: all */
    bool losses[LOSSES]; /* which patterns */
    bool syncs[2];       /* which modes */
    bool again;          /* a second crash while it recovers */
    int more;            /* transactions after the crash */
    /* Operations in a run without a crash, up to the opening and then to each
     * transaction. */
    uint64_t operations[PAIR_TRANSACTIONS_MAX + 1][2];
    struct results *results;
};

/* One crash: where and how. */
struct point {
    uint64_t at; /* the node's operations, then the application's */
    enum pair_victim victim;
    uint64_t operation;
    uint64_t seed; /* of what is left to chance then */
    bool torn;
    uint64_t again_at; /* the node's operation of a second crash, or 0 */
};

static struct point point_of(const struct enumeration *all,
                             enum pair_victim victim, uint64_t operation)
{
    uint64_t before =
        victim == VICTIM_NODE
            ? 0
            : all->operations[all->setting.transactions][VICTIM_NODE];
    struct point point = {
        .at = before + operation, .victim = victim, .operation = operation};
    struct random random;

    random_seed(&random, all->setting.seed ^ point.at << 32);
    point.seed = random_u64(&random);
    point.torn = random_below(&random, 2) == 0;
    if (all->again)
        point.again_at = 1 + random_below(&random, 12);
    return point;
}

static void report(struct enumeration *all, const struct point *point,
                   enum disk_loss loss, const char *violation)
{
    all->results->tally[all->setting.full][loss].violations++;
    printf("VIOLATION at operation %llu of the %s: %s\n",
           (unsigned long long)point->operation,
           point->victim == VICTIM_NODE ? "node" : "application", violation);
    printf("  gvcrash --seed %llu --transactions %d --sector %u --more %d"
           " --at %llu --loss %s --sync %s%s%s\n",
           (unsigned long long)all->setting.seed, all->setting.transactions,
           all->setting.sector, all->more, (unsigned long long)point->at,
           loss_names[loss], sync_names[all->setting.full],
           all->again ? " --again" : "",
           all->setting.characteristics == 0 ? " --no-psow" : "");
}

/* True in a child, which ends with leave(); the parent waits for it. */
static bool branch(struct pair *pair, uint64_t seed, int *status)
{
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child < 0 || (child > 0 && waitpid(child, status, 0) != child)) {
        perror("gvcrash");
        exit(2);
    }
    if (child == 0)
        pair_unshare(pair, seed);
    return child == 0;
}

_Noreturn static void leave(void)
{
    fflush(stdout);
    _exit(0);
}

/* Whether this kind of cut left the same machines before. */
static bool known(struct enumeration *all, const struct pair *pair,
                  enum disk_loss loss)
{
    uint64_t hash = (pair_hash(pair) + loss) | (uint64_t)1 << 63,
             *slots = all->results->known;
    size_t i = hash % KNOWN_SLOTS;

    for (; slots[i] != 0; i = (i + 1) % KNOWN_SLOTS)
        if (slots[i] == hash)
            return true;
    slots[i] = hash;
    return false;
}

/* What is wrong after the crash, or NULL. */
static const char *recover(const struct enumeration *all, struct pair *pair,
                           const struct point *point, enum disk_loss loss)
{
    enum pair_end end;

    pair_arm(pair, VICTIM_NODE, point->again_at, point->torn);
    end = pair_run(pair, all->more);
    if (end == PAIR_CRASHED && all->again) {
        if (loss == LOSS_NONE)
            pair_bury(pair);
        else
            pair_power_cut(pair, loss);
        pair_arm(pair, VICTIM_NODE, 0, false);
        end = pair_run(pair, all->more);
    }
    if (end == PAIR_CRASHED)
        return "a process died by itself";
    pair_arm(pair, VICTIM_NODE, 0, false);
    if (end == PAIR_DONE && pair_finish(pair))
        return NULL;
    return pair_violation(pair);
}

/* Whether what a power cut left was seen before: the same bytes, or, once it
 * is open again and looked through, the same contents. */
static bool seen_before(struct enumeration *all, struct pair *pair,
                        enum disk_loss loss)
{
    if (all->again)
        return false;
    if (known(all, pair, loss))
        return true;
    pair_arm(pair, VICTIM_NODE, 0, false);
    return pair_run(pair, 0) == PAIR_DONE && known(all, pair, loss);
}

static void check_loss(struct enumeration *all, struct pair *pair,
                       const struct point *point, enum disk_loss loss)
{
    struct tally *tally = &all->results->tally[all->setting.full][loss];
    const char *violation;

    tally->points++;
    if (loss == LOSS_NONE) {
        pair_bury(pair);
    } else {
        pair_power_cut(pair, loss);
        if (seen_before(all, pair, loss))
            return;
    }
    tally->distinct++;
    violation = recover(all, pair, point, loss);
    if (violation != NULL)
        report(all, point, loss, violation);
}

/* In a child: crash, and then see each future. */
static void check_point(struct enumeration *all, struct pair *pair,
                        const struct point *point, uint64_t operations_left)
{
    enum pair_end end;

    pair_arm(pair, point->victim, operations_left, point->torn);
    end = pair_advance(pair);
    if (end != PAIR_CRASHED) {
        report(all, point, LOSS_NONE,
               end == PAIR_DONE ? "the operation was never reached"
                                : pair_violation(pair));
        return;
    }
    for (int i = 0; i < LOSSES; i++) {
        enum disk_loss loss = (enum disk_loss)i;
        int status;

        if (!all->losses[i])
            continue;
        if (branch(pair, point->seed + loss, &status)) {
            check_loss(all, pair, point, loss);
            leave();
        }
        if (status != 0)
            report(all, point, loss, "the program ended, as stderr says");
    }
}

/* All crashes before @pair has run its next transaction. */
static void check_transaction(struct enumeration *all, struct pair *pair,
                              int index)
{
    for (int i = 0; i < 2; i++) {
        enum pair_victim victim = (enum pair_victim)i;
        uint64_t before = pair_operations(pair, victim);
        uint64_t last = all->operations[index][victim];

        for (uint64_t n = before + 1; n <= last; n++) {
            struct point point = point_of(all, victim, n);
            int status;

            if (all->only_at == 0 ? (point.at - 1) % all->every != 0
                                  : point.at != all->only_at)
                continue;
            if (branch(pair, point.seed, &status)) {
                check_point(all, pair, &point, n - before);
                leave();
            }
            if (status != 0)
                report(all, &point, LOSS_NONE,
                       "the program ended, as stderr says");
        }
    }
}

/* Count what a run without a crash does; it must hold too. */
static bool measure(struct enumeration *all)
{
    struct pair *pair = pair_new(&all->setting);
    bool held = true;

    for (int i = 0; i <= all->setting.transactions && held; i++) {
        held = pair_advance(pair) == PAIR_DONE;
        for (int victim = 0; victim < 2; victim++)
            all->operations[i][victim] =
                pair_operations(pair, (enum pair_victim)victim);
    }
    held = held && pair_finish(pair);
    if (!held)
        printf("VIOLATION without a crash: %s\n", pair_violation(pair));
    pair_free(pair);
    return held;
}

static bool enumerate(struct enumeration *all)
{
    const uint64_t *total = all->operations[all->setting.transactions];
    struct pair *pair;

    if (!measure(all))
        return false;
    printf("%s, sector %u: %llu operations of the node, %llu of the"
           " application\n",
           sync_names[all->setting.full], all->setting.sector,
           (unsigned long long)total[VICTIM_NODE],
           (unsigned long long)total[VICTIM_APPLICATION]);
    pair = pair_new(&all->setting);
    for (int i = 0; i <= all->setting.transactions; i++) {
        check_transaction(all, pair, i);
        pair_advance(pair);
    }
    pair_free(pair);
    return true;
}

static unsigned print_table(const struct enumeration *all)
{
    unsigned violations = 0;

    printf("%-8s %-8s %8s %9s %11s\n", "loss", "sync", "points", "distinct",
           "violations");
    for (int sync = 0; sync < 2; sync++)
        for (int loss = 0; loss < LOSSES; loss++) {
            const struct tally *tally = &all->results->tally[sync][loss];

            if (tally->points + tally->violations == 0)
                continue;
            printf("%-8s %-8s %8u %9u %11u\n", loss_names[loss],
                   sync_names[sync], tally->points, tally->distinct,
                   tally->violations);
            violations += tally->violations;
        }
    return violations;
}

/* Options */

static void usage(void)
{
    fputs("usage: gvcrash [--seed S] [--transactions N] [--every K]"
          " [--at N]\n"
          "               [--loss none|all|tail|some|trash]"
          " [--sync normal|full]\n"
          "               [--sector 512|4096] [--more M] [--again]"
          " [--no-psow]\n"
          "  --every K   only every K-th operation\n"
          "  --at N      only this one\n"
          "  --more M    transactions after the crash (2)\n"
          "  --again     a second crash while the first one is recovered"
          " from\n"
          "  --no-psow   a disk that may spoil what stands beside a write\n",
          stderr);
    exit(2);
}

/* Only the one of that name. */
static void choose(const char *name, const char *const *names, int count,
                   bool *chosen)
{
    bool any = false;

    for (int i = 0; i < count; i++) {
        chosen[i] = strcmp(name, names[i]) == 0;
        any |= chosen[i];
    }
    if (!any)
        usage();
}

static void take_option(struct enumeration *all, int option)
{
    unsigned long long number =
        optarg == NULL ? 0 : strtoull(optarg, NULL, 10);

    switch (option) {
    case 's':
        all->setting.seed = number;
        break;
    case 't':
        if (number < 1 || number > PAIR_TRANSACTIONS_MAX)
            usage();
        all->setting.transactions = (int)number;
        break;
    case 'e':
        all->every = number < 1 ? 1 : number;
        break;
    case 'a':
        all->only_at = number;
        break;
    case 'l':
        choose(optarg, loss_names, LOSSES, all->losses);
        break;
    case 'y':
        choose(optarg, sync_names, 2, all->syncs);
        break;
    case 'k':
        if (number != 512 && number != 4096)
            usage();
        all->setting.sector = (unsigned)number;
        break;
    case 'm':
        all->more = number > INT_MAX ? INT_MAX : (int)number;
        break;
    case 'g':
        all->again = true;
        break;
    case 'p':
        all->setting.characteristics = 0;
        break;
    default:
        usage();
    }
}

static void take_options(struct enumeration *all, int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},
        {"transactions", required_argument, NULL, 't'},
        {"every", required_argument, NULL, 'e'},
        {"at", required_argument, NULL, 'a'},
        {"loss", required_argument, NULL, 'l'},
        {"sync", required_argument, NULL, 'y'},
        {"sector", required_argument, NULL, 'k'},
        {"more", required_argument, NULL, 'm'},
        {"again", no_argument, NULL, 'g'},
        {"no-psow", no_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        take_option(all, option);
    if (optind < argc)
        usage();
}

int main(int argc, char **argv)
{
    struct enumeration all = {
        .setting = {.seed = 1,
                    .transactions = 50,
                    .sector = 512,
                    .characteristics = SQLITE_IOCAP_POWERSAFE_OVERWRITE},
        .every = 1,
        .more = 2,
        .losses = {true, true, true, true, true},
        .syncs = {true, true},
    };
    time_t began = time(NULL);
    bool held = true;

    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    take_options(&all, argc, argv);
    all.results = mmap(NULL, sizeof *all.results, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (all.results == MAP_FAILED) {
        perror("gvcrash");
        return 2;
    }
    printf("seed %llu, %d transactions\n",
           (unsigned long long)all.setting.seed, all.setting.transactions);
    for (int sync = 0; sync < 2; sync++) {
        all.setting.full = sync == 1;
        if (all.syncs[sync])
            held = enumerate(&all) && held;
    }
    held = print_table(&all) == 0 && held;
    fprintf(stderr, "%lld s\n", (long long)(time(NULL) - began));
    return held ? 0 : 1;
}
