#include "net/socket.h"

#include <stdatomic.h>

/* Frames that may wait in one connection, each way.  The core's credits are
 * what bounds a link; this bounds a peer that does not keep to them: 64
 * frames of 256 KiB are 16 MiB. */
#define FRAMES_WAITING_MAX 64
/* Five hundred peers that connect at once wait 0.1 s, with the default of
 * 100 they waited 1.5 s. */
#define BACKLOG 4096
#define CONNECT_TIMEOUT_MS 5000
#define HANDSHAKE_TIMEOUT_MS 5000
/* Never, in effect: whoever uses this layer dials anew.  Not -1, with which
 * ZeroMQ throws away unread frames when the connection ends (a BYE with its
 * reason), and says nothing about a name that cannot be looked up. */
#define RECONNECT_MS (24 * 60 * 60 * 1000)
#define UNBIND_PATIENCE_MS 1000
/* Up to 128 dialled links with two monitor sockets each, those that are still
 * being closed, and what else the application does with czmq. */
#define SOCKETS_MAX 4096

/* The thread that connects looks the name up, and may wait seconds for a name
 * server; so links with names have a thread of their own. */
#define IO_THREADS 2
#define THREAD_OF_NUMBERS 1
#define THREAD_OF_NAMES 2

/* ZeroMQ looks at the numbers of threads and sockets when the first socket is
 * made.  If the application made one before, they stay as they are. */
static void set_up_context(void)
{
    void *context;

    zsys_handler_set(NULL);
    context = zsys_init();
    zmq_ctx_set(context, ZMQ_IO_THREADS, IO_THREADS);
    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
}

/* With a domain set, peers of ZMTP 1 and 2 are refused: their greeting can be
 * anything, garbage too, and one that comes while a ROUTER closes aborts the
 * process.  No authentication is asked for as long as nobody offers it. */
#define ZAP_DOMAIN "grapevine"

static void set(void *socket, int option, int value)
{
    zmq_setsockopt(socket, option, &value, sizeof(value));
}

/* ZeroMQ's own heartbeats stay off: with a high-water mark they abort the
 * process or lose what a slow peer was sent.  TCP's keepalive ends
 * connections to hosts that are gone, which a ROUTER would keep for ever. */
static void set_common(void *socket)
{
    int64_t size_max = MESSAGE_FRAME_SIZE_MAX;

    zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, sizeof(size_max));
    zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, strlen(ZAP_DOMAIN));
    set(socket, ZMQ_SNDHWM, FRAMES_WAITING_MAX);
    set(socket, ZMQ_RCVHWM, FRAMES_WAITING_MAX);
    set(socket, ZMQ_HEARTBEAT_IVL, 0);
    set(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_TIMEOUT_MS);
    set(socket, ZMQ_LINGER, 0);
    set(socket, ZMQ_TCP_KEEPALIVE, 1);
    set(socket, ZMQ_TCP_KEEPALIVE_IDLE, 2);
    set(socket, ZMQ_TCP_KEEPALIVE_INTVL, 1);
    set(socket, ZMQ_TCP_KEEPALIVE_CNT, 3);
}

void socket_allow_ipv6(void *socket, bool allow)
{
    set(socket, ZMQ_IPV6, allow);
}

static void set_thread(void *socket, uint64_t thread)
{
    zmq_setsockopt(socket, ZMQ_AFFINITY, &thread, sizeof(thread));
}

/* Through czmq, which closes what is left open if the process exits (the
 * context could not end, and the process would hang); but not by zsock_new(),
 * which aborts when sockets or descriptors run out. */
static void *make_socket(int type)
{
    return zsys_socket(type, __FILE__, __LINE__);
}

void *socket_router(void)
{
    void *router;

    set_up_context();
    router = make_socket(ZMQ_ROUTER);
    if (router == NULL)
        return NULL;
    set_common(router);
    set_thread(router, THREAD_OF_NUMBERS);
    set(router, ZMQ_ROUTER_MANDATORY, 1);
    set(router, ZMQ_BACKLOG, BACKLOG);
    return router;
}

void *socket_dealer(const uint8_t id[SOCKET_ROUTING_ID_SIZE], bool ipv6,
                    bool by_name)
{
    void *dealer = make_socket(ZMQ_DEALER);

    if (dealer == NULL)
        return NULL;
    set_common(dealer);
    socket_allow_ipv6(dealer, ipv6);
    set_thread(dealer, by_name ? THREAD_OF_NAMES : THREAD_OF_NUMBERS);
    zmq_setsockopt(dealer, ZMQ_ROUTING_ID, id, SOCKET_ROUTING_ID_SIZE);
    set(dealer, ZMQ_CONNECT_TIMEOUT, CONNECT_TIMEOUT_MS);
    set(dealer, ZMQ_RECONNECT_IVL, RECONNECT_MS);
    return dealer;
}

int socket_connect(void *dealer, const char *endpoint)
{
    int rc = zmq_connect(dealer, endpoint);

    if (rc != 0 && errno == EMTHREAD) {
        set_thread(dealer, 0);
        rc = zmq_connect(dealer, endpoint);
    }
    return rc;
}

/* ZeroMQ's thread would wait for ever to tell a monitor that is gone, so it is
 * told to stop first. */
void socket_close_monitor(void *socket, void *monitor)
{
    zmq_socket_monitor(socket, NULL, 0);
    socket_close(monitor, 0);
}

static void *open_monitor(void *socket, int events)
{
    static atomic_ullong count;
    char name[64];
    void *monitor;

    snprintf(name, sizeof(name), "inproc://grapevine-monitor-%llu",
             atomic_fetch_add(&count, 1));
    if (zmq_socket_monitor(socket, name, events) != 0)
        return NULL;
    monitor = make_socket(ZMQ_PAIR);
    if (monitor != NULL && zmq_connect(monitor, name) == 0)
        return monitor;
    socket_close_monitor(socket, monitor);
    return NULL;
}

void *socket_monitor(void *dealer)
{
    return open_monitor(dealer, ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                                    ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED |
                                    ZMQ_EVENT_CONNECT_RETRIED |
                                    ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                                    ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                                    ZMQ_EVENT_HANDSHAKE_FAILED_AUTH);
}

/* The first event of a failure tells most: a refused connection is CLOSED and
 * then CONNECT_RETRIED, one that could not even be tried only the latter. */
static const char *reason_of(uint16_t event)
{
    switch (event) {
    case ZMQ_EVENT_CLOSED:
        return "connection refused, or the host cannot be reached";
    case ZMQ_EVENT_CONNECT_RETRIED:
        return "the host's name is unknown, or it cannot be reached from here";
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        return "what answers there does not speak ZeroMQ";
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        return "the other side refused this node";
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        return "the connection was closed before it stood; what answers there "
               "may be no node";
    default:
        return "the connection was closed";
    }
}

enum socket_event socket_next_event(void *monitor, const char **reason)
{
    enum socket_event happened = SOCKET_QUIET;
    zmq_msg_t frames[2];
    uint16_t event;

    /* The event's number and value, and the endpoint. */
    if (socket_receive(monitor, frames, 2) != SOCKET_READ)
        return SOCKET_QUIET;
    if (zmq_msg_size(&frames[0]) >= sizeof(event)) {
        memcpy(&event, zmq_msg_data(&frames[0]), sizeof(event));
        happened = SOCKET_DOWN;
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
            happened = SOCKET_UP;
        else
            *reason = reason_of(event);
    }
    zmq_msg_close(&frames[0]);
    zmq_msg_close(&frames[1]);
    return happened;
}

void socket_unbind(void *router, const char *endpoint)
{
    void *monitor = open_monitor(router, ZMQ_EVENT_CLOSED);
    zmq_pollitem_t item = {monitor, 0, ZMQ_POLLIN, 0};

    if (zmq_unbind(router, endpoint) == 0 && monitor != NULL)
        zmq_poll(&item, 1, UNBIND_PATIENCE_MS);
    socket_close_monitor(router, monitor);
}

int socket_descriptor(void *socket)
{
    int fd = -1;
    size_t size = sizeof(fd);

    zmq_getsockopt(socket, ZMQ_FD, &fd, &size);
    return fd;
}

static bool receive_frame(void *socket, zmq_msg_t *frame)
{
    int rc;

    zmq_msg_init(frame);
    do
        rc = zmq_msg_recv(frame, socket, ZMQ_DONTWAIT);
    while (rc == -1 && errno == EINTR);
    if (rc == -1)
        zmq_msg_close(frame);
    return rc != -1;
}

/* A message comes whole or not at all, so the frames after its first one are
 * there. */
static void skip_frames(void *socket)
{
    zmq_msg_t frame;
    bool more = true;

    while (more && receive_frame(socket, &frame)) {
        more = zmq_msg_more(&frame);
        zmq_msg_close(&frame);
    }
}

enum socket_message socket_receive(void *socket, zmq_msg_t *frames,
                                   size_t count)
{
    size_t read = 0;
    bool more = true;

    while (read < count && more && receive_frame(socket, &frames[read]))
        more = zmq_msg_more(&frames[read++]);
    if (read == 0)
        return SOCKET_EMPTY;
    if (read == count && !more)
        return SOCKET_READ;
    if (more)
        skip_frames(socket);
    while (read > 0)
        zmq_msg_close(&frames[--read]);
    return SOCKET_DROPPED;
}

void socket_close(void *socket, int linger_ms)
{
    if (socket == NULL)
        return;
    set(socket, ZMQ_LINGER, linger_ms);
    zsys_close(socket, __FILE__, __LINE__);
}
