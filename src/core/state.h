/* What the files of the state machine share; no other layer includes it.
 * README.md says in which order to read them. */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include "base/random.h"
#include "core/core.h"
#include "core/sketch.h"

#include <stdio.h>

#define TEXT_SPACE (MESSAGE_TEXT_SIZE_MAX + 1)

/* A time that does not come. */
#define NEVER INT64_MAX

/* When acknowledgements are sent at once instead of with the next VV. */
#define NEWS_ACK_SIZE (64 * 1024)
#define DELTA_ACK_SIZE (128 * 1024)
/* Of a credit of 1 MiB, and as much of any other. */
#define DELTA_ACK_PARTS (CORE_DELTA_CREDIT / DELTA_ACK_SIZE)
#define DELTA_PIECE_PARTS 4

/* Before all that a monotonic clock can say; what is taken from it or added
 * to it does not overflow. */
#define LONG_AGO (INT64_MIN / 4)

/* Heartbeats whose round trips are compared. */
#define TIMING_SAMPLES 8

enum give_state {
    GIVE_NONE,
    GIVE_QUEUED,  /* another extract is being read */
    GIVE_READING, /* EFFECT_EXTRACT is under way */
    GIVE_SENDING  /* pieces leave as credit allows; then the end is awaited */
};

/* What was compared and found unequal. */
struct compared {
    uint64_t vv_hash;
    struct hash128 ours, theirs;
    gv_time_ms at;
};

/* What a link's peer asked for. */
struct give {
    enum give_state state;
    uint64_t token;
    uint64_t credit;
    uint64_t order; /* of its WANT among all, so that the oldest is first */
    struct vv vv;   /* the asker's; once it is read, what was held here then */
    uint64_t spool; /* until it is read: of the asker's cursor, 0: none */
    uint64_t size;
    size_t claim_count;
    uint64_t offset; /* sent so far; until it is read: of the cursor */
    uint64_t acked;
    bool last_sent;
    gv_time_ms progress_at;
};

struct link;

/* What is known of a live site (known.c). */
struct known {
    struct site site;
    uint64_t instance;
    char name[MESSAGE_WORD_NAME_MAX + 1];
    const struct link *link; /* that is up with it, or NULL */
    gv_time_ms clock;        /* of that site, when it said so */
    gv_time_ms heard_at;     /* when that was, by the clock of the loop */
    uint64_t hash;           /* of its vector then */
    bool kept;               /* @vv is of it: at least so much it holds */
    struct vv vv;            /* empty while it is linked: see its link */
};

/* What passed on a link, in either way, of one known site. */
struct passed {
    uint64_t instance; /* 0: nothing */
    gv_time_ms clock;
    uint64_t hash;
    bool said_linked; /* what we said last */
    bool peer_linked; /* what the peer said last */
};

/* One heartbeat there and back. */
struct sample {
    gv_time_ms rtt;
    gv_time_ms ahead; /* this node's clock, of the peer's */
};

/* An interval that outlives its event (parcel.c). */
struct parcel {
    size_t owners;
    struct parcel *next_spent;
    struct interval interval; /* borrows @bytes */
    uint8_t bytes[];
};

/* Intervals that leave together soon (push.c). */
struct outgoing {
    struct parcel *items[MESSAGE_INTERVALS_MAX];
    size_t count;
    size_t size; /* bytes */
};

/* A byte of marks for each of the core's origins, by slot (mark.c); those
 * past the end have none. */
struct marks {
    uint8_t *bytes;
    size_t count;
    gv_time_ms say_at;  /* the next PRUNE; NEVER: nothing is to be said */
    gv_time_ms said_at; /* the last one */
};

struct link {
    gv_link number;
    struct peer *peer; /* NULL: accepted */
    bool local;        /* it does not leave this machine */
    enum link_state state;
    gv_time_ms since;    /* dialled or accepted */
    gv_time_ms up_at;    /* LINK_UP since */
    gv_time_ms heard_at; /* the last frame */
    bool announced;      /* a line said that it is up */

    /* From its HELLO; @greeted says that one came. */
    bool greeted;
    struct agreed agreed;
    struct site site;
    uint64_t instance;
    uint64_t epoch;
    uint64_t schema_digest;
    char name[TEXT_SPACE];
    size_t vv_left;        /* entries of its first vector still to come */
    bool vv_open;          /* they come until a VV that is not full */
    gv_time_ms peer_clock; /* in its last frame that says */
    char endpoints[MESSAGE_ENDPOINTS_MAX][TEXT_SPACE];
    size_t endpoint_count;
    bool urgent;      /* it had hardly a link */
    bool probe;       /* dialled to be looked at, beyond the links wanted */
    bool looks;       /* so it was by the peer */
    bool served;      /* one side asked the other for something */
    bool placed_anew; /* where it can be dialled was not known before */

    bool spoken;        /* our HELLO left */
    uint64_t own_epoch; /* of it */
    size_t own_sketch;  /* hashes in it */

    /* What the peer said that it holds; what was pushed to it beyond that,
     * which returns the credit once it is covered; what of our vector it was
     * told. */
    struct vv believed;
    struct vv pushed;
    struct vv told;
    struct marks marks;
    struct outgoing out;
    gv_time_ms push_at; /* what is held leaves; before: what comes is held */

    /* An entry of @believed that we lack (version 0: none), since when this
     * one, since when any; since when the peer's hash says that we did not
     * hear all; since when it lacks something of ours.  NEVER: not so. */
    struct vv_entry missing;
    gv_time_ms missing_since;
    gv_time_ms behind_since;
    gv_time_ms unheard_since;
    gv_time_ms lag_since;

    struct passed *passed; /* as core->known, or NULL: nothing has */
    size_t words_from;     /* where the search for the next words begins */
    gv_time_ms words_at;   /* the next ones */

    gv_time_ms vv_at;        /* the next VV */
    gv_time_ms quiet_at;     /* one before it, if nothing comes in between */
    size_t news_unacked;     /* sent, bytes */
    size_t news_pending;     /* received, bytes not dealt with yet */
    size_t news_owed;        /* dealt with, bytes not acknowledged yet */
    uint64_t news_received;  /* intervals, since it was made */
    uint64_t news_duplicate; /* of them, held already */
    uint64_t news_bytes;     /* of their frames */

    /* timing.c: of this node's clock against the peer's, and what is known of
     * the way there; -1: not measured. */
    gv_time_ms clock_ahead;
    bool clock_measured;
    gv_time_ms rtt_ms;
    gv_time_ms peer_stamp, peer_stamp_at; /* the last one heard; 0: none */
    struct sample samples[TIMING_SAMPLES];
    size_t sample_count;
    enum beat_refusal peer_refuses; /* what this node has, and until when */
    gv_time_ms peer_retry_at;

    gv_time_ms exchange_at; /* PEERS are due since something is new */
    gv_time_ms listen_at;   /* PEERS before that are not read */

    unsigned want_failures;
    int refused;              /* GV_OK, GV_ESCHEMA, GV_ECLOCK */
    int reason_code;          /* what people were told of last */
    gv_time_ms refused_until; /* wall clock, which may be put right */
    char reason[TEXT_SPACE];
    bool diverged;
    bool fork_told;

    struct give give;

    /* What the peer asked to be recomputed; 0: nothing.  And of what it sends
     * piece by piece, which the store keeps meanwhile, the last one's time. */
    uint64_t attesting, carrying;
    gv_time_ms carrying_at;
    /* When the rows in which it differs are to be looked for (NEVER: they are
     * not), whether a person wants that, and them mended. */
    gv_time_ms proof_at;
    bool proof_asked, proof_mend;
    struct compared proven; /* what was looked at last */

    struct link *next_closed;
};

/* A complaint beside those of enum bye_code. */
#define COMPLAINT_UNREACHABLE (-1)

/* An endpoint that is known. */
struct peer {
    char endpoint[TEXT_SPACE];
    bool given;     /* by people; else learned */
    bool forgotten; /* once its link is gone */
    struct link *link;
    struct link *twin; /* another link with its site: not dialled meanwhile */
    gv_time_ms retry_at;
    gv_time_ms backoff_ms;
    gv_time_ms dialled_at; /* LONG_AGO: never */
    unsigned failures;     /* dials in a row that nobody answered */
    int complaint;         /* what people were told last; 0: nothing */
    bool refused;
    bool sited; /* @site is, or is said to be, there */
    struct site site;
    uint64_t instance;   /* of its run that was met there; 0: none was */
    gv_time_ms heard_at; /* its site was linked last; LONG_AGO: never */
    gv_time_ms told_at;  /* when a site that told of it last was */
    gv_time_ms rtt_ms;   /* -1: not known */
    char reason[TEXT_SPACE];
};

enum want_state {
    WANT_NONE,
    WANT_ASKED,   /* bytes are arriving and being staged */
    WANT_APPLYING /* EFFECT_APPLY_DELTA is under way */
};

/* What this node asked for: one at a time. */
struct want {
    enum want_state state;
    struct link *link; /* NULL: it went away while the delta is applied */
    uint64_t token;
    gv_time_ms sent_at;
    gv_time_ms progress_at;
    gv_time_ms pace_at; /* since then its answer brought what is behind */
    uint64_t pace_from; /* this many bytes */
    uint64_t spool;     /* of its answer; 0: none has come */
    uint64_t received;  /* bytes handed to EFFECT_STAGE */
    uint64_t staged;    /* bytes whose staging ended */
    uint64_t kept;      /* of these, what a crash would leave */
    uint64_t acked;
    size_t staging; /* EFFECT_STAGE under way */
    bool last;      /* all has come */
    uint8_t *claim;
    size_t claim_count;
    gv_time_ms not_before; /* the next WANT */
};

/* An interval that came early, and who brought it. */
struct guest {
    struct parcel *parcel;
    gv_link link;
    gv_time_ms since;
};

/* In all, and of one link. */
#define ROOM_COUNT_MAX 256
#define ROOM_SIZE_MAX (1024 * 1024)
#define ROOM_LINK_COUNT_MAX 64
#define ROOM_LINK_SIZE_MAX (256 * 1024)

struct room {
    struct guest guests[ROOM_COUNT_MAX]; /* in the order in which they came */
    size_t count;
    size_t size;        /* bytes */
    uint64_t looked_at; /* hash of the pending vector then */
};

/* A site that publishes, or may. */
struct origin {
    struct site site;
    gv_link source; /* which brings what it publishes; 0: none known */
    uint8_t late;   /* WANTs since it last brought anything */
    bool near;      /* that is a link with it, or with who is linked with it */
};

/* Slots are given once; @order has them ascending by site. */
struct origins {
    struct origin *items;
    uint32_t *order;
    size_t count;
    size_t capacity;
};

/* Intervals that passed lately, in the order in which they were held: as much
 * as peers may miss when a link or a frame is lost. */
#define RECENT_COUNT_MAX 512
#define RECENT_SIZE_MAX (1024 * 1024)

struct recent {
    struct parcel *items[RECENT_COUNT_MAX]; /* a ring from @first on */
    size_t first, count;
    size_t size; /* bytes, of the intervals and their dependencies */
};

/* The bytes of a delta that was cut, between two WANTs. */
struct stage {
    struct core_stage held;
    gv_time_ms since; /* NEVER: since before this run */
};

enum proof_state {
    PROOF_NONE,
    PROOF_WORKING, /* EFFECT_PROVE or EFFECT_PROVE_ON is under way */
    PROOF_ASKED    /* a CHECK is */
};

/* The look for differing rows: one at a time. */
struct proof_turn {
    enum proof_state state;
    struct link *link;
    uint64_t token;
    bool mend, asked;
    struct vv meet; /* what both cover */
    gv_time_ms asked_at;
    gv_time_ms rest_until; /* the next one that no person asked for */
};

struct arena;

/* Two instances of one site that were linked in turns. */
#define CORE_RIVALS_MAX 8
struct rivals {
    struct site site;
    uint64_t instances[2]; /* the one that came last is the second */
    unsigned turns;        /* 0: an empty place */
    gv_time_ms at;         /* of the last one */
};

/* Who was turned away (away.c). */
struct away {
    struct site site;
    char name[TEXT_SPACE];
    enum bye_code code;          /* 0: an empty place */
    char reason[3 * TEXT_SPACE]; /* all that hello.c says */
    gv_time_ms at;
};

struct core {
    struct dialect dialect;
    struct site site;
    char mesh[TEXT_SPACE];
    char name[TEXT_SPACE];
    char endpoints[MESSAGE_ENDPOINTS_MAX][TEXT_SPACE];
    size_t endpoint_count;
    uint64_t instance;
    uint64_t schema_digest;
    struct random random;

    gv_time_ms now;
    gv_time_ms wall;

    struct vv vv;       /* what the store holds */
    struct vv pending;  /* that, and what it is applying */
    size_t applying;    /* applies under way, of intervals and deltas */
    gv_version own_end; /* what the store said of our own entry */
    struct hash128 fingerprint;

    bool exchange;
    struct peer *peers[CORE_KNOWN_MAX]; /* those given first */
    size_t peer_count, given_count;
    uint64_t known_changes;
    gv_time_ms stranger_at;       /* the next learned one may be dialled */
    gv_time_ms trim_at, probe_at; /* of the view */
    gv_time_ms exchange_at;       /* PEERS for anyone */
    int clock_wrong; /* by most peers: 1 ahead, -1 behind, and people know */
    struct link *links[CORE_LINKS_MAX];
    size_t link_count;
    gv_link next_link;
    struct link *closed; /* freed at the next step */

    struct known *known; /* room for KNOWN_SITES_MAX, or NULL: none yet */
    size_t known_count;
    struct room room;
    struct recent recent;
    struct origins origins;
    struct parcel *spent; /* freed at the next step */

    struct want want;
    struct stage stage;
    gv_version too_far; /* refused last for the clock; 0: nothing was */
    char too_far_reason[TEXT_SPACE];
    uint64_t delta_credit;
    uint64_t give_order;
    struct rivals rivals[CORE_RIVALS_MAX];
    struct away away[CORE_AWAY_MAX];
    struct proof_turn proof;

    struct core_counters counters;

    /* Of this step. */
    struct effect *effects;
    size_t effect_count;
    size_t effect_capacity;
    struct arena *arena;
    int error;
};

#endif
