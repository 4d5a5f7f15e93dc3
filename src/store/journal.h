/* The journal: which rows an application wrote.  Its rows are read once, in
 * the order of their ids, and handed out key by key in key order. */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "store/internal.h"

/* A row of the journal that is to be looked at. */
struct journal_entry {
    int64_t id;
    struct store_table *table;
    size_t key_at; /* in journal.keys */
    size_t key_size;
    uint64_t head; /* see key_head() */
    uint32_t run;
};

/* What was written without a pause; it gets a version of its own. */
struct run {
    gv_time_ms ms; /* the largest of its rows; UNTIMED: deletes alone */
    gv_version version;
};

/* A delete's row has no time: it is of the run in which it stands. */
#define UNTIMED (-1)

struct journal {
    struct journal_entry *entries; /* from @done on by key, then id */
    size_t count, capacity;
    size_t done;              /* entries before this one are out of the file */
    int64_t last_id;          /* all rows up to here were read */
    bool any;                 /* it has rows that do not stay */
    bool skipped;             /* it has rows of suspended tables */
    uint64_t generation;      /* of the tables, see schema_generation */
    struct withheld withheld; /* entries that stay although they were tried */
    struct buffer keys;
    struct run *runs;
    size_t run_count, run_capacity;
    gv_time_ms last_ms;
};

void journal_init(struct journal *journal);
void journal_close(struct journal *journal);
/* Read what was written since the last call and put it in order; all of the
 * journal at the first call, and when tables came, went or were suspended in
 * between.  In a transaction, or with none: then it is looked at again in
 * one. */
int journal_load(struct store *store, struct journal *journal);
/* The next key from place *@at on, which moves: its last entry, which decides
 * its run; NULL when there is none.  Entries of suspended tables are passed
 * over.  Places begin at journal->done, and are good until the next load. */
const struct journal_entry *journal_next(struct journal *journal, size_t *at);
/* Delete exactly the rows of the entries before place @at.  Those of tables
 * that are suspended now stay, and the next load reads them again; those that
 * are withheld stay too, and this journal is done with them. */
int journal_delete(struct store *store, struct journal *journal, size_t at);

/* Mark one row as changed, now. */
int journal_row(struct store *store, const struct store_table *table,
                const struct row_key *key);
/* Whether the journal has the row: 1, 0 or an error. */
int journal_has(struct store *store, const struct store_table *table,
                const struct row_key *key);
/* Delete all its rows but those of suspended tables; all were read under the
 * lock. */
int journal_clear(struct store *store);

#endif
