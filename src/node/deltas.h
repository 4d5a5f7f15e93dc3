/* Deltas that peers asked for: waiting, being read a piece at a time between
 * other work, and ready to be sent. */
#ifndef NODE_DELTAS_H
#define NODE_DELTAS_H

#include "base/buffer.h"
#include "core/core.h"
#include "store/store.h"

/* Rows a turn: 2,000 take about 5 ms. */
#define DELTAS_STEP_ROWS 2000
/* A value unlike its digest sends the reader back to the start, after a seal;
 * a file where that happens more often is written past the triggers all the
 * time. */
#define DELTAS_TRIES_MAX 5
/* The journal must be empty for a moment within this time; the asker gives
 * up after CORE_WANT_PATIENCE_MS. */
#define DELTAS_PATIENCE_MS 8000

struct gv_node;
struct delta_job;

struct deltas {
    struct delta_job *first;
};

void deltas_init(struct deltas *deltas);
/* Long ones are kept for the next run. */
void deltas_close(struct deltas *deltas, gv_time_ms now);

/* Take up an EFFECT_EXTRACT.  Errors: GV_ENOMEM. */
int deltas_add(struct deltas *deltas, const struct effect *effect,
               gv_time_ms now);
/* EFFECT_DROP_EXTRACT; one that was not @applied may be asked for again. */
void deltas_drop(struct deltas *deltas, gv_link link, uint64_t token,
                 bool applied, gv_time_ms now);

/* The finished delta of @token, or NULL. */
struct extract *deltas_find(struct deltas *deltas, gv_link link,
                            uint64_t token);

/* Whether a turn has something to do now. */
bool deltas_ready(const struct deltas *deltas);

/* The journal was empty a moment ago: open the snapshot of whoever waits for
 * that.  To be called right after a commit. */
void deltas_sealed(struct gv_node *node);

/* Read on for one piece; at the end feed EVENT_EXTRACTED. */
void deltas_turn(struct gv_node *node);

/* Feed the end of those that waited too long for an empty journal; let go
 * those that were kept for too long. */
void deltas_expire(struct gv_node *node);

#endif
