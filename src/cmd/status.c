#include "command.h"
#include "fields.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* "1 row", "2 rows". */
static void print_count(int64_t count, const char *what)
{
    printf("%" PRId64 " %s%s", count, what, count == 1 ? "" : "s");
}

static void print_bytes(const char *what, int64_t bytes)
{
    if (bytes < 10000)
        printf(" %s %" PRId64 " B", what, bytes);
    else if (bytes < 10000000)
        printf(" %s %" PRId64 " kB", what, bytes / 1000);
    else
        printf(" %s %" PRId64 " MB", what, bytes / 1000000);
}

static void print_tables(const json_t *status)
{
    size_t index;
    json_t *table;

    if (json_array_size(json_object_get(status, "tables")) == 0)
        puts("tables       none tracked");
    json_array_foreach(json_object_get(status, "tables"), index, table)
    {
        printf("%-12s %s: ", index == 0 ? "tables" : "",
               field_text(table, "name"));
        print_count(field_number(table, "rows"), "row");
        if (field_number(table, "deleted") > 0)
            printf(", %" PRId64 " deleted", field_number(table, "deleted"));
        putchar('\n');
    }
}

/* "lacks nothing", "lacks 3 changes, the oldest 20 ms old" */
static void print_lack(const json_t *lack)
{
    int64_t sites = field_number(lack, "sites");
    int64_t changes = field_number(lack, "changes");

    if (sites == 0) {
        fputs("lacks nothing", stdout);
    } else if (changes == 0) {
        fputs("lacks something newer of ", stdout);
        print_count(sites, "site");
    } else {
        fputs(json_is_true(json_object_get(lack, "more")) ? "lacks more than "
                                                          : "lacks ",
              stdout);
        print_count(changes, "change");
        printf(", the oldest %" PRId64 " ms old",
               field_number(lack, "oldest_ms"));
    }
}

/* Who gets whose changes pushed where not all are, and what is refused. */
static void print_marks(const json_t *link)
{
    int64_t lazy = field_number(link, "lazy");
    int64_t pruned = field_number(link, "pruned");
    const char *refuses = field_text(link, "peer_refuses");

    if (lazy > 0 || pruned > 0)
        printf("%-13spushes to it nothing of %" PRId64 " site%s, and it"
               " nothing of %" PRId64 " here: others do\n",
               "", lazy, lazy == 1 ? "" : "s", pruned);
    if (refuses[0] != '\0')
        printf("%-13sit refuses what this file has (%s), and tries again in"
               " %" PRId64 " s\n",
               "", refuses, field_number(link, "peer_retry_ms") / 1000);
}

/* What stands below a link that is up. */
static void print_traffic(const json_t *link)
{
    const json_t *here = json_object_get(link, "we_lack");
    int64_t sites = field_number(here, "sites");

    printf("%-12s ", "");
    print_lack(json_object_get(link, "peer_lacks"));
    if (sites > 0) {
        fputs("; this file lacks what it has of ", stdout);
        print_count(sites, "site");
        printf(", %" PRId64 " ms behind", field_number(here, "behind_ms"));
    }
    printf("\n%-12s", "");
    print_bytes("sent", field_number(link, "sent_bytes"));
    printf(" in %" PRId64 " frames,", field_number(link, "sent_frames"));
    print_bytes("received", field_number(link, "received_bytes"));
    printf(" in %" PRId64 "; heard %" PRId64 " ms ago",
           field_number(link, "received_frames"),
           field_number(link, "heard_ms"));
    if (json_is_integer(json_object_get(link, "rtt_ms")))
        printf(", %" PRId64 " ms there and back",
               field_number(link, "rtt_ms"));
    putchar('\n');
    print_marks(link);
}

static void print_link(const json_t *link, const char *label)
{
    const char *endpoint = field_text(link, "endpoint");
    const char *name = field_text(link, "name");
    const char *reason = field_text(link, "reason");

    printf("%-12s %-10s %s", label, field_text(link, "state"),
           name[0] != '\0' ? name : endpoint);
    if (name[0] != '\0' && endpoint[0] != '\0')
        printf(" (%s)", endpoint);
    if (reason[0] != '\0')
        printf(": %s", reason);
    putchar('\n');
    if (strcmp(field_text(link, "state"), "up") == 0)
        print_traffic(link);
}

/* "120 ms", "42 s", "3 h" */
static void print_ago(int64_t ms)
{
    if (ms < 10000)
        printf("%" PRId64 " ms", ms);
    else if (ms < 600000)
        printf("%" PRId64 " s", ms / 1000);
    else if (ms < 36000000)
        printf("%" PRId64 " min", ms / 60000);
    else
        printf("%" PRId64 " h", ms / 3600000);
}

/* Sites that have no link here; of others their link says it. */
static void print_known(const json_t *status)
{
    const char *label = "known";
    size_t index;
    json_t *site;

    json_array_foreach(json_object_get(status, "known"), index, site)
    {
        const json_t *lack = json_object_get(site, "lacks");

        if (json_is_true(json_object_get(site, "linked")))
            continue;
        printf("%-12s %s (%.8s), heard ", label, field_text(site, "name"),
               field_text(site, "site"));
        print_ago(field_number(site, "heard_ms"));
        fputs(" ago by way of others: ", stdout);
        if (lack != NULL)
            print_lack(lack);
        else
            fputs("what it holds was not passed on", stdout);
        putchar('\n');
        label = "";
    }
}

static void print_links(const json_t *status)
{
    size_t index;
    json_t *link;

    if (json_array_size(json_object_get(status, "links")) == 0)
        puts("links        none");
    json_array_foreach(json_object_get(status, "links"), index, link)
    {
        print_link(link, index == 0 ? "links" : "");
    }
}

static void print_warnings(const json_t *status)
{
    size_t index;
    json_t *warning;

    json_array_foreach(json_object_get(status, "warnings"), index, warning)
    {
        printf("warning      %s\n", json_string_value(warning));
    }
}

static void print_audit(const json_t *status)
{
    const json_t *audit = json_object_get(status, "audit");
    const char *why = field_text(audit, "why");

    if (field_number(audit, "found") > 0) {
        fputs("audit        ", stdout);
        print_count(field_number(audit, "found"), "row");
        puts(" written past the triggers published since the node started");
    }
    if (why[0] == '\0')
        return;
    fputs("audit        ", stdout);
    print_count(field_number(audit, "waiting"), "row");
    printf(" waiting: %s\n", why);
}

static void print_parked(const json_t *status)
{
    size_t index;
    json_t *note;

    json_array_foreach(json_object_get(status, "parked_notes"), index, note)
    {
        printf("%-12s %s\n", index == 0 ? "parked" : "",
               json_string_value(note));
    }
    if (field_number(status, "hollow") > 0) {
        fputs("hollow       ", stdout);
        print_count(field_number(status, "hollow"), "cell");
        puts(" whose value did not come");
    }
}

static void print_status(const char *path, const json_t *status)
{
    bool running = json_is_true(json_object_get(status, "running"));
    const char *endpoint = field_text(status, "endpoint");

    printf("%s\n\n", field_text(status, "summary"));
    printf("file         %s\n", path);
    if (running) {
        printf("node         %s, process %" PRId64 "%s%s\n",
               field_text(status, "name"), field_number(status, "pid"),
               endpoint[0] != '\0' ? ", listening on " : ", only dials",
               endpoint);
    } else {
        puts("node         not running");
    }
    if (field_text(status, "site")[0] != '\0')
        printf("site         %s\n", field_text(status, "site"));
    if (field_text(status, "mesh")[0] != '\0')
        printf("mesh         %s\n", field_text(status, "mesh"));
    print_tables(status);
    fputs("journal      ", stdout);
    print_count(field_number(status, "journal"), "row");
    puts(" not sealed yet");
    if (json_is_true(json_object_get(status, "busy")))
        printf("busy         %s\n", field_text(status, "busy_why"));
    print_audit(status);
    print_parked(status);
    printf("fingerprint  %s over ", field_text(status, "fingerprint"));
    print_count((int64_t)json_object_size(json_object_get(status, "vv")),
                "site");
    putchar('\n');
    if (running) {
        print_links(status);
        print_known(status);
    }
    print_warnings(status);
}

static int show(struct gv_db *db, const char *path, bool as_json)
{
    struct gv_error error = {0};
    char *text = NULL;
    json_t *status;

    if (gv_status(db, &text, &error) != GV_OK)
        return report_error(&error);
    if (as_json) {
        puts(text);
    } else {
        status = json_loads(text, 0, NULL);
        print_status(path, status);
        json_decref(status);
    }
    gv_free(text);
    return EXIT_DONE;
}

int command_status(int argc, char **argv)
{
    bool as_json;
    struct gv_db *db;
    int rc = take_json("status", argc, argv, &as_json);

    if (rc != EXIT_DONE)
        return rc;
    db = open_argument("status", argc, argv, 0, &rc);
    if (db == NULL)
        return rc;
    rc = show(db, argv[optind], as_json);
    gv_close(db);
    return rc;
}
