/* For scripts: wait until a node and its peers hold the same. */
#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_DEFAULT_MS 10000
/* A day; more is a typing error. */
#define WAIT_MAX_MS 86400000

/* "10s", "500ms", "2m", or "10", which is seconds.  False: none of them. */
static bool parse_time(const char *text, int *ms)
{
    char *end;
    double number = strtod(text, &end), unit;

    if (end == text || !(number >= 0))
        return false;
    if (*end == '\0' || strcmp(end, "s") == 0)
        unit = 1000;
    else if (strcmp(end, "ms") == 0)
        unit = 1;
    else if (strcmp(end, "m") == 0)
        unit = 60000;
    else
        return false;
    if (number * unit > WAIT_MAX_MS)
        return false;
    *ms = (int)(number * unit);
    return true;
}

static bool parse_peers(const char *text, unsigned *peers)
{
    char *end;
    long number;

    errno = 0;
    number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 1 ||
        number > 10000)
        return false;
    *peers = (unsigned)number;
    return true;
}

struct wait_options {
    bool converged;
    unsigned peers;
    int timeout_ms;
};

/* Take one option; what to end with if it is wrong. */
static int take(struct wait_options *options, int found, char **argv)
{
    switch (found) {
    case 'c':
        options->converged = true;
        return EXIT_DONE;
    case 'p':
        if (parse_peers(optarg, &options->peers))
            return EXIT_DONE;
        return report_usage("wait", "%s is no number of peers.", optarg);
    case 't':
        if (parse_time(optarg, &options->timeout_ms))
            return EXIT_DONE;
        return report_usage("wait", "%s is no time such as 10s or 500ms.",
                            optarg);
    default:
        return report_option("wait", found, argv);
    }
}

int command_wait(int argc, char **argv)
{
    static const struct option names[] = {
        {"converged", no_argument, NULL, 'c'},
        {"peers", required_argument, NULL, 'p'},
        {"timeout", required_argument, NULL, 't'},
        {0},
    };
    struct wait_options options = {.timeout_ms = WAIT_DEFAULT_MS};
    struct gv_error error = {0};
    struct gv_db *db;
    int found, rc = EXIT_DONE;

    opterr = 0;
    while (rc == EXIT_DONE &&
           (found = getopt_long(argc, argv, ":", names, NULL)) != -1)
        rc = take(&options, found, argv);
    if (rc != EXIT_DONE)
        return rc;
    if (!options.converged)
        return report_usage("wait", "What is waited for is not named.");
    db = open_argument("wait", argc, argv, 0, &rc);
    if (db == NULL)
        return rc;
    if (gv_wait(db, options.peers, options.timeout_ms, &error) != GV_OK)
        rc = report_error(&error);
    gv_close(db);
    return rc;
}
