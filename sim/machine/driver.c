/* The node's loop once more: wait, one event at a time into the core, carry
 * out the effects.  It is src/node's with simulated parts around it; where
 * the node's loop blocks in the store, this one lets virtual time pass. */
#include "machine_state.h"

#include "base/assert.h"
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

#define DRIVER_POLL_MS 1000
#define DRIVER_BATCH_SIZE (256 * 1024)
#define DRIVER_BUSY_MS 3
#define DRIVER_RETRY_MS 1000
#define DRIVER_IO_ERRORS_MAX 10
#define DRIVER_DELTA_TRIES 3
#define DRIVER_AUDIT_ROWS 200
/* Above the longest that an audit waits for; the daily one is further away. */
#define AUDIT_SOON_MS 70000

static struct world *world_of(const struct machine *machine)
{
    return machine->options.world;
}

gv_time_ms driver_now(const struct machine *machine)
{
    return world_now(world_of(machine)) / SIM_MS;
}

/* The loop is asked for at most once; what was asked for earlier and is no
 * longer the next turn finds another wake_at. */
static void turn(void *context, uint64_t when);

void driver_wake(struct machine *machine, sim_time when)
{
    sim_time now = world_now(world_of(machine));

    if (when < machine->busy_until)
        when = machine->busy_until;
    if (when < now)
        when = now;
    if (when >= machine->wake_at)
        return;
    machine->wake_at = when;
    world_at(world_of(machine), when, turn, machine, (uint64_t)when);
}

static bool dead(const struct machine *machine)
{
    return machine->process != NULL && process_dead(machine->process);
}

/* Steps */

static void finish(struct machine *machine, const struct event *event)
{
    struct finished *finished = &machine->finished;

    if (finished->count == finished->capacity) {
        finished->capacity = finished->capacity * 2 + 16;
        finished->items = reallocarray(finished->items, finished->capacity,
                                       sizeof *finished->items);
        GV_ASSERT(finished->items != NULL);
    }
    finished->items[finished->count++] = *event;
}

static void carry_out(struct machine *machine, const struct effects *effects);

static void step(struct machine *machine, struct event *event)
{
    struct effects effects = {0};

    event->now = driver_now(machine);
    event->wall = machine_wall(machine);
    core_step(machine->core, event, &effects);
    machine->options.watcher->stepped(machine->options.watcher->context,
                                      machine, event);
    carry_out(machine, &effects);
}

static void feed(struct machine *machine, struct event *event)
{
    struct finished *finished = &machine->finished;

    step(machine, event);
    while (!machine->falling && finished->first < finished->count) {
        struct event next = finished->items[finished->first++];

        step(machine, &next);
    }
    finished->first = 0;
    finished->count = 0;
}

/* Effects */

static void narrate(const struct machine *machine, gv_link link,
                    const struct message *message, size_t size)
{
    static const char *const names[] = {"",      "HELLO", "NEWS", "VV",
                                        "WANT",  "DELTA", "ACK",  "PRUNE",
                                        "PEERS", "BYE"};

    world_detail(world_of(machine), "%s: %s of %zu bytes on link %llu",
                 machine->name, names[message->kind], size,
                 (unsigned long long)link);
}

static void link_down(struct machine *machine, gv_link link,
                      const char *reason)
{
    struct event event = {
        .kind = EVENT_LINK_DOWN, .link = link, .reason = reason};

    finish(machine, &event);
}

static void send_message(struct machine *machine, gv_link link,
                         const struct message *message)
{
    struct machine_sent *sent = &machine->sent;
    struct buffer frame;
    int rc;

    machine->options.watcher->sending(machine->options.watcher->context,
                                      machine, link, message);
    buffer_init(&frame, MESSAGE_FRAME_SIZE_MAX);
    rc = frame_encode(message, &frame);
    GV_ASSERT(rc == GV_OK);
    narrate(machine, link, message, frame.size);
    sent->frames[message->kind]++;
    sent->bytes[message->kind] += frame.size;
    if (message->kind == MESSAGE_NEWS)
        sent->intervals += message->as.news.interval_count;
    rc = network_send(machine->options.network, machine->options.index, link,
                      frame.data, frame.size);
    buffer_close(&frame);
    if (rc != GV_OK) {
        network_close(machine->options.network, machine->options.index, link);
        link_down(machine, link,
                  rc == GV_ELIMIT ? "the peer is too far behind"
                                  : gv_strerror(rc));
    }
}

static struct delta **delta_at(struct machine *machine, gv_link link,
                               uint64_t token)
{
    struct delta **at = &machine->deltas;

    while (*at != NULL && ((*at)->link != link || (*at)->token != token))
        at = &(*at)->next;
    return at;
}

static void delta_drop(struct machine *machine, gv_link link, uint64_t token)
{
    struct delta **at = delta_at(machine, link, token);
    struct delta *delta = *at;

    if (delta == NULL)
        return;
    *at = delta->next;
    if (delta->extract != NULL)
        machine->keeper->methods->extract_free(delta->extract);
    free(delta);
}

/* What a peer asked for leaves, but for its end. */
static bool end_is_lost(struct machine *machine, const struct effect *effect)
{
    if (!effect->as.send_delta.last || machine->lost_ends == 0 ||
        !chance(world_random(world_of(machine), STREAM_NETWORK),
                machine->lost_ends))
        return false;
    machine->ends_lost++;
    return true;
}

static void send_delta(struct machine *machine, const struct effect *effect)
{
    const struct keeper_methods *methods = machine->keeper->methods;
    struct delta *delta =
        *delta_at(machine, effect->link, effect->as.send_delta.token);
    struct message message = {.kind = MESSAGE_DELTA};
    struct message_delta *piece = &message.as.delta;
    uint8_t *bytes;

    if (delta == NULL || delta->extract == NULL ||
        end_is_lost(machine, effect))
        return;
    bytes = malloc(effect->as.send_delta.size + 1);
    GV_ASSERT(bytes != NULL);
    piece->token = delta->token;
    piece->spool = effect->as.send_delta.spool;
    piece->offset = effect->as.send_delta.offset;
    piece->bytes = bytes;
    piece->size = effect->as.send_delta.size;
    piece->last = effect->as.send_delta.last;
    if (piece->last)
        piece->claim = methods->extract_claim(delta->extract);
    if (methods->extract_read(delta->extract, piece->offset, bytes,
                              piece->size) == GV_OK) {
        send_message(machine, effect->link, &message);
    } else {
        network_close(machine->options.network, machine->options.index,
                      effect->link);
        link_down(machine, effect->link, "a spooled delta could not be read");
    }
    free(bytes);
}

static void apply_later(struct machine *machine, const struct effect *effect)
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

static void extract_later(struct machine *machine, const struct effect *effect)
{
    struct vv_view vv = effect->as.extract.vv;
    struct delta **at = &machine->deltas;
    struct delta *delta = calloc(1, sizeof *delta + vv.count * VV_ENTRY_SIZE);

    GV_ASSERT(delta != NULL);
    delta->link = effect->link;
    delta->token = effect->as.extract.token;
    delta->vv_count = vv.count;
    if (vv.count > 0)
        memcpy(delta->vv, vv.bytes, vv.count * VV_ENTRY_SIZE);
    while (*at != NULL)
        at = &(*at)->next;
    *at = delta;
}

static void stage(struct machine *machine, const struct effect *effect)
{
    struct event event = {.kind = EVENT_STAGED, .link = effect->link};

    event.code = machine->keeper->methods->stage(
        machine->keeper, effect->as.stage.token, effect->as.stage.offset,
        effect->as.stage.bytes, effect->as.stage.size);
    if (event.code != GV_OK)
        event.reason = gv_strerror(event.code);
    event.as.staged.token = effect->as.stage.token;
    event.as.staged.size = effect->as.stage.size;
    finish(machine, &event);
}

static void end_node(struct machine *machine, const struct gv_error *why)
{
    world_note(world_of(machine), "%s: ends: %s", machine->name, why->what);
    machine->ending = true;
    machine->falling = true;
}

static void hear_own(struct machine *machine, gv_version version)
{
    struct gv_error why = {0};
    int rc =
        machine->keeper->methods->heard_own(machine->keeper, version, &why);

    if (rc == GV_EMOVED)
        end_node(machine, &why);
    else if (rc != GV_OK)
        world_note(world_of(machine), "%s: %s", machine->name, why.what);
}

static void carry_out_one(struct machine *machine, const struct effect *effect)
{
    struct network *network = machine->options.network;
    size_t self = machine->options.index;

    switch (effect->kind) {
    case EFFECT_CONNECT:
        network_connect(network, self, effect->link,
                        effect->as.connect.endpoint);
        break;
    case EFFECT_CLOSE:
        network_close(network, self, effect->link);
        break;
    case EFFECT_SEND:
        send_message(machine, effect->link, &effect->as.send.message);
        break;
    case EFFECT_SEND_DELTA:
        send_delta(machine, effect);
        break;
    case EFFECT_APPLY:
    case EFFECT_APPLY_DELTA:
        apply_later(machine, effect);
        break;
    case EFFECT_STAGE:
        stage(machine, effect);
        break;
    case EFFECT_DROP_STAGE:
        machine->keeper->methods->stage_drop(machine->keeper,
                                             effect->as.drop.token);
        break;
    case EFFECT_EXTRACT:
        extract_later(machine, effect);
        break;
    case EFFECT_DROP_EXTRACT:
        delta_drop(machine, effect->link, effect->as.drop.token);
        break;
    case EFFECT_LOG:
        world_note(world_of(machine), "%s: %s", machine->name,
                   effect->as.log.line);
        break;
    case EFFECT_HEARD_OWN:
        hear_own(machine, effect->as.heard_own.version);
        break;
    }
}

/* Between any two effects the process may end. */
static void carry_out(struct machine *machine, const struct effects *effects)
{
    for (size_t i = 0; i < effects->count && !machine->falling; i++) {
        if (machine->effects_left > 0 && --machine->effects_left == 0) {
            machine->falling = true;
            return;
        }
        world_mark(world_of(machine), effects->items[i].kind);
        carry_out_one(machine, &effects->items[i]);
        if (dead(machine))
            machine->falling = true;
    }
}

/* Writes */

static void applies_clear(struct applies *applies)
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

    batch->first = NULL;
    batch->end = &batch->first;
    while (applies->first != NULL && size < DRIVER_BATCH_SIZE) {
        struct apply *apply = applies->first;

        size += apply->interval.size;
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
        end_node(machine, why);
        return;
    }
    world_note(world_of(machine), "%s: cannot write: %s", machine->name,
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

/* The transaction happens now; that it is over is heard after the time that
 * the disk took. */
static void write_turn(struct machine *machine)
{
    const struct keeper_methods *methods = machine->keeper->methods;
    const struct machine_watcher *watcher = machine->options.watcher;
    struct work *work = &machine->work;
    struct gv_error why = {0};
    int rc;

    watcher->turning(watcher->context, machine);
    rc = methods->begin(machine->keeper, &why);
    if (rc == GV_EBUSY) {
        machine->write_due = driver_now(machine) + DRIVER_BUSY_MS;
        return;
    }
    if (rc != GV_OK) {
        trouble(machine, rc, &why);
        return;
    }
    memset(work, 0, sizeof *work);
    applies_take(machine, &work->batch);
    apply_batch(machine, &work->batch);
    work->code = methods->commit(machine->keeper, &work->sealed, &work->why);
    work->pending = true;
    if (work->code == GV_OK && !dead(machine))
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
    feed(machine, &event);
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
    feed(machine, &event);
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
    feed(machine, &event);
}

/* Whether the file holds more of this site than the core was told. */
static bool sealed_untold(const struct machine *machine)
{
    const struct keeper_methods *methods = machine->keeper->methods;
    const struct site *site = methods->site(machine->keeper);

    return vv_get(methods->vv(machine->keeper), site) >
           vv_get(core_vv(machine->core), site);
}

static void deltas_sealed(struct machine *machine)
{
    for (struct delta *delta = machine->deltas; delta != NULL;
         delta = delta->next)
        delta->waits_for_seal = false;
}

static void work_failed(struct machine *machine, struct work *work)
{
    if (!sealed_untold(machine) &&
        (work->code == GV_EFULL || work->code == GV_ENOMEM ||
         work->code == GV_EBUSY))
        trouble(machine, GV_EFULL, &work->why);
    else
        end_node(machine, &work->why);
    for (struct apply *apply = work->batch.first; apply != NULL;
         apply = apply->next)
        apply->code = work->code;
}

static void work_done(struct machine *machine)
{
    struct work work = machine->work;

    if (!work.pending)
        return;
    machine->work.pending = false;
    machine->work.batch.first = NULL;
    if (work.code == GV_OK) {
        machine->write_wanted = false;
        machine->io_errors = 0;
        deltas_sealed(machine);
        feed_sealed(machine, &work.sealed);
    } else {
        work_failed(machine, &work);
    }
    for (struct apply *apply = work.batch.first;
         apply != NULL && !machine->falling; apply = apply->next)
        feed_applied(machine, apply);
    if (work.code == GV_OK && !machine->falling)
        feed_schema(machine);
    applies_clear(&work.batch);
}

/* Deltas */

static void extracted(struct machine *machine, struct delta *delta, int code,
                      const char *reason)
{
    const struct keeper_methods *methods = machine->keeper->methods;
    struct event event = {.kind = EVENT_EXTRACTED,
                          .link = delta->link,
                          .code = code,
                          .reason = reason};

    event.as.extracted.token = delta->token;
    if (code == GV_OK) {
        event.as.extracted.spool = methods->extract_spool(delta->extract);
        event.as.extracted.size = methods->extract_size(delta->extract);
        event.as.extracted.claim_count =
            methods->extract_claim(delta->extract).count;
    } else {
        delta_drop(machine, delta->link, delta->token);
    }
    feed(machine, &event);
}

static struct delta *delta_due(const struct machine *machine)
{
    struct delta *delta = machine->deltas;

    while (delta != NULL && delta->extract != NULL)
        delta = delta->next;
    return delta != NULL && !delta->waits_for_seal ? delta : NULL;
}

static void delta_turn(struct machine *machine)
{
    struct delta *delta = delta_due(machine);
    struct gv_error why = {0};
    int rc;

    if (delta == NULL)
        return;
    rc = machine->keeper->methods->extract(
        machine->keeper, (struct vv_view){delta->vv, delta->vv_count},
        &delta->extract, &why);
    if (dead(machine))
        return;
    if (rc == GV_EBUSY ||
        (rc == GV_EDIFFERS && ++delta->tries < DRIVER_DELTA_TRIES)) {
        delta->waits_for_seal = true;
        machine->write_wanted = true;
    } else {
        extracted(machine, delta, rc, why.what);
    }
}

/* The loop */

static void take_arrival(struct machine *machine, const struct arrival *got)
{
    struct message message;
    struct event event = {.link = got->link, .reason = got->reason};

    switch (got->kind) {
    case ARRIVAL_UP:
        event.kind = EVENT_LINK_UP;
        break;
    case ARRIVAL_DOWN:
        event.kind = EVENT_LINK_DOWN;
        break;
    case ARRIVAL_FRAME:
        event.code = frame_decode(got->bytes, got->size, &message);
        event.kind = event.code == GV_OK ? EVENT_MESSAGE : EVENT_BAD_FRAME;
        event.reason = "a frame that does not follow the protocol";
        if (event.code == GV_OK) {
            event.as.message.message = &message;
            event.as.message.frame_size = got->size;
        }
        break;
    }
    feed(machine, &event);
}

static void take_arrivals(struct machine *machine)
{
    while (machine->arrivals != NULL && !machine->falling) {
        struct arrival *got = machine->arrivals;

        machine->arrivals = got->next;
        if (machine->arrivals == NULL)
            machine->arrivals_end = &machine->arrivals;
        take_arrival(machine, got);
        free(got);
    }
}

static void take_commits(struct machine *machine)
{
    struct store_news news = {false, false};
    gv_time_ms now = driver_now(machine);

    if (now < machine->poll_due)
        return;
    machine->poll_due = now + DRIVER_POLL_MS;
    if (machine->keeper->methods->poll(machine->keeper, &news) != GV_OK)
        return;
    if (news.schema_moved)
        machine->schema_moved = true;
    if (news.schema_moved)
        machine->audit_due = 0;
    if (news.committed || news.schema_moved)
        machine->write_wanted = true;
}

static void take_time(struct machine *machine)
{
    struct event tick = {.kind = EVENT_TICK};

    if (!machine->falling &&
        driver_now(machine) >= core_deadline(machine->core))
        feed(machine, &tick);
}

static bool write_pending(const struct machine *machine)
{
    return machine->write_wanted || machine->applies.first != NULL;
}

static void write_if_due(struct machine *machine)
{
    if (!machine->falling && write_pending(machine) &&
        driver_now(machine) >= machine->write_due)
        write_turn(machine);
}

static bool idle(const struct machine *machine)
{
    return !machine->falling && !machine->work.pending &&
           !write_pending(machine) && machine->deltas == NULL;
}

/* One slice of the audit when nothing else is to be done. */
static void audit_if_idle(struct machine *machine)
{
    gv_time_ms now = driver_now(machine);
    struct store_audit audit;
    struct gv_error why = {0};
    int rc;

    if (!idle(machine) || now < machine->audit_due)
        return;
    rc = machine->keeper->methods->audit_step(machine->keeper, now,
                                              DRIVER_AUDIT_ROWS, &audit, &why);
    machine->audit_due = rc == GV_OK ? audit.due : now + DRIVER_POLL_MS;
    machine->write_wanted |= audit.write || audit.resumed;
    machine->schema_moved |= audit.resumed;
}

bool machine_audits(const struct machine *machine)
{
    return machine_alive(machine) &&
           machine->audit_due < driver_now(machine) + AUDIT_SOON_MS;
}

/* What was done since the turn began took the disk so long, and the processor
 * a moment. */
static void pass_time(struct machine *machine)
{
    struct world *world = world_of(machine);
    sim_time spent = 0;

    if (machine->disk != NULL)
        spent = (sim_time)disk_latency_take(machine->disk);
    if (machine->work.pending && machine->work_max > 0)
        spent +=
            between(world_random(world, STREAM_MACHINE), 0, machine->work_max);
    machine->busy_until = world_now(world) + spent;
}

static void ask_for_next(struct machine *machine)
{
    gv_time_ms due = core_deadline(machine->core);

    if (machine->work.pending || delta_due(machine) != NULL)
        due = driver_now(machine);
    if (machine->poll_due < due)
        due = machine->poll_due;
    if (write_pending(machine) && machine->write_due < due)
        due = machine->write_due;
    if (idle(machine) && machine->audit_due < due)
        due = machine->audit_due;
    driver_wake(machine, due < SIM_NEVER / SIM_MS ? due * SIM_MS : SIM_NEVER);
}

static void loop(struct machine *machine)
{
    machine->wake_at = SIM_NEVER;
    work_done(machine);
    if (!machine->falling)
        take_commits(machine);
    take_arrivals(machine);
    take_time(machine);
    write_if_due(machine);
    if (!machine->falling && !machine->work.pending)
        delta_turn(machine);
    audit_if_idle(machine);
    if (machine_fallen(machine))
        return;
    pass_time(machine);
    ask_for_next(machine);
}

static void turn(void *context, uint64_t when)
{
    struct machine *machine = context;

    if (!machine->alive || machine->wake_at != (sim_time)when)
        return;
    if (world_now(world_of(machine)) < machine->busy_until) {
        machine->wake_at = SIM_NEVER;
        driver_wake(machine, machine->busy_until);
        return;
    }
    loop(machine);
}

static void arrive(struct machine *machine, struct arrival *got)
{
    *machine->arrivals_end = got;
    machine->arrivals_end = &got->next;
    driver_wake(machine, world_now(world_of(machine)));
}

static struct arrival *arrival_new(gv_link link, size_t size)
{
    struct arrival *got = calloc(1, sizeof *got + size);

    GV_ASSERT(got != NULL);
    got->link = link;
    got->size = size;
    return got;
}

void machine_take_up(struct machine *machine, gv_link link)
{
    struct arrival *got = arrival_new(link, 0);

    got->kind = ARRIVAL_UP;
    arrive(machine, got);
}

void machine_take_down(struct machine *machine, gv_link link,
                       const char *reason)
{
    struct arrival *got = arrival_new(link, 0);

    got->kind = ARRIVAL_DOWN;
    got->reason = reason;
    arrive(machine, got);
}

void machine_take_frame(struct machine *machine, gv_link link,
                        const uint8_t *bytes, size_t size)
{
    struct arrival *got = arrival_new(link, size);

    got->kind = ARRIVAL_FRAME;
    memcpy(got->bytes, bytes, size);
    arrive(machine, got);
}

/* Beginning and end */

static void tell_sealed(struct machine *machine)
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

void driver_start(struct machine *machine)
{
    machine->wake_at = SIM_NEVER;
    machine->busy_until = 0;
    machine->poll_due = driver_now(machine);
    machine->write_due = 0;
    machine->audit_due = 0;
    machine->write_wanted = true;
    machine->schema_moved = false;
    machine->io_errors = 0;
    tell_sealed(machine);
    driver_wake(machine, world_now(world_of(machine)));
}

void driver_say_bye(struct machine *machine)
{
    struct effects effects = {0};

    core_stop(machine->core, driver_now(machine), &effects);
    carry_out(machine, &effects);
}

void driver_clear(struct machine *machine)
{
    while (machine->arrivals != NULL) {
        struct arrival *got = machine->arrivals;

        machine->arrivals = got->next;
        free(got);
    }
    machine->arrivals_end = &machine->arrivals;
    applies_clear(&machine->applies);
    if (machine->work.pending)
        applies_clear(&machine->work.batch);
    machine->work.pending = false;
    while (machine->deltas != NULL)
        delta_drop(machine, machine->deltas->link, machine->deltas->token);
    machine->finished.first = 0;
    machine->finished.count = 0;
}
