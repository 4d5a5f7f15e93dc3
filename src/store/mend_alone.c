/* A damaged row of the log of which the peer has nothing that could take its
 * place: the damage may be to the key itself, or the row never left this file.
 *
 * Its records cannot be read, so what they said is lost here; the user's row
 * is not.  So the log's row goes, and what the user's table has is written
 * anew, as a local change: it travels, and wins over what others hold of it.
 * Where the table has no such row nothing is left, and nothing is written; if
 * another node has the row a comparison with that one brings it back. */
#include "store/mend_alone.h"

#include "base/assert.h"
#include "store/journal.h"
#include "store/keys.h"
#include "store/pass.h"
#include "store/rows.h"
#include "store/settle.h"
#include "store/sql.h"
#include "store/transaction.h"
#include "store/user.h"

/* The row's records, cells and parked values, whatever is left of them. */
static int drop_log(struct store *store, const struct store_table *table,
                    int64_t rid)
{
    GV_ASSERT(store->in_transaction);
    return sql_run(store->db,
                   "DELETE FROM gv_row_%lld WHERE rid=%lld;"
                   "DELETE FROM gv_ver WHERE tbl=%lld AND rid=%lld;"
                   "DELETE FROM gv_parked WHERE tbl=%lld AND rid=%lld;"
                   "DELETE FROM gv_cell WHERE tbl=%lld AND rid=%lld",
                   (long long)table->id, (long long)rid, (long long)table->id,
                   (long long)rid, (long long)table->id, (long long)rid,
                   (long long)table->id, (long long)rid);
}

int mend_drop_damaged(struct store *store, struct store_table *table,
                      const struct row_key *key)
{
    int64_t rid = 0;
    int rc;

    GV_ASSERT(store->in_transaction);
    row_key_bind(table->row_find, key);
    rc = sql_step(table->row_find);
    if (rc > 0)
        rid = sqlite3_column_int64(table->row_find, 0);
    sqlite3_reset(table->row_find);
    return rc > 0 ? drop_log(store, table, rid) : rc;
}

/* The user's row is a local write, if it is there: the next transaction seals
 * it. */
static int journal_shown(struct store *store, struct store_table *table,
                         const struct row_key *key)
{
    bool present = false;
    int rc;

    GV_ASSERT(store->in_transaction && !store->firing);
    if (!table->shown)
        return GV_OK;
    rc = user_read(store, table, key, store->values, &present);
    user_read_done(table);
    return rc == GV_OK && present ? journal_row(store, table, key) : rc;
}

static int write_anew(struct store *store, const struct proof_name *name,
                      struct gv_error *error)
{
    struct store_table *table;
    struct row_key key;
    int rc = mend_find(store, name, &table, &key);

    GV_ASSERT(store->in_transaction);
    if (rc != GV_OK || table == NULL)
        return rc;
    rc = rows_find(store, table, &key, NULL);
    if (rc != GV_ECORRUPT)
        return rc;
    rc = mend_drop_damaged(store, table, &key);
    if (rc == GV_OK)
        rc = journal_shown(store, table, &key);
    return rc == GV_OK ? settle_log(store, error) : rc;
}

int mend_alone(struct store *store, const struct proof_name *name,
               struct gv_error *error)
{
    struct store_sealed sealed;
    int rc = store_begin(store, error);

    if (rc != GV_OK)
        return rc;
    GV_ASSERT(store->in_transaction);
    rc = write_anew(store, name, error);
    if (rc == GV_OK)
        return store_commit(store, &sealed, error);
    store_rollback(store);
    return rc;
}
