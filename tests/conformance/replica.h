/* One site of a case: a machine with its own clock and disk (sim/disk.h), the
 * node's store on it, and an application's connection to the same file.
 *
 * Site ids start with the site's letter, so that A < B < C < D; the last byte
 * counts how often the file took a new one. */
#ifndef TESTS_CONFORMANCE_REPLICA_H
#define TESTS_CONFORMANCE_REPLICA_H

#include "sim/disk/disk.h"
#include "store/store.h"

/* When all clocks stand: 2023-11-14 22:13:20. */
#define REPLICA_EPOCH_MS 1700000000000

struct replica {
    char letter;
    uint8_t renewals;
    gv_time_ms wall, audit_now;
    struct disk *disk;
    struct process *node, *program;
    unsigned starts;
    struct host host; /* of the present process, with our random bytes */
    struct store *store;
    sqlite3 *app;  /* the application's */
    sqlite3 *look; /* an observer's: never in a transaction of its own */
    sqlite3 *kept; /* a backup in memory, or NULL */
    struct disk_image *image; /* a snapshot, or NULL */
    uint64_t links;           /* names of the file; 0: as the disk says */
    /* Of a slice of a seal, and the longest journal that needs none; 0: as
     * many as usual. */
    size_t slice_rows;
};

/* A new machine, off. */
void replica_init(struct replica *replica, char letter);
/* Start it with a file of @schema, member of a mesh, nothing tracked; with a
 * copy of the golden file of this name, as its program left it; or with its
 * disk as @image has it, which replica_take() made. */
void replica_make(struct replica *replica, const char *schema);
void replica_make_old(struct replica *replica, const char *golden);
void replica_wake(struct replica *replica, const struct disk_image *image);
/* The disk as it is, while nothing runs; then all starts again. */
struct disk_image *replica_take(struct replica *replica);
void replica_close(struct replica *replica);

/* Close everything and start again: the node's programs end and begin. */
void replica_restart(struct replica *replica);
/* The same by force: all processes die and the power fails. */
void replica_crash(struct replica *replica, enum disk_loss loss);

/* A backup of @from's file, put in the place of @to's; both may be the same.
 * @to's node does not run meanwhile, unless it is @running: then the next
 * transaction must find out. */
void replica_save(struct replica *replica);
void replica_restore(struct replica *to, const struct replica *from,
                     bool running);

/* Delete the file, and put its backup in the place as a new one.  @running:
 * under the node, which holds the deleted one and must find out. */
void replica_replace(struct replica *replica, bool running);

/* Keep the whole disk, and put it back while nothing runs; or on another
 * machine, which then is a twin of the first. */
void replica_snapshot(struct replica *replica);
void replica_rewind(struct replica *to, const struct replica *from);

/* GV_OK or why the table is refused.  @table is "t" or a name in
 * quotes, or with the kinds of its columns "t counter n mv note". */
int replica_track(struct replica *replica, const char *table,
                  struct gv_error *error);

/* The rows of a query on what is committed: quoted values, "|" between
 * columns, "; " between rows, "none" if there are none.  The caller frees. */
char *replica_ask(struct replica *replica, const char *sql);
/* The same on the application's connection, in its transaction. */
char *replica_ask_app(struct replica *replica, const char *sql);

/* "A", or "A'" once renewed, for a site id as replicas make them. */
const char *replica_site_name(const struct site *site, char name[8]);

#endif
