#include "command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_COUNTER = 1, OPTION_MV };

static int track(const char *path, const char *table,
                 const struct gv_column_kind *kinds, size_t count)
{
    struct gv_error error = {0};
    struct gv_db *db = NULL;
    char *notes = NULL;
    int rc = gv_open(path, 0, &db, &error);

    if (rc == GV_OK)
        rc = gv_track_as(db, table, kinds, count, &notes, &error);
    gv_close(db);
    if (rc != GV_OK)
        return report_error(&error);
    fputs(notes, stdout);
    gv_free(notes);
    return EXIT_DONE;
}

int command_track(int argc, char **argv)
{
    static const struct option options[] = {
        {"counter", required_argument, NULL, OPTION_COUNTER},
        {"mv", required_argument, NULL, OPTION_MV},
        {0}};
    struct gv_column_kind *kinds = calloc((size_t)argc + 1, sizeof *kinds);
    size_t count = 0;
    int found, rc = EXIT_DONE;

    if (kinds == NULL)
        return report_error(
            &(struct gv_error){.code = GV_ENOMEM, .what = "Out of memory."});
    opterr = 0;
    while (rc == EXIT_DONE &&
           (found = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (found == OPTION_COUNTER || found == OPTION_MV)
            kinds[count++] = (struct gv_column_kind){
                optarg, found == OPTION_MV ? GV_MULTI_VALUE : GV_COUNTER};
        else
            rc = report_option("track", found, argv);
    }
    if (rc == EXIT_DONE && argc - optind != 2)
        rc = report_usage("track", "It takes a database file and a table.");
    if (rc == EXIT_DONE)
        rc = track(argv[optind], argv[optind + 1], kinds, count);
    free(kinds);
    return rc;
}
