#include "node/outbox.h"

#include <stdlib.h>
#include <string.h>

struct parcel {
    struct parcel *next;
    size_t size;
    uint8_t bytes[];
};

struct outlet {
    struct outlet *next;
    gv_link link;
    size_t size; /* of all that waits */
    struct parcel *first;
    struct parcel **end;
};

void outbox_init(struct outbox *outbox)
{
    outbox->outlets = NULL;
}

static void outlet_free(struct outlet *outlet)
{
    struct parcel *parcel = outlet->first;

    while (parcel != NULL) {
        struct parcel *next = parcel->next;

        free(parcel);
        parcel = next;
    }
    free(outlet);
}

void outbox_close(struct outbox *outbox)
{
    while (outbox->outlets != NULL) {
        struct outlet *outlet = outbox->outlets;

        outbox->outlets = outlet->next;
        outlet_free(outlet);
    }
}

/* Where the pointer to @link's outlet stands; it is NULL if there is none. */
static struct outlet **outbox_find(struct outbox *outbox, gv_link link)
{
    struct outlet **at = &outbox->outlets;

    while (*at != NULL && (*at)->link != link)
        at = &(*at)->next;
    return at;
}

void outbox_drop(struct outbox *outbox, gv_link link)
{
    struct outlet **at = outbox_find(outbox, link);
    struct outlet *outlet = *at;

    if (outlet == NULL)
        return;
    *at = outlet->next;
    outlet_free(outlet);
}

static struct outlet *outbox_add(struct outbox *outbox, gv_link link)
{
    struct outlet *outlet = calloc(1, sizeof *outlet);

    if (outlet == NULL)
        return NULL;
    outlet->link = link;
    outlet->end = &outlet->first;
    outlet->next = outbox->outlets;
    outbox->outlets = outlet;
    return outlet;
}

static int outlet_append(struct outlet *outlet, const uint8_t *frame,
                         size_t size)
{
    struct parcel *parcel = malloc(sizeof *parcel + size);

    if (parcel == NULL)
        return GV_ENOMEM;
    parcel->next = NULL;
    parcel->size = size;
    memcpy(parcel->bytes, frame, size);
    *outlet->end = parcel;
    outlet->end = &parcel->next;
    outlet->size += size;
    return GV_OK;
}

int outbox_send(struct outbox *outbox, struct net *net, gv_link link,
                const uint8_t *frame, size_t size)
{
    struct outlet *outlet = *outbox_find(outbox, link);

    if (outlet == NULL) {
        int rc = net_send(net, link, frame, size);

        if (rc != GV_EBUSY)
            return rc == GV_ENOTFOUND ? GV_OK : rc;
        outlet = outbox_add(outbox, link);
        if (outlet == NULL)
            return GV_ENOMEM;
    }
    if (outlet->size + size > OUTBOX_LINK_SIZE_MAX)
        return GV_ELIMIT;
    return outlet_append(outlet, frame, size);
}

/* True when nothing waits any more. */
static bool outlet_flush(struct outlet *outlet, struct net *net)
{
    while (outlet->first != NULL) {
        struct parcel *parcel = outlet->first;
        int rc = net_send(net, outlet->link, parcel->bytes, parcel->size);

        if (rc == GV_EBUSY)
            return false;
        outlet->first = parcel->next;
        outlet->size -= parcel->size;
        free(parcel);
    }
    return true;
}

void outbox_flush(struct outbox *outbox, struct net *net)
{
    struct outlet **at = &outbox->outlets;

    while (*at != NULL) {
        struct outlet *outlet = *at;

        if (outlet_flush(outlet, net)) {
            *at = outlet->next;
            outlet_free(outlet);
        } else {
            at = &outlet->next;
        }
    }
}

bool outbox_empty(const struct outbox *outbox)
{
    return outbox->outlets == NULL;
}
