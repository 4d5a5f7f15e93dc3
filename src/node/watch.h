/* Being woken when another program writes to the file: inotify on its
 * write-ahead log, and on the directory because that log is replaced at
 * times.
 *
 * A commit is a write to the log, then (with synchronous=FULL) a sync, and
 * only then does it stand in the shared index, of which the system tells
 * nothing.  So the write is a hint that a commit may follow: after it the
 * caller looks at growing steps, a quarter of the time that has passed, for
 * WATCH_LOOK_US, or until it finds nothing in the log that is not committed.
 * Whatever is written after that is a new hint. */
#ifndef NODE_WATCH_H
#define NODE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

/* The first step, the longest one, and when a writer is taken to have rolled
 * back: slow disks sync in 30 ms. */
#define WATCH_STEP_MIN_US 50
#define WATCH_STEP_MAX_US 5000
#define WATCH_LOOK_US 100000

struct watch {
    int fd;    /* -1: there is no watch; the caller looks at intervals */
    int timer; /* readable when the next look is due */
    int64_t hinted_us; /* monotonic: the last write to the log */
    bool armed;        /* the timer may end a step */
    bool hinted;       /* there was one since the last watch_drain() */
    int directory;
    int log;
    char *log_path;
    const char *log_name; /* the last part of log_path */
    bool replaced;        /* the database's own name came or went; the caller
                             clears it */
};

/* Watch the log of the database at @path (resolved).
 * Errors: GV_ENOMEM; GV_ELIMIT, GV_EIO (the system gives no watch: @watch is
 * closed, with fd -1). */
int watch_init(struct watch *watch, const char *path);
void watch_close(struct watch *watch);

/* Read all that is waiting; true if it is time to look at the file.  To be
 * called when fd or timer is readable. */
bool watch_drain(struct watch *watch);

/* What was written is committed: no look need follow until more is. */
void watch_rest(struct watch *watch);

#endif
