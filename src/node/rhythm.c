#include "node/rhythm.h"

#include "base/assert.h"

/* A commit that was noticed later than this came no one knows when. */
#define VAGUE_US 200
/* Longer pauses are taken for this: longer slices are not wanted. */
#define GAP_MAX_US 1000000
/* What a row takes until one was applied. */
#define ROW_NS 4000
/* How much of what was thought a new measurement replaces. */
#define ROW_PART 4

void rhythm_init(struct rhythm *rhythm)
{
    *rhythm = (struct rhythm){.row_ns = ROW_NS};
}

static void note_gap(struct rhythm *rhythm, int64_t gap)
{
    rhythm->gaps[rhythm->next] = gap < GAP_MAX_US ? gap : GAP_MAX_US;
    rhythm->next = (rhythm->next + 1) % RHYTHM_GAPS;
    if (rhythm->count < RHYTHM_GAPS)
        rhythm->count++;
}

void rhythm_commit(struct rhythm *rhythm, int64_t since_us, int64_t now_us)
{
    GV_ASSERT(since_us <= now_us && now_us > 0);
    if (now_us - since_us > VAGUE_US) {
        rhythm->last_us = 0;
        return;
    }
    if (rhythm->last_us > 0)
        note_gap(rhythm, now_us - rhythm->last_us);
    rhythm->last_us = now_us;
}

bool rhythm_known(const struct rhythm *rhythm)
{
    GV_ASSERT(rhythm->count <= RHYTHM_GAPS);
    return rhythm->count == RHYTHM_GAPS;
}

int64_t rhythm_left_us(const struct rhythm *rhythm, int64_t now_us)
{
    int64_t shortest = GAP_MAX_US, left;

    if (!rhythm_known(rhythm) || rhythm->last_us == 0)
        return 0;
    for (size_t i = 0; i < RHYTHM_GAPS; i++)
        if (rhythm->gaps[i] < shortest)
            shortest = rhythm->gaps[i];
    left = rhythm->last_us + shortest / RHYTHM_PART - now_us;
    return left < RHYTHM_MIN_US ? 0 : left;
}

void rhythm_took(struct rhythm *rhythm, size_t rows, int64_t took_us)
{
    GV_ASSERT(rows > 0 && took_us >= 0);
    rhythm->row_ns +=
        (took_us * 1000 / (int64_t)rows - rhythm->row_ns) / ROW_PART;
}

size_t rhythm_rows(const struct rhythm *rhythm, int64_t left_us)
{
    int64_t row_ns = rhythm->row_ns > 0 ? rhythm->row_ns : 1;
    int64_t rows = left_us * 1000 / row_ns;

    GV_ASSERT(left_us >= 0);
    if (rows < RHYTHM_ROWS_MIN)
        return RHYTHM_ROWS_MIN;
    return rows < RHYTHM_ROWS_MAX ? (size_t)rows : RHYTHM_ROWS_MAX;
}
