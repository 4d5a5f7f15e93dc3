/* What keeps a node's data: the product's store on SQLite, or a model of it
 * that is cheap enough for a thousand nodes.  The functions mean what those
 * of store/store.h mean. */
#ifndef SIM_KEEPER_H
#define SIM_KEEPER_H

#include "store/store.h"

/* One side of a WANT: struct extract, or the model's. */
struct keeper_extract;
struct keeper;

struct keeper_methods {
    void (*close)(struct keeper *keeper);
    int (*poll)(struct keeper *keeper, struct store_news *news);
    int (*look)(struct keeper *keeper, struct gv_error *error);
    int (*begin)(struct keeper *keeper, struct gv_error *error);
    int (*apply_interval)(struct keeper *keeper,
                          const struct interval *interval,
                          struct gv_error *error);
    int (*apply_delta)(struct keeper *keeper, uint64_t token,
                       struct vv_view claim, struct gv_error *error);
    int (*commit)(struct keeper *keeper, struct store_sealed *sealed,
                  struct gv_error *error);
    /* One slice of what takes more than one transaction. */
    int (*work)(struct keeper *keeper, struct store_worked *worked,
                struct gv_error *error);
    bool (*working)(const struct keeper *keeper);
    /* All that an earlier run left. */
    int (*finish)(struct keeper *keeper, struct gv_error *error);
    int (*heard_own)(struct keeper *keeper, gv_version version,
                     struct gv_error *error);
    const struct vv *(*vv)(const struct keeper *keeper);
    struct hash128 (*fingerprint)(const struct keeper *keeper);
    const struct site *(*site)(const struct keeper *keeper);
    uint64_t (*schema_digest)(const struct keeper *keeper);
    int (*stage)(struct keeper *keeper, const struct core_stage *stage,
                 const uint8_t *bytes, size_t size, uint64_t *kept);
    void (*stage_drop)(struct keeper *keeper, uint64_t token);
    void (*stage_held)(const struct keeper *keeper, struct core_stage *held);
    int (*audit_step)(struct keeper *keeper, gv_time_ms now, size_t rows,
                      struct store_audit *report, struct gv_error *error);
    /* Reads a whole delta; GV_EBUSY: seal and call again. */
    int (*extract)(struct keeper *keeper, struct vv_view vv,
                   struct keeper_extract **extract, struct gv_error *error);
    uint64_t (*extract_spool)(const struct keeper_extract *extract);
    uint64_t (*extract_size)(const struct keeper_extract *extract);
    struct vv_view (*extract_claim)(const struct keeper_extract *extract);
    int (*extract_read)(struct keeper_extract *extract, uint64_t offset,
                        uint8_t *bytes, size_t size);
    void (*extract_free)(struct keeper_extract *extract);
    void (*extract_keep)(struct keeper_extract *extract, gv_time_ms now);
    int (*extract_resume)(struct keeper *keeper, struct vv_view vv,
                          uint64_t spool, uint64_t offset,
                          struct keeper_extract **extract,
                          struct gv_error *error);
};

struct keeper {
    const struct keeper_methods *methods;
};

/* The store on the file at @path of the VFS and host given.  Opens it.
 * @slices: from when on it works in slices. */
int store_keeper_open(const char *path, const char *vfs,
                      const struct host *host, struct log log,
                      const struct store_slices *slices,
                      struct keeper **keeper, struct gv_error *error);
struct store *store_keeper_store(struct keeper *keeper);

/* The model: a set of intervals.  Nothing of it survives model_close(), a
 * crash is one that keeps its memory: whoever crashes a node keeps the keeper.
 * @seed gives its site id. */
int model_open(uint64_t seed, struct keeper **keeper);
/* An application's transaction of @size bytes; sealed by the next begin. */
void model_write(struct keeper *keeper, gv_time_ms wall, size_t size);
/* How many intervals came in deltas that were applied, held before or not. */
uint64_t model_received(const struct keeper *keeper);

#endif
