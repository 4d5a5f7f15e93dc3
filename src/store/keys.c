/* A row's key: its canonical bytes, a statement's parameters, people's words.
 */
#include "store/keys.h"

#include "base/assert.h"
#include "store/internal.h"

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

int row_key_of(struct store *store, const struct store_table *table,
               int64_t rid, struct buffer *bytes)
{
    sqlite3_str *names = sqlite3_str_new(store->db);
    sqlite3_stmt *keys = NULL;
    char *text;
    bool null = false;
    int rc = GV_ENOMEM;

    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(names, "k%d,", (int)i + 1);
    text = sqlite3_str_finish(names);
    if (text != NULL)
        rc = sql_prepare(store->db, &keys,
                         "SELECT %srid FROM gv_row_%lld WHERE rid=%lld",
                         table->integer_key ? "" : text, (long long)table->id,
                         (long long)rid);
    sqlite3_free(text);
    if (rc == GV_OK)
        rc = sql_step(keys);
    buffer_clear(bytes);
    if (rc >= 0)
        rc = rc == 0 ? GV_ECORRUPT
                     : row_key_read(keys, 0, table->key_count, bytes, &null);
    sqlite3_finalize(keys);
    return rc;
}

/* A statement that still stands on a row would keep the key it has. */
void row_key_bind(sqlite3_stmt *statement, const struct row_key *key)
{
    GV_ASSERT(!sqlite3_stmt_busy(statement));
    GV_ASSERT((size_t)sqlite3_bind_parameter_count(statement) >= key->count);
    for (size_t i = 0; i < key->count; i++)
        sql_bind_value(statement, (int)i + 1, &key->values[i]);
}

_Static_assert(VALUE_INTEGER < VALUE_TEXT && VALUE_TEXT < VALUE_BLOB,
               "classes stand in SQLite's order");

bool value_behind(const struct value *a, const struct value *b)
{
    size_t size = a->size < b->size ? a->size : b->size;
    int order;

    GV_ASSERT(a->class != VALUE_NULL && b->class != VALUE_NULL);
    if (a->class == VALUE_REAL || b->class == VALUE_REAL)
        return false; /* numbers of two classes are not told apart here */
    if (a->class != b->class)
        return a->class < b->class;
    if (a->class == VALUE_INTEGER)
        return a->integer < b->integer;
    order = size == 0 ? 0 : memcmp(a->bytes, b->bytes, size);
    return order != 0 ? order < 0 : a->size < b->size;
}
