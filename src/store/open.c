/* Opening a file: the lock, the connections and their settings, membership of
 * a mesh. */
#include "store/open.h"

#include "base/assert.h"
#include "base/plant.h"
#include "store/audit.h"
#include "store/batch.h"
#include "store/borrowed.h"
#include "store/cells.h"
#include "store/describe.h"
#include "store/directory.h"
#include "store/early.h"
#include "store/extract.h"
#include "store/footprint.h"
#include "store/identity.h"
#include "store/kept.h"
#include "store/log.h"
#include "store/reader.h"
#include "store/rowids.h"
#include "store/schema.h"
#include "store/seal.h"
#include "store/state.h"
#include "store/transaction.h"
#include "store/upgrade.h"
#include "store/ver.h"
#include "store/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Connections */

static int note_frames(void *context, sqlite3 *db, const char *schema,
                       int frames)
{
    struct store *store = context;

    GV_ASSERT(db == store->db); /* the reader commits nothing */
    GV_ASSERT(frames >= 0);
    (void)schema;
    store->wal_frames = frames;
    return SQLITE_OK;
}

static void set_config(sqlite3 *db, int option, int value)
{
    sqlite3_db_config(db, option, value, NULL);
}

/* What a file from elsewhere may do to its reader is kept small; our own
 * triggers and the application's are off on connections of ours. */
static int configure(struct store *store, sqlite3 *db)
{
    int rc;

    set_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1);
    set_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0);
    set_config(db, SQLITE_DBCONFIG_DQS_DML, 0);
    set_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0);
    set_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 0);
    /* A writer's ends when the log was mended (log.c). */
    set_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1);
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, STORE_BUSY_COMMAND_MS);
    rc = batch_register(store, db);
    if (rc == GV_OK)
        rc = rowids_register(store, db);
    if (rc != GV_OK)
        return rc;
    rc = sql_run(db, "PRAGMA mmap_size=0;"
                     "PRAGMA cell_size_check=ON;"
                     "PRAGMA synchronous=NORMAL;"
                     "PRAGMA ignore_check_constraints=ON;"
                     "PRAGMA temp_store=MEMORY;");
    if (rc == GV_OK && store->mode == STORE_READ)
        rc = sql_run(db, "PRAGMA query_only=ON");
    return rc;
}

int connection_open(struct store *store, sqlite3 **db, struct gv_error *error)
{
    int rc = sqlite3_open_v2(store->path, db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                             store->vfs);

    GV_ASSERT(store->lock != NULL);
    GV_ASSERT(rc != SQLITE_OK || *db != NULL);
    if (rc == SQLITE_OK)
        rc = configure(store, *db);
    if (rc != 0) {
        sql_fail(*db, rc, error, "cannot open the file");
        sqlite3_close(*db);
        *db = NULL;
        return rc > 0 ? sql_code(rc) : rc;
    }
    return GV_OK;
}

/* Statements */

int prepare_list(sqlite3 *db, const struct statement_text *list, size_t count)
{
    int rc = GV_OK;

    for (size_t i = 0; i < count && rc == GV_OK; i++)
        if (*list[i].statement == NULL)
            rc = sql_prepare(db, list[i].statement, "%s", list[i].text);
    return rc;
}

#define LIST_COUNT(list) (sizeof(list) / sizeof(list)[0])

static int prepare_common(struct store *store)
{
    const struct statement_text list[] = {
        {&store->begin, borrowed_begin_text(store->within)},
        {&store->commit, borrowed_commit_text(store->within)},
        {&store->rollback, borrowed_rollback_text(store->within)},
        {&store->early_begin, "BEGIN"},
        {&store->schema_version_read, "PRAGMA main.schema_version"},
        {&store->data_version_read, "PRAGMA main.data_version"},
    };

    return prepare_list(store->db, list, LIST_COUNT(list));
}

/* INSERT of VER_ROWS rows.  OR FAIL: what fails takes the transaction with it,
 * and to take back the statement alone, as ABORT does, SQLite would copy each
 * page that it writes. */
static char *ver_insert_text(void)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    sqlite3_str_appendall(text, "INSERT OR FAIL INTO gv_ver VALUES");
    for (int i = 0; i < VER_ROWS; i++)
        sqlite3_str_appendf(text, "%s(?,?,?,?)", i == 0 ? "" : ",");
    return sqlite3_str_finish(text);
}

static int prepare_joined(struct store *store)
{
    char *many = ver_insert_text();
    int rc;
    const struct statement_text list[] = {
        {&store->mark_read, "SELECT mark FROM gv_meta WHERE id=1"},
        {&store->meta_write, "UPDATE gv_meta SET clock=?1,fingerprint=?2,"
                             "mark=?3,busy=?4,pending=?5 WHERE id=1"},
        {&store->journal_read,
         "SELECT * FROM gv_journal WHERE id>?1 ORDER BY id"},
        /* It deletes nothing and takes the lock for that. */
        {&store->early_lock, "DELETE FROM gv_journal WHERE 0"},
        {&store->journal_clear, "DELETE FROM gv_journal"},
        {&store->journal_last, "SELECT coalesce(max(id),0) FROM gv_journal"},
        {&store->journal_delete, "DELETE FROM gv_journal WHERE id BETWEEN ?1"
                                 " AND ?2"},
        {&store->ver_insert, "INSERT INTO gv_ver(site,version,tbl,rid)"
                             " VALUES(?1,?2,?3,?4)"},
        {&store->ver_insert_many, many},
        {&store->ver_delete, "DELETE FROM gv_ver WHERE site=?1 AND version=?2"
                             " AND tbl=?3 AND rid=?4"},
        {&store->site_find, "SELECT num FROM gv_site WHERE site=?1"},
        {&store->site_raise, "UPDATE gv_site SET version=?2 WHERE num=?1"},
        /* No interval depends on its own site: gv_untold is left alone. */
        {&store->own_raise, "UPDATE gv_site SET version=?2,told=?2 WHERE"
                            " num=?1"},
        {&store->untold, "SELECT site,version FROM gv_site INDEXED BY"
                         " gv_untold WHERE version<>told AND num<>?1"
                         " ORDER BY site"},
        {&store->told_write, "UPDATE gv_site INDEXED BY gv_untold SET"
                             " told=version WHERE version<>told"},
        {&store->interval_insert, "INSERT INTO gv_interval(version)"
                                  " VALUES(?1)"},
        {&store->interval_find, "SELECT 1 FROM gv_interval WHERE version=?1"},
        {&store->inbox_row, "SELECT at,bytes,sum FROM gv_inbox WHERE at<=?1"
                            " ORDER BY at DESC LIMIT 1"},
    };

    rc = many == NULL ? GV_ENOMEM
                      : prepare_list(store->db, list, LIST_COUNT(list));
    sqlite3_free(many);
    return rc;
}

static void finalize_all(struct store *store)
{
    sqlite3_stmt *const list[] = {
        store->begin,          store->commit,
        store->rollback,       store->schema_version_read,
        store->mark_read,      store->meta_write,
        store->journal_read,   store->journal_clear,
        store->journal_delete, store->journal_last,
        store->early_begin,    store->early_lock,
        store->ver_insert,     store->ver_insert_many,
        store->ver_delete,     store->site_raise,
        store->site_find,      store->interval_insert,
        store->interval_find,  store->untold,
        store->told_write,     store->data_version_read,
        store->inbox_row,      store->history_insert,
        store->history_prune,  store->parked_find,
        store->parked_write,   store->parked_delete,
        store->cells_read,     store->cell_write,
        store->cell_delete,    store->own_raise,
    };

    for (size_t i = 0; i < LIST_COUNT(list); i++)
        sqlite3_finalize(list[i]);
}

/* Open */

static int find_file(struct store *store, const char *path,
                     struct gv_error *error)
{
    int rc = store->host->resolve(store->host->context, path, store->path,
                                  sizeof store->path - 16);

    if (rc == GV_ENOTFOUND)
        return error_set(error, rc, "There is no file %s.", path);
    if (rc != GV_OK)
        return error_set(error, rc, "Cannot find %s: %s.", path,
                         gv_strerror(rc));
    GV_ASSERT(store->path[0] == '/');
    /* A directory's name that was cut would be another's. */
    GV_ASSERT(strlen(store->path) + sizeof "-gv" <= sizeof store->directory);
    snprintf(store->directory, sizeof store->directory, "%.*s-gv",
             (int)(sizeof store->directory - 4), store->path);
    return GV_OK;
}

static int is_joined(struct store *store)
{
    int64_t count = 0;
    int rc = sql_number(store->db, &count,
                        "SELECT count(*) FROM main.sqlite_schema WHERE"
                        " type='table' AND name='gv_meta'");

    store->joined = rc == GV_OK && count > 0;
    return rc;
}

static int check_format(struct store *store, struct gv_error *error)
{
    int64_t format;
    int rc = sql_number(store->db, &format, "SELECT format FROM gv_meta");

    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot read gv_meta");
    if (format == STORE_FORMAT ||
        (format < STORE_FORMAT && store->mode == STORE_WRITE))
        return GV_OK;
    error_set(error, GV_EVERSION,
              "The file's sync metadata has format %lld;"
              " this program knows %d.",
              (long long)format, STORE_FORMAT);
    if (format < STORE_FORMAT) {
        error_meaning(error, "An older Grapevine wrote it, and what only reads"
                             " does not bring it up to date.");
        error_remedy(error, "Run a node on it ('grapevine run'), or track a"
                            " table; either brings it up to date.");
    } else {
        error_meaning(error, "A newer Grapevine wrote it.");
        error_remedy(error, "Use the newer program on this file.");
    }
    return GV_EVERSION;
}

static int is_wal(struct store *store)
{
    int64_t wal = 0;
    int rc = sql_number(store->db, &wal,
                        "SELECT journal_mode='wal' FROM pragma_journal_mode");

    store->wal = rc == GV_OK && wal != 0;
    return rc;
}

static int turn_wal(struct store *store, struct gv_error *error)
{
    int rc =
        store->wal ? GV_OK : sql_run(store->db, "PRAGMA journal_mode=WAL");

    GV_ASSERT(store->mode == STORE_WRITE);
    GV_ASSERT(!store->in_transaction);
    if (rc == GV_OK && !store->wal)
        rc = is_wal(store);
    if (rc == GV_OK && store->wal)
        return GV_OK;
    error_set(error, rc == GV_OK ? GV_EIO : rc,
              "Cannot turn %s to WAL mode: %s.", store->path,
              sqlite3_errmsg(store->db));
    error_meaning(error, "Grapevine and your programs write side by side,"
                         " which needs SQLite's write-ahead log.");
    error_remedy(error, "Close other programs that use the file and try again;"
                        " the file must lie on a local disk.");
    return error != NULL ? error->code : GV_EIO;
}

/* A file that is damaged is not written to, and spreads nothing. */
static int check_pages(struct store *store, struct gv_error *error)
{
    sqlite3_stmt *check;
    int rc = sql_prepare(store->db, &check, "PRAGMA main.quick_check(1)");

    GV_ASSERT(store->mode == STORE_WRITE); /* a reader shows what it can */
    if (rc == GV_OK && (rc = sql_step(check)) > 0) {
        const char *text = (const char *)sqlite3_column_text(check, 0);

        rc = sql_checked(text) ? GV_OK : GV_ECORRUPT;
        if (rc != GV_OK) {
            error_set(error, rc, "%s is damaged: %s.", store->path,
                      text == NULL ? "unreadable" : text);
            error_meaning(error, "SQLite finds pages of the file that do not"
                                 " fit together; nothing was changed.");
            error_remedy(error, "Put a copy aside, then restore the file from"
                                " a backup or a peer's file; 'sqlite3 FILE"
                                " .recover' may save what only it has.");
        }
    }
    sqlite3_finalize(check);
    return rc;
}

/* With the right to write: look at the file's identity, register new columns
 * and put the triggers right. */
static int load_and_mend(struct store *store, struct gv_error *error)
{
    int rc = sql_finish(store->begin);

    GV_ASSERT(store->mode == STORE_WRITE);
    GV_ASSERT(rc != GV_OK || transaction_open(store));
    if (rc == GV_OK)
        rc = upgrade(store, error);
    if (rc == GV_OK)
        rc = prepare_joined(store);
    if (rc == GV_OK)
        rc = meta_load(store);
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot read the sync metadata");
    rc = identity_check(store, error);
    if (rc == GV_OK)
        rc = schema_refresh(store, true, error);
    if (rc == GV_OK)
        rc = identity_move(store, error);
    if (rc == GV_OK)
        rc = inbox_load(store, error);
    if (rc != GV_OK)
        return rc;
    rc = store->within == STORE_ALONE ? log_mend(store) : GV_OK;
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot write the log again");
    rc = sql_finish(store->commit);
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot commit");
    if (store->within != STORE_ALONE)
        return GV_OK;
    GV_ASSERT(sqlite3_get_autocommit(store->db));
    /* An earlier run may have ended between a commit and its sync. */
    rc = plant("start-unsynced") ? GV_OK : log_sync(store);
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot sync the log");
    identity_note(store, vv_get(&store->vv, &store->sites[store->own]));
    return GV_OK;
}

/* Load what a joined file holds. */
static int load(struct store *store, struct gv_error *error)
{
    int rc = check_format(store, error);

    GV_ASSERT(!store->in_transaction);
    if (rc == GV_OK && store->mode == STORE_WRITE && !store->borrowed)
        rc = check_pages(store, error); /* a call cannot take so long */
    if (rc != GV_OK)
        return rc;
    if (store->mode == STORE_READ) {
        rc = prepare_joined(store);
        if (rc == GV_OK)
            rc = meta_load(store);
        if (rc != GV_OK)
            return sql_fail(store->db, rc, error,
                            "cannot read the sync metadata");
        return schema_refresh(store, false, error);
    }
    rc = store->borrowed ? GV_OK : turn_wal(store, error);
    if (rc == GV_OK)
        rc = load_and_mend(store, error);
    if (rc != GV_OK && transaction_open(store))
        sql_finish(store->rollback);
    return rc;
}

static int open_database(struct store *store, struct gv_error *error)
{
    int64_t schema;
    int rc = store->borrowed ? borrowed_take(store)
                             : connection_open(store, &store->db, error);

    if (rc != GV_OK)
        return rc;
    if (!store->borrowed)
        sqlite3_wal_hook(store->db, note_frames, store);
    rc = sql_number(store->db, &schema, "PRAGMA main.schema_version");
    if (rc == GV_ECORRUPT) {
        error_set(error, GV_EINVAL, "%s is not a SQLite database.",
                  store->path);
        error_meaning(error, "Its contents do not start as one, or it is"
                             " encrypted.");
        error_remedy(error, "Name a database file, or a new one with"
                            " 'grapevine run --create'.");
        return GV_EINVAL;
    }
    if (rc == GV_OK)
        rc = prepare_common(store);
    if (rc == GV_OK)
        rc = is_joined(store);
    if (rc == GV_OK)
        rc = is_wal(store);
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot read the file");
    return store->joined ? load(store, error) : GV_OK;
}

int store_open(const char *path, const struct store_options *options,
               struct store **opened, struct gv_error *error)
{
    struct store *store = calloc(1, sizeof *store);
    int rc;

    GV_ASSERT(options->mode == STORE_WRITE || options->mode == STORE_READ);
    GV_ASSERT(options->host != NULL);
    GV_ASSERT(options->borrowed == NULL || options->mode == STORE_WRITE);
    GV_ASSERT(options->borrowed != NULL || options->within == STORE_ALONE);
    if (store == NULL)
        return error_set(error, GV_ENOMEM, "Out of memory.");
    store->host = options->host;
    store->log = options->log;
    store->mode = options->mode;
    store->borrowed = options->borrowed != NULL;
    store->within = options->within;
    store->db = options->borrowed;
    store->schema_version = -1;
    store->polled_schema_version = -1;
    store->data_version = -1;
    store->limits = options->slices;
    work_limits(&store->limits);
    store->slice_keys = store->limits.keys;
    inbox_init(&store->inbox);
    vv_init(&store->vv);
    buffer_init(&store->state, SIZE_MAX);
    buffer_init(&store->hashed, SIZE_MAX);
    buffer_init(&store->key, SIZE_MAX);
    buffer_init(&store->past_key, SIZE_MAX);
    buffer_init(&store->audit.walk_key, SIZE_MAX);
    buffer_init(&store->audit.keys, SIZE_MAX);
    store->audit.schema = -1;
    store->audit.settled = -1;
    buffer_init(&store->stream, MESSAGE_NEWS_SIZE_MAX);
    buffer_init(&store->interval, MESSAGE_NEWS_SIZE_MAX);
    buffer_init(&store->parked.bytes, SIZE_MAX);
    if (options->vfs != NULL)
        store->vfs = strdup(options->vfs);
    rc = find_file(store, path, error);
    if (rc == GV_OK)
        rc = directory_lock(store, error);
    if (rc == GV_OK)
        rc = open_database(store, error);
    if (rc == GV_OK && store->mode == STORE_WRITE)
        rc = kept_load(store);
    if (rc == GV_OK)
        connection_patience(store, store->mode == STORE_WRITE
                                       ? STORE_BUSY_NODE_MS
                                       : STORE_BUSY_COMMAND_MS);
    if (rc != GV_OK) {
        store_close(store);
        return rc;
    }
    GV_ASSERT(store->lock != NULL && store->db != NULL);
    GV_ASSERT(!store->joined || store->site_count > 0);
    *opened = store;
    return GV_OK;
}

/* A statement that was left would keep the connection, its locks and its
 * descriptors for ever. */
static void connection_close(sqlite3 *db)
{
    int rc = sqlite3_close(db);

    GV_ASSERT(rc == SQLITE_OK);
}

/* How long the writers of a file that was moved away may keep its log. */
#define ORPHAN_PATIENCE_MS 1000

static void log_goes(struct store *store)
{
    int rc;

    GV_ASSERT(store->overwritten);
    sqlite3_busy_timeout(store->db, ORPHAN_PATIENCE_MS);
    rc = footprint_drop_log(store);
    log_line(&store->log, GV_LOG_WARNING,
             rc == GV_OK
                 ? "%s was copied over while it was in use; its old"
                   " write-ahead log was dropped"
                 : "%s was copied over while it was in use, and its old"
                   " write-ahead log could not be dropped: end all programs"
                   " that use it, and copy it again",
             store->path);
}

/* SQLite finds a log by its name alone: it would play what stands in that of
 * the file that was moved away into the one that took its place, and damage
 * it.  So the log is moved into the file it belongs to, and emptied. */
static void orphan_empty(struct store *store)
{
    int rc;

    if (store->db == NULL || store->mode != STORE_WRITE || !store->wal ||
        !log_is_orphan(store))
        return;
    GV_ASSERT(store->reader == NULL); /* it could hold the log */
    sqlite3_busy_timeout(store->db, ORPHAN_PATIENCE_MS);
    if (!sqlite3_get_autocommit(store->db))
        sql_finish(store->rollback);
    rc = sqlite3_wal_checkpoint_v2(store->db, "main",
                                   SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (rc != SQLITE_OK)
        log_line(&store->log, GV_LOG_WARNING,
                 "%s was replaced while other programs used it: its old"
                 " write-ahead log may be taken for the new file's; end"
                 " those programs",
                 store->path);
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    inbox_close(&store->inbox);
    seal_forget(store);
    extracts_close(store);
    early_close(store);
    schema_close(store);
    describe_done(store);
    audit_close(store);
    reader_close(store);
    if (!store->borrowed) {
        if (store->overwritten) {
            log_goes(store);
        } else {
            log_leave(store);
            orphan_empty(store);
        }
    }
    finalize_all(store);
    if (store->borrowed)
        borrowed_give_back(store);
    else
        connection_close(store->db);
    if (store->lock != NULL)
        store->host->unlock(store->host->context, store->lock);
    row_space_close(&store->space);
    row_space_close(&store->fragment);
    cells_close(&store->space.cells);
    cells_close(&store->fragment.cells);
    buffer_close(&store->state);
    buffer_close(&store->hashed);
    buffer_close(&store->key);
    buffer_close(&store->past_key);
    buffer_close(&store->stream);
    buffer_close(&store->interval);
    buffer_close(&store->parked.bytes);
    vv_close(&store->vv);
    free(store->sites);
    free(store->vfs);
    free(store);
}

/* Join */

static int create_tables(struct store *store)
{
    int rc = sql_finish(store->begin);

    GV_ASSERT(!store->joined && !store->in_transaction);
    if (rc == GV_OK)
        rc = schema_create(store);
    if (rc == GV_OK)
        rc = prepare_joined(store);
    if (rc == GV_OK)
        rc = identity_create(store);
    if (rc == GV_OK)
        rc = audit_begin(store);
    if (rc == GV_OK)
        rc = sql_finish(store->commit);
    if (rc != GV_OK && transaction_open(store))
        sql_finish(store->rollback);
    return rc;
}

int store_adopt(struct store *store, struct gv_error *error)
{
    int rc;

    if (store->joined)
        return GV_OK;
    GV_ASSERT(store->mode == STORE_WRITE);
    rc = store->borrowed ? GV_OK : turn_wal(store, error);
    if (rc != GV_OK)
        return rc;
    rc = is_joined(store); /* a try that failed may have made them */
    if (rc == GV_OK && !store->joined)
        rc = create_tables(store);
    store->joined = false;
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot make the gv_ tables");
    rc = load(store, error);
    store->joined = rc == GV_OK;
    return rc;
}

bool store_joined(const struct store *store)
{
    return store->joined;
}

int store_mesh(struct store *store, char *mesh, struct gv_error *error)
{
    sqlite3_stmt *statement;
    int rc;

    mesh[0] = '\0';
    if (!store->joined)
        return GV_OK;
    rc = sql_prepare(store->db, &statement, "SELECT mesh FROM gv_meta");
    if (rc == GV_OK && (rc = sql_step(statement)) > 0) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);

        if (text != NULL)
            snprintf(mesh, MESSAGE_TEXT_SIZE_MAX + 1, "%s", text);
        rc = GV_OK;
    }
    GV_ASSERT(strlen(mesh) <= MESSAGE_TEXT_SIZE_MAX);
    if (rc != GV_OK)
        sql_fail(store->db, rc, error, "cannot read the mesh's name");
    sqlite3_finalize(statement);
    return rc;
}

int store_join(struct store *store, const char *mesh, struct gv_error *error)
{
    char kept[MESSAGE_TEXT_SIZE_MAX + 1] = "";
    int rc = store_mesh(store, kept, error);

    if (rc != GV_OK)
        return rc;
    if (kept[0] == '\0' && mesh == NULL) {
        error_set(error, GV_EMESH, "No mesh is named.");
        error_meaning(error, "A mesh is the group of nodes that share this"
                             " data; nodes of other meshes are refused.");
        error_remedy(error, "Name it at the file's first run: --mesh NAME."
                            " It is kept in the file.");
        return GV_EMESH;
    }
    if (kept[0] != '\0' && mesh != NULL && strcmp(kept, mesh) != 0) {
        error_set(error, GV_EMESH,
                  "This file belongs to the mesh '%s', not"
                  " '%s'.",
                  kept, mesh);
        error_meaning(error, "Its rows would mix with those of other data.");
        error_remedy(error,
                     "Leave --mesh out, or name a file of the mesh"
                     " '%s'.",
                     mesh);
        return GV_EMESH;
    }
    rc = store_adopt(store, error);
    GV_ASSERT(rc != GV_OK || store->joined);
    if (rc == GV_OK && kept[0] == '\0') {
        GV_ASSERT(mesh != NULL);
        rc = sql_run(store->db, "UPDATE gv_meta SET mesh=%Q", mesh);
        if (rc != GV_OK)
            sql_fail(store->db, rc, error, "cannot keep the mesh's name");
    }
    return rc;
}
