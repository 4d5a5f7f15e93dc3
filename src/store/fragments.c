/* Row fragments into a stream, with the stream's own numbers for sites and
 * tables. */
#include "store/fragments.h"

#include "base/assert.h"
#include "store/cells.h"
#include "store/internal.h"
#include "store/kinds.h"

#include <stdlib.h>
#include <string.h>

void fragments_init(struct fragments *fragments, struct buffer *out)
{
    *fragments = (struct fragments){.out = out};
}

void fragments_close(struct fragments *fragments)
{
    free(fragments->sites);
    free(fragments->bases);
    free(fragments->tables);
}

/* Room for @index in *@numbers, zero-filled. */
static int numbers_reserve(uint32_t **numbers, size_t *capacity, size_t index)
{
    uint32_t *grown;
    size_t count = index + 16;

    if (index < *capacity)
        return GV_OK;
    grown = realloc(*numbers, count * sizeof *grown);
    if (grown == NULL)
        return GV_ENOMEM;
    memset(grown + *capacity, 0, (count - *capacity) * sizeof *grown);
    GV_ASSERT(count > index);
    *numbers = grown;
    *capacity = count;
    return GV_OK;
}

/* Most records of an interval have one version, and those of a long delta are
 * often as near to one another as any: the first is told whole. */
static int define_site(struct fragments *fragments, const struct store *store,
                       const struct record *record)
{
    uint32_t number = record->site;
    gv_version *bases;
    int rc =
        numbers_reserve(&fragments->sites, &fragments->site_capacity, number);

    if (rc != GV_OK || fragments->sites[number] != 0)
        return rc;
    GV_ASSERT(number < store->site_capacity);
    bases = reallocarray(fragments->bases, fragments->site_count + 1,
                         sizeof *bases);
    if (bases == NULL)
        return GV_ENOMEM;
    fragments->bases = bases;
    bases[fragments->site_count] = record->version;
    fragments->sites[number] = ++fragments->site_count;
    GV_ASSERT(fragments->site_count <= fragments->site_capacity);
    return stream_write_site(fragments->out, &store->sites[number],
                             record->version);
}

static void write_group(struct stream_row_writer *writer,
                        const struct fragments *fragments,
                        const struct record *record, size_t words)
{
    uint32_t number = fragments->sites[record->site] - 1;

    GV_ASSERT(number < fragments->site_count);
    stream_write_group(writer, number,
                       (int64_t)record->version -
                           (int64_t)fragments->bases[number],
                       record->mask, words);
}

/* A column that this file has not is called as the peer's file does that it
 * was heard of from. */
static void define_column(struct stream_column *column,
                          const struct store_column *from)
{
    const char *local = from->local != NULL  ? from->local
                        : from->peer != NULL ? from->peer
                                             : from->wire;

    *column = (struct stream_column){
        .wire = stream_text(from->wire),
        .local = stream_text(local),
        .type = stream_text(from->type),
        .kind = stream_text(kind_name(from->kind)),
        .initial = from->initial,
    };
}

static int define_table(struct fragments *fragments,
                        const struct store_table *table)
{
    size_t index = (size_t)table->id;
    struct stream_table head = {
        .wire = stream_text(table->wire),
        .local = stream_text(table->local),
        .options = table->options,
        .key_count = table->key_count,
        .column_count = table->column_count,
    };
    struct stream_column *columns =
        calloc(table->key_count + table->column_count, sizeof *columns);
    int rc;

    GV_ASSERT(fragments->tables[index] == 0);
    if (columns == NULL)
        return GV_ENOMEM;
    for (size_t i = 0; i < table->key_count; i++)
        define_column(&columns[i], &table->keys[i]);
    for (size_t i = 0; i < table->column_count; i++)
        define_column(&columns[table->key_count + i], &table->columns[i]);
    fragments->tables[index] = ++fragments->table_count;
    rc = stream_write_table(fragments->out, &head, columns,
                            columns + table->key_count);
    free(columns);
    return rc;
}

int fragments_define(struct fragments *fragments,
                     const struct store_table *table)
{
    size_t index = (size_t)table->id;
    int rc =
        numbers_reserve(&fragments->tables, &fragments->table_capacity, index);

    return rc != GV_OK || fragments->tables[index] != 0
               ? rc
               : define_table(fragments, table);
}

/* The values of the bits of @held, ascending.  One too large to travel, or for
 * which an item has no room left, goes as its digest. */
static void write_values(struct stream_row_writer *writer,
                         const struct store *store, const uint64_t *held,
                         size_t words, size_t room)
{
    for (size_t word = 0; word < words; word++) {
        uint64_t bits = held[word] & ~row_each(&store->space.row, word);

        for (; bits != 0; bits &= bits - 1) {
            size_t bit = word * 64 + (size_t)__builtin_ctzll(bits);
            const struct value *value = &store->values[bit - 1];

            if (mask_get(store->hollow, bit) ||
                value->size > store->limits.value_size || value->size > room) {
                stream_write_hollow(writer, store->space.row.digests[bit]);
            } else {
                room -= value->size;
                stream_write_value(writer, value);
            }
        }
    }
}

/* The cells of one record. */
static void write_cells(struct stream_row_writer *writer,
                        const struct store *store,
                        const struct store_table *table,
                        const struct record *record)
{
    for (size_t word = 0; word < table->words; word++) {
        uint64_t bits = record->mask[word] & row_each(&store->space.row, word);

        for (; bits != 0; bits &= bits - 1) {
            size_t bit = word * 64 + (size_t)__builtin_ctzll(bits);
            const struct cell *cell =
                cells_get(&store->space.cells, bit, record->site);

            GV_ASSERT(cell != NULL && cell->version == record->version);
            GV_ASSERT(cell->value.class <= VALUE_BLOB);
            if (table->columns[bit - 1].kind == COLUMN_COUNTER)
                stream_write_value(writer, &cell->value);
            else
                stream_write_cell(writer, &cell->value, cell->over);
        }
    }
}

/* How many values a row has: one for each bit of @held, but one for each
 * record that has it of columns with a cell for each site. */
static size_t count_values(const struct store *store,
                           const struct store_table *table,
                           const struct record *records, size_t record_count,
                           const uint64_t *held)
{
    const struct row *row = &store->space.row;
    size_t count = 0;

    GV_ASSERT(record_count <= STREAM_GROUPS_MAX);
    for (size_t word = 0; word < table->words; word++) {
        uint64_t each = row_each(row, word);

        count += (size_t)__builtin_popcountll(held[word] & ~each);
        for (size_t i = 0; i < record_count && each != 0; i++)
            count +=
                (size_t)__builtin_popcountll(records[i].mask[word] & each);
    }
    return count;
}

/* Of an item, for what is not values: groups, digests, heads. */
#define HEAD_SIZE_MAX (4u * 1024 * 1024)

_Static_assert(STREAM_GROUPS_MAX *(STREAM_MASK_SIZE_MAX + 64) < HEAD_SIZE_MAX,
               "all groups fit");

int fragments_add(struct fragments *fragments, const struct store *store,
                  const struct store_table *table, const struct row_key *key,
                  const struct record *records, size_t record_count)
{
    struct stream_row_writer writer;
    uint64_t held[ROW_WORDS_MAX] = {0};
    size_t value_count, index = (size_t)table->id;
    size_t taken = HEAD_SIZE_MAX + key->size;
    int rc = fragments_define(fragments, table);

    GV_ASSERT(record_count > 0); /* a fragment of nothing says nothing */
    if (record_count > STREAM_GROUPS_MAX)
        return GV_ELIMIT;
    for (size_t i = 0; i < record_count && rc == GV_OK; i++) {
        rc = define_site(fragments, store, &records[i]);
        for (size_t word = 0; word < table->words; word++)
            held[word] |= records[i].mask[word];
    }
    if (rc != GV_OK)
        return rc;
    held[0] &= ~(uint64_t)1;
    value_count = count_values(store, table, records, record_count, held);
    /* The stream's numbers stand as + 1, so that 0 is "not defined yet". */
    GV_ASSERT(table->each_count > 0 || value_count <= table->column_count);
    GV_ASSERT(fragments->tables[index] > 0 &&
              fragments->tables[index] <= fragments->table_count);
    stream_begin_row(&writer, fragments->out, fragments->tables[index] - 1,
                     key->bytes, key->size, store->space.row.causal_length,
                     record_count, value_count);
    for (size_t i = 0; i < record_count; i++)
        write_group(&writer, fragments, &records[i], table->words);
    write_values(&writer, store, held, table->words,
                 taken < STREAM_ITEM_SIZE_MAX ? STREAM_ITEM_SIZE_MAX - taken
                                              : 0);
    for (size_t i = 0; i < record_count && table->each_count > 0; i++)
        write_cells(&writer, store, table, &records[i]);
    return stream_end_row(&writer);
}
