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
    sqlite3_stmt *read;   /* of the table at hand */
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

/* outgoing.c */

/* The table to read, its statement prepared. */
int outgoing_use(struct extract *extract, struct store_table *table,
                 struct gv_error *error);
/* The row that extract->read stands on.  GV_EDIFFERS: it got past the
 * triggers, and was journalled; GV_ECORRUPT: its state is damaged. */
int outgoing_row(struct extract *extract, struct store_table *table,
                 struct gv_error *error);
/* Nothing is read any more. */
void outgoing_end(struct extract *extract);

/* All that live. */
void extracts_close(struct store *store);

#endif
