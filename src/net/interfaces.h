/* The network interfaces of this machine, and which of them a datagram to the
 * LAN can leave by. */
#ifndef NET_INTERFACES_H
#define NET_INTERFACES_H

#include "grapevine.h"

#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>

/* More are left out. */
#define INTERFACES_MAX 32

struct interface {
    char name[IF_NAMESIZE];
    unsigned index;
    bool up;
    bool loopback;
    bool ipv4; /* has an address; the first one */
    struct in_addr address;
    struct in_addr broadcast; /* INADDR_ANY: it has none */
    bool ipv6;                /* has a link-local one, or is loopback */
    bool only;                /* has the address that was asked for */
};

struct interfaces {
    struct interface items[INTERFACES_MAX];
    size_t count;
};

/* Read them anew.  @only: an address in numbers, or NULL.
 * Errors: GV_EIO. */
int interfaces_read(struct interfaces *interfaces, const char *only);

/* Whether this system has IPv6 at all. */
bool interfaces_have_ipv6(void);

/* Whether the same interfaces can be used by the same addresses. */
bool interfaces_equal(const struct interfaces *a, const struct interfaces *b);

/* NULL: none has it. */
const struct interface *interfaces_find(const struct interfaces *interfaces,
                                        unsigned index);

#endif
