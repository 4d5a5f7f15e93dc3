#include "node/node.h"

#include "node/client.h"
#include "node/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* BYE and what was sent before it get this long to leave. */
#define NODE_LINGER_MS 500
#define NODE_LOCK_MS 5000
#define NODE_LOCK_STEP_MS 20

/* A look at the file by status, track or verify holds the lock for a moment;
 * a node that runs holds it for good, and answers. */
static int open_locked(struct gv_node *node, struct gv_error *error)
{
    struct store_options options = {
        .mode = STORE_WRITE, .host = node->host, .log = node->log};
    struct timespec pause = {.tv_nsec = NODE_LOCK_STEP_MS * 1000 * 1000};

    for (int waited_ms = 0;; waited_ms += NODE_LOCK_STEP_MS) {
        int rc = store_open(node->path, &options, &node->store, error);

        if (rc != GV_ELOCKED || waited_ms >= NODE_LOCK_MS ||
            client_answers(node->path))
            return rc;
        nanosleep(&pause, NULL);
    }
}

static int open_store(struct gv_node *node, struct gv_error *error)
{
    int rc = open_locked(node, error);

    if (rc == GV_ELOCKED) {
        error_set(error, rc, "Another node runs on %s.", node->path);
        error_meaning(error, "One node serves a file, for all programs that "
                             "use it.");
        error_remedy(error, "Ask it with: grapevine status %s", node->path);
    }
    return rc;
}

static uint64_t random_number(const struct host *host)
{
    uint64_t number;

    host->random(host->context, &number, sizeof number);
    return number;
}

static int open_net(struct gv_node *node, struct gv_error *error)
{
    struct net_options options = {.listen = node->config.listen,
                                  .insecure = node->config.insecure,
                                  .seed = random_number(node->host)};

    return net_new(&options, &node->net, error);
}

/* What peers are told: nothing where only a wildcard is known. */
static const char *own_endpoint(const struct gv_node *node)
{
    const char *endpoint = net_endpoint(node->net);

    if (node->config.advertise != NULL)
        return node->config.advertise;
    if (endpoint == NULL || strncmp(endpoint, "tcp://*:", 8) == 0 ||
        strncmp(endpoint, "tcp://0.0.0.0:", 14) == 0 ||
        strncmp(endpoint, "tcp://[::]:", 11) == 0)
        return NULL;
    return endpoint;
}

static int make_core(struct gv_node *node, struct gv_error *error)
{
    const char *endpoint = own_endpoint(node);
    struct store_status status;
    struct core_config config = {.site = *store_site(node->store),
                                 .name = node->config.name,
                                 .instance = random_number(node->host),
                                 .seed = random_number(node->host),
                                 .endpoints = &endpoint,
                                 .endpoint_count = endpoint != NULL,
                                 .vv = store_vv(node->store),
                                 .fingerprint = store_fingerprint(node->store),
                                 .schema_digest =
                                     store_schema_digest(node->store)};
    int rc = store_status(node->store, &status, error);

    if (rc != GV_OK)
        return rc;
    config.mesh = status.mesh;
    rc = core_new(&config, &node->core);
    for (size_t i = 0; rc == GV_OK && i < node->config.peer_count; i++) {
        rc = core_add_peer(node->core, node->config.peers[i]);
        if (rc == GV_EEXIST)
            rc = GV_OK; /* named twice */
    }
    if (rc == GV_OK)
        log_line(&node->log, GV_LOG_INFO,
                 "ready: %s as site %02x%02x%02x%02x of mesh %s, %s%s",
                 strrchr(node->path, '/') + 1, config.site.bytes[0],
                 config.site.bytes[1], config.site.bytes[2],
                 config.site.bytes[3], status.mesh,
                 node->config.listen != NULL ? "listening on " : "only dials",
                 node->config.listen != NULL ? net_endpoint(node->net) : "");
    else
        error_set(error, rc, "The node could not be made: %s.",
                  gv_strerror(rc));
    store_status_close(&status);
    return rc;
}

static int open_watch(struct gv_node *node, struct gv_error *error)
{
    int rc = watch_init(&node->watch, node->path);

    if (rc == GV_ENOMEM)
        return error_set(error, rc, "There is no memory left.");
    if (rc != GV_OK)
        log_line(&node->log, GV_LOG_WARNING,
                 "the system gives no file watch (see "
                 "/proc/sys/fs/inotify): changes are noticed once a second");
    return GV_OK;
}

static int open_rooms(struct gv_node *node, struct gv_error *error)
{
    int rc;

    node->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (node->stop_fd < 0)
        return error_set(error, GV_ELIMIT,
                         "There is no file descriptor left.");
    rc = open_store(node, error);
    if (rc == GV_OK)
        rc = open_watch(node, error);
    if (rc == GV_OK)
        rc = open_net(node, error);
    /* Only now, so that a start that fails leaves the file as it was. */
    if (rc == GV_OK)
        rc = store_join(node->store, node->config.mesh, error);
    if (rc == GV_OK && node->config.create_tables)
        rc = store_create_tables(node->store, error);
    if (rc == GV_OK)
        rc = control_open(node->path, requests_answer, node, &node->control,
                          error);
    if (rc == GV_OK)
        rc = make_core(node, error);
    return rc;
}

int node_new(const char *path, const struct gv_node_options *options,
             struct gv_node **node, struct gv_error *error)
{
    struct gv_node *fresh = calloc(1, sizeof *fresh);
    int rc;

    if (fresh == NULL)
        return error_set(error, GV_ENOMEM, "There is no memory left.");
    fresh->stop_fd = -1;
    fresh->watch.fd = -1;
    fresh->watch.timer = -1;
    fresh->host = host_system();
    fresh->log = (struct log){options->log, options->log_context};
    pace_init(&fresh->pace);
    applies_init(&fresh->applies);
    deltas_init(&fresh->deltas);
    outbox_init(&fresh->outbox);
    refusals_init(&fresh->refusals);
    rc = config_init(&fresh->config, options, error);
    if (rc == GV_OK) {
        fresh->path = strdup(path);
        rc = fresh->path != NULL
                 ? open_rooms(fresh, error)
                 : error_set(error, GV_ENOMEM, "There is no memory left.");
    }
    if (rc != GV_OK) {
        node_free(fresh);
        return rc;
    }
    *node = fresh;
    return GV_OK;
}

static void say_bye(struct gv_node *node)
{
    struct effects effects = {0};

    core_stop(node->core, loop_now(), &effects);
    effects_carry_out(node, &effects);
    outbox_flush(&node->outbox, node->net);
}

int node_run(struct gv_node *node, struct gv_error *error)
{
    loop_run(node);
    say_bye(node);
    if (node->end.code == GV_OK)
        log_line(&node->log, GV_LOG_INFO, "stopped");
    else if (error != NULL)
        *error = node->end;
    return node->end.code;
}

void node_stop(struct gv_node *node)
{
    static const uint64_t one = 1;
    ssize_t size = write(node->stop_fd, &one, sizeof one);

    /* An eventfd that is full is readable, which is all that is wanted. */
    (void)size;
}

void node_free(struct gv_node *node)
{
    if (node == NULL)
        return;
    if (node->control != NULL)
        control_unlink(node->control);
    net_free(node->net, NODE_LINGER_MS);
    deltas_close(&node->deltas);
    applies_close(&node->applies);
    outbox_close(&node->outbox);
    refusals_close(&node->refusals);
    core_free(node->core);
    watch_close(&node->watch);
    store_close(node->store);
    /* Only now, so that who asked for the stop knows the file is free. */
    control_free(node->control);
    config_close(&node->config);
    free(node->finished.items);
    if (node->stop_fd >= 0)
        close(node->stop_fd);
    free(node->path);
    free(node);
}
