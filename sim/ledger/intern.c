#include "intern.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

void intern_close(struct intern *intern)
{
    free(intern->entries);
    free(intern->bytes);
    free(intern->slots);
    *intern = (struct intern){0};
}

static void grow_slots(struct intern *intern)
{
    size_t count = intern->slot_count == 0 ? 1024 : intern->slot_count * 2;
    uint32_t *slots = calloc(count, sizeof *slots);

    GV_ASSERT(slots != NULL);
    for (uint32_t i = 0; i < intern->count; i++) {
        size_t at = intern->entries[i].hash & (count - 1);

        while (slots[at] != 0)
            at = (at + 1) & (count - 1);
        slots[at] = i + 1;
    }
    free(intern->slots);
    intern->slots = slots;
    intern->slot_count = count;
}

static uint32_t add(struct intern *intern, uint64_t hash, const void *bytes,
                    size_t size)
{
    if (intern->count == intern->capacity) {
        intern->capacity = intern->capacity * 2 + 512;
        intern->entries = reallocarray(intern->entries, intern->capacity,
                                       sizeof *intern->entries);
        GV_ASSERT(intern->entries != NULL);
    }
    if (intern->used + size > intern->bytes_capacity) {
        intern->bytes_capacity = intern->bytes_capacity * 2 + size + 8192;
        intern->bytes = realloc(intern->bytes, intern->bytes_capacity);
        GV_ASSERT(intern->bytes != NULL);
    }
    memcpy(intern->bytes + intern->used, bytes, size);
    intern->entries[intern->count] =
        (struct intern_entry){hash, intern->used, size};
    intern->used += size;
    return (uint32_t)intern->count++;
}

uint32_t intern_number(struct intern *intern, const void *bytes, size_t size)
{
    uint64_t hash = hash64(bytes, size);
    uint32_t number;
    size_t at;

    if (intern->count * 2 >= intern->slot_count)
        grow_slots(intern);
    at = hash & (intern->slot_count - 1);
    while (intern->slots[at] != 0) {
        const struct intern_entry *entry =
            &intern->entries[intern->slots[at] - 1];

        if (entry->hash == hash && entry->size == size &&
            memcmp(intern->bytes + entry->at, bytes, size) == 0)
            return intern->slots[at] - 1;
        at = (at + 1) & (intern->slot_count - 1);
    }
    number = add(intern, hash, bytes, size);
    intern->slots[at] = number + 1;
    return number;
}

const uint8_t *intern_bytes(const struct intern *intern, uint32_t number,
                            size_t *size)
{
    GV_ASSERT(number < intern->count);
    *size = intern->entries[number].size;
    return intern->bytes + intern->entries[number].at;
}
