#include "command.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int report_error(const struct gv_error *error)
{
    const char *what = error->what;

    fprintf(stderr, "grapevine: %s\n",
            what[0] != '\0' ? what : gv_strerror(error->code));
    if (error->meaning[0] != '\0')
        fprintf(stderr, "  meaning: %s\n", error->meaning);
    if (error->remedy[0] != '\0')
        fprintf(stderr, "  next:    %s\n", error->remedy);
    return error->code == GV_ENONODE ? EXIT_NO_NODE : EXIT_FAILED;
}

int report_options(const struct gv_error *error)
{
    int exit_code = report_error(error);

    return error->code == GV_EINVAL ? EXIT_USAGE : exit_code;
}

int report_usage(const char *command, const char *what, ...)
{
    va_list arguments;

    fputs("grapevine: ", stderr);
    va_start(arguments, what);
    vfprintf(stderr, what, arguments);
    va_end(arguments);
    fputs("\n  meaning: The command line is not one that can be carried out; "
          "nothing was done.\n",
          stderr);
    if (command != NULL)
        fprintf(stderr, "  next:    grapevine help %s\n", command);
    else
        fputs("  next:    grapevine help\n", stderr);
    return EXIT_USAGE;
}

int report_option(const char *command, int found, char *const *argv)
{
    const char *option = argv[optind - 1];

    if (found == ':')
        return report_usage(command, "%s needs a value.", option);
    /* A letter: getopt_long() is not done yet with the argument it is in. */
    if (optopt > ' ' && strncmp(option, "--", 2) != 0)
        return report_usage(command,
                            "There is no option -%c; -- goes before a name"
                            " that begins with a dash.",
                            optopt);
    return report_usage(command, "There is no option %s.", option);
}

int take_json(const char *command, int argc, char **argv, bool *as_json)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {0},
    };
    int found;

    *as_json = false;
    opterr = 0;
    while ((found = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (found != 'j')
            return report_option(command, found, argv);
        *as_json = true;
    }
    return EXIT_DONE;
}

struct gv_db *open_argument(const char *command, int argc, char **argv,
                            unsigned flags, int *exit_code)
{
    struct gv_error error = {0};
    struct gv_db *db = NULL;

    if (argc - optind != 1) {
        *exit_code = argc == optind
                         ? report_usage(command, "No database file is named.")
                         : report_usage(command,
                                        "There is one argument too "
                                        "many: %s.",
                                        argv[optind + 1]);
        return NULL;
    }
    if (gv_open(argv[optind], flags, &db, &error) != GV_OK) {
        *exit_code = report_error(&error);
        return NULL;
    }
    return db;
}
