/* What the core asks for, carried out one effect at a time. */
#include "driver_internal.h"

#include "base/assert.h"
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

static void narrate(const struct machine *machine, gv_link link,
                    const struct message *message, size_t size)
{
    static const char *const names[] = {"",      "HELLO", "NEWS",  "VV",
                                        "WANT",  "DELTA", "ACK",   "PRUNE",
                                        "PEERS", "BYE",   "CHECK", "PROOF"};

    world_detail(driver_world(machine), "%s: %s of %zu bytes on link %llu",
                 machine->name, names[message->kind], size,
                 (unsigned long long)link);
}

void driver_link_down(struct machine *machine, gv_link link,
                      const char *reason)
{
    struct event event = {
        .kind = EVENT_LINK_DOWN, .link = link, .reason = reason};

    driver_finish(machine, &event);
}

void driver_send_message(struct machine *machine, gv_link link,
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
        driver_link_down(machine, link,
                         rc == GV_ELIMIT ? "the peer is too far behind"
                                         : gv_strerror(rc));
    }
}

static void stage(struct machine *machine, const struct effect *effect)
{
    struct event event = {.kind = EVENT_STAGED, .link = effect->link};
    struct core_stage stage = {.token = effect->as.stage.token,
                               .site = effect->as.stage.site,
                               .spool = effect->as.stage.spool,
                               .size = effect->as.stage.offset};

    event.code = machine->keeper->methods->stage(
        machine->keeper, &stage, effect->as.stage.bytes, effect->as.stage.size,
        &event.as.staged.kept);
    if (event.code != GV_OK)
        event.reason = gv_strerror(event.code);
    event.as.staged.token = effect->as.stage.token;
    event.as.staged.size = effect->as.stage.size;
    driver_finish(machine, &event);
}

void driver_end_node(struct machine *machine, const struct gv_error *why)
{
    world_note(driver_world(machine), "%s: ends: %s", machine->name,
               why->what);
    machine->ending = true;
    machine->falling = true;
}

static void hear_own(struct machine *machine, gv_version version)
{
    struct gv_error why = {0};
    int rc =
        machine->keeper->methods->heard_own(machine->keeper, version, &why);

    if (rc == GV_EMOVED)
        driver_end_node(machine, &why);
    else if (rc != GV_OK)
        world_note(driver_world(machine), "%s: %s", machine->name, why.what);
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
        driver_send_message(machine, effect->link, &effect->as.send.message);
        break;
    case EFFECT_SEND_DELTA:
        driver_send_delta(machine, effect);
        break;
    case EFFECT_APPLY:
    case EFFECT_APPLY_DELTA:
        driver_apply_later(machine, effect);
        break;
    case EFFECT_STAGE:
        stage(machine, effect);
        break;
    case EFFECT_DROP_STAGE:
        machine->keeper->methods->stage_drop(machine->keeper,
                                             effect->as.drop.token);
        break;
    case EFFECT_EXTRACT:
        driver_extract_later(machine, effect);
        break;
    case EFFECT_DROP_EXTRACT:
        driver_delta_drop(machine, effect->link, effect->as.drop.token,
                          effect->as.drop.applied);
        break;
    case EFFECT_LOG:
        world_note(driver_world(machine), "%s: %s", machine->name,
                   effect->as.log.line);
        break;
    case EFFECT_PROVE:
    case EFFECT_PROVE_ON:
    case EFFECT_DROP_PROOF:
    case EFFECT_ATTEST:
    case EFFECT_DROP_ATTEST:
        driver_prove(machine, effect);
        break;
    case EFFECT_HEARD_OWN:
        hear_own(machine, effect->as.heard_own.version);
        break;
    }
}

/* Between any two effects the process may end. */
void driver_carry_out(struct machine *machine, const struct effects *effects)
{
    for (size_t i = 0; i < effects->count && !machine->falling; i++) {
        if (machine->effects_left > 0 && --machine->effects_left == 0) {
            machine->falling = true;
            return;
        }
        world_mark(driver_world(machine), effects->items[i].kind);
        carry_out_one(machine, &effects->items[i]);
        if (driver_dead(machine))
            machine->falling = true;
    }
}
