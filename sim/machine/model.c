/* A store made of intervals: a node holds one whole or not at all.
 *
 * What was published is kept once for all models (shelves.c), so a thousand of
 * them need little more than a vector and a bitmap each.  A delta is the
 * intervals that the asker lacks, each with its size before it.
 *
 * The fingerprint is the sum over what was really taken, not what the vector
 * claims; and with each claim the model asserts that everything claimed is
 * held, and that everything taken has what it depends on. */
#include "keeper.h"
#include "shelves.h"

#include "base/assert.h"
#include "base/random.h"
#include "core/clock.h"

#include <stdlib.h>
#include <string.h>

struct model {
    struct keeper keeper; /* first: a keeper is cast back */
    struct site site;
    struct random random;
    struct vv vv;
    struct vv at_last; /* the vector at the last own interval */
    struct hash128 fingerprint;
    uint8_t *has; /* a bit for each interval's number */
    size_t has_size;
    gv_version seen;
    bool journal; /* something is written and not sealed */
    size_t journal_size;
    gv_time_ms journal_wall;
    uint64_t received;         /* intervals, in deltas */
    const struct made *sealed; /* by this transaction, or NULL */
    uint64_t stage_token;      /* 0: none */
    struct buffer stage;
};

struct keeper_extract {
    uint64_t spool;
    struct buffer bytes;
    struct buffer claim;
};

static struct model *model_of(struct keeper *keeper)
{
    return (struct model *)keeper;
}

static const struct model *model_view(const struct keeper *keeper)
{
    return (const struct model *)keeper;
}

/* What a node holds */

static bool holds(const struct model *model, const struct made *made)
{
    size_t byte = made->number / 8;

    return byte < model->has_size &&
           (model->has[byte] >> made->number % 8 & 1) != 0;
}

static void take(struct model *model, const struct made *made)
{
    size_t byte = made->number / 8;

    if (holds(model, made))
        return;
    if (byte >= model->has_size) {
        size_t size = 2 * byte + 64;
        model->has = realloc(model->has, size);
        GV_ASSERT(model->has != NULL);
        memset(model->has + model->has_size, 0, size - model->has_size);
        model->has_size = size;
    }
    model->has[byte] |= (uint8_t)(1u << made->number % 8);
    model->fingerprint = hash128_add(model->fingerprint, made->hash);
}

static void raise_to(struct model *model, const struct site *site,
                     gv_version version)
{
    int rc = vv_raise(&model->vv, site, version);

    GV_ASSERT(rc == GV_OK);
    if (version > model->seen)
        model->seen = version;
}

/* Seal */

/* The entries that grew since the last own interval. */
static void dependencies_of(const struct model *model, struct buffer *out)
{
    for (size_t i = 0; i < model->vv.count; i++) {
        const struct vv_entry *entry = &model->vv.entries[i];
        uint8_t bytes[VV_ENTRY_SIZE];
        if (site_equal(&entry->site, &model->site) ||
            vv_get(&model->at_last, &entry->site) >= entry->version)
            continue;
        vv_entry_store(entry, bytes);
        buffer_append(out, bytes, sizeof bytes);
    }
    GV_ASSERT(out->error == GV_OK);
}

static void seal(struct model *model)
{
    gv_version from = vv_get(&model->vv, &model->site);
    gv_version to = clock_next(model->journal_wall, from, model->seen);
    struct buffer dependencies;
    const struct made *made;
    int rc;

    buffer_init(&dependencies, SIZE_MAX);
    dependencies_of(model, &dependencies);
    made = shelf_publish(
        &model->site, from, to,
        (struct vv_view){dependencies.data, dependencies.size / VV_ENTRY_SIZE},
        model->journal_size);
    buffer_close(&dependencies);
    take(model, made);
    raise_to(model, &model->site, to);
    rc = vv_copy(&model->at_last, &model->vv);
    GV_ASSERT(rc == GV_OK);
    model->sealed = made;
    model->journal = false;
    model->journal_size = 0;
    model->journal_wall = 0;
}

void model_write(struct keeper *keeper, gv_time_ms wall, size_t size)
{
    struct model *model = model_of(keeper);

    model->journal = true;
    model->journal_size += size;
    if (wall > model->journal_wall)
        model->journal_wall = wall;
}

static int model_look(struct keeper *keeper, struct gv_error *error)
{
    (void)keeper;
    (void)error;
    return GV_OK;
}

static int model_poll(struct keeper *keeper, struct store_news *news)
{
    *news = (struct store_news){.committed = model_of(keeper)->journal};
    return GV_OK;
}

static int model_begin(struct keeper *keeper, struct gv_error *error)
{
    struct model *model = model_of(keeper);

    (void)error;
    model->sealed = NULL;
    if (model->journal)
        seal(model);
    return GV_OK;
}

static int model_commit(struct keeper *keeper, struct store_sealed *sealed,
                        struct gv_error *error)
{
    const struct made *made = model_of(keeper)->sealed;

    (void)error;
    *sealed = (struct store_sealed){.any = made != NULL};
    if (made == NULL)
        return GV_OK;
    sealed->interval = made->interval;
    if (made->bytes.size > MESSAGE_NEWS_SIZE_MAX)
        sealed->interval.bytes = NULL;
    return GV_OK;
}

/* Apply */

static int refuse(struct gv_error *error, int code)
{
    return error_set(error, code, "The model refuses it: %s.",
                     gv_strerror(code));
}

static int model_apply_interval(struct keeper *keeper,
                                const struct interval *interval,
                                struct gv_error *error)
{
    struct model *model = model_of(keeper);
    const struct made *made = shelf_find_made(interval->bytes, interval->size);
    gv_version held;

    if (made == NULL)
        return refuse(error, GV_EPROTO);
    held = vv_get(&model->vv, &made->interval.site);
    if (made->to <= held)
        return refuse(error, GV_EDUPLICATE);
    if (made->from < held || site_equal(&made->interval.site, &model->site))
        return refuse(error, GV_EFORK);
    if (held < made->from ||
        !vv_covers_view(&model->vv, made->interval.dependencies))
        return refuse(error, GV_EGAP);
    take(model, made);
    raise_to(model, &made->interval.site, made->to);
    return GV_OK;
}

/* The next interval of a delta's bytes, or NULL: they were damaged. */
static const struct made *next_made(const struct buffer *bytes, size_t *at)
{
    const struct made *made;
    size_t size;

    if (bytes->size - *at < 4)
        return NULL;
    size = load_u32(bytes->data + *at);
    if (bytes->size - *at - 4 < size)
        return NULL;
    made = shelf_find_made(bytes->data + *at + 4, size);
    *at += 4 + size;
    return made;
}

/* Possession: all that @claim adds is held. */
static void check_claim(const struct model *model, struct vv_view claim)
{
    for (size_t i = 0; i < claim.count; i++) {
        struct vv_entry entry = vv_view_at(claim, i);
        const struct shelf *shelf = shelf_find(&entry.site);
        gv_version held = vv_get(&model->vv, &entry.site);
        size_t at;
        if (entry.version <= held)
            continue;
        GV_ASSERT(shelf != NULL);
        for (at = shelf_first_after(shelf, held);
             at < shelf->count && shelf->items[at]->to <= entry.version; at++)
            GV_ASSERT(holds(model, shelf->items[at]));
        GV_ASSERT(at > 0 && shelf->items[at - 1]->to == entry.version);
    }
}

/* Nothing came without what it depends on, or beyond what is claimed. */
static void check_taken(const struct model *model)
{
    for (size_t at = 0; at < model->stage.size;) {
        const struct made *made = next_made(&model->stage, &at);
        GV_ASSERT(vv_get(&model->vv, &made->interval.site) >= made->to);
        GV_ASSERT(vv_covers_view(&model->vv, made->interval.dependencies));
    }
}

static int apply_stage(struct model *model, struct vv_view claim)
{
    for (size_t at = 0; at < model->stage.size;) {
        if (next_made(&model->stage, &at) == NULL)
            return GV_EPROTO;
    }
    for (size_t i = 0; i < claim.count; i++) {
        struct vv_entry entry = vv_view_at(claim, i);
        if (site_equal(&entry.site, &model->site) &&
            entry.version > vv_get(&model->vv, &model->site))
            return GV_EFORK;
    }
    for (size_t at = 0; at < model->stage.size; model->received++)
        take(model, next_made(&model->stage, &at));
    check_claim(model, claim);
    for (size_t i = 0; i < claim.count; i++) {
        struct vv_entry entry = vv_view_at(claim, i);
        raise_to(model, &entry.site, entry.version);
    }
    check_taken(model);
    return GV_OK;
}

static void model_stage_drop(struct keeper *keeper, uint64_t token)
{
    struct model *model = model_of(keeper);

    if (model->stage_token != token)
        return;
    model->stage_token = 0;
    buffer_close(&model->stage);
}

static int model_apply_delta(struct keeper *keeper, uint64_t token,
                             struct vv_view claim, struct gv_error *error)
{
    struct model *model = model_of(keeper);
    int rc = GV_ENOTFOUND;

    if (model->stage_token == token)
        rc = apply_stage(model, claim);
    model_stage_drop(keeper, token);
    return rc == GV_OK ? GV_OK : refuse(error, rc);
}

static int model_stage(struct keeper *keeper, const struct core_stage *stage,
                       const uint8_t *bytes, size_t size, uint64_t *kept)
{
    struct model *model = model_of(keeper);

    if (model->stage_token != stage->token) {
        buffer_close(&model->stage);
        buffer_init(&model->stage, SIZE_MAX);
        model->stage_token = stage->token;
    }
    if (stage->size != model->stage.size)
        return GV_EPROTO;
    *kept = stage->size + size;
    return buffer_append(&model->stage, bytes, size);
}

/* No model goes on with another run's delta, nor reads one for that. */
static void model_stage_held(const struct keeper *keeper,
                             struct core_stage *held)
{
    (void)keeper;
    *held = (struct core_stage){0};
}

/* Extract */

static void read_shelf(const struct site *site, gv_version after,
                       gv_version until, struct buffer *out)
{
    const struct shelf *shelf = shelf_find(site);

    for (size_t i = shelf_first_after(shelf, after);
         i < shelf->count && shelf->items[i]->to <= until; i++) {
        const struct buffer *bytes = &shelf->items[i]->bytes;
        buffer_append_u32(out, (uint32_t)bytes->size);
        buffer_append(out, bytes->data, bytes->size);
    }
}

static void read_all(const struct model *model, struct vv_view vv,
                     struct keeper_extract *extract)
{
    size_t at = 0;

    for (size_t i = 0; i < model->vv.count; i++) {
        const struct vv_entry *entry = &model->vv.entries[i];
        struct vv_entry other = {{{0}}, 0};
        uint8_t bytes[VV_ENTRY_SIZE];
        while (at < vv.count) {
            other = vv_view_at(vv, at);
            if (site_compare(&other.site, &entry->site) >= 0)
                break;
            at++;
        }
        if (at == vv.count || !site_equal(&other.site, &entry->site))
            other.version = 0;
        if (other.version < entry->version)
            read_shelf(&entry->site, other.version, entry->version,
                       &extract->bytes);
        vv_entry_store(entry, bytes);
        buffer_append(&extract->claim, bytes, sizeof bytes);
    }
}

static int model_extract(struct keeper *keeper, struct vv_view vv,
                         struct keeper_extract **out, struct gv_error *error)
{
    struct model *model = model_of(keeper);
    struct keeper_extract *extract;

    if (model->journal)
        return refuse(error, GV_EBUSY);
    extract = calloc(1, sizeof *extract);
    GV_ASSERT(extract != NULL);
    extract->spool = random_u64(&model->random) | 1;
    buffer_init(&extract->bytes, SIZE_MAX);
    buffer_init(&extract->claim, SIZE_MAX);
    read_all(model, vv, extract);
    GV_ASSERT(extract->bytes.error == GV_OK && extract->claim.error == GV_OK);
    *out = extract;
    return GV_OK;
}

static uint64_t model_extract_spool(const struct keeper_extract *extract)
{
    return extract->spool;
}

static uint64_t model_extract_size(const struct keeper_extract *extract)
{
    return extract->bytes.size;
}

static struct vv_view model_extract_claim(const struct keeper_extract *extract)
{
    return (struct vv_view){extract->claim.data,
                            extract->claim.size / VV_ENTRY_SIZE};
}

static int model_extract_read(struct keeper_extract *extract, uint64_t offset,
                              uint8_t *bytes, size_t size)
{
    GV_ASSERT(offset + size <= extract->bytes.size);
    if (size > 0)
        memcpy(bytes, extract->bytes.data + offset, size);
    return GV_OK;
}

static void model_extract_free(struct keeper_extract *extract)
{
    if (extract == NULL)
        return;
    buffer_close(&extract->bytes);
    buffer_close(&extract->claim);
    free(extract);
}

/* Looks, and the model itself */

/* All of it is done at once. */
static int model_work(struct keeper *keeper, struct store_worked *worked,
                      struct gv_error *error)
{
    (void)keeper;
    (void)error;
    *worked = (struct store_worked){.more = false};
    return GV_OK;
}

static bool model_working(const struct keeper *keeper)
{
    (void)keeper;
    return false;
}

static int model_finish(struct keeper *keeper, struct gv_error *error)
{
    (void)keeper;
    (void)error;
    return GV_OK;
}

/* A model's file never goes back in time. */
static int model_heard_own(struct keeper *keeper, gv_version version,
                           struct gv_error *error)
{
    const struct shelf *shelf = shelf_find(&model_of(keeper)->site);
    size_t at;

    (void)error;
    GV_ASSERT(shelf != NULL);
    at = shelf_first_after(shelf, version);
    GV_ASSERT(at > 0 && shelf->items[at - 1]->to == version);
    return GV_OK;
}

static const struct vv *model_vv(const struct keeper *keeper)
{
    return &model_view(keeper)->vv;
}

static struct hash128 model_fingerprint(const struct keeper *keeper)
{
    return model_view(keeper)->fingerprint;
}

static const struct site *model_site(const struct keeper *keeper)
{
    return &model_view(keeper)->site;
}

uint64_t model_received(const struct keeper *keeper)
{
    return model_view(keeper)->received;
}

static uint64_t model_schema_digest(const struct keeper *keeper)
{
    (void)keeper;
    return 1;
}

static void model_close(struct keeper *keeper)
{
    struct model *model = model_of(keeper);

    if (keeper == NULL)
        return;
    vv_close(&model->vv);
    vv_close(&model->at_last);
    buffer_close(&model->stage);
    free(model->has);
    free(model);
    shelves_leave();
}

/* Nobody writes past a model's triggers. */
static int model_audit_step(struct keeper *keeper, gv_time_ms now, size_t rows,
                            struct store_audit *report, struct gv_error *error)
{
    (void)keeper;
    (void)now;
    (void)rows;
    (void)error;
    *report = (struct store_audit){.due = INT64_MAX};
    return GV_OK;
}

static void model_extract_keep(struct keeper_extract *extract, gv_time_ms now)
{
    (void)now;
    model_extract_free(extract);
}

static int model_extract_resume(struct keeper *keeper, struct vv_view vv,
                                uint64_t spool, uint64_t offset,
                                struct keeper_extract **extract,
                                struct gv_error *error)
{
    (void)keeper;
    (void)vv;
    (void)spool;
    (void)offset;
    (void)error;
    *extract = NULL;
    return GV_OK;
}

int model_open(uint64_t seed, struct keeper **keeper)
{
    static const struct keeper_methods methods = {
        .close = model_close,
        .poll = model_poll,
        .look = model_look,
        .begin = model_begin,
        .apply_interval = model_apply_interval,
        .apply_delta = model_apply_delta,
        .commit = model_commit,
        .work = model_work,
        .working = model_working,
        .finish = model_finish,
        .heard_own = model_heard_own,
        .vv = model_vv,
        .fingerprint = model_fingerprint,
        .site = model_site,
        .schema_digest = model_schema_digest,
        .stage = model_stage,
        .stage_drop = model_stage_drop,
        .stage_held = model_stage_held,
        .audit_step = model_audit_step,
        .extract = model_extract,
        .extract_spool = model_extract_spool,
        .extract_size = model_extract_size,
        .extract_claim = model_extract_claim,
        .extract_read = model_extract_read,
        .extract_free = model_extract_free,
        .extract_keep = model_extract_keep,
        .extract_resume = model_extract_resume,
    };
    struct model *model = calloc(1, sizeof *model);

    if (model == NULL)
        return GV_ENOMEM;
    model->keeper.methods = &methods;
    random_seed(&model->random, seed);
    store_u64(model->site.bytes, random_u64(&model->random));
    store_u64(model->site.bytes + 8, random_u64(&model->random));
    vv_init(&model->vv);
    vv_init(&model->at_last);
    buffer_init(&model->stage, SIZE_MAX);
    shelves_enter();
    *keeper = &model->keeper;
    return GV_OK;
}
