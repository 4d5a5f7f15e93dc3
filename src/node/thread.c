/* A node in a thread of its own. */
#include "node/loop.h"
#include "node/node.h"

#include "base/error.h"

#include <signal.h>
#include <string.h>

static void *run(void *context)
{
    struct gv_node *node = context;

    node->result.code = node_run(node, &node->result);
    return NULL;
}

/* Signals are for the program's own threads. */
static int create(struct gv_node *node)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&node->thread, NULL, run, node);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int node_start(struct gv_node *node, struct gv_error *error)
{
    int rc;

    if (node->threaded)
        return error_set(error, GV_EMISUSE, "The node runs already.");
    node->result = (struct gv_error){.code = GV_OK};
    rc = create(node);
    if (rc != 0)
        return error_set(error, GV_ELIMIT, "There is no thread to be had: %s.",
                         strerror(rc));
    node->threaded = true;
    return GV_OK;
}

int node_join(struct gv_node *node, struct gv_error *error)
{
    if (!node->threaded)
        return error_set(error, GV_EMISUSE,
                         "The node has no thread that could end.");
    pthread_join(node->thread, NULL);
    node->threaded = false;
    if (node->result.code != GV_OK && error != NULL)
        *error = node->result;
    return node->result.code;
}
