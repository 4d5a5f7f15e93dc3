/* The ledger from inside: what ledger.c (the flow), seals.c (from looks to
 * publications), fold.c (from publications to rows), audit.c (the checks) and
 * ledger_dump.c share. */
#ifndef SIM_LEDGER_STATE_H
#define SIM_LEDGER_STATE_H

#include "ledger.h"
#include "look.h"

/* Versions by the ledger's number of a site. */
struct vector {
    gv_version *at;
    size_t count;
};

/* What one publication says of one row. */
struct change {
    uint32_t row, run;
    gv_version version;
    uint32_t length; /* causal */
    bool existence;  /* born or dead by this */
    bool written[TABLE_COLUMNS_MAX];
    uint32_t values[TABLE_COLUMNS_MAX]; /* of a sum: what was added */
};

enum publication_state {
    CANDIDATE, /* looked at; whether it was sealed is not known yet */
    PUBLISHED,
    WITHDRAWN /* a crash took it back before anybody was told */
};

struct publication {
    enum publication_state state;
    size_t site, machine;
    gv_version from, to;
    struct vector seen;  /* the vector before it */
    gv_version seen_max; /* the largest version that had been seen */
    struct change *changes;
    size_t change_count;
    gv_time_ms *runs; /* the journal's, by their largest time */
    size_t run_count;
    gv_time_ms now; /* the wall clock at the look */
    size_t looked;  /* transactions of the machine at the look */
    bool rewound;   /* the file that made it was put back or lost … */
    bool excused;   /* … before any other machine held this */
};

struct origin {
    struct site id;
    gv_version told; /* the largest that anybody may have heard of */
    struct publication **list;
    size_t count, capacity;
};

enum transaction_state {
    PENDING,   /* not looked at, or not known to be sealed */
    SEALED,    /* in a publication */
    UNCHANGED, /* looked at, and there was nothing new */
    VANISHED,  /* lost in a crash, as it may be */
    EXCUSED    /* the file was put back or lost on purpose */
};

struct transaction {
    enum transaction_state state;
    int64_t program, number;
    bool durable;
    bool moved; /* it was in a file that is not there any more */
    struct publication *publication;
};

struct dot {
    gv_version version; /* 0: nobody wrote it */
    size_t site;
};

struct model_row {
    uint32_t length;
    struct dot existence;
    struct dot dots[TABLE_COLUMNS_MAX];
    uint32_t values[TABLE_COLUMNS_MAX];
};

/* A cell of TABLE_SKEW that shows something else than its value. */
struct instead {
    struct dot dot; /* of the value; version 0: it shows that */
    uint32_t shown;
};

/* A machine as the ledger knows it. */
struct member {
    bool known; /* it was open once */
    bool rewound;
    size_t site;
    struct vector vv;
    struct model_row *rows; /* by number; what lies beyond is unwritten */
    size_t row_count;
    struct look look;
    struct publication *candidate;
    size_t looked; /* transactions at the last look */
    struct transaction *transactions;
    size_t transaction_count, transaction_capacity;
    /* The columns of TABLE_SKEW that the node has taken note of. */
    bool adopted[TABLE_COLUMNS_MAX];
    struct instead (*instead)[TABLE_COLUMNS_MAX]; /* by row */
    size_t instead_count;
    size_t settled; /* none before this one is PENDING */
};

struct ledger {
    struct world *world;
    struct names names;
    uint32_t initial[TABLES][TABLE_COLUMNS_MAX];
    uint32_t passing; /* a value that nobody may see */
    struct origin *origins;
    size_t origin_count;
    struct member *members;
    size_t member_count;
    bool drops; /* columns are dropped in this run: values may be lost */
    uint64_t publication_count, transaction_count;
};

/* ledger.c */
void ledger_unreadable(struct ledger *ledger, const struct member *member,
                       const struct machine *machine);

/* seals.c */
gv_version vector_get(const struct vector *vector, size_t site);
void vector_set(struct vector *vector, size_t site, gv_version version);
size_t ledger_site(struct ledger *ledger, const struct site *site);
/* Look at the machine's tables, and make what a seal would publish now its
 * candidate; none if nothing differs. */
void seals_look(struct ledger *ledger, struct member *member,
                struct machine *machine);
/* The look was in vain: no seal came of it. */
void seals_drop(struct ledger *ledger, struct member *member);
/* Whether sealing @publication can have reported @to; gives its changes their
 * versions. */
bool seals_fit(struct publication *publication, gv_version to);
/* It was sealed.  Fails if its site has published over it. */
void seals_publish(struct ledger *ledger, struct publication *publication);
/* A crash took back what @site published above @above and told nobody. */
void seals_withdraw(struct ledger *ledger, size_t site, gv_version above);
/* The publication of @site that ends at @to, NULL if there is none.  A
 * candidate that fits is published by this: someone holds it. */
struct publication *seals_find(struct ledger *ledger, size_t site,
                               gv_version to);
void publication_free(struct publication *publication);

/* siblings.c */
/* I31: the machine keeps all values of multi-value cells that nobody has
 * replaced, and no others. */
void siblings_check(struct ledger *ledger, struct machine *machine);

/* skew.c: tables that differ between machines. */
/* What the node has noted of the file's columns, when it has opened it. */
void skew_opened(struct ledger *ledger, struct member *member,
                 struct machine *machine);
/* The same, after a commit. */
void skew_committed(struct member *member);
/* What a cell shows if nobody has written it since the last look. */
uint32_t skew_known(const struct ledger *ledger, const struct member *member,
                    const struct model_row *model, uint32_t row,
                    size_t column);
/* Whether a cell shows its value, or may show what it does: the value is
 * parked beside the table, or lost. */
bool skew_agrees(struct ledger *ledger, struct member *member,
                 struct machine *machine, uint32_t row, size_t column);
/* Whether the file has a cell without its value, which does not travel: it
 * shows the default. */
bool skew_hollow(struct ledger *ledger, struct member *member,
                 struct machine *machine, uint32_t row, size_t column);
/* Whether a live row may be missing: the table was dropped with all that this
 * file had of it, and made again. */
bool skew_row_lost(const struct ledger *ledger, struct machine *machine,
                   uint32_t row);

/* fold.c */
struct model_row *fold_row(struct member *member, uint32_t row);
/* What a cell shows. */
uint32_t fold_shown(const struct ledger *ledger, const struct model_row *model,
                    uint32_t row, size_t column);
/* The member's vector becomes @vv; what it newly covers is folded in.  @back:
 * entries may have fallen, then all of it is folded anew. */
void fold_follow(struct ledger *ledger, struct member *member, size_t machine,
                 const struct vv *vv, bool back);

#endif
