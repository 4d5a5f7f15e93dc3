/* Comparing with peers: what the node does when nothing else is to be done. */
#include "driver_internal.h"

#include "base/assert.h"

#include <string.h>

/* A model has no rows to compare. */
static void refuse(struct machine *machine, const struct effect *effect)
{
    struct event event = {.kind = EVENT_PROVED,
                          .link = effect->link,
                          .code = GV_EBUSY,
                          .reason = "a model has no rows"};

    event.as.proved.token = effect->as.prove.token;
    if (effect->kind == EFFECT_ATTEST) {
        event.kind = EVENT_ATTESTED;
        event.as.proved.token = effect->as.attest.token;
    }
    if (effect->kind == EFFECT_PROVE || effect->kind == EFFECT_ATTEST)
        driver_finish(machine, &event);
}

void driver_prove(struct machine *machine, const struct effect *effect)
{
    if (machine->options.model)
        refuse(machine, effect);
    else
        proofs_take(&machine->proofs, store_keeper_store(machine->keeper),
                    effect);
}

bool driver_proofs_ready(const struct machine *machine)
{
    return !machine->falling && !machine->work.pending &&
           machine->applies.first == NULL && proofs_ready(&machine->proofs);
}

void driver_proofs_turn(struct machine *machine)
{
    struct event event;

    if (!driver_proofs_ready(machine) ||
        !proofs_turn(&machine->proofs, store_keeper_store(machine->keeper),
                     &event) ||
        driver_dead(machine))
        return;
    if (event.as.proved.wrote)
        driver_tell_sealed(machine);
    driver_feed(machine, &event);
}

bool machine_prove(struct machine *machine, size_t other, bool mend)
{
    struct event event = {.kind = EVENT_PROVE};
    const char *endpoint = network_endpoint(machine->options.network, other);

    GV_ASSERT(machine->alive && !machine->options.model);
    for (size_t i = 0; i < core_link_count(machine->core); i++) {
        struct link_info info;

        core_link_info(machine->core, i, driver_now(machine), &info);
        if (info.state == LINK_UP && strcmp(info.endpoint, endpoint) == 0)
            event.link = info.link;
    }
    if (event.link == 0)
        return false;
    event.as.prove.mend = mend;
    driver_feed(machine, &event);
    driver_wake(machine, world_now(driver_world(machine)));
    return true;
}

const struct proofs *machine_proofs(const struct machine *machine)
{
    return &machine->proofs;
}
