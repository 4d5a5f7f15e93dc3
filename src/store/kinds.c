/* Columns with a cell for each site: what the table shows of them, and what a
 * write there means.
 *
 * A counter shows its default plus the sum of its cells; a write adds its
 * difference to the shown sum to the writer's own cell.  A multi-value column
 * shows the largest (version, site) of its cells; a write replaces all cells
 * that the writer has.
 *
 * For all else what is shown is the value of the column: it stands in the
 * table, its digest in the row's digests, and where the table cannot show it
 * there is an entry in gv_parked as for any other column. */
#include "store/kinds.h"

#include "base/assert.h"
#include "base/plant.h"
#include "core/siblings.h"
#include "store/cells.h"
#include "store/internal.h"
#include "store/keys.h"
#include "store/parked.h"

#include <stdlib.h>
#include <string.h>

static enum column_kind kind_of(const struct store_table *table, size_t bit)
{
    GV_ASSERT(bit > ROW_EXISTENCE && bit <= table->column_count);
    return table->columns[bit - 1].kind;
}

bool kinds_each(const struct store_table *table, size_t bit)
{
    return bit != ROW_EXISTENCE && kind_of(table, bit) != COLUMN_LWW;
}

/* Word @word of the bits of @mask that have a cell for each site. */
static uint64_t each_bits(const struct store_table *table,
                          const uint64_t *mask, size_t word)
{
    uint64_t each = (table->sums == NULL ? 0 : table->sums[word]) |
                    (table->siblings == NULL ? 0 : table->siblings[word]);

    GV_ASSERT(word < table->words);
    GV_ASSERT(word > 0 || (each & 1) == 0); /* existence has no cells */
    return mask[word] & each;
}

/* What is shown */

/* What the cells count from: the same on all nodes, since it travels with the
 * table's definition. */
static int64_t base_of(const struct store_table *table, size_t bit)
{
    const struct value *initial = &table->columns[bit - 1].initial;

    GV_ASSERT(kind_of(table, bit) == COLUMN_COUNTER);
    return initial->class == VALUE_INTEGER ? initial->integer : 0;
}

/* Sums of some thousand cells. */
__extension__ typedef __int128 wide_sum;

/* The nearest number that SQLite can hold: a sum is never wrapped. */
static int64_t clamp(wide_sum sum)
{
    if (sum > INT64_MAX)
        return INT64_MAX;
    return sum < INT64_MIN ? INT64_MIN : (int64_t)sum;
}

static wide_sum sum_of(const struct store *store,
                       const struct store_table *table, size_t bit)
{
    const struct cells *cells = &store->space.cells;
    wide_sum sum = base_of(table, bit);

    GV_ASSERT(cells->count <= cells->capacity);
    for (size_t i = 0; i < cells->count; i++) {
        const struct cell *cell = &cells->items[i];

        if (cell->bit != bit || cell->gone)
            continue;
        GV_ASSERT(cell->value.class == VALUE_INTEGER);
        sum += cell->value.integer;
    }
    return sum;
}

static const struct cell *shown_cell(const struct store *store, size_t bit)
{
    const struct cells *cells = &store->space.cells;
    const struct cell *shown = NULL;

    for (size_t i = 0; i < cells->count; i++) {
        const struct cell *cell = &cells->items[i];

        if (cell->bit != bit || cell->gone)
            continue;
        if (shown == NULL || cell->version > shown->version ||
            (cell->version == shown->version &&
             site_compare(&store->sites[cell->site],
                          &store->sites[shown->site]) > 0))
            shown = cell;
    }
    GV_ASSERT(shown == NULL || shown->bit == bit);
    return shown;
}

void kinds_value(const struct store *store, const struct store_table *table,
                 size_t bit, struct value *value)
{
    const struct cell *cell = shown_cell(store, bit);

    GV_ASSERT(kinds_each(table, bit));
    if (cell == NULL)
        *value = table->columns[bit - 1].initial;
    else if (kind_of(table, bit) == COLUMN_MV)
        *value = cell->value;
    else
        *value = (struct value){.class = VALUE_INTEGER,
                                .integer = clamp(sum_of(store, table, bit))};
}

static void show_bit(struct store *store, const struct store_table *table,
                     size_t bit)
{
    struct value value;

    GV_ASSERT(store->space.row.digests != NULL);
    kinds_value(store, table, bit, &value);
    GV_ASSERT(value.class <= VALUE_BLOB);
    store->space.row.digests[bit] = value_digest(&value);
}

int kinds_show(struct store *store, const struct store_table *table)
{
    const struct cells *cells = &store->space.cells;

    GV_ASSERT(table->each_count > 0);
    for (size_t i = 0; i < cells->count; i++) {
        const struct cell *cell = &cells->items[i];

        if (kind_of(table, cell->bit) == COLUMN_COUNTER &&
            cell->value.class != VALUE_INTEGER)
            return GV_ECORRUPT;
        if (cell->site >= store->site_count)
            return GV_ECORRUPT;
    }
    for (size_t i = 0; i < cells->count; i++)
        if (i == 0 || cells->items[i].bit != cells->items[i - 1].bit)
            show_bit(store, table, cells->items[i].bit);
    return GV_OK;
}

/* A local write */

/* The table keeps what it has, and nothing of it is published. */
static void keep_here(struct store *store, const struct store_table *table,
                      const struct row_key *key, size_t bit, const char *why)
{
    char name[200];

    GV_ASSERT(bit <= table->column_count);
    row_name(table, key, name, sizeof name);
    log_line(&store->log, GV_LOG_WARNING,
             "the value of column %s of %s stays in this file: %s",
             table->columns[bit - 1].local, name, why);
}

/* The own cell after a write of @value; false if it cannot be counted. */
static bool count_write(struct store *store, const struct store_table *table,
                        const struct row_key *key, size_t bit, bool reset,
                        int64_t *own)
{
    const struct value *value = &store->values[bit - 1];
    const struct cell *cell =
        reset ? NULL : cells_get(&store->space.cells, bit, store->own);
    bool alone = reset || (cell == NULL && plant("sum-counted-twice"));
    wide_sum known = alone ? base_of(table, bit) : sum_of(store, table, bit);
    int64_t written = value->class == VALUE_INTEGER ? value->integer : 0;
    wide_sum sum = written - known;

    GV_ASSERT(cell == NULL || cell->value.class == VALUE_INTEGER);
    GV_ASSERT(cell == NULL || cell->site == store->own);
    if (value->class != VALUE_INTEGER && value->class != VALUE_NULL) {
        keep_here(store, table, key, bit, "a counter counts integers");
        return false;
    }
    /* NULL where the sum is 0 already. */
    if (sum == 0 && !reset && shown_cell(store, bit) != NULL)
        return false;
    if (cell != NULL)
        sum += cell->value.integer;
    *own = clamp(sum);
    if (*own == sum)
        return true;
    keep_here(store, table, key, bit,
              "what this file has added to the counter is more than an integer"
              " holds");
    return false;
}

static int write_counter(struct store *store, const struct store_table *table,
                         const struct row_key *key, size_t bit, bool reset,
                         bool *written)
{
    struct value value = {.class = VALUE_INTEGER};
    const struct vv_view none = {NULL, 0};
    struct cell *cell;

    *written = count_write(store, table, key, bit, reset, &value.integer);
    if (!*written)
        return GV_OK;
    cell = cells_put(&store->space.cells, bit, store->own);
    return cell == NULL ? GV_ENOMEM : cell_own(cell, &value, none);
}

/* The cells of @bit, as siblings.c takes them; free() them. */
static struct sibling *siblings_of(const struct store *store,
                                   const struct cells *cells, size_t bit,
                                   size_t *count)
{
    struct sibling *siblings = calloc(cells->count + 1, sizeof *siblings);

    *count = 0;
    for (size_t i = 0; siblings != NULL && i < cells->count; i++) {
        const struct cell *cell = &cells->items[i];

        GV_ASSERT(cell->site < store->site_count);
        if (cell->bit == bit && !cell->gone)
            siblings[(*count)++] = (struct sibling){
                .site = &store->sites[cell->site],
                .version = cell->version,
                .over = cell->over,
            };
    }
    GV_ASSERT(*count <= cells->count);
    return siblings;
}

/* @over in the form that it is kept and sent in; free() it. */
static uint8_t *over_bytes(const struct vv *over)
{
    uint8_t *bytes = malloc(over->count * VV_ENTRY_SIZE + 1);

    GV_ASSERT(over->count <= VV_SITES_MAX);
    for (size_t i = 0; bytes != NULL && i < over->count; i++)
        vv_entry_store(&over->entries[i], bytes + i * VV_ENTRY_SIZE);
    return bytes;
}

static int write_over(struct store *store, size_t bit, const struct vv *over)
{
    struct cells *cells = &store->space.cells;
    uint8_t *bytes = over_bytes(over);
    struct cell *cell;
    int rc = GV_ENOMEM;

    /* A cell is newer than its own site's others without saying so. */
    GV_ASSERT(vv_get(over, &store->sites[store->own]) == 0);
    for (size_t i = 0; i < cells->count; i++)
        if (cells->items[i].bit == bit)
            cells_drop(&cells->items[i]);
    cell = bytes == NULL ? NULL : cells_put(cells, bit, store->own);
    if (cell != NULL)
        rc = cell_own(cell, &store->values[bit - 1],
                      (struct vv_view){bytes, over->count});
    free(bytes);
    return rc;
}

static int write_mv(struct store *store, const struct store_table *table,
                    const struct row_key *key, size_t bit, bool reset,
                    bool *written)
{
    struct sibling *seen;
    struct vv over;
    size_t count;
    int rc;

    GV_ASSERT(kind_of(table, bit) == COLUMN_MV);
    *written = store->values[bit - 1].size <= store->limits.value_size;
    if (!*written) {
        keep_here(store, table, key, bit, "it is too large to be shared");
        return GV_OK;
    }
    seen = siblings_of(store, &store->space.cells, bit, &count);
    if (seen == NULL)
        return GV_ENOMEM;
    vv_init(&over);
    rc = siblings_over(seen, reset ? 0 : count, &store->sites[store->own],
                       &over);
    if (rc == GV_OK)
        rc = write_over(store, bit, &over);
    vv_close(&over);
    free(seen);
    return rc;
}

void kinds_reset(struct store *store)
{
    struct cells *cells = &store->space.cells;

    for (size_t i = 0; i < cells->count; i++)
        cells_drop(&cells->items[i]);
}

/* The table shows something else than the cells: the next look must not take
 * that for a write. */
static void note_shown(struct store *store, const struct store_table *table,
                       size_t bit)
{
    uint64_t digest = value_digest(&store->values[bit - 1]);
    bool held = shown_cell(store, bit) != NULL;
    struct value value;

    GV_ASSERT(table->columns[bit - 1].shown); /* it was read there */
    show_bit(store, table, bit);
    if (digest == store->space.row.digests[bit])
        return;
    kinds_value(store, table, bit, &value);
    parked_put(&store->parked, bit, held ? PARKED_VALUE : PARKED_DEFAULT,
               &value, &digest);
}

int kinds_write(struct store *store, const struct store_table *table,
                const struct row_key *key, bool reset, uint64_t *written)
{
    int rc = GV_OK;

    GV_ASSERT(table->each_count > 0);
    GV_ASSERT(!reset || mask_get(written, ROW_EXISTENCE));
    if (reset)
        kinds_reset(store);
    for (size_t word = 0; word < table->words; word++) {
        uint64_t bits = each_bits(table, written, word);

        for (; bits != 0 && rc == GV_OK; bits &= bits - 1) {
            size_t bit = word * 64 + (size_t)__builtin_ctzll(bits);
            bool counts = false;

            rc = kind_of(table, bit) == COLUMN_COUNTER
                     ? write_counter(store, table, key, bit, reset, &counts)
                     : write_mv(store, table, key, bit, reset, &counts);
            if (rc == GV_OK && !counts) {
                written[word] &= ~(bits & -bits);
                note_shown(store, table, bit);
            }
        }
    }
    return rc;
}

static struct record *own_record(struct store *store, gv_version version)
{
    struct row *row = &store->space.row;
    struct record *record = row->records;

    GV_ASSERT(row->record_count > 0);
    while (record->site != store->own || record->version != version) {
        record++;
        GV_ASSERT(record < row->records + row->record_count);
    }
    return record;
}

void kinds_written(struct store *store, const struct store_table *table,
                   gv_version version, const uint64_t *written)
{
    struct row *row = &store->space.row;

    for (size_t word = 0; word < table->words; word++) {
        uint64_t bits = each_bits(table, written, word);

        for (; bits != 0; bits &= bits - 1) {
            size_t bit = word * 64 + (size_t)__builtin_ctzll(bits);
            struct cell *cell =
                cells_get(&store->space.cells, bit, store->own);

            GV_ASSERT(cell != NULL); /* kinds_write() has put it there */
            GV_ASSERT(cell->version < version);
            cell->version = version;
            own_record(store, version)->cells[row_rank(row, bit)] =
                cell_digest(kind_of(table, bit), &cell->value, cell->over);
            note_shown(store, table, bit);
        }
    }
}

/* A merge */

/* Take the bit of a cell out of its record. */
static void clear_cell(struct row *row, const struct cell *cell)
{
    struct record *holder = NULL;

    for (size_t i = 0; i < row->record_count && holder == NULL; i++) {
        struct record *record = &row->records[i];

        if (record->site == cell->site && record->version == cell->version &&
            mask_get(record->mask, cell->bit))
            holder = record;
    }
    GV_ASSERT(holder != NULL); /* a cell stands in its record */
    row_clear(row, holder, cell->bit);
}

/* Of one side's cells, which follow one another in @judged, those that are
 * dead. */
static bool clear_dead(struct row *row, const struct cells *cells, size_t bit,
                       const struct sibling **judged)
{
    bool any = false;

    for (size_t i = 0; i < cells->count; i++) {
        if (cells->items[i].bit != bit || cells->items[i].gone)
            continue;
        GV_ASSERT((*judged)->version == cells->items[i].version);
        if ((*judged)->dead) {
            clear_cell(row, &cells->items[i]);
            any = true;
        }
        ++*judged;
    }
    return any;
}

/* Judge the cells of @bit that both sides have together. */
static int judge_bit(struct store *store, size_t bit, uint64_t *cleared)
{
    struct row_space *space = &store->space, *fragment = &store->fragment;
    size_t ours, theirs;
    struct sibling *a = siblings_of(store, &space->cells, bit, &ours);
    struct sibling *b = siblings_of(store, &fragment->cells, bit, &theirs);
    struct sibling *both = calloc(ours + theirs + 1, sizeof *both);
    int rc = a == NULL || b == NULL || both == NULL ? GV_ENOMEM : GV_OK;

    if (rc == GV_OK && theirs > 0) {
        const struct sibling *judged = both;

        memcpy(both, a, ours * sizeof *a);
        memcpy(both + ours, b, theirs * sizeof *b);
        siblings_judge(both, ours + theirs);
        for (size_t i = 0; i < ours && plant("sibling-dropped"); i++)
            both[i].dead = true;
        if (clear_dead(&space->row, &space->cells, bit, &judged))
            mask_set(cleared, bit);
        clear_dead(&fragment->row, &fragment->cells, bit, &judged);
        GV_ASSERT(judged == both + ours + theirs);
    }
    free(a);
    free(b);
    free(both);
    return rc;
}

int kinds_judge(struct store *store, const struct store_table *table,
                uint64_t *cleared)
{
    int rc = GV_OK;

    GV_ASSERT(store->fragment.row.record_count > 0);
    memset(cleared, 0, table->words * sizeof *cleared);
    /* The cells of another life have nothing to say of this one's. */
    if (table->siblings == NULL ||
        store->space.row.causal_length != store->fragment.row.causal_length)
        return GV_OK;
    for (size_t word = 0; word < table->words; word++) {
        uint64_t bits = table->siblings[word];

        for (; bits != 0 && rc == GV_OK; bits &= bits - 1)
            rc = judge_bit(store, word * 64 + (size_t)__builtin_ctzll(bits),
                           cleared);
    }
    return rc;
}

static const struct record *holder_of(const struct row *row, size_t bit,
                                      uint32_t site)
{
    for (size_t i = 0; i < row->record_count; i++)
        if (row->records[i].site == site &&
            mask_get(row->records[i].mask, bit))
            return &row->records[i];
    return NULL;
}

/* The fragment's cells that the row holds now. */
static int take_cells(struct store *store, const struct store_table *table)
{
    const struct row *row = &store->space.row;
    const struct cells *cells = &store->fragment.cells;

    for (size_t i = 0; i < cells->count; i++) {
        const struct cell *from = &cells->items[i];
        const struct record *record = holder_of(row, from->bit, from->site);
        struct cell *cell;

        GV_ASSERT(kinds_each(table, from->bit) && !from->gone);
        if (record == NULL || record->version != from->version ||
            record->cells[row_rank(row, from->bit)] !=
                cell_digest(kind_of(table, from->bit), &from->value,
                            from->over))
            continue;
        cell = cells_put(&store->space.cells, from->bit, from->site);
        if (cell == NULL || cell_own(cell, &from->value, from->over) != GV_OK)
            return GV_ENOMEM;
        cell->version = from->version;
    }
    return GV_OK;
}

int kinds_merged(struct store *store, const struct store_table *table,
                 bool reset, const uint64_t *cleared, uint64_t *won)
{
    struct cells *cells = &store->space.cells;
    int rc;

    /* Cells of another life are not replaced: they go. */
    GV_ASSERT(!reset || mask_empty(cleared, table->words));
    if (reset)
        kinds_reset(store);
    rc = take_cells(store, table);
    for (size_t i = 0; i < cells->count && rc == GV_OK; i++) {
        struct cell *cell = &cells->items[i];

        if (!cell->gone &&
            holder_of(&store->space.row, cell->bit, cell->site) == NULL)
            cells_drop(cell);
    }
    for (size_t word = 0; word < table->words && rc == GV_OK; word++) {
        uint64_t bits;

        won[word] |= cleared[word];
        bits = each_bits(table, won, word);
        for (; bits != 0; bits &= bits - 1) {
            size_t bit = word * 64 + (size_t)__builtin_ctzll(bits);

            kinds_value(store, table, bit, &store->values[bit - 1]);
            show_bit(store, table, bit);
        }
    }
    return rc;
}

/* Registration */

static const char *const kind_names[] = {"lww", "counter", "mv"};

const char *kind_name(enum column_kind kind)
{
    GV_ASSERT(kind <= COLUMN_MV);
    return kind_names[kind];
}

bool kind_named(const char *name, size_t size, enum column_kind *kind)
{
    for (size_t i = 0; i < sizeof kind_names / sizeof *kind_names; i++) {
        if (strlen(kind_names[i]) != size ||
            memcmp(kind_names[i], name, size) != 0)
            continue;
        *kind = (enum column_kind)i;
        return true;
    }
    return false;
}

int kinds_masks(struct store_table *table)
{
    uint64_t *masks[COLUMN_MV + 1] = {NULL, NULL, NULL};

    table->words = (table->column_count + 1 + 63) / 64;
    GV_ASSERT(table->words > 0 && table->words <= ROW_WORDS_MAX);
    table->each_count = 0;
    for (size_t i = 0; i < table->column_count; i++) {
        enum column_kind kind = table->columns[i].kind;

        if (kind == COLUMN_LWW)
            continue;
        if (masks[kind] == NULL)
            masks[kind] = calloc(table->words, sizeof *masks[kind]);
        if (masks[kind] == NULL)
            break;
        mask_set(masks[kind], i + 1);
        table->each_count++;
    }
    GV_ASSERT(table->each_count <= table->column_count);
    free(table->sums);
    free(table->siblings);
    table->sums = masks[COLUMN_COUNTER];
    table->siblings = masks[COLUMN_MV];
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].kind != COLUMN_LWW &&
            masks[table->columns[i].kind] == NULL)
            return GV_ENOMEM;
    return GV_OK;
}
