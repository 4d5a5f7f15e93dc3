/* The application of the crash enumeration: a schema and, from a seed,
 * numbered transactions.  Each can run whatever became of the others, and
 * writes its number into a tracked and an untracked table. */
#ifndef SIM_CRASH_SCRIPT_H
#define SIM_CRASH_SCRIPT_H

#include <stddef.h>
#include <stdint.h>

#define CRASH_SCRIPT_SCHEMA                                                   \
    "CREATE TABLE contacts(id TEXT PRIMARY KEY, name TEXT, phone, note);"     \
    "CREATE TABLE items(id INTEGER PRIMARY KEY, a INT, b REAL, c BLOB);"      \
    "CREATE TABLE done(n INTEGER PRIMARY KEY);"                               \
    "CREATE TABLE ledger(n INTEGER PRIMARY KEY)"

/* Tracked tables; "ledger" is not. */
extern const char *const crash_script_tables[3];

/* Rows that are there before the file is shared. */
#define CRASH_SCRIPT_FIRST_ROWS                                               \
    "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM r"            \
    " WHERE i<12) INSERT INTO contacts SELECT 'k'||i,'first '||i,i,NULL"      \
    " FROM r"

/* Transaction @n of the script of @seed, from sqlite3_malloc().  The same
 * numbers are always the same text. */
char *crash_script_transaction(uint64_t seed, int n);

#endif
