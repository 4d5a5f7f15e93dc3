#include "net/lan.h"

#include "base/assert.h"
#include "base/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct lan {
    struct lan_options options;
    char *only;
    int ipv4, ipv6, changes; /* sockets; -1: none */
    struct interfaces interfaces;
};

static bool set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/* A socket that shares its port with the other nodes of this machine. */
static int open_socket(int family)
{
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && !set(fd, SOL_SOCKET, SO_REUSEADDR, 1)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int opened(int fd, bool right)
{
    int error = errno;

    if (fd >= 0 && !right) {
        close(fd);
        errno = error;
        fd = -1;
    }
    return fd;
}

static int open_ipv4(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port)};
    int fd = open_socket(AF_INET);

    return opened(
        fd, fd >= 0 && set(fd, SOL_SOCKET, SO_BROADCAST, 1) &&
                set(fd, IPPROTO_IP, IP_PKTINFO, 1) &&
                set(fd, IPPROTO_IP, IP_MULTICAST_TTL, 1) &&
                set(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 1) &&
                set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0) &&
                bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
}

static int open_ipv6(uint16_t port)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                   .sin6_port = htons(port)};
    int fd = open_socket(AF_INET6);

    return opened(
        fd, fd >= 0 && set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
                set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
                set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1) &&
                set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1) &&
                bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
}

/* Which the kernel tells when an interface or an address comes or goes; the
 * look before each announcement does without it. */
static int open_changes(void)
{
    struct sockaddr_nl address = {
        .nl_family = AF_NETLINK,
        .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    NETLINK_ROUTE);

    return opened(fd, fd >= 0 && bind(fd, (struct sockaddr *)&address,
                                      sizeof address) == 0);
}

/* Why nothing leaves by @item; NULL: it does. */
static const char *skip(const struct lan *lan, const struct interface *item)
{
    if (!item->up)
        return "it is down";
    if (lan->options.loopback && !item->loopback)
        return "without --insecure only this machine is asked";
    if (lan->only != NULL && !item->only)
        return "the node does not listen there";
    if (!(item->ipv4 && lan->ipv4 >= 0) && !(item->ipv6 && lan->ipv6 >= 0))
        return "it has no address";
    return NULL;
}

/* Joined already is as good. */
static void join(struct lan *lan, const struct interface *item)
{
    struct ip_mreqn ipv4 = {.imr_ifindex = (int)item->index};
    struct ipv6_mreq ipv6 = {.ipv6mr_interface = item->index};

    inet_pton(AF_INET, LAN_IPV4_GROUP, &ipv4.imr_multiaddr);
    inet_pton(AF_INET6, LAN_IPV6_GROUP, &ipv6.ipv6mr_multiaddr);
    if (lan->ipv4 >= 0)
        (void)setsockopt(lan->ipv4, IPPROTO_IP, IP_ADD_MEMBERSHIP, &ipv4,
                         sizeof ipv4);
    if (lan->ipv6 >= 0)
        (void)setsockopt(lan->ipv6, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &ipv6,
                         sizeof ipv6);
}

bool lan_look(struct lan *lan)
{
    struct interfaces now;
    char bytes[4096];
    bool changed;

    while (lan->changes >= 0 &&
           recv(lan->changes, bytes, sizeof bytes, MSG_TRUNC) > 0)
        ;
    if (interfaces_read(&now, lan->only) != GV_OK)
        return false;
    changed = !interfaces_equal(&now, &lan->interfaces);
    lan->interfaces = now;
    for (size_t i = 0; changed && i < now.count; i++) {
        if (skip(lan, &now.items[i]) == NULL)
            join(lan, &now.items[i]);
    }
    return changed;
}

int lan_open(const struct lan_options *options, struct lan **lan,
             struct gv_error *error)
{
    struct lan *made = calloc(1, sizeof *made);
    uint16_t port = options->port == 0 ? LAN_PORT : options->port;

    *lan = NULL;
    if (made == NULL)
        return error_set(error, GV_ENOMEM, "There is no memory left.");
    made->options = *options;
    made->ipv4 = options->ipv4 ? open_ipv4(port) : -1;
    made->ipv6 = options->ipv6 ? open_ipv6(port) : -1;
    if (made->ipv4 < 0 && made->ipv6 < 0) {
        error_set(error, GV_EADDRESS, "UDP port %u cannot be used: %s.",
                  (unsigned)port, strerror(errno));
        error_meaning(error, "Nodes on this network cannot be found, nor can"
                             " they find this one.");
        error_remedy(error, "Find out who holds the port ('ss -ulpn'), or"
                            " name the peers with --peer.");
        free(made);
        return GV_EADDRESS;
    }
    made->only = options->only == NULL ? NULL : strdup(options->only);
    if (options->only != NULL && made->only == NULL) {
        lan_close(made);
        return error_set(error, GV_ENOMEM, "There is no memory left.");
    }
    made->changes = open_changes();
    (void)lan_look(made);
    *lan = made;
    return GV_OK;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void lan_close(struct lan *lan)
{
    if (lan == NULL)
        return;
    close_fd(lan->ipv4);
    close_fd(lan->ipv6);
    close_fd(lan->changes);
    free(lan->only);
    free(lan);
}

size_t lan_poll(const struct lan *lan, struct pollfd fds[LAN_FDS])
{
    const int all[LAN_FDS] = {lan->ipv4, lan->ipv6, lan->changes};
    size_t count = 0;

    for (size_t i = 0; i < LAN_FDS; i++) {
        if (all[i] >= 0)
            fds[count++] = (struct pollfd){.fd = all[i], .events = POLLIN};
    }
    GV_ASSERT(count > 0);
    return count;
}

/* Sending */

/* From the interface's own address: on loopback another one would be taken,
 * where a node that listens on loopback cannot be reached. */
static bool send_ipv4(const struct lan *lan, const struct interface *item,
                      struct in_addr to, const uint8_t *bytes, size_t size)
{
    uint16_t port = lan->options.port == 0 ? LAN_PORT : lan->options.port;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = to};
    struct in_pktinfo from = {.ipi_ifindex = (int)item->index,
                              .ipi_spec_dst = item->address};
    struct iovec vector = {(void *)(uintptr_t)bytes, size};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
    } control = {.bytes = {0}};
    struct msghdr message = {.msg_name = &address,
                             .msg_namelen = sizeof address,
                             .msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control.bytes};

    control.head.cmsg_level = IPPROTO_IP;
    control.head.cmsg_type = IP_PKTINFO;
    control.head.cmsg_len = CMSG_LEN(sizeof from);
    memcpy(CMSG_DATA(&control.head), &from, sizeof from);
    return sendmsg(lan->ipv4, &message, 0) == (ssize_t)size;
}

static bool send_ipv6(const struct lan *lan, const struct interface *item,
                      const uint8_t *bytes, size_t size)
{
    uint16_t port = lan->options.port == 0 ? LAN_PORT : lan->options.port;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                   .sin6_port = htons(port),
                                   .sin6_scope_id = item->index};

    inet_pton(AF_INET6, LAN_IPV6_GROUP, &address.sin6_addr);
    return set(lan->ipv6, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)item->index) &&
           sendto(lan->ipv6, bytes, size, 0, (struct sockaddr *)&address,
                  sizeof address) == (ssize_t)size;
}

static bool send_by(const struct lan *lan, const struct interface *item,
                    const uint8_t *bytes, size_t size)
{
    struct in_addr group;
    bool sent = false;

    inet_pton(AF_INET, LAN_IPV4_GROUP, &group);
    if (item->ipv4 && lan->ipv4 >= 0) {
        sent = send_ipv4(lan, item, group, bytes, size);
        if (item->broadcast.s_addr != INADDR_ANY)
            sent |= send_ipv4(lan, item, item->broadcast, bytes, size);
    }
    if (item->ipv6 && lan->ipv6 >= 0)
        sent |= send_ipv6(lan, item, bytes, size);
    return sent;
}

size_t lan_send(struct lan *lan, const uint8_t *bytes, size_t size)
{
    size_t count = 0;

    GV_ASSERT(size <= LAN_DATAGRAM_SIZE_MAX);
    for (size_t i = 0; i < lan->interfaces.count; i++) {
        const struct interface *item = &lan->interfaces.items[i];

        count += skip(lan, item) == NULL && send_by(lan, item, bytes, size);
    }
    return count;
}

/* Receiving */

static unsigned interface_of(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL;
         c = CMSG_NXTHDR(message, c)) {
        struct in_pktinfo ipv4;
        struct in6_pktinfo ipv6;

        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            memcpy(&ipv4, CMSG_DATA(c), sizeof ipv4);
            return (unsigned)ipv4.ipi_ifindex;
        }
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            memcpy(&ipv6, CMSG_DATA(c), sizeof ipv6);
            return (unsigned)ipv6.ipi6_ifindex;
        }
    }
    return 0;
}

/* An IPv6 address stands in brackets, a link-local one with its interface. */
static void write_host(const struct sockaddr_storage *from,
                       struct lan_datagram *datagram)
{
    char text[INET6_ADDRSTRLEN] = "";
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;

    if (from->ss_family == AF_INET) {
        memcpy(&ipv4, from, sizeof ipv4);
        inet_ntop(AF_INET, &ipv4.sin_addr, datagram->host,
                  sizeof datagram->host);
        return;
    }
    memcpy(&ipv6, from, sizeof ipv6);
    inet_ntop(AF_INET6, &ipv6.sin6_addr, text, sizeof text);
    if (IN6_IS_ADDR_LINKLOCAL(&ipv6.sin6_addr))
        snprintf(datagram->host, sizeof datagram->host, "[%s%%%s]", text,
                 datagram->name);
    else
        snprintf(datagram->host, sizeof datagram->host, "[%s]", text);
}

static bool receive(struct lan *lan, int fd, struct lan_datagram *datagram)
{
    struct sockaddr_storage from = {0};
    union {
        struct cmsghdr align;
        char bytes[256];
    } control;
    struct iovec vector = {datagram->bytes, sizeof datagram->bytes};
    struct msghdr message = {.msg_name = &from,
                             .msg_namelen = sizeof from,
                             .msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    const struct interface *by;
    ssize_t size = fd < 0 ? -1 : recvmsg(fd, &message, 0);

    if (size < 0)
        return false;
    datagram->size = (size_t)size;
    datagram->interface = interface_of(&message);
    by = interfaces_find(&lan->interfaces, datagram->interface);
    datagram->loopback = by != NULL && by->loopback;
    snprintf(datagram->name, sizeof datagram->name, "%s",
             by != NULL ? by->name : "?");
    write_host(&from, datagram);
    return true;
}

bool lan_next(struct lan *lan, struct lan_datagram *datagram)
{
    return receive(lan, lan->ipv4, datagram) ||
           receive(lan, lan->ipv6, datagram);
}

size_t lan_interface_count(const struct lan *lan)
{
    return lan->interfaces.count;
}

const char *lan_interface(const struct lan *lan, size_t i,
                          const char **skipped)
{
    GV_ASSERT(i < lan->interfaces.count);
    *skipped = skip(lan, &lan->interfaces.items[i]);
    return lan->interfaces.items[i].name;
}
