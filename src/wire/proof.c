#include "wire/proof.h"

#include "base/assert.h"
#include "grapevine.h"
#include "wire/stream.h"

#include <string.h>

/* Of a record before its cells. */
#define RECORD_FIXED 29

static void write_text(struct buffer *out, struct text text)
{
    GV_ASSERT(text.size <= STREAM_NAME_SIZE_MAX);
    buffer_append_u8(out, (uint8_t)(text.size >> 8));
    buffer_append_u8(out, (uint8_t)text.size);
    buffer_append(out, text.bytes, text.size);
}

static void write_bytes(struct buffer *out, const uint8_t *bytes, size_t size)
{
    buffer_append_u32(out, (uint32_t)size);
    buffer_append(out, bytes, size);
}

void proof_write_name(struct buffer *out, const struct proof_name *name)
{
    write_text(out, name->table);
    write_bytes(out, name->key, name->key_size);
}

void proof_write_head(struct buffer *out, const struct proof_head *head)
{
    struct proof_name name = {head->table, head->key, head->key_size};

    GV_ASSERT(head->kind == PROOF_SOUND || head->record_count == 0);
    buffer_append_u64(out, head->place);
    buffer_append_u8(out, (uint8_t)head->kind);
    proof_write_name(out, &name);
    buffer_append_u64(out, head->causal_length);
    buffer_append_u32(out, head->record_count);
}

void proof_write_record(struct buffer *out, const struct proof_record *record)
{
    buffer_append(out, record->site.bytes, sizeof record->site.bytes);
    buffer_append_u64(out, record->version);
    buffer_append_u8(out, record->existence);
    buffer_append_u32(out, record->cell_count);
}

/* @size bytes at *@at, or NULL: there are fewer. */
static const uint8_t *take(const uint8_t **at, const uint8_t *end, size_t size)
{
    const uint8_t *bytes = *at;

    if ((size_t)(end - *at) < size)
        return NULL;
    *at += size;
    return bytes;
}

int proof_read_name(const uint8_t **at, const uint8_t *end,
                    struct proof_name *name)
{
    const uint8_t *bytes = take(at, end, 2);

    if (bytes == NULL)
        return GV_EPROTO;
    name->table.size = (size_t)bytes[0] << 8 | bytes[1];
    name->table.bytes = (const char *)take(at, end, name->table.size);
    bytes = name->table.bytes == NULL ? NULL : take(at, end, 4);
    if (bytes == NULL || !stream_name_valid((struct stream_text){
                             name->table.bytes, name->table.size}))
        return GV_EPROTO;
    name->key_size = load_u32(bytes);
    name->key = take(at, end, name->key_size);
    return name->key == NULL ? GV_EPROTO : GV_OK;
}

void proof_write_piece(struct buffer *out, const struct proof_piece *piece)
{
    GV_ASSERT(piece->at <= piece->whole);
    GV_ASSERT(piece->size <= piece->whole - piece->at);
    buffer_append_u64(out, piece->at);
    buffer_append_u64(out, piece->whole);
    buffer_append(out, piece->bytes, piece->size);
}

int proof_read_piece(const uint8_t *bytes, size_t size,
                     struct proof_piece *piece)
{
    struct proof_piece read;

    if (size < PROOF_PIECE_FIXED)
        return GV_EPROTO;
    read.at = load_u64(bytes);
    read.whole = load_u64(bytes + 8);
    read.bytes = bytes + PROOF_PIECE_FIXED;
    read.size = size - PROOF_PIECE_FIXED;
    if (read.at > read.whole || read.size > read.whole - read.at ||
        (read.size == 0 && read.whole > 0))
        return GV_EPROTO;
    *piece = read;
    return GV_OK;
}

/* Each record says how many cells follow it. */
static int skip_records(const uint8_t **at, const uint8_t *end, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *fixed = take(at, end, RECORD_FIXED);
        gv_version version;

        if (fixed == NULL)
            return GV_EPROTO;
        version = load_u64(fixed + 16);
        if (version == 0 || version > VERSION_MAX || fixed[24] > 1 ||
            take(at, end, (size_t)load_u32(fixed + 25) * PROOF_CELL_SIZE) ==
                NULL)
            return GV_EPROTO;
    }
    return GV_OK;
}

int proof_read_head(const uint8_t **at, const uint8_t *end,
                    struct proof_head *head)
{
    const uint8_t *bytes = take(at, end, 9);
    struct proof_name name;

    if (bytes == NULL || bytes[8] < PROOF_SOUND || bytes[8] > PROOF_DAMAGED)
        return GV_EPROTO;
    head->place = load_u64(bytes);
    head->kind = (enum proof_kind)bytes[8];
    if (proof_read_name(at, end, &name) != GV_OK)
        return GV_EPROTO;
    head->table = name.table;
    head->key = name.key;
    head->key_size = name.key_size;
    bytes = take(at, end, 12);
    if (bytes == NULL)
        return GV_EPROTO;
    head->causal_length = load_u64(bytes);
    head->record_count = load_u32(bytes + 8);
    head->records = *at;
    if ((head->kind != PROOF_SOUND && head->record_count > 0) ||
        skip_records(at, end, head->record_count) != GV_OK)
        return GV_EPROTO;
    head->end = *at;
    return GV_OK;
}

void proof_next_record(const uint8_t **at, struct proof_record *record)
{
    memcpy(record->site.bytes, *at, sizeof record->site.bytes);
    record->version = load_u64(*at + 16);
    record->existence = (*at)[24] == 1;
    record->cell_count = load_u32(*at + 25);
    record->cells = *at + RECORD_FIXED;
    *at = record->cells + (size_t)record->cell_count * PROOF_CELL_SIZE;
}
