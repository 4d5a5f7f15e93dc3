#include "core/neighbours.h"

#include "base/assert.h"

#include <string.h>

static struct neighbour *find(struct neighbours *table,
                              const struct site *site)
{
    GV_ASSERT(table->count <= NEIGHBOURS_MAX);
    for (size_t i = 0; i < table->count; i++) {
        if (site_equal(&table->items[i].site, site))
            return &table->items[i];
    }
    return NULL;
}

/* A free place, or that of the one that was silent for longest, if it was
 * for long. */
static struct neighbour *make_room(struct neighbours *table, gv_time_ms now)
{
    struct neighbour *oldest = &table->items[0];

    if (table->count < NEIGHBOURS_MAX)
        return &table->items[table->count++];
    for (size_t i = 1; i < table->count; i++) {
        if (table->items[i].heard < oldest->heard)
            oldest = &table->items[i];
    }
    GV_ASSERT(oldest->heard <= now);
    return now - oldest->heard > NEIGHBOUR_STALE_MS ? oldest : NULL;
}

static enum neighbour_news replace(struct neighbour *known,
                                   const struct neighbour *heard,
                                   enum neighbour_news news,
                                   char old[NEIGHBOUR_ENDPOINT_SIZE])
{
    if (strcmp(known->endpoint, heard->endpoint) != 0)
        memcpy(old, known->endpoint, NEIGHBOUR_ENDPOINT_SIZE);
    *known = *heard;
    known->said = heard->heard;
    GV_ASSERT(news != NEIGHBOUR_KNOWN && news != NEIGHBOUR_REFUSED);
    return news;
}

enum neighbour_news neighbours_hear(struct neighbours *table,
                                    const struct neighbour *heard,
                                    char old[NEIGHBOUR_ENDPOINT_SIZE])
{
    struct neighbour *known = find(table, &heard->site);

    old[0] = '\0';
    if (known == NULL) {
        known = make_room(table, heard->heard);
        if (known == NULL) {
            table->refused++;
            return NEIGHBOUR_REFUSED;
        }
        *known = *heard;
        return replace(known, heard, NEIGHBOUR_NEW, old);
    }
    if (known->instance != heard->instance)
        return replace(known, heard, NEIGHBOUR_RESTARTED, old);
    known->heard = heard->heard;
    if (strcmp(known->endpoint, heard->endpoint) == 0) {
        known->said = heard->heard;
        memcpy(known->name, heard->name, sizeof known->name);
        return NEIGHBOUR_KNOWN;
    }
    /* One that is heard by several ways keeps the first while that works. */
    if (heard->heard - known->said <= NEIGHBOUR_STALE_MS)
        return NEIGHBOUR_KNOWN;
    return replace(known, heard, NEIGHBOUR_MOVED, old);
}

bool neighbours_expire(struct neighbours *table, gv_time_ms now,
                       struct neighbour *gone)
{
    for (size_t i = 0; i < table->count; i++) {
        if (now - table->items[i].heard < NEIGHBOUR_GONE_MS)
            continue;
        *gone = table->items[i];
        table->items[i] = table->items[--table->count];
        GV_ASSERT(find(table, &gone->site) == NULL);
        return true;
    }
    return false;
}

gv_time_ms neighbours_deadline(const struct neighbours *table)
{
    gv_time_ms deadline = INT64_MAX;

    GV_ASSERT(table->count <= NEIGHBOURS_MAX);
    for (size_t i = 0; i < table->count; i++) {
        gv_time_ms due = table->items[i].heard + NEIGHBOUR_GONE_MS;

        if (due < deadline)
            deadline = due;
    }
    return deadline;
}
