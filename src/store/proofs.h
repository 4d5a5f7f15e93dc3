/* The proofs and attests of a node: what the core asks for by effects, done a
 * slice at a time; each ends as the event that the core waits for.  A driver
 * gives it the effects, and its loop a turn when nothing else is to be done.
 */
#ifndef STORE_PROOFS_H
#define STORE_PROOFS_H

#include "core/core.h"
#include "store/proof.h"

/* Rows a turn: some 2 ms. */
#define PROOFS_STEP_ROWS 1000

enum proofs_state { PROOFS_NONE, PROOFS_READING, PROOFS_ASKED };

struct attest_job;

struct proofs {
    /* Our own. */
    enum proofs_state state;
    struct proof *proof;
    uint64_t token;
    gv_link link;
    bool asked; /* by a person */
    char *peer;
    struct buffer meet;
    bool answered, answer_done;
    struct buffer answer; /* to be read by the next turn */
    int code;             /* not GV_OK: it could not be begun */
    struct gv_error why;  /* of that, or of the step that failed */

    /* The last that ended, for people: NULL: it failed, see why, or there was
     * none. */
    struct proof *shown;
    char *shown_peer;
    struct buffer shown_meet;
    gv_link shown_link;
    uint64_t mended_since; /* rows that this peer has had made equal since */
    struct gv_error shown_why;
    uint64_t asked_count, asked_ended; /* those of persons */

    struct attest_job *first;   /* peers', oldest first */
    struct attest_job *told;    /* its answer may still be borrowed */
    struct attest_job *carried; /* a row that a peer sends, or gets, in
                                   pieces: between two of its questions */
};

void proofs_init(struct proofs *proofs);
void proofs_close(struct proofs *proofs);
/* Before the store is closed. */
void proofs_forget(struct proofs *proofs);
/* One of EFFECT_PROVE, _PROVE_ON, _DROP_PROOF, _ATTEST, _DROP_ATTEST. */
void proofs_take(struct proofs *proofs, struct store *store,
                 const struct effect *effect);
bool proofs_ready(const struct proofs *proofs);
/* One slice; true with what is to be fed to the core, which borrows until the
 * next call.  The store may have sealed. */
bool proofs_turn(struct proofs *proofs, struct store *store,
                 struct event *event);

#endif
