/* Rows of an apply, a run of them at once: what the log says of all of them is
 * read by one statement, and new rows of the log and of the user's table are
 * written many by one (batch.h, inserts.c), and so are changed ones
 * (updates.c).
 *
 * A run is of one table, and no key stands in it twice, so that no row of it
 * can change what was read of another.  Rows are merged in the order in which
 * they came. */
#include "store/apply.h"

#include "base/assert.h"
#include "store/batch.h"
#include "store/keys.h"

#include <stdlib.h>
#include <string.h>

/* What one statement costs is next to nothing for each of so many, and they
 * stay in the processor's cache. */
#define RUN_ROWS_MAX 512
#define RUN_SLOTS 2048

_Static_assert(RUN_SLOTS >= 2 * RUN_ROWS_MAX, "free slots end each search");
_Static_assert((RUN_SLOTS & (RUN_SLOTS - 1)) == 0, "a mask finds a slot");
_Static_assert(RUN_ROWS_MAX < UINT16_MAX, "a slot holds a row's index + 1");

struct ahead {
    struct stream_item items[RUN_ROWS_MAX];
    size_t count;
    uint16_t slots[RUN_SLOTS]; /* keys of the run; 0: free */
    /* Keys of one column that come in the order of the log's index. */
    bool ascending;
    struct value last;
};

void ahead_close(struct apply *apply)
{
    free(apply->ahead);
    apply->ahead = NULL;
}

/* Where a key is looked for first.  Only speed depends on it: who sends keys
 * that all meet in one slot makes a run slow, some 5 us a row. */
static size_t slot_of(const uint8_t *key, size_t size)
{
    uint64_t mixed = size;

    GV_ASSERT(size > 0);
    if (size < 8) {
        for (size_t i = 0; i < size; i++)
            mixed = mixed << 8 ^ key[i];
    } else {
        mixed ^= load_u64(key) * UINT64_C(0xff51afd7ed558ccd);
        mixed ^= load_u64(key + size / 2 - 4) * UINT64_C(0xc4ceb9fe1a85ec53);
        mixed ^= load_u64(key + size - 8);
    }
    return (size_t)(mixed * UINT64_C(0x9e3779b97f4a7c15) >> 53) % RUN_SLOTS;
}

/* Note the key of @item as the run's next; false if the run has it. */
static bool note_key(struct ahead *ahead, const struct stream_item *item)
{
    const uint8_t *key = item->as.row.key;
    size_t size = item->as.row.key_size, at = slot_of(key, size);

    GV_ASSERT(ahead->count < RUN_ROWS_MAX);
    for (; ahead->slots[at] != 0; at = (at + 1) % RUN_SLOTS) {
        const struct stream_item *other = &ahead->items[ahead->slots[at] - 1];

        GV_ASSERT(ahead->slots[at] <= ahead->count);
        if (other->as.row.key_size == size &&
            memcmp(other->as.row.key, key, size) == 0)
            return false;
    }
    ahead->slots[at] = (uint16_t)(ahead->count + 1);
    return true;
}

/* Whether the row can be looked up; what is wrong with it is said when it is
 * merged. */
static bool key_is_sound(struct ahead *ahead, const struct store_table *table,
                         const struct stream_item *item)
{
    struct row_key key;

    if (item->as.row.key_size == 0 ||
        row_key_decode(&key, item->as.row.key, item->as.row.key_size,
                       table->key_count) != GV_OK ||
        (table->integer_key && key.values[0].class != VALUE_INTEGER))
        return false;
    ahead->ascending =
        ahead->ascending && key.count == 1 &&
        (ahead->count == 0 || value_behind(&ahead->last, &key.values[0]));
    ahead->last = key.values[0];
    return true;
}

/* Read the run that begins with @first, at most @max rows. */
static int gather(struct apply *apply, const struct stream_item *first,
                  size_t max)
{
    struct ahead *ahead = apply->ahead;
    const struct store_table *table = apply->tables[first->as.row.table].table;
    int rc = GV_OK;

    GV_ASSERT(max > 0 && max <= RUN_ROWS_MAX);
    memset(ahead->slots, 0, sizeof ahead->slots);
    ahead->count = 0;
    ahead->ascending = true;
    ahead->items[0] = *first;
    if (!key_is_sound(ahead, table, first) || !note_key(ahead, first))
        max = 1;
    ahead->count = 1;
    while (ahead->count < max && incoming_fits(apply)) {
        struct stream_item *item = &ahead->items[ahead->count];
        uint64_t before = apply->offset;

        rc = incoming_next(apply, item);
        if (rc < 0)
            return rc;
        if (rc == 0)
            break;
        if (item->kind != STREAM_ROW ||
            item->as.row.table != first->as.row.table ||
            !key_is_sound(ahead, table, item) || !note_key(ahead, item)) {
            apply->offset = before;
            break;
        }
        ahead->count++;
    }
    return GV_OK;
}

/* Whether the run stands behind all that the log has of its table, as it does
 * while a table comes as a whole: then there is nothing to read. */
static int all_new(struct store *store, const struct ahead *ahead,
                   struct store_table *table, bool *new)
{
    struct row_key key;
    struct value last;
    int rc = GV_OK;

    *new = false;
    if (!ahead->ascending)
        return GV_OK;
    GV_ASSERT(table->key_count == 1);
    if (table->row_last == NULL)
        rc =
            sql_prepare(store->db, &table->row_last,
                        table->integer_key ? "SELECT max(rid) FROM gv_row_%lld"
                                           : "SELECT max(k1) FROM gv_row_%lld",
                        (long long)table->id);
    if (rc == GV_OK)
        rc = row_key_decode(&key, ahead->items[0].as.row.key,
                            ahead->items[0].as.row.key_size, 1);
    if (rc != GV_OK)
        return rc;
    rc = sql_step(table->row_last);
    if (rc <= 0)
        return rc;
    sql_column_value(table->row_last, 0, &last);
    *new = last.class == VALUE_NULL || value_behind(&last, &key.values[0]);
    sqlite3_reset(table->row_last);
    return GV_OK;
}

/* Let the log's rows of the run be read at once. */
static int read_log(struct apply *apply)
{
    struct store *store = apply->store;
    const struct ahead *ahead = apply->ahead;
    struct store_table *table =
        apply->tables[ahead->items[0].as.row.table].table;
    bool new = false;
    int rc = batch_begin(store, table);

    GV_ASSERT(ahead->count <= batch_room(table));
    if (rc == GV_OK && table->shown)
        rc = batch_look_for_rowid(store, table);
    if (rc == GV_OK)
        rc = all_new(store, ahead, table, &new);
    for (size_t i = 0; rc == GV_OK && i < ahead->count; i++)
        rc = batch_add(store, ahead->items[i].as.row.key,
                       ahead->items[i].as.row.key_size);
    return rc == GV_OK && !new ? batch_read_states(store) : rc;
}

static int merge_item(struct apply *apply, struct stream_item *item)
{
    struct store_table *table = NULL;
    struct row_key key;
    int rc = incoming_row(apply, item, &table, &key);

    return rc == GV_OK ? merge_fragment(apply, table, &key) : rc;
}

/* Whether the run is worth a statement.  An application's connection has no
 * gv_batch. */
static bool reads_ahead(const struct apply *apply)
{
    const struct store *store = apply->store;

    return apply->ahead->count >= store->limits.apply_many && !store->borrowed;
}

static int merge_run(struct apply *apply)
{
    struct store *store = apply->store;
    struct ahead *ahead = apply->ahead;
    bool batch = reads_ahead(apply);
    int rc = batch ? read_log(apply) : GV_OK;

    GV_ASSERT(ahead->count > 0 && ahead->count <= RUN_ROWS_MAX);
    for (size_t i = 0; rc == GV_OK && i < ahead->count; i++)
        rc = merge_item(apply, &ahead->items[i]);
    if (rc == GV_OK && batch)
        rc = inserts_flush(apply);
    if (rc == GV_OK && batch)
        rc = updates_flush(apply);
    if (rc == GV_OK && batch)
        rc = batch_flush(store);
    if (batch)
        batch_end(store);
    /* What waits there is the run's, and the tables may be read anew before
     * the next one. */
    inserts_close(apply);
    updates_close(apply);
    return rc;
}

/* Read the run that begins with @first, of at most @max rows; *@taken. */
static int begin_run(struct apply *apply, const struct stream_item *first,
                     size_t max, size_t *taken)
{
    size_t room;
    int rc;

    GV_ASSERT(first->kind == STREAM_ROW && max > 0);
    GV_ASSERT(apply->store->batch == NULL);
    *taken = 1;
    if (first->as.row.table >= apply->table_count)
        return incoming_malformed(apply, "a table that was not named");
    if (apply->ahead == NULL)
        apply->ahead = malloc(sizeof *apply->ahead);
    if (apply->ahead == NULL)
        return GV_ENOMEM;
    room = batch_room(apply->tables[first->as.row.table].table);
    room = room < RUN_ROWS_MAX ? room : RUN_ROWS_MAX;
    rc = gather(apply, first, room < max ? room : max);
    if (rc == GV_OK)
        *taken = apply->ahead->count;
    return rc;
}

int ahead_merge(struct apply *apply, struct stream_item *first, size_t max,
                size_t *taken)
{
    int rc;

    *taken = 1;
    /* Most intervals are of one row. */
    if (apply->offset == apply->size)
        return merge_item(apply, first);
    rc = begin_run(apply, first, max, taken);
    return rc == GV_OK ? merge_run(apply) : rc;
}

/* Whether nothing is to do for a row.  What is wrong with the log's is said
 * when it is merged. */
static int compare_item(struct apply *apply, const struct stream_item *item)
{
    struct stream_item read = *item;
    struct store_table *table = NULL;
    struct row_key key;
    int rc;

    GV_ASSERT(apply->held);
    if (held_row(apply, item))
        return GV_OK;
    rc = incoming_row(apply, &read, &table, &key);
    if (rc == GV_OK)
        rc = merge_held(apply, table, &key, NULL, &apply->held);
    if (rc != GV_ECORRUPT)
        return rc;
    apply->held = false;
    return GV_OK;
}

int ahead_screen(struct apply *apply, const struct stream_item *first,
                 size_t max, size_t *taken)
{
    struct store *store = apply->store;
    struct ahead *ahead;
    size_t at = 0;
    bool batch;
    int rc = begin_run(apply, first, max, taken);

    GV_ASSERT(apply->checking && apply->held);
    if (rc != GV_OK)
        return rc;
    ahead = apply->ahead;
    batch = reads_ahead(apply);
    if (batch)
        rc = read_log(apply);
    while (rc == GV_OK && at < ahead->count) {
        rc = compare_item(apply, &ahead->items[at]);
        if (rc != GV_OK || !apply->held)
            break;
        at++;
    }
    if (batch)
        batch_end(store);
    /* The others from the first one on that is news. */
    for (; rc == GV_OK && at < ahead->count; at++)
        rc = screen_row(apply, &ahead->items[at]);
    return rc;
}
