#include "delta.h"

#include "base/assert.h"
#include "wire/frame.h"

#include <string.h>

/* Small, so that a row lies in more than one piece. */
#define PIECE_SIZE 100

struct vv_view delta_vector(const struct vv *vv, struct buffer *out)
{
    for (size_t i = 0; i < vv->count; i++) {
        uint8_t *room = buffer_extend(out, VV_ENTRY_SIZE);

        GV_ASSERT(room != NULL);
        vv_entry_store(&vv->entries[i], room);
    }
    return (struct vv_view){out->data, vv->count};
}

struct vv_view delta_claim(const struct delta *delta)
{
    return (struct vv_view){delta->claim.data,
                            delta->claim.size / VV_ENTRY_SIZE};
}

static void take_all(struct delta *delta, struct extract *extract)
{
    struct vv_view claim = extract_claim(extract);
    size_t size = (size_t)extract_size(extract);
    uint8_t *room;

    buffer_init(&delta->bytes, SIZE_MAX);
    buffer_init(&delta->claim, SIZE_MAX);
    room = buffer_extend(&delta->bytes, size);
    GV_ASSERT(size == 0 || room != NULL);
    if (size > 0)
        GV_ASSERT(extract_read(extract, 0, room, size) == GV_OK);
    buffer_append(&delta->claim, claim.bytes, claim.count * VV_ENTRY_SIZE);
}

int delta_read(struct delta *delta, struct store *store, struct vv_view vv,
               struct gv_error *error)
{
    struct extract *extract;
    bool done = false;
    int rc = extract_begin(store, vv, &extract, error);

    if (rc != GV_OK)
        return rc;
    while (rc == GV_OK && !done)
        rc = extract_step(extract, 2, &done, error);
    if (rc == GV_OK)
        take_all(delta, extract);
    extract_free(extract);
    return rc;
}

int delta_want(struct delta *delta, struct store *store, const struct vv *vv,
               struct gv_error *error)
{
    struct message message = {.kind = MESSAGE_WANT};
    struct buffer vector, frame;
    int rc;

    buffer_init(&vector, SIZE_MAX);
    buffer_init(&frame, SIZE_MAX);
    message.as.want.vv = delta_vector(vv, &vector);
    message.as.want.token = 1;
    message.as.want.credit = 1;
    GV_ASSERT(frame_encode(&message, &frame) == GV_OK);
    GV_ASSERT(frame_decode(frame.data, frame.size, &message) == GV_OK);
    rc = delta_read(delta, store, message.as.want.vv, error);
    buffer_close(&vector);
    buffer_close(&frame);
    return rc;
}

void delta_close(struct delta *delta)
{
    buffer_close(&delta->bytes);
    buffer_close(&delta->claim);
}

static void stage_piece(const struct delta *delta, struct store *to,
                        uint64_t token, size_t at, size_t size)
{
    struct message message = {.kind = MESSAGE_DELTA};
    struct buffer frame;

    buffer_init(&frame, SIZE_MAX);
    message.as.delta.token = token;
    message.as.delta.spool = 1;
    message.as.delta.offset = at;
    message.as.delta.bytes = delta->bytes.data + at;
    message.as.delta.size = size;
    message.as.delta.last = at + size == delta->bytes.size;
    if (message.as.delta.last)
        message.as.delta.claim = delta_claim(delta);
    GV_ASSERT(frame_encode(&message, &frame) == GV_OK);
    GV_ASSERT(frame_decode(frame.data, frame.size, &message) == GV_OK);
    GV_ASSERT(store_stage(to, token, message.as.delta.offset,
                          message.as.delta.bytes,
                          message.as.delta.size) == GV_OK);
    if (message.as.delta.last)
        GV_ASSERT(memcmp(message.as.delta.claim.bytes, delta->claim.data,
                         delta->claim.size) == 0);
    buffer_close(&frame);
}

void delta_stage(const struct delta *delta, struct store *to, uint64_t token,
                 size_t size)
{
    GV_ASSERT(store_stage(to, token, 0, NULL, 0) == GV_OK);
    for (size_t at = 0; at < size; at += PIECE_SIZE)
        stage_piece(delta, to, token, at,
                    size - at < PIECE_SIZE ? size - at : PIECE_SIZE);
}
