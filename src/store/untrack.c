/* Untrack: a table stays in the file and is no longer shared.  Its records
 * stay in the log, for other nodes and for a track to come; only a purge,
 * which is a person's word that no node of the mesh shares it, takes them
 * out. */
#include "store/internal.h"

#include "base/assert.h"
#include "store/borrowed.h"
#include "store/keys.h"
#include "store/log.h"
#include "store/schema.h"
#include "store/state.h"
#include "store/triggers.h"

#include <stdlib.h>
#include <string.h>

static int not_known(struct store *store, const char *name,
                     struct gv_error *error)
{
    error_set(error, GV_ENOTFOUND, "Table '%s' of %s is not tracked.", name,
              store->path);
    error_meaning(error, "Nothing changed.");
    error_remedy(error, "'grapevine status %s' lists the tracked tables.",
                 store->path);
    return GV_ENOTFOUND;
}

/* The tracked table of this name here; else, for a purge, what is kept under
 * it without being shared. */
static struct store_table *find_table(const struct store *store,
                                      const char *name, bool purge)
{
    struct store_table *found = NULL;

    for (size_t i = 0; i < store->table_count; i++) {
        struct store_table *table = store->tables[i];
        bool local = sqlite3_stricmp(table->local, name) == 0;

        if (local && table->tracked)
            return table;
        if (purge && !table->tracked &&
            (local || sqlite3_stricmp(table->wire, name) == 0))
            found = table;
    }
    return found;
}

static int stop_sharing(struct store *store, const struct store_table *table)
{
    int rc = triggers_drop(store, table);

    GV_ASSERT(table->tracked);
    if (rc == GV_OK)
        rc = sql_run(store->db,
                     "UPDATE gv_table SET tracked=0,away=0 WHERE id=%lld",
                     (long long)table->id);
    return rc;
}

/* Take one row's records out of the fingerprint. */
static int subtract_row(struct store *store, const struct store_table *table,
                        sqlite3_stmt *rows)
{
    struct row *row = &store->space.row;
    struct hash128 sum;
    uint32_t check;
    bool null;
    int rc;

    buffer_clear(&store->key);
    rc = row_key_read(rows, 2, table->key_count, &store->key, &null);
    if (rc != GV_OK || null)
        return rc != GV_OK ? rc : GV_ECORRUPT;
    row->causal_length = (uint64_t)sqlite3_column_int64(rows, 0);
    row_space_use(&store->space, table);
    rc = row_space_reserve(&store->space, 1, table->words);
    if (rc == GV_OK)
        rc = state_decode(sqlite3_column_blob(rows, 1),
                          (size_t)sqlite3_column_bytes(rows, 1),
                          table->column_count, &store->space, &check);
    if (rc != GV_OK)
        return rc;
    for (size_t i = 0; i < row->record_count; i++)
        if (row->records[i].site >= store->site_count)
            return GV_ECORRUPT;
    GV_ASSERT(row->record_count <= store->space.capacity);
    rc = state_hash(store, table, store->key.data, store->key.size, row, &sum);
    if (rc == GV_OK)
        store->numbers.fingerprint =
            hash128_subtract(store->numbers.fingerprint, sum);
    return rc;
}

static int subtract_rows(struct store *store, const struct store_table *table)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_stmt *rows = NULL;
    char *keys;
    int rc = GV_ENOMEM;

    GV_ASSERT(!table->integer_key || table->key_count == 1);
    for (size_t i = 0; i < table->key_count; i++)
        if (table->integer_key)
            sqlite3_str_appendf(text, ",rid");
        else
            sqlite3_str_appendf(text, ",k%d", (int)i + 1);
    keys = sqlite3_str_finish(text);
    if (keys != NULL)
        rc =
            sql_prepare(store->db, &rows, "SELECT cl,state%s FROM gv_row_%lld",
                        keys, (long long)table->id);
    sqlite3_free(keys);
    while (rc == GV_OK && (rc = sql_step(rows)) > 0)
        rc = subtract_row(store, table, rows);
    sqlite3_finalize(rows);
    return rc;
}

static int forget(struct store *store, const struct store_table *table)
{
    static const char *const texts[] = {
        "DELETE FROM gv_ver WHERE tbl=%lld",
        "DELETE FROM gv_parked WHERE tbl=%lld",
        "DELETE FROM gv_history WHERE tbl=%lld",
        "DELETE FROM gv_cell WHERE tbl=%lld",
        "DELETE FROM gv_col WHERE tbl=%lld",
        "DELETE FROM gv_table WHERE id=%lld",
        "DROP TABLE gv_row_%lld",
    };
    int rc;

    GV_ASSERT(transaction_open(store)); /* all or none */
    rc = subtract_rows(store, table);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && rc == GV_OK; i++)
        rc = sql_run(store->db, texts[i], (long long)table->id);
    return rc;
}

/* Inside the transaction: what was written until now is sealed. */
static int take_out(struct store *store, const struct store_table *table,
                    bool purge)
{
    int rc = table->tracked ? stop_sharing(store, table) : GV_OK;

    GV_ASSERT(store->in_transaction);
    GV_ASSERT(table->tracked || purge);
    if (rc == GV_OK && purge)
        rc = forget(store, table);
    store->schema_version = -1;
    return rc;
}

static int untrack_in_transaction(struct store *store, const char *name,
                                  bool purge, struct gv_error *error)
{
    struct store_sealed sealed;
    struct store_table *table;
    int rc = store_begin(store, error);

    if (rc != GV_OK)
        return rc;
    table = find_table(store, name, purge);
    rc = table == NULL ? not_known(store, name, error)
                       : take_out(store, table, purge);
    if (rc == GV_OK)
        rc = schema_refresh(store, true, error);
    else if (error != NULL && error->code != rc)
        sql_fail(store->db, rc, error, "cannot untrack the table");
    GV_ASSERT(store->in_transaction);
    if (rc == GV_OK)
        return store_commit(store, &sealed, error);
    store_rollback(store);
    GV_ASSERT(!store->in_transaction);
    return rc;
}

static void note_done(struct buffer *notes, const char *name, bool purge)
{
    char *text = sqlite3_mprintf(
        purge ? "All that was kept of table '%s' for peers is forgotten; its"
                " rows here stay. Run this on every node that knows the"
                " table: until then fingerprints differ, and a node that"
                " still has it brings it back.\n"
              : "Table '%s' is not tracked any more. Its rows stay in this"
                " file, and what peers write to it is kept for other nodes.\n",
        name);

    if (text != NULL)
        buffer_append(notes, text, strlen(text));
    sqlite3_free(text);
}

int store_untrack(struct store *store, const char *table, bool purge,
                  struct buffer *notes, struct gv_error *error)
{
    int rc;

    GV_ASSERT(store->mode == STORE_WRITE);
    GV_ASSERT(!store->in_transaction);
    if (!store->joined)
        return not_known(store, table, error);
    connection_patience(store, STORE_BUSY_COMMAND_MS);
    rc = untrack_in_transaction(store, table, purge, error);
    /* A person was told: a power cut must not take it back. */
    if (rc == GV_OK) {
        rc = log_sync(store);
        if (rc != GV_OK)
            sql_fail(store->db, rc, error, "cannot sync what was untracked");
    }
    connection_patience(store, STORE_BUSY_NODE_MS);
    GV_ASSERT(!store->in_transaction);
    if (rc == GV_OK)
        note_done(notes, table, purge);
    return rc;
}
