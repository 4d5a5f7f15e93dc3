/* What the subcommands share. */
#ifndef CMD_COMMAND_H
#define CMD_COMMAND_H

#include "grapevine.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NO_NODE = 3
};

struct command {
    const char *name;
    const char *summary;               /* one line, for the list of commands */
    const char *help;                  /* all there is to know */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
};

/* All commands; the last has no name. */
extern const struct command commands[];

/* The texts, help.c. */
extern const char help_intro[], help_outro[];
extern const char help_track[], help_untrack[], help_run[], help_status[],
    help_verify[], help_blame[], help_backup[], help_discover[], help_lab[],
    help_help[], help_watch[], help_wait[];

int command_track(int argc, char **argv);
int command_untrack(int argc, char **argv);
int command_run(int argc, char **argv);
int command_status(int argc, char **argv);
int command_verify(int argc, char **argv);
int command_watch(int argc, char **argv);
int command_wait(int argc, char **argv);
int command_blame(int argc, char **argv);
int command_backup(int argc, char **argv);
int command_discover(int argc, char **argv);
int command_lab(int argc, char **argv);
int command_help(int argc, char **argv);

/* memory.c: before anything of SQLite is used. */
void memory_uncounted(void);

/* report.c: an error for a person, in three parts on stderr.  Returns the
 * exit code that goes with it. */
int report_error(const struct gv_error *error);

/* The same of a call that was given options of the command line: one that
 * cannot be taken, whatever the file holds, is wrong usage. */
int report_options(const struct gv_error *error);

/* A wrong use of @command (NULL: of the program), printf style. */
int report_usage(const char *command, const char *what, ...)
    __attribute__((format(printf, 2, 3)));

/* What getopt_long() found wrong (it returned '?' or ':'). */
int report_option(const char *command, int found, char *const *argv);

/* Take --json where it is the only option of @command; what to end with if
 * there is another one. */
int take_json(const char *command, int argc, char **argv, bool *as_json);

/* Open the database named by the only argument left at @optind.  On failure
 * *@exit_code is what to end with. */
struct gv_db *open_argument(const char *command, int argc, char **argv,
                            unsigned flags, int *exit_code);

#endif
