/* What becomes of a lost id's cells when its records move to a new one.
 *
 * A multi-value cell moves like any other.  A counter's does not: peers hold
 * part of it under the lost id, nobody can tell which, and they send it back;
 * with the moved cell beside it, that part would count twice.  So the cell is
 * left to them.  The table goes down by as much, and keeps what was added to
 * it since the last look, which is published under the new id. */
#include "store/moving.h"

#include "base/assert.h"
#include "store/cells.h"
#include "store/internal.h"
#include "store/kinds.h"
#include "store/user.h"

#include <string.h>

static int64_t number_shown(const struct store *store,
                            const struct store_table *table, size_t bit)
{
    struct value value;

    GV_ASSERT(table->columns[bit - 1].kind == COLUMN_COUNTER);
    kinds_value(store, table, bit, &value);
    return value.class == VALUE_INTEGER ? value.integer : 0;
}

static int move_value(struct store *store, size_t at)
{
    struct cells *cells = &store->space.cells;
    size_t bit = cells->items[at].bit;
    struct cell *moved = cells_put(cells, bit, store->own);
    const struct cell *from;

    if (moved == NULL)
        return GV_ENOMEM;
    from = &cells->items[at]; /* which the put may have moved */
    GV_ASSERT(from->site == store->lost_id && moved != from);
    if (cell_own(moved, &from->value, from->over) != GV_OK)
        return GV_ENOMEM;
    moved->version = from->version;
    cells_drop(&cells->items[at]);
    return GV_OK;
}

static void leave_number(struct row *row, struct cell *cell)
{
    GV_ASSERT(!cell->gone && cell->value.class == VALUE_INTEGER);
    for (size_t i = 0; i < row->record_count; i++)
        if (row->records[i].site == cell->site &&
            mask_get(row->records[i].mask, cell->bit))
            row_clear(row, &row->records[i], cell->bit);
    cells_drop(cell);
}

/* Take @less from the number in the user's table, where it is one. */
static int lower(struct store *store, struct store_table *table,
                 const struct row_key *key, size_t bit, int64_t less)
{
    struct value *value = &store->values[bit - 1];
    uint64_t mask[ROW_WORDS_MAX] = {0};
    bool present;
    int rc = user_read(store, table, key, store->values, &present);

    GV_ASSERT(kinds_each(table, bit));
    GV_ASSERT(table->columns[bit - 1].shown);
    if (rc != GV_OK)
        return rc;
    present = present && value->class == VALUE_INTEGER &&
              !__builtin_sub_overflow(value->integer, less, &value->integer);
    user_read_done(table);
    if (!present)
        return GV_OK;
    mask_set(mask, bit);
    return user_update(store, table, key, mask, store->values);
}

static int leave_numbers(struct store *store, struct store_table *table,
                         const struct row_key *key)
{
    const struct cells *cells = &store->space.cells;
    int rc = GV_OK;

    for (size_t i = 0; i < cells->count && rc == GV_OK; i++) {
        struct cell *cell = &cells->items[i];
        int64_t before, less;

        if (cell->site != store->lost_id || cell->gone ||
            table->columns[cell->bit - 1].kind != COLUMN_COUNTER)
            continue;
        before = number_shown(store, table, cell->bit);
        leave_number(&store->space.row, cell);
        if (table->columns[cell->bit - 1].shown &&
            !__builtin_sub_overflow(
                before, number_shown(store, table, cell->bit), &less))
            rc = lower(store, table, key, cell->bit, less);
    }
    return rc;
}

int moving_cells(struct store *store, struct store_table *table,
                 const struct row_key *key)
{
    struct cells *cells = &store->space.cells;
    const struct row nothing = {.causal_length =
                                    store->space.row.causal_length};
    uint64_t won[ROW_WORDS_MAX];
    struct row_change change = {.won = won};
    int rc = GV_OK;

    GV_ASSERT(store->lost_id != 0 && store->lost_id != store->own);
    for (size_t i = 0, count = cells->count; i < count && rc == GV_OK; i++)
        if (cells->items[i].site == store->lost_id && !cells->items[i].gone &&
            table->columns[cells->items[i].bit - 1].kind == COLUMN_MV)
            rc = move_value(store, i);
    if (rc == GV_OK)
        rc = leave_numbers(store, table, key);
    /* Records that are empty now go. */
    row_merge(&store->space.row, &nothing, table->words, store->sites,
              &change);
    GV_ASSERT(!change.any);
    return rc == GV_OK ? kinds_show(store, table) : rc;
}
