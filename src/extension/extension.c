/* The entry of grapevine.so. */
#include "extension/functions.h"
#include "extension/table.h"

const sqlite3_api_routines *sqlite3_api;

/* pragma_table_list, and so WITHOUT ROWID and STRICT told apart, came with
 * 3.37.0; calls that came later are not made. */
#define SQLITE_VERSION_MIN 3037000

__attribute__((visibility("default"))) int
sqlite3_grapevine_init(sqlite3 *db, char **message,
                       const sqlite3_api_routines *api)
{
    int rc;

    sqlite3_api = api;
    if (sqlite3_libversion_number() < SQLITE_VERSION_MIN) {
        *message = sqlite3_mprintf("grapevine needs SQLite 3.37.0; this is"
                                   " %s.",
                                   sqlite3_libversion());
        return SQLITE_ERROR;
    }
    rc = functions_register(db);
    return rc == SQLITE_OK ? table_register(db) : rc;
}
