/* Changes: a delta's stream taken apart into cells, and put together again.
 *
 * Who carries cells from file to file may lose some, or change a value on the
 * way (a real that became text and a real again).  Applied, the rest would be
 * claimed as the whole, and no exchange would ever find the hole.  So a set of
 * changes goes with its count and the sum of its hashes. */
#include "store/changes.h"

#include "base/assert.h"
#include "store/bundle.h"
#include "store/internal.h"
#include "store/kinds.h"
#include "store/tables.h"

#include <stdlib.h>
#include <string.h>

/* Site, version, causal length, five hashes of eight bytes each, and whether
 * the cell is hollow. */
#define HASHED_SIZE 73

_Static_assert(sizeof(struct site) + 2 * 8 + 5 * 8 + 1 == HASHED_SIZE,
               "the parts that change_hash() hashes");

/* A row's existence has no column: 0 stands for it, which a name hashes to by
 * a chance of 2^-64. */
uint64_t change_hash(const struct change *change)
{
    uint8_t bytes[HASHED_SIZE];

    GV_ASSERT(change->version <= VERSION_MAX);
    memcpy(bytes, change->site.bytes, sizeof change->site.bytes);
    store_u64(bytes + 16, change->version);
    store_u64(bytes + 24, change->causal_length);
    store_u64(bytes + 32, hash64(change->table.bytes, change->table.size));
    store_u64(bytes + 40, hash64(change->key, change->key_size));
    store_u64(bytes + 48,
              change->column.bytes == NULL
                  ? 0
                  : hash64(change->column.bytes, change->column.size));
    store_u64(bytes + 56,
              change->hollow ? change->digest : value_digest(&change->value));
    store_u64(bytes + 64,
              hash64(change->over.bytes, change->over.count * VV_ENTRY_SIZE));
    bytes[72] = change->hollow;
    return hash64(bytes, sizeof bytes);
}

/* A table as the stream defines it. */
struct changes_table {
    struct text name;
    struct text *columns;
    uint64_t each[ROW_WORDS_MAX]; /* those with a cell for each site */
    size_t column_count;
};

/* A cell of the row at hand.  The value of a column that only one wrote last
 * stands by its bit. */
struct changes_cell {
    size_t bit;
    uint32_t site;
    gv_version version;
    bool each; /* of a column with a cell for each site; then also: */
    struct value value;
    struct vv_view over;
};

struct changes_site {
    struct site id;
    gv_version base; /* of the versions of its groups */
};

struct changes {
    struct buffer stream;
    struct buffer claim;
    size_t offset; /* of the next item */
    struct changes_site *sites;
    struct changes_table *tables;
    size_t site_count, table_count;
    /* The row at hand. */
    struct stream_item row;
    struct changes_cell *cells;
    struct value values[ROW_BITS_MAX]; /* by bit */
    uint64_t digests[ROW_BITS_MAX];    /* of the hollow ones */
    uint64_t hollow[ROW_WORDS_MAX];
    size_t cell_count, cell_capacity, cell_at;
};

static int keep_claim(struct changes *changes, struct vv_view claim)
{
    GV_ASSERT(changes->claim.size == 0);
    GV_ASSERT(claim.count <= VV_SITES_MAX);
    return buffer_append(&changes->claim, claim.bytes,
                         claim.count * VV_ENTRY_SIZE);
}

static int keep_stream(struct changes *changes, struct extract *extract)
{
    uint64_t size = extract_size(extract);
    uint8_t *room;

    if (size == 0)
        return GV_OK;
    GV_ASSERT(changes->stream.size == 0);
    room = buffer_extend(&changes->stream, (size_t)size);
    return room == NULL ? changes->stream.error
                        : extract_read(extract, 0, room, (size_t)size);
}

int changes_read(struct store *store, struct vv_view vv,
                 struct changes **changes, struct gv_error *error)
{
    struct changes *made = calloc(1, sizeof *made);
    struct extract *extract;
    int rc;

    GV_ASSERT(!store->in_transaction);
    if (made == NULL)
        return error_set(error, GV_ENOMEM, "Out of memory.");
    buffer_init(&made->stream, SIZE_MAX);
    buffer_init(&made->claim, SIZE_MAX);
    rc = bundle_extract(store, vv, &extract, error);
    if (rc == GV_OK) {
        rc = keep_claim(made, extract_claim(extract));
        if (rc == GV_OK)
            rc = keep_stream(made, extract);
        extract_free(extract);
        if (rc != GV_OK)
            error_set(error, rc, "The changes cannot be kept in memory: %s.",
                      gv_strerror(rc));
    }
    if (rc != GV_OK)
        changes_free(made);
    else
        *changes = made;
    return rc;
}

struct vv_view changes_claim(const struct changes *changes)
{
    GV_ASSERT(changes->claim.size % VV_ENTRY_SIZE == 0);
    return (struct vv_view){changes->claim.data,
                            changes->claim.size / VV_ENTRY_SIZE};
}

void changes_free(struct changes *changes)
{
    if (changes == NULL)
        return;
    for (size_t i = 0; i < changes->table_count; i++)
        free(changes->tables[i].columns);
    free(changes->tables);
    free(changes->sites);
    free(changes->cells);
    buffer_close(&changes->stream);
    buffer_close(&changes->claim);
    free(changes);
}

static int add_site(struct changes *changes, const struct stream_item *item)
{
    struct changes_site *grown =
        realloc(changes->sites, (changes->site_count + 1) * sizeof *grown);

    if (grown == NULL)
        return GV_ENOMEM;
    changes->sites = grown;
    grown[changes->site_count++] =
        (struct changes_site){item->as.site.id, item->as.site.base};
    return GV_OK;
}

static bool text_is_lww(struct stream_text kind)
{
    enum column_kind found;

    return kind_named(kind.bytes, kind.size, &found) && found == COLUMN_LWW;
}

static int add_table(struct changes *changes, struct stream_item *item)
{
    const struct stream_table *head = &item->as.table.head;
    size_t count = head->column_count;
    struct changes_table *grown, *table;

    grown =
        realloc(changes->tables, (changes->table_count + 1) * sizeof *grown);
    if (grown == NULL)
        return GV_ENOMEM;
    changes->tables = grown;
    table = &grown[changes->table_count];
    table->name = (struct text){head->wire.bytes, head->wire.size};
    table->column_count = count;
    memset(table->each, 0, sizeof table->each);
    table->columns = calloc(count + 1, sizeof *table->columns);
    if (table->columns == NULL)
        return GV_ENOMEM;
    changes->table_count++;
    for (size_t i = 0; i < count; i++) {
        struct stream_column column;

        stream_next_column(&item->as.table.columns, &column);
        table->columns[i] = (struct text){column.wire.bytes, column.wire.size};
        if (!text_is_lww(column.kind))
            mask_set(table->each, i + 1);
    }
    return GV_OK;
}

static int grow_cells(struct changes *changes)
{
    size_t capacity = 2 * changes->cell_capacity + 64;
    struct changes_cell *grown;

    if (changes->cell_count < changes->cell_capacity)
        return GV_OK;
    grown = realloc(changes->cells, capacity * sizeof *grown);
    if (grown == NULL)
        return GV_ENOMEM;
    changes->cells = grown;
    changes->cell_capacity = capacity;
    GV_ASSERT(changes->cell_count < changes->cell_capacity);
    return GV_OK;
}

/* The cells of one group. */
static int add_cells(struct changes *changes, const uint64_t *mask,
                     size_t words, uint32_t site, gv_version version)
{
    const uint64_t *each = changes->tables[changes->row.as.row.table].each;

    for (size_t word = 0; word < words; word++)
        for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
            size_t bit = word * 64 + (size_t)__builtin_ctzll(bits);
            int rc = grow_cells(changes);

            if (rc != GV_OK)
                return rc;
            changes->cells[changes->cell_count++] = (struct changes_cell){
                .bit = bit,
                .site = site,
                .version = version,
                .each = mask_get(each, bit),
            };
        }
    return GV_OK;
}

/* The values of the cells in @held, of columns that one wrote last. */
static void read_values(struct changes *changes, const uint64_t *held,
                        size_t words)
{
    const uint64_t *each = changes->tables[changes->row.as.row.table].each;

    memset(changes->hollow, 0, sizeof changes->hollow);
    changes->values[ROW_EXISTENCE] = (struct value){.class = VALUE_NULL};
    for (size_t word = 0; word < words; word++)
        for (uint64_t bits = column_bits(held, word) & ~each[word]; bits != 0;
             bits &= bits - 1) {
            size_t bit = word * 64 + (size_t)__builtin_ctzll(bits);

            if (!stream_next_value(&changes->row.as.row.values,
                                   &changes->values[bit],
                                   &changes->digests[bit]))
                mask_set(changes->hollow, bit);
        }
}

/* The cells by site, which follow in the order of the groups. */
static int read_each(struct changes *changes)
{
    struct cursor *values = &changes->row.as.row.values;

    for (size_t i = 0; i < changes->cell_count; i++) {
        struct changes_cell *cell = &changes->cells[i];

        if (!cell->each)
            continue;
        GV_ASSERT(cell->bit != ROW_EXISTENCE);
        if (stream_peek_value(values) == STREAM_CELL)
            stream_next_cell(values, &cell->value, &cell->over);
        else if (!stream_next_value(values, &cell->value, &(uint64_t){0}))
            return GV_EPROTO;
    }
    return GV_OK;
}

/* How many values the row must have. */
static size_t count_values(const struct changes *changes, const uint64_t *held,
                           size_t words)
{
    const uint64_t *each = changes->tables[changes->row.as.row.table].each;
    size_t count = 0;

    GV_ASSERT(words <= ROW_WORDS_MAX);
    for (size_t word = 0; word < words; word++)
        count += (size_t)__builtin_popcountll(column_bits(held, word) &
                                              ~each[word]);
    for (size_t i = 0; i < changes->cell_count; i++)
        count += changes->cells[i].each;
    return count;
}

/* A stream of our own extract, so what is wrong with it is damage between the
 * disk and here. */
static int open_row(struct changes *changes)
{
    struct stream_item *row = &changes->row;
    uint64_t held[ROW_WORDS_MAX] = {0}, mask[ROW_WORDS_MAX];
    size_t words;

    GV_ASSERT(row->kind == STREAM_ROW);
    if (row->as.row.table >= changes->table_count)
        return GV_EPROTO;
    words = (changes->tables[row->as.row.table].column_count + 1 + 63) / 64;
    changes->cell_at = changes->cell_count = 0;
    for (size_t i = 0; i < row->as.row.group_count; i++) {
        int64_t since;
        uint32_t site;
        int rc;

        if (stream_next_group(&row->as.row.groups, &site, &since, mask,
                              words) != GV_OK ||
            site >= changes->site_count)
            return GV_EPROTO;
        rc = add_cells(changes, mask, words, site,
                       changes->sites[site].base + (uint64_t)since);
        if (rc != GV_OK)
            return rc;
        for (size_t word = 0; word < words; word++)
            held[word] |= mask[word];
    }
    if (count_values(changes, held, words) != row->as.row.value_count)
        return GV_EPROTO;
    read_values(changes, held, words);
    return read_each(changes);
}

/* The next row: 1, 0 at the end. */
static int next_row(struct changes *changes)
{
    struct stream_item *item = &changes->row;
    const uint8_t *bytes = changes->stream.data;
    int rc = GV_OK;

    while (rc == GV_OK && changes->offset < changes->stream.size) {
        size_t left = changes->stream.size - changes->offset, size;

        if (left < STREAM_HEADER_SIZE)
            return GV_EPROTO;
        size = load_u32(bytes + changes->offset);
        changes->offset += STREAM_HEADER_SIZE;
        if (size > left - STREAM_HEADER_SIZE ||
            stream_decode(bytes + changes->offset, size, item) != GV_OK)
            return GV_EPROTO;
        changes->offset += size;
        if (item->kind == STREAM_ROW)
            return (rc = open_row(changes)) == GV_OK ? 1 : rc;
        rc = item->kind == STREAM_SITE ? add_site(changes, item)
                                       : add_table(changes, item);
    }
    GV_ASSERT(rc != GV_OK || changes->offset == changes->stream.size);
    return rc;
}

int changes_next(struct changes *changes, struct change *change)
{
    const struct changes_table *table;
    const struct changes_cell *cell;

    if (changes->cell_at == changes->cell_count) {
        int rc = next_row(changes);

        if (rc <= 0)
            return rc;
    }
    GV_ASSERT(changes->cell_at < changes->cell_count); /* no row is empty */
    cell = &changes->cells[changes->cell_at++];
    table = &changes->tables[changes->row.as.row.table];
    if (cell->bit > table->column_count)
        return GV_EPROTO;
    *change = (struct change){
        .table = table->name,
        .key = changes->row.as.row.key,
        .key_size = changes->row.as.row.key_size,
        .value = cell->each ? cell->value : changes->values[cell->bit],
        .over = cell->over,
        .hollow = !cell->each && mask_get(changes->hollow, cell->bit),
        .digest = changes->digests[cell->bit],
        .version = cell->version,
        .site = changes->sites[cell->site].id,
        .causal_length = changes->row.as.row.causal_length,
    };
    if (cell->bit != ROW_EXISTENCE)
        change->column = table->columns[cell->bit - 1];
    GV_ASSERT((change->column.bytes == NULL) == (cell->bit == ROW_EXISTENCE));
    return 1;
}
