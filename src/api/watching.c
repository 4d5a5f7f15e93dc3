/* Waiting for a node's peers, and watching what happens. */
#include "api/db.h"
#include "base/error.h"
#include "node/client.h"
#include "node/status.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Between two looks: a change crosses a link in a few milliseconds, and a look
 * costs some tens of microseconds. */
#define WAITING_STEP_MS 20

static int64_t now_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* The error that an answer may be. */
static int refusal(const json_t *answer, struct gv_error *error)
{
    const json_t *why = json_object_get(answer, "error");
    struct gv_error theirs = {.code = GV_EPROTO};

    if (answer != NULL && why == NULL)
        return GV_OK;
    if (why != NULL)
        status_read_error(why, &theirs);
    if (error != NULL)
        *error = theirs;
    return theirs.code;
}

static int look(struct gv_db *db, unsigned peers, json_t **answer,
                struct gv_error *error)
{
    char request[64];
    char *line = NULL;
    int rc;

    snprintf(request, sizeof request, "{\"op\":\"level\",\"peers\":%u}",
             peers);
    rc =
        client_ask(db->path, request, false, CLIENT_PATIENCE_MS, &line, error);
    if (rc != GV_OK)
        return rc;
    *answer = json_loads(line, 0, NULL);
    free(line);
    rc = refusal(*answer, error);
    if (rc != GV_OK) {
        json_decref(*answer);
        *answer = NULL;
    }
    return rc;
}

/* What is lacking, in words. */
static int too_late(const json_t *answer, int timeout_ms,
                    struct gv_error *error)
{
    char text[sizeof((struct gv_error *)NULL)->meaning - 8];
    size_t used = 0, index;
    json_t *sentence;

    text[0] = '\0';
    json_array_foreach(json_object_get(answer, "lacking"), index, sentence)
    {
        int size =
            snprintf(text + used, sizeof text - used, "%s%s",
                     index == 0 ? "" : "; ", json_string_value(sentence));

        if (size < 0 || (size_t)size >= sizeof text - used) {
            text[used] = '\0'; /* the first ones are what matters */
            break;
        }
        used += (size_t)size;
    }
    error_set(error, GV_EBUSY, "Not level within %d.%d s.", timeout_ms / 1000,
              timeout_ms % 1000 / 100);
    error_meaning(error, "Lacking: %s.", text);
    error_remedy(error, "Wait longer, or look at 'grapevine status DB'.");
    return GV_EBUSY;
}

int gv_wait(struct gv_db *db, unsigned peers, int timeout_ms,
            struct gv_error *error)
{
    struct timespec pause = {.tv_nsec = WAITING_STEP_MS * 1000 * 1000};
    int64_t deadline = now_ms() + timeout_ms;

    for (;;) {
        json_t *answer = NULL;
        int rc = look(db, peers, &answer, error);
        bool late = now_ms() >= deadline;
        bool level = json_is_true(json_object_get(answer, "level"));

        if (rc == GV_OK && !level && late)
            rc = too_late(answer, timeout_ms, error);
        json_decref(answer);
        if (level || (rc == GV_ENONODE ? late : rc != GV_OK))
            return rc;
        nanosleep(&pause, NULL);
    }
}

struct watching {
    int (*line)(void *context, const char *json);
    void *context;
    bool first;
    int rc;
    struct gv_error *error;
};

/* The first line may be a refusal. */
static int take_line(void *context, const char *line)
{
    struct watching *watching = context;

    if (watching->first) {
        json_t *answer = json_loads(line, 0, NULL);

        watching->first = false;
        watching->rc = refusal(answer, watching->error);
        json_decref(answer);
        if (watching->rc != GV_OK)
            return 1;
    }
    return watching->line(watching->context, line);
}

int gv_watch(struct gv_db *db, int (*line)(void *context, const char *json),
             void *context, struct gv_error *error)
{
    struct watching watching = {.line = line,
                                .context = context,
                                .first = true,
                                .rc = GV_OK,
                                .error = error};
    int rc = client_follow(db->path, "{\"op\":\"watch\"}", take_line,
                           &watching, error);

    return watching.rc != GV_OK ? watching.rc : rc;
}
