/* The functions: gv_track(), gv_untrack(), gv_site_id(), gv_version(),
 * gv_vv(), gv_delta(), gv_apply(). */
#ifndef EXTENSION_FUNCTIONS_H
#define EXTENSION_FUNCTIONS_H

#include <sqlite3.h>

/* SQLite's codes. */
int functions_register(sqlite3 *db);

#endif
