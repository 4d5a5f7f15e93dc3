/* One SQLite file: capture, seal, merge, extract.  store/README.md describes
 * the tables and what each transaction covers.
 *
 * A store is used by one thread.  It has two connections: one writes, one
 * extracts.  Functions return GV_OK or a negative code; those that take a
 * struct gv_error fill it when they fail.  After GV_EIO, GV_EFULL or
 * GV_ENOMEM in an apply the transaction may be lost: further applies and the
 * commit then fail with the same code, and nothing of it stays. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "core/core.h"
#include "core/message.h"
#include "store/host.h"

struct store;

enum store_mode {
    STORE_WRITE, /* takes the lock, checks identity, may seal and apply */
    STORE_READ   /* takes the lock; never writes and never renews */
};

/* Where a store on an application's own connection works: what of the
 * application's is open there. */
enum store_within {
    STORE_ALONE, /* nothing: transactions are the store's own */
    /* A transaction: the store's are savepoints in it.  What is sealed or
     * applied there stands or falls with it, and is not synced: nothing of it
     * may leave the file before the application commits. */
    STORE_IN_TRANSACTION,
    /* A statement that writes, where SQLite takes no savepoint: what fails
     * half-way, only the application's rollback takes back. */
    STORE_IN_STATEMENT
};

/* What is done in slices, from when on, and how large they are; 0: the usual.
 * For tests. */
struct store_slices {
    size_t delta_size;   /* bytes of a delta that is applied at once */
    size_t journal_rows; /* of the journal, that are sealed at once */
    size_t rows;         /* of a slice of it */
    size_t keys;         /* of a slice of a seal */
    /* Rows of a seal, and of an apply, that are read and written many at
     * once; fewer go one by one. */
    size_t seal_many, apply_many;
    /* Rows of a table from which on an extract of all gathers them
     * (gather.c). */
    size_t extract_many;
    size_t spool_size; /* bytes of an extract that stay in memory */
    size_t stage_size; /* of a stage, between two transactions */
    size_t value_size; /* of the largest value that leaves this file */
};

struct sqlite3;

struct store_options {
    enum store_mode mode;
    const struct host *host; /* borrowed */
    const char *vfs;         /* SQLite's name of it; NULL: the default */
    struct log log;
    /* A connection to use in place of two of the store's own, or NULL.  Its
     * main database is the file at the path.  STORE_WRITE only.  Its settings
     * are the store's until store_close(), which leaves no statement on it. */
    struct sqlite3 *borrowed;
    enum store_within within; /* ALONE, if nothing is borrowed */
    struct store_slices slices;
};

/* Open the file at @path (which exists) and its directory @path-gv.
 *
 * STORE_WRITE: reads the journal mode and the schema, checks the identity and
 * renews it if the file is a copy or went back in time, deletes spools of an
 * earlier run that are not kept.  A file that tracks nothing is not written
 * to.
 *
 * Errors: GV_ENOTFOUND, GV_EINVAL (not a database), GV_ELOCKED, GV_EVERSION
 * (written by a newer format), GV_ECORRUPT, GV_EIO, GV_ENOMEM. */
int store_open(const char *path, const struct store_options *options,
               struct store **store, struct gv_error *error);
void store_close(struct store *store);

/* Make this file a member of @mesh: writes our tables, a new site id and the
 * name if there are none yet.  @mesh may be NULL: whatever is kept already,
 * if anything.
 * Errors: GV_EMESH (another name is kept, or none is named and none kept). */
int store_join(struct store *store, const char *mesh, struct gv_error *error);

/* Whether our tables are there: something was tracked, or it was joined. */
bool store_joined(const struct store *store);
/* The mesh's name, "" while there is none.  @mesh has
 * MESSAGE_TEXT_SIZE_MAX + 1 bytes. */
int store_mesh(struct store *store, char *mesh, struct gv_error *error);

/* Track @table and publish the rows that are there.  @notes gets sentences
 * for a person, one a line.  On the disk when it returns.  Errors as
 * gv_track(); the file is unchanged, unless the disk did not confirm it. */
int store_track(struct store *store, const char *table, struct buffer *notes,
                struct gv_error *error);

/* Whose write a column shows.  Fixed once it is written. */
enum column_kind {
    COLUMN_LWW,     /* the last one's */
    COLUMN_COUNTER, /* the sum of all */
    COLUMN_MV       /* of those that nobody has replaced, the last one's */
};

struct store_kind {
    const char *column;
    enum column_kind kind;
};

struct store_kinds {
    const struct store_kind *list;
    size_t count;
};

/* The same, with the kinds of columns that are not COLUMN_LWW; also of a table
 * that is tracked already, for columns that no record holds.  Errors:
 * GV_EREFUSED too (no such column, one that cannot be of this kind, that has
 * another kind, or that was written). */
int store_track_as(struct store *store, const char *table,
                   const struct store_kinds *kinds, struct buffer *notes,
                   struct gv_error *error);

/* From now on the tables that peers define are made here and tracked, and
 * their new columns too: for a file that holds no table yet; another is left
 * as it is.  A table that stands here under such a name is never taken over.
 * Kept in the file.  After store_join(). */
int store_create_tables(struct store *store, struct gv_error *error);

/* Stop sharing @table: what is written to it stays here from now on, what
 * peers write to it is kept for other nodes and not shown.  store_track()
 * takes it up again.  @purge: forget all that is known of it (a table that is
 * not tracked is named as peers call it, too); its rows stay.  While another
 * node still has what is forgotten here, the fingerprints differ.
 * @notes as for store_track().  Errors: GV_ENOTFOUND (neither tracked nor
 * known), GV_EBUSY, GV_EIO, …; the file is unchanged. */
int store_untrack(struct store *store, const char *table, bool purge,
                  struct buffer *notes, struct gv_error *error);

/* What other programs did since the last call: committed (journal rows may
 * be waiting), and moved the schema. */
struct store_news {
    bool committed;
    bool schema_moved;
};
int store_poll(struct store *store, struct store_news *news);

/* Look whether this is still the file that was opened, as store_begin() does,
 * without a lock: to be called now and then, and when the file's name came or
 * went.  Errors: GV_EMOVED (it was replaced or restored; close it and open it
 * again). */
int store_look(struct store *store, struct gv_error *error);

/* One write transaction.  store_begin() seals what the journal holds before
 * anything else; then any number of applies; store_commit() commits and, if
 * anything was sealed, syncs the write-ahead log and writes the state file,
 * in this order, before it returns.
 *
 * Errors of store_begin(): GV_EBUSY (another writer; try again), GV_EMOVED,
 * GV_ESCHEMA (a tracked table is not as expected; @error says which), GV_EIO,
 * … no transaction is open then. */
int store_begin(struct store *store, struct gv_error *error);
/* The same for who asked store_work() before.  An application that committed
 * since, while the lock was waited for, may have left more than one
 * transaction should take: *@begun is false then, none is open, and
 * store_work() is next. */
int store_begin_short(struct store *store, bool *begun,
                      struct gv_error *error);

/* Apply and claim one interval inside the transaction.  On an error the
 * transaction goes on as if it had not been tried.
 *
 * Errors: GV_EGAP (comes early or lacks a dependency), GV_EDUPLICATE,
 * GV_EFORK, GV_EPROTO, GV_ECLOCK, GV_ESCHEMA (an unknown table or column, or
 * another key), GV_EDIFFERS (a row was changed
 * past the triggers; as for a delta); @error names what and where. */
int store_apply_interval(struct store *store, const struct interval *interval,
                         struct gv_error *error);

/* Apply and claim the staged delta of @token inside the transaction, if it is
 * short.  A long one is accepted: from the commit on store_working() is true,
 * and store_work() applies it; nothing else may be applied before it is done.
 *
 * The stage of a short one is dropped, except with GV_EDIFFERS (a row was
 * changed past the triggers: it is journalled, and sealed by the next
 * transaction; apply the stage there, or ask again).  Errors as for an
 * interval.  With GV_EFORK, as with one for an interval of our own site or
 * that depends on more of it than there was, the file went back in time:
 * store_commit() fails with GV_EMOVED, and the next open renews. */
int store_apply_delta(struct store *store, uint64_t token,
                      struct vv_view claim, struct gv_error *error);

/* A peer holds this very site up to @version.  That is the end of one of our
 * intervals, or another life of this file published it: the file went back in
 * time.  apply and extract look at what they are given in the same way.
 * VERSION_MAX: another live node has this site's id, and keeps it.
 *
 * Errors: GV_EMOVED (it went back: nothing is sealed, applied or extracted any
 * more, and the next open renews), GV_EIO, … */
int store_heard_own(struct store *store, gv_version version,
                    struct gv_error *error);

/* What store_commit() sealed.  @interval borrows the store's memory until
 * the next store_begin(). */
struct store_sealed {
    bool any;
    struct interval
        interval;      /* bytes NULL: longer than MESSAGE_NEWS_SIZE_MAX */
    bool schema_moved; /* an apply made tables or columns, whatever @any is */
};
int store_commit(struct store *store, struct store_sealed *sealed,
                 struct gv_error *error);
void store_rollback(struct store *store);

/* Work that takes more than one transaction: a delta that was accepted, a
 * journal of more than some 10,000 rows.  A node does it slice by slice and
 * hears its peers in between.  What is not finished when store_begin() is
 * called is finished by that, in its transaction. */
struct store_worked {
    bool more; /* call it again before store_begin() */
    struct store_sealed sealed;
    /* The delta of @token has ended: with @code, and if not GV_OK, @why. */
    uint64_t token; /* 0: none has */
    int code;
    struct gv_error why;
};
/* One slice, if there is anything to do: a transaction by itself.
 *
 * Errors: those of store_begin() and store_commit(), GV_ECORRUPT, …: what was
 * done before stays, and the rest can be tried again later. */
int store_work(struct store *store, struct store_worked *worked,
               struct gv_error *error);
/* Rows of a slice of a delta from now on; 0: the usual 1,000. */
void store_slice_rows(struct store *store, size_t rows);
/* All that is left of it; on an application's own connection in one
 * transaction.  @sealed gets what was sealed last, as of store_commit(); NULL:
 * not asked for.  Errors: that of the delta of @token (0: none), too. */
int store_work_all(struct store *store, uint64_t token,
                   struct store_sealed *sealed, struct gv_error *error);
/* Whether a delta was accepted and is not applied yet. */
bool store_working(const struct store *store);
/* Whether the log holds more than the vector says, so that no delta is read,
 * and no fingerprint shown; it ends with the work. */
bool store_busy(const struct store *store);

/* The vector and fingerprint as of the last commit.  Zeroes: the store is
 * busy. */
const struct vv *store_vv(const struct store *store);
struct hash128 store_fingerprint(const struct store *store);
const struct site *store_site(const struct store *store);
uint64_t store_schema_digest(const struct store *store);

/* Whether somebody may have committed since the last store_poll(): a look at
 * memory that is shared, a few nanoseconds, no lock.  Nothing that it tells is
 * certain, either way. */
bool store_shows_commit(struct store *store);

/* Whether the write-ahead log goes on behind the last commit: somebody writes
 * there, or did and took it back.  One short read, no lock; true where it
 * cannot be told. */
bool store_shows_writer(struct store *store);

/* Pages in the write-ahead log, whoever wrote them; 0 as soon as all of them
 * are in the file too, for then the next commit begins it anew. */
int store_wal_frames(struct store *store);
/* Move the write-ahead log into the file as far as readers allow; for a node
 * that finds itself the only writer. */
int store_checkpoint(struct store *store);

/* A delta that is arriving: bytes are kept aside, a long one's in the file,
 * until the last one is there.  One at a time: another @token drops the
 * first.  Errors: GV_EPROTO (@offset is not where the stage ends), GV_EBUSY
 * (one is being applied in slices, or another program writes for long),
 * GV_EIO, GV_EFULL (the stage is dropped). */
int store_stage(struct store *store, uint64_t token, uint64_t offset,
                const uint8_t *bytes, size_t size);
void store_stage_drop(struct store *store, uint64_t token);
/* Whether each piece is committed as it comes, which holds the lock for less;
 * else as many as make half a megabyte. */
void store_stage_each(struct store *store, bool each);

/* The same of a delta whose provider can go on with it: what stands in the
 * file outlives a crash, and goes on under another token, if just @stage->size
 * bytes of it are here.  *@kept: how many, from the first on, would outlive
 * one; all, where that cannot be had now. */
int store_stage_from(struct store *store, const struct core_stage *stage,
                     const uint8_t *bytes, size_t size, uint64_t *kept);
/* What is here of one that was not completed; token 0: nothing.  Not that of
 * another site id (this file is a copy), and none that was asked for with a
 * vector that this file does not cover any more (a power cut). */
void store_stage_held(const struct store *store, struct core_stage *held);

/* A delta that is being read and then sent.  Several may live at once; at
 * most one is between begin and done. */
struct extract;

/* Open a snapshot whose journal is empty, for an asker with @vv.
 *
 * Errors: GV_EBUSY (the journal is not empty: seal and call again; from the
 * fourth call on it looks under the write lock), GV_EMOVED, GV_EIO, … */
int extract_begin(struct store *store, struct vv_view vv,
                  struct extract **extract, struct gv_error *error);

/* Read on for about @rows rows; *@done when all are read and the snapshot is
 * closed.  A short delta stays in memory, a long one goes to a spool file.
 *
 * Errors, after which the extract is only good for extract_free():
 * GV_EDIFFERS (a value unlike its digest: its row stands in the journal now;
 * seal and begin again), GV_EBUSY (the schema moved: begin again), GV_ECORRUPT
 * (damage in our tables, named in @error), GV_EFULL, GV_EIO. */
int extract_step(struct extract *extract, size_t rows, bool *done,
                 struct gv_error *error);

/* After done: */
uint64_t extract_spool(const struct extract *extract); /* random, not 0 */
uint64_t extract_size(const struct extract *extract);
struct vv_view extract_claim(const struct extract *extract);
/* Read @size bytes from @offset. */
int extract_read(struct extract *extract, uint64_t offset, uint8_t *bytes,
                 size_t size);
/* SQLite's own counters for it: full-scan steps, virtual machine steps. */
void extract_effort(const struct extract *extract, uint64_t *scan_steps,
                    uint64_t *vm_steps);
/* Also deletes the spool file.  NULL is harmless. */
void extract_free(struct extract *extract);

/* A long one is kept when it is not sent any more, also by store_close() and
 * over a crash, so that who was cut off can go on with it: the youngest one in
 * any case, up to three more within EXTRACTS_KEPT_SIZE in all, an hour each
 * (@now: a monotonic time in ms).  A short one is freed. */
void extract_keep(struct extract *extract, gv_time_ms now);
#define EXTRACTS_KEPT_SIZE (1024 * 1024 * 1024)
#define EXTRACTS_KEPT_MS 3600000
void extracts_expire(struct store *store, gv_time_ms now);

/* The one that is kept as @spool, for an asker who has @vv and its first
 * @offset bytes; NULL in *@extract if there is none, or it is not good for
 * @vv: then a new one is to be read.  Errors: GV_EMOVED, GV_EIO, … */
int extract_resume(struct store *store, struct vv_view vv, uint64_t spool,
                   uint64_t offset, struct extract **extract,
                   struct gv_error *error);

/* Copy the database at @path into the empty file @to: all of it as of one
 * moment, rows that wait for a seal too, but without identity, so that it
 * takes a new site id when it is first opened.  Takes no lock; works beside a
 * node. On the disk when it returns, but for its directory.
 *
 * Errors: GV_ECORRUPT (the copy is not sound), GV_EBUSY, GV_EIO, GV_EFULL, …
 * @to is good for nothing then. */
int store_backup(const char *path, const char *to, const char *vfs,
                 struct gv_error *error);

/* What waits for the audit, and what it did. */
struct store_audit_state {
    gv_time_ms last;   /* wall clock; 0: never */
    bool due;          /* the schema moved since, or something waits */
    uint64_t found;    /* rows published since the file was opened */
    uint64_t waiting;  /* rows that wait */
    uint64_t damaged;  /* rows whose log is: they are not sent */
    bool most_died;    /* more than half of a table's rows are gone */
    const char *table; /* the last that waits, or NULL; until the schema
                          moves */
};
void store_audit_state(const struct store *store,
                       struct store_audit_state *state);

/* How many rows have a local write that cannot be sealed, since the log of the
 * row is damaged, and the name of one; as of the last transaction. */
size_t store_withheld(const struct store *store, const char **row);

/* How many tracked tables can be neither read nor written, the name here of
 * one, and why; both are borrowed until the schema moves. */
size_t store_faults(const struct store *store, const char **table,
                    const char **why);

/* For status. */
struct store_table_status {
    const char *name;  /* here */
    const char *wire;  /* on the wire */
    int64_t rows;      /* live */
    int64_t deleted;   /* remembered as deleted */
    int64_t null_keys; /* rows that stay here: NULL in their key */
    const char *fault; /* why it is not shared now, or NULL */
};
struct store_status {
    bool tracked; /* false: the file has no tables of ours; all below is 0 */
    struct site site;
    char mesh[MESSAGE_TEXT_SIZE_MAX + 1];
    char *busy; /* what is done in slices, and what ends it; NULL: nothing */
    int64_t journal; /* rows written and not sealed */
    int64_t parked;  /* values that no table shows */
    int64_t hollow;  /* cells noted as without a value here */
    /* Sentences that say what of a table is parked, and what frees it. */
    char **parked_notes;
    size_t parked_note_count;
    size_t table_count;
    struct store_table_status *tables; /* the tracked ones */
    size_t warning_count;
    char **warnings; /* what a person should know of the schema */
};
int store_status(struct store *store, struct store_status *status,
                 struct gv_error *error);
void store_status_close(struct store_status *status);

/* The audit finds what was written past the triggers (audit.c): a walk over
 * all rows, in slices, when anyone else moved the schema and once a day.  What
 * it finds waits until the schema has been quiet for 10 s, and if more than
 * half of a table's rows are gone, for 60 s; the table is not synced
 * meanwhile.  Then a transaction seals it. */
struct store_audit {
    gv_time_ms due; /* when the next step has something to do */
    bool write;     /* a transaction (begin to commit) is wanted first */
    bool resumed;   /* a table is synced again: what was refused for the schema
                       may be tried */
};

/* One slice of about @rows rows; @now is a monotonic time in ms.  Writes
 * nothing.  Errors: GV_EIO, GV_ENOMEM, …: try again later. */
int store_audit_step(struct store *store, gv_time_ms now, size_t rows,
                     struct store_audit *report, struct gv_error *error);

/* Audit everything now, and publish what is found without waiting, in
 * transactions of its own; *@published counts the rows.  Errors as of
 * store_begin(); GV_EBUSY also when the schema moved meanwhile. */
int store_audit_accept(struct store *store, uint64_t *published,
                       struct gv_error *error);

/* Who wrote each value of a row, and what it beat. */
struct store_dot {
    struct site site;
    gv_version version; /* 0: nobody wrote it in this life */
};
/* A value that lost to a concurrent write of the same cell. */
struct store_lost {
    char *value;       /* an SQL literal; owned by the struct store_blame */
    size_t whole_size; /* in bytes, if only the beginning was kept; else 0 */
    struct store_dot dot;
    struct store_dot winner;
};
/* What one site wrote of a counter or a multi-value column. */
struct store_part {
    char *value; /* an SQL literal; owned by the struct store_blame */
    struct store_dot dot;
};
enum store_cell_state {
    CELL_WRITTEN,
    CELL_DEFAULT, /* never written in this life */
    CELL_PARKED,  /* kept here, and the table shows something else */
    CELL_HOLLOW,  /* lost here: there is no value */
    CELL_UNSEALED /* written in this file since and not yet published */
};
struct store_cell {
    char *column; /* its local name, else that on the wire */
    enum store_cell_state state;
    char *value; /* an SQL literal; NULL if there is none to show */
    struct store_dot dot;
    size_t part_count; /* 0: not of such a column, or written by nobody */
    struct store_part *parts;
    size_t lost_count;
    struct store_lost *lost; /* the youngest first */
};
struct store_blame {
    const char *table; /* local; borrowed from the store */
    char key[512];     /* as SQL literals */
    bool alive;
    bool unsealed;        /* its life or death is not published yet */
    struct store_dot dot; /* who began this life, or ended it */
    size_t cell_count;
    struct store_cell *cells;
};
/* Look at the row of @table with the key @parts: each is an SQL literal (7,
 * 'ann', x'ff') or, where it is none or the key column is TEXT, plain text.
 * Writes nothing.
 *
 * Errors: GV_ENOTFOUND (no such tracked table, or no row ever had this key),
 * GV_EINVAL (another number of key columns), GV_ESCHEMA, … */
int store_blame(struct store *store, const char *table,
                const char *const *parts, size_t part_count,
                struct store_blame *blame, struct gv_error *error);
void store_blame_close(struct store_blame *blame);

/* What the log has of one site within a span of versions, for people. */
struct store_span {
    struct site site;
    gv_version from; /* above this */
    gv_version to;   /* up to this */
};
/* How many changes (rows that the site's publications wrote and that still
 * are as it wrote them, in part at least), up to @max, and the oldest one's
 * version, 0 if there is none.  Cheap: a range of an index. */
int store_span_count(struct store *store, const struct store_span *span,
                     uint64_t max, uint64_t *count, gv_version *oldest);
/* A row of it; good until the call returns. */
struct store_row {
    const char *table; /* its local name, else that on the wire */
    const char *key;   /* as SQL literals, cut to fit some 500 bytes */
    bool alive;
    gv_version version;
};
/* Name up to @max rows of it, the oldest first; *@more: there are others. */
int store_span_rows(struct store *store, const struct store_span *span,
                    uint64_t max,
                    void (*row)(void *context, const struct store_row *row),
                    void *context, bool *more);
/* Rows written and not sealed yet, counted up to @max. */
int store_unsealed(struct store *store, uint64_t max, uint64_t *count);

/* Recompute everything; call @found for each thing that is not as it should
 * be.  Writes nothing.  Returns GV_OK also when something was found. */
struct store_finding {
    const char *table; /* "" if none */
    const char *key;   /* as SQL literals, "" if none */
    const char *text;
};
struct store_verified {
    uint64_t rows, records, findings;
};
int store_verify(struct store *store,
                 void (*found)(void *context, const struct store_finding *),
                 void *context, struct store_verified *verified,
                 struct gv_error *error);

#endif
