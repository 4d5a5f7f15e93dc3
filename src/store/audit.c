/* The audit: what was written past the triggers is found by its digests.
 *
 * Blob I/O, REPLACE on a second unique key, TEMP triggers, triggers that were
 * switched off or dropped, rebuilds and restored dumps leave the journal
 * empty.  So every row is compared with the log when anyone else moved the
 * schema, and once a day; once an hour where a table has a UNIQUE index beside
 * its key.
 *
 * A migration is not a massacre.  Scripts commit statement by statement, and
 * between CREATE TABLE and the copy every row looks deleted.  So what only the
 * audit found waits until the schema has been quiet, and is found again; the
 * death of most of a table waits longer.  A table that was not as expected, or
 * in which something was found, is *suspended* meanwhile: its rows stay in the
 * journal, none is sent and none is applied.  What waited becomes one
 * publication when the suspension is lifted. */
#include "store/audit.h"

#include "base/assert.h"
#include "store/borrowed.h"
#include "store/schema.h"
#include "store/walk.h"

#include <stdlib.h>

/* What is known of the tables */

int audit_entry(struct store *store, int64_t id, struct audit_table **entry)
{
    struct audit *audit = &store->audit;
    struct audit_table *grown;

    for (size_t i = 0; i < audit->table_count; i++)
        if (audit->tables[i].id == id) {
            *entry = &audit->tables[i];
            return GV_OK;
        }
    grown = realloc(audit->tables, (audit->table_count + 1) * sizeof *grown);
    if (grown == NULL)
        return GV_ENOMEM;
    audit->tables = grown;
    *entry = &grown[audit->table_count++];
    **entry = (struct audit_table){.id = id};
    GV_ASSERT(!audit_suspended(store, id));
    return GV_OK;
}

bool audit_suspended(const struct store *store, int64_t id)
{
    for (size_t i = 0; i < store->audit.table_count; i++)
        if (store->audit.tables[i].id == id)
            return store->audit.tables[i].suspended;
    return false;
}

char *audit_list(const struct store *store)
{
    const struct audit *audit = &store->audit;
    sqlite3_str *text = sqlite3_str_new(NULL);
    const char *comma = "";
    bool failed;
    char *list;

    for (size_t i = 0; i < audit->table_count; i++) {
        if (!audit->tables[i].suspended)
            continue;
        sqlite3_str_appendf(text, "%s%lld", comma,
                            (long long)audit->tables[i].id);
        comma = ",";
    }
    failed = sqlite3_str_errcode(text) != SQLITE_OK;
    list = sqlite3_str_finish(text);
    return list != NULL || failed ? list : sqlite3_mprintf("");
}

bool audit_pending(const struct store *store)
{
    for (size_t i = 0; i < store->audit.table_count; i++)
        if (store->audit.tables[i].suspended)
            return true;
    return store->audit.audited != store->schema_version;
}

void audit_restart(struct store *store)
{
    struct audit *audit = &store->audit;

    for (size_t i = 0; i < audit->table_count; i++) {
        struct audit_table *entry = &audit->tables[i];

        *entry = (struct audit_table){.id = entry->id,
                                      .suspended = entry->suspended};
    }
    audit->phase = AUDIT_LOOK;
    audit->place_count = 0;
    audit->damaged_now = 0;
    buffer_clear(&audit->keys);
    walk_start(store);
    GV_ASSERT(audit->keys.error == GV_OK);
}

int audit_suspend(struct store *store, struct store_table *table)
{
    struct audit_table *entry;
    int rc = audit_entry(store, table->id, &entry);

    if (rc != GV_OK)
        return rc;
    table->suspended = true;
    if (!entry->suspended) {
        entry->suspended = true;
        audit_restart(store);
    }
    GV_ASSERT(audit_pending(store));
    return GV_OK;
}

void audit_undo(struct store *store)
{
    GV_ASSERT(!store->in_transaction); /* what it journalled is gone */
    if (store->audit.phase != AUDIT_REST)
        audit_restart(store);
}

void audit_lift(struct store *store, int64_t id)
{
    struct audit *audit = &store->audit;
    struct store_table *table = schema_by_id(store, id);

    for (size_t i = 0; i < audit->table_count; i++)
        if (audit->tables[i].id == id && audit->tables[i].suspended) {
            audit->tables[i] = (struct audit_table){.id = id};
            audit->resumed = true;
        }
    if (table != NULL && table->suspended && table->parks) {
        /* What came meanwhile moves into it when it is read anew. */
        store->schema_version = -1;
        store->resumed_schema = 0;
    }
    if (table != NULL)
        table->suspended = false;
    GV_ASSERT(!audit_suspended(store, id));
}

bool audit_most_died(const struct audit_table *entry)
{
    GV_ASSERT(entry->dead <= entry->live);
    return 2 * entry->dead > entry->live;
}

/* What the file holds of it */

int audit_load(struct store *store)
{
    int64_t at = 0;
    int rc = sql_number(store->db, &store->audit.audited,
                        "SELECT coalesce(audited,-1) FROM gv_meta");

    if (rc == GV_OK)
        rc = sql_number(store->db, &at,
                        "SELECT coalesce(audited_at,0) FROM gv_meta");
    if (rc == GV_OK)
        store->audit.audited_at = at;
    return rc;
}

int audit_note(struct store *store, int64_t version)
{
    int rc = sql_run(store->db, "UPDATE gv_meta SET audited=%lld",
                     (long long)version);

    /* Else SQLite may have given it up. */
    GV_ASSERT(rc != GV_OK || transaction_open(store));
    if (rc == GV_OK)
        store->audit.audited = version;
    return rc;
}

int audit_note_time(struct store *store)
{
    gv_time_ms now = store->host->wall(store->host->context);
    int rc = sql_run(store->db, "UPDATE gv_meta SET audited_at=%lld",
                     (long long)now);

    /* Else SQLite may have given it up. */
    GV_ASSERT(rc != GV_OK || transaction_open(store));
    if (rc == GV_OK)
        store->audit.audited_at = now;
    return rc;
}

int audit_begin(struct store *store)
{
    int64_t version;
    int rc = sql_number(store->db, &version, "PRAGMA main.schema_version");

    GV_ASSERT(transaction_open(store));
    if (rc == GV_OK)
        rc = audit_note(store, version);
    return rc == GV_OK ? audit_note_time(store) : rc;
}

int audit_follow(struct store *store, int64_t before)
{
    struct audit *audit = &store->audit;

    GV_ASSERT(store->schema_version != -1);
    if (before == store->schema_version || before == -1)
        return GV_OK;
    if (audit->schema == before)
        audit->schema = store->schema_version;
    if (audit->settled == before)
        audit->settled = store->schema_version;
    return audit->audited == before ? audit_note(store, store->schema_version)
                                    : GV_OK;
}

void audit_close(struct store *store)
{
    free(store->audit.tables);
    free(store->audit.places);
    buffer_close(&store->audit.walk_key);
    buffer_close(&store->audit.keys);
}

/* What people see */

void store_audit_state(const struct store *store,
                       struct store_audit_state *state)
{
    const struct audit *audit = &store->audit;

    *state = (struct store_audit_state){.last = audit->audited_at,
                                        .found = audit->found,
                                        .damaged = audit->damaged,
                                        .due = audit_pending(store)};
    for (size_t i = 0; i < audit->table_count; i++) {
        const struct audit_table *entry = &audit->tables[i];
        const struct store_table *table = schema_by_id(store, entry->id);

        if (!entry->suspended || table == NULL)
            continue;
        state->waiting += entry->unlike;
        state->most_died |= audit_most_died(entry);
        state->table = table->local;
    }
}
