/* Changed rows of the user's table, many by one statement.
 *
 * It is an INSERT whose rows are all there, since an UPDATE of many rows with
 * values of their own would gather them in a table first: 5,200 instructions a
 * row in the place of 8,500.  A row that is not there after all would be put
 * there; SQLite's update hook tells, and then nothing of the apply stays.
 *
 * A row waits here only where nothing can keep it from its table but SQLite's
 * refusal.  Where SQLite refuses the statement, nothing of it stays, and each
 * of its rows is shown by itself, as if it had not waited. */
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

#define UPDATE_ROWS 16
/* Older libraries take 999 parameters. */
#define UPDATE_PARAMETERS_MAX 900

struct updates {
    struct store_table *table;
    uint64_t mask[ROW_WORDS_MAX]; /* the columns that all of them change */
    size_t columns;               /* in it */
    size_t count;
    struct row_key keys[UPDATE_ROWS]; /* what they point to is the run's */
    struct value *values;             /* @columns for each row */
    bool others; /* a row came that changes other columns */
    /* What the statement did, told by SQLite's hook. */
    size_t written, absent;
};

void updates_close(struct apply *apply)
{
    if (apply->updates != NULL)
        free(apply->updates->values);
    free(apply->updates);
    apply->updates = NULL;
}

/* Whether the values of @cells go into the table as they are. */
static bool are_kept(const struct store *store,
                     const struct store_table *table, const uint64_t *cells)
{
    for (size_t word = 0; word < table->words; word++) {
        uint64_t bits = column_bits(cells, word);

        for (; bits != 0; bits &= bits - 1) {
            size_t at = word * 64 + (size_t)__builtin_ctzll(bits) - 1;

            GV_ASSERT(at < table->column_count);
            if (!table->columns[at].shown || mask_get(store->hollow, at + 1) ||
                !affinity_keeps(table->columns[at].affinity,
                                &store->values[at]))
                return false;
        }
    }
    return true;
}

/* Whether those that wait, or waited last, change the same columns. */
static bool alike(const struct updates *updates,
                  const struct store_table *table, const uint64_t *mask)
{
    GV_ASSERT(updates->count <= UPDATE_ROWS);
    return updates->table == table &&
           memcmp(updates->mask, mask, table->words * sizeof *mask) == 0;
}

bool updates_take(struct apply *apply, const struct store_table *table,
                  const struct row_key *key, const uint64_t *cells)
{
    const struct store *store = apply->store;
    uint64_t mask[ROW_WORDS_MAX];
    size_t columns;

    GV_ASSERT(table->shown && !table->suspended);
    /* Without a run the row's bytes go with it.  In a table WITHOUT ROWID the
     * hook would not tell; with a further UNIQUE index the order matters in
     * which rows are written. */
    if (store->batch == NULL || table->fires || table->parks ||
        table->evicts || table->each_count > 0 ||
        table->change_by == CHANGE_SINGLY ||
        !(table->integer_key || table->has_rowid) ||
        !user_key_sure(table, key) || !are_kept(store, table, cells))
        return false;
    memcpy(mask, cells, table->words * sizeof *mask);
    mask[0] &= ~(uint64_t)1;
    columns = mask_count(mask, table->words);
    if (columns == 0 ||
        UPDATE_ROWS * (table->key_count + columns) > UPDATE_PARAMETERS_MAX)
        return false;
    if (apply->updates == NULL || apply->updates->count == 0 ||
        alike(apply->updates, table, mask))
        return true;
    apply->updates->others = true;
    return false;
}

/* Make room for rows of @table that change @cells. */
static int begin(struct apply *apply, struct store_table *table,
                 const uint64_t *cells)
{
    struct updates *updates = apply->updates;
    uint64_t mask[ROW_WORDS_MAX];

    memcpy(mask, cells, table->words * sizeof *mask);
    mask[0] &= ~(uint64_t)1;
    if (updates != NULL && alike(updates, table, mask))
        return GV_OK;
    GV_ASSERT(updates == NULL || updates->count == 0);
    updates_close(apply);
    updates = calloc(1, sizeof *updates);
    if (updates == NULL)
        return GV_ENOMEM;
    apply->updates = updates;
    memcpy(updates->mask, mask, table->words * sizeof *mask);
    updates->columns = mask_count(mask, table->words);
    GV_ASSERT(updates->columns > 0);
    updates->values =
        malloc(UPDATE_ROWS * updates->columns * sizeof *updates->values);
    if (updates->values == NULL)
        return GV_ENOMEM;
    updates->table = table;
    return GV_OK;
}

int updates_add(struct apply *apply, struct store_table *table,
                const struct row_key *key, const uint64_t *cells)
{
    const struct store *store = apply->store;
    struct updates *updates;
    struct value *values;
    int rc = begin(apply, table, cells);

    if (rc != GV_OK)
        return rc;
    updates = apply->updates;
    GV_ASSERT(updates->count < UPDATE_ROWS);
    GV_ASSERT(updates->table == table);
    values = updates->values + updates->count * updates->columns;
    for (size_t i = 0; i < table->column_count; i++)
        if (mask_get(updates->mask, i + 1))
            *values++ = store->values[i];
    if (hook_reached("spoil-apply"))
        values[-1] = (struct value){.class = VALUE_TEXT,
                                    .bytes = (const uint8_t *)"spoiled",
                                    .size = 7};
    apply_keep_key(&updates->keys[updates->count++], key);
    return GV_OK;
}

/* The statement */

/* Something that a column of this affinity takes, NULL or not, STRICT or not.
 * Nobody ever sees it. */
static const char *filler(enum affinity affinity)
{
    GV_ASSERT(affinity <= AFFINITY_REAL);
    if (affinity == AFFINITY_TEXT)
        return ",''";
    return affinity == AFFINITY_BLOB ? ",x''" : ",0";
}

/* "("a","b"" and what else the INSERT names; NULL for want of memory. */
static char *names_text(const struct store_table *table, const uint64_t *mask)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(text, "%s\"%w\"", i == 0 ? "" : ",",
                            table->keys[i].local);
    for (size_t i = 0; i < table->column_count; i++)
        if (mask_get(mask, i + 1))
            sqlite3_str_appendf(text, ",\"%w\"", table->columns[i].local);
    for (size_t i = 0; i < table->column_count; i++)
        if (table->change_by == CHANGE_FILLED && table->columns[i].shown &&
            !mask_get(mask, i + 1))
            sqlite3_str_appendf(text, ",\"%w\"", table->columns[i].local);
    return sqlite3_str_finish(text);
}

static char *rows_text(const struct store_table *table, const uint64_t *mask)
{
    size_t count = table->key_count + mask_count(mask, table->words);
    sqlite3_str *text = sqlite3_str_new(NULL);

    GV_ASSERT(count > table->key_count); /* it changes something */
    for (size_t row = 0; row < UPDATE_ROWS; row++) {
        sqlite3_str_appendall(text, row == 0 ? "(?" : ",(?");
        for (size_t i = 1; i < count; i++)
            sqlite3_str_appendall(text, ",?");
        for (size_t i = 0; i < table->column_count; i++)
            if (table->change_by == CHANGE_FILLED && table->columns[i].shown &&
                !mask_get(mask, i + 1))
                sqlite3_str_appendall(text,
                                      filler(table->columns[i].affinity));
        sqlite3_str_appendall(text, ")");
    }
    return sqlite3_str_finish(text);
}

/* What becomes of a row that is there: as all are. */
static char *conflict_text(const struct store_table *table,
                           const uint64_t *mask)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    const char *comma = "";

    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(text, "%s\"%w\"", i == 0 ? "" : ",",
                            table->keys[i].local);
    sqlite3_str_appendall(text, ") DO UPDATE SET ");
    for (size_t i = 0; i < table->column_count; i++) {
        if (!mask_get(mask, i + 1))
            continue;
        GV_ASSERT(table->columns[i].shown);
        sqlite3_str_appendf(text, "%s\"%w\"=excluded.\"%w\"", comma,
                            table->columns[i].local, table->columns[i].local);
        comma = ",";
    }
    return sqlite3_str_finish(text);
}

static int prepare(struct store *store, const struct store_table *table,
                   const uint64_t *mask, sqlite3_stmt **statement)
{
    char *names = names_text(table, mask), *rows = rows_text(table, mask);
    char *conflict = conflict_text(table, mask);
    int rc = GV_ENOMEM;

    GV_ASSERT(!mask_get(mask, ROW_EXISTENCE)); /* it is no column */
    if (names != NULL && rows != NULL && conflict != NULL)
        rc = sql_prepare(store->db, statement,
                         "INSERT OR ABORT INTO main.\"%w\"(%s) VALUES%s"
                         " ON CONFLICT(%s",
                         table->local, names, rows, conflict);
    sqlite3_free(names);
    sqlite3_free(rows);
    sqlite3_free(conflict);
    return rc;
}

/* The statement for these columns, from those kept or made in place of the
 * oldest. */
static int find_statement(struct store *store, struct store_table *table,
                          const uint64_t *mask, sqlite3_stmt **statement)
{
    struct table_update *change;
    int rc;

    GV_ASSERT(table->change_by != CHANGE_SINGLY);
    for (size_t i = 0; i < TABLE_CHANGES_MAX; i++) {
        change = &table->changes[i];
        if (change->statement != NULL &&
            memcmp(change->mask, mask, table->words * sizeof *mask) == 0) {
            *statement = change->statement;
            return GV_OK;
        }
    }
    rc = prepare(store, table, mask, statement);
    if (rc != GV_OK)
        return rc;
    change = &table->changes[table->change_next++ % TABLE_CHANGES_MAX];
    sqlite3_finalize(change->statement);
    change->statement = *statement;
    memcpy(change->mask, mask, table->words * sizeof *mask);
    return GV_OK;
}

/* It is the statement that the table refuses, and none of the rows: a column
 * that may not be NULL wants a value of the INSERT, or a library knows no
 * ON CONFLICT. */
static void do_otherwise(struct store_table *table)
{
    GV_ASSERT(table->change_by != CHANGE_SINGLY);
    for (size_t i = 0; i < TABLE_CHANGES_MAX; i++) {
        sqlite3_finalize(table->changes[i].statement);
        table->changes[i].statement = NULL;
    }
    table->change_by =
        table->change_by == CHANGE_BARE ? CHANGE_FILLED : CHANGE_SINGLY;
}

/* Many at once */

static void note_write(void *context, int operation, const char *schema,
                       const char *table, sqlite3_int64 rowid)
{
    struct updates *updates = context;

    (void)schema;
    (void)table;
    (void)rowid;
    if (operation != SQLITE_UPDATE && updates->absent == UPDATE_ROWS)
        updates->absent = updates->written;
    updates->written++;
}

static int update_many(struct apply *apply)
{
    struct store *store = apply->store;
    struct updates *updates = apply->updates;
    struct store_table *table = updates->table;
    const struct value *value = updates->values;
    sqlite3_stmt *statement = NULL;
    int parameter = 0;
    int rc = find_statement(store, table, updates->mask, &statement);

    GV_ASSERT(updates->count == UPDATE_ROWS);
    if (rc != GV_OK)
        return rc;
    for (size_t row = 0; row < UPDATE_ROWS; row++) {
        for (size_t i = 0; i < table->key_count; i++)
            sql_bind_value(statement, ++parameter,
                           &updates->keys[row].values[i]);
        for (size_t i = 0; i < updates->columns; i++)
            sql_bind_value(statement, ++parameter, value++);
    }
    GV_ASSERT(parameter == sqlite3_bind_parameter_count(statement));
    updates->written = 0;
    updates->absent = UPDATE_ROWS;
    sqlite3_update_hook(store->db, note_write, updates);
    rc = sql_finish(statement);
    sqlite3_update_hook(store->db, NULL, NULL);
    GV_ASSERT(rc != GV_OK || updates->written == UPDATE_ROWS);
    return rc;
}

/* One by one */

static void take_values(struct store *store, const struct updates *updates,
                        size_t index)
{
    const struct value *value = updates->values + index * updates->columns;

    GV_ASSERT(index < updates->count);
    for (size_t i = 0; i < updates->table->column_count; i++)
        if (mask_get(updates->mask, i + 1))
            store->values[i] = *value++;
}

/* With all that merge_fragment() does for a row that is refused. */
static int show_again(struct apply *apply, size_t index)
{
    struct store *store = apply->store;
    struct store_table *table = apply->updates->table;
    const struct row_key *key = &apply->updates->keys[index];
    struct batch *batch;
    int rc = rows_flush(store);

    if (rc != GV_OK)
        return rc;
    /* The log's row is read as it is now. */
    batch = batch_set_aside(store);
    rc = rows_find(store, table, key, apply->error);
    if (rc == GV_OK)
        rc = parked_find(store, table);
    if (rc == GV_OK) {
        GV_ASSERT(store->space.stored);
        take_values(store, apply->updates, index);
        memset(store->hollow, 0, table->words * sizeof *store->hollow);
        rc = merge_show(apply, table, key, apply->updates->mask, true);
    }
    batch_resume(store, batch);
    return rc;
}

/* *@refused: the table does not take one of them. */
static int update_each(struct apply *apply, bool *refused)
{
    struct store *store = apply->store;
    struct updates *updates = apply->updates;
    int rc = GV_OK;

    *refused = false;
    for (size_t i = 0; i < updates->count && rc == GV_OK; i++) {
        take_values(store, updates, i);
        rc = user_update(store, updates->table, &updates->keys[i],
                         updates->mask, store->values);
        *refused |= rc == GV_ESCHEMA;
        if (rc == GV_ESCHEMA)
            rc = show_again(apply, i);
        else
            rc = merge_told(apply, updates->table, &updates->keys[i], rc);
    }
    return rc;
}

bool updates_due(const struct apply *apply)
{
    return apply->updates != NULL &&
           (apply->updates->count == UPDATE_ROWS || apply->updates->others);
}

int updates_flush(struct apply *apply)
{
    struct updates *updates = apply->updates;
    bool many, refused;
    int rc = GV_OK;

    if (updates == NULL || updates->count == 0)
        return GV_OK;
    GV_ASSERT(updates->table->shown && !updates->table->fires);
    many = updates->count == UPDATE_ROWS;
    if (many)
        rc = update_many(apply);
    if (many && rc == GV_OK && updates->absent < UPDATE_ROWS)
        rc = merge_told(apply, updates->table, &updates->keys[updates->absent],
                        GV_EDIFFERS);
    if (!many || rc == GV_ESCHEMA) {
        rc = update_each(apply, &refused);
        /* It is the statement that the table does not take. */
        if (many && rc == GV_OK && !refused)
            do_otherwise(updates->table);
    }
    updates->count = 0;
    updates->others = false;
    return rc;
}
