/* Rows read ahead, see batch.h: which they are, and how they are found. */
#include "store/batch_internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_CELLS_MAX 262144

size_t batch_room(const struct store_table *table)
{
    size_t room = BATCH_CELLS_MAX / (table->column_count + 1);

    GV_ASSERT(room >= BATCH_ROWS_MIN); /* at the most columns that are */
    return room < BATCH_ROWS_MAX ? room : BATCH_ROWS_MAX;
}

int batch_begin(struct store *store, struct store_table *table)
{
    size_t room = batch_room(table);
    struct batch *batch;
    int rc = batch_flush(store);

    batch_end(store);
    if (rc != GV_OK)
        return rc;
    batch = calloc(1, sizeof *batch);
    if (batch == NULL)
        return GV_ENOMEM;
    buffer_init(&batch->new_states, SIZE_MAX);
    buffer_init(&batch->changed_states, SIZE_MAX);
    buffer_init(&batch->keys, SIZE_MAX);
    buffer_init(&batch->states, SIZE_MAX);
    buffer_init(&batch->values, SIZE_MAX);
    batch->table = table;
    batch->room = room;
    batch->rows = malloc(room * sizeof *batch->rows);
    batch->order = malloc(room * sizeof *batch->order);
    store->batch = batch;
    if (batch->rows != NULL && batch->order != NULL)
        return GV_OK;
    batch_end(store);
    return GV_ENOMEM;
}

void batch_free(struct batch *batch)
{
    if (batch == NULL)
        return;
    GV_ASSERT(batch->count <= batch->room);
    buffer_close(&batch->keys);
    buffer_close(&batch->states);
    buffer_close(&batch->values);
    buffer_close(&batch->new_states);
    buffer_close(&batch->changed_states);
    free(batch->rows);
    free(batch->order);
    free(batch);
}

void batch_end(struct store *store)
{
    batch_free(store->batch);
    store->batch = NULL;
}

struct batch *batch_set_aside(struct store *store)
{
    struct batch *batch = store->batch;

    GV_ASSERT(batch != NULL && batch->new_count == 0);
    GV_ASSERT(batch->changed_count == 0);
    store->batch = NULL;
    return batch;
}

void batch_resume(struct store *store, struct batch *batch)
{
    GV_ASSERT(store->batch == NULL);
    GV_ASSERT(batch->at <= batch->count && batch->new_count == 0);
    store->batch = batch;
}

size_t batch_count(const struct batch *batch)
{
    GV_ASSERT(batch->count <= batch->room);
    return batch->count;
}

size_t batch_values_size(const struct batch *batch)
{
    GV_ASSERT(batch->values.error == GV_OK);
    return batch->values.size;
}

int batch_add(struct store *store, const uint8_t *key, size_t size)
{
    struct batch *batch = store->batch;
    size_t at = batch->keys.size;
    int rc = buffer_append(&batch->keys, key, size);

    GV_ASSERT(batch->count < batch->room);
    GV_ASSERT(size > 0);
    if (rc != GV_OK)
        return rc;
    batch->order[batch->count] = (uint32_t)batch->count;
    batch->rows[batch->count++] =
        (struct batch_row){.key_at = at, .key_size = size};
    return GV_OK;
}

static bool has_key(const struct batch *batch, size_t at,
                    const struct row_key *key)
{
    const struct batch_row *row = &batch->rows[at];

    return at < batch->count && row->key_size == key->size &&
           memcmp(batch->keys.data + row->key_at, key->bytes, key->size) == 0;
}

const struct batch_row *batch_find(struct store *store,
                                   const struct store_table *table,
                                   const struct row_key *key)
{
    struct batch *batch = store->batch;

    if (batch == NULL || batch->table != table)
        return NULL;
    GV_ASSERT(batch->at <= batch->count);
    if (has_key(batch, batch->at, key))
        return &batch->rows[batch->at];
    if (!has_key(batch, batch->at + 1, key))
        return NULL;
    return &batch->rows[++batch->at];
}

bool batch_begins(const struct batch *batch, const struct store_table *table,
                  const struct row_key *key)
{
    GV_ASSERT(batch->at == 0 && batch->new_count == 0);
    return batch->table == table && has_key(batch, 0, key);
}

void batch_outdated(struct store *store, const struct store_table *table,
                    const struct row_key *key)
{
    struct batch *batch = store->batch;

    if (batch_find(store, table, key) == NULL)
        return;
    GV_ASSERT(batch->at < batch->count);
    batch->rows[batch->at].read = false;
}

const uint8_t *batch_state(const struct store *store,
                           const struct batch_row *row)
{
    GV_ASSERT(row->stored);
    return store->batch->states.data + row->state_at;
}
