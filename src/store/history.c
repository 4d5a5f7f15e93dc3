/* gv_history: values that lost to a concurrent write, for people.  It is
 * local and bounded, and nothing else depends on it.
 *
 *     tbl, rid, bit          the cell
 *     value, site, version   what lost, and the dot that wrote it
 *     size                   of the whole value in bytes, where it is cut
 *     by_site, by_version    the dot that beat it
 *
 * A value is recorded where it is overwritten by an apply, or where it
 * arrives and loses; a delete, or a new life, beats the cells of the row.
 * Never recorded is what its winner had seen, since that is an edit and no
 * conflict.  So the question is what the winner's site had seen:
 *
 * - An arriving value that loses was not covered by our vector.  A vector that
 *   covers a dot covers all that the dot's writer had seen (DESIGN 4,
 * Closure), and ours covers the winner: its writer had not seen the value.
 * - A held value that loses to an interval (from, to] was seen by its site up
 *   to the entry that its dependencies name.  Where they name none, the site
 *   knew at @to what it knew at @from, and a version is larger than all that
 *   its site had seen: above @from it was not seen.
 * - A held value that loses to a delta was not seen when the claim does not
 *   cover it, since the claim covers all that the winner's writer had seen.
 *
 * Else it cannot be known here and nothing is recorded: a list of all edits
 * that happen to come late would hide the conflicts.  (A held value below
 * @from, of a site that the interval's site heard nothing of since then; one
 * that the delta's provider held too.)  The conflict is recorded all the same
 * by the node of the winner, when the value arrives there, and by the provider
 * of the delta.
 *
 * Equal values are no conflict.  A hollow cell has no value to keep. */
#include "store/history.h"

#include "base/assert.h"
#include "store/borrowed.h"
#include "store/internal.h"
#include "store/parked.h"
#include "store/rows.h"
#include "store/tables.h"
#include "store/user.h"

#include <string.h>

/* The oldest go.  With a value of 100 bytes a row of this table takes some 150
 * bytes: 1.5 MB in all. */
#define HISTORY_ROWS_MAX 10000
/* Of a larger value the beginning is kept: 10,000 rows of this size are 320
 * MB, and no file should grow by more for a list to look at. */
#define HISTORY_VALUE_SIZE_MAX (32u * 1024)
_Static_assert(HISTORY_VALUE_SIZE_MAX <= VALUE_SIZE_MAX, "it travelled");

/* The row at hand (store->space) and the fragment that is merged into it. */
struct conflict {
    struct store *store;
    struct store_table *table;
    const struct row_key *key;
    const struct interval *interval; /* where the fragment came from, */
    const struct vv *claim;          /* one of the two */
    bool read;                       /* the user's row is in read_back */
    bool present;
};

/* Whether the writer of @winner, which arrives, had surely not seen @dot. */
static bool unseen(const struct conflict *conflict,
                   const struct record *winner, const struct record *dot)
{
    const struct site *site = &conflict->store->sites[dot->site];

    GV_ASSERT((conflict->interval != NULL) != (conflict->claim != NULL));
    if (winner->site == dot->site)
        return false;
    if (conflict->claim != NULL)
        return dot->version > vv_get(conflict->claim, site);
    for (size_t i = 0; i < conflict->interval->dependencies.count; i++) {
        struct vv_entry entry =
            vv_view_at(conflict->interval->dependencies, i);

        if (site_equal(&entry.site, site))
            return dot->version > entry.version;
    }
    return dot->version > conflict->interval->from;
}

/* Whether @dot, which arrives, is new to this file. */
static bool unheld(const struct conflict *conflict, const struct record *dot)
{
    const struct store *store = conflict->store;

    GV_ASSERT(dot->site < store->site_count);
    return dot->version > vv_get(&store->vv, &store->sites[dot->site]);
}

static int prepare(struct store *store)
{
    int rc = GV_OK;

    if (store->history_insert == NULL)
        rc = sql_prepare(store->db, &store->history_insert,
                         "INSERT INTO gv_history(tbl,rid,bit,value,site,"
                         "version,by_site,by_version,size)"
                         " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)");
    if (rc == GV_OK && store->history_prune == NULL)
        rc = sql_prepare(store->db, &store->history_prune,
                         "DELETE FROM gv_history WHERE id<=?1");
    GV_ASSERT(rc != GV_OK || store->history_prune != NULL);
    return rc;
}

/* Cut @value, between two characters if it is a text. */
static void bind_cut(sqlite3_stmt *insert, const struct value *value)
{
    struct value cut = *value;

    if (value->size > HISTORY_VALUE_SIZE_MAX) {
        cut.size = HISTORY_VALUE_SIZE_MAX;
        while (cut.class == VALUE_TEXT && cut.size > 0 &&
               (cut.bytes[cut.size] & 0xc0) == 0x80)
            cut.size--;
        sqlite3_bind_int64(insert, 9, (sqlite3_int64)value->size);
    }
    GV_ASSERT(cut.size <= HISTORY_VALUE_SIZE_MAX);
    sql_bind_value(insert, 4, &cut);
}

static int record(struct conflict *conflict, size_t bit,
                  const struct value *value, const struct record *loser,
                  const struct record *winner)
{
    struct store *store = conflict->store;
    sqlite3_stmt *insert = store->history_insert;
    int rc;

    GV_ASSERT(store->space.stored && bit != ROW_EXISTENCE);
    GV_ASSERT(value->class <= VALUE_BLOB);
    GV_ASSERT(transaction_open(store)); /* goes with the apply */
    sqlite3_bind_int64(insert, 1, conflict->table->id);
    sqlite3_bind_int64(insert, 2, store->space.rid);
    sqlite3_bind_int64(insert, 3, (sqlite3_int64)bit);
    bind_cut(insert, value);
    sqlite3_bind_int64(insert, 5, loser->site);
    sqlite3_bind_int64(insert, 6, (sqlite3_int64)loser->version);
    sqlite3_bind_int64(insert, 7, winner->site);
    sqlite3_bind_int64(insert, 8, (sqlite3_int64)winner->version);
    rc = sql_finish(insert);
    if (rc != GV_OK)
        return rc;
    /* Ids grow by one: the largest is always kept. */
    sqlite3_bind_int64(store->history_prune, 1,
                       sqlite3_last_insert_rowid(store->db) -
                           HISTORY_ROWS_MAX);
    return sql_finish(store->history_prune);
}

/* A value held here: parked, or in the user's table.  *@found when it is the
 * one that the log means; borrowed until the user's row is let go. */
static int held_value(struct conflict *conflict, size_t bit,
                      struct value *value, bool *found)
{
    struct store *store = conflict->store;
    struct store_table *table = conflict->table;
    int rc = GV_OK;

    GV_ASSERT(bit > ROW_EXISTENCE && bit <= table->column_count);
    *value = (struct value){.class = VALUE_NULL};
    *found = false;
    if (mask_get(store->parked.listed, bit)) {
        *found = store->parked.kinds[bit] == PARKED_VALUE;
        *value = store->parked.values[bit];
    } else if (table->shown && table->columns[bit - 1].shown) {
        rc = conflict->read ? GV_OK
                            : user_read(store, table, conflict->key,
                                        store->read_back, &conflict->present);
        conflict->read = conflict->read || rc == GV_OK;
        *found = rc == GV_OK && conflict->present;
        if (*found)
            *value = store->read_back[bit - 1];
    }
    *found = *found && value_digest(value) == store->space.digests[bit];
    return rc;
}

/* The bits of @bits (word @word) of a held record lose to an arriving one. */
static int lose_held(struct conflict *conflict, size_t word, uint64_t bits,
                     const struct record *loser, const struct record *winner)
{
    struct store *store = conflict->store;
    int rc = bits == 0 ? GV_OK : prepare(store);

    for (; bits != 0 && rc == GV_OK; bits &= bits - 1) {
        size_t bit = word * 64 + (size_t)__builtin_ctzll(bits);
        struct value value;
        bool found;

        rc = held_value(conflict, bit, &value, &found);
        if (rc == GV_OK && found)
            rc = record(conflict, bit, &value, loser, winner);
    }
    return rc;
}

/* The bits of @bits of an arriving record lose to a held one. */
static int lose_arriving(struct conflict *conflict, size_t word, uint64_t bits,
                         const struct record *loser,
                         const struct record *winner)
{
    struct store *store = conflict->store;
    int rc = bits == 0 ? GV_OK : prepare(store);

    for (; bits != 0 && rc == GV_OK; bits &= bits - 1) {
        size_t bit = word * 64 + (size_t)__builtin_ctzll(bits);

        GV_ASSERT(bit > ROW_EXISTENCE);
        GV_ASSERT(bit <= conflict->table->column_count);
        if (!mask_get(store->hollow, bit))
            rc = record(conflict, bit, &store->values[bit - 1], loser, winner);
    }
    return rc;
}

/* Of @bits, those with another value on the other side, where @other holds
 * them. */
static uint64_t unlike(const struct store *store, const uint64_t *other,
                       size_t word, uint64_t bits)
{
    uint64_t same = 0;

    GV_ASSERT(word < ROW_WORDS_MAX);
    for (uint64_t both = bits & other[word]; both != 0; both &= both - 1) {
        size_t bit = word * 64 + (size_t)__builtin_ctzll(both);

        if (store->space.digests[bit] == store->fragment.digests[bit])
            same |= both & -both;
    }
    GV_ASSERT((same & ~bits) == 0);
    return bits & ~same;
}

static bool later(const struct store *store, const struct record *a,
                  const struct record *b)
{
    GV_ASSERT(a->site != b->site);
    GV_ASSERT(a->site < store->site_count && b->site < store->site_count);
    if (a->version != b->version)
        return a->version > b->version;
    return site_compare(&store->sites[a->site], &store->sites[b->site]) > 0;
}

/* Two records of one life, by two sites. */
static int meet(struct conflict *conflict, const struct record *held,
                const struct record *arriving)
{
    const struct store *store = conflict->store;
    bool arriving_loses = later(store, held, arriving);
    int rc = GV_OK;

    GV_ASSERT(held->site != arriving->site);
    for (size_t w = 0; w < conflict->table->words && rc == GV_OK; w++) {
        /* Where each site has a cell of its own, none beats another's. */
        uint64_t both = column_bits(held->mask, w) &
                        column_bits(arriving->mask, w) &
                        ~row_each(&store->space.row, w);

        if (both == 0)
            continue;
        if (arriving_loses ? !unheld(conflict, arriving)
                           : !unseen(conflict, arriving, held))
            return GV_OK;
        both = unlike(store, arriving->mask, w, both);
        rc = arriving_loses ? lose_arriving(conflict, w, both, arriving, held)
                            : lose_held(conflict, w, both, held, arriving);
    }
    return rc;
}

static int same_life(struct conflict *conflict)
{
    const struct row *row = &conflict->store->space.row;
    const struct row *fragment = &conflict->store->fragment.row;
    int rc = GV_OK;

    GV_ASSERT(row->causal_length == fragment->causal_length);
    for (size_t i = 0; i < row->record_count; i++)
        for (size_t j = 0; j < fragment->record_count && rc == GV_OK; j++)
            /* One site's writes follow one another. */
            if (row->records[i].site != fragment->records[j].site)
                rc = meet(conflict, &row->records[i], &fragment->records[j]);
    return rc;
}

/* Who began the life, or ended it. */
static const struct record *existence(const struct row *row)
{
    for (size_t i = 0; i < row->record_count; i++)
        if (mask_get(row->records[i].mask, ROW_EXISTENCE))
            return &row->records[i];
    return NULL;
}

/* All that the shorter of two lives holds loses to the other's beginning or
 * end. */
static int other_life(struct conflict *conflict, bool arriving_loses)
{
    const struct row *row = &conflict->store->space.row;
    const struct row *fragment = &conflict->store->fragment.row;
    const struct row *losing = arriving_loses ? fragment : row;
    const struct row *winning = arriving_loses ? row : fragment;
    const struct record *winner = existence(winning);
    uint64_t won[ROW_WORDS_MAX];
    int rc = GV_OK;

    GV_ASSERT(losing->causal_length < winning->causal_length);
    if (winner == NULL)
        return GV_OK; /* malformed, as the merge will find */
    rows_held(winning, conflict->table->words, won);
    for (size_t i = 0; i < losing->record_count; i++) {
        const struct record *loser = &losing->records[i];

        if (arriving_loses ? !unheld(conflict, loser)
                           : !unseen(conflict, winner, loser))
            continue;
        for (size_t w = 0; w < conflict->table->words && rc == GV_OK; w++) {
            uint64_t bits =
                unlike(conflict->store, won, w,
                       column_bits(loser->mask, w) & ~row_each(row, w));

            rc = arriving_loses
                     ? lose_arriving(conflict, w, bits, loser, winner)
                     : lose_held(conflict, w, bits, loser, winner);
        }
    }
    return rc;
}

int history_note(struct store *store, struct store_table *table,
                 const struct row_key *key, const struct interval *interval,
                 const struct vv *claim)
{
    struct conflict conflict = {.store = store,
                                .table = table,
                                .key = key,
                                .interval = interval,
                                .claim = claim};
    uint64_t here = store->space.row.causal_length;
    uint64_t there = store->fragment.row.causal_length;
    int rc;

    GV_ASSERT(store->in_transaction);
    GV_ASSERT(store->fragment.row.record_count > 0);
    if (here == 0)
        return GV_OK;
    rc = here == there ? same_life(&conflict)
                       : other_life(&conflict, there < here);
    GV_ASSERT(!conflict.read || table->shown);
    if (conflict.read)
        user_read_done(table);
    return rc;
}
