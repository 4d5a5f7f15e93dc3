/* The public library over store and node: what a running node answers is
 * asked of it, the rest is done here under the file's lock. */
#include "api/db.h"
#include "api/header.h"
#include "base/error.h"
#include "node/blame.h"
#include "node/client.h"
#include "node/listening.h"
#include "node/node.h"
#include "node/status.h"
#include "node/tracking.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A node that is starting or ending has the lock and no socket for a
 * moment. */
#define API_BETWEEN_MS 3000
#define API_BETWEEN_STEP_MS 20

const char *gv_version_string(void)
{
    return GV_VERSION;
}

void gv_free(void *memory)
{
    free(memory);
}

static int out_of_memory(struct gv_error *error)
{
    return error_set(error, GV_ENOMEM, "There is no memory left.");
}

/* An empty file is a SQLite database without tables. */
static int create_file(const char *path, struct gv_error *error)
{
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);

    if (fd < 0 && errno == EEXIST)
        return GV_OK;
    if (fd < 0) {
        error_set(error, GV_EIO, "%s cannot be made: %s.", path,
                  strerror(errno));
        error_remedy(error, "Look whether its directory exists and may be "
                            "written.");
        return GV_EIO;
    }
    close(fd);
    return GV_OK;
}

int gv_open(const char *path, unsigned flags, struct gv_db **db,
            struct gv_error *error)
{
    struct gv_db *fresh;
    int rc = GV_OK;

    if ((flags & GV_OPEN_CREATE) != 0 && access(path, F_OK) != 0)
        rc = create_file(path, error);
    if (rc == GV_OK)
        rc = header_check(path, error);
    if (rc != GV_OK)
        return rc;
    fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return out_of_memory(error);
    fresh->path = realpath(path, NULL);
    if (fresh->path == NULL) {
        free(fresh);
        return error_set(error, GV_EIO, "%s cannot be resolved: %s.", path,
                         strerror(errno));
    }
    *db = fresh;
    return GV_OK;
}

void gv_close(struct gv_db *db)
{
    if (db == NULL)
        return;
    free(db->path);
    free(db);
}

/* What is asked of a file, by either way. */
struct question {
    json_t *request; /* for the node */
    int patience_ms;
    enum store_mode mode; /* without a node */
    /* Without a node; NULL: the error is set. */
    json_t *(*answer)(struct store *store, const struct question *question,
                      struct gv_error *error);
    const char *table;
    const json_t *key; /* an array of texts */
    bool purge;
};

static int ask_node(const struct gv_db *db, const struct question *question,
                    json_t **answer, struct gv_error *error)
{
    char *request = json_dumps(question->request, JSON_COMPACT);
    char *line = NULL;
    json_t *json, *refusal;
    int rc;

    if (request == NULL)
        return out_of_memory(error);
    rc = client_ask(db->path, request, false, question->patience_ms, &line,
                    error);
    free(request);
    if (rc != GV_OK)
        return rc;
    json = json_loads(line, 0, NULL);
    free(line);
    refusal = json_object_get(json, "error");
    if (json == NULL || refusal != NULL) {
        struct gv_error theirs = {.code = GV_EPROTO};

        if (refusal != NULL)
            status_read_error(refusal, &theirs);
        if (error != NULL)
            *error = theirs;
        json_decref(json);
        return theirs.code;
    }
    *answer = json;
    return GV_OK;
}

static int ask_file(const struct gv_db *db, const struct question *question,
                    json_t **answer, struct gv_error *error)
{
    struct store_options options = {.mode = question->mode,
                                    .host = host_system()};
    struct gv_error why = {0};
    struct store *store;
    int rc = store_open(db->path, &options, &store, &why);

    if (rc == GV_OK) {
        *answer = question->answer(store, question, &why);
        store_close(store);
        rc = *answer != NULL ? GV_OK : why.code;
    }
    if (rc != GV_OK && error != NULL)
        *error = why;
    return rc;
}

/* The node first; without one, the file.  Between the two a node may be
 * starting or ending. */
static int ask(const struct gv_db *db, const struct question *question,
               json_t **answer, struct gv_error *error)
{
    struct timespec pause = {.tv_nsec = API_BETWEEN_STEP_MS * 1000 * 1000};
    int waited_ms = 0;

    if (question->request == NULL)
        return out_of_memory(error);
    for (;;) {
        int rc = ask_node(db, question, answer, error);

        if (rc != GV_ENONODE)
            return rc;
        rc = ask_file(db, question, answer, error);
        if (rc != GV_ELOCKED || waited_ms >= API_BETWEEN_MS)
            return rc;
        nanosleep(&pause, NULL);
        waited_ms += API_BETWEEN_STEP_MS;
    }
}

/* Ask, and give the answer as text. */
static int ask_text(const struct gv_db *db, const struct question *question,
                    json_t **json, char **text, struct gv_error *error)
{
    int rc = ask(db, question, json, error);

    json_decref(question->request);
    if (rc != GV_OK)
        return rc;
    *text = json_dumps(*json, JSON_INDENT(2));
    if (*text != NULL)
        return GV_OK;
    json_decref(*json);
    return out_of_memory(error);
}

/* Ask, and give the notes, if they are wanted. */
static int ask_notes(const struct gv_db *db, const struct question *question,
                     char **notes, struct gv_error *error)
{
    json_t *json = NULL;
    int rc = ask(db, question, &json, error);

    json_decref(question->request);
    if (rc == GV_OK && notes != NULL) {
        *notes = strdup(json_string_value(json_object_get(json, "notes")));
        if (*notes == NULL)
            rc = out_of_memory(error);
    }
    json_decref(json);
    return rc;
}

static json_t *answer_track(struct store *store,
                            const struct question *question,
                            struct gv_error *error)
{
    struct buffer notes;
    json_t *answer = NULL;

    buffer_init(&notes, 65536);
    if (tracking_request(store, question->request, &notes, error) == GV_OK)
        answer = json_pack("{s:s%}", "notes",
                           notes.size > 0 ? (const char *)notes.data : "",
                           notes.size);
    buffer_close(&notes);
    return answer;
}

/* As the node wants them. */
static json_t *pack_kinds(const struct gv_column_kind *kinds, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        if (kinds[i].kind != GV_LAST_WRITE)
            json_array_append_new(
                list,
                json_pack("[s, s]", kinds[i].column,
                          kinds[i].kind == GV_COUNTER ? "counter" : "mv"));
    return list;
}

int gv_track_as(struct gv_db *db, const char *table,
                const struct gv_column_kind *kinds, size_t count, char **notes,
                struct gv_error *error)
{
    struct question question = {
        .request = json_pack("{s:s, s:s, s:o}", "op", "track", "table", table,
                             "kinds", pack_kinds(kinds, count)),
        .patience_ms = CLIENT_VERIFY_PATIENCE_MS,
        .mode = STORE_WRITE,
        .answer = answer_track,
        .table = table};

    return ask_notes(db, &question, notes, error);
}

static json_t *answer_untrack(struct store *store,
                              const struct question *question,
                              struct gv_error *error)
{
    struct buffer notes;
    json_t *answer = NULL;

    buffer_init(&notes, 65536);
    if (store_untrack(store, question->table, question->purge, &notes,
                      error) == GV_OK)
        answer = json_pack("{s:s%}", "notes",
                           notes.size > 0 ? (const char *)notes.data : "",
                           notes.size);
    buffer_close(&notes);
    return answer;
}

int gv_untrack(struct gv_db *db, const char *table, bool purge, char **notes,
               struct gv_error *error)
{
    struct question question = {.request = json_pack("{s:s, s:s, s:b}", "op",
                                                     "untrack", "table", table,
                                                     "purge", (int)purge),
                                .patience_ms = CLIENT_VERIFY_PATIENCE_MS,
                                .mode = STORE_WRITE,
                                .answer = answer_untrack,
                                .table = table,
                                .purge = purge};

    return ask_notes(db, &question, notes, error);
}

int gv_track(struct gv_db *db, const char *table, char **notes,
             struct gv_error *error)
{
    return gv_track_as(db, table, NULL, 0, notes, error);
}

static json_t *answer_status(struct store *store,
                             const struct question *question,
                             struct gv_error *error)
{
    (void)question;
    return status_of_store(store, error);
}

int gv_status(struct gv_db *db, char **json, struct gv_error *error)
{
    struct question question = {.request = json_pack("{s:s}", "op", "status"),
                                .patience_ms = CLIENT_PATIENCE_MS,
                                .mode = STORE_READ,
                                .answer = answer_status};
    json_t *answer = NULL;
    int rc = ask_text(db, &question, &answer, json, error);

    if (rc == GV_OK)
        json_decref(answer);
    return rc;
}

static json_t *answer_verify(struct store *store,
                             const struct question *question,
                             struct gv_error *error)
{
    (void)question;
    return status_of_verify(store, error);
}

int gv_verify(struct gv_db *db, char **json, struct gv_error *error)
{
    struct question question = {.request = json_pack("{s:s}", "op", "verify"),
                                .patience_ms = CLIENT_VERIFY_PATIENCE_MS,
                                .mode = STORE_READ,
                                .answer = answer_verify};
    json_t *answer = NULL;
    int rc = ask_text(db, &question, &answer, json, error);
    json_int_t count;

    if (rc != GV_OK)
        return rc;
    count = json_integer_value(json_object_get(answer, "finding_count"));
    json_decref(answer);
    if (count == 0)
        return GV_OK;
    error_set(error, GV_EDIFFERS, "%lld thing%s not as %s should be.",
              (long long)count, count == 1 ? " is" : "s are",
              count == 1 ? "it" : "they");
    error_meaning(error, "A row was written past the triggers, or the file "
                         "is damaged.");
    error_remedy(error,
                 "Compare the rows named with another node; what is right "
                 "here is published by 'grapevine verify DB --accept'.");
    return GV_EDIFFERS;
}

static json_t *answer_accept(struct store *store,
                             const struct question *question,
                             struct gv_error *error)
{
    (void)question;
    return status_of_accept(store, error);
}

int gv_accept(struct gv_db *db, uint64_t *published, struct gv_error *error)
{
    struct question question = {.request = json_pack("{s:s}", "op", "accept"),
                                .patience_ms = CLIENT_VERIFY_PATIENCE_MS,
                                .mode = STORE_WRITE,
                                .answer = answer_accept};
    json_t *answer = NULL;
    int rc = ask(db, &question, &answer, error);

    json_decref(question.request);
    if (rc == GV_OK)
        *published =
            (uint64_t)json_integer_value(json_object_get(answer, "published"));
    json_decref(answer);
    return rc;
}

static json_t *answer_blame(struct store *store,
                            const struct question *question,
                            struct gv_error *error)
{
    return blame_of_store(store, question->table, question->key, NULL, NULL,
                          error);
}

int gv_blame(struct gv_db *db, const char *table, const char *const *key,
             size_t key_count, char **json, struct gv_error *error)
{
    struct question question = {.patience_ms = CLIENT_PATIENCE_MS,
                                .mode = STORE_READ,
                                .answer = answer_blame,
                                .table = table};
    json_t *parts = json_array(), *answer = NULL;
    int rc = GV_OK;

    for (size_t i = 0; i < key_count && rc == GV_OK; i++)
        if (json_array_append_new(parts, json_string(key[i])) != 0)
            rc = error_set(error, GV_EINVAL, "The key is not UTF-8.");
    if (rc == GV_OK) {
        question.key = parts;
        question.request = json_pack("{s:s, s:s, s:O}", "op", "blame", "table",
                                     table, "key", parts);
        rc = ask_text(db, &question, &answer, json, error);
    }
    if (rc == GV_OK)
        json_decref(answer);
    json_decref(parts);
    return rc;
}

int gv_shutdown(struct gv_db *db, int timeout_ms, struct gv_error *error)
{
    char *answer = NULL;
    int rc = client_ask(db->path, "{\"op\":\"stop\"}", true, timeout_ms,
                        &answer, error);

    free(answer);
    return rc;
}

int gv_node_new(struct gv_db *db, const struct gv_node_options *options,
                struct gv_node **node, struct gv_error *error)
{
    return node_new(db->path, options, node, error);
}

int gv_discover(const char *mesh, int timeout_ms, char **json,
                struct gv_error *error)
{
    return listening_run(mesh, timeout_ms, json, error);
}

int gv_node_run(struct gv_node *node, struct gv_error *error)
{
    return node_run(node, error);
}

int gv_node_start(struct gv_node *node, struct gv_error *error)
{
    return node_start(node, error);
}

int gv_node_join(struct gv_node *node, struct gv_error *error)
{
    return node_join(node, error);
}

void gv_node_stop(struct gv_node *node)
{
    node_stop(node);
}

void gv_node_free(struct gv_node *node)
{
    node_free(node);
}
