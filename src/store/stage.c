/* The delta that is arriving: its bytes are kept aside, and nothing touches
 * tables or log until the last one is there. */
#include "store/internal.h"

#include "base/assert.h"

#include <stdlib.h>

int store_stage(struct store *store, uint64_t token, uint64_t offset,
                const uint8_t *bytes, size_t size)
{
    int rc;

    GV_ASSERT(token != 0); /* 0 says that nothing is staged */
    GV_ASSERT(bytes != NULL || size == 0);
    if (token != store->stage_token) {
        char *path = store_file_path(store, "in-0");

        if (path == NULL)
            return GV_ENOMEM;
        store_stage_drop(store, store->stage_token);
        GV_ASSERT(store->stage.path == NULL); /* else its file would stay */
        spool_init(&store->stage, store->vfs, path);
        store->stage_token = token;
    }
    if (offset != spool_size(&store->stage))
        return GV_EPROTO;
    rc = spool_append(&store->stage, bytes, size);
    if (rc != GV_OK)
        store_stage_drop(store, token);
    GV_ASSERT((rc == GV_OK) == (store->stage_token == token));
    GV_ASSERT(rc != GV_OK || spool_size(&store->stage) == offset + size);
    return rc;
}

void store_stage_drop(struct store *store, uint64_t token)
{
    if (token == 0 || token != store->stage_token)
        return;
    spool_close(&store->stage);
    store->stage_token = 0;
}
