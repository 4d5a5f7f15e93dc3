/* Transactions: what is checked when one begins, what is written when it
 * ends, and what other programs did in between. */
#include "store/transaction.h"

#include "base/assert.h"
#include "base/hook.h"
#include "base/plant.h"
#include "store/audit.h"
#include "store/borrowed.h"
#include "store/early.h"
#include "store/footprint.h"
#include "store/identity.h"
#include "store/log.h"
#include "store/rows.h"
#include "store/schema.h"
#include "store/seal.h"
#include "store/work.h"

/* The state in memory follows the open transaction; a rollback makes it what
 * the file says. */
void store_rollback(struct store *store)
{
    if (!store->in_transaction)
        return;
    store->in_transaction = false;
    store->ver_count = 0;
    early_end(store);
    if (transaction_open(store))
        sql_finish(store->rollback);
    GV_ASSERT(!store->firing); /* triggers fire inside an apply alone */
    store->numbers = store->committed;
    store->schema_version = -1;
    inbox_settle(store, false);
    seal_forget(store);
    audit_undo(store);
    store->resumed_schema = 0; /* what moved into tables is back */
    store->stale = sites_load(store) != GV_OK;
}

bool log_is_orphan(struct store *store)
{
    int moved = 0;

    GV_ASSERT(store->db != NULL);
    sqlite3_file_control(store->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return moved != 0;
}

static int has_moved(struct store *store, struct gv_error *error)
{
    if (!store->overwritten && !log_is_orphan(store) &&
        footprint_changed(store))
        store->overwritten = true;
    GV_ASSERT(!store->overwritten || store->mode == STORE_WRITE);
    if (!store->moved)
        identity_keep(store);
    store->moved = true;
    error_set(error, GV_EMOVED,
              "The file %s was replaced or restored while it was open.",
              store->path);
    error_meaning(error, "What is there now is another state of the data, or"
                         " another file; going on could fork its identity.");
    error_remedy(error, "Open it again: it is then looked at anew, and what is"
                        " missing comes from its peers.");
    return GV_EMOVED;
}

/* Compare the commit mark in the file with memory: *@same. */
static int compare_mark(struct store *store, bool *same)
{
    int rc;

    GV_ASSERT(!sqlite3_stmt_busy(store->mark_read));
    *same = false;
    rc = sql_step(store->mark_read);
    if (rc != 1)
        return rc;
    *same = (uint64_t)sqlite3_column_int64(store->mark_read, 0) == store->mark;
    return sql_finish(store->mark_read);
}

/* A file restored or replaced while it is open gives no error by itself.
 * @compared: the mark was, in this transaction. */
static int check_same_file(struct store *store, bool compared,
                           struct gv_error *error)
{
    bool same = false;
    int rc = GV_OK;

    GV_ASSERT(store->in_transaction);
    if (!store->moved && !log_is_orphan(store)) {
        same = compared;
        rc = compared ? GV_OK : compare_mark(store, &same);
    }
    if (rc < 0 && rc != GV_ESCHEMA)
        return sql_fail(store->db, rc, error, "cannot read gv_meta");
    return same ? GV_OK : has_moved(store, error);
}

int store_look(struct store *store, struct gv_error *error)
{
    struct file_marks marks = {0};
    bool same;
    int rc;

    GV_ASSERT(store->mode == STORE_WRITE && store->joined);
    GV_ASSERT(!store->in_transaction);
    if (store->moved || log_is_orphan(store))
        return has_moved(store, error);
    if (footprint_changed(store)) {
        store->overwritten = true;
        return has_moved(store, error);
    }
    /* SQLite goes on with the pages that it has in memory. */
    if (store->host->marks(store->host->context, store->path, &marks) ==
            GV_OK &&
        marks.written_ns != store->written_ns) {
        store->written_ns = marks.written_ns;
        sqlite3_db_release_memory(store->db);
    }
    rc = compare_mark(store, &same);
    if (same || rc == GV_EBUSY || rc == GV_ENOMEM)
        return GV_OK;
    return has_moved(store, error);
}

int transaction_begin(struct store *store, struct gv_error *error)
{
    bool same = false; /* as when it was read early */
    int rc;

    GV_ASSERT(store->mode == STORE_WRITE && store->joined);
    GV_ASSERT(!store->in_transaction);
    GV_ASSERT(!store->firing);
    GV_ASSERT(hash128_equal(store->numbers.fingerprint,
                            store->committed.fingerprint));
    GV_ASSERT(store->numbers.clock == store->committed.clock);
    rc = early_lock(store, &same);
    if (plant("busy-is-done") && rc == GV_EBUSY) {
        store->in_transaction = true;
        store->lost = GV_EBUSY;
        return GV_OK;
    }
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error,
                        "cannot begin a write transaction");
    GV_ASSERT(transaction_open(store));
    store->in_transaction = true;
    store->lost = GV_OK;
    store->journalled = false;
    store->sealed = (struct store_sealed){0};
    store->changes = sqlite3_total_changes64(store->db);
    rc = check_same_file(store, same, error);
    if (rc == GV_OK)
        rc = sites_again(store, error);
    if (rc != GV_OK)
        store_rollback(store);
    GV_ASSERT(store->in_transaction == (rc == GV_OK));
    GV_ASSERT(rc != GV_OK || store->lost == GV_OK);
    return rc;
}

int transaction_look(struct store *store, struct gv_error *error)
{
    int rc = schema_refresh(store, true, error);

    GV_ASSERT(store->in_transaction);
    return rc == GV_OK ? audit_turn(store, error) : rc;
}

/* *@begun: false where work for slices stands in the way; NULL: it does not.
 */
static int begin(struct store *store, bool *begun, struct gv_error *error)
{
    bool work = false;
    int rc;

    early_read(store);
    rc = transaction_begin(store, error);
    if (rc != GV_OK || store->lost != GV_OK)
        return rc;
    rc = transaction_look(store, error);
    if (rc == GV_OK && begun != NULL) {
        rc = work_waits(store, &work);
        *begun = !work;
    }
    if (rc == GV_OK && !work)
        rc = seal_journal(store, error);
    if (rc == GV_OK && !work && store->inbox.accepted)
        rc = work_finish(store, error);
    if (rc != GV_OK || work)
        store_rollback(store);
    /* What is applied next finds the log at its vector. */
    GV_ASSERT(rc != GV_OK || work || store->numbers.busy == 0);
    return rc;
}

int store_begin(struct store *store, struct gv_error *error)
{
    return begin(store, NULL, error);
}

int store_begin_short(struct store *store, bool *begun, struct gv_error *error)
{
    *begun = true;
    return begin(store, begun, error);
}

static int write_meta(struct store *store)
{
    uint8_t fingerprint[16];

    GV_ASSERT(store->in_transaction && store->lost == GV_OK);
    GV_ASSERT(store->numbers.clock >= store->committed.clock);
    store->host->random(store->host->context, &store->next_mark,
                        sizeof store->next_mark);
    store_u64(fingerprint, store->numbers.fingerprint.high);
    store_u64(fingerprint + 8, store->numbers.fingerprint.low);
    sqlite3_bind_int64(store->meta_write, 1,
                       (sqlite3_int64)store->numbers.clock);
    sqlite3_bind_blob(store->meta_write, 2, fingerprint, sizeof fingerprint,
                      SQLITE_STATIC);
    sqlite3_bind_int64(store->meta_write, 3, (sqlite3_int64)store->next_mark);
    sqlite3_bind_int64(store->meta_write, 4, store->numbers.busy);
    sqlite3_bind_int64(store->meta_write, 5,
                       (sqlite3_int64)store->numbers.pending);
    return sql_finish(store->meta_write);
}

int store_commit(struct store *store, struct store_sealed *sealed,
                 struct gv_error *error)
{
    int rc = store->lost;

    GV_ASSERT(store->in_transaction);
    if (rc == GV_OK && !transaction_open(store))
        rc = GV_EIO; /* else what follows would be written by itself */
    if (rc == GV_OK)
        rc = rows_flush(store);
    if (rc != GV_OK) {
        error_set(error, rc, "The transaction was given up: %s.",
                  gv_strerror(rc));
        store_rollback(store);
        return plant("busy-is-done") && rc == GV_EBUSY ? GV_OK : rc;
    }
    if (sqlite3_total_changes64(store->db) == store->changes) {
        GV_ASSERT(!store->sealed.any);
        rc = sql_finish(store->commit);
    } else {
        bool apart = plant("meta-apart");

        rc = apart ? GV_OK : write_meta(store);
        if (rc == GV_OK)
            rc = sql_finish(store->commit);
        if (plant("full-is-done") && rc == GV_EFULL) {
            (void)sql_finish(store->rollback);
            rc = GV_OK;
        }
        for (int i = 0; apart && rc == GV_OK && i < 20; i++)
            apart = write_meta(store) != GV_OK;
        if (rc == GV_OK && !apart)
            store->mark = store->next_mark;
    }
    if (rc != GV_OK) {
        sql_fail(store->db, rc, error, "cannot commit");
        store_rollback(store);
        return rc;
    }
    GV_ASSERT(store->within != STORE_ALONE ||
              sqlite3_get_autocommit(store->db));
    store->in_transaction = false;
    store->committed = store->numbers;
    inbox_settle(store, true);
    if (store->sealed.any) {
        GV_ASSERT(vv_get(&store->vv, &store->sealed.interval.site) ==
                  store->sealed.interval.to);
        GV_ASSERT(store->sealed.interval.to <= store->committed.clock);
        hook_kill("before-sync");
        rc = plant("told-unsynced") ? GV_OK : log_sync(store);
        if (plant("sync-fails-once"))
            rc = GV_OK;
        if (rc != GV_OK) {
            error_set(error, rc,
                      "The disk did not confirm what was written"
                      " to %s-wal.",
                      store->path);
            error_meaning(error, "The change is committed, but a power cut"
                                 " could take it back, so it is not sent.");
            error_remedy(error, "Look at the disk and its file system, then"
                                " start the node again.");
            return rc;
        }
        if (store->within == STORE_ALONE)
            identity_note(store, store->sealed.interval.to);
    }
    *sealed = store->sealed;
    return GV_OK;
}

static int pragma_number(sqlite3_stmt *statement, int64_t *number)
{
    int rc = sql_step(statement);

    if (rc <= 0)
        return rc < 0 ? rc : GV_EIO;
    *number = sqlite3_column_int64(statement, 0);
    return sql_finish(statement);
}

int store_poll(struct store *store, struct store_news *news)
{
    int64_t version;
    int rc;

    footprint_note_change(store);
    rc = pragma_number(store->data_version_read, &version);
    footprint_follow(store);
    *news = (struct store_news){false, false};
    if (rc != GV_OK || version == store->data_version)
        return rc;
    store->data_version = version;
    news->committed = true;
    rc = pragma_number(store->schema_version_read, &version);
    if (rc == GV_OK && version != store->polled_schema_version) {
        store->polled_schema_version = version;
        news->schema_moved = true;
    }
    return rc;
}

int store_checkpoint(struct store *store)
{
    int rc;

    if (store->log_doubted)
        return GV_EIO; /* see log.c */
    rc = sqlite3_wal_checkpoint_v2(store->db, "main",
                                   SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    /* It syncs the log first, and is told of a failure in our place. */
    if (rc == SQLITE_IOERR_FSYNC)
        log_doubt(store);
    if (rc == SQLITE_OK)
        store->wal_frames = 0;
    return sql_code(rc);
}

const struct vv *store_vv(const struct store *store)
{
    return &store->vv;
}

struct hash128 store_fingerprint(const struct store *store)
{
    static const struct hash128 hidden;

    if (store->committed.busy != 0 && !plant("busy-forgotten"))
        return hidden;
    return store->committed.fingerprint;
}

const struct site *store_site(const struct store *store)
{
    GV_ASSERT(store->joined);
    return &store->sites[store->own];
}
