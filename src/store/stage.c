/* The delta that is arriving: its bytes are kept aside, and nothing touches
 * tables or log until the last one is there. */
#include "store/internal.h"

#include <stdlib.h>

int store_stage(struct store *store, uint64_t token, uint64_t offset,
                const uint8_t *bytes, size_t size)
{
    int rc;

    if (token != store->stage_token) {
        char *path = store_file_path(store, "in-0");

        if (path == NULL)
            return GV_ENOMEM;
        store_stage_drop(store, store->stage_token);
        spool_init(&store->stage, store->vfs, path);
        store->stage_token = token;
    }
    if (offset != spool_size(&store->stage))
        return GV_EPROTO;
    rc = spool_append(&store->stage, bytes, size);
    if (rc != GV_OK)
        store_stage_drop(store, token);
    return rc;
}

void store_stage_drop(struct store *store, uint64_t token)
{
    if (token == 0 || token != store->stage_token)
        return;
    spool_close(&store->stage);
    store->stage_token = 0;
}
