#include "tracked.h"

#include <stdlib.h>
#include <string.h>

static uint64_t token;

static void must(int rc, const char *doing, const struct gv_error *error)
{
    if (rc != GV_OK)
        die("Cannot %s: %s", doing,
            error->what[0] != '\0' ? error->what : gv_strerror(rc));
}

struct store *tracked_open(const char *path)
{
    struct store_options options = {.mode = STORE_WRITE,
                                    .host = host_system()};
    struct gv_error error = {0};
    struct store *store;

    must(store_open(path, &options, &store, &error), "open", &error);
    return store;
}

void tracked_track(struct store *store)
{
    struct gv_error error = {0};
    struct buffer notes;

    buffer_init(&notes, 65536);
    must(store_track(store, "contacts", &notes, &error), "track", &error);
    buffer_close(&notes);
}

void tracked_make(const char *path)
{
    struct store *store = tracked_open(path);

    tracked_track(store);
    store_close(store);
}

struct store_sealed tracked_seal(struct store *store)
{
    struct store_sealed sealed = {0};
    struct gv_error error = {0};

    must(store_begin(store, &error), "seal", &error);
    must(store_commit(store, &sealed, &error), "commit", &error);
    return sealed;
}

struct vv_view tracked_view(const struct vv *vv)
{
    static uint8_t bytes[64 * VV_ENTRY_SIZE];

    if (vv == NULL)
        return (struct vv_view){bytes, 0};
    if (vv->count > 64)
        die("A vector of %zu entries is too long here.", vv->count);
    for (size_t i = 0; i < vv->count; i++)
        vv_entry_store(&vv->entries[i], bytes + i * VV_ENTRY_SIZE);
    return (struct vv_view){bytes, vv->count};
}

static void read_all(struct extract *extract, struct delta *delta)
{
    delta->size = (size_t)extract_size(extract);
    delta->bytes = malloc(delta->size + 1);
    if (delta->bytes == NULL)
        die("Out of memory.");
    for (size_t at = 0; at < delta->size;) {
        size_t size = delta->size - at;

        if (size > MESSAGE_DELTA_SIZE_MAX)
            size = MESSAGE_DELTA_SIZE_MAX;
        if (extract_read(extract, at, delta->bytes + at, size) != GV_OK)
            die("Cannot read a spool.");
        at += size;
    }
}

void tracked_extract(struct store *store, const struct vv *vv,
                     struct delta *delta)
{
    struct extract *extract;
    struct gv_error error = {0};
    struct span begin;
    bool done = false;

    memset(delta, 0, sizeof *delta);
    begin = span_begin();
    must(extract_begin(store, tracked_view(vv), &extract, &error), "extract",
         &error);
    while (!done)
        must(extract_step(extract, 1000, &done, &error), "extract", &error);
    delta->cost = span_end(begin);
    read_all(extract, delta);
    vv_init(&delta->claim);
    if (vv_raise_view(&delta->claim, extract_claim(extract)) != GV_OK)
        die("Out of memory.");
    extract_effort(extract, &delta->scan_steps, &delta->vm_steps);
    extract_free(extract);
}

void delta_free(struct delta *delta)
{
    free(delta->bytes);
    vv_close(&delta->claim);
    memset(delta, 0, sizeof *delta);
}

void tracked_stage(struct store *store, const struct delta *delta)
{
    token++;
    for (size_t at = 0; at < delta->size || at == 0;) {
        size_t size = delta->size - at;

        if (size > MESSAGE_DELTA_SIZE_MAX)
            size = MESSAGE_DELTA_SIZE_MAX;
        if (store_stage(store, token, at, delta->bytes + at, size) != GV_OK)
            die("Cannot stage a delta.");
        at += size;
        if (delta->size == 0)
            break;
    }
}

void tracked_accept(struct store *store, const struct delta *delta)
{
    struct store_sealed sealed;
    struct gv_error error = {0};

    must(store_begin(store, &error), "begin", &error);
    must(store_apply_delta(store, token, tracked_view(&delta->claim), &error),
         "apply", &error);
    must(store_commit(store, &sealed, &error), "commit", &error);
}

void tracked_apply(struct store *store, const struct delta *delta)
{
    struct gv_error error = {0};

    tracked_accept(store, delta);
    must(store_work_all(store, token, NULL, &error), "apply", &error);
}
