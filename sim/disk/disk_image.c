/* Copies of a disk, put aside and put back. */
#include "disk_internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

struct kept_file {
    char *path;
    struct content content;
    uint64_t number;
    int64_t birth_ns;
    bool left_out;
};

struct disk_image {
    struct kept_file *files;
    size_t count;
};

static struct kept_file *file_add(struct disk_image *image, const char *path)
{
    struct kept_file *file;

    image->files =
        must_grow(image->files, (image->count + 1) * sizeof *image->files);
    file = &image->files[image->count++];
    memset(file, 0, sizeof *file);
    file->path = must_make(strlen(path) + 1);
    memcpy(file->path, path, strlen(path));
    return file;
}

static struct kept_file *file_find(const struct disk_image *image,
                                   const char *path)
{
    for (size_t i = 0; i < image->count; i++)
        if (strcmp(image->files[i].path, path) == 0)
            return &image->files[i];
    return NULL;
}

struct disk_image *disk_image_take(const struct disk *disk)
{
    struct disk_image *image = must_make(sizeof *image);

    for (size_t i = 0; i < disk->inode_count; i++) {
        const struct inode *inode = disk->inodes[i];
        struct kept_file *file;

        if (!inode->linked)
            continue;
        file = file_add(image, inode->path);
        content_copy(&file->content, &inode->seen);
        file->number = inode->number;
        file->birth_ns = inode->birth_ns;
    }
    return image;
}

void disk_image_leave_out(struct disk_image *image, const char *path)
{
    struct kept_file *file = file_find(image, path);

    if (file == NULL)
        file = file_add(image, path);
    file->left_out = true;
}

/* Whatever the image does not name goes, ghosts too. */
static void remove_others(struct disk *disk, const struct disk_image *image,
                          bool same_files)
{
    for (size_t i = 0; i < disk->inode_count;) {
        struct inode *inode = disk->inodes[i];
        const struct kept_file *file = file_find(image, inode->path);

        GV_ASSERT(inode->handles == NULL);
        if (file != NULL && inode->linked && (file->left_out || !same_files)) {
            i++;
            continue;
        }
        disk->size -= inode->seen.size;
        inode_free(disk, inode);
    }
}

static void put_file(struct disk *disk, const struct kept_file *file,
                     bool same_files)
{
    struct inode *inode = inode_find(disk, file->path);

    if (inode == NULL)
        inode = inode_create(disk, file->path);
    disk->size -= inode->seen.size;
    disk->size += file->content.size;
    content_copy(&inode->seen, &file->content);
    content_copy(&inode->durable, &file->content);
    inode_settle(inode);
    inode->linked_durably = true;
    if (same_files) {
        inode->number = file->number;
        inode->birth_ns = file->birth_ns;
        if (disk->last_inode < file->number)
            disk->last_inode = file->number;
    }
}

void disk_image_put(struct disk *disk, const struct disk_image *image,
                    bool same_files)
{
    remove_others(disk, image, same_files);
    for (size_t i = 0; i < image->count; i++)
        if (!image->files[i].left_out)
            put_file(disk, &image->files[i], same_files);
}

void disk_copy_over(struct disk *disk, const char *to, struct disk *from,
                    const char *path)
{
    const struct inode *source = inode_find(from, path);
    struct inode *inode = inode_find(disk, to);

    GV_ASSERT(source != NULL && inode != NULL);
    disk->size -= inode->seen.size;
    disk->size += source->seen.size;
    content_copy(&inode->seen, &source->seen);
    content_copy(&inode->durable, &source->seen);
    inode_settle(inode);
}

void disk_image_free(struct disk_image *image)
{
    if (image == NULL)
        return;
    for (size_t i = 0; i < image->count; i++) {
        content_close(&image->files[i].content);
        free(image->files[i].path);
    }
    free(image->files);
    free(image);
}
