/* A row of a delta that the log holds word for word, told from the bytes of
 * both: whoever is sent a long delta once more has most of it, and need not
 * take each row apart.  What is told here is what merge_held() would say. */
#include "store/apply.h"

#include "base/assert.h"
#include "store/batch.h"
#include "store/state.h"

#include <string.h>

/* Whether the next group of @groups is the next record of @state; its mask is
 * added to @held. */
static bool group_is_held(const struct apply *apply, struct cursor *groups,
                          struct state_walk *state, size_t column_count,
                          uint64_t *held)
{
    size_t words = (column_count + 1 + 63) / 64;
    uint64_t mask[ROW_WORDS_MAX], ours[ROW_WORDS_MAX];
    struct record record = {.mask = ours};
    const struct stream_site *site;
    uint32_t number;
    int64_t since;

    if (stream_next_group(groups, &number, &since, mask, words) != GV_OK ||
        number >= apply->site_count ||
        state_walk_record(state, column_count, &record) != GV_OK)
        return false;
    site = &apply->sites[number];
    if (record.site != site->number ||
        record.version != site->base + (uint64_t)since ||
        record.version <= site->above || record.version > site->to)
        return false;
    for (size_t word = 0; word < words; word++) {
        if (mask[word] != ours[word] || (mask[word] & held[word]) != 0)
            return false;
        held[word] |= mask[word];
    }
    return true;
}

/* Whether @values are those of @count digests, in the same order. */
static bool values_are_held(struct cursor values, const uint8_t *digests,
                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct value value;
        uint64_t digest = 0;

        if (stream_next_value(&values, &value, &digest))
            digest = value_digest(&value);
        if (digest != load_u64(digests + 8 * i))
            return false;
    }
    return true;
}

bool held_row(const struct apply *apply, const struct stream_item *item)
{
    struct store *store = apply->store;
    const struct stream_table_here *from = &apply->tables[item->as.row.table];
    struct cursor groups = item->as.row.groups;
    uint64_t held[ROW_WORDS_MAX];
    struct row_key key; /* nothing of it but its bytes */
    const struct batch_row *row;
    struct state_walk state;
    const uint8_t *digests;
    size_t count;

    GV_ASSERT(item->kind == STREAM_ROW &&
              item->as.row.table < apply->table_count);
    if (!from->same_bits || from->table->parks || item->as.row.cells)
        return false;
    key.bytes = item->as.row.key;
    key.size = item->as.row.key_size;
    row = batch_find(store, from->table, &key);
    if (row == NULL || !row->stored ||
        row->causal_length != item->as.row.causal_length ||
        state_walk_begin(&state, batch_state(store, row), row->state_size) !=
            item->as.row.group_count)
        return false;
    memset(held, 0, from->table->words * sizeof *held);
    for (size_t i = 0; i < item->as.row.group_count; i++)
        if (!group_is_held(apply, &groups, &state, from->column_count, held))
            return false;
    count =
        mask_count(held, from->table->words) - mask_get(held, ROW_EXISTENCE);
    GV_ASSERT(count <= from->column_count);
    digests = state_walk_digests(&state, count);
    return digests != NULL && count == item->as.row.value_count &&
           values_are_held(item->as.row.values, digests, count);
}
