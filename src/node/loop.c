/* The node's loop: wait, one event at a time into the core, carry out the
 * effects.  It is the driver loop of core/core.h with SQLite, ZeroMQ and
 * inotify around it. */
#include "node/loop.h"

#include "node/opening.h"
#include "node/remembered.h"

#include "wire/frame.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Being woken is a hint that may be lost: once a second it looks by
 * itself. */
#define LOOP_POLL_MS 1000
/* A wait that was shorter than this was none. */
#define LOOP_WAITED_US 20
/* A commit shows some 20 us after its first write to the log, which is what
 * wakes: to be woken once more for it would take longer than to wait. */
#define LOOP_SPIN_US 40
/* How long a piece of a delta waits for a commit; with 240 KiB every 3 ms a
 * delta comes at 80 MB/s at least. */
#define LOOP_AWAIT_US 3000
/* What comes for a delta is put between the commits of others, whose times
 * must be known for that: for as long no commit is slept through. */
#define LOOP_AWAKE_MS 1000
/* Frames taken before the file and the clock get their turn again. */
#define LOOP_FRAMES_MAX 64
/* Nobody else wrote for so long: the log may be moved into the file without
 * meeting another program that does the same. */
#define LOOP_CHECKPOINT_QUIET_MS 1000
#define LOOP_CHECKPOINT_FRAMES 1000
/* In the middle of a long apply: else the log would grow with it. */
#define LOOP_CHECKPOINT_WORK_FRAMES 16000
/* Rows of one slice of the audit: some 2 ms, no lock. */
#define LOOP_AUDIT_ROWS 200

int64_t loop_now_us(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

gv_time_ms loop_now(void)
{
    return loop_now_us() / 1000;
}

void loop_end(struct gv_node *node, const struct gv_error *why)
{
    if (node->end.code == GV_OK)
        node->end = *why;
}

void loop_moved(struct gv_node *node, const struct gv_error *why)
{
    if (node->moved.code != GV_OK)
        return;
    node->moved = *why;
    node->moved.code = GV_EMOVED;
}

void loop_finish(struct gv_node *node, const struct event *event)
{
    struct finished *finished = &node->finished;

    if (finished->count == finished->capacity) {
        size_t capacity = finished->capacity * 2 + 16;
        struct event *items =
            reallocarray(finished->items, capacity, sizeof *items);

        if (items == NULL) {
            struct gv_error why = {0};

            error_set(&why, GV_ENOMEM, "The node is out of memory.");
            loop_end(node, &why);
            return;
        }
        finished->items = items;
        finished->capacity = capacity;
    }
    finished->items[finished->count++] = *event;
}

static void step(struct gv_node *node, struct event *event)
{
    struct effects effects = {0};
    int rc;

    event->now = loop_now();
    event->wall = node->host->wall(node->host->context);
    rc = core_step(node->core, event, &effects);
    effects_carry_out(node, &effects);
    if (rc == GV_ENOMEM) {
        struct gv_error why = {0};

        error_set(&why, GV_ENOMEM, "The node is out of memory.");
        loop_end(node, &why);
    }
}

void loop_feed(struct gv_node *node, struct event *event)
{
    struct finished *finished = &node->finished;

    step(node, event);
    while (finished->first < finished->count) {
        struct event next = finished->items[finished->first++];

        step(node, &next);
    }
    finished->first = 0;
    finished->count = 0;
}

void loop_poll_store(struct gv_node *node, int64_t since_us)
{
    struct store_news news = {0};
    int64_t now_us = loop_now_us();
    /* Before the look: what is committed in between is seen by it. */
    bool writer = store_shows_writer(node->store);

    node->looked_us = now_us;
    if (store_poll(node->store, &news) != GV_OK)
        return;
    if (!writer)
        watch_rest(&node->watch);
    if (news.schema_moved)
        node->schema_moved = true;
    if (news.schema_moved)
        node->audit_due = 0;
    if (!news.committed && !news.schema_moved)
        return;
    pace_commit(&node->pace, since_us / 1000, now_us / 1000,
                store_wal_frames(node->store));
    rhythm_commit(&node->rhythm, since_us, now_us);
    node->write_wanted = true;
}

void loop_await_gap(struct gv_node *node)
{
    struct pollfd fds[] = {{.fd = node->watch.fd, .events = POLLIN},
                           {.fd = node->watch.timer, .events = POLLIN}};
    int64_t end = loop_now_us() + LOOP_AWAIT_US, now;

    node->awake_until = loop_now() + LOOP_AWAKE_MS;
    if (!pace_polite(&node->pace, loop_now()) || !rhythm_known(&node->rhythm))
        return;
    while ((now = loop_now_us()) < end &&
           rhythm_left_us(&node->rhythm, now) == 0) {
        struct timespec left = {.tv_nsec = (long)(end - now) * 1000};

        if (ppoll(fds, 2, &left, NULL) > 0 && watch_drain(&node->watch))
            loop_poll_store(node, loop_now_us());
    }
}

static bool write_pending(const struct gv_node *node)
{
    return node->write_wanted || node->applies.first != NULL;
}

/* A slice of a long delta fits between two commits of others. */
static bool fits_now(const struct gv_node *node)
{
    return store_working(node->store) &&
           pace_allowed(&node->pace, loop_now()) &&
           rhythm_left_us(&node->rhythm, loop_now_us()) > 0;
}

static bool idle(const struct gv_node *node)
{
    return !write_pending(node) && node->deltas.first == NULL &&
           node->moved.code == GV_OK;
}

/* To be woken, a process that sleeps costs the one that wakes it: an
 * application's write of 14 us takes 27 with anybody at all sleeping on an
 * inotify watch of its log, and 14 while that one sleeps on something else.
 * So in a crowd of commits the node looks by itself. */
static gv_time_ms nap_end(const struct gv_node *node, gv_time_ms now)
{
    return now < node->awake_until ? now : pace_nap(&node->pace, now);
}

static int timeout(const struct gv_node *node)
{
    gv_time_ms now = loop_now();
    gv_time_ms due = core_deadline(node->core);
    gv_time_ms nap = nap_end(node, now);

    if (deltas_ready(&node->deltas) || proofs_ready(&node->proofs) ||
        fits_now(node))
        return 0;
    if (node->poll_due < due)
        due = node->poll_due;
    if (nap > now && nap < due)
        due = nap;
    if (discovery_deadline(&node->discovery) < due)
        due = discovery_deadline(&node->discovery);
    if (write_pending(node) && pace_due(&node->pace) < due)
        due = pace_due(&node->pace);
    if (idle(node) && node->audit_due < due)
        due = node->audit_due;
    if (!outbox_empty(&node->outbox) && now + OUTBOX_RETRY_MS < due)
        due = now + OUTBOX_RETRY_MS;
    return due <= now ? 0 : (int)(due - now);
}

static void take_frame(struct gv_node *node, const struct net_event *got)
{
    struct message message;
    struct event event = {.link = got->link};

    event.code = frame_decode(got->frame, got->size, &message);
    if (event.code == GV_OK) {
        event.kind = EVENT_MESSAGE;
        event.as.message.message = &message;
        event.as.message.frame_size = got->size;
    } else {
        event.kind = EVENT_BAD_FRAME;
        event.reason = "a frame that does not follow the protocol";
    }
    loop_feed(node, &event);
}

static void take_net_event(struct gv_node *node, const struct net_event *got)
{
    struct event event = {.link = got->link};

    switch (got->kind) {
    case NET_UP:
        event.kind = EVENT_LINK_UP;
        event.as.up.local = net_local(node->net, got->link);
        loop_feed(node, &event);
        break;
    case NET_DOWN:
        outbox_drop(&node->outbox, got->link);
        event.kind = EVENT_LINK_DOWN;
        event.reason = got->reason;
        loop_feed(node, &event);
        break;
    case NET_FRAME:
        take_frame(node, got);
        break;
    }
}

static void take_net_events(struct gv_node *node)
{
    struct net_event got;

    for (int i = 0; i < LOOP_FRAMES_MAX && net_next(node->net, &got); i++)
        take_net_event(node, &got);
}

static void take_time(struct gv_node *node)
{
    struct event tick = {.kind = EVENT_TICK};

    if (loop_now() >= core_deadline(node->core))
        loop_feed(node, &tick);
}

/* A checkpoint by the node while another program does one could meet a bug
 * of SQLite before 3.51.3 (the log reset twice); so only in silence. */
static void checkpoint(struct gv_node *node)
{
    int frames = store_wal_frames(node->store);

    if (!node->checkpoint_wanted || node->deltas.first != NULL ||
        frames < LOOP_CHECKPOINT_FRAMES ||
        (write_pending(node) && frames < LOOP_CHECKPOINT_WORK_FRAMES) ||
        !pace_quiet(&node->pace, loop_now(), LOOP_CHECKPOINT_QUIET_MS))
        return;
    if (store_checkpoint(node->store) == GV_OK)
        node->checkpoint_wanted = false;
}

static void look(struct gv_node *node)
{
    struct gv_error why = {0};

    if (store_look(node->store, &why) == GV_EMOVED)
        loop_moved(node, &why);
}

/* Somebody writes to the log: his commit shows in a moment.  Where commits
 * come in a crowd none is answered at once, and nothing is waited for. */
static void await_commit(struct gv_node *node)
{
    int64_t end = loop_now_us() + LOOP_SPIN_US;

    if (node->pace.crowd || !node->watch.hinted)
        return;
    while (!store_shows_commit(node->store) && loop_now_us() < end)
        sched_yield(); /* to him, if there is no other core */
}

static void take_commits(struct gv_node *node)
{
    gv_time_ms now = loop_now();
    bool woken = watch_drain(&node->watch);
    bool due = now >= node->poll_due;

    if (due) {
        node->poll_due = now + LOOP_POLL_MS;
        deltas_expire(node);
        remembered_turn(node);
        proving_turn(node);
        checkpoint(node);
    }
    if (woken)
        await_commit(node);
    if (woken || due)
        loop_poll_store(node, node->woken_us);
    if (node->watch.replaced || due)
        look(node);
    node->watch.replaced = false;
}

static void write_if_due(struct gv_node *node)
{
    if (fits_now(node) ||
        (write_pending(node) && loop_now() >= pace_due(&node->pace)))
        writes_turn(node);
}

void loop_follow_audit(struct gv_node *node, const struct store_audit *audit)
{
    node->audit_due = audit->due;
    node->write_wanted |= audit->write || audit->resumed;
    node->schema_moved |= audit->resumed;
}

/* One slice of the audit when nothing else is to be done. */
static void audit_if_idle(struct gv_node *node)
{
    gv_time_ms now = loop_now();
    struct store_audit audit;
    struct gv_error why = {0};

    if (!idle(node) || now < node->audit_due)
        return;
    if (store_audit_step(node->store, now, LOOP_AUDIT_ROWS, &audit, &why) !=
        GV_OK) {
        log_line(&node->log, GV_LOG_WARNING, "the audit could not go on: %s",
                 why.what);
        audit.due = now + LOOP_POLL_MS;
    }
    loop_follow_audit(node, &audit);
}

/* A slice of what is recomputed to find where a peer differs. */
static void prove(struct gv_node *node)
{
    struct event event;

    if (node->moved.code != GV_OK || !proofs_ready(&node->proofs) ||
        !proofs_turn(&node->proofs, node->store, &event))
        return;
    if (event.code == GV_EMOVED) {
        struct gv_error why = {0};

        error_set(&why, GV_EMOVED, "%s",
                  event.reason != NULL ? event.reason
                                       : gv_strerror(event.code));
        loop_moved(node, &why);
    }
    if (event.as.proved.wrote) {
        writes_tell_sealed(node);
        node->write_wanted = true; /* what was withheld can be sealed */
    }
    loop_feed(node, &event);
}

static void wait(struct gv_node *node)
{
    struct pollfd fds[3 + LAN_FDS + CONTROL_FDS_MAX] = {
        {.fd = node->stop_fd, .events = POLLIN},
        {.fd = node->watch.fd, .events = POLLIN},
        {.fd = node->watch.timer, .events = POLLIN},
    };
    size_t own = 3 + discovery_poll(&node->discovery, fds + 3);
    size_t count = own + control_poll(node->control, fds + own);
    int64_t began_us;
    bool naps = nap_end(node, loop_now()) > loop_now();

    if (naps)
        fds[1].fd = fds[2].fd = -1;
    began_us = loop_now_us();
    net_wait(node->net, fds, count, timeout(node));
    node->woken_us = loop_now_us();
    /* What it had not to wait for may have happened since the last look. */
    if (naps || node->woken_us - began_us < LOOP_WAITED_US)
        node->woken_us = node->looked_us;
    if (fds[0].revents != 0)
        node->stopping = true;
    control_serve(node->control, fds + own, count - own);
}

static void turn(struct gv_node *node)
{
    wait(node);
    take_commits(node);
    take_net_events(node);
    discovery_turn(node);
    take_time(node);
    write_if_due(node);
    deltas_turn(node);
    prove(node);
    audit_if_idle(node);
    events_turn(node);
    outbox_flush(&node->outbox, node->net);
}

void loop_run(struct gv_node *node)
{
    node->poll_due = loop_now();
    node->write_wanted = true;
    if (node->config.row != NULL || node->config.link != NULL)
        events_begin(node);
    while (!node->stopping && node->end.code == GV_OK) {
        if (node->moved.code != GV_OK)
            opening_again(node);
        else
            turn(node);
    }
}
