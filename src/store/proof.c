/* The side that asks:
 *
 *     sum up the log                        ask for the peer's sums
 *     sum up again without what it left     which ranges differ?
 *       out, if it left out anything
 *     for some ranges at a time:
 *       write down the rows of them         ask for the peer's
 *       name what differs
 *     if a person wants it:
 *       the rows named, a few at a time     ask the peer to take them, and
 *         (mending.c)                       for its own; take these
 *       compare once more: what is named again was not mended */
#include "store/proof_internal.h"

#include "base/assert.h"
#include "base/plant.h"
#include "store/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows that are written down at once, so that a frame holds them as a rule. */
#define BATCH_ROWS 800

static int start_pass(struct proof *proof, enum pass_kind kind,
                      struct gv_error *error)
{
    GV_ASSERT(proof->pass == NULL);
    return pass_new(proof->store, kind, proof_meet(proof), &proof->pass,
                    error);
}

static void end_pass(struct proof *proof)
{
    pass_free(proof->pass);
    proof->pass = NULL;
}

int proof_begin(struct store *store, struct vv_view meet, const char *peer,
                bool mend, bool pieces, struct proof **out,
                struct gv_error *error)
{
    struct proof *proof = calloc(1, sizeof *proof);
    size_t meet_size = meet.count * VV_ENTRY_SIZE;
    int rc;

    GV_ASSERT(peer != NULL);
    if (proof == NULL)
        return error_set(error, GV_ENOMEM, "There is no memory left.");
    proof->store = store;
    proof->mend = mend;
    proof->peer = strdup(peer);
    proof->batch_rows = BATCH_ROWS;
    proof->pieces = pieces;
    proof->mend_max = MENDING_ROWS;
    buffer_init(&proof->meet, SIZE_MAX);
    buffer_init(&proof->left_out, SIZE_MAX);
    /* The meet goes with it. */
    buffer_init(&proof->question, meet_size < MESSAGE_DELTA_SIZE_MAX
                                      ? MESSAGE_DELTA_SIZE_MAX - meet_size
                                      : 0);
    rc = proof->peer == NULL
             ? GV_ENOMEM
             : buffer_append(&proof->meet, meet.bytes, meet_size);
    if (rc == GV_OK)
        rc = start_pass(proof, PASS_SUMS, error);
    if (rc != GV_OK) {
        proof_free(proof);
        return rc;
    }
    *out = proof;
    return GV_OK;
}

void proof_free(struct proof *proof)
{
    if (proof == NULL)
        return;
    end_pass(proof);
    for (size_t i = 0; i < proof->count; i++) {
        free(proof->named[i].finding.table);
        free(proof->named[i].finding.key);
        free(proof->named[i].finding.text);
        free(proof->named[i].name);
    }
    free(proof->named);
    pieces_close(&proof->asked);
    pieces_close(&proof->answered);
    free(proof->peer);
    buffer_close(&proof->meet);
    buffer_close(&proof->left_out);
    buffer_close(&proof->question);
    free(proof);
}

static enum lone lone_of(const struct proof_head *ours,
                         const struct proof_head *theirs)
{
    GV_ASSERT(ours != NULL || theirs != NULL);
    if (theirs == NULL)
        return ours->kind == PROOF_DAMAGED ? LONE_HERE : LONE_NOT;
    return ours == NULL && theirs->kind == PROOF_DAMAGED ? LONE_THERE
                                                         : LONE_NOT;
}

static int compare_rows(struct proof *proof, const struct proof_head *ours,
                        const struct proof_head *theirs)
{
    const struct proof_head *any = ours != NULL ? ours : theirs;
    const struct store_table *table =
        schema_by_wire(proof->store, any->table.bytes, any->table.size);
    struct proof_name name = {any->table, any->key, any->key_size};
    char text[300], key[256] = "", wire[200];
    struct buffer bytes;
    int rc;

    GV_ASSERT(any != NULL);
    if ((ours != NULL && ours->kind == PROOF_BEYOND) ||
        (theirs != NULL && theirs->kind == PROOF_BEYOND) ||
        alike_rows(table, ours, theirs, text, sizeof text))
        return GV_OK;
    snprintf(wire, sizeof wire, "%.*s", (int)any->table.size,
             any->table.bytes);
    key_format(any->key, any->key_size, key, sizeof key);
    buffer_init(&bytes, SIZE_MAX);
    proof_write_name(&bytes, &name);
    proof->found++;
    rc = bytes.error != GV_OK
             ? bytes.error
             : findings_name(proof, table != NULL ? table->local : wire, key,
                             text, lone_of(ours, theirs), &bytes);
    buffer_close(&bytes);
    return rc;
}

static int compare_lists(struct proof *proof, const struct heads *ours,
                         const struct heads *theirs)
{
    size_t i = 0, j = 0;
    int rc = GV_OK;

    GV_ASSERT(proof->phase == PHASE_HEADS_ASKED);
    while (rc == GV_OK && (i < ours->count || j < theirs->count)) {
        int order = i == ours->count ? 1
                    : j == theirs->count
                        ? -1
                        : alike_order(&ours->items[i], &theirs->items[j]);

        rc = compare_rows(proof, order <= 0 ? &ours->items[i] : NULL,
                          order >= 0 ? &theirs->items[j] : NULL);
        i += order <= 0;
        j += order >= 0;
    }
    return rc;
}

static int compare_heads(struct proof *proof, const uint8_t *bytes,
                         size_t size)
{
    struct heads ours = {NULL, 0}, theirs = {NULL, 0};
    int rc =
        alike_read(proof->pass->heads.data, proof->pass->heads.size, &ours);

    GV_ASSERT(proof->pass != NULL && proof->pass->done);
    GV_ASSERT(rc == GV_OK || rc == GV_ENOMEM); /* we wrote them */
    if (rc == GV_OK)
        rc = alike_read(bytes, size, &theirs);
    if (rc == GV_OK)
        rc = compare_lists(proof, &ours, &theirs);
    free(ours.items);
    free(theirs.items);
    return rc;
}

/* The steps */

void proof_ask(struct proof *proof, enum phase phase, enum check_what what)
{
    GV_ASSERT(proof->question.error == GV_OK);
    proof->phase = phase;
    proof->what = what;
}

/* All ranges were looked at.  Where rows differ the kept sum is that of what
 * is gone, and right again once they are mended. */
static int compared(struct proof *proof)
{
    int rc = GV_OK;

    GV_ASSERT(proof->pass == NULL);
    if (proof->file_wrong != NULL && proof->found == 0)
        rc = findings_name_file(proof, proof->file_wrong);
    proof->phase =
        proof->mend && proof->count > 0 ? PHASE_MENDING : PHASE_ENDED;
    return rc;
}

/* The next ranges that differ, as many as one answer holds. */
static int next_batch(struct proof *proof, struct gv_error *error)
{
    size_t rows = 0;
    int rc;

    GV_ASSERT(proof->pass == NULL);
    memset(proof->batch, 0, sizeof proof->batch);
    proof->batch_ranges = 0;
    for (size_t i = 0; i < PROOF_RANGES && proof->more == 0; i++) {
        if (!proof_set_has(proof->differing, i))
            continue;
        if (proof->batch_ranges > 0 &&
            rows + proof->counts[i] > proof->batch_rows)
            break;
        rows += proof->counts[i];
        proof_set_add(proof->batch, i);
        proof->batch_ranges++;
    }
    if (proof->batch_ranges == 0)
        return compared(proof);
    proof->phase = PHASE_HEADING;
    rc = start_pass(proof, PASS_HEADS, error);
    if (rc == GV_OK)
        proof->pass->wanted = proof->batch;
    return rc;
}

/* What the file keeps as the sum and the list of its rows, if all of them can
 * be read. */
static void check_kept(struct proof *proof)
{
    const struct pass *pass = proof->pass;

    GV_ASSERT(pass->done && pass->kind == PASS_SUMS);
    proof->file_wrong = NULL;
    if (pass->damaged_count > 0)
        return;
    if (pass->unlike || !hash128_equal(pass->total, pass->kept))
        proof->file_wrong = "the fingerprint that this file keeps is not the"
                            " sum of its records";
    else if (pass->strays)
        proof->file_wrong = "gv_ver lists records that no row of this file"
                            " has";
}

static int summed(struct proof *proof)
{
    struct pass *pass = proof->pass;

    GV_ASSERT(proof->phase == PHASE_SUMMING);
    check_kept(proof);
    memcpy(proof->counts, pass->counts, sizeof proof->counts);
    buffer_clear(&proof->question);
    buffer_append(&proof->question, pass->beyond.data, pass->beyond.size);
    if (proof->question.error != GV_OK)
        return proof->question.error;
    proof_ask(proof, PHASE_SUMS_ASKED, CHECK_SUMS);
    return GV_OK;
}

static int compare_sums(struct proof *proof, struct gv_error *error)
{
    const struct pass *pass = proof->pass;

    GV_ASSERT(pass->done && pass->kind == PASS_SUMS);
    memcpy(proof->differing, pass->damaged, sizeof proof->differing);
    for (size_t i = 0;
         i < (plant("ranges-halved") ? PROOF_RANGES / 2 : PROOF_RANGES); i++)
        if (!hash128_equal(pass->sums[i], proof->theirs[i]))
            proof_set_add(proof->differing, i);
    end_pass(proof);
    return next_batch(proof, error);
}

static int take_sums(struct proof *proof, const uint8_t *bytes, size_t size,
                     struct gv_error *error)
{
    int rc;

    GV_ASSERT(proof->phase == PHASE_SUMS_ASKED);
    GV_ASSERT(proof->pass != NULL);
    if (size < PROOF_SUMS_SIZE || (size - PROOF_SUMS_SIZE) % 8 != 0)
        return GV_EPROTO;
    for (size_t i = 0; i < PROOF_RANGES; i++) {
        proof->theirs[i].high = load_u64(bytes + 16 * i);
        proof->theirs[i].low = load_u64(bytes + 16 * i + 8);
    }
    if (size == PROOF_SUMS_SIZE)
        return compare_sums(proof, error);
    buffer_clear(&proof->left_out);
    rc = buffer_append(&proof->left_out, bytes + PROOF_SUMS_SIZE,
                       size - PROOF_SUMS_SIZE);
    end_pass(proof);
    if (rc == GV_OK)
        rc = start_pass(proof, PASS_SUMS, error);
    if (rc != GV_OK)
        return rc;
    proof->pass->left_out = proof->left_out.data;
    proof->pass->left_out_size = proof->left_out.size;
    proof->phase = PHASE_SUMMING_AGAIN;
    return GV_OK;
}

static int smaller_batch(struct proof *proof, struct gv_error *error)
{
    GV_ASSERT(proof->batch_ranges > 1);
    proof->batch_rows = proof->batch_rows / 2;
    end_pass(proof);
    return next_batch(proof, error);
}

static int headed(struct proof *proof, struct gv_error *error)
{
    if (proof->pass->cut && proof->batch_ranges > 1)
        return smaller_batch(proof, error);
    buffer_clear(&proof->question);
    buffer_append(&proof->question, proof->batch, sizeof proof->batch);
    if (proof->question.error != GV_OK)
        return proof->question.error;
    proof_ask(proof, PHASE_HEADS_ASKED, CHECK_HEADS);
    return GV_OK;
}

static int take_heads(struct proof *proof, const uint8_t *bytes, size_t size,
                      struct gv_error *error)
{
    bool cut = size > 0 && bytes[0] == 0;
    int rc;

    GV_ASSERT(proof->phase == PHASE_HEADS_ASKED);
    GV_ASSERT(proof->batch_ranges > 0);
    if (size == 0 || bytes[0] > 1)
        return GV_EPROTO;
    if (cut && proof->batch_ranges > 1)
        return smaller_batch(proof, error);
    rc = cut || proof->pass->cut
             ? findings_name_file(proof,
                                  "a range has more rows than one answer can"
                                  " hold; they were not compared")
             : compare_heads(proof, bytes + 1, size - 1);
    end_pass(proof);
    for (size_t i = 0; i < sizeof proof->batch; i++)
        proof->differing[i] &= (uint8_t)~proof->batch[i];
    return rc == GV_OK ? next_batch(proof, error) : rc;
}

static int again(struct proof *proof, struct gv_error *error)
{
    proof->mend = false;
    proof->again = true;
    proof->more = 0;
    proof->found = 0;
    proof->phase = PHASE_SUMMING;
    return start_pass(proof, PASS_SUMS, error);
}

static int mend_on(struct proof *proof, struct gv_error *error)
{
    struct store *store = proof->store;

    GV_ASSERT(proof->mend && !proof->again);
    GV_ASSERT(proof->mend_at <= proof->count);
    if (store->reader != NULL && !sqlite3_get_autocommit(store->reader))
        return GV_OK; /* a delta is being read */
    return proof->mend_at == proof->count ? again(proof, error)
                                          : mending_step(proof, error);
}

static int passed(struct proof *proof, struct gv_error *error)
{
    if (proof->phase == PHASE_SUMMING)
        return summed(proof);
    if (proof->phase == PHASE_SUMMING_AGAIN)
        return compare_sums(proof, error);
    GV_ASSERT(proof->phase == PHASE_HEADING);
    return headed(proof, error);
}

int proof_step(struct proof *proof, size_t rows, bool *stands,
               struct gv_error *error)
{
    int rc = GV_OK;

    if (proof->what != 0) {
        /* The answer has led to the next question. */
    } else if (proof->phase == PHASE_MENDING) {
        rc = mend_on(proof, error);
    } else if (proof->phase != PHASE_ENDED) {
        rc = pass_step(proof->pass, rows, error);
        if (rc == GV_OK && proof->pass->done)
            rc = passed(proof, error);
    }
    *stands = rc == GV_OK && (proof->what != 0 || proof->phase == PHASE_ENDED);
    return rc;
}

enum check_what proof_question(const struct proof *proof,
                               const uint8_t **bytes, size_t *size)
{
    *bytes = proof->question.data;
    *size = proof->question.size;
    return proof->what;
}

int proof_answer(struct proof *proof, bool done, const uint8_t *bytes,
                 size_t size, struct gv_error *error)
{
    enum check_what what = proof->what;
    int rc = GV_EPROTO;

    GV_ASSERT(what != 0 && proof->phase != PHASE_ENDED);
    proof->what = 0;
    if (!done && what < CHECK_MEND)
        return error_set(error, GV_EBUSY, "The peer cannot answer now.");
    switch (what) {
    case CHECK_SUMS:
        rc = take_sums(proof, bytes, size, error);
        break;
    case CHECK_HEADS:
        rc = take_heads(proof, bytes, size, error);
        break;
    case CHECK_MEND:
    case CHECK_PIECE:
    case CHECK_REST:
        rc = mending_answer(proof, done, bytes, size, error);
        break;
    }
    if (rc == GV_EPROTO)
        error_set(error, rc, "The peer's answer makes no sense.");
    return rc;
}

bool proof_wrote(const struct proof *proof)
{
    return proof->wrote;
}
