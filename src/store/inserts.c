/* New rows of the user's table, many by one statement: a statement's begin and
 * end cost as much as a row of it.
 *
 * A row waits here only if nothing but SQLite's refusal can come between it
 * and its table.  Where SQLite refuses the statement, nothing of it stays, and
 * each of its rows is shown by itself, as if it had not waited. */
#include "store/apply.h"

#include "base/assert.h"
#include "base/hook.h"
#include "store/batch.h"
#include "store/parked.h"
#include "store/rows.h"
#include "store/tables.h"
#include "store/user.h"

#include <stdlib.h>
#include <string.h>

#define INSERT_ROWS 16
/* Older libraries take 999 parameters. */
#define INSERT_PARAMETERS_MAX 900

struct inserts {
    struct store_table *table;
    size_t count, columns;
    struct row_key keys[INSERT_ROWS]; /* what they point to is the run's */
    struct value *values;             /* @columns for each row */
};

static size_t parameters(const struct store_table *table)
{
    size_t count = table->key_count;

    for (size_t i = 0; i < table->column_count; i++)
        count += table->columns[i].shown;
    GV_ASSERT(count >= table->key_count);
    return count;
}

void inserts_close(struct apply *apply)
{
    if (apply->inserts != NULL)
        free(apply->inserts->values);
    free(apply->inserts);
    apply->inserts = NULL;
}

/* Make room for rows of @table. */
static int use_table(struct apply *apply, struct store_table *table)
{
    struct inserts *inserts = apply->inserts;

    if (inserts != NULL && inserts->table == table)
        return GV_OK;
    GV_ASSERT(inserts == NULL || inserts->count == 0);
    inserts_close(apply);
    inserts = calloc(1, sizeof *inserts);
    if (inserts == NULL)
        return GV_ENOMEM;
    apply->inserts = inserts;
    inserts->columns = table->column_count;
    inserts->values =
        calloc(INSERT_ROWS * (table->column_count + 1), sizeof(struct value));
    if (inserts->values == NULL)
        return GV_ENOMEM;
    inserts->table = table;
    return GV_OK;
}

bool inserts_take(const struct apply *apply, const struct store_table *table,
                  const struct row_key *key)
{
    const struct store *store = apply->store;
    const struct row *fragment = &store->fragment.row;

    GV_ASSERT(fragment->record_count > 0);
    /* Without a run the row's bytes go with it. */
    if (store->batch == NULL || !table->shown || table->suspended ||
        table->fires || table->parks || table->each_count > 0 ||
        store->space.row.causal_length != 0 ||
        fragment->causal_length % 2 == 0 || !user_key_sure(table, key) ||
        INSERT_ROWS * parameters(table) > INSERT_PARAMETERS_MAX)
        return false;
    for (size_t i = 0; i < fragment->record_count; i++) {
        for (size_t word = 0; word < table->words; word++) {
            uint64_t bits = column_bits(fragment->records[i].mask, word);

            for (; bits != 0; bits &= bits - 1) {
                size_t at = word * 64 + (size_t)__builtin_ctzll(bits) - 1;

                if (!table->columns[at].shown ||
                    mask_get(store->hollow, at + 1) ||
                    !affinity_keeps(table->columns[at].affinity,
                                    &store->values[at]))
                    return false;
            }
        }
    }
    return true;
}

int inserts_add(struct apply *apply, struct store_table *table,
                const struct row_key *key, const uint64_t *cells)
{
    const struct store *store = apply->store;
    struct inserts *inserts;
    struct value *values;
    int rc = use_table(apply, table);

    if (rc != GV_OK)
        return rc;
    inserts = apply->inserts;
    GV_ASSERT(inserts->count < INSERT_ROWS);
    GV_ASSERT(inserts->columns == table->column_count);
    GV_ASSERT(mask_get(cells, ROW_EXISTENCE));
    values = inserts->values + inserts->count * inserts->columns;
    for (size_t i = 0; i < table->column_count; i++)
        values[i] = mask_get(cells, i + 1) ? store->values[i]
                                           : table->columns[i].initial;
    if (hook_reached("spoil-apply") && table->column_count > 0)
        values[0] = (struct value){.class = VALUE_TEXT,
                                   .bytes = (const uint8_t *)"spoiled",
                                   .size = 7};
    apply_keep_key(&inserts->keys[inserts->count++], key);
    return GV_OK;
}

static int insert_one(struct apply *apply, size_t index)
{
    const struct inserts *inserts = apply->inserts;

    GV_ASSERT(index < inserts->count);
    return user_insert(apply->store, inserts->table, &inserts->keys[index],
                       inserts->values + index * inserts->columns);
}

/* All of them, or none. */
static int insert_many(struct apply *apply)
{
    const struct inserts *inserts = apply->inserts;
    struct store_table *table = inserts->table;
    sqlite3_stmt *statement = table->user_insert_many;
    int parameter = 0, rc = GV_OK;

    GV_ASSERT(inserts->count == INSERT_ROWS);
    if (statement == NULL)
        rc = user_insert_prepare(apply->store, table, INSERT_ROWS, &statement);
    if (rc != GV_OK)
        return rc;
    table->user_insert_many = statement;
    for (size_t row = 0; row < INSERT_ROWS; row++) {
        const struct value *values = inserts->values + row * inserts->columns;

        for (size_t i = 0; i < table->key_count; i++)
            sql_bind_value(statement, ++parameter,
                           &inserts->keys[row].values[i]);
        for (size_t i = 0; i < table->column_count; i++)
            if (table->columns[i].shown)
                sql_bind_value(statement, ++parameter, &values[i]);
    }
    GV_ASSERT(parameter == sqlite3_bind_parameter_count(statement));
    return sql_finish(statement);
}

/* Show the row at @index by itself, as merge_fragment() does. */
static int insert_singly(struct apply *apply, size_t index)
{
    struct store *store = apply->store;
    struct inserts *inserts = apply->inserts;
    struct store_table *table = inserts->table;
    uint64_t cells[ROW_WORDS_MAX];
    const struct row_key *key = &inserts->keys[index];
    int rc = rows_find(store, table, key, apply->error);

    if (rc == GV_OK)
        rc = parked_find(store, table);
    if (rc == GV_OK) {
        GV_ASSERT(store->space.stored);
        memcpy(store->values, inserts->values + index * inserts->columns,
               inserts->columns * sizeof *store->values);
        memset(store->hollow, 0, table->words * sizeof *store->hollow);
        rows_held(&store->space.row, table->words, cells);
        rc = merge_show(apply, table, key, cells, false);
    }
    return rc;
}

/* One by one, with what the fragment at hand needs kept. */
static int insert_each(struct apply *apply, size_t from)
{
    struct store *store = apply->store;
    size_t columns = apply->inserts->columns;
    struct value *values = calloc(columns + 1, sizeof *values);
    uint64_t hollow[ROW_WORDS_MAX];
    struct batch *batch;
    int rc = values == NULL ? GV_ENOMEM : rows_flush(store);

    GV_ASSERT(from <= apply->inserts->count);
    if (rc == GV_OK) {
        memcpy(values, store->values, columns * sizeof *values);
        memcpy(hollow, store->hollow, sizeof hollow);
        /* The log's rows are read as they are now. */
        batch = batch_set_aside(store);
        for (size_t i = from; i < apply->inserts->count && rc == GV_OK; i++)
            rc = insert_singly(apply, i);
        batch_resume(store, batch);
        memcpy(store->values, values, columns * sizeof *values);
        memcpy(store->hollow, hollow, sizeof hollow);
    }
    free(values);
    return rc;
}

bool inserts_full(const struct apply *apply)
{
    return apply->inserts != NULL && apply->inserts->count == INSERT_ROWS;
}

bool inserts_wait(const struct apply *apply)
{
    return apply->inserts != NULL && apply->inserts->count > 0;
}

int inserts_flush(struct apply *apply)
{
    struct inserts *inserts = apply->inserts;
    size_t done = 0;
    int rc = GV_OK;

    if (!inserts_wait(apply))
        return GV_OK;
    GV_ASSERT(inserts->table->shown && !inserts->table->fires);
    if (inserts->count == INSERT_ROWS)
        rc = insert_many(apply);
    while (rc == GV_OK && inserts->count < INSERT_ROWS &&
           done < inserts->count)
        rc = insert_one(apply, done++);
    if (rc == GV_ESCHEMA || rc == GV_EDIFFERS)
        rc = insert_each(apply, done > 0 ? done - 1 : 0);
    inserts->count = 0;
    return rc;
}
