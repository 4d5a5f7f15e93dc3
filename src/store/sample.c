/* A look at some values of a column, against the digests that the log holds:
 * whether it is one that vanished under another name, or has lost all. */
#include "store/sample.h"

#include "base/assert.h"
#include "store/borrowed.h"
#include "store/internal.h"
#include "store/journal.h"
#include "store/keys.h"
#include "store/kinds.h"
#include "store/match.h"
#include "store/state.h"

#include <stdlib.h>
#include <string.h>

/* "t.a=r.k1 AND …", or ",r.k1,…" with neither; sqlite3_free() it. */
static char *key_text(const struct store_table *table, bool compared)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    GV_ASSERT(table->key_count > 0);
    for (size_t i = 0; i < table->key_count; i++) {
        if (compared)
            sqlite3_str_appendf(text, "%st.\"%w\"=", i == 0 ? "" : " AND ",
                                table->keys[i].local);
        else
            sqlite3_str_appendall(text, ",");
        if (table->integer_key)
            sqlite3_str_appendall(text, "r.rid");
        else
            sqlite3_str_appendf(text, "r.k%d", (int)i + 1);
    }
    return sqlite3_str_finish(text);
}

static bool holds(const struct row *row, size_t bit)
{
    for (size_t i = 0; i < row->record_count; i++)
        if (mask_get(row->records[i].mask, bit))
            return true;
    return false;
}

/* Enough to tell a column's values from another's; and how many may have been
 * written since, which says nothing of the column. */
#define SAMPLE_ROWS 100
#define SAMPLE_TRIES 200

/* Rows whose cell of @bit stands in the table.  What is shown in the place of
 * a value that is elsewhere or lost says nothing of the column. */
static int prepare_sample(struct store *store, const struct store_table *table,
                          size_t bit, const char *local, sqlite3_stmt **rows)
{
    char *join = key_text(table, true), *keys = key_text(table, false);
    int rc = GV_ENOMEM;

    *rows = NULL;
    if (join != NULL && keys != NULL)
        rc = sql_prepare(store->db, rows,
                         "SELECT r.state,t.\"%w\"%s FROM gv_row_%lld AS r"
                         " JOIN main.\"%w\" AS t ON %s WHERE r.cl%%2=1"
                         " AND NOT EXISTS(SELECT 1 FROM gv_parked AS p WHERE"
                         " p.tbl=%lld AND p.rid=r.rid AND p.bit=%d)",
                         local, keys, (long long)table->id, table->local, join,
                         (long long)table->id, (int)bit);
    sqlite3_free(join);
    sqlite3_free(keys);
    return rc;
}

/* Whether the row at hand waits to be sealed: 1, 0 or an error. */
static int is_journalled(struct store *store, const struct store_table *table,
                         sqlite3_stmt *rows)
{
    struct row_key key;
    bool null;
    int rc;

    GV_ASSERT((size_t)sqlite3_data_count(rows) == 2 + table->key_count);
    buffer_clear(&store->key);
    rc = row_key_read(rows, 2, table->key_count, &store->key, &null);
    if (rc == GV_OK)
        rc = row_key_decode(&key, store->key.data, store->key.size,
                            table->key_count);
    return rc == GV_OK ? journal_has(store, table, &key) : rc;
}

/* How many of the rows that hold @bit have in column @local the value whose
 * digest they hold. */
static int sample(struct store *store, struct store_table *table, size_t bit,
                  const char *local, size_t *seen, size_t *same)
{
    size_t tries = 0;
    sqlite3_stmt *rows;
    int rc = GV_OK;

    GV_ASSERT(bit > ROW_EXISTENCE && bit <= table->column_count);
    *seen = *same = 0;
    /* Its states have the digests of single cells. */
    if (table->columns[bit - 1].kind != COLUMN_LWW)
        return GV_OK;
    rc = kinds_masks(table);
    if (rc != GV_OK)
        return rc;
    row_space_use(&store->space, table);
    store->space.row.causal_length = 1; /* the rows are alive */
    rc = prepare_sample(store, table, bit, local, &rows);
    while (rc == GV_OK && *seen < SAMPLE_ROWS && tries < SAMPLE_TRIES &&
           (rc = sql_step(rows)) > 0) {
        struct value value;
        uint32_t check;

        rc = state_decode(sqlite3_column_blob(rows, 0),
                          (size_t)sqlite3_column_bytes(rows, 0),
                          table->column_count, &store->space, &check);
        if (rc != GV_OK || !holds(&store->space.row, bit)) {
            rc = rc == GV_ECORRUPT ? GV_OK : rc; /* verify names it */
            continue;
        }
        tries++;
        rc = is_journalled(store, table, rows);
        if (rc != 0) {
            rc = rc > 0 ? GV_OK : rc;
            continue;
        }
        sql_column_value(rows, 1, &value);
        *seen += 1;
        *same += value_digest(&value) == store->space.row.digests[bit];
    }
    sqlite3_finalize(rows);
    GV_ASSERT(*same <= *seen);
    return rc < 0 ? rc : GV_OK;
}

/* Rows that are read to find those that hold a column. */
#define EMPTIED_ROWS 1000

/* Count, of rows that hold @bit, those that show anything else than
 * @initial. */
static int count_filled(struct store *store, struct store_table *table,
                        size_t bit, uint64_t initial, size_t *seen,
                        size_t *filled)
{
    sqlite3_stmt *rows = NULL;
    int rc = prepare_sample(store, table, bit, table->columns[bit - 1].local,
                            &rows);

    *seen = *filled = 0;
    GV_ASSERT(table->columns[bit - 1].kind == COLUMN_LWW);
    row_space_use(&store->space, table);
    store->space.row.causal_length = 1; /* the rows are alive */
    for (size_t i = 0; rc == GV_OK && i < EMPTIED_ROWS && *filled == 0 &&
                       *seen < SAMPLE_ROWS && (rc = sql_step(rows)) > 0;
         i++) {
        struct value value;
        uint32_t check;

        rc = state_decode(sqlite3_column_blob(rows, 0),
                          (size_t)sqlite3_column_bytes(rows, 0),
                          table->column_count, &store->space, &check);
        if (rc != GV_OK || !holds(&store->space.row, bit) ||
            store->space.row.digests[bit] == initial) {
            rc = rc == GV_ECORRUPT ? GV_OK : rc; /* verify names it */
            continue;
        }
        rc = is_journalled(store, table, rows);
        if (rc != 0) {
            rc = rc > 0 ? GV_OK : rc;
            continue;
        }
        sql_column_value(rows, 1, &value);
        *seen += 1;
        *filled += value_digest(&value) != initial;
    }
    sqlite3_finalize(rows);
    GV_ASSERT(*filled <= *seen);
    return rc < 0 ? rc : GV_OK;
}

int sample_emptied(struct store *store, struct store_table *table,
                   const struct store_table *now)
{
    int rc = kinds_masks(table);

    GV_ASSERT(transaction_open(store));
    for (size_t i = 0; i < now->column_count && rc == GV_OK; i++) {
        struct store_column *column =
            now->columns[i].local == NULL
                ? NULL /* it was taken over just now */
                : column_by_local(table, now->columns[i].local);
        size_t seen, filled;

        if (column == NULL || !column->shown || column->kind != COLUMN_LWW)
            continue;
        rc = count_filled(store, table, (size_t)(column - table->columns) + 1,
                          value_digest(&now->columns[i].initial), &seen,
                          &filled);
        GV_ASSERT(rc != GV_OK || seen <= SAMPLE_ROWS);
        if (rc != GV_OK || seen < 2 || filled > 0)
            continue;
        column->returned = true;
        log_line(&store->log, GV_LOG_WARNING,
                 "column %s of table %s has lost its values: it was dropped"
                 " and added again; peers keep them",
                 column->local, table->local);
    }
    return rc;
}

/* No values to compare: its type must do, and where several went at once its
 * place, too.  The place alone misleads: columns that came by a peer's
 * definition are registered in another order than they stand here. */
static bool same_place(const struct store_table *table,
                       const struct store_column *gone,
                       const struct store_table *now,
                       const struct store_column *appeared)
{
    size_t place = 0, count = 0, gone_count = 0;

    GV_ASSERT(gone->local != NULL && !gone->shown);
    GV_ASSERT(appeared >= now->columns);
    for (size_t i = 0; i < table->column_count; i++) {
        if (table->columns[i].local == NULL)
            continue;
        count++;
        place += &table->columns[i] < gone;
        gone_count += !table->columns[i].shown;
    }
    GV_ASSERT(gone_count > 0 && gone_count <= count);
    return count == now->column_count &&
           (gone_count == 1 || place == (size_t)(appeared - now->columns)) &&
           sqlite3_stricmp(gone->type, appeared->type) == 0;
}

int sample_renamed(struct store *store, struct store_table *table,
                   const struct store_table *now,
                   const struct store_column *appeared,
                   struct store_column **renamed)
{
    int rc = GV_OK;

    *renamed = NULL;
    GV_ASSERT(appeared->local != NULL);
    for (size_t i = 0; i < table->column_count && rc == GV_OK; i++) {
        struct store_column *gone = &table->columns[i];
        size_t seen, same;

        if (gone->shown || gone->local == NULL)
            continue;
        rc = sample(store, table, i + 1, appeared->local, &seen, &same);
        if (rc == GV_OK && (seen == 0 ? same_place(table, gone, now, appeared)
                                      : 2 * same > seen)) {
            *renamed = gone;
            return GV_OK;
        }
    }
    return rc;
}
