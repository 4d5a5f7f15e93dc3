#include "net/interfaces.h"

#include "base/assert.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct interface *take(struct interfaces *interfaces,
                              const struct ifaddrs *entry)
{
    struct interface *item;

    for (size_t i = 0; i < interfaces->count; i++) {
        if (strcmp(interfaces->items[i].name, entry->ifa_name) == 0)
            return &interfaces->items[i];
    }
    if (interfaces->count == INTERFACES_MAX)
        return NULL;
    item = &interfaces->items[interfaces->count++];
    *item = (struct interface){
        .index = if_nametoindex(entry->ifa_name),
        .up = (entry->ifa_flags & IFF_UP) && (entry->ifa_flags & IFF_RUNNING),
        .loopback = (entry->ifa_flags & IFF_LOOPBACK) != 0};
    snprintf(item->name, sizeof item->name, "%s", entry->ifa_name);
    return item;
}

static bool is_address(int family, const void *address, const char *only)
{
    char text[INET6_ADDRSTRLEN];

    return only != NULL &&
           inet_ntop(family, address, text, sizeof text) != NULL &&
           strcmp(text, only) == 0;
}

static void take_ipv4(struct interface *item, const struct ifaddrs *entry,
                      const char *only)
{
    struct sockaddr_in address, broadcast;

    memcpy(&address, entry->ifa_addr, sizeof address);
    item->only |= is_address(AF_INET, &address.sin_addr, only);
    if (item->ipv4)
        return;
    item->ipv4 = true;
    item->address = address.sin_addr;
    if ((entry->ifa_flags & IFF_BROADCAST) && entry->ifa_broadaddr != NULL) {
        memcpy(&broadcast, entry->ifa_broadaddr, sizeof broadcast);
        item->broadcast = broadcast.sin_addr;
    }
}

static void take_ipv6(struct interface *item, const struct ifaddrs *entry,
                      const char *only)
{
    struct sockaddr_in6 address;

    memcpy(&address, entry->ifa_addr, sizeof address);
    item->only |= is_address(AF_INET6, &address.sin6_addr, only);
    if (IN6_IS_ADDR_LINKLOCAL(&address.sin6_addr) || item->loopback)
        item->ipv6 = true;
}

int interfaces_read(struct interfaces *interfaces, const char *only)
{
    struct ifaddrs *list = NULL;

    interfaces->count = 0;
    if (getifaddrs(&list) != 0)
        return GV_EIO;
    for (const struct ifaddrs *entry = list; entry != NULL;
         entry = entry->ifa_next) {
        struct interface *item = take(interfaces, entry);

        if (item == NULL || entry->ifa_addr == NULL)
            continue;
        if (entry->ifa_addr->sa_family == AF_INET)
            take_ipv4(item, entry, only);
        else if (entry->ifa_addr->sa_family == AF_INET6)
            take_ipv6(item, entry, only);
    }
    freeifaddrs(list);
    GV_ASSERT(interfaces->count <= INTERFACES_MAX);
    return GV_OK;
}

bool interfaces_have_ipv6(void)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool have = fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any) == 0;

    if (fd >= 0)
        close(fd);
    return have;
}

static bool same(const struct interface *a, const struct interface *b)
{
    return a->index == b->index && strcmp(a->name, b->name) == 0 &&
           a->up == b->up && a->ipv4 == b->ipv4 && a->ipv6 == b->ipv6 &&
           a->only == b->only && a->address.s_addr == b->address.s_addr &&
           a->broadcast.s_addr == b->broadcast.s_addr;
}

bool interfaces_equal(const struct interfaces *a, const struct interfaces *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!same(&a->items[i], &b->items[i]))
            return false;
    }
    return true;
}

const struct interface *interfaces_find(const struct interfaces *interfaces,
                                        unsigned index)
{
    for (size_t i = 0; i < interfaces->count; i++) {
        if (interfaces->items[i].index == index)
            return &interfaces->items[i];
    }
    return NULL;
}
