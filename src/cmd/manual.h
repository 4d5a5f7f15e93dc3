/* Manual pages, made of the help texts, on stdout. */
#ifndef CMD_MANUAL_H
#define CMD_MANUAL_H

#include "command.h"

/* grapevine(1). */
void manual_print(void);

/* grapevine-COMMAND(1). */
void manual_print_command(const struct command *command);

#endif
