/* Datagrams to everybody on the LAN, and from them: by multicast and directed
 * broadcast over IPv4 and by link-local multicast over IPv6, on each interface
 * that is up, loopback too.  Knows nothing of what they say.
 *
 * czmq's zbeacon does not do: it takes one interface only, does not work on
 * loopback, and ends the process over 255 bytes. */
#ifndef NET_LAN_H
#define NET_LAN_H

#include "net/interfaces.h"

#include <poll.h>
#include <stdint.h>

#define LAN_PORT 7400
#define LAN_IPV4_GROUP "239.255.74.1"
#define LAN_IPV6_GROUP "ff02::7401"

/* Descriptors to wait for. */
#define LAN_FDS 3
/* Longer datagrams are cut to it. */
#define LAN_DATAGRAM_SIZE_MAX 256

struct lan_options {
    uint16_t port;    /* UDP; 0: LAN_PORT */
    bool loopback;    /* on no other interface */
    const char *only; /* on the one that has this address; NULL: on all */
    bool ipv4, ipv6;  /* which of the two */
};

struct lan_datagram {
    uint8_t bytes[LAN_DATAGRAM_SIZE_MAX];
    size_t size;
    unsigned interface; /* its index */
    bool loopback;      /* it came by the loopback interface */
    char name[IF_NAMESIZE];
    char host[80]; /* who sent it, as an endpoint writes a host */
};

struct lan;

/* Errors: GV_EADDRESS (no socket can be had; @error says why), GV_ENOMEM. */
int lan_open(const struct lan_options *options, struct lan **lan,
             struct gv_error *error);
void lan_close(struct lan *lan);

/* Readable when something came, or an interface changed. */
size_t lan_poll(const struct lan *lan, struct pollfd fds[LAN_FDS]);

/* By each interface; how many it left by. */
size_t lan_send(struct lan *lan, const uint8_t *bytes, size_t size);

/* The next datagram; false: there is none.  Never waits. */
bool lan_next(struct lan *lan, struct lan_datagram *datagram);

/* Look at the interfaces again; whether one came, went or changed. */
bool lan_look(struct lan *lan);

size_t lan_interface_count(const struct lan *lan);
/* *@skipped: why nothing leaves by it; NULL: it does. */
const char *lan_interface(const struct lan *lan, size_t i,
                          const char **skipped);

#endif
