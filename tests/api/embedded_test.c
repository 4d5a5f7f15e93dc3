/* Nodes inside a program, in threads of their own: two of them in one process,
 * linked with one another, while other threads write SQL, ask, wait and watch.
 * Run under the thread sanitizer too. */
#include "check.h"
#include "grapevine.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#define ROWS 20
#define TIMEOUT_MS 60000

static char directory[] = "/tmp/gv-embedded-XXXXXX";

/* What the callbacks of one node saw. */
struct seen {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t local, remote, deleted, links_up, links_down;
    char last_key[64], last_name[64];
};

struct site {
    struct seen seen;
    char path[128], endpoint[64];
    struct gv_db *db;
    struct gv_node *node;
    sqlite3 *sql;
};

static void on_row(void *context, const struct gv_row_event *event)
{
    struct seen *seen = context;

    pthread_mutex_lock(&seen->lock);
    CHECK(event->table == NULL || strcmp(event->table, "notes") == 0);
    seen->local += event->local;
    seen->remote += !event->local;
    seen->deleted += !event->alive;
    if (event->key != NULL)
        snprintf(seen->last_key, sizeof seen->last_key, "%s", event->key);
    snprintf(seen->last_name, sizeof seen->last_name, "%s", event->name);
    pthread_cond_broadcast(&seen->changed);
    pthread_mutex_unlock(&seen->lock);
}

static void on_link(void *context, const struct gv_link_event *event)
{
    struct seen *seen = context;

    pthread_mutex_lock(&seen->lock);
    seen->links_up += event->up;
    seen->links_down += !event->up;
    pthread_cond_broadcast(&seen->changed);
    pthread_mutex_unlock(&seen->lock);
}

/* Wait until *@count is at least @least. */
static void wait_seen(struct seen *seen, const size_t *count, size_t least)
{
    struct timespec end;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += TIMEOUT_MS / 1000;
    pthread_mutex_lock(&seen->lock);
    while (*count < least)
        CHECK_INT(pthread_cond_timedwait(&seen->changed, &seen->lock, &end),
                  ==, 0);
    pthread_mutex_unlock(&seen->lock);
}

static void execute(struct site *site, const char *statement)
{
    CHECK_INT(sqlite3_exec(site->sql, statement, NULL, NULL, NULL), ==,
              SQLITE_OK);
}

static void prepare(struct site *site, const char *name)
{
    struct gv_error error = {0};

    memset(site, 0, sizeof *site);
    pthread_mutex_init(&site->seen.lock, NULL);
    pthread_cond_init(&site->seen.changed, NULL);
    snprintf(site->path, sizeof site->path, "%s/%s.db", directory, name);
    CHECK_INT(sqlite3_open(site->path, &site->sql), ==, SQLITE_OK);
    sqlite3_busy_timeout(site->sql, TIMEOUT_MS);
    execute(site, "CREATE TABLE notes(id TEXT PRIMARY KEY, text)");
    CHECK_INT(gv_open(site->path, 0, &site->db, &error), ==, GV_OK);
    CHECK_INT(gv_track(site->db, "notes", NULL, &error), ==, GV_OK);
}

static void start(struct site *site, const char *name, const char *peer)
{
    struct gv_node_options options = {.mesh = "embedded",
                                      .name = name,
                                      .peers = &peer,
                                      .peer_count = peer != NULL,
                                      .row = on_row,
                                      .link = on_link,
                                      .event_context = &site->seen};
    struct gv_error error = {0};

    if (peer == NULL)
        options.listen = "tcp://127.0.0.1:*";
    CHECK_INT(gv_node_new(site->db, &options, &site->node, &error), ==, GV_OK);
    CHECK_INT(gv_node_start(site->node, &error), ==, GV_OK);
    CHECK_INT(gv_node_start(site->node, &error), ==, GV_EMISUSE);
}

/* Where the node listens, as status says. */
static const char *endpoint(struct site *site)
{
    struct gv_error error = {0};
    char *json = NULL, *at;

    CHECK_INT(gv_status(site->db, &json, &error), ==, GV_OK);
    at = strstr(json, "tcp://");
    CHECK(at != NULL);
    snprintf(site->endpoint, sizeof site->endpoint, "%.*s",
             (int)strcspn(at, "\""), at);
    gv_free(json);
    return site->endpoint;
}

static void stop(struct site *site)
{
    gv_node_stop(site->node);
    CHECK_INT(gv_node_join(site->node, NULL), ==, GV_OK);
    CHECK_INT(gv_node_join(site->node, NULL), ==, GV_EMISUSE);
    gv_node_free(site->node);
    site->node = NULL;
}

static void finish(struct site *site)
{
    gv_node_free(site->node);
    gv_close(site->db);
    sqlite3_close(site->sql);
    pthread_cond_destroy(&site->seen.changed);
    pthread_mutex_destroy(&site->seen.lock);
    unlink(site->path);
}

static void *write_rows(void *context)
{
    struct site *site = context;

    for (int i = 0; i < ROWS; i++) {
        char statement[128];

        snprintf(statement, sizeof statement,
                 "INSERT INTO notes VALUES('%c%d', 'text')",
                 strrchr(site->path, '/')[1], i);
        execute(site, statement);
        usleep(2000);
    }
    return NULL;
}

static int count_lines(void *context, const char *line)
{
    size_t *lines = context;

    CHECK(line[0] == '{');
    (*lines)++;
    return strstr(line, "'end'") != NULL;
}

static void *watch(void *context)
{
    struct site *site = context;
    static size_t lines;
    struct gv_db *db = NULL;

    CHECK_INT(gv_open(site->path, 0, &db, NULL), ==, GV_OK);
    CHECK_INT(gv_watch(db, count_lines, &lines, NULL), ==, GV_OK);
    gv_close(db);
    return &lines;
}

TEST(two_nodes_in_one_program_tell_it_what_happens)
{
    static struct site left, right;
    pthread_t writers[2], watcher;
    struct gv_error error = {0};
    void *lines;
    char *json = NULL;

    prepare(&left, "left");
    prepare(&right, "right");
    start(&left, "left", NULL);
    start(&right, "right", endpoint(&left));
    wait_seen(&left.seen, &left.seen.links_up, 1);
    CHECK_INT(pthread_create(&watcher, NULL, watch, &right), ==, 0);
    CHECK_INT(pthread_create(&writers[0], NULL, write_rows, &left), ==, 0);
    CHECK_INT(pthread_create(&writers[1], NULL, write_rows, &right), ==, 0);
    pthread_join(writers[0], NULL);
    pthread_join(writers[1], NULL);
    wait_seen(&left.seen, &left.seen.remote, ROWS);
    wait_seen(&left.seen, &left.seen.local, ROWS);
    wait_seen(&right.seen, &right.seen.remote, ROWS);
    CHECK_INT(gv_wait(right.db, 1, TIMEOUT_MS, &error), ==, GV_OK);
    CHECK_INT(gv_status(right.db, &json, &error), ==, GV_OK);
    CHECK(strstr(json, "Up to date. 1 of 1 peer connected.") != NULL);
    gv_free(json);
    execute(&right, "DELETE FROM notes WHERE id='l3'");
    wait_seen(&left.seen, &left.seen.deleted, 1);
    CHECK_TEXT(left.seen.last_key, "'l3'");
    CHECK_TEXT(left.seen.last_name, "right");
    execute(&left, "INSERT INTO notes VALUES('end', 1)");
    pthread_join(watcher, &lines);
    CHECK_INT(*(size_t *)lines, >=, 2);
    stop(&right);
    wait_seen(&left.seen, &left.seen.links_down, 1);
    CHECK_INT(gv_wait(left.db, 1, 50, &error), ==, GV_EBUSY);
    CHECK(strstr(error.meaning, "0 of 1 peers connected") != NULL);
    CHECK_INT(gv_wait(right.db, 1, 50, &error), ==, GV_ENONODE);
    stop(&left);
    finish(&left);
    finish(&right);
}

TEST(a_node_that_is_freed_stops_first)
{
    static struct site site;

    prepare(&site, "alone");
    start(&site, "alone", NULL);
    finish(&site);
}

TEST(a_node_in_a_thread_stops_and_starts_again)
{
    static struct site site;

    prepare(&site, "again");
    for (int i = 0; i < 3; i++) {
        char statement[80];

        start(&site, "again", NULL);
        snprintf(statement, sizeof statement,
                 "INSERT INTO notes VALUES('r%d', 1)", i);
        execute(&site, statement);
        wait_seen(&site.seen, &site.seen.local, (size_t)i + 1);
        stop(&site);
    }
    finish(&site);
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
