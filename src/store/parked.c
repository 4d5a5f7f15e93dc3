/* Cells whose value does not stand in the user's table: gv_parked.
 *
 * The log of a node is whole whatever its tables can show.  An entry says of
 * one cell (a row and a bit) where its value is, and what the table shows
 * there instead:
 *
 *     held   value       shown                    the cell
 *     1      its value   a digest, or NULL        parked
 *     0      NULL        a digest, or NULL        hollow: the value is lost,
 *                                                 or too large to travel
 *     2      NULL        a digest                 no record holds it, and the
 *                                                 table did not take the
 *                                                 default
 *
 * `shown` is NULL while the column or its table is not shown.  A held cell
 * without an entry stands in the table, or nowhere (it is hollow then too) if
 * its column is not shown.
 *
 * The entry of bit 0 (held is 2) is of the row's existence: the table does not
 * have the row as the log does.
 *
 *     shown   the table
 *     NULL    lacks a row that is alive in the log
 *     1       has an earlier life of it; only while the table is not shown
 *
 * An entry goes when its cell is beaten or written here, when the table holds
 * what the log says, and with the row's life.  Entries are found by (table,
 * rid); a table without any costs a look at a flag. */
#include "store/parked.h"

#include "base/assert.h"
#include "base/plant.h"
#include "store/borrowed.h"
#include "store/describe.h"
#include "store/internal.h"
#include "store/keys.h"
#include "store/kinds.h"
#include "store/rows.h"
#include "store/schema.h"
#include "store/show.h"
#include "store/triggers.h"
#include "store/user.h"

#include <stdlib.h>
#include <string.h>

static void mask_clear(uint64_t *mask, size_t bit)
{
    GV_ASSERT(bit < ROW_BITS_MAX);
    mask[bit / 64] &= ~((uint64_t)1 << bit % 64);
}

void parked_clear(struct store *store, const struct store_table *table)
{
    size_t size = table->words * sizeof(uint64_t);

    GV_ASSERT(table->words > 0 && table->words <= ROW_WORDS_MAX);
    memset(store->parked.listed, 0, size);
    memset(store->parked.seen, 0, size);
    memset(store->parked.changed, 0, size);
}

int parked_prepare(sqlite3 *db, sqlite3_stmt **find)
{
    return sql_prepare(db, find,
                       "SELECT bit,held,value,shown FROM gv_parked WHERE"
                       " tbl=?1 AND rid=?2 ORDER BY bit");
}

static int load_entry(struct parked *parked, const struct store_table *table,
                      sqlite3_stmt *find)
{
    int64_t bit = sqlite3_column_int64(find, 0);
    int64_t kind = sqlite3_column_int64(find, 1);
    struct value value;

    if (bit < 0 || bit > (int64_t)table->column_count ||
        kind < PARKED_HOLLOW || kind > PARKED_DEFAULT)
        return GV_ECORRUPT;
    sql_column_value(find, 2, &value);
    if (value.class != VALUE_TEXT && value.class != VALUE_BLOB)
        value.size = 0;
    if (value.size > 0)
        buffer_append(&parked->bytes, value.bytes, value.size);
    value.bytes = NULL; /* the buffer may still move */
    GV_ASSERT(!mask_get(parked->listed, (size_t)bit)); /* the primary key */
    mask_set(parked->listed, (size_t)bit);
    parked->kinds[bit] = (enum parked_kind)kind;
    parked->values[bit] = value;
    if (sqlite3_column_type(find, 3) != SQLITE_NULL) {
        mask_set(parked->seen, (size_t)bit);
        parked->shown[bit] = (uint64_t)sqlite3_column_int64(find, 3);
    }
    return parked->bytes.error;
}

int parked_load(struct store *store, const struct store_table *table,
                int64_t rid, sqlite3_stmt *find)
{
    struct parked *parked = &store->parked;
    size_t at = 0;
    int rc;

    parked_clear(store, table);
    GV_ASSERT(!sqlite3_stmt_busy(find));
    buffer_clear(&parked->bytes);
    sqlite3_bind_int64(find, 1, table->id);
    sqlite3_bind_int64(find, 2, rid);
    while ((rc = sql_step(find)) > 0) {
        rc = load_entry(parked, table, find);
        if (rc != GV_OK)
            break;
    }
    sqlite3_reset(find);
    /* In the order in which they were appended: by bit. */
    for (size_t bit = 0; rc == GV_OK && bit <= table->column_count; bit++) {
        struct value *value = &parked->values[bit];

        if (!mask_get(parked->listed, bit))
            continue;
        value->bytes = value->size == 0 ? NULL : parked->bytes.data + at;
        at += value->size;
    }
    GV_ASSERT(rc != GV_OK || at == parked->bytes.size);
    return rc;
}

int parked_find(struct store *store, const struct store_table *table)
{
    int rc = GV_OK;

    parked_clear(store, table);
    if (!table->parks || !store->space.stored)
        return GV_OK;
    if (store->parked_find == NULL)
        rc = parked_prepare(store->db, &store->parked_find);
    return rc == GV_OK ? parked_load(store, table, store->space.rid,
                                     store->parked_find)
                       : rc;
}

/* Whether the entry is there: what is tried again and again, at each move of
 * the schema, is not written again. */
static bool says(const struct parked *parked, size_t bit,
                 enum parked_kind kind, const struct value *value,
                 const uint64_t *shown)
{
    if (!mask_get(parked->listed, bit) || parked->kinds[bit] != kind ||
        mask_get(parked->seen, bit) != (shown != NULL) ||
        (shown != NULL && parked->shown[bit] != *shown))
        return false;
    return kind != PARKED_VALUE || value_equal(&parked->values[bit], value);
}

void parked_put(struct parked *parked, size_t bit, enum parked_kind kind,
                const struct value *value, const uint64_t *shown)
{
    static const struct value none = {.class = VALUE_NULL};

    GV_ASSERT(bit != ROW_EXISTENCE || kind == PARKED_DEFAULT);
    GV_ASSERT(kind != PARKED_VALUE || value->size <= VALUE_SIZE_MAX);
    if (says(parked, bit, kind, value, shown))
        return;
    mask_set(parked->listed, bit);
    mask_set(parked->changed, bit);
    mask_clear(parked->seen, bit);
    parked->kinds[bit] = kind;
    parked->values[bit] = kind == PARKED_VALUE ? *value : none;
    if (shown != NULL) {
        mask_set(parked->seen, bit);
        parked->shown[bit] = *shown;
    }
}

void parked_drop(struct parked *parked, size_t bit)
{
    if (!mask_get(parked->listed, bit))
        return;
    mask_clear(parked->listed, bit);
    mask_clear(parked->seen, bit);
    mask_set(parked->changed, bit);
}

void parked_drop_all(struct store *store, const struct store_table *table)
{
    struct parked *parked = &store->parked;

    for (size_t word = 0; word < table->words; word++) {
        parked->changed[word] |= parked->listed[word];
        parked->listed[word] = parked->seen[word] = 0;
    }
    GV_ASSERT(mask_empty(parked->listed, table->words));
}

static int prepare_writes(struct store *store)
{
    int rc = GV_OK;

    GV_ASSERT(store->mode == STORE_WRITE);
    if (store->parked_write == NULL)
        rc = sql_prepare(store->db, &store->parked_write,
                         "INSERT OR REPLACE INTO gv_parked"
                         "(tbl,rid,bit,held,value,shown)"
                         " VALUES(?1,?2,?3,?4,?5,?6)");
    if (rc == GV_OK && store->parked_delete == NULL)
        rc = sql_prepare(store->db, &store->parked_delete,
                         "DELETE FROM gv_parked WHERE tbl=?1 AND rid=?2"
                         " AND bit=?3");
    return rc;
}

static int save_entry(struct store *store, const struct store_table *table,
                      size_t bit)
{
    struct parked *parked = &store->parked;
    bool listed = mask_get(parked->listed, bit);
    sqlite3_stmt *write = listed ? store->parked_write : store->parked_delete;

    GV_ASSERT(bit <= table->column_count);
    GV_ASSERT(!sqlite3_stmt_busy(write));
    sqlite3_bind_int64(write, 1, table->id);
    sqlite3_bind_int64(write, 2, store->space.rid);
    sqlite3_bind_int64(write, 3, (sqlite3_int64)bit);
    if (listed) {
        sqlite3_bind_int(write, 4, (int)parked->kinds[bit]);
        sql_bind_value(write, 5, &parked->values[bit]);
        if (mask_get(parked->seen, bit))
            sqlite3_bind_int64(write, 6, (sqlite3_int64)parked->shown[bit]);
        else
            sqlite3_bind_null(write, 6);
    }
    return sql_finish(write);
}

int parked_save(struct store *store, struct store_table *table)
{
    struct parked *parked = &store->parked;
    int rc;

    if (mask_empty(parked->changed, table->words))
        return GV_OK;
    GV_ASSERT(transaction_open(store)); /* with the log, or not */
    GV_ASSERT(store->space.rid != 0 || table->integer_key);
    table->parks = true;
    rc = prepare_writes(store);
    for (size_t word = 0; word < table->words; word++) {
        uint64_t bits = parked->changed[word];

        for (; bits != 0 && rc == GV_OK; bits &= bits - 1)
            rc = save_entry(store, table,
                            word * 64 + (size_t)__builtin_ctzll(bits));
        parked->changed[word] = 0;
    }
    GV_ASSERT(mask_empty(parked->changed, table->words));
    return rc;
}

uint64_t parked_expected(const struct store_table *table,
                         const struct row *row, const uint64_t *held,
                         size_t column)
{
    GV_ASSERT(column < table->column_count);
    return mask_get(held, column + 1) ? row->digests[column + 1]
                                      : table->columns[column].initial_digest;
}

bool parked_agrees(const struct parked *parked, size_t bit, uint64_t digest,
                   uint64_t expected)
{
    GV_ASSERT(bit != ROW_EXISTENCE); /* it has no digest */
    return digest == expected ||
           (mask_get(parked->seen, bit) && digest == parked->shown[bit]);
}

/* The pass when a table or a column is shown */

struct pass {
    struct store *store;
    struct store_table *table;
    const uint64_t *columns;      /* newly shown; NULL: all, or none */
    bool resumes;                 /* the table was there all the time */
    struct store_table *now;      /* as SQLite describes it */
    uint64_t held[ROW_WORDS_MAX]; /* of the row at hand */
};

static bool is_new(const struct pass *pass, size_t bit)
{
    return pass->columns != NULL && mask_get(pass->columns, bit);
}

/* Rows that nobody wrote show a new column's default as it is here, which
 * need not be the one that the column was registered with. */
static int take_default(struct pass *pass, struct store_column *column,
                        size_t bit)
{
    struct store *store = pass->store;
    const struct store_column *now = NULL;
    sqlite3_stmt *statement;
    struct value kept;
    int rc;

    GV_ASSERT(column->shown && column->local != NULL);
    for (size_t i = 0; i < pass->now->column_count; i++)
        if (sqlite3_stricmp(pass->now->columns[i].local, column->local) == 0)
            now = &pass->now->columns[i];
    if (now == NULL || value_equal(&now->initial, &column->initial))
        return GV_OK;
    rc = value_keep(&kept, &now->initial);
    if (rc != GV_OK)
        return rc;
    free((void *)(uintptr_t)column->initial.bytes);
    column->initial = kept;
    column->initial_digest = value_digest(&kept);
    rc = sql_prepare(store->db, &statement,
                     "UPDATE gv_col SET initial=?1 WHERE tbl=%lld AND"
                     " bit=%lld",
                     (long long)pass->table->id, (long long)bit);
    if (rc != GV_OK)
        return rc;
    sql_bind_value(statement, 1, &kept);
    rc = sql_finish(statement);
    sqlite3_finalize(statement);
    return rc;
}

static int take_defaults(struct pass *pass)
{
    struct store_table *table = pass->table;
    int rc = GV_OK;

    GV_ASSERT(pass->now != NULL);
    for (size_t i = 0; i < table->column_count && rc == GV_OK; i++)
        if (is_new(pass, i + 1))
            rc = take_default(pass, &table->columns[i], i + 1);
    return rc;
}

/* What the cell of a row showed before anybody wrote it here: what the entry
 * says, else the default that came with the column. */
static uint64_t shown_before(const struct pass *pass, size_t bit)
{
    const struct parked *parked = &pass->store->parked;

    return mask_get(parked->seen, bit)
               ? parked->shown[bit]
               : pass->table->columns[bit - 1].initial_digest;
}

/* The entry of a cell that is shown now, for a table that holds @digest. */
static void look_at_entry(struct pass *pass, size_t bit, uint64_t digest,
                          uint64_t *moved)
{
    struct parked *parked = &pass->store->parked;
    struct value value = parked->values[bit];
    uint64_t before = shown_before(pass, bit);

    GV_ASSERT(mask_get(parked->listed, bit));
    GV_ASSERT(pass->table->columns[bit - 1].shown);
    if (digest == parked_expected(pass->table, &pass->store->space.row,
                                  pass->held, bit - 1)) {
        parked_drop(parked, bit);
    } else if (digest != before) {
        /* Written here meanwhile: the next look finds it. */
        parked_put(parked, bit, parked->kinds[bit], &value, &before);
    } else if (parked->kinds[bit] == PARKED_HOLLOW ||
               plant("parked-not-shown")) {
        parked_put(parked, bit, PARKED_HOLLOW, NULL, &before);
    } else {
        pass->store->values[bit - 1] =
            parked->kinds[bit] == PARKED_VALUE
                ? value
                : pass->table->columns[bit - 1].initial;
        mask_set(moved, bit);
    }
}

/* A row that is in the table: which of its cells move there. */
static void look_at_cells(struct pass *pass, uint64_t *moved)
{
    struct store *store = pass->store;
    struct store_table *table = pass->table;

    for (size_t bit = 1; bit <= table->column_count; bit++) {
        uint64_t digest, before;

        if (!table->columns[bit - 1].shown)
            continue;
        digest = value_digest(&store->values[bit - 1]);
        if (mask_get(store->parked.listed, bit)) {
            look_at_entry(pass, bit, digest, moved);
        } else if (is_new(pass, bit) && mask_get(pass->held, bit) &&
                   digest != store->space.row.digests[bit]) {
            if (kinds_each(table, bit)) {
                kinds_value(store, table, bit, &store->values[bit - 1]);
                mask_set(moved, bit);
                continue;
            }
            before = table->columns[bit - 1].initial_digest;
            parked_put(&store->parked, bit, PARKED_HOLLOW, NULL, &before);
        }
    }
    GV_ASSERT(!mask_get(moved, ROW_EXISTENCE));
}

/* Whether a cell of a row that is not in the table was lost with it. */
static bool lost_cells(const struct pass *pass)
{
    GV_ASSERT(pass->columns == NULL && !pass->resumes);
    for (size_t bit = 1; bit <= pass->table->column_count; bit++)
        if (pass->table->columns[bit - 1].shown && mask_get(pass->held, bit) &&
            !mask_get(pass->store->parked.listed, bit) &&
            !kinds_each(pass->table, bit))
            return true;
    return false;
}

/* A live row that the table lacks. */
static int show_absent(struct pass *pass, const struct row_key *key)
{
    struct store *store = pass->store;
    uint64_t none[ROW_WORDS_MAX] = {0};
    int rc;

    GV_ASSERT(store->space.row.causal_length % 2 == 1);
    if (!mask_get(store->parked.listed, ROW_EXISTENCE)) {
        if (pass->resumes || pass->columns != NULL)
            return GV_OK; /* it was deleted here, which the look finds */
        if (lost_cells(pass)) {
            parked_put(&store->parked, ROW_EXISTENCE, PARKED_DEFAULT, NULL,
                       NULL);
            return GV_OK;
        }
    }
    rc = show_insert(store, pass->table, key, none);
    /* There is a row that SQLite takes for the same: it stays. */
    return rc == GV_EDIFFERS ? GV_OK : rc;
}

static int show_present(struct pass *pass, const struct row_key *key)
{
    struct store *store = pass->store;
    uint64_t moved[ROW_WORDS_MAX] = {0};

    GV_ASSERT(!mask_get(store->parked.listed, ROW_EXISTENCE));
    memset(store->hollow, 0, pass->table->words * sizeof(uint64_t));
    look_at_cells(pass, moved);
    user_read_done(pass->table);
    return mask_empty(moved, pass->table->words)
               ? GV_OK
               : show_update(store, pass->table, key, moved);
}

/* The table still has an earlier life of the row. */
static int end_earlier(struct pass *pass, const struct row_key *key,
                       bool *present)
{
    int rc = *present ? user_delete(pass->store, pass->table, key) : GV_OK;

    *present = false;
    if (pass->store->space.row.causal_length % 2 == 0)
        parked_drop_all(pass->store, pass->table);
    else
        parked_put(&pass->store->parked, ROW_EXISTENCE, PARKED_DEFAULT, NULL,
                   NULL);
    return rc;
}

static int show_row(struct pass *pass, const struct row_key *key,
                    struct gv_error *error)
{
    struct store *store = pass->store;
    struct row *row = &store->space.row;
    bool present = false, earlier;
    int rc = rows_find(store, pass->table, key, error);

    if (rc == GV_OK)
        rc = parked_find(store, pass->table);
    if (rc == GV_OK)
        rc = user_read(store, pass->table, key, store->values, &present);
    if (rc == GV_OK)
        rc = user_present(store, pass->table, key, false, &present);
    if (rc != GV_OK)
        return rc;
    GV_ASSERT(store->space.stored); /* the list is of such rows */
    rows_held(row, pass->table->words, pass->held);
    GV_ASSERT(mask_get(pass->held, ROW_EXISTENCE));
    earlier = mask_get(store->parked.seen, ROW_EXISTENCE);
    if (earlier || !present)
        user_read_done(pass->table);
    if (earlier)
        rc = end_earlier(pass, key, &present);
    /* A dead row that is in the table, or one that was made here under the
     * key of one that could not be shown, was written meanwhile. */
    if (rc == GV_OK && row->causal_length % 2 == 1 && !present)
        rc = show_absent(pass, key);
    else if (rc == GV_OK && row->causal_length % 2 == 1 &&
             !mask_get(store->parked.listed, ROW_EXISTENCE))
        rc = show_present(pass, key);
    else if (rc == GV_OK && present)
        user_read_done(pass->table);
    return rc == GV_OK ? parked_save(store, pass->table) : rc;
}

/* All rows for columns that need a look at each, else those with entries. */
static int list_rows(struct pass *pass, sqlite3_stmt **rows)
{
    struct store_table *table = pass->table;
    sqlite3_str *text = sqlite3_str_new(NULL);
    char *names;
    int rc = GV_ENOMEM;

    GV_ASSERT(!table->integer_key || table->key_count == 1);
    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(text, table->integer_key ? "%srid" : "%sk%d",
                            i == 0 ? "" : ",", (int)i + 1);
    names = sqlite3_str_finish(text);
    *rows = NULL;
    if (names != NULL)
        rc = sql_prepare(pass->store->db, rows, "SELECT %s FROM gv_row_%lld%s",
                         names, (long long)table->id,
                         pass->resumes ? " WHERE rid IN (SELECT rid FROM"
                                         " gv_parked WHERE tbl=?1)"
                                       : " WHERE ?1>0");
    sqlite3_free(names);
    if (rc == GV_OK)
        sqlite3_bind_int64(*rows, 1, table->id);
    return rc;
}

static int show_rows(struct pass *pass, struct gv_error *error)
{
    struct row_key key;
    struct buffer bytes;
    sqlite3_stmt *rows;
    bool null;
    int rc = list_rows(pass, &rows);

    buffer_init(&bytes, SIZE_MAX);
    while (rc == GV_OK && (rc = sql_step(rows)) > 0) {
        buffer_clear(&bytes);
        rc = row_key_read(rows, 0, pass->table->key_count, &bytes, &null);
        if (rc == GV_OK &&
            (null || row_key_decode(&key, bytes.data, bytes.size,
                                    pass->table->key_count)))
            rc = GV_ECORRUPT;
        if (rc == GV_OK)
            rc = show_row(pass, &key, error);
    }
    sqlite3_finalize(rows);
    buffer_close(&bytes);
    return rc;
}

static int run_pass(struct pass *pass, struct gv_error *error)
{
    struct store *store = pass->store;
    int rc;

    GV_ASSERT(pass->table->shown);
    GV_ASSERT(!store->firing);
    GV_ASSERT(transaction_open(store));
    rc = schema_describe(store, pass->table->local, &pass->now, error);
    if (rc == GV_OK)
        rc = take_defaults(pass);
    triggers_fire(store, pass->table->fires);
    if (rc == GV_OK)
        rc = show_rows(pass, error);
    triggers_fire(store, false);
    table_free(pass->now);
    if (rc != GV_OK && (error == NULL || error->code != rc))
        return sql_fail(store->db, rc, error, "cannot show what was parked");
    return rc;
}

int parked_show(struct store *store, struct store_table *table,
                const uint64_t *columns, struct gv_error *error)
{
    struct pass pass = {.store = store, .table = table, .columns = columns};

    GV_ASSERT(columns == NULL || !mask_empty(columns, table->words));
    GV_ASSERT(columns == NULL || !mask_get(columns, ROW_EXISTENCE));
    return run_pass(&pass, error);
}

int parked_resume(struct store *store, struct store_table *table,
                  struct gv_error *error)
{
    struct pass pass = {.store = store, .table = table, .resumes = true};

    return run_pass(&pass, error);
}
