#include "net/endpoint.h"

#include "base/error.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME "tcp://"

static int refuse(struct gv_error *error, const char *text, const char *why)
{
    error_set(error, GV_EINVAL, "'%.300s' is not an endpoint: %s.", text, why);
    error_meaning(error, "An endpoint reads tcp://HOST:PORT; HOST is a name "
                         "or an address, an IPv6 address in brackets.");
    error_remedy(error, "Write it like tcp://127.0.0.1:7401.");
    return GV_EINVAL;
}

static const char *read_port(struct endpoint *endpoint, const char *port,
                             bool listening)
{
    size_t size = strlen(port);

    if (!(listening && strcmp(port, "*") == 0)) {
        if (size == 0)
            return "the port is missing";
        if (size > 5 || strspn(port, "0123456789") != size)
            return "the port is not a number from 1 to 65535";
        if (atoi(port) < 1 || atoi(port) > 65535)
            return "the port is not a number from 1 to 65535";
    }
    memcpy(endpoint->port, port, size + 1);
    return NULL;
}

/* An address of digits and dots only is meant as a number: "127.1" would
 * otherwise be looked up as a name. */
static const char *read_plain_host(struct endpoint *endpoint, bool listening)
{
    const char *host = endpoint->host;
    struct in_addr address;

    if (host[0] == '\0')
        return "the host is missing";
    if (strcmp(host, "*") == 0) {
        endpoint->kind = ENDPOINT_ANY;
        return listening ? NULL : "'*' can be listened on, but not dialled";
    }
    if (strspn(host, "0123456789.") == strlen(host)) {
        endpoint->kind = ENDPOINT_IPV4;
        if (inet_pton(AF_INET, host, &address) != 1)
            return "its IPv4 address needs four numbers from 0 to 255";
        endpoint->loopback = ntohl(address.s_addr) >> 24 == 127;
        return NULL;
    }
    if (strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "0123456789.-_") != strlen(host))
        return "a host's name has letters, digits, dots and hyphens only";
    endpoint->kind = ENDPOINT_NAME;
    endpoint->loopback = strcasecmp(host, "localhost") == 0;
    return NULL;
}

/* A scope, as in fe80::1%eth0, may follow the address. */
static const char *read_ipv6_host(struct endpoint *endpoint)
{
    struct in6_addr address;
    char number[INET6_ADDRSTRLEN];
    size_t size = strcspn(endpoint->host, "%");

    endpoint->kind = ENDPOINT_IPV6;
    if (size >= sizeof(number))
        return "its IPv6 address is too long";
    memcpy(number, endpoint->host, size);
    number[size] = '\0';
    if (inet_pton(AF_INET6, number, &address) != 1)
        return "what is in brackets is not an IPv6 address";
    if (strpbrk(endpoint->host, ";/ ") != NULL)
        return "what is in brackets is not an IPv6 address";
    endpoint->loopback = IN6_IS_ADDR_LOOPBACK(&address);
    return NULL;
}

int endpoint_parse(struct endpoint *endpoint, const char *text, bool listening,
                   struct gv_error *error)
{
    const char *host = text + strlen(SCHEME), *end, *why;
    bool bracketed;

    memset(endpoint, 0, sizeof(*endpoint));
    if (strncmp(text, SCHEME, strlen(SCHEME)) != 0)
        return refuse(error, text, "it does not begin with " SCHEME);
    bracketed = host[0] == '[';
    end = bracketed ? strstr(host, "]:") : strrchr(host, ':');
    if (end == NULL)
        return refuse(error, text, "the port is missing");
    host += bracketed;
    if ((size_t)(end - host) >= sizeof(endpoint->host))
        return refuse(error, text, "the host is too long");
    memcpy(endpoint->host, host, (size_t)(end - host));
    why = bracketed ? read_ipv6_host(endpoint)
                    : read_plain_host(endpoint, listening);
    if (why == NULL)
        why = read_port(endpoint, end + 1 + bracketed, listening);
    return why == NULL ? GV_OK : refuse(error, text, why);
}

/* Binding looks up no names (ZeroMQ takes them for interfaces), so the one
 * name that everybody knows is spelt out. */
void endpoint_format_bind(const struct endpoint *endpoint,
                          char text[ENDPOINT_TEXT_SIZE])
{
    bool localhost = endpoint->kind == ENDPOINT_NAME && endpoint->loopback;
    const char *host = localhost ? "127.0.0.1" : endpoint->host;

    snprintf(text, ENDPOINT_TEXT_SIZE,
             endpoint->kind == ENDPOINT_IPV6 ? SCHEME "[%s]:%s"
                                             : SCHEME "%s:%s",
             host, endpoint->port);
}

void endpoint_format_dial(const struct endpoint *endpoint, bool from_loopback,
                          char text[ENDPOINT_TEXT_SIZE])
{
    if (endpoint->kind == ENDPOINT_IPV6)
        snprintf(text, ENDPOINT_TEXT_SIZE, SCHEME "%s[%s]:%s",
                 from_loopback ? "[::1]:0;" : "", endpoint->host,
                 endpoint->port);
    else
        snprintf(text, ENDPOINT_TEXT_SIZE, SCHEME "%s%s:%s",
                 from_loopback ? "127.0.0.1:0;" : "", endpoint->host,
                 endpoint->port);
}
