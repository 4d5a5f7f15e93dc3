/* What the store knows of each tracked table, and of its columns. */
#ifndef STORE_TABLES_H
#define STORE_TABLES_H

#include "core/row.h"
#include "store/sql.h"
#include "store/store.h"
#include "wire/stream.h"

/* SQLite's column affinities (lang: datatype3, section 3.1). */
enum affinity {
    AFFINITY_BLOB,
    AFFINITY_TEXT,
    AFFINITY_NUMERIC,
    AFFINITY_INTEGER,
    AFFINITY_REAL
};

/* A column; columns[i] of a table, which lie outside the key, has bit i + 1.
 */
struct store_column {
    char *wire;
    char *local; /* NULL: the table here has no such column */
    char *peer; /* what peers' files call it, if not as on the wire; or NULL */
    char *type; /* as declared; "" if it was not */
    uint64_t wire_hash;
    enum affinity affinity;
    bool shown;    /* the table here has this column; `local` is its name */
    bool stands;   /* not shown, but here with its table; see there */
    bool returned; /* shown since the tables were read: parked_show() has not
                      looked yet */
    struct value initial; /* its default when it was registered; owned */
    uint64_t initial_digest;
    bool default_differs;  /* from a peer's, as of its last definition */
    enum column_kind kind; /* not of keys */
};

#define TABLE_UPDATES_MAX 16

/* An UPDATE of one set of columns. */
struct table_update {
    uint64_t mask[ROW_WORDS_MAX];
    sqlite3_stmt *statement;
};

/* How many rows at once get new values in a few columns; see updates.c. */
enum change_by {
    CHANGE_BARE,   /* an INSERT that names these columns */
    CHANGE_FILLED, /* it names the others too */
    CHANGE_SINGLY  /* no statement does it */
};

#define TABLE_CHANGES_MAX 8

/* Why a table that was tracked here is not as it was; kept in gv_table. */
enum table_away {
    AWAY_NOT,
    AWAY_GONE, /* dropped for good: under its name stands nothing, or what was
                  made later and has not been audited yet */
    AWAY_KEYS  /* other key columns took its name: not tracked any more */
};

struct store_table {
    int64_t id;
    char *wire;
    char *local;
    uint64_t wire_hash;
    bool tracked; /* shared under the name `local`; else the log alone */
    bool shown;   /* tracked, there, and with its key: rows can be read
                     and written; see README.md, Cells */
    enum table_away away;
    bool stands;      /* not tracked, but there with its key: what it still has
                         of the log's values can be sent */
    unsigned options; /* STREAM_TABLE_… */
    bool suspended;   /* not synced until it has been audited; see audit.c */
    bool integer_key; /* INTEGER PRIMARY KEY: the rid of gv_row_N is the key */
    size_t key_count;
    struct store_column *keys; /* they have no default */
    size_t column_count;
    struct store_column *columns;
    size_t words;       /* of this table's masks */
    size_t each_count;  /* columns with a cell for each site; their masks: */
    uint64_t *sums;     /* of counters, NULL if there is none */
    uint64_t *siblings; /* of multi-value columns, likewise */
    uint16_t *order;    /* column indexes by ascending wire name */
    char *fault;        /* why it cannot be read or written now, or NULL */
    bool has_triggers;  /* of the application's own */
    bool raises;        /* one of them may refuse a row or skip it */
    bool fires;         /* they fire on apply: they write untracked tables */
    bool parks;         /* gv_parked may have cells of it */
    bool evicts;  /* it has a UNIQUE index beside its key: a REPLACE takes
                     rows away without a trigger */
    bool refused; /* SQLite refused a row of it, and the log says so */

    /* Prepared when first needed. */
    sqlite3_stmt *row_find, *row_last, *row_insert, *row_update;
    sqlite3_stmt *scan, *scan_rid, *scan_by_rid;
    unsigned walks_left_out, rids_left_out; /* that scan.c does not try */
    sqlite3_stmt *user_read, *user_keys, *user_insert, *user_insert_many,
        *user_delete;
    struct table_update updates[TABLE_UPDATES_MAX];
    size_t update_next;
    struct table_update changes[TABLE_CHANGES_MAX]; /* of many rows */
    size_t change_next;
    enum change_by change_by;
    sqlite3_stmt *batch_states, *batch_rowids, *batch_users, *batch_insert,
        *batch_insert_many, *batch_update_many;
    bool rowid_known, has_rowid; /* batch_read.c's */
    /* On the reader: outgoing.c's. */
    sqlite3_stmt *extract_all, *extract_one;
};

/* Word @word of @mask without the existence bit. */
static inline uint64_t column_bits(const uint64_t *mask, size_t word)
{
    return word == 0 ? mask[0] & ~(uint64_t)1 : mask[word];
}

#endif
