/* What the ledger says a machine must show, against what it shows. */
#include "ledger_state.h"
#include "sim/program/application.h"

#include <string.h>

static void fail_row(struct ledger *ledger, struct machine *machine,
                     const char *invariant, uint32_t row, const char *what)
{
    char key[NAMES_KEY_SIZE];

    names_format_key(&ledger->names, row, key, sizeof key);
    world_fail(ledger->world, invariant, "n%zu: row %s of %s %s",
               machine_index(machine), key,
               tables[names_table(&ledger->names, row)].name, what);
}

static void fail_cell(struct ledger *ledger, struct machine *machine,
                      const char *invariant, uint32_t row, size_t column,
                      uint32_t found, uint32_t expected)
{
    char key[NAMES_KEY_SIZE], is[NAMES_VALUE_SIZE], should[NAMES_VALUE_SIZE];
    const struct table *table = &tables[names_table(&ledger->names, row)];

    names_format_key(&ledger->names, row, key, sizeof key);
    names_format_value(&ledger->names, found, is, sizeof is);
    names_format_value(&ledger->names, expected, should, sizeof should);
    world_fail(ledger->world, invariant,
               "n%zu: column %s of row %s of %s is %s, not %s",
               machine_index(machine), table->columns[column].name, key,
               table->name, is, should);
}

/* Without the fold: what nobody may ever see. */
static void check_forbidden(struct ledger *ledger, struct machine *machine,
                            uint32_t row, const struct look_row *seen)
{
    size_t table = names_table(&ledger->names, row);
    char key[NAMES_KEY_SIZE];

    if (table == TABLE_PAIR && seen->values[0] != seen->values[1])
        fail_cell(ledger, machine, "I12", row, 1, seen->values[1],
                  seen->values[0]);
    for (size_t i = 0; i < tables[table].column_count; i++)
        if (seen->values[i] == ledger->passing)
            fail_row(ledger, machine, "I5", row,
                     "shows a value that was overwritten in the transaction"
                     " that wrote it");
    if (table != TABLE_LOG)
        return;
    names_format_key(&ledger->names, row, key, sizeof key);
    if (strncmp(key, "t" TABLES_NEVER, sizeof TABLES_NEVER) == 0)
        fail_row(ledger, machine, "I5", row,
                 "is of a transaction that was rolled back");
}

static void check_row(struct ledger *ledger, struct member *member,
                      struct machine *machine, uint32_t row)
{
    const struct model_row *model = fold_row(member, row);
    const struct look_row *seen = look_at(&member->look, row);
    size_t table = names_table(&ledger->names, row);

    if (table == TABLE_SKEW && !member->look.skew.shared)
        return;
    if (seen != NULL)
        check_forbidden(ledger, machine, row, seen);
    if (seen != NULL && model->length == 0)
        fail_row(ledger, machine, "I5", row, "was published by nobody");
    else if (seen != NULL && model->length % 2 == 0)
        fail_row(ledger, machine, "I10", row, "was deleted, and is there");
    else if (seen == NULL && model->length % 2 == 1 &&
             !(table == TABLE_SKEW && skew_row_lost(ledger, machine, row)))
        fail_row(ledger, machine, table == TABLE_LOG ? "I4b" : "I3", row,
                 "is alive, and is not there");
    if (seen == NULL)
        return;
    for (size_t i = 0; i < tables[table].column_count; i++) {
        uint32_t expected = fold_shown(ledger, model, row, i);

        if (table == TABLE_SKEW ? skew_agrees(ledger, member, machine, row, i)
                                : seen->values[i] == expected)
            continue;
        fail_cell(ledger, machine, model->dots[i].version == 0 ? "I11" : "I3",
                  row, i, seen->values[i], expected);
    }
}

/* The vector in the file */

struct entries {
    struct ledger *ledger;
    const struct member *member;
    size_t machine, count;
};

static void check_entry(void *context, const struct site *site,
                        gv_version version)
{
    struct entries *entries = context;
    struct ledger *ledger = entries->ledger;
    gv_version expected =
        vector_get(&entries->member->vv, ledger_site(ledger, site));

    entries->count++;
    if (version != expected)
        world_fail(ledger->world, "I7",
                   "n%zu: its file has %llu for a site, its node said %llu",
                   entries->machine, (unsigned long long)version,
                   (unsigned long long)expected);
}

static void check_vector(struct ledger *ledger, struct member *member,
                         struct machine *machine)
{
    struct entries entries = {
        .ledger = ledger, .member = member, .machine = machine_index(machine)};
    size_t expected = 0;

    if (!look_vector(&member->look, machine_observer(machine), check_entry,
                     &entries))
        return;
    for (size_t i = 0; i < member->vv.count; i++)
        expected += member->vv.at[i] > 0;
    if (entries.count != expected)
        world_fail(ledger->world, "I7",
                   "n%zu: its file has %zu sites, its node said %zu",
                   entries.machine, entries.count, expected);
}

void ledger_compare(struct ledger *ledger, struct machine *machine)
{
    struct member *member = &ledger->members[machine_index(machine)];
    sqlite3 *db = machine_observer(machine);

    /* Writes since the commit are nobody's yet. */
    if (look_journal_any(&member->look, db))
        return;
    if (!look_take(&member->look, &ledger->names, db)) {
        ledger_unreadable(ledger, member, machine);
        return;
    }
    skew_committed(member);
    check_vector(ledger, member, machine);
    for (uint32_t row = 0; row < ledger->names.rows.count; row++)
        check_row(ledger, member, machine, row);
}

/* At the end */

static void fail_transaction(struct ledger *ledger, size_t machine,
                             const struct transaction *transaction,
                             const char *invariant, const char *what)
{
    world_fail(ledger->world, invariant,
               "transaction #%lld of program %lld on n%zu, committed%s, %s",
               (long long)transaction->number, (long long)transaction->program,
               machine, transaction->durable ? " and durable" : "", what);
}

static bool in_all(struct ledger *ledger, struct machine *const *machines,
                   size_t count, const struct publication *publication)
{
    for (size_t i = 0; i < count; i++)
        if (vector_get(&ledger->members[machine_index(machines[i])].vv,
                       publication->site) < publication->to)
            return false;
    return true;
}

/* I4b, without the fold: each transaction that inserts into log is found. */
static void find_logged(struct ledger *ledger, struct machine *const *machines,
                        size_t count, size_t machine,
                        const struct transaction *transaction)
{
    char id[APPLICATION_LOG_SIZE];
    struct datum key = {.type = SQLITE_TEXT, .bytes = id};
    uint32_t row;

    if (!application_logs(transaction->number))
        return;
    application_log_id(transaction->program, transaction->number, id);
    key.size = strlen(id);
    names_row(&ledger->names, TABLE_LOG, &key, 1, &row);
    for (size_t i = 0; i < count; i++)
        if (look_at(&ledger->members[machine_index(machines[i])].look, row) ==
            NULL)
            fail_transaction(ledger, machine, transaction, "I4b",
                             "has no row in log at the end");
}

static void account_for(struct ledger *ledger, struct machine *const *machines,
                        size_t count, size_t machine,
                        const struct transaction *transaction)
{
    if (transaction->state == VANISHED || transaction->state == EXCUSED)
        return;
    if (transaction->state == PENDING) {
        fail_transaction(ledger, machine, transaction, "I4",
                         "was never sealed");
        return;
    }
    if (transaction->state == SEALED) {
        bool held = in_all(ledger, machines, count, transaction->publication);

        /* Its file was put back, and who else held it is dead. */
        if (transaction->publication->excused ||
            (transaction->publication->rewound && !held))
            return;
        if (!held)
            fail_transaction(ledger, machine, transaction, "I4",
                             "is not held by all");
    }
    find_logged(ledger, machines, count, machine, transaction);
}

void ledger_account(struct ledger *ledger, struct machine *const *machines,
                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ledger_compare(ledger, machines[i]);
        siblings_check(ledger, machines[i]);
    }
    for (size_t i = 0; i < count; i++) {
        size_t index = machine_index(machines[i]);
        const struct member *member = &ledger->members[index];

        for (size_t j = 0; j < member->transaction_count; j++)
            account_for(ledger, machines, count, index,
                        &member->transactions[j]);
    }
}
