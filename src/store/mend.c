/* Rows from one file into another, asked for by a person: whole, under the
 * dots that they have, past vectors and claims.
 *
 * What is sound on both sides is merged, so that of two contents of one dot
 * the larger digest wins everywhere.  What is damaged or gone here goes first,
 * with the row in the user's table, and the peer's takes its place; but where
 * a local write of a damaged row waits, the user's row comes back then. */
#include "store/apply.h"

#include "base/assert.h"
#include "base/plant.h"
#include "store/aside.h"
#include "store/audit.h"
#include "store/extract.h"
#include "store/journal.h"
#include "store/keys.h"
#include "store/mend_alone.h"
#include "store/pass.h"
#include "store/rows.h"
#include "store/schema.h"
#include "store/settle.h"
#include "store/user.h"

#include <stdlib.h>
#include <string.h>

/* Transactions until a row that was found written past the triggers, or a
 * journal that is not empty, counts as written without a pause. */
#define TRIES_MAX 5

/* Reading */

static int seal_now(struct store *store, struct gv_error *error)
{
    struct store_sealed sealed;
    int rc = store_begin(store, error);

    GV_ASSERT((rc == GV_OK) == store->in_transaction);
    return rc == GV_OK ? store_commit(store, &sealed, error) : rc;
}

int mend_find(const struct store *store, const struct proof_name *name,
              struct store_table **table, struct row_key *key)
{
    *table = schema_by_wire(store, name->table.bytes, name->table.size);
    if (*table == NULL)
        return GV_OK;
    return row_key_decode(key, name->key, name->key_size, (*table)->key_count);
}

/* Whether the row in store->space may leave. */
static bool is_sound(const struct store *store, const struct vv *meet)
{
    const struct row *row = &store->space.row;
    bool sound = store->space.stored;

    GV_ASSERT(row->record_count <= store->space.capacity);
    for (size_t i = 0; i < row->record_count && sound; i++)
        sound = row->records[i].version <=
                vv_get(meet, &store->sites[row->records[i].site]);
    return sound;
}

static int add_place(struct store *store, const struct vv *meet,
                     const struct proof_name *name, struct buffer *places)
{
    struct store_table *table;
    struct row_key key;
    struct row_place place;
    int rc = mend_find(store, name, &table, &key);

    GV_ASSERT(places->size % sizeof place == 0);
    if (rc != GV_OK || table == NULL || table->suspended)
        return rc;
    rc = rows_find(store, table, &key, NULL);
    if (rc == GV_ECORRUPT || (rc == GV_OK && !is_sound(store, meet)))
        return GV_OK;
    if (rc != GV_OK)
        return rc;
    place = (struct row_place){table->id, store->space.rid};
    return buffer_append(places, &place, sizeof place);
}

/* The places of the named rows, ascending. */
static int find_places(struct store *store, struct vv_view meet_view,
                       const uint8_t *names, size_t size,
                       struct buffer *places)
{
    const uint8_t *at = names, *end = names + size;
    struct proof_name name;
    struct vv meet;
    int rc;

    GV_ASSERT(places->size == 0);
    vv_init(&meet);
    rc = vv_raise_view(&meet, meet_view);
    while (rc == GV_OK && at < end) {
        rc = proof_read_name(&at, end, &name);
        if (rc == GV_OK)
            rc = add_place(store, &meet, &name, places);
    }
    vv_close(&meet);
    if (places->size > 0)
        qsort(places->data, places->size / sizeof(struct row_place),
              sizeof(struct row_place), place_compare);
    return rc;
}

/* All that an extract gives, at most @limit bytes. */
static int read_all(struct extract *extract, size_t limit,
                    struct buffer *stream, struct gv_error *error)
{
    bool done = false;
    uint8_t *room;
    int rc = GV_OK;

    GV_ASSERT(stream->size == 0);
    while (rc == GV_OK && !done)
        rc = extract_step(extract, SIZE_MAX, &done, error);
    if (rc != GV_OK)
        return rc;
    if (extract_size(extract) > limit)
        return error_set(error, GV_ELIMIT, "The rows do not fit a frame.");
    room = buffer_extend(stream, extract_size(extract));
    if (room == NULL)
        return stream->error;
    return extract_read(extract, 0, room, extract_size(extract));
}

static int read_once(struct store *store, struct vv_view meet,
                     const uint8_t *names, size_t names_size, size_t limit,
                     struct buffer *stream, struct gv_error *error)
{
    struct extract *extract = NULL;
    struct buffer places;
    int rc = seal_now(store, error);

    if (rc != GV_OK)
        return rc;
    buffer_init(&places, SIZE_MAX);
    rc = find_places(store, meet, names, names_size, &places);
    if (rc == GV_OK && places.size > 0) {
        rc = extract_rows(store, (const struct row_place *)places.data,
                          places.size / sizeof(struct row_place), &extract,
                          error);
        if (rc == GV_OK)
            rc = read_all(extract, limit, stream, error);
        extract_free(extract);
    }
    buffer_close(&places);
    return rc;
}

int mend_read(struct store *store, struct vv_view meet, const uint8_t *names,
              size_t names_size, size_t limit, struct buffer *stream,
              struct gv_error *error)
{
    int rc = GV_EBUSY;

    GV_ASSERT(!store->in_transaction && stream->size == 0);
    for (int i = 0; i < TRIES_MAX && (rc == GV_EBUSY || rc == GV_EDIFFERS);
         i++)
        rc = read_once(store, meet, names, names_size, limit, stream, error);
    return rc == GV_EDIFFERS ? GV_EBUSY : rc;
}

/* Writing */

/* The items of a stream, and what its tables are here. */
struct items {
    const uint8_t *bytes;
    size_t size, at;
    struct buffer tables; /* struct store_table *, NULL: not known */
};

/* 1: an item; 0: the end; GV_EPROTO. */
static int next_item(struct items *items, struct stream_item *item)
{
    size_t left = items->size - items->at, size;

    GV_ASSERT(items->at <= items->size);
    if (left == 0)
        return 0;
    if (left < STREAM_HEADER_SIZE)
        return GV_EPROTO;
    size = load_u32(items->bytes + items->at);
    if (size > left - STREAM_HEADER_SIZE)
        return GV_EPROTO;
    items->at += STREAM_HEADER_SIZE + size;
    GV_ASSERT(items->at <= items->size);
    return stream_decode(items->bytes + items->at - size, size, item) == GV_OK
               ? 1
               : GV_EPROTO;
}

static int drop_user_row(struct store *store, struct store_table *table,
                         const struct row_key *key)
{
    bool present = false;
    int rc = GV_OK;

    GV_ASSERT(store->in_transaction && !store->firing);
    if (!table->shown)
        return GV_OK;
    rc = user_read(store, table, key, store->values, &present);
    user_read_done(table);
    return rc == GV_OK && present ? user_delete(store, table, key) : rc;
}

/* Make room for a row whose log is damaged or gone. */
static int clear_row(struct store *store, struct store_table *table,
                     const struct row_key *key, struct aside **aside)
{
    int rc = rows_find(store, table, key, NULL);
    bool damaged = rc == GV_ECORRUPT;

    GV_ASSERT(store->in_transaction);
    if (rc == GV_OK && store->space.stored)
        return GV_OK;
    if (!damaged && rc != GV_OK)
        return rc;
    if (damaged) {
        rc = mend_drop_damaged(store, table, key);
        if (rc == GV_OK && table->shown)
            rc = aside_take(store, table, key, aside);
    }
    return rc == GV_OK ? drop_user_row(store, table, key) : rc;
}

static int clear_item(struct store *store, struct items *items,
                      const struct stream_item *item, struct aside **aside)
{
    struct store_table *table = NULL;
    struct row_key key;

    GV_ASSERT(items->tables.size % sizeof table == 0);
    if (item->kind == STREAM_TABLE) {
        struct stream_text wire = item->as.table.head.wire;

        table = schema_by_wire(store, wire.bytes, wire.size);
        return buffer_append(&items->tables, &table, sizeof table);
    }
    if (item->kind != STREAM_ROW)
        return GV_OK;
    if (item->as.row.table >= items->tables.size / sizeof table)
        return GV_EPROTO;
    memcpy(&table, items->tables.data + item->as.row.table * sizeof table,
           sizeof table);
    if (table == NULL)
        return GV_OK;
    if (row_key_decode(&key, item->as.row.key, item->as.row.key_size,
                       table->key_count) != GV_OK)
        return GV_EPROTO;
    return clear_row(store, table, &key, aside);
}

static int clear_rows(struct store *store, const uint8_t *stream, size_t size,
                      struct aside **aside)
{
    struct items items = {.bytes = stream, .size = size};
    struct stream_item item;
    int rc;

    buffer_init(&items.tables, SIZE_MAX);
    while ((rc = next_item(&items, &item)) > 0) {
        rc = clear_item(store, &items, &item, aside);
        if (rc != GV_OK)
            break;
    }
    buffer_close(&items.tables);
    return rc;
}

/* What stands beside the log of rows that are not there any more: a row that
 * comes back may get the number that one of them had. */
static int drop_strays(struct store *store)
{
    static const char *const beside[] = {"gv_ver", "gv_parked", "gv_cell"};
    int rc = GV_OK;

    GV_ASSERT(store->in_transaction);
    if (plant("strays-stay"))
        return GV_OK;
    for (size_t i = 0; i < store->table_count; i++)
        for (size_t j = 0; j < 3 && rc == GV_OK; j++)
            rc = sql_run(store->db,
                         "DELETE FROM %s WHERE tbl=%lld AND rid NOT IN"
                         "(SELECT rid FROM gv_row_%lld)",
                         beside[j], (long long)store->tables[i]->id,
                         (long long)store->tables[i]->id);
    return rc;
}

static int claim_nothing(struct apply *apply)
{
    GV_ASSERT(apply->offset == apply->size);
    return GV_OK;
}

static int merge_rows(struct store *store, struct vv_view meet_view,
                      const uint8_t *stream, size_t size,
                      struct gv_error *error)
{
    struct apply apply = {
        .store = store, .error = error, .bytes = stream, .size = size};
    struct vv meet;
    bool ended;
    int rc;

    GV_ASSERT(store->in_transaction);
    if (size == 0)
        return GV_OK;
    vv_init(&meet);
    rc = vv_raise_view(&meet, meet_view);
    apply.claim = &meet; /* no record above it is taken */
    buffer_init(&apply.item, STREAM_ITEM_SIZE_MAX);
    if (rc == GV_OK)
        rc = apply_rows(&apply, SIZE_MAX, claim_nothing, &ended);
    incoming_close(&apply);
    vv_close(&meet);
    return rc;
}

static int apply_once(struct store *store, struct vv_view meet,
                      const uint8_t *stream, size_t size,
                      struct gv_error *error)
{
    struct store_sealed sealed;
    struct aside *aside = NULL;
    int rc = store_begin(store, error);

    if (rc != GV_OK)
        return rc;
    rc = clear_rows(store, stream, size, &aside);
    if (rc == GV_OK)
        rc = drop_strays(store);
    if (rc == GV_OK)
        rc = merge_rows(store, meet, stream, size, error);
    if (rc == GV_OK)
        rc = aside_put_back(store, aside);
    aside_free(&aside);
    if (rc == GV_OK)
        rc = settle_log(store, error);
    if (rc != GV_OK) {
        store_rollback(store);
        return rc;
    }
    return store_commit(store, &sealed, error);
}

/* The row that an apply found written past the triggers is a local write: the
 * next transaction seals it. */
static int journal_past(struct store *store, struct gv_error *error)
{
    struct store_table *table = schema_by_id(store, store->past_table);
    struct store_sealed sealed;
    struct row_key key;
    int rc;

    GV_ASSERT(!store->in_transaction);
    if (table == NULL || audit_pending(store))
        return GV_EBUSY;
    rc = store_begin(store, error);
    if (rc != GV_OK)
        return rc;
    rc = row_key_decode(&key, store->past_key.data, store->past_key.size,
                        table->key_count);
    if (rc == GV_OK)
        rc = journal_row(store, table, &key);
    if (rc == GV_OK)
        return store_commit(store, &sealed, error);
    store_rollback(store);
    return rc;
}

int mend_apply(struct store *store, struct vv_view meet, const uint8_t *stream,
               size_t size, struct gv_error *error)
{
    int rc = GV_EDIFFERS;

    GV_ASSERT(!store->in_transaction);
    if (!vv_covers_view(&store->vv, meet))
        return error_set(error, GV_EPROTO, "More is claimed than is held.");
    for (int i = 0; i < TRIES_MAX && rc == GV_EDIFFERS; i++) {
        rc = apply_once(store, meet, stream, size, error);
        if (rc == GV_EDIFFERS && journal_past(store, error) != GV_OK)
            return GV_EBUSY;
    }
    return rc == GV_EDIFFERS ? GV_EBUSY : rc;
}
