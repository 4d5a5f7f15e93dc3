/* Links over ZeroMQ: made, closed, sent on.  receive.c reads them. */
#include "net/net_internal.h"

#include "base/assert.h"
#include "base/error.h"
#include "net/endpoint.h"

#include <sys/epoll.h>

#define CLOSE_LINGER_MS 1000

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

static void clear_held(struct held *held)
{
    zmq_msg_close(&held->message);
    zmq_msg_init(&held->message);
    held->up = held->frame = false;
    held->reason = NULL;
}

void net_forget_link(struct net *net, struct link *link)
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
        net_forget_link(net, link);
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

void net_set_down(struct net *net, struct link *link, const char *reason)
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
    net_set_down(net, link, "the connection was closed");
    return GV_ENOTFOUND;
}

void net_count_frame(uint64_t *bytes, uint64_t *frames, size_t size)
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
        net_count_frame(&link->traffic.sent_bytes, &link->traffic.sent_frames,
                        size);
    else
        zmq_msg_close(&message);
    return rc;
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
