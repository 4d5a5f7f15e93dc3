/* The product's store behind keeper.h. */
#include "keeper.h"

#include "base/assert.h"

#include <stdlib.h>

/* Rows between two looks at other work, as the node does it. */
#define STEP_ROWS 64

struct store_keeper {
    struct keeper keeper;
    struct store *store;
};

static struct store *store_of(const struct keeper *keeper)
{
    return ((const struct store_keeper *)keeper)->store;
}

struct store *store_keeper_store(struct keeper *keeper)
{
    return store_of(keeper);
}

static struct extract *inside(const struct keeper_extract *extract)
{
    return (struct extract *)(uintptr_t)extract;
}

static void keeper_close(struct keeper *keeper)
{
    store_close(store_of(keeper));
    free(keeper);
}

static int keeper_poll(struct keeper *keeper, struct store_news *news)
{
    return store_poll(store_of(keeper), news);
}

static int keeper_look(struct keeper *keeper, struct gv_error *error)
{
    return store_look(store_of(keeper), error);
}

static int keeper_begin(struct keeper *keeper, struct gv_error *error)
{
    return store_begin(store_of(keeper), error);
}

static int keeper_apply_interval(struct keeper *keeper,
                                 const struct interval *interval,
                                 struct gv_error *error)
{
    return store_apply_interval(store_of(keeper), interval, error);
}

static int keeper_apply_delta(struct keeper *keeper, uint64_t token,
                              struct vv_view claim, struct gv_error *error)
{
    return store_apply_delta(store_of(keeper), token, claim, error);
}

static int keeper_commit(struct keeper *keeper, struct store_sealed *sealed,
                         struct gv_error *error)
{
    return store_commit(store_of(keeper), sealed, error);
}

static int keeper_work(struct keeper *keeper, struct store_worked *worked,
                       struct gv_error *error)
{
    return store_work(store_of(keeper), worked, error);
}

static bool keeper_working(const struct keeper *keeper)
{
    return store_working(store_of(keeper));
}

/* A node that finds a slice behind it goes on with it first of all. */
static int keeper_finish(struct keeper *keeper, struct gv_error *error)
{
    struct store *store = store_of(keeper);

    if (!store_working(store) && !store_busy(store))
        return GV_OK;
    return store_work_all(store, 0, NULL, error);
}

static int keeper_heard_own(struct keeper *keeper, gv_version version,
                            struct gv_error *error)
{
    return store_heard_own(store_of(keeper), version, error);
}

static const struct vv *keeper_vv(const struct keeper *keeper)
{
    return store_vv(store_of(keeper));
}

static struct hash128 keeper_fingerprint(const struct keeper *keeper)
{
    return store_fingerprint(store_of(keeper));
}

static const struct site *keeper_site(const struct keeper *keeper)
{
    return store_site(store_of(keeper));
}

static uint64_t keeper_schema_digest(const struct keeper *keeper)
{
    return store_schema_digest(store_of(keeper));
}

static int keeper_stage(struct keeper *keeper, const struct core_stage *stage,
                        const uint8_t *bytes, size_t size, uint64_t *kept)
{
    return store_stage_from(store_of(keeper), stage, bytes, size, kept);
}

static void keeper_stage_held(const struct keeper *keeper,
                              struct core_stage *held)
{
    store_stage_held(store_of(keeper), held);
}

static void keeper_stage_drop(struct keeper *keeper, uint64_t token)
{
    store_stage_drop(store_of(keeper), token);
}

static int keeper_audit_step(struct keeper *keeper, gv_time_ms now,
                             size_t rows, struct store_audit *report,
                             struct gv_error *error)
{
    return store_audit_step(store_of(keeper), now, rows, report, error);
}

static int keeper_extract(struct keeper *keeper, struct vv_view vv,
                          struct keeper_extract **extract,
                          struct gv_error *error)
{
    struct extract *reading;
    bool done = false;
    int rc = extract_begin(store_of(keeper), vv, &reading, error);

    if (rc != GV_OK)
        return rc;
    while (rc == GV_OK && !done)
        rc = extract_step(reading, STEP_ROWS, &done, error);
    if (rc != GV_OK) {
        extract_free(reading);
        return rc;
    }
    *extract = (struct keeper_extract *)reading;
    return GV_OK;
}

static uint64_t keeper_extract_spool(const struct keeper_extract *extract)
{
    return extract_spool(inside(extract));
}

static uint64_t keeper_extract_size(const struct keeper_extract *extract)
{
    return extract_size(inside(extract));
}

static struct vv_view
keeper_extract_claim(const struct keeper_extract *extract)
{
    return extract_claim(inside(extract));
}

static int keeper_extract_read(struct keeper_extract *extract, uint64_t offset,
                               uint8_t *bytes, size_t size)
{
    return extract_read(inside(extract), offset, bytes, size);
}

static void keeper_extract_free(struct keeper_extract *extract)
{
    extract_free(inside(extract));
}

static void keeper_extract_keep(struct keeper_extract *extract, gv_time_ms now)
{
    extract_keep(inside(extract), now);
}

static int keeper_extract_resume(struct keeper *keeper, struct vv_view vv,
                                 uint64_t spool, uint64_t offset,
                                 struct keeper_extract **extract,
                                 struct gv_error *error)
{
    struct extract *found;
    int rc =
        extract_resume(store_of(keeper), vv, spool, offset, &found, error);

    *extract = (struct keeper_extract *)found;
    return rc;
}

static const struct keeper_methods methods = {
    .close = keeper_close,
    .poll = keeper_poll,
    .look = keeper_look,
    .begin = keeper_begin,
    .apply_interval = keeper_apply_interval,
    .apply_delta = keeper_apply_delta,
    .commit = keeper_commit,
    .work = keeper_work,
    .working = keeper_working,
    .finish = keeper_finish,
    .heard_own = keeper_heard_own,
    .vv = keeper_vv,
    .fingerprint = keeper_fingerprint,
    .site = keeper_site,
    .schema_digest = keeper_schema_digest,
    .stage = keeper_stage,
    .stage_drop = keeper_stage_drop,
    .stage_held = keeper_stage_held,
    .audit_step = keeper_audit_step,
    .extract = keeper_extract,
    .extract_spool = keeper_extract_spool,
    .extract_size = keeper_extract_size,
    .extract_claim = keeper_extract_claim,
    .extract_read = keeper_extract_read,
    .extract_free = keeper_extract_free,
    .extract_keep = keeper_extract_keep,
    .extract_resume = keeper_extract_resume,
};

int store_keeper_open(const char *path, const char *vfs,
                      const struct host *host, struct log log,
                      const struct store_slices *slices,
                      struct keeper **keeper, struct gv_error *error)
{
    struct store_options options = {.mode = STORE_WRITE,
                                    .host = host,
                                    .vfs = vfs,
                                    .log = log,
                                    .slices = *slices};
    struct store_keeper *made = calloc(1, sizeof *made);
    int rc;

    GV_ASSERT(made != NULL);
    made->keeper.methods = &methods;
    rc = store_open(path, &options, &made->store, error);
    if (rc != GV_OK) {
        free(made);
        return rc;
    }
    *keeper = &made->keeper;
    return GV_OK;
}
