/* What was written past the triggers: what is known of it. */
#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H

#include "store/tables.h"

/* What the audit knows of a table.  It is kept apart from the store_table,
 * which is made anew whenever the schema moves. */
struct audit_table {
    int64_t id;
    bool suspended;
    bool publish;    /* what is found in it now is published */
    uint64_t live;   /* rows that the log says are alive */
    uint64_t dead;   /* of these, how many are not there */
    uint64_t unlike; /* rows unlike the log, the dead ones among them */
};

/* A row found unlike the log, to be looked at again under the lock. */
struct audit_place {
    int64_t table;
    size_t key_at, key_size; /* in audit.keys */
};

enum audit_phase {
    AUDIT_REST,
    AUDIT_LOOK,    /* counting what is unlike the log */
    AUDIT_WAIT,    /* until the schema has been quiet */
    AUDIT_PUBLISH, /* putting it into the journal */
    AUDIT_LIFT,    /* the next transaction seals it */
    AUDIT_CLOSE    /* the next transaction notes that it is done */
};

struct audit {
    /* As in gv_meta: the schema_version that was audited, or -1, and when by
     * the wall clock. */
    int64_t audited;
    gv_time_ms audited_at;

    enum audit_phase phase;
    int64_t schema;   /* the schema_version at the last step */
    gv_time_ms since; /* when it was first seen */
    int64_t settled;  /* the schema_version that was quiet for long enough, so
                         that what is missing is taken for gone */
    bool believed;    /* the tables are read at that version */
    bool moved;       /* they are read at one that was not audited */
    bool accepted;    /* by a person: no more waiting */
    bool resumed;     /* a table is synced again; not reported yet */
    uint64_t found;   /* rows published since the store was opened */
    uint64_t damaged; /* rows whose log is, as of the last look, */
    uint64_t damaged_now; /* and by that which is under way */

    struct audit_table *tables;
    size_t table_count;

    /* Where the walk stands: the table, in its log or in the user's table,
     * and behind which row. */
    size_t walk_table;
    bool walk_user;
    bool walk_begun;
    int64_t walk_rid;
    struct buffer walk_key;

    struct audit_place *places;
    size_t place_count, place_capacity;
    struct buffer keys;
};

/* What is known of a table, made if need be; until the next such call. */
int audit_entry(struct store *store, int64_t id, struct audit_table **entry);
/* Read what gv_meta holds of it. */
int audit_load(struct store *store);
/* A file that is just being made has nothing to audit. */
int audit_begin(struct store *store);
/* We moved the schema ourselves, from version @before: no reason to audit. */
int audit_follow(struct store *store, int64_t before);
/* Whether the schema moved since the last audit, so that what differs from
 * the log may be a migration under way. */
bool audit_pending(const struct store *store);
/* Sync @table no more until it has been audited. */
int audit_suspend(struct store *store, struct store_table *table);
/* A transaction was rolled back: look again at what it may have held. */
void audit_undo(struct store *store);
bool audit_suspended(const struct store *store, int64_t id);
/* Suspend it no longer. */
void audit_lift(struct store *store, int64_t id);
/* A comma-separated list of the suspended tables' ids, "" if there are none;
 * sqlite3_free() it. */
char *audit_list(const struct store *store);
/* Inside a write transaction, before the seal: look again at what the last
 * step found, and journal what is still so. */
int audit_turn(struct store *store, struct gv_error *error);
void audit_close(struct store *store);

/* For audit_step.c: look at all rows again; more than half of the rows are
 * gone; note in the file up to which schema all was looked at, and when. */
void audit_restart(struct store *store);
bool audit_most_died(const struct audit_table *entry);
int audit_note(struct store *store, int64_t version);
int audit_note_time(struct store *store);

#endif
