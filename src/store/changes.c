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

/* Read */

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

/* Apply */

static int compare_bytes(const void *a, size_t a_size, const void *b,
                         size_t b_size)
{
    size_t size = a_size < b_size ? a_size : b_size;
    int order = size == 0 ? 0 : memcmp(a, b, size);

    return order != 0 ? order : a_size < b_size ? -1 : a_size > b_size;
}

/* Of one row of one table. */
static int compare_rows(const struct change *a, const struct change *b)
{
    int order = compare_bytes(a->table.bytes, a->table.size, b->table.bytes,
                              b->table.size);

    return order != 0
               ? order
               : compare_bytes(a->key, a->key_size, b->key, b->key_size);
}

static int compare_changes(const void *a, const void *b)
{
    const struct change *x = *(const struct change *const *)a;
    const struct change *y = *(const struct change *const *)b;
    uint64_t x_hash, y_hash;
    int order = compare_rows(x, y);

    if (order != 0)
        return order;
    x_hash = change_hash(x);
    y_hash = change_hash(y);
    return x_hash < y_hash ? -1 : x_hash > y_hash;
}

/* Sort @list, and keep one of those that say the same. */
static size_t arrange(const struct change **list, size_t count)
{
    size_t kept = 0;

    if (count > 0)
        qsort(list, count, sizeof(const struct change *), compare_changes);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || compare_changes(&list[kept - 1], &list[i]) != 0)
            list[kept++] = list[i];
    GV_ASSERT(kept <= count);
    return kept;
}

static int check_whole(const struct change **list, size_t count,
                       const struct changes_sum *sum, struct gv_error *error)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < count; i++)
        hash += change_hash(list[i]);
    if (count == sum->count && hash == sum->hash)
        return GV_OK;
    if (count != sum->count)
        error_set(error, GV_EPROTO,
                  "The changes are not whole: %zu came of %llu.", count,
                  (unsigned long long)sum->count);
    else
        error_set(error, GV_EPROTO,
                  "The changes are not what was selected: a value was changed"
                  " on the way.");
    error_meaning(error, "Claimed as they are, what is missing would never"
                         " come any more; nothing of them was applied.");
    error_remedy(error, "Carry all rows in one transaction, values bound and"
                        " not printed, or use gv_delta() and gv_apply().");
    return GV_EPROTO;
}

static int not_known(const struct change *change, bool table,
                     struct gv_error *error)
{
    error_set(error, GV_ESCHEMA, "There is no %s '%.*s' in what is tracked.",
              table ? "table" : "column",
              (int)(table ? change->table.size : change->column.size),
              table ? change->table.bytes : change->column.bytes);
    error_meaning(error, "Changes name tables and columns and do not describe"
                         " them; nothing of them was applied.");
    error_remedy(error, "Make it here and track it, or use gv_delta() and"
                        " gv_apply(), which carry definitions.");
    return GV_ESCHEMA;
}

/* The bit of a change's column; 0 for existence, -1 if there is none. */
static int bit_of(const struct store_table *table, const struct change *change)
{
    const struct text *name = &change->column;

    if (name->bytes == NULL)
        return ROW_EXISTENCE;
    for (size_t i = 0; i < table->column_count; i++)
        if (strlen(table->columns[i].wire) == name->size &&
            memcmp(table->columns[i].wire, name->bytes, name->size) == 0)
            return (int)i + 1;
    return -1;
}

/* The record of (@number, @version), one of @space's first *@count. */
static struct record *record_of(struct row_space *space, size_t *count,
                                size_t words, uint32_t number,
                                gv_version version)
{
    struct record *record;

    for (size_t i = 0; i < *count; i++)
        if (space->records[i].site == number &&
            space->records[i].version == version)
            return &space->records[i];
    GV_ASSERT(*count < space->capacity);
    record = &space->records[(*count)++];
    record->site = number;
    record->version = version;
    memset(record->mask, 0, words * sizeof *record->mask);
    return record;
}

/* A row's fragment in the making: records in store->fragment, values and
 * digests where fragments_add() looks for them. */
struct making {
    const struct store_table *table;
    uint64_t seen[ROW_WORDS_MAX];
    size_t records;
};

/* The cell of one site, which fragments_add() finds with the row. */
static int add_each(struct store *store, const struct store_table *table,
                    const struct change *change, size_t bit, uint32_t number)
{
    bool sums = table->columns[bit - 1].kind == COLUMN_COUNTER;
    struct cell *cell;

    GV_ASSERT(kinds_each(table, bit));
    if (change->hollow || (sums && (change->value.class != VALUE_INTEGER ||
                                    change->over.count > 0)))
        return GV_EPROTO;
    if (!vv_view_valid(change->over) ||
        cells_get(&store->space.cells, bit, number) != NULL)
        return GV_EPROTO;
    cell = cells_put(&store->space.cells, bit, number);
    if (cell == NULL)
        return GV_ENOMEM;
    GV_ASSERT(cell->owned == NULL); /* it borrows the change's bytes */
    cell->version = change->version;
    cell->value = change->value;
    cell->over = change->over;
    return GV_OK;
}

/* The value of a column that only one wrote last, or existence. */
static int add_value(struct store *store, struct making *making,
                     const struct change *change, size_t bit)
{
    if (change->over.count > 0 || mask_get(making->seen, bit))
        return GV_EPROTO;
    mask_set(making->seen, bit);
    if (bit == ROW_EXISTENCE)
        return GV_OK;
    GV_ASSERT(bit <= making->table->column_count);
    store->values[bit - 1] = change->value;
    if (change->hollow) {
        mask_set(store->hollow, bit);
        store->space.row.digests[bit] = change->digest;
    }
    return GV_OK;
}

static int add_cell(struct store *store, struct making *making,
                    const struct change *change, struct gv_error *error)
{
    int bit = bit_of(making->table, change);
    uint32_t number;
    int rc;

    if (bit < 0)
        return not_known(change, false, error);
    rc = site_number(store, &change->site, &number);
    if (rc == GV_OK)
        rc = kinds_each(making->table, (size_t)bit)
                 ? add_each(store, making->table, change, (size_t)bit, number)
                 : add_value(store, making, change, (size_t)bit);
    if (rc != GV_OK)
        return rc;
    mask_set(record_of(&store->fragment, &making->records,
                       making->table->words, number, change->version)
                 ->mask,
             (size_t)bit);
    return GV_OK;
}

/* One row's fragment out of its changes, in which no cell stands twice; no
 * more records than changes. */
static int add_row(struct store *store, struct fragments *fragments,
                   const struct change *const *list, size_t count,
                   struct gv_error *error)
{
    struct store_table *table =
        schema_by_wire(store, list[0]->table.bytes, list[0]->table.size);
    struct making making = {.table = table};
    struct row_key key;
    int rc;

    GV_ASSERT(count > 0);
    if (table == NULL)
        return not_known(list[0], true, error);
    if (row_key_decode(&key, list[0]->key, list[0]->key_size,
                       table->key_count) != GV_OK)
        return GV_EPROTO;
    memset(store->hollow, 0, sizeof store->hollow);
    row_space_use(&store->fragment, table);
    row_space_use(&store->space, table);
    cells_clear(&store->space.cells);
    rc = row_space_reserve(&store->fragment, count, table->words);
    if (rc == GV_OK) /* for the causal length and digests */
        rc = row_space_reserve(&store->space, 1, table->words);
    store->space.row.causal_length = list[0]->causal_length;
    for (size_t i = 0; i < count && rc == GV_OK; i++)
        rc = list[i]->causal_length == list[0]->causal_length
                 ? add_cell(store, &making, list[i], error)
                 : GV_EPROTO;
    return rc != GV_OK
               ? rc
               : fragments_add(fragments, store, table, &key,
                               store->fragment.records, making.records);
}

static int add_rows(struct store *store, struct buffer *stream,
                    const struct change *const *list, size_t count,
                    struct gv_error *error)
{
    struct fragments fragments;
    int rc = GV_OK;

    GV_ASSERT(store->in_transaction); /* sites may be given numbers */
    fragments_init(&fragments, stream);
    for (size_t i = 0, end; i < count && rc == GV_OK; i = end) {
        for (end = i + 1; end < count && compare_rows(list[i], list[end]) == 0;
             end++)
            ;
        rc = add_row(store, &fragments, list + i, end - i, error);
    }
    fragments_close(&fragments);
    if (rc == GV_EPROTO)
        error_set(error, rc, "The changes are not those of any row.");
    return rc;
}

/* Put together, then apply as any delta. */
static int take(struct store *store, const struct change *const *list,
                size_t count, struct vv_view claim, struct gv_error *error)
{
    struct buffer stream;
    uint64_t token;
    int rc;

    do
        store->host->random(store->host->context, &token, sizeof token);
    while (token == 0);
    GV_ASSERT(store->inbox.token == 0);
    buffer_init(&stream, SIZE_MAX);
    rc = add_rows(store, &stream, list, count, error);
    if (rc == GV_OK) {
        rc = store_stage(store, token, 0, stream.data, stream.size);
        if (rc == GV_OK)
            rc = store_apply_delta(store, token, claim, error);
    }
    if (rc != GV_OK && (error == NULL || error->code != rc))
        error_set(error, rc, "The changes cannot be applied: %s.",
                  gv_strerror(rc));
    buffer_close(&stream);
    store_stage_drop(store, token);
    return rc;
}

int changes_apply(struct store *store, const struct change **list,
                  size_t count, const struct changes_sum *sum,
                  struct vv_view base, struct vv_view claim,
                  struct gv_error *error)
{
    struct store_sealed sealed;
    int rc;

    GV_ASSERT(!store->in_transaction);
    count = arrange(list, count);
    rc = check_whole(list, count, sum, error);
    if (rc == GV_OK)
        rc = store_begin(store, error);
    if (rc != GV_OK)
        return rc;
    rc = bundle_check(store, base, claim, error);
    if (rc == GV_OK)
        rc = take(store, list, count, claim, error);
    if (rc == GV_OK)
        rc = store_commit(store, &sealed, error);
    else
        store_rollback(store);
    GV_ASSERT(!store->in_transaction);
    return rc;
}
