/* The audit, step by step: rows are looked at, what was found waits, and is
 * found again.  audit.c says why, and keeps what is known. */
#include "base/assert.h"

#include "store/audit.h"
#include "store/journal.h"
#include "store/keys.h"
#include "store/match.h"
#include "store/parked.h"
#include "store/schema.h"
#include "store/seal.h"
#include "store/tables.h"
#include "store/walk.h"

#include <stdlib.h>

/* A statement of a migration seldom runs for longer, and while it runs it
 * holds the lock without which nothing is published. */
#define QUIET_MS 10000
/* A person who sees the log has time to stop what is going on. */
#define LONG_QUIET_MS 60000
#define DAY_MS 86400000
/* Where rows can go without a trigger as a matter of course. */
#define HOUR_MS 3600000

/* Looking */

/* What a table lacks that was gone and is there again is dead to nobody. */
static bool is_found(const struct store_table *table, enum look look)
{
    GV_ASSERT(table->tracked);
    return look != LOOK_SAME &&
           !(look == LOOK_DEAD && table->away == AWAY_GONE);
}

static int count_row(struct store *store, struct audit_table *entry,
                     const struct store_table *table,
                     const struct row_key *key, enum look look)
{
    /* A suspended table's journal is not sealed, and may be long.  What stands
     * in it waits like the rest. */
    int rc = table->suspended ? 0 : journal_has(store, table, key);

    GV_ASSERT(look != LOOK_SAME && entry->id == table->id);
    GV_ASSERT(table->fault == NULL); /* else nobody could have looked */
    if (rc != 0 || !is_found(table, look))
        return rc > 0 ? GV_OK : rc;
    entry->unlike++;
    entry->dead += look == LOOK_DEAD;
    GV_ASSERT(entry->dead <= entry->unlike);
    return GV_OK;
}

static int note_place(struct store *store, struct audit_table *entry,
                      const struct store_table *table,
                      const struct row_key *key, enum look look)
{
    struct audit *audit = &store->audit;

    GV_ASSERT(look != LOOK_SAME && entry->publish);
    if (!is_found(table, look))
        return GV_OK;
    if (audit->place_count == audit->place_capacity) {
        size_t capacity = 2 * audit->place_capacity + 64;
        struct audit_place *grown =
            realloc(audit->places, capacity * sizeof *grown);

        if (grown == NULL)
            return GV_ENOMEM;
        audit->places = grown;
        audit->place_capacity = capacity;
    }
    GV_ASSERT(entry->id == table->id);
    GV_ASSERT(audit->place_count < audit->place_capacity);
    audit->places[audit->place_count++] =
        (struct audit_place){table->id, audit->keys.size, key->size};
    return buffer_append(&audit->keys, key->bytes, key->size);
}

/* Every table has been looked at: what is as the log says goes on, what is not
 * waits. */
static void end_look(struct store *store)
{
    struct audit *audit = &store->audit;

    GV_ASSERT(audit->phase == AUDIT_LOOK);
    GV_ASSERT(audit->place_count == 0);
    audit->damaged = audit->damaged_now;
    audit->phase = AUDIT_CLOSE;
    for (size_t i = 0; i < audit->table_count; i++) {
        struct audit_table *entry = &audit->tables[i];
        struct store_table *table = schema_by_id(store, entry->id);

        if (table == NULL || (table->fault == NULL && entry->unlike == 0 &&
                              table->away != AWAY_GONE)) {
            audit_lift(store, entry->id);
            continue;
        }
        if (table->fault != NULL && !entry->suspended)
            continue; /* gone, or not tracked any more */
        entry->suspended = true;
        table->suspended = true;
        audit->phase = AUDIT_WAIT;
        if (entry->unlike > 0)
            log_line(&store->log, GV_LOG_WARNING,
                     "%llu row%s of table %s unlike the log (%llu gone):"
                     " written past the triggers, or a migration is under way;"
                     " the table waits",
                     (unsigned long long)entry->unlike,
                     entry->unlike == 1 ? "" : "s", table->local,
                     (unsigned long long)entry->dead);
    }
}

/* Waiting */

static gv_time_ms patience(const struct store *store,
                           const struct audit_table *entry)
{
    if (store->audit.accepted)
        return 0;
    return audit_most_died(entry) ? LONG_QUIET_MS : QUIET_MS;
}

/* *@missing: a table is not there, or not as it was, and has been so for long
 * enough to be believed. */
static bool end_wait(struct store *store, gv_time_ms now, bool *missing,
                     gv_time_ms *due)
{
    struct audit *audit = &store->audit;
    bool any = false;

    GV_ASSERT(audit->phase == AUDIT_WAIT && audit->since <= now);
    *missing = false;
    *due = INT64_MAX;
    for (size_t i = 0; i < audit->table_count; i++) {
        struct audit_table *entry = &audit->tables[i];
        const struct store_table *table = schema_by_id(store, entry->id);
        gv_time_ms when = audit->since + patience(store, entry);

        if (!entry->suspended)
            continue;
        if (now < when) {
            if (when < *due)
                *due = when;
        } else if (table != NULL && table->fault != NULL) {
            *missing = true;
        } else {
            entry->publish = true;
            any = true;
        }
    }
    GV_ASSERT(any || *missing || *due > now);
    return any;
}

/* The transaction's part */

static int journal_again(struct store *store, const struct audit_place *place,
                         struct gv_error *error)
{
    struct store_table *table = schema_by_id(store, place->table);
    struct row_key key;
    enum look look;
    int rc;

    GV_ASSERT(place->key_at + place->key_size <= store->audit.keys.size);
    if (table == NULL || table->fault != NULL)
        return GV_OK;
    /* So that all of it becomes one publication. */
    GV_ASSERT(table->suspended && store->in_transaction);
    rc = row_key_decode(&key, store->audit.keys.data + place->key_at,
                        place->key_size, table->key_count);
    if (rc == GV_OK)
        rc = seal_look(store, table, &key, &look, error);
    if (rc == GV_OK && is_found(table, look)) {
        rc = journal_row(store, table, &key);
        store->audit.found++;
    }
    return rc == GV_ECORRUPT ? GV_OK : rc;
}

/* What came while the table was not there moves into it; of one that was gone
 * for good, also every row that the log still has a value of. */
static int show_again(struct store *store, struct store_table *table,
                      struct gv_error *error)
{
    int rc;

    GV_ASSERT(table->suspended); /* nothing else writes it meanwhile */
    GV_ASSERT(table->shown && store->in_transaction);
    if (table->away != AWAY_GONE)
        return table->parks ? parked_resume(store, table, error) : GV_OK;
    rc = parked_show(store, table, NULL, error);
    if (rc == GV_OK)
        rc = match_away(store, table, AWAY_NOT);
    log_line(&store->log, GV_LOG_INFO,
             "table %s was made again; what is kept here of its rows is back"
             " in it",
             table->local);
    return rc;
}

static int lift_published(struct store *store, struct gv_error *error)
{
    struct audit *audit = &store->audit;
    int rc = GV_OK;

    GV_ASSERT(audit->place_count == 0); /* all of them are journalled */
    GV_ASSERT(store->in_transaction);
    audit->phase = AUDIT_CLOSE;
    for (size_t i = 0; i < audit->table_count && rc == GV_OK; i++) {
        struct audit_table *entry = &audit->tables[i];
        struct store_table *table = schema_by_id(store, entry->id);

        if (entry->publish && table != NULL)
            rc = show_again(store, table, error);
        if (entry->publish && table != NULL && entry->unlike > 0)
            log_line(&store->log, GV_LOG_WARNING,
                     "the audit published what was written past the triggers"
                     " of table %s: %llu row%s, %llu gone",
                     table->local, (unsigned long long)entry->unlike,
                     entry->unlike == 1 ? "" : "s",
                     (unsigned long long)entry->dead);
        if (entry->publish)
            audit_lift(store, entry->id);
        else if (entry->suspended)
            audit->phase = AUDIT_WAIT;
    }
    return rc;
}

int audit_turn(struct store *store, struct gv_error *error)
{
    struct audit *audit = &store->audit;
    int rc = GV_OK;

    GV_ASSERT(store->in_transaction);
    GV_ASSERT(!store->sealed.any); /* what is journalled here is sealed now */
    if (audit->schema != store->schema_version)
        return GV_OK; /* the next step begins anew */
    for (size_t i = 0; i < audit->place_count && rc == GV_OK; i++)
        rc = journal_again(store, &audit->places[i], error);
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot journal what was found");
    audit->place_count = 0;
    buffer_clear(&audit->keys);
    if (audit->phase == AUDIT_LIFT)
        rc = lift_published(store, error);
    if (rc != GV_OK)
        return rc;
    if (audit->phase != AUDIT_CLOSE)
        return GV_OK;
    rc = audit_note(store, audit->schema);
    if (rc == GV_OK)
        rc = audit_note_time(store);
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot note the audit");
    audit->phase = AUDIT_REST;
    return GV_OK;
}

/* The step */

/* How long an audit holds good while nobody moves the schema. */
static gv_time_ms period(const struct store *store)
{
    for (size_t i = 0; i < store->table_count; i++)
        if (store->tables[i]->shown && store->tables[i]->evicts)
            return HOUR_MS;
    return DAY_MS;
}

static gv_time_ms next_time(const struct store *store, gv_time_ms now)
{
    gv_time_ms passed =
        store->host->wall(store->host->context) - store->audit.audited_at;

    if (passed < 0)
        passed = 0; /* the clock was set back */
    GV_ASSERT(passed >= 0);
    return passed >= period(store) ? now : now + period(store) - passed;
}

static int rest(struct store *store, gv_time_ms now,
                struct store_audit *report)
{
    GV_ASSERT(store->audit.phase == AUDIT_REST);
    report->due = next_time(store, now);
    GV_ASSERT(report->due >= now);
    if (audit_pending(store) || report->due <= now) {
        audit_restart(store);
        report->due = now;
    }
    return GV_OK;
}

/* Rows that wait to be sealed are no findings.  A few are told apart one by
 * one; many are sealed first. */
#define JOURNAL_ROWS_MAX 100

static int journal_is_long(struct store *store, bool *is_long)
{
    char *list = audit_list(store);
    int64_t count = 0;
    int rc = list == NULL
                 ? GV_ENOMEM
                 : sql_number(store->db, &count,
                              "SELECT count(*) FROM (SELECT 1 FROM gv_journal"
                              " WHERE tbl NOT IN(%s) LIMIT %d)",
                              list, JOURNAL_ROWS_MAX + 1);

    sqlite3_free(list);
    *is_long = count > JOURNAL_ROWS_MAX;
    return rc;
}

static int look(struct store *store, gv_time_ms now, size_t rows,
                struct store_audit *report, struct gv_error *error)
{
    bool is_long, done = false;
    int rc = journal_is_long(store, &is_long);

    GV_ASSERT(store->audit.place_count == 0);
    report->due = now;
    report->write = is_long;
    if (rc != GV_OK || is_long)
        return rc;
    rc = walk_slice(store, rows, false, count_row, &done, error);
    if (rc == GV_OK && done)
        end_look(store);
    report->write = store->audit.phase == AUDIT_CLOSE;
    return rc;
}

static int wait(struct store *store, gv_time_ms now,
                struct store_audit *report)
{
    struct audit *audit = &store->audit;
    bool missing;

    GV_ASSERT(!store->in_transaction); /* the tables may be read anew */
    if (end_wait(store, now, &missing, &report->due))
        audit->phase = AUDIT_PUBLISH;
    if (missing) {
        /* Read anew, what is missing is taken for gone; then look again. */
        audit->settled = audit->schema;
        store->schema_version = -1;
        audit_restart(store);
        report->write = true;
    }
    if (missing || audit->phase == AUDIT_PUBLISH)
        report->due = now;
    walk_start(store);
    return GV_OK;
}

static int find(struct store *store, gv_time_ms now, size_t rows,
                struct store_audit *report, struct gv_error *error)
{
    bool done = false;
    int rc = walk_slice(store, rows, true, note_place, &done, error);

    GV_ASSERT(store->audit.phase == AUDIT_PUBLISH);
    report->due = now;
    if (rc == GV_OK && done)
        store->audit.phase = AUDIT_LIFT;
    report->write =
        store->audit.place_count > 0 || store->audit.phase == AUDIT_LIFT;
    return rc;
}

static int take_step(struct store *store, gv_time_ms now, size_t rows,
                     struct store_audit *report, struct gv_error *error)
{
    struct audit *audit = &store->audit;

    report->due = now;
    switch (audit->phase) {
    case AUDIT_REST:
        return rest(store, now, report);
    case AUDIT_LOOK:
        return look(store, now, rows, report, error);
    case AUDIT_WAIT:
        return wait(store, now, report);
    case AUDIT_PUBLISH:
        if (audit->place_count == 0)
            return find(store, now, rows, report, error);
        break;
    case AUDIT_LIFT:
    case AUDIT_CLOSE:
        break;
    }
    report->write = true;
    return GV_OK;
}

/* The schema as it is in this snapshot: known, and quiet since when? */
static int see_schema(struct store *store, gv_time_ms now, bool *known)
{
    struct audit *audit = &store->audit;
    int64_t version;
    int rc = sql_number(store->db, &version, "PRAGMA main.schema_version");

    /* The walk's snapshot; some errors end it. */
    GV_ASSERT(rc != GV_OK || !sqlite3_get_autocommit(store->db));
    if (rc != GV_OK)
        return rc;
    if (version != audit->schema) {
        audit->schema = version;
        audit->since = now;
        audit->accepted = false;
        audit_restart(store);
        if (!audit_pending(store))
            audit->phase = AUDIT_REST;
    }
    *known = version == store->schema_version;
    return GV_OK;
}

int store_audit_step(struct store *store, gv_time_ms now, size_t rows,
                     struct store_audit *report, struct gv_error *error)
{
    struct audit *audit = &store->audit;
    bool known = false;
    int rc;

    GV_ASSERT(!store->in_transaction && rows > 0);
    *report = (struct store_audit){.due = INT64_MAX};
    if (!store->joined || store->moved || store->mode != STORE_WRITE)
        return GV_OK;
    rc = sql_run(store->db, "BEGIN");
    if (rc == GV_OK)
        rc = see_schema(store, now, &known);
    if (rc == GV_OK && known)
        rc = take_step(store, now, rows, report, error);
    else if (rc == GV_OK)
        *report = (struct store_audit){.due = now, .write = true};
    /* A statement made for it might find no memory, and leave it open. */
    if (!sqlite3_get_autocommit(store->db))
        sql_finish(store->rollback);
    report->resumed = audit->resumed;
    audit->resumed = false;
    if (rc != GV_OK && error != NULL && error->code != rc)
        sql_fail(store->db, rc, error, "cannot audit");
    return rc;
}

/* By a person's word */

#define ACCEPT_ROWS 1000

static int seal_now(struct store *store, struct gv_error *error)
{
    struct store_sealed sealed;
    int rc = store_begin(store, error);

    GV_ASSERT(store->in_transaction == (rc == GV_OK));
    return rc == GV_OK ? store_commit(store, &sealed, error) : rc;
}

static int accept_all(struct store *store, struct gv_error *error)
{
    struct audit *audit = &store->audit;
    struct store_audit report = {0};
    bool resumed = false;
    int rc = seal_now(store, error);

    if (rc != GV_OK)
        return rc;
    audit_restart(store);
    audit->schema = store->schema_version;
    audit->accepted = true;
    while (rc == GV_OK && audit->phase != AUDIT_REST) {
        rc =
            store_audit_step(store, audit->since, ACCEPT_ROWS, &report, error);
        if (rc == GV_OK && !audit->accepted)
            rc = error_set(error, GV_EBUSY, "The schema moved meanwhile.");
        if (rc == GV_OK && report.write)
            rc = seal_now(store, error);
        resumed |= report.resumed;
    }
    GV_ASSERT(rc != GV_OK || audit->phase == AUDIT_REST);
    audit->accepted = false;
    audit->resumed |= resumed;
    return rc;
}

int store_audit_accept(struct store *store, uint64_t *published,
                       struct gv_error *error)
{
    uint64_t before = store->audit.found;
    int rc = GV_OK;

    GV_ASSERT(store->mode == STORE_WRITE);
    sqlite3_busy_timeout(store->db, STORE_BUSY_COMMAND_MS);
    if (store->joined)
        rc = accept_all(store, error);
    sqlite3_busy_timeout(store->db, STORE_BUSY_NODE_MS);
    *published = store->audit.found - before;
    return rc;
}
