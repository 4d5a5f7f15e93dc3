/* Rows of the user's table whose log is damaged, with a local write that waits
 * (withheld.c), are set aside while the log is taken from a peer, and put back
 * behind it: what is unlike the peer's row is what was written here. */
#include "store/aside.h"

#include "base/assert.h"
#include "store/journal.h"
#include "store/keys.h"
#include "store/user.h"

#include <stdlib.h>
#include <string.h>

struct aside {
    struct aside *next;
    struct store_table *table;
    bool present;
    struct buffer bytes; /* the key, then those of the values */
    size_t key_size;
    struct value values[]; /* by column */
};

void aside_free(struct aside **list)
{
    while (*list != NULL) {
        struct aside *aside = *list;

        *list = aside->next;
        buffer_close(&aside->bytes);
        free(aside);
    }
}

/* Copy what the values of @aside point to. */
static int own_values(struct aside *aside)
{
    struct buffer *bytes = &aside->bytes;
    size_t at = bytes->size;
    int rc = GV_OK;

    GV_ASSERT(bytes->size == aside->key_size);
    for (size_t i = 0; i < aside->table->column_count && rc == GV_OK; i++)
        if (aside->table->columns[i].shown && aside->values[i].size > 0)
            rc = buffer_append(bytes, aside->values[i].bytes,
                               aside->values[i].size);
    for (size_t i = 0; i < aside->table->column_count && rc == GV_OK; i++) {
        if (!aside->table->columns[i].shown || aside->values[i].size == 0)
            continue;
        aside->values[i].bytes = bytes->data + at;
        at += aside->values[i].size;
    }
    GV_ASSERT(rc != GV_OK || at == bytes->size);
    return rc;
}

static int read_row(struct store *store, struct aside *aside,
                    const struct row_key *key)
{
    struct store_table *table = aside->table;
    int rc = buffer_append(&aside->bytes, key->bytes, key->size);

    aside->key_size = key->size;
    if (rc == GV_OK)
        rc = user_read(store, table, key, store->values, &aside->present);
    for (size_t i = 0;
         rc == GV_OK && aside->present && i < table->column_count; i++) {
        const struct value *value = &store->values[i];
        bool bytes = value->class == VALUE_TEXT || value->class == VALUE_BLOB;

        if (!table->columns[i].shown)
            continue;
        aside->values[i] = *value;
        if (!bytes)
            aside->values[i].size = 0;
    }
    if (rc == GV_OK && aside->present)
        rc = own_values(aside);
    user_read_done(table);
    return rc;
}

int aside_take(struct store *store, struct store_table *table,
               const struct row_key *key, struct aside **list)
{
    struct aside *aside;
    int rc = journal_has(store, table, key);

    GV_ASSERT(store->in_transaction && table->shown);
    if (rc <= 0)
        return rc;
    aside =
        calloc(1, sizeof *aside + table->column_count * sizeof *aside->values);
    if (aside == NULL)
        return GV_ENOMEM;
    aside->table = table;
    buffer_init(&aside->bytes, SIZE_MAX);
    aside->next = *list;
    *list = aside;
    return read_row(store, aside, key);
}

static int put_back(struct store *store, const struct aside *aside)
{
    struct store_table *table = aside->table;
    struct row_key key;
    bool present;
    int rc = row_key_decode(&key, aside->bytes.data, aside->key_size,
                            table->key_count);

    GV_ASSERT(rc == GV_OK && !store->firing);
    rc = user_read(store, table, &key, store->values, &present);
    user_read_done(table);
    if (rc == GV_OK && present)
        rc = user_delete(store, table, &key);
    if (rc == GV_OK && aside->present)
        rc = user_insert(store, table, &key, aside->values);
    return rc;
}

int aside_put_back(struct store *store, const struct aside *list)
{
    int rc = GV_OK;

    GV_ASSERT(store->in_transaction);
    for (; list != NULL && rc == GV_OK; list = list->next)
        rc = put_back(store, list);
    return rc;
}
