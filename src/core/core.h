/* The gossip protocol as a state machine without input or output.
 *
 * A driver gives it events and carries out the effects that a step returns;
 * the core opens no socket, reads no clock, owns no thread and never touches
 * a row.  Store work is an effect too, and its end comes back as an event, so
 * that a simulator can put a crash between the two.  core/README.md has the
 * protocol and its numbered invariants.
 *
 * A driver's loop:
 *
 *     event = wait until something happens or core_deadline() is reached
 *     core_step(core, &event, &effects)
 *     carry out the effects in order
 *
 * What an event points to must live until the effects of its step are carried
 * out: an interval that is passed on, or bytes that are staged, are not
 * copied.  Each EFFECT_APPLY, _STAGE, _APPLY_DELTA and _EXTRACT ends as one
 * event, in any later step; applies end in the order in which they were asked
 * for.  A DROP ends a STAGE or EXTRACT that is under way: the event may still
 * come, or not.  A HEARD_OWN has no end but the driver's own, when the file
 * went back in time.
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include "core/message.h"
#include "grapevine.h"

/* Heartbeat, and how long a silent link lives (RELIABILITY: a dead link is
 * found in 3 s). */
#define CORE_HEARTBEAT_MS 1000
#define CORE_SILENCE_MAX_MS 3000
/* A VV after progress that the peer is to ask for waits this long for more;
 * one that only tells, until nothing has come for so long. */
#define CORE_VV_PROGRESS_MS 50
#define CORE_VV_QUIET_MS 200
/* How long something may be missing before it is asked for. */
#define CORE_GRACE_MS 100
/* And longer, when somebody else is to bring it, or what it depends on. */
#define CORE_SOURCE_GRACE_MS 1000
/* A WANT that brings nothing for this long is given up. */
#define CORE_WANT_PATIENCE_MS 10000
/* But a provider that says that it reads may do so for this long: 50 million
 * rows at 50,000 a second. */
#define CORE_WANT_READING_MS (1000 * 1000)
/* In so much time it has to bring a credit, or another one is asked. */
#define CORE_WANT_PACE_MS 60000
/* Reconnects back off from the first to the last of these, with jitter. */
#define CORE_RECONNECT_MIN_MS 100
#define CORE_RECONNECT_MAX_MS 5000
/* After a refusal that will not pass by itself (another mesh). */
#define CORE_REFUSED_RETRY_MS 30000
/* Looking for the rows in which this node and a peer differ: how long its
 * answer may take (it reads the whole file), the least time between two looks
 * that no person asked for, and that until the same is looked at again. */
#define CORE_PROOF_PATIENCE_MS 120000
#define CORE_PROOF_REST_MS 60000
#define CORE_PROOF_AGAIN_MS 3600000
/* What may be on its way on one link, unacknowledged. */
#define CORE_NEWS_CREDIT (256 * 1024)
#define CORE_DELTA_CREDIT (1024 * 1024)
/* Links of both kinds at once. */
#define CORE_LINKS_MAX 128
/* Peers that people may name, and those that may be known in all: 256
 * addresses are 150 KB. */
#define CORE_PEERS_MAX 64
#define CORE_KNOWN_MAX 256
/* Up to so many known peers everybody links with everybody; beyond that a
 * node dials while it has fewer links than wanted and refuses above the
 * most. */
#define CORE_FULL_MAX 64
#define CORE_VIEW_WANTED 6
#define CORE_VIEW_MAX 8
/* How often one of the others is looked at. */
#define CORE_PROBE_MS 30000
/* How long reconnects to learned peers back off at most: to those that were
 * linked once, and to those that never were. */
#define CORE_LEARNED_MAX_MS 60000
#define CORE_UNREACHED_MAX_MS (3600 * 1000)
/* A learned peer that was not linked for a month may be forgotten. */
#define CORE_PEER_AGE_MAX_MS ((gv_time_ms)30 * 86400 * 1000)
/* People are told of a clock that differs so much from most others. */
#define CORE_CLOCK_WARN_MS 10000

/* A link's number: even where the core dialled, odd where the driver
 * accepted.  Never used again in one run. */
typedef uint64_t gv_link;

enum event_kind {
    EVENT_TICK,           /* time has passed */
    EVENT_LINK_UP,        /* a dialled connection stands, or a frame came over
                             an unknown one */
    EVENT_LINK_DOWN,      /* a connection is gone or could not be made */
    EVENT_MESSAGE,        /* a frame came and was decoded */
    EVENT_BAD_FRAME,      /* a frame came that could not be decoded */
    EVENT_SEALED,         /* the store sealed local work, and synced it */
    EVENT_APPLIED,        /* the end of EFFECT_APPLY */
    EVENT_STAGED,         /* the end of EFFECT_STAGE */
    EVENT_DELTA_APPLIED,  /* the end of EFFECT_APPLY_DELTA */
    EVENT_EXTRACTED,      /* the end of EFFECT_EXTRACT */
    EVENT_SCHEMA_CHANGED, /* what was refused for the schema may be tried again
                           */
    EVENT_PROVE,   /* a person wants to know in which rows @link's peer differs
                    */
    EVENT_PROVED,  /* the end of EFFECT_PROVE and EFFECT_PROVE_ON */
    EVENT_ATTESTED /* the end of EFFECT_ATTEST */
};

struct event {
    enum event_kind kind;
    gv_time_ms now;  /* monotonic; never less than in the event before */
    gv_time_ms wall; /* wall clock */
    gv_link link;    /* LINK_*, MESSAGE, BAD_FRAME, and the ends of effects */
    int code;        /* the ends of effects, BAD_FRAME: GV_OK or why not */
    const char
        *reason; /* LINK_DOWN and failed effects: for a person, or NULL */
    union {
        /* LINK_UP: the connection does not leave this machine. */
        struct {
            bool local;
        } up;
        struct {
            const struct message *message;
            size_t frame_size;
        } message;
        /* SEALED: the interval sealed (bytes NULL: longer than a NEWS may
         * be), and the store's fingerprint after it. */
        struct {
            struct interval interval;
            struct hash128 fingerprint;
        } sealed;
        /* APPLIED: the same interval as in the effect.  The fingerprint
         * counts with GV_OK and GV_EDUPLICATE, as does all of
         * DELTA_APPLIED. */
        struct {
            struct interval interval;
            struct hash128 fingerprint;
        } applied;
        struct {
            uint64_t token;
            uint64_t size; /* bytes staged by this effect */
            /* Bytes of the delta, from its first on, that a crash leaves; or
             * that cannot be kept better now. */
            uint64_t kept;
        } staged;
        struct {
            uint64_t token;
            struct vv_view vv; /* the store's vector after it */
            struct hash128 fingerprint;
        } delta_applied;
        struct {
            uint64_t token;
            uint64_t spool;     /* names the provider's spool; not 0 */
            uint64_t size;      /* bytes of the delta */
            uint64_t offset;    /* of the first to send: that of the effect's
                                   cursor, if its spool was still there; or 0 */
            size_t claim_count; /* entries of the vector it claims */
        } extracted;
        struct {
            uint64_t schema_digest;
            /* A table that was forgotten took its records out of it. */
            struct hash128 fingerprint;
        } schema;
        struct {
            bool mend; /* and have them made equal */
        } prove;
        /* PROVED: the next question (what it asks for 0: there is none, and
         * @differ rows were named, of which @mended were made equal).
         * ATTESTED: the answer, and the rows that were @mended for it.  The
         * fingerprint counts if some may have been (@wrote). */
        struct {
            uint64_t token;
            enum check_what what;
            const uint8_t *bytes;
            size_t size;
            uint64_t differ, mended;
            bool wrote;
            struct hash128 fingerprint;
        } proved;
    } as;
};

enum effect_kind {
    EFFECT_CONNECT, /* dial @endpoint as @link */
    EFFECT_CLOSE,   /* forget @link; what was sent on it before (a BYE) still
                       goes out if it can */
    EFFECT_SEND,
    EFFECT_SEND_DELTA,   /* read a piece of an extracted delta and send it */
    EFFECT_APPLY,        /* apply and claim an interval in one transaction */
    EFFECT_STAGE,        /* append bytes to the delta that is arriving */
    EFFECT_APPLY_DELTA,  /* apply and claim what was staged, in one transaction
                          */
    EFFECT_DROP_STAGE,   /* the delta of @token will not be completed */
    EFFECT_EXTRACT,      /* read what @link's peer lacks */
    EFFECT_DROP_EXTRACT, /* the delta of @token is no longer wanted */
    EFFECT_LOG,          /* a line for people */
    EFFECT_PROVE,        /* begin to compare the file with a peer's */
    EFFECT_PROVE_ON,     /* what the peer answered */
    EFFECT_DROP_PROOF,   /* no answer will come */
    EFFECT_ATTEST,       /* recompute what a peer asks for */
    EFFECT_DROP_ATTEST,  /* it is no longer wanted */
    EFFECT_HEARD_OWN /* compare what a peer holds of this very site with the
                        ends of its intervals (store_heard_own()) */
};

/* Pointers live until the next step; a driver that works later copies. */
struct effect {
    enum effect_kind kind;
    gv_link link;
    union {
        struct {
            const char *endpoint;
        } connect;
        struct {
            struct message message;
        } send;
        /* Send a DELTA with @size bytes from @offset; when @last, with the
         * claim of the extract. */
        struct {
            uint64_t token;
            uint64_t spool;
            uint64_t offset;
            size_t size;
            bool last;
        } send_delta;
        struct {
            struct interval interval;
        } apply;
        /* At @offset; a stage of another token with just so many bytes of
         * this @spool of @site goes on under this token. */
        struct {
            uint64_t token;
            struct site site;
            uint64_t spool;
            uint64_t offset;
            const uint8_t *bytes;
            size_t size;
        } stage;
        struct {
            uint64_t token;
            uint64_t size;
            struct vv_view claim;
        } apply_delta;
        struct {
            uint64_t token;
            bool applied; /* DROP_EXTRACT: the asker has it all; else it may
                             ask for the rest of it */
        } drop;           /* DROP_STAGE, _EXTRACT, _PROOF, _ATTEST */
        struct {
            uint64_t token;
            bool mend;
            bool pieces;      /* rows that fit no frame can be mended too */
            bool asked;       /* by a person */
            const char *peer; /* its name, for people */
            struct vv_view meet;
        } prove;
        struct {
            uint64_t token;
            bool done;
            const uint8_t *bytes;
            size_t size;
        } prove_on;
        struct message_check attest;
        struct {
            uint64_t token;
            struct vv_view vv; /* the asker's */
            uint64_t spool;    /* go on with this one from @offset, if it is
                                  there and good for @vv; 0: none */
            uint64_t offset;
        } extract;
        struct {
            enum gv_log_level level;
            const char *line;
        } log;
        /* VERSION_MAX: another live node has this site's id and keeps it. */
        struct {
            gv_version version;
        } heard_own;
    } as;
};

struct effects {
    const struct effect *items;
    size_t count;
};

/* What is here of a delta whose last byte has not come. */
struct core_stage {
    uint64_t token;   /* 0: nothing */
    struct site site; /* the provider's */
    uint64_t spool;
    uint64_t size;
};

struct core_config {
    gv_time_ms now; /* monotonic, when it is made */
    struct site site;
    const char *mesh;
    const char *name;
    uint64_t instance;            /* new at each start: the time (s) in the
                                     upper half, the rest random */
    gv_link first_link;           /* to dial with (even); 0: 2 */
    uint64_t seed;                /* of the core's own random generator */
    const char *const *endpoints; /* where this node can be dialled */
    size_t endpoint_count;
    bool exchange;       /* dial also whom peers tell of (--static: no) */
    const struct vv *vv; /* what the store holds */
    struct hash128 fingerprint;
    uint64_t schema_digest;
    struct core_stage stage; /* what an earlier run left of a delta */
    /* Asked for with a WANT, at most CORE_DELTA_CREDIT; 0: that.  For tests.
     */
    uint64_t delta_credit;
    /* What the node speaks; all zero: what this version does.  For tests of
     * other ones. */
    struct dialect dialect;
};

enum link_state {
    LINK_WAITING,    /* a peer to dial; not connected, backing off */
    LINK_CONNECTING, /* dialled, not up yet */
    LINK_GREETING,   /* up; HELLO and its vector not complete yet */
    LINK_UP,         /* both ways in use */
    LINK_REFUSED     /* a refusal that will not pass by itself; tried rarely */
};

/* One link or peer to dial, for status.  Texts are borrowed until the next
 * step; an accepted link without endpoints has an empty endpoint. */
struct link_info {
    gv_link link; /* 0: none at present */
    bool dialled;
    bool given; /* the peer is one that people named; else it was learned */
    enum link_state state;
    const char *endpoint;
    const char *name;   /* "" until its HELLO */
    struct site site;   /* zeroes until its HELLO */
    gv_time_ms lag_ms;  /* for how long the peer has lacked something we hold;
                           0: it lacks nothing */
    const char *reason; /* why it is not up, or what of it is refused; "" */
    bool refused;       /* what it offers was refused (schema or clock) */
    bool schema_differs;
    bool diverged; /* equal vectors, unequal fingerprints */
    bool itself;   /* this node, dialled by itself; it is not tried again */
    size_t lazy;   /* origins whose intervals are not pushed to the peer */
    size_t pruned; /* those that it is not to push to this node */
    uint64_t news_received;    /* intervals that came in NEWS on this link */
    uint64_t news_duplicate;   /* of them, held already */
    uint64_t news_bytes;       /* of the frames that brought them */
    gv_time_ms clock_ahead_ms; /* this node's is ahead of the peer's, if by
                                  more than a node takes; behind: negative */
    gv_time_ms heard_ms;       /* the last frame came so long ago */
    const struct vv *believed; /* what it is believed to hold; NULL: nothing
                                  was heard yet */
    gv_time_ms rtt_ms;         /* there and back; -1: not measured */
    gv_time_ms offset_ms;      /* the peer's clock is ahead of this node's */
    gv_time_ms retry_ms; /* until it is dialled, or asked, again; 0: at once,
                            or nothing waits */
    enum beat_refusal peer_refuses; /* what this node has is not taken there */
    gv_time_ms peer_retry_ms;       /* until it is */
    struct agreed agreed;           /* with its HELLO; version 0: none came */
};

/* Who dialled this node of late and was turned away.  Borrowed until the next
 * step. */
#define CORE_AWAY_MAX 8
struct away_info {
    struct site site;
    const char *name;
    const char *reason;
    gv_time_ms ago_ms; /* the last time */
};

/* What a live site is last known to hold, by its own words or, if it has no
 * link here, by those of others.  Borrowed until the next step. */
struct known_info {
    struct site site;
    const char *name;
    bool linked;
    gv_time_ms heard_ms; /* that long ago; of words of others also by way of
                            them, and then only once a minute */
    const struct vv *vv; /* at least so much; NULL: nobody says */
    bool exact;          /* and no more */
};

/* The whole, for status. */
struct core_status {
    size_t known; /* peers that can be dialled, if they are there */
    size_t links_up;
    bool narrow;               /* more are known than are linked with */
    struct dialect dialect;    /* what this node speaks */
    size_t clocks;             /* peers whose clocks are known */
    gv_time_ms clock_ahead_ms; /* of this node, of the median of these */
};

/* A peer that is worth being remembered over a restart. */
struct known_peer {
    const char *endpoint; /* until the next step */
    struct site site;
    bool heard;     /* it was linked at least once; else only told of */
    gv_time_ms age; /* since it last was */
};

/* Counters since the core was made; they only grow. */
struct core_counters {
    uint64_t news_sent, news_received; /* intervals */
    uint64_t news_frames;              /* in which they were sent */
    uint64_t news_applied, news_duplicate, news_early, news_refused;
    /* Of those early: they waited for what they depend on, and it came. */
    uint64_t news_waited, news_in_time;
    uint64_t prunes_sent, prunes_received;
    uint64_t forks; /* intervals that straddled */
    uint64_t wants_sent, wants_received, deltas_applied, deltas_refused;
    uint64_t wants_by_news; /* that were answered without a delta */
    uint64_t wants_lost;    /* that were, or their answer was */
    uint64_t delta_bytes_sent, delta_bytes_received;
    uint64_t deltas_resumed; /* that went on where they were cut */
    uint64_t bad_messages;
    uint64_t divergences; /* equal vectors with unequal fingerprints, found */
    uint64_t proofs;      /* looks for the rows that ended */
    uint64_t rows_differed, rows_mended;
};

struct core;

/* Errors: GV_ENOMEM, GV_EINVAL (a text too long). */
int core_new(const struct core_config *config, struct core **core);
void core_free(struct core *core);

/* Dial @endpoint from now on (copied).  Takes effect at the next TICK.
 * Errors: GV_ELIMIT, GV_EEXIST, GV_EINVAL, GV_ENOMEM. */
int core_add_peer(struct core *core, const char *endpoint);
/* Nobody wants what core_add_peer() was told any more: it is a peer as any
 * that was learned, or, if the core learns none, it is forgotten; but there it
 * stays while it has a link. */
void core_drop_peer(struct core *core, const char *endpoint);

/* A peer that was learned at @endpoint @age ms ago, as of an earlier start.
 * Errors: GV_EINVAL (too old, this node itself, or the core learns no peers),
 * GV_ELIMIT, GV_ENOMEM. */
int core_know_peer(struct core *core, const char *endpoint,
                   const struct site *site, gv_time_ms age);
/* @endpoint was heard of just now, in another way than by PEERS.
 * Errors: as core_know_peer(). */
int core_learn_peer(struct core *core, const char *endpoint);
/* It is not there any more: if it was learned it is not dialled again; a link
 * that stands stays. */
void core_forget_peer(struct core *core, const char *endpoint);
/* False: there are not so many. */
bool core_known_peer(const struct core *core, size_t index, gv_time_ms now,
                     struct known_peer *known);
/* Differs when what core_known_peer() says was heard is not the same set. */
uint64_t core_known_changes(const struct core *core);

/* One step.  @effects borrows the core's memory until the next step.
 *
 * Errors: GV_EPROTO (a message that breaks the protocol: the effects close
 * its link with a BYE), GV_ENOMEM.  Effects are valid in each case. */
int core_step(struct core *core, const struct event *event,
              struct effects *effects);

/* When the next TICK is due, monotonic ms; INT64_MAX: none is. */
gv_time_ms core_deadline(const struct core *core);

/* Say BYE on every link: the driver's last step. */
void core_stop(struct core *core, gv_time_ms now, struct effects *effects);

const struct vv *core_vv(const struct core *core);
/* The number that the next link to dial will have, for another core of the
 * same run to go on with. */
gv_link core_next_link(const struct core *core);
size_t core_link_count(const struct core *core);
/* @index < core_link_count(). */
void core_link_info(const struct core *core, size_t index, gv_time_ms now,
                    struct link_info *info);
/* Each live site that was heard of in this run, this one excepted. */
size_t core_known_count(const struct core *core);
/* @index < core_known_count(). */
void core_known_info(const struct core *core, size_t index, gv_time_ms now,
                     struct known_info *info);
/* False: there are not so many. */
bool core_away_info(const struct core *core, size_t index, gv_time_ms now,
                    struct away_info *info);
void core_status(const struct core *core, struct core_status *status);
/* Whether a comparison that a person asked for is under way, or waits: one
 * that is not and did not end has lost its link before it began. */
bool core_prove_pending(const struct core *core);
const struct core_counters *core_counters(const struct core *core);

/* Walk the numbered invariants; false names the first broken one in @which. */
bool core_check(const struct core *core, const char **which);

#endif
