/* Which sockets may have something is kept in flags: a socket whose last
 * receive found nothing, and which was not used since, makes its descriptor
 * readable when something comes; any other is looked at before waiting.  The
 * descriptors are in one epoll set, each with a pointer to its socket's flag,
 * so that a wait costs the same however many links there are. */
#include "net/net.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/random.h"
#include "net/endpoint.h"
#include "net/socket.h"

#include <sys/epoll.h>

/* Twice what the core keeps, so that it can refuse each with a reason;
 * frames of still more peers are dropped. */
#define ACCEPTED_MAX (2 * CORE_LINKS_MAX)
#define ROUTING_ID_SIZE_MAX 255 /* ZMTP's limit */
#define CLOSE_LINGER_MS 1000
/* Messages that are looked at in one go before the caller gets its turn. */
#define VISITS_MAX 1000

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

int net_check_endpoint(const char *endpoint, bool listening,
                       bool *off_loopback, struct gv_error *error)
{
    struct endpoint parsed;
    int rc = endpoint_parse(&parsed, endpoint, listening, error);

    if (rc != GV_OK)
        return rc;
    *off_loopback =
        !parsed.loopback && (listening || parsed.kind != ENDPOINT_NAME);
    return GV_OK;
}

static int bind_failed(const char *endpoint, const char *port, int reason,
                       struct gv_error *error)
{
    error_set(error, GV_EADDRESS, "Cannot listen on %s: %s.", endpoint,
              zmq_strerror(reason));
    switch (reason) {
    case EADDRINUSE:
        error_meaning(error,
                      "Another program, perhaps another node, listens "
                      "on port %s already.",
                      port);
        error_remedy(error, "Stop it, or listen on another port.");
        break;
    case EACCES:
        error_meaning(error, "This user may not listen on port %s.", port);
        error_remedy(error, "Choose a port above 1023.");
        break;
    default:
        error_meaning(error, "The host part must be an address of this "
                             "machine.");
        error_remedy(error, "Listen on 127.0.0.1, or on an address that "
                            "'ip address' shows.");
        break;
    }
    return GV_EADDRESS;
}

static int listen_on(struct net *net, const char *text, struct gv_error *error)
{
    struct endpoint endpoint;
    char bound[ENDPOINT_TEXT_SIZE];
    size_t size = sizeof(bound);
    int rc = endpoint_parse(&endpoint, text, true, error);

    if (rc != GV_OK)
        return rc;
    socket_allow_ipv6(net->router, endpoint.kind == ENDPOINT_IPV6);
    endpoint_format_bind(&endpoint, bound);
    if (zmq_bind(net->router, bound) != 0)
        return bind_failed(text, endpoint.port, zmq_errno(), error);
    zmq_getsockopt(net->router, ZMQ_LAST_ENDPOINT, bound, &size);
    net->endpoint = strdup(bound);
    return net->endpoint == NULL ? GV_ENOMEM : GV_OK;
}

/* Set @ready, now and whenever there may be something to receive. */
static bool watch(struct net *net, void *socket, bool *ready)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = ready};

    *ready = true;
    return epoll_ctl(net->epoll, EPOLL_CTL_ADD, socket_descriptor(socket),
                     &event) == 0;
}

static void unwatch(struct net *net, void *socket)
{
    epoll_ctl(net->epoll, EPOLL_CTL_DEL, socket_descriptor(socket), NULL);
}

int net_new(const struct net_options *options, struct net **net,
            struct gv_error *error)
{
    struct net *new = calloc(1, sizeof(*new));
    int rc = GV_ENOMEM;

    if (new == NULL)
        goto failed;
    new->insecure = options->insecure;
    new->accepted_next = 1;
    new->epoll = -1;
    zmq_msg_init(&new->lent);
    zmq_msg_init(&new->held.message);
    random_seed(&new->random, options->seed);
    new->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (new->epoll == -1)
        goto failed;
    new->router = socket_router();
    if (new->router == NULL)
        goto failed;
    if (!watch(new, new->router, &new->router_ready))
        goto failed;
    rc = options->listen == NULL ? GV_OK
                                 : listen_on(new, options->listen, error);
    if (rc != GV_OK)
        goto failed;
    *net = new;
    return GV_OK;
failed:
    net_free(new, 0);
    return rc == GV_ENOMEM ? error_set(error, rc, "Out of memory.") : rc;
}

static void free_link(struct net *net, struct link *link, int linger_ms)
{
    if (link->monitor != NULL) {
        unwatch(net, link->monitor);
        socket_close_monitor(link->dealer, link->monitor);
    }
    if (link->dealer != NULL) {
        unwatch(net, link->dealer);
        socket_close(link->dealer, linger_ms);
    }
    free(link);
}

void net_free(struct net *net, int linger_ms)
{
    if (net == NULL)
        return;
    while (net->dialled_count > 0)
        free_link(net, net->dialled[--net->dialled_count], linger_ms);
    while (net->accepted_count > 0)
        free_link(net, net->accepted[--net->accepted_count], 0);
    if (net->endpoint != NULL)
        socket_unbind(net->router, net->endpoint);
    socket_close(net->router, linger_ms);
    zmq_msg_close(&net->lent);
    zmq_msg_close(&net->held.message);
    if (net->epoll != -1)
        close(net->epoll);
    free(net->endpoint);
    free(net->polls);
    free(net);
}

const char *net_endpoint(const struct net *net)
{
    return net->endpoint;
}

static struct link *find_link(const struct net *net, gv_link number)
{
    bool dialled = number % 2 == 0;
    struct link *const *links = dialled ? net->dialled : net->accepted;
    size_t count = dialled ? net->dialled_count : net->accepted_count;

    for (size_t i = 0; i < count; i++)
        if (links[i]->number == number)
            return links[i];
    return NULL;
}

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

static void clear_held(struct held *held)
{
    zmq_msg_close(&held->message);
    zmq_msg_init(&held->message);
    held->up = held->frame = false;
    held->reason = NULL;
}

static void forget_link(struct net *net, struct link *link)
{
    bool dialled = link->number % 2 == 0;
    struct link **links = dialled ? net->dialled : net->accepted;
    size_t *count = dialled ? &net->dialled_count : &net->accepted_count;

    for (size_t i = 0; i < *count; i++)
        if (links[i] == link)
            links[i] = links[--*count];
    if (link->reason != NULL)
        net->down_count--;
    free_link(net, link, CLOSE_LINGER_MS);
}

void net_close_link(struct net *net, gv_link number)
{
    struct link *link = find_link(net, number);

    if (link != NULL)
        forget_link(net, link);
    if (net->held.link == number)
        clear_held(&net->held);
}

/* Sixteen random bytes; ids that begin with zero are ZeroMQ's own. */
static void make_routing_id(struct net *net,
                            uint8_t id[SOCKET_ROUTING_ID_SIZE])
{
    uint64_t high = random_u64(&net->random);
    uint64_t low = random_u64(&net->random);

    memcpy(id, &high, sizeof(high));
    memcpy(id + sizeof(high), &low, sizeof(low));
    id[0] |= 1;
}

static int dial(struct net *net, struct link *link,
                const struct endpoint *endpoint)
{
    uint8_t id[SOCKET_ROUTING_ID_SIZE];
    char text[ENDPOINT_TEXT_SIZE];

    make_routing_id(net, id);
    link->dealer = socket_dealer(id, endpoint->kind == ENDPOINT_IPV6,
                                 endpoint->kind == ENDPOINT_NAME);
    if (link->dealer == NULL)
        return GV_ELIMIT;
    link->monitor = socket_monitor(link->dealer);
    if (link->monitor == NULL)
        return GV_ELIMIT;
    if (!watch(net, link->dealer, &link->dealer_ready) ||
        !watch(net, link->monitor, &link->monitor_ready))
        return GV_ENOMEM;
    endpoint_format_dial(endpoint, !net->insecure, text);
    if (socket_connect(link->dealer, text) != 0)
        return zmq_errno() == ENOMEM ? GV_ENOMEM : GV_EINVAL;
    return GV_OK;
}

int net_connect(struct net *net, gv_link number, const char *endpoint)
{
    struct endpoint parsed;
    struct link *link;
    int rc = endpoint_parse(&parsed, endpoint, false, NULL);

    GV_ASSERT(number % 2 == 0 && find_link(net, number) == NULL);
    if (rc != GV_OK)
        return rc;
    if (net->dialled_count == CORE_LINKS_MAX)
        return GV_ELIMIT;
    link = calloc(1, sizeof(*link));
    if (link == NULL)
        return GV_ENOMEM;
    link->number = number;
    link->local = parsed.loopback;
    rc = dial(net, link, &parsed);
    if (rc != GV_OK) {
        free_link(net, link, 0);
        return rc;
    }
    net->dialled[net->dialled_count++] = link;
    return GV_OK;
}

static void set_down(struct net *net, struct link *link, const char *reason)
{
    if (link->reason != NULL)
        return;
    link->reason = reason;
    net->down_count++;
}

static int send_to(struct net *net, struct link *link, zmq_msg_t *message)
{
    void *socket = link->dealer;
    int rc = 0;

    if (socket == NULL) {
        socket = net->router;
        net->router_ready = true;
        rc = zmq_send(socket, link->id, link->id_size,
                      ZMQ_SNDMORE | ZMQ_DONTWAIT);
    } else {
        link->dealer_ready = true;
    }
    if (rc != -1)
        rc = zmq_msg_send(message, socket, ZMQ_DONTWAIT);
    if (rc != -1)
        return GV_OK;
    if (zmq_errno() == EAGAIN)
        return GV_EBUSY;
    set_down(net, link, "the connection was closed");
    return GV_ENOTFOUND;
}

static void count_frame(uint64_t *bytes, uint64_t *frames, size_t size)
{
    *bytes += size;
    (*frames)++;
}

int net_send(struct net *net, gv_link number, const uint8_t *frame,
             size_t size)
{
    struct link *link = find_link(net, number);
    zmq_msg_t message;
    int rc;

    GV_ASSERT(size <= MESSAGE_FRAME_SIZE_MAX);
    if (link == NULL || link->reason != NULL)
        return GV_ENOTFOUND;
    /* Before the routing id is on its way, so that nothing can fail between
     * the two. */
    if (zmq_msg_init_size(&message, size) != 0)
        return GV_EBUSY;
    memcpy(zmq_msg_data(&message), frame, size);
    rc = send_to(net, link, &message);
    if (rc == GV_OK)
        count_frame(&link->traffic.sent_bytes, &link->traffic.sent_frames,
                    size);
    else
        zmq_msg_close(&message);
    return rc;
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
    count_frame(&link->traffic.received_bytes, &link->traffic.received_frames,
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
        set_down(net, link, reason);
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
    forget_link(net, link);
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

bool net_local(const struct net *net, gv_link number)
{
    const struct link *link = find_link(net, number);

    return link != NULL && link->local;
}

void net_traffic(const struct net *net, gv_link number,
                 struct net_traffic *traffic)
{
    const struct link *link = find_link(net, number);

    *traffic = link == NULL ? (struct net_traffic){0} : link->traffic;
}
