/* The messages of the protocol, as the core speaks them.  core/README.md says
 * when each is sent, wire/README.md how each looks in a frame.
 *
 * All pointers are borrowed: of a decoded message they point into its frame,
 * of a message in an effect they live until the next step. */
#ifndef CORE_MESSAGE_H
#define CORE_MESSAGE_H

#include "base/hash.h"
#include "core/dialect.h"
#include "core/vv.h"

/* A frame never exceeds 256 KiB; a DELTA's bytes and claim together stay
 * under 240 KiB, a NEWS under 64 KiB, so that headers always fit. */
#define MESSAGE_FRAME_SIZE_MAX (256 * 1024)
#define MESSAGE_DELTA_SIZE_MAX (240 * 1024)
#define MESSAGE_NEWS_SIZE_MAX (64 * 1024)
#define MESSAGE_INTERVALS_MAX 64
#define MESSAGE_ENDPOINTS_MAX 8
#define MESSAGE_TEXT_SIZE_MAX 255
/* Words in one VV, entries in each, bytes of a name in it: 8 * (32 * 24 + 64
 * + 60) = 7 kB beside the entries of the VV. */
#define MESSAGE_WORDS_MAX 8
#define MESSAGE_WORD_ENTRIES_MAX 32
#define MESSAGE_WORD_NAME_MAX 64
/* As far as a clock goes; nothing is said to be older. */
#define MESSAGE_WORD_AGE_MAX ((uint64_t)(VERSION_MAX >> 16))
/* Of 32 * (257 + 18 + 5) bytes at most, 9 KB; in most meshes 1 KB. */
#define MESSAGE_PEERS_MAX 32

enum message_kind {
    MESSAGE_HELLO = 1,
    MESSAGE_NEWS,
    MESSAGE_VV,
    MESSAGE_WANT,
    MESSAGE_DELTA,
    MESSAGE_ACK,
    MESSAGE_PRUNE, /* whose intervals are not to be pushed, or are again */
    MESSAGE_PEERS, /* who else can be dialled */
    MESSAGE_BYE,
    MESSAGE_CHECK, /* of a proof: what is to be recomputed */
    MESSAGE_PROOF  /* the answer */
};
#define MESSAGE_KIND_MAX MESSAGE_PROOF

/* What a CHECK asks for; wire/proof.h has the bytes of each. */
enum check_what {
    CHECK_SUMS = 1, /* a sum for each range of keys */
    CHECK_HEADS,    /* what the rows of some ranges are made of */
    CHECK_MEND,     /* take these rows, and send yours */
    /* Where they fit no frame: with FEATURE_PIECES only. */
    CHECK_PIECE, /* take this piece of a row */
    CHECK_REST   /* send the next piece of yours */
};

enum bye_code {
    BYE_UNKNOWN,   /* read, never sent: a reason of a later version */
    BYE_STOPPING,  /* the node shuts down */
    BYE_SAY_HELLO, /* the first message was not a HELLO */
    BYE_DUPLICATE, /* another link with this peer stays */
    BYE_SELF,      /* you dialled yourself */
    BYE_SAME_SITE, /* another live node has my site id */
    BYE_OTHER_MESH,
    BYE_OTHER_VERSION, /* no protocol version in common */
    BYE_BAD_MESSAGE,   /* a frame or message that breaks the protocol */
    BYE_FULL,          /* no room for another link; PEERS named others */
    BYE_SILENT         /* nothing was heard for too long */
};

/* Text of @size bytes, not NUL-terminated. */
struct text {
    const char *bytes;
    size_t size;
};

/* Hashes of ranges of a vector (core/sketch.h), big-endian: a power of two of
 * them, or none. */
#define SKETCH_HASH_SIZE 8
#define SKETCH_HASHES_MAX 512
struct sketch_view {
    const uint8_t *bytes;
    size_t count;
};

/* What one seal of @site published: everything after @from, up to @to, and
 * the version vector entries on which it depends.  @bytes is the interval
 * whole, as its origin encoded it; nodes pass it on as it is. */
struct interval {
    struct site site;
    gv_version from;
    gv_version to;
    struct vv_view dependencies;
    const uint8_t *bytes;
    size_t size;
};

struct message_hello {
    struct dialect dialect;
    struct text mesh;
    struct site site;
    uint64_t instance; /* random, new at each start of the node */
    uint64_t epoch;    /* random, new with each HELLO */
    struct text name;
    struct text endpoints[MESSAGE_ENDPOINTS_MAX]; /* where it can be dialled */
    size_t endpoint_count;
    uint32_t vv_count; /* entries that follow in VV frames */
    uint64_t schema_digest;
    gv_time_ms clock;          /* wall */
    struct sketch_view sketch; /* none: all entries follow at once */
    bool urgent; /* the sender has hardly a link: one that is full makes
                    room for it */
    bool looks;  /* it only looks: nothing is pushed on this link */
};

struct message_news {
    struct interval intervals[MESSAGE_INTERVALS_MAX];
    size_t interval_count; /* at least 1, but in an answer */
    uint64_t token;        /* of the WANT to which they are the answer, or 0 */
};

/* What the sender of a VV last knew of another live site (core/known.c). */
struct word {
    struct site site;
    uint64_t instance; /* of its node */
    struct text name;  /* at most MESSAGE_WORD_NAME_MAX */
    gv_time_ms clock;  /* of that site, when it said so */
    uint64_t age_ms;   /* so long ago */
    bool linked;       /* the sender is linked with it */
    uint64_t vv_hash;  /* of its vector */
    bool whole;        /* @differs says all */
    /* Where its vector is not the sender's; version 0: nothing of a site. */
    struct vv_view differs;
};

/* Why what a peer offers is not taken at present. */
enum beat_refusal {
    REFUSES_NOTHING,
    REFUSES_SCHEMA,
    REFUSES_CLOCK, /* it lies too far ahead of the sender's clock */
    REFUSALS
};

/* What makes of a VV a heartbeat that measures: stamps are of monotonic
 * clocks, and mean something to who set them only. */
struct message_beat {
    gv_time_ms stamp; /* the sender's, now; at least 1 */
    gv_time_ms echo;  /* the last stamp heard on this link; 0: none */
    gv_time_ms held;  /* how long ago that was */
    enum beat_refusal refusal;
    gv_time_ms retry; /* the refusal ends after so long */
};

struct message_vv {
    uint64_t epoch; /* of the sender's HELLO on this link */
    struct vv_view entries;
    uint64_t vv_hash;           /* of the sender's whole vector */
    struct hash128 fingerprint; /* zero: not shown, an apply is under way */
    gv_time_ms clock;
    struct word words[MESSAGE_WORDS_MAX];
    size_t word_count;
    struct message_beat beat;
    uint64_t news_size; /* as in an ACK */
    /* The WANT that the sender answers by a DELTA, 0: none; so many bytes of
     * it left before this VV.  An older version does not say. */
    bool says_answer;
    uint64_t answers;
    uint64_t answered;
};

/* How a WANT may be answered. */
enum want_answer {
    ANSWER_DELTA, /* older versions know nothing else */
    ANSWER_NEWS,  /* or by a NEWS, if that has it all */
    ANSWER_WHOLE, /* so it may, with all entries of the vector in VVs */
    /* By a NEWS of nothing and these: with FEATURE_VECTORS only. */
    ANSWER_VECTOR,
    ANSWERS
};

struct message_want {
    struct vv_view vv; /* what of the asker's vector it did not tell yet */
    uint64_t token;
    uint64_t credit; /* bytes that may be on their way unacknowledged */
    uint64_t spool;  /* resume cursor, both 0 for a fresh delta */
    uint64_t offset;
    enum want_answer answer;
};

struct message_delta {
    uint64_t token;
    uint64_t spool;
    uint64_t offset; /* of the first of these bytes in the delta */
    const uint8_t *bytes;
    size_t size;
    bool last;            /* the delta ends here; @claim is meaningful */
    struct vv_view claim; /* the sender's vector in the snapshot it read */
};

struct message_ack {
    uint64_t news_size;  /* bytes of intervals dealt with since the last ACK */
    uint64_t token;      /* of a delta, or 0 */
    uint64_t delta_size; /* bytes of it taken since the last ACK */
    bool delta_applied;  /* all of it is applied, claimed and committed */
};

/* Where a site can be dialled, and how long ago the sender was last linked
 * with it. */
struct peer_address {
    struct text endpoint;
    struct site site;
    uint32_t age_s;
};

struct message_peers {
    struct peer_address addresses[MESSAGE_PEERS_MAX];
    size_t count; /* at least 1 */
};

enum prune_kind {
    PRUNE_STOP,   /* the sender gets what they publish from somewhere else */
    PRUNE_LINKED, /* so it does, from themselves: it is linked with them */
    PRUNE_PUSH,   /* push it again */
    PRUNE_KINDS
};

struct message_prune {
    const uint8_t *sites; /* of 16 bytes each */
    size_t count;         /* 1 to VV_SITES_MAX */
    enum prune_kind kind;
};

struct message_bye {
    enum bye_code code;
    struct text text;
};

/* @meet: what both vectors cover; no row with a record above it counts. */
struct message_check {
    uint64_t token;
    enum check_what what;
    struct vv_view meet;
    const uint8_t *bytes;
    size_t size;
};

struct message_proof {
    uint64_t token;
    bool done; /* else @bytes is empty: not now, or not in one frame */
    const uint8_t *bytes;
    size_t size;
};

struct message {
    enum message_kind kind;
    union {
        struct message_hello hello;
        struct message_news news;
        struct message_vv vv;
        struct message_want want;
        struct message_delta delta;
        struct message_ack ack;
        struct message_peers peers;
        struct message_prune prune;
        struct message_bye bye;
        struct message_check check;
        struct message_proof proof;
    } as;
};

/* The feature without which @kind is neither sent nor read; 0: none. */
uint64_t dialect_needs(enum message_kind kind);

#endif
