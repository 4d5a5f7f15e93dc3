#include "sim/world.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define NOTES_KEPT 512
#define NOTE_SIZE 240

struct happening {
    sim_time when;
    uint64_t order;
    void (*run)(void *context, uint64_t argument);
    void *context;
    uint64_t argument;
};

struct note {
    sim_time when;
    char text[NOTE_SIZE];
};

struct world {
    sim_time now;
    uint64_t order, steps;
    struct happening *heap;
    size_t count, capacity;
    struct random streams[STREAMS];
    uint64_t hash;
    struct note notes[NOTES_KEPT];
    size_t note_count;
    FILE *follow;
    char broken[32];
    char failure[1024];
};

struct world *world_new(uint64_t seed)
{
    struct world *world = calloc(1, sizeof *world);

    if (world == NULL)
        return NULL;
    for (size_t i = 0; i < STREAMS; i++)
        random_seed(&world->streams[i],
                    seed * 0x9e3779b97f4a7c15 + (i + 1) * 0xd1b54a32d192ed03);
    world->hash = seed;
    return world;
}

void world_free(struct world *world)
{
    if (world == NULL)
        return;
    free(world->heap);
    free(world);
}

sim_time world_now(const struct world *world)
{
    return world->now;
}

struct random *world_random(struct world *world, enum stream stream)
{
    return &world->streams[stream];
}

/* The heap */

static bool sooner(const struct happening *a, const struct happening *b)
{
    return a->when != b->when ? a->when < b->when : a->order < b->order;
}

static void swap(struct happening *a, struct happening *b)
{
    struct happening kept = *a;

    *a = *b;
    *b = kept;
}

static void sift_up(struct happening *heap, size_t at)
{
    while (at > 0 && sooner(&heap[at], &heap[(at - 1) / 2])) {
        swap(&heap[at], &heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static void sift_down(struct happening *heap, size_t count)
{
    size_t at = 0;

    for (;;) {
        size_t least = at;

        for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++)
            if (child < count && sooner(&heap[child], &heap[least]))
                least = child;
        if (least == at)
            return;
        swap(&heap[at], &heap[least]);
        at = least;
    }
}

void world_at(struct world *world, sim_time when,
              void (*run)(void *context, uint64_t argument), void *context,
              uint64_t argument)
{
    if (world->count == world->capacity) {
        size_t capacity = world->capacity * 2 + 256;
        struct happening *heap =
            reallocarray(world->heap, capacity, sizeof *heap);

        GV_ASSERT(heap != NULL);
        world->heap = heap;
        world->capacity = capacity;
    }
    world->heap[world->count] = (struct happening){
        .when = when < world->now ? world->now : when,
        .order = world->order++,
        .run = run,
        .context = context,
        .argument = argument,
    };
    sift_up(world->heap, world->count++);
}

bool world_step(struct world *world, sim_time until)
{
    struct happening next;

    if (world_failed(world))
        return false;
    if (world->count == 0 || world->heap[0].when > until) {
        if (world->now < until)
            world->now = until;
        return false;
    }
    next = world->heap[0];
    world->heap[0] = world->heap[--world->count];
    sift_down(world->heap, world->count);
    GV_ASSERT(next.when >= world->now);
    world->now = next.when;
    world->steps++;
    world_mark(world, (uint64_t)next.when);
    next.run(next.context, next.argument);
    return !world_failed(world);
}

uint64_t world_steps(const struct world *world)
{
    return world->steps;
}

/* Chance */

bool chance(struct random *random, unsigned per_million)
{
    if (per_million == 0 || per_million >= 1000000)
        return per_million != 0;
    return random_below(random, 1000000) < per_million;
}

int64_t between(struct random *random, int64_t low, int64_t high)
{
    GV_ASSERT(low <= high);
    return low + (int64_t)random_below(random, (uint64_t)(high - low) + 1);
}

/* -ln(u) = ln 2 times the number of halvings, plus what is left, between two
 * powers of two taken as a line: within 6 % of the true value. */
int64_t exponential(struct random *random, int64_t mean)
{
    uint64_t u = random_u64(random) | 1;
    int halvings = __builtin_clzll(u);
    uint64_t left = (u << halvings) >> 44; /* 2^19 to 2^20 */
    int64_t ln2_millionths = (int64_t)halvings * 1000000 +
                             (int64_t)((1048576 - left) * 1000000 / 524288);
    int64_t drawn = mean * ln2_millionths / 1000000 * 693 / 1000;

    return drawn < 20 * mean ? drawn : 20 * mean;
}

/* The trace */

void world_mark(struct world *world, uint64_t value)
{
    uint64_t x = (world->hash ^ value) * 0x9e3779b97f4a7c15;

    world->hash = x ^ (x >> 29);
}

static void note_print(FILE *out, const struct note *note)
{
    fprintf(out, "%10.3f s  %s\n", (double)note->when / 1e6, note->text);
}

void world_note(struct world *world, const char *format, ...)
{
    struct note *note = &world->notes[world->note_count++ % NOTES_KEPT];
    va_list arguments;

    note->when = world->now;
    va_start(arguments, format);
    vsnprintf(note->text, sizeof note->text, format, arguments);
    va_end(arguments);
    world_mark(world, hash64(note->text, strlen(note->text)));
    if (world->follow != NULL)
        note_print(world->follow, note);
}

void world_detail(struct world *world, const char *format, ...)
{
    struct note note = {.when = world->now};
    va_list arguments;

    if (world->follow == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(note.text, sizeof note.text, format, arguments);
    va_end(arguments);
    note_print(world->follow, &note);
}

uint64_t world_hash(const struct world *world)
{
    return world->hash;
}

void world_follow(struct world *world, FILE *out)
{
    world->follow = out;
}

void world_narrate(const struct world *world, FILE *out, size_t count)
{
    size_t kept =
        world->note_count < NOTES_KEPT ? world->note_count : NOTES_KEPT;

    if (count > kept)
        count = kept;
    for (size_t i = world->note_count - count; i < world->note_count; i++)
        note_print(out, &world->notes[i % NOTES_KEPT]);
}

/* Failure */

void world_fail(struct world *world, const char *invariant, const char *format,
                ...)
{
    va_list arguments;

    if (world_failed(world))
        return;
    snprintf(world->broken, sizeof world->broken, "%s", invariant);
    va_start(arguments, format);
    vsnprintf(world->failure, sizeof world->failure, format, arguments);
    va_end(arguments);
    world_note(world, "%s BROKEN: %.200s", world->broken, world->failure);
}

bool world_failed(const struct world *world)
{
    return world->broken[0] != '\0';
}

const char *world_failure(const struct world *world)
{
    return world->failure;
}

const char *world_broken(const struct world *world)
{
    return world->broken;
}
