/* A machine's disk, in memory: what the programs of one machine see of a file
 * system, and what is left of it after a crash.
 *
 * A disk has files with bytes as the programs see them and bytes as the
 * platter has them; between the two stand the writes that no sync has
 * confirmed.  Each program is a process with a SQLite VFS of its own over the
 * shared disk, so that one program can die while another lives on.
 *
 * Nothing here knows what is in the files. */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "base/random.h"
#include "store/host.h"

#include <sqlite3.h>

struct disk;
struct process;

/* What a power cut leaves of each write that no sync confirmed. */
enum disk_loss {
    LOSS_NONE, /* all of it: only processes died */
    LOSS_ALL,  /* nothing */
    LOSS_TAIL, /* a random number of the oldest writes is kept whole */
    LOSS_SOME, /* each one kept or dropped, by chance */
    LOSS_TRASH /* each one kept, dropped, torn at a sector or its sectors
                  filled with rubbish, by chance */
};

/* Chances are per million operations of that kind. */
struct disk_faults {
    unsigned read_error, write_error, sync_error;
    /* A sync that fails loses what it should have confirmed: it fails once for
     * each file that is open, and the next one succeeds without it. */
    bool sync_drops;
    /* Bytes of all files; a write beyond fails with SQLITE_FULL.  0: no
     * limit. */
    uint64_t capacity;
    /* Microseconds that each operation takes; they add up in
     * disk_latency(). */
    unsigned read_us, write_us, sync_us;
};

/* Called when an injected fault hits an operation. */
enum disk_event {
    DISK_READ_ERROR,
    DISK_WRITE_ERROR,
    DISK_SYNC_ERROR,
    DISK_FULL,
    DISK_CRASH, /* the armed operation was reached: the process is dead */
    DISK_EVENTS
};

struct disk_options {
    uint64_t seed;
    unsigned sector; /* 512 or 4096 */
    /* SQLITE_IOCAP_*: 0 promises nothing. */
    int characteristics;
    void *context; /* of the callbacks */
    gv_time_ms (*wall)(void *context);
    void (*event)(void *context, enum disk_event event); /* or NULL */
};

/* SQLite has one generator for the whole program, from which WAL salts come:
 * call this when a run begins, and only then. */
void disk_seed_sqlite(uint64_t seed);

struct disk *disk_new(const struct disk_options *options);
/* All its processes are closed.  NULL is harmless. */
void disk_free(struct disk *disk);

void disk_set_faults(struct disk *disk, const struct disk_faults *faults);
/* Microseconds of virtual time that operations took since the last call. */
uint64_t disk_latency_take(struct disk *disk);

/* A program on this disk.  @name is its VFS's name, unique among all living
 * ones.  One that is @spared sees no faults, is not counted and cannot be
 * killed: for observers. */
struct process *process_new(struct disk *disk, const char *name, bool spared);
/* All its files are closed.  Its locks are gone.  NULL is harmless. */
void process_free(struct process *process);
const char *process_vfs(const struct process *process);
/* What the store needs besides the VFS: the disk's wall clock, random bytes
 * from the disk's seed, paths as they are, marks, directories, locks. */
const struct host *process_host(const struct process *process);

/* Operations that change the disk (write, truncate, sync, create, delete) by
 * this process since it was made. */
uint64_t process_operations(const struct process *process);
/* Die at the @n-th such operation from now, from 1: it is not carried out
 * (@torn: a write is carried out up to a random sector), and from then on
 * every operation fails with an I/O error and changes nothing, until the
 * process is freed.  0 disarms. */
void process_kill_at(struct process *process, uint64_t n, bool torn);
void process_kill(struct process *process);
bool process_dead(const struct process *process);

/* The power fails: all processes are dead; those that are not spared have no
 * files any more when this is called.  What @loss leaves becomes what the disk
 * holds.  Also forgets wal-index memory. */
void disk_power_cut(struct disk *disk, enum disk_loss loss);

/* The files as they are now, as a copy; and back.  Nothing is open when a
 * copy is put back.  @same_files: as a virtual machine's snapshot, with inodes
 * and birth times; else as "cp" would, with new ones (an existing file keeps
 * its inode and birth time and gets the bytes).  Files that the image does not
 * have are deleted, except what was left out. */
struct disk_image;
struct disk_image *disk_image_take(const struct disk *disk);
void disk_image_put(struct disk *disk, const struct disk_image *image,
                    bool same_files);
/* "cp": the file at @to, which may be open, gets the bytes of @from's. */
void disk_copy_over(struct disk *disk, const char *to, struct disk *from,
                    const char *path);
/* When it is put back, the file at @path stays as it is: for a backup of the
 * database alone, without the node's directory. */
void disk_image_leave_out(struct disk_image *image, const char *path);
void disk_image_free(struct disk_image *image);

/* A run can fork() into many futures.  In a child: from now on wal-index
 * memory is its own, as all else is, and chance goes another way. */
void disk_unshare(struct disk *disk, uint64_t seed);

/* Bytes of all files. */
uint64_t disk_size(const struct disk *disk);
/* Of one file, 0 if there is none; and whether the platter has all of it. */
uint64_t disk_file_size(const struct disk *disk, const char *path);
bool disk_synced(const struct disk *disk, const char *path);
/* The system writes what it has of a file, as it does within half a minute. */
void disk_write_back(struct disk *disk, const char *path);
/* A hash of all files' names and bytes, as programs see them. */
uint64_t disk_hash(const struct disk *disk);

#endif
