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

uint8_t *buffer_extend_slowly(struct buffer *buffer, size_t size)
{
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
    buffer->size += size;
    return buffer->data + (buffer->size - size);
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
