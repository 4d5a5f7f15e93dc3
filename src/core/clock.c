#include "core/clock.h"

#include "base/assert.h"

/* A version is (ms << 16) + counter.  The counter needs no carry rule: when
 * 65,536 versions fall into one millisecond it runs over into the next, and
 * the clock is ahead of the wall by that much for a moment. */

_Static_assert(VERSION_MAX >> 16 > (gv_version)2000 * 366 * 86400 * 1000,
               "the wall clock fits a version until the year 3970");

gv_version clock_next(gv_time_ms wall_ms, gv_version own_last, gv_version seen)
{
    gv_version next = 1;

    GV_ASSERT(own_last < VERSION_MAX && seen < VERSION_MAX);
    if (wall_ms > 0 && (gv_version)wall_ms < CLOCK_TOP >> 16)
        next = (gv_version)wall_ms << 16;
    if (next <= own_last)
        next = own_last + 1;
    if (next <= seen)
        next = seen + 1;
    GV_ASSERT(next > own_last && next > seen);
    GV_ASSERT(next <= VERSION_MAX);
    return next;
}

gv_time_ms clock_wall(gv_version version)
{
    return (gv_time_ms)(version >> 16);
}

bool clock_too_far(gv_version version, gv_time_ms now_ms)
{
    return clock_wall(version) - CLOCK_DRIFT_MAX_MS > now_ms;
}
