/* What the store needs of the world besides the VFS. */
#include "disk_internal.h"

#include "grapevine.h"

#include <stdlib.h>
#include <string.h>

static gv_time_ms host_wall(void *context)
{
    const struct process *process = context;

    return process->disk->options.wall(process->disk->options.context);
}

static void host_random(void *context, void *bytes, size_t size)
{
    struct process *process = context;

    process_random(process, bytes, size);
}

static int host_resolve(void *context, const char *path, char *resolved,
                        size_t size)
{
    const struct process *process = context;

    if (process->dead)
        return GV_EIO;
    if (inode_find(process->disk, path) == NULL)
        return GV_ENOTFOUND;
    if (strlen(path) >= size)
        return GV_ELIMIT;
    memcpy(resolved, path, strlen(path) + 1);
    return GV_OK;
}

static int host_marks(void *context, const char *path,
                      struct file_marks *marks)
{
    const struct process *process = context;
    const struct inode *inode = inode_find(process->disk, path);

    if (process->dead)
        return GV_EIO;
    if (inode == NULL)
        return GV_ENOTFOUND;
    *marks = (struct file_marks){inode->number, inode->birth_ns, 1, 0};
    return GV_OK;
}

/* Directories are durable at once: nothing depends on more. */
static int host_directory(void *context, const char *path)
{
    const struct process *process = context;
    struct disk *disk = process->disk;
    size_t size = strlen(path) + 1;

    if (process->dead || inode_find(disk, path) != NULL)
        return GV_EIO;
    for (size_t i = 0; i < disk->directory_count; i++)
        if (strcmp(disk->directories[i], path) == 0)
            return GV_OK;
    disk->directories =
        must_grow(disk->directories,
                  (disk->directory_count + 1) * sizeof *disk->directories);
    disk->directories[disk->directory_count] = must_make(size);
    memcpy(disk->directories[disk->directory_count++], path, size);
    return GV_OK;
}

static int host_lock(void *context, const char *path, void **taken)
{
    struct process *process = context;
    struct disk *disk = process->disk;
    struct path_lock *lock;

    if (process->dead)
        return GV_EIO;
    for (lock = disk->locks; lock != NULL; lock = lock->next)
        if (lock->held && strcmp(lock->path, path) == 0)
            return GV_ELOCKED;
    lock = must_make(sizeof *lock + strlen(path) + 1);
    memcpy(lock->path, path, strlen(path));
    lock->process = process;
    lock->held = true;
    lock->next = disk->locks;
    disk->locks = lock;
    *taken = lock;
    return GV_OK;
}

static void host_unlock(void *context, void *taken)
{
    const struct process *process = context;
    struct path_lock **at = &process->disk->locks, *lock = taken;

    while (*at != lock)
        at = &(*at)->next;
    *at = lock->next;
    free(lock);
}

void host_set_up(struct process *process)
{
    process->host = (struct host){
        .context = process,
        .wall = host_wall,
        .random = host_random,
        .resolve = host_resolve,
        .marks = host_marks,
        .directory = host_directory,
        .lock = host_lock,
        .unlock = host_unlock,
    };
}

/* A store that its process left open has not unlocked. */
void host_unlock_all(struct process *process)
{
    struct path_lock *lock = process->disk->locks, *next;

    for (; lock != NULL; lock = next) {
        next = lock->next;
        if (lock->process == process)
            host_unlock(process, lock);
    }
}
