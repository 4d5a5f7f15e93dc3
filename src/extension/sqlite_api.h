/* Stands in front of every source that goes into the extension (the compiler
 * is told so): calls of SQLite go to the program that loads it, which may
 * have a SQLite of its own inside, and never to a second library. */
#ifndef EXTENSION_SQLITE_API_H
#define EXTENSION_SQLITE_API_H

#include <sqlite3ext.h>

SQLITE_EXTENSION_INIT3

#endif
