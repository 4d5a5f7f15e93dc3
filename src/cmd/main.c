#include "command.h"
#include "manual.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const struct command commands[] = {
    {"track", "share a table of a database", help_track, command_track},
    {"untrack", "stop sharing a table", help_untrack, command_untrack},
    {"run", "keep a database in step with its peers", help_run, command_run},
    {"status", "show what a database holds and who it is linked with",
     help_status, command_status},
    {"watch", "print changes and links as they come and go", help_watch,
     command_watch},
    {"wait", "wait until a node and its peers hold the same", help_wait,
     command_wait},
    {"verify", "recompute everything and name what is not as it should be",
     help_verify, command_verify},
    {"blame", "show who wrote each value of a row, and what it beat",
     help_blame, command_blame},
    {"backup", "copy a database into a new file", help_backup, command_backup},
    {"discover", "list the nodes on the LAN", help_discover, command_discover},
    {"lab", "try it out: several nodes on this machine", help_lab,
     command_lab},
    {"help", "explain a command", help_help, command_help},
    {0},
};

static const struct command *find(const char *name)
{
    for (const struct command *command = commands; command->name != NULL;
         command++) {
        if (strcmp(command->name, name) == 0)
            return command;
    }
    return NULL;
}

static int print_overview(void)
{
    fputs(help_intro, stdout);
    for (const struct command *command = commands; command->name != NULL;
         command++)
        printf("  %-8s %s\n", command->name, command->summary);
    fputs(help_outro, stdout);
    return EXIT_DONE;
}

/* Help, or a manual page, on the command @name; NULL: on all. */
static int print_help(const char *name, bool manual)
{
    const struct command *command = NULL;

    if (name != NULL && (command = find(name)) == NULL)
        return report_usage(NULL, "There is no command %s.", name);
    if (manual && command == NULL)
        manual_print();
    else if (manual)
        manual_print_command(command);
    else if (command == NULL)
        print_overview();
    else
        fputs(command->help, stdout);
    return EXIT_DONE;
}

int command_help(int argc, char **argv)
{
    bool manual = argc > 1 && strcmp(argv[1], "--man") == 0;
    int words = argc - manual;

    if (words > 2)
        return report_usage("help", "There is one argument too many: %s.",
                            argv[argc - words + 2]);
    return print_help(words == 2 ? argv[argc - 1] : NULL, manual);
}

/* Whether --help stands among the options (not behind "--"). */
static int asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct command *command;

    if (argc < 2) {
        report_usage(NULL, "No command is named.");
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("grapevine %s\n", gv_version_string());
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return print_overview();
    command = find(argv[1]);
    if (command == NULL)
        return report_usage(NULL, "There is no command %s.", argv[1]);
    memory_uncounted();
    if (asks_for_help(argc - 1, argv + 1)) {
        fputs(command->help, stdout);
        return EXIT_DONE;
    }
    return command->run(argc - 1, argv + 1);
}
