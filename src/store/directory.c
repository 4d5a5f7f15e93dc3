/* The node's directory, DB-gv: its lock and its files. */
#include "store/directory.h"

#include "base/assert.h"
#include "store/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *store_file_path(const struct store *store, const char *name)
{
    size_t size = strlen(store->directory) + strlen(name) + 2;
    char *path = malloc(size);

    GV_ASSERT(store->directory[0] == '/');
    GV_ASSERT(strchr(name, '/') == NULL); /* nothing outside of it is ours */
    if (path != NULL)
        snprintf(path, size, "%s/%s", store->directory, name);
    return path;
}

int directory_lock(struct store *store, struct gv_error *error)
{
    char *path = store_file_path(store, "lock");
    int rc = path == NULL ? GV_ENOMEM : GV_OK;

    GV_ASSERT(store->lock == NULL);
    if (rc == GV_OK)
        rc = store->host->directory(store->host->context, store->directory);
    if (rc == GV_OK)
        rc = store->host->lock(store->host->context, path, &store->lock);
    free(path);
    GV_ASSERT((rc == GV_OK) == (store->lock != NULL));
    if (rc == GV_ELOCKED) {
        error_set(error, rc, "Another node or command is using %s.",
                  store->path);
        error_meaning(error,
                      "One process at a time may sync a file; it holds"
                      " the lock %s/lock.",
                      store->directory);
        error_remedy(error, "Wait for it, stop it, or use the node that runs:"
                            " 'grapevine status' asks it.");
    } else if (rc != GV_OK) {
        error_set(error, rc, "The lock %s/lock cannot be made or opened.",
                  store->directory);
        error_meaning(error, "Without it nobody knows whether another node or"
                             " command is using the file.");
        error_remedy(error, "Do this as a user who may write there, on a disk"
                            " that is neither full nor read-only.");
    }
    return rc;
}
