/* A row's key: its canonical bytes, a statement's parameters, people's words.
 */
#include "store/internal.h"

#include "base/assert.h"

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
