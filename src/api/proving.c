/* Comparing a file with a live peer's: asked of the running node, or of one
 * that runs for as long as it takes. */
#include "api/db.h"
#include "base/error.h"
#include "node/client.h"
#include "node/node.h"
#include "node/status.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* How long the link with the peer may take; a node tries every 5 s at
 * least. */
#define PROVING_LINK_MS 15000
#define PROVING_STEP_MS 20

static void pause_step(void)
{
    struct timespec pause = {.tv_nsec = PROVING_STEP_MS * 1000 * 1000};

    nanosleep(&pause, NULL);
}

/* Ask the node; NULL: @error. */
static json_t *ask(const struct gv_db *db, json_t *request,
                   struct gv_error *error)
{
    char *line = json_dumps(request, JSON_COMPACT), *text = NULL;
    json_t *answer = NULL, *failed;
    int rc = line == NULL
                 ? error_set(error, GV_ENOMEM, "There is no memory left.")
                 : client_ask(db->path, line, false, CLIENT_VERIFY_PATIENCE_MS,
                              &text, error);

    free(line);
    if (rc != GV_OK)
        return NULL;
    answer = json_loads(text, 0, NULL);
    free(text);
    failed = json_object_get(answer, "error");
    if (answer != NULL && failed == NULL)
        return answer;
    if (answer == NULL)
        error_set(error, GV_EIO, "The node's answer is not JSON.");
    else
        status_read_error(failed, error);
    json_decref(answer);
    return NULL;
}

/* Have it begun; the number to ask for, or 0. */
static json_int_t begin(const struct gv_db *db, const char *peer, bool mend,
                        struct gv_error *error)
{
    json_t *request = json_pack("{s:s, s:s, s:b}", "op", "prove", "peer", peer,
                                "repair", (int)mend);
    json_int_t number = 0;

    for (int waited = 0; number == 0; waited += PROVING_STEP_MS) {
        json_t *answer = ask(db, request, error);

        if (answer == NULL)
            break;
        number = json_integer_value(json_object_get(answer, "number"));
        json_decref(answer);
        if (number == 0 && waited >= PROVING_LINK_MS) {
            error_set(error, GV_EBUSY, "No link with %s stands.", peer);
            error_remedy(error, "Look at 'grapevine status' of both nodes.");
            break;
        }
        if (number == 0)
            pause_step();
    }
    json_decref(request);
    return number;
}

/* What became of it. */
static json_t *wait_for(const struct gv_db *db, json_int_t number,
                        struct gv_error *error)
{
    json_t *request = json_pack("{s:s, s:I}", "op", "proof", "number", number);
    json_t *answer = ask(db, request, error);

    while (answer != NULL && !json_is_true(json_object_get(answer, "ended"))) {
        json_decref(answer);
        pause_step();
        answer = ask(db, request, error);
    }
    json_decref(request);
    if (answer != NULL)
        json_object_del(answer, "ended");
    return answer;
}

static int compare(const struct gv_db *db, const char *peer, bool mend,
                   char **json, struct gv_error *error)
{
    json_int_t number = begin(db, peer, mend, error), left;
    json_t *answer = number == 0 ? NULL : wait_for(db, number, error);

    if (answer == NULL)
        return error->code;
    left = json_integer_value(json_object_get(answer, "differ")) -
           json_integer_value(json_object_get(answer, "mended"));
    *json = json_dumps(answer, JSON_INDENT(2));
    json_decref(answer);
    if (*json == NULL)
        return error_set(error, GV_ENOMEM, "There is no memory left.");
    if (left == 0)
        return GV_OK;
    error_set(error, GV_EDIFFERS, "%lld row%s other than on %s.",
              (long long)left, left == 1 ? " is" : "s are", peer);
    error_meaning(error, "One of the two files was damaged, or a node has a"
                         " fault; nothing repairs it by itself.");
    error_remedy(error, mend ? "Run it again; look at what is named with"
                               " 'grapevine verify DB' on both."
                             : "Add --repair to make the two equal.");
    return GV_EDIFFERS;
}

static void *run(void *node)
{
    struct gv_error error = {0};

    (void)node_run(node, &error);
    return NULL;
}

/* Run a node on the file that has this one peer. */
static int compare_alone(struct gv_db *db, const char *peer, bool mend,
                         char **json, struct gv_error *error)
{
    struct gv_node_options options = {
        .peers = &peer, .peer_count = 1, .static_peers = true};
    struct gv_node *node;
    pthread_t thread;
    int rc = node_new(db->path, &options, &node, error);

    if (rc != GV_OK)
        return rc;
    if (pthread_create(&thread, NULL, run, node) != 0) {
        rc = error_set(error, GV_ELIMIT, "There is no thread left.");
    } else {
        rc = compare(db, peer, mend, json, error);
        node_stop(node);
        pthread_join(thread, NULL);
    }
    node_free(node);
    return rc;
}

int gv_verify_peer(struct gv_db *db, const char *peer, bool mend, char **json,
                   struct gv_error *error)
{
    struct gv_error why = {0};
    int rc = client_answers(db->path)
                 ? compare(db, peer, mend, json, &why)
                 : compare_alone(db, peer, mend, json, &why);

    if (rc != GV_OK && error != NULL)
        *error = why;
    return rc;
}
