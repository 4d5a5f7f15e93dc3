/* A store on an application's own connection, for the SQLite extension.
 *
 * Opened for one call and closed at its end: what it knows of the file is
 * never older than the call, no statement of ours keeps the connection from
 * being closed, and the lock is held no longer.  The file's lock need not be
 * held until the application commits: until then its transaction holds
 * SQLite's own write lock, and who opens the file to sync it waits for that
 * before it reads anything of ours.
 *
 * The connection's settings are set aside meanwhile: triggers would capture
 * what is applied, and foreign keys and CHECKs are not enforced on apply.  All
 * but the CHECKs can be set by sqlite3_db_config() alone, which works inside
 * a transaction too. */
#include "store/borrowed.h"

#include "base/assert.h"
#include "store/internal.h"

/* A savepoint that was rolled back to stays open; the caller's own, around
 * the whole call, takes it along. */
static const struct {
    const char *begin, *commit, *rollback;
} texts[] = {
    [STORE_ALONE] = {"BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"},
    [STORE_IN_TRANSACTION] = {"SAVEPOINT gv_store", "RELEASE gv_store",
                              "ROLLBACK TO gv_store"},
    [STORE_IN_STATEMENT] = {"SELECT 1", "SELECT 1", "SELECT 1"},
};

const char *borrowed_begin_text(enum store_within within)
{
    GV_ASSERT(within <= STORE_IN_STATEMENT);
    return texts[within].begin;
}

const char *borrowed_commit_text(enum store_within within)
{
    GV_ASSERT(within <= STORE_IN_STATEMENT);
    return texts[within].commit;
}

const char *borrowed_rollback_text(enum store_within within)
{
    GV_ASSERT(within <= STORE_IN_STATEMENT);
    return texts[within].rollback;
}

bool transaction_open(const struct store *store)
{
    GV_ASSERT(store->borrowed || store->within == STORE_ALONE);
    /* A statement that writes is one by itself. */
    return !sqlite3_get_autocommit(store->db) ||
           (store->within == STORE_IN_STATEMENT &&
            sqlite3_txn_state(store->db, "main") == SQLITE_TXN_WRITE);
}

void connection_patience(struct store *store, int ms)
{
    GV_ASSERT(ms > 0);
    if (!store->borrowed)
        sqlite3_busy_timeout(store->db, ms);
}

static int config(sqlite3 *db, int option, int value)
{
    int before = 0;

    sqlite3_db_config(db, option, -1, &before);
    GV_ASSERT(before == 0 || before == 1); /* each of ours is a switch */
    if (before != value)
        sqlite3_db_config(db, option, value, NULL);
    return before;
}

int borrowed_take(struct store *store)
{
    struct settings *settings = &store->settings;
    sqlite3 *db = store->db;
    int64_t ignored = 0;
    int rc = sql_number(db, &ignored, "PRAGMA ignore_check_constraints");

    GV_ASSERT(store->borrowed && !settings->taken);
    if (rc == GV_OK && ignored == 0)
        rc = sql_run(db, "PRAGMA ignore_check_constraints=ON");
    if (rc != GV_OK)
        return rc;
    settings->taken = true;
    settings->checks_ignored = ignored != 0;
    settings->last_rowid = sqlite3_last_insert_rowid(db);
    settings->triggers = config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0);
    settings->foreign_keys = config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 0);
    settings->trusted_schema = config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0);
    return GV_OK;
}

void borrowed_give_back(struct store *store)
{
    const struct settings *settings = &store->settings;
    sqlite3 *db = store->db;

    GV_ASSERT(store->borrowed && !store->firing);
    if (!settings->taken)
        return;
    config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, settings->triggers);
    config(db, SQLITE_DBCONFIG_ENABLE_FKEY, settings->foreign_keys);
    config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, settings->trusted_schema);
    sqlite3_set_last_insert_rowid(db, settings->last_rowid);
    if (!settings->checks_ignored)
        (void)sql_run(db, "PRAGMA ignore_check_constraints=OFF");
    store->settings.taken = false;
}
