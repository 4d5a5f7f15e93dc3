/* A row's key. */
#ifndef STORE_KEYS_H
#define STORE_KEYS_H

#include "store/tables.h"

/* A key's canonical bytes and what they decode to. */
struct row_key {
    const uint8_t *bytes;
    size_t size;
    size_t count;
    struct value values[KEY_COLUMNS_MAX];
};

/* Decode @bytes (borrowed) as a key of @count columns. */
int row_key_decode(struct row_key *key, const uint8_t *bytes, size_t size,
                   size_t count);
/* Whether the key value @b surely stands behind @a in an index. */
bool value_behind(const struct value *a, const struct value *b);
/* The key that a statement's columns from @first on hold, into @buffer.
 * *@null when a column of it is NULL. */
int row_key_read(sqlite3_stmt *statement, int first, size_t count,
                 struct buffer *buffer, bool *null);
/* The key of the row @rid of gv_row_N into @bytes.  GV_ECORRUPT: there is
 * none. */
int row_key_of(struct store *store, const struct store_table *table,
               int64_t rid, struct buffer *bytes);
/* Bind it to a statement's first parameters; that one must not stand on a row,
 * since it would keep the key it has. */
void row_key_bind(sqlite3_stmt *statement, const struct row_key *key);
/* "contacts 'ann'" for people. */
void row_name(const struct store_table *table, const struct row_key *key,
              char *text, size_t size);

#endif
