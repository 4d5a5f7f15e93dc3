/* Screening: what must be refused of a delta is refused before its first slice
 * shows anything.
 *
 * The rows are read twice for that, so this looks at nothing that the merge
 * could not refuse: no value is digested or kept, and the log is asked only
 * for the lives that a row goes on with and does not begin, of many rows at
 * once. */
#include "store/apply.h"

#include "base/assert.h"
#include "store/batch.h"
#include "store/keys.h"
#include "store/rows.h"

#include <stdlib.h>
#include <string.h>

/* As many as a run of the merge has; see ahead.c. */
#define ROWS_MAX 512

struct waiting_row {
    size_t key_at, key_size; /* in the screen's keys */
    uint64_t causal_length;
};

struct screen {
    struct store_table *table; /* of all that wait */
    struct waiting_row rows[ROWS_MAX];
    size_t count;
    struct buffer keys;
};

void screen_close(struct apply *apply)
{
    if (apply->screen != NULL)
        buffer_close(&apply->screen->keys);
    free(apply->screen);
    apply->screen = NULL;
}

/* Whether the log has the life that the row goes on with. */
static int judge(struct apply *apply, const struct waiting_row *row,
                 uint64_t causal_length)
{
    GV_ASSERT(apply->checking && row->causal_length > 0);
    return row->causal_length > causal_length
               ? incoming_malformed(apply, "a new life without its beginning")
               : GV_OK;
}

static int look_up(struct apply *apply)
{
    struct store *store = apply->store;
    struct screen *screen = apply->screen;
    int rc = batch_begin(store, screen->table);

    GV_ASSERT(screen->count <= batch_room(screen->table));
    for (size_t i = 0; rc == GV_OK && i < screen->count; i++)
        rc = batch_add(store, screen->keys.data + screen->rows[i].key_at,
                       screen->rows[i].key_size);
    if (rc == GV_OK)
        rc = batch_read_states(store);
    for (size_t i = 0; rc == GV_OK && i < screen->count; i++)
        rc = judge(apply, &screen->rows[i], batch_causal_length(store, i));
    batch_end(store);
    return rc;
}

/* An application's connection has no gv_batch. */
static int look_up_each(struct apply *apply)
{
    struct store *store = apply->store;
    struct screen *screen = apply->screen;
    int rc = GV_OK;

    for (size_t i = 0; rc == GV_OK && i < screen->count; i++) {
        const struct waiting_row *row = &screen->rows[i];
        struct row_key key;

        rc = row_key_decode(&key, screen->keys.data + row->key_at,
                            row->key_size, screen->table->key_count);
        GV_ASSERT(rc == GV_OK); /* it was decoded when it came */
        rc = rows_read(store, screen->table, &key, apply->error);
        if (rc == GV_OK)
            rc = judge(apply, row, store->space.row.causal_length);
    }
    return rc;
}

int screen_flush(struct apply *apply)
{
    struct screen *screen = apply->screen;
    int rc;

    GV_ASSERT(apply->store->batch == NULL);
    if (screen == NULL || screen->count == 0)
        return GV_OK;
    rc = apply->store->borrowed ? look_up_each(apply) : look_up(apply);
    screen->count = 0;
    buffer_clear(&screen->keys);
    return rc;
}

static int make(struct apply *apply)
{
    if (apply->screen != NULL)
        return GV_OK;
    apply->screen = malloc(sizeof *apply->screen);
    if (apply->screen == NULL)
        return GV_ENOMEM;
    apply->screen->table = NULL;
    apply->screen->count = 0;
    buffer_init(&apply->screen->keys, SIZE_MAX);
    return GV_OK;
}

static int let_wait(struct apply *apply, struct store_table *table,
                    const struct stream_item *item)
{
    struct screen *screen;
    size_t room = batch_room(table) < ROWS_MAX ? batch_room(table) : ROWS_MAX;
    int rc = make(apply);

    if (rc != GV_OK)
        return rc;
    screen = apply->screen;
    if (screen->count >= room || screen->table != table)
        rc = screen_flush(apply);
    if (rc != GV_OK)
        return rc;
    GV_ASSERT(screen->count < ROWS_MAX);
    screen->table = table;
    screen->rows[screen->count++] =
        (struct waiting_row){.key_at = screen->keys.size,
                             .key_size = item->as.row.key_size,
                             .causal_length = item->as.row.causal_length};
    return buffer_append(&screen->keys, item->as.row.key,
                         item->as.row.key_size);
}

/* A mask of the stream, which is added to @held. */
static int screen_mask(struct apply *apply,
                       const struct stream_table_here *from,
                       const uint64_t *mask, size_t words, uint64_t *held)
{
    uint64_t ours[ROW_WORDS_MAX];
    int rc;

    GV_ASSERT(words <= ROW_WORDS_MAX);
    for (size_t word = 0; word < words; word++) {
        if ((mask[word] & ~from->whole[word]) != 0) {
            rc = incoming_mask(apply, from, mask, ours);
            GV_ASSERT(rc != GV_OK);
            return rc;
        }
        if ((mask[word] & held[word]) != 0)
            return incoming_malformed(apply, "a column written twice");
        held[word] |= mask[word];
    }
    return GV_OK;
}

static int screen_groups(struct apply *apply,
                         const struct stream_table_here *from,
                         const struct stream_item *item, size_t words,
                         uint64_t *held)
{
    struct cursor groups = item->as.row.groups;
    uint64_t mask[ROW_WORDS_MAX];
    int rc = GV_OK;

    GV_ASSERT(item->as.row.group_count > 0); /* stream_decode() has looked */
    for (size_t i = 0; i < item->as.row.group_count && rc == GV_OK; i++) {
        uint32_t number;
        gv_version version;
        int64_t since;

        if (stream_next_group(&groups, &number, &since, mask, words) != GV_OK)
            return incoming_malformed(apply, "a column that was not named");
        rc = incoming_record(apply, number, since, &version);
        if (rc == GV_OK)
            rc = screen_mask(apply, from, mask, words, held);
    }
    return rc;
}

/* Where no column has a cell for each site, each bit is in one mask and has
 * one value: that their numbers agree, stream_decode() has seen. */
static int screen_plain(struct apply *apply,
                        const struct stream_table_here *from,
                        const struct stream_item *item, bool *begins)
{
    size_t words = (from->column_count + 1 + 63) / 64;
    uint64_t held[ROW_WORDS_MAX];
    int rc;

    memset(held, 0, words * sizeof *held);
    rc = screen_groups(apply, from, item, words, held);

    GV_ASSERT(from->table->each_count == 0);
    if (rc == GV_OK && item->as.row.cells)
        rc = incoming_malformed(apply, "a cell of another kind of column");
    GV_ASSERT(rc != GV_OK ||
              mask_count(held, words) ==
                  item->as.row.value_count + mask_get(held, ROW_EXISTENCE));
    *begins = mask_get(held, ROW_EXISTENCE);
    return rc;
}

/* Others are read as the merge reads them. */
static int screen_cells(struct apply *apply, struct stream_item *item,
                        bool *begins)
{
    const struct row *row = &apply->store->fragment.row;
    struct store_table *table;
    struct row_key key;
    int rc = incoming_row(apply, item, &table, &key);

    *begins = false;
    for (size_t i = 0; rc == GV_OK && i < row->record_count; i++)
        *begins |= mask_get(row->records[i].mask, ROW_EXISTENCE);
    GV_ASSERT(rc != GV_OK || row->record_count > 0);
    return rc;
}

int screen_row(struct apply *apply, struct stream_item *item)
{
    struct stream_table_here *from;
    struct row_key key;
    bool begins;
    int rc = incoming_head(apply, item, &from, &key);

    GV_ASSERT(apply->checking && item->kind == STREAM_ROW);
    if (rc == GV_OK)
        rc = from->table->each_count == 0
                 ? screen_plain(apply, from, item, &begins)
                 : screen_cells(apply, item, &begins);
    if (rc != GV_OK || begins)
        return rc;
    return let_wait(apply, from->table, item);
}
