#include "core/emit.h"

#include "base/assert.h"
#include "core/link.h"
#include "core/state.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK_SIZE (64 * 1024)
#define ARENA_ALIGNMENT 16
#define LINE_SIZE_MAX 1000

/* Blocks never move, so pointers into them stay good for the whole step.  The
 * newest stands first; one block of the usual size is kept between steps. */
struct arena {
    struct arena *next;
    size_t used;
    size_t size;
    _Alignas(ARENA_ALIGNMENT) uint8_t bytes[];
};

_Static_assert(offsetof(struct arena, bytes) % ARENA_ALIGNMENT == 0 &&
                   ARENA_BLOCK_SIZE % ARENA_ALIGNMENT == 0,
               "what a block gives is aligned, the first and the last");
_Static_assert(ARENA_ALIGNMENT >= _Alignof(max_align_t),
               "a block holds things of any type");

void emit_begin(struct core *core)
{
    struct arena *kept = NULL;

    /* The effects of the step before, which point into them, are past. */
    GV_ASSERT(core->closed == NULL);
    while (core->arena != NULL) {
        struct arena *next = core->arena->next;
        if (kept == NULL && core->arena->size == ARENA_BLOCK_SIZE) {
            kept = core->arena;
            kept->next = NULL;
            kept->used = 0;
        } else {
            free(core->arena);
        }
        core->arena = next;
    }
    core->arena = kept;
    GV_ASSERT(kept == NULL || (kept->next == NULL && kept->used == 0));
    core->effect_count = 0;
    core->error = GV_OK;
}

void emit_close(struct core *core)
{
    while (core->arena != NULL) {
        struct arena *next = core->arena->next;
        free(core->arena);
        core->arena = next;
    }
    free(core->effects);
    core->effects = NULL;
}

void *emit_memory(struct core *core, size_t size)
{
    struct arena *arena = core->arena;
    void *memory;

    GV_ASSERT(size <= MESSAGE_FRAME_SIZE_MAX);
    size = (size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    if (arena == NULL || arena->size - arena->used < size) {
        size_t block = size > ARENA_BLOCK_SIZE ? size : ARENA_BLOCK_SIZE;
        arena = malloc(sizeof(*arena) + block);
        if (arena == NULL) {
            core->error = GV_ENOMEM;
            return NULL;
        }
        arena->next = core->arena;
        arena->used = 0;
        arena->size = block;
        core->arena = arena;
    }
    memory = arena->bytes + arena->used;
    arena->used += size;
    GV_ASSERT(arena->used <= arena->size);
    GV_ASSERT(arena->used % ARENA_ALIGNMENT == 0);
    return memory;
}

bool emit_vv(struct core *core, const struct vv *vv, struct vv_view *view)
{
    uint8_t *bytes = emit_memory(core, vv->count * VV_ENTRY_SIZE);

    GV_ASSERT(vv->count <= VV_SITES_MAX);
    if (bytes == NULL)
        return false;
    for (size_t i = 0; i < vv->count; i++)
        vv_entry_store(&vv->entries[i], bytes + i * VV_ENTRY_SIZE);
    view->bytes = bytes;
    view->count = vv->count;
    return true;
}

bool emit(struct core *core, const struct effect *effect)
{
    if (core->effect_count == core->effect_capacity) {
        size_t capacity =
            core->effect_capacity == 0 ? 64 : 2 * core->effect_capacity;
        struct effect *effects =
            realloc(core->effects, capacity * sizeof(*effects));
        if (effects == NULL) {
            core->error = GV_ENOMEM;
            return false;
        }
        core->effects = effects;
        core->effect_capacity = capacity;
    }
    GV_ASSERT(core->effect_count < core->effect_capacity);
    core->effects[core->effect_count++] = *effect;
    return true;
}

/* Whether what @kind needs is agreed on @number. */
static bool speaks(const struct core *core, gv_link number,
                   enum message_kind kind)
{
    uint64_t needs = dialect_needs(kind);
    const struct link *link = needs != 0 ? link_find(core, number) : NULL;

    return needs == 0 ||
           (link != NULL && (needs & ~link->agreed.features) == 0);
}

bool emit_message(struct core *core, gv_link link,
                  const struct message *message)
{
    struct effect effect = {.kind = EFFECT_SEND, .link = link};

    GV_ASSERT(link != 0);
    GV_ASSERT(message->kind >= MESSAGE_HELLO &&
              message->kind <= MESSAGE_KIND_MAX);
    GV_ASSERT(speaks(core, link, message->kind));
    effect.as.send.message = *message;
    return emit(core, &effect);
}

const char *emit_text(struct core *core, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = emit_memory(core, size);

    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

void emit_bye(struct core *core, gv_link link, enum bye_code code,
              const char *text)
{
    struct message message = {.kind = MESSAGE_BYE};
    const char *copy = emit_text(core, text);
    size_t size = strlen(text);

    GV_ASSERT(code >= BYE_STOPPING && code <= BYE_SILENT);
    if (copy == NULL)
        return;
    if (size > MESSAGE_TEXT_SIZE_MAX) {
        size = MESSAGE_TEXT_SIZE_MAX;
        /* Where a character of UTF-8 begins: the peer takes no part of one. */
        while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80)
            size--;
    }
    message.as.bye.code = code;
    message.as.bye.text = (struct text){copy, size};
    (void)emit_message(core, link, &message);
}

void emit_close_link(struct core *core, gv_link link)
{
    struct effect effect = {.kind = EFFECT_CLOSE, .link = link};

    (void)emit(core, &effect);
}

void emit_log(struct core *core, enum gv_log_level level, const char *format,
              ...)
{
    struct effect effect = {.kind = EFFECT_LOG};
    char line[LINE_SIZE_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    effect.as.log.level = level;
    effect.as.log.line = emit_text(core, line);
    if (effect.as.log.line != NULL)
        (void)emit(core, &effect);
}
