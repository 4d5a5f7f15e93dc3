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

/* What a link's peer asked for. */
struct give {
    enum give_state state;
    uint64_t token;
    uint64_t credit;
    uint64_t order; /* of its WANT among all, so that the oldest is first */
    struct vv vv;   /* the asker's */
    uint64_t spool;
    uint64_t size;
    size_t claim_count;
    uint64_t offset; /* sent so far */
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

struct link {
    gv_link number;
    struct peer *peer; /* NULL: accepted */
    enum link_state state;
    gv_time_ms since;    /* dialled or accepted */
    gv_time_ms up_at;    /* LINK_UP since */
    gv_time_ms heard_at; /* the last frame */
    bool announced;      /* a line said that it is up */

    /* From its HELLO; @greeted says that one came. */
    bool greeted;
    struct site site;
    uint64_t instance;
    uint64_t epoch;
    uint64_t schema_digest;
    char name[TEXT_SPACE];
    char endpoint[TEXT_SPACE];
    gv_time_ms clock_ahead; /* of this node, as of the last frame that says */
    size_t vv_left;         /* entries of its first vector still to come */
    bool vv_open;           /* they come until a VV that is not full */
    gv_time_ms peer_clock;  /* in its last frame that says */

    bool spoken;        /* our HELLO left */
    uint64_t own_epoch; /* of it */
    size_t own_sketch;  /* hashes in it */

    /* What the peer said that it holds; what was pushed to it beyond that,
     * which returns the credit once it is covered; what of our vector it was
     * told.  Per-origin eager and
     * lazy marks will stand beside @pushed. */
    struct vv believed;
    struct vv pushed;
    struct vv told;

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
    gv_time_ms ack_at;       /* the next ACK of news; NEVER: none is owed */
    size_t news_unacked;     /* sent, bytes */
    size_t news_pending;     /* received, bytes not dealt with yet */
    size_t news_owed;        /* dealt with, bytes not acknowledged yet */
    uint64_t news_received;  /* intervals, since it was made */
    uint64_t news_duplicate; /* of them, held already */
    uint64_t news_bytes;     /* of their frames */

    unsigned want_failures;
    int refused;     /* GV_OK, GV_ESCHEMA, GV_ECLOCK */
    int reason_code; /* what people were told of last */
    gv_time_ms refused_until;
    char reason[TEXT_SPACE];
    bool diverged;
    bool fork_told;

    struct give give;
    struct link *next_closed;
};

/* A complaint beside those of enum bye_code. */
#define COMPLAINT_UNREACHABLE (-1)

/* An endpoint to dial. */
struct peer {
    char endpoint[TEXT_SPACE];
    struct link *link;
    gv_time_ms retry_at;
    gv_time_ms backoff_ms;
    int complaint; /* what people were told last; 0: nothing */
    bool refused;
    bool twin; /* @site is linked by another link; not dialled while it is */
    struct site site;
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
    uint64_t received; /* bytes handed to EFFECT_STAGE */
    uint64_t staged;   /* bytes whose staging ended */
    uint64_t acked;
    size_t staging; /* EFFECT_STAGE under way */
    bool last;      /* all has come */
    uint8_t *claim;
    size_t claim_count;
    gv_time_ms not_before; /* the next WANT */
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

struct core {
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

    struct peer peers[CORE_PEERS_MAX];
    size_t peer_count;
    struct link *links[CORE_LINKS_MAX];
    size_t link_count;
    gv_link next_link;
    struct link *closed; /* freed at the next step */

    struct known *known; /* room for KNOWN_SITES_MAX, or NULL: none yet */
    size_t known_count;

    struct want want;
    uint64_t give_order;
    struct rivals rivals[CORE_RIVALS_MAX];

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
void emit_log(struct core *core, enum gv_log_level level, const char *format,
              ...) __attribute__((format(printf, 3, 4)));

/* peer.c: endpoints, when to dial, how long to wait. */
void peer_tick(struct core *core);
gv_time_ms peer_deadline(const struct core *core);
/* Whether people were not told of @complaint about @peer just before; they
 * are now. */
bool peer_complain(struct peer *peer, int complaint);
/* What becomes of @peer after a link of it ended with @code (0: no BYE). */
void peer_settle(struct core *core, struct peer *peer, enum bye_code code,
                 const char *reason);
/* The link that serves @peer although another dial made it, or NULL. */
struct link *peer_twin(const struct core *core, const struct peer *peer);

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
void tell_soon(struct core *core, struct link *link);
void tell_all_soon(struct core *core);
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

/* news.c: intervals out and in. */
void news_sealed(struct core *core, const struct event *event);
int news_receive(struct core *core, struct link *link,
                 const struct message_news *news);
void news_applied(struct core *core, const struct event *event);
void news_acknowledged(struct link *link, uint64_t size);
/* One apply has ended. */
void news_apply_ended(struct core *core);
/* Mark what @link offers as refused until the cause may have passed. */
void news_refuse(struct core *core, struct link *link, int code,
                 gv_version largest, const char *reason);

/* want.c: asking for what is missing. */
void want_note(struct core *core, struct link *link, const struct site *site,
               gv_version version);
void want_rescan(struct core *core, struct link *link);
void want_link_gone(struct core *core, struct link *link);
int want_receive(struct core *core, struct link *link,
                 const struct message_delta *delta);
void want_staged(struct core *core, const struct event *event);
void want_applied(struct core *core, const struct event *event);
void want_stop(struct core *core);
void want_schema_changed(struct core *core);
void want_tick(struct core *core);
gv_time_ms want_deadline(const struct core *core);

/* give.c: answering a WANT. */
int give_receive(struct core *core, struct link *link,
                 const struct message_want *want);
void give_acknowledged(struct core *core, struct link *link,
                       const struct message_ack *ack);
void give_extracted(struct core *core, const struct event *event);
void give_drop(struct core *core, struct link *link);
void give_next(struct core *core);
void give_tick(struct core *core);
gv_time_ms give_deadline(const struct core *core);

#endif
