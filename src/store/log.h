/* The write-ahead log on the disk: its sync, and what a failed one leaves. */
#ifndef STORE_LOG_H
#define STORE_LOG_H

#include "store/sql.h"
#include "store/store.h"

/* How far a log was confirmed by the disk; see log.c. */
#define LOG_SALTS_SIZE 8
struct log_place {
    bool known;
    uint8_t salts[LOG_SALTS_SIZE]; /* which log */
    uint64_t end;                  /* bytes */
};

/* The log's own file handle, and the database's; or NULL. */
sqlite3_file *log_file(struct store *store);
sqlite3_file *log_database(struct store *store);
/* The shared index of the log of the database @file, or NULL. */
volatile uint8_t *log_index(sqlite3_file *file);
/* Sync the log.  Once that failed it fails until the file is opened again. */
int log_sync(struct store *store);
/* SQLite was told of a sync of the log that failed: as if log_sync() had
 * been. */
void log_doubt(struct store *store);
/* What an earlier run's failure left undone.  The caller holds the write
 * lock. */
int log_mend(struct store *store);
/* Before the connection closes: that may sync the log, and tells nobody if it
 * fails. */
void log_leave(struct store *store);

#endif
