/* What the rooms of the store share: the open store, what it knows of each
 * tracked table, and the row at hand. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "core/clock.h"
#include "core/row.h"
#include "store/inbox.h"
#include "store/spool.h"
#include "store/sql.h"
#include "store/store.h"
#include "wire/stream.h"

#define STORE_FORMAT 2
#define STORE_PATH_SIZE 4096
/* How long to wait for another writer: a node must not stop hearing its peers
 * (it tries again soon), a command may wait. */
#define STORE_BUSY_NODE_MS 20
#define STORE_BUSY_COMMAND_MS 10000

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
    sqlite3_stmt *scan;
    unsigned walks_left_out; /* that scan.c does not try */
    sqlite3_stmt *user_read, *user_keys, *user_insert, *user_insert_many,
        *user_delete;
    struct table_update updates[TABLE_UPDATES_MAX];
    size_t update_next;
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

/* The cell of one site in a column of a row; see cells.c. */
struct cell {
    size_t bit;
    uint32_t site;
    gv_version version;
    struct value value;
    struct vv_view over; /* what it replaces; multi-value columns alone */
    uint8_t *owned;      /* the bytes of value and over, or NULL: borrowed */
    bool changed;        /* to be written, or deleted */
    bool gone;
};

struct cells {
    struct cell *items;
    size_t count, capacity;
};

/* A row's state in memory, with room to change it. */
struct row_space {
    struct row row;
    bool stored; /* gv_row_N has it, under rid */
    int64_t rid;
    size_t capacity;
    size_t words;
    size_t each;      /* each-bits of the table that it is used for */
    size_t each_room; /* cells of each record */
    struct record *records;
    uint64_t *room; /* the records' masks and cells */
    struct cells cells;
    uint64_t digests[ROW_BITS_MAX];
    /* As it was read: what gv_ver and the fingerprint hold of it. */
    struct record *before; /* masks not kept */
    size_t before_count;
    struct hash128 before_sum; /* once checked */
    uint32_t check;            /* of the state as it was read */
    bool checked;
};

/* Rows of gv_ver that go into one INSERT. */
#define VER_ROWS 32
#define VER_COLUMNS 4

struct ver_row {
    int64_t columns[VER_COLUMNS]; /* site, version, table, rid */
};

/* What gv_parked says of a cell: `held` in the file. */
enum parked_kind {
    PARKED_HOLLOW,  /* a record holds it, and its value is not here */
    PARKED_VALUE,   /* a record holds it, and this is its value */
    PARKED_DEFAULT, /* no record holds it; also the entry of existence */
};

/* The entries of the row at hand, by bit; see parked.c. */
struct parked {
    uint64_t listed[ROW_WORDS_MAX];  /* bits with an entry */
    uint64_t seen[ROW_WORDS_MAX];    /* those whose entry has `shown` */
    uint64_t changed[ROW_WORDS_MAX]; /* to be written, or deleted */
    enum parked_kind kinds[ROW_BITS_MAX];
    uint64_t shown[ROW_BITS_MAX];
    struct value values[ROW_BITS_MAX];
    struct buffer bytes; /* of values that were loaded */
};

/* A key's canonical bytes and what they decode to. */
struct row_key {
    const uint8_t *bytes;
    size_t size;
    size_t count;
    struct value values[KEY_COLUMNS_MAX];
};

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

/* Journal rows that no seal can take; see withheld.c. */
#define WITHHELD_MAX 200
struct withheld {
    int64_t ids[WITHHELD_MAX];
    size_t count;
    char row[200]; /* the first one's name */
};

/* How far a log was confirmed by the disk; see log.c. */
#define LOG_SALTS_SIZE 8
struct log_place {
    bool known;
    uint8_t salts[LOG_SALTS_SIZE]; /* which log */
    uint64_t end;                  /* bytes */
};

/* What the file looked like under its log; see footprint.c. */
#define FOOTPRINT_TRACES 16
struct footprint {
    bool known;
    int64_t at; /* where the page of gv_meta lay, and its size */
    int64_t size;
    uint64_t hash;                    /* of it, as the file has it */
    uint8_t traces[FOOTPRINT_TRACES]; /* of checkpoints */
};

/* What an application's connection may have otherwise. */
struct settings {
    bool taken;
    int triggers, foreign_keys, trusted_schema;
    bool checks_ignored;
    int64_t last_rowid;
};

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
        *journal_last;
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

/* borrowed.c: an application's connection */

/* Begin, commit and roll back, where the store stands. */
const char *borrowed_begin_text(enum store_within within);
const char *borrowed_commit_text(enum store_within within);
const char *borrowed_rollback_text(enum store_within within);
/* Set aside what the application had, and put it back. */
int borrowed_take(struct store *store);
void borrowed_give_back(struct store *store);
/* Whether what the store writes now is in a transaction. */
bool transaction_open(const struct store *store);
/* How long to wait for another writer; an application's own connection keeps
 * the patience it has. */
void connection_patience(struct store *store, int ms);

/* sites (identity.c) */

/* The number of @site, given one if it has none. */
int site_number(struct store *store, const struct site *site,
                uint32_t *number);
/* Raise a site's entry of the vector, in memory and in the file. */
int site_raise(struct store *store, uint32_t number, gv_version version);
int sites_load(struct store *store);
/* Unless they are known: after a rollback they may not have been readable, and
 * what is in memory is less than the file holds. */
int sites_again(struct store *store, struct gv_error *error);
/* Read gv_meta and the sites anew: what the file holds now. */
int meta_load(struct store *store);
/* Make our tables and a site id. */
int identity_create(struct store *store);
/* Compare the file with its marks and the state file; renew if it is a copy
 * or went back in time.  Inside a write transaction. */
int identity_check(struct store *store, struct gv_error *error);
/* Go on with a renewal once the tables are known: what the lost id published
 * since nobody knows when moves to the new one.  Inside the same
 * transaction. */
int identity_move(struct store *store, struct gv_error *error);
/* Look at what a peer holds of our own site.  GV_EFORK: another life of this
 * file published it; the open transaction is lost, and the next open
 * renews. */
int identity_heard(struct store *store, gv_version version,
                   struct gv_error *error);
int identity_heard_view(struct store *store, struct vv_view view,
                        struct gv_error *error);
/* Say in the state file that this site has issued versions up to @last; no
 * sync but after a renewal, or where it is made. */
void identity_note(struct store *store, gv_version last);
/* The file went back, or may have: sync what the state file says, which is now
 * all that tells. */
void identity_keep(struct store *store);

/* schema.c: the registered tables */

int schema_create(struct store *store);
/* Read the tracked tables if the schema moved since; inside a write
 * transaction it registers new columns and puts triggers back. */
int schema_refresh(struct store *store, bool may_write,
                   struct gv_error *error);
void schema_close(struct store *store);
struct store_table *schema_by_id(const struct store *store, int64_t id);
struct store_table *schema_by_wire(const struct store *store, const char *wire,
                                   size_t size);
/* The tracked table that this file calls so. */
struct store_table *schema_by_local(const struct store *store,
                                    const char *local);
void table_free(struct store_table *table);
void column_close(struct store_column *column);
/* Make what follows from @table's columns, again if they have grown. */
int table_finish(struct store_table *table);
/* Read the registered table @id, and put it behind the others. */
int schema_load(struct store *store, int64_t id, struct store_table **loaded);

/* upgrade.c: files of older formats */

/* What format 2 added to 1. */
#define TABLES_OF_2                                                           \
    "CREATE TABLE gv_parked(tbl INT, rid INT, bit INT, held INT, value,"      \
    " shown INT, PRIMARY KEY(tbl, rid, bit)) WITHOUT ROWID;"                  \
    "CREATE TABLE gv_history(id INTEGER PRIMARY KEY, tbl INT, rid INT,"       \
    " bit INT, value, size INT, site INT, version INT, by_site INT,"          \
    " by_version INT);"                                                       \
    "CREATE TABLE gv_inbox(at INTEGER PRIMARY KEY, bytes BLOB, sum INT);"     \
    "CREATE TABLE gv_cell(tbl INT, rid INT, bit INT, site INT, version INT,"  \
    " value, over BLOB, PRIMARY KEY(tbl, rid, bit, site)) WITHOUT ROWID;"
/* Bring the tables to STORE_FORMAT; inside a write transaction. */
int upgrade(struct store *store, struct gv_error *error);

/* describe.c: a table as SQLite describes it now, with no registration */

/* describe_done() frees what it keeps for the next call. */
void describe_done(struct store *store);
int schema_describe(struct store *store, const char *local,
                    struct store_table **table, struct gv_error *error);
/* Copy @value with its bytes. */
int value_keep(struct value *kept, const struct value *value);

/* register.c */

/* Write a table's registration: gv_table, gv_col, gv_row_N, triggers. */
int schema_register(struct store *store, const char *local,
                    struct gv_error *error);
int register_column(struct store *store, int64_t id, int64_t bit,
                    const struct store_column *column);

/* What a peer defines and this file has not: the log alone.  tables[] has it
 * at once. */
int register_foreign_table(struct store *store, const struct stream_item *item,
                           struct store_table **registered);
/* Track the table that was just made of the definition. */
int register_made_table(struct store *store, const struct stream_item *item,
                        struct store_table **registered,
                        struct gv_error *error);
/* @made: the table has just got the column. */
int register_foreign_column(struct store *store, struct store_table *table,
                            const struct stream_column *from, bool made);
/* Note what a peer's file calls the column. */
int register_peer_name(struct store *store, struct store_table *table,
                       size_t index, struct stream_text name);

/* naming.c */

/* "a, b" or "t(a, b)", of the key columns' names here; sqlite3_free() it. */
char *naming_keys(const struct store_table *table);
char *naming_by_key(const char *name, const struct store_table *table);
/* The registration that the untracked table @now takes up, or NULL: then
 * @now's wire name is that of a new one.  Errors: GV_EREFUSED. */
int naming_find(struct store *store, struct store_table *now,
                struct store_table **known, struct gv_error *error);
/* Registration @id is called @local here: no other is. */
int naming_take(struct store *store, const char *local, int64_t id);

/* define.c */

/* The table that a stream's TABLE item means, and all of its columns,
 * registered if they were not; with the file's consent (create.c) also made.
 * Errors: GV_EPROTO, GV_ESCHEMA (more than is kept, or a kind of column that
 * is not known), …; then the apply is to be taken back. */
int definition_take(struct store *store, const struct stream_item *item,
                    struct store_table **taken, struct gv_error *error);
/* The index of the column, or column_count. */
size_t column_by_wire(const struct store_table *table,
                      struct stream_text wire);
/* The bit of a column of a definition that was taken.  *@plain: the peer takes
 * for a plain one what has a kind here; it may define it so, as long as it has
 * written nothing there. */
uint16_t definition_bit(const struct store_table *table,
                        const struct stream_column *column, bool *plain);
/* It has. */
int definition_plain(const struct store_table *table, size_t bit,
                     struct gv_error *error);

/* create.c */

/* Whether the type may stand in SQL as it is: words that mean nothing to
 * SQLite, and one or two sizes. */
bool type_is_plain(struct stream_text type);
/* Whether this file makes the mesh's tables. */
int creates_tables(struct store *store, bool *creates);
/* Make the table, the column.  Not *@made: the name is taken, or SQLite does
 * not take it. */
int create_table(struct store *store, const struct stream_item *item,
                 bool *made);
int create_column(struct store *store, const struct store_table *table,
                  const struct stream_column *column, bool *made);

/* match.c */

struct store_column *column_by_local(const struct store_table *table,
                                     const char *local);

/* Compare what is registered as @table with what is there (@now): take over
 * what SQLite says of its columns, register new ones, or set its fault. */
int schema_match(struct store *store, struct store_table *table,
                 struct store_table *now, bool may_write);
/* No table bears @table's name: suspend it; once the schema has been quiet,
 * follow a rename (*@now is the table to go on with) or take it for gone. */
int match_missing(struct store *store, struct store_table *table,
                  bool may_write, struct store_table **now);
/* Keep why the table is away, or that it is not. */
int match_away(struct store *store, struct store_table *table,
               enum table_away away);
/* What an untracked table still has here. */
int match_untracked(struct store *store, struct store_table *table);
int schema_set_fault(struct store_table *table, const char *format,
                     const char *name);

/* sample.c: a look at some values of a column */

/* The column that vanished and whose values @appeared has, or NULL. */
int sample_renamed(struct store *store, struct store_table *table,
                   const struct store_table *now,
                   const struct store_column *appeared,
                   struct store_column **renamed);
/* A column that was dropped and added again between two looks bears its name,
 * and has lost all values without a trigger: it is shown again, and nobody
 * has written a default into every row.  (One value alone says too little.) */
int sample_emptied(struct store *store, struct store_table *table,
                   const struct store_table *now);

/* triggers.c */

/* The trigger's text; @which is one of "ikud".  sqlite3_free() it. */
char *trigger_sql(const struct store_table *table, char which);
/* Put @table's triggers right.  Where one was missing, writes may have gone
 * by: the table is suspended until it has been audited. */
int triggers_mend(struct store *store, struct store_table *table);
/* Ours go. */
int triggers_drop(struct store *store, const struct store_table *table);
/* Make @table's triggers. */
int triggers_make(struct store *store, const struct store_table *table);
/* A time of the host (ms) as the journal keeps it: a Julian day. */
#define JOURNAL_DAY "(%lld/86400000.0+2440587.5)"
/* Mark all rows of @table as changed. */
int triggers_journal_all(struct store *store, const struct store_table *table);
/* Find out which tables' own triggers fire on apply. */
int triggers_judge(struct store *store);
/* Let triggers fire on this connection, or not. */
void triggers_fire(struct store *store, bool on);

/* state.c: the state of a row <-> bytes, and its hash */

/* Rows of @table come next, with its each-bits; before row_space_reserve(). */
void row_space_use(struct row_space *space, const struct store_table *table);
int row_space_reserve(struct row_space *space, size_t records, size_t words);
void row_space_close(struct row_space *space);
/* Errors: GV_ECORRUPT. */
int state_decode(const uint8_t *bytes, size_t size, size_t column_count,
                 struct row_space *space, uint32_t *check);
int state_encode(const struct row *row, size_t words, uint32_t check,
                 struct buffer *out);
/* Sum of the hashes of the row's records.  Errors: GV_ENOMEM. */
int state_hash(struct store *store, const struct store_table *table,
               const uint8_t *key, size_t key_size, const struct row *row,
               struct hash128 *sum);

/* keys.c: a row's key */

/* Decode @bytes (borrowed) as a key of @count columns. */
int row_key_decode(struct row_key *key, const uint8_t *bytes, size_t size,
                   size_t count);
/* Whether the key value @b surely stands behind @a in an index. */
bool value_behind(const struct value *a, const struct value *b);
/* The key that a statement's columns from @first on hold, into @buffer.
 * *@null when a column of it is NULL. */
int row_key_read(sqlite3_stmt *statement, int first, size_t count,
                 struct buffer *buffer, bool *null);
/* The key of the row @rid of gv_row_N into @bytes.  GV_ECORRUPT: there is
 * none. */
int row_key_of(struct store *store, const struct store_table *table,
               int64_t rid, struct buffer *bytes);
/* Bind it to a statement's first parameters; that one must not stand on a row,
 * since it would keep the key it has. */
void row_key_bind(sqlite3_stmt *statement, const struct row_key *key);
/* "contacts 'ann'" for people. */
void row_name(const struct store_table *table, const struct row_key *key,
              char *text, size_t size);

/* rows.c: rows of gv_row_N, on the writer */

/* Read a row's state into store->space; causal length 0 if there is none. */
int rows_find(struct store *store, struct store_table *table,
              const struct row_key *key, struct gv_error *error);
/* The same in two steps, for a reader that may need only the first: damage is
 * seen by the second. */
int rows_read(struct store *store, struct store_table *table,
              const struct row_key *key, struct gv_error *error);
int rows_check(struct store *store, const struct store_table *table,
               const struct row_key *key, struct gv_error *error);
/* Write store->space back, with the fingerprint; gv_ver follows by the next
 * rows_flush(), and so does the state of a row that a batch has. */
int rows_save(struct store *store, struct store_table *table,
              const struct row_key *key);
/* A state into gv_row_N by itself. */
int rows_update(struct store_table *table, int64_t rid, uint64_t causal_length,
                const uint8_t *state, size_t size);
/* Write the dots that wait into gv_ver: before the transaction ends, or a
 * savepoint of it, and before gv_ver is read. */
int rows_flush(struct store *store);
/* The bits that records hold. */
void rows_held(const struct row *row, size_t words, uint64_t *held);

/* ver.c: what gv_ver has of the row in store->space */

/* Take out the dots that are gone, put in the new ones, by the next
 * ver_flush(). */
int ver_follow(struct store *store, const struct store_table *table);
int ver_flush(struct store *store);

/* user.c: rows of the user's table, on the writer */

/* Read the user's row: *@present, and the values of the columns that are
 * shown, by column index, borrowed until user_read_done(). */
int user_read(struct store *store, struct store_table *table,
              const struct row_key *key, struct value *values, bool *present);
void user_read_done(struct store_table *table);
/* The statement that puts @rows rows into the user's table. */
int user_insert_prepare(struct store *store, const struct store_table *table,
                        size_t rows, sqlite3_stmt **statement);
/* Write the user's row.  GV_EDIFFERS when the table does not hold what the
 * log says it does.  @values by column index. */
int user_insert(struct store *store, struct store_table *table,
                const struct row_key *key, const struct value *values);
int user_update(struct store *store, struct store_table *table,
                const struct row_key *key, const uint64_t *mask,
                const struct value *values);
int user_delete(struct store *store, struct store_table *table,
                const struct row_key *key);
/* Whether the row is stored under exactly this key. */
int user_key_kept(struct store *store, struct store_table *table,
                  const struct row_key *key, bool *kept);
/* Whether the key columns surely keep this key as it is. */
bool user_key_sure(const struct store_table *table, const struct row_key *key);
/* SQLite finds a row under 7 when asked for '7': *@present, where user_read()
 * found one that is not @expected, becomes whether it has this very key. */
int user_present(struct store *store, struct store_table *table,
                 const struct row_key *key, bool expected, bool *present);
/* Whether a column of this affinity surely keeps @value as it is. */
bool affinity_keeps(enum affinity affinity, const struct value *value);

/* parked.c: cells whose value does not stand in the user's table */

/* No entry; those of a new row. */
void parked_clear(struct store *store, const struct store_table *table);
/* Read the entries of row @rid into store->parked.  @find: the statement of
 * parked_prepare() on the connection that reads. */
int parked_load(struct store *store, const struct store_table *table,
                int64_t rid, sqlite3_stmt *find);
int parked_prepare(sqlite3 *db, sqlite3_stmt **find);
/* The same on the connection that writes, for the row in store->space. */
int parked_find(struct store *store, const struct store_table *table);
/* Make the entry of @bit, or drop it.  @value is borrowed until
 * parked_save(); @shown may be NULL. */
void parked_put(struct parked *parked, size_t bit, enum parked_kind kind,
                const struct value *value, const uint64_t *shown);
void parked_drop(struct parked *parked, size_t bit);
void parked_drop_all(struct store *store, const struct store_table *table);
/* Write what changed for the row in store->space, which is stored. */
int parked_save(struct store *store, struct store_table *table);
/* What the table should hold in a column: the record's digest, or that of the
 * default. */
uint64_t parked_expected(const struct store_table *table,
                         const struct row *row, const uint64_t *held,
                         size_t column);
/* Whether a cell of @digest, read from the table, is no local write. */
bool parked_agrees(const struct parked *parked, size_t bit, uint64_t digest,
                   uint64_t expected);
/* Columns are shown that were not (bits of @columns), or the table is (NULL):
 * what is parked moves into the table where the table takes it.  The table
 * was read anew and @shown is set; inside a write transaction, before the
 * journal is looked at. */
int parked_show(struct store *store, struct store_table *table,
                const uint64_t *columns, struct gv_error *error);
/* A table that was not to be read or written for a while is again: only what
 * came meanwhile moves into it.  Whatever else it holds or lacks was written
 * meanwhile, and is for the next look. */
int parked_resume(struct store *store, struct store_table *table,
                  struct gv_error *error);

/* cells.c: gv_cell */

/* What a record's digest of a cell is. */
uint64_t cell_digest(enum column_kind kind, const struct value *value,
                     struct vv_view over);
void cells_clear(struct cells *cells);
void cells_close(struct cells *cells);
/* NULL if there is none. */
struct cell *cells_get(const struct cells *cells, size_t bit, uint32_t site);
/* The cell to write; made if there is none, NULL without memory.  Its value
 * and version are the caller's to set. */
struct cell *cells_put(struct cells *cells, size_t bit, uint32_t site);
void cells_drop(struct cell *cell);
/* Keep copies of @value and @over.  Errors: GV_ENOMEM. */
int cell_own(struct cell *cell, const struct value *value,
             struct vv_view over);
int cells_prepare(sqlite3 *db, sqlite3_stmt **read);
/* Read the cells of row @rid, whose state is in store->space, with the
 * statement of cells_prepare(); the digests of their columns become those of
 * what they show.  GV_ECORRUPT: they are not those of the state. */
int cells_load(struct store *store, const struct store_table *table,
               int64_t rid, sqlite3_stmt *read);
/* The same on the connection that writes, for the row in store->space. */
int cells_find(struct store *store, const struct store_table *table);
/* Write what changed for the row in store->space, which is stored. */
int cells_save(struct store *store, const struct store_table *table);

/* choice.c: the kinds that a person gives to columns */

/* Set the kinds that store->kinds asks for in a table that is being
 * registered. Errors: GV_EREFUSED. */
int choice_take(const struct store *store, struct store_table *table,
                struct gv_error *error);
/* Give them to columns of a registered table that nobody has written to; the
 * tables may be read anew.  Errors: GV_EREFUSED, GV_EBUSY. */
int choice_give(struct store *store, struct store_table *table, bool *given,
                struct gv_error *error);
/* Whether a record holds the column; a look at all rows, until one does. */
int choice_written(struct store *store, const struct store_table *table,
                   size_t bit, bool *written);
/* A plain column that nobody has written to is of @kind from now on. */
int choice_set(struct store *store, struct store_table *table, size_t bit,
               enum column_kind kind);

/* siblings.c: the view of all values of multi-value columns */

/* Make it as the tables are now; inside a write transaction. */
int siblings_view(struct store *store);

/* kinds.c: columns with a cell for each site */

const char *kind_name(enum column_kind kind);
/* False if no kind is called so. */
bool kind_named(const char *name, size_t size, enum column_kind *kind);
/* Make the table's masks of such columns. */
int kinds_masks(struct store_table *table);
/* Whether @bit is of such a column. */
bool kinds_each(const struct store_table *table, size_t bit);
/* What the column shows in the row in store->space; borrowed from its cells.
 */
void kinds_value(const struct store *store, const struct store_table *table,
                 size_t bit, struct value *value);
/* The digests of what such columns show into the row. */
int kinds_show(struct store *store, const struct store_table *table);
/* Before row_write(): store->values of the bits of @written become own cells;
 * with @reset, of a new life.  What cannot be published leaves @written. */
int kinds_write(struct store *store, const struct store_table *table,
                const struct row_key *key, bool reset, uint64_t *written);
/* After row_write() with @version: the digests.  Both make entries in
 * store->parked where the table does not show what the cells do. */
void kinds_written(struct store *store, const struct store_table *table,
                   gv_version version, const uint64_t *written);
/* All cells go: another life. */
void kinds_reset(struct store *store);
/* Before row_merge(): take cells that others replace out of both sides.
 * @cleared gets the bits that the row lost cells of. */
int kinds_judge(struct store *store, const struct store_table *table,
                uint64_t *cleared);
/* After row_merge(): the row's cells follow, and store->values gets what the
 * columns of @cleared and @won show now; both are in @won. */
int kinds_merged(struct store *store, const struct store_table *table,
                 bool reset, const uint64_t *cleared, uint64_t *won);

/* moving.c */

/* The cells of a row whose records of store->lost_id move to the own id. */
int moving_cells(struct store *store, struct store_table *table,
                 const struct row_key *key);

/* show.c: the row at hand into the user's table */

/* Cells of a row that is in the table get store->values, hollow ones their
 * column's default; what the table does not keep is parked, as is what it
 * does not show.  GV_EDIFFERS as user_update(). */
int show_update(struct store *store, struct store_table *table,
                const struct row_key *key, const uint64_t *cells);
/* The whole row, which is not in the table: @cells as above, the others from
 * store->parked, else their defaults.  A row that the table does not take is
 * parked whole.  GV_EDIFFERS as user_insert(). */
int show_insert(struct store *store, struct store_table *table,
                const struct row_key *key, const uint64_t *cells);
/* Cells of a row of a table that is not shown are parked.  The entry of
 * existence is as it was before; @in_table: the table had the row. */
void show_nothing(struct store *store, const struct store_table *table,
                  const uint64_t *cells, bool reset, bool in_table);

/* fragments.c: fragments into a stream */

struct fragments {
    struct buffer *out;
    uint32_t *sites;   /* by site number: its number in the stream + 1 */
    gv_version *bases; /* by that: what its versions are told from */
    uint32_t *tables;  /* by table id, likewise */
    size_t site_capacity, table_capacity;
    uint32_t site_count, table_count;
};

void fragments_init(struct fragments *fragments, struct buffer *out);
void fragments_close(struct fragments *fragments);
/* Name the table, if the stream has not yet. */
int fragments_define(struct fragments *fragments,
                     const struct store_table *table);
/* The first @record_count of @records, with the values of store->values; the
 * cells of store->hollow, and values too large to travel, as digests of
 * store->space. */
int fragments_add(struct fragments *fragments, const struct store *store,
                  const struct store_table *table, const struct row_key *key,
                  const struct record *records, size_t record_count);

/* transaction.c */

/* The beginning of store_begin(): nothing may be sealed or applied yet. */
int transaction_begin(struct store *store, struct gv_error *error);
/* Then: the tables as they are, and what the audit found into the journal,
 * which is to be sealed next. */
int transaction_look(struct store *store, struct gv_error *error);
/* log.c: the write-ahead log on the disk */

/* The log's own file handle, and the database's; or NULL. */
sqlite3_file *log_file(struct store *store);
sqlite3_file *log_database(struct store *store);
/* The shared index of the log of the database @file, or NULL. */
volatile uint8_t *log_index(sqlite3_file *file);
/* Sync the log.  Once that failed it fails until the file is opened again. */
int log_sync(struct store *store);
/* SQLite was told of a sync of the log that failed: as if log_sync() had
 * been. */
void log_doubt(struct store *store);
/* What an earlier run's failure left undone.  The caller holds the write
 * lock. */
int log_mend(struct store *store);
/* Before the connection closes: that may sync the log, and tells nobody if it
 * fails. */
void log_leave(struct store *store);

/* footprint.c */

/* Whether the file was written over since the last call, while it was in
 * use. */
bool footprint_changed(struct store *store);
/* After a checkpoint of any program: what the file looks like now. */
void footprint_follow(struct store *store);
/* Note what the log's index says now of commits. */
void footprint_note_change(struct store *store);
/* Drop the log that belongs to what was written over.  Then the store is only
 * good for closing. */
int footprint_drop_log(struct store *store);

/* history.c: keep what loses to a concurrent write when the row in
 * store->fragment and store->values is merged into the one in store->space;
 * before the merge.  It came in @interval, or in a delta that claims @claim;
 * the other is NULL. */
int history_note(struct store *store, struct store_table *table,
                 const struct row_key *key, const struct interval *interval,
                 const struct vv *claim);

/* work.c */

/* Whether a part of a delta is in the log. */
static inline bool store_applying(const struct store *store)
{
    return (store->numbers.busy & BUSY_APPLYING) != 0;
}
/* What is not given takes its usual value. */
void work_limits(struct store_slices *limits);
/* Whether there is something that store_work() does in slices. */
int work_waits(struct store *store, bool *waits);
/* A note for a person, why the store is busy, or NULL; sqlite3_free() it. */
int work_status(struct store *store, char **note);
/* All that is left of a delta that is applied in slices, in the open
 * transaction; the journal is sealed. */
int work_finish(struct store *store, struct gv_error *error);

/* Whether another file bears the name of the one that is open: then the log
 * beside it is not the other's. */
bool log_is_orphan(struct store *store);

/* journal.c, see also journal.h */

/* Mark one row as changed, now. */
int journal_row(struct store *store, const struct store_table *table,
                const struct row_key *key);
/* Whether the journal has the row: 1, 0 or an error. */
int journal_has(struct store *store, const struct store_table *table,
                const struct row_key *key);
/* Delete all its rows but those of suspended tables; all were read under the
 * lock. */
int journal_clear(struct store *store);
/* The ids of what is withheld as SQL has a list; sqlite3_free() it, NULL
 * without memory. */
char *withheld_list(const struct store *store);

/* seal.c: inside a write transaction, before anything else */
int seal_journal(struct store *store, struct gv_error *error);
/* The same for the next keys: as many as the limits say, or more where
 * applications write faster than that.  The vector moves when nothing is left,
 * unless a delta is being applied; *@outrun: nothing is left, by slices larger
 * than the limits say. */
int seal_slice(struct store *store, bool *outrun, struct gv_error *error);
/* Before its transaction: read the journal and the rows of its next keys, so
 * that the lock is not held meanwhile.  What comes into it until then is read
 * by the slice. */
int seal_early(struct store *store);
/* What was read of the journal is not so any more. */
void seal_forget(struct store *store);

/* What a look at a row would publish. */
enum look { LOOK_SAME, LOOK_WRITTEN, LOOK_BORN, LOOK_DEAD };
/* Look, write nothing.  GV_ECORRUPT: the row's state is damaged. */
int seal_look(struct store *store, struct store_table *table,
              const struct row_key *key, enum look *found,
              struct gv_error *error);

/* audit.c */

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

/* directory.c */

/* Deltas kept at once, each in a spool of its own; a node reads one and sends
 * the others. */
#define EXTRACTS_MAX 64
/* The path of a file of the node's directory, from malloc(). */
char *store_file_path(const struct store *store, const char *name);
/* Make the directory and take its lock. */
int directory_lock(struct store *store, struct gv_error *error);

/* extract.c */
void extracts_close(struct store *store);

/* kept.c */

/* The spools that an earlier run left: those of this site that are complete
 * are kept on, the others deleted. */
int kept_load(struct store *store);

/* reader.c */

/* Close the reader; no extract reads. */
void reader_close(struct store *store);

/* open.c */
/* A connection with our settings. */
int connection_open(struct store *store, sqlite3 **db, struct gv_error *error);
struct statement_text {
    sqlite3_stmt **statement;
    const char *text;
};
/* Prepare those of @list that are not yet. */
int prepare_list(sqlite3 *db, const struct statement_text *list, size_t count);
/* Make the file a member, of no mesh yet. */
int store_adopt(struct store *store, struct gv_error *error);

#endif
