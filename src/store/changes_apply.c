/* Changes put together again: rows from their cells, and a delta from those.
 */
#include "store/changes.h"

#include "base/assert.h"
#include "store/bundle.h"
#include "store/cells.h"
#include "store/fragments.h"
#include "store/identity.h"
#include "store/internal.h"
#include "store/keys.h"
#include "store/kinds.h"
#include "store/schema.h"
#include "store/state.h"

#include <stdlib.h>
#include <string.h>

static int compare_bytes(const void *a, size_t a_size, const void *b,
                         size_t b_size)
{
    size_t size = a_size < b_size ? a_size : b_size;
    int order = size == 0 ? 0 : memcmp(a, b, size);

    return order != 0 ? order : a_size < b_size ? -1 : a_size > b_size;
}

/* Of one row of one table. */
static int compare_rows(const struct change *a, const struct change *b)
{
    int order = compare_bytes(a->table.bytes, a->table.size, b->table.bytes,
                              b->table.size);

    return order != 0
               ? order
               : compare_bytes(a->key, a->key_size, b->key, b->key_size);
}

static int compare_changes(const void *a, const void *b)
{
    const struct change *x = *(const struct change *const *)a;
    const struct change *y = *(const struct change *const *)b;
    uint64_t x_hash, y_hash;
    int order = compare_rows(x, y);

    if (order != 0)
        return order;
    x_hash = change_hash(x);
    y_hash = change_hash(y);
    return x_hash < y_hash ? -1 : x_hash > y_hash;
}

/* Sort @list, and keep one of those that say the same. */
static size_t arrange(const struct change **list, size_t count)
{
    size_t kept = 0;

    if (count > 0)
        qsort(list, count, sizeof(const struct change *), compare_changes);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || compare_changes(&list[kept - 1], &list[i]) != 0)
            list[kept++] = list[i];
    GV_ASSERT(kept <= count);
    return kept;
}

static int check_whole(const struct change **list, size_t count,
                       const struct changes_sum *sum, struct gv_error *error)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < count; i++)
        hash += change_hash(list[i]);
    if (count == sum->count && hash == sum->hash)
        return GV_OK;
    if (count != sum->count)
        error_set(error, GV_EPROTO,
                  "The changes are not whole: %zu came of %llu.", count,
                  (unsigned long long)sum->count);
    else
        error_set(error, GV_EPROTO,
                  "The changes are not what was selected: a value was changed"
                  " on the way.");
    error_meaning(error, "Claimed as they are, what is missing would never"
                         " come any more; nothing of them was applied.");
    error_remedy(error, "Carry all rows in one transaction, values bound and"
                        " not printed, or use gv_delta() and gv_apply().");
    return GV_EPROTO;
}

static int not_known(const struct change *change, bool table,
                     struct gv_error *error)
{
    GV_ASSERT(table || change->column.bytes != NULL);
    error_set(error, GV_ESCHEMA, "There is no %s '%.*s' in what is tracked.",
              table ? "table" : "column",
              (int)(table ? change->table.size : change->column.size),
              table ? change->table.bytes : change->column.bytes);
    error_meaning(error, "Changes name tables and columns and do not describe"
                         " them; nothing of them was applied.");
    error_remedy(error, "Make it here and track it, or use gv_delta() and"
                        " gv_apply(), which carry definitions.");
    return GV_ESCHEMA;
}

/* The bit of a change's column; 0 for existence, -1 if there is none. */
static int bit_of(const struct store_table *table, const struct change *change)
{
    const struct text *name = &change->column;

    if (name->bytes == NULL)
        return ROW_EXISTENCE;
    GV_ASSERT(table->column_count < ROW_BITS_MAX);
    for (size_t i = 0; i < table->column_count; i++)
        if (strlen(table->columns[i].wire) == name->size &&
            memcmp(table->columns[i].wire, name->bytes, name->size) == 0)
            return (int)i + 1;
    return -1;
}

/* The record of (@number, @version), one of @space's first *@count. */
static struct record *record_of(struct row_space *space, size_t *count,
                                size_t words, uint32_t number,
                                gv_version version)
{
    struct record *record;

    for (size_t i = 0; i < *count; i++)
        if (space->records[i].site == number &&
            space->records[i].version == version)
            return &space->records[i];
    GV_ASSERT(*count < space->capacity);
    record = &space->records[(*count)++];
    record->site = number;
    record->version = version;
    memset(record->mask, 0, words * sizeof *record->mask);
    return record;
}

/* A row's fragment in the making: records in store->fragment, values and
 * digests where fragments_add() looks for them. */
struct making {
    const struct store_table *table;
    uint64_t seen[ROW_WORDS_MAX];
    size_t records;
};

/* The cell of one site, which fragments_add() finds with the row. */
static int add_each(struct store *store, const struct store_table *table,
                    const struct change *change, size_t bit, uint32_t number)
{
    bool sums = table->columns[bit - 1].kind == COLUMN_COUNTER;
    struct cell *cell;

    GV_ASSERT(kinds_each(table, bit));
    if (change->hollow || (sums && (change->value.class != VALUE_INTEGER ||
                                    change->over.count > 0)))
        return GV_EPROTO;
    if (!vv_view_valid(change->over) ||
        cells_get(&store->space.cells, bit, number) != NULL)
        return GV_EPROTO;
    cell = cells_put(&store->space.cells, bit, number);
    if (cell == NULL)
        return GV_ENOMEM;
    GV_ASSERT(cell->owned == NULL); /* it borrows the change's bytes */
    cell->version = change->version;
    cell->value = change->value;
    cell->over = change->over;
    return GV_OK;
}

/* The value of a column that only one wrote last, or existence. */
static int add_value(struct store *store, struct making *making,
                     const struct change *change, size_t bit)
{
    if (change->over.count > 0 || mask_get(making->seen, bit))
        return GV_EPROTO;
    mask_set(making->seen, bit);
    if (bit == ROW_EXISTENCE)
        return GV_OK;
    GV_ASSERT(bit <= making->table->column_count);
    store->values[bit - 1] = change->value;
    if (change->hollow) {
        mask_set(store->hollow, bit);
        store->space.row.digests[bit] = change->digest;
    }
    return GV_OK;
}

static int add_cell(struct store *store, struct making *making,
                    const struct change *change, struct gv_error *error)
{
    int bit = bit_of(making->table, change);
    uint32_t number;
    int rc;

    if (bit < 0)
        return not_known(change, false, error);
    rc = site_number(store, &change->site, &number);
    GV_ASSERT(rc != GV_OK || number < store->site_count);
    if (rc == GV_OK)
        rc = kinds_each(making->table, (size_t)bit)
                 ? add_each(store, making->table, change, (size_t)bit, number)
                 : add_value(store, making, change, (size_t)bit);
    if (rc != GV_OK)
        return rc;
    mask_set(record_of(&store->fragment, &making->records,
                       making->table->words, number, change->version)
                 ->mask,
             (size_t)bit);
    return GV_OK;
}

/* One row's fragment out of its changes, in which no cell stands twice; no
 * more records than changes. */
static int add_row(struct store *store, struct fragments *fragments,
                   const struct change *const *list, size_t count,
                   struct gv_error *error)
{
    struct store_table *table =
        schema_by_wire(store, list[0]->table.bytes, list[0]->table.size);
    struct making making = {.table = table};
    struct row_key key;
    int rc;

    GV_ASSERT(count > 0);
    if (table == NULL)
        return not_known(list[0], true, error);
    if (row_key_decode(&key, list[0]->key, list[0]->key_size,
                       table->key_count) != GV_OK)
        return GV_EPROTO;
    memset(store->hollow, 0, sizeof store->hollow);
    row_space_use(&store->fragment, table);
    row_space_use(&store->space, table);
    cells_clear(&store->space.cells);
    rc = row_space_reserve(&store->fragment, count, table->words);
    if (rc == GV_OK) /* for the causal length and digests */
        rc = row_space_reserve(&store->space, 1, table->words);
    store->space.row.causal_length = list[0]->causal_length;
    for (size_t i = 0; i < count && rc == GV_OK; i++)
        rc = list[i]->causal_length == list[0]->causal_length
                 ? add_cell(store, &making, list[i], error)
                 : GV_EPROTO;
    GV_ASSERT(making.records <= count);
    return rc != GV_OK
               ? rc
               : fragments_add(fragments, store, table, &key,
                               store->fragment.records, making.records);
}

static int add_rows(struct store *store, struct buffer *stream,
                    const struct change *const *list, size_t count,
                    struct gv_error *error)
{
    struct fragments fragments;
    int rc = GV_OK;

    GV_ASSERT(store->in_transaction); /* sites may be given numbers */
    fragments_init(&fragments, stream);
    for (size_t i = 0, end; i < count && rc == GV_OK; i = end) {
        for (end = i + 1; end < count && compare_rows(list[i], list[end]) == 0;
             end++)
            ;
        rc = add_row(store, &fragments, list + i, end - i, error);
    }
    fragments_close(&fragments);
    if (rc == GV_EPROTO)
        error_set(error, rc, "The changes are not those of any row.");
    return rc;
}

/* Put together, then apply as any delta. */
static int take(struct store *store, const struct change *const *list,
                size_t count, struct vv_view claim, struct gv_error *error)
{
    struct buffer stream;
    uint64_t token;
    int rc;

    do
        store->host->random(store->host->context, &token, sizeof token);
    while (token == 0);
    GV_ASSERT(store->in_transaction && store->inbox.token == 0);
    buffer_init(&stream, SIZE_MAX);
    rc = add_rows(store, &stream, list, count, error);
    if (rc == GV_OK) {
        rc = store_stage(store, token, 0, stream.data, stream.size);
        if (rc == GV_OK)
            rc = store_apply_delta(store, token, claim, error);
    }
    if (rc != GV_OK && (error == NULL || error->code != rc))
        error_set(error, rc, "The changes cannot be applied: %s.",
                  gv_strerror(rc));
    buffer_close(&stream);
    store_stage_drop(store, token);
    return rc;
}

int changes_apply(struct store *store, const struct change **list,
                  size_t count, const struct changes_sum *sum,
                  struct vv_view base, struct vv_view claim,
                  struct gv_error *error)
{
    struct store_sealed sealed;
    int rc;

    GV_ASSERT(!store->in_transaction);
    count = arrange(list, count);
    rc = check_whole(list, count, sum, error);
    if (rc == GV_OK)
        rc = store_begin(store, error);
    if (rc != GV_OK)
        return rc;
    rc = bundle_check(store, base, claim, error);
    if (rc == GV_OK)
        rc = take(store, list, count, claim, error);
    if (rc == GV_OK)
        rc = store_commit(store, &sealed, error);
    else
        store_rollback(store);
    GV_ASSERT(!store->in_transaction);
    return rc;
}
