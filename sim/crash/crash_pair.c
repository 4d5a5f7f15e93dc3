/* The life of a pair: it starts, steps, loses processes or its power, and
 * starts again.  crash_pair_internal.h says what it consists of. */
#include "crash_pair_internal.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reports */

bool pair_violate(struct pair *pair, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

bool pair_violate(struct pair *pair, const char *format, ...)
{
    va_list arguments;
    int used;

    if (pair->end == PAIR_VIOLATED)
        return false;
    pair->end = PAIR_VIOLATED;
    used = snprintf(pair->violation, sizeof pair->violation,
                    "transaction %d: ", pair->step);
    va_start(arguments, format);
    vsnprintf(pair->violation + used, sizeof pair->violation - (size_t)used,
              format, arguments);
    va_end(arguments);
    return false;
}

static bool is_dead(const struct pair *pair)
{
    return process_dead(pair->a.node) || process_dead(pair->a.application);
}

bool pair_failed(struct pair *pair, const char *doing, int code,
                 const char *why)
{
    if (!is_dead(pair))
        return pair_violate(pair, "%s: %s (%d)", doing, why, code);
    pair->end = PAIR_CRASHED;
    return false;
}

const char *pair_violation(const struct pair *pair)
{
    return pair->violation;
}

/* Starting */

static gv_time_ms wall(void *context)
{
    const struct pair *pair = context;

    return pair->now;
}

/* A plain database, on a disk that has all of it. */
static struct disk *disk_ready(struct pair *pair, uint64_t seed,
                               const char *rows)
{
    struct disk_options options = {
        .seed = seed,
        .sector = pair->setting.sector,
        .characteristics = pair->setting.characteristics,
        .context = pair,
        .wall = wall,
    };
    struct disk *disk = disk_new(&options);
    struct process *process = process_new(disk, "setup", true);
    sqlite3 *db;
    int rc = sqlite3_open_v2(
        PAIR_PATH, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "setup");

    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "PRAGMA synchronous=EXTRA;" CRASH_SCRIPT_SCHEMA,
                          NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, rows, NULL, NULL, NULL);
    GV_ASSERT(rc == SQLITE_OK);
    sqlite3_close(db);
    process_free(process);
    return disk;
}

static void side_start(struct side *side)
{
    if (side->node == NULL)
        side->node = process_new(side->disk, side->node_name, false);
    if (side->application == NULL)
        side->application =
            process_new(side->disk, side->application_name, false);
}

struct pair *pair_new(const struct pair_setting *setting)
{
    struct pair *pair = calloc(1, sizeof *pair);

    if (pair == NULL)
        abort();
    GV_ASSERT(setting->transactions <= PAIR_TRANSACTIONS_MAX);
    pair->setting = *setting;
    pair->now = INT64_C(1700000000000);
    pair->kept_all = true;
    pair->a.node_name = "a-node";
    pair->a.application_name = "a-application";
    pair->b.node_name = "b-node";
    pair->b.application_name = "b-application";
    buffer_init(&pair->a.news, MESSAGE_FRAME_SIZE_MAX);
    buffer_init(&pair->b.news, MESSAGE_FRAME_SIZE_MAX);
    disk_seed_sqlite(setting->seed);
    pair->a.disk = disk_ready(pair, setting->seed, CRASH_SCRIPT_FIRST_ROWS);
    pair->b.disk = disk_ready(pair, setting->seed + 1, "");
    side_start(&pair->a);
    side_start(&pair->b);
    return pair;
}

void pair_arm(struct pair *pair, enum pair_victim victim, uint64_t n,
              bool torn)
{
    side_start(&pair->a);
    process_kill_at(pair->a.node, victim == VICTIM_NODE ? n : 0, torn);
    process_kill_at(pair->a.application, victim == VICTIM_APPLICATION ? n : 0,
                    torn);
}

/* Running */

/* One transaction of the script and all that follows from it.  Now and then
 * news get lost, and a delta heals it. */
static bool step(struct pair *pair)
{
    struct side *a = &pair->a, *b = &pair->b;
    int n = ++pair->step, applied;
    bool b_writes = n % 3 == 0;

    pair->now += 37 + (n % 4 == 0 ? 11000 : 0);
    pair->numbers[n] = NUMBER_TRIED;
    if (!side_run(pair, a, n))
        return false;
    pair->numbers[n] = pair->setting.full ? NUMBER_DURABLE : NUMBER_ACKED;
    if (b_writes) {
        if (!side_run(pair, b, ++pair->others + OTHERS) ||
            !side_turn(pair, b, NULL, &applied))
            return false;
    }
    if (!side_turn(pair, a, b_writes ? &b->news : NULL, &applied))
        return false;
    if ((applied == GV_EGAP || n % 7 == 0) && !side_pull(pair, a, b))
        return false;
    if (n % 5 != 0 && !side_turn(pair, b, &a->news, &applied))
        return false;
    if (n % 5 != 0 && applied == GV_EGAP && !side_pull(pair, b, a))
        return false;
    if (n % 10 == 0 && store_checkpoint(a->store) != GV_OK)
        return pair_failed(pair, "a checkpoint", 0, "");
    return true;
}

/* Joins are repeated until something was told. */
static bool open_stores(struct pair *pair)
{
    if (!side_open_store(pair, &pair->b) || !side_open_store(pair, &pair->a))
        return false;
    if (pair->told > 0)
        return !pair->crashed || check_told(pair);
    return side_join(pair, &pair->b) && side_join(pair, &pair->a);
}

/* The application opens only after the node has joined: it finds the triggers
 * there. */
static bool open_all(struct pair *pair)
{
    side_start(&pair->a);
    if (!open_stores(pair) || !side_open_application(pair, &pair->b) ||
        !side_open_application(pair, &pair->a))
        return false;
    if (pair->crashed && !check_kept(pair))
        return false;
    pair->crashed = false;
    pair->open = true;
    return true;
}

enum pair_end pair_advance(struct pair *pair)
{
    if (pair->end == PAIR_VIOLATED)
        return pair->end;
    pair->end = PAIR_DONE;
    if (pair->open)
        step(pair);
    else
        open_all(pair);
    /* SQLite does not tell of a checkpoint that failed after a commit. */
    if (pair->end == PAIR_DONE && is_dead(pair))
        pair->end = PAIR_CRASHED;
    return pair->end;
}

enum pair_end pair_run(struct pair *pair, int transactions)
{
    enum pair_end end = pair->end == PAIR_VIOLATED ? PAIR_VIOLATED : PAIR_DONE;
    int last = pair->setting.transactions;

    if (transactions < last - pair->step)
        last = pair->step + transactions;
    while (end == PAIR_DONE && (!pair->open || pair->step < last))
        end = pair_advance(pair);
    return end;
}

int pair_step(const struct pair *pair)
{
    return pair->step;
}

uint64_t pair_operations(const struct pair *pair, enum pair_victim victim)
{
    return process_operations(victim == VICTIM_NODE ? pair->a.node
                                                    : pair->a.application);
}

void pair_unshare(struct pair *pair, uint64_t seed)
{
    disk_seed_sqlite(seed);
    disk_unshare(pair->a.disk, seed);
    disk_unshare(pair->b.disk, seed);
}

uint64_t pair_hash(const struct pair *pair)
{
    uint64_t parts[6] = {disk_hash(pair->a.disk),
                         disk_hash(pair->b.disk),
                         hash64(pair->numbers, sizeof pair->numbers),
                         pair->told,
                         pair->heard,
                         0};
    sqlite3_int64 size = 0;
    unsigned char *content;

    if (pair->open) { /* what stands where in the log no longer matters */
        content = sqlite3_serialize(pair->a.db, "main", &size, 0);
        parts[0] = hash64(content, (size_t)size);
        parts[5] = 1;
        sqlite3_free(content);
    }
    return hash64(parts, sizeof parts);
}

/* Stopping */

static void application_stop(struct side *side)
{
    sqlite3_close(side->db);
    side->db = NULL;
    process_free(side->application);
    side->application = NULL;
}

static void node_stop(struct side *side)
{
    store_close(side->store);
    side->store = NULL;
    process_free(side->node);
    side->node = NULL;
}

void pair_bury(struct pair *pair)
{
    pair->crashed = true;
    pair->open = false;
    if (process_dead(pair->a.node))
        node_stop(&pair->a);
    if (process_dead(pair->a.application))
        application_stop(&pair->a);
}

void pair_power_cut(struct pair *pair, enum disk_loss loss)
{
    pair->kept_all = false;
    process_kill(pair->a.node);
    process_kill(pair->a.application);
    pair_bury(pair);
    disk_power_cut(pair->a.disk, loss);
}

void pair_free(struct pair *pair)
{
    if (pair == NULL)
        return;
    application_stop(&pair->a);
    application_stop(&pair->b);
    node_stop(&pair->a);
    node_stop(&pair->b);
    disk_free(pair->a.disk);
    disk_free(pair->b.disk);
    buffer_close(&pair->a.news);
    buffer_close(&pair->b.news);
    free(pair);
}
