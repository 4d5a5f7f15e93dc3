#include "faults.h"

#include "base/assert.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define NODES_ON_SQLITE_MAX 50

static const struct fault_class classes[FAULTS] = {
    [FAULT_FRAMES] = {"frames",
                      "frames lost, repeated, reordered, late, sent again "
                      "minutes later",
                      NULL},
    [FAULT_PARTITION] = {"partition",
                         "the mesh is cut: halves, one machine, a ring, a "
                         "bridge, at random; one way too; flapping",
                         NULL},
    [FAULT_CLOG] = {"clog", "narrow connections and full queues", NULL},
    [FAULT_RESET] = {"reset",
                     "connections break in the middle of what they carry",
                     NULL},
    [FAULT_DAMAGED_FRAME] = {"damaged-frame",
                             "a bit of a frame is turned, or its end is "
                             "missing",
                             NULL},
    [FAULT_KILL] = {"kill",
                    "a node or a program is killed at any operation of the "
                    "disk",
                    NULL},
    [FAULT_POWER] = {"power",
                     "the power fails: what no sync confirmed is kept, lost "
                     "or rubbish",
                     NULL},
    [FAULT_SYNC] = {"sync",
                    "a sync fails, loses its pages, and the next succeeds",
                    NULL},
    [FAULT_IO_ERROR] = {"io-error", "reads and writes fail", NULL},
    [FAULT_DISK_FULL] = {"disk-full", "the disk is full for a while", NULL},
    [FAULT_CORRUPT_PAGE] = {"corrupt-page",
                            "rows of the log rot, are gone or not listed in "
                            "one file, and are mended from a peer",
                            NULL},
    [FAULT_SLOW_DISK] = {"slow-disk",
                         "slow operations, and programs that hold the lock",
                         NULL},
    [FAULT_MEMORY] = {"memory", "an allocation fails",
                      "an allocator of the simulator's own (the store's "
                      "tests fail each allocation)"},
    [FAULT_COPIED_FILE] = {"copied-file",
                           "another machine's file is put in place of this "
                           "one",
                           NULL},
    [FAULT_OLD_FILE] = {"old-file",
                        "an old copy of a machine's file is put back", NULL},
    [FAULT_EMPTIED_FILE] = {"emptied-file",
                            "an empty file under an identity already used",
                            "identities that outlive their file"},
    [FAULT_CLOCK] = {"clock", "wall clocks jump and drift", NULL},
    [FAULT_PAUSE] = {"pause", "a process stands still, then all comes at once",
                     NULL},
    [FAULT_PROTOCOL_MIX] = {"protocol-mix",
                            "each start of a node has other features and "
                            "versions",
                            NULL},
    [FAULT_SCHEMA_MIX] = {"schema-mix",
                          "a table whose columns, and their types and names, "
                          "differ between nodes and in time",
                          NULL},
    [FAULT_MALICE] = {"malice", "a member that lies",
                      "signed origins and the budgets of a link"},
    [FAULT_FLOOD] = {"flood", "strangers that connect and stall",
                     "nothing here: it needs real sockets and is a test of "
                     "processes"},
    [FAULT_HUGE] = {"huge", "large values and long transactions", NULL},
    [FAULT_LOST_END] = {"lost-end", "the last piece of a delta never comes",
                        NULL},
    [FAULT_PROGRAM] = {"program",
                       "REPLACE, changes of keys, VACUUM, savepoints, "
                       "checkpoints, long transactions",
                       NULL},
    [FAULT_CHURN] = {"churn", "away for minutes or a month, and back", NULL},
    [FAULT_HOT] = {"hot", "all write the same few keys", NULL},
    [FAULT_STEP_KILL] = {"step-kill",
                         "a node is killed between two effects of a step",
                         NULL},
    [FAULT_TEXT] = {"text", "NUL in texts, invalid UTF-8, long texts", NULL},
    [FAULT_NUMBERS] = {"numbers",
                       "-0.0, denormals, 2^53 +- 1, the ends of int64", NULL},
    [FAULT_COMPOUND] = {"compound", "a fault during the recovery from another",
                        NULL},
    [FAULT_PLANT] = {"plant",
                     "a bug planted in the product, which must be found",
                     NULL},
    [FAULT_TRIGGERS] = {"triggers",
                        "triggers of the application's own, other ones on "
                        "each machine: they keep an index, rewrite, refuse, "
                        "write other tables",
                        NULL},
    [FAULT_KINDS] = {"kinds", "counters and multi-value columns", NULL},
    /* The ledger tells what one transaction did, and between slices a file
     * shows what none did; nor is a publication of a site one node's where
     * two have it.  So these have a census in its place, and come seldom. */
    [FAULT_SLICES] = {"slices",
                      "seals and applies in slices of a few rows; with a "
                      "census for a ledger, in one seed of 12",
                      NULL},
    [FAULT_TWIN] = {"twin",
                    "a machine starts as the image of another that goes on: "
                    "two live nodes with one site id; with a census for a "
                    "ledger, in one seed of 20",
                    NULL},
    [FAULT_STRANGERS] = {"strangers",
                         "nodes are told of one peer each, and find the "
                         "others by PEERS; in one seed of 3",
                         NULL},
    [FAULT_GIVER] = {"giver", "the provider of a delta dies in its middle",
                     NULL},
    [FAULT_CURSOR] = {"cursor",
                      "a link breaks in the middle of a delta, which goes on "
                      "where it was",
                      NULL},
    [FAULT_DROP] = {"drop-table",
                    "a tracked table is dropped for good, and made anew "
                    "later; with schema-mix, in one seed of 2 that has it and "
                    "puts no file back",
                    NULL},
    [FAULT_BIG] = {"big-value",
                   "values too large to travel (2 MiB stand for 64); with "
                   "schema-mix, in one seed of 4 that has it and puts no file "
                   "back",
                   NULL},
};

const struct fault_class *fault_class(enum fault fault)
{
    GV_ASSERT(fault >= 1 && fault < FAULTS);
    return &classes[fault];
}

enum fault fault_find(const char *name)
{
    char *end;
    long number = strtol(name, &end, 10);

    if (end != name && *end == '\0')
        return number >= 1 && number < FAULTS ? (enum fault)number : 0;
    for (enum fault fault = 1; fault < FAULTS; fault++)
        if (strcmp(name, classes[fault].name) == 0)
            return fault;
    return 0;
}

/* How likely each class is in this seed, per million.  A seed in ten lives a
 * plain life, which shows what is too strict, and one in ten has nearly all;
 * between these, few classes at a time get further before one of them hides
 * what another would have shown (Groce and others, "Swarm testing", 2012). */
static unsigned temper_draw(struct random *random)
{
    switch (random_below(random, 10)) {
    case 0:
        return 0;
    case 1:
        return 950000;
    default:
        return (unsigned)between(random, 330000, 500000);
    }
}

#define SLICES_ONE_OF 12
#define TWIN_ONE_OF 20
#define STRANGERS_ONE_OF 3
#define GIVER_ONE_OF 4
#define CURSOR_ONE_OF 3
#define MIX_ONE_OF 3
#define DROP_ONE_OF 2
#define BIG_ONE_OF 4

/* No die of its own: it would move those that are thrown after it. */
static void draw_seldom(struct swarm *swarm, const struct wishes *wishes,
                        enum fault fault, unsigned from, unsigned one_of)
{
    bool drawn = swarm->seed_of_strength / from % one_of == 0;

    if (wishes->only || wishes->forbid[fault])
        drawn = false;
    swarm->on[fault] = drawn || wishes->force[fault];
}

static bool is_seldom(enum fault fault)
{
    return fault == FAULT_SLICES || fault == FAULT_TWIN ||
           fault == FAULT_STRANGERS || fault == FAULT_GIVER ||
           fault == FAULT_CURSOR || fault == FAULT_DROP ||
           fault == FAULT_BIG || fault == FAULT_PROTOCOL_MIX;
}

bool swarm_blind(const struct swarm *swarm)
{
    return swarm->on[FAULT_SLICES] || swarm->on[FAULT_TWIN];
}

/* Whether columns and tables may go with what only they showed.  A file that
 * is put back or copied forgets that, and so does the ledger. */
static bool alters_may_lose(const struct swarm *swarm)
{
    return swarm->on[FAULT_SCHEMA_MIX] && !swarm->on[FAULT_OLD_FILE] &&
           !swarm->on[FAULT_COPIED_FILE];
}

/* Additions that a file which is put back or copied has not sealed yet count
 * in both files: then nobody could say that none counts twice. */
static void seldom_draw(struct swarm *swarm, const struct wishes *wishes)
{
    draw_seldom(swarm, wishes, FAULT_SLICES, 1000, SLICES_ONE_OF);
    draw_seldom(swarm, wishes, FAULT_TWIN, 1000, TWIN_ONE_OF);
    draw_seldom(swarm, wishes, FAULT_STRANGERS, 24, STRANGERS_ONE_OF);
    draw_seldom(swarm, wishes, FAULT_GIVER, 72, GIVER_ONE_OF);
    draw_seldom(swarm, wishes, FAULT_CURSOR, 288, CURSOR_ONE_OF);
    draw_seldom(swarm, wishes, FAULT_PROTOCOL_MIX, 864, MIX_ONE_OF);
    draw_seldom(swarm, wishes, FAULT_DROP, 1152, DROP_ONE_OF);
    draw_seldom(swarm, wishes, FAULT_BIG, 2304, BIG_ONE_OF);
    if ((wishes->force[FAULT_DROP] || wishes->force[FAULT_BIG]) &&
        !wishes->forbid[FAULT_SCHEMA_MIX])
        swarm->on[FAULT_SCHEMA_MIX] = true;
    if (!alters_may_lose(swarm) || swarm_blind(swarm))
        swarm->on[FAULT_DROP] = swarm->on[FAULT_BIG] = false;
    if (!swarm->on[FAULT_TWIN])
        return;
    swarm->on[FAULT_OLD_FILE] = wishes->force[FAULT_OLD_FILE];
    swarm->on[FAULT_COPIED_FILE] = wishes->force[FAULT_COPIED_FILE];
}

static void classes_draw(struct swarm *swarm, struct random *random,
                         const struct wishes *wishes)
{
    unsigned temper = temper_draw(random);

    for (enum fault fault = 1; fault < FAULTS; fault++) {
        /* The die is thrown for each class, so that wishing for one leaves
         * the others as the seed has them. */
        bool drawn =
            !is_seldom(fault) && random_below(random, 1000000) < temper;

        if (classes[fault].waits != NULL || fault == FAULT_PLANT ||
            wishes->only || wishes->forbid[fault])
            drawn = false;
        swarm->on[fault] = drawn || wishes->force[fault];
    }
    /* It begins with one of these. */
    if (wishes->forbid[FAULT_KILL] && wishes->forbid[FAULT_POWER])
        swarm->on[FAULT_COMPOUND] = wishes->force[FAULT_COMPOUND];
}

void swarm_draw(struct swarm *swarm, struct random *random,
                const struct wishes *wishes)
{
    *swarm = (struct swarm){0};
    classes_draw(swarm, random, wishes);
    swarm->nodes = (size_t)between(random, 3, 7);
    swarm->programs = (size_t)between(random, 1, 2);
    swarm->chaos = between(random, 20 * SIM_SECOND, 180 * SIM_SECOND);
    swarm->operations = (size_t)between(random, 40, 400);
    swarm->sector = chance(random, 500000) ? 512 : 4096;
    /* What SQLite's own VFS promises: a write that a power cut tears spoils no
     * byte beside it.  The store's sync after the commit relies on that. */
    swarm->characteristics = SQLITE_IOCAP_POWERSAFE_OVERWRITE;
    swarm->full_sync = chance(random, 500000);
    swarm->seed_of_strength = (unsigned)random_u64(random);
    seldom_draw(swarm, wishes);
    if (wishes->nodes != 0)
        swarm->nodes = wishes->nodes;
    if (wishes->chaos != 0) {
        /* As dense as the seed has it. */
        swarm->operations =
            (size_t)((double)swarm->operations * (double)wishes->chaos /
                     (double)swarm->chaos) +
            1;
        swarm->chaos = wishes->chaos;
    }
    swarm->rows = wishes->rows;
    if (wishes->operations != 0)
        swarm->operations = wishes->operations;
}

bool swarm_needs_model(const struct swarm *swarm)
{
    return swarm->nodes > NODES_ON_SQLITE_MAX;
}
