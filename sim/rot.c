/* Rows that rot: at the end of a run, when all is equal and quiet, something
 * changes what one file's log says of some rows.  A person compares it with a
 * neighbour: each of them must be named, and all be as before after the
 * repair, which the checks at the end of each run see. */
#include "sim/simulation.h"

#include "base/assert.h"
#include "sim/machine/visit.h"
#include "store/proofs.h"

#include <stdlib.h>

#define ROWS_MAX 12
/* Longer than links are made anew, and answers awaited. */
#define PROOF_MAX (200 * SIM_SECOND)
#define PROOF_STEP (20 * SIM_MS)

struct rot {
    struct simulation *simulation;
    struct machine *machine;
    struct random *random;
    sqlite3 *db;
    int64_t tables[16];
    size_t table_count;
};

static int64_t number(struct rot *rot, const char *sql)
{
    sqlite3_stmt *statement;
    int64_t found = -1;

    if (sqlite3_prepare_v2(rot->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return -1;
    if (sqlite3_step(statement) == SQLITE_ROW)
        found = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return found;
}

/* Tables of which each file shows all.  What one keeps beside its table for
 * itself would go with the row. */
static void find_tables(struct rot *rot)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(rot->db,
                                "SELECT id FROM gv_table WHERE tracked AND"
                                " local<>'skew' AND NOT EXISTS(SELECT 1 FROM"
                                " gv_parked WHERE tbl=id) ORDER BY id",
                                -1, &statement, NULL);

    while (rc == SQLITE_OK && rot->table_count < 16 &&
           sqlite3_step(statement) == SQLITE_ROW)
        rot->tables[rot->table_count++] = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
}

/* One of the ways in which the log of a row can be wrong. */
static bool spoil(struct rot *rot, int64_t table, int64_t rid)
{
    static const char *const ways[] = {
        "UPDATE gv_row_%lld SET state=x'' WHERE rid=%lld",
        "DELETE FROM gv_row_%lld WHERE rid=%lld",
        "UPDATE gv_row_%lld SET cl=cl+2 WHERE rid=%lld",
        "UPDATE gv_row_%lld SET state=substr(state,1,length(state)-6)||"
        "x'5a5a'||substr(state,-4) WHERE rid=%lld AND"
        " substr(state,-6,2)<>x'5a5a'",
        "DELETE FROM gv_ver WHERE tbl=%lld AND rid=%lld",
    };
    char sql[300];

    snprintf(sql, sizeof sql, ways[between(rot->random, 0, 4)],
             (long long)table, (long long)rid);
    return sqlite3_exec(rot->db, sql, NULL, NULL, NULL) == SQLITE_OK &&
           sqlite3_changes(rot->db) > 0;
}

/* How many rows there are of it. */
static uint64_t spoil_some(struct rot *rot)
{
    uint64_t wanted = (uint64_t)between(rot->random, 1, ROWS_MAX), spoilt = 0;

    for (uint64_t i = 0; i < wanted; i++) {
        int64_t table, rid;
        char sql[200];

        table = rot->tables[between(rot->random, 0,
                                    (sim_time)rot->table_count - 1)];
        /* Each row is met once: those that are met stand behind. */
        snprintf(sql, sizeof sql,
                 "SELECT rid FROM gv_row_%lld WHERE rid>(SELECT"
                 " coalesce(max(rid),-9e18) FROM temp.rotten WHERE"
                 " tbl=%lld) LIMIT 1 OFFSET %d",
                 (long long)table, (long long)table,
                 (int)between(rot->random, 0, 3));
        rid = number(rot, sql);
        if (rid == -1 || !spoil(rot, table, rid))
            continue;
        snprintf(sql, sizeof sql, "INSERT INTO temp.rotten VALUES(%lld,%lld)",
                 (long long)table, (long long)rid);
        sqlite3_exec(rot->db, sql, NULL, NULL, NULL);
        spoilt++;
    }
    return spoilt;
}

static uint64_t rot_in(struct simulation *simulation, struct machine *machine)
{
    struct rot rot = {.simulation = simulation,
                      .machine = machine,
                      .random =
                          world_random(simulation->world, STREAM_SCRIPT)};
    struct visit visit;
    uint64_t spoilt = 0;
    int rc = visit_begin(&visit, machine_disk(machine), "rot");

    rot.db = visit.db;
    if (rc == SQLITE_OK && sqlite3_exec(rot.db,
                                        "PRAGMA temp_store=MEMORY;"
                                        "CREATE TEMP TABLE rotten(tbl, rid)",
                                        NULL, NULL, NULL) == SQLITE_OK) {
        find_tables(&rot);
        if (rot.table_count > 0)
            spoilt = spoil_some(&rot);
    }
    visit_end(&visit);
    return spoilt;
}

/* A link of the machine with another one of these, asked to compare. */
static bool ask_one(struct machine *machine, struct machine *const *machines,
                    size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (machines[i] != machine &&
            machine_prove(machine, machine_index(machines[i]), true))
            return true;
    return false;
}

void rot_play(struct simulation *simulation, struct machine *const *machines,
              size_t count)
{
    struct world *world = simulation->world;
    struct machine *machine = machines[between(
        world_random(world, STREAM_SCRIPT), 0, (sim_time)count - 1)];
    const struct proofs *proofs = machine_proofs(machine);
    uint64_t before = proofs->asked_ended, spoilt;
    sim_time end = world_now(world) + PROOF_MAX;

    spoilt = rot_in(simulation, machine);
    if (spoilt == 0 || !ask_one(machine, machines, count))
        return;
    simulation->fired[FAULT_CORRUPT_PAGE] += spoilt;
    while (proofs->asked_ended == before && world_now(world) < end &&
           !world_failed(world)) {
        sim_time until = world_now(world) + PROOF_STEP;

        while (world_step(world, until))
            ;
    }
    if (proofs->asked_ended == before || proofs->shown == NULL)
        world_fail(world, "I36", "n%zu: no comparison came to its end: %s",
                   machine_index(machine), proofs->shown_why.what);
    else if (proof_differ(proofs->shown) != spoilt ||
             proof_mended(proofs->shown) != spoilt)
        world_fail(world, "I36",
                   "n%zu: %llu rows rotted, %llu were named and %llu mended",
                   machine_index(machine), (unsigned long long)spoilt,
                   (unsigned long long)proof_differ(proofs->shown),
                   (unsigned long long)proof_mended(proofs->shown));
}
