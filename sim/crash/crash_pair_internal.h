/* What the files of a pair share: crash_pair.c runs it, crash_side.c is what
 * a machine does, crash_check.c what must hold.
 *
 * A pair is two machines.  On each runs a node (a store, driven directly)
 * and an application with a connection of its own.  The first machine is the
 * one that suffers; the second remembers what it was told. */
#ifndef SIM_CRASH_PAIR_INTERNAL_H
#define SIM_CRASH_PAIR_INTERNAL_H

#include "crash_pair.h"
#include "crash_script.h"
#include "store/store.h"

#define PAIR_PATH "/data.db"
/* Numbers of the second machine's transactions lie above. */
#define OTHERS 100000

/* What is known of a number of the script.  It is durable when COMMIT
 * returned with FULL, or when a store_commit() that sealed it returned. */
enum number_state {
    NUMBER_UNTRIED,
    NUMBER_TRIED,
    NUMBER_ACKED,
    NUMBER_DURABLE,
    NUMBER_LOST
};

struct side {
    const char *node_name, *application_name;
    struct disk *disk;
    struct process *node, *application;
    struct store *store;
    sqlite3 *db;
    struct buffer news; /* a frame: what was sealed last */
};

struct pair {
    struct pair_setting setting;
    struct side a, b;
    gv_time_ms now;
    int step;
    uint64_t token;
    uint8_t numbers[PAIR_TRANSACTIONS_MAX + 1];
    int others;       /* the second machine's last transaction */
    bool open;        /* all stores and applications are */
    bool crashed;     /* and what is found then was not looked at yet */
    bool kept_all;    /* the power never failed */
    struct site site; /* of the first store, once it told something */
    gv_version told;  /* its last publication that may be known elsewhere */
    gv_version heard; /* of the second one, held by the first */
    enum pair_end end;
    char violation[600];
};

bool pair_violate(struct pair *pair, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Something failed: because a process died, or without a reason, which is a
 * violation.  Both return false. */
bool pair_failed(struct pair *pair, const char *doing, int code,
                 const char *why);

/* Each returns whether it was done; else pair_violate() or pair_failed()
 * was called. */
bool side_open_application(struct pair *pair, struct side *side);
bool side_open_store(struct pair *pair, struct side *side);
/* Join the mesh and track the script's tables. */
bool side_join(struct pair *pair, struct side *side);
/* The application runs transaction @number of the script. */
bool side_run(struct pair *pair, struct side *side, int number);
/* One transaction of @side's node: seal, apply what stands in the frame
 * @news (or NULL), commit.  *@applied is the code of the apply. */
bool side_turn(struct pair *pair, struct side *side, const struct buffer *news,
               int *applied);
/* @to gets what it lacks of what @from has. */
bool side_pull(struct pair *pair, struct side *to, struct side *from);

/* The first column of the first row for the application; -1 if none. */
int64_t side_ask(struct side *side, const char *text);

/* After a crash: when the first store is open again and has begun nothing,
 * and when its application is. */
bool check_told(struct pair *pair);
bool check_kept(struct pair *pair);

#endif
