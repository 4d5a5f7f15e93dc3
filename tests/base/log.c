#include "base/log.h"
#include "check.h"

static char last[2000];
static enum gv_log_level last_level;

static void keep(void *context, enum gv_log_level level, const char *line)
{
    ++*(int *)context;
    last_level = level;
    snprintf(last, sizeof(last), "%s", line);
}

TEST(a_line_reaches_the_sink_with_its_level)
{
    int count = 0;
    struct log log = {keep, &count};

    log_line(&log, GV_LOG_WARNING, "%s is %d", "x", 7);
    CHECK_TEXT(last, "x is 7");
    CHECK_INT(last_level, ==, GV_LOG_WARNING);
    CHECK_INT(count, ==, 1);
}

TEST(without_a_sink_lines_vanish)
{
    struct log log = {NULL, NULL};

    log_line(&log, GV_LOG_ERROR, "x");
}

TEST(a_long_line_is_cut_between_characters)
{
    int count = 0;
    struct log log = {keep, &count};

    log_line(&log, GV_LOG_INFO, "%0999dä", 1);
    CHECK_INT(strlen(last), ==, 999);
    log_line(&log, GV_LOG_INFO, "%0998dä", 1);
    CHECK_INT(strlen(last), ==, 1000);
    log_line(&log, GV_LOG_INFO, "%01000d", 1);
    CHECK_INT(strlen(last), ==, 1000);
    log_line(&log, GV_LOG_INFO, "%01500d", 1);
    CHECK_INT(strlen(last), ==, 1000);
}

TEST(no_text_from_outside_starts_another_line)
{
    int count = 0;
    struct log log = {keep, &count};

    log_line(&log, GV_LOG_INFO, "peer %s", "a\nb\x1b[2J\x7fü");
    CHECK_TEXT(last, "peer a?b?[2J?ü");
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
