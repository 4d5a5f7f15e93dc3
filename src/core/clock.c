#include "core/clock.h"

#include "base/assert.h"

/* A version is (ms << 16) + counter.  The counter needs no carry rule: when
 * 65,536 versions fall into one millisecond it runs over into the next, and
 * the clock is ahead of the wall by that much for a moment. */

gv_version clock_next(gv_time_ms wall_ms, gv_version own_last, gv_version seen)
{
    gv_version next = 1;

    GV_ASSERT(own_last < VERSION_MAX && seen < VERSION_MAX);
    if (wall_ms > 0) {
        GV_ASSERT((gv_version)wall_ms <= VERSION_MAX >> 16);
        next = (gv_version)wall_ms << 16;
    }
    if (next <= own_last)
        next = own_last + 1;
    if (next <= seen)
        next = seen + 1;
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
