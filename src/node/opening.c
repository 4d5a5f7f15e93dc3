#include "node/opening.h"

#include "base/hook.h"
#include "node/client.h"
#include "node/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OPENING_LOCK_MS 5000
#define OPENING_LOCK_STEP_MS 20
/* A file that is being copied back is not whole yet, or not there: it is
 * tried again after pauses that double from the first to the last, about 10 s
 * after it last changed. */
#define OPENING_TRIES_MAX 10
#define OPENING_PAUSE_MIN_MS 50
#define OPENING_PAUSE_MAX_MS 1600
/* What makes a node open its file again should pass when it does.  More often
 * than so within a minute it does not. */
#define OPENING_AGAIN_MAX 5
#define OPENING_AGAIN_MS 60000

/* A look at the file by status, track or verify holds the lock for a moment;
 * a node that runs holds it for good, and answers. */
static int open_locked(struct gv_node *node, struct gv_error *error)
{
    struct store_options options = {
        .mode = STORE_WRITE, .host = node->host, .log = node->log};
    struct timespec pause = {.tv_nsec = OPENING_LOCK_STEP_MS * 1000 * 1000};

    for (int waited_ms = 0;; waited_ms += OPENING_LOCK_STEP_MS) {
        int rc = store_open(node->path, &options, &node->store, error);

        if (rc != GV_ELOCKED || waited_ms >= OPENING_LOCK_MS ||
            client_answers(node->path))
            return rc;
        nanosleep(&pause, NULL);
    }
}

int opening_store(struct gv_node *node, struct gv_error *error)
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

int opening_watch(struct gv_node *node, struct gv_error *error)
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

/* The core */

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

static uint64_t random_number(const struct host *host)
{
    uint64_t number;

    host->random(host->context, &number, sizeof number);
    return number;
}

/* Of two nodes with one site id the one that started later gives it up, so
 * the instance begins with the time. */
static uint64_t new_instance(const struct host *host)
{
    uint64_t seconds = (uint64_t)host->wall(host->context) / 1000;

    return seconds << 32 | (random_number(host) & UINT32_MAX);
}

static bool pause_stopped(struct gv_node *node, int ms)
{
    struct pollfd fd = {.fd = node->stop_fd, .events = POLLIN};

    if (poll(&fd, 1, ms) > 0)
        node->stopping = true;
    return node->stopping;
}

/* What a crash left half done is finished before peers hear anything of this
 * file.  If it cannot be now, the node goes on, serves nothing, and tries
 * again. */
static int finish_work(struct gv_node *node, struct gv_error *error)
{
    struct gv_error why = {0};
    int rc = GV_OK;

    while (!node->stopping &&
           (store_working(node->store) || store_busy(node->store))) {
        rc = store_work_all(node->store, 0, NULL, &why);
        if (rc == GV_EMOVED && error != NULL)
            *error = why;
        if (rc != GV_OK && rc != GV_EBUSY)
            break;
        if (rc == GV_EBUSY)
            pause_stopped(node, OPENING_LOCK_STEP_MS);
    }
    if (rc != GV_OK && rc != GV_EMOVED && rc != GV_EBUSY)
        log_line(&node->log, GV_LOG_WARNING,
                 "what was begun before cannot be finished yet: %s", why.what);
    return rc == GV_EMOVED ? rc : GV_OK;
}

/* What this version speaks; in a test build, what another one would. */
static struct dialect own_dialect(void)
{
    struct dialect dialect = {
        .min = (uint32_t)hook_number("protocol-min", PROTOCOL_VERSION_MIN),
        .max = (uint32_t)hook_number("protocol-max", PROTOCOL_VERSION_MAX),
        .features = FEATURES_ALL & ~hook_number("without-features", 0)};

    return dialect;
}

static int make_core(struct gv_node *node, struct gv_error *error)
{
    const char *endpoint = own_endpoint(node);
    struct core_config config = {.now = loop_now(),
                                 .site = *store_site(node->store),
                                 .name = node->config.name,
                                 .mesh = node->mesh,
                                 .instance = new_instance(node->host),
                                 .first_link = node->next_link,
                                 .seed = random_number(node->host),
                                 .endpoints = &endpoint,
                                 .endpoint_count = endpoint != NULL,
                                 .exchange = !node->config.static_peers,
                                 .vv = store_vv(node->store),
                                 .fingerprint = store_fingerprint(node->store),
                                 .schema_digest =
                                     store_schema_digest(node->store),
                                 .dialect = own_dialect()};
    int rc;

    store_stage_held(node->store, &config.stage);
    rc = core_new(&config, &node->core);

    for (size_t i = 0; rc == GV_OK && i < node->config.peer_count; i++) {
        rc = core_add_peer(node->core, node->config.peers[i]);
        if (rc == GV_EEXIST)
            rc = GV_OK; /* named twice */
    }
    if (rc == GV_OK)
        remembered_load(node);
    return rc == GV_OK
               ? rc
               : error_set(error, rc, "The node could not be made: %s.",
                           gv_strerror(rc));
}

int opening_core(struct gv_node *node, struct gv_error *error)
{
    int rc = store_mesh(node->store, node->mesh, error);

    if (rc == GV_OK)
        rc = finish_work(node, error);
    return rc == GV_OK ? make_core(node, error) : rc;
}

void opening_say_bye(struct gv_node *node)
{
    struct effects effects = {0};

    if (node->core == NULL)
        return;
    core_stop(node->core, loop_now(), &effects);
    effects_carry_out(node, &effects);
    outbox_flush(&node->outbox, node->net);
}

/* Again */

/* All that stands on the store that is to be closed.  The sockets stay. */
static void let_go(struct gv_node *node)
{
    remembered_save(node);
    node->next_link = core_next_link(node->core);
    deltas_close(&node->deltas, loop_now());
    proofs_forget(&node->proofs);
    applies_close(&node->applies);
    applies_init(&node->applies);
    free(node->slicing);
    node->slicing = NULL;
    core_free(node->core);
    node->core = NULL;
    node->visited.endpoint[0] = '\0';
    node->finished.first = node->finished.count = 0;
    store_close(node->store);
    node->store = NULL;
    watch_close(&node->watch);
    pace_init(&node->pace);
    rhythm_init(&node->rhythm);
    memset(&node->trouble, 0, sizeof node->trouble);
    node->moved = (struct gv_error){0};
    node->audit_due = 0;
    node->write_wanted = true;
    node->poll_due = loop_now();
}

/* Who removes the directory beside the file removes the socket in it. */
static int keep_control(struct gv_node *node, struct gv_error *error)
{
    char *path;
    bool there;

    if (asprintf(&path, "%s-gv/control", node->path) < 0)
        return error_set(error, GV_ENOMEM, "There is no memory left.");
    there = access(path, F_OK) == 0;
    free(path);
    if (there)
        return GV_OK;
    control_free(node->control);
    node->control = NULL;
    return control_open(node->path, requests_answer, node, &node->control,
                        error);
}

/* One try.  A file that is not ours (yet) is not made ours: it may be one that
 * is being copied, whose first pages are to come. */
static int open_once(struct gv_node *node, struct gv_error *error)
{
    struct store_options options = {
        .mode = STORE_WRITE, .host = node->host, .log = node->log};
    int rc = store_open(node->path, &options, &node->store, error);

    if (rc != GV_OK)
        return rc;
    if (!store_joined(node->store)) {
        error_set(error, GV_ENOTFOUND,
                  "The file that is now at %s is no member of a mesh.",
                  node->path);
        error_meaning(error, "Another file took the place of the one that"
                             " was synced.");
        error_remedy(error, "Put back the right file, or track a table of this"
                            " one; then start the node again.");
        rc = GV_ENOTFOUND;
    } else {
        rc = store_join(node->store, node->mesh, error);
    }
    if (rc != GV_OK) {
        store_close(node->store);
        node->store = NULL;
    }
    return rc;
}

static bool may_pass(int code)
{
    return code == GV_ENOTFOUND || code == GV_EINVAL || code == GV_ECORRUPT ||
           code == GV_EIO || code == GV_EBUSY || code == GV_ELOCKED;
}

static int open_patiently(struct gv_node *node, struct gv_error *error)
{
    struct file_marks seen = {0}, marks = {0};
    int pause_ms = OPENING_PAUSE_MIN_MS;

    for (int tries = 1;; tries++) {
        int rc = open_once(node, error);

        if (rc == GV_OK || !may_pass(rc))
            return rc;
        if (pause_ms == OPENING_PAUSE_MIN_MS)
            log_line(&node->log, GV_LOG_WARNING,
                     "%s It is tried again for about 10 s after it last"
                     " changed; meanwhile nothing is synced.",
                     error->what);
        if (node->host->marks(node->host->context, node->path, &marks) ==
                GV_OK &&
            marks.written_ns != seen.written_ns)
            tries = 0;
        seen = marks;
        if (tries == OPENING_TRIES_MAX || pause_stopped(node, pause_ms))
            return rc;
        if (pause_ms < OPENING_PAUSE_MAX_MS)
            pause_ms *= 2;
    }
}

static bool too_often(struct gv_node *node)
{
    gv_time_ms now = loop_now();

    if (now - node->opened_at > OPENING_AGAIN_MS)
        node->opened_count = 0;
    node->opened_at = now;
    return ++node->opened_count > OPENING_AGAIN_MAX;
}

static void say_opened(struct gv_node *node, const struct gv_error *why,
                       const struct site *before)
{
    const struct site *site = store_site(node->store);
    bool same = site_equal(site, before);
    char now[33], then[33];

    site_format(site, now);
    site_format(before, then);
    log_line(&node->log, GV_LOG_WARNING,
             "opened %s again and go on as site %.8s%s%.8s: %s",
             strrchr(node->path, '/') + 1, now,
             same ? ", as before" : " in place of ", same ? "" : then,
             why->what);
}

void opening_again(struct gv_node *node)
{
    struct gv_error why = node->moved, error = {0};
    struct site before = *store_site(node->store);
    int rc;

    if (too_often(node)) {
        loop_end(node, &why);
        return;
    }
    opening_say_bye(node);
    let_go(node);
    /* What caused it once may need a moment to be over. */
    if (node->opened_count > 1 && pause_stopped(node, OPENING_PAUSE_MAX_MS))
        return;
    rc = open_patiently(node, &error);
    if (rc == GV_OK)
        rc = keep_control(node, &error);
    if (rc == GV_OK)
        rc = opening_watch(node, &error);
    if (rc == GV_OK)
        rc = opening_core(node, &error);
    if (rc == GV_OK)
        say_opened(node, &why, &before);
    if (rc == GV_OK || node->stopping)
        return;
    if (error.remedy[0] == '\0')
        error_remedy(&error, "Put the file in order, then start the node"
                             " again.");
    loop_end(node, &error);
}
