#include "check.h"

#include "node/pace.h"

static struct pace start(void)
{
    struct pace pace;

    pace_init(&pace);
    return pace;
}

TEST(a_node_that_never_wrote_may_write_at_once)
{
    struct pace pace = start();

    CHECK_INT(pace_due(&pace), <=, 0);
    CHECK(pace_quiet(&pace, 0, 1000));
}

TEST(a_commit_that_comes_alone_is_answered_at_once)
{
    struct pace pace = start();

    pace_commit(&pace, 1000, 1000, 10);
    CHECK_INT(pace_due(&pace), <=, 1000);
    pace_wrote(&pace, 1002, 10);
    pace_commit(&pace, 1010, 1010, 10);
    CHECK_INT(pace_due(&pace), <=, 1010);
}

TEST(in_a_crowd_the_node_writes_every_100_ms)
{
    struct pace pace = start();

    pace_commit(&pace, 1000, 1000, 10);
    pace_wrote(&pace, 1001, 10);
    for (gv_time_ms now = 1003; now < 1101; now += 2) {
        pace_commit(&pace, now, now, 10);
        CHECK_INT(pace_due(&pace), >, now);
    }
    pace_commit(&pace, 1101, 1101, 10);
    CHECK_INT(pace_due(&pace), <=, 1101);
    pace_wrote(&pace, 1103, 10);
    pace_commit(&pace, 1104, 1104, 10);
    CHECK_INT(pace_due(&pace), >, 1104);
}

TEST(commits_of_a_crowd_need_not_wake)
{
    struct pace pace = start();

    CHECK_INT(pace_nap(&pace, 1000), <=, 1000);
    pace_commit(&pace, 1000, 1000, 10); /* alone */
    CHECK_INT(pace_nap(&pace, 1000), <=, 1000);
    pace_wrote(&pace, 1001, 10);
    pace_commit(&pace, 1002, 1002, 10);
    CHECK_INT(pace_nap(&pace, 1002), ==, 1002 + PACE_CROWD_MS);
    /* Seen at the end of a nap, it may have come at any time of it. */
    pace_commit(&pace, 1002, 1007, 10);
    CHECK_INT(pace_nap(&pace, 1007), ==, 1007 + PACE_CROWD_MS);
    CHECK_INT(pace_nap(&pace, 1012), <=, 1012); /* it is over */
    pace_commit(&pace, 1095, 1099, 10);
    CHECK_INT(pace_nap(&pace, 1099), <=, 1099);
    pace_commit(&pace, 1099, 1100, 10);
    CHECK_INT(pace_nap(&pace, 1100), ==, 1101); /* the node's turn */
    pace_hurry(&pace, true);
    CHECK_INT(pace_nap(&pace, 1100), <=, 1100);
}

TEST(a_long_delta_has_pauses_where_applications_write)
{
    struct pace pace = start();

    pace_commit(&pace, 1000, 1000, 10);
    pace_wrote(&pace, 1001, 10);
    pace_hurry(&pace, true);
    pace_commit(&pace, 1003, 1003, 10);
    CHECK_INT(pace_due(&pace), ==, 1001 + PACE_HURRY_INTERVAL_MS);
    CHECK(pace_allowed(&pace, 1003)); /* if there is a place for it */
    pace_hurry(&pace, false);
    CHECK_INT(pace_due(&pace), >, 1001);
}

TEST(whoever_had_a_rhythm_is_waited_for_longer)
{
    struct pace pace = start();

    pace_hurry(&pace, true);
    pace_commit(&pace, 1000, 1000, 10);
    pace_fits(&pace, 1001);
    pace_wrote(&pace, 1001, 10);
    CHECK_INT(pace_due(&pace), ==, 1001 + PACE_HURRY_SILENCE_MS);
    pace_commit(&pace, 1090, 1090, 10);
    pace_wrote(&pace, 1101, 10); /* long after what had its place */
    CHECK_INT(pace_due(&pace), ==, 1101 + PACE_HURRY_INTERVAL_MS);
}

TEST(a_place_between_two_commits_is_none_beside_a_long_log)
{
    struct pace pace = start();

    pace_hurry(&pace, true);
    pace_commit(&pace, 1000, 1000, PACE_WAL_FRAMES);
    CHECK(!pace_allowed(&pace, 1000));
    pace_commit(&pace, 1001, 1001, 5);
    CHECK(pace_allowed(&pace, 1000 + PACE_WAL_GAP_MS + 1));
}

TEST(a_long_delta_is_polite_for_a_while_after_any_commit)
{
    struct pace pace = start();

    pace_hurry(&pace, true);
    CHECK_INT(pace_due(&pace), <=, 0);
    CHECK(!pace_polite(&pace, 0));
    pace_commit(&pace, 1000, 1000, 10);
    pace_wrote(&pace, 1002, 10);
    CHECK_INT(pace_due(&pace), ==, 1002 + PACE_HURRY_INTERVAL_MS);
    CHECK(pace_polite(&pace, 1099));
    CHECK(!pace_polite(&pace, 1100));
    pace_wrote(&pace, 1099, 10);
    CHECK_INT(pace_due(&pace), ==, 1100);
}

TEST(when_a_crowd_is_over_the_node_waits_no_longer)
{
    struct pace pace = start();

    pace_commit(&pace, 1000, 1000, 10);
    pace_wrote(&pace, 1001, 10);
    pace_commit(&pace, 1003, 1003, 10);
    CHECK_INT(pace_due(&pace), ==, 1003 + PACE_CROWD_MS + 1);
}

TEST(a_commit_that_came_while_the_node_wrote_counts_from_the_earliest_moment)
{
    struct pace pace = start();

    pace_commit(&pace, 1000, 1000, 10);
    pace_wrote(&pace, 1020, 10);
    pace_commit(&pace, 1001, 1020, 10);
    CHECK_INT(pace_due(&pace), >, 1020);
}

TEST(a_long_log_is_left_alone_for_3_ms)
{
    struct pace pace = start();

    pace_wrote(&pace, 1000, PACE_WAL_FRAMES - 1);
    CHECK_INT(pace_due(&pace), <=, 1000);
    pace_wrote(&pace, 1000, PACE_WAL_FRAMES);
    CHECK_INT(pace_due(&pace), >=, 1000 + PACE_WAL_GAP_MS);
}

/* It is an application's commit that resets the log, if nobody stands in it
 * just then. */
TEST(a_long_log_is_left_alone_after_an_applications_commit)
{
    struct pace pace = start();

    pace_commit(&pace, 1100, 1100, PACE_WAL_FRAMES);
    CHECK_INT(pace_due(&pace), >=, 1100 + PACE_WAL_GAP_MS);
    pace_commit(&pace, 1300, 1300, 12);
    CHECK_INT(pace_due(&pace), <=, 1300);
}

/* Its commits come so thick that a wait for each would never end. */
TEST(a_log_that_was_reset_is_waited_for_no_more)
{
    struct pace pace = start();

    pace_wrote(&pace, 1000, PACE_WAL_FRAMES);
    for (gv_time_ms now = 1001; now < 1101; now += 2)
        pace_commit(&pace, now, now, (int)(now - 1000));
    CHECK_INT(pace_due(&pace), <=, 1101);
    pace_commit(&pace, 2000, 2000, PACE_WAL_FRAMES); /* the next one */
    CHECK_INT(pace_due(&pace), >=, 2000 + PACE_WAL_GAP_MS);
}

TEST(a_log_that_nobody_resets_does_not_keep_the_node_from_writing)
{
    struct pace pace = start();
    gv_time_ms now = 1000;

    pace_wrote(&pace, 999, 10);
    for (; now < 1000 + PACE_WAL_PATIENCE_MS; now += 2) {
        pace_commit(&pace, now, now, PACE_WAL_FRAMES);
        CHECK_INT(pace_due(&pace), >, now);
    }
    pace_commit(&pace, now + 4, now + 4, PACE_WAL_FRAMES);
    CHECK_INT(pace_due(&pace), <=, now + 4);
    pace_wrote(&pace, now + 4, PACE_WAL_FRAMES);
    pace_commit(&pace, now + 110, now + 110, PACE_WAL_FRAMES);
    CHECK_INT(pace_due(&pace), <=, now + 110);
}

TEST(waiting_never_shortens_a_longer_wait)
{
    struct pace pace = start();

    pace_wait(&pace, 1000, 500);
    pace_wait(&pace, 1001, 3);
    CHECK_INT(pace_due(&pace), ==, 1500);
}

TEST(quiet_is_counted_from_the_last_commit_of_others)
{
    struct pace pace = start();

    pace_commit(&pace, 1000, 1000, 10);
    pace_wrote(&pace, 1500, 10);
    CHECK(!pace_quiet(&pace, 1999, 1000));
    CHECK(pace_quiet(&pace, 2000, 1000));
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
