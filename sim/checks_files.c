/* What a file says of itself: when a node opens it, and at the end. */
#include "checks_internal.h"

#include <string.h>

#define LOG_SIZE_MAX (64 << 20)
#define MEMORY_MAX (64 << 20)

int64_t checks_number(struct machine *machine, const char *sql)
{
    sqlite3_stmt *statement;
    int64_t number = -1;

    if (sqlite3_prepare_v2(machine_observer(machine), sql, -1, &statement,
                           NULL) != SQLITE_OK)
        return -1;
    if (sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

bool checks_waiting(struct machine *machine)
{
    return machine_busy(machine) ||
           checks_number(machine, "SELECT count(*) FROM gv_journal") != 0 ||
           checks_number(machine, "SELECT pending FROM gv_meta") != 0;
}

/* I19 */
void checks_integrity(struct checks *checks, struct machine *machine)
{
    sqlite3_stmt *statement;
    const char *text = "no answer";
    int rc =
        sqlite3_prepare_v2(machine_observer(machine),
                           "PRAGMA integrity_check(1)", -1, &statement, NULL);

    if (rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        text = (const char *)sqlite3_column_text(statement, 0);
    if (text == NULL || strcmp(text, "ok") != 0)
        world_fail(checks->world, "I19", "n%zu: integrity_check: %s",
                   machine_index(machine), text == NULL ? "NULL" : text);
    sqlite3_finalize(statement);
}

static uint64_t schema_hash(struct machine *machine)
{
    sqlite3_stmt *statement;
    uint64_t sum = 1;

    if (sqlite3_prepare_v2(
            machine_observer(machine),
            "SELECT sql FROM sqlite_schema WHERE sql NOT NULL"
            " AND name NOT LIKE 'gv\\_%' ESCAPE '\\' AND name<>'skew'"
            " ORDER BY name",
            -1, &statement, NULL) != SQLITE_OK)
        return 0;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);

        sum = sum * 31 + hash64(text, strlen(text));
    }
    sqlite3_finalize(statement);
    return sum;
}

void checks_schema(struct checks *checks, struct machine *machine)
{
    struct watch *watch = checks_watch(checks, machine);
    uint64_t hash = schema_hash(machine);

    if (watch->schema == 0)
        watch->schema = hash;
    else if (watch->schema != hash)
        world_fail(checks->world, "I19",
                   "n%zu: the schema is not what the programs made",
                   machine_index(machine));
}

static void found(void *context, const struct store_finding *finding)
{
    char *first = context;

    if (first[0] == '\0')
        snprintf(first, 200, "%s %s: %s", finding->table, finding->key,
                 finding->text);
}

/* I27 and I20: what the node can recompute by itself. */
static void check_verify(struct checks *checks, struct machine *machine)
{
    struct store *store = store_keeper_store(machine_keeper(machine));
    struct store_verified verified = {0};
    struct gv_error why = {0};
    char first[200] = "";
    int rc = store_verify(store, found, first, &verified, &why);

    if (rc != GV_OK)
        world_fail(checks->world, "I27", "n%zu: verify fails: %s",
                   machine_index(machine), why.what);
    else if (verified.findings > 0)
        world_fail(checks->world, "I27", "n%zu: verify finds %s",
                   machine_index(machine), first);
}

/* I16: a record is a cell or row someone still needs. */
static void check_bounds(struct checks *checks, struct machine *machine)
{
    int64_t spare = checks_number(
        machine, "SELECT count(*) FROM gv_ver AS v WHERE NOT EXISTS (SELECT 1"
                 " FROM gv_site AS s WHERE s.num=v.site AND"
                 " s.version>=v.version)");
    uint64_t log = disk_file_size(machine_disk(machine), MACHINE_PATH "-wal");

    if (spare != 0)
        world_fail(checks->world, "I16",
                   "n%zu: %lld records that its vector does not cover",
                   machine_index(machine), (long long)spare);
    if (log > LOG_SIZE_MAX || sqlite3_memory_used() > MEMORY_MAX)
        world_fail(checks->world, "I16",
                   "n%zu: the log has %llu bytes, SQLite %lld",
                   machine_index(machine), (unsigned long long)log,
                   (long long)sqlite3_memory_used());
}

/* I32 */
static void check_mirror(struct checks *checks, struct machine *machine)
{
    int64_t wrong = checks_number(
        machine,
        "SELECT count(*) FROM (SELECT * FROM (SELECT k,a FROM t6 WHERE k NOT"
        " NULL EXCEPT SELECT k,a FROM mirror) UNION ALL SELECT * FROM (SELECT"
        " k,a FROM mirror WHERE k NOT NULL EXCEPT SELECT k,a FROM t6))");

    /* -1: this file has no such triggers. */
    if (wrong > 0)
        world_fail(checks->world, "I32",
                   "n%zu: %lld rows of mirror are not as in t6",
                   machine_index(machine), (long long)wrong);
}

uint64_t checks_triggers_fired(struct machine *machine)
{
    int64_t fired = machine_observer(machine) == NULL
                        ? 0
                        : checks_number(machine, "SELECT n FROM fired");

    return fired < 0 ? 0 : (uint64_t)fired;
}

/* I1 */
static void check_pair(struct checks *checks, struct machine *a,
                       struct machine *b)
{
    if (checks_vv(a)->hash == checks_vv(b)->hash &&
        !hash128_equal(checks_fingerprint(a), checks_fingerprint(b)))
        world_fail(checks->world, "I1",
                   "n%zu and n%zu have equal vectors and other fingerprints",
                   machine_index(a), machine_index(b));
}

static bool linked(const struct machine *a, const struct machine *b)
{
    return machine_dials(a, machine_index(b)) ||
           machine_dials(b, machine_index(a));
}

/* With one another, or with a third one of these. */
static bool meet(struct machine *const *machines, size_t count,
                 const struct machine *a, const struct machine *b)
{
    bool met = linked(a, b);

    for (size_t i = 0; i < count; i++)
        met |= linked(a, machines[i]) && linked(machines[i], b);
    return met;
}

/* I35 */
static void check_ids(struct checks *checks, struct machine *const *machines,
                      size_t count, size_t index)
{
    for (size_t i = index + 1; i < count; i++)
        if (meet(machines, count, machines[index], machines[i]) &&
            site_equal(checks_site(machines[index]), checks_site(machines[i])))
            world_fail(checks->world, "I35",
                       "n%zu and n%zu live, and have one site id",
                       machine_index(machines[index]),
                       machine_index(machines[i]));
}

void checks_end(struct checks *checks, struct machine *const *machines,
                size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_pair(checks, machines[0], machines[i]);
        check_ids(checks, machines, count, i);
        if (checks->ledger == NULL)
            continue;
        if (!checks->blind)
            ledger_compare(checks->ledger, machines[i]);
        check_verify(checks, machines[i]);
        check_bounds(checks, machines[i]);
        check_mirror(checks, machines[i]);
        checks_integrity(checks, machines[i]);
        checks_schema(checks, machines[i]);
    }
    if (checks->ledger != NULL && !checks->blind)
        ledger_account(checks->ledger, machines, count);
}
