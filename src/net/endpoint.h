/* Endpoints as people write them: tcp://HOST:PORT, where HOST is a name, an
 * IPv4 address, or an IPv6 address in brackets. */
#ifndef NET_ENDPOINT_H
#define NET_ENDPOINT_H

#include "grapevine.h"

/* The longest host name is 253 characters; the source address that a dialled
 * form may have in front takes 14 more. */
#define ENDPOINT_HOST_SIZE 256
#define ENDPOINT_TEXT_SIZE 320

enum endpoint_host {
    ENDPOINT_NAME,
    ENDPOINT_IPV4,
    ENDPOINT_IPV6,
    ENDPOINT_ANY /* "*": listening on all IPv4 interfaces */
};

struct endpoint {
    enum endpoint_host kind;
    bool loopback;                 /* 127.0.0.0/8, [::1] or localhost */
    char host[ENDPOINT_HOST_SIZE]; /* without brackets */
    char port[8];                  /* 1 to 65535, or "*" when listening */
};

/* Read @text.  "*" as host or port only when @listening.
 * Errors: GV_EINVAL. */
int endpoint_parse(struct endpoint *endpoint, const char *text, bool listening,
                   struct gv_error *error);

/* The form to give to zmq_bind(). */
void endpoint_format_bind(const struct endpoint *endpoint,
                          char text[ENDPOINT_TEXT_SIZE]);

/* The form to give to zmq_connect(); when @from_loopback, one whose
 * connection leaves from a loopback address, so that the system refuses it to
 * any other host, whatever a name may turn out to mean. */
void endpoint_format_dial(const struct endpoint *endpoint, bool from_loopback,
                          char text[ENDPOINT_TEXT_SIZE]);

#endif
