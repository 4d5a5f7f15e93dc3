#include "extension/call.h"

#include "base/assert.h"
#include "base/error.h"
#include "store/sql.h"

#include <string.h>

/* Lines for people go where SQLite's own go. */
static void log_sink(void *context, enum gv_log_level level, const char *line)
{
    (void)context;
    sqlite3_log(level <= GV_LOG_WARNING ? SQLITE_WARNING : SQLITE_NOTICE,
                "grapevine: %s", line);
}

static int no_file(struct gv_error *error)
{
    error_set(error, GV_EMISUSE, "The database is not a file.");
    error_meaning(error, "What is synced has an identity, which is bound to"
                         " one file on a disk.");
    error_remedy(error, "Open a file.");
    return GV_EMISUSE;
}

static int read_only(struct gv_error *error)
{
    error_set(error, GV_EMISUSE, "The database is open read-only.");
    error_meaning(error, "What was written to the file is first published,"
                         " which writes to it.");
    error_remedy(error, "Open it for writing.");
    return GV_EMISUSE;
}

static int in_transaction(struct gv_error *error)
{
    error_set(error, GV_EMISUSE,
              "A transaction is open, or the statement itself"
              " writes.");
    error_meaning(error, "Only what is committed and on the disk may leave"
                         " the file.");
    error_remedy(error, "COMMIT first, and let a plain SELECT ask.");
    return GV_EMISUSE;
}

static int in_statement(struct gv_error *error)
{
    error_set(error, GV_EMISUSE, "The statement itself writes.");
    error_meaning(error, "SQLite has no transaction for a part of one.");
    error_remedy(error, "Let a plain SELECT make the call.");
    return GV_EMISUSE;
}

/* Another call has the lock for a moment, a node for as long as it runs. */
#define LOCK_WAIT_MS 1000
#define LOCK_PAUSE_MS 10

/* How long the application is ready to wait for the lock. */
static int patience(sqlite3 *db)
{
    int64_t ms = 0;

    if (sql_number(db, &ms, "PRAGMA busy_timeout") != GV_OK)
        return 0;
    return ms < LOCK_WAIT_MS ? (int)ms : LOCK_WAIT_MS;
}

static int open_store(const char *path, const struct store_options *options,
                      struct store **store, struct gv_error *error)
{
    int left = patience(options->borrowed);
    int rc = store_open(path, options, store, error);

    for (; rc == GV_ELOCKED && left > 0; left -= LOCK_PAUSE_MS) {
        sqlite3_sleep(LOCK_PAUSE_MS);
        rc = store_open(path, options, store, error);
    }
    return rc;
}

/* Where the store may work, with a savepoint for the call in a transaction. */
static int find_place(struct call *call, enum call_kind kind,
                      enum store_within *within, struct gv_error *error)
{
    bool alone = sqlite3_get_autocommit(call->db) &&
                 sqlite3_txn_state(call->db, NULL) != SQLITE_TXN_WRITE;

    *within = kind == CALL_INSERTS ? STORE_IN_STATEMENT
              : alone              ? STORE_ALONE
                                   : STORE_IN_TRANSACTION;
    if (*within != STORE_IN_TRANSACTION)
        return GV_OK;
    if (kind == CALL_GIVES)
        return in_transaction(error);
    /* Refused while a statement writes. */
    if (sqlite3_get_autocommit(call->db) ||
        sql_run(call->db, "SAVEPOINT gv_call") != GV_OK)
        return in_statement(error);
    call->savepoint = true;
    return GV_OK;
}

int call_begin(sqlite3 *db, enum call_kind kind, struct call *call,
               struct gv_error *error)
{
    const char *path = sqlite3_db_filename(db, "main");
    struct store_options options = {.mode = STORE_WRITE,
                                    .host = host_system(),
                                    .log = {.sink = log_sink},
                                    .borrowed = db};
    int rc;

    *call = (struct call){.db = db};
    if (path == NULL || path[0] == '\0')
        return no_file(error);
    if (sqlite3_db_readonly(db, "main") != 0)
        return read_only(error);
    rc = find_place(call, kind, &options.within, error);
    if (rc == GV_OK)
        rc = open_store(path, &options, &call->store, error);
    if (rc != GV_OK)
        call_end(call, rc);
    GV_ASSERT((rc == GV_OK) == (call->store != NULL));
    return rc;
}

int call_begin_tracked(sqlite3 *db, enum call_kind kind, struct call *call,
                       struct gv_error *error)
{
    int rc = call_begin(db, kind, call, error);

    if (rc != GV_OK || store_joined(call->store))
        return rc;
    call_end(call, GV_EMISUSE);
    error_set(error, GV_EMISUSE, "Nothing is tracked in this file.");
    error_meaning(error, "It holds nothing that is shared, and has no place"
                         " for what others share.");
    error_remedy(error, "Run SELECT gv_track('…') with the name of a table"
                        " first.");
    return GV_EMISUSE;
}

void call_end(struct call *call, int rc)
{
    store_close(call->store);
    if (call->savepoint && rc != GV_OK)
        (void)sql_run(call->db, "ROLLBACK TO gv_call");
    if (call->savepoint)
        (void)sql_run(call->db, "RELEASE gv_call");
    call->store = NULL;
    call->savepoint = false;
}

char *call_text(const struct gv_error *error)
{
    const char *what =
        error->what[0] != '\0' ? error->what : gv_strerror(error->code);

    return sqlite3_mprintf(
        "%s%s%s%s%s", what, error->meaning[0] != '\0' ? " " : "",
        error->meaning, error->remedy[0] != '\0' ? " " : "", error->remedy);
}

int call_code(int rc)
{
    switch (rc) {
    case GV_OK:
        return SQLITE_OK;
    case GV_ENOMEM:
        return SQLITE_NOMEM;
    case GV_EBUSY:
    case GV_ELOCKED:
        return SQLITE_BUSY;
    case GV_EFULL:
        return SQLITE_FULL;
    case GV_ECORRUPT:
        return SQLITE_CORRUPT;
    case GV_EIO:
        return SQLITE_IOERR;
    default:
        return SQLITE_ERROR;
    }
}
