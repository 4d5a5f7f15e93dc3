/* The deltas that peers asked for: read when the loop has a turn for them, and
 * sent piece by piece. */
#include "driver_internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define DRIVER_DELTA_TRIES 3

static struct delta **delta_at(struct machine *machine, gv_link link,
                               uint64_t token)
{
    struct delta **at = &machine->deltas;

    while (*at != NULL && ((*at)->link != link || (*at)->token != token))
        at = &(*at)->next;
    return at;
}

void driver_delta_drop(struct machine *machine, gv_link link, uint64_t token,
                       bool applied)
{
    const struct keeper_methods *methods = machine->keeper->methods;
    struct delta **at = delta_at(machine, link, token);
    struct delta *delta = *at;

    if (delta == NULL)
        return;
    *at = delta->next;
    if (delta->extract != NULL && applied)
        methods->extract_free(delta->extract);
    else if (delta->extract != NULL)
        methods->extract_keep(delta->extract, driver_now(machine));
    free(delta);
}

bool machine_gives(const struct machine *machine)
{
    return machine_alive(machine) && machine->deltas != NULL;
}

/* What a peer asked for leaves, but for its end. */
static bool end_is_lost(struct machine *machine, const struct effect *effect)
{
    if (!effect->as.send_delta.last || machine->lost_ends == 0 ||
        !chance(world_random(driver_world(machine), STREAM_NETWORK),
                machine->lost_ends))
        return false;
    machine->ends_lost++;
    return true;
}

static bool happens(struct machine *machine, unsigned per_million)
{
    return per_million > 0 &&
           chance(world_random(driver_world(machine), STREAM_NETWORK),
                  per_million);
}

/* What a delta's provider may suffer while others of its pieces are to
 * follow. */
static void cut(struct machine *machine, const struct effect *effect)
{
    if (effect->as.send_delta.last)
        return;
    if (happens(machine, machine->giver_dies)) {
        machine->givers_died++;
        machine->falling = true;
    } else if (happens(machine, machine->giver_cut)) {
        network_close(machine->options.network, machine->options.index,
                      effect->link);
        driver_link_down(machine, effect->link, "cut");
    }
}

void driver_send_delta(struct machine *machine, const struct effect *effect)
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
        driver_send_message(machine, effect->link, &message);
        cut(machine, effect);
    } else {
        network_close(machine->options.network, machine->options.index,
                      effect->link);
        driver_link_down(machine, effect->link,
                         "a spooled delta could not be read");
    }
    free(bytes);
}

void driver_extract_later(struct machine *machine, const struct effect *effect)
{
    struct vv_view vv = effect->as.extract.vv;
    struct delta **at = &machine->deltas;
    struct delta *delta = calloc(1, sizeof *delta + vv.count * VV_ENTRY_SIZE);

    GV_ASSERT(delta != NULL);
    delta->link = effect->link;
    delta->token = effect->as.extract.token;
    delta->spool = effect->as.extract.spool;
    delta->offset = effect->as.extract.offset;
    delta->vv_count = vv.count;
    if (vv.count > 0)
        memcpy(delta->vv, vv.bytes, vv.count * VV_ENTRY_SIZE);
    while (*at != NULL)
        at = &(*at)->next;
    *at = delta;
}

static void extracted(struct machine *machine, struct delta *delta, int code,
                      uint64_t offset, const char *reason)
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
        event.as.extracted.offset = offset;
        event.as.extracted.claim_count =
            methods->extract_claim(delta->extract).count;
    } else {
        driver_delta_drop(machine, delta->link, delta->token, false);
    }
    driver_feed(machine, &event);
}

struct delta *driver_delta_due(const struct machine *machine)
{
    struct delta *delta = machine->deltas;

    while (delta != NULL && delta->extract != NULL)
        delta = delta->next;
    return delta != NULL && !delta->waits_for_seal ? delta : NULL;
}

void driver_delta_turn(struct machine *machine)
{
    struct delta *delta = driver_delta_due(machine);
    const struct keeper_methods *methods = machine->keeper->methods;
    struct gv_error why = {0};
    uint64_t offset = 0;
    struct vv_view vv;
    int rc = GV_OK;

    if (delta == NULL)
        return;
    vv = (struct vv_view){delta->vv, delta->vv_count};
    if (delta->spool != 0)
        rc = methods->extract_resume(machine->keeper, vv, delta->spool,
                                     delta->offset, &delta->extract, &why);
    if (rc == GV_OK && delta->extract != NULL)
        offset = delta->offset;
    else if (rc == GV_OK)
        rc = methods->extract(machine->keeper, vv, &delta->extract, &why);
    if (driver_dead(machine))
        return;
    if (rc == GV_EBUSY ||
        (rc == GV_EDIFFERS && ++delta->tries < DRIVER_DELTA_TRIES)) {
        delta->waits_for_seal = true;
        machine->write_wanted = true;
    } else {
        extracted(machine, delta, rc, offset, why.what);
    }
}

void driver_deltas_sealed(struct machine *machine)
{
    for (struct delta *delta = machine->deltas; delta != NULL;
         delta = delta->next)
        delta->waits_for_seal = false;
}
