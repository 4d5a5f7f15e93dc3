#include "node/quiet.h"

#include "base/assert.h"

void quiet_init(struct quiet *quiet, struct log to, gv_time_ms (*now)(void))
{
    *quiet = (struct quiet){
        .to = to, .now = now, .filled_at = now(), .lines = QUIET_LINES_MAX};
}

/* One more line for each QUIET_LINE_MS that passed. */
static void fill(struct quiet *quiet)
{
    gv_time_ms now = quiet->now();
    gv_time_ms more = (now - quiet->filled_at) / QUIET_LINE_MS;

    GV_ASSERT(now >= quiet->filled_at);
    if (more > QUIET_LINES_MAX - (gv_time_ms)quiet->lines) {
        quiet->lines = QUIET_LINES_MAX;
        quiet->filled_at = now;
    } else {
        quiet->lines += (unsigned)more;
        quiet->filled_at += more * QUIET_LINE_MS;
    }
    GV_ASSERT(quiet->lines <= QUIET_LINES_MAX);
}

static void say(void *context, enum gv_log_level level, const char *line)
{
    struct quiet *quiet = context;

    fill(quiet);
    if (quiet->lines == 0) {
        quiet->left_out++;
        return;
    }
    quiet->lines--;
    if (quiet->left_out > 0)
        log_line(&quiet->to, GV_LOG_WARNING,
                 "%llu lines were left out: over %d at once, and then one a"
                 " second, are not said",
                 quiet->left_out, QUIET_LINES_MAX);
    quiet->left_out = 0;
    quiet->to.sink(quiet->to.context, level, line);
}

struct log quiet_log(struct quiet *quiet)
{
    return (struct log){quiet->to.sink == NULL ? NULL : say, quiet};
}
