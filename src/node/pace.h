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
/* A long delta would take for ever at that pace, and what it makes fail does
 * not commit, so that no crowd is seen.  So for a while after any commit its
 * slices are short and have gaps, if they do not fit between two commits
 * (rhythm.h): then they need none.  400 rows in 10 ms are 40,000 a second. Who
 * is silent for longer and had a rhythm just now, is in a checkpoint, or in
 * the transaction after it. */
#define PACE_HURRY_POLITE_MS 100
#define PACE_HURRY_INTERVAL_MS 10
#define PACE_HURRY_SILENCE_MS 30
/* SQLite checkpoints at 1,000 frames; shortly before that the file is left
 * alone so that an application's commit can reset the log. */
#define PACE_WAL_FRAMES 980
#define PACE_WAL_GAP_MS 3
/* But where nobody resets it (an application that turned that off, or reads
 * for long), the node does not wait for ever. */
#define PACE_WAL_PATIENCE_MS 200
/* Another writer holds the lock: a transaction of an application seldom
 * takes longer. */
#define PACE_BUSY_MS 3

#define PACE_NEVER INT64_MAX

struct pace {
    gv_time_ms last_commit; /* by someone else */
    gv_time_ms last_write;  /* by the node */
    gv_time_ms last_fit;    /* that had a place between two commits */
    gv_time_ms not_before;
    bool crowd;
    bool hurry;            /* a long delta is being applied */
    gv_time_ms long_since; /* the log is long; PACE_NEVER: it is not */
};

void pace_init(struct pace *pace);

/* Another program committed, not before @since, and it is noticed @now; the
 * log has @wal_frames. */
void pace_commit(struct pace *pace, gv_time_ms since, gv_time_ms now,
                 int wal_frames);

/* The node committed; the log has @wal_frames. */
void pace_wrote(struct pace *pace, gv_time_ms now, int wal_frames);

/* What the node writes now has a place between two commits of others. */
void pace_fits(struct pace *pace, gv_time_ms now);

/* A long delta is being applied; or is not any more. */
void pace_hurry(struct pace *pace, bool hurry);
/* Whether others wrote a short while ago. */
bool pace_polite(const struct pace *pace, gv_time_ms now);

/* The node could not write; let it be for @ms. */
void pace_wait(struct pace *pace, gv_time_ms now, gv_time_ms ms);

/* When the node may write next; in the past: now. */
gv_time_ms pace_due(const struct pace *pace);

/* Whether nothing forbids to write at @now, in the middle of a crowd or not.
 */
bool pace_allowed(const struct pace *pace, gv_time_ms now);

/* Until when nothing depends on the commits of others, so that the node need
 * not be woken by them; not after @now: it must be.  In a crowd what comes
 * next is a write at its turn, or the end of the crowd: and that one commit
 * fell into each PACE_CROWD_MS can be seen at their ends. */
gv_time_ms pace_nap(const struct pace *pace, gv_time_ms now);

/* Whether no other program has committed for @ms. */
bool pace_quiet(const struct pace *pace, gv_time_ms now, gv_time_ms ms);

#endif
