#include "wire/stream.h"

#include "base/assert.h"
#include "base/plant.h"
#include "grapevine.h"

#include <stdlib.h>
#include <string.h>

static void stream_fail(struct cursor *cursor)
{
    cursor->error = GV_EPROTO;
    cursor->at = cursor->end;
}

/* Read an array's head.  Items have exactly the elements they should: what a
 * node does not understand it could not pass on in a delta, so a newer kind
 * of item must be refused, not taken for an older one. */
static void stream_expect_array(struct cursor *cursor, uint32_t count)
{
    if (cursor_array(cursor) != count)
        stream_fail(cursor);
}

static uint32_t stream_read_u32(struct cursor *cursor)
{
    uint64_t number = cursor_u64(cursor);

    if (number > UINT32_MAX)
        stream_fail(cursor);
    return (uint32_t)number;
}

static uint64_t load_little(const uint8_t *bytes, size_t size)
{
    uint64_t word = 0;

    for (size_t i = 0; i < size; i++)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

/* One group; its mask as the bytes that are there. */
struct stream_group {
    uint32_t site;
    int64_t since;
    const uint8_t *mask;
    size_t mask_size;
};

static void stream_read_group(struct cursor *cursor,
                              struct stream_group *group)
{
    stream_expect_array(cursor, 3);
    group->site = stream_read_u32(cursor);
    group->since = cursor_i64(cursor);
    group->mask = cursor_blob(cursor, &group->mask_size);
}

/* Word @index of the mask. */
static uint64_t stream_group_word(const struct stream_group *group,
                                  size_t index)
{
    size_t left = group->mask_size - index * 8;

    return load_little(group->mask + index * 8, left < 8 ? left : 8);
}

struct stream_dot {
    int64_t since; /* the base of its site */
    uint32_t site;
};

/* What the groups of one row have shown so far. */
struct stream_seen {
    size_t count;
    size_t bits;  /* in all masks */
    size_t words; /* of mask[] that are in use */
    uint64_t mask[ROW_WORDS_MAX];
    struct stream_dot dots[STREAM_GROUPS_MAX];
};

/* Add the bits of @group; false if another group has the row's existence. */
static bool stream_see_mask(struct stream_seen *seen,
                            const struct stream_group *group)
{
    for (size_t w = 0; w * 8 < group->mask_size; w++) {
        uint64_t word = stream_group_word(group, w);

        for (; seen->words <= w; seen->words++)
            seen->mask[seen->words] = 0;
        if (w == 0 && (seen->mask[0] & word & 1) != 0)
            return false;
        seen->mask[w] |= word;
        seen->bits += (size_t)__builtin_popcountll(word);
    }
    return true;
}

/* Add the dot of @group; false if there are too many. */
static bool stream_see_dot(struct stream_seen *seen,
                           const struct stream_group *group)
{
    if (seen->count == STREAM_GROUPS_MAX)
        return false;
    seen->dots[seen->count].since = group->since;
    seen->dots[seen->count].site = group->site;
    seen->count++;
    return true;
}

static int stream_compare_dots(const void *a, const void *b)
{
    const struct stream_dot *x = a, *y = b;

    if (x->since != y->since)
        return x->since < y->since ? -1 : 1;
    return x->site < y->site ? -1 : x->site > y->site;
}

/* Whether two groups have one dot.  Nearly always a row has one or two. */
static bool stream_dots_differ(struct stream_seen *seen)
{
    if (seen->count > 2)
        qsort(seen->dots, seen->count, sizeof *seen->dots,
              stream_compare_dots);
    for (size_t i = 1; i < seen->count; i++)
        if (stream_compare_dots(&seen->dots[i - 1], &seen->dots[i]) == 0)
            return false;
    return true;
}

/* A mask has no zero byte at its end and no bit above the last column. */
static bool stream_mask_valid(const struct stream_group *group)
{
    size_t size = group->mask_size;

    if (size == 0 || size > STREAM_MASK_SIZE_MAX)
        return false;
    return group->mask[size - 1] != 0 &&
           (size < STREAM_MASK_SIZE_MAX || group->mask[size - 1] == 1);
}

/* Then a base and a difference can be added without a look. */
static bool stream_since_valid(int64_t since)
{
    return since >= -(int64_t)VERSION_MAX && since <= (int64_t)VERSION_MAX;
}

static void stream_check_groups(struct cursor *cursor, size_t count,
                                struct stream_seen *seen)
{
    struct stream_group group;

    for (size_t i = 0; i < count; i++) {
        stream_read_group(cursor, &group);
        if (cursor->error != GV_OK)
            return;
        if (!stream_since_valid(group.since) || !stream_mask_valid(&group) ||
            !stream_see_mask(seen, &group) || !stream_see_dot(seen, &group)) {
            stream_fail(cursor);
            return;
        }
    }
    if (!stream_dots_differ(seen))
        stream_fail(cursor);
}

/* False for a hollow cell, whose *@digest is read instead of a value. */
static bool stream_read_value(struct cursor *cursor, struct value *value,
                              uint64_t *digest)
{
    *value = (struct value){.class = VALUE_NULL};
    switch (cursor_peek(cursor)) {
    case CURSOR_NIL:
        cursor_nil(cursor);
        return true;
    case CURSOR_INTEGER:
        value->class = VALUE_INTEGER;
        value->integer = cursor_i64(cursor);
        return true;
    case CURSOR_REAL:
        value->class = VALUE_REAL;
        value->real = cursor_real(cursor);
        return true;
    case CURSOR_TEXT:
        value->class = VALUE_TEXT;
        value->bytes = (const uint8_t *)cursor_text(cursor, &value->size);
        break;
    case CURSOR_BLOB:
        value->class = VALUE_BLOB;
        value->bytes = cursor_blob(cursor, &value->size);
        break;
    case CURSOR_ARRAY:
        stream_expect_array(cursor, 1);
        *digest = cursor_u64(cursor);
        return false;
    case CURSOR_END:
    case CURSOR_BOOL:
    case CURSOR_MAP:
    case CURSOR_OTHER:
        stream_fail(cursor);
        return true;
    }
    if (value->size > VALUE_SIZE_MAX)
        stream_fail(cursor);
    return true;
}

/* NaN is refused: SQLite keeps no bits of it, so it could not be digested
 * again. */
static void stream_read_cell(struct cursor *cursor, struct value *value,
                             struct vv_view *over)
{
    uint64_t digest;
    size_t size;

    stream_expect_array(cursor, 2);
    if (!stream_read_value(cursor, value, &digest) ||
        (value->class == VALUE_REAL && value->real != value->real))
        stream_fail(cursor);
    over->bytes = cursor_blob(cursor, &size);
    over->count = size / VV_ENTRY_SIZE;
    if (size % VV_ENTRY_SIZE != 0 || !vv_view_valid(*over))
        stream_fail(cursor);
}

enum stream_value stream_peek_value(const struct cursor *values)
{
    struct cursor cursor = *values;

    if (cursor_peek(&cursor) != CURSOR_ARRAY)
        return STREAM_VALUE;
    return cursor_array(&cursor) == 2 ? STREAM_CELL : STREAM_HOLLOW;
}

/* Whether it is a cell. */
static bool stream_check_value(struct cursor *cursor)
{
    struct value value;
    struct vv_view over;
    uint64_t digest;

    if (cursor_peek(cursor) == CURSOR_ARRAY &&
        stream_peek_value(cursor) == STREAM_CELL) {
        stream_read_cell(cursor, &value, &over);
        return true;
    }
    stream_read_value(cursor, &value, &digest);
    return false;
}

static bool stream_key_valid(const uint8_t *key, size_t size)
{
    struct value value;
    size_t offset = 0, columns = 0;

    for (; offset < size; columns++) {
        if (columns == KEY_COLUMNS_MAX ||
            key_next(key, size, &offset, &value) != GV_OK ||
            value.class == VALUE_NULL || value.size > VALUE_SIZE_MAX)
            return false;
    }
    return columns > 0;
}

/* A dead row holds its existence and nothing else; in a live one each bit but
 * existence has a value, or one for each group that has it. */
static bool stream_row_valid(const struct stream_item *item,
                             const struct stream_seen *seen)
{
    size_t existence = seen->words > 0 ? seen->mask[0] & 1 : 0;
    size_t columns = mask_count(seen->mask, seen->words) - existence;

    if (item->as.row.value_count < columns ||
        item->as.row.value_count > seen->bits - existence)
        return false;
    return item->as.row.causal_length % 2 == 1 ||
           (existence == 1 && seen->bits == 1);
}

static void stream_decode_row(struct cursor *cursor, struct stream_item *item)
{
    struct stream_seen seen;

    stream_expect_array(cursor, 6);
    cursor_u64(cursor);
    item->as.row.table = stream_read_u32(cursor);
    item->as.row.key = cursor_blob(cursor, &item->as.row.key_size);
    item->as.row.causal_length = cursor_u64(cursor);
    if (!stream_key_valid(item->as.row.key, item->as.row.key_size) ||
        item->as.row.causal_length == 0 ||
        item->as.row.causal_length > ROW_CAUSAL_LENGTH_MAX)
        stream_fail(cursor);

    item->as.row.group_count = cursor_array(cursor);
    if (item->as.row.group_count == 0)
        stream_fail(cursor);
    item->as.row.groups = *cursor;
    /* Zeroed by hand: dots and words are many and need no zeroes. */
    seen.count = 0;
    seen.bits = 0;
    seen.words = 0;
    stream_check_groups(cursor, item->as.row.group_count, &seen);
    item->as.row.groups.end = cursor->at;

    item->as.row.value_count = cursor_array(cursor);
    item->as.row.values = *cursor;
    if (!stream_row_valid(item, &seen))
        stream_fail(cursor);
    item->as.row.cells = false;
    for (size_t i = 0; i < item->as.row.value_count; i++) {
        item->as.row.cells |= stream_check_value(cursor);
        if (cursor->error != GV_OK)
            return;
    }
    item->as.row.values.end = cursor->at;
}

static void stream_decode_site(struct cursor *cursor, struct stream_item *item)
{
    const uint8_t *bytes;
    size_t size;

    stream_expect_array(cursor, 3);
    cursor_u64(cursor);
    bytes = cursor_blob(cursor, &size);
    if (size == sizeof(item->as.site.id.bytes))
        memcpy(item->as.site.id.bytes, bytes, size);
    else
        stream_fail(cursor);
    item->as.site.base = cursor_u64(cursor);
    if (item->as.site.base > VERSION_MAX)
        stream_fail(cursor);
}

static struct stream_text stream_read_text(struct cursor *cursor)
{
    struct stream_text text;

    text.bytes = cursor_text(cursor, &text.size);
    return text;
}

/* Names become C strings, stand in SQL and are shown to people. */
static struct stream_text stream_read_name(struct cursor *cursor)
{
    struct stream_text name = stream_read_text(cursor);

    if (!stream_name_valid(name))
        stream_fail(cursor);
    return name;
}

static struct stream_text stream_read_local(struct cursor *cursor,
                                            struct stream_text wire)
{
    if (cursor_peek(cursor) != CURSOR_NIL)
        return stream_read_name(cursor);
    cursor_nil(cursor);
    return wire;
}

static struct stream_text stream_read_type(struct cursor *cursor)
{
    struct stream_text type = stream_read_text(cursor);

    if (!stream_type_valid(type))
        stream_fail(cursor);
    return type;
}

static void stream_read_key(struct cursor *cursor, struct stream_column *key)
{
    *key = (struct stream_column){0};
    stream_expect_array(cursor, 3);
    key->wire = stream_read_name(cursor);
    key->local = stream_read_local(cursor, key->wire);
    key->type = stream_read_type(cursor);
}

static void stream_read_column(struct cursor *cursor,
                               struct stream_column *column)
{
    uint64_t digest; /* a default is a value, never hollow */

    *column = (struct stream_column){0};
    stream_expect_array(cursor, 5);
    column->wire = stream_read_name(cursor);
    column->local = stream_read_local(cursor, column->wire);
    column->type = stream_read_type(cursor);
    column->kind = stream_read_type(cursor);
    if (!stream_read_value(cursor, &column->initial, &digest) ||
        column->kind.size == 0 ||
        column->initial.size > STREAM_DEFAULT_SIZE_MAX)
        stream_fail(cursor);
}

static void stream_decode_head(struct cursor *cursor,
                               struct stream_table *head)
{
    uint64_t options;

    head->wire = stream_read_name(cursor);
    head->local = stream_read_local(cursor, head->wire);
    options = cursor_u64(cursor);
    if (options > (STREAM_TABLE_STRICT | STREAM_TABLE_WITHOUT_ROWID) ||
        stream_name_reserved(head->wire) || stream_name_reserved(head->local))
        stream_fail(cursor);
    head->options = (unsigned)options;
}

static void stream_decode_table(struct cursor *cursor,
                                struct stream_item *item)
{
    struct stream_table *head = &item->as.table.head;
    struct stream_column column;

    stream_expect_array(cursor, 6);
    cursor_u64(cursor);
    stream_decode_head(cursor, head);
    head->key_count = cursor_array(cursor);
    if (head->key_count == 0 || head->key_count > KEY_COLUMNS_MAX)
        stream_fail(cursor);
    item->as.table.keys = *cursor;
    for (size_t i = 0; i < head->key_count && cursor->error == GV_OK; i++)
        stream_read_key(cursor, &column);
    item->as.table.keys.end = cursor->at;
    head->column_count = cursor_array(cursor);
    if (head->column_count > STREAM_COLUMNS_MAX)
        stream_fail(cursor);
    item->as.table.columns = *cursor;
    for (size_t i = 0; i < head->column_count && cursor->error == GV_OK; i++)
        stream_read_column(cursor, &column);
    item->as.table.columns.end = cursor->at;
}

/* The kind stands in front of everything, behind the array's head. */
static uint64_t stream_peek_kind(struct cursor cursor)
{
    cursor_array(&cursor);
    return cursor_u64(&cursor);
}

int stream_decode(const uint8_t *bytes, size_t size, struct stream_item *item)
{
    struct cursor cursor;

    if (size > STREAM_ITEM_SIZE_MAX)
        return GV_EPROTO;
    cursor_init(&cursor, bytes, size);
    switch (stream_peek_kind(cursor)) {
    case STREAM_SITE:
        item->kind = STREAM_SITE;
        stream_decode_site(&cursor, item);
        break;
    case STREAM_TABLE:
        item->kind = STREAM_TABLE;
        stream_decode_table(&cursor, item);
        break;
    case STREAM_ROW:
        item->kind = STREAM_ROW;
        stream_decode_row(&cursor, item);
        break;
    default:
        return GV_EPROTO;
    }
    return cursor.at == cursor.end ? cursor.error : GV_EPROTO;
}

void stream_next_key(struct cursor *keys, struct stream_column *key)
{
    stream_read_key(keys, key);
    GV_ASSERT(keys->error == GV_OK);
}

void stream_next_column(struct cursor *columns, struct stream_column *column)
{
    stream_read_column(columns, column);
    GV_ASSERT(columns->error == GV_OK);
}

int stream_next_group(struct cursor *groups, uint32_t *site, int64_t *since,
                      uint64_t *mask, size_t words)
{
    struct stream_group group;

    stream_read_group(groups, &group);
    GV_ASSERT(groups->error == GV_OK);
    if (group.mask_size > words * 8)
        return GV_EPROTO;
    *site = group.site;
    *since = group.since;
    for (size_t w = 0; w < words; w++)
        mask[w] = w * 8 < group.mask_size ? stream_group_word(&group, w) : 0;
    return GV_OK;
}

void stream_next_cell(struct cursor *values, struct value *value,
                      struct vv_view *over)
{
    stream_read_cell(values, value, over);
    GV_ASSERT(values->error == GV_OK);
}

bool stream_next_value(struct cursor *values, struct value *value,
                       uint64_t *digest)
{
    bool there = stream_read_value(values, value, digest);

    GV_ASSERT(values->error == GV_OK);
    return there;
}
