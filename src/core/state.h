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

/* Of a delta that was cut, as much as a credit is worth waiting for its
 * provider for so long: time enough to dial again after a process was started
 * again.  Then another one is asked. */
#define STAGE_WAIT_MS 3000
/* A provider keeps its side as long. */
#define STAGE_KEEP_MS 3600000

/* Before all that a monotonic clock can say; what is taken from it or added
 * to it does not overflow. */
#define LONG_AGO (INT64_MIN / 4)

/* So many dials in a row that reached nobody make a peer unlikely. */
#define PEER_FAILURES_MAX 3
/* What others tell of a peer nobody here ever reached is kept so long. */
#define PEER_HEARSAY_MS (2 * 3600 * 1000)
/* Learned peers are dialled one after another: 64 of them within 3 s, and no
 * list of names makes a flood of connections. */
#define PEER_STRANGER_MS 50

/* With fewer links a node is let in where others are refused. */
#define VIEW_URGENT 4
/* ... and not let go of at once. */
#define VIEW_GRACE_MS 30000
/* Links that are kept with peers that people named. */
#define VIEW_GIVEN 2

/* PEERS go to one peer once in a while, and soon after something new; a
 * receiver does not listen more often than each pause.  What was not seen for
 * an hour is not told. */
#define EXCHANGE_EVERY_MS (5 * 60 * 1000)
#define EXCHANGE_SOON_MS 2000
#define EXCHANGE_PAUSE_MS 500
#define EXCHANGE_AGE_MS (3600 * 1000)

/* Heartbeats whose round trips are compared. */
#define TIMING_SAMPLES 8

/* A delta's spool is dropped when its asker is silent about it for this
 * long: three times as long as any asker waits. */
#define GIVE_PATIENCE_MS (3 * CORE_WANT_PATIENCE_MS)

/* Entries in one VV frame: 9,000 * 24 = 216,000 bytes leave room for what
 * else a frame of 256 KiB holds. */
#define TELL_ENTRIES_MAX 9000

/* What is known of sites: how many, entries of their vectors together (600
 * kB), words on a link a second, how often a word is told again when nothing
 * but its time is new, and how long a site is kept when others want its
 * place. */
#define KNOWN_SITES_MAX 256
#define KNOWN_ENTRIES_MAX 25000
#define KNOWN_INTERVAL_MS CORE_HEARTBEAT_MS
#define KNOWN_REFRESH_MS 60000
#define KNOWN_KEEP_MS (3600 * 1000)

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
    struct vv vv;   /* the asker's */
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

    /* What the peer asked to be recomputed; 0: nothing. */
    uint64_t attesting;
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
    uint64_t spool;    /* of its answer; 0: none has come */
    uint64_t received; /* bytes handed to EFFECT_STAGE */
    uint64_t staged;   /* bytes whose staging ended */
    uint64_t kept;     /* of these, what a crash would leave */
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

/* emit.c: effects and the memory they borrow, which lives until the next
 * step.  A lack of memory is kept in core->error and loses the effect, which
 * is why those that start store work say whether they stand. */
void emit_begin(struct core *core);
void emit_close(struct core *core);
void *emit_memory(struct core *core, size_t size);
bool emit_vv(struct core *core, const struct vv *vv, struct vv_view *view);
bool emit(struct core *core, const struct effect *effect);
bool emit_message(struct core *core, gv_link link,
                  const struct message *message);
void emit_bye(struct core *core, gv_link link, enum bye_code code,
              const char *text);
void emit_close_link(struct core *core, gv_link link);
/* A copy of @text; NULL without memory. */
const char *emit_text(struct core *core, const char *text);
void emit_log(struct core *core, enum gv_log_level level, const char *format,
              ...) __attribute__((format(printf, 3, 4)));

/* peer.c: endpoints, when to dial, how long to wait. */
void peer_close(struct core *core);
void peer_tick(struct core *core);
gv_time_ms peer_deadline(const struct core *core);
struct peer *peer_find(const struct core *core, const char *endpoint);
/* The peer at @endpoint, new if need be.  NULL: no room or memory. */
struct peer *peer_learn(struct core *core, const char *endpoint);
/* It was learned, and has no link. */
void peer_forget(struct core *core, struct peer *peer);
/* If @peer is still known: who is there is not. */
void peer_doubt(struct core *core, struct peer *peer);
/* @site is at @peer, met there as @instance (0: it was only said). */
void peer_place(struct core *core, struct peer *peer, const struct site *site,
                uint64_t instance);
/* Its site is, or just was, linked. */
void peer_heard(struct core *core, struct peer *peer);
/* The HELLO of @link came, and it stays. */
void peer_greeted(struct core *core, struct link *link);
/* @link is out of the table; those whose site it had may need another. */
void peer_link_gone(struct core *core, const struct link *link,
                    enum bye_code code);
/* When it may be dialled; NEVER: it has a link. */
gv_time_ms peer_due(const struct core *core, const struct peer *peer);
void peer_dial(struct core *core, struct peer *peer);
/* Whether people were not told of @complaint about @peer just before; they
 * are now. */
bool peer_complain(struct peer *peer, int complaint);
/* What becomes of @peer after @link, which it had, ended with @code (0: no
 * BYE).  False: it is forgotten. */
bool peer_settle(struct core *core, struct peer *peer, const struct link *link,
                 enum bye_code code, const char *reason);

/* view.c: with whom to link when more are known than can be linked with. */
bool view_narrow(const struct core *core);
void view_tick(struct core *core);
gv_time_ms view_deadline(const struct core *core);
/* Whether this node needs any link it can get. */
bool view_urgent(const struct core *core);
/* Whether @link, which this node dialled, is one beyond those wanted. */
bool view_looks(const struct core *core, const struct link *link);
/* Whether @link is no part of any tree: one side only looks at the other. */
bool view_aside(const struct link *link);
/* Whether @link, just greeted, may stay; if not, it is closed. */
bool view_admit(struct core *core, struct link *link);

/* exchange.c: who else can be dialled. */
void exchange_tell(struct core *core, struct link *link);
/* @link was greeted: where its site is. */
void exchange_learn(struct core *core, struct link *link);
/* @link is up: both sides tell what they know. */
void exchange_begin(struct core *core, struct link *link);
int exchange_receive(struct core *core, struct link *link,
                     const struct message_peers *peers);
void exchange_tick(struct core *core);
gv_time_ms exchange_deadline(const struct core *core);

/* timing.c: clocks and round trips. */
void timing_reset(struct link *link);
void timing_beat(const struct core *core, const struct link *link,
                 struct message_beat *beat);
void timing_heard(struct core *core, struct link *link,
                  const struct message_vv *vv);
/* By how much this node's clock is ahead of the median of its peers'; returns
 * how many these are. */
size_t timing_median(const struct core *core, gv_time_ms *ahead);

/* link.c: a link's life. */
struct link *link_find(const struct core *core, gv_link number);
struct link *link_new(struct core *core, gv_link number, struct peer *peer);
void link_up(struct core *core, const struct event *event);
void link_down(struct core *core, const struct event *event);
/* Say BYE and close; @text says why, for people on both sides. */
void link_bye(struct core *core, struct link *link, enum bye_code code,
              const char *text);
/* Close without a word to the peer. */
void link_close(struct core *core, struct link *link, enum bye_code code,
                const char *reason);
void link_receive_bye(struct core *core, struct link *link,
                      const struct message_bye *bye);
void link_free_closed(struct core *core);
void link_tick(struct core *core);
gv_time_ms link_deadline(const struct core *core);
/* "NAME (SITE8)", or where it is before its HELLO.  @text has 2 *
 * TEXT_SPACE. */
const char *link_who(const struct link *link, char *text);

/* hello.c: who may talk with whom. */
int hello_receive(struct core *core, struct link *link,
                  const struct message_hello *hello);
/* The first vector is complete. */
void hello_complete(struct core *core, struct link *link);
/* Copy what a peer calls itself so that it can stand in a line: no control
 * bytes, valid UTF-8. */
void hello_text(struct text from, char to[TEXT_SPACE]);

/* rivals.c: two live nodes with one site id that are linked here but not with
 * one another.  The link @new takes the place of @old, which is of another
 * instance of its site: whether both of them live. */
bool rivals_turn(struct core *core, const struct link *old,
                 const struct link *new);

/* away.c: who was turned away. */
/* False: people know. */
bool away_note(struct core *core, const struct message_hello *hello,
               enum bye_code code, const char *reason);
/* It was let in. */
void away_forget(struct core *core, const struct site *site);

/* tell.c: HELLO, VV and ACK out; VV in. */
void tell_hello(struct core *core, struct link *link);
/* The entries of our vector that are above those told on @link, for a message
 * that the caller sends; they count as told from now on. */
bool tell_changed(struct core *core, struct link *link, struct vv_view *view);
/* The vectors' part of the peer's first HELLO: take what is equal, send what
 * is not. */
void tell_meet(struct core *core, struct link *link,
               const struct message_hello *hello);
/* Start anew with a peer that did: it was told nothing. */
void tell_anew(struct core *core, struct link *link);
/* Tell all of our vector once more. */
void tell_whole(struct core *core, struct link *link);
void tell_soon(struct core *core, struct link *link);
/* When nothing has come for a while, or with the next heartbeat. */
void tell_later(struct core *core, struct link *link);
void tell_tick(struct core *core);
gv_time_ms tell_deadline(const struct core *core);
void tell_dealt(struct core *core, struct link *link, size_t news_size);
int tell_receive(struct core *core, struct link *link,
                 const struct message_vv *vv);
/* The peer holds @version of @site. */
void tell_believe(struct core *core, struct link *link,
                  const struct site *site, gv_version version);
void tell_believe_view(struct core *core, struct link *link,
                       struct vv_view view);
/* Look again whether the peer lacks something of ours. */
void tell_lag(struct core *core, struct link *link);
/* Our own vector rises: @site to @version. */
void tell_raise(struct core *core, const struct site *site,
                gv_version version);

/* known.c: what sites without a link here hold, by word of mouth. */
/* Add the words that are due on @link. */
void known_say(struct core *core, struct link *link, struct message_vv *vv);
void known_hear(struct core *core, struct link *link,
                const struct message_vv *vv);
/* @link was greeted whole, is about to go. */
void known_linked(struct core *core, struct link *link);
void known_parted(struct core *core, struct link *link);
void known_close(struct core *core);

/* parcel.c: copies of intervals.  Errors: NULL, and core->error. */
struct parcel *parcel_new(struct core *core, const struct interval *interval);
struct parcel *parcel_share(struct parcel *parcel);
/* The last owner's frees it, at the next step. */
void parcel_drop(struct core *core, struct parcel *parcel);
void parcel_free_spent(struct core *core);

/* mark.c: who pushes whose intervals to whom. */
/* Whether the peer gets what @site publishes from somewhere else. */
bool mark_lazy(const struct core *core, const struct link *link,
               const struct site *site);
/* Whether another link than @link is to bring what @site publishes. */
bool mark_elsewhere(const struct core *core, const struct link *link,
                    const struct site *site);
/* @link brought something of @site that was new, or that was not. */
void mark_first(struct core *core, struct link *link, const struct site *site);
void mark_again(struct core *core, struct link *link, const struct site *site);
int mark_receive(struct core *core, struct link *link,
                 const struct message_prune *message);
/* This node asks the peer. */
void mark_asks(struct core *core, struct link *link);
void mark_link_up(struct core *core, struct link *link);
void mark_link_gone(struct core *core, const struct link *link);
/* Of how many origins nothing is pushed to the peer, and by it. */
void mark_count(const struct core *core, const struct link *link, size_t *lazy,
                size_t *pruned);
void mark_tick(struct core *core);
gv_time_ms mark_deadline(const struct core *core);
void mark_close(struct core *core);
/* For core_check(). */
bool mark_sound(const struct core *core, const struct link *link);

/* push.c: intervals out. */
void push_all(struct core *core, const struct interval *interval);
/* Send @news, which @link asked for; false without credit. */
bool push_answer(struct core *core, struct link *link,
                 const struct message_news *news);
/* Forget what is held for @link. */
void push_drop(struct core *core, struct link *link);
void push_tick(struct core *core);
gv_time_ms push_deadline(const struct core *core);

/* recent.c: intervals that passed lately. */
/* @shared: a copy of @interval for this step; made if it is NULL. */
void recent_keep(struct core *core, const struct interval *interval,
                 struct parcel **shared);
/* Answer a WANT by them; false if they are not all that @link's peer lacks,
 * or too much. */
bool recent_answer(struct core *core, struct link *link, uint64_t token);
void recent_close(struct core *core);

/* room.c: intervals that came early. */
bool room_holds(const struct core *core, const struct interval *interval);
/* Whether what follows of @site waits, for its dependencies only. */
bool room_next_of(const struct core *core, const struct site *site);
/* False if there is no place. */
bool room_enter(struct core *core, struct link *link,
                const struct interval *interval);
/* Hand the store what can be applied now. */
void room_retry(struct core *core);
void room_tick(struct core *core);
gv_time_ms room_deadline(const struct core *core);
void room_close(struct core *core);

/* news.c: intervals in. */
void news_sealed(struct core *core, const struct event *event);
int news_receive(struct core *core, struct link *link,
                 const struct message_news *news);
void news_applied(struct core *core, const struct event *event);
/* Hand @interval to the store; false if there is no room for it. */
bool news_apply(struct core *core, struct link *link,
                const struct interval *interval);
void news_acknowledged(struct link *link, uint64_t size);
/* One apply has ended. */
void news_apply_ended(struct core *core);
/* Mark what @link offers as refused until the cause may have passed. */
void news_refuse(struct core *core, struct link *link, int code,
                 gv_version largest, const char *reason);
/* Whether @link offers what was refused before, and is still too far ahead;
 * then it is refused without asking for it. */
bool news_refuse_again(struct core *core, struct link *link);

/* want.c: asking for what is missing. */
void want_note(struct core *core, struct link *link, const struct site *site,
               gv_version version);
void want_rescan(struct core *core, struct link *link);
void want_link_gone(struct core *core, struct link *link);
int want_receive(struct core *core, struct link *link,
                 const struct message_delta *delta);
/* What the peer says of its answer. */
void want_heard(struct core *core, struct link *link,
                const struct message_vv *vv);
/* A NEWS was the answer to the WANT of @token. */
int want_answered(struct core *core, struct link *link, uint64_t token);
void want_staged(struct core *core, const struct event *event);
void want_applied(struct core *core, const struct event *event);
void want_stop(struct core *core);
void want_schema_changed(struct core *core);
void want_tick(struct core *core);
gv_time_ms want_deadline(const struct core *core);

/* stage.c: a delta that was cut goes on where it was. */

/* The WANT ends, and its bytes wait for the rest; false: they cannot. */
bool stage_keep(struct core *core);
/* They are not waited for any more. */
void stage_drop(struct core *core);
/* The cursor of a WANT to @link; drops what is another provider's. */
void stage_cursor(struct core *core, const struct link *link,
                  struct message_want *want);
/* The first piece of an answer: whether it goes on, or begins anew. */
int stage_answered(struct core *core, const struct link *link,
                   const struct message_delta *delta);
/* Whether @link is the provider of what waits. */
bool stage_is_of(const struct core *core, const struct link *link);
/* Until when no other one than the provider is asked. */
gv_time_ms stage_patience(const struct core *core);
void stage_tick(struct core *core);

/* give.c: answering a WANT. */
int give_receive(struct core *core, struct link *link,
                 const struct message_want *want);
void give_acknowledged(struct core *core, struct link *link,
                       const struct message_ack *ack);
void give_extracted(struct core *core, const struct event *event);
/* Say in @vv what leaves for the peer. */
void give_say(const struct link *link, struct message_vv *vv);
void give_drop(struct core *core, struct link *link);
void give_next(struct core *core);
void give_tick(struct core *core);
gv_time_ms give_deadline(const struct core *core);

/* proof.c: in which rows a peer differs. */
/* The vectors are equal and the fingerprints are not. */
void proof_diverged(struct core *core, struct link *link,
                    struct hash128 theirs);
void proof_wish(struct core *core, const struct event *event);
void proof_proved(struct core *core, const struct event *event);
void proof_attested(struct core *core, const struct event *event);
int proof_receive(struct core *core, struct link *link,
                  const struct message_proof *proof);
int proof_asked(struct core *core, struct link *link,
                const struct message_check *check);
void proof_link_gone(struct core *core, struct link *link);
void proof_tick(struct core *core);
gv_time_ms proof_deadline(const struct core *core);

#endif
