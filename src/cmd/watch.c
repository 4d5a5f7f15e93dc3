/* Print what happens on a node, as it happens. */
#include "command.h"
#include "fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* "12:03:04.120" in local time, as the log of a node has it. */
static void print_time(const json_t *event)
{
    int64_t ms = field_number(event, "time_ms");
    time_t seconds = (time_t)(ms / 1000);
    struct tm local;

    localtime_r(&seconds, &local);
    printf("%02d:%02d:%02d.%03d ", local.tm_hour, local.tm_min, local.tm_sec,
           (int)(ms % 1000));
}

/* "till-2", or the site's first digits. */
static void print_who(const json_t *event)
{
    const char *name = field_text(event, "name");

    if (json_is_true(json_object_get(event, "local")))
        fputs("here", stdout);
    else if (name[0] != '\0')
        printf("by %s", name);
    else
        printf("by site %.8s", field_text(event, "site"));
}

static void print_row(const json_t *event)
{
    bool alive = json_is_true(json_object_get(event, "alive"));

    print_time(event);
    printf("%s %s %s ", field_text(event, "table"), field_text(event, "key"),
           alive ? "written" : "deleted");
    print_who(event);
    putchar('\n');
}

static void print_link(const json_t *event)
{
    bool up = strcmp(field_text(event, "state"), "up") == 0;
    const char *endpoint = field_text(event, "endpoint");
    const char *reason = field_text(event, "reason");

    print_time(event);
    printf("%s %s%s%s%s%s%s\n", up ? "linked with" : "lost the link with",
           field_text(event, "name"), endpoint[0] != '\0' ? " (" : "",
           endpoint, endpoint[0] != '\0' ? ")" : "",
           reason[0] != '\0' ? ": " : "", reason);
}

static void print_event(const char *line)
{
    json_t *event = json_loads(line, 0, NULL);
    const char *kind = field_text(event, "event");

    if (strcmp(kind, "row") == 0) {
        print_row(event);
    } else if (strcmp(kind, "link") == 0) {
        print_link(event);
    } else if (strcmp(kind, "more rows") == 0) {
        print_time(event);
        fputs("more rows written ", stdout);
        print_who(event);
        putchar('\n');
    } else if (strcmp(kind, "lost") == 0) {
        printf("%" PRId64 " lines are not shown: they were read too slowly\n",
               field_number(event, "count"));
    } else if (json_is_true(json_object_get(event, "watching"))) {
        printf("%s\n", field_text(event, "summary"));
    }
    json_decref(event);
}

/* Ends the watch when nobody reads what is printed. */
static int print_words(void *context, const char *line)
{
    (void)context;
    print_event(line);
    return fflush(stdout) != 0;
}

static int print_json(void *context, const char *line)
{
    (void)context;
    puts(line);
    return fflush(stdout) != 0;
}

int command_watch(int argc, char **argv)
{
    struct gv_error error = {0};
    bool as_json;
    struct gv_db *db;
    int rc = take_json("watch", argc, argv, &as_json);

    if (rc != EXIT_DONE)
        return rc;
    db = open_argument("watch", argc, argv, 0, &rc);
    if (db == NULL)
        return rc;
    if (gv_watch(db, as_json ? print_json : print_words, NULL, &error) !=
        GV_OK)
        rc = report_error(&error);
    gv_close(db);
    return rc;
}
