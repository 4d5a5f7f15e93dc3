/* The state of a row, as gv_row_N keeps it (format 1):
 *
 *     count                       varint
 *     count times:
 *         site number             varint
 *         version                 8 bytes, big-endian
 *         mask                    7 bits a byte, lowest first; the top bit
 *                                 says that more follow; bit 0 is existence
 *     digests                     8 bytes big-endian for each column bit that
 *                                 a mask holds, in ascending order of bits
 *     check                       4 bytes: the low bits of the row's hash
 *
 * The check lets every reader see damage in a row before it spreads, and
 * lets verify name the row; the fingerprint alone only says that there is
 * some. */
#include "store/internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

int row_space_reserve(struct row_space *space, size_t records, size_t words)
{
    struct record *grown, *before;
    uint64_t *masks;

    GV_ASSERT(records > 0);
    GV_ASSERT(words > 0 && words <= ROW_WORDS_MAX);
    GV_ASSERT(space->row.record_count <= space->capacity);
    GV_ASSERT(space->before_count <= space->capacity);
    if (records > space->capacity || words > space->words) {
        size_t count =
            records > 2 * space->capacity ? records + 4 : 2 * space->capacity;
        size_t wide = words > space->words ? words : space->words;
        size_t kept = words < space->words ? words : space->words;

        GV_ASSERT(count >= records);
        grown = calloc(count, sizeof *grown);
        before = calloc(count, sizeof *before);
        masks = calloc(count * wide, sizeof *masks);
        if (grown == NULL || before == NULL || masks == NULL) {
            free(grown);
            free(before);
            free(masks);
            return GV_ENOMEM;
        }
        for (size_t i = 0; i < space->row.record_count; i++) {
            grown[i] = space->records[i];
            memcpy(masks + i * wide, space->records[i].mask,
                   kept * sizeof *masks);
        }
        if (space->before_count > 0)
            memcpy(before, space->before,
                   space->before_count * sizeof *before);
        free(space->records);
        free(space->before);
        free(space->masks);
        space->records = grown;
        space->before = before;
        space->masks = masks;
        space->capacity = count;
        space->words = wide;
        for (size_t i = 0; i < count; i++)
            grown[i].mask = masks + i * wide;
    }
    GV_ASSERT(space->capacity >= records && space->words >= words);
    space->row.records = space->records;
    space->row.digests = space->digests;
    return GV_OK;
}

void row_space_close(struct row_space *space)
{
    free(space->records);
    free(space->before);
    free(space->masks);
}

static int varint_read(const uint8_t **at, const uint8_t *end,
                       uint64_t *number)
{
    uint64_t result = 0;

    GV_ASSERT(*at <= end);
    for (unsigned shift = 0; shift < 63 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;

        result |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *number = result;
            return GV_OK;
        }
    }
    return GV_ECORRUPT;
}

static void varint_append(struct buffer *out, uint64_t number)
{
    while (number >= 0x80) {
        buffer_append_u8(out, (uint8_t)(number | 0x80));
        number >>= 7;
    }
    buffer_append_u8(out, (uint8_t)number);
}

static int mask_read(const uint8_t **at, const uint8_t *end, uint64_t *mask,
                     size_t bit_count)
{
    size_t bit = 0;

    GV_ASSERT(bit_count > 0 && bit_count <= ROW_BITS_MAX);
    while (*at < end) {
        uint8_t byte = *(*at)++;

        for (unsigned i = 0; i < 7; i++) {
            if (!(byte >> i & 1))
                continue;
            if (bit + i >= bit_count)
                return GV_ECORRUPT;
            mask_set(mask, bit + i);
        }
        bit += 7;
        if (!(byte & 0x80))
            return GV_OK;
    }
    return GV_ECORRUPT;
}

static void mask_append(struct buffer *out, const uint64_t *mask, size_t words)
{
    size_t last = 0;

    for (size_t word = 0; word < words; word++)
        if (mask[word] != 0)
            last = word * 64 + 63 - (size_t)__builtin_clzll(mask[word]);
    GV_ASSERT(mask_get(mask, last)); /* a record without a bit goes */
    for (size_t bit = 0; bit <= last; bit += 7) {
        uint8_t byte = 0;

        for (size_t i = 0; i < 7 && bit + i <= last; i++)
            byte |= (uint8_t)(mask_get(mask, bit + i) << i);
        buffer_append_u8(out, byte | (bit + 7 <= last ? 0x80 : 0));
    }
}

static int record_read(const uint8_t **at, const uint8_t *end,
                       size_t bit_count, size_t words, struct record *record)
{
    uint64_t site;

    if (varint_read(at, end, &site) != GV_OK || site == 0 ||
        site > UINT32_MAX || end - *at < 8)
        return GV_ECORRUPT;
    record->site = (uint32_t)site;
    record->version = load_u64(*at);
    *at += 8;
    memset(record->mask, 0, words * sizeof *record->mask);
    return mask_read(at, end, record->mask, bit_count);
}

int state_decode(const uint8_t *bytes, size_t size, size_t column_count,
                 struct row_space *space, uint32_t *check)
{
    const uint8_t *at = bytes, *end = bytes + size;
    size_t words = (column_count + 1 + 63) / 64;
    uint64_t held[ROW_WORDS_MAX] = {0};
    uint64_t count;

    GV_ASSERT(column_count < ROW_BITS_MAX);
    if (varint_read(&at, end, &count) != GV_OK || count == 0 ||
        count > column_count + 1)
        return GV_ECORRUPT;
    space->row.record_count = 0;
    space->before_count = 0;
    if (row_space_reserve(space, (size_t)count + 1, words) != GV_OK)
        return GV_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (record_read(&at, end, column_count + 1, words,
                        &space->records[i]) != GV_OK)
            return GV_ECORRUPT;
        for (size_t word = 0; word < words; word++)
            held[word] |= space->records[i].mask[word];
    }
    for (size_t word = 0; word < words; word++) {
        uint64_t bits = column_bits(held, word);

        for (; bits != 0; bits &= bits - 1) {
            size_t bit = word * 64 + (size_t)__builtin_ctzll(bits);

            GV_ASSERT(bit <= column_count); /* mask_read() has looked */
            if (end - at < 8)
                return GV_ECORRUPT;
            space->digests[bit] = load_u64(at);
            at += 8;
        }
    }
    if (end - at != 4)
        return GV_ECORRUPT;
    *check = load_u32(at);
    GV_ASSERT(count < space->capacity); /* room for one more */
    space->row.record_count = (size_t)count;
    return row_check(&space->row, words) ? GV_OK : GV_ECORRUPT;
}

int state_encode(const struct row *row, size_t words, uint32_t check,
                 struct buffer *out)
{
    uint64_t held[ROW_WORDS_MAX] = {0};

    GV_ASSERT(row->record_count > 0);
    GV_ASSERT(words > 0 && words <= ROW_WORDS_MAX);
    GV_ASSERT(row->record_count <= words * 64); /* each has a bit of its own */
    buffer_clear(out);
    varint_append(out, row->record_count);
    for (size_t i = 0; i < row->record_count; i++) {
        varint_append(out, row->records[i].site);
        buffer_append_u64(out, row->records[i].version);
        mask_append(out, row->records[i].mask, words);
        for (size_t word = 0; word < words; word++)
            held[word] |= row->records[i].mask[word];
    }
    for (size_t word = 0; word < words; word++) {
        uint64_t bits = column_bits(held, word);

        for (; bits != 0; bits &= bits - 1)
            buffer_append_u64(
                out, row->digests[word * 64 + (size_t)__builtin_ctzll(bits)]);
    }
    return buffer_append_u32(out, check);
}

/* What is hashed of a record: its site, its version, the table, the causal
 * length, the key, and for each of its columns, in the order of their wire
 * names, the name's hash and the value's digest; existence is the name hash 0
 * and comes first.  Nothing of it depends on this file's numbers. */
static struct hash128 record_hash(struct store *store,
                                  const struct store_table *table,
                                  const uint8_t *key, size_t key_size,
                                  const struct row *row,
                                  const struct record *record)
{
    struct buffer *out = &store->hashed;

    buffer_clear(out);
    buffer_append(out, store->sites[record->site].bytes, 16);
    buffer_append_u64(out, record->version);
    buffer_append_u64(out, table->wire_hash);
    buffer_append_u64(out, row->causal_length);
    buffer_append_u32(out, (uint32_t)key_size);
    buffer_append(out, key, key_size);
    if (mask_get(record->mask, ROW_EXISTENCE))
        buffer_append_u64(out, 0);
    for (size_t i = 0; i < table->column_count; i++) {
        size_t bit = table->order[i] + 1u;

        GV_ASSERT(bit <= table->column_count);
        if (!mask_get(record->mask, bit))
            continue;
        buffer_append_u64(out, table->columns[bit - 1].wire_hash);
        buffer_append_u64(out, row->digests[bit]);
    }
    return hash128(out->data, out->size);
}

struct hash128 state_hash(struct store *store, const struct store_table *table,
                          const uint8_t *key, size_t key_size,
                          const struct row *row)
{
    struct hash128 sum = {0, 0};

    GV_ASSERT(table->order != NULL); /* the table is read to its end */
    GV_ASSERT(row->record_count <= table->words * 64);
    for (size_t i = 0; i < row->record_count; i++)
        sum = hash128_add(sum, record_hash(store, table, key, key_size, row,
                                           &row->records[i]));
    return sum;
}
