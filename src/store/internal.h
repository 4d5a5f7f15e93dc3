/* What the rooms of the store share: the open store and the row at hand. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "core/clock.h"
#include "core/row.h"
#include "store/audit.h"
#include "store/borrowed.h"
#include "store/cells.h"
#include "store/footprint.h"
#include "store/inbox.h"
#include "store/keys.h"
#include "store/log.h"
#include "store/parked.h"
#include "store/spool.h"
#include "store/sql.h"
#include "store/state.h"
#include "store/store.h"
#include "store/tables.h"
#include "store/ver.h"
#include "store/withheld.h"
#include "wire/stream.h"

#define STORE_FORMAT 2
#define STORE_PATH_SIZE 4096
/* How long to wait for another writer: a node must not stop hearing its peers
 * (it tries again soon), a command may wait. */
#define STORE_BUSY_NODE_MS 20
#define STORE_BUSY_COMMAND_MS 10000

/* Numbers that change with each transaction and live in gv_meta. */
struct store_numbers {
    gv_version clock; /* the largest version seen, own or not */
    struct hash128 fingerprint;
    unsigned busy;      /* BUSY_…: the log is not what the vector says */
    gv_version pending; /* the largest own version in no interval yet */
};

/* What is done in slices and has shown a part; see work.c. */
#define BUSY_SEALING 1u
#define BUSY_APPLYING 2u

struct store {
    char path[STORE_PATH_SIZE];      /* resolved */
    char directory[STORE_PATH_SIZE]; /* path + "-gv" */
    const struct host *host;
    char *vfs;
    struct log log;
    enum store_mode mode;
    void *lock;
    sqlite3 *db;      /* writes */
    sqlite3 *scratch; /* of describe.c while tables are read, or NULL */
    sqlite3 *reader;  /* extracts; opened when first needed */
    bool borrowed;    /* both are the application's; see borrowed.c */
    enum store_within within;
    struct settings settings; /* of the application's, set aside */
    int wal_frames;
    int64_t data_version; /* at the last store_poll() */
    uint32_t change;      /* of the log's index, likewise */
    int64_t polled_schema_version;

    bool wal;
    bool joined; /* our tables are there */
    bool in_transaction;
    int lost;         /* why the open transaction cannot be committed, if so */
    bool stale;       /* the sites could not be read again after a rollback */
    bool moved;       /* the file went back in time, or another one bears its
                         name: nothing more is written */
    bool state_due;   /* the state file is to be synced when it is written */
    bool overwritten; /* its bytes were, while it was in use */
    struct footprint footprint;
    struct log_place log_synced;
    bool log_doubted;         /* a sync of it failed in this run */
    struct withheld withheld; /* by the last seal */
    bool row_damaged;         /* why a row that was read gave GV_ECORRUPT */
    int64_t written_ns; /* the file's, at the last look; see store_look() */
    bool journalled;    /* a row found changed waits for the next seal */
    bool firing;        /* triggers are on, see triggers.c */
    int64_t changes;    /* rows written by this connection when it began */
    uint64_t mark;      /* the commit mark of our last transaction */
    bool defined;       /* tables[] holds what the open apply registered */
    uint64_t next_mark;
    struct store_numbers numbers;
    struct store_numbers committed;

    /* Sites by their local number; number 0 is nobody. */
    struct site *sites;
    size_t site_count; /* numbers below this are in use */
    size_t site_capacity;
    uint32_t own;     /* number of the file's own site */
    uint32_t lost_id; /* of the site whose records a renewal moves; 0: none */
    gv_version lost_above; /* those above it */
    struct vv vv;          /* as of the open transaction; see transaction.c */

    int64_t schema_version;     /* that tables[] was read at; -1: read again */
    uint64_t resumed_schema;    /* at which parked cells were last tried */
    uint64_t schema_generation; /* new each time tables[] is read */
    struct store_table **tables;
    size_t table_count;

    sqlite3_stmt *begin, *commit, *rollback, *early_begin, *early_lock,
        *schema_version_read, *mark_read, *meta_write, *journal_read,
        *journal_clear, *journal_delete, *ver_insert, *ver_insert_many,
        *ver_delete, *site_raise, *own_raise, *site_find, *interval_insert,
        *interval_find, *untold, *told_write, *data_version_read,
        *journal_last, *inbox_row;
    sqlite3_stmt *history_insert, *history_prune;             /* history.c */
    sqlite3_stmt *parked_find, *parked_write, *parked_delete; /* parked.c */
    sqlite3_stmt *cells_read, *cell_write, *cell_delete;      /* cells.c */

    /* Saved rows' dots that gv_ver does not have yet; see rows_flush(). */
    struct ver_row ver_rows[VER_ROWS];
    size_t ver_count;

    /* Of the reader. */
    sqlite3_stmt *reader_begin, *reader_rollback, *reader_mark,
        *reader_journal, *reader_range;

    struct early *early;       /* what was read before the lock; early.c's */
    struct batch *batch;       /* rows read ahead, or NULL */
    struct rowids *rowids;     /* that gv_rowids shows; gather.c's */
    struct row_space space;    /* the row at hand */
    struct row_space fragment; /* what is merged into it */
    struct buffer state;       /* a state being encoded */
    struct buffer hashed;      /* a record being hashed */
    struct buffer key;         /* a key being encoded */

    struct value values[ROW_BITS_MAX]; /* of the row at hand, by column */
    bool digested; /* they were read ahead, and these are their digests: */
    uint64_t digests[ROW_BITS_MAX];
    uint64_t hollow[ROW_WORDS_MAX]; /* bits whose value is not here */
    struct value read_back[ROW_BITS_MAX];
    struct parked parked;
    /* What the log said of the row at hand before a fragment came. */
    uint64_t old_held[ROW_WORDS_MAX];
    uint64_t old_digests[ROW_BITS_MAX];
    /* A row found to differ from the log while applying. */
    int64_t past_table; /* 0: none */
    char reason[200];   /* why SQLite refused the user's row at hand */
    struct buffer past_key;
    struct buffer stream;   /* fragments of the interval being sealed */
    struct buffer interval; /* the interval sealed last */
    struct store_sealed sealed;

    const struct store_kinds *kinds; /* asked of the table being tracked */
    struct audit audit;
    struct inbox inbox; /* a delta that is arriving */
    struct store_slices limits;
    struct gv_error stuck;    /* why the last slice failed; code GV_OK: it did
                                 not */
    struct sealing *sealing;  /* the seal in slices; NULL: none, or none of its
                                 journal is known yet */
    bool stage_each;          /* pieces of a delta are committed one by one */
    size_t slice_rows;        /* of a delta; 0: limits.rows */
    size_t slice_keys;        /* keys of its next slice */
    struct extract *extracts; /* all that live */
    unsigned extract_tries;   /* in a row that met a journal not empty */
};

#endif
