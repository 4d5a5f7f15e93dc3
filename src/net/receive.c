/* Which sockets may have something is kept in flags: a socket whose last
 * receive found nothing, and which was not used since, makes its descriptor
 * readable when something comes; any other is looked at before waiting.  The
 * descriptors are in one epoll set, each with a pointer to its socket's flag,
 * so that a wait costs the same however many links there are. */
#include "net/net_internal.h"

#include "base/assert.h"

#include <sys/epoll.h>

/* Messages that are looked at in one go before the caller gets its turn. */
#define VISITS_MAX 1000

static struct link *find_accepted(const struct net *net, const uint8_t *id,
                                  size_t id_size)
{
    for (size_t i = 0; i < net->accepted_count; i++) {
        struct link *link = net->accepted[i];

        if (link->id_size == id_size && memcmp(link->id, id, id_size) == 0)
            return link;
    }
    return NULL;
}

/* A frame proves that the link stands, whether its monitor said so yet or
 * not. */
static void hold_frame(struct net *net, struct link *link, zmq_msg_t *message)
{
    struct held *held = &net->held;

    held->link = link->number;
    held->up = !link->up;
    held->frame = true;
    zmq_msg_move(&held->message, message);
    zmq_msg_close(message);
    link->up = true;
    net_count_frame(&link->traffic.received_bytes,
                    &link->traffic.received_frames,
                    zmq_msg_size(&held->message));
}

static struct link *accept_link(struct net *net, const uint8_t *id,
                                size_t id_size)
{
    struct link *link;

    if (net->accepted_count == ACCEPTED_MAX || id_size > ROUTING_ID_SIZE_MAX)
        return NULL;
    link = calloc(1, sizeof(*link));
    if (link == NULL)
        return NULL;
    link->number = net->accepted_next;
    net->accepted_next += 2;
    memcpy(link->id, id, id_size);
    link->id_size = id_size;
    net->accepted[net->accepted_count++] = link;
    return link;
}

/* What the transport says of a frame stands in its payload. */
static bool from_loopback(zmq_msg_t *frame)
{
    const char *address = zmq_msg_gets(frame, "Peer-Address");

    return address != NULL &&
           (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
            strncmp(address, "::ffff:127.", 11) == 0);
}

static void visit_router(struct net *net)
{
    zmq_msg_t frames[2];
    enum socket_message message = socket_receive(net->router, frames, 2);
    struct link *link;

    net->router_ready = message != SOCKET_EMPTY;
    if (message != SOCKET_READ)
        return;
    link =
        find_accepted(net, zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0]));
    if (link == NULL) {
        link = accept_link(net, zmq_msg_data(&frames[0]),
                           zmq_msg_size(&frames[0]));
        if (link != NULL)
            link->local = from_loopback(&frames[1]);
    }
    zmq_msg_close(&frames[0]);
    if (link != NULL && link->reason == NULL)
        hold_frame(net, link, &frames[1]);
    else
        zmq_msg_close(&frames[1]);
}

static void visit_monitor(struct net *net, struct link *link)
{
    const char *reason = NULL;

    switch (socket_next_event(link->monitor, &reason)) {
    case SOCKET_QUIET:
        link->monitor_ready = false;
        return;
    case SOCKET_UP:
        net->held.link = link->number;
        net->held.up = !link->up;
        link->up = true;
        return;
    case SOCKET_DOWN:
        /* What came before it is read first. */
        link->dealer_ready = true;
        net_set_down(net, link, reason);
        return;
    }
}

static void visit_dealer(struct net *net, struct link *link)
{
    zmq_msg_t frame;
    enum socket_message message = socket_receive(link->dealer, &frame, 1);

    link->dealer_ready = message != SOCKET_EMPTY;
    if (message == SOCKET_READ)
        hold_frame(net, link, &frame);
}

static void hold_down(struct net *net, struct link *link)
{
    net->held.link = link->number;
    net->held.reason = link->reason;
    net_forget_link(net, link);
}

/* A dialled link is down when all it brought is read. */
static bool find_down(struct net *net)
{
    if (net->down_count == 0)
        return false;
    for (size_t i = 0; i < net->dialled_count; i++)
        if (net->dialled[i]->reason != NULL && !net->dialled[i]->dealer_ready)
            return hold_down(net, net->dialled[i]), true;
    for (size_t i = 0; i < net->accepted_count; i++)
        if (net->accepted[i]->reason != NULL)
            return hold_down(net, net->accepted[i]), true;
    return false;
}

static bool is_held(const struct net *net)
{
    return net->held.up || net->held.frame || net->held.reason != NULL;
}

/* Look at the socket whose turn it is; false if it has nothing. */
static bool visit(struct net *net, size_t turn)
{
    struct link *link = turn == 0 ? NULL : net->dialled[turn - 1];

    if (link == NULL && !net->router_ready)
        return false;
    if (link == NULL)
        visit_router(net);
    else if (link->monitor_ready)
        visit_monitor(net, link);
    else if (link->dealer_ready)
        visit_dealer(net, link);
    else
        return false;
    return true;
}

enum search { SEARCH_EMPTY, SEARCH_HELD, SEARCH_UNFINISHED };

/* Find the next event, if none is held. */
static enum search search_event(struct net *net)
{
    size_t quiet = 0; /* sockets in a row that had nothing */

    for (size_t visits = 0; visits < VISITS_MAX; visits++) {
        if (is_held(net) || find_down(net))
            return SEARCH_HELD;
        for (; quiet <= net->dialled_count; quiet++) {
            net->turn = (net->turn + 1) % (net->dialled_count + 1);
            if (visit(net, net->turn))
                break;
        }
        if (quiet > net->dialled_count)
            return SEARCH_EMPTY;
        quiet = 0;
    }
    return SEARCH_UNFINISHED;
}

bool net_next(struct net *net, struct net_event *event)
{
    struct held *held = &net->held;

    zmq_msg_close(&net->lent);
    zmq_msg_init(&net->lent);
    if (search_event(net) != SEARCH_HELD)
        return false;
    memset(event, 0, sizeof(*event));
    event->link = held->link;
    if (held->up) {
        event->kind = NET_UP;
        held->up = false;
    } else if (held->frame) {
        zmq_msg_move(&net->lent, &held->message);
        event->kind = NET_FRAME;
        event->frame = zmq_msg_data(&net->lent);
        event->size = zmq_msg_size(&net->lent);
        held->frame = false;
    } else {
        event->kind = NET_DOWN;
        event->reason = held->reason;
        held->reason = NULL;
    }
    return true;
}

static bool make_room_for_polls(struct net *net, size_t count)
{
    struct pollfd *larger;

    if (net->poll_capacity >= count)
        return true;
    larger = realloc(net->polls, count * sizeof(*larger));
    if (larger == NULL)
        return false;
    net->polls = larger;
    net->poll_capacity = count;
    return true;
}

static void mark_ready(struct net *net)
{
    struct epoll_event events[64];
    int count = epoll_wait(net->epoll, events, 64, 0);

    for (int i = 0; i < count; i++)
        *(bool *)events[i].data.ptr = true;
}

static int64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 1 if one of @fds is ready or a signal came, 0 if not. */
static int poll_once(struct net *net, struct pollfd *fds, size_t fd_count,
                     int timeout_ms)
{
    int others = 0;

    if (!make_room_for_polls(net, 1 + fd_count))
        return GV_ENOMEM;
    net->polls[0] = (struct pollfd){.fd = net->epoll, .events = POLLIN};
    if (fd_count > 0)
        memcpy(net->polls + 1, fds, fd_count * sizeof(*fds));
    if (poll(net->polls, 1 + fd_count, timeout_ms) == -1)
        return errno == EINTR ? 1 : GV_EIO;
    for (size_t i = 0; i < fd_count; i++) {
        fds[i].revents = net->polls[1 + i].revents;
        others |= fds[i].revents != 0;
    }
    if (net->polls[0].revents != 0)
        mark_ready(net);
    return others;
}

/* A descriptor may be readable for nothing that concerns the caller, so the
 * wait goes on until it is over. */
int net_wait(struct net *net, struct pollfd *fds, size_t fd_count,
             int timeout_ms)
{
    int64_t end = timeout_ms < 0 ? INT64_MAX : clock_ms() + timeout_ms;

    for (size_t i = 0; i < fd_count; i++)
        fds[i].revents = 0;
    for (;;) {
        bool event = search_event(net) != SEARCH_EMPTY;
        int64_t left = end == INT64_MAX ? -1 : end - clock_ms();
        int rc;

        if (event || (left < 0 && end != INT64_MAX))
            left = 0;
        rc = poll_once(net, fds, fd_count, (int)left);
        if (rc != 0 || event)
            return rc < 0 ? rc : GV_OK;
        if (left == 0)
            return GV_OK;
    }
}
