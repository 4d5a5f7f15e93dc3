/* The node's transactions: what is applied and sealed, and what became of
 * it. */
#include "driver_internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define DRIVER_BATCH_SIZE (256 * 1024)
#define DRIVER_BUSY_MS 3
#define DRIVER_RETRY_MS 1000
#define DRIVER_IO_ERRORS_MAX 10

void driver_apply_later(struct machine *machine, const struct effect *effect)
{
    bool whole = effect->kind == EFFECT_APPLY;
    const struct interval *interval = &effect->as.apply.interval;
    struct vv_view vv =
        whole ? interval->dependencies : effect->as.apply_delta.claim;
    size_t vv_size = vv.count * VV_ENTRY_SIZE;
    size_t size = whole ? interval->size : 0;
    struct apply *apply = calloc(1, sizeof *apply + vv_size + size);

    GV_ASSERT(apply != NULL);
    if (vv_size > 0)
        memcpy(apply->bytes, vv.bytes, vv_size);
    if (size > 0)
        memcpy(apply->bytes + vv_size, interval->bytes, size);
    vv.bytes = apply->bytes;
    apply->kind = effect->kind;
    apply->link = effect->link;
    if (whole) {
        apply->interval = *interval;
        apply->interval.dependencies = vv;
        apply->interval.bytes = apply->bytes + vv_size;
    } else {
        apply->token = effect->as.apply_delta.token;
        apply->claim = vv;
    }
    *machine->applies.end = apply;
    machine->applies.end = &apply->next;
}

void driver_applies_clear(struct applies *applies)
{
    while (applies->first != NULL) {
        struct apply *apply = applies->first;

        applies->first = apply->next;
        free(apply);
    }
    applies->end = &applies->first;
}

static void applies_take(struct machine *machine, struct applies *batch)
{
    struct applies *applies = &machine->applies;
    size_t size = 0;
    bool delta = false;

    batch->first = NULL;
    batch->end = &batch->first;
    /* What comes behind a delta waits until it is applied. */
    while (applies->first != NULL && size < DRIVER_BATCH_SIZE && !delta) {
        struct apply *apply = applies->first;

        size += apply->interval.size;
        delta = apply->kind == EFFECT_APPLY_DELTA;
        applies->first = apply->next;
        apply->next = NULL;
        *batch->end = apply;
        batch->end = &apply->next;
    }
    if (applies->first == NULL)
        applies->end = &applies->first;
}

static void trouble(struct machine *machine, int code,
                    const struct gv_error *why)
{
    bool passes = code == GV_ESCHEMA || code == GV_EFULL ||
                  code == GV_ENOMEM || code == GV_EIO;

    if (code == GV_EIO && ++machine->io_errors >= DRIVER_IO_ERRORS_MAX)
        passes = false;
    if (!passes) {
        driver_end_node(machine, why);
        return;
    }
    world_note(driver_world(machine), "%s: cannot write: %s", machine->name,
               why->what);
    machine->write_due = driver_now(machine) + DRIVER_RETRY_MS;
}

static void apply_batch(struct machine *machine, struct applies *batch)
{
    const struct keeper_methods *methods = machine->keeper->methods;

    for (struct apply *apply = batch->first; apply != NULL;
         apply = apply->next)
        apply->code = apply->kind == EFFECT_APPLY
                          ? methods->apply_interval(
                                machine->keeper, &apply->interval, &apply->why)
                          : methods->apply_delta(machine->keeper, apply->token,
                                                 apply->claim, &apply->why);
}

static void begin_failed(struct machine *machine, int code,
                         const struct gv_error *why)
{
    if (code == GV_EBUSY)
        machine->write_due = driver_now(machine) + DRIVER_BUSY_MS;
    else
        trouble(machine, code, why);
}

/* Whether the file holds more of this site than the core was told. */
static bool sealed_untold(const struct machine *machine)
{
    const struct keeper_methods *methods = machine->keeper->methods;
    const struct site *site = methods->site(machine->keeper);

    return vv_get(methods->vv(machine->keeper), site) >
           vv_get(core_vv(machine->core), site);
}

/* One slice of what takes more than one transaction; false: there was
 * none. */
static bool work_turn(struct machine *machine)
{
    const struct machine_watcher *watcher = machine->options.watcher;
    struct work *work = &machine->work;
    struct gv_error why = {0};
    int rc;

    memset(work, 0, sizeof *work);
    work->batch.end = &work->batch.first;
    rc = machine->keeper->methods->work(machine->keeper, &work->worked, &why);
    if (driver_dead(machine))
        return true;
    if (rc == GV_EIO && sealed_untold(machine)) {
        driver_end_node(machine, &why);
        return true;
    }
    if (rc != GV_OK) {
        begin_failed(machine, rc, &why);
        return true;
    }
    work->slice = work->worked.more || work->worked.sealed.any ||
                  work->worked.token != 0;
    if (!work->slice)
        return false;
    machine->slices += machine_busy(machine);
    work->sealed = work->worked.sealed;
    work->pending = true;
    if (work->sealed.any)
        watcher->committed(watcher->context, machine, &work->sealed);
    return true;
}

/* The transaction happens now; that it is over is heard after the time that
 * the disk took. */
void driver_write_turn(struct machine *machine)
{
    const struct keeper_methods *methods = machine->keeper->methods;
    const struct machine_watcher *watcher = machine->options.watcher;
    struct work *work = &machine->work;
    struct gv_error why = {0};
    int rc;

    if (work_turn(machine))
        return;
    watcher->turning(watcher->context, machine);
    rc = methods->begin(machine->keeper, &why);
    if (rc != GV_OK) {
        begin_failed(machine, rc, &why);
        return;
    }
    memset(work, 0, sizeof *work);
    applies_take(machine, &work->batch);
    apply_batch(machine, &work->batch);
    work->code = methods->commit(machine->keeper, &work->sealed, &work->why);
    work->pending = true;
    if (work->code == GV_OK && !driver_dead(machine))
        watcher->committed(watcher->context, machine, &work->sealed);
}

/* A view of a whole vector; @bytes has room for it. */
static struct vv_view view_of(const struct vv *vv, uint8_t *bytes)
{
    for (size_t i = 0; i < vv->count; i++)
        vv_entry_store(&vv->entries[i], bytes + i * VV_ENTRY_SIZE);
    return (struct vv_view){bytes, vv->count};
}

static void feed_applied(struct machine *machine, const struct apply *apply)
{
    const struct keeper_methods *methods = machine->keeper->methods;
    static uint8_t bytes[VV_SITES_MAX * VV_ENTRY_SIZE];
    struct event event = {
        .kind = EVENT_APPLIED, .link = apply->link, .code = apply->code};

    if (apply->code != GV_OK)
        event.reason = apply->why.what;
    if (apply->kind == EFFECT_APPLY) {
        event.as.applied.interval = apply->interval;
        event.as.applied.fingerprint = methods->fingerprint(machine->keeper);
    } else {
        event.kind = EVENT_DELTA_APPLIED;
        event.as.delta_applied.token = apply->token;
        event.as.delta_applied.vv =
            view_of(methods->vv(machine->keeper), bytes);
        event.as.delta_applied.fingerprint =
            methods->fingerprint(machine->keeper);
    }
    driver_feed(machine, &event);
}

static void feed_sealed(struct machine *machine,
                        const struct store_sealed *sealed)
{
    struct event event = {.kind = EVENT_SEALED};

    if (!sealed->any)
        return;
    event.as.sealed.interval = sealed->interval;
    event.as.sealed.fingerprint =
        machine->keeper->methods->fingerprint(machine->keeper);
    driver_feed(machine, &event);
}

static void feed_schema(struct machine *machine)
{
    struct event event = {.kind = EVENT_SCHEMA_CHANGED};

    if (!machine->schema_moved)
        return;
    machine->schema_moved = false;
    event.as.schema.schema_digest =
        machine->keeper->methods->schema_digest(machine->keeper);
    event.as.schema.fingerprint =
        machine->keeper->methods->fingerprint(machine->keeper);
    driver_feed(machine, &event);
}

static void work_failed(struct machine *machine, struct work *work)
{
    if (!sealed_untold(machine) &&
        (work->code == GV_EFULL || work->code == GV_ENOMEM ||
         work->code == GV_EBUSY))
        trouble(machine, GV_EFULL, &work->why);
    else
        driver_end_node(machine, &work->why);
    for (struct apply *apply = work->batch.first; apply != NULL;
         apply = apply->next)
        apply->code = work->code;
}

/* A delta that was accepted is the last of its batch: it is not applied
 * yet. */
static void keep_accepted(struct machine *machine, struct applies *batch)
{
    struct apply **at = &batch->first;

    GV_ASSERT(machine->slicing == NULL && *at != NULL);
    while ((*at)->next != NULL)
        at = &(*at)->next;
    machine->slicing = *at;
    *at = NULL;
    machine->write_wanted = true;
}

static void slice_done(struct machine *machine, const struct work *work)
{
    struct apply *apply = machine->slicing;

    machine->write_wanted = true;
    machine->io_errors = 0;
    feed_sealed(machine, &work->sealed);
    if (apply == NULL || machine->falling ||
        machine->keeper->methods->working(machine->keeper))
        return;
    machine->slicing = NULL;
    apply->code = work->worked.code;
    apply->why = work->worked.why;
    feed_applied(machine, apply);
    free(apply);
}

void driver_work_done(struct machine *machine)
{
    struct work work = machine->work;

    if (!work.pending)
        return;
    machine->work.pending = false;
    machine->work.batch.first = NULL;
    if (work.slice) {
        slice_done(machine, &work);
        return;
    }
    if (work.code == GV_OK) {
        machine->write_wanted = false;
        if (machine->keeper->methods->working(machine->keeper))
            keep_accepted(machine, &work.batch);
        machine->io_errors = 0;
        driver_deltas_sealed(machine);
        feed_sealed(machine, &work.sealed);
    } else {
        work_failed(machine, &work);
    }
    for (struct apply *apply = work.batch.first;
         apply != NULL && !machine->falling; apply = apply->next)
        feed_applied(machine, apply);
    if (work.code == GV_OK && !machine->falling)
        feed_schema(machine);
    driver_applies_clear(&work.batch);
}

void driver_tell_sealed(struct machine *machine)
{
    const struct keeper_methods *methods = machine->keeper->methods;
    const struct site *site = methods->site(machine->keeper);
    struct store_sealed sealed = {.any = true};

    if (!sealed_untold(machine))
        return;
    sealed.interval.site = *site;
    sealed.interval.from = vv_get(core_vv(machine->core), site);
    sealed.interval.to = vv_get(methods->vv(machine->keeper), site);
    feed_sealed(machine, &sealed);
}
