#include "command.h"
#include "fields.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer than the pause between two announcements of a node. */
#define SECONDS 4
#define SECONDS_MAX 3600

static void print_nodes(const json_t *report)
{
    json_t *item;
    size_t i;

    json_array_foreach(json_object_get(report, "nodes"), i, item)
        printf("%-20s %s on %s (site %.8s)\n", field_text(item, "name"),
               field_text(item, "endpoint"), field_text(item, "interface"),
               field_text(item, "site"));
    if (json_array_size(json_object_get(report, "nodes")) == 0)
        puts("No node was heard.");
    json_array_foreach(json_object_get(report, "passed"), i, item)
        printf("passed over: %s on %s, %" PRId64 " times: %s\n",
               field_text(item, "from"), field_text(item, "interface"),
               field_number(item, "count"), field_text(item, "why"));
}

static void print_interfaces(const json_t *report)
{
    json_t *item;
    size_t i;

    fputs("listened on", stdout);
    json_array_foreach(json_object_get(report, "interfaces"), i, item)
    {
        if (json_object_get(item, "skipped") == NULL)
            printf(" %s", field_text(item, "name"));
    }
    putchar('\n');
    json_array_foreach(json_object_get(report, "interfaces"), i, item)
    {
        if (json_object_get(item, "skipped") != NULL)
            printf("not on %s: %s\n", field_text(item, "name"),
                   field_text(item, "skipped"));
    }
}

static int discover(const char *mesh, int seconds, bool json)
{
    struct gv_error error = {0};
    char *text = NULL;
    json_t *report;

    if (gv_discover(mesh, seconds * 1000, &text, &error) != GV_OK)
        return report_error(&error);
    if (json) {
        puts(text);
    } else {
        report = json_loads(text, 0, NULL);
        print_nodes(report);
        print_interfaces(report);
        json_decref(report);
    }
    gv_free(text);
    return EXIT_DONE;
}

static bool read_seconds(const char *text, int *seconds)
{
    char *end;
    long number = strtol(text, &end, 10);

    if (*end != '\0' || number < 1 || number > SECONDS_MAX)
        return false;
    *seconds = (int)number;
    return true;
}

int command_discover(int argc, char **argv)
{
    static const struct option options[] = {
        {"mesh", required_argument, NULL, 'm'},
        {"seconds", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {0},
    };
    const char *mesh = NULL;
    int found, seconds = SECONDS;
    bool json = false;

    opterr = 0;
    while ((found = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (found == 'm')
            mesh = optarg;
        else if (found == 'j')
            json = true;
        else if (found != 's')
            return report_option("discover", found, argv);
        else if (!read_seconds(optarg, &seconds))
            return report_usage("discover", "%s is not from 1 to %d seconds.",
                                optarg, SECONDS_MAX);
    }
    if (optind < argc)
        return report_usage("discover", "There is one argument too many: %s.",
                            argv[optind]);
    return discover(mesh, seconds, json);
}
