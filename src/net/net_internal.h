/* What the two rooms of net.c share: net.c has the links and sends, receive.c
 * reads the sockets and waits. */
#ifndef NET_NET_INTERNAL_H
#define NET_NET_INTERNAL_H

#include "base/random.h"
#include "net/net.h"
#include "net/socket.h"

/* Twice what the core keeps, so that it can refuse each with a reason;
 * frames of still more peers are dropped. */
#define ACCEPTED_MAX (2 * CORE_LINKS_MAX)
#define ROUTING_ID_SIZE_MAX 255 /* ZMTP's limit */

struct link {
    gv_link number;
    void *dealer;  /* NULL where the peer came in */
    void *monitor; /* of the dealer */
    bool dealer_ready, monitor_ready;
    bool up;
    bool local;                      /* from or to a loopback address */
    const char *reason;              /* not NULL: NET_DOWN is due */
    uint8_t id[ROUTING_ID_SIZE_MAX]; /* the peer's, where it came in */
    size_t id_size;
    struct net_traffic traffic;
};

/* What net_next() will say: up, then a frame, then down. */
struct held {
    gv_link link;
    bool up, frame;
    const char *reason; /* not NULL: down */
    zmq_msg_t message;
};

struct net {
    bool insecure;
    struct random random;
    void *router;
    bool router_ready;
    char *endpoint; /* as bound, or NULL */
    gv_link accepted_next;
    size_t turn; /* the socket to look at next, so that each gets its turn */
    size_t down_count; /* links whose NET_DOWN is due */
    struct held held;
    zmq_msg_t lent;       /* the frame that the caller looks at */
    int epoll;            /* of all sockets */
    struct pollfd *polls; /* the epoll set and the caller's descriptors */
    size_t poll_capacity;
    size_t dialled_count, accepted_count;
    struct link *dialled[CORE_LINKS_MAX];
    struct link *accepted[ACCEPTED_MAX];
};

/* net.c */

void net_forget_link(struct net *net, struct link *link);
/* NET_DOWN is due, for @reason, unless it was already. */
void net_set_down(struct net *net, struct link *link, const char *reason);
void net_count_frame(uint64_t *bytes, uint64_t *frames, size_t size);

#endif
