#include "base/buffer.h"

#include "grapevine.h"

#include <stdlib.h>
#include <string.h>

/* Most frames and rows fit at once. */
#define BUFFER_CAPACITY_MIN 256

void buffer_init(struct buffer *buffer, size_t limit)
{
    *buffer = (struct buffer){.limit = limit};
}

void buffer_close(struct buffer *buffer)
{
    free(buffer->data);
    buffer_init(buffer, buffer->limit);
}

void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
    buffer->error = GV_OK;
}

/* Make room for @size bytes in all.  Doubling keeps the cost of an append
 * constant; the limit holds for what is in use, not for what is allocated. */
static int buffer_reserve(struct buffer *buffer, size_t size)
{
    size_t capacity = buffer->capacity;
    uint8_t *data;

    if (capacity < BUFFER_CAPACITY_MIN)
        capacity = BUFFER_CAPACITY_MIN;
    while (capacity < size)
        capacity = capacity <= SIZE_MAX / 2 ? capacity * 2 : size;
    data = realloc(buffer->data, capacity);
    if (data == NULL)
        return GV_ENOMEM;
    buffer->data = data;
    buffer->capacity = capacity;
    return GV_OK;
}

uint8_t *buffer_extend(struct buffer *buffer, size_t size)
{
    uint8_t *start;

    if (buffer->error != GV_OK)
        return NULL;
    if (size > buffer->limit - buffer->size) {
        buffer->error = GV_ELIMIT;
        return NULL;
    }
    if (size > buffer->capacity - buffer->size || buffer->data == NULL) {
        buffer->error = buffer_reserve(buffer, buffer->size + size);
        if (buffer->error != GV_OK)
            return NULL;
    }
    start = buffer->data + buffer->size;
    buffer->size += size;
    return start;
}

int buffer_append(struct buffer *buffer, const void *bytes, size_t size)
{
    uint8_t *start = buffer_extend(buffer, size);

    if (start != NULL && size > 0)
        memcpy(start, bytes, size);
    return buffer->error;
}

int buffer_append_u8(struct buffer *buffer, uint8_t byte)
{
    return buffer_append(buffer, &byte, 1);
}

int buffer_append_u32(struct buffer *buffer, uint32_t value)
{
    uint8_t *start = buffer_extend(buffer, 4);

    if (start != NULL)
        store_u32(start, value);
    return buffer->error;
}

int buffer_append_u64(struct buffer *buffer, uint64_t value)
{
    uint8_t *start = buffer_extend(buffer, 8);

    if (start != NULL)
        store_u64(start, value);
    return buffer->error;
}

/* Written out, so that compilers make one load and one swap of them. */

uint32_t load_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
           (uint32_t)bytes[2] << 8 | (uint32_t)bytes[3];
}

uint64_t load_u64(const uint8_t *bytes)
{
    return (uint64_t)bytes[0] << 56 | (uint64_t)bytes[1] << 48 |
           (uint64_t)bytes[2] << 40 | (uint64_t)bytes[3] << 32 |
           (uint64_t)bytes[4] << 24 | (uint64_t)bytes[5] << 16 |
           (uint64_t)bytes[6] << 8 | (uint64_t)bytes[7];
}

void store_u32(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)(value >> 24);
    bytes[1] = (uint8_t)(value >> 16);
    bytes[2] = (uint8_t)(value >> 8);
    bytes[3] = (uint8_t)value;
}

void store_u64(uint8_t *bytes, uint64_t value)
{
    store_u32(bytes, (uint32_t)(value >> 32));
    store_u32(bytes + 4, (uint32_t)value);
}
