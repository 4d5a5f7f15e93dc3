/* A node's settings, checked and copied. */
#ifndef NODE_CONFIG_H
#define NODE_CONFIG_H

#include "grapevine.h"

struct config {
    char *mesh; /* NULL: whatever the file keeps */
    char *name;
    char *listen;    /* NULL: only dials */
    char *advertise; /* NULL: what it listens on */
    char **peers;
    size_t peer_count;
    bool static_peers; /* dial nobody else */
    bool insecure;
    bool discover; /* find peers on the LAN; then it listens */
    bool create_tables;
    void (*row)(void *context, const struct gv_row_event *event);
    void (*link)(void *context, const struct gv_link_event *event);
    void *event_context;
};

/* Errors: GV_EINVAL (an endpoint, the peers file, a name too long),
 * GV_ENOTFOUND (no such peers file), GV_EIO, GV_ENOMEM. */
int config_init(struct config *config, const struct gv_node_options *options,
                struct gv_error *error);
void config_close(struct config *config);

/* Whether @endpoint may be used; without keys nothing may leave this machine
 * unless it is said aloud.  @where names the option, or file and line.
 * Errors: GV_EINVAL. */
int config_check_endpoint(const char *where, const char *endpoint,
                          bool listening, bool insecure,
                          struct gv_error *error);

#endif
