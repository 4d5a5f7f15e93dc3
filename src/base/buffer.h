/* A growing run of bytes with a bound.  The first error sticks: a writer
 * appends freely and looks once at the end. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data;
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated */
    size_t limit;    /* never more than this */
    int error; /* GV_OK, GV_ENOMEM or GV_ELIMIT; later appends do nothing */
};

/* An empty buffer that never holds more than @limit bytes; allocates
 * nothing. */
void buffer_init(struct buffer *buffer, size_t limit);
void buffer_close(struct buffer *buffer);

/* Empty it and forget its error; what was allocated stays. */
void buffer_clear(struct buffer *buffer);

/* Append; returns buffer->error. */
int buffer_append(struct buffer *buffer, const void *bytes, size_t size);
int buffer_append_u8(struct buffer *buffer, uint8_t byte);
int buffer_append_u32(struct buffer *buffer, uint32_t value); /* big-endian */
int buffer_append_u64(struct buffer *buffer, uint64_t value); /* big-endian */

/* Where there is not room enough, or an error. */
uint8_t *buffer_extend_slowly(struct buffer *buffer, size_t size);

/* Grow by @size bytes that the caller fills; NULL on error.  Rows are made of
 * small pieces, and a call for each would cost more than the piece. */
static inline uint8_t *buffer_extend(struct buffer *buffer, size_t size)
{
    if (buffer->error != 0 || buffer->data == NULL ||
        size > buffer->capacity - buffer->size ||
        size > buffer->limit - buffer->size)
        return buffer_extend_slowly(buffer, size);
    buffer->size += size;
    return buffer->data + (buffer->size - size);
}

/* Big-endian loads and stores of fixed width, written out so that compilers
 * make one move and one swap of them. */

static inline uint32_t load_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
           (uint32_t)bytes[2] << 8 | (uint32_t)bytes[3];
}

static inline uint64_t load_u64(const uint8_t *bytes)
{
    return (uint64_t)bytes[0] << 56 | (uint64_t)bytes[1] << 48 |
           (uint64_t)bytes[2] << 40 | (uint64_t)bytes[3] << 32 |
           (uint64_t)bytes[4] << 24 | (uint64_t)bytes[5] << 16 |
           (uint64_t)bytes[6] << 8 | (uint64_t)bytes[7];
}

static inline void store_u32(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)(value >> 24);
    bytes[1] = (uint8_t)(value >> 16);
    bytes[2] = (uint8_t)(value >> 8);
    bytes[3] = (uint8_t)value;
}

static inline void store_u64(uint8_t *bytes, uint64_t value)
{
    bytes[0] = (uint8_t)(value >> 56);
    bytes[1] = (uint8_t)(value >> 48);
    bytes[2] = (uint8_t)(value >> 40);
    bytes[3] = (uint8_t)(value >> 32);
    bytes[4] = (uint8_t)(value >> 24);
    bytes[5] = (uint8_t)(value >> 16);
    bytes[6] = (uint8_t)(value >> 8);
    bytes[7] = (uint8_t)value;
}

#endif
