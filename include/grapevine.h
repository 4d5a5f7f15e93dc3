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
 * more, ends with a full stop, and may be empty. */
struct gv_error {
    int code;          /* one of enum gv_code */
    char what[512];    /* what happened */
    char meaning[512]; /* what it means */
    char remedy[512];  /* what to do next */
};

struct gv_db;
struct gv_node;

/* The library's version, as "0.1.0". */
GV_API const char *gv_version_string(void);

/* The text of @code; "unknown error" for a number that is none. */
GV_API const char *gv_strerror(int code);

/* Free a text that this library returned.  NULL is harmless. */
GV_API void gv_free(char *text);

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

/* What `grapevine status --json` prints.  Works with and without a running
 * node, never writes. */
GV_API int gv_status(struct gv_db *db, char **json, struct gv_error *error);

/* Recompute digests, states, indexes and the fingerprint from the rows and
 * compare.  Changes nothing.  @json gets {"ok", "rows", "records",
 * "findings": [{"table", "key", "finding"}, …]} both on GV_OK and on
 * GV_EDIFFERS (something is not as it should be). */
GV_API int gv_verify(struct gv_db *db, char **json, struct gv_error *error);

/* Ask the node that runs on @db to stop, and wait up to @timeout_ms for it.
 * Errors: GV_ENONODE, GV_EBUSY (still running after the time). */
GV_API int gv_shutdown(struct gv_db *db, int timeout_ms,
                       struct gv_error *error);

enum gv_log_level { GV_LOG_ERROR, GV_LOG_WARNING, GV_LOG_INFO, GV_LOG_DEBUG };

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
    void (*log)(void *context, enum gv_log_level level, const char *line);
    void *log_context;
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
 * GV_EMOVED when the file was replaced underneath; GV_EIO, GV_EFULL. */
GV_API int gv_node_run(struct gv_node *node, struct gv_error *error);

/* Make gv_node_run() return soon.  Any thread; async-signal-safe. */
GV_API void gv_node_stop(struct gv_node *node);

/* NULL is harmless. */
GV_API void gv_node_free(struct gv_node *node);

#ifdef __cplusplus
}
#endif

#endif
