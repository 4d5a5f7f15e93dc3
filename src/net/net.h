/* Frames over ZeroMQ: one ROUTER bound, one DEALER for each dialled peer,
 * each link used both ways.  No protocol lives here.
 *
 * A link's number is even where the caller dialled (the caller's choice) and
 * odd where a peer came in (this layer's choice); no number is used twice. */
#ifndef NET_NET_H
#define NET_NET_H

#include "core/core.h"
#include "grapevine.h"

#include <poll.h>

struct net;

struct net_options {
    const char *listen; /* NULL: bind nothing */
    bool insecure;      /* false: dialled connections leave from loopback, so
                           that they can reach nothing else */
    uint64_t seed;      /* of routing ids */
};

/* Errors: GV_EADDRESS (in use, or cannot be bound: @error says which and
 * what to do), GV_EINVAL (not an endpoint), GV_ENOMEM. */
int net_new(const struct net_options *options, struct net **net,
            struct gv_error *error);

/* Let what was sent leave for at most @linger_ms, then close. */
void net_free(struct net *net, int linger_ms);

/* The endpoint bound, with the port the system chose if it was asked to;
 * NULL if none. */
const char *net_endpoint(const struct net *net);

/* Whether @endpoint reads tcp://HOST:PORT (PORT may be * when @listening);
 * and whether HOST is surely off loopback (a number that is, or, when
 * listening, a name or *). */
int net_check_endpoint(const char *endpoint, bool listening,
                       bool *off_loopback, struct gv_error *error);

/* Dial @endpoint as @link (even, never used before).  One NET_UP or NET_DOWN
 * follows, and after NET_UP, some day, a NET_DOWN.
 * Errors: GV_EINVAL, GV_ELIMIT, GV_ENOMEM. */
int net_connect(struct net *net, gv_link link, const char *endpoint);

/* Forget @link; what was sent before still leaves if it can within 1 s.  No
 * event follows.  A later frame of an accepted peer comes as a new link. */
void net_close_link(struct net *net, gv_link link);

/* Send one frame, of at most MESSAGE_FRAME_SIZE_MAX.  Never blocks.
 * Errors: GV_EBUSY (the peer is behind, or there is no memory; the frame was
 * dropped), GV_ENOTFOUND (no such link any more). */
int net_send(struct net *net, gv_link link, const uint8_t *frame, size_t size);

/* After its NET_DOWN a link is forgotten; closing it again is harmless. */
enum net_event_kind {
    NET_UP,   /* a dialled connection stands, or the first frame of an
                 accepted one is about to come */
    NET_DOWN, /* it is gone, or could not be made */
    NET_FRAME
};

struct net_event {
    enum net_event_kind kind;
    gv_link link;
    const char *reason;   /* NET_DOWN: for a person */
    const uint8_t *frame; /* NET_FRAME: borrowed until the next net_next() */
    size_t size;
};

/* Wait until there is an event, one of @fds is ready (revents are set, as
 * poll(2) does), @timeout_ms has passed (-1: for ever), or a signal came.
 * A frame that net_next() lent stays valid.  Errors: GV_EIO, GV_ENOMEM. */
int net_wait(struct net *net, struct pollfd *fds, size_t fd_count,
             int timeout_ms);

/* The next event, never blocking; false if there is none.  Multipart
 * messages and frames over MESSAGE_FRAME_SIZE_MAX never come out. */
bool net_next(struct net *net, struct net_event *event);

/* Whether @link leads to this machine: it was dialled at, or came from, a
 * loopback address. */
bool net_local(const struct net *net, gv_link link);

/* Frames on a link so far. */
struct net_traffic {
    uint64_t sent_bytes, sent_frames;
    uint64_t received_bytes, received_frames;
};
/* Zeroes for a link that is not there. */
void net_traffic(const struct net *net, gv_link link,
                 struct net_traffic *traffic);

#endif
