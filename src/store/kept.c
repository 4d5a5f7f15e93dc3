/* Deltas that are sent to nobody now: who was cut off goes on with them.  Over
 * a restart, and over a crash, they stand in files that say whose they are.
 *
 * A kept one takes space on the disk for nothing if its asker never comes
 * back, so there are few of them and not for long: store.h. */
#include "store/kept.h"

#include "base/assert.h"
#include "store/directory.h"
#include "store/extract.h"
#include "store/pieces.h"

#define KEPT_MAX 4
/* Kept since before this run. */
#define KEPT_BEFORE INT64_MIN

/* The one that is kept for longest, or NULL. */
static struct extract *find_oldest(const struct store *store)
{
    struct extract *found = NULL;

    for (struct extract *extract = store->extracts; extract != NULL;
         extract = extract->next) {
        GV_ASSERT(!extract->kept || extract->complete);
        if (extract->kept &&
            (found == NULL || extract->kept_at < found->kept_at))
            found = extract;
    }
    return found;
}

bool kept_give_way(struct store *store)
{
    struct extract *oldest = find_oldest(store);

    GV_ASSERT(oldest == NULL || oldest->kept);
    extract_free(oldest);
    return oldest != NULL;
}

/* Whether there are too many of them, or they are too large together. */
static bool too_much(const struct store *store)
{
    uint64_t size = 0;
    size_t count = 0;

    for (const struct extract *extract = store->extracts; extract != NULL;
         extract = extract->next) {
        if (!extract->kept)
            continue;
        count++;
        size += extract_size(extract);
        GV_ASSERT(size >= extract_size(extract));
    }
    return count > KEPT_MAX || (count > 1 && size > EXTRACTS_KEPT_SIZE);
}

void extract_keep(struct extract *extract, gv_time_ms now)
{
    struct store *store;

    GV_ASSERT(extract != NULL && !extract->kept);
    store = extract->store;
    if (!extract->complete || !spool_is_file(&extract->spool)) {
        extract_free(extract);
        return;
    }
    extract->kept = true;
    extract->kept_at = now;
    while (too_much(store))
        kept_give_way(store);
}

void extracts_expire(struct store *store, gv_time_ms now)
{
    struct extract *next;

    for (struct extract *extract = store->extracts; extract != NULL;
         extract = next) {
        next = extract->next;
        if (!extract->kept)
            continue;
        if (extract->kept_at == KEPT_BEFORE)
            extract->kept_at = now;
        GV_ASSERT(extract->kept_at <= now);
        if (extract->kept_at + EXTRACTS_KEPT_MS <= now)
            extract_free(extract);
    }
}

/* An earlier run */

/* Whether the spool is whole, and this site's, of this life. */
static int take_spool(struct extract *extract)
{
    struct buffer bytes;
    struct spool_head head = {0};
    int rc;

    buffer_init(&bytes, SIZE_MAX);
    rc = spool_open(&extract->spool, &bytes, &head);
    if (rc == GV_OK && (!extract->store->joined ||
                        !site_equal(&head.site, store_site(extract->store))))
        rc = GV_ECORRUPT;
    if (rc == GV_OK) {
        extract->spool_id = head.id;
        buffer_append(&extract->asked, head.asked.bytes,
                      head.asked.count * VV_ENTRY_SIZE);
        rc = buffer_append(&extract->claim, head.claim.bytes,
                           head.claim.count * VV_ENTRY_SIZE);
    }
    if (rc == GV_OK)
        rc = extract->asked.error;
    buffer_close(&bytes);
    GV_ASSERT(rc != GV_OK || extract->spool_id != 0);
    return rc;
}

static int load_slot(struct store *store, unsigned slot)
{
    struct extract *extract = extract_new(store);
    int rc;

    if (extract == NULL)
        return GV_ENOMEM;
    extract->slot = slot;
    extract->done = true;
    rc = extract_open_spool(extract);
    if (rc == GV_OK)
        rc = take_spool(extract);
    if (rc == GV_OK) {
        extract->complete = extract->kept = true;
        extract->kept_at = KEPT_BEFORE;
        return GV_OK;
    }
    extract_free(extract);
    return rc == GV_ENOMEM ? rc : GV_OK;
}

int kept_load(struct store *store)
{
    int rc = GV_OK;

    GV_ASSERT(store->lock != NULL); /* else another process may use them */
    GV_ASSERT(store->extracts == NULL && store->mode == STORE_WRITE);
    for (unsigned slot = 0; slot < EXTRACTS_MAX && rc == GV_OK; slot++)
        rc = load_slot(store, slot);
    while (rc == GV_OK && too_much(store))
        kept_give_way(store);
    return rc == GV_OK ? pieces_sweep(store) : rc;
}
