#include "node/node.h"

#include "node/loop.h"
#include "node/opening.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* BYE and what was sent before it get this long to leave. */
#define NODE_LINGER_MS 500

static int open_net(struct gv_node *node, struct gv_error *error)
{
    struct net_options options = {.listen = node->config.listen,
                                  .insecure = node->config.insecure};

    node->host->random(node->host->context, &options.seed,
                       sizeof options.seed);

    return net_new(&options, &node->net, error);
}

static void say_ready(const struct gv_node *node)
{
    const struct site *site = store_site(node->store);

    log_line(&node->log, GV_LOG_INFO,
             "ready: %s as site %02x%02x%02x%02x of mesh %s, %s%s",
             strrchr(node->path, '/') + 1, site->bytes[0], site->bytes[1],
             site->bytes[2], site->bytes[3], node->mesh,
             node->config.listen != NULL ? "listening on " : "only dials",
             node->config.listen != NULL ? net_endpoint(node->net) : "");
}

/* SQLite names its log and its locks after the file's name: through two names
 * two programs write one file without seeing each other.  A copy that a backup
 * made of links does no harm, so this is told, and not refused. */
static void warn_of_names(const struct gv_node *node)
{
    struct stat file;

    if (stat(node->path, &file) != 0 || file.st_nlink < 2)
        return;
    log_line(&node->log, GV_LOG_WARNING,
             "%s has %u names (hard links): whoever opens it by another one"
             " than this, while it is in use, damages it",
             strrchr(node->path, '/') + 1, (unsigned)file.st_nlink);
}

static int open_rooms(struct gv_node *node, struct gv_error *error)
{
    int rc;

    node->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (node->stop_fd < 0)
        return error_set(error, GV_ELIMIT,
                         "There is no file descriptor left.");
    rc = opening_store(node, error);
    if (rc == GV_OK)
        rc = opening_watch(node, error);
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
        rc = opening_core(node, error);
    if (rc == GV_OK)
        rc = discovery_open(node, error);
    if (rc == GV_OK)
        say_ready(node);
    if (rc == GV_OK)
        warn_of_names(node);
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
    quiet_init(&fresh->quiet, (struct log){options->log, options->log_context},
               loop_now);
    fresh->log = quiet_log(&fresh->quiet);
    pace_init(&fresh->pace);
    rhythm_init(&fresh->rhythm);
    applies_init(&fresh->applies);
    deltas_init(&fresh->deltas);
    proofs_init(&fresh->proofs);
    outbox_init(&fresh->outbox);
    refusals_init(&fresh->refusals);
    events_init(&fresh->events);
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

int node_run(struct gv_node *node, struct gv_error *error)
{
    loop_run(node);
    remembered_save(node);
    opening_say_bye(node);
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
    if (node->threaded) {
        node_stop(node);
        (void)node_join(node, NULL);
    }
    if (node->control != NULL)
        control_unlink(node->control);
    discovery_close(&node->discovery);
    net_free(node->net, NODE_LINGER_MS);
    deltas_close(&node->deltas, loop_now());
    proofs_close(&node->proofs);
    applies_close(&node->applies);
    free(node->slicing);
    outbox_close(&node->outbox);
    refusals_close(&node->refusals);
    events_close(&node->events);
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
