/* When the node may write into the file it shares with applications.
 *
 * A second writer makes an application's BEGIN; SELECT; UPDATE fail at once,
 * whatever its busy timeout, and keeps the write-ahead log from being reset.
 * So a commit that comes alone is answered at once, and a crowd of them is
 * left alone most of the time.  Time comes in, a decision goes out. */
#ifndef NODE_PACE_H
#define NODE_PACE_H

#include "core/types.h"

/* Commits that follow one another within this are a crowd. */
#define PACE_CROWD_MS 5
/* In a crowd the node writes at most this often (seals and applies alike):
 * failed transactions of applications fell from 78 % to 0.7 %. */
#define PACE_CROWD_INTERVAL_MS 100
/* SQLite checkpoints at 1,000 frames; shortly before that the file is left
 * alone so that an application's commit can reset the log. */
#define PACE_WAL_FRAMES 980
#define PACE_WAL_GAP_MS 3
/* Another writer holds the lock: a transaction of an application seldom
 * takes longer. */
#define PACE_BUSY_MS 3

struct pace {
    gv_time_ms last_commit; /* by someone else */
    gv_time_ms last_write;  /* by the node */
    gv_time_ms not_before;
    bool crowd;
    int wal_frames; /* after the node's last commit */
};

void pace_init(struct pace *pace);

/* Another program committed, not before @since, and it is noticed @now. */
void pace_commit(struct pace *pace, gv_time_ms since, gv_time_ms now);

/* The node committed; the log has @wal_frames. */
void pace_wrote(struct pace *pace, gv_time_ms now, int wal_frames);

/* The node could not write; let it be for @ms. */
void pace_wait(struct pace *pace, gv_time_ms now, gv_time_ms ms);

/* When the node may write next; in the past: now. */
gv_time_ms pace_due(const struct pace *pace);

/* Whether no other program has committed for @ms. */
bool pace_quiet(const struct pace *pace, gv_time_ms now, gv_time_ms ms);

#endif
