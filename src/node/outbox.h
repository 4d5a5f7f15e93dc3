/* Frames for peers that are behind.
 *
 * The network never blocks and never queues without bound; what it would not
 * take waits here, in order, link by link.  Nothing that the core sent is
 * lost in silence: a link with more than OUTBOX_LINK_SIZE_MAX waiting is
 * given up, and its next HELLO starts afresh. */
#ifndef NODE_OUTBOX_H
#define NODE_OUTBOX_H

#include "net/net.h"

/* The credit of NEWS and DELTA is 1.25 MiB together; vectors and greetings
 * come on top. */
#define OUTBOX_LINK_SIZE_MAX (2 * 1024 * 1024)
#define OUTBOX_RETRY_MS 5

struct outlet;

struct outbox {
    struct outlet *outlets; /* of links that are behind, usually none */
};

void outbox_init(struct outbox *outbox);
void outbox_close(struct outbox *outbox);

/* Send @frame on @link, now or after what waits already.  A link that is
 * gone is no error.
 * Errors: GV_ELIMIT (too much waits: nothing of it will be sent), GV_ENOMEM.
 */
int outbox_send(struct outbox *outbox, struct net *net, gv_link link,
                const uint8_t *frame, size_t size);

/* Send what can be sent. */
void outbox_flush(struct outbox *outbox, struct net *net);

/* Forget what waits for @link. */
void outbox_drop(struct outbox *outbox, gv_link link);

bool outbox_empty(const struct outbox *outbox);

#endif
