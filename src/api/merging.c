/* Merging without a network: a store of the program's own, and bundles in
 * place of messages. */
#include "api/db.h"
#include "base/error.h"
#include "store/bundle.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct gv_store {
    struct store *store;
};

_Static_assert(GV_SITE_SIZE == sizeof(struct site), "a site");
_Static_assert(GV_FINGERPRINT_SIZE == 16, "two numbers of 64 bits");
_Static_assert(GV_VV_ENTRY_SIZE == VV_ENTRY_SIZE, "a vector's entry");
_Static_assert(GV_VV_SIZE_MAX == VV_SITES_MAX * VV_ENTRY_SIZE, "a vector");

static int no_memory(struct gv_error *error)
{
    return error_set(error, GV_ENOMEM, "There is no memory left.");
}

static int nothing_tracked(const struct gv_db *db, struct gv_error *error)
{
    error_set(error, GV_EMISUSE, "No table of %s is tracked.", db->path);
    error_meaning(error, "What is shared are the tables that were named once;"
                         " here there are none yet.");
    error_remedy(error,
                 "Name one with gv_track(), or: grapevine track %s"
                 " TABLE",
                 db->path);
    return GV_EMISUSE;
}

int gv_store_open(struct gv_db *db, const struct gv_store_options *options,
                  struct gv_store **store, struct gv_error *error)
{
    struct store_options inner = {.mode = STORE_WRITE, .host = host_system()};
    struct gv_store *made = malloc(sizeof *made);
    int rc;

    if (made == NULL)
        return no_memory(error);
    if (options != NULL)
        inner.log = (struct log){options->log, options->log_context};
    rc = store_open(db->path, &inner, &made->store, error);
    if (rc == GV_OK && !store_joined(made->store)) {
        store_close(made->store);
        rc = nothing_tracked(db, error);
    }
    if (rc != GV_OK)
        free(made);
    else
        *store = made;
    return rc;
}

void gv_store_close(struct gv_store *store)
{
    if (store == NULL)
        return;
    store_close(store->store);
    free(store);
}

int gv_store_seal(struct gv_store *store, uint64_t *version,
                  struct gv_error *error)
{
    return bundle_seal(store->store, version, error);
}

void gv_store_site(const struct gv_store *store, uint8_t site[GV_SITE_SIZE])
{
    for (size_t i = 0; i < GV_SITE_SIZE; i++)
        site[i] = store_site(store->store)->bytes[i];
}

int gv_store_vv(struct gv_store *store, void **vv, size_t *size,
                struct gv_error *error)
{
    const struct vv *held = store_vv(store->store);
    uint8_t *bytes = malloc(held->count * VV_ENTRY_SIZE + 1);

    if (bytes == NULL)
        return no_memory(error);
    for (size_t i = 0; i < held->count; i++)
        vv_entry_store(&held->entries[i], bytes + i * VV_ENTRY_SIZE);
    *vv = bytes;
    *size = held->count * VV_ENTRY_SIZE;
    return GV_OK;
}

void gv_store_fingerprint(const struct gv_store *store,
                          uint8_t fingerprint[GV_FINGERPRINT_SIZE])
{
    struct hash128 sum = store_fingerprint(store->store);

    store_u64(fingerprint, sum.high);
    store_u64(fingerprint + 8, sum.low);
}

/* A vector from outside. */
static int view_of(const void *vv, size_t size, struct vv_view *view,
                   struct gv_error *error)
{
    *view = (struct vv_view){vv, size / VV_ENTRY_SIZE};
    if (size % VV_ENTRY_SIZE == 0 && vv_view_valid(*view))
        return GV_OK;
    error_set(error, GV_EINVAL, "These %zu bytes are not a version vector.",
              size);
    error_meaning(error,
                  "One is made of entries of %d bytes, ascending by"
                  " site; nothing was done.",
                  VV_ENTRY_SIZE);
    error_remedy(error, "Give what gv_store_vv() gave, byte for byte, or"
                        " nothing (size 0).");
    return GV_EINVAL;
}

int gv_vv_json(const void *vv, size_t size, char **json,
               struct gv_error *error)
{
    struct vv_view view;
    json_t *object;
    char *text = NULL;
    int rc = view_of(vv, size, &view, error), failed = 0;

    if (rc != GV_OK)
        return rc;
    object = json_object();
    for (size_t i = 0; i < view.count && failed == 0; i++) {
        struct vv_entry entry = vv_view_at(view, i);
        char site[33], version[24];

        site_format(&entry.site, site);
        snprintf(version, sizeof version, "%llu",
                 (unsigned long long)entry.version);
        failed = json_object_set_new(object, site, json_string(version));
    }
    if (object != NULL && failed == 0)
        text = json_dumps(object, JSON_INDENT(2));
    json_decref(object);
    if (text == NULL)
        return no_memory(error);
    *json = text;
    return GV_OK;
}

int gv_store_extract(struct gv_store *store, const void *vv, size_t vv_size,
                     int (*write)(void *context, const void *bytes,
                                  size_t size),
                     void *context, struct gv_error *error)
{
    struct vv_view view;
    int rc = view_of(vv, vv_size, &view, error);

    if (rc == GV_OK)
        rc = bundle_write(store->store, view, write, context, error);
    return rc;
}

int gv_store_apply(struct gv_store *store,
                   int (*read)(void *context, void *bytes, size_t size,
                               size_t *got),
                   void *context, struct gv_error *error)
{
    return bundle_apply(store->store, read, context, error);
}

int gv_store_extract_bytes(struct gv_store *store, const void *vv,
                           size_t vv_size, void **delta, size_t *size,
                           struct gv_error *error)
{
    struct buffer bytes;
    struct vv_view view;
    int rc = view_of(vv, vv_size, &view, error);

    if (rc != GV_OK)
        return rc;
    buffer_init(&bytes, SIZE_MAX);
    rc = bundle_write_buffer(store->store, view, &bytes, error);
    if (rc != GV_OK) {
        buffer_close(&bytes);
        return rc;
    }
    *delta = bytes.data; /* now the caller's */
    *size = bytes.size;
    return GV_OK;
}

int gv_store_apply_bytes(struct gv_store *store, const void *delta,
                         size_t size, struct gv_error *error)
{
    return bundle_apply_bytes(store->store, delta, size, error);
}
