#include "mesh.h"

#include "base/assert.h"
#include "base/buffer.h"
#include "core/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A message in flight with its own memory. */
struct frame {
    struct frame *next;
    gv_time_ms due;
    size_t wire;
    int side; /* the sender's */
    struct message message;
    struct part *parts;
    size_t size;
};

struct part {
    struct part *next;
    uint8_t bytes[];
};

struct job {
    struct job *next;
    gv_time_ms due;
    enum effect_kind kind;
    gv_link link;
    uint64_t token;
    size_t number; /* APPLY: the interval */
    struct vv vv;  /* APPLY_DELTA: the claim; EXTRACT: the asker's */
};

/* Messages are copied whole: what a core sends lives until its next step. */

static const void *keep(struct frame *frame, const void *bytes, size_t size)
{
    struct part *part = malloc(sizeof(*part) + size);

    GV_ASSERT(part != NULL);
    part->next = frame->parts;
    frame->parts = part;
    frame->size += size;
    if (size > 0)
        memcpy(part->bytes, bytes, size);
    return part->bytes;
}

static void keep_view(struct frame *frame, struct vv_view *view)
{
    view->bytes = keep(frame, view->bytes, view->count * VV_ENTRY_SIZE);
}

static void keep_text(struct frame *frame, struct text *text)
{
    text->bytes = keep(frame, text->bytes, text->size);
}

static void keep_interval(struct frame *frame, struct interval *interval)
{
    keep_view(frame, &interval->dependencies);
    interval->bytes = keep(frame, interval->bytes, interval->size);
}

static void keep_message(struct frame *frame, const struct message *from)
{
    struct message *message = &frame->message;

    *message = *from;
    switch (message->kind) {
    case MESSAGE_HELLO:
        keep_text(frame, &message->as.hello.mesh);
        keep_text(frame, &message->as.hello.name);
        for (size_t i = 0; i < message->as.hello.endpoint_count; i++)
            keep_text(frame, &message->as.hello.endpoints[i]);
        message->as.hello.sketch.bytes =
            keep(frame, message->as.hello.sketch.bytes,
                 message->as.hello.sketch.count * SKETCH_HASH_SIZE);
        break;
    case MESSAGE_NEWS:
        for (size_t i = 0; i < message->as.news.interval_count; i++)
            keep_interval(frame, &message->as.news.intervals[i]);
        break;
    case MESSAGE_VV:
        keep_view(frame, &message->as.vv.entries);
        for (size_t i = 0; i < message->as.vv.word_count; i++) {
            keep_text(frame, &message->as.vv.words[i].name);
            keep_view(frame, &message->as.vv.words[i].differs);
        }
        break;
    case MESSAGE_WANT:
        keep_view(frame, &message->as.want.vv);
        break;
    case MESSAGE_DELTA:
        message->as.delta.bytes =
            keep(frame, message->as.delta.bytes, message->as.delta.size);
        keep_view(frame, &message->as.delta.claim);
        break;
    case MESSAGE_BYE:
        keep_text(frame, &message->as.bye.text);
        break;
    case MESSAGE_PRUNE:
        message->as.prune.sites =
            keep(frame, message->as.prune.sites,
                 message->as.prune.count * sizeof(struct site));
        break;
    case MESSAGE_PEERS:
        for (size_t i = 0; i < message->as.peers.count; i++)
            keep_text(frame, &message->as.peers.addresses[i].endpoint);
        break;
    case MESSAGE_CHECK:
        message->as.check.bytes =
            keep(frame, message->as.check.bytes, message->as.check.size);
        keep_view(frame, &message->as.check.meet);
        break;
    case MESSAGE_PROOF:
        message->as.proof.bytes =
            keep(frame, message->as.proof.bytes, message->as.proof.size);
        break;
    case MESSAGE_ACK:
        break;
    }
    GV_ASSERT(frame->size < MESSAGE_FRAME_SIZE_MAX);
}

static void frame_free(struct frame *frame)
{
    while (frame->parts != NULL) {
        struct part *part = frame->parts;
        frame->parts = part->next;
        free(part);
    }
    free(frame);
}

/* Connections */

static struct wire *wire_of(struct mesh *mesh, size_t node, gv_link link,
                            int *side)
{
    for (size_t i = mesh->wire_count; i-- > 0;) {
        struct wire *wire = &mesh->wires[i];
        for (int s = 0; s < 2 && wire->open; s++) {
            if (wire->node[s] == node && wire->number[s] == link) {
                *side = s;
                return wire;
            }
        }
    }
    return NULL;
}

static void queue_frame(struct mesh *mesh, struct frame *frame)
{
    struct frame **at = &mesh->frames;

    while (*at != NULL && (*at)->due <= frame->due)
        at = &(*at)->next;
    frame->next = *at;
    *at = frame;
}

static gv_time_ms travel(struct mesh *mesh)
{
    return 1 +
           (gv_time_ms)random_below(&mesh->random, (uint64_t)mesh->delay_max);
}

static bool chance(struct mesh *mesh, unsigned of_1000)
{
    return of_1000 > 0 && random_below(&mesh->random, 1000) < of_1000;
}

static void put_on_wire(struct mesh *mesh, struct wire *wire, int side,
                        const struct message *message)
{
    struct frame *frame = calloc(1, sizeof(*frame));
    gv_time_ms due = mesh->now + travel(mesh);

    GV_ASSERT(frame != NULL);
    keep_message(frame, message);
    frame->wire = (size_t)(wire - mesh->wires);
    frame->side = side;
    if (due < wire->due[side])
        due = wire->due[side]; /* a connection keeps its order */
    wire->due[side] = due;
    frame->due = due;
    queue_frame(mesh, frame);
}

static void send_message(struct mesh *mesh, size_t node, gv_link link,
                         const struct message *message)
{
    int side = 0;
    struct wire *wire = wire_of(mesh, node, link, &side);

    mesh->sent[message->kind]++;
    if (wire == NULL || mesh->cut[node][wire->node[!side]] ||
        chance(mesh, mesh->drop))
        return;
    put_on_wire(mesh, wire, side, message);
    if (chance(mesh, mesh->duplicate))
        put_on_wire(mesh, wire, side, message);
}

static void feed_link(struct mesh *mesh, size_t node, enum event_kind kind,
                      gv_link link, const char *reason)
{
    struct event event = {.kind = kind, .link = link, .reason = reason};

    mesh_feed(mesh, node, &event);
}

/* A connection is up or refused a moment after it was dialled; the number of
 * the endpoint is the node's. */
static void connect_wire(struct mesh *mesh, size_t node, gv_link link,
                         const char *endpoint)
{
    struct wire *wire = &mesh->wires[mesh->wire_count++];
    size_t to = (size_t)strtoul(strrchr(endpoint, ':') + 1, NULL, 10);
    struct frame *frame = calloc(1, sizeof(*frame));

    GV_ASSERT(mesh->wire_count < MESH_WIRES_MAX && frame != NULL);
    memset(wire, 0, sizeof(*wire));
    wire->open = true;
    wire->node[0] = node;
    wire->node[1] = to;
    wire->number[0] = link;
    frame->wire = mesh->wire_count - 1;
    frame->side = -1; /* the end of the connect itself */
    frame->due = mesh->now + travel(mesh);
    queue_frame(mesh, frame);
}

static void close_side(struct mesh *mesh, size_t node, gv_link link)
{
    int side = 0;
    struct wire *wire = wire_of(mesh, node, link, &side);

    if (wire != NULL)
        wire->number[side] = 0; /* what was sent before still arrives */
}

static void connect_ends(struct mesh *mesh, struct wire *wire)
{
    const struct mesh_node *to = &mesh->nodes[wire->node[1]];

    if (wire->number[0] == 0 || mesh->cut[wire->node[0]][wire->node[1]])
        return;
    if (to->alive && !to->hidden)
        feed_link(mesh, wire->node[0], EVENT_LINK_UP, wire->number[0], NULL);
    else
        feed_link(mesh, wire->node[0], EVENT_LINK_DOWN, wire->number[0],
                  "connection refused");
}

static void deliver(struct mesh *mesh, struct frame *frame)
{
    struct wire *wire = &mesh->wires[frame->wire];
    int to = !frame->side;
    struct mesh_node *node;
    struct event event = {.kind = EVENT_MESSAGE};

    if (!wire->open)
        return;
    if (frame->side < 0) {
        connect_ends(mesh, wire);
        return;
    }
    node = &mesh->nodes[wire->node[to]];
    if (!node->alive || mesh->cut[wire->node[frame->side]][wire->node[to]])
        return;
    if (wire->number[to] == 0 && to == 0)
        return; /* the dialler is gone */
    if (wire->number[to] == 0) {
        /* The first frame, or one for a link that the accepter closed. */
        wire->number[to] = node->next_accepted;
        node->next_accepted += 2;
        feed_link(mesh, wire->node[to], EVENT_LINK_UP, wire->number[to], NULL);
        if (wire->number[to] == 0)
            return;
    }
    wire->frames[to]++;
    event.link = wire->number[to];
    event.as.message.message = &frame->message;
    event.as.message.frame_size = frame->size;
    mesh_feed(mesh, wire->node[to], &event);
}

/* The model store */

static struct interval interval_of(const struct mesh *mesh, size_t number,
                                   uint8_t *bytes, uint8_t *entries)
{
    const struct made *made = &mesh->made[number];
    struct interval interval = {
        made->site, made->from, made->to, {entries, made->dependencies.count},
        bytes,      made->size};

    memset(bytes, 0, made->size);
    store_u64(bytes, number);
    for (size_t i = 0; i < made->dependencies.count; i++)
        vv_entry_store(&made->dependencies.entries[i],
                       entries + i * VV_ENTRY_SIZE);
    return interval;
}

static void take(struct mesh *mesh, struct mesh_node *node, size_t number)
{
    uint8_t bytes[8];

    if (node->has[number])
        return;
    store_u64(bytes, number);
    node->has[number] = true;
    node->fingerprint =
        hash128_add(node->fingerprint, hash128(bytes, sizeof(bytes)));
    (void)mesh;
}

static int may_take(const struct mesh *mesh, const struct mesh_node *node,
                    size_t number)
{
    const struct made *made = &mesh->made[number];

    if (made->schema > node->schema)
        return GV_ESCHEMA;
    if (clock_too_far(made->to, MESH_WALL + mesh->now + node->wall_ahead))
        return GV_ECLOCK;
    return GV_OK;
}

static int store_apply(struct mesh *mesh, struct mesh_node *node,
                       size_t number)
{
    const struct made *made = &mesh->made[number];
    gv_version held = vv_get(&node->vv, &made->site);
    int rc;

    if (held >= made->to)
        return GV_EDUPLICATE;
    if (held > made->from)
        return GV_EFORK;
    if (held < made->from || !vv_covers(&node->vv, &made->dependencies)) {
        node->gaps++;
        return GV_EGAP;
    }
    rc = may_take(mesh, node, number);
    if (rc != GV_OK)
        return rc;
    take(mesh, node, number);
    node->applied++;
    GV_ASSERT(vv_raise(&node->vv, &made->site, made->to) == GV_OK);
    return GV_OK;
}

static int store_apply_delta(struct mesh *mesh, struct mesh_node *node,
                             const struct vv *claim)
{
    size_t at = 0;

    for (int pass = 0; pass < 2; pass++) {
        for (at = 0; at < node->stage_size;) {
            size_t number = (size_t)load_u64(node->stage + at);
            int rc = may_take(mesh, node, number);
            if (rc != GV_OK)
                return rc;
            if (pass == 1)
                take(mesh, node, number);
            at += mesh->made[number].size;
        }
        GV_ASSERT(at == node->stage_size);
    }
    for (size_t i = 0; i < claim->count; i++)
        GV_ASSERT(vv_raise(&node->vv, &claim->entries[i].site,
                           claim->entries[i].version) == GV_OK);
    return GV_OK;
}

/* Possession, for intervals: a node holds just what its vector says. */
static void check_possession(const struct mesh *mesh,
                             const struct mesh_node *node)
{
    for (size_t i = 0; i < mesh->made_count; i++) {
        const struct made *made = &mesh->made[i];
        bool claimed = vv_get(&node->vv, &made->site) >= made->to;
        GV_ASSERT(node->has[i] == claimed);
        if (claimed)
            GV_ASSERT(vv_covers(&node->vv, &made->dependencies));
    }
}

static void add_job(struct mesh *mesh, size_t node,
                    const struct effect *effect, const struct vv_view *vv)
{
    struct job *job = calloc(1, sizeof(*job)), **at;

    GV_ASSERT(job != NULL);
    job->kind = effect->kind;
    job->link = effect->link;
    job->due = mesh->now;
    if (mesh->work_max > 0)
        job->due +=
            (gv_time_ms)random_below(&mesh->random, (uint64_t)mesh->work_max);
    if (effect->kind != EFFECT_EXTRACT)
        job->due += mesh->nodes[node].slow;
    if (vv != NULL)
        GV_ASSERT(vv_raise_view(&job->vv, *vv) == GV_OK);
    for (at = &mesh->nodes[node].jobs; *at != NULL; at = &(*at)->next) {
        if (job->due < (*at)->due)
            job->due = (*at)->due; /* the store works in order */
    }
    *at = job;
    if (effect->kind == EFFECT_APPLY)
        job->number = (size_t)load_u64(effect->as.apply.interval.bytes);
    else if (effect->kind == EFFECT_APPLY_DELTA)
        job->token = effect->as.apply_delta.token;
    else
        job->token = effect->as.extract.token;
}

static void end_apply(struct mesh *mesh, size_t at, struct job *job)
{
    static uint8_t bytes[MESSAGE_NEWS_SIZE_MAX];
    static uint8_t entries[MESH_NODES_MAX * 4 * VV_ENTRY_SIZE];
    struct mesh_node *node = &mesh->nodes[at];
    struct event event = {.kind = EVENT_APPLIED, .link = job->link};

    event.code = store_apply(mesh, node, job->number);
    event.as.applied.interval = interval_of(mesh, job->number, bytes, entries);
    if (event.code == GV_OK || event.code == GV_EDUPLICATE)
        event.as.applied.fingerprint = node->fingerprint;
    event.reason = event.code == GV_ESCHEMA ? "no such table" : NULL;
    check_possession(mesh, node);
    mesh_feed(mesh, at, &event);
}

static void end_apply_delta(struct mesh *mesh, size_t at, struct job *job)
{
    static uint8_t entries[MESH_NODES_MAX * 4 * VV_ENTRY_SIZE];
    struct mesh_node *node = &mesh->nodes[at];
    struct event event = {.kind = EVENT_DELTA_APPLIED, .link = job->link};

    GV_ASSERT(node->stage_token == job->token);
    event.code = store_apply_delta(mesh, node, &job->vv);
    node->stage_token = 0;
    for (size_t i = 0; i < node->vv.count; i++)
        vv_entry_store(&node->vv.entries[i], entries + i * VV_ENTRY_SIZE);
    event.as.delta_applied.token = job->token;
    event.as.delta_applied.vv = (struct vv_view){entries, node->vv.count};
    event.as.delta_applied.fingerprint = node->fingerprint;
    event.reason = event.code == GV_ESCHEMA ? "no such table" : NULL;
    check_possession(mesh, node);
    mesh_feed(mesh, at, &event);
}

static void end_extract(struct mesh *mesh, size_t at, struct job *job)
{
    struct mesh_node *node = &mesh->nodes[at];
    struct event event = {.kind = EVENT_EXTRACTED, .link = job->link};
    size_t slot = 0, size = 0;

    while (node->extracts[slot].token != 0)
        GV_ASSERT(++slot < 32);
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1)
            node->extracts[slot].bytes = calloc(1, size + 1);
        node->extracts[slot].size = size;
        size = 0;
        for (size_t i = 0; i < mesh->made_count; i++) {
            const struct made *made = &mesh->made[i];
            if (!node->has[i] || vv_get(&job->vv, &made->site) >= made->to)
                continue;
            if (pass == 1)
                store_u64(node->extracts[slot].bytes + size, i);
            size += made->size;
        }
    }
    node->extracts[slot].link = job->link;
    node->extracts[slot].token = job->token;
    GV_ASSERT(vv_copy(&node->extracts[slot].claim, &node->vv) == GV_OK);
    event.as.extracted.token = job->token;
    event.as.extracted.spool = 7 + mesh->made_count; /* never one twice */
    event.as.extracted.size = size;
    event.as.extracted.claim_count = node->vv.count;
    mesh_feed(mesh, at, &event);
}

static void drop_extract(struct mesh_node *node, gv_link link, uint64_t token)
{
    struct job **at = &node->jobs;

    while (*at != NULL) {
        struct job *job = *at;
        if (job->kind != EFFECT_EXTRACT || job->link != link ||
            job->token != token) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        vv_close(&job->vv);
        free(job);
    }
    for (size_t i = 0; i < 32; i++) {
        if (node->extracts[i].token == token &&
            node->extracts[i].link == link) {
            node->extracts[i].token = 0;
            free(node->extracts[i].bytes);
            node->extracts[i].bytes = NULL;
        }
    }
}

static void send_delta(struct mesh *mesh, size_t at,
                       const struct effect *effect)
{
    struct mesh_node *node = &mesh->nodes[at];
    struct message message = {.kind = MESSAGE_DELTA};
    uint8_t entries[MESH_NODES_MAX * 4 * VV_ENTRY_SIZE];
    size_t slot = 0;

    while (node->extracts[slot].token != effect->as.send_delta.token ||
           node->extracts[slot].link != effect->link)
        GV_ASSERT(++slot < 32);
    message.as.delta.token = effect->as.send_delta.token;
    message.as.delta.spool = effect->as.send_delta.spool;
    message.as.delta.offset = effect->as.send_delta.offset;
    message.as.delta.bytes =
        node->extracts[slot].bytes + effect->as.send_delta.offset;
    message.as.delta.size = effect->as.send_delta.size;
    GV_ASSERT(effect->as.send_delta.offset + effect->as.send_delta.size <=
              node->extracts[slot].size);
    message.as.delta.last = effect->as.send_delta.last;
    if (message.as.delta.last) {
        const struct vv *claim = &node->extracts[slot].claim;
        for (size_t i = 0; i < claim->count; i++)
            vv_entry_store(&claim->entries[i], entries + i * VV_ENTRY_SIZE);
        message.as.delta.claim = (struct vv_view){entries, claim->count};
    }
    mesh->delta_bytes += message.as.delta.size;
    send_message(mesh, at, effect->link, &message);
}

static void stage(struct mesh *mesh, size_t at, const struct effect *effect)
{
    struct mesh_node *node = &mesh->nodes[at];
    size_t size = effect->as.stage.size;
    struct event event = {.kind = EVENT_STAGED, .link = effect->link};

    if (node->stage_token != effect->as.stage.token) {
        node->stage_token = effect->as.stage.token;
        node->stage_size = 0;
    }
    GV_ASSERT(effect->as.stage.offset == node->stage_size);
    node->stage = realloc(node->stage, node->stage_size + size + 1);
    GV_ASSERT(node->stage != NULL);
    if (size > 0)
        memcpy(node->stage + node->stage_size, effect->as.stage.bytes, size);
    node->stage_size += size;
    event.as.staged.token = effect->as.stage.token;
    event.as.staged.size = size;
    event.as.staged.kept = node->stage_size;
    mesh_feed(mesh, at, &event);
}

/* Effects */

static void trace(struct mesh *mesh, size_t node, const struct effect *effect)
{
    uint64_t words[6] = {
        mesh->trace,         node, (uint64_t)effect->kind, effect->link,
        (uint64_t)mesh->now, 0};

    if (effect->kind == EFFECT_SEND)
        words[5] = (uint64_t)effect->as.send.message.kind;
    mesh->trace = hash64(words, sizeof(words));
}

/* No peer can hold anything else of a node whose file never goes back. */
static void check_own_end(const struct mesh *mesh,
                          const struct mesh_node *node, gv_version version)
{
    for (size_t i = 0; i < mesh->made_count; i++)
        if (mesh->made[i].to == version &&
            site_equal(&mesh->made[i].site, &node->site))
            return;
    GV_ASSERT(version == 0);
}

/* Returns whether the effect was one that ends at once with an event, which
 * must wait until all effects of this step are done. */
static bool carry_out(struct mesh *mesh, size_t at,
                      const struct effect *effect)
{
    struct mesh_node *node = &mesh->nodes[at];

    switch (effect->kind) {
    case EFFECT_CONNECT:
        connect_wire(mesh, at, effect->link, effect->as.connect.endpoint);
        break;
    case EFFECT_CLOSE:
        close_side(mesh, at, effect->link);
        break;
    case EFFECT_SEND:
        send_message(mesh, at, effect->link, &effect->as.send.message);
        break;
    case EFFECT_SEND_DELTA:
        send_delta(mesh, at, effect);
        break;
    case EFFECT_APPLY:
        add_job(mesh, at, effect, NULL);
        break;
    case EFFECT_APPLY_DELTA:
        add_job(mesh, at, effect, &effect->as.apply_delta.claim);
        break;
    case EFFECT_EXTRACT:
        add_job(mesh, at, effect, &effect->as.extract.vv);
        break;
    case EFFECT_STAGE:
        return true;
    case EFFECT_DROP_STAGE:
        if (node->stage_token == effect->as.drop.token)
            node->stage_token = 0;
        break;
    case EFFECT_DROP_EXTRACT:
        drop_extract(node, effect->link, effect->as.drop.token);
        break;
    case EFFECT_LOG:
        node->log_count++;
        if (node->awaited != NULL &&
            strstr(effect->as.log.line, node->awaited) != NULL)
            node->awaited = NULL;
        snprintf(node->last_log, sizeof(node->last_log), "%s",
                 effect->as.log.line);
        if (getenv("MESH_LOG") != NULL)
            fprintf(stderr, "%8lld n%zu %s\n", (long long)mesh->now, at,
                    node->last_log);
        break;
    case EFFECT_PROVE:
    case EFFECT_PROVE_ON:
    case EFFECT_DROP_PROOF:
    case EFFECT_ATTEST:
    case EFFECT_DROP_ATTEST:
        GV_ASSERT(false); /* nothing differs in a model */
        break;
    case EFFECT_HEARD_OWN:
        check_own_end(mesh, node, effect->as.heard_own.version);
        break;
    }
    return false;
}

void mesh_feed(struct mesh *mesh, size_t at, struct event *event)
{
    struct mesh_node *node = &mesh->nodes[at];
    struct effects effects;
    struct effect staged[4];
    size_t staged_count = 0;
    const char *which = NULL;

    if (!node->alive)
        return;
    event->now = mesh->now;
    event->wall = MESH_WALL + mesh->now + node->wall_ahead;
    GV_ASSERT(core_step(node->core, event, &effects) == GV_OK);
    if (!core_check(node->core, &which)) {
        fprintf(stderr, "node %zu, %lld ms: invariant %s\n", at,
                (long long)mesh->now, which);
        abort();
    }
    if (event->kind == EVENT_TICK)
        GV_ASSERT(core_deadline(node->core) > mesh->now);
    for (size_t i = 0; i < effects.count; i++) {
        trace(mesh, at, &effects.items[i]);
        if (carry_out(mesh, at, &effects.items[i])) {
            GV_ASSERT(staged_count < 4);
            staged[staged_count++] = effects.items[i];
        }
    }
    for (size_t i = 0; i < staged_count; i++)
        stage(mesh, at, &staged[i]);
}

/* Time */

static gv_time_ms next_time(const struct mesh *mesh)
{
    gv_time_ms next =
        mesh->frames != NULL ? mesh->frames->due : mesh->now + 1000;

    for (size_t i = 0; i < mesh->node_count; i++) {
        const struct mesh_node *node = &mesh->nodes[i];
        if (!node->alive)
            continue;
        if (core_deadline(node->core) < next)
            next = core_deadline(node->core);
        if (node->jobs != NULL && node->jobs->due < next)
            next = node->jobs->due;
    }
    return next > mesh->now ? next : mesh->now;
}

static void run_job(struct mesh *mesh, size_t at)
{
    struct mesh_node *node = &mesh->nodes[at];
    struct job *job = node->jobs;

    node->jobs = job->next;
    if (job->kind == EFFECT_APPLY)
        end_apply(mesh, at, job);
    else if (job->kind == EFFECT_APPLY_DELTA)
        end_apply_delta(mesh, at, job);
    else
        end_extract(mesh, at, job);
    vv_close(&job->vv);
    free(job);
}

static void run_due(struct mesh *mesh)
{
    for (size_t i = 0; i < mesh->node_count; i++) {
        struct mesh_node *node = &mesh->nodes[i];
        while (node->alive && node->jobs != NULL &&
               node->jobs->due <= mesh->now)
            run_job(mesh, i);
        if (node->alive && core_deadline(node->core) <= mesh->now) {
            struct event tick = {.kind = EVENT_TICK};
            mesh_feed(mesh, i, &tick);
        }
    }
    while (mesh->frames != NULL && mesh->frames->due <= mesh->now) {
        struct frame *frame = mesh->frames;
        mesh->frames = frame->next;
        deliver(mesh, frame);
        frame_free(frame);
    }
}

void mesh_run(struct mesh *mesh, gv_time_ms ms)
{
    gv_time_ms end = mesh->now + ms;

    for (;;) {
        gv_time_ms next = next_time(mesh);
        if (next > end)
            break;
        mesh->now = next;
        run_due(mesh);
    }
    mesh->now = end;
}

bool mesh_equal(const struct mesh *mesh)
{
    const struct mesh_node *first = NULL;

    for (size_t i = 0; i < mesh->node_count; i++) {
        const struct mesh_node *node = &mesh->nodes[i];
        if (!node->alive)
            continue;
        if (first == NULL)
            first = node;
        if (node->vv.hash != first->vv.hash ||
            core_vv(node->core)->hash != node->vv.hash ||
            !hash128_equal(node->fingerprint, first->fingerprint))
            return false;
    }
    return true;
}

bool mesh_settle(struct mesh *mesh, gv_time_ms ms)
{
    for (gv_time_ms end = mesh->now + ms; mesh->now < end;) {
        mesh_run(mesh, 10);
        if (mesh_equal(mesh))
            return true;
    }
    return false;
}

/* Nodes */

static struct site site_of(size_t number)
{
    uint64_t hash = hash64(&number, sizeof(number));
    struct site site = {{0}};

    memcpy(site.bytes, &hash, sizeof(hash));
    site.bytes[15] = (uint8_t)number;
    return site;
}

struct mesh *mesh_new(uint64_t seed, size_t node_count)
{
    struct mesh *mesh = calloc(1, sizeof(*mesh));

    GV_ASSERT(mesh != NULL && node_count <= MESH_NODES_MAX);
    random_seed(&mesh->random, seed);
    mesh->delay_max = 1;
    mesh->node_count = node_count;
    for (size_t i = 0; i < node_count; i++) {
        struct mesh_node *node = &mesh->nodes[i];
        node->site = site_of(i);
        node->schema = 1;
        node->news_limit = MESSAGE_NEWS_SIZE_MAX;
        node->next_accepted = 1;
        vv_init(&node->vv);
        mesh_start(mesh, i);
    }
    return mesh;
}

void mesh_start(struct mesh *mesh, size_t at)
{
    struct mesh_node *node = &mesh->nodes[at];
    char name[16], endpoint[16];
    const char *endpoints[1] = {endpoint};
    struct core_config config = {.site = node->site,
                                 .mesh = "test",
                                 .name = name,
                                 .endpoints = endpoints,
                                 .endpoint_count = !node->hidden,
                                 .exchange = node->exchange,
                                 .vv = &node->vv,
                                 .dialect = node->dialect};

    snprintf(name, sizeof(name), "n%zu", at);
    snprintf(endpoint, sizeof(endpoint), "mem:%zu", at);
    config.fingerprint = node->fingerprint;
    config.instance = random_u64(&mesh->random);
    config.seed = random_u64(&mesh->random);
    config.schema_digest = (uint64_t)node->schema;
    node->instance = config.instance;
    GV_ASSERT(core_new(&config, &node->core) == GV_OK);
    node->alive = true;
}

static void forget_work(struct mesh_node *node)
{
    while (node->jobs != NULL) {
        struct job *job = node->jobs;
        node->jobs = job->next;
        vv_close(&job->vv);
        free(job);
    }
    for (size_t i = 0; i < 32; i++) {
        node->extracts[i].token = 0;
        free(node->extracts[i].bytes);
        node->extracts[i].bytes = NULL;
    }
    node->stage_token = 0;
}

void mesh_kill(struct mesh *mesh, size_t at)
{
    struct mesh_node *node = &mesh->nodes[at];

    node->alive = false;
    core_free(node->core);
    node->core = NULL;
    node->peer_count = 0;
    forget_work(node);
    for (size_t i = 0; i < mesh->wire_count; i++) {
        struct wire *wire = &mesh->wires[i];
        if (!wire->open || (wire->node[0] != at && wire->node[1] != at))
            continue;
        wire->open = false;
        /* A dialler sees its connection break, an accepter sees nothing. */
        if (wire->node[1] == at && wire->number[0] != 0)
            feed_link(mesh, wire->node[0], EVENT_LINK_DOWN, wire->number[0],
                      "connection reset");
    }
}

void mesh_exchange(struct mesh *mesh)
{
    for (size_t i = 0; i < mesh->node_count; i++) {
        mesh_kill(mesh, i);
        mesh->nodes[i].exchange = true;
        mesh_start(mesh, i);
    }
}

void mesh_free(struct mesh *mesh)
{
    for (size_t i = 0; i < mesh->node_count; i++) {
        struct mesh_node *node = &mesh->nodes[i];
        core_free(node->core);
        forget_work(node);
        for (size_t j = 0; j < 32; j++)
            vv_close(&node->extracts[j].claim);
        free(node->stage);
        vv_close(&node->vv);
    }
    for (size_t i = 0; i < mesh->made_count; i++)
        vv_close(&mesh->made[i].dependencies);
    while (mesh->frames != NULL) {
        struct frame *frame = mesh->frames;
        mesh->frames = frame->next;
        frame_free(frame);
    }
    free(mesh);
}

void mesh_dial(struct mesh *mesh, size_t from, size_t to)
{
    char endpoint[32];

    snprintf(endpoint, sizeof(endpoint), "mem:%zu", to);
    GV_ASSERT(core_add_peer(mesh->nodes[from].core, endpoint) == GV_OK);
    mesh->nodes[from].peer_count++;
}

void mesh_full(struct mesh *mesh)
{
    for (size_t i = 0; i < mesh->node_count; i++) {
        for (size_t j = 0; j < mesh->node_count; j++) {
            if (i != j)
                mesh_dial(mesh, i, j);
        }
    }
}

void mesh_line(struct mesh *mesh)
{
    for (size_t i = 0; i + 1 < mesh->node_count; i++)
        mesh_dial(mesh, i, i + 1);
}

size_t mesh_commit_of(struct mesh *mesh, size_t at, size_t size, int schema)
{
    static uint8_t bytes[2 * MESSAGE_NEWS_SIZE_MAX];
    static uint8_t entries[MESH_NODES_MAX * 4 * VV_ENTRY_SIZE];
    struct mesh_node *node = &mesh->nodes[at];
    size_t number = mesh->made_count++;
    struct made *made = &mesh->made[number];
    struct event event = {.kind = EVENT_SEALED};
    gv_version seen = 0;

    GV_ASSERT(mesh->made_count < MESH_INTERVALS_MAX && size >= 8 &&
              size <= sizeof(bytes));
    for (size_t i = 0; i < node->vv.count; i++) {
        if (node->vv.entries[i].version > seen)
            seen = node->vv.entries[i].version;
    }
    made->site = node->site;
    made->from = vv_get(&node->vv, &node->site);
    made->to =
        clock_next(MESH_WALL + mesh->now + node->wall_ahead, made->from, seen);
    made->size = size;
    made->schema = schema;
    vv_init(&made->dependencies);
    for (size_t i = 0; i < node->vv.count; i++) {
        const struct vv_entry *entry = &node->vv.entries[i];
        if (!site_equal(&entry->site, &node->site))
            GV_ASSERT(vv_raise(&made->dependencies, &entry->site,
                               entry->version) == GV_OK);
    }
    GV_ASSERT(vv_raise(&node->vv, &made->site, made->to) == GV_OK);
    take(mesh, node, number);
    event.as.sealed.interval = interval_of(mesh, number, bytes, entries);
    event.as.sealed.fingerprint = node->fingerprint;
    if (size > node->news_limit)
        event.as.sealed.interval.bytes = NULL;
    mesh_feed(mesh, at, &event);
    return number;
}

size_t mesh_commit(struct mesh *mesh, size_t node)
{
    return mesh_commit_of(mesh, node, 100, 1);
}

void mesh_cut(struct mesh *mesh, size_t a, size_t b, bool cut)
{
    mesh->cut[a][b] = cut;
    mesh->cut[b][a] = cut;
}

void mesh_cut_one_way(struct mesh *mesh, size_t from, size_t to, bool cut)
{
    mesh->cut[from][to] = cut;
}

void mesh_break(struct mesh *mesh, size_t a, size_t b)
{
    for (size_t i = 0; i < mesh->wire_count; i++) {
        struct wire *wire = &mesh->wires[i];
        bool between = (wire->node[0] == a && wire->node[1] == b) ||
                       (wire->node[0] == b && wire->node[1] == a);
        if (!wire->open || !between)
            continue;
        wire->open = false;
        for (int side = 0; side < 2; side++) {
            if (wire->number[side] != 0)
                feed_link(mesh, wire->node[side], EVENT_LINK_DOWN,
                          wire->number[side], "connection reset");
        }
    }
}

void mesh_schema(struct mesh *mesh, size_t at, int schema)
{
    struct event event = {.kind = EVENT_SCHEMA_CHANGED};

    mesh->nodes[at].schema = schema;
    event.as.schema.schema_digest = (uint64_t)schema;
    event.as.schema.fingerprint = mesh->nodes[at].fingerprint;
    mesh_feed(mesh, at, &event);
}

struct link_info mesh_link(const struct mesh *mesh, size_t node, size_t index)
{
    struct link_info info;

    core_link_info(mesh->nodes[node].core, index, mesh->now, &info);
    return info;
}

size_t mesh_links_up(const struct mesh *mesh, size_t node)
{
    size_t up = 0;

    for (size_t i = 0; i < core_link_count(mesh->nodes[node].core); i++)
        up += mesh_link(mesh, node, i).state == LINK_UP;
    return up;
}
