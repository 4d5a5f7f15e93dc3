/* What the rooms of an apply share: apply.c runs one, incoming.c reads what
 * came, ahead.c takes many rows at once, merge.c brings one into the log and
 * the user's tables. */
#ifndef STORE_APPLY_H
#define STORE_APPLY_H

#include "store/internal.h"
#include "store/keys.h"

#include <string.h>

/* A site of the stream, and the versions its records may have. */
struct stream_site {
    uint32_t number; /* ours */
    gv_version base;
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
    uint64_t whole[ROW_WORDS_MAX]; /* of the stream's: all others */
    bool same_bits; /* ours are the stream's, all of them plain and shown */
};

struct apply {
    struct store *store;
    struct gv_error *error;
    /* One interval's bounds, or a delta's claim. */
    const struct interval *interval;
    const struct vv *claim;
    /* Where items come from; NULL: the inbox. */
    const uint8_t *bytes;
    uint64_t offset, size;
    struct buffer item;      /* the bytes of items that are kept */
    struct ahead *ahead;     /* ahead.c's, or NULL */
    struct inserts *inserts; /* inserts.c's, or NULL */
    struct updates *updates; /* updates.c's, or NULL */
    struct screen *screen;   /* screen.c's, or NULL */

    struct stream_site *sites;
    struct stream_table_here *tables;
    size_t site_count, table_count;
    bool fired; /* triggers were on: ours wrote to the journal */

    /* Of slices: whether it is the check that goes before them, whether the
     * log holds all that it has met, and the tables that it was begun
     * with. */
    bool checking, held;
    uint64_t schema_generation;
};

/* held.c */

/* Whether the log, of which the batch at hand has read the row, holds all that
 * @item says word for word: then nothing is to do.  False where that takes a
 * closer look. */
bool held_row(const struct apply *apply, const struct stream_item *item);

/* incoming.c */

/* GV_EPROTO: what came is not as it must be; @what says how. */
int incoming_malformed(struct apply *apply, const char *what);
/* The next item: 0 at the end, 1 with @item, or an error.  Its bytes stay
 * until incoming_release(), and as long as incoming_fits() was asked before
 * each further one. */
int incoming_next(struct apply *apply, struct stream_item *item);
/* Whether there is a next item, and room for it beside those that are kept. */
bool incoming_fits(struct apply *apply);
/* The items that came are not needed any more. */
void incoming_release(struct apply *apply);
/* Items that name a site or a table. */
int incoming_site(struct apply *apply, const struct site *site,
                  gv_version base);
int incoming_table(struct apply *apply, struct stream_item *item);
/* The parts of incoming_row() that screen.c needs: the table and key of a row,
 * one of its records, and a mask of the stream in our bits. */
int incoming_head(struct apply *apply, const struct stream_item *item,
                  struct stream_table_here **from, struct row_key *key);
int incoming_record(struct apply *apply, uint32_t number, int64_t since,
                    gv_version *version);
int incoming_mask(struct apply *apply, const struct stream_table_here *from,
                  const uint64_t *mask, uint64_t *ours);
/* An item that is a row: its records, values and cells in store->fragment,
 * store->values and store->hollow, with our numbers and bits.  @key borrows
 * from the item. */
int incoming_row(struct apply *apply, struct stream_item *item,
                 struct store_table **table, struct row_key *key);
void incoming_close(struct apply *apply);

/* apply.c */

/* Take the next @rows rows of @apply, which check or merge, in a savepoint;
 * behind the last one, run @end.  GV_OK: *@ended.  Any other: nothing of it
 * stays, and @apply is only good for incoming_close(). */
int apply_rows(struct apply *apply, size_t rows,
               int (*end)(struct apply *apply), bool *ended);
/* The vector's entries rise to the claim, and the own one to what is
 * pending. */
int apply_claim(struct apply *apply);

/* ahead.c */

/* Merge the row @first and, of those that follow it, a run of at most @max in
 * all; *@taken is how many it was, also where one failed. */
int ahead_merge(struct apply *apply, struct stream_item *first, size_t max,
                size_t *taken);
/* Likewise for a check that has met no news yet: compare the rows with the
 * log, and from the first one on that is news screen them. */
int ahead_screen(struct apply *apply, const struct stream_item *first,
                 size_t max, size_t *taken);
void ahead_close(struct apply *apply);

/* Keep a key of the run: of room for 64 columns those that it has. */
static inline void apply_keep_key(struct row_key *kept,
                                  const struct row_key *key)
{
    kept->bytes = key->bytes;
    kept->size = key->size;
    kept->count = key->count;
    memcpy(kept->values, key->values, key->count * sizeof *key->values);
}

/* inserts.c */

/* Whether the fragment at hand is of a row that the log lacks, and may wait to
 * be inserted with others. */
bool inserts_take(const struct apply *apply, const struct store_table *table,
                  const struct row_key *key);
/* Let the row wait: store->values of @cells, the others at their defaults. */
int inserts_add(struct apply *apply, struct store_table *table,
                const struct row_key *key, const uint64_t *cells);
/* Whether rows wait, and whether no more can. */
bool inserts_wait(const struct apply *apply);
bool inserts_full(const struct apply *apply);
/* Insert all that wait.  The row in store->space and its entries are others
 * then; the fragment stays.  GV_EDIFFERS as merge_fragment(). */
int inserts_flush(struct apply *apply);
void inserts_close(struct apply *apply);

/* updates.c */

/* Whether the row at hand, which is in the user's table and whose @cells have
 * new values, may wait to be changed with others. */
bool updates_take(struct apply *apply, const struct store_table *table,
                  const struct row_key *key, const uint64_t *cells);
/* Let the row wait: store->values of @cells. */
int updates_add(struct apply *apply, struct store_table *table,
                const struct row_key *key, const uint64_t *cells);
/* Whether those that wait are to be written before the next one comes. */
bool updates_due(const struct apply *apply);
/* Change all that wait.  The row in store->space, its entries and the
 * fragment's values are others then.  GV_EDIFFERS as merge_fragment(). */
int updates_flush(struct apply *apply);
void updates_close(struct apply *apply);

/* screen.c */

/* Whether the row may be merged.  That is told for good: what is looked at of
 * the log only grows. */
int screen_row(struct apply *apply, struct stream_item *item);
/* The same of the rows that wait to be looked up. */
int screen_flush(struct apply *apply);
void screen_close(struct apply *apply);

/* merge.c */

/* Read the log's row into store->space; *@held: it holds the fragment word for
 * word, so that a merge changes nothing. */
int merge_held(struct apply *apply, struct store_table *table,
               const struct row_key *key, struct gv_error *error, bool *held);
/* Merge the fragment in store->fragment, store->values and store->hollow.
 * GV_EDIFFERS: the row was written past the triggers; store->past_key. */
int merge_fragment(struct apply *apply, struct store_table *table,
                   const struct row_key *key);
/* Put the row in store->space, which is in the log, into the user's table;
 * @cells as show_update() if it is @in_table, else as show_insert().  Errors
 * as merge_fragment(). */
int merge_show(struct apply *apply, struct store_table *table,
               const struct row_key *key, const uint64_t *cells,
               bool in_table);
/* @rc, of a row that was written past merge_fragment(); GV_EDIFFERS as
 * there. */
int merge_told(struct apply *apply, struct store_table *table,
               const struct row_key *key, int rc);

#endif
