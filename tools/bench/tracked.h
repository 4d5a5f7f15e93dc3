/* A file with a store on it, driven as a node drives it. */
#ifndef BENCH_TRACKED_H
#define BENCH_TRACKED_H

#include "measure.h"
#include "store/store.h"

struct store *tracked_open(const char *path);
/* Track the contacts table of the file at @path and let go of it: what an
 * application sees where no node runs. */
void tracked_make(const char *path);
void tracked_track(struct store *store);
/* Seal what waits; the interval is good until the next transaction. */
struct store_sealed tracked_seal(struct store *store);

/* A delta as it arrives: its bytes and its claim, owned. */
struct delta {
    uint8_t *bytes;
    size_t size;
    struct vv claim;
    uint64_t scan_steps, vm_steps;
    struct span cost; /* of reading it, until it lies in its spool */
};

/* What an asker with @vv (NULL: nothing) lacks. */
void tracked_extract(struct store *store, const struct vv *vv,
                     struct delta *delta);
void delta_free(struct delta *delta);
/* The bytes into the stage, as they come in frames. */
void tracked_stage(struct store *store, const struct delta *delta);
/* Take what was staged last: a short delta is applied, a long one waits for
 * store_work(). */
void tracked_accept(struct store *store, const struct delta *delta);
/* Apply and claim what was staged last. */
void tracked_apply(struct store *store, const struct delta *delta);

/* A vector as messages carry it; valid until the next call. */
struct vv_view tracked_view(const struct vv *vv);

#endif
