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

/* Grow by @size bytes that the caller fills; NULL on error. */
uint8_t *buffer_extend(struct buffer *buffer, size_t size);

/* Big-endian loads and stores of fixed width. */
uint32_t load_u32(const uint8_t *bytes);
uint64_t load_u64(const uint8_t *bytes);
void store_u32(uint8_t *bytes, uint32_t value);
void store_u64(uint8_t *bytes, uint64_t value);

#endif
