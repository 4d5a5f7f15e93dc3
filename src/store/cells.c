/* gv_cell: the cells of columns that have one for each site (counters and
 * multi-value columns), with the row at hand.
 *
 * The log has a cell's dot and digest (state.c); its value is here, and so is
 * what a multi-value cell replaces.  That is kept with site ids, not with this
 * file's numbers: it is digested and sent as it stands. */
#include "store/cells.h"

#include "base/assert.h"
#include "store/borrowed.h"
#include "store/internal.h"
#include "store/kinds.h"

#include <stdlib.h>
#include <string.h>

/* A cell of no more bytes than a peer may send. */
_Static_assert(VV_SITES_MAX <= VALUE_SIZE_MAX / VV_ENTRY_SIZE,
               "what a cell replaces is shorter than a value");

uint64_t cell_digest(enum column_kind kind, const struct value *value,
                     struct vv_view over)
{
    uint8_t digests[16];

    GV_ASSERT(kind != COLUMN_LWW);
    GV_ASSERT(kind == COLUMN_MV || over.count == 0);
    if (kind == COLUMN_COUNTER)
        return value_digest(value);
    store_u64(digests, value_digest(value));
    store_u64(digests + 8, hash64(over.bytes, over.count * VV_ENTRY_SIZE));
    return hash64(digests, sizeof digests);
}

void cells_clear(struct cells *cells)
{
    for (size_t i = 0; i < cells->count; i++)
        free(cells->items[i].owned);
    cells->count = 0;
    GV_ASSERT(cells->items != NULL || cells->capacity == 0);
}

void cells_close(struct cells *cells)
{
    cells_clear(cells);
    free(cells->items);
    *cells = (struct cells){NULL, 0, 0};
}

struct cell *cells_get(const struct cells *cells, size_t bit, uint32_t site)
{
    for (size_t i = 0; i < cells->count; i++) {
        struct cell *cell = &cells->items[i];

        if (cell->bit == bit && cell->site == site && !cell->gone)
            return cell;
    }
    return NULL;
}

static struct cell *add_cell(struct cells *cells)
{
    struct cell *grown;

    if (cells->count == cells->capacity) {
        size_t capacity = 2 * cells->capacity + 8;

        grown = realloc(cells->items, capacity * sizeof *grown);
        if (grown == NULL)
            return NULL;
        cells->items = grown;
        cells->capacity = capacity;
    }
    GV_ASSERT(cells->count < cells->capacity);
    return memset(&cells->items[cells->count++], 0, sizeof *cells->items);
}

struct cell *cells_put(struct cells *cells, size_t bit, uint32_t site)
{
    struct cell *cell = NULL;

    GV_ASSERT(bit != ROW_EXISTENCE && site != 0);
    for (size_t i = 0; i < cells->count && cell == NULL; i++)
        if (cells->items[i].bit == bit && cells->items[i].site == site)
            cell = &cells->items[i];
    if (cell == NULL)
        cell = add_cell(cells);
    if (cell == NULL)
        return NULL;
    cell->bit = bit;
    cell->site = site;
    cell->changed = true;
    cell->gone = false;
    return cell;
}

void cells_drop(struct cell *cell)
{
    GV_ASSERT(cell->bit != ROW_EXISTENCE);
    cell->gone = true;
    cell->changed = true;
}

int cell_own(struct cell *cell, const struct value *value, struct vv_view over)
{
    size_t size = value->class == VALUE_TEXT || value->class == VALUE_BLOB
                      ? value->size
                      : 0;
    size_t over_size = over.count * VV_ENTRY_SIZE;
    uint8_t *owned = NULL;

    GV_ASSERT(over.count <= VV_SITES_MAX);
    if (size + over_size > 0) {
        owned = malloc(size + over_size);
        if (owned == NULL)
            return GV_ENOMEM;
        if (size > 0)
            memcpy(owned, value->bytes, size);
        if (over_size > 0)
            memcpy(owned + size, over.bytes, over_size);
    }
    cell->value = *value;
    cell->value.bytes = owned;
    cell->value.size = size;
    cell->over = (struct vv_view){owned + size, over.count};
    if (owned == NULL)
        cell->over.bytes = NULL;
    free(cell->owned);
    cell->owned = owned;
    return GV_OK;
}

/* Reading */

int cells_prepare(sqlite3 *db, sqlite3_stmt **read)
{
    return sql_prepare(db, read,
                       "SELECT bit,site,version,value,over FROM gv_cell"
                       " WHERE tbl=?1 AND rid=?2");
}

static int take_cell(struct cells *cells, sqlite3_stmt *read)
{
    struct cell *cell = add_cell(cells);
    struct value value;
    size_t size = (size_t)sqlite3_column_bytes(read, 4);
    struct vv_view over = {sqlite3_column_blob(read, 4), size / VV_ENTRY_SIZE};

    if (cell == NULL)
        return GV_ENOMEM;
    GV_ASSERT(cell->owned == NULL && !cell->changed);
    if (size % VV_ENTRY_SIZE != 0 || !vv_view_valid(over))
        return GV_ECORRUPT;
    cell->bit = (size_t)sqlite3_column_int64(read, 0);
    cell->site = (uint32_t)sqlite3_column_int64(read, 1);
    cell->version = (gv_version)sqlite3_column_int64(read, 2);
    sql_column_value(read, 3, &value);
    return cell_own(cell, &value, over);
}

static bool cell_held(const struct store_table *table, const struct row *row,
                      const struct record *record, size_t bit,
                      const struct cell *cell)
{
    GV_ASSERT(bit > ROW_EXISTENCE && bit <= table->column_count);
    return cell != NULL && cell->version == record->version &&
           record->cells[row_rank(row, bit)] ==
               cell_digest(table->columns[bit - 1].kind, &cell->value,
                           cell->over);
}

/* Whether the cells are those that the log holds. */
static bool cells_fit(const struct store_table *table, const struct row *row,
                      const struct cells *cells)
{
    size_t count = 0, living = 0;

    for (size_t i = 0; i < cells->count; i++)
        living += !cells->items[i].gone;
    for (size_t i = 0; i < row->record_count; i++) {
        const struct record *record = &row->records[i];

        for (size_t word = 0; word < table->words; word++) {
            uint64_t bits = record->mask[word] & row_each(row, word);

            for (; bits != 0; bits &= bits - 1, count++) {
                size_t bit = word * 64 + (size_t)__builtin_ctzll(bits);

                if (!cell_held(table, row, record, bit,
                               cells_get(cells, bit, record->site)))
                    return false;
            }
        }
    }
    return count == living;
}

int cells_load(struct store *store, const struct store_table *table,
               int64_t rid, sqlite3_stmt *read)
{
    struct cells *cells = &store->space.cells;
    int rc;

    GV_ASSERT(table->each_count > 0);
    GV_ASSERT(!sqlite3_stmt_busy(read));
    cells_clear(cells);
    sqlite3_bind_int64(read, 1, table->id);
    sqlite3_bind_int64(read, 2, rid);
    while ((rc = sql_step(read)) > 0) {
        rc = take_cell(cells, read);
        if (rc != GV_OK) {
            sqlite3_reset(read);
            return rc;
        }
    }
    if (rc == GV_OK && !cells_fit(table, &store->space.row, cells))
        rc = GV_ECORRUPT;
    return rc == GV_OK ? kinds_show(store, table) : rc;
}

int cells_find(struct store *store, const struct store_table *table)
{
    int rc = GV_OK;

    GV_ASSERT(table->each_count > 0);
    cells_clear(&store->space.cells);
    if (!store->space.stored)
        return GV_OK;
    if (store->cells_read == NULL)
        rc = cells_prepare(store->db, &store->cells_read);
    return rc == GV_OK
               ? cells_load(store, table, store->space.rid, store->cells_read)
               : rc;
}

/* Writing */

static int prepare_writes(struct store *store)
{
    int rc = GV_OK;

    if (store->cell_write == NULL)
        rc = sql_prepare(store->db, &store->cell_write,
                         "INSERT OR REPLACE INTO gv_cell"
                         "(tbl,rid,bit,site,version,value,over)"
                         " VALUES(?1,?2,?3,?4,?5,?6,?7)");
    if (rc == GV_OK && store->cell_delete == NULL)
        rc = sql_prepare(store->db, &store->cell_delete,
                         "DELETE FROM gv_cell WHERE tbl=?1 AND rid=?2 AND"
                         " bit=?3 AND site=?4");
    return rc;
}

static int save_cell(struct store *store, const struct store_table *table,
                     const struct cell *cell)
{
    sqlite3_stmt *write = cell->gone ? store->cell_delete : store->cell_write;

    GV_ASSERT(cell->bit <= table->column_count);
    GV_ASSERT(!sqlite3_stmt_busy(write));
    sqlite3_bind_int64(write, 1, table->id);
    sqlite3_bind_int64(write, 2, store->space.rid);
    sqlite3_bind_int64(write, 3, (sqlite3_int64)cell->bit);
    sqlite3_bind_int64(write, 4, cell->site);
    if (!cell->gone) {
        sqlite3_bind_int64(write, 5, (sqlite3_int64)cell->version);
        sql_bind_value(write, 6, &cell->value);
        if (cell->over.count > 0)
            sqlite3_bind_blob64(write, 7, cell->over.bytes,
                                cell->over.count * VV_ENTRY_SIZE,
                                SQLITE_STATIC);
    }
    return sql_finish(write);
}

int cells_save(struct store *store, const struct store_table *table)
{
    struct cells *cells = &store->space.cells;
    int rc = prepare_writes(store);

    GV_ASSERT(transaction_open(store)); /* with the log, or not */
    for (size_t i = 0; i < cells->count && rc == GV_OK; i++) {
        if (!cells->items[i].changed)
            continue;
        rc = save_cell(store, table, &cells->items[i]);
        cells->items[i].changed = false;
    }
    GV_ASSERT(rc != GV_OK || cells_fit(table, &store->space.row, cells));
    return rc;
}
