/* What the three rooms of an apply share: apply.c runs one, incoming.c reads
 * what came, merge.c brings it into the log and the user's tables. */
#ifndef STORE_APPLY_H
#define STORE_APPLY_H

#include "store/internal.h"

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
    /* Where items come from; NULL: the inbox. */
    const uint8_t *bytes;
    uint64_t offset, size;
    struct buffer item;

    struct stream_site *sites;
    struct stream_table_here *tables;
    size_t site_count, table_count;
    bool fired; /* triggers were on: ours wrote to the journal */

    /* Of slices: whether it is the check that goes before them, and the
     * tables that it was begun with. */
    bool checking;
    uint64_t schema_generation;
};

/* incoming.c */

/* GV_EPROTO: what came is not as it must be; @what says how. */
int incoming_malformed(struct apply *apply, const char *what);
/* The next item: 0 at the end, 1 with @item, or an error. */
int incoming_next(struct apply *apply, struct stream_item *item);
/* Items that name a site or a table. */
int incoming_site(struct apply *apply, const struct site *site);
int incoming_table(struct apply *apply, struct stream_item *item);
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

/* merge.c */

/* Whether the fragment may be merged, as far as that can be told before.  It
 * can be told for good: what this looks at only grows. */
int merge_check(struct apply *apply, struct store_table *table,
                const struct row_key *key);

/* Merge the fragment in store->fragment, store->values and store->hollow.
 * GV_EDIFFERS: the row was written past the triggers; store->past_key. */
int merge_fragment(struct apply *apply, struct store_table *table,
                   const struct row_key *key);

#endif
