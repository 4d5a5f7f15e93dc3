/* The state of a row, as gv_row_N keeps it:
 *
 *     count                       varint
 *     count times:
 *         site number             varint
 *         version                 8 bytes, big-endian
 *         mask                    7 bits a byte, lowest first; the top bit
 *                                 says that more follow; bit 0 is existence
 *     digests                     8 bytes big-endian for each column bit that
 *                                 a mask holds, in ascending order of bits;
 *                                 not of each-bits (core/row.h)
 *     cells                       record by record, 8 bytes for each each-bit
 *                                 that its mask holds, in ascending order
 *     check                       4 bytes: the low bits of the row's hash
 *
 * The check lets every reader see damage in a row before it spreads, and
 * lets verify name the row; the fingerprint alone only says that there is
 * some. */
#include "store/state.h"

#include "base/assert.h"
#include "store/internal.h"
#include "store/tables.h"

#include <stdlib.h>
#include <string.h>

void row_space_use(struct row_space *space, const struct store_table *table)
{
    GV_ASSERT((table->each_count > 0) ==
              (table->sums != NULL || table->siblings != NULL));
    space->row.sums = table->sums;
    space->row.siblings = table->siblings;
    space->each = table->each_count;
}

/* Arrays for @count records with masks of @words and @each cells; what the
 * space holds moves there. */
static int grow(struct row_space *space, size_t count, size_t words,
                size_t each)
{
    struct record *grown = calloc(count, sizeof *grown);
    struct record *before = calloc(count, sizeof *before);
    uint64_t *room = calloc(count * (words + each), sizeof *room);
    size_t kept = words < space->words ? words : space->words;

    GV_ASSERT(words >= space->words && each >= space->each_room);
    if (grown == NULL || before == NULL || room == NULL) {
        free(grown);
        free(before);
        free(room);
        return GV_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t *mask = room + i * (words + each);

        if (i < space->row.record_count) {
            const struct record *from = &space->records[i];

            grown[i] = *from;
            memcpy(mask, from->mask, kept * sizeof *mask);
            if (space->each_room > 0)
                memcpy(mask + words, from->cells,
                       space->each_room * sizeof *mask);
        }
        grown[i].mask = mask;
        grown[i].cells = mask + words;
    }
    if (space->before_count > 0)
        memcpy(before, space->before, space->before_count * sizeof *before);
    row_space_close(space);
    space->records = grown;
    space->before = before;
    space->room = room;
    space->capacity = count;
    space->words = words;
    space->each_room = each;
    return GV_OK;
}

int row_space_reserve(struct row_space *space, size_t records, size_t words)
{
    int rc = GV_OK;

    GV_ASSERT(records > 0);
    GV_ASSERT(words > 0 && words <= ROW_WORDS_MAX);
    GV_ASSERT(space->row.record_count <= space->capacity);
    GV_ASSERT(space->before_count <= space->capacity);
    if (records > space->capacity || words > space->words ||
        space->each > space->each_room)
        rc = grow(
            space,
            records > 2 * space->capacity ? records + 4 : 2 * space->capacity,
            words > space->words ? words : space->words,
            space->each > space->each_room ? space->each : space->each_room);
    if (rc != GV_OK)
        return rc;
    GV_ASSERT(space->capacity >= records && space->words >= words);
    space->row.records = space->records;
    space->row.digests = space->digests;
    return GV_OK;
}

void row_space_close(struct row_space *space)
{
    free(space->records);
    free(space->before);
    free(space->room);
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
        uint64_t bits = byte & 0x7f;

        if (bit >= bit_count
                ? bits != 0
                : bit_count - bit < 7 && bits >> (bit_count - bit) != 0)
            return GV_ECORRUPT;
        if (bits != 0)
            mask[bit / 64] |= bits << bit % 64;
        if (bit % 64 > 57 && bits >> (64 - bit % 64) != 0)
            mask[bit / 64 + 1] |= bits >> (64 - bit % 64);
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
        uint64_t bits = mask[bit / 64] >> bit % 64;

        if (bit % 64 > 57 && bit / 64 + 1 < words)
            bits |= mask[bit / 64 + 1] << (64 - bit % 64);
        buffer_append_u8(
            out, (uint8_t)((bits & 0x7f) | (bit + 7 <= last ? 0x80 : 0)));
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

/* The digests of the bits of @bits, which @digests is indexed by. */
static int digests_read(const uint8_t **at, const uint8_t *end, size_t word,
                        uint64_t bits, uint64_t *digests)
{
    for (; bits != 0; bits &= bits - 1) {
        if (end - *at < 8)
            return GV_ECORRUPT;
        digests[word * 64 + (size_t)__builtin_ctzll(bits)] = load_u64(*at);
        *at += 8;
    }
    return GV_OK;
}

/* The cells of each record. */
static int cells_read(const uint8_t **at, const uint8_t *end,
                      const struct row *row, size_t count, size_t words)
{
    for (size_t i = 0; i < count; i++) {
        const struct record *record = &row->records[i];

        for (size_t word = 0; word < words; word++) {
            uint64_t bits = record->mask[word] & row_each(row, word);

            for (; bits != 0; bits &= bits - 1) {
                size_t bit = word * 64 + (size_t)__builtin_ctzll(bits);

                if (end - *at < 8)
                    return GV_ECORRUPT;
                record->cells[row_rank(row, bit)] = load_u64(*at);
                *at += 8;
            }
        }
    }
    GV_ASSERT(*at <= end);
    return GV_OK;
}

/* How many records a state of @size bytes can have: each takes ten of them,
 * and a bit of its own where there are no cells by site. */
static size_t records_max(const struct row_space *space, size_t size,
                          size_t column_count)
{
    return space->each > 0 ? size / 10 : column_count + 1;
}

int state_decode(const uint8_t *bytes, size_t size, size_t column_count,
                 struct row_space *space, uint32_t *check)
{
    const uint8_t *at = bytes, *end = bytes + size;
    size_t words = (column_count + 1 + 63) / 64;
    uint64_t held[ROW_WORDS_MAX] = {0};
    uint64_t count;
    int rc = GV_OK;

    GV_ASSERT(column_count < ROW_BITS_MAX);
    if (varint_read(&at, end, &count) != GV_OK || count == 0 ||
        count > records_max(space, size, column_count))
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
    for (size_t word = 0; word < words && rc == GV_OK; word++)
        rc = digests_read(&at, end, word,
                          column_bits(held, word) &
                              ~row_each(&space->row, word),
                          space->digests);
    if (rc == GV_OK && space->each > 0)
        rc = cells_read(&at, end, &space->row, (size_t)count, words);
    if (rc != GV_OK || end - at != 4)
        return GV_ECORRUPT;
    *check = load_u32(at);
    GV_ASSERT(count < space->capacity); /* room for one more */
    space->row.record_count = (size_t)count;
    return row_check(&space->row, words) ? GV_OK : GV_ECORRUPT;
}

size_t state_walk_begin(struct state_walk *walk, const uint8_t *bytes,
                        size_t size)
{
    uint64_t count;

    *walk = (struct state_walk){bytes, bytes + size};
    return varint_read(&walk->at, walk->end, &count) == GV_OK && count <= size
               ? (size_t)count
               : 0;
}

int state_walk_record(struct state_walk *walk, size_t column_count,
                      struct record *record)
{
    GV_ASSERT(column_count < ROW_BITS_MAX);
    return record_read(&walk->at, walk->end, column_count + 1,
                       (column_count + 1 + 63) / 64, record);
}

const uint8_t *state_walk_digests(const struct state_walk *walk, size_t count)
{
    GV_ASSERT(walk->at <= walk->end && count < ROW_BITS_MAX);
    return (size_t)(walk->end - walk->at) == count * 8 + 4 ? walk->at : NULL;
}

static void cells_append(struct buffer *out, const struct row *row,
                         size_t words)
{
    for (size_t i = 0; i < row->record_count; i++) {
        const struct record *record = &row->records[i];

        for (size_t word = 0; word < words; word++) {
            uint64_t bits = record->mask[word] & row_each(row, word);

            for (; bits != 0; bits &= bits - 1)
                buffer_append_u64(
                    out, record->cells[row_rank(
                             row, word * 64 + (size_t)__builtin_ctzll(bits))]);
        }
    }
}

int state_encode(const struct row *row, size_t words, uint32_t check,
                 struct buffer *out)
{
    bool each = row->sums != NULL || row->siblings != NULL;
    uint64_t held[ROW_WORDS_MAX] = {0};

    GV_ASSERT(row->record_count > 0);
    GV_ASSERT(words > 0 && words <= ROW_WORDS_MAX);
    /* Each has a bit of its own. */
    GV_ASSERT(each || row->record_count <= words * 64);
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
        uint64_t bits = column_bits(held, word) & ~row_each(row, word);

        for (; bits != 0; bits &= bits - 1)
            buffer_append_u64(
                out, row->digests[word * 64 + (size_t)__builtin_ctzll(bits)]);
    }
    if (each)
        cells_append(out, row, words);
    return buffer_append_u32(out, check);
}

/* Of what is hashed, what stands before the key. */
#define RECORD_HEAD_SIZE 44

/* What is hashed of a record: its site, its version, the table, the causal
 * length, the key, and for each of its columns, in the order of their wire
 * names, the name's hash and the digest of its value (of an each-bit, of its
 * own cell); existence is the name hash 0
 * and comes first.  Nothing of it depends on this file's numbers. */
static int record_hash(struct store *store, const struct store_table *table,
                       const uint8_t *key, size_t key_size,
                       const struct row *row, const struct record *record,
                       struct hash128 *hash)
{
    struct buffer *out = &store->hashed;
    size_t room = RECORD_HEAD_SIZE + key_size + (table->column_count + 1) * 16;
    uint8_t *start, *at;

    buffer_clear(out);
    start = buffer_extend(out, room);
    if (start == NULL)
        return out->error;
    memcpy(start, store->sites[record->site].bytes, 16);
    store_u64(start + 16, record->version);
    store_u64(start + 24, table->wire_hash);
    store_u64(start + 32, row->causal_length);
    store_u32(start + 40, (uint32_t)key_size);
    at = start + RECORD_HEAD_SIZE;
    memcpy(at, key, key_size);
    at += key_size;
    if (mask_get(record->mask, ROW_EXISTENCE)) {
        store_u64(at, 0);
        at += 8;
    }
    for (size_t i = 0; i < table->column_count; i++) {
        size_t bit = table->order[i] + 1u;

        GV_ASSERT(bit <= table->column_count);
        if (!mask_get(record->mask, bit))
            continue;
        store_u64(at, table->columns[bit - 1].wire_hash);
        store_u64(at + 8, (row_each(row, bit / 64) >> bit % 64 & 1) != 0
                              ? record->cells[row_rank(row, bit)]
                              : row->digests[bit]);
        at += 16;
    }
    GV_ASSERT((size_t)(at - start) <= room);
    *hash = hash128(start, (size_t)(at - start));
    return GV_OK;
}

int state_hash(struct store *store, const struct store_table *table,
               const uint8_t *key, size_t key_size, const struct row *row,
               struct hash128 *sum)
{
    struct hash128 total = {0, 0}, hash;
    int rc = GV_OK;

    GV_ASSERT(table->order != NULL); /* the table is read to its end */
    GV_ASSERT(table->each_count > 0 || row->record_count <= table->words * 64);
    for (size_t i = 0; i < row->record_count && rc == GV_OK; i++) {
        rc = record_hash(store, table, key, key_size, row, &row->records[i],
                         &hash);
        if (rc == GV_OK)
            total = hash128_add(total, hash);
    }
    if (rc == GV_OK)
        *sum = total;
    return rc;
}
