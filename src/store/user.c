/* Rows of the user's table, on the connection that writes. */
#include "store/user.h"

#include "base/assert.h"
#include "base/hook.h"
#include "store/batch.h"
#include "store/keys.h"
#include "store/tables.h"

#include <string.h>

/* " AND "-joined comparisons of @names with ?1, ?2, …; sqlite3_free() it. */
static char *where_text(const struct store_table *table)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(text, "%s\"%w\"=?%d", i == 0 ? "" : " AND ",
                            table->keys[i].local, (int)i + 1);
    return sqlite3_str_finish(text);
}

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
    store->digested = rc == GV_OK && ahead != NULL && ahead->read;
    if (store->digested) {
        *present = ahead->present;
        if (ahead->present)
            batch_values(store, table, ahead, values, store->digests);
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

/* "(?,…)", once for each of @rows; sqlite3_free() it. */
static char *insert_marks(const struct store_table *table, size_t rows)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    GV_ASSERT(rows > 0);
    for (size_t row = 0; row < rows; row++) {
        sqlite3_str_appendall(text, row == 0 ? "(?" : ",(?");
        for (size_t i = 1; i < table->key_count; i++)
            sqlite3_str_appendall(text, ",?");
        for (size_t i = 0; i < table->column_count; i++)
            if (table->columns[i].shown)
                sqlite3_str_appendall(text, ",?");
        sqlite3_str_appendall(text, ")");
    }
    return sqlite3_str_finish(text);
}

int user_insert_prepare(struct store *store, const struct store_table *table,
                        size_t rows, sqlite3_stmt **statement)
{
    sqlite3_str *names = sqlite3_str_new(NULL);
    char *name_text, *mark_text = insert_marks(table, rows);
    int rc = GV_ENOMEM;

    GV_ASSERT(*statement == NULL);
    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(names, "%s\"%w\"", i == 0 ? "" : ",",
                            table->keys[i].local);
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].shown)
            sqlite3_str_appendf(names, ",\"%w\"", table->columns[i].local);
    name_text = sqlite3_str_finish(names);
    if (name_text != NULL && mark_text != NULL)
        rc = sql_prepare(store->db, statement,
                         "INSERT %sINTO main.\"%w\"(%s) VALUES%s",
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
        rc = user_insert_prepare(store, table, 1, &table->user_insert);
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
