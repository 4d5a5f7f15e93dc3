/* Reading before locking.
 *
 * An application waits for the write lock as long as a seal holds it, so what
 * can be done without the lock is done before: the journal is read and sorted,
 * and the rows that it names are read and hashed, in a read transaction.  Then
 * that transaction is made one that writes, which SQLite grants if nobody
 * wrote since.  Else the lock is taken anew, and only what is new in the
 * journal is read again: whoever writes a row between the two puts it there,
 * and states are written by nobody but us.  (What gets past the triggers is
 * the audit's, here as anywhere.)
 *
 * A few rows are looked at under the lock: that is soon done. */
#include "store/early.h"

#include "base/assert.h"
#include "store/batch.h"
#include "store/borrowed.h"
#include "store/journal.h"

#include <stdlib.h>

/* More are sealed in slices, or under the lock. */
#define KEYS_MAX 16384
#define BATCHES_MAX 64
/* Of values; what comes behind them is read row by row. */
#define BYTES_MAX (16u * 1024 * 1024)

struct early {
    struct journal journal;
    bool reading;        /* in a read transaction that begin_reading() began */
    int64_t last_id;     /* of the journal, as the batches were read */
    uint64_t generation; /* of the tables, likewise */
    struct batch *batches[BATCHES_MAX];
    size_t count, next;
};

static void drop_batches(struct early *early)
{
    GV_ASSERT(early->next <= early->count);
    for (size_t i = early->next; i < early->count; i++)
        batch_free(early->batches[i]);
    early->count = early->next = 0;
}

void early_end(struct store *store)
{
    struct early *early = store->early;

    if (early == NULL)
        return;
    GV_ASSERT(!early->reading);
    drop_batches(early);
    journal_close(&early->journal);
    journal_init(&early->journal);
}

void early_close(struct store *store)
{
    struct early *early = store->early;

    if (early == NULL)
        return;
    drop_batches(early);
    journal_close(&early->journal);
    free(early);
    store->early = NULL;
}

static int make(struct store *store)
{
    if (store->early != NULL)
        return GV_OK;
    store->early = calloc(1, sizeof *store->early);
    if (store->early == NULL)
        return GV_ENOMEM;
    journal_init(&store->early->journal);
    GV_ASSERT(store->early->count == 0);
    return GV_OK;
}

int early_batch(struct store *store, struct journal *journal, size_t at,
                size_t keys, size_t *end)
{
    const struct journal_entry *entry = journal_next(journal, &at);
    struct store_table *table;
    size_t room;
    int rc;

    *end = journal->count;
    if (entry == NULL)
        return GV_OK;
    table = entry->table;
    rc = batch_begin(store, table);
    room = batch_room(table) < keys ? batch_room(table) : keys;
    for (; rc == GV_OK && room > 0 && entry != NULL && entry->table == table;
         room--) {
        rc = batch_add(store, journal->keys.data + entry->key_at,
                       entry->key_size);
        *end = at;
        entry = journal_next(journal, &at);
    }
    GV_ASSERT(*end > journal->done);
    return rc == GV_OK ? batch_read(store) : rc;
}

/* Whether the file is the one that memory knows, with the same tables. */
static int compare(struct store *store, bool *same)
{
    int64_t mark = 0, schema = -1;
    int rc = sql_step(store->mark_read);

    if (rc > 0) {
        mark = sqlite3_column_int64(store->mark_read, 0);
        rc = sql_finish(store->mark_read);
    }
    if (rc == GV_OK)
        rc = sql_step(store->schema_version_read);
    if (rc > 0) {
        schema = sqlite3_column_int64(store->schema_version_read, 0);
        rc = sql_finish(store->schema_version_read);
    }
    GV_ASSERT(schema >= -1);
    *same = rc == GV_OK && (uint64_t)mark == store->mark &&
            schema == store->schema_version;
    return rc;
}

/* The rows of the next @keys keys of @journal. */
static int read_rows(struct store *store, struct journal *journal, size_t keys)
{
    struct early *early = store->early;
    size_t bytes = 0;
    int rc = GV_OK;

    GV_ASSERT(early->count == 0 && early->next == 0);
    GV_ASSERT(!journal->skipped);
    for (size_t at = journal->done; rc == GV_OK && at < journal->count &&
                                    keys > 0 && early->count < BATCHES_MAX &&
                                    bytes < BYTES_MAX;) {
        rc = early_batch(store, journal, at, keys, &at);
        if (rc == GV_OK && store->batch != NULL) {
            bytes += batch_values_size(store->batch);
            keys -= batch_count(store->batch);
            early->batches[early->count++] = batch_set_aside(store);
        }
    }
    batch_end(store);
    early->last_id = journal->last_id;
    early->generation = journal->generation;
    return rc;
}

static int read_all(struct store *store, bool *same)
{
    struct early *early = store->early;
    int rc = compare(store, same);

    GV_ASSERT(early->reading);
    if (rc == GV_OK && *same)
        rc = journal_load(store, &early->journal);
    if (rc == GV_OK && *same &&
        early->journal.count >= store->limits.seal_many &&
        early->journal.count <= KEYS_MAX && !early->journal.skipped)
        rc = read_rows(store, &early->journal, KEYS_MAX);
    return rc;
}

static void give_up(struct store *store)
{
    GV_ASSERT(!store->in_transaction);
    store->early->reading = false;
    if (transaction_open(store))
        sql_finish(store->rollback);
    early_end(store);
}

/* Begin a read transaction; false: whatever is needed is read under the
 * lock. */
static bool begin_reading(struct store *store)
{
    GV_ASSERT(!store->in_transaction);
    if (store->borrowed || store->stale || store->moved ||
        transaction_open(store) || store->schema_version < 0 ||
        make(store) != GV_OK)
        return false;
    GV_ASSERT(!store->early->reading && store->early->count == 0);
    GV_ASSERT(store->early->journal.count == 0);
    if (sql_finish(store->early_begin) != GV_OK)
        return false;
    store->early->reading = true;
    return true;
}

void early_read(struct store *store)
{
    bool same = false;

    if (store->sealing == NULL && begin_reading(store) &&
        (read_all(store, &same) != GV_OK || !same))
        give_up(store);
}

int early_slice(struct store *store, struct journal *journal, size_t keys)
{
    bool same = false;
    int rc;

    if (!begin_reading(store))
        return journal_load(store, journal);
    rc = journal_load(store, journal);
    GV_ASSERT(store->early->reading && keys > 0);
    if (rc != GV_OK || compare(store, &same) != GV_OK || !same ||
        journal->skipped || read_rows(store, journal, keys) != GV_OK)
        give_up(store);
    return rc;
}

bool early_holds(const struct store *store, const struct journal *journal)
{
    const struct early *early = store->early;

    GV_ASSERT(store->in_transaction);
    return early != NULL && early->count > 0 && !journal->skipped &&
           early->generation == store->schema_generation;
}

/* Begin a transaction that writes.  Out of memory, even a rollback may have
 * failed. */
static int begin(struct store *store)
{
    int rc = store->within == STORE_ALONE && transaction_open(store)
                 ? sql_finish(store->rollback)
                 : GV_OK;

    GV_ASSERT(!store->in_transaction);
    return rc == GV_OK ? sql_finish(store->begin) : rc;
}

int early_lock(struct store *store, bool *same)
{
    struct early *early = store->early;
    int rc;

    *same = false;
    if (early != NULL && early->reading) {
        early->reading = false;
        *same = sql_finish(store->early_lock) == GV_OK;
    }
    if (*same)
        return GV_OK;
    /* Nothing was read, or somebody wrote since, or is writing. */
    rc = begin(store);
    GV_ASSERT(early == NULL || !early->reading);
    if (rc != GV_OK)
        early_end(store);
    return rc;
}

int early_journal(struct store *store, struct journal **journal, bool *read)
{
    struct early *early;
    int rc = make(store);

    if (rc != GV_OK)
        return rc;
    early = store->early;
    GV_ASSERT(store->in_transaction && !early->reading);
    /* Of other tables, or of some that were suspended, nothing holds. */
    if (early->journal.skipped ||
        early->journal.generation != store->schema_generation)
        early_end(store);
    *read = early->count > 0;
    *journal = &early->journal;
    return GV_OK;
}

int early_turn(struct store *store, const struct journal_entry *entry,
               const struct row_key *key)
{
    struct early *early = store->early;
    int rc = GV_OK;

    if (early->next < early->count &&
        batch_begins(early->batches[early->next], entry->table, key)) {
        rc = batch_flush(store);
        batch_end(store);
        batch_resume(store, early->batches[early->next++]);
    }
    GV_ASSERT(early->next <= early->count && !early->reading);
    GV_ASSERT(early->generation == store->schema_generation);
    if (rc == GV_OK && entry->id > early->last_id)
        batch_outdated(store, entry->table, key);
    return rc;
}
