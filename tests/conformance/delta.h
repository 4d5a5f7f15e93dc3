/* A delta as it travels: out of one store, through WANT and DELTA frames, into
 * the stage of another. */
#ifndef TESTS_CONFORMANCE_DELTA_H
#define TESTS_CONFORMANCE_DELTA_H

#include "store/store.h"

struct delta {
    struct buffer bytes;
    struct buffer claim; /* entries of a vector */
};

/* What @store gives an asker with @vv.  Errors: those of extract_begin() and
 * extract_step(); there is nothing to close then. */
int delta_read(struct delta *delta, struct store *store, struct vv_view vv,
               struct gv_error *error);
/* The same for an asker with @vv, whose WANT goes through the codec. */
int delta_want(struct delta *delta, struct store *store, const struct vv *vv,
               struct gv_error *error);
void delta_close(struct delta *delta);

/* Stage the first @size bytes under @token, in pieces, each of them a frame
 * that is encoded and decoded. */
void delta_stage(const struct delta *delta, struct store *to, uint64_t token,
                 size_t size);
struct vv_view delta_claim(const struct delta *delta);

/* @vv's entries, appended to @out. */
struct vv_view delta_vector(const struct vv *vv, struct buffer *out);

#endif
