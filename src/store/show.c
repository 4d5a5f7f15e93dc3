/* The row at hand into the user's table.  A column may change what it is given
 * (its affinity) or refuse it (STRICT, NOT NULL, a UNIQUE index made later);
 * then the value is parked, with what the table shows instead: else two nodes
 * would publish 1 and 1.0 at each other for ever. */
#include "store/show.h"

#include "base/assert.h"
#include "base/plant.h"
#include "store/internal.h"
#include "store/keys.h"
#include "store/kinds.h"
#include "store/parked.h"
#include "store/rows.h"
#include "store/user.h"

#include <string.h>

/* What an entry of this cell of store->values would be. */
static enum parked_kind kind_of(const struct store *store,
                                const uint64_t *held, size_t bit)
{
    GV_ASSERT(bit != ROW_EXISTENCE); /* it has no value */
    if (!mask_get(held, bit))
        return PARKED_DEFAULT;
    return mask_get(store->hollow, bit) ? PARKED_HOLLOW : PARKED_VALUE;
}

/* SQLite's words for the first row that a table refuses; the others are in
 * status. */
static void note_refusal(struct store *store, struct store_table *table,
                         const struct row_key *key)
{
    char name[200];

    GV_ASSERT(table->shown);
    GV_ASSERT(store->reason[0] != '\0');
    if (table->refused)
        return;
    table->refused = true;
    row_name(table, key, name, sizeof name);
    log_line(&store->log, GV_LOG_WARNING,
             "the table cannot store %s as a peer sent it: %s; what it does"
             " not store is kept beside it",
             name, store->reason);
}

static void keep_reason(struct store *store)
{
    sqlite3_snprintf(sizeof store->reason, store->reason, "%s",
                     sqlite3_errmsg(store->db));
}

/* Park a cell whose column is not shown. */
static void park_hidden(struct store *store, size_t bit)
{
    bool hollow = mask_get(store->hollow, bit);

    GV_ASSERT(bit != ROW_EXISTENCE);
    parked_put(&store->parked, bit, hollow ? PARKED_HOLLOW : PARKED_VALUE,
               &store->values[bit - 1], NULL);
}

/* Which of @cells the table has a column for, and whether it may store
 * something else there. */
static bool choose_columns(struct store *store,
                           const struct store_table *table,
                           const uint64_t *cells, uint64_t *written)
{
    bool doubt = table->fires;

    GV_ASSERT(table->shown);
    memset(written, 0, table->words * sizeof *written);
    for (size_t i = 0; i < table->column_count; i++) {
        if (!mask_get(cells, i + 1))
            continue;
        if (!table->columns[i].shown) {
            if (!plant("unknown-column-skipped"))
                park_hidden(store, i + 1);
            continue;
        }
        mask_set(written, i + 1);
        if (mask_get(store->hollow, i + 1)) {
            store->values[i] = table->columns[i].initial;
            doubt = true;
        }
        doubt = doubt ||
                !affinity_keeps(table->columns[i].affinity, &store->values[i]);
    }
    GV_ASSERT(!mask_get(written, ROW_EXISTENCE));
    return doubt;
}

/* The row is in the log alone. */
static void park_row(struct store *store, const struct store_table *table)
{
    uint64_t held[ROW_WORDS_MAX];

    rows_held(&store->space.row, table->words, held);
    GV_ASSERT(mask_get(held, ROW_EXISTENCE));
    GV_ASSERT(store->space.row.causal_length % 2 == 1);
    parked_put(&store->parked, ROW_EXISTENCE, PARKED_DEFAULT, NULL, NULL);
    for (size_t bit = 1; bit <= table->column_count; bit++) {
        if (!table->columns[bit - 1].shown)
            continue;
        if (mask_get(held, bit))
            parked_put(&store->parked, bit, kind_of(store, held, bit),
                       &store->values[bit - 1], NULL);
        else
            parked_drop(&store->parked, bit);
    }
}

/* Read back what a column might not have kept as it was. */
static int settle(struct store *store, struct store_table *table,
                  const struct row_key *key, const uint64_t *written)
{
    uint64_t held[ROW_WORDS_MAX];
    bool present;
    int rc = user_read(store, table, key, store->read_back, &present);

    if (rc != GV_OK)
        return rc;
    rows_held(&store->space.row, table->words, held);
    GV_ASSERT(mask_get(held, ROW_EXISTENCE));
    GV_ASSERT(!mask_get(written, ROW_EXISTENCE));
    for (size_t i = 0; present && i < table->column_count; i++) {
        uint64_t digest;

        if (!mask_get(written, i + 1))
            continue;
        digest = value_digest(&store->read_back[i]);
        if (digest == parked_expected(table, &store->space.row, held, i))
            parked_drop(&store->parked, i + 1);
        else
            parked_put(&store->parked, i + 1, kind_of(store, held, i + 1),
                       &store->values[i], &digest);
    }
    user_read_done(table);
    if (!present) /* a trigger of the application's took it away */
        park_row(store, table);
    return GV_OK;
}

/* Without a doubt the table holds what it was given. */
static void trust(struct store *store, const struct store_table *table,
                  const uint64_t *written)
{
    GV_ASSERT(!table->fires); /* a trigger may change what it likes */
    for (size_t i = 0; table->parks && i < table->column_count; i++)
        if (mask_get(written, i + 1))
            parked_drop(&store->parked, i + 1);
}

/* Each column by itself, so that one that refuses its value does not keep the
 * others back. */
static int update_singly(struct store *store, struct store_table *table,
                         const struct row_key *key, const uint64_t *written)
{
    GV_ASSERT(!mask_get(written, ROW_EXISTENCE));
    for (size_t i = 0; i < table->column_count; i++) {
        uint64_t one[ROW_WORDS_MAX] = {0};
        int rc;

        if (!mask_get(written, i + 1))
            continue;
        mask_set(one, i + 1);
        rc = user_update(store, table, key, one, store->values);
        if (rc != GV_OK && rc != GV_ESCHEMA)
            return rc;
    }
    return GV_OK;
}

int show_update(struct store *store, struct store_table *table,
                const struct row_key *key, const uint64_t *cells)
{
    uint64_t written[ROW_WORDS_MAX];
    bool doubt = choose_columns(store, table, cells, written);
    int rc;

    GV_ASSERT(table->shown);
    GV_ASSERT(store->space.row.causal_length % 2 == 1);
    rc = user_update(store, table, key, written, store->values);
    if (rc == GV_ESCHEMA) {
        keep_reason(store);
        note_refusal(store, table, key);
        rc = update_singly(store, table, key, written);
        doubt = true;
    }
    if (rc == GV_OK && doubt && !plant("kept-as-told"))
        return settle(store, table, key, written);
    if (rc == GV_OK)
        trust(store, table, written);
    return rc;
}

/* Bring together what a row of the table should hold. */
static void gather(struct store *store, const struct store_table *table,
                   const uint64_t *cells)
{
    const struct parked *parked = &store->parked;
    uint64_t held[ROW_WORDS_MAX];

    rows_held(&store->space.row, table->words, held);
    GV_ASSERT(mask_get(held, ROW_EXISTENCE));
    for (size_t bit = 1; bit <= table->column_count; bit++) {
        GV_ASSERT(!mask_get(cells, bit) || mask_get(held, bit));
        if (mask_get(cells, bit))
            continue;
        store->hollow[bit / 64] &= ~((uint64_t)1 << bit % 64);
        if (kinds_each(table, bit)) {
            kinds_value(store, table, bit, &store->values[bit - 1]);
            continue;
        }
        if (mask_get(parked->listed, bit) &&
            parked->kinds[bit] == PARKED_VALUE) {
            store->values[bit - 1] = parked->values[bit];
            continue;
        }
        store->values[bit - 1] = table->columns[bit - 1].initial;
        if (mask_get(held, bit))
            mask_set(store->hollow, bit);
    }
}

/* With one column at its default, whichever lets the row in. */
static int insert_but_one(struct store *store, struct store_table *table,
                          const struct row_key *key, const uint64_t *written)
{
    int rc = GV_ESCHEMA;

    GV_ASSERT(table->column_count < ROW_BITS_MAX);
    memcpy(store->read_back, store->values,
           table->column_count * sizeof *store->values);
    for (size_t i = 0; i < table->column_count && rc == GV_ESCHEMA; i++) {
        if (!mask_get(written, i + 1) ||
            value_equal(&store->values[i], &table->columns[i].initial))
            continue;
        store->read_back[i] = table->columns[i].initial;
        rc = user_insert(store, table, key, store->read_back);
        store->read_back[i] = store->values[i];
    }
    return rc;
}

/* The row as far as the table takes it; GV_ESCHEMA: not at all. */
static int insert_some(struct store *store, struct store_table *table,
                       const struct row_key *key, const uint64_t *written)
{
    int rc;

    note_refusal(store, table, key);
    for (size_t i = 0; i < table->column_count; i++)
        store->read_back[i] = table->columns[i].initial;
    rc = user_insert(store, table, key, store->read_back);
    if (rc == GV_OK)
        return update_singly(store, table, key, written);
    return rc == GV_ESCHEMA ? insert_but_one(store, table, key, written) : rc;
}

/* A row that stands under another key than the log's is none of it. */
static int check_key(struct store *store, struct store_table *table,
                     const struct row_key *key, bool *kept)
{
    int rc;

    *kept = true;
    if (user_key_sure(table, key))
        return GV_OK;
    rc = user_key_kept(store, table, key, kept);
    /* SQLite finds it by the key that it was given, converted as it was. */
    return rc == GV_OK && !*kept ? user_delete(store, table, key) : rc;
}

int show_insert(struct store *store, struct store_table *table,
                const struct row_key *key, const uint64_t *cells)
{
    uint64_t all[ROW_WORDS_MAX] = {0}, written[ROW_WORDS_MAX];
    bool doubt, kept = false;
    int rc;

    GV_ASSERT(table->shown);
    GV_ASSERT(store->space.row.causal_length % 2 == 1);
    gather(store, table, cells);
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].shown || mask_get(cells, i + 1))
            mask_set(all, i + 1);
    /* What the table has of an earlier life was taken out. */
    GV_ASSERT(!mask_get(store->parked.seen, ROW_EXISTENCE));
    doubt = choose_columns(store, table, all, written);
    rc = user_insert(store, table, key, store->values);
    if (rc == GV_ESCHEMA) {
        rc = insert_some(store, table, key, written);
        doubt = true;
    }
    if (rc == GV_OK)
        rc = check_key(store, table, key, &kept);
    if (rc == GV_ESCHEMA || (rc == GV_OK && !kept)) {
        park_row(store, table);
        return GV_OK;
    }
    if (rc != GV_OK)
        return rc;
    parked_drop(&store->parked, ROW_EXISTENCE);
    if (doubt)
        return settle(store, table, key, written);
    trust(store, table, written);
    return GV_OK;
}

/* What the log said the table shows in a cell; false: nothing. */
static bool shown_before(const struct store *store,
                         const struct store_table *table, size_t bit,
                         uint64_t *shown)
{
    const struct parked *parked = &store->parked;

    GV_ASSERT(bit > ROW_EXISTENCE && bit <= table->column_count);
    if (mask_get(parked->listed, bit)) {
        *shown = parked->shown[bit];
        return mask_get(parked->seen, bit);
    }
    *shown = mask_get(store->old_held, bit)
                 ? store->old_digests[bit]
                 : table->columns[bit - 1].initial_digest;
    return table->columns[bit - 1].local != NULL;
}

void show_nothing(struct store *store, const struct store_table *table,
                  const uint64_t *cells, bool reset, bool in_table)
{
    struct parked *parked = &store->parked;
    bool alive = store->space.row.causal_length % 2 == 1, earlier;
    const uint64_t one = 1;

    GV_ASSERT(!table->shown || table->suspended);
    GV_ASSERT(!in_table || !mask_get(parked->listed, ROW_EXISTENCE));
    earlier = in_table || mask_get(parked->seen, ROW_EXISTENCE);
    if (reset) {
        parked_drop_all(store, table);
        if (alive || earlier)
            parked_put(parked, ROW_EXISTENCE, PARKED_DEFAULT, NULL,
                       earlier ? &one : NULL);
    }
    for (size_t bit = 1; alive && bit <= table->column_count; bit++) {
        uint64_t shown;
        bool known;

        if (!mask_get(cells, bit))
            continue;
        known = !mask_get(parked->listed, ROW_EXISTENCE) &&
                shown_before(store, table, bit, &shown);
        parked_put(parked, bit,
                   mask_get(store->hollow, bit) ? PARKED_HOLLOW : PARKED_VALUE,
                   &store->values[bit - 1], known ? &shown : NULL);
    }
    /* Of a dead row at most its existence. */
    GV_ASSERT(alive || mask_count(parked->listed, table->words) <= 1);
}
