/* What the files of the simulated disk share: disk_inode.c has contents and
 * names, disk_cut.c power cuts, disk_image.c copies, disk_lock.c locks and
 * wal-indexes, disk_process.c processes and their VFS,
 * disk_file.c its open files, disk_host.c the hosts, disk.c the rest.
 *
 * An inode has bytes as programs see them and bytes as the platter has them.
 * Every write or truncate since the last sync stands in its list of changes;
 * a sync carries them out on the platter's bytes.  A name is treated alike: a
 * file that was made may vanish until it is synced, and one that was deleted
 * without a sync of its directory may come back (it is then a ghost). */
#ifndef SIM_DISK_INTERNAL_H
#define SIM_DISK_INTERNAL_H

#include "disk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SQLite asks for wal-index memory in pieces of this size, and has this many
 * locks on it. */
#define REGION_SIZE 32768
#define SHM_LOCKS 8

struct content {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

enum change_kind { CHANGE_WRITE, CHANGE_TRUNCATE };

struct change {
    uint64_t order;  /* among all changes of the disk */
    uint64_t offset; /* of a truncate: the new size */
    size_t size;
    size_t at; /* where the bytes stand in the inode's pending ones */
    enum change_kind kind;
};

struct wal_index {
    int fd; /* of memory that several mappings share */
    int region_count;
};

struct inode {
    uint64_t number;
    int64_t birth_ns;
    char *path; /* NULL: a temporary file without a name */
    size_t path_size;
    bool linked;         /* programs find it by its name */
    bool linked_durably; /* the platter has its name */
    uint64_t link_order, unlink_order;
    struct content seen, durable;
    struct change *changes;
    size_t change_count, change_capacity;
    struct content pending; /* the bytes of the changes */
    struct handle *handles; /* open files */
    struct wal_index *wal_index;
};

struct handle {
    sqlite3_file base;
    struct process *process;
    struct inode *inode;
    struct handle *next; /* of the same inode */
    bool delete_on_close;
    /* Its first sync is also one of its directory: SQLite's unix VFS does so
     * for journals and write-ahead logs. */
    bool syncs_directory;
    bool sync_lost; /* pages were dropped, and this file was not told yet */
    int level;      /* SQLITE_LOCK_* */
    bool shm_user;
    unsigned shm_shared, shm_exclusive; /* bits of locks held */
    void **regions;
    int region_count;
};

struct process {
    struct process *next;
    struct disk *disk;
    char *name;
    sqlite3_vfs vfs;
    struct host host;
    bool spared, dead, torn;
    uint64_t operations;
    uint64_t kill_in; /* operations, the last one included; 0: not armed */
};

struct path_lock {
    struct path_lock *next;
    struct process *process;
    bool held;
    char path[];
};

struct disk {
    struct disk_options options;
    struct disk_faults faults;
    struct random chance;  /* of faults and torn writes */
    struct random loss;    /* of power cuts */
    struct random bytes;   /* for programs */
    struct inode **inodes; /* in the order in which they were made */
    size_t inode_count, inode_capacity;
    char **directories;
    size_t directory_count;
    struct path_lock *locks;
    struct process *processes;
    uint64_t order;
    uint64_t last_inode;
    int64_t last_birth_ns;
    uint64_t size; /* bytes of all files that are linked or open */
    uint64_t latency_us;
};

/* disk_inode.c */

/* What is new is zero. */
void content_resize(struct content *content, size_t size);
void content_write(struct content *content, uint64_t offset, const void *bytes,
                   size_t size);
void content_copy(struct content *content, const struct content *from);
void content_close(struct content *content);

/* The file of that name as programs see it, or NULL. */
struct inode *inode_find(const struct disk *disk, const char *path);
/* A new empty file; @path NULL: without a name. */
struct inode *inode_create(struct disk *disk, const char *path);
void inode_free(struct disk *disk, struct inode *inode);
/* Take its name away; durably when the directory is synced with it. */
void inode_unlink(struct disk *disk, struct inode *inode, bool synced);
/* Make all names of the directory of @of durable as programs see them.  @of
 * itself is not freed. */
void inode_sync_directory(struct disk *disk, const struct inode *of);
/* A handle of it was closed: free what nobody can reach any more. */
void inode_release(struct disk *disk, struct inode *inode);
/* The platter has this file under its name: no older one comes back. */
void inode_forget_ghost(struct disk *disk, const struct inode *inode);
void inode_write(struct disk *disk, struct inode *inode, uint64_t offset,
                 const void *bytes, size_t size);
void inode_truncate(struct disk *disk, struct inode *inode, uint64_t size);
void inode_sync(struct disk *disk, struct inode *inode);
/* Carry out one change on the platter; forget all changes. */
void inode_land(struct inode *inode, const struct change *change);
void inode_settle(struct inode *inode);
/* Of a write that is torn at the end of a sector: how many bytes are kept. */
size_t inode_torn_size(const struct disk *disk, struct random *random,
                       uint64_t offset, size_t size);

/* disk_cut.c; all processes are dead. */
void cut_power(struct disk *disk, enum disk_loss loss);

/* disk_process.c */

enum fate {
    FATE_GO,
    FATE_DIES, /* in the middle of this operation */
    FATE_DEAD
};

/* What becomes of an operation of @process that changes the disk. */
enum fate process_operate(struct process *process);
/* Whether a fault with this chance hits an operation. */
bool process_faulty(const struct process *process, unsigned per_million,
                    enum disk_event event);
void process_tell(const struct process *process, enum disk_event event);
void process_random(struct process *process, uint8_t *bytes, size_t size);

/* disk_file.c: what SQLite does with an open file */
extern const sqlite3_io_methods disk_file_methods;

/* disk_host.c */
void host_set_up(struct process *process);
void host_unlock_all(struct process *process);

/* disk_lock.c */

int lock_take(struct handle *handle, int level);
void lock_release(struct handle *handle, int level);
bool lock_reserved(const struct handle *handle);
int shm_map(struct handle *handle, int region, int extend,
            void volatile **map);
int shm_lock(struct handle *handle, int offset, int count, int flags);
void shm_unmap(struct handle *handle);
/* Its process died: its locks go, and what it still does to wal-index memory
 * reaches nobody. */
void lock_forsake(struct handle *handle);
/* The power failed: whoever still maps the memory finds zeroes. */
void shm_forget(struct inode *inode);
/* After fork(): memory that no other process of the system shares. */
void shm_unshare(struct inode *inode);

/* malloc, calloc and realloc that abort when there is no memory: a simulator
 * has nothing better to do. */
void *must_grow(void *memory, size_t size);
void *must_make(size_t size);

#endif
