/* Apply: fragments from a peer into the log and the user's tables.
 *
 * Whatever goes wrong in an interval or a delta, nothing of it stays: each is
 * applied inside a savepoint of the write transaction. */
#include "store/apply.h"

#include "base/assert.h"
#include "base/plant.h"
#include "store/audit.h"
#include "store/borrowed.h"
#include "store/identity.h"
#include "store/journal.h"
#include "store/keys.h"
#include "store/rows.h"
#include "store/schema.h"
#include "store/triggers.h"
#include "wire/frame.h"

/* The row @item, and of those behind it as many as were *@taken. */
static int apply_row(struct apply *apply, struct stream_item *item,
                     size_t rows, size_t *taken)
{
    GV_ASSERT(item->kind == STREAM_ROW);
    *taken = 1;
    if (!apply->checking)
        return ahead_merge(apply, item, rows, taken);
    return apply->held ? ahead_screen(apply, item, rows, taken)
                       : screen_row(apply, item);
}

/* Until @rows rows were taken. */
static int apply_items(struct apply *apply, size_t rows)
{
    struct stream_item item;
    size_t taken;
    int rc = GV_OK;

    while (rows > 0 && (rc = incoming_next(apply, &item)) > 0) {
        switch (item.kind) {
        case STREAM_SITE:
            rc = incoming_site(apply, &item.as.site.id, item.as.site.base);
            break;
        case STREAM_TABLE:
            rc = incoming_table(apply, &item);
            break;
        case STREAM_ROW:
            rc = apply_row(apply, &item, rows, &taken);
            GV_ASSERT(taken > 0 && taken <= rows);
            rows -= taken;
            break;
        }
        GV_ASSERT(rc <= GV_OK); /* no kind was left out */
        if (rc != GV_OK)
            return rc;
        incoming_release(apply);
    }
    return rc;
}

/* The tables as the file has them again. */
static int forget_defined(struct store *store)
{
    if (!store->defined)
        return GV_OK;
    store->schema_version = -1;
    return schema_refresh(store, true, NULL);
}

/* Take back what was applied.  SQLite gives up the whole transaction by itself
 * when the disk is full or fails; so do we when taking back fails. */
static void take_back(struct store *store, const struct store_numbers *before,
                      bool schema_moved, int why)
{
    GV_ASSERT(why != GV_OK);
    GV_ASSERT(store->numbers.clock >= before->clock);
    store->numbers = *before;
    store->ver_count = 0;
    store->sealed.schema_moved = schema_moved;
    if (store->within == STORE_IN_STATEMENT || !transaction_open(store) ||
        sql_run(store->db, "ROLLBACK TO gv_apply; RELEASE gv_apply") !=
            GV_OK ||
        sites_load(store) != GV_OK || forget_defined(store) != GV_OK)
        store->lost = why;
}

static int given_up(struct store *store, struct gv_error *error)
{
    GV_ASSERT(store->lost != GV_OK);
    return error_set(error, store->lost, "The transaction was given up: %s.",
                     gv_strerror(store->lost));
}

/* A row that got past the triggers is sealed by the next transaction, before
 * anything is applied again. */
static void journal_past(struct store *store)
{
    const struct store_table *table = schema_by_id(store, store->past_table);
    struct row_key key;

    if (table == NULL || store->lost != GV_OK ||
        row_key_decode(&key, store->past_key.data, store->past_key.size,
                       table->key_count) != GV_OK)
        return;
    /* In the middle of a migration it is no write. */
    if (audit_pending(store)) {
        if (audit_suspend(store, schema_by_id(store, table->id)) != GV_OK)
            store->lost = GV_ENOMEM;
        return;
    }
    if (journal_row(store, table, &key) == GV_OK)
        store->journalled = true;
    else if (!transaction_open(store))
        store->lost = GV_EIO;
}

/* For a test that nothing is claimed before it is held. */
static int claim_first(struct apply *apply, int (*end)(struct apply *apply))
{
    int rc = end(apply);

    return rc == GV_OK ? sql_run(apply->store->db, "COMMIT; BEGIN IMMEDIATE;"
                                                   "SAVEPOINT gv_apply")
                       : rc;
}

int apply_rows(struct apply *apply, size_t rows,
               int (*end)(struct apply *apply), bool *ended)
{
    struct store *store = apply->store;
    struct store_numbers before = store->numbers;
    bool moved = store->sealed.schema_moved;
    bool bare = store->within == STORE_IN_STATEMENT;
    int rc = bare ? GV_OK : sql_run(store->db, "SAVEPOINT gv_apply");

    GV_ASSERT(store->in_transaction && store->lost == GV_OK);
    GV_ASSERT(!store->firing);
    GV_ASSERT(rows > 0 && apply->offset <= apply->size);
    store->past_table = 0;
    store->defined = false;
    apply->fired = false;
    if (rc == GV_OK && plant("claim-first") && !apply->checking)
        rc = claim_first(apply, end);
    if (rc == GV_OK)
        rc = apply_items(apply, rows);
    if (rc == GV_OK)
        rc = apply->checking ? screen_flush(apply) : rows_flush(store);
    triggers_fire(store, false);
    /* Rows found changed stay in the journal; a look at the others that
     * triggers put there sees nothing. */
    if (rc == GV_OK && apply->fired && !store->journalled)
        rc = journal_clear(store);
    *ended = apply->offset == apply->size;
    if (rc == GV_OK && *ended)
        rc = end(apply);
    if (rc == GV_OK && !bare)
        rc = sql_run(store->db, "RELEASE gv_apply");
    if (rc != GV_OK)
        take_back(store, &before, moved, rc);
    if (rc == GV_EDIFFERS)
        journal_past(store);
    if (rc != GV_OK && apply->error != NULL && apply->error->code != rc)
        sql_fail(store->db, rc, apply->error, "cannot apply");
    GV_ASSERT(!store->firing);
    GV_ASSERT(rc != GV_OK || *ended || !apply->fired || !store->journalled);
    return rc;
}

static int apply_whole(struct apply *apply, int (*claim)(struct apply *apply))
{
    bool ended;
    int rc;

    GV_ASSERT(apply->offset == 0 && apply->site_count == 0);
    buffer_init(&apply->item, STREAM_ITEM_SIZE_MAX);
    rc = apply_rows(apply, SIZE_MAX, claim, &ended);
    GV_ASSERT(rc != GV_OK || ended);
    incoming_close(apply);
    return rc;
}

static int refuse_clock(struct store *store, gv_version version,
                        struct gv_error *error)
{
    gv_time_ms now = store->host->wall(store->host->context);

    if (!clock_too_far(version, now) || plant("any-clock"))
        return GV_OK;
    error_set(error, GV_ECLOCK,
              "A peer's change is %lld s ahead of this"
              " node's clock.",
              (long long)(clock_wall(version) - now) / 1000);
    error_meaning(error, "One of the two clocks is wrong; nothing of what"
                         " came with the change was applied, and the peer"
                         " keeps it.");
    error_remedy(error, "Compare the clocks of both machines ('date -u') and"
                        " set them by NTP; what is not too far ahead comes"
                        " by itself.");
    return GV_ECLOCK;
}

static int claim_interval(struct apply *apply)
{
    struct store *store = apply->store;
    uint32_t number;
    int rc = site_number(store, &apply->interval->site, &number);

    if (rc == GV_OK)
        rc = site_raise(store, number, apply->interval->to);
    if (store->numbers.clock < apply->interval->to)
        store->numbers.clock = apply->interval->to;
    GV_ASSERT(rc != GV_OK || vv_get(&store->vv, &apply->interval->site) ==
                                 apply->interval->to);
    return rc;
}

/* Whether the interval comes next: its site stands at its start, and what it
 * depends on is here. */
static int check_next(const struct store *store,
                      const struct interval *interval, struct gv_error *error)
{
    gv_version held = vv_get(&store->vv, &interval->site);

    GV_ASSERT(interval->from < interval->to); /* decoded, and so looked at */
    if (interval->to <= held)
        return error_set(error, GV_EDUPLICATE, "Already held.");
    if (interval->from < held)
        return error_set(error, GV_EFORK,
                         "The interval straddles what is"
                         " held of its site.");
    if (interval->from > held && !plant("gap-not-seen"))
        return error_set(error, GV_EGAP, "What comes before is missing.");
    if (!vv_covers_view(&store->vv, interval->dependencies))
        return error_set(error, GV_EGAP, "What it depends on is missing.");
    return GV_OK;
}

/* What an interval says of our own site. */
static int hear(struct store *store, const struct interval *interval,
                struct gv_error *error)
{
    int rc = identity_heard_view(store, interval->dependencies, error);

    if (rc == GV_OK && site_equal(&interval->site, store_site(store)))
        rc = identity_heard(store, interval->from, error);
    if (rc == GV_OK && site_equal(&interval->site, store_site(store)))
        rc = identity_heard(store, interval->to, error);
    return rc;
}

int store_apply_interval(struct store *store, const struct interval *interval,
                         struct gv_error *error)
{
    struct apply apply = {.store = store, .error = error};
    struct interval decoded;
    const uint8_t *fragments;
    size_t size;
    int rc;

    GV_ASSERT(store->in_transaction);
    if (plant("busy-is-done") && store->lost == GV_EBUSY)
        return GV_OK;
    if (store->lost != GV_OK)
        return given_up(store, error);
    rc = interval_decode(interval->bytes, interval->size, &decoded, &fragments,
                         &size);
    if (rc != GV_OK)
        return incoming_malformed(&apply, "an interval that is not one");
    rc = hear(store, &decoded, error);
    if (rc == GV_OK)
        rc = check_next(store, &decoded, error);
    if (rc == GV_OK)
        rc = refuse_clock(store, decoded.to, error);
    if (rc != GV_OK)
        return rc;
    apply.interval = &decoded;
    apply.bytes = fragments;
    apply.size = size;
    return apply_whole(&apply, claim_interval);
}

/* What was sealed between slices is told from now on, in no interval of its
 * own.  One that this transaction sealed before it goes with it. */
static int claim_pending(struct store *store)
{
    struct store_sealed *sealed = &store->sealed;
    gv_version to = store->numbers.pending;
    gv_version from = sealed->any ? sealed->interval.from
                                  : vv_get(&store->vv, store_site(store));
    int rc;

    GV_ASSERT(to <= store->numbers.clock);
    GV_ASSERT(to > vv_get(&store->vv, store_site(store)));
    sealed->any = true;
    sealed->interval = (struct interval){
        .site = store->sites[store->own], .from = from, .to = to};
    GV_ASSERT(sealed->interval.from < to);
    rc = site_raise(store, store->own, to);
    if (rc != GV_OK)
        return rc;
    sqlite3_bind_int64(store->interval_insert, 1, (sqlite3_int64)to);
    return sql_finish(store->interval_insert);
}

int apply_claim(struct apply *apply)
{
    struct store *store = apply->store;
    int rc = GV_OK;

    for (size_t i = 0; i < apply->claim->count && rc == GV_OK; i++) {
        const struct vv_entry *entry = &apply->claim->entries[i];
        uint32_t number;

        if (vv_get(&store->vv, &entry->site) >= entry->version)
            continue;
        rc = site_number(store, &entry->site, &number);
        if (rc == GV_OK)
            rc = site_raise(store, number, entry->version);
        if (store->numbers.clock < entry->version)
            store->numbers.clock = entry->version;
    }
    GV_ASSERT(rc != GV_OK || vv_covers(&store->vv, apply->claim));
    if (rc == GV_OK && store->numbers.pending > 0)
        rc = claim_pending(store);
    store->numbers.pending = 0;
    store->numbers.busy = 0;
    return rc;
}

/* Whether this file may take what claims @claim. */
static int check_claim(struct store *store, const struct vv *claim,
                       struct gv_error *error)
{
    int rc = GV_OK;

    for (size_t i = 0; i < claim->count && rc == GV_OK; i++) {
        const struct vv_entry *entry = &claim->entries[i];

        GV_ASSERT(entry->version > 0);
        if (site_equal(&entry->site, store_site(store)))
            rc = identity_heard(store, entry->version, error);
    }
    for (size_t i = 0; i < claim->count && rc == GV_OK; i++)
        if (claim->entries[i].version >
            vv_get(&store->vv, &claim->entries[i].site))
            rc = refuse_clock(store, claim->entries[i].version, error);
    return rc;
}

/* An application's own connection has its transaction, and no slices. */
static bool in_slices(const struct store *store)
{
    return !store->borrowed &&
           inbox_size(&store->inbox) > store->limits.delta_size;
}

static int apply_inbox(struct store *store, const struct vv *claim,
                       struct gv_error *error)
{
    struct apply apply = {.store = store,
                          .error = error,
                          .claim = claim,
                          .size = inbox_size(&store->inbox)};
    int rc;

    if (!in_slices(store))
        return apply_whole(&apply, apply_claim);
    rc = inbox_accept(store, claim);
    if (rc != GV_OK)
        sql_fail(store->db, rc, error, "cannot keep a delta");
    return rc;
}

int store_apply_delta(struct store *store, uint64_t token,
                      struct vv_view claim_view, struct gv_error *error)
{
    struct vv claim;
    int rc;

    GV_ASSERT(store->in_transaction);
    if (token == 0 || token != store->inbox.token || store->inbox.accepted)
        return error_set(error, GV_ENOTFOUND, "Nothing is staged.");
    vv_init(&claim);
    rc = store->lost == GV_OK ? vv_raise_view(&claim, claim_view)
                              : given_up(store, error);
    if (rc == GV_OK)
        rc = check_claim(store, &claim, error);
    if (rc == GV_OK)
        rc = apply_inbox(store, &claim, error);
    vv_close(&claim);
    if (rc != GV_EDIFFERS && !store->inbox.accepting)
        store_stage_drop(store, token);
    GV_ASSERT(rc == GV_OK || !store->inbox.accepting);
    return rc;
}
