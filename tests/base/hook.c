#include "base/hook.h"
#include "check.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef GV_TEST_HOOKS

/* Each in a process of its own, since a process reads its hooks once. */
static int status_of(const char *hooks, void (*run)(void))
{
    int status;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        setenv("GRAPEVINE_HOOK", hooks, 1);
        run();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    return status;
}

static void count_to_the_third(void)
{
    for (int i = 1; i <= 5; i++)
        CHECK(hook_reached("apply") == (i == 3));
    CHECK(!hook_reached("appl"));
    CHECK(!hook_reached("apply-row"));
}

TEST(a_place_is_reached_at_its_nth_passing_only)
{
    CHECK_INT(status_of("apply:3", count_to_the_third), ==, 0);
}

static void count_two_places(void)
{
    CHECK(!hook_reached("ack"));
    CHECK(hook_reached("seal"));
    CHECK(hook_reached("ack"));
    CHECK(!hook_reached("seal"));
    CHECK(hook_reached("ack"));
}

TEST(places_count_apart_and_may_be_armed_twice)
{
    CHECK_INT(status_of("seal:1,ack:2,ack:3", count_two_places), ==, 0);
}

static void die_at_the_second(void)
{
    hook_kill("seal");
    hook_kill("seal");
}

TEST(a_kill_is_a_kill)
{
    int status = status_of("seal:2", die_at_the_second);

    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    CHECK_INT(status_of("seal:3", die_at_the_second), ==, 0);
}

TEST(what_is_no_hook_is_refused)
{
    static const char *const wrong[] = {"seal", "seal:",   "seal:0",
                                        ":1",   "seal:1x", "seal:1,ack"};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        int status = status_of(wrong[i], die_at_the_second);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

#else

TEST(nothing_is_ever_reached_in_a_build_without_hooks)
{
    setenv("GRAPEVINE_HOOK", "seal:1", 1);
    CHECK(!hook_reached("seal"));
    hook_kill("seal");
}

#endif

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
