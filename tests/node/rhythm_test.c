#include "check.h"

#include "node/rhythm.h"

/* Commits @gap apart, each noticed at once; when the last one was. */
static int64_t commits(struct rhythm *rhythm, int64_t at, int64_t gap,
                       int count)
{
    for (int i = 0; i < count; i++) {
        at += gap;
        rhythm_commit(rhythm, at - 10, at);
    }
    return at;
}

static struct rhythm start(void)
{
    struct rhythm rhythm;

    rhythm_init(&rhythm);
    return rhythm;
}

TEST(a_few_commits_are_no_rhythm)
{
    struct rhythm rhythm = start();
    int64_t at = commits(&rhythm, 1000, 1200, RHYTHM_GAPS);

    CHECK(!rhythm_known(&rhythm));
    CHECK_INT(rhythm_left_us(&rhythm, at), ==, 0);
    at = commits(&rhythm, at, 1200, 1);
    CHECK(rhythm_known(&rhythm));
    CHECK_INT(rhythm_left_us(&rhythm, at), ==, 600);
}

TEST(a_part_of_the_pause_behind_a_commit_is_the_nodes)
{
    struct rhythm rhythm = start();
    int64_t at = commits(&rhythm, 1000, 2000, 10);

    CHECK_INT(rhythm_left_us(&rhythm, at + 400), ==, 600);
    CHECK_INT(rhythm_left_us(&rhythm, at + 900), ==, 0); /* too little */
    CHECK_INT(rhythm_left_us(&rhythm, at + 1500), ==, 0);
    at = commits(&rhythm, at, 2000, 1);
    CHECK_INT(rhythm_left_us(&rhythm, at), ==, 1000);
}

TEST(the_shortest_pause_counts_until_it_is_long_ago)
{
    struct rhythm rhythm = start();
    int64_t at = commits(&rhythm, 1000, 2000, 10);

    at = commits(&rhythm, at, 800, 1);
    at = commits(&rhythm, at, 2000, RHYTHM_GAPS - 1);
    CHECK_INT(rhythm_left_us(&rhythm, at), ==, 400);
    at = commits(&rhythm, at, 2000, 1);
    CHECK_INT(rhythm_left_us(&rhythm, at), ==, 1000);
}

TEST(pauses_too_short_for_a_slice_are_left_alone)
{
    struct rhythm rhythm = start();
    int64_t at = commits(&rhythm, 1000, 2 * RHYTHM_MIN_US - 10, 20);

    CHECK_INT(rhythm_left_us(&rhythm, at), ==, 0);
}

/* It may have been at any moment since, and the next transaction be near. */
TEST(a_commit_that_was_noticed_late_is_no_moment_to_write)
{
    struct rhythm rhythm = start();
    int64_t at = commits(&rhythm, 1000, 2000, 10);

    rhythm_commit(&rhythm, at + 1000, at + 2000);
    CHECK_INT(rhythm_left_us(&rhythm, at + 2000), ==, 0);
    at = commits(&rhythm, at + 2000, 300, 1);
    CHECK_INT(rhythm_left_us(&rhythm, at), ==, 1000); /* no pause of 300 */
}

TEST(rows_follow_from_what_rows_took)
{
    struct rhythm rhythm = start();

    for (int i = 0; i < 50; i++)
        rhythm_took(&rhythm, 100, 500);
    CHECK_INT(rhythm_rows(&rhythm, 600), >=, 115);
    CHECK_INT(rhythm_rows(&rhythm, 600), <=, 125);
    for (int i = 0; i < 50; i++)
        rhythm_took(&rhythm, 100, 1000);
    CHECK_INT(rhythm_rows(&rhythm, 600), >=, 55);
    CHECK_INT(rhythm_rows(&rhythm, 600), <=, 65);
}

TEST(rows_stay_within_their_bounds)
{
    struct rhythm rhythm = start();

    CHECK_INT(rhythm_rows(&rhythm, 1), ==, RHYTHM_ROWS_MIN);
    CHECK_INT(rhythm_rows(&rhythm, 1000000), ==, RHYTHM_ROWS_MAX);
    for (int i = 0; i < 50; i++)
        rhythm_took(&rhythm, 400, 0);
    CHECK_INT(rhythm_rows(&rhythm, 600), ==, RHYTHM_ROWS_MAX);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
