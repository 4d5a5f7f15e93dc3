#include "command.h"

#include <getopt.h>
#include <stdio.h>

static int backup(struct gv_db *db, const char *to)
{
    struct gv_error error = {0};

    if (gv_backup(db, to, &error) != GV_OK)
        return report_error(&error);
    printf("%s holds all of it; it takes a site id of its own when it is "
           "first run.\n",
           to);
    return EXIT_DONE;
}

int command_backup(int argc, char **argv)
{
    static const struct option options[] = {{0}};
    struct gv_error error = {0};
    struct gv_db *db = NULL;
    int found, rc;

    opterr = 0;
    found = getopt_long(argc, argv, ":", options, NULL);
    if (found != -1)
        return report_option("backup", found, argv);
    if (argc - optind != 2)
        return report_usage("backup", "It takes a database file and the name"
                                      " of a new file.");
    if (gv_open(argv[optind], 0, &db, &error) != GV_OK)
        return report_error(&error);
    rc = backup(db, argv[optind + 1]);
    gv_close(db);
    return rc;
}
