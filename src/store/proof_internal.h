/* What the rooms of a proof share: proof.c asks and compares, mending.c has
 * rows made equal, findings.c keeps what differs by name, alike.c says how two
 * rows differ. */
#ifndef STORE_PROOF_INTERNAL_H
#define STORE_PROOF_INTERNAL_H

#include "store/pass.h"
#include "store/pieces.h"

/* Rows mended by one question. */
#define MENDING_ROWS 64

enum phase {
    PHASE_SUMMING,
    PHASE_SUMS_ASKED,
    PHASE_SUMMING_AGAIN,
    PHASE_HEADING,
    PHASE_HEADS_ASKED,
    PHASE_MENDING,
    PHASE_MEND_ASKED,
    PHASE_ENDED
};

/* Where the log of a row is damaged while the other side has no such row. */
enum lone { LONE_NOT, LONE_HERE, LONE_THERE };

/* A row that differs; its name as it stands in a question. */
struct named {
    struct proof_finding finding;
    uint8_t *name;
    size_t name_size;
    enum lone lone;
    bool again;       /* found by the second comparison too */
    const char *left; /* why it was not mended; NULL */
};

struct proof {
    struct store *store;
    struct buffer meet;
    char *peer;
    bool mend;   /* still to be done */
    bool again;  /* it was: what is found now is left */
    bool pieces; /* the peer takes and gives them */
    bool wrote;
    const char *file_wrong; /* what of the file is, beside its rows; NULL */
    uint64_t found;         /* rows, by this comparison */
    enum phase phase;
    struct pass *pass;
    struct buffer left_out; /* by the peer */
    struct hash128 theirs[PROOF_RANGES];
    uint32_t counts[PROOF_RANGES];
    uint8_t differing[PROOF_SET_SIZE]; /* and not looked at yet */
    uint8_t batch[PROOF_SET_SIZE];
    size_t batch_ranges, batch_rows;
    size_t mend_at, mend_count; /* of @named */
    size_t mend_max;
    bool in_pieces; /* the row at mend_at */
    struct pieces asked, answered;
    struct buffer question;
    enum check_what what;

    struct named *named;
    size_t count, capacity;
    uint64_t more; /* that are not kept by name */
};

/* proof.c */

static inline struct vv_view proof_meet(const struct proof *proof)
{
    return (struct vv_view){proof->meet.data,
                            proof->meet.size / VV_ENTRY_SIZE};
}

/* What stands in proof->question is to be asked. */
void proof_ask(struct proof *proof, enum phase phase, enum check_what what);

/* mending.c */

/* Deal with the row at mend_at, and some behind it.  Errors as of
 * proof_step(). */
int mending_step(struct proof *proof, struct gv_error *error);
/* As proof_answer(). */
int mending_answer(struct proof *proof, bool done, const uint8_t *bytes,
                   size_t size, struct gv_error *error);

/* findings.c */

/* A row that differs, or with no table something of the whole file, whose name
 * is the text.  Errors: GV_ENOMEM. */
int findings_name(struct proof *proof, const char *table, const char *key,
                  const char *text, enum lone lone, const struct buffer *name);
int findings_name_file(struct proof *proof, const char *text);

/* alike.c */

/* Whether a row that both may compare is alike; if not, @text says how it
 * differs, where "here" is this file.  NULL: that side has none. */
bool alike_rows(const struct store_table *table, const struct proof_head *ours,
                const struct proof_head *theirs, char *text, size_t size);

struct heads {
    struct proof_head *items;
    size_t count;
};

/* @heads gets them in the order of alike_order(), borrowing @at.  Errors:
 * GV_EPROTO, GV_ENOMEM; free its items in any case. */
int alike_read(const uint8_t *at, size_t size, struct heads *heads);
int alike_order(const void *a, const void *b);

#endif
