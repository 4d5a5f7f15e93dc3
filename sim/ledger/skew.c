/* A table whose columns differ between machines.
 *
 * What is published does not depend on it.  But a file without a column shows
 * nothing of it; one whose column has a type may show something else in its
 * place; and where a column was dropped its values are lost, until somebody
 * writes them again.  Then a look has to be compared with what was shown
 * instead, and what is shown instead must stand in gv_parked. */
#include "ledger_state.h"

#include "base/assert.h"
#include "sim/program/application.h"
#include "wire/value.h"

#include <stdlib.h>
#include <string.h>

static bool is_noted(struct machine *machine, const char *wire)
{
    sqlite3_stmt *find;
    bool noted = false;

    if (sqlite3_prepare_v2(machine_observer(machine),
                           "SELECT 1 FROM gv_col AS c JOIN gv_table AS t ON"
                           " t.id=c.tbl WHERE t.wire='skew' AND t.tracked AND"
                           " c.wire=?1 AND c.local NOT NULL",
                           -1, &find, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_text(find, 1, wire, -1, SQLITE_STATIC);
    noted = sqlite3_step(find) == SQLITE_ROW;
    sqlite3_finalize(find);
    return noted;
}

void skew_committed(struct member *member)
{
    const struct look_skew *skew = &member->look.skew;

    for (size_t i = 0; i < tables[TABLE_SKEW].column_count; i++)
        member->adopted[i] = skew->shared && skew->columns[i].here;
}

static const struct instead *instead_of(const struct member *member,
                                        const struct model_row *model,
                                        uint32_t row, size_t column)
{
    const struct instead *instead;
    struct dot dot = model->dots[column];

    if (row >= member->instead_count)
        return NULL;
    instead = &member->instead[row][column];
    return dot.version != 0 && instead->dot.version == dot.version &&
                   instead->dot.site == dot.site
               ? instead
               : NULL;
}

uint32_t skew_known(const struct ledger *ledger, const struct member *member,
                    const struct model_row *model, uint32_t row, size_t column)
{
    const struct instead *instead = instead_of(member, model, row, column);

    if (!member->adopted[column])
        return ledger->initial[TABLE_SKEW][column];
    return instead != NULL ? instead->shown
                           : fold_shown(ledger, model, row, column);
}

static void note_instead(struct member *member, const struct model_row *model,
                         uint32_t row, size_t column, uint32_t shown)
{
    if (row >= member->instead_count) {
        size_t count = ((size_t)row + 256) * 3 / 2;

        member->instead =
            reallocarray(member->instead, count, sizeof *member->instead);
        GV_ASSERT(member->instead != NULL);
        memset(member->instead + member->instead_count, 0,
               (count - member->instead_count) * sizeof *member->instead);
        member->instead_count = count;
    }
    member->instead[row][column] =
        (struct instead){model->dots[column], shown};
}

/* The one thing that is the product's own: what gv_parked says that a table
 * shows is a digest. */
static uint64_t digest_of(const struct ledger *ledger, uint32_t number)
{
    struct value value = {.class = VALUE_NULL};
    struct datum datum;

    if (!names_datum(&ledger->names, number, &datum))
        return 0;
    value.integer = datum.integer;
    value.real = datum.real;
    value.bytes = (const uint8_t *)datum.bytes;
    value.size = datum.size;
    switch (datum.type) {
    case SQLITE_INTEGER:
        value.class = VALUE_INTEGER;
        break;
    case SQLITE_FLOAT:
        value.class = VALUE_REAL;
        break;
    case SQLITE_TEXT:
        value.class = VALUE_TEXT;
        break;
    case SQLITE_BLOB:
        value.class = VALUE_BLOB;
        break;
    default:
        break;
    }
    return value_digest(&value);
}

/* One entry of gv_parked in a file that was opened.  What it shows was written
 * there meanwhile if the digest is another one: then it is known to be
 * nothing that a look can see. */
static void learn(struct ledger *ledger, struct member *member,
                  sqlite3_stmt *entry)
{
    struct datum key;
    uint32_t row, shown;
    size_t column = 0;
    const char *wire = (const char *)sqlite3_column_text(entry, 1);

    look_datum(entry, 0, &key);
    names_row(&ledger->names, TABLE_SKEW, &key, 1, &row);
    while (column < TABLE_COLUMNS_MAX &&
           strcmp(wire, tables[TABLE_SKEW].columns[column].name) != 0)
        column++;
    if (column == TABLE_COLUMNS_MAX || look_at(&member->look, row) == NULL)
        return;
    shown = look_at(&member->look, row)->values[column];
    if (shown == LOOK_ABSENT)
        return;
    if (digest_of(ledger, shown) != (uint64_t)sqlite3_column_int64(entry, 2))
        shown = LOOK_ABSENT;
    note_instead(member, fold_row(member, row), row, column, shown);
}

static sqlite3_int64 table_id(struct machine *machine)
{
    sqlite3_stmt *find;
    sqlite3_int64 id = 0;

    if (sqlite3_prepare_v2(machine_observer(machine),
                           "SELECT id FROM gv_table WHERE wire='skew'", -1,
                           &find, NULL) == SQLITE_OK &&
        sqlite3_step(find) == SQLITE_ROW)
        id = sqlite3_column_int64(find, 0);
    sqlite3_finalize(find);
    return id;
}

void skew_opened(struct ledger *ledger, struct member *member,
                 struct machine *machine)
{
    sqlite3_int64 table = table_id(machine);
    sqlite3_stmt *entries;
    char sql[300];

    for (size_t i = 0; i < tables[TABLE_SKEW].column_count; i++)
        member->adopted[i] =
            is_noted(machine, tables[TABLE_SKEW].columns[i].name);
    if (table == 0)
        return;
    if (!look_take(&member->look, &ledger->names, machine_observer(machine))) {
        ledger_unreadable(ledger, member, machine);
        return;
    }
    snprintf(sql, sizeof sql,
             "SELECT r.k1,c.wire,p.shown FROM gv_parked AS p JOIN gv_row_%lld"
             " AS r ON r.rid=p.rid JOIN gv_col AS c ON c.tbl=p.tbl AND"
             " c.bit=p.bit WHERE p.tbl=%lld AND p.shown NOT NULL",
             (long long)table, (long long)table);
    if (sqlite3_prepare_v2(machine_observer(machine), sql, -1, &entries,
                           NULL) != SQLITE_OK)
        return; /* tracked in no transaction of this file yet */
    while (sqlite3_step(entries) == SQLITE_ROW)
        learn(ledger, member, entries);
    sqlite3_finalize(entries);
}

enum entry { ENTRY_NONE = -1, ENTRY_HOLLOW, ENTRY_VALUE };

/* What gv_parked has of a cell. */
static enum entry entry_of(struct ledger *ledger, struct machine *machine,
                           uint32_t row, size_t column)
{
    char key[NAMES_KEY_SIZE], sql[NAMES_KEY_SIZE + 300];
    sqlite3_stmt *find;
    enum entry entry = ENTRY_NONE;
    sqlite3_int64 table = table_id(machine);

    names_format_key(&ledger->names, row, key, sizeof key);
    snprintf(sql, sizeof sql,
             "SELECT p.held FROM gv_parked AS p JOIN gv_row_%lld AS r ON"
             " r.rid=p.rid JOIN gv_col AS c ON c.tbl=p.tbl AND c.bit=p.bit"
             " WHERE p.tbl=%lld AND r.k1='%s' AND c.wire='%s'",
             (long long)table, (long long)table, key + 1,
             tables[TABLE_SKEW].columns[column].name);
    if (sqlite3_prepare_v2(machine_observer(machine), sql, -1, &find, NULL) ==
            SQLITE_OK &&
        sqlite3_step(find) == SQLITE_ROW)
        entry = sqlite3_column_int(find, 0) == 0 ? ENTRY_HOLLOW : ENTRY_VALUE;
    sqlite3_finalize(find);
    return entry;
}

/* Whether the cell's value is one that does not travel. */
static bool stays(const struct ledger *ledger, const struct model_row *model,
                  uint32_t row, size_t column)
{
    return names_long(&ledger->names, fold_shown(ledger, model, row, column)) >
           APPLICATION_TRAVELS;
}

bool skew_hollow(struct ledger *ledger, struct member *member,
                 struct machine *machine, uint32_t row, size_t column)
{
    return stays(ledger, fold_row(member, row), row, column) &&
           entry_of(ledger, machine, row, column) == ENTRY_HOLLOW;
}

bool skew_row_lost(const struct ledger *ledger, struct machine *machine,
                   uint32_t row)
{
    char key[NAMES_KEY_SIZE], sql[NAMES_KEY_SIZE + 200];
    sqlite3_int64 table = ledger->drops ? table_id(machine) : 0;
    sqlite3_stmt *find;
    bool lost = false;

    if (table == 0)
        return false;
    names_format_key(&ledger->names, row, key, sizeof key);
    snprintf(sql, sizeof sql,
             "SELECT 1 FROM gv_parked AS p JOIN gv_row_%lld AS r ON"
             " r.rid=p.rid WHERE p.tbl=%lld AND p.bit=0 AND r.k1='%s'",
             (long long)table, (long long)table, key + 1);
    if (sqlite3_prepare_v2(machine_observer(machine), sql, -1, &find, NULL) ==
        SQLITE_OK)
        lost = sqlite3_step(find) == SQLITE_ROW;
    sqlite3_finalize(find);
    return lost;
}

bool skew_agrees(struct ledger *ledger, struct member *member,
                 struct machine *machine, uint32_t row, size_t column)
{
    const struct model_row *model = fold_row(member, row);
    uint32_t seen = look_at(&member->look, row)->values[column];
    bool excused = false;

    if (seen == LOOK_ABSENT)
        return true;
    if (seen == fold_shown(ledger, model, row, column)) {
        if (instead_of(member, model, row, column) != NULL)
            member->instead[row][column].dot.version = 0;
        return true;
    }
    switch (entry_of(ledger, machine, row, column)) {
    case ENTRY_NONE:
        break;
    case ENTRY_HOLLOW:
        excused = ledger->drops || stays(ledger, model, row, column);
        break;
    case ENTRY_VALUE:
        excused = member->look.skew.columns[column].typed;
        break;
    }
    if (excused)
        note_instead(member, model, row, column, seen);
    return excused;
}
