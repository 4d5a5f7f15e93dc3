/* Plain files of the node's directory, through the database's own VFS, so
 * that whatever stands in for the disk sees them too. */
#ifndef STORE_FILE_H
#define STORE_FILE_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

struct file;

/* Open @path (absolute), made if @create.  Errors: GV_ENOTFOUND, GV_EIO,
 * GV_EFULL, GV_ENOMEM. */
int file_open(const char *vfs, const char *path, int create,
              struct file **file);
void file_close(struct file *file); /* NULL is harmless */

int file_write(struct file *file, uint64_t offset, const void *bytes,
               size_t size);
int file_size(struct file *file, uint64_t *size);
/* GV_EIO also when the file ends before. */
int file_read(struct file *file, uint64_t offset, void *bytes, size_t size);
int file_truncate(struct file *file, uint64_t size);
/* What was written, and the name of a file that was made. */
int file_sync(struct file *file);

/* One that is not there is fine. */
int file_delete(const char *vfs, const char *path);

#endif
