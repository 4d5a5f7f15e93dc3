/* What the rooms of an extract share: extract.c runs one, reader.c opens its
 * snapshot, places.c finds the rows, outgoing.c sends one. */
#ifndef STORE_EXTRACT_H
#define STORE_EXTRACT_H

#include "store/fragments.h"
#include "store/internal.h"

struct row_place {
    int64_t table;
    int64_t rid;
};

struct extract {
    struct store *store;
    struct extract *next;
    unsigned slot;
    uint64_t spool_id;
    uint64_t schema_generation;
    gv_version *asker; /* by site number */
    size_t asker_count;
    struct buffer asked; /* the vector that it was read for */
    struct buffer claim;
    struct spool spool;
    bool kept; /* nobody is sent it now */
    gv_time_ms kept_at;
    struct buffer chunk;
    struct fragments fragments;
    bool done;
    bool complete; /* all of it was read, and can be read again */

    bool whole;      /* join tables instead of going to places[] */
    size_t table_at; /* the table being joined */
    struct row_place *places;
    size_t place_count, place_capacity, place_at;
    struct gather *gather; /* the user's rows of that table; NULL: joined */
    sqlite3_stmt *read;    /* of the table at hand */
    sqlite3_stmt *parked; /* its entries, once a table that has some is read */
    sqlite3_stmt *cells;  /* likewise */
    int64_t read_table;

    uint64_t scan_steps, vm_steps;
};

/* An extract of all that these rows hold, ascending.  As extract_begin(). */
int extract_rows(struct store *store, const struct row_place *places,
                 size_t count, struct extract **extract,
                 struct gv_error *error);

/* Add what @statement did to the extract's effort. */
void extract_add_effort(struct extract *extract, sqlite3_stmt *statement);

/* extract.c */

/* One that has a slot and nothing else yet; NULL: out of memory. */
struct extract *extract_new(struct store *store);
int extract_open_spool(struct extract *extract);

/* places.c */

/* The rows to send into extract->places, ascending, each once; where they are
 * too many extract->whole is set. */
int places_find(struct extract *extract);
int place_compare(const void *a, const void *b);

/* gather.c */

/* Prepare to read the rows of @table ahead, if that is worth it: else
 * extract->gather stays NULL. */
int gather_begin(struct extract *extract, const struct store_table *table);
/* Read one row ahead, or none: *@ready when the next row of gather_log() is
 * one whose values are there, or there is no row left. */
int gather_turn(struct extract *extract, bool *ready);
/* Whether the rows turned out to lie in key order; nothing was sent yet. */
bool gather_in_vain(const struct gather *gather);
/* The log's rows, with columns as outgoing_row() reads them. */
sqlite3_stmt *gather_log(const struct gather *gather);
/* GV_ECORRUPT: what gather_log() came to (@row: a row) is not what comes
 * next. */
int gather_met(const struct gather *gather, bool row);
/* The values of the row at hand into store->values, borrowed until
 * gather_next(); *@present: the user's table has it. */
int gather_values(struct gather *gather, const struct store_table *table,
                  bool *present);
void gather_next(struct gather *gather);
void gather_end(struct extract *extract);

/* outgoing.c */

/* "r.k1,…", by which the log's rows stand in order; all three of them to be
 * sqlite3_free()d, NULL without memory. */
char *outgoing_keys(const struct store_table *table);
/* " LEFT JOIN …": the user's rows to the log's. */
char *outgoing_join(const struct store_table *table);
/* ",t.name,…": the columns that are there. */
char *outgoing_names(const struct store_table *table);
/* Whether the user's table has it. */
bool outgoing_is_there(const struct store_column *column);

/* The table to read, its statement prepared. */
int outgoing_use(struct extract *extract, struct store_table *table,
                 struct gv_error *error);
/* Read it row by row from both sides, and nothing ahead. */
int outgoing_join_rows(struct extract *extract, struct store_table *table);
/* The row that extract->read stands on.  GV_EDIFFERS: it got past the
 * triggers, and was journalled; GV_ECORRUPT: its state is damaged. */
int outgoing_row(struct extract *extract, struct store_table *table,
                 struct gv_error *error);
/* Nothing is read any more. */
void outgoing_end(struct extract *extract);

/* All that live. */
void extracts_close(struct store *store);

#endif
