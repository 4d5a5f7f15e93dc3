#include "command.h"

#include <getopt.h>
#include <stdio.h>

enum { OPTION_PURGE = 1 };

static int untrack(struct gv_db *db, const char *table, bool purge)
{
    struct gv_error error = {0};
    char *notes = NULL;

    if (gv_untrack(db, table, purge, &notes, &error) != GV_OK)
        return report_error(&error);
    fputs(notes, stdout);
    gv_free(notes);
    return EXIT_DONE;
}

int command_untrack(int argc, char **argv)
{
    static const struct option options[] = {
        {"purge", no_argument, NULL, OPTION_PURGE}, {0}};
    struct gv_error error = {0};
    struct gv_db *db = NULL;
    bool purge = false;
    int found, rc;

    opterr = 0;
    while ((found = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (found != OPTION_PURGE)
            return report_option("untrack", found, argv);
        purge = true;
    }
    if (argc - optind != 2)
        return report_usage("untrack",
                            "It takes a database file and a table.");
    if (gv_open(argv[optind], 0, &db, &error) != GV_OK)
        return report_error(&error);
    rc = untrack(db, argv[optind + 1], purge);
    gv_close(db);
    return rc;
}
