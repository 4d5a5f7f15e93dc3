#include "wire/stream.h"

#include "base/assert.h"
#include "base/plant.h"
#include "base/utf8.h"
#include "grapevine.h"
#include "wire/pack.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

bool stream_type_valid(struct stream_text type)
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
