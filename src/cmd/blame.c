#include "command.h"
#include "fields.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* "kiosk 0f3a…, 2026-05-01 09:30:00.250 UTC". */
static void print_dot(const json_t *dot)
{
    const char *name = field_text(dot, "name");
    const char *when = field_text(dot, "time");

    if (name[0] != '\0')
        printf("%s ", name);
    printf("%s, ", field_text(dot, "site"));
    if (strlen(when) == strlen("2026-05-01T09:30:00.250Z"))
        printf("%.10s %.12s UTC\n", when, when + 11);
    else
        printf("version %s\n", field_text(dot, "version"));
}

static void print_row(const json_t *row)
{
    const json_t *by = json_object_get(row, "by");
    bool alive = json_is_true(json_object_get(row, "alive"));

    printf("%s %s\n", field_text(row, "table"), field_text(row, "key"));
    if (json_is_true(json_object_get(row, "unsealed"))) {
        printf("  %s here, not sealed yet\n", alive ? "inserted" : "deleted");
    } else {
        printf("  %s by ", alive ? "inserted" : "deleted");
        print_dot(by);
    }
}

/* @by: who wrote what the cell has now, or ended the row. */
static void print_lost(const json_t *cell, const json_t *by)
{
    size_t index;
    json_t *lost;

    json_array_foreach(json_object_get(cell, "beat"), index, lost)
    {
        const json_t *to = json_object_get(lost, "to");
        bool by_this = json_equal(by, to);

        printf("  %s %s ",
               by_this ? "beat" : "lost:", field_text(lost, "value"));
        if (field_number(lost, "bytes") > 0)
            printf("(the beginning of %" PRId64 " bytes) ",
                   field_number(lost, "bytes"));
        printf("by ");
        print_dot(json_object_get(lost, "by"));
        if (!by_this) {
            printf("        to one by ");
            print_dot(to);
        }
    }
}

/* What each site added to a counter, or wrote beside others. */
static void print_parts(const json_t *parts)
{
    size_t index;
    json_t *part;

    json_array_foreach(parts, index, part)
    {
        printf("  %s by ", field_text(part, "value"));
        print_dot(json_object_get(part, "by"));
    }
}

static void print_cell(const json_t *cell)
{
    const char *state = field_text(cell, "state");
    const json_t *value = json_object_get(cell, "value");
    const json_t *by = json_object_get(cell, "by");

    printf("%s", field_text(cell, "column"));
    if (json_is_string(value))
        printf(" = %s", json_string_value(value));
    putchar('\n');
    if (strcmp(state, "default") == 0)
        puts("  the default, written by nobody");
    else if (strcmp(state, "unsealed") == 0)
        puts("  written here, not sealed yet");
    else if (strcmp(state, "parked") == 0)
        puts("  parked: the table cannot show it");
    else if (strcmp(state, "hollow") == 0)
        puts("  the value is not in this file");
    if (json_object_get(cell, "cells") != NULL) {
        print_parts(json_object_get(cell, "cells"));
    } else if (!json_is_null(by)) {
        printf("  %s ", strcmp(state, "unsealed") == 0 ? "over one by" : "by");
        print_dot(by);
    }
    print_lost(cell, by);
}

/* A deleted row has no values; what it lost in its columns is shown. */
static void print_cells(const json_t *row)
{
    bool alive = json_is_true(json_object_get(row, "alive"));
    size_t index;
    json_t *cell;

    json_array_foreach(json_object_get(row, "columns"), index, cell)
    {
        if (alive)
            print_cell(cell);
        else if (json_array_size(json_object_get(cell, "beat")) > 0) {
            printf("%s\n", field_text(cell, "column"));
            print_lost(cell, json_object_get(row, "by"));
        }
    }
}

static int blame(struct gv_db *db, int argc, char **argv, bool as_json)
{
    struct gv_error error = {0};
    char *text = NULL;
    json_t *row;

    if (gv_blame(db, argv[0], (const char *const *)argv + 1, (size_t)argc - 1,
                 &text, &error) != GV_OK)
        return report_error(&error);
    if (as_json) {
        puts(text);
    } else {
        row = json_loads(text, 0, NULL);
        print_row(row);
        print_cells(row);
        json_decref(row);
    }
    gv_free(text);
    return EXIT_DONE;
}

int command_blame(int argc, char **argv)
{
    struct gv_error error = {0};
    struct gv_db *db = NULL;
    bool as_json;
    int rc = take_json("blame", argc, argv, &as_json);

    if (rc != EXIT_DONE)
        return rc;
    if (argc - optind < 3)
        return report_usage("blame", "A database file, a table and a key are "
                                     "to be named.");
    if (gv_open(argv[optind], 0, &db, &error) != GV_OK)
        return report_error(&error);
    rc = blame(db, argc - optind - 1, argv + optind + 1, as_json);
    gv_close(db);
    return rc;
}
