/* A log that nobody outside can fill: what a peer sends may cause lines, and
 * no number of frames may cause as many. */
#ifndef NODE_QUIET_H
#define NODE_QUIET_H

#include "base/log.h"
#include "core/types.h"

/* A day of one line a second is 8 MB.  A comparison that names 1,000 rows and
 * the start of a mesh with 128 links are said whole. */
#define QUIET_LINES_MAX 1500
#define QUIET_LINE_MS 1000

struct quiet {
    struct log to;
    gv_time_ms (*now)(void);
    gv_time_ms filled_at; /* up to here lines were added to those to say */
    unsigned lines;       /* that may still be said at once */
    unsigned long long left_out;
};

/* Lines go to @to, as many as may; @now gives monotonic ms. */
void quiet_init(struct quiet *quiet, struct log to, gv_time_ms (*now)(void));

/* The log to write to.  Borrows @quiet. */
struct log quiet_log(struct quiet *quiet);

#endif
