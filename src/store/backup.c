/* A copy of a file that is nobody yet: consistent, whole, without identity.
 *
 * SQLite's backup copies pages in one read transaction, so it needs neither
 * the lock nor the node, and (unlike VACUUM INTO) none of the functions that
 * an index of the application may call.  A copy would be told from its
 * original by its marks in any case; with none it is also told where it is
 * copied over the original, whose inode it then has. */
#include "store/internal.h"

#include "base/assert.h"

#include <string.h>

static int open_plain(const char *path, int flags, const char *vfs,
                      sqlite3 **db, struct gv_error *error)
{
    int rc = sqlite3_open_v2(path, db, flags | SQLITE_OPEN_NOMUTEX, vfs);

    if (rc == SQLITE_OK) {
        sqlite3_extended_result_codes(*db, 1);
        sqlite3_busy_timeout(*db, STORE_BUSY_COMMAND_MS);
        sqlite3_db_config(*db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        sqlite3_db_config(*db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
        return GV_OK;
    }
    sql_fail(*db, sql_code(rc), error, "cannot open the file");
    return sql_code(rc);
}

/* All pages at once: page by page it would begin anew after each commit of
 * another program. */
static int copy_pages(sqlite3 *from, sqlite3 *to)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    int rc;

    GV_ASSERT(from != to);
    if (backup == NULL)
        return sql_code(sqlite3_errcode(to));
    rc = sqlite3_backup_step(backup, -1);
    GV_ASSERT(rc != SQLITE_OK); /* done, or why not */
    (void)sqlite3_backup_finish(backup);
    return rc == SQLITE_DONE ? GV_OK : sql_code(rc);
}

static int check_copy(sqlite3 *db, struct gv_error *error)
{
    sqlite3_stmt *check;
    const char *text;
    int rc = sql_prepare(db, &check, "PRAGMA main.quick_check(1)");

    if (rc == GV_OK && (rc = sql_step(check)) > 0) {
        text = (const char *)sqlite3_column_text(check, 0);
        rc = sql_checked(text) ? GV_OK : GV_ECORRUPT;
        if (rc != GV_OK) {
            error_set(error, rc, "The file is damaged: %s.",
                      text == NULL ? "unreadable" : text);
            error_meaning(error, "A copy of it would be no backup, so none was"
                                 " kept.");
            error_remedy(error, "'grapevine verify' and 'sqlite3 FILE"
                                " .recover' tell what is left of it.");
        }
    }
    sqlite3_finalize(check);
    return rc;
}

/* No inode is 0; and a node under which the copy is restored shall see at once
 * that it is one. */
static int forget_identity(sqlite3 *db)
{
    int64_t count;
    int rc = sql_number(db, &count,
                        "SELECT count(*) FROM main.sqlite_schema WHERE"
                        " type='table' AND name='gv_meta'");

    GV_ASSERT(rc != GV_OK || count <= 1); /* names are unique */
    if (rc == GV_OK && count > 0)
        rc = sql_run(db, "UPDATE gv_meta SET inode=0,birth=0,mark=0");
    return rc;
}

/* Everything into the one file, and onto the disk. */
static int settle(sqlite3 *db)
{
    int rc = sqlite3_wal_checkpoint_v2(db, "main", SQLITE_CHECKPOINT_TRUNCATE,
                                       NULL, NULL);

    GV_ASSERT(sqlite3_get_autocommit(db));
    return sql_code(rc);
}

int store_backup(const char *path, const char *to, const char *vfs,
                 struct gv_error *error)
{
    sqlite3 *from = NULL, *copy = NULL;
    int rc = open_plain(path, SQLITE_OPEN_READWRITE, vfs, &from, error);

    GV_ASSERT(strcmp(path, to) != 0);
    if (rc == GV_OK)
        rc = open_plain(to, SQLITE_OPEN_READWRITE, vfs, &copy, error);
    if (rc == GV_OK) {
        rc = sql_run(copy, "PRAGMA synchronous=FULL");
        if (rc == GV_OK)
            rc = copy_pages(from, copy);
        if (rc != GV_OK)
            sql_fail(copy, rc, error, "cannot copy the file");
    }
    if (rc == GV_OK)
        rc = check_copy(copy, error);
    if (rc == GV_OK) {
        rc = forget_identity(copy);
        if (rc == GV_OK)
            rc = settle(copy);
        if (rc != GV_OK)
            sql_fail(copy, rc, error, "cannot write the copy");
    }
    GV_ASSERT(rc == GV_OK || error == NULL || error->code != GV_OK);
    sqlite3_close(from);
    sqlite3_close(copy);
    return rc;
}
