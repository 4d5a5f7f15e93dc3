/* What the rooms of a node share: its parts, and how work reaches the
 * core. */
#ifndef NODE_LOOP_H
#define NODE_LOOP_H

#include "base/log.h"
#include "core/core.h"
#include "net/net.h"
#include "node/applies.h"
#include "node/config.h"
#include "node/control.h"
#include "node/deltas.h"
#include "node/discovery.h"
#include "node/events.h"
#include "node/outbox.h"
#include "node/pace.h"
#include "node/proving.h"
#include "node/quiet.h"
#include "node/refusals.h"
#include "node/remembered.h"
#include "node/rhythm.h"
#include "node/watch.h"
#include "store/proofs.h"
#include "store/store.h"

#include <pthread.h>

/* Events that wait for the step in which they arose to end. */
struct finished {
    struct event *items;
    size_t first, count, capacity;
};

struct gv_node {
    char *path; /* resolved */
    const struct host *host;
    struct quiet quiet;
    struct log log; /* through it */
    struct config config;
    struct store *store;
    struct net *net;
    struct core *core;
    struct control *control;
    struct watch watch;
    struct pace pace;
    struct rhythm rhythm;
    struct applies applies;
    struct deltas deltas;
    struct proofs proofs;
    struct outbox outbox;
    struct refusals refusals;
    struct remembered remembered;
    struct visited visited;
    struct discovery discovery;
    struct finished finished;
    struct events events;
    pthread_t thread; /* that runs it; thread.c */
    bool threaded;
    struct gv_error result; /* of its run there */
    char mesh[MESSAGE_TEXT_SIZE_MAX + 1];
    gv_link next_link;     /* for the next core to dial with; 0: the first */
    struct gv_error moved; /* why the file must be opened again; code GV_OK */
    gv_time_ms opened_at;  /* when it last was, and how often in a row */
    unsigned opened_count;
    int stop_fd; /* an eventfd: readable once node_stop() was called */
    bool stopping;
    struct apply *slicing;   /* a delta that is applied in slices, or NULL */
    bool write_wanted;       /* the journal may hold something */
    bool schema_moved;       /* to be told to the core after the next commit */
    bool checkpoint_wanted;  /* written since the last checkpoint */
    int64_t looked_us;       /* the last look for commits of others */
    int64_t woken_us;        /* the earliest that what is found can be of */
    gv_time_ms poll_due;     /* the next look without being woken */
    gv_time_ms awake_until;  /* each commit of others is to be seen */
    gv_time_ms audit_due;    /* the next slice of the audit, when idle */
    struct gv_error trouble; /* why writing fails at present; code GV_OK */
    unsigned trouble_count;  /* in a row */
    int unkept;              /* why a piece of a delta was not, or GV_OK */
    gv_time_ms busy_since;   /* others keep the write lock; 0: they do not */
    struct gv_error end;     /* why the node cannot go on; code GV_OK */
};

/* Monotonic ms and us. */
gv_time_ms loop_now(void);
int64_t loop_now_us(void);

/* Run until the node is stopped or node->end is set. */
void loop_run(struct gv_node *node);

/* Give @event to the core, carry out the effects, and go on with the events
 * that these bring, until none is left.  Fills in the times. */
void loop_feed(struct gv_node *node, struct event *event);

/* Have @event fed as soon as the present step has ended.  What it points to
 * must live that long. */
void loop_finish(struct gv_node *node, const struct event *event);

/* The node cannot go on: node_run() returns this. */
void loop_end(struct gv_node *node, const struct gv_error *why);

/* The file is not the one that was opened, or its site id is another's too
 * (GV_EMOVED): it is opened again before anything else is done. */
void loop_moved(struct gv_node *node, const struct gv_error *why);

/* Ask the store what others did, and remember what follows from it. @since_us:
 * the earliest moment at which a commit found now can have happened. */
void loop_poll_store(struct gv_node *node, int64_t since_us);

/* Where applications commit in a rhythm, wait for the next commit, a moment at
 * most: what is written right behind it meets no transaction of theirs. */
void loop_await_gap(struct gv_node *node);

/* What an audit's step asks for. */
void loop_follow_audit(struct gv_node *node, const struct store_audit *audit);

/* effects.c: carry out what a step asked for. */
void effects_carry_out(struct gv_node *node, const struct effects *effects);

/* writes.c: one transaction that seals and applies, then its events. */
void writes_turn(struct gv_node *node);

/* Tell the core of what store_track() sealed, as of an interval too long for
 * a NEWS. */
void writes_tell_sealed(struct gv_node *node);

/* requests.c: the answer to one line from the control socket, to be freed. */
char *requests_answer(void *node, const char *line, size_t size,
                      bool *watches);

#endif
