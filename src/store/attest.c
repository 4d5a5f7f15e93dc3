/* The side that answers: one pass for one question, or rows that a person has
 * made equal on both sides. */
#include "store/pass.h"
#include "store/pieces.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

struct attest {
    struct store *store;
    enum check_what what;
    struct buffer meet, asked, answer;
    struct pass *pass;
    struct pieces taken, given;
    uint64_t mended;
    bool wrote;
};

static struct vv_view meet_of(const struct attest *attest)
{
    return (struct vv_view){attest->meet.data,
                            attest->meet.size / VV_ENTRY_SIZE};
}

/* Whether the places ascend, so that they can be searched. */
static bool places_valid(const uint8_t *places, size_t size)
{
    if (size % 8 != 0 || size > (size_t)PROOF_PLACES_MAX * 8)
        return false;
    for (size_t i = 8; i < size; i += 8)
        if (memcmp(places + i - 8, places + i, 8) > 0)
            return false;
    return true;
}

static bool rows_valid(const uint8_t *bytes, size_t size)
{
    return size >= 4 && load_u32(bytes) <= size - 4;
}

static bool question_valid(const struct message_check *check)
{
    struct proof_piece piece;

    switch (check->what) {
    case CHECK_SUMS:
        return places_valid(check->bytes, check->size);
    case CHECK_HEADS:
        return check->size == PROOF_SET_SIZE;
    case CHECK_MEND:
        return rows_valid(check->bytes, check->size);
    case CHECK_PIECE:
        return proof_read_piece(check->bytes, check->size, &piece) == GV_OK;
    case CHECK_REST:
        return check->size == 8;
    }
    return false;
}

static int begin_pass(struct attest *attest, struct gv_error *error)
{
    int rc = pass_new(attest->store,
                      attest->what == CHECK_SUMS ? PASS_SUMS : PASS_HEADS,
                      meet_of(attest), &attest->pass, error);

    GV_ASSERT((rc == GV_OK) == (attest->pass != NULL));
    GV_ASSERT(attest->what < CHECK_MEND);
    if (rc != GV_OK)
        return rc;
    if (attest->what == CHECK_SUMS) {
        attest->pass->left_out = attest->asked.data;
        attest->pass->left_out_size = attest->asked.size;
    } else {
        attest->pass->wanted = attest->asked.data;
    }
    return GV_OK;
}

/* Whether it makes sense only behind another one. */
static bool goes_on(const struct message_check *check)
{
    struct proof_piece piece;

    return check->what == CHECK_REST ||
           (check->what == CHECK_PIECE &&
            proof_read_piece(check->bytes, check->size, &piece) == GV_OK &&
            piece.at > 0);
}

int attest_begin(struct store *store, const struct message_check *check,
                 struct attest **out, struct gv_error *error)
{
    struct attest *attest;
    int rc;

    GV_ASSERT(check->token != 0);
    if (!question_valid(check))
        return error_set(error, GV_EPROTO, "A question that is not one.");
    if (goes_on(check))
        return error_set(error, GV_EBUSY, "No piece came before this one.");
    attest = calloc(1, sizeof *attest);
    if (attest == NULL)
        return error_set(error, GV_ENOMEM, "There is no memory left.");
    attest->store = store;
    attest->what = check->what;
    buffer_init(&attest->meet, SIZE_MAX);
    buffer_init(&attest->asked, SIZE_MAX);
    buffer_init(&attest->answer, MESSAGE_DELTA_SIZE_MAX);
    rc = buffer_append(&attest->meet, check->meet.bytes,
                       check->meet.count * VV_ENTRY_SIZE);
    if (rc == GV_OK)
        rc = buffer_append(&attest->asked, check->bytes, check->size);
    if (rc == GV_OK && check->what < CHECK_MEND)
        rc = begin_pass(attest, error);
    if (rc != GV_OK) {
        attest_free(attest);
        return rc;
    }
    *out = attest;
    return GV_OK;
}

static int write_answer(struct attest *attest)
{
    const struct pass *pass = attest->pass;

    GV_ASSERT(attest->answer.error == GV_OK);
    GV_ASSERT(pass->done && attest->answer.size == 0);
    if (attest->what == CHECK_HEADS) {
        buffer_append_u8(&attest->answer, !pass->cut);
        return buffer_append(&attest->answer, pass->heads.data,
                             pass->heads.size);
    }
    for (size_t i = 0; i < PROOF_RANGES; i++) {
        buffer_append_u64(&attest->answer, pass->sums[i].high);
        buffer_append_u64(&attest->answer, pass->sums[i].low);
    }
    return buffer_append(&attest->answer, pass->beyond.data,
                         pass->beyond.size);
}

/* The rows, each by its name, behind their size; then theirs as they have
 * them.  Ours leave as they are after that. */
static int mend(struct attest *attest, const struct buffer *asked,
                size_t limit, struct buffer *ours, struct gv_error *error)
{
    const uint8_t *names = asked->data + 4;
    size_t names_size = load_u32(asked->data);
    int rc;

    GV_ASSERT(asked->size >= 4);
    GV_ASSERT(names_size <= asked->size - 4);
    rc = mend_apply(attest->store, meet_of(attest), names + names_size,
                    asked->size - 4 - names_size, error);
    attest->wrote = true;
    if (rc == GV_OK)
        rc = mend_read(attest->store, meet_of(attest), names, names_size,
                       limit, ours, error);
    for (const uint8_t *at = names, *end = names + names_size;
         rc == GV_OK && at < end; attest->mended++) {
        struct proof_name name;

        if (proof_read_name(&at, end, &name) != GV_OK)
            return GV_EPROTO;
    }
    return rc;
}

/* All pieces of a question came: its answer goes out in pieces too. */
static int mend_taken(struct attest *attest, struct gv_error *error)
{
    struct buffer asked, ours;
    int rc;

    GV_ASSERT(!attest->given.open);
    GV_ASSERT(pieces_complete(&attest->taken));
    buffer_init(&asked, SIZE_MAX);
    buffer_init(&ours, SIZE_MAX);
    rc = pieces_load(&attest->taken, &asked);
    pieces_close(&attest->taken);
    if (rc == GV_OK && !rows_valid(asked.data, asked.size))
        rc = GV_EPROTO;
    if (rc == GV_OK)
        rc = mend(attest, &asked, PIECES_SIZE_MAX, &ours, error);
    buffer_close(&asked);
    if (rc == GV_OK)
        rc = pieces_keep(&attest->given, attest->store, PIECES_GIVEN,
                         ours.data, ours.size);
    buffer_close(&ours);
    return rc;
}

static int carry(struct attest *attest, struct gv_error *error)
{
    int rc = GV_OK;

    GV_ASSERT(attest->what > CHECK_MEND);
    if (attest->what == CHECK_PIECE) {
        pieces_close(&attest->given);
        rc = pieces_take(&attest->taken, attest->store, PIECES_TAKEN,
                         attest->asked.data, attest->asked.size);
        if (rc != GV_OK || !pieces_complete(&attest->taken))
            return rc;
        rc = mend_taken(attest, error);
    } else if (!attest->given.open ||
               attest->given.at != load_u64(attest->asked.data)) {
        return error_set(error, GV_EBUSY, "No such piece is to be sent.");
    }
    if (rc == GV_OK)
        rc =
            pieces_next(&attest->given, attest->answer.limit, &attest->answer);
    if (rc == GV_OK && pieces_complete(&attest->given))
        pieces_close(&attest->given);
    return rc;
}

int attest_go_on(struct attest *attest, const struct message_check *check,
                 struct gv_error *error)
{
    GV_ASSERT(check->what > CHECK_MEND);
    GV_ASSERT(attest_carries(attest));
    if (!question_valid(check))
        return error_set(error, GV_EPROTO, "A question that is not one.");
    attest->what = check->what;
    attest->mended = 0;
    attest->wrote = false;
    buffer_clear(&attest->answer);
    buffer_clear(&attest->asked);
    return buffer_append(&attest->asked, check->bytes, check->size);
}

bool attest_carries(const struct attest *attest)
{
    return attest->taken.open || attest->given.open;
}

int attest_step(struct attest *attest, size_t rows, bool *done,
                struct gv_error *error)
{
    int rc;

    GV_ASSERT(attest->answer.size == 0);
    *done = true;
    if (attest->what > CHECK_MEND)
        return carry(attest, error);
    if (attest->what == CHECK_MEND)
        return mend(attest, &attest->asked, MESSAGE_DELTA_SIZE_MAX,
                    &attest->answer, error);
    rc = pass_step(attest->pass, rows, error);
    *done = rc == GV_OK && attest->pass->done;
    return *done ? write_answer(attest) : rc;
}

const uint8_t *attest_bytes(const struct attest *attest, size_t *size)
{
    *size = attest->answer.size;
    return attest->answer.data;
}

uint64_t attest_mended(const struct attest *attest)
{
    return attest->mended;
}

bool attest_wrote(const struct attest *attest)
{
    return attest->wrote;
}

void attest_free(struct attest *attest)
{
    if (attest == NULL)
        return;
    pass_free(attest->pass);
    pieces_close(&attest->taken);
    pieces_close(&attest->given);
    buffer_close(&attest->meet);
    buffer_close(&attest->asked);
    buffer_close(&attest->answer);
    free(attest);
}
