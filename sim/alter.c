/* Schemas that differ: what an action does to the table skew of one machine,
 * and how all become equal at the end.
 *
 * A person or a migration does this, with a connection of their own, while
 * the node runs or not.  Only what no node could tell from a write is left
 * out: a second change before its node knows of the first.  A column that went
 * and was made again shows its default where values were, and of two columns
 * that went at once, without rows to compare, none is known by its place. */
#include "sim/simulation.h"

#include "base/assert.h"
#include "sim/machine/visit.h"
#include "sim/program/tables.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS (tables[TABLE_SKEW].column_count)

static const char *const additions[TABLE_COLUMNS_MAX] = {
    NULL, "ALTER TABLE skew ADD COLUMN b DEFAULT 'b'",
    "ALTER TABLE skew ADD COLUMN c DEFAULT 4"};

/* One column as the file and its node have it. */
struct column {
    const char *wire;
    char here[24];  /* "": not there */
    char noted[24]; /* what its node takes it for; "": not there */
    bool typed;
};

static void ask_text(sqlite3 *db, const char *sql, const char *parameter,
                     char *text, size_t size)
{
    sqlite3_stmt *statement;

    text[0] = '\0';
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        return;
    sqlite3_bind_text(statement, 1, parameter, -1, SQLITE_STATIC);
    if (sqlite3_step(statement) == SQLITE_ROW &&
        sqlite3_column_type(statement, 0) != SQLITE_NULL)
        snprintf(text, size, "%s",
                 (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
}

static void read_column(sqlite3 *db, size_t index, struct column *column)
{
    char type[24];

    column->wire = tables[TABLE_SKEW].columns[index].name;
    ask_text(db,
             "SELECT name FROM pragma_table_info('skew') WHERE"
             " name IN (?1,?1||'" TABLE_RENAMED "')",
             column->wire, column->here, sizeof column->here);
    ask_text(db, "SELECT type FROM pragma_table_info('skew') WHERE name=?1",
             column->here, type, sizeof type);
    ask_text(db,
             "SELECT c.local FROM gv_col AS c JOIN gv_table AS t ON"
             " t.id=c.tbl WHERE t.wire='skew' AND c.wire=?1",
             column->wire, column->noted, sizeof column->noted);
    column->typed = type[0] != '\0' && strcmp(type, "ANY") != 0;
}

static bool is_there(struct machine *machine)
{
    char name[24];

    ask_text(machine_observer(machine),
             "SELECT name FROM sqlite_schema WHERE name=?1", "skew", name,
             sizeof name);
    return name[0] != '\0';
}

static bool is_shared(struct machine *machine)
{
    char name[24];

    ask_text(machine_observer(machine),
             "SELECT name FROM sqlite_schema WHERE tbl_name=?1 AND"
             " type='trigger' AND NOT EXISTS(SELECT 1 FROM gv_table WHERE"
             " wire=?1 AND away)",
             "skew", name, sizeof name);
    return name[0] != '\0';
}

/* By somebody who sees to it that it is on the disk. */
static bool execute(struct simulation *simulation, struct machine *machine,
                    const char *sql)
{
    char name[48];
    struct visit visit;
    int rc;

    snprintf(name, sizeof name, "n%zu-schema-%llu", machine_index(machine),
             (unsigned long long)++simulation->alterations);
    rc = visit_begin(&visit, machine_disk(machine), name);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(visit.db, "PRAGMA synchronous=EXTRA", NULL, NULL,
                          NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(visit.db, sql, NULL, NULL, NULL);
    world_note(simulation->world, "n%zu: %s%s", machine_index(machine), sql,
               rc == SQLITE_OK ? "" : ": refused");
    visit_end(&visit);
    if (rc != SQLITE_OK)
        return false;
    simulation->fired[FAULT_SCHEMA_MIX]++;
    machine_wake(machine, false);
    return true;
}

/* Whether the node knows what there is. */
static bool is_known(struct machine *machine)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        struct column column;

        read_column(machine_observer(machine), i, &column);
        if (strcmp(column.here, column.noted) != 0)
            return false;
    }
    return true;
}

static bool add(struct simulation *simulation, struct machine *machine,
                size_t index)
{
    struct column column;

    read_column(machine_observer(machine), index, &column);
    if (column.here[0] != '\0')
        return false;
    return execute(simulation, machine, additions[index]);
}

static bool drop(struct simulation *simulation, struct machine *machine,
                 size_t index)
{
    struct column column;
    char sql[100];

    read_column(machine_observer(machine), index, &column);
    if (column.here[0] == '\0')
        return false;
    snprintf(sql, sizeof sql, "ALTER TABLE skew DROP COLUMN %s", column.here);
    return execute(simulation, machine, sql);
}

static bool rename_it(struct simulation *simulation, struct machine *machine,
                      size_t index)
{
    struct column column;
    char sql[120];
    bool back;

    read_column(machine_observer(machine), index, &column);
    if (column.here[0] == '\0' || column.typed)
        return false;
    back = strcmp(column.here, column.wire) != 0;
    snprintf(sql, sizeof sql, "ALTER TABLE skew RENAME COLUMN %s TO %s%s",
             column.here, column.wire, back ? "" : TABLE_RENAMED);
    return execute(simulation, machine, sql);
}

static bool nothing_waits(struct machine *machine)
{
    char waiting[24];

    ask_text(machine_observer(machine), "SELECT 1 FROM gv_journal LIMIT ?1",
             "1", waiting, sizeof waiting);
    return machine_idle(machine) && waiting[0] == '\0';
}

/* What its node thinks of a table that was shared here: "", "here", or "gone"
 * for good. */
static void ask_registered(struct machine *machine, char state[24])
{
    ask_text(machine_observer(machine),
             "SELECT iif(away=1,'gone','here') FROM"
             " gv_table WHERE wire=?1 AND tracked",
             "skew", state, 24);
}

/* What the node has not sealed would go with it. */
static bool drop_table(struct simulation *simulation, struct machine *machine)
{
    if (!machine_alive(machine) || !nothing_waits(machine) ||
        !execute(simulation, machine, "DROP TABLE skew"))
        return false;
    simulation->fired[FAULT_DROP]++;
    return true;
}

/* Before its node believes that it is gone, a new one would be taken for the
 * old one, rebuilt and emptied. */
static bool make_again(struct simulation *simulation, struct machine *machine,
                       const char *state)
{
    return strcmp(state, "gone") == 0 && !is_there(machine) &&
           execute(simulation, machine, SKEW_WHOLE_SQL);
}

/* Nothing waits to be sealed, so the node only takes note of the table. */
static bool track(struct simulation *simulation, struct machine *machine)
{
    char state[24];

    ask_registered(machine, state);
    if (state[0] != '\0')
        return make_again(simulation, machine, state);
    if (!nothing_waits(machine))
        return false;
    if (!is_there(machine) && !execute(simulation, machine, SKEW_WHOLE_SQL))
        return false;
    return machine_track(machine, "skew");
}

void alter_play(struct simulation *simulation, const struct action *action)
{
    struct machine *machine = simulation->machines[action->machine];
    size_t index = 1 + action->seed / 100 % 2;

    if (simulation->ledger == NULL || !machine_powered(machine) ||
        machine_observer(machine) == NULL)
        return;
    if (!is_shared(machine)) {
        track(simulation, machine);
        return;
    }
    if (!is_known(machine))
        return;
    if (simulation->script->swarm.on[FAULT_DROP] && simulation->drops &&
        action->seed / 10000 % 4 == 0) {
        drop_table(simulation, machine);
        return;
    }
    switch (action->seed % 5) {
    case 0:
        if (simulation->drops)
            drop(simulation, machine, index);
        break;
    case 1:
    case 2:
        rename_it(simulation, machine, action->seed / 1000 % 3);
        break;
    default:
        add(simulation, machine, index);
        break;
    }
}

/* Whether nothing is left to be done; else one step of it was tried. */
static bool equal_one(struct simulation *simulation, struct machine *machine)
{
    if (!machine_alive(machine))
        return false;
    if (!is_shared(machine)) {
        track(simulation, machine);
        return false;
    }
    if (!is_known(machine))
        return false;
    for (size_t i = 0; i < COLUMNS; i++) {
        struct column column;

        read_column(machine_observer(machine), i, &column);
        if (column.here[0] == '\0') {
            add(simulation, machine, i);
            return false;
        }
        if (strcmp(column.here, column.wire) != 0) {
            rename_it(simulation, machine, i);
            return false;
        }
    }
    return true;
}

bool alter_equal(struct simulation *simulation,
                 struct machine *const *machines, size_t count)
{
    bool equal = true;

    for (size_t i = 0; i < count && simulation->ledger != NULL; i++) {
        bool *done = &simulation->extras[machine_index(machines[i])].equal;

        *done = *done || equal_one(simulation, machines[i]);
        equal = equal && *done;
    }
    return equal;
}

enum skew_shape alter_shape(const struct simulation *simulation, size_t index)
{
    const struct swarm *swarm = &simulation->script->swarm;
    unsigned drawn = swarm->seed_of_strength / 7 + (unsigned)index * 5;
    /* A file that is put back or copied forgets what it showed instead of what
     * it cannot show, and so does the ledger. */
    bool plain = swarm->on[FAULT_OLD_FILE] || swarm->on[FAULT_COPIED_FILE];

    if (!swarm->on[FAULT_SCHEMA_MIX])
        return SKEW_WHOLE;
    return drawn % (plain ? SKEW_TYPED : SKEW_SHAPES);
}

bool alter_drops(const struct swarm *swarm)
{
    return swarm->on[FAULT_SCHEMA_MIX] && !swarm->on[FAULT_OLD_FILE] &&
           !swarm->on[FAULT_COPIED_FILE] &&
           (swarm->on[FAULT_DROP] || swarm->seed_of_strength % 2 == 0);
}
