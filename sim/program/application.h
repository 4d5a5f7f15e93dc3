/* A program that writes a machine's file with plain SQL: a SQLite connection
 * and process of its own, which knows nothing of the node beside it.
 *
 * Each transaction has a number of its program and leaves a row with it in the
 * table written (untracked), or in log where application_logs() says so and
 * the transaction is one statement, so that after a crash anyone can read
 * which transactions the file holds.  Statements that are a transaction by
 * themselves and leave neither have no number. */
#ifndef SIM_APPLICATION_H
#define SIM_APPLICATION_H

#include "sim/disk/disk.h"
#include "sim/world.h"
#include "values.h"

/* The tables of every file, and the tracked ones' names; behind a colon a
 * counter and a multi-value column. */
extern const char application_schema[];
extern const char application_tables[];
/* SQL that makes some of the application's triggers, chosen by @seed. */
#define APPLICATION_TRIGGERS_SIZE 4096
void application_triggers(unsigned seed, char *sql, size_t size);

/* The largest value that leaves a file where there are larger ones.  Those
 * that are huge are smaller. */
#define APPLICATION_TRAVELS (2u << 20)

/* What programs do in this run. */
struct application_habits {
    unsigned deletes; /* per million: how much of it is deleting */
    unsigned hot;     /* per million: writes go to one of three keys */
    bool odd_text;    /* NUL in text, invalid UTF-8, long texts */
    bool odd_numbers; /* -0.0, denormals, 2^53 +- 1, the ends of int64 */
    bool misbehave;   /* REPLACE, key changes, VACUUM, savepoints taken back,
                         checkpoints, long transactions */
    bool huge;        /* a value up to a megabyte, a transaction of a
                         thousand rows now and then */
    bool skew;        /* writes the table whose columns differ */
    bool big;         /* … and values there that do not travel */
    bool kinds;       /* writes the table with a counter and siblings */
    bool score;       /* each transaction with a mark adds one to a counter */
    bool full_sync;   /* PRAGMA synchronous=EXTRA, which is FULL where there is
                         a write-ahead log; a file put back may have none, and
                         with FULL its journal comes back; else NORMAL */
};

/* The program's number in written and log. */
int64_t application_number(size_t machine, size_t program);
/* Whether a transaction of this number inserts a row into log, and the row's
 * id. */
#define APPLICATION_LOG_SIZE 48
bool application_logs(int64_t number);
void application_log_id(int64_t program, int64_t number,
                        char id[APPLICATION_LOG_SIZE]);

/* What the table skew is like in a file. */
enum skew_shape {
    SKEW_WHOLE,
    SKEW_SHORT,   /* no c */
    SKEW_BARE,    /* no b either */
    SKEW_MISSING, /* no such table */
    /* These cannot show each value, for ever. */
    SKEW_TYPED,
    SKEW_STRICT,
    SKEW_SHAPES
};
#define SKEW_WHOLE_SQL                                                        \
    "CREATE TABLE skew(id TEXT PRIMARY KEY, a, b DEFAULT 'b', c DEFAULT 4);"
const char *application_skew(enum skew_shape shape);

struct application;

struct application_listener {
    void *context;
    /* COMMIT returned SQLITE_OK.  @durable: with FULL. */
    void (*committed)(void *context, size_t machine, size_t program,
                      int64_t number, bool durable);
    /* An autocommit statement or BEGIN IMMEDIATE failed with @code (extended)
     * though the disk did not fail it and no other program holds the lock. */
    void (*refused)(void *context, size_t machine, size_t program, int code,
                    const char *statement);
};

struct application *application_new(struct world *world, struct disk *disk,
                                    size_t machine, size_t program,
                                    const struct application_habits *habits,
                                    const struct application_listener *);
void application_free(struct application *application);

/* One transaction, all of it chosen by @seed and by what the file holds; the
 * trace gets a line a person can read.  True if it committed.  With
 * SQLITE_BUSY it is tried once more later by whoever called. */
bool application_act(struct application *application, uint64_t seed);
const struct odd_counts *
application_counts(const struct application *application);
/* Begin a transaction and leave it open (holding the write lock), and end
 * it. */
void application_hold(struct application *application, uint64_t seed);
bool application_release(struct application *application);
bool application_holding(const struct application *application);

/* kill -9, also in the middle of its @n-th operation of the disk from now, or
 * the power is gone: its connection is closed and nothing of it reaches the
 * disk.  It starts again by itself with the next transaction. */
void application_kill(struct application *application);
void application_kill_at(struct application *application, uint64_t n);

#endif
