/* The side that asks, where a person wants the rows that were named made
 * equal: some at a time in one question, one that fits no frame in pieces, and
 * one that only this file has, damaged, by itself. */
#include "store/proof_internal.h"

#include "base/assert.h"
#include "store/mend_alone.h"

/* Bytes of rows in one question: the answer has about as many. */
#define MEND_SIZE_MAX (120 * 1024)

/* The row at hand stays as it is. */
static void leave_row(struct proof *proof, const char *why)
{
    struct named *named = &proof->named[proof->mend_at];
    const struct proof_finding *row = &named->finding;

    GV_ASSERT(proof->mend_at < proof->count);
    GV_ASSERT(named->left == NULL);
    log_line(&proof->store->log, GV_LOG_ERROR,
             "not made equal with %s: %s%s%s: %s", proof->peer, row->table,
             row->table[0] == '\0' ? row->text : " ", row->key, why);
    named->left = why;
    proof->mend_at++;
}

/* The rows that are dealt with next, as a question begins. */
static int write_names(struct proof *proof, struct buffer *out)
{
    size_t at = proof->mend_at;

    GV_ASSERT(proof->phase == PHASE_MENDING);
    GV_ASSERT(proof->mend_at < proof->count && out->size == 0);
    buffer_append_u32(out, 0);
    for (; at < proof->count && at - proof->mend_at < proof->mend_max; at++) {
        const struct named *named = &proof->named[at];

        if (named->lone != LONE_NOT)
            break;
        if (named->finding.table[0] != '\0')
            buffer_append(out, named->name, named->name_size);
    }
    proof->mend_count = at - proof->mend_at;
    if (out->error == GV_OK)
        store_u32(out->data, (uint32_t)out->size - 4);
    return out->error;
}

/* The names, and the rows of them that are sound here.  Errors: GV_ELIMIT,
 * they do not fit. */
static int write_rows(struct proof *proof, size_t limit, struct buffer *out,
                      struct gv_error *error)
{
    struct buffer stream;
    int rc = write_names(proof, out);

    GV_ASSERT(proof->mend_count > 0);
    if (rc != GV_OK)
        return rc;
    buffer_init(&stream, SIZE_MAX);
    proof->wrote = true; /* it seals */
    rc = mend_read(proof->store, proof_meet(proof), out->data + 4,
                   out->size - 4, limit, &stream, error);
    if (rc == GV_OK)
        rc = buffer_append(out, stream.data, stream.size);
    buffer_close(&stream);
    return rc;
}

/* In pieces */

static int ask_piece(struct proof *proof)
{
    struct buffer *question = &proof->question;
    int rc;

    GV_ASSERT(proof->in_pieces && proof->mend_count == 1);
    buffer_clear(question);
    rc = pieces_next(&proof->asked, question->limit, question);
    if (rc == GV_OK)
        proof_ask(proof, PHASE_MEND_ASKED, CHECK_PIECE);
    return rc;
}

static int begin_pieces(struct proof *proof, struct gv_error *error)
{
    struct buffer rows;
    int rc;

    GV_ASSERT(proof->mend_max == 1);
    buffer_init(&rows, SIZE_MAX);
    rc = write_rows(proof, PIECES_SIZE_MAX, &rows, error);
    if (rc == GV_OK)
        rc = pieces_keep(&proof->asked, proof->store, PIECES_ASKED, rows.data,
                         rows.size);
    buffer_close(&rows);
    return rc == GV_OK ? ask_piece(proof) : rc;
}

static void end_pieces(struct proof *proof)
{
    GV_ASSERT(proof->mend_count == 1);
    pieces_close(&proof->asked);
    pieces_close(&proof->answered);
    proof->in_pieces = false;
}

/* Those asked about are dealt with; twice as many may fit by now. */
static void dealt_with(struct proof *proof)
{
    GV_ASSERT(proof->mend_count <= proof->count - proof->mend_at);
    proof->mend_at += proof->mend_count;
    proof->phase = PHASE_MENDING;
    proof->mend_max = 2 * proof->mend_max < MENDING_ROWS ? 2 * proof->mend_max
                                                         : MENDING_ROWS;
}

static int apply_pieces(struct proof *proof, struct gv_error *error)
{
    struct buffer rows;
    int rc;

    GV_ASSERT(pieces_complete(&proof->answered));
    buffer_init(&rows, SIZE_MAX);
    rc = pieces_load(&proof->answered, &rows);
    if (rc == GV_OK)
        rc = mend_apply(proof->store, proof_meet(proof), rows.data, rows.size,
                        error);
    buffer_close(&rows);
    return rc;
}

static int take_piece(struct proof *proof, const uint8_t *bytes, size_t size,
                      struct gv_error *error)
{
    int rc;

    GV_ASSERT(proof->in_pieces);
    if (!pieces_complete(&proof->asked))
        return size == 0 ? ask_piece(proof) : GV_EPROTO;
    rc = pieces_take(&proof->answered, proof->store, PIECES_ANSWERED, bytes,
                     size);
    if (rc == GV_EBUSY)
        return GV_EPROTO; /* it is not the one that was asked for */
    if (rc != GV_OK)
        return rc;
    if (!pieces_complete(&proof->answered)) {
        buffer_clear(&proof->question);
        buffer_append_u64(&proof->question, proof->answered.at);
        proof_ask(proof, PHASE_MEND_ASKED, CHECK_REST);
        return GV_OK;
    }
    rc = apply_pieces(proof, error);
    if (rc != GV_OK)
        return rc;
    end_pieces(proof);
    dealt_with(proof);
    return GV_OK;
}

/* Steps */

/* The rows do not fit: fewer at once, or one in pieces, if the peer takes
 * them. */
static void mend_less(struct proof *proof, const char *why)
{
    GV_ASSERT(proof->mend_count > 0);
    proof->phase = PHASE_MENDING;
    if (proof->mend_count > 1) {
        proof->mend_max = (proof->mend_count + 1) / 2;
    } else if (proof->pieces && !proof->in_pieces) {
        proof->mend_max = 1;
        proof->in_pieces = true;
    } else {
        end_pieces(proof);
        leave_row(proof, why);
    }
}

/* What one side has damaged and the other has not at all. */
static int mend_lone(struct proof *proof, struct gv_error *error)
{
    struct named *named = &proof->named[proof->mend_at];
    const uint8_t *at = named->name;
    struct proof_name name;
    int rc = GV_OK;

    GV_ASSERT(named->lone != LONE_NOT);
    if (named->lone == LONE_THERE) {
        leave_row(proof, "this file has no such row: the node there is to be"
                         " told to compare with this one, with --repair");
        return GV_OK;
    }
    rc = proof_read_name(&at, at + named->name_size, &name);
    GV_ASSERT(rc == GV_OK); /* we wrote it */
    proof->wrote = true;
    rc = mend_alone(proof->store, &name, error);
    proof->mend_at += rc == GV_OK;
    return rc;
}

int mending_step(struct proof *proof, struct gv_error *error)
{
    struct buffer *question = &proof->question;
    int rc;

    GV_ASSERT(proof->phase == PHASE_MENDING && proof->mend);
    GV_ASSERT(proof->mend_at < proof->count && proof->mend_max > 0);
    if (proof->named[proof->mend_at].lone != LONE_NOT)
        return mend_lone(proof, error);
    if (proof->in_pieces) {
        rc = begin_pieces(proof, error);
    } else {
        buffer_clear(question);
        rc = write_rows(proof, MEND_SIZE_MAX, question, error);
        if (rc == GV_OK)
            proof_ask(proof, PHASE_MEND_ASKED, CHECK_MEND);
    }
    if (rc != GV_ELIMIT)
        return rc;
    mend_less(proof, proof->pieces ? "it is too large"
                                   : "it is too large for a frame");
    return GV_OK;
}

int mending_answer(struct proof *proof, bool done, const uint8_t *bytes,
                   size_t size, struct gv_error *error)
{
    int rc;

    GV_ASSERT(proof->phase == PHASE_MEND_ASKED);
    GV_ASSERT(proof->mend_count > 0);
    if (!done) {
        mend_less(proof, proof->pieces
                             ? "the peer could not take it"
                             : "the peer could not take it, or its own is too"
                               " large for a frame");
        return GV_OK;
    }
    if (proof->in_pieces)
        return take_piece(proof, bytes, size, error);
    rc = mend_apply(proof->store, proof_meet(proof), bytes, size, error);
    if (rc == GV_OK)
        dealt_with(proof);
    return rc;
}
