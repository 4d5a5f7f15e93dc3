/* Carrying out what a step of the core asked for.
 *
 * Nothing here gives the core an event: what ends at once is noted with
 * loop_finish() and fed when the step is over, what takes longer is queued
 * (applies, extracts), so that the effects' pointers stay valid while they
 * are carried out. */
#include "base/hook.h"
#include "node/loop.h"
#include "wire/frame.h"

#include <stdlib.h>

static void out_of_memory(struct gv_node *node)
{
    struct gv_error why = {0};

    error_set(&why, GV_ENOMEM, "The node is out of memory.");
    error_meaning(&why, "Nothing is lost: everything stands in the file.");
    error_remedy(&why, "Start it again, with more memory.");
    loop_end(node, &why);
}

static void link_down(struct gv_node *node, gv_link link, const char *reason)
{
    struct event event = {
        .kind = EVENT_LINK_DOWN, .link = link, .reason = reason};

    loop_finish(node, &event);
}

static void connect_link(struct gv_node *node, const struct effect *effect)
{
    int rc = net_connect(node->net, effect->link, effect->as.connect.endpoint);

    if (rc != GV_OK)
        link_down(node, effect->link, gv_strerror(rc));
}

static void close_link(struct gv_node *node, gv_link link)
{
    outbox_flush(&node->outbox, node->net);
    outbox_drop(&node->outbox, link);
    net_close_link(node->net, link);
}

static void send_frame(struct gv_node *node, gv_link link,
                       const struct message *message)
{
    struct buffer frame;
    int rc;

    buffer_init(&frame, MESSAGE_FRAME_SIZE_MAX);
    rc = frame_encode(message, &frame);
    if (rc == GV_OK)
        rc = outbox_send(&node->outbox, node->net, link, frame.data,
                         frame.size);
    buffer_close(&frame);
    if (rc == GV_ENOMEM) {
        out_of_memory(node);
    } else if (rc != GV_OK) {
        close_link(node, link);
        link_down(node, link,
                  rc == GV_ELIMIT ? "the peer is too far behind"
                                  : gv_strerror(rc));
    }
}

static void send_message(struct gv_node *node, const struct effect *effect)
{
    if (effect->as.send.message.kind == MESSAGE_ACK)
        hook_kill("before-ack");
    send_frame(node, effect->link, &effect->as.send.message);
}

static void send_delta(struct gv_node *node, const struct effect *effect)
{
    size_t size = effect->as.send_delta.size;
    struct message message = {.kind = MESSAGE_DELTA};
    struct message_delta *delta = &message.as.delta;
    struct extract *extract =
        deltas_find(&node->deltas, effect->link, effect->as.send_delta.token);
    uint8_t *bytes;

    if (extract == NULL)
        return;
    bytes = malloc(size + 1);
    if (bytes == NULL) {
        out_of_memory(node);
        return;
    }
    delta->token = effect->as.send_delta.token;
    delta->spool = effect->as.send_delta.spool;
    delta->offset = effect->as.send_delta.offset;
    delta->bytes = bytes;
    delta->size = size;
    delta->last = effect->as.send_delta.last;
    if (delta->last)
        delta->claim = extract_claim(extract);
    if (extract_read(extract, delta->offset, bytes, size) == GV_OK) {
        send_frame(node, effect->link, &message);
    } else {
        close_link(node, effect->link);
        link_down(node, effect->link, "a spooled delta could not be read");
    }
    free(bytes);
}

static void stage(struct gv_node *node, const struct effect *effect)
{
    struct event event = {.kind = EVENT_STAGED, .link = effect->link};
    struct core_stage stage = {.token = effect->as.stage.token,
                               .site = effect->as.stage.site,
                               .spool = effect->as.stage.spool,
                               .size = effect->as.stage.offset};

    store_stage_each(node->store, pace_polite(&node->pace, loop_now()));
    loop_await_gap(node);
    event.code =
        store_stage_from(node->store, &stage, effect->as.stage.bytes,
                         effect->as.stage.size, &event.as.staged.kept);
    if (event.code != GV_OK)
        event.reason = gv_strerror(event.code);
    if (event.code == GV_EFULL || event.code == GV_EIO)
        node->unkept = event.code;
    event.as.staged.token = effect->as.stage.token;
    event.as.staged.size = effect->as.stage.size;
    loop_finish(node, &event);
}

static void hear_own(struct gv_node *node, gv_version version)
{
    struct gv_error why = {0};
    int rc = store_heard_own(node->store, version, &why);

    if (rc == GV_EMOVED)
        loop_moved(node, &why);
    else if (rc != GV_OK)
        log_line(&node->log, GV_LOG_WARNING, "%s", why.what);
}

static void carry_out(struct gv_node *node, const struct effect *effect)
{
    switch (effect->kind) {
    case EFFECT_CONNECT:
        connect_link(node, effect);
        break;
    case EFFECT_CLOSE:
        close_link(node, effect->link);
        break;
    case EFFECT_SEND:
        send_message(node, effect);
        break;
    case EFFECT_SEND_DELTA:
        send_delta(node, effect);
        break;
    case EFFECT_APPLY:
    case EFFECT_APPLY_DELTA:
        if (applies_add(&node->applies, effect) != GV_OK)
            out_of_memory(node);
        break;
    case EFFECT_STAGE:
        stage(node, effect);
        break;
    case EFFECT_DROP_STAGE:
        store_stage_drop(node->store, effect->as.drop.token);
        break;
    case EFFECT_EXTRACT:
        if (deltas_add(&node->deltas, effect, loop_now()) != GV_OK)
            out_of_memory(node);
        break;
    case EFFECT_DROP_EXTRACT:
        deltas_drop(&node->deltas, effect->link, effect->as.drop.token,
                    effect->as.drop.applied, loop_now());
        break;
    case EFFECT_LOG:
        log_line(&node->log, effect->as.log.level, "%s", effect->as.log.line);
        break;
    case EFFECT_PROVE:
    case EFFECT_PROVE_ON:
    case EFFECT_DROP_PROOF:
    case EFFECT_ATTEST:
    case EFFECT_DROP_ATTEST:
        proofs_take(&node->proofs, node->store, effect);
        break;
    case EFFECT_HEARD_OWN:
        hear_own(node, effect->as.heard_own.version);
        break;
    }
}

void effects_carry_out(struct gv_node *node, const struct effects *effects)
{
    for (size_t i = 0; i < effects->count; i++)
        carry_out(node, &effects->items[i]);
}
