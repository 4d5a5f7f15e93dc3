/* gv_ver: one row for each record of each row, so that what a site published
 * above a version is a range of it. */
#include "store/ver.h"

#include "base/assert.h"
#include "base/plant.h"
#include "store/internal.h"

#include <string.h>

static bool dot_listed(const struct record *list, size_t count,
                       const struct record *record)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].site == record->site && list[i].version == record->version)
            return true;
    return false;
}

static int ver_write(sqlite3_stmt *statement, const struct ver_row *rows,
                     size_t count)
{
    int parameter = 0;

    GV_ASSERT((size_t)sqlite3_bind_parameter_count(statement) ==
              count * VER_COLUMNS);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < VER_COLUMNS; j++)
            sqlite3_bind_int64(statement, ++parameter, rows[i].columns[j]);
    return sql_finish(statement);
}

/* A statement's begin and end cost more than a row of it: with many rows in
 * one, a sealed row takes 0.8 us less. */
int ver_flush(struct store *store)
{
    size_t count = store->ver_count;
    int rc = GV_OK;

    GV_ASSERT(count <= VER_ROWS);
    store->ver_count = 0; /* what fails takes its transaction with it */
    if (count == VER_ROWS)
        return ver_write(store->ver_insert_many, store->ver_rows, count);
    for (size_t i = 0; i < count && rc == GV_OK; i++)
        rc = ver_write(store->ver_insert, &store->ver_rows[i], 1);
    return rc;
}

static struct ver_row ver_row(const struct store_table *table,
                              const struct record *record, int64_t rid)
{
    return (struct ver_row){
        {record->site, (int64_t)record->version, table->id, rid}};
}

static int ver_put(struct store *store, const struct ver_row *row)
{
    GV_ASSERT(store->ver_count < VER_ROWS);
    store->ver_rows[store->ver_count++] = *row;
    return store->ver_count == VER_ROWS ? ver_flush(store) : GV_OK;
}

/* A row saved twice may lose a dot that still waits. */
static int ver_take(struct store *store, const struct ver_row *row)
{
    GV_ASSERT(store->ver_count < VER_ROWS); /* when it is full it is written */
    for (size_t i = 0; i < store->ver_count; i++)
        if (memcmp(&store->ver_rows[i], row, sizeof *row) == 0) {
            store->ver_rows[i] = store->ver_rows[--store->ver_count];
            return GV_OK;
        }
    return ver_write(store->ver_delete, row, 1);
}

int ver_follow(struct store *store, const struct store_table *table)
{
    struct row_space *space = &store->space;
    struct ver_row row;
    int rc = GV_OK;

    GV_ASSERT(space->stored || space->before_count == 0);
    for (size_t i = 0; i < space->before_count && rc == GV_OK; i++) {
        if (plant("dots-kept") ||
            dot_listed(space->row.records, space->row.record_count,
                       &space->before[i]))
            continue;
        row = ver_row(table, &space->before[i], space->rid);
        rc = ver_take(store, &row);
    }
    for (size_t i = 0; i < space->row.record_count && rc == GV_OK; i++) {
        if (dot_listed(space->before, space->before_count,
                       &space->row.records[i]))
            continue;
        row = ver_row(table, &space->row.records[i], space->rid);
        rc = ver_put(store, &row);
    }
    return rc;
}
