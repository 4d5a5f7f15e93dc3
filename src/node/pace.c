#include "node/pace.h"

/* Longer ago than anything that is compared with it, and far from the end of
 * the range. */
#define PACE_LONG_AGO (INT64_MIN / 2)

void pace_init(struct pace *pace)
{
    pace->last_commit = PACE_LONG_AGO;
    pace->last_write = PACE_LONG_AGO;
    pace->last_fit = PACE_LONG_AGO;
    pace->not_before = PACE_LONG_AGO;
    pace->crowd = false;
    pace->hurry = false;
    pace->long_since = PACE_NEVER;
}

/* A log that stays long, whatever the node does, is written to like any. */
static void spare_log(struct pace *pace, gv_time_ms now, int wal_frames)
{
    if (wal_frames < PACE_WAL_FRAMES)
        pace->long_since = PACE_NEVER;
    else if (pace->long_since > now)
        pace->long_since = now;
    /* One more, because a clock of whole milliseconds may be about to turn. */
    if (wal_frames >= PACE_WAL_FRAMES &&
        now - pace->long_since < PACE_WAL_PATIENCE_MS)
        pace_wait(pace, now, PACE_WAL_GAP_MS + 1);
}

void pace_commit(struct pace *pace, gv_time_ms since, gv_time_ms now,
                 int wal_frames)
{
    pace->crowd = since - pace->last_commit <= PACE_CROWD_MS;
    pace->last_commit = now;
    /* It is this commit that resets a long log, if nobody writes behind it. */
    spare_log(pace, now, wal_frames);
}

void pace_wrote(struct pace *pace, gv_time_ms now, int wal_frames)
{
    pace->last_write = now;
    spare_log(pace, now, wal_frames);
}

void pace_wait(struct pace *pace, gv_time_ms now, gv_time_ms ms)
{
    if (now + ms > pace->not_before)
        pace->not_before = now + ms;
}

void pace_fits(struct pace *pace, gv_time_ms now)
{
    pace->last_fit = now;
}

void pace_hurry(struct pace *pace, bool hurry)
{
    pace->hurry = hurry;
}

bool pace_polite(const struct pace *pace, gv_time_ms now)
{
    return now - pace->last_commit < PACE_HURRY_POLITE_MS;
}

static gv_time_ms hurry_turn(const struct pace *pace)
{
    bool rhythm = pace->last_write - pace->last_fit < PACE_HURRY_POLITE_MS;
    gv_time_ms turn = pace->last_write + (rhythm ? PACE_HURRY_SILENCE_MS
                                                 : PACE_HURRY_INTERVAL_MS);
    gv_time_ms over = pace->last_commit + PACE_HURRY_POLITE_MS;

    return turn < over ? turn : over;
}

gv_time_ms pace_due(const struct pace *pace)
{
    gv_time_ms due = pace->not_before;

    if (pace->hurry) {
        if (hurry_turn(pace) > due)
            due = hurry_turn(pace);
    } else if (pace->crowd) {
        gv_time_ms turn = pace->last_write + PACE_CROWD_INTERVAL_MS;
        gv_time_ms over = pace->last_commit + PACE_CROWD_MS + 1;
        gv_time_ms first = turn < over ? turn : over;

        if (first > due)
            due = first;
    }
    return due;
}

bool pace_allowed(const struct pace *pace, gv_time_ms now)
{
    return now >= pace->not_before;
}

gv_time_ms pace_nap(const struct pace *pace, gv_time_ms now)
{
    gv_time_ms turn = pace->last_write + PACE_CROWD_INTERVAL_MS;
    gv_time_ms over = pace->last_commit + PACE_CROWD_MS;

    if (!pace->crowd || pace->hurry)
        return now;
    return turn < over ? turn : over;
}

bool pace_quiet(const struct pace *pace, gv_time_ms now, gv_time_ms ms)
{
    return now - pace->last_commit >= ms;
}
