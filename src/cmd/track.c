#include "command.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static int track(struct gv_db *db, const char *table)
{
    struct gv_error error = {0};
    char *notes = NULL;

    if (gv_track(db, table, &notes, &error) != GV_OK)
        return report_error(&error);
    fputs(notes, stdout);
    gv_free(notes);
    return EXIT_DONE;
}

int command_track(int argc, char **argv)
{
    static const struct option options[] = {{0}};
    struct gv_error error = {0};
    struct gv_db *db = NULL;
    int found, rc;

    opterr = 0;
    found = getopt_long(argc, argv, ":", options, NULL);
    if (found != -1)
        return report_option("track", found, argv);
    if (argc - optind != 2)
        return report_usage("track", "It takes a database file and a table.");
    if (gv_open(argv[optind], 0, &db, &error) != GV_OK)
        return report_error(&error);
    rc = track(db, argv[optind + 1]);
    gv_close(db);
    return rc;
}
