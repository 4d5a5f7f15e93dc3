#include "check.h"

#include "node/quiet.h"

#include <stdio.h>
#include <string.h>

static gv_time_ms time_now;
static unsigned said;
static char last[200], before[200];

static gv_time_ms now(void)
{
    return time_now;
}

static void sink(void *context, enum gv_log_level level, const char *line)
{
    (void)context;
    (void)level;
    said++;
    memcpy(before, last, sizeof before);
    snprintf(last, sizeof last, "%s", line);
}

static struct log start(struct quiet *quiet)
{
    time_now = 5000;
    said = 0;
    last[0] = before[0] = '\0';
    quiet_init(quiet, (struct log){sink, NULL}, now);
    return quiet_log(quiet);
}

TEST(a_flood_of_lines_is_cut_off_and_counted)
{
    struct quiet quiet;
    struct log log = start(&quiet);

    for (int i = 0; i < 100000; i++)
        log_line(&log, GV_LOG_ERROR, "line %d", i);
    CHECK_INT(said, ==, QUIET_LINES_MAX);
    time_now += QUIET_LINE_MS;
    log_line(&log, GV_LOG_ERROR, "afterwards");
    CHECK_INT(said, ==, QUIET_LINES_MAX + 2);
    CHECK_TEXT(last, "afterwards");
    CHECK(strncmp(before, "98500 lines were left out", 25) == 0);
}

TEST(in_a_flood_that_lasts_a_line_a_second_is_said)
{
    struct quiet quiet;
    struct log log = start(&quiet);

    for (int i = 0; i < QUIET_LINES_MAX; i++)
        log_line(&log, GV_LOG_INFO, "first");
    said = 0;
    for (int i = 0; i < 60 * 1000; i++) {
        time_now++;
        log_line(&log, GV_LOG_ERROR, "flood");
    }
    CHECK_INT(said, ==, 2 * 60); /* each with the count of those left out */
}

TEST(after_a_quiet_time_all_may_be_said_again)
{
    struct quiet quiet;
    struct log log = start(&quiet);

    for (int i = 0; i < QUIET_LINES_MAX; i++)
        log_line(&log, GV_LOG_INFO, "first");
    time_now += (gv_time_ms)10 * QUIET_LINES_MAX * QUIET_LINE_MS;
    said = 0;
    for (int i = 0; i < QUIET_LINES_MAX + 5; i++)
        log_line(&log, GV_LOG_INFO, "again");
    CHECK_INT(said, ==, QUIET_LINES_MAX);
}

TEST(with_no_sink_there_is_nothing_to_do)
{
    struct quiet quiet;
    struct log log;

    quiet_init(&quiet, (struct log){NULL, NULL}, now);
    log = quiet_log(&quiet);
    log_line(&log, GV_LOG_INFO, "nobody hears it");
    CHECK(quiet.lines == QUIET_LINES_MAX);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
