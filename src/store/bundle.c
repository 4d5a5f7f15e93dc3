/* Bundles: a delta with all that its taker must know, and a hash.
 *
 * Between nodes a delta is only taken as the answer to a WANT of this run.  A
 * bundle may be applied a year later, to any file.  So it names the vector it
 * was made for, and is refused where the file does not hold that much (any
 * more): what it leaves out would be claimed and never come. */
#include "store/bundle.h"

#include "base/assert.h"
#include "base/checksum.h"
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC "gvbundle"
#define MAGIC_SIZE 8
/* 1 had no types, kinds and defaults in its definitions of tables. */
#define FORMAT 2
#define HEAD_SIZE 32
#define VECTOR_SIZE_MAX ((size_t)VV_SITES_MAX * VV_ENTRY_SIZE)

/* store_begin() waits STORE_BUSY_NODE_MS for another writer. */
#define BUSY_TRIES_MAX (STORE_BUSY_COMMAND_MS / STORE_BUSY_NODE_MS)
#define BORROWED_TRIES_MAX 2
/* Rows found changed past the triggers are sealed, and all is tried again; a
 * file where that happens more often is written so all the time. */
#define DIFFERS_TRIES_MAX 5
#define STEP_ROWS 2000

_Static_assert(MAGIC_SIZE + 4 * 4 + 8 == HEAD_SIZE, "the head's parts");
_Static_assert(BUNDLE_PIECE_SIZE <= VECTOR_SIZE_MAX, "what is taken at once");

/* What stands before the stream.  The views borrow `vectors`. */
struct head {
    char mesh[MESSAGE_TEXT_SIZE_MAX + 1];
    struct vv_view base, claim;
    uint64_t stream_size;
    struct buffer vectors;
};

/* Counts what may pass, with the patience that each kind deserves. */
struct tries {
    int busy, differs;
};

static bool again(const struct store *store, struct tries *tries, int rc)
{
    /* An application's connection has waited as long as it is told to. */
    int busy_max = store->borrowed ? BORROWED_TRIES_MAX : BUSY_TRIES_MAX;

    GV_ASSERT(tries->busy <= busy_max);
    GV_ASSERT(tries->differs <= DIFFERS_TRIES_MAX);
    if (rc == GV_EBUSY)
        return tries->busy++ < busy_max;
    if (rc == GV_EDIFFERS)
        return tries->differs++ < DIFFERS_TRIES_MAX;
    return false;
}

/* Codes of a caller's function are negative; any other means failure. */
static int code_of(int rc)
{
    return rc <= 0 ? rc : GV_EIO;
}

/* Seal */

/* What is sealed in slices goes first, so that the lock is held for none of
 * them long. */
static int seal_once(struct store *store, struct store_sealed *sealed,
                     struct gv_error *error)
{
    struct store_sealed sliced;
    int rc = store_work_all(store, 0, &sliced, error);

    if (rc == GV_OK)
        rc = store_begin(store, error);
    GV_ASSERT(store->in_transaction == (rc == GV_OK));
    if (rc == GV_OK)
        rc = store_commit(store, sealed, error);
    if (rc == GV_OK && !sealed->any)
        *sealed = sliced;
    return rc;
}

int bundle_seal(struct store *store, gv_version *version,
                struct gv_error *error)
{
    struct store_sealed sealed = {0};
    struct tries tries = {0};
    int rc;

    do
        rc = seal_once(store, &sealed, error);
    while (rc != GV_OK && again(store, &tries, rc));
    if (rc == GV_OK)
        *version = sealed.any ? sealed.interval.to : 0;
    GV_ASSERT(rc != GV_OK || *version <= VERSION_MAX);
    return rc;
}

/* Write */

struct output {
    int (*write)(void *context, const void *bytes, size_t size);
    void *context;
    struct checksum checksum;
    struct gv_error *error;
};

/* Hand on @bytes in pieces. */
static int put(struct output *output, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    int rc = GV_OK;

    GV_ASSERT(bytes != NULL || size == 0);
    while (size > 0 && rc == GV_OK) {
        size_t piece = size < BUNDLE_PIECE_SIZE ? size : BUNDLE_PIECE_SIZE;

        checksum_add(&output->checksum, at, piece);
        rc = code_of(output->write(output->context, at, piece));
        at += piece;
        size -= piece;
    }
    if (rc != GV_OK)
        error_set(output->error, rc, "The delta could not be written: %s.",
                  gv_strerror(rc));
    return rc;
}

static int put_head(struct output *output, struct store *store,
                    struct vv_view base, const struct extract *extract)
{
    struct vv_view claim = extract_claim(extract);
    char mesh[MESSAGE_TEXT_SIZE_MAX + 1];
    uint8_t head[HEAD_SIZE] = MAGIC;
    int rc = store_mesh(store, mesh, output->error);

    GV_ASSERT(base.count <= VV_SITES_MAX && claim.count <= VV_SITES_MAX);
    if (rc != GV_OK)
        return rc;
    store_u32(head + 8, FORMAT);
    store_u32(head + 12, (uint32_t)strlen(mesh));
    store_u32(head + 16, (uint32_t)base.count);
    store_u32(head + 20, (uint32_t)claim.count);
    store_u64(head + 24, extract_size(extract));
    rc = put(output, head, sizeof head);
    if (rc == GV_OK)
        rc = put(output, mesh, strlen(mesh));
    if (rc == GV_OK)
        rc = put(output, base.bytes, base.count * VV_ENTRY_SIZE);
    if (rc == GV_OK)
        rc = put(output, claim.bytes, claim.count * VV_ENTRY_SIZE);
    return rc;
}

static int put_stream(struct output *output, struct extract *extract)
{
    uint64_t size = extract_size(extract);
    uint8_t *piece = malloc(BUNDLE_PIECE_SIZE);
    int rc = piece == NULL ? GV_ENOMEM : GV_OK;

    for (uint64_t at = 0; at < size && rc == GV_OK;) {
        uint64_t left = size - at;
        size_t part =
            left < BUNDLE_PIECE_SIZE ? (size_t)left : BUNDLE_PIECE_SIZE;

        rc = extract_read(extract, at, piece, part);
        if (rc != GV_OK)
            error_set(output->error, rc, "The spool cannot be read: %s.",
                      gv_strerror(rc));
        else
            rc = put(output, piece, part);
        at += part;
        GV_ASSERT(at <= size);
    }
    free(piece);
    return rc;
}

static int put_hash(struct output *output)
{
    uint8_t hash[CHECKSUM_SIZE];
    struct checksum sum = output->checksum;

    checksum_end(&sum, hash);
    return put(output, hash, sizeof hash);
}

/* A snapshot of an empty journal, read to its end. */
static int read_once(struct store *store, struct vv_view vv,
                     struct extract **extract, struct gv_error *error)
{
    struct store_sealed sealed;
    struct extract *made = NULL;
    bool done = false;
    int rc = seal_once(store, &sealed, error);

    if (rc == GV_OK)
        rc = extract_begin(store, vv, &made, error);
    while (rc == GV_OK && !done)
        rc = extract_step(made, STEP_ROWS, &done, error);
    GV_ASSERT(rc != GV_OK || done);
    if (rc != GV_OK)
        extract_free(made);
    else
        *extract = made;
    return rc;
}

int bundle_extract(struct store *store, struct vv_view vv,
                   struct extract **extract, struct gv_error *error)
{
    struct tries tries = {0};
    int rc;

    GV_ASSERT(store->joined && !store->in_transaction);
    do
        rc = read_once(store, vv, extract, error);
    while (rc != GV_OK && again(store, &tries, rc));
    return rc;
}

int bundle_write(struct store *store, struct vv_view vv,
                 int (*write)(void *context, const void *bytes, size_t size),
                 void *context, struct gv_error *error)
{
    struct output output = {
        .write = write, .context = context, .error = error};
    struct extract *extract = NULL;
    int rc = bundle_extract(store, vv, &extract, error);

    if (rc != GV_OK)
        return rc;
    checksum_init(&output.checksum);
    rc = put_head(&output, store, vv, extract);
    if (rc == GV_OK)
        rc = put_stream(&output, extract);
    if (rc == GV_OK)
        rc = put_hash(&output);
    extract_free(extract);
    return rc;
}

/* Read */

struct input {
    int (*read)(void *context, void *bytes, size_t size, size_t *got);
    void *context;
    bool alone; /* nothing may stand behind it */
    struct checksum checksum;
    struct gv_error *error;
};

static int refuse(struct input *input, const char *what)
{
    error_set(input->error, GV_EPROTO, "This is not a whole delta: %s.", what);
    error_meaning(input->error, "Nothing of it was applied.");
    error_remedy(input->error, "Make it again, and copy or send it as binary"
                               " data.");
    return GV_EPROTO;
}

/* Exactly @size bytes. */
static int take(struct input *input, void *bytes, size_t size)
{
    size_t held = 0;

    GV_ASSERT(size <= VECTOR_SIZE_MAX); /* nothing else is taken at once */
    while (held < size) {
        size_t got = 0;
        int rc = code_of(input->read(input->context, (uint8_t *)bytes + held,
                                     size - held, &got));

        if (rc == GV_OK && got > size - held)
            rc = GV_EMISUSE; /* and what was behind @bytes is overwritten */
        if (rc != GV_OK)
            return error_set(input->error, rc,
                             "The delta could not be read: %s.",
                             gv_strerror(rc));
        if (got == 0)
            return refuse(input, "it ends too early");
        held += got;
    }
    checksum_add(&input->checksum, bytes, size);
    return GV_OK;
}

static int take_vector(struct input *input, struct buffer *buffer,
                       uint32_t count)
{
    uint8_t *room;

    GV_ASSERT(count <= VV_SITES_MAX);
    room = buffer_extend(buffer, count * VV_ENTRY_SIZE);
    if (room == NULL)
        return error_set(input->error, GV_ENOMEM, "Out of memory.");
    return take(input, room, count * VV_ENTRY_SIZE);
}

static int other_format(struct input *input, uint32_t format)
{
    bool newer = format > FORMAT;

    GV_ASSERT(format != FORMAT);
    error_set(input->error, GV_EVERSION,
              "The delta has format %u, and this library knows %d.",
              (unsigned)format, FORMAT);
    error_meaning(input->error,
                  "%s version of Grapevine made it; nothing of it was"
                  " applied.",
                  newer ? "A newer" : "An older");
    error_remedy(input->error, newer
                                   ? "Update Grapevine here."
                                   : "Update Grapevine where it was made, and"
                                     " make it again.");
    return GV_EVERSION;
}

static int take_head(struct input *input, struct head *head)
{
    uint8_t bytes[HEAD_SIZE];
    uint32_t mesh_size, base_count, claim_count;
    int rc = take(input, bytes, sizeof bytes);

    if (rc != GV_OK)
        return rc;
    if (memcmp(bytes, MAGIC, MAGIC_SIZE) != 0)
        return refuse(input, "it does not begin as one");
    if (load_u32(bytes + 8) != FORMAT)
        return other_format(input, load_u32(bytes + 8));
    mesh_size = load_u32(bytes + 12);
    base_count = load_u32(bytes + 16);
    claim_count = load_u32(bytes + 20);
    head->stream_size = load_u64(bytes + 24);
    if (mesh_size > MESSAGE_TEXT_SIZE_MAX || base_count > VV_SITES_MAX ||
        claim_count > VV_SITES_MAX || head->stream_size > INT64_MAX)
        return refuse(input, "its head has numbers out of range");
    GV_ASSERT(mesh_size < sizeof head->mesh);
    rc = take(input, head->mesh, mesh_size);
    head->mesh[mesh_size] = '\0';
    if (rc == GV_OK)
        rc = take_vector(input, &head->vectors, base_count);
    if (rc == GV_OK)
        rc = take_vector(input, &head->vectors, claim_count);
    if (rc != GV_OK)
        return rc;
    head->base = (struct vv_view){head->vectors.data, base_count};
    head->claim = (struct vv_view){
        head->vectors.data + base_count * VV_ENTRY_SIZE, claim_count};
    if (!vv_view_valid(head->base) || !vv_view_valid(head->claim))
        return refuse(input, "a vector in it is none");
    return GV_OK;
}

/* Into the stage of @token, where nothing touches tables or log. */
static int take_stream(struct input *input, struct store *store,
                       uint64_t token, uint64_t size)
{
    uint8_t *piece = malloc(BUNDLE_PIECE_SIZE);
    int rc = piece == NULL ? GV_ENOMEM : store_stage(store, token, 0, NULL, 0);

    GV_ASSERT(token != 0);
    if (rc != GV_OK)
        error_set(input->error, rc, "The delta cannot be kept: %s.",
                  gv_strerror(rc));
    for (uint64_t at = 0; at < size && rc == GV_OK;) {
        uint64_t left = size - at;
        size_t part =
            left < BUNDLE_PIECE_SIZE ? (size_t)left : BUNDLE_PIECE_SIZE;

        rc = take(input, piece, part);
        if (rc != GV_OK)
            break;
        rc = store_stage(store, token, at, piece, part);
        if (rc != GV_OK)
            error_set(input->error, rc, "The delta cannot be kept in %s: %s.",
                      store->directory, gv_strerror(rc));
        at += part;
        GV_ASSERT(at <= size);
    }
    free(piece);
    return rc;
}

static int take_hash(struct input *input)
{
    uint8_t hash[CHECKSUM_SIZE], expected[CHECKSUM_SIZE];
    struct checksum sum = input->checksum;
    int rc;

    checksum_end(&sum, expected);
    rc = take(input, hash, sizeof hash);
    if (rc == GV_OK && memcmp(hash, expected, sizeof hash) != 0)
        rc = refuse(input, "it was damaged on its way");
    return rc;
}

static int check_end(struct input *input)
{
    uint8_t byte;
    size_t got = 0;
    int rc = code_of(input->read(input->context, &byte, 1, &got));

    GV_ASSERT(input->alone);
    if (rc == GV_OK && got != 0)
        rc = refuse(input, "something stands behind its end");
    return rc;
}

/* Apply */

static int other_mesh(const struct head *head, const char *mesh,
                      struct gv_error *error)
{
    error_set(error, GV_EMESH,
              "The delta is of the mesh '%s', this file of '%s'.", head->mesh,
              mesh);
    error_meaning(error, "Its rows would mix with those of other data; nothing"
                         " of it was applied.");
    error_remedy(error, "Apply it to a file of its mesh.");
    return GV_EMESH;
}

static int gap(const struct store *store, struct vv_view base,
               struct gv_error *error)
{
    struct vv_entry entry = {0};
    gv_version held = 0;
    char site[33];

    for (size_t i = 0; i < base.count && held >= entry.version; i++) {
        entry = vv_view_at(base, i);
        held = vv_get(store_vv(store), &entry.site);
    }
    GV_ASSERT(held < entry.version);
    site_format(&entry.site, site);
    error_set(error, GV_EGAP,
              "The delta begins where this file does not stand yet: at version"
              " %llu of site %s, of which the file has %llu.",
              (unsigned long long)entry.version, site,
              (unsigned long long)held);
    error_meaning(error, "It was made for a file that holds more, and leaves"
                         " out what that one has; nothing of it was applied.");
    error_remedy(error, "Make one for this file's own vector, or for an empty"
                        " vector, which gives everything.");
    return GV_EGAP;
}

static int hear(struct store *store, struct vv_view view,
                struct gv_error *error)
{
    for (size_t i = 0; i < view.count; i++) {
        struct vv_entry entry = vv_view_at(view, i);

        if (site_equal(&entry.site, store_site(store)))
            return store_heard_own(store, entry.version, error);
    }
    return GV_OK;
}

int bundle_check(struct store *store, struct vv_view base,
                 struct vv_view claim, struct gv_error *error)
{
    /* What either vector says of this very site may prove that the file went
     * back. */
    int rc = hear(store, base, error);

    GV_ASSERT(store->in_transaction);
    if (rc == GV_OK)
        rc = hear(store, claim, error);
    if (rc == GV_OK && !vv_covers_view(store_vv(store), base))
        rc = gap(store, base, error);
    return rc;
}

/* Whether this file may take it: looked at in the transaction that does. */
static int check_taker(struct store *store, const struct head *head,
                       struct gv_error *error)
{
    char mesh[MESSAGE_TEXT_SIZE_MAX + 1];
    int rc = store_mesh(store, mesh, error);

    if (rc == GV_OK && head->mesh[0] != '\0' && mesh[0] != '\0' &&
        strcmp(head->mesh, mesh) != 0)
        rc = other_mesh(head, mesh, error);
    return rc == GV_OK ? bundle_check(store, head->base, head->claim, error)
                       : rc;
}

static int apply_once(struct store *store, const struct head *head,
                      uint64_t token, struct gv_error *error)
{
    struct store_sealed sealed;
    int committed, rc = store_begin(store, error);

    if (rc != GV_OK)
        return rc;
    rc = check_taker(store, head, error);
    if (rc == GV_OK)
        rc = store_apply_delta(store, token, head->claim, error);
    /* What was sealed stays, and so does a row that was found changed. */
    committed = store_commit(store, &sealed, rc == GV_OK ? error : NULL);
    GV_ASSERT(!store->in_transaction);
    if (rc == GV_OK)
        rc = committed;
    /* A long one was accepted. */
    return rc == GV_OK ? store_work_all(store, token, NULL, error) : rc;
}

static int apply_staged(struct store *store, const struct head *head,
                        uint64_t token, struct gv_error *error)
{
    struct tries tries = {0};
    int rc;

    GV_ASSERT(store->inbox.token == token);
    do
        rc = apply_once(store, head, token, error);
    while (rc != GV_OK && store->inbox.token == token &&
           again(store, &tries, rc));
    GV_ASSERT(rc != GV_OK || vv_covers_view(store_vv(store), head->claim));
    return rc;
}

static int apply_input(struct store *store, struct input *input)
{
    struct head head = {0};
    uint64_t token;
    int rc;

    GV_ASSERT(store->joined && !store->in_transaction);
    do
        store->host->random(store->host->context, &token, sizeof token);
    while (token == 0 || token == store->inbox.token);
    buffer_init(&head.vectors, 2 * VECTOR_SIZE_MAX);
    checksum_init(&input->checksum);
    rc = take_head(input, &head);
    /* A crash may have left one half applied. */
    if (rc == GV_OK)
        rc = store_work_all(store, 0, NULL, input->error);
    if (rc == GV_OK)
        rc = take_stream(input, store, token, head.stream_size);
    if (rc == GV_OK)
        rc = take_hash(input);
    if (rc == GV_OK && input->alone)
        rc = check_end(input);
    if (rc == GV_OK)
        rc = apply_staged(store, &head, token, input->error);
    store_stage_drop(store, token);
    buffer_close(&head.vectors);
    return rc;
}

int bundle_apply(struct store *store,
                 int (*read)(void *context, void *bytes, size_t size,
                             size_t *got),
                 void *context, struct gv_error *error)
{
    struct input input = {.read = read, .context = context, .error = error};

    return apply_input(store, &input);
}

/* Memory */

static int write_buffer(void *context, const void *bytes, size_t size)
{
    return buffer_append(context, bytes, size);
}

int bundle_write_buffer(struct store *store, struct vv_view vv,
                        struct buffer *out, struct gv_error *error)
{
    return bundle_write(store, vv, write_buffer, out, error);
}

struct memory {
    const uint8_t *bytes;
    size_t size, at;
};

static int read_memory(void *context, void *bytes, size_t size, size_t *got)
{
    struct memory *memory = context;
    size_t left = memory->size - memory->at;

    GV_ASSERT(memory->at <= memory->size);
    *got = left < size ? left : size;
    if (*got > 0)
        memcpy(bytes, memory->bytes + memory->at, *got);
    memory->at += *got;
    return GV_OK;
}

int bundle_apply_bytes(struct store *store, const void *bytes, size_t size,
                       struct gv_error *error)
{
    struct memory memory = {.bytes = bytes, .size = size};
    struct input input = {.read = read_memory,
                          .context = &memory,
                          .alone = true,
                          .error = error};

    return apply_input(store, &input);
}
