#include "wire/stream.h"

#include "base/assert.h"
#include "base/plant.h"
#include "base/utf8.h"
#include "grapevine.h"
#include "wire/pack.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Writing. */

/* Leave room for the item's length; returns where the item starts. */
static size_t stream_begin_item(struct buffer *out)
{
    size_t start = out->size;

    buffer_extend(out, STREAM_HEADER_SIZE);
    return start;
}

static int stream_end_item(struct buffer *out, size_t start)
{
    size_t size;

    if (out->error != GV_OK)
        return out->error;
    size = out->size - start - STREAM_HEADER_SIZE;
    if (size > STREAM_ITEM_SIZE_MAX)
        return out->error = GV_ELIMIT;
    store_u32(out->data + start, (uint32_t)size);
    return GV_OK;
}

int stream_write_site(struct buffer *out, const struct site *site,
                      gv_version base)
{
    msgpack_packer packer = pack_into(out);
    size_t start = stream_begin_item(out);

    GV_ASSERT(base <= VERSION_MAX);
    msgpack_pack_array(&packer, 3);
    msgpack_pack_uint8(&packer, STREAM_SITE);
    pack_site(&packer, site);
    msgpack_pack_uint64(&packer, base);
    return stream_end_item(out, start);
}

struct stream_text stream_text(const char *text)
{
    return (struct stream_text){text, strlen(text)};
}

bool stream_name_valid(struct stream_text name)
{
    return name.size > 0 && name.size <= STREAM_NAME_SIZE_MAX &&
           utf8_printable(name.bytes, name.size);
}

bool stream_name_reserved(struct stream_text name)
{
    static const char *const ours[] = {"sqlite_", "gv_"};

    for (size_t i = 0; i < 2; i++)
        if (name.size >= strlen(ours[i]) &&
            strncasecmp(name.bytes, ours[i], strlen(ours[i])) == 0)
            return true;
    return false;
}

static void stream_pack_name(msgpack_packer *packer, struct stream_text name)
{
    GV_ASSERT(stream_name_valid(name));
    pack_text(packer, name.bytes, name.size);
}

/* Nearly always a column is called here what it is called on the wire: nil
 * says so in a byte. */
static void stream_pack_local(msgpack_packer *packer, struct stream_text local,
                              struct stream_text wire)
{
    if (!stream_name_valid(local) ||
        (local.size == wire.size &&
         memcmp(local.bytes, wire.bytes, wire.size) == 0))
        msgpack_pack_nil(packer);
    else
        stream_pack_name(packer, local);
}

static bool stream_type_valid(struct stream_text type)
{
    return type.size <= STREAM_TYPE_SIZE_MAX &&
           utf8_printable(type.bytes, type.size);
}

static void stream_pack_type(msgpack_packer *packer, struct stream_text type)
{
    pack_text(packer, type.bytes, stream_type_valid(type) ? type.size : 0);
}

static void stream_pack_value(struct buffer *out, const struct value *value)
{
    uint8_t head[PACK_HEAD_MAX], *at = head;
    size_t size = 0;
    uint64_t bits;

    switch (value->class) {
    case VALUE_NULL:
        at = pack_head(at, 0xc0, 0, 0);
        break;
    case VALUE_INTEGER:
        at = pack_head_signed(at, value->integer);
        break;
    case VALUE_REAL:
        memcpy(&bits, &value->real, sizeof bits);
        at = pack_head(at, 0xcb, bits, sizeof bits);
        break;
    case VALUE_TEXT:
        size = plant("text-by-strlen")
                   ? strnlen((const char *)value->bytes, value->size)
                   : value->size;
        at = pack_head_text(at, size);
        break;
    case VALUE_BLOB:
        size = value->size;
        at = pack_head_blob(at, size);
        break;
    }
    pack_body(out, head, at, value->bytes, size);
}

static void stream_pack_key(msgpack_packer *packer,
                            const struct stream_column *key)
{
    msgpack_pack_array(packer, 3);
    stream_pack_name(packer, key->wire);
    stream_pack_local(packer, key->local, key->wire);
    stream_pack_type(packer, key->type);
}

static void stream_pack_column(struct buffer *out, msgpack_packer *packer,
                               const struct stream_column *column)
{
    static const struct value none = {.class = VALUE_NULL};
    bool fits = (column->initial.class != VALUE_TEXT &&
                 column->initial.class != VALUE_BLOB) ||
                column->initial.size <= STREAM_DEFAULT_SIZE_MAX;

    msgpack_pack_array(packer, 5);
    stream_pack_name(packer, column->wire);
    stream_pack_local(packer, column->local, column->wire);
    stream_pack_type(packer, column->type);
    pack_text(packer, column->kind.bytes, column->kind.size);
    stream_pack_value(out, fits ? &column->initial : &none);
}

int stream_write_table(struct buffer *out, const struct stream_table *table,
                       const struct stream_column *keys,
                       const struct stream_column *columns)
{
    msgpack_packer packer = pack_into(out);
    size_t start = stream_begin_item(out);

    GV_ASSERT(table->key_count > 0 && table->key_count <= KEY_COLUMNS_MAX);
    GV_ASSERT(table->column_count <= STREAM_COLUMNS_MAX);
    GV_ASSERT(!stream_name_reserved(table->wire));
    msgpack_pack_array(&packer, 6);
    msgpack_pack_uint8(&packer, STREAM_TABLE);
    stream_pack_name(&packer, table->wire);
    stream_pack_local(&packer,
                      stream_name_reserved(table->local) ? table->wire
                                                         : table->local,
                      table->wire);
    msgpack_pack_unsigned_int(&packer, table->options);
    msgpack_pack_array(&packer, table->key_count);
    for (size_t i = 0; i < table->key_count; i++)
        stream_pack_key(&packer, &keys[i]);
    msgpack_pack_array(&packer, table->column_count);
    for (size_t i = 0; i < table->column_count; i++)
        stream_pack_column(out, &packer, &columns[i]);
    return stream_end_item(out, start);
}

void stream_begin_row(struct stream_row_writer *writer, struct buffer *out,
                      uint32_t table, const uint8_t *key, size_t key_size,
                      uint64_t causal_length, size_t group_count,
                      size_t value_count)
{
    uint8_t head[6 * PACK_HEAD_MAX], *at = head;

    GV_ASSERT(group_count >= 1 && group_count <= STREAM_GROUPS_MAX);
    GV_ASSERT(causal_length >= 1 && causal_length <= ROW_CAUSAL_LENGTH_MAX);
    writer->out = out;
    writer->start = stream_begin_item(out);
    writer->groups_left = group_count;
    writer->values_left = value_count;
    at = pack_head_array(at, 6);
    at = pack_head_unsigned(at, STREAM_ROW);
    at = pack_head_unsigned(at, table);
    at = pack_head_blob(at, key_size);
    pack_body(out, head, at, key, key_size);
    at = pack_head_unsigned(head, causal_length);
    at = pack_head_array(at, group_count);
    pack_body(out, head, at, NULL, 0);
}

/* The values' array opens behind the last group. */
void stream_write_group(struct stream_row_writer *writer, uint32_t site,
                        int64_t since, const uint64_t *mask, size_t words)
{
    uint8_t head[4 * PACK_HEAD_MAX], *at = head;
    uint8_t bytes[ROW_WORDS_MAX * 8];
    size_t size = 0;

    GV_ASSERT(writer->groups_left > 0 && words <= ROW_WORDS_MAX);
    for (size_t w = 0; w < words; w++) {
        uint64_t word = mask[w];
        for (size_t byte = w * 8; word != 0; word >>= 8, byte++) {
            for (; size < byte; size++)
                bytes[size] = 0;
            bytes[size++] = (uint8_t)word;
        }
    }
    GV_ASSERT(size >= 1 && size <= STREAM_MASK_SIZE_MAX);
    at = pack_head_array(at, 3);
    at = pack_head_unsigned(at, site);
    at = pack_head_signed(at, since);
    at = pack_head_blob(at, size);
    pack_body(writer->out, head, at, bytes, size);
    if (--writer->groups_left > 0)
        return;
    at = pack_head_array(head, writer->values_left);
    pack_body(writer->out, head, at, NULL, 0);
}

void stream_write_value(struct stream_row_writer *writer,
                        const struct value *value)
{
    GV_ASSERT(writer->groups_left == 0 && writer->values_left > 0);
    writer->values_left--;
    stream_pack_value(writer->out, value);
}

/* An array of one number, which no value is. */
void stream_write_hollow(struct stream_row_writer *writer, uint64_t digest)
{
    msgpack_packer packer = pack_into(writer->out);

    GV_ASSERT(writer->groups_left == 0 && writer->values_left > 0);
    writer->values_left--;
    msgpack_pack_array(&packer, 1);
    msgpack_pack_uint64(&packer, digest);
}

void stream_write_cell(struct stream_row_writer *writer,
                       const struct value *value, struct vv_view over)
{
    msgpack_packer packer = pack_into(writer->out);

    GV_ASSERT(vv_view_valid(over));
    msgpack_pack_array(&packer, 2);
    stream_write_value(writer, value);
    pack_blob(&packer, over.bytes, over.count * VV_ENTRY_SIZE);
}

int stream_end_row(struct stream_row_writer *writer)
{
    GV_ASSERT(writer->groups_left == 0 && writer->values_left == 0);
    return stream_end_item(writer->out, writer->start);
}

/* Reading. */

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
