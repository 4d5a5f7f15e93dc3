/* Merge: one fragment, whose row the log has or has not, into the log and the
 * user's table.  The log takes all of it; what the table does not take or
 * does not have is parked. */
#include "store/apply.h"

#include "base/assert.h"
#include "base/hook.h"
#include "base/plant.h"
#include "store/history.h"
#include "store/keys.h"
#include "store/kinds.h"
#include "store/parked.h"
#include "store/rows.h"
#include "store/show.h"
#include "store/state.h"
#include "store/tables.h"
#include "store/triggers.h"
#include "store/user.h"

#include <string.h>

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
                          bool reset, bool waits, uint64_t *cells)
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
    GV_ASSERT(!waits || !in_table);
    if (waits)
        return inserts_add(apply, table, key, cells);
    if (!in_table)
        return show_insert(store, table, key, cells);
    if (reset && !plant("old-life-shows"))
        fill_defaults(store, table, cells);
    if (updates_take(apply, table, key, cells))
        return updates_add(apply, table, key, cells);
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

int merge_held(struct apply *apply, struct store_table *table,
               const struct row_key *key, struct gv_error *error, bool *held)
{
    int rc = rows_read(apply->store, table, key, error);

    *held = rc == GV_OK && holds_fragment(apply->store, table);
    return rc;
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
        return incoming_malformed(apply, "a new life without its beginning");
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
static int merge_records(struct store *store, const struct store_table *table,
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

int merge_told(struct apply *apply, struct store_table *table,
               const struct row_key *key, int rc)
{
    if (rc == GV_EDIFFERS)
        keep_past(apply->store, table, key);
    return explain(apply, table, key, rc);
}

int merge_show(struct apply *apply, struct store_table *table,
               const struct row_key *key, const uint64_t *cells, bool in_table)
{
    struct store *store = apply->store;
    int rc;

    GV_ASSERT(store->space.stored && !table->fires);
    store->reason[0] = '\0';
    rc = in_table ? show_update(store, table, key, cells)
                  : show_insert(store, table, key, cells);
    if (rc == GV_OK)
        rc = parked_save(store, table);
    return merge_told(apply, table, key, rc);
}

/* What waits is written when there is enough of it. */
static int write_due(struct apply *apply)
{
    if (inserts_full(apply))
        return inserts_flush(apply);
    return updates_due(apply) ? updates_flush(apply) : GV_OK;
}

/* What waits is in the table before anything but another new row is.  *@waits:
 * the fragment's own row may wait too. */
static int let_wait(struct apply *apply, struct store_table *table,
                    const struct row_key *key, bool *waits)
{
    int rc;

    *waits = inserts_take(apply, table, key);
    if (*waits || !inserts_wait(apply))
        return GV_OK;
    rc = inserts_flush(apply);
    return rc == GV_OK ? rows_read(apply->store, table, key, apply->error)
                       : rc;
}

int merge_fragment(struct apply *apply, struct store_table *table,
                   const struct row_key *key)
{
    struct store *store = apply->store;
    struct row *row = &store->space.row;
    uint64_t won[ROW_WORDS_MAX];
    struct row_change change = {.won = won};
    bool was_alive, filled, any, waits, held;
    int rc = merge_held(apply, table, key, apply->error, &held);

    if (held)
        return GV_OK;
    if (rc == GV_OK)
        rc = let_wait(apply, table, key, &waits);
    if (rc == GV_OK)
        rc = find_row(apply, table, key);
    was_alive = row->causal_length % 2 == 1;
    if (rc == GV_OK)
        rc = merge_records(store, table, &change, &any);
    if (rc != GV_OK)
        return rc;
    filled = fill_hollow(store, table, won);
    /* All cells of a new life are the fragment's anyway. */
    GV_ASSERT(!filled || !change.reset);
    if (!any && !filled)
        return GV_OK;
    rc =
        write_user_row(apply, table, key, was_alive, change.reset, waits, won);
    if (rc == GV_OK && any)
        rc = rows_save(store, table, key);
    if (rc == GV_OK)
        rc = parked_save(store, table);
    hook_kill("apply-row");
    rc = merge_told(apply, table, key, rc);
    return rc == GV_OK ? write_due(apply) : rc;
}
