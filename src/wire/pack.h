/* msgpack-c's packer over a struct buffer, for the encoders of this layer.
 * Its results need no look: the buffer keeps the first error. */
#ifndef WIRE_PACK_H
#define WIRE_PACK_H

#include "base/buffer.h"
#include "core/message.h"

#include <msgpack.h>
#include <string.h>

static inline int pack_append(void *buffer, const char *bytes, size_t size)
{
    return buffer_append(buffer, bytes, size);
}

static inline msgpack_packer pack_into(struct buffer *buffer)
{
    return (msgpack_packer){buffer, pack_append};
}

static inline void pack_blob(msgpack_packer *packer, const void *bytes,
                             size_t size)
{
    msgpack_pack_bin(packer, size);
    msgpack_pack_bin_body(packer, bytes, size);
}

static inline void pack_text(msgpack_packer *packer, const void *bytes,
                             size_t size)
{
    msgpack_pack_str(packer, size);
    msgpack_pack_str_body(packer, bytes, size);
}

static inline void pack_site(msgpack_packer *packer, const struct site *site)
{
    pack_blob(packer, site->bytes, sizeof(site->bytes));
}

static inline void pack_vv(msgpack_packer *packer, struct vv_view view)
{
    pack_blob(packer, view.bytes, view.count * VV_ENTRY_SIZE);
}

/* The same for rows, which are many: heads written straight to @at, which has
 * PACK_HEAD_MAX bytes left, in the shortest form, as msgpack-c's packer does.
 * Each returns what is behind. */
#define PACK_HEAD_MAX 9

/* The last @size bytes of @number behind the byte @kind. */
static inline uint8_t *pack_head(uint8_t *at, uint8_t kind, uint64_t number,
                                 size_t size)
{
    *at++ = kind;
    for (size_t i = size; i > 0; i--)
        *at++ = (uint8_t)(number >> (8 * (i - 1)));
    return at;
}

static inline uint8_t *pack_head_unsigned(uint8_t *at, uint64_t number)
{
    if (number < 0x80)
        return pack_head(at, (uint8_t)number, 0, 0);
    if (number <= UINT8_MAX)
        return pack_head(at, 0xcc, number, 1);
    if (number <= UINT16_MAX)
        return pack_head(at, 0xcd, number, 2);
    if (number <= UINT32_MAX)
        return pack_head(at, 0xce, number, 4);
    return pack_head(at, 0xcf, number, 8);
}

static inline uint8_t *pack_head_signed(uint8_t *at, int64_t number)
{
    if (number >= 0)
        return pack_head_unsigned(at, (uint64_t)number);
    if (number >= -32)
        return pack_head(at, (uint8_t)number, 0, 0);
    if (number >= INT8_MIN)
        return pack_head(at, 0xd0, (uint64_t)number, 1);
    if (number >= INT16_MIN)
        return pack_head(at, 0xd1, (uint64_t)number, 2);
    if (number >= INT32_MIN)
        return pack_head(at, 0xd2, (uint64_t)number, 4);
    return pack_head(at, 0xd3, (uint64_t)number, 8);
}

static inline uint8_t *pack_head_array(uint8_t *at, uint64_t count)
{
    if (count < 16)
        return pack_head(at, (uint8_t)(0x90 | count), 0, 0);
    if (count <= UINT16_MAX)
        return pack_head(at, 0xdc, count, 2);
    return pack_head(at, 0xdd, count, 4);
}

static inline uint8_t *pack_head_blob(uint8_t *at, uint64_t size)
{
    if (size <= UINT8_MAX)
        return pack_head(at, 0xc4, size, 1);
    if (size <= UINT16_MAX)
        return pack_head(at, 0xc5, size, 2);
    return pack_head(at, 0xc6, size, 4);
}

static inline uint8_t *pack_head_text(uint8_t *at, uint64_t size)
{
    if (size < 32)
        return pack_head(at, (uint8_t)(0xa0 | size), 0, 0);
    if (size <= UINT8_MAX)
        return pack_head(at, 0xd9, size, 1);
    if (size <= UINT16_MAX)
        return pack_head(at, 0xda, size, 2);
    return pack_head(at, 0xdb, size, 4);
}

/* The head between @head and @end, and the @size bytes that it is of. */
static inline void pack_body(struct buffer *buffer, const uint8_t *head,
                             const uint8_t *end, const void *bytes,
                             size_t size)
{
    size_t head_size = (size_t)(end - head);
    uint8_t *room = buffer_extend(buffer, head_size + size);

    if (room == NULL)
        return;
    memcpy(room, head, head_size);
    if (size > 0)
        memcpy(room + head_size, bytes, size);
}

#endif
