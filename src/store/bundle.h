/* A delta by itself, as bytes that go through a file, a pipe or a message of
 * someone else's: what gv_store_extract() writes and gv_store_apply() reads.
 * README.md, Bundles, has the format. */
#ifndef STORE_BUNDLE_H
#define STORE_BUNDLE_H

#include "store/store.h"

/* Seal what waits, with a command's patience for other writers.  *@version is
 * the end of the interval that was sealed, 0 if there was nothing to seal.
 * Errors: those of store_begin() and store_commit(). */
int bundle_seal(struct store *store, gv_version *version,
                struct gv_error *error);

/* Seal, then write the bundle of what @vv lacks.  @write gets the bytes in
 * order, in pieces of at most BUNDLE_PIECE_SIZE; what it returns, if not
 * GV_OK, ends the bundle.  Memory does not grow with the bundle: a long delta
 * lies in a spool file meanwhile.
 *
 * Errors: those of sealing and extracting; the code of @write.  What was
 * written until then is no bundle: bundle_apply() refuses it. */
#define BUNDLE_PIECE_SIZE 65536
int bundle_write(struct store *store, struct vv_view vv,
                 int (*write)(void *context, const void *bytes, size_t size),
                 void *context, struct gv_error *error);

/* Seal, then read what @vv lacks to its end.  Errors as for bundle_write(). */
int bundle_extract(struct store *store, struct vv_view vv,
                   struct extract **extract, struct gv_error *error);
/* Whether the file may take a delta that was made for @base and claims
 * @claim.  Inside the transaction that applies it.
 * Errors: GV_EGAP, GV_EMOVED. */
int bundle_check(struct store *store, struct vv_view base,
                 struct vv_view claim, struct gv_error *error);

/* Read one bundle, and no byte behind it; seal, apply it and claim.  @read
 * puts up to @size bytes into @bytes and their count into *@got, 0 at the end
 * of what there is; what it returns, if not GV_OK, ends the apply.
 *
 * Errors, after which nothing of it is in the file:
 *
 * GV_EPROTO    no bundle, cut off, or damaged
 * GV_EVERSION  of a newer format
 * GV_EMESH     made in another mesh
 * GV_EGAP      made for a file that holds more than this one
 * GV_EMOVED    the file went back in time: open it again
 *
 * and those of store_apply_delta() and of @read. */
int bundle_apply(struct store *store,
                 int (*read)(void *context, void *bytes, size_t size,
                             size_t *got),
                 void *context, struct gv_error *error);

/* The same from and into memory.  @out gets the bundle behind what it holds;
 * GV_ENOMEM and GV_ELIMIT are its own.  Applied from memory a bundle has
 * nothing behind it (else GV_EPROTO). */
int bundle_write_buffer(struct store *store, struct vv_view vv,
                        struct buffer *out, struct gv_error *error);
int bundle_apply_bytes(struct store *store, const void *bytes, size_t size,
                       struct gv_error *error);

#endif
