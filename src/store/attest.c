/* The side that answers: one pass for one question, or rows that a person has
 * made equal on both sides. */
#include "store/pass.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

struct attest {
    struct store *store;
    enum check_what what;
    struct buffer meet, asked, answer;
    struct pass *pass;
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

static bool question_valid(const struct message_check *check)
{
    switch (check->what) {
    case CHECK_SUMS:
        return places_valid(check->bytes, check->size);
    case CHECK_HEADS:
        return check->size == PROOF_SET_SIZE;
    case CHECK_MEND:
        return check->size >= 4 && load_u32(check->bytes) <= check->size - 4;
    }
    return false;
}

static int begin_pass(struct attest *attest, struct gv_error *error)
{
    int rc = pass_new(attest->store,
                      attest->what == CHECK_SUMS ? PASS_SUMS : PASS_HEADS,
                      meet_of(attest), &attest->pass, error);

    GV_ASSERT((rc == GV_OK) == (attest->pass != NULL));
    GV_ASSERT(attest->what != CHECK_MEND);
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

int attest_begin(struct store *store, const struct message_check *check,
                 struct attest **out, struct gv_error *error)
{
    struct attest *attest;
    int rc;

    GV_ASSERT(check->token != 0);
    if (!question_valid(check))
        return error_set(error, GV_EPROTO, "A question that is not one.");
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
    if (rc == GV_OK && check->what != CHECK_MEND)
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
static int mend(struct attest *attest, struct gv_error *error)
{
    const uint8_t *names = attest->asked.data + 4;
    size_t names_size = load_u32(attest->asked.data);
    int rc;

    GV_ASSERT(attest->asked.size >= 4);
    GV_ASSERT(names_size <= attest->asked.size - 4);
    rc = mend_apply(attest->store, meet_of(attest), names + names_size,
                    attest->asked.size - 4 - names_size, error);
    attest->wrote = true;
    if (rc == GV_OK)
        rc = mend_read(attest->store, meet_of(attest), names, names_size,
                       MESSAGE_DELTA_SIZE_MAX, &attest->answer, error);
    for (const uint8_t *at = names, *end = names + names_size;
         rc == GV_OK && at < end; attest->mended++) {
        struct proof_name name;

        if (proof_read_name(&at, end, &name) != GV_OK)
            return GV_EPROTO;
    }
    return rc;
}

int attest_step(struct attest *attest, size_t rows, bool *done,
                struct gv_error *error)
{
    int rc;

    GV_ASSERT(attest->answer.size == 0);
    if (attest->what == CHECK_MEND) {
        *done = true;
        return mend(attest, error);
    }
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
    buffer_close(&attest->meet);
    buffer_close(&attest->asked);
    buffer_close(&attest->answer);
    free(attest);
}
