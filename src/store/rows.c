/* Rows of gv_row_N and of the user's table, on the connection that writes. */
#include "store/batch.h"

#include "base/assert.h"
#include "base/hook.h"
#include "base/plant.h"

#include <stdio.h>
#include <string.h>

int row_key_decode(struct row_key *key, const uint8_t *bytes, size_t size,
                   size_t count)
{
    size_t offset = 0;

    GV_ASSERT(bytes != NULL || size == 0);
    key->bytes = bytes;
    key->size = size;
    key->count = count;
    for (size_t i = 0; i < count; i++) {
        if (offset >= size ||
            key_next(bytes, size, &offset, &key->values[i]) != GV_OK ||
            key->values[i].class == VALUE_NULL)
            return GV_EPROTO;
    }
    GV_ASSERT(offset <= size);
    return offset == size ? GV_OK : GV_EPROTO;
}

int row_key_read(sqlite3_stmt *statement, int first, size_t count,
                 struct buffer *buffer, bool *null)
{
    *null = false;
    for (size_t i = 0; i < count; i++) {
        struct value value;

        sql_column_value(statement, first + (int)i, &value);
        *null |= value.class == VALUE_NULL;
        key_append(buffer, &value);
    }
    return buffer->error;
}

void row_name(const struct store_table *table, const struct row_key *key,
              char *text, size_t size)
{
    int used = snprintf(text, size, "%s ", table->local);

    GV_ASSERT(size > 0);
    if (used > 0 && (size_t)used < size)
        key_format(key->bytes, key->size, text + used, size - (size_t)used);
}

/* " AND "-joined comparisons of @names with ?1, ?2, …; sqlite3_free() it. */
static char *where_text(const struct store_table *table)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(text, "%s\"%w\"=?%d", i == 0 ? "" : " AND ",
                            table->keys[i].local, (int)i + 1);
    return sqlite3_str_finish(text);
}

/* A statement that still stands on a row would keep the key it has. */
void row_key_bind(sqlite3_stmt *statement, const struct row_key *key)
{
    GV_ASSERT(!sqlite3_stmt_busy(statement));
    GV_ASSERT((size_t)sqlite3_bind_parameter_count(statement) >= key->count);
    for (size_t i = 0; i < key->count; i++)
        sql_bind_value(statement, (int)i + 1, &key->values[i]);
}

static int prepare_row_find(struct store *store, struct store_table *table)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    char *where;
    int rc;

    GV_ASSERT(table->row_find == NULL); /* else the old one is lost */
    GV_ASSERT(!table->integer_key || table->key_count == 1);
    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(text, "%sk%d=?%d", i == 0 ? "" : " AND ",
                            (int)i + 1, (int)i + 1);
    where = sqlite3_str_finish(text);
    if (where == NULL)
        return GV_ENOMEM;
    rc = sql_prepare(store->db, &table->row_find,
                     "SELECT rid,cl,state FROM gv_row_%lld WHERE %s",
                     table->id, table->integer_key ? "rid=?1" : where);
    sqlite3_free(where);
    return rc;
}

static int prepare_row_writes(struct store *store, struct store_table *table)
{
    sqlite3_str *names = sqlite3_str_new(NULL);
    sqlite3_str *marks = sqlite3_str_new(NULL);
    char *name_text, *mark_text;
    int rc = GV_ENOMEM;

    GV_ASSERT(table->row_update == NULL);
    GV_ASSERT(!table->integer_key || table->key_count == 1);
    for (size_t i = 0; i < table->key_count; i++) {
        if (table->integer_key)
            sqlite3_str_appendf(names, "rid,");
        else
            sqlite3_str_appendf(names, "k%d,", (int)i + 1);
        sqlite3_str_appendf(marks, "?%d,", (int)i + 1);
    }
    name_text = sqlite3_str_finish(names);
    mark_text = sqlite3_str_finish(marks);
    if (table->row_insert != NULL)
        rc = GV_OK; /* only the other one failed before */
    else if (name_text != NULL && mark_text != NULL)
        rc = sql_prepare(store->db, &table->row_insert,
                         "INSERT INTO gv_row_%lld(%scl,state)"
                         " VALUES(%s?%d,?%d)",
                         table->id, name_text, mark_text,
                         (int)table->key_count + 1, (int)table->key_count + 2);
    sqlite3_free(name_text);
    sqlite3_free(mark_text);
    if (rc == GV_OK)
        rc = sql_prepare(store->db, &table->row_update,
                         "UPDATE gv_row_%lld SET cl=?2,state=?3 WHERE rid=?1",
                         table->id);
    return rc;
}

static void space_clear(struct row_space *space)
{
    space->stored = false;
    space->rid = 0;
    space->row.causal_length = 0;
    space->row.record_count = 0;
    space->before_count = 0;
    space->before_sum = (struct hash128){0, 0};
    space->checked = true; /* of nothing */
    cells_clear(&space->cells);
}

/* Keep what gv_ver holds of the row before it changes. */
static int remember(struct store *store)
{
    struct row_space *space = &store->space;

    for (size_t i = 0; i < space->row.record_count; i++)
        if (space->records[i].site >= store->site_count)
            return GV_ECORRUPT;
    GV_ASSERT(space->before_count == 0);
    GV_ASSERT(space->row.record_count <= space->capacity);
    memcpy(space->before, space->records,
           space->row.record_count * sizeof *space->before);
    space->before_count = space->row.record_count;
    space->checked = false;
    return GV_OK;
}

static int damaged(const struct store_table *table, const struct row_key *key,
                   struct gv_error *error)
{
    char name[256];

    row_name(table, key, name, sizeof name);
    error_set(error, GV_ECORRUPT, "The sync metadata of %s is damaged.", name);
    error_meaning(error,
                  "Something outside Grapevine changed gv_row_%lld,"
                  " or the disk did; nothing of this row is sent.",
                  (long long)table->id);
    error_remedy(error, "Run 'grapevine verify' on this file and on a"
                        " peer; restore the file from a peer's copy.");
    return GV_ECORRUPT;
}

int rows_check(struct store *store, const struct store_table *table,
               const struct row_key *key, struct gv_error *error)
{
    struct row_space *space = &store->space;
    int rc = GV_OK;

    /* It is the row as it was read that has this hash. */
    GV_ASSERT(space->before_count == space->row.record_count);
    if (space->checked)
        return GV_OK;
    space->before_sum =
        state_hash(store, table, key->bytes, key->size, &space->row);
    space->checked = (uint32_t)space->before_sum.low == space->check;
    if (!space->checked)
        return damaged(table, key, error);
    if (table->each_count > 0)
        rc = cells_find(store, table);
    return rc == GV_ECORRUPT ? damaged(table, key, error) : rc;
}

int rows_find(struct store *store, struct store_table *table,
              const struct row_key *key, struct gv_error *error)
{
    int rc = rows_read(store, table, key, error);

    return rc == GV_OK ? rows_check(store, table, key, error) : rc;
}

/* A row that a batch has read. */
static int take_ahead(struct store *store, const struct store_table *table,
                      const struct row_key *key, const struct batch_row *ahead,
                      struct gv_error *error)
{
    struct row_space *space = &store->space;
    int rc;

    GV_ASSERT(!space->stored); /* it was cleared */
    if (!ahead->stored)
        return GV_OK;
    space->stored = true;
    space->rid = ahead->rid;
    space->row.causal_length = ahead->causal_length;
    rc = state_decode(batch_state(store, ahead), ahead->state_size,
                      table->column_count, space, &space->check);
    if (rc == GV_OK)
        rc = remember(store);
    return rc == GV_ECORRUPT ? damaged(table, key, error) : rc;
}

int rows_read(struct store *store, struct store_table *table,
              const struct row_key *key, struct gv_error *error)
{
    struct row_space *space = &store->space;
    const struct batch_row *ahead;
    int rc = GV_OK;

    GV_ASSERT(key->count == table->key_count);
    if (table->row_find == NULL)
        rc = prepare_row_find(store, table);
    space_clear(space);
    row_space_use(space, table);
    if (rc == GV_OK)
        rc = row_space_reserve(space, 1, table->words);
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot read a row's state");
    ahead = batch_find(store, table, key);
    if (ahead != NULL)
        return take_ahead(store, table, key, ahead, error);
    row_key_bind(table->row_find, key);
    rc = sql_step(table->row_find);
    if (rc <= 0)
        return rc == 0 ? GV_OK
                       : sql_fail(store->db, rc, error,
                                  "cannot read a row's state");
    space->stored = true;
    space->rid = sqlite3_column_int64(table->row_find, 0);
    space->row.causal_length =
        (uint64_t)sqlite3_column_int64(table->row_find, 1);
    rc = state_decode(sqlite3_column_blob(table->row_find, 2),
                      (size_t)sqlite3_column_bytes(table->row_find, 2),
                      table->column_count, space, &space->check);
    sqlite3_reset(table->row_find);
    if (rc == GV_OK)
        rc = remember(store);
    GV_ASSERT(rc != GV_OK || space->before_count == space->row.record_count);
    return rc == GV_ECORRUPT ? damaged(table, key, error) : rc;
}

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
static int ver_flush(struct store *store)
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

int rows_flush(struct store *store)
{
    int rc = ver_flush(store);

    return rc == GV_OK ? batch_flush(store) : rc;
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

/* gv_ver has one row for each record: take out those gone, put in the new. */
static int ver_follow(struct store *store, const struct store_table *table)
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

/* Write the state in store->state to gv_row_N by itself. */
static int write_state(struct store *store, struct store_table *table,
                       const struct row_key *key)
{
    struct row_space *space = &store->space;
    sqlite3_stmt *statement = table->row_update;
    int count = 1, rc;

    if (space->stored) {
        sqlite3_bind_int64(statement, 1, space->rid);
    } else {
        statement = table->row_insert;
        row_key_bind(statement, key);
        count = (int)key->count;
    }
    GV_ASSERT(sqlite3_bind_parameter_count(statement) == count + 2);
    sqlite3_bind_int64(statement, count + 1,
                       (sqlite3_int64)space->row.causal_length);
    sqlite3_bind_blob64(statement, count + 2, store->state.data,
                        store->state.size, SQLITE_STATIC);
    rc = sql_finish(statement);
    if (rc == GV_OK && !space->stored)
        space->rid = sqlite3_last_insert_rowid(store->db);
    return rc;
}

int rows_save(struct store *store, struct store_table *table,
              const struct row_key *key)
{
    struct row_space *space = &store->space;
    struct hash128 sum =
        state_hash(store, table, key->bytes, key->size, &space->row);
    int rc = GV_OK;

    /* State, list and fingerprint change together or not at all. */
    GV_ASSERT(transaction_open(store));
    GV_ASSERT(key->count == table->key_count);
    GV_ASSERT(space->checked); /* damage would spread, and hide */
    if (store->hashed.error != GV_OK)
        return store->hashed.error; /* then the sum is none */
    if (table->row_insert == NULL || table->row_update == NULL)
        rc = prepare_row_writes(store, table);
    if (rc == GV_OK)
        rc = state_encode(&space->row, table->words, (uint32_t)sum.low,
                          &store->state);
    if (rc != GV_OK)
        return rc;
    rc = !space->stored && batch_find(store, table, key) != NULL
             ? batch_insert(store, key, space->row.causal_length, &space->rid)
             : write_state(store, table, key);
    if (rc != GV_OK)
        return rc;
    store->numbers.fingerprint = hash128_add(
        hash128_subtract(store->numbers.fingerprint, space->before_sum), sum);
    if (table->each_count > 0)
        rc = cells_save(store, table);
    if (rc != GV_OK)
        return rc;
    return ver_follow(store, table);
}

/* The user's table */

static int prepare_user_read(struct store *store, struct store_table *table)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    char *names, *where = where_text(table);
    int rc = GV_ENOMEM;

    GV_ASSERT(table->user_read == NULL);
    sqlite3_str_appendf(text, "1"); /* there may be no columns */
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].shown)
            sqlite3_str_appendf(text, ",\"%w\"", table->columns[i].local);
    names = sqlite3_str_finish(text);
    if (names != NULL && where != NULL)
        rc = sql_prepare(store->db, &table->user_read,
                         "SELECT %s FROM main.\"%w\" WHERE %s", names,
                         table->local, where);
    sqlite3_free(names);
    sqlite3_free(where);
    return rc;
}

int user_read(struct store *store, struct store_table *table,
              const struct row_key *key, struct value *values, bool *present)
{
    const struct batch_row *ahead = batch_find(store, table, key);
    int at = 1, rc = table->user_read == NULL ? prepare_user_read(store, table)
                                              : GV_OK;

    GV_ASSERT(table->shown);
    GV_ASSERT(key->count == table->key_count);
    if (rc == GV_OK && ahead != NULL && ahead->read) {
        *present = ahead->present;
        if (ahead->present)
            batch_values(store, table, ahead, values);
        return GV_OK;
    }
    if (rc != GV_OK)
        return rc;
    row_key_bind(table->user_read, key);
    rc = sql_step(table->user_read);
    if (rc < 0)
        return rc;
    *present = rc == 1;
    for (size_t i = 0; *present && i < table->column_count; i++)
        if (table->columns[i].shown)
            sql_column_value(table->user_read, at++, &values[i]);
    GV_ASSERT(!*present || sqlite3_data_count(table->user_read) == at);
    return GV_OK;
}

void user_read_done(struct store_table *table)
{
    GV_ASSERT(table->user_read != NULL);
    sqlite3_reset(table->user_read);
}

/* A table's own ON CONFLICT clauses could roll everything back, or make room
 * by taking another row away.  Triggers that fire would get this clause too,
 * in place of those in them. */
static const char *or_abort(const struct store_table *table)
{
    GV_ASSERT(table->shown);
    return table->fires ? "" : "OR ABORT ";
}

static int prepare_user_insert(struct store *store, struct store_table *table)
{
    sqlite3_str *names = sqlite3_str_new(NULL);
    sqlite3_str *marks = sqlite3_str_new(NULL);
    char *name_text, *mark_text;
    int parameter = 0, rc = GV_ENOMEM;

    GV_ASSERT(table->user_insert == NULL);
    for (size_t i = 0; i < table->key_count; i++) {
        sqlite3_str_appendf(names, "%s\"%w\"", i == 0 ? "" : ",",
                            table->keys[i].local);
        sqlite3_str_appendf(marks, "%s?%d", i == 0 ? "" : ",", ++parameter);
    }
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].shown) {
            sqlite3_str_appendf(names, ",\"%w\"", table->columns[i].local);
            sqlite3_str_appendf(marks, ",?%d", ++parameter);
        }
    name_text = sqlite3_str_finish(names);
    mark_text = sqlite3_str_finish(marks);
    if (name_text != NULL && mark_text != NULL)
        rc = sql_prepare(store->db, &table->user_insert,
                         "INSERT %sINTO main.\"%w\"(%s) VALUES(%s)",
                         or_abort(table), table->local, name_text, mark_text);
    sqlite3_free(name_text);
    sqlite3_free(mark_text);
    return rc;
}

int user_insert(struct store *store, struct store_table *table,
                const struct row_key *key, const struct value *values)
{
    int parameter = (int)key->count, rc;
    bool there;

    GV_ASSERT(table->shown);
    if (table->user_insert == NULL) {
        rc = prepare_user_insert(store, table);
        if (rc != GV_OK)
            return rc;
    }
    row_key_bind(table->user_insert, key);
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].shown)
            sql_bind_value(table->user_insert, ++parameter, &values[i]);
    GV_ASSERT(sqlite3_bind_parameter_count(table->user_insert) == parameter);
    if (hook_reached("spoil-apply"))
        sqlite3_bind_text(table->user_insert, (int)key->count + 1, "spoiled",
                          -1, SQLITE_STATIC);
    rc = sql_finish(table->user_insert);
    if (rc != GV_ESCHEMA)
        return rc;
    sqlite3_snprintf(sizeof store->reason, store->reason, "%s",
                     sqlite3_errmsg(store->db));
    /* A row under this key that the log knows nothing of got past the
     * triggers: it is a local write first. */
    if (user_key_kept(store, table, key, &there) == GV_OK && there)
        return GV_EDIFFERS;
    return rc;
}

static int prepare_user_update(struct store *store, struct store_table *table,
                               const uint64_t *mask, sqlite3_stmt **statement)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    char *sets, *where = where_text(table);
    const char *comma = "";
    int rc = GV_ENOMEM;
    int parameter = (int)table->key_count;

    for (size_t i = 0; i < table->column_count; i++) {
        if (!mask_get(mask, i + 1))
            continue;
        GV_ASSERT(table->columns[i].shown);
        sqlite3_str_appendf(text, "%s\"%w\"=?%d", comma,
                            table->columns[i].local, ++parameter);
        comma = ",";
    }
    sets = sqlite3_str_finish(text);
    GV_ASSERT(parameter > (int)table->key_count); /* it sets something */
    if (sets != NULL && where != NULL)
        rc = sql_prepare(store->db, statement,
                         "UPDATE %smain.\"%w\" SET %s WHERE %s",
                         or_abort(table), table->local, sets, where);
    sqlite3_free(sets);
    sqlite3_free(where);
    return rc;
}

/* The statement for @mask, from those kept or made in place of the oldest. */
static int find_update(struct store *store, struct store_table *table,
                       const uint64_t *mask, sqlite3_stmt **statement)
{
    struct table_update *update;
    int rc;

    GV_ASSERT(!mask_get(mask, ROW_EXISTENCE)); /* it is no column */
    for (size_t i = 0; i < TABLE_UPDATES_MAX; i++) {
        update = &table->updates[i];
        if (update->statement != NULL &&
            memcmp(update->mask, mask, table->words * sizeof *mask) == 0) {
            *statement = update->statement;
            return GV_OK;
        }
    }
    rc = prepare_user_update(store, table, mask, statement);
    if (rc != GV_OK)
        return rc;
    update = &table->updates[table->update_next++ % TABLE_UPDATES_MAX];
    sqlite3_finalize(update->statement);
    update->statement = *statement;
    memcpy(update->mask, mask, table->words * sizeof *mask);
    return GV_OK;
}

int user_update(struct store *store, struct store_table *table,
                const struct row_key *key, const uint64_t *mask,
                const struct value *values)
{
    uint64_t columns[ROW_WORDS_MAX];
    int parameter = (int)key->count;
    sqlite3_stmt *statement;
    int rc;

    GV_ASSERT(table->shown);
    GV_ASSERT(table->words > 0 && table->words <= ROW_WORDS_MAX);
    memcpy(columns, mask, table->words * sizeof *mask);
    columns[0] &= ~(uint64_t)1;
    if (mask_empty(columns, table->words))
        return GV_OK;
    rc = find_update(store, table, columns, &statement);
    if (rc != GV_OK)
        return rc;
    row_key_bind(statement, key);
    for (size_t i = 0; i < table->column_count; i++)
        if (mask_get(columns, i + 1))
            sql_bind_value(statement, ++parameter, &values[i]);
    GV_ASSERT(parameter == sqlite3_bind_parameter_count(statement));
    if (hook_reached("spoil-apply"))
        sqlite3_bind_text(statement, (int)key->count + 1, "spoiled", -1,
                          SQLITE_STATIC);
    rc = sql_finish(statement);
    if (rc == GV_OK && sqlite3_changes(store->db) == 0)
        return GV_EDIFFERS;
    return rc;
}

int user_delete(struct store *store, struct store_table *table,
                const struct row_key *key)
{
    char *where;
    int rc;

    GV_ASSERT(table->shown);
    GV_ASSERT(key->count == table->key_count);
    if (table->user_delete == NULL) {
        where = where_text(table);
        if (where == NULL)
            return GV_ENOMEM;
        rc = sql_prepare(store->db, &table->user_delete,
                         "DELETE FROM main.\"%w\" WHERE %s", table->local,
                         where);
        sqlite3_free(where);
        if (rc != GV_OK)
            return rc;
    }
    row_key_bind(table->user_delete, key);
    return sql_finish(table->user_delete);
}

static int prepare_user_keys(struct store *store, struct store_table *table)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    char *names, *where = where_text(table);
    int rc = GV_ENOMEM;

    GV_ASSERT(table->user_keys == NULL);
    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(text, "%s\"%w\"", i == 0 ? "" : ",",
                            table->keys[i].local);
    names = sqlite3_str_finish(text);
    if (names != NULL && where != NULL)
        rc = sql_prepare(store->db, &table->user_keys,
                         "SELECT %s FROM main.\"%w\" WHERE %s", names,
                         table->local, where);
    sqlite3_free(names);
    sqlite3_free(where);
    return rc;
}

int user_key_kept(struct store *store, struct store_table *table,
                  const struct row_key *key, bool *kept)
{
    bool null;
    int rc =
        table->user_keys == NULL ? prepare_user_keys(store, table) : GV_OK;

    GV_ASSERT(key->bytes != store->hashed.data); /* which this reads into */
    if (rc != GV_OK)
        return rc;
    row_key_bind(table->user_keys, key);
    rc = sql_step(table->user_keys);
    if (rc < 0)
        return rc;
    *kept = false;
    if (rc == 1) {
        buffer_clear(&store->hashed);
        rc = row_key_read(table->user_keys, 0, key->count, &store->hashed,
                          &null);
        *kept = rc == GV_OK && store->hashed.size == key->size &&
                memcmp(store->hashed.data, key->bytes, key->size) == 0;
        sqlite3_reset(table->user_keys);
    }
    return rc;
}

bool user_key_sure(const struct store_table *table, const struct row_key *key)
{
    bool sure = true;

    GV_ASSERT(key->count == table->key_count);
    for (size_t i = 0; i < key->count && sure; i++)
        sure = affinity_keeps(table->keys[i].affinity, &key->values[i]);
    return sure;
}

int user_present(struct store *store, struct store_table *table,
                 const struct row_key *key, bool expected, bool *present)
{
    if (!*present || expected || user_key_sure(table, key))
        return GV_OK;
    GV_ASSERT(table->shown);
    return user_key_kept(store, table, key, present);
}

void rows_held(const struct row *row, size_t words, uint64_t *held)
{
    GV_ASSERT(words > 0 && words <= ROW_WORDS_MAX);
    memset(held, 0, words * sizeof *held);
    for (size_t i = 0; i < row->record_count; i++)
        for (size_t word = 0; word < words; word++)
            held[word] |= row->records[i].mask[word];
}

bool affinity_keeps(enum affinity affinity, const struct value *value)
{
    GV_ASSERT(affinity <= AFFINITY_REAL);
    GV_ASSERT(value->class <= VALUE_BLOB);
    switch (value->class) {
    case VALUE_NULL:
    case VALUE_BLOB:
        return true;
    case VALUE_TEXT:
        return affinity == AFFINITY_BLOB || affinity == AFFINITY_TEXT;
    case VALUE_INTEGER:
        return affinity != AFFINITY_TEXT && affinity != AFFINITY_REAL;
    case VALUE_REAL:
        /* A REAL column stores whole reals as integers and loses -0.0. */
        return affinity == AFFINITY_BLOB ||
               (affinity == AFFINITY_REAL && value->real != 0.0);
    }
    return false;
}
