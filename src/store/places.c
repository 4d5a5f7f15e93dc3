/* The rows that another vector lacks something of, by ranges of gv_ver. */
#include "store/extract.h"

#include "base/assert.h"
#include "base/plant.h"

#include <stdlib.h>

/* 16 bytes each: 3.2 MB.  Walking 200,000 rows one by one costs about as much
 * as reading a million in order. */
#define RANGE_ROWS_MAX 200000

_Static_assert(RANGE_ROWS_MAX * sizeof(struct row_place) == 3200000,
               "what the places may take");

static int add_place(struct extract *extract, int64_t table, int64_t rid)
{
    struct row_place *grown;

    if (extract->place_count == extract->place_capacity) {
        size_t capacity = 2 * extract->place_capacity + 64;

        grown = realloc(extract->places, capacity * sizeof *grown);
        if (grown == NULL)
            return GV_ENOMEM;
        extract->places = grown;
        extract->place_capacity = capacity;
    }
    GV_ASSERT(extract->place_count < extract->place_capacity);
    extract->places[extract->place_count++] = (struct row_place){table, rid};
    return GV_OK;
}

/* The rows of one site's records above what the asker has. */
static int find_range(struct extract *extract, sqlite3_stmt *range,
                      uint32_t site)
{
    int rc;

    GV_ASSERT(site > 0 && site < extract->asker_count);
    GV_ASSERT(!sqlite3_stmt_busy(range));
    sqlite3_bind_int64(range, 1, site);
    sqlite3_bind_int64(range, 2, (sqlite3_int64)extract->asker[site]);
    while ((rc = sql_step(range)) > 0) {
        if (plant("range-cut") && extract->place_count >= 20)
            break;
        rc = extract->place_count > RANGE_ROWS_MAX
                 ? GV_ELIMIT
                 : add_place(extract, sqlite3_column_int64(range, 0),
                             sqlite3_column_int64(range, 1));
        if (rc != GV_OK)
            break;
    }
    sqlite3_reset(range);
    return rc;
}

int place_compare(const void *a, const void *b)
{
    const struct row_place *x = a, *y = b;

    if (x->table != y->table)
        return x->table < y->table ? -1 : 1;
    return x->rid < y->rid ? -1 : x->rid > y->rid;
}

int places_find(struct extract *extract)
{
    struct store *store = extract->store;
    sqlite3_stmt *range = store->reader_range;
    size_t kept = 0;
    int rc = GV_OK;

    GV_ASSERT(!extract->whole && extract->place_count == 0);
    GV_ASSERT(extract->asker_count == store->site_count);
    for (uint32_t i = 1; i < store->site_count && rc == GV_OK; i++)
        if (vv_get(&store->vv, &store->sites[i]) > extract->asker[i])
            rc = find_range(extract, range, i);
    if (rc == GV_OK)
        extract_add_effort(extract, range);
    if (rc == GV_ELIMIT) {
        extract->whole = true;
        return GV_OK;
    }
    if (extract->place_count > 0)
        qsort(extract->places, extract->place_count, sizeof *extract->places,
              place_compare);
    for (size_t i = 0; i < extract->place_count; i++)
        if (i == 0 ||
            place_compare(&extract->places[i], &extract->places[i - 1]) != 0)
            extract->places[kept++] = extract->places[i];
    GV_ASSERT(kept <= extract->place_count);
    extract->place_count = kept;
    return rc;
}
