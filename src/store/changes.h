/* A delta as rows: one change for each cell, as the extension's table
 * gv_changes shows it and takes it back. */
#ifndef STORE_CHANGES_H
#define STORE_CHANGES_H

#include "core/vv.h"
#include "store/store.h"
#include "wire/value.h"

/* Names are the wire's, @size bytes each and not NUL-terminated. */
struct change {
    struct text table;
    const uint8_t *key; /* canonical bytes */
    size_t key_size;
    struct text column; /* bytes NULL: the row's existence */
    struct value value; /* NULL, if the cell is hollow */
    bool hollow;
    uint64_t digest; /* of the value that a hollow cell lacks */
    /* Of a column with a cell for each site a row has one change for each; a
     * counter's value is what the site added, and a multi-value cell says what
     * it replaces. */
    struct vv_view over;
    gv_version version;
    struct site site;
    uint64_t causal_length; /* of the row */
};

/* Of all that it says. */
uint64_t change_hash(const struct change *change);

/* What tells whether a set of changes is whole. */
struct changes_sum {
    uint64_t count;
    uint64_t hash; /* the sum of their hashes, modulo 2^64 */
};

/* What a vector lacks, change by change. */
struct changes;

/* Seal, then read what @vv lacks.  It is kept in memory, and good after
 * store_close() too.  Errors as for bundle_write(). */
int changes_read(struct store *store, struct vv_view vv,
                 struct changes **changes, struct gv_error *error);
/* 1 with the next one, which borrows the memory of @changes until the call
 * after; 0 at the end; GV_EPROTO, GV_ENOMEM. */
int changes_next(struct changes *changes, struct change *change);
/* What the file that takes all of them may claim. */
struct vv_view changes_claim(const struct changes *changes);
void changes_free(struct changes *changes); /* NULL is harmless */

/* Apply @list, all that @base lacks, and claim @claim, in a transaction of
 * its own.  @list is put in another order; one that stands twice counts once.
 *
 * Errors: GV_EPROTO (also when they are not those of @sum), GV_ESCHEMA (a
 * table or column that is not known here: changes carry no definitions),
 * GV_EGAP and what store_apply_delta() reports. */
int changes_apply(struct store *store, const struct change **list,
                  size_t count, const struct changes_sum *sum,
                  struct vv_view base, struct vv_view claim,
                  struct gv_error *error);

#endif
