/* The connection that extracts read on, and its snapshot: one whose journal is
 * empty, so that every value in it has its dot. */
#include "store/reader.h"

#include "base/assert.h"
#include "store/audit.h"
#include "store/extract.h"
#include "store/open.h"
#include "store/withheld.h"

#define TRIES_BEFORE_LOCK 3

static void drop(sqlite3_stmt **statement)
{
    sqlite3_finalize(*statement);
    *statement = NULL;
}

void reader_close(struct store *store)
{
    int rc;

    drop(&store->reader_begin);
    drop(&store->reader_rollback);
    drop(&store->reader_mark);
    drop(&store->reader_journal);
    drop(&store->reader_range);
    for (size_t i = 0; i < store->table_count; i++) {
        drop(&store->tables[i]->extract_all);
        drop(&store->tables[i]->extract_one);
    }
    rc = store->borrowed ? SQLITE_OK : sqlite3_close(store->reader);
    GV_ASSERT(rc == SQLITE_OK); /* else a statement was left */
    store->reader = NULL;
}

/* What every extract runs stays prepared: a peer that lacks one row waits
 * longer for SQLite's parser than for the row. */
int reader_open(struct store *store, struct gv_error *error)
{
    const struct statement_text list[] = {
        {&store->reader_begin, "BEGIN"},
        {&store->reader_rollback, "ROLLBACK"},
        {&store->reader_mark, "SELECT mark FROM gv_meta WHERE id=1"},
        {&store->reader_journal, "SELECT EXISTS(SELECT 1 FROM gv_journal)"},
        {&store->reader_range, "SELECT tbl,rid FROM gv_ver WHERE site=?1 AND"
                               " version>?2"},
    };
    int rc;

    if (store->borrowed)
        store->reader = store->db;
    rc = store->reader != NULL ? GV_OK
                               : connection_open(store, &store->reader, error);
    if (rc != GV_OK)
        return rc;
    rc = prepare_list(store->reader, list, sizeof list / sizeof list[0]);
    return rc == GV_OK ? rc
                       : sql_fail(store->reader, rc, error,
                                  "cannot prepare an extract");
}

void snapshot_end(struct store *store)
{
    /* A row that was found changed stands in the journal by the same
     * connection, and stays there. */
    if (store->borrowed && !sqlite3_get_autocommit(store->db) &&
        sql_run(store->db, "COMMIT") == GV_OK)
        return;
    if (store->reader == NULL || sqlite3_get_autocommit(store->reader) ||
        sql_finish(store->reader_rollback) == GV_OK)
        return;
    reader_close(store); /* it ends with its connection */
}

static int number_of(sqlite3_stmt *statement, int64_t *number)
{
    int rc;

    GV_ASSERT(!sqlite3_stmt_busy(statement));
    rc = sql_step(statement);
    if (rc > 0) {
        *number = sqlite3_column_int64(statement, 0);
        sqlite3_reset(statement);
    }
    return rc > 0 ? GV_OK : rc == 0 ? GV_ENOTFOUND : rc;
}

/* Rows of suspended tables stay where they are, and none of these tables is
 * read; nor is a row whose log is damaged. */
static int journal_waits(struct store *store, int64_t *waiting)
{
    int rc = number_of(store->reader_journal, waiting);
    char *list, *withheld;

    if (rc != GV_OK || *waiting == 0)
        return rc;
    list = audit_list(store);
    withheld = withheld_list(store);
    rc = GV_ENOMEM;
    if (list != NULL && withheld != NULL)
        rc = sql_number(store->reader, waiting,
                        "SELECT EXISTS(SELECT 1 FROM gv_journal WHERE tbl NOT"
                        " IN(%s) AND id NOT IN(%s))",
                        list, withheld);
    sqlite3_free(list);
    sqlite3_free(withheld);
    return rc;
}

/* Open the reader's snapshot; GV_EBUSY if its journal is not empty. */
static int open_now(struct store *store)
{
    int64_t mark = 0, waiting = 0;
    int rc = sql_finish(store->reader_begin);

    if (rc == GV_OK)
        rc = number_of(store->reader_mark, &mark);
    if (rc == GV_OK && (uint64_t)mark != store->mark)
        rc = GV_EMOVED;
    if (rc == GV_OK)
        rc = journal_waits(store, &waiting);
    if (rc == GV_OK && waiting != 0)
        rc = GV_EBUSY;
    if (rc != GV_OK)
        snapshot_end(store);
    else
        GV_ASSERT(!sqlite3_get_autocommit(store->reader));
    return rc;
}

/* While an application writes without pause the journal is never empty by
 * itself: with the write lock held it cannot fill between the look and the
 * snapshot. */
static int open_locked(struct store *store)
{
    int rc = sql_finish(store->begin);

    GV_ASSERT(!store->in_transaction);
    if (rc != GV_OK)
        return rc;
    GV_ASSERT(!sqlite3_get_autocommit(store->db));
    rc = open_now(store);
    sql_finish(store->rollback);
    return rc;
}

int snapshot_open(struct store *store)
{
    int rc = store->extract_tries < TRIES_BEFORE_LOCK || store->borrowed
                 ? open_now(store)
                 : open_locked(store);

    store->extract_tries = rc == GV_EBUSY ? store->extract_tries + 1 : 0;
    GV_ASSERT(rc != GV_OK || !sqlite3_get_autocommit(store->reader));
    return rc;
}
