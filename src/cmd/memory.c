/* How SQLite counts its memory in this process: not at all.
 *
 * Nothing here asks for the counters, and they cost a mutex at each
 * allocation: a seal or an apply takes 6 % longer.  A library must leave that
 * to the program that it is in, so the command says it. */
#include "command.h"

#include <sqlite3.h>

void memory_uncounted(void)
{
    /* Good only before SQLite is used, and harmless after. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}
