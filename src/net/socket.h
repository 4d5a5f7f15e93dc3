/* The ZeroMQ sockets of this layer, with every option that keeps ZeroMQ from
 * surprising us set in one place. */
#ifndef NET_SOCKET_H
#define NET_SOCKET_H

#include "core/message.h"

#include <czmq.h>

#define SOCKET_ROUTING_ID_SIZE 16

/* A ROUTER of czmq's one context; NULL with errno set. */
void *socket_router(void);

/* Whether it may use IPv6; it then shows IPv4 addresses as IPv6 ones. */
void socket_allow_ipv6(void *socket, bool allow);

/* A DEALER that connects once; NULL with errno set.  @by_name: its host must
 * be looked up first. */
void *socket_dealer(const uint8_t id[SOCKET_ROUTING_ID_SIZE], bool ipv6,
                    bool by_name);

/* Connect it; -1 with errno set. */
int socket_connect(void *dealer, const char *endpoint);

/* Stop listening on @endpoint, and wait until the port is free for the next
 * one who asks. */
void socket_unbind(void *router, const char *endpoint);

/* A second socket, from which socket_next_event() reads what happens to
 * @dealer's connection; NULL with errno set. */
void *socket_monitor(void *dealer);
void socket_close_monitor(void *socket, void *monitor);

enum socket_event { SOCKET_QUIET, SOCKET_UP, SOCKET_DOWN };

/* The next that happened; with SOCKET_DOWN, @reason says why. */
enum socket_event socket_next_event(void *monitor, const char **reason);

/* The descriptor that becomes readable when there may be something to
 * receive.  ZeroMQ makes it so once: after SOCKET_EMPTY, and not again for
 * what came meanwhile if the socket is used between. */
int socket_descriptor(void *socket);

enum socket_message { SOCKET_EMPTY, SOCKET_DROPPED, SOCKET_READ };

/* Read one message into @frames, without blocking; one of more or fewer than
 * @count frames is dropped. */
enum socket_message socket_receive(void *socket, zmq_msg_t *frames,
                                   size_t count);

/* Close in the background, giving what was sent @linger_ms to leave. */
void socket_close(void *socket, int linger_ms);

#endif
