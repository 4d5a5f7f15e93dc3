/* A node inside a program of several threads: one runs it, another stops it;
 * nodes on two files run side by side. */
#include "check.h"
#include "grapevine.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static char directory[] = "/tmp/gv-thread-XXXXXX";

struct runner {
    struct gv_db *db;
    struct gv_node *node;
    pthread_t thread;
    int rc;
};

static void *run(void *context)
{
    struct runner *runner = context;

    runner->rc = gv_node_run(runner->node, NULL);
    return NULL;
}

/* A node on an empty file that dials nobody and listens nowhere. */
static void prepare(struct runner *runner, const char *name)
{
    struct gv_node_options options = {.mesh = "threads", .name = name};
    struct gv_error error = {0};
    char path[128];

    snprintf(path, sizeof path, "%s/%s.db", directory, name);
    CHECK_INT(gv_open(path, GV_OPEN_CREATE, &runner->db, &error), ==, GV_OK);
    CHECK_INT(gv_node_new(runner->db, &options, &runner->node, &error), ==,
              GV_OK);
}

static void start(struct runner *runner)
{
    CHECK_INT(pthread_create(&runner->thread, NULL, run, runner), ==, 0);
}

static void finish(struct runner *runner)
{
    pthread_join(runner->thread, NULL);
    CHECK_INT(runner->rc, ==, GV_OK);
    gv_node_free(runner->node);
    gv_close(runner->db);
}

/* Wait until the loop of the node on first.db has answered through its control
 * socket. */
static void wait_running(void)
{
    struct gv_db *db = NULL;
    char path[128];

    snprintf(path, sizeof path, "%s/first.db", directory);
    CHECK_INT(gv_open(path, 0, &db, NULL), ==, GV_OK);
    for (int tries = 0;; tries++) {
        char *json = NULL;

        CHECK_INT(gv_status(db, &json, NULL), ==, GV_OK);
        bool running = strstr(json, "\"running\": true") != NULL ||
                       strstr(json, "\"running\":true") != NULL;
        gv_free(json);
        if (running)
            break;
        CHECK_INT(tries, <, 24000);
        usleep(10000);
    }
    gv_close(db);
}

TEST(a_node_stops_when_another_thread_says_so)
{
    struct runner runner = {0};

    prepare(&runner, "first");
    start(&runner);
    wait_running();
    gv_node_stop(runner.node);
    finish(&runner);
}

TEST(a_stop_before_the_run_is_not_forgotten)
{
    struct runner runner = {0};

    prepare(&runner, "first");
    gv_node_stop(runner.node);
    start(&runner);
    finish(&runner);
}

static struct gv_node *signalled;

static void on_signal(int number)
{
    (void)number;
    gv_node_stop(signalled);
}

TEST(a_node_stops_from_a_signal_handler)
{
    struct sigaction action = {.sa_handler = on_signal}, before;
    struct runner runner = {0};

    prepare(&runner, "first");
    signalled = runner.node;
    sigaction(SIGUSR1, &action, &before);
    start(&runner);
    wait_running();
    kill(getpid(), SIGUSR1);
    finish(&runner);
    sigaction(SIGUSR1, &before, NULL);
}

TEST(nodes_of_two_files_run_in_one_process)
{
    struct runner runners[2] = {0};

    prepare(&runners[0], "first");
    prepare(&runners[1], "second");
    start(&runners[0]);
    start(&runners[1]);
    wait_running();
    gv_node_stop(runners[1].node);
    gv_node_stop(runners[0].node);
    finish(&runners[0]);
    finish(&runners[1]);
}

int main(int argc, char **argv)
{
    char command[64];
    int rc;

    CHECK(mkdtemp(directory) != NULL);
    rc = check_main(argc, argv);
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command) != 0 ? 1 : rc;
}
