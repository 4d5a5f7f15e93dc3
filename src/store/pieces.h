/* A row that fits no frame, with its name: it travels in pieces, the next one
 * when the last was answered, and meanwhile stands in a spool.  So a peer that
 * sends pieces takes disk and no memory; a row is in memory only while it is
 * read or merged, as every row is. */
#ifndef STORE_PIECES_H
#define STORE_PIECES_H

#include "store/internal.h"
#include "store/spool.h"

/* The largest item of a stream (wire/stream.h); and the table, with all that
 * its columns may say of themselves, the row's sites, and its name. */
#define PIECES_SIZE_MAX (STREAM_ITEM_SIZE_MAX + (16 << 20))

/* One for each file of the node's directory that pieces may stand in. */
enum pieces_place {
    PIECES_ASKED,    /* for the peer that is asked */
    PIECES_ANSWERED, /* of its answer */
    PIECES_TAKEN,    /* for a peer that asks: what it sent */
    PIECES_GIVEN,    /* what it gets */
    PIECES_PLACES
};

/* All zeroes: nothing. */
struct pieces {
    struct spool spool;
    uint64_t whole; /* bytes of all */
    uint64_t at;    /* bytes that came, or were written for the other side */
    bool open;
};

/* @bytes are to be sent, from the first on. */
int pieces_keep(struct pieces *pieces, struct store *store,
                enum pieces_place place, const void *bytes, size_t size);
/* The next piece of them, with its place, into @out, which gets at most @room
 * bytes. */
int pieces_next(struct pieces *pieces, size_t room, struct buffer *out);
/* Whether all went out, or came. */
bool pieces_complete(const struct pieces *pieces);

/* A piece that came; the one at 0 begins anew.  Errors: GV_EPROTO, GV_EBUSY
 * (another one is next), GV_ELIMIT (the whole is longer than a row can be),
 * GV_EIO, …. */
int pieces_take(struct pieces *pieces, struct store *store,
                enum pieces_place place, const uint8_t *bytes, size_t size);
/* All that came into @out. */
int pieces_load(struct pieces *pieces, struct buffer *out);

/* Nothing of it is needed any more. */
void pieces_close(struct pieces *pieces);

/* What a crash has left goes. */
int pieces_sweep(struct store *store);

#endif
