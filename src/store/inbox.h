/* The delta that is arriving: its bytes are kept aside, and nothing touches
 * tables or log until the last one is there.
 *
 * A short one stays in memory.  A long one goes to gv_inbox, so that it can be
 * applied in slices (work.c) and outlives a crash. */
#ifndef STORE_INBOX_H
#define STORE_INBOX_H

#include "core/vv.h"
#include "wire/stream.h"

struct apply;
struct gv_error;
struct sqlite3_stmt;
struct store;

/* What one slice applies in 2 ms, about, whatever its rows look like: so much
 * is also applied at once without any. */
#define INBOX_SHORT_SIZE (256 * 1024)

struct inbox {
    uint64_t token;       /* 0: nothing is arriving, or being applied */
    int64_t base;         /* `at` of its first byte in gv_inbox */
    uint64_t stored;      /* bytes in gv_inbox */
    struct buffer memory; /* those behind them */
    struct vv wanted;     /* the vector when the first byte came */
    struct site site;     /* the provider's, and its spool; 0: whoever sends */
    uint64_t spool;       /* this cannot go on where it was cut */
    /* The bytes read last: a row of gv_inbox. */
    struct buffer window;
    uint64_t window_at;

    bool accepted; /* complete, and so is its head: only slices end it */
    struct vv claim;
    struct apply *slices; /* where they stand; NULL: at the first byte */

    bool accepting, ending; /* by the open transaction */
    bool litter;            /* gv_inbox has bytes that no head names */
};

void inbox_init(struct inbox *inbox);
/* Bytes of a stage between two transactions. */
size_t inbox_batch_size(void);
/* Of the store's memory; the file keeps what it has. */
void inbox_close(struct inbox *inbox);

/* What a crash left: goes on with it, or leaves it to inbox_sweep().  Inside
 * the transaction that opens the file. */
int inbox_load(struct store *store, struct gv_error *error);
/* Whether what is being applied is whole, where nobody may write: else
 * GV_ECORRUPT. */
int inbox_inspect(struct store *store, struct gv_error *error);
/* GV_ECORRUPT: of what is being applied a part is missing, or another. */
int inbox_damaged(struct gv_error *error);

uint64_t inbox_size(const struct inbox *inbox);
int inbox_read(struct store *store, uint64_t offset, void *bytes, size_t size);

/* All of it is there, and it is long: from the commit on it is applied in
 * slices and then claims @claim.  Inside a transaction. */
int inbox_accept(struct store *store, const struct vv *claim);
/* It is applied, or refused.  Inside a transaction. */
int inbox_end(struct store *store);
/* The open transaction ended; @held: it was committed. */
void inbox_settle(struct store *store, bool held);

/* Nothing arrives any more. */
void inbox_forget(struct inbox *inbox);
/* A row of gv_inbox, with the hash of its bytes. */
int inbox_insert(struct store *store, int64_t at, const void *bytes,
                 size_t size);
/* Whether the bytes in column @at are those that the sum behind it is of:
 * else another value could be applied than the peer's. */
bool inbox_is_sound(struct sqlite3_stmt *statement, int at);
void inbox_put_vector(struct buffer *out, const struct vv *vv);

/* arriving.c */

#define INBOX_ARRIVING_AT (-2)
/* The head of what begins to arrive, in the place of an earlier one's.  Inside
 * a transaction, as all of these. */
int arriving_put(struct store *store);
int arriving_drop(struct store *store);
/* What was arriving goes on, if this is still the file that asked for it and
 * holds what that was asked with. */
int arriving_read(struct store *store);

/* Delete some of the bytes that no head names.  A transaction by itself. */
int inbox_sweep(struct store *store, struct gv_error *error);

/* Begin again at the first byte. */
void inbox_rewind(struct inbox *inbox);

#endif
