/* Runs of bytes as small numbers: equal numbers, equal bytes. */
#ifndef SIM_INTERN_H
#define SIM_INTERN_H

#include <stddef.h>
#include <stdint.h>

struct intern {
    struct intern_entry {
        uint64_t hash;
        size_t at, size;
    } * entries;
    size_t count, capacity;
    uint8_t *bytes;
    size_t used, bytes_capacity;
    uint32_t *slots; /* 0, or an entry's number + 1 */
    size_t slot_count;
};

void intern_close(struct intern *intern);
/* Numbers count from 0 in the order of the first asking. */
uint32_t intern_number(struct intern *intern, const void *bytes, size_t size);
/* Borrowed until the next intern_number(). */
const uint8_t *intern_bytes(const struct intern *intern, uint32_t number,
                            size_t *size);

#endif
