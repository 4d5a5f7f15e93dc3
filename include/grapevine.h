/* libgrapevine: an ordinary SQLite file that syncs itself with its copies.
 *
 * Every function that can fail returns 0 (GV_OK) or a negative code and, when
 * @error is not NULL, fills it with three sentences for a person: what
 * happened, what it means, what to do next.  Out-parameters are written only
 * on success.  Texts returned through `char **` belong to the caller: give
 * them to gv_free().
 *
 * A struct gv_db is used by one thread at a time; gv_node_stop() may be
 * called from any thread and from a signal handler. */
#ifndef GRAPEVINE_H
#define GRAPEVINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define GV_API __attribute__((visibility("default")))
#else
#define GV_API
#endif

/* One list makes the codes and their texts. */
#define GV_ERROR_MAP(X)                                                       \
    X(GV_OK, 0, "done")                                                       \
    X(GV_ENOMEM, -1, "out of memory")                                         \
    X(GV_EIO, -2, "an input or output operation failed")                      \
    X(GV_EFULL, -3, "the disk is full")                                       \
    X(GV_ECORRUPT, -4, "the file or its metadata is damaged")                 \
    X(GV_ELIMIT, -5, "a limit was reached")                                   \
    X(GV_EPROTO, -6, "a message does not follow the protocol")                \
    X(GV_EVERSION, -7, "another version of the protocol or the format")       \
    X(GV_ESCHEMA, -8, "this file's schema cannot store it yet")               \
    X(GV_ECLOCK, -9, "a version lies too far ahead of this clock")            \
    X(GV_EGAP, -10, "something that comes before it is missing")              \
    X(GV_EDUPLICATE, -11, "already held")                                     \
    X(GV_EFORK, -12, "an interval that straddles what is held")               \
    X(GV_EBUSY, -13, "busy")                                                  \
    X(GV_ENOTFOUND, -14, "not found")                                         \
    X(GV_EEXIST, -15, "already there")                                        \
    X(GV_EINVAL, -16, "not a valid argument")                                 \
    X(GV_EMOVED, -17, "the file was replaced while it was open")              \
    X(GV_ELOCKED, -18, "another process has the lock")                        \
    X(GV_ENONODE, -19, "no node answers")                                     \
    X(GV_EREFUSED, -20, "this table cannot be tracked")                       \
    X(GV_EMESH, -21, "another mesh")                                          \
    X(GV_EADDRESS, -22, "the address cannot be used")                         \
    X(GV_EDIFFERS, -23, "what is stored is not what it should be")            \
    X(GV_EMISUSE, -24, "this cannot be done in this state")

enum gv_code {
#define GV_ERROR_ENUM(name, number, text) name = number,
    GV_ERROR_MAP(GV_ERROR_ENUM)
#undef GV_ERROR_ENUM
};

/* What a person needs to know of a failure.  Each text is one sentence or
 * more, ends with a full stop (one that was too long with an ellipsis), is one
 * line of UTF-8, and may be empty. */
struct gv_error {
    int code;          /* one of enum gv_code */
    char what[512];    /* what happened */
    char meaning[512]; /* what it means */
    char remedy[512];  /* what to do next */
};

struct gv_db;
struct gv_store;
struct gv_node;

/* The library's version, as "0.1.0". */
GV_API const char *gv_version_string(void);

/* The text of @code; "unknown error" for a number that is none. */
GV_API const char *gv_strerror(int code);

/* Free a text or bytes that this library returned.  NULL is harmless. */
GV_API void gv_free(void *memory);

/* Files */

#define GV_OPEN_CREATE 1u /* make an empty file if there is none */

/* Name a database file for the calls below.  Reads the file's header only;
 * takes no lock and writes nothing, except that with GV_OPEN_CREATE in
 * @flags a file that is not there is made (empty, in WAL mode).
 *
 * Errors: GV_ENOTFOUND (no such file), GV_EINVAL (not a database),
 * GV_EIO, GV_ENOMEM. */
GV_API int gv_open(const char *path, unsigned flags, struct gv_db **db,
                   struct gv_error *error);

/* Close @db.  NULL is harmless.  A node made from it must be freed first. */
GV_API void gv_close(struct gv_db *db);

/* Tables */

/* Track @table: from now on its rows are shared with the mesh; the rows that
 * are already there are published, once.  Turns the file to WAL.  Tracking a
 * tracked table changes nothing.  Goes through the running node, if any, else
 * takes the file's lock.  On success @notes, if not NULL, is what a person
 * should know, one sentence a line (warnings start with "warning: ").
 *
 * Errors: GV_ENOTFOUND (no such table), GV_EREFUSED (with the reason and the
 * way out), GV_ELOCKED, GV_EIO, …  The file is unchanged. */
GV_API int gv_track(struct gv_db *db, const char *table, char **notes,
                    struct gv_error *error);

/* Whose write a column shows.  A column that no value was written to may be
 * given a kind, and keeps it; the other nodes hear of it. */
enum gv_kind {
    GV_LAST_WRITE, /* the last one's; what columns are that nobody names */
    GV_COUNTER,    /* the sum: additions made apart all count */
    GV_MULTI_VALUE /* the last one's, and all that nobody has seen and written
                      over are kept: see the view gv_siblings */
};
struct gv_column_kind {
    const char *column;
    enum gv_kind kind;
};

/* The same, with the kinds of @count columns; also of a table that is tracked
 * already.
 *
 * Errors: GV_EREFUSED too (no such column, a key, a counter that could not
 * hold integers, another kind than it has, or values were written to it). */
GV_API int gv_track_as(struct gv_db *db, const char *table,
                       const struct gv_column_kind *kinds, size_t count,
                       char **notes, struct gv_error *error);

/* Stop sharing @table: from now on what is written to it stays in this file,
 * and what peers write to it is kept for other nodes and not shown.  Its rows
 * stay; gv_track() takes it up again.  With @purge all that is kept of the
 * table for peers is forgotten, also of one that was never tracked here, which
 * is named as peers call it: for a table that no node shares any more.  Every
 * node that knows it must be told so; until then fingerprints differ, and a
 * node that still has it brings it back.  Goes through the running node, if
 * any, else takes the file's lock.  @notes as for gv_track().
 *
 * Errors: GV_ENOTFOUND (the table is not tracked), GV_ELOCKED, GV_EIO, …  The
 * file is unchanged. */
GV_API int gv_untrack(struct gv_db *db, const char *table, bool purge,
                      char **notes, struct gv_error *error);

/* What `grapevine status --json` prints.  Works with and without a running
 * node, never writes. */
GV_API int gv_status(struct gv_db *db, char **json, struct gv_error *error);

/* Recompute digests, states, indexes and the fingerprint from the rows and
 * compare.  Changes nothing.  @json gets {"ok", "rows", "records",
 * "findings": [{"table", "key", "finding"}, …]} both on GV_OK and on
 * GV_EDIFFERS (something is not as it should be). */
GV_API int gv_verify(struct gv_db *db, char **json, struct gv_error *error);

/* Compare the file row by row with that of the peer at the endpoint @peer (or
 * of that name, if a node runs and is linked with it): what both have heard
 * of, so that it can be done while the two still sync; a row that either
 * changes meanwhile is left out.  Goes through the running node; without one,
 * runs one for as long as it takes, which syncs with that peer as any does.
 * @mend: make both files equal in the rows that differ.  What is damaged on
 * one side is taken from the other; where both are sound the rules of merging
 * decide, and of two contents of one change the one with the larger digest
 * wins on both.  Holds the write lock while rows are written and the sum of
 * all is made anew, some seconds with a million rows.
 *
 * @json gets {"peer", "compared": {site: version}, "all" (that is all that
 * this file holds), "differ", "mended", "findings": [{"table", "key",
 * "finding", "mended"}, …] (the first 1,000)} on GV_OK and on GV_EDIFFERS
 * (something differs, and was not mended).
 *
 * Errors: GV_EBUSY (the peer is not reached, or the link broke), GV_EMISUSE,
 * GV_ELIMIT (more than 16,384 rows were written since the two last agreed),
 * and those of gv_node_new() where none runs. */
GV_API int gv_verify_peer(struct gv_db *db, const char *peer, bool mend,
                          char **json, struct gv_error *error);

/* Look for rows that were written past the triggers and publish them at once,
 * as writes of this file, without the wait that protects a migration under
 * way (10 s without a change of the schema; 60 s when more than half of a
 * table's rows are gone).  *@published counts them.  Goes through the running
 * node, if any, else takes the file's lock.
 *
 * Errors: GV_EBUSY (another program writes, or moved the schema meanwhile; try
 * again), GV_ELOCKED, GV_EIO, … */
GV_API int gv_accept(struct gv_db *db, uint64_t *published,
                     struct gv_error *error);

/* Who wrote each value of the row of @table with the key @key, one text for
 * each key column: an SQL literal (7, 'ann', x'ff'), or plain text where it is
 * none or where the column is TEXT.  @json gets what `grapevine blame --json`
 * prints: {"table", "key", "alive", "unsealed", "by", "columns": [{"column",
 * "state", "value", "by", "beat": [{"value", "by", "to"}, …]}, …]}; a counter
 * or a multi-value column has "cells": [{"value", "by"}, …] too, one for each
 * site that wrote it; "by" and "to" are {"site", "name", "version", "time"},
 * or null for nobody, and a value is an SQL literal, at most 4 kB of it (of a
 * value that lost and was over 32 KiB the beginning is kept, and "bytes" is
 * its size).  Works with and without a running node, never writes.
 *
 * Errors: GV_ENOTFOUND (no such tracked table, or no row ever had this key),
 * GV_EINVAL (another number of key columns, not UTF-8), GV_ESCHEMA, … */
GV_API int gv_blame(struct gv_db *db, const char *table,
                    const char *const *key, size_t key_count, char **json,
                    struct gv_error *error);

/* Copy @db into the new file @to: all of it as of one moment, with what is
 * not sealed yet, on the disk when this returns.  The copy has no identity: it
 * takes a site id of its own when it is first run, so it can be restored, or
 * run beside the original.  Works with and without a running node and holds up
 * nobody who uses WAL.
 *
 * Errors: GV_EEXIST (@to is there), GV_ECORRUPT (@db is damaged), GV_EBUSY,
 * GV_EFULL, GV_EIO.  Nothing is left of @to then, if it is new. */
GV_API int gv_backup(struct gv_db *db, const char *to, struct gv_error *error);

/* Merging without a network
 *
 * Two copies of a file are made equal by carrying bytes from one to the
 * other, in any way: a socket of yours, a pipe, a stick.
 *
 *     B says what it holds        gv_store_vv(b, &vv, &vv_size, …)
 *     A writes what B lacks       gv_store_extract(a, vv, vv_size, …)
 *     B takes it                  gv_store_apply(b, …)
 *
 * and the same the other way.  Both hold the same, in each row and column,
 * when their vectors are equal; then their fingerprints are.  Deltas may come
 * late, twice, and in any order: one that would leave a hole is refused
 * (GV_EGAP), any other only adds what is missing.
 *
 * A file's *site* is its identity, 16 random bytes.  A *version* is a hybrid
 * logical clock (Kulkarni, Demirbas, Madappa, Avva, Leone: Logical Physical
 * Clocks, 2014): milliseconds since 1970 in the upper 48 bits, a counter in
 * the lower 16; 1 to 2^62 - 1.  A *version vector* (Parker et al.: Detection
 * of Mutual Inconsistency in Distributed Systems, 1983) says of each site up
 * to which version everything is held.  Which value wins is in the README. */

#define GV_SITE_SIZE 16        /* bytes */
#define GV_FINGERPRINT_SIZE 16 /* bytes */
#define GV_VV_ENTRY_SIZE 24    /* bytes: site, version big-endian */
#define GV_VV_SIZE_MAX 240000  /* bytes: 10,000 sites */

enum gv_log_level { GV_LOG_ERROR, GV_LOG_WARNING, GV_LOG_INFO, GV_LOG_DEBUG };

/* Zeroes are the defaults. */
struct gv_store_options {
    /* Gets one line, without a newline, for what a person might want to know:
     * that the file took a new site id, or a value too large to be shared. */
    void (*log)(void *context, enum gv_log_level level, const char *line);
    void *log_context;
};

/* Open @db's file for the calls below; something is tracked in it.  Takes the
 * file's lock until gv_store_close(): no node can run on the file meanwhile,
 * and gv_track(), gv_status(), gv_verify() and gv_blame() answer GV_ELOCKED.
 * Programs go on reading and writing the file.  A file that is a copy, or that
 * went back to an earlier state, gets a new site id here.  Reads the whole
 * file once, to see that it is sound.  @options may be NULL; @db may be closed
 * before
 * @store.
 *
 * Errors: GV_ELOCKED (a node serves the file, or a command is using it),
 * GV_EMISUSE (nothing is tracked), GV_EVERSION (made by a newer library),
 * GV_ECORRUPT, GV_ENOTFOUND, GV_EINVAL, GV_EIO, GV_EFULL, GV_ENOMEM. */
GV_API int gv_store_open(struct gv_db *db,
                         const struct gv_store_options *options,
                         struct gv_store **store, struct gv_error *error);

/* NULL is harmless. */
GV_API void gv_store_close(struct gv_store *store);

/* Publish what programs wrote since the last look: compare each row that they
 * touched with what was known of it.  All of it is one step of the own site,
 * to *@version, and on the disk when this returns; 0 if nothing differs.
 * gv_store_extract() and gv_store_apply() do this first by themselves.  Waits
 * up to about 10 s for another writer.
 *
 * Errors: GV_EBUSY (a transaction of another program is still open),
 * GV_ESCHEMA (a table cannot be read as it is now; the error names it),
 * GV_EMOVED (the file was replaced, or went back to an earlier state: close
 * the store and open it again), GV_ECORRUPT, GV_EIO, GV_EFULL, GV_ENOMEM.
 * Nothing is published then.  After GV_EIO from the last step (the disk did
 * not confirm) it is, and goes out when the store was opened again. */
GV_API int gv_store_seal(struct gv_store *store, uint64_t *version,
                         struct gv_error *error);

/* The file's own site. */
GV_API void gv_store_site(const struct gv_store *store,
                          uint8_t site[GV_SITE_SIZE]);

/* What the file holds as of the last seal, extract or apply, as bytes: entries
 * of GV_VV_ENTRY_SIZE, ascending by site.  *@size is a multiple of that and at
 * most GV_VV_SIZE_MAX; it may be 0.
 * Errors: GV_ENOMEM. */
GV_API int gv_store_vv(struct gv_store *store, void **vv, size_t *size,
                       struct gv_error *error);

/* The sum of a hash of every surviving change with its values, as of the same
 * moment as the vector.  Files with equal vectors have equal fingerprints, or
 * something is wrong with one of them: gv_verify() finds out which. */
GV_API void gv_store_fingerprint(const struct gv_store *store,
                                 uint8_t fingerprint[GV_FINGERPRINT_SIZE]);

/* A vector for people: {"site in hex": "version in decimal", …}.
 * Errors: GV_EINVAL (@vv is none), GV_ENOMEM. */
GV_API int gv_vv_json(const void *vv, size_t size, char **json,
                      struct gv_error *error);

/* Write the delta for who holds @vv (@vv_size 0: nothing at all): every row
 * and column that such a file lacks, the two vectors between which it leads,
 * and a hash.  @write gets its bytes in order, at most 65,536 at once, and
 * returns 0, or a negative code that ends the delta and is passed on.  Memory
 * does not grow with the delta: a long one lies in a file beside the database
 * while it is written.  O(what is lacked), or O(the file) when @vv lacks more
 * than 200,000 rows.
 *
 * A delta contains values of the file and is not encrypted.  Its format is
 * described in src/store/README.md.
 *
 * Errors: as gv_store_seal(), and GV_EINVAL (@vv is no vector), GV_EDIFFERS
 * (rows are written past the triggers all the time).  GV_EMOVED also when @vv
 * holds changes of this very site that the file does not have.  What was
 * written until then is no delta, and gv_store_apply() refuses it. */
GV_API int
gv_store_extract(struct gv_store *store, const void *vv, size_t vv_size,
                 int (*write)(void *context, const void *bytes, size_t size),
                 void *context, struct gv_error *error);

/* Read a delta, to its last byte and not beyond, and merge it: all of it in
 * one transaction, which also raises the file's vector to what the delta
 * claims; or nothing.  Until it has all arrived and its hash is right, it lies
 * in memory or, a long one, in a file beside the database.  A delta that was
 * applied before changes nothing.
 *
 * @read puts at most @size bytes into @bytes and their count into *@got, 0 at
 * the end of what there is; it returns 0, or a negative code that ends the
 * call and is passed on.
 *
 * The hash finds damage, not malice: apply what comes from whom you trust.
 *
 * Errors, with what programs wrote sealed and nothing else changed:
 *
 * GV_EPROTO    not a delta, cut off, or damaged
 * GV_EVERSION  made by a newer library
 * GV_EMESH     made in a mesh of another name
 * GV_EGAP      made for a vector that this file does not cover (any more):
 *              it leaves out what the file lacks
 * GV_ECLOCK    it has changes over 60 s ahead of this machine's clock
 * GV_ESCHEMA   it has what the tables here cannot store; the error names it
 * GV_EDIFFERS  rows are written past the triggers all the time
 *
 * and those of gv_store_seal(). */
GV_API int gv_store_apply(struct gv_store *store,
                          int (*read)(void *context, void *bytes, size_t size,
                                      size_t *got),
                          void *context, struct gv_error *error);

/* The same two with the delta in memory.  From memory nothing may stand
 * behind the delta (else GV_EPROTO). */
GV_API int gv_store_extract_bytes(struct gv_store *store, const void *vv,
                                  size_t vv_size, void **delta, size_t *size,
                                  struct gv_error *error);
GV_API int gv_store_apply_bytes(struct gv_store *store, const void *delta,
                                size_t size, struct gv_error *error);

/* The node */

/* Listen for @timeout_ms for nodes that announce themselves on the LAN, of
 * @mesh or (NULL) of any.  *@json, to be freed with gv_free(), is an object:
 * `nodes` (name, site, endpoint, interface, mesh_mark, count of beacons),
 * `passed` (from, interface, why, count: what was passed over), `interfaces`
 * (name; skipped: why it was not listened on), `heard`, `unlisted`.
 * Errors: GV_EADDRESS (the UDP port is taken), GV_ENOMEM. */
GV_API int gv_discover(const char *mesh, int timeout_ms, char **json,
                       struct gv_error *error);

/* Wait until the file of @db and its peers hold the same: nothing is unsealed,
 * @peers links are up (0: all peers that the node was told to dial, and at
 * least one), and on each link both sides hold the same.  Sites without a link
 * here are not waited for; a node that is being started is.
 *
 * Errors: GV_ENONODE (none answers at the end of @timeout_ms), GV_EBUSY (not
 * within @timeout_ms: the error's meaning says what is lacking), … */
GV_API int gv_wait(struct gv_db *db, unsigned peers, int timeout_ms,
                   struct gv_error *error);

/* Call @line for each thing that happens on the node that runs on @db, until
 * it returns something else than 0: one JSON object each,
 * {"event": "row", "table", "key", "alive", "local", "site", "name",
 * "version", "time_ms"}, {"event": "more rows", "site", "name", …},
 * {"event": "link", "state": "up" or "down", "site", "name", "endpoint",
 * "reason", "time_ms"}, and {"event": "lost", "count"} where the caller was
 * over 1 MiB behind.  The first is {"watching": true, "summary"}.
 *
 * GV_OK when @line ended it.  Errors: GV_ENONODE (none runs, or it ended),
 * GV_ELIMIT (eight others watch it). */
GV_API int gv_watch(struct gv_db *db,
                    int (*line)(void *context, const char *json),
                    void *context, struct gv_error *error);

/* Ask the node that runs on @db to stop, and wait up to @timeout_ms for it.
 * Errors: GV_ENONODE, GV_EBUSY (still running after the time). */
GV_API int gv_shutdown(struct gv_db *db, int timeout_ms,
                       struct gv_error *error);

/* A row that was written, here or elsewhere, and that the file now shows (or,
 * of a table it has not, keeps).  What it points to is good until the call
 * returns. */
struct gv_row_event {
    const char *table;   /* NULL: more rows than are told one by one (1,000):
                            look at all that matters to you */
    const char *key;     /* as SQL literals; a very long one is cut */
    bool alive;          /* false: deleted */
    bool local;          /* written in this file */
    const uint8_t *site; /* who wrote it: GV_SITE_SIZE bytes */
    const char *name;    /* what its node calls itself, "" if not known */
    uint64_t version;
};

/* A link that came up or went down. */
struct gv_link_event {
    bool up;
    const uint8_t *site;
    const char *name;
    const char *endpoint; /* "" of a peer that dialled and has none */
    const char *reason;   /* why it went down, as far as is known */
};

/* Settings of a node.  Zeroes are the defaults; texts are copied. */
struct gv_node_options {
    const char *mesh;         /* required at a file's first run, then kept */
    const char *name;         /* NULL: the host's name */
    const char *listen;       /* NULL: only dials */
    const char *advertise;    /* what peers are told; NULL: the same */
    const char *const *peers; /* endpoints to dial */
    size_t peer_count;
    const char *peers_file; /* one endpoint a line, # comments */
    bool static_peers;      /* never dial anyone but these */
    bool insecure;          /* allow addresses off loopback */
    bool discover;          /* find peers on the LAN by UDP, and let them find
                               this node; listens on a free port if @listen is
                               NULL.  Not with static_peers. */
    bool create_tables;     /* make the mesh's tables as peers define them, and
                               track them, if the file has no tables yet; kept in
                               the file.  A table that is there is never taken
                               over. */
    void (*log)(void *context, enum gv_log_level level, const char *line);
    void *log_context;
    /* Called after each commit that brought changes, a row at a time, and when
     * links come and go.  All three callbacks run in the thread that runs the
     * node, which waits for them: they should be short, and may call nothing
     * of this library but gv_node_stop(). */
    void (*row)(void *context, const struct gv_row_event *event);
    void (*link)(void *context, const struct gv_link_event *event);
    void *event_context;
};

/* Take the file's lock, check its identity, bind the endpoint, open the
 * control socket.  When this returns, the node can be reached.
 *
 * Errors: GV_ELOCKED (a node runs already), GV_EMESH (no mesh named at the
 * first run, or another one), GV_EADDRESS, GV_EINVAL (endpoint or peers
 * file), and what gv_open() reports. */
GV_API int gv_node_new(struct gv_db *db, const struct gv_node_options *options,
                       struct gv_node **node, struct gv_error *error);

/* Run until gv_node_stop().  Blocks its caller.  GV_OK after a clean stop;
 * GV_EMOVED, GV_ENOTFOUND, GV_ECORRUPT, GV_EMESH when the file was replaced
 * underneath and what is there now cannot be used; GV_EIO, GV_EFULL. */
GV_API int gv_node_run(struct gv_node *node, struct gv_error *error);

/* Run it in a thread of its own instead, in which signals are blocked.
 *
 *     gv_node_new(db, &options, &node, &error)
 *     gv_node_start(node, &error)
 *     … use the file as ever; gv_status() and gv_wait() answer …
 *     gv_node_stop(node)
 *     gv_node_join(node, &error)
 *     gv_node_free(node)
 *
 * The program opens the file with an SQLite of its own, on connections that
 * are its own, and must not fork() and go on in the child.
 *
 * Errors: GV_ELIMIT (no thread), GV_EMISUSE (it runs). */
GV_API int gv_node_start(struct gv_node *node, struct gv_error *error);

/* Wait for that thread: what gv_node_run() returned in it.
 * Errors: GV_EMISUSE (it was not started), and those of gv_node_run(). */
GV_API int gv_node_join(struct gv_node *node, struct gv_error *error);

/* Make gv_node_run() return soon.  Any thread; async-signal-safe. */
GV_API void gv_node_stop(struct gv_node *node);

/* NULL is harmless.  Stops a thread that gv_node_start() made, and waits for
 * it. */
GV_API void gv_node_free(struct gv_node *node);

#ifdef __cplusplus
}
#endif

#endif
