/* The node's own transactions: seal what applications wrote, apply what came
 * from others, commit, then tell the core.  The core hears of a seal only
 * after store_commit() returned, which syncs: what is sent is durable. */
#include "base/assert.h"
#include "node/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bytes of intervals in one transaction: a few milliseconds of lock. */
#define WRITES_SIZE_MAX (256 * 1024)
/* After a failure that may pass (a full disk), and how many input or output
 * errors in a row are taken for a broken disk. */
#define WRITES_RETRY_MS 1000
#define WRITES_TRIES_MAX 10

/* Note why writing fails; said once, shown by status until it is over. */
static void trouble(struct gv_node *node, const struct gv_error *why)
{
    bool news = node->trouble.code != why->code ||
                strcmp(node->trouble.what, why->what) != 0;

    if (news) {
        node->trouble_count = 0;
        log_line(&node->log, GV_LOG_WARNING, "%s %s %s", why->what,
                 why->meaning, why->remedy);
    }
    node->trouble = *why;
    node->trouble_count++;
    pace_wait(&node->pace, loop_now(), WRITES_RETRY_MS);
}

static void trouble_over(struct gv_node *node)
{
    if (node->trouble.code == GV_OK)
        return;
    log_line(&node->log, GV_LOG_INFO, "writing works again");
    memset(&node->trouble, 0, sizeof node->trouble);
}

/* Whether trying again may help. */
static bool may_pass(const struct gv_node *node, int code)
{
    if (code == GV_EIO)
        return node->trouble.code != GV_EIO ||
               node->trouble_count < WRITES_TRIES_MAX;
    return code == GV_ESCHEMA || code == GV_EFULL || code == GV_ENOMEM;
}

/* Somebody else writes.  Status tells when it lasts. */
static void locked_out(struct gv_node *node)
{
    if (node->busy_since == 0)
        node->busy_since = loop_now();
    pace_wait(&node->pace, loop_now(), PACE_BUSY_MS);
}

static void begin_failed(struct gv_node *node, int code, struct gv_error *why)
{
    why->code = code;
    if (why->what[0] == '\0')
        error_set(why, code, "The file cannot be written: %s.",
                  gv_strerror(code));
    /* A file that was copied over reads as damaged. */
    if (code == GV_EMOVED ||
        (code == GV_ECORRUPT && store_look(node->store, why) == GV_EMOVED))
        loop_moved(node, why);
    else if (code == GV_EBUSY)
        locked_out(node);
    else if (may_pass(node, code))
        trouble(node, why);
    else
        loop_end(node, why);
}

static void apply_one(struct gv_node *node, struct apply *apply)
{
    if (apply->kind == APPLY_INTERVAL)
        apply->code =
            store_apply_interval(node->store, &apply->interval, &apply->why);
    else
        apply->code = store_apply_delta(node->store, apply->token,
                                        apply->claim, &apply->why);
}

static void feed_sealed(struct gv_node *node,
                        const struct store_sealed *sealed)
{
    struct event event = {.kind = EVENT_SEALED};

    if (!sealed->any)
        return;
    event.as.sealed.interval = sealed->interval;
    event.as.sealed.fingerprint = store_fingerprint(node->store);
    loop_feed(node, &event);
}

/* The whole vector of the store as a view; @bytes has room for it. */
static struct vv_view view_of(const struct vv *vv, uint8_t *bytes)
{
    for (size_t i = 0; i < vv->count; i++)
        vv_entry_store(&vv->entries[i], bytes + i * VV_ENTRY_SIZE);
    return (struct vv_view){bytes, vv->count};
}

static const char *link_name(const struct gv_node *node, gv_link link)
{
    for (size_t i = 0; i < core_link_count(node->core); i++) {
        struct link_info info;

        core_link_info(node->core, i, loop_now(), &info);
        if (info.link == link && info.name[0] != '\0')
            return info.name;
    }
    return "a peer";
}

static void note_refusal(struct gv_node *node, const struct apply *apply)
{
    char from[600];
    char site[33];
    uint8_t entry[VV_ENTRY_SIZE];
    struct vv_view needed = apply->claim;

    if (apply->kind == APPLY_INTERVAL) {
        struct vv_entry end = {apply->interval.site, apply->interval.to};

        site_format(&end.site, site);
        snprintf(from, sizeof from, "news of site %s from %s", site,
                 link_name(node, apply->link));
        vv_entry_store(&end, entry);
        needed = (struct vv_view){entry, 1};
    } else {
        snprintf(from, sizeof from, "a delta from %s",
                 link_name(node, apply->link));
    }
    refusals_add(&node->refusals, from, &apply->why, needed,
                 node->host->wall(node->host->context));
}

static bool is_refusal(int code)
{
    return code == GV_ESCHEMA || code == GV_ECLOCK || code == GV_EPROTO ||
           code == GV_EFORK || code == GV_EVERSION;
}

static void feed_applied(struct gv_node *node, const struct apply *apply)
{
    static uint8_t bytes[VV_SITES_MAX * VV_ENTRY_SIZE];
    struct event event = {
        .kind = EVENT_APPLIED, .link = apply->link, .code = apply->code};

    if (apply->code != GV_OK)
        event.reason = apply->why.what;
    if (apply->kind == APPLY_INTERVAL) {
        event.as.applied.interval = apply->interval;
        event.as.applied.fingerprint = store_fingerprint(node->store);
    } else {
        event.kind = EVENT_DELTA_APPLIED;
        event.as.delta_applied.token = apply->token;
        event.as.delta_applied.vv = view_of(store_vv(node->store), bytes);
        event.as.delta_applied.fingerprint = store_fingerprint(node->store);
    }
    if (is_refusal(apply->code))
        note_refusal(node, apply);
    loop_feed(node, &event);
}

static void feed_schema(struct gv_node *node)
{
    struct event event = {.kind = EVENT_SCHEMA_CHANGED};

    if (!node->schema_moved)
        return;
    node->schema_moved = false;
    event.as.schema.schema_digest = store_schema_digest(node->store);
    event.as.schema.fingerprint = store_fingerprint(node->store);
    loop_feed(node, &event);
}

/* Whether the file holds more of this site than the core was told. */
static bool sealed_untold(const struct gv_node *node)
{
    const struct site *site = store_site(node->store);

    return vv_get(store_vv(node->store), site) >
           vv_get(core_vv(node->core), site);
}

/* What an apply learnt from a peer made the commit fail. */
static const struct gv_error *cause_of(const struct applies *batch,
                                       const struct gv_error *why)
{
    for (const struct apply *apply = batch->first; apply != NULL;
         apply = apply->next)
        if (apply->code == GV_EFORK && apply->why.what[0] != '\0')
            return &apply->why;
    return why;
}

/* A failed commit leaves the file as it was, unless it was the sync after it
 * that failed: then what was sealed may not be sent, ever, by this run. */
static void commit_failed(struct gv_node *node, struct applies *batch,
                          int code, struct gv_error *why)
{
    why->code = code;
    if (why->what[0] == '\0')
        error_set(why, code, "The file could not be committed: %s.",
                  gv_strerror(code));
    if (code == GV_EMOVED) {
        loop_moved(node, cause_of(batch, why));
        return;
    }
    if (!sealed_untold(node) &&
        (code == GV_EFULL || code == GV_ENOMEM || code == GV_EBUSY))
        trouble(node, why);
    else
        loop_end(node, why);
    for (struct apply *apply = batch->first; apply != NULL;
         apply = apply->next) {
        apply->code = code;
        apply->why = *why;
        feed_applied(node, apply);
    }
}

static void wrote(struct gv_node *node, const struct store_sealed *sealed)
{
    node->checkpoint_wanted = true;
    node->unkept = GV_OK;
    trouble_over(node);
    pace_wrote(&node->pace, loop_now(), store_wal_frames(node->store));
    node->schema_moved |= sealed->schema_moved;
    feed_sealed(node, sealed);
}

static void committed(struct gv_node *node, struct applies *batch,
                      const struct store_sealed *sealed)
{
    node->write_wanted = store_working(node->store);
    pace_hurry(&node->pace, node->write_wanted);
    if (node->write_wanted)
        node->slicing = applies_take_last(batch);
    wrote(node, sealed);
    for (const struct apply *apply = batch->first; apply != NULL;
         apply = apply->next)
        feed_applied(node, apply);
    feed_schema(node);
}

/* The delta that was applied in slices has ended. */
static void feed_slicing(struct gv_node *node, int code,
                         const struct gv_error *why)
{
    struct apply *apply = node->slicing;

    GV_ASSERT(apply->kind == APPLY_DELTA);
    node->slicing = NULL;
    apply->code = code;
    if (code != GV_OK)
        apply->why = *why;
    feed_applied(node, apply);
    free(apply);
}

/* Damage that a slice met stays, as that of any row does; the node goes on
 * with what it can.  But after a commit whose sync failed it may not: what was
 * sealed may not be sent. */
static void work_failed(struct gv_node *node, int code, struct gv_error *why)
{
    if (code == GV_EIO && sealed_untold(node))
        loop_end(node, why);
    else if (code == GV_ECORRUPT && store_look(node->store, why) != GV_EMOVED)
        trouble(node, why);
    else
        begin_failed(node, code, why);
}

/* Of this thread: what else the machine does is not a slice's length. */
static int64_t processor_us(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* Rows of the next slice of a delta; 0: as many as are usual. */
static size_t slice_rows(struct gv_node *node)
{
    int64_t left = rhythm_left_us(&node->rhythm, loop_now_us());

    if (!pace_polite(&node->pace, loop_now()))
        return 0;
    if (left == 0)
        return RHYTHM_ROWS_MAX;
    pace_fits(&node->pace, loop_now());
    return rhythm_rows(&node->rhythm, left);
}

/* One slice of what takes more than one transaction; false while there is
 * more of it, and nothing else may be written. */
static bool work_is_done(struct gv_node *node)
{
    size_t rows = slice_rows(node);
    int64_t began_us = processor_us();
    struct store_worked worked;
    struct gv_error why = {0};
    int rc;

    store_slice_rows(node->store, rows);
    rc = store_work(node->store, &worked, &why);
    if (rows > 0 && node->slicing != NULL)
        rhythm_took(&node->rhythm, rows, processor_us() - began_us);
    pace_hurry(&node->pace, store_working(node->store));
    if (rc != GV_OK) {
        work_failed(node, rc, &why);
        return false;
    }
    if (worked.more || worked.sealed.any || worked.token != 0) {
        node->busy_since = 0;
        wrote(node, &worked.sealed);
    }
    /* A person's command may have finished it. */
    if (node->slicing != NULL && !store_working(node->store))
        feed_slicing(node, worked.code, &worked.why);
    node->write_wanted |= worked.more;
    return !worked.more;
}

/* What others did meanwhile; what the watch noticed was this node itself. */
static void look_after(struct gv_node *node, int64_t began_us)
{
    (void)watch_drain(&node->watch);
    loop_poll_store(node, began_us);
}

void writes_turn(struct gv_node *node)
{
    int64_t began = loop_now_us();
    struct applies batch;
    struct store_sealed sealed = {.any = false};
    struct gv_error why = {0};
    bool begun;
    int rc;

    if (!work_is_done(node)) {
        look_after(node, began);
        return;
    }
    rc = store_begin_short(node->store, &begun, &why);
    if (rc != GV_EBUSY)
        node->busy_since = 0;
    if (rc != GV_OK) {
        begin_failed(node, rc, &why);
        return;
    }
    if (!begun) {
        node->write_wanted = true;
        look_after(node, began);
        return;
    }
    applies_take(&node->applies, WRITES_SIZE_MAX, &batch);
    for (struct apply *apply = batch.first; apply != NULL; apply = apply->next)
        apply_one(node, apply);
    rc = store_commit(node->store, &sealed, &why);
    if (rc == GV_OK) {
        deltas_sealed(node);
        committed(node, &batch, &sealed);
    } else {
        commit_failed(node, &batch, rc, &why);
    }
    applies_close(&batch);
    look_after(node, began);
}

void writes_tell_sealed(struct gv_node *node)
{
    const struct site *site = store_site(node->store);
    struct store_sealed sealed = {.any = true};

    if (!sealed_untold(node))
        return;
    sealed.interval.site = *site;
    sealed.interval.from = vv_get(core_vv(node->core), site);
    sealed.interval.to = vv_get(store_vv(node->store), site);
    feed_sealed(node, &sealed);
}
