/* What proof.c, attest.c and mend.c share: pass.c reads all rows of the log
 * and sums them up, mend.c brings rows from one file into another. */
#ifndef STORE_PASS_H
#define STORE_PASS_H

#include "store/internal.h"
#include "store/proof.h"
#include "wire/proof.h"

enum pass_kind {
    PASS_SUMS,  /* of each range */
    PASS_HEADS, /* of the rows of some ranges */
    PASS_SETTLE /* sum up, and put gv_ver right; on the connection that
                   writes, in its transaction */
};

struct pass {
    struct store *store;
    enum pass_kind kind;
    sqlite3 *db;
    uint64_t generation; /* of the tables */
    gv_version *meet;    /* by site number */
    size_t site_count;
    size_t table_at;
    sqlite3_stmt *rows, *listed, *cells; /* of the table at hand */
    struct buffer key;
    bool done;

    const uint8_t *left_out; /* places, 8 bytes each, ascending; borrowed */
    size_t left_out_size;
    const uint8_t *wanted; /* ranges; NULL: all.  Borrowed */

    struct hash128 sums[PROOF_RANGES];
    uint32_t counts[PROOF_RANGES];
    struct buffer beyond; /* places of rows above the meet, ascending */
    struct buffer heads;
    bool cut;                        /* they do not fit */
    uint8_t damaged[PROOF_SET_SIZE]; /* ranges that have such a row */
    size_t damaged_count;
    struct hash128 total, kept; /* of all rows; of the store at that moment */
    bool unlike;                /* the file keeps another one than that */
    uint64_t records;           /* of all rows, if none was passed over */
    bool passed_over;
    bool strays; /* gv_ver lists records that no row has */
};

/* Open a snapshot, unless it is PASS_SETTLE.  Errors: GV_EBUSY, …. */
int pass_new(struct store *store, enum pass_kind kind, struct vv_view meet,
             struct pass **pass, struct gv_error *error);
int pass_step(struct pass *pass, size_t rows, struct gv_error *error);
/* NULL is harmless. */
void pass_free(struct pass *pass);

/* Where a row stands (wire/proof.h). */
uint64_t pass_place(struct buffer *bytes, const struct store_table *table,
                    const uint8_t *key, size_t key_size);

/* mend.c */

/* The table and key that a name means; *@table NULL: not known here. */
int mend_find(const struct store *store, const struct proof_name *name,
              struct store_table **table, struct row_key *key);

/* The rows of @names, those of them that are sound and not above @meet, whole
 * into @stream.  Seals first.  Errors: GV_ELIMIT (more than @limit bytes),
 * GV_EBUSY, …. */
int mend_read(struct store *store, struct vv_view meet, const uint8_t *names,
              size_t names_size, size_t limit, struct buffer *stream,
              struct gv_error *error);
/* Merge the rows of @stream; a row whose log is damaged or gone is taken as it
 * comes, with its values.  Then gv_ver and the fingerprint are put right.
 * Errors: GV_EPROTO, GV_EBUSY, …; nothing of it stays. */
int mend_apply(struct store *store, struct vv_view meet, const uint8_t *stream,
               size_t size, struct gv_error *error);

#endif
