/* Apply: fragments from a peer into the log and the user's tables.  The log
 * takes all of them; what a table does not take or does not have is parked.
 *
 * Whatever goes wrong in an interval or a delta, nothing of it stays: each is
 * applied inside a savepoint of the write transaction. */
#include "store/internal.h"

#include "base/assert.h"
#include "base/hook.h"
#include "base/plant.h"
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

/* A site of the stream, and the versions its records may have. */
struct stream_site {
    uint32_t number; /* ours */
    gv_version above, to;
};

/* A table of the stream. */
struct stream_table_here {
    char *name;
    struct store_table *table;
    size_t column_count;
    char **columns;                /* wire names */
    uint16_t *bits;                /* our bit of each bit of the stream */
    uint64_t plain[ROW_WORDS_MAX]; /* of ours: plain to the peer; see
                                      definition_bit() */
};

struct apply {
    struct store *store;
    struct gv_error *error;
    /* One interval's bounds, or a delta's claim. */
    const struct interval *interval;
    const struct vv *claim;
    /* Where items come from. */
    const uint8_t *bytes;
    struct spool *spool;
    uint64_t offset, size;
    struct buffer item;

    struct stream_site *sites;
    struct stream_table_here *tables;
    size_t site_count, table_count;
    bool fired; /* triggers were on: ours wrote to the journal */
};

static void apply_close(struct apply *apply)
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
}

/* A mask of the stream fits the arrays that it is read into, and a bit of
 * ours the type that it is mapped to. */
_Static_assert(STREAM_COLUMNS_MAX < ROW_BITS_MAX, "columns of a stream");
_Static_assert(ROW_BITS_MAX <= UINT16_MAX, "bits of a table");

static int malformed(struct apply *apply, const char *what)
{
    error_set(apply->error, GV_EPROTO, "What the peer sent is malformed: %s.",
              what);
    error_meaning(apply->error, "Nothing of it was applied.");
    error_remedy(apply->error, "Look at the versions of both programs; if"
                               " they are equal, report this.");
    return GV_EPROTO;
}

/* The next item's bytes: 0 at the end, 1 with an item, or an error. */
static int next_item(struct apply *apply, const uint8_t **bytes, size_t *size)
{
    uint8_t head[STREAM_HEADER_SIZE];
    int rc = GV_OK;

    GV_ASSERT(apply->offset <= apply->size);
    if (apply->offset == apply->size)
        return 0;
    GV_ASSERT((apply->bytes != NULL) != (apply->spool != NULL));
    if (apply->size - apply->offset < STREAM_HEADER_SIZE)
        return malformed(apply, "it ends in an item's length");
    if (apply->spool == NULL)
        memcpy(head, apply->bytes + apply->offset, sizeof head);
    else
        rc = spool_read(apply->spool, apply->offset, head, sizeof head);
    apply->offset += STREAM_HEADER_SIZE;
    *size = load_u32(head);
    if (rc == GV_OK &&
        (*size > apply->size - apply->offset || *size > STREAM_ITEM_SIZE_MAX))
        return malformed(apply, "an item is longer than what came");
    if (rc == GV_OK && apply->spool == NULL) {
        *bytes = apply->bytes + apply->offset;
    } else if (rc == GV_OK) {
        uint8_t *room;

        buffer_clear(&apply->item);
        room = buffer_extend(&apply->item, *size);
        rc = room == NULL
                 ? apply->item.error
                 : spool_read(apply->spool, apply->offset, room, *size);
        *bytes = room;
    }
    apply->offset += *size;
    GV_ASSERT(rc != GV_OK || apply->offset <= apply->size);
    return rc == GV_OK ? 1 : rc;
}

static int define_site(struct apply *apply, const struct site *site)
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
            return malformed(apply, "an interval with another site's records");
        defined->above = apply->interval->from;
        defined->to = apply->interval->to;
    } else {
        defined->above = 0;
        defined->to = vv_get(apply->claim, site);
    }
    GV_ASSERT(defined->above <= defined->to && defined->to <= VERSION_MAX);
    rc = site_number(apply->store, site, &defined->number);
    if (rc != GV_OK)
        return rc;
    /* Two numbers for one site could give one row the same dot twice. */
    for (size_t i = 0; i < apply->site_count; i++)
        if (apply->sites[i].number == defined->number)
            return malformed(apply, "a site named twice");
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

static int define_columns(struct apply *apply, struct stream_table_here *here,
                          struct stream_item *item)
{
    size_t count = item->as.table.head.column_count;
    uint64_t named[ROW_WORDS_MAX] = {0};

    GV_ASSERT(count <= STREAM_COLUMNS_MAX);
    GV_ASSERT(here->columns == NULL && here->column_count == 0);
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
        if (mask_get(named, here->bits[i + 1]))
            return malformed(apply, "a column named twice");
        mask_set(named, here->bits[i + 1]);
    }
    return GV_OK;
}

static int define_table(struct apply *apply, struct stream_item *item)
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

/* A mask of the stream in this file's bits. */
static int map_mask(struct apply *apply, const struct stream_table_here *from,
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
                return malformed(apply, "a column that was not named");
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
        struct stream_site *site;
        uint32_t number;

        if (stream_next_group(&item->as.row.groups, &number, &record->version,
                              mask, words) != GV_OK)
            return malformed(apply, "a column that was not named");
        if (number >= apply->site_count)
            return malformed(apply, "a site that was not named");
        site = &apply->sites[number];
        if (record->version <= site->above || record->version > site->to)
            return malformed(apply, "a record outside of what is claimed");
        record->site = site->number;
        for (size_t word = 0; word < words; word++)
            held[word] |= mask[word];
        rc = map_mask(apply, from, mask, record->mask);
        if (rc == GV_OK &&
            !add_mask(&fragment->row, record, from->table, ours))
            return malformed(apply, "a column written twice");
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
        return malformed(apply, "a cell of another kind of column");
    if (cells_get(&fragment->cells, bit, record->site) != NULL)
        return malformed(apply, "two cells of one site");
    cell = cells_put(&fragment->cells, bit, record->site);
    if (cell == NULL)
        return GV_ENOMEM;
    cell->version = record->version;
    if (sums)
        stream_next_value(values, &cell->value, &(uint64_t){0});
    else
        stream_next_cell(values, &cell->value, &cell->over);
    if (sums && cell->value.class != VALUE_INTEGER)
        return malformed(apply, "a counter that is no integer");
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
        gv_version version;

        stream_next_group(&groups, &site, &version, mask, words);
        GV_ASSERT(apply->sites[site].number == record->site);
        GV_ASSERT(version == record->version);
        for (size_t word = 0; word < words && rc == GV_OK; word++) {
            uint64_t bits = column_bits(mask, word);

            for (; bits != 0 && rc == GV_OK; bits &= bits - 1) {
                size_t bit =
                    from->bits[word * 64 + (size_t)__builtin_ctzll(bits)];

                if (!kinds_each(from->table, bit))
                    continue;
                if ((*left)-- == 0)
                    return malformed(apply, "a column without its value");
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
                return malformed(apply, "a column without its value");
            if (stream_peek_value(&item->as.row.values) == STREAM_CELL)
                return malformed(apply, "a cell of another kind of column");
            load_value(store, bit, &item->as.row.values);
        }
    }
    cells_clear(&store->fragment.cells);
    if (from->table->each_count > 0)
        rc = load_cells(apply, from, item, groups, &left);
    if (rc == GV_OK && left > 0)
        rc = malformed(apply, "a value without its column");
    return rc;
}

/* The cells that a new life resets, of columns that the table has. */
static void fill_defaults(struct store *store, const struct store_table *table,
                          uint64_t *cells)
{
    GV_ASSERT(table->shown);
    GV_ASSERT(mask_get(cells, ROW_EXISTENCE)); /* a new life has won it */
    for (size_t i = 0; i < table->column_count; i++) {
        if (mask_get(cells, i + 1) || !table->columns[i].shown)
            continue;
        store->values[i] = table->columns[i].initial;
        mask_set(cells, i + 1);
    }
}

/* Whether the log holds the cell of @bit and its value is nowhere. */
static bool is_hollow(const struct store *store,
                      const struct store_table *table, size_t bit)
{
    GV_ASSERT(bit > ROW_EXISTENCE && bit <= table->column_count);
    if (mask_get(store->parked.listed, bit))
        return store->parked.kinds[bit] == PARKED_HOLLOW;
    return mask_get(store->parked.listed, ROW_EXISTENCE) ||
           !table->columns[bit - 1].shown;
}

/* Of the cells that both hold under @from's dot, those whose value is here for
 * the first time. */
static void find_filled(const struct store *store,
                        const struct store_table *table,
                        const struct record *ours, const struct record *from,
                        uint64_t *filled)
{
    const struct row *row = &store->space.row;

    GV_ASSERT(ours->site == from->site && ours->version == from->version);
    for (size_t word = 0; word < table->words; word++) {
        uint64_t bits = column_bits(ours->mask, word) & from->mask[word] &
                        ~store->hollow[word] & ~row_each(row, word);

        for (; bits != 0; bits &= bits - 1) {
            size_t bit = word * 64 + (size_t)__builtin_ctzll(bits);

            if (row->digests[bit] == store->fragment.digests[bit] &&
                is_hollow(store, table, bit))
                mask_set(filled, bit);
        }
    }
}

/* Values of cells that were held hollow, added to @cells. */
static bool fill_hollow(const struct store *store,
                        const struct store_table *table, uint64_t *cells)
{
    const struct row *row = &store->space.row;
    const struct row *fragment = &store->fragment.row;
    bool lacks = table->parks;
    size_t before;

    for (size_t i = 0; i < table->column_count && !lacks; i++)
        lacks = !table->columns[i].shown;
    if (!lacks || row->causal_length != fragment->causal_length)
        return false;
    before = mask_count(cells, table->words);
    for (size_t i = 0; i < fragment->record_count; i++)
        for (size_t j = 0; j < row->record_count; j++)
            if (row->records[j].site == fragment->records[i].site &&
                row->records[j].version == fragment->records[i].version)
                find_filled(store, table, &row->records[j],
                            &fragment->records[i], cells);
    return mask_count(cells, table->words) > before;
}

/* @cells, of the log as it is now, into the user's table, or beside it. */
static int write_user_row(struct apply *apply, struct store_table *table,
                          const struct row_key *key, bool was_alive,
                          bool reset, uint64_t *cells)
{
    struct store *store = apply->store;
    bool alive = store->space.row.causal_length % 2 == 1;
    bool in_table =
        was_alive && !mask_get(store->parked.listed, ROW_EXISTENCE);

    /* Only the other life that won can have ended this one or begun it. */
    GV_ASSERT(reset || was_alive == alive);
    if (!table->shown || table->suspended) {
        show_nothing(store, table, cells, reset, in_table);
        return GV_OK;
    }
    triggers_fire(store, table->fires);
    apply->fired |= table->fires;
    GV_ASSERT(store->firing == table->fires);
    if (reset)
        parked_drop_all(store, table);
    if (!alive)
        return in_table ? user_delete(store, table, key) : GV_OK;
    if (!in_table)
        return show_insert(store, table, key, cells);
    if (reset && !plant("old-life-shows"))
        fill_defaults(store, table, cells);
    return show_update(store, table, key, cells);
}

/* What became of a row that could be neither written nor parked. */
static int explain(struct apply *apply, struct store_table *table,
                   const struct row_key *key, int rc)
{
    char name[200], reason[200];

    if (rc == GV_OK || (apply->error != NULL && apply->error->code == rc))
        return rc;
    sqlite3_snprintf(sizeof reason, reason, "%s",
                     apply->store->reason[0] != '\0'
                         ? apply->store->reason
                         : sqlite3_errmsg(apply->store->db));
    row_name(table, key, name, sizeof name);
    if (rc == GV_EDIFFERS) {
        error_set(apply->error, rc, "%s was changed past the triggers.", name);
        error_meaning(apply->error, "That change is published first; what"
                                    " the peer sent comes again after it.");
        return rc;
    }
    error_set(apply->error, rc, "Cannot apply %s: %s.", name, reason);
    return rc;
}

/* Who lacks a life is sent all of it. */
static bool holds_existence(const struct row *row)
{
    for (size_t i = 0; i < row->record_count; i++)
        if (mask_get(row->records[i].mask, ROW_EXISTENCE))
            return true;
    return false;
}

/* Whether @row holds @record as it is, digests included. */
static bool holds_record(const struct store_table *table,
                         const struct row *row, const struct record *record,
                         const uint64_t *digests)
{
    const struct record *held = row->records;
    const struct record *end = held + row->record_count;

    while (held < end &&
           (held->site != record->site || held->version != record->version))
        held++;
    if (held == end || mask_get(held->mask, ROW_EXISTENCE) <
                           mask_get(record->mask, ROW_EXISTENCE))
        return false;
    for (size_t word = 0; word < table->words; word++) {
        uint64_t bits = column_bits(record->mask, word);

        if ((bits & ~held->mask[word]) != 0)
            return false;
        for (; bits != 0; bits &= bits - 1) {
            size_t bit = word * 64 + (size_t)__builtin_ctzll(bits);

            if (!table->columns[bit - 1].shown ||
                row->digests[bit] != digests[bit])
                return false;
        }
    }
    return true;
}

/* Whether all that the fragment says stands in the row word for word: then
 * nothing is to do, and what else the row holds is of no matter, so that its
 * hash need not be compared.  (What is damaged there is neither used nor
 * sent.)  Where a cell may be hollow its value may be news all the same. */
static bool holds_fragment(const struct store *store,
                           const struct store_table *table)
{
    const struct row *row = &store->space.row;
    const struct row *fragment = &store->fragment.row;

    GV_ASSERT(fragment->record_count > 0);
    GV_ASSERT(table->words <= store->fragment.words);
    if (row->causal_length != fragment->causal_length || table->parks ||
        table->each_count > 0)
        return false;
    for (size_t i = 0; i < fragment->record_count; i++)
        if (!holds_record(table, row, &fragment->records[i],
                          store->fragment.digests))
            return false;
    return true;
}

/* Look at the row that the fragment is of, with room for both. */
static int find_row(struct apply *apply, struct store_table *table,
                    const struct row_key *key)
{
    struct store *store = apply->store;
    struct row *row = &store->space.row;
    int rc = rows_check(store, table, key, apply->error);

    if (rc == GV_OK)
        rc = parked_find(store, table);
    if (rc == GV_OK)
        rc = row_space_reserve(&store->space,
                               row->record_count +
                                   store->fragment.row.record_count,
                               table->words);
    if (rc != GV_OK)
        return rc;
    store->reason[0] = '\0';
    /* Room for all records of both, in masks of one width. */
    GV_ASSERT(row->record_count + store->fragment.row.record_count <=
              store->space.capacity);
    GV_ASSERT(store->fragment.words >= table->words);
    if (store->fragment.row.causal_length > row->causal_length &&
        !holds_existence(&store->fragment.row))
        return malformed(apply, "a new life without its beginning");
    rc = history_note(store, table, key, apply->interval, apply->claim);
    if (rc != GV_OK)
        return rc;
    if (!table->shown || table->suspended) {
        rows_held(row, table->words, store->old_held);
        memcpy(store->old_digests, row->digests,
               table->words * 64 * sizeof *row->digests);
    }
    return GV_OK;
}

/* The row was written past the triggers. */
static void keep_past(struct store *store, struct store_table *table,
                      const struct row_key *key)
{
    GV_ASSERT(table->shown && key->bytes != NULL);
    store->past_table = table->id;
    buffer_clear(&store->past_key);
    buffer_append(&store->past_key, key->bytes, key->size);
}

/* Merge the fragment into the log's row; *@any: something is not as it was. */
static int merge(struct store *store, const struct store_table *table,
                 struct row_change *change, bool *any)
{
    struct row *row = &store->space.row;
    uint64_t cleared[ROW_WORDS_MAX] = {0};
    int rc = GV_OK;

    if (table->each_count > 0)
        rc = kinds_judge(store, table, cleared);
    if (rc != GV_OK)
        return rc;
    row_merge(row, &store->fragment.row, table->words, store->sites, change);
    *any = change->any || !mask_empty(cleared, table->words);
    GV_ASSERT(!change->reset || change->any);
    GV_ASSERT(row_check(row, table->words));
    GV_ASSERT(row->causal_length >= store->fragment.row.causal_length);
    GV_ASSERT(*any || row->record_count == store->space.before_count);
    if (*any && table->each_count > 0)
        rc = kinds_merged(store, table, change->reset, cleared, change->won);
    return rc;
}

/* Merge the fragment in store->fragment, store->values and store->hollow. */
static int merge_row(struct apply *apply, struct store_table *table,
                     const struct row_key *key)
{
    struct store *store = apply->store;
    struct row *row = &store->space.row;
    uint64_t won[ROW_WORDS_MAX];
    struct row_change change = {.won = won};
    bool was_alive, filled, any;
    int rc = rows_read(store, table, key, apply->error);

    if (rc == GV_OK && holds_fragment(store, table))
        return GV_OK;
    if (rc == GV_OK)
        rc = find_row(apply, table, key);
    was_alive = row->causal_length % 2 == 1;
    if (rc == GV_OK)
        rc = merge(store, table, &change, &any);
    if (rc != GV_OK)
        return rc;
    filled = fill_hollow(store, table, won);
    /* All cells of a new life are the fragment's anyway. */
    GV_ASSERT(!filled || !change.reset);
    if (!any && !filled)
        return GV_OK;
    rc = write_user_row(apply, table, key, was_alive, change.reset, won);
    if (rc == GV_OK && any)
        rc = rows_save(store, table, key);
    if (rc == GV_OK)
        rc = parked_save(store, table);
    if (rc == GV_EDIFFERS)
        keep_past(store, table, key);
    hook_kill("apply-row");
    return explain(apply, table, key, rc);
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

static int apply_row(struct apply *apply, struct stream_item *item)
{
    uint64_t held[ROW_WORDS_MAX] = {0};
    struct cursor groups = item->as.row.groups;
    struct stream_table_here *from;
    struct row_key key;
    int rc;

    if (item->as.row.table >= apply->table_count)
        return malformed(apply, "a table that was not named");
    from = &apply->tables[item->as.row.table];
    rc = row_key_decode(&key, item->as.row.key, item->as.row.key_size,
                        from->table->key_count);
    if (rc != GV_OK)
        return other_key(apply, from, "has another number of columns");
    if (from->table->integer_key && key.values[0].class != VALUE_INTEGER)
        return other_key(apply, from,
                         "is a rowid here and of another type"
                         " there");
    rc = load_groups(apply, from, item, held);
    if (rc == GV_OK)
        rc = load_values(apply, from, item, groups, held);
    if (rc != GV_OK)
        return rc;
    return merge_row(apply, from->table, &key);
}

static int apply_items(struct apply *apply)
{
    struct stream_item item;
    const uint8_t *bytes = NULL;
    size_t size = 0;
    int rc;

    while ((rc = next_item(apply, &bytes, &size)) > 0) {
        if (stream_decode(bytes, size, &item) != GV_OK)
            return malformed(apply, "an item that is not one");
        switch (item.kind) {
        case STREAM_SITE:
            rc = define_site(apply, &item.as.site);
            break;
        case STREAM_TABLE:
            rc = define_table(apply, &item);
            break;
        case STREAM_ROW:
            rc = apply_row(apply, &item);
            break;
        }
        GV_ASSERT(rc <= GV_OK); /* no kind was left out */
        if (rc != GV_OK)
            return rc;
    }
    GV_ASSERT(rc != GV_OK || apply->offset == apply->size);
    return rc;
}

/* The tables as the file has them again. */
static int forget_defined(struct store *store)
{
    if (!store->defined)
        return GV_OK;
    store->schema_version = -1;
    return schema_refresh(store, true, NULL);
}

/* Take back what was applied.  SQLite gives up the whole transaction by itself
 * when the disk is full or fails; so do we when taking back fails. */
static void take_back(struct store *store, const struct store_numbers *before,
                      bool schema_moved, int why)
{
    GV_ASSERT(why != GV_OK);
    GV_ASSERT(store->numbers.clock >= before->clock);
    store->numbers = *before;
    store->ver_count = 0;
    store->sealed.schema_moved = schema_moved;
    if (store->within == STORE_IN_STATEMENT || !transaction_open(store) ||
        sql_run(store->db, "ROLLBACK TO gv_apply; RELEASE gv_apply") !=
            GV_OK ||
        sites_load(store) != GV_OK || forget_defined(store) != GV_OK)
        store->lost = why;
}

static int given_up(struct store *store, struct gv_error *error)
{
    GV_ASSERT(store->lost != GV_OK);
    return error_set(error, store->lost, "The transaction was given up: %s.",
                     gv_strerror(store->lost));
}

/* A row that got past the triggers is sealed by the next transaction, before
 * anything is applied again. */
static void journal_past(struct store *store)
{
    const struct store_table *table = schema_by_id(store, store->past_table);
    struct row_key key;

    if (table == NULL || store->lost != GV_OK ||
        row_key_decode(&key, store->past_key.data, store->past_key.size,
                       table->key_count) != GV_OK)
        return;
    /* In the middle of a migration it is no write. */
    if (audit_pending(store)) {
        if (audit_suspend(store, schema_by_id(store, table->id)) != GV_OK)
            store->lost = GV_ENOMEM;
        return;
    }
    if (journal_row(store, table, &key) == GV_OK)
        store->journalled = true;
    else if (!transaction_open(store))
        store->lost = GV_EIO;
}

/* Run @apply, then @claim, in a savepoint. */
static int apply_whole(struct apply *apply, int (*claim)(struct apply *apply))
{
    struct store *store = apply->store;
    struct store_numbers before = store->numbers;
    bool moved = store->sealed.schema_moved;
    bool bare = store->within == STORE_IN_STATEMENT;
    int rc = bare ? GV_OK : sql_run(store->db, "SAVEPOINT gv_apply");

    GV_ASSERT(store->in_transaction && store->lost == GV_OK);
    GV_ASSERT(!store->firing);
    GV_ASSERT(apply->offset == 0 && apply->site_count == 0);
    store->past_table = 0;
    store->defined = false;
    buffer_init(&apply->item, STREAM_ITEM_SIZE_MAX);
    if (rc == GV_OK && plant("claim-first")) {
        rc = claim(apply);
        if (rc == GV_OK)
            rc = sql_run(store->db, "COMMIT; BEGIN IMMEDIATE;"
                                    "SAVEPOINT gv_apply");
    }
    if (rc == GV_OK)
        rc = apply_items(apply);
    if (rc == GV_OK)
        rc = rows_flush(store);
    triggers_fire(store, false);
    /* Rows found changed stay in the journal; a look at the others that
     * triggers put there sees nothing. */
    if (rc == GV_OK && apply->fired && !store->journalled)
        rc = seal_clear(store);
    if (rc == GV_OK)
        rc = claim(apply);
    if (rc == GV_OK && !bare)
        rc = sql_run(store->db, "RELEASE gv_apply");
    if (rc != GV_OK)
        take_back(store, &before, moved, rc);
    if (rc == GV_EDIFFERS)
        journal_past(store);
    if (rc != GV_OK && apply->error != NULL && apply->error->code != rc)
        sql_fail(store->db, rc, apply->error, "cannot apply");
    apply_close(apply);
    GV_ASSERT(!store->firing);
    return rc;
}

static int refuse_clock(struct store *store, gv_version version,
                        struct gv_error *error)
{
    gv_time_ms now = store->host->wall(store->host->context);

    if (!clock_too_far(version, now) || plant("any-clock"))
        return GV_OK;
    error_set(error, GV_ECLOCK,
              "A peer's change is %lld s ahead of this"
              " node's clock.",
              (long long)(clock_wall(version) - now) / 1000);
    error_meaning(error, "One of the two clocks is wrong; nothing of what"
                         " came with the change was applied, and the peer"
                         " keeps it.");
    error_remedy(error, "Compare the clocks of both machines ('date -u') and"
                        " set them by NTP; what is not too far ahead comes"
                        " by itself.");
    return GV_ECLOCK;
}

static int claim_interval(struct apply *apply)
{
    struct store *store = apply->store;
    uint32_t number;
    int rc = site_number(store, &apply->interval->site, &number);

    if (rc == GV_OK)
        rc = site_raise(store, number, apply->interval->to);
    if (store->numbers.clock < apply->interval->to)
        store->numbers.clock = apply->interval->to;
    GV_ASSERT(rc != GV_OK || vv_get(&store->vv, &apply->interval->site) ==
                                 apply->interval->to);
    return rc;
}

/* Whether the interval comes next: its site stands at its start, and what it
 * depends on is here. */
static int check_next(const struct store *store,
                      const struct interval *interval, struct gv_error *error)
{
    gv_version held = vv_get(&store->vv, &interval->site);

    GV_ASSERT(interval->from < interval->to); /* decoded, and so looked at */
    if (interval->to <= held)
        return error_set(error, GV_EDUPLICATE, "Already held.");
    if (interval->from < held)
        return error_set(error, GV_EFORK,
                         "The interval straddles what is"
                         " held of its site.");
    if (interval->from > held && !plant("gap-not-seen"))
        return error_set(error, GV_EGAP, "What comes before is missing.");
    if (!vv_covers_view(&store->vv, interval->dependencies))
        return error_set(error, GV_EGAP, "What it depends on is missing.");
    return GV_OK;
}

/* What an interval says of our own site. */
static int hear(struct store *store, const struct interval *interval,
                struct gv_error *error)
{
    int rc = identity_heard_view(store, interval->dependencies, error);

    if (rc == GV_OK && site_equal(&interval->site, store_site(store)))
        rc = identity_heard(store, interval->from, error);
    if (rc == GV_OK && site_equal(&interval->site, store_site(store)))
        rc = identity_heard(store, interval->to, error);
    return rc;
}

int store_apply_interval(struct store *store, const struct interval *interval,
                         struct gv_error *error)
{
    struct apply apply = {.store = store, .error = error};
    struct interval decoded;
    const uint8_t *fragments;
    size_t size;
    int rc;

    GV_ASSERT(store->in_transaction);
    if (plant("busy-is-done") && store->lost == GV_EBUSY)
        return GV_OK;
    if (store->lost != GV_OK)
        return given_up(store, error);
    rc = interval_decode(interval->bytes, interval->size, &decoded, &fragments,
                         &size);
    if (rc != GV_OK)
        return malformed(&apply, "an interval that is not one");
    rc = hear(store, &decoded, error);
    if (rc == GV_OK)
        rc = check_next(store, &decoded, error);
    if (rc == GV_OK)
        rc = refuse_clock(store, decoded.to, error);
    if (rc != GV_OK)
        return rc;
    apply.interval = &decoded;
    apply.bytes = fragments;
    apply.size = size;
    return apply_whole(&apply, claim_interval);
}

static int claim_delta(struct apply *apply)
{
    struct store *store = apply->store;
    int rc = GV_OK;

    for (size_t i = 0; i < apply->claim->count && rc == GV_OK; i++) {
        const struct vv_entry *entry = &apply->claim->entries[i];
        uint32_t number;

        if (vv_get(&store->vv, &entry->site) >= entry->version)
            continue;
        rc = site_number(store, &entry->site, &number);
        if (rc == GV_OK)
            rc = site_raise(store, number, entry->version);
        if (store->numbers.clock < entry->version)
            store->numbers.clock = entry->version;
    }
    GV_ASSERT(rc != GV_OK || vv_covers(&store->vv, apply->claim));
    return rc;
}

int store_apply_delta(struct store *store, uint64_t token,
                      struct vv_view claim_view, struct gv_error *error)
{
    struct apply apply = {.store = store, .error = error};
    struct vv claim;
    int rc;

    GV_ASSERT(store->in_transaction);
    if (token == 0 || token != store->stage_token)
        return error_set(error, GV_ENOTFOUND, "Nothing is staged.");
    vv_init(&claim);
    rc = store->lost == GV_OK ? vv_raise_view(&claim, claim_view)
                              : given_up(store, error);
    if (rc == GV_OK)
        rc = identity_heard_view(store, claim_view, error);
    for (size_t i = 0; i < claim.count && rc == GV_OK; i++)
        if (claim.entries[i].version >
            vv_get(&store->vv, &claim.entries[i].site))
            rc = refuse_clock(store, claim.entries[i].version, error);
    if (rc == GV_OK)
        rc = spool_flush(&store->stage);
    if (rc == GV_OK) {
        apply.claim = &claim;
        apply.spool = &store->stage;
        apply.size = spool_size(&store->stage);
        rc = apply_whole(&apply, claim_delta);
    }
    vv_close(&claim);
    if (rc != GV_EDIFFERS)
        store_stage_drop(store, token);
    GV_ASSERT(store->stage_token == (rc == GV_EDIFFERS ? token : 0));
    return rc;
}
