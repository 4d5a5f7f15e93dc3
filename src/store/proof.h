/* Comparing this file with a peer's, row by row, and making rows equal.
 *
 * A *proof* is the side that asks and names what it finds, an *attest* the one
 * that answers.  Both read the whole log in a snapshot of their own, some rows
 * at a time, hold no lock and write nothing, but for a proof that is to mend.
 * README.md, Comparing with a peer. */
#ifndef STORE_PROOF_H
#define STORE_PROOF_H

#include "store/store.h"

/* Findings that are kept with their names; more are counted. */
#define PROOF_FINDINGS_MAX 1000

struct proof_finding {
    char *table; /* "" if it is none of a row */
    char *key;   /* as SQL literals */
    char *text;
    bool mended; /* it was so, and is not any more */
};

struct proof;

/* Compare what @meet, which both vectors cover, says that both hold.
 * @peer: its name, for the log.  @pieces: it takes a row in several frames.
 * Errors: GV_EBUSY, GV_ENOMEM, …. */
int proof_begin(struct store *store, struct vv_view meet, const char *peer,
                bool mend, bool pieces, struct proof **proof,
                struct gv_error *error);
/* Read on for about @rows rows; *@stands when proof_question() is to be
 * asked, or it has ended (also at the first step after an answer).  Errors,
 * after which it is only good for proof_free(): GV_EBUSY (the schema moved, or
 * the file is written without a pause), GV_ELIMIT (too much was written since
 * the meet), GV_EIO, …. */
int proof_step(struct proof *proof, size_t rows, bool *stands,
               struct gv_error *error);
/* 0: it has ended.  The bytes are borrowed. */
enum check_what proof_question(const struct proof *proof,
                               const uint8_t **bytes, size_t *size);
/* The answer to it; not @done: the peer could not.  Errors as of
 * proof_step(), GV_EPROTO. */
int proof_answer(struct proof *proof, bool done, const uint8_t *bytes,
                 size_t size, struct gv_error *error);

/* The finding at @index, borrowed; false: there are fewer. */
bool proof_finding(const struct proof *proof, size_t index,
                   struct proof_finding *finding);
/* All that differed, kept or not, and what of it was mended. */
uint64_t proof_differ(const struct proof *proof);
uint64_t proof_mended(const struct proof *proof);
/* Whether it has written: the fingerprint may be another. */
bool proof_wrote(const struct proof *proof);
/* What it keeps of the file is closed when it ends; NULL is harmless. */
void proof_free(struct proof *proof);

struct attest;

/* @check is copied.  Errors: GV_EBUSY (also where it goes on with
 * one that nobody has), GV_EPROTO, GV_ENOMEM, …. */
int attest_begin(struct store *store, const struct message_check *check,
                 struct attest **attest, struct gv_error *error);
/* The next question of a peer that asks for a row in pieces.  Errors: GV_EBUSY
 * (it is about something else), GV_EPROTO. */
int attest_go_on(struct attest *attest, const struct message_check *check,
                 struct gv_error *error);
/* Whether such a question is to come. */
bool attest_carries(const struct attest *attest);
/* As proof_step(); GV_ELIMIT: the answer does not fit a frame. */
int attest_step(struct attest *attest, size_t rows, bool *done,
                struct gv_error *error);
const uint8_t *attest_bytes(const struct attest *attest, size_t *size);
uint64_t attest_mended(const struct attest *attest);
bool attest_wrote(const struct attest *attest);
void attest_free(struct attest *attest);

#endif
