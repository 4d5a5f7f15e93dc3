/* Somebody opens a machine's file beside all that runs there, does one thing,
 * and leaves without a checkpoint. */
#ifndef SIM_MACHINE_VISIT_H
#define SIM_MACHINE_VISIT_H

#include "sim/disk/disk.h"

#include <sqlite3.h>

struct visit {
    struct process *process;
    sqlite3 *db;
};

/* Open the file on @disk as @name; SQLite's code.  Either way visit_end()
 * follows. */
int visit_begin(struct visit *visit, struct disk *disk, const char *name);
void visit_end(struct visit *visit);

#endif
