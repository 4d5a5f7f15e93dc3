#include "store/pieces.h"

#include "base/assert.h"
#include "store/directory.h"
#include "wire/proof.h"

#include <stdio.h>

static int open_place(struct pieces *pieces, struct store *store,
                      enum pieces_place place, uint64_t whole)
{
    char name[16], *path;

    GV_ASSERT(!pieces->open && place < PIECES_PLACES);
    snprintf(name, sizeof name, "mend-%u", (unsigned)place);
    path = store_file_path(store, name);
    if (path == NULL)
        return GV_ENOMEM;
    spool_init(&pieces->spool, store->vfs, store->limits.spool_size, path);
    pieces->whole = whole;
    pieces->at = 0;
    pieces->open = true;
    return GV_OK;
}

/* Nobody opens it again: its foot names no site and no vectors. */
static int finish(struct pieces *pieces)
{
    struct spool_head head = {.id = 1};

    GV_ASSERT(pieces->open);
    GV_ASSERT(spool_size(&pieces->spool) == pieces->whole);
    return spool_finish(&pieces->spool, &head);
}

int pieces_keep(struct pieces *pieces, struct store *store,
                enum pieces_place place, const void *bytes, size_t size)
{
    int rc;

    pieces_close(pieces);
    rc = open_place(pieces, store, place, size);
    if (rc == GV_OK)
        rc = spool_append(&pieces->spool, bytes, size);
    if (rc == GV_OK)
        rc = finish(pieces);
    if (rc != GV_OK)
        pieces_close(pieces);
    return rc;
}

int pieces_next(struct pieces *pieces, size_t room, struct buffer *out)
{
    struct proof_piece piece = {.at = pieces->at, .whole = pieces->whole};
    uint64_t left = pieces->whole - pieces->at;
    uint8_t *to;

    GV_ASSERT(pieces->open && pieces->at <= pieces->whole);
    GV_ASSERT(room > PROOF_PIECE_FIXED);
    room -= PROOF_PIECE_FIXED;
    proof_write_piece(out, &piece);
    to = buffer_extend(out, left < room ? (size_t)left : room);
    if (to == NULL)
        return out->error;
    pieces->at += left < room ? left : room;
    return spool_read(&pieces->spool, piece.at, to,
                      (size_t)(pieces->at - piece.at));
}

bool pieces_complete(const struct pieces *pieces)
{
    GV_ASSERT(pieces->at <= pieces->whole);
    return pieces->open && pieces->at == pieces->whole;
}

int pieces_take(struct pieces *pieces, struct store *store,
                enum pieces_place place, const uint8_t *bytes, size_t size)
{
    struct proof_piece piece;
    int rc = proof_read_piece(bytes, size, &piece);

    if (rc != GV_OK)
        return rc;
    if (piece.whole > PIECES_SIZE_MAX)
        return GV_ELIMIT;
    if (piece.at == 0) {
        pieces_close(pieces);
        rc = open_place(pieces, store, place, piece.whole);
        if (rc != GV_OK)
            return rc;
    }
    if (!pieces->open || piece.at != pieces->at ||
        piece.whole != pieces->whole)
        return GV_EBUSY;
    rc = spool_append(&pieces->spool, piece.bytes, piece.size);
    if (rc != GV_OK)
        return rc;
    pieces->at += piece.size;
    GV_ASSERT(pieces->at <= pieces->whole);
    return pieces_complete(pieces) ? finish(pieces) : GV_OK;
}

int pieces_load(struct pieces *pieces, struct buffer *out)
{
    size_t size = (size_t)pieces->whole;
    uint8_t *to = buffer_extend(out, size);

    GV_ASSERT(pieces_complete(pieces));
    GV_ASSERT(pieces->whole <= PIECES_SIZE_MAX);
    return to == NULL ? out->error : spool_read(&pieces->spool, 0, to, size);
}

void pieces_close(struct pieces *pieces)
{
    if (pieces->open)
        spool_close(&pieces->spool);
    *pieces = (struct pieces){.open = false};
}

int pieces_sweep(struct store *store)
{
    int rc = GV_OK;

    GV_ASSERT(store->lock != NULL); /* else another process may use them */
    for (unsigned place = 0; place < PIECES_PLACES && rc == GV_OK; place++) {
        struct spool_head head;
        struct pieces left = {.open = false};
        struct buffer bytes;

        rc = open_place(&left, store, (enum pieces_place)place, 0);
        buffer_init(&bytes, SIZE_MAX);
        if (rc == GV_OK)
            (void)spool_open(&left.spool, &bytes, &head);
        buffer_close(&bytes);
        pieces_close(&left);
    }
    return rc;
}
