#include "base/assert.h"
#include "check.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(a_true_assertion_goes_on)
{
    int evaluated = 0;

    GV_ASSERT(++evaluated == 1);
    CHECK_INT(evaluated, ==, 1);
}

TEST(a_false_assertion_aborts_and_says_where)
{
    char text[256];
    ssize_t size;
    int status, ends[2];
    pid_t child;

    CHECK(pipe(ends) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        GV_ASSERT(child != 0);
        _exit(0);
    }
    close(ends[1]);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    size = read(ends[0], text, sizeof(text) - 1);
    CHECK(size > 0);
    text[size] = '\0';
    CHECK(strstr(text, "assert.c:") != NULL);
    CHECK(strstr(text, "child != 0") != NULL);
    close(ends[0]);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
