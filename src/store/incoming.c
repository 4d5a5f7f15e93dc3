/* What came from a peer, read item by item: sites and tables that it names,
 * and rows, with our numbers and bits in the place of the stream's. */
#include "store/apply.h"

#include "base/assert.h"
#include "store/cells.h"
#include "store/define.h"
#include "store/identity.h"
#include "store/keys.h"
#include "store/kinds.h"
#include "store/state.h"
#include "store/tables.h"
#include "store/work.h"

#include <stdlib.h>
#include <string.h>

void incoming_close(struct apply *apply)
{
    for (size_t i = 0; i < apply->table_count; i++) {
        struct stream_table_here *table = &apply->tables[i];

        for (size_t j = 0; j < table->column_count; j++)
            free(table->columns[j]);
        free(table->columns);
        free(table->bits);
        free(table->name);
    }
    free(apply->tables);
    free(apply->sites);
    buffer_close(&apply->item);
    ahead_close(apply);
    inserts_close(apply);
    updates_close(apply);
    screen_close(apply);
}

/* A mask of the stream fits the arrays that it is read into, and a bit of
 * ours the type that it is mapped to. */
_Static_assert(STREAM_COLUMNS_MAX < ROW_BITS_MAX, "columns of a stream");
_Static_assert(ROW_BITS_MAX <= UINT16_MAX, "bits of a table");

int incoming_malformed(struct apply *apply, const char *what)
{
    error_set(apply->error, GV_EPROTO, "What the peer sent is malformed: %s.",
              what);
    error_meaning(apply->error, "Nothing of it was applied.");
    error_remedy(apply->error, "Look at the versions of both programs; if"
                               " they are equal, report this.");
    return GV_EPROTO;
}

/* Bytes of items that are kept at once: some hundred rows.  They lie where
 * they are until all of them are released. */
#define KEPT_SIZE_MAX 131072

/* The next item's bytes: 0 at the end, 1 with an item, or an error. */
static int next_bytes(struct apply *apply, const uint8_t **bytes, size_t *size)
{
    uint8_t head[STREAM_HEADER_SIZE];
    int rc = GV_OK;

    GV_ASSERT(apply->offset <= apply->size);
    if (apply->offset == apply->size)
        return 0;
    if (apply->size - apply->offset < STREAM_HEADER_SIZE)
        return incoming_malformed(apply, "it ends in an item's length");
    if (apply->bytes != NULL)
        memcpy(head, apply->bytes + apply->offset, sizeof head);
    else
        rc = inbox_read(apply->store, apply->offset, head, sizeof head);
    apply->offset += STREAM_HEADER_SIZE;
    *size = load_u32(head);
    if (rc == GV_OK &&
        (*size > apply->size - apply->offset || *size > STREAM_ITEM_SIZE_MAX))
        return incoming_malformed(apply, "an item is longer than what came");
    if (rc == GV_OK && apply->bytes != NULL) {
        *bytes = apply->bytes + apply->offset;
    } else if (rc == GV_OK) {
        uint8_t *room;

        room = buffer_extend(&apply->item, *size);
        rc = room == NULL
                 ? apply->item.error
                 : inbox_read(apply->store, apply->offset, room, *size);
        *bytes = room;
    }
    apply->offset += *size;
    GV_ASSERT(rc != GV_OK || apply->offset <= apply->size);
    if (rc == GV_ECORRUPT && store_applying(apply->store))
        return inbox_damaged(apply->error);
    return rc == GV_OK ? 1 : rc;
}

bool incoming_fits(struct apply *apply)
{
    const struct buffer *kept = &apply->item;
    uint8_t head[STREAM_HEADER_SIZE];

    if (apply->size - apply->offset < STREAM_HEADER_SIZE)
        return false;
    if (apply->bytes != NULL)
        return true;
    GV_ASSERT(kept->size <= kept->capacity);
    return kept->size < KEPT_SIZE_MAX &&
           inbox_read(apply->store, apply->offset, head, sizeof head) ==
               GV_OK &&
           load_u32(head) <= kept->capacity - kept->size;
}

void incoming_release(struct apply *apply)
{
    size_t room =
        apply->size < KEPT_SIZE_MAX ? (size_t)apply->size : KEPT_SIZE_MAX;

    buffer_clear(&apply->item);
    /* So much is kept without moving what was read. */
    if (apply->bytes == NULL && apply->item.capacity < room) {
        buffer_extend(&apply->item, room);
        buffer_clear(&apply->item);
    }
}

int incoming_next(struct apply *apply, struct stream_item *item)
{
    const uint8_t *bytes = NULL;
    size_t size = 0;
    int rc = next_bytes(apply, &bytes, &size);

    if (rc > 0 && stream_decode(bytes, size, item) != GV_OK)
        return incoming_malformed(apply, "an item that is not one");
    GV_ASSERT(rc != GV_OK || apply->offset == apply->size);
    return rc;
}

int incoming_site(struct apply *apply, const struct site *site,
                  gv_version base)
{
    struct stream_site *grown, *defined;
    int rc;

    /* What bounds its records: an interval's ends or a delta's claim. */
    GV_ASSERT((apply->interval != NULL) != (apply->claim != NULL));
    grown = realloc(apply->sites, (apply->site_count + 1) * sizeof *grown);
    if (grown == NULL)
        return GV_ENOMEM;
    apply->sites = grown;
    defined = &grown[apply->site_count];
    if (apply->interval != NULL) {
        if (!site_equal(site, &apply->interval->site))
            return incoming_malformed(
                apply, "an interval with another site's records");
        defined->above = apply->interval->from;
        defined->to = apply->interval->to;
    } else {
        defined->above = 0;
        defined->to = vv_get(apply->claim, site);
    }
    defined->base = base;
    GV_ASSERT(defined->above <= defined->to && defined->to <= VERSION_MAX);
    rc = site_number(apply->store, site, &defined->number);
    if (rc != GV_OK)
        return rc;
    /* Two numbers for one site could give one row the same dot twice. */
    for (size_t i = 0; i < apply->site_count; i++)
        if (apply->sites[i].number == defined->number)
            return incoming_malformed(apply, "a site named twice");
    apply->site_count++;
    return GV_OK;
}

static char *name_dup(const char *name, size_t size)
{
    char *copy = malloc(size + 1);

    GV_ASSERT(size <= STREAM_NAME_SIZE_MAX); /* stream_decode() has looked */
    if (copy != NULL) {
        memcpy(copy, name, size);
        copy[size] = '\0';
    }
    return copy;
}

/* See stream_table_here.same_bits. */
static bool has_same_bits(const struct stream_table_here *here)
{
    const struct store_table *table = here->table;
    bool same =
        here->column_count == table->column_count && table->each_count == 0;

    for (size_t i = 1; same && i <= here->column_count; i++)
        same = here->bits[i] == i && mask_get(here->whole, i) &&
               table->columns[i - 1].shown;
    return same;
}

static int define_columns(struct apply *apply, struct stream_table_here *here,
                          struct stream_item *item)
{
    size_t count = item->as.table.head.column_count;
    uint64_t named[ROW_WORDS_MAX] = {0};

    GV_ASSERT(count <= STREAM_COLUMNS_MAX);
    GV_ASSERT(here->columns == NULL && here->column_count == 0);
    mask_set(here->whole, ROW_EXISTENCE);
    here->columns = calloc(count + 1, sizeof *here->columns);
    here->bits = calloc(count + 1, sizeof *here->bits);
    if (here->columns == NULL || here->bits == NULL)
        return GV_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct stream_column column;
        bool plain;

        stream_next_column(&item->as.table.columns, &column);
        here->columns[i] = name_dup(column.wire.bytes, column.wire.size);
        here->column_count = i + 1;
        if (here->columns[i] == NULL)
            return GV_ENOMEM;
        here->bits[i + 1] = definition_bit(here->table, &column, &plain);
        if (plain)
            mask_set(here->plain, here->bits[i + 1]);
        else
            mask_set(here->whole, i + 1);
        if (mask_get(named, here->bits[i + 1]))
            return incoming_malformed(apply, "a column named twice");
        mask_set(named, here->bits[i + 1]);
    }
    here->same_bits = has_same_bits(here);
    return GV_OK;
}

int incoming_table(struct apply *apply, struct stream_item *item)
{
    struct stream_text wire = item->as.table.head.wire;
    struct stream_table_here *grown, *here;
    int rc;

    grown = realloc(apply->tables, (apply->table_count + 1) * sizeof *grown);
    if (grown == NULL)
        return GV_ENOMEM;
    apply->tables = grown;
    here = &grown[apply->table_count++];
    *here =
        (struct stream_table_here){.name = name_dup(wire.bytes, wire.size)};
    if (here->name == NULL)
        return GV_ENOMEM;
    rc = definition_take(apply->store, item, &here->table, apply->error);
    GV_ASSERT(rc != GV_OK || here->table != NULL);
    return rc == GV_OK ? define_columns(apply, here, item) : rc;
}

int incoming_mask(struct apply *apply, const struct stream_table_here *from,
                  const uint64_t *mask, uint64_t *ours)
{
    size_t words = (from->column_count + 1 + 63) / 64;

    GV_ASSERT(words <= ROW_WORDS_MAX);
    GV_ASSERT(from->table->words <= ROW_WORDS_MAX);
    memset(ours, 0, from->table->words * sizeof *ours);
    for (size_t word = 0; word < words; word++) {
        uint64_t bits = mask[word];

        for (; bits != 0; bits &= bits - 1) {
            size_t bit = word * 64 + (size_t)__builtin_ctzll(bits);

            if (bit == ROW_EXISTENCE)
                mask_set(ours, bit);
            else if (bit > from->column_count)
                return incoming_malformed(apply,
                                          "a column that was not named");
            else if (mask_get(from->plain, from->bits[bit]))
                return definition_plain(from->table, from->bits[bit],
                                        apply->error);
            else
                mask_set(ours, from->bits[bit]);
            GV_ASSERT(from->bits[bit] <= from->table->column_count);
        }
    }
    return GV_OK;
}

/* Add a record's bits to @held; false if another record has one that only one
 * can have. */
static bool add_mask(const struct row *row, const struct record *record,
                     const struct store_table *table, uint64_t *held)
{
    GV_ASSERT(row->sums == table->sums && row->siblings == table->siblings);
    for (size_t word = 0; word < table->words; word++) {
        if ((held[word] & record->mask[word] & ~row_each(row, word)) != 0)
            return false;
        held[word] |= record->mask[word];
    }
    return true;
}

int incoming_record(struct apply *apply, uint32_t number, int64_t since,
                    gv_version *version)
{
    const struct stream_site *site;

    if (number >= apply->site_count)
        return incoming_malformed(apply, "a site that was not named");
    site = &apply->sites[number];
    GV_ASSERT(site->above <= site->to);
    /* What is below 0 is far above any version. */
    *version = site->base + (uint64_t)since;
    if (*version <= site->above || *version > site->to)
        return incoming_malformed(apply,
                                  "a record outside of what is claimed");
    return GV_OK;
}

/* The fragment's records, with our numbers and bits.  *@held gets the union
 * of the stream's own masks, which the values follow. */
static int load_groups(struct apply *apply,
                       const struct stream_table_here *from,
                       struct stream_item *item, uint64_t *held)
{
    struct row_space *fragment = &apply->store->fragment;
    size_t words = (from->column_count + 1 + 63) / 64;
    uint64_t mask[ROW_WORDS_MAX], ours[ROW_WORDS_MAX] = {0};
    int rc;

    GV_ASSERT(item->as.row.group_count > 0); /* stream_decode() has looked */
    fragment->row.record_count = 0;
    row_space_use(fragment, from->table);
    rc = row_space_reserve(fragment, item->as.row.group_count,
                           from->table->words);
    for (size_t i = 0; i < item->as.row.group_count && rc == GV_OK; i++) {
        struct record *record = &fragment->records[i];
        uint32_t number;
        int64_t since;

        if (stream_next_group(&item->as.row.groups, &number, &since, mask,
                              words) != GV_OK)
            return incoming_malformed(apply, "a column that was not named");
        rc = incoming_record(apply, number, since, &record->version);
        if (rc != GV_OK)
            return rc;
        record->site = apply->sites[number].number;
        for (size_t word = 0; word < words; word++)
            held[word] |= mask[word];
        rc = incoming_mask(apply, from, mask, record->mask);
        if (rc == GV_OK &&
            !add_mask(&fragment->row, record, from->table, ours))
            return incoming_malformed(apply, "a column written twice");
    }
    fragment->row.record_count = item->as.row.group_count;
    fragment->row.causal_length = item->as.row.causal_length;
    return rc;
}

/* What is no number has no bits that SQLite would keep: it stores NULL. */
static bool is_nan(const struct value *value)
{
    return value->class == VALUE_REAL && value->real != value->real;
}

/* A value of a column that only one wrote last. */
static void load_value(struct store *store, size_t bit, struct cursor *values)
{
    struct value *value = &store->values[bit - 1];
    uint64_t digest = 0;
    bool there = stream_next_value(values, value, &digest);

    GV_ASSERT(bit > ROW_EXISTENCE && bit < ROW_BITS_MAX);
    store->fragment.digests[bit] = there ? value_digest(value) : digest;
    if (!there || is_nan(value))
        mask_set(store->hollow, bit);
}

/* One site's cell of a column that has one for each. */
static int load_cell(struct apply *apply, const struct store_table *table,
                     struct record *record, size_t bit, struct cursor *values)
{
    struct row_space *fragment = &apply->store->fragment;
    bool sums = table->columns[bit - 1].kind == COLUMN_COUNTER;
    struct cell *cell;

    GV_ASSERT(mask_get(record->mask, bit));
    if (stream_peek_value(values) != (sums ? STREAM_VALUE : STREAM_CELL))
        return incoming_malformed(apply, "a cell of another kind of column");
    if (cells_get(&fragment->cells, bit, record->site) != NULL)
        return incoming_malformed(apply, "two cells of one site");
    cell = cells_put(&fragment->cells, bit, record->site);
    if (cell == NULL)
        return GV_ENOMEM;
    cell->version = record->version;
    if (sums)
        stream_next_value(values, &cell->value, &(uint64_t){0});
    else
        stream_next_cell(values, &cell->value, &cell->over);
    if (sums && cell->value.class != VALUE_INTEGER)
        return incoming_malformed(apply, "a counter that is no integer");
    record->cells[row_rank(&fragment->row, bit)] =
        cell_digest(table->columns[bit - 1].kind, &cell->value, cell->over);
    return GV_OK;
}

/* The cells, group by group; *@left values are left. */
static int load_cells(struct apply *apply,
                      const struct stream_table_here *from,
                      struct stream_item *item, struct cursor groups,
                      size_t *left)
{
    struct row_space *fragment = &apply->store->fragment;
    size_t words = (from->column_count + 1 + 63) / 64;
    uint64_t mask[ROW_WORDS_MAX];
    int rc = GV_OK;

    for (size_t i = 0; i < item->as.row.group_count && rc == GV_OK; i++) {
        struct record *record = &fragment->records[i];
        uint32_t site;
        int64_t since;

        stream_next_group(&groups, &site, &since, mask, words);
        GV_ASSERT(apply->sites[site].number == record->site);
        GV_ASSERT(apply->sites[site].base + (uint64_t)since ==
                  record->version);
        for (size_t word = 0; word < words && rc == GV_OK; word++) {
            uint64_t bits = column_bits(mask, word);

            for (; bits != 0 && rc == GV_OK; bits &= bits - 1) {
                size_t bit =
                    from->bits[word * 64 + (size_t)__builtin_ctzll(bits)];

                if (!kinds_each(from->table, bit))
                    continue;
                if ((*left)-- == 0)
                    return incoming_malformed(apply,
                                              "a column without its value");
                rc = load_cell(apply, from->table, record, bit,
                               &item->as.row.values);
            }
        }
    }
    return rc;
}

/* All values of the fragment; @groups: its groups from the first on. */
static int load_values(struct apply *apply,
                       const struct stream_table_here *from,
                       struct stream_item *item, struct cursor groups,
                       const uint64_t *held)
{
    struct store *store = apply->store;
    size_t words = (from->column_count + 1 + 63) / 64;
    size_t left = item->as.row.value_count;
    int rc = GV_OK;

    memset(store->hollow, 0, from->table->words * sizeof *store->hollow);
    for (size_t word = 0; word < words; word++) {
        uint64_t bits = column_bits(held, word);

        for (; bits != 0; bits &= bits - 1) {
            size_t bit = from->bits[word * 64 + (size_t)__builtin_ctzll(bits)];

            GV_ASSERT(bit > 0 && bit <= from->table->column_count);
            if (kinds_each(from->table, bit))
                continue;
            if (left-- == 0)
                return incoming_malformed(apply, "a column without its value");
            if (item->as.row.cells &&
                stream_peek_value(&item->as.row.values) == STREAM_CELL)
                return incoming_malformed(apply,
                                          "a cell of another kind of column");
            load_value(store, bit, &item->as.row.values);
        }
    }
    cells_clear(&store->fragment.cells);
    if (from->table->each_count > 0)
        rc = load_cells(apply, from, item, groups, &left);
    if (rc == GV_OK && left > 0)
        rc = incoming_malformed(apply, "a value without its column");
    return rc;
}

/* stream_decode() has seen that the key is one. */
static int other_key(struct apply *apply, const struct stream_table_here *from,
                     const char *how)
{
    error_set(apply->error, GV_ESCHEMA,
              "A peer's table '%s' has another key: it %s.", from->name, how);
    error_meaning(apply->error, "Nothing of what came with its rows was"
                                " applied; the peer keeps it.");
    error_remedy(apply->error, "Compare the two CREATE TABLE statements and"
                               " make one like the other.");
    return GV_ESCHEMA;
}

int incoming_head(struct apply *apply, const struct stream_item *item,
                  struct stream_table_here **from, struct row_key *key)
{
    struct stream_table_here *here;

    if (item->as.row.table >= apply->table_count)
        return incoming_malformed(apply, "a table that was not named");
    here = &apply->tables[item->as.row.table];
    GV_ASSERT(here->table->key_count <= KEY_COLUMNS_MAX);
    if (row_key_decode(key, item->as.row.key, item->as.row.key_size,
                       here->table->key_count) != GV_OK)
        return other_key(apply, here, "has another number of columns");
    if (here->table->integer_key && key->values[0].class != VALUE_INTEGER)
        return other_key(apply, here,
                         "is a rowid here and of another type"
                         " there");
    *from = here;
    return GV_OK;
}

int incoming_row(struct apply *apply, struct stream_item *item,
                 struct store_table **table, struct row_key *key)
{
    uint64_t held[ROW_WORDS_MAX] = {0};
    struct cursor groups = item->as.row.groups;
    struct stream_table_here *from;
    int rc = incoming_head(apply, item, &from, key);

    if (rc != GV_OK)
        return rc;
    *table = from->table;
    rc = load_groups(apply, from, item, held);
    return rc == GV_OK ? load_values(apply, from, item, groups, held) : rc;
}
