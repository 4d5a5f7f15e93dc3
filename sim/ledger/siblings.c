/* What stands beside the value that a multi-value cell shows.
 *
 * A value is kept until somebody who has seen it writes the cell: the vector
 * that a publication had seen says which.  Worked out anew from all that the
 * machine covers, since it is asked for once in a run. */
#include "ledger_state.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

struct written {
    const struct publication *publication;
    const struct change *change;
    bool replaced, found;
};

struct history {
    struct written *items;
    size_t count, capacity;
};

static void history_add(struct history *history,
                        const struct publication *publication,
                        const struct change *change)
{
    if (history->count == history->capacity) {
        history->capacity = history->capacity * 2 + 64;
        history->items = reallocarray(history->items, history->capacity,
                                      sizeof *history->items);
        GV_ASSERT(history->items != NULL);
    }
    history->items[history->count++] =
        (struct written){.publication = publication, .change = change};
}

/* Of @column, in the present lives of the rows of @table. */
static void collect(struct ledger *ledger, struct member *member, size_t table,
                    size_t column, const struct publication *publication,
                    struct history *history)
{
    for (size_t i = 0; i < publication->change_count; i++) {
        const struct change *change = &publication->changes[i];

        if (names_table(&ledger->names, change->row) == table &&
            change->written[column] &&
            change->length == fold_row(member, change->row)->length)
            history_add(history, publication, change);
    }
}

static void collect_all(struct ledger *ledger, struct member *member,
                        size_t table, size_t column, struct history *history)
{
    for (size_t site = 0; site < ledger->origin_count; site++)
        for (size_t i = 0; i < ledger->origins[site].count; i++) {
            const struct publication *publication =
                ledger->origins[site].list[i];

            if (publication->state == PUBLISHED &&
                publication->to <= vector_get(&member->vv, site))
                collect(ledger, member, table, column, publication, history);
        }
}

static bool replaces(const struct written *a, const struct written *b)
{
    if (a->publication->site == b->publication->site)
        return a->publication->to > b->publication->to;
    return vector_get(&a->publication->seen, b->publication->site) >=
           b->publication->to;
}

static void judge(struct history *history)
{
    for (size_t i = 0; i < history->count; i++)
        for (size_t j = 0; j < history->count; j++)
            if (history->items[i].change->row ==
                    history->items[j].change->row &&
                replaces(&history->items[j], &history->items[i]))
                history->items[i].replaced = true;
}

/* False: there is none, or it was replaced. */
static bool take(struct history *history, const struct ledger *ledger,
                 uint32_t row, uint32_t value, const char *site)
{
    for (size_t i = 0; i < history->count; i++) {
        struct written *written = &history->items[i];
        char name[33];

        site_format(&ledger->origins[written->publication->site].id, name);
        if (written->found || written->replaced ||
            written->change->row != row || strcmp(name, site) != 0 ||
            written->change->values[1] != value)
            continue;
        written->found = true;
        return true;
    }
    return false;
}

static void fail_at(struct ledger *ledger, struct machine *machine,
                    uint32_t row, const char *what)
{
    char key[NAMES_KEY_SIZE];

    names_format_key(&ledger->names, row, key, sizeof key);
    world_fail(ledger->world, "I31", "n%zu: row %s of tally %s",
               machine_index(machine), key, what);
}

static void read_shown(struct ledger *ledger, struct machine *machine,
                       sqlite3_stmt *rows, struct history *history)
{
    while (sqlite3_step(rows) == SQLITE_ROW) {
        struct datum key = {.type = SQLITE_INTEGER,
                            .integer = sqlite3_column_int64(rows, 0)};
        struct datum value;
        uint32_t row;

        look_datum(rows, 1, &value);
        names_row(&ledger->names, TABLE_TALLY, &key, 1, &row);
        if (!take(history, ledger, row, names_value(&ledger->names, &value),
                  (const char *)sqlite3_column_text(rows, 2)))
            fail_at(ledger, machine, row,
                    "has a sibling that nobody wrote, or that was replaced");
    }
}

void siblings_check(struct ledger *ledger, struct machine *machine)
{
    struct member *member = &ledger->members[machine_index(machine)];
    struct history history = {0};
    sqlite3_stmt *rows;

    if (sqlite3_prepare_v2(machine_observer(machine),
                           "SELECT \"key\",value,site FROM gv_siblings WHERE"
                           " \"table\"='tally' AND \"column\"='note'",
                           -1, &rows, NULL) != SQLITE_OK) {
        world_fail(ledger->world, "I31", "n%zu: gv_siblings cannot be read",
                   machine_index(machine));
        return;
    }
    collect_all(ledger, member, TABLE_TALLY, 1, &history);
    judge(&history);
    read_shown(ledger, machine, rows, &history);
    for (size_t i = 0; i < history.count; i++)
        if (!history.items[i].replaced && !history.items[i].found)
            fail_at(ledger, machine, history.items[i].change->row,
                    "lacks a sibling that nobody has replaced");
    sqlite3_finalize(rows);
    free(history.items);
}
