/* What comes from the network: kept until the loop has a turn for it. */
#include "driver_internal.h"

#include "base/assert.h"
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

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
    driver_feed(machine, &event);
}

void driver_take_arrivals(struct machine *machine)
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

static void arrive(struct machine *machine, struct arrival *got)
{
    *machine->arrivals_end = got;
    machine->arrivals_end = &got->next;
    driver_wake(machine, world_now(driver_world(machine)));
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
