#include "store/proofs.h"

#include "base/assert.h"
#include "grapevine.h"

#include <stdlib.h>
#include <string.h>

struct attest_job {
    struct attest_job *next;
    gv_link link;
    uint64_t token;
    struct attest *attest;
    bool pieces; /* it is about a row in pieces */
    struct gv_error why;
    int code; /* not GV_OK: it could not be begun */
};

void proofs_init(struct proofs *proofs)
{
    *proofs = (struct proofs){.state = PROOFS_NONE};
    buffer_init(&proofs->meet, SIZE_MAX);
    buffer_init(&proofs->answer, MESSAGE_DELTA_SIZE_MAX);
    buffer_init(&proofs->shown_meet, SIZE_MAX);
}

static void job_free(struct attest_job *job)
{
    if (job == NULL)
        return;
    attest_free(job->attest);
    free(job);
}

static void end_own(struct proofs *proofs)
{
    proof_free(proofs->proof);
    free(proofs->peer);
    proofs->proof = NULL;
    proofs->peer = NULL;
    proofs->state = PROOFS_NONE;
    proofs->answered = false;
}

void proofs_forget(struct proofs *proofs)
{
    end_own(proofs);
    proofs->asked_ended = proofs->asked_count;
    error_set(&proofs->shown_why, GV_EBUSY,
              "The file was opened anew before it was compared.");
    while (proofs->first != NULL) {
        struct attest_job *job = proofs->first;

        proofs->first = job->next;
        job_free(job);
    }
    job_free(proofs->told);
    job_free(proofs->carried);
    proofs->told = proofs->carried = NULL;
    proof_free(proofs->shown);
    proofs->shown = NULL;
}

void proofs_close(struct proofs *proofs)
{
    proofs_forget(proofs);
    free(proofs->shown_peer);
    buffer_close(&proofs->meet);
    buffer_close(&proofs->answer);
    buffer_close(&proofs->shown_meet);
}

/* What people see: the last that a person asked for, or that found something,
 * until one with the same peer takes its place. */
static void show(struct proofs *proofs, int code, const struct gv_error *why)
{
    bool news = proofs->asked;

    GV_ASSERT(proofs->peer != NULL || code != GV_OK);
    GV_ASSERT(code != GV_OK || proofs->proof != NULL);
    if (code == GV_OK)
        news |= proofs->shown_peer == NULL ||
                strcmp(proofs->shown_peer, proofs->peer) == 0 ||
                proof_differ(proofs->proof) > 0;
    proofs->asked_ended += proofs->asked;
    if (!news)
        return;
    proof_free(proofs->shown);
    free(proofs->shown_peer);
    proofs->shown = NULL;
    proofs->shown_why = (struct gv_error){0};
    if (code == GV_OK) {
        proofs->shown = proofs->proof;
        proofs->proof = NULL;
    } else if (why != NULL) {
        proofs->shown_why = *why;
        proofs->shown_why.code = code;
    }
    proofs->shown_peer = proofs->peer;
    proofs->peer = NULL;
    proofs->shown_link = proofs->link;
    proofs->mended_since = 0;
    buffer_clear(&proofs->shown_meet);
    buffer_append(&proofs->shown_meet, proofs->meet.data, proofs->meet.size);
}

static void begin(struct proofs *proofs, struct store *store,
                  const struct effect *effect)
{
    struct vv_view meet = effect->as.prove.meet;

    GV_ASSERT(effect->as.prove.token != 0);
    GV_ASSERT(proofs->state == PROOFS_NONE && proofs->proof == NULL);
    proofs->state = PROOFS_READING;
    proofs->link = effect->link;
    proofs->token = effect->as.prove.token;
    proofs->asked = effect->as.prove.asked;
    proofs->asked_count += proofs->asked;
    proofs->answered = false;
    proofs->code = GV_ENOMEM;
    proofs->why = (struct gv_error){0};
    proofs->peer = strdup(effect->as.prove.peer);
    buffer_clear(&proofs->meet);
    buffer_append(&proofs->meet, meet.bytes, meet.count * VV_ENTRY_SIZE);
    if (proofs->peer == NULL || proofs->meet.error != GV_OK) {
        error_set(&proofs->why, GV_ENOMEM, "There is no memory left.");
        return;
    }
    proofs->code =
        proof_begin(store, meet, proofs->peer, effect->as.prove.mend,
                    effect->as.prove.pieces, &proofs->proof, &proofs->why);
}

static void take_answer(struct proofs *proofs, const struct effect *effect)
{
    if (proofs->state != PROOFS_ASKED ||
        proofs->token != effect->as.prove_on.token)
        return;
    proofs->state = PROOFS_READING;
    proofs->answered = true;
    proofs->answer_done = effect->as.prove_on.done;
    buffer_clear(&proofs->answer);
    buffer_append(&proofs->answer, effect->as.prove_on.bytes,
                  effect->as.prove_on.size);
}

static void drop(struct proofs *proofs, uint64_t token)
{
    struct gv_error why = {0};

    GV_ASSERT(token != 0);
    if (proofs->state == PROOFS_NONE || proofs->token != token)
        return;
    error_set(&why, GV_EBUSY,
              "The link with the peer ended, or it did not answer.");
    show(proofs, GV_EBUSY, &why);
    end_own(proofs);
}

static bool job_is(const struct attest_job *job, gv_link link, uint64_t token)
{
    return job != NULL && job->link == link && job->token == token;
}

/* The last answer is out: what goes on piece by piece is kept.  One peer's is:
 * a later one takes the place of an earlier one. */
static void settle_told(struct proofs *proofs)
{
    struct attest_job *told = proofs->told;

    proofs->told = NULL;
    if (told == NULL || told->code != GV_OK || !attest_carries(told->attest)) {
        job_free(told);
        return;
    }
    GV_ASSERT(told != proofs->carried);
    job_free(proofs->carried);
    proofs->carried = told;
}

/* Two that carry pieces would share a file: the later one begins when the
 * other is not being answered. */
static int make_way(struct proofs *proofs, struct gv_error *error)
{
    GV_ASSERT(proofs->told == NULL);
    for (const struct attest_job *job = proofs->first; job != NULL;
         job = job->next)
        if (job->pieces)
            return error_set(error, GV_EBUSY,
                             "Another peer's row is being taken.");
    job_free(proofs->carried);
    proofs->carried = NULL;
    return GV_OK;
}

/* A question that goes on with the one before it, or begins. */
static struct attest_job *job_new(struct proofs *proofs, struct store *store,
                                  const struct effect *effect)
{
    const struct message_check *check = &effect->as.attest;
    struct attest_job *job = proofs->carried;

    GV_ASSERT(proofs->told == NULL);
    if (check->what > CHECK_MEND && job_is(job, effect->link, check->token)) {
        proofs->carried = NULL;
        job->code = attest_go_on(job->attest, check, &job->why);
        return job;
    }
    job = calloc(1, sizeof *job);
    if (job == NULL)
        return NULL; /* the asker gives up after a while */
    job->link = effect->link;
    job->token = check->token;
    job->pieces = check->what > CHECK_MEND;
    job->code = attest_begin(store, check, &job->attest, &job->why);
    if (job->code == GV_OK && job->pieces)
        job->code = make_way(proofs, &job->why);
    return job;
}

static void attest(struct proofs *proofs, struct store *store,
                   const struct effect *effect)
{
    struct attest_job **at = &proofs->first;
    struct attest_job *job;

    GV_ASSERT(effect->as.attest.token != 0);
    settle_told(proofs);
    job = job_new(proofs, store, effect);
    if (job == NULL)
        return;
    while (*at != NULL)
        at = &(*at)->next;
    *at = job;
}

static void drop_attest(struct proofs *proofs, gv_link link, uint64_t token)
{
    struct attest_job **at = &proofs->first, *job;

    GV_ASSERT(token != 0);
    settle_told(proofs);
    if (job_is(proofs->carried, link, token)) {
        job_free(proofs->carried);
        proofs->carried = NULL;
    }
    while (*at != NULL && !job_is(*at, link, token))
        at = &(*at)->next;
    job = *at;
    if (job == NULL)
        return;
    *at = job->next;
    job_free(job);
}

void proofs_take(struct proofs *proofs, struct store *store,
                 const struct effect *effect)
{
    if (effect->kind == EFFECT_PROVE)
        begin(proofs, store, effect);
    else if (effect->kind == EFFECT_PROVE_ON)
        take_answer(proofs, effect);
    else if (effect->kind == EFFECT_DROP_PROOF)
        drop(proofs, effect->as.drop.token);
    else if (effect->kind == EFFECT_ATTEST)
        attest(proofs, store, effect);
    else if (effect->kind == EFFECT_DROP_ATTEST)
        drop_attest(proofs, effect->link, effect->as.drop.token);
    else
        GV_ASSERT(false); /* no other is ours */
}

bool proofs_ready(const struct proofs *proofs)
{
    return proofs->state == PROOFS_READING || proofs->first != NULL;
}

static const char *reason_of(const struct gv_error *why)
{
    return why->what[0] != '\0' ? why->what : NULL;
}

static bool attest_turn(struct proofs *proofs, struct store *store,
                        struct event *event)
{
    struct attest_job *job = proofs->first;
    bool done = true;

    GV_ASSERT(job->token != 0);
    GV_ASSERT(job != NULL && job != proofs->told);
    if (job->code == GV_OK)
        job->code =
            attest_step(job->attest, PROOFS_STEP_ROWS, &done, &job->why);
    if (job->code == GV_OK && !done)
        return false;
    *event = (struct event){.kind = EVENT_ATTESTED,
                            .link = job->link,
                            .code = job->code,
                            .reason = reason_of(&job->why)};
    event->as.proved.token = job->token;
    if (job->attest != NULL) {
        event->as.proved.mended =
            job->code == GV_OK ? attest_mended(job->attest) : 0;
        if (job->link == proofs->shown_link)
            proofs->mended_since += event->as.proved.mended;
        event->as.proved.wrote = attest_wrote(job->attest);
        event->as.proved.bytes =
            attest_bytes(job->attest, &event->as.proved.size);
    }
    event->as.proved.fingerprint = store_fingerprint(store);
    proofs->first = job->next;
    proofs->told = job;
    return true;
}

/* The next step of our own; an answer first.  What a step got over has left
 * its words in @why: they count only if it fails. */
static int own_step(struct proofs *proofs, bool *stands)
{
    int rc = proofs->code;

    GV_ASSERT(proofs->proof != NULL || rc != GV_OK);
    *stands = true;
    if (rc == GV_OK)
        proofs->why = (struct gv_error){0};
    if (rc == GV_OK && proofs->answered)
        rc = proof_answer(proofs->proof, proofs->answer_done,
                          proofs->answer.data, proofs->answer.size,
                          &proofs->why);
    proofs->answered = false;
    return rc == GV_OK ? proof_step(proofs->proof, PROOFS_STEP_ROWS, stands,
                                    &proofs->why)
                       : rc;
}

static bool own_turn(struct proofs *proofs, struct store *store,
                     struct event *event)
{
    bool stands;
    int rc = own_step(proofs, &stands);

    GV_ASSERT(proofs->state == PROOFS_READING);
    if (rc == GV_OK && !stands)
        return false;
    *event = (struct event){.kind = EVENT_PROVED,
                            .link = proofs->link,
                            .code = rc,
                            .reason = reason_of(&proofs->why)};
    event->as.proved.token = proofs->token;
    event->as.proved.fingerprint = store_fingerprint(store);
    if (proofs->proof != NULL)
        event->as.proved.wrote = proof_wrote(proofs->proof);
    if (rc == GV_OK)
        event->as.proved.what = proof_question(
            proofs->proof, &event->as.proved.bytes, &event->as.proved.size);
    if (event->as.proved.what != 0) {
        proofs->state = PROOFS_ASKED;
        return true;
    }
    if (rc == GV_OK) {
        event->as.proved.differ = proof_differ(proofs->proof);
        event->as.proved.mended = proof_mended(proofs->proof);
    }
    show(proofs, rc, &proofs->why);
    end_own(proofs);
    return true;
}

bool proofs_turn(struct proofs *proofs, struct store *store,
                 struct event *event)
{
    settle_told(proofs);
    if (proofs->state == PROOFS_READING)
        return own_turn(proofs, store, event);
    return proofs->first != NULL && attest_turn(proofs, store, event);
}
