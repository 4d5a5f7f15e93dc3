/* Versions from a hybrid logical clock (Kulkarni et al. 2014, section 3.3). */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include "core/types.h"

/* How far ahead of this clock a version may lie before it is refused.  A
 * minute is more than NTP leaves and less than a wrong time zone. */
#define CLOCK_DRIFT_MAX_MS 60000

/* A site whose versions have come so far issues no more.  Nobody comes here by
 * writing: it takes a clock that says the year 4199, or a damaged file.  Above
 * it there is room for what one seal issues between two looks at it. */
#define CLOCK_TOP (VERSION_MAX - ((gv_version)1 << 20))

/* The next version of a site that last issued @own_last, has seen @seen, and
 * writes at @wall_ms: max(ms << 16, own_last + 1, seen + 1).  A wall clock
 * that is beyond all versions is as good as none.  Asserts that the result is
 * at most VERSION_MAX: whoever asks has not come to CLOCK_TOP. */
gv_version clock_next(gv_time_ms wall_ms, gv_version own_last,
                      gv_version seen);

/* The wall-clock part of @version, in ms since 1970. */
gv_time_ms clock_wall(gv_version version);

/* Whether @version lies more than CLOCK_DRIFT_MAX_MS ahead of @now_ms. */
bool clock_too_far(gv_version version, gv_time_ms now_ms);

#endif
