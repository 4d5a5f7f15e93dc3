#include "command.h"
#include "fields.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

static void print_findings(const json_t *report)
{
    size_t index;
    json_t *finding;

    json_array_foreach(json_object_get(report, "findings"), index, finding)
    {
        const char *table = field_text(finding, "table");
        const char *key = field_text(finding, "key");

        if (table[0] == '\0')
            printf("%s\n", field_text(finding, "finding"));
        else if (key[0] == '\0')
            printf("%s: %s\n", table, field_text(finding, "finding"));
        else
            printf("%s %s: %s\n", table, key, field_text(finding, "finding"));
    }
    if ((int64_t)index < field_number(report, "finding_count"))
        printf("… and %" PRId64 " more\n",
               field_number(report, "finding_count") - (int64_t)index);
}

static void print_report(const char *json)
{
    json_t *report = json_loads(json, 0, NULL);
    int64_t rows = field_number(report, "rows");
    int64_t records = field_number(report, "records");

    print_findings(report);
    printf("%" PRId64 " row%s and %" PRId64 " record%s looked at: %s\n", rows,
           rows == 1 ? "" : "s", records, records == 1 ? "" : "s",
           field_number(report, "finding_count") == 0
               ? "all is as it should be"
               : "not all is as it should be");
    json_decref(report);
}

/* Publish what was written past the triggers. */
static int accept_findings(struct gv_db *db)
{
    struct gv_error error = {0};
    uint64_t published;

    if (gv_accept(db, &published, &error) != GV_OK)
        return report_error(&error);
    printf("%" PRIu64 " row%s published that %s written past the triggers\n",
           published, published == 1 ? "" : "s",
           published == 1 ? "was" : "were");
    return EXIT_DONE;
}

static int verify(struct gv_db *db)
{
    struct gv_error error = {0};
    char *json = NULL;
    int rc = gv_verify(db, &json, &error);

    if (rc == GV_OK || rc == GV_EDIFFERS) {
        print_report(json);
        gv_free(json);
        fflush(stdout);
    }
    return rc == GV_OK ? EXIT_DONE : report_error(&error);
}

static void print_peer_report(const char *json)
{
    json_t *report = json_loads(json, 0, NULL), *finding;
    int64_t differ = field_number(report, "differ");
    const char *peer = field_text(report, "peer"), *site;
    json_t *compared = json_object_get(report, "compared"), *version;
    size_t index;

    json_array_foreach(json_object_get(report, "findings"), index, finding)
    {
        const char *table = field_text(finding, "table");

        printf("%s%s%s%s%s%s\n", table, table[0] == '\0' ? "" : " ",
               field_text(finding, "key"), table[0] == '\0' ? "" : ": ",
               field_text(finding, "finding"),
               json_is_true(json_object_get(finding, "mended")) ? " (mended)"
                                                                : "");
    }
    if ((int64_t)index < differ)
        printf("… and %" PRId64 " more\n", differ - (int64_t)index);
    printf("compared what both this file and %s hold%s: ", peer,
           json_is_true(json_object_get(report, "all"))
               ? ", which is all that is here"
               : "");
    if (differ == 0)
        printf("no row differs\n");
    else
        printf("%" PRId64 " difference%s, %" PRId64 " mended\n", differ,
               differ == 1 ? "" : "s", field_number(report, "mended"));
    if (!json_is_true(json_object_get(report, "all")))
        json_object_foreach(compared, site, version)
            printf("  of site %.8s up to version %s\n", site,
                   json_string_value(version));
    json_decref(report);
}

static int verify_peer(struct gv_db *db, const char *peer, bool mend)
{
    struct gv_error error = {0};
    char *json = NULL;
    int rc = gv_verify_peer(db, peer, mend, &json, &error);

    if (rc == GV_OK || rc == GV_EDIFFERS) {
        print_peer_report(json);
        gv_free(json);
        fflush(stdout);
    }
    return rc == GV_OK ? EXIT_DONE : report_options(&error);
}

int command_verify(int argc, char **argv)
{
    static const struct option options[] = {
        {"accept", no_argument, NULL, 'a'},
        {"peer", required_argument, NULL, 'p'},
        {"repair", no_argument, NULL, 'r'},
        {0},
    };
    const char *peer = NULL;
    bool accept = false, mend = false;
    struct gv_db *db;
    int found, rc = EXIT_DONE;

    opterr = 0;
    while ((found = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (found == 'a')
            accept = true;
        else if (found == 'p')
            peer = optarg;
        else if (found == 'r')
            mend = true;
        else
            return report_option("verify", found, argv);
    }
    if (mend && peer == NULL)
        return report_usage("verify", "--repair needs --peer: what is damaged"
                                      " here comes from there.");
    db = open_argument("verify", argc, argv, 0, &rc);
    if (db == NULL)
        return rc;
    if (accept)
        rc = accept_findings(db);
    if (rc == EXIT_DONE && peer != NULL)
        rc = verify_peer(db, peer, mend);
    if (rc == EXIT_DONE)
        rc = verify(db);
    gv_close(db);
    return rc;
}
