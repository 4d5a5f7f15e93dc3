#include "extension/functions.h"

#include "base/assert.h"
#include "base/error.h"
#include "extension/since.h"
#include "store/bundle.h"
#include "store/sql.h"

#include <stdlib.h>
#include <string.h>

static void fail(sqlite3_context *context, const struct gv_error *error)
{
    char *text = call_text(error);

    if (text == NULL) {
        sqlite3_result_error_nomem(context);
        return;
    }
    sqlite3_result_error(context, text, -1);
    sqlite3_result_error_code(context, call_code(error->code));
    sqlite3_free(text);
}

/* Track */

/* Programs and a node write side by side only with SQLite's write-ahead log.
 * The mode cannot change while anything is open, and it need not: a node
 * turns it when it starts. */
static void turn_wal(sqlite3 *db, struct buffer *notes)
{
    static const char turned[] =
        "The file is now in WAL mode (two more files, -wal and -shm, stand"
        " beside it while it is in use).\n";
    static const char stays[] =
        "The file stays without a write-ahead log for now; a node turns it to"
        " WAL mode when it starts.\n";
    int64_t wal = 0;
    const char *query = "SELECT journal_mode='wal' FROM pragma_journal_mode";

    if (sql_number(db, &wal, "%s", query) != GV_OK || wal != 0)
        return;
    if (sqlite3_get_autocommit(db))
        (void)sql_run(db, "PRAGMA main.journal_mode=WAL");
    if (sql_number(db, &wal, "%s", query) == GV_OK && wal != 0)
        buffer_append(notes, turned, sizeof turned - 1);
    else
        buffer_append(notes, stays, sizeof stays - 1);
}

/* Lines, without the last one's end. */
static void result_notes(sqlite3_context *context, const struct buffer *notes)
{
    size_t size = notes->size > 0 ? notes->size - 1 : 0;

    sqlite3_result_text64(context, size == 0 ? "" : (const char *)notes->data,
                          size, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static void function_track(sqlite3_context *context, int count,
                           sqlite3_value **values)
{
    sqlite3 *db = sqlite3_context_db_handle(context);
    const char *table = (const char *)sqlite3_value_text(values[0]);
    struct gv_error error = {0};
    struct buffer notes;
    struct call call;
    int rc;

    GV_ASSERT(count == 1);
    (void)count;
    buffer_init(&notes, 65536);
    rc = call_begin(db, CALL_WRITES, &call, &error);
    if (rc == GV_OK) {
        rc = store_track(call.store, table == NULL ? "" : table, &notes,
                         &error);
        call_end(&call, rc);
    }
    if (rc == GV_OK) {
        turn_wal(db, &notes);
        result_notes(context, &notes);
    } else {
        fail(context, &error);
    }
    buffer_close(&notes);
}

static void function_untrack(sqlite3_context *context, int count,
                             sqlite3_value **values)
{
    const char *table = (const char *)sqlite3_value_text(values[0]);
    bool purge = count > 1 && sqlite3_value_int(values[1]) != 0;
    struct gv_error error = {0};
    struct buffer notes;
    struct call call;
    int rc = call_begin_tracked(sqlite3_context_db_handle(context),
                                CALL_WRITES, &call, &error);

    buffer_init(&notes, 65536);
    if (rc == GV_OK) {
        rc = store_untrack(call.store, table == NULL ? "" : table, purge,
                           &notes, &error);
        call_end(&call, rc);
    }
    if (rc == GV_OK)
        result_notes(context, &notes);
    else
        fail(context, &error);
    buffer_close(&notes);
}

/* Who the file is and what it holds */

/* A statement on our tables, or NULL where there are none yet. */
static int prepare_ours(sqlite3 *db, sqlite3_stmt **statement,
                        const char *text)
{
    int64_t there = 0;
    int rc = sql_number(db, &there,
                        "SELECT count(*) FROM main.sqlite_schema WHERE"
                        " type='table' AND name='gv_meta'");

    *statement = NULL;
    return rc == GV_OK && there != 0 ? sql_prepare(db, statement, "%s", text)
                                     : rc;
}

static void fail_reading(sqlite3_context *context, int rc)
{
    struct gv_error error = {0};

    sql_fail(sqlite3_context_db_handle(context), rc, &error,
             "cannot read the sync metadata");
    fail(context, &error);
}

/* A column of the file's own site. */
static void result_own(sqlite3_context *context, const char *text)
{
    sqlite3_stmt *statement;
    int rc =
        prepare_ours(sqlite3_context_db_handle(context), &statement, text);

    if (rc == GV_OK && statement != NULL && (rc = sql_step(statement)) > 0) {
        sqlite3_result_value(context, sqlite3_column_value(statement, 0));
        rc = GV_OK;
    }
    if (rc != GV_OK)
        fail_reading(context, rc);
    sqlite3_finalize(statement);
}

static void function_site_id(sqlite3_context *context, int count,
                             sqlite3_value **values)
{
    (void)count;
    (void)values;
    result_own(context, "SELECT s.site FROM main.gv_meta AS m JOIN"
                        " main.gv_site AS s ON s.num=m.site");
}

static void function_version(sqlite3_context *context, int count,
                             sqlite3_value **values)
{
    (void)count;
    (void)values;
    result_own(context, "SELECT s.version FROM main.gv_meta AS m JOIN"
                        " main.gv_site AS s ON s.num=m.site");
}

static int read_vector(sqlite3_stmt *statement, struct buffer *bytes)
{
    int rc;

    while ((rc = sql_step(statement)) > 0) {
        struct vv_entry entry;
        uint8_t *room = buffer_extend(bytes, VV_ENTRY_SIZE);

        if (room == NULL || sqlite3_column_bytes(statement, 0) != 16)
            return room == NULL ? bytes->error : GV_ECORRUPT;
        memcpy(entry.site.bytes, sqlite3_column_blob(statement, 0), 16);
        entry.version = (gv_version)sqlite3_column_int64(statement, 1);
        vv_entry_store(&entry, room);
    }
    return rc;
}

static void function_vv(sqlite3_context *context, int count,
                        sqlite3_value **values)
{
    sqlite3_stmt *statement;
    struct buffer bytes;
    int rc = prepare_ours(sqlite3_context_db_handle(context), &statement,
                          "SELECT site,version FROM main.gv_site WHERE"
                          " version>0 ORDER BY site");

    (void)count;
    (void)values;
    buffer_init(&bytes, (size_t)VV_SITES_MAX * VV_ENTRY_SIZE);
    if (rc == GV_OK && statement != NULL)
        rc = read_vector(statement, &bytes);
    if (rc != GV_OK)
        fail_reading(context, rc);
    else if (bytes.size == 0)
        sqlite3_result_zeroblob(context, 0);
    else
        sqlite3_result_blob64(context, bytes.data, bytes.size,
                              SQLITE_TRANSIENT);
    sqlite3_finalize(statement);
    buffer_close(&bytes);
}

/* Delta */

/* A call that finds that the file went back in time ends with GV_EMOVED; the
 * next one gives the file a new site id, and goes on. */
#define MOVED_TRIES 2

static int append(void *context, const void *bytes, size_t size)
{
    return buffer_append(context, bytes, size);
}

/* Opening the store has synced what the application committed with a delta in
 * it; sealing syncs what it commits. */
static int give(sqlite3 *db, sqlite3_value *since, struct buffer *delta,
                struct gv_error *error)
{
    struct buffer bytes;
    struct vv_view view;
    struct call call;
    int rc = call_begin_tracked(db, CALL_GIVES, &call, error);

    if (rc != GV_OK)
        return rc;
    buffer_init(&bytes, SIZE_MAX);
    rc = since_read(&call, since, &bytes, &view, error);
    if (rc == GV_OK)
        rc = bundle_write(call.store, view, append, delta, error);
    buffer_close(&bytes);
    call_end(&call, rc);
    return rc;
}

static void function_delta(sqlite3_context *context, int count,
                           sqlite3_value **values)
{
    sqlite3 *db = sqlite3_context_db_handle(context);
    struct gv_error error = {0};
    struct buffer delta;
    int rc = GV_EMOVED;

    GV_ASSERT(count == 1);
    (void)count;
    buffer_init(&delta, (size_t)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, -1));
    for (int i = 0; i < MOVED_TRIES && rc == GV_EMOVED; i++) {
        buffer_clear(&delta);
        rc = give(db, values[0], &delta, &error);
    }
    if (rc == GV_OK)
        sqlite3_result_blob64(context, delta.data, delta.size,
                              SQLITE_TRANSIENT);
    else
        fail(context, &error);
    buffer_close(&delta);
}

/* Apply */

struct source {
    const uint8_t *bytes;
    size_t left;
};

static int take(void *context, void *bytes, size_t size, size_t *got)
{
    struct source *source = context;

    *got = size < source->left ? size : source->left;
    if (*got > 0)
        memcpy(bytes, source->bytes, *got);
    source->bytes += *got;
    source->left -= *got;
    return GV_OK;
}

/* Grows with whatever other sites published, and with nothing else. */
static gv_version held_of_others(const struct store *store)
{
    const struct vv *vv = store_vv(store);
    gv_version sum = 0;

    for (size_t i = 0; i < vv->count; i++)
        if (!site_equal(&vv->entries[i].site, store_site(store)))
            sum += vv->entries[i].version;
    return sum;
}

/* *@news: whether it brought anything. */
static int apply(sqlite3 *db, sqlite3_value *delta, bool *news,
                 struct gv_error *error)
{
    struct source source;
    struct call call;
    gv_version before;
    int rc = call_begin_tracked(db, CALL_WRITES, &call, error);

    if (rc != GV_OK)
        return rc;
    source.bytes = sqlite3_value_blob(delta);
    source.left = (size_t)sqlite3_value_bytes(delta);
    before = held_of_others(call.store);
    rc = bundle_apply(call.store, take, &source, error);
    if (rc == GV_OK)
        *news = held_of_others(call.store) != before;
    call_end(&call, rc);
    return rc;
}

static void function_apply(sqlite3_context *context, int count,
                           sqlite3_value **values)
{
    sqlite3 *db = sqlite3_context_db_handle(context);
    struct gv_error error = {0};
    bool news = false;
    int rc = GV_EMOVED;

    GV_ASSERT(count == 1);
    (void)count;
    if (sqlite3_value_type(values[0]) != SQLITE_BLOB) {
        error_set(&error, GV_EINVAL, "That is no delta.");
        error_remedy(&error, "Give the blob that gv_delta() returned.");
        fail(context, &error);
        return;
    }
    for (int i = 0; i < MOVED_TRIES && rc == GV_EMOVED; i++)
        rc = apply(db, values[0], &news, &error);
    if (rc == GV_OK)
        sqlite3_result_int(context, news);
    else
        fail(context, &error);
}

int functions_register(sqlite3 *db)
{
    static const struct {
        const char *name;
        int count;
        void (*function)(sqlite3_context *, int, sqlite3_value **);
    } list[] = {
        {"gv_track", 1, function_track},
        {"gv_untrack", 1, function_untrack},
        {"gv_untrack", 2, function_untrack},
        {"gv_site_id", 0, function_site_id},
        {"gv_version", 0, function_version},
        {"gv_vv", 0, function_vv},
        {"gv_delta", 1, function_delta},
        {"gv_apply", 1, function_apply},
    };
    int rc = SQLITE_OK;

    /* DIRECTONLY: no view or trigger of a file from elsewhere calls them. */
    for (size_t i = 0; i < sizeof list / sizeof *list && rc == SQLITE_OK; i++)
        rc = sqlite3_create_function_v2(db, list[i].name, list[i].count,
                                        SQLITE_UTF8 | SQLITE_DIRECTONLY, NULL,
                                        list[i].function, NULL, NULL, NULL);
    return rc;
}
