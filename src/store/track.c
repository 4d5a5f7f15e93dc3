/* Track: which tables can be shared, and what a person is told when one
 * cannot. */
#include "store/internal.h"

#include "base/assert.h"
#include "base/utf8.h"
#include "store/borrowed.h"
#include "store/choice.h"
#include "store/describe.h"
#include "store/log.h"
#include "store/naming.h"
#include "store/open.h"
#include "store/register.h"
#include "store/schema.h"
#include "store/seal.h"

#include <stdlib.h>
#include <string.h>

/* The numbers that people are told below. */
_Static_assert(STREAM_NAME_SIZE_MAX == 1024, "bytes of a name");
_Static_assert(KEY_COLUMNS_MAX == 64, "columns of a key");
_Static_assert(ROW_BITS_MAX - 1 == 2047, "columns besides the key");

static int refuse(struct gv_error *error, const char *what,
                  const char *meaning, const char *remedy)
{
    error_set(error, GV_EREFUSED, "%s", what);
    error_meaning(error, "%s", meaning);
    error_remedy(error, "%s", remedy);
    return GV_EREFUSED;
}

static int refuse_table(struct gv_error *error, const char *table,
                        const char *reason, const char *meaning,
                        const char *remedy)
{
    char what[400];

    GV_ASSERT(table != NULL); /* found, and so named as it was declared */
    sqlite3_snprintf(sizeof what, what, "Table '%s' %s.", table, reason);
    return refuse(error, what, meaning, remedy);
}

/* What kind of thing the name is, and its name as it was declared. */
static int check_kind(struct store *store, const char *table, char **local,
                      struct gv_error *error)
{
    sqlite3_stmt *list;
    char type[16] = "";
    int rc = sql_prepare(store->db, &list,
                         "SELECT name,type FROM pragma_table_list WHERE"
                         " schema='main' AND name=%Q COLLATE NOCASE",
                         table);

    if (rc == GV_OK && (rc = sql_step(list)) > 0) {
        *local = strdup((const char *)sqlite3_column_text(list, 0));
        sqlite3_snprintf(sizeof type, type, "%s",
                         sqlite3_column_text(list, 1));
        rc = *local == NULL ? GV_ENOMEM : GV_OK;
    }
    sqlite3_finalize(list);
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot list the tables");
    if (type[0] == '\0') {
        error_set(error, GV_ENOTFOUND, "There is no table '%s' in %s.", table,
                  store->path);
        error_meaning(error, "Only a table that exists can be tracked.");
        error_remedy(error, "Look at the names with 'sqlite3 FILE .tables', or"
                            " make the table first.");
        return GV_ENOTFOUND;
    }
    GV_ASSERT(*local != NULL); /* a kind comes with a name */
    if (strcmp(type, "virtual") == 0 || strcmp(type, "shadow") == 0)
        return refuse_table(error, *local,
                            "is a virtual table or a part of"
                            " one",
                            "Its contents are made by a module; SQLite has no"
                            " triggers on it.",
                            "Track the ordinary table that feeds it.");
    if (strcmp(type, "view") == 0)
        return refuse_table(error, *local, "is a view",
                            "A view holds no rows of its own.",
                            "Track the tables that it reads.");
    if (sqlite3_strnicmp(*local, "gv_", 3) == 0 ||
        sqlite3_strnicmp(*local, "sqlite_", 7) == 0)
        return refuse_table(error, *local, "belongs to Grapevine or SQLite",
                            "It describes this very file.",
                            "Track tables of your own.");
    return GV_OK;
}

/* Names cross to peers, and stand in what people are shown. */
static bool name_fits(const char *name)
{
    size_t size = strlen(name);

    return size > 0 && size <= STREAM_NAME_SIZE_MAX &&
           utf8_printable(name, size);
}

static int check_names(const struct store_table *table, struct gv_error *error)
{
    bool fit = name_fits(table->local);

    for (size_t i = 0; i < table->key_count; i++)
        fit = fit && name_fits(table->keys[i].local);
    for (size_t i = 0; i < table->column_count; i++)
        fit = fit && name_fits(table->columns[i].local);
    if (fit)
        return GV_OK;
    return refuse_table(error, table->local,
                        "has a name that cannot be sent, of its own or of a"
                        " column",
                        "A name may have 1,024 bytes of UTF-8 without control"
                        " characters.",
                        "Rename the table or the column.");
}

static int check_key(const struct store_table *table, struct gv_error *error)
{
    if (table->key_count == 0)
        return refuse_table(
            error, table->local, "has no declared primary key",
            "Without one nothing tells which row of another copy is the same"
            " row.",
            "Make a new table with a PRIMARY KEY, such as 'id TEXT PRIMARY"
            " KEY', copy the rows, and track that.");
    if (table->key_count > KEY_COLUMNS_MAX)
        return refuse_table(
            error, table->local, "has a primary key of too many columns",
            "A key may have 64 columns.", "Use a key with fewer columns.");
    if (table->column_count >= ROW_BITS_MAX)
        return refuse_table(error, table->local, "has too many columns",
                            "A table may have 2,047 columns besides its key.",
                            "Split the table.");
    return GV_OK;
}

static int check_unique(const struct store_table *table,
                        struct gv_error *error)
{
    if (!table->evicts)
        return GV_OK;
    return refuse_table(
        error, table->local,
        "has a UNIQUE constraint or index beside its"
        " primary key",
        "Two sites may each write a row with one value before they meet; then"
        " one of the rows could not be stored on the other.",
        "Make the index an ordinary one (DROP INDEX, CREATE INDEX), or make"
        " the unique column the primary key.");
}

static int refuse_collation(const struct store_table *table,
                            struct gv_error *error)
{
    return refuse_table(
        error, table->local,
        "compares its key with a collation other than"
        " BINARY",
        "Keys that this file calls equal could be two rows on another.",
        "Make the table again with the key column's collation BINARY (the"
        " default), and give an index the collation instead.");
}

/* The column's collation and its primary key index's may differ. */
static int check_collations(struct store *store,
                            const struct store_table *table,
                            struct gv_error *error)
{
    int64_t other = 0;
    int rc;

    GV_ASSERT(table->key_count > 0 && table->key_count <= KEY_COLUMNS_MAX);
    for (size_t i = 0; i < table->key_count; i++) {
        const char *collation = "BINARY";

        rc = sqlite3_table_column_metadata(store->db, "main", table->local,
                                           table->keys[i].local, NULL,
                                           &collation, NULL, NULL, NULL);
        if (rc != SQLITE_OK)
            return sql_fail(store->db, rc, error, "cannot read a column");
        if (sqlite3_stricmp(collation, "BINARY") != 0)
            return refuse_collation(table, error);
    }
    rc = sql_number(store->db, &other,
                    "SELECT count(*) FROM pragma_index_list(%Q) AS i,"
                    " pragma_index_xinfo(i.name) AS x WHERE i.origin='pk' AND"
                    " x.key AND x.coll<>'BINARY' COLLATE NOCASE",
                    table->local);
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot read an index");
    return other == 0 ? GV_OK : refuse_collation(table, error);
}

/* Whether this library can write the table at all: an index or a CHECK may
 * call a function that only the application has. */
static int check_writable(struct store *store, const struct store_table *table,
                          struct gv_error *error)
{
    static const char *const statements[] = {
        "INSERT INTO main.\"%w\" DEFAULT VALUES", "DELETE FROM main.\"%w\""};
    int rc = GV_OK;

    /* It only prepares, with settings that an open write must not see. */
    GV_ASSERT(!store->in_transaction);
    for (size_t i = 0; i < 2 && rc == GV_OK; i++) {
        sqlite3_stmt *statement;

        rc = sql_prepare(store->db, &statement, statements[i], table->local);
        sqlite3_finalize(statement);
    }
    if (rc == GV_OK)
        rc = sql_run(store->db, "PRAGMA ignore_check_constraints=OFF");
    if (rc == GV_OK) {
        sqlite3_stmt *statement;

        rc = sql_prepare(store->db, &statement, statements[0], table->local);
        sqlite3_finalize(statement);
        if (rc == GV_ESCHEMA)
            rc = GV_EREFUSED;
        sql_run(store->db, "PRAGMA ignore_check_constraints=ON");
    }
    if (rc == GV_OK)
        return GV_OK;
    if (rc != GV_ESCHEMA && rc != GV_EREFUSED)
        return sql_fail(store->db, rc, error, "cannot prepare a write");
    return refuse_table(
        error, table->local,
        "uses a function or collation that the node does"
        " not have, in an index, a CHECK or a generated"
        " column",
        "The node could not write its rows.",
        "Use SQLite's own functions there, or leave the index out.");
}

static int check_file(struct store *store, struct gv_error *error)
{
    struct file_marks marks;
    int64_t utf8;
    int rc = sql_number(store->db, &utf8,
                        "SELECT encoding='UTF-8' FROM pragma_encoding");

    if (rc == GV_OK)
        rc = store->host->marks(store->host->context, store->path, &marks);
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot look at the file");
    if (!utf8)
        return refuse(error, "The file keeps its text as UTF-16.",
                      "Text that is not valid Unicode would not survive the"
                      " way to a UTF-8 file and back.",
                      "Make a new file, run 'PRAGMA encoding=\"UTF-8\"' in it"
                      " first, and copy the data with .dump.");
    if (marks.links > 1)
        return refuse(error, "The file has more than one name (hard links).",
                      "Programs that use different names would not share"
                      " SQLite's log and could damage the file.",
                      "Keep one name: remove the other links, or use a"
                      " symbolic link.");
    return GV_OK;
}

static int check(struct store *store, const char *table, char **local,
                 bool *warn, struct gv_error *error)
{
    struct store_table *described = NULL;
    int rc = check_kind(store, table, local, error);

    if (rc == GV_OK)
        rc = schema_describe(store, *local, &described, error);
    if (rc == GV_OK)
        rc = check_names(described, error);
    if (rc == GV_OK)
        rc = check_key(described, error);
    if (rc == GV_OK)
        rc = check_unique(described, error);
    if (rc == GV_OK)
        rc = check_collations(store, described, error);
    if (rc == GV_OK)
        rc = check_writable(store, described, error);
    if (rc == GV_OK)
        rc = check_file(store, error);
    GV_ASSERT(rc != GV_OK || described != NULL);
    *warn = rc == GV_OK && described->integer_key;
    table_free(described);
    return rc;
}

static void note(struct buffer *notes, const char *text)
{
    buffer_append(notes, text, strlen(text));
    buffer_append_u8(notes, '\n');
}

static void warn_of_numbers(struct buffer *notes, const char *table)
{
    char *text = sqlite3_mprintf(
        "warning: SQLite numbers the rows of '%s' itself (INTEGER PRIMARY"
        " KEY): two sites will give one number to two different rows, which"
        " then become one row. Give each row a key of its own: id TEXT PRIMARY"
        " KEY DEFAULT (lower(hex(randomblob(16)))), or numbers from a range"
        " that belongs to the site.",
        table);

    if (text != NULL)
        note(notes, text);
    sqlite3_free(text);
}

/* The key is another one than it was tracked with. */
static void note_of_key(struct store *store, struct buffer *notes,
                        const char *local)
{
    const struct store_table *table = schema_by_local(store, local);
    char *by_key = table == NULL ? NULL : naming_by_key(local, table), *text;

    if (by_key == NULL || sqlite3_stricmp(table->wire, by_key) != 0) {
        sqlite3_free(by_key);
        return;
    }
    text = sqlite3_mprintf(
        "Peers know it as '%s', since its key is not the one that '%s' had."
        " Change the table in the same way on the other nodes and run"
        " 'grapevine track' there. What the mesh has under the old key is kept"
        " for nodes that still use it and is not shown here; 'grapevine"
        " status' says how to forget it.",
        table->wire, local);
    GV_ASSERT(table->tracked);
    if (text != NULL)
        note(notes, text);
    sqlite3_free(text);
    sqlite3_free(by_key);
}

static void warn_of_triggers(struct store *store, struct buffer *notes,
                             const char *local)
{
    const struct store_table *table = schema_by_local(store, local);
    char *text;

    if (table == NULL || !table->has_triggers)
        return;
    text = table->fires
               ? sqlite3_mprintf("The triggers of '%s' fire for changes from"
                                 " peers too: they write untracked tables"
                                 " alone.",
                                 local)
               : sqlite3_mprintf("warning: the triggers of '%s' do not fire"
                                 " for changes from peers, because they write"
                                 " tracked tables or RAISE; what they write"
                                 " where the change is made comes by itself.",
                                 local);
    if (text != NULL)
        note(notes, text);
    sqlite3_free(text);
}

/* Inside the transaction: register, then publish what is there. */
static int register_and_publish(struct store *store, const char *local,
                                struct gv_error *error)
{
    struct store_table *table;
    int rc = schema_register(store, local, error);

    GV_ASSERT(store->in_transaction);
    GV_ASSERT(!store->sealed.any);
    if (rc != GV_OK)
        return rc;
    table = schema_by_local(store, local);
    GV_ASSERT(table != NULL);
    /* Registering it has journalled every row. */
    return seal_journal(store, error);
}

static int tracked_already(struct store *store, const char *local,
                           bool *tracked, struct gv_error *error)
{
    int64_t count;
    int rc = sql_number(store->db, &count,
                        "SELECT count(*) FROM gv_table WHERE tracked=1 AND"
                        " local=%Q COLLATE NOCASE",
                        local);

    *tracked = rc == GV_OK && count > 0;
    return rc == GV_OK ? rc
                       : sql_fail(store->db, rc, error,
                                  "cannot read the tracked tables");
}

/* A person who tracks a table that is not as it was means the one that is
 * there now: no need to wait until the schema has been quiet. */
static int believe(struct store *store, const char *local,
                   struct gv_error *error)
{
    const struct store_table *table = schema_by_local(store, local);

    GV_ASSERT(store->in_transaction);
    if (table == NULL || table->fault == NULL)
        return GV_OK;
    store->audit.settled = store->schema_version;
    store->schema_version = -1;
    return schema_refresh(store, true, error);
}

static int track_in_transaction(struct store *store, const char *local,
                                bool *tracked, bool *given,
                                struct gv_error *error)
{
    struct store_sealed sealed;
    int rc = store_begin(store, error);

    if (rc != GV_OK)
        return rc;
    rc = believe(store, local, error);
    if (rc == GV_OK)
        rc = tracked_already(store, local, tracked, error);
    if (rc == GV_OK && *tracked)
        rc = choice_give(store, schema_by_local(store, local), given, error);
    /* What store_begin() sealed is an interval of its own. */
    while (rc == GV_OK && !*tracked && store->sealed.any) {
        rc = store_commit(store, &sealed, error);
        if (rc == GV_OK)
            rc = store_begin(store, error);
    }
    if (rc == GV_OK && !*tracked)
        rc = register_and_publish(store, local, error);
    if (rc == GV_OK)
        return store_commit(store, &sealed, error);
    if (store->in_transaction)
        store_rollback(store);
    return rc;
}

/* A commit that sealed nothing is not synced, as that of an empty table: a
 * power cut would take back what a person was told. */
static int sync_tracked(struct store *store, struct gv_error *error)
{
    int rc = log_sync(store);

    return rc == GV_OK ? rc
                       : sql_fail(store->db, rc, error,
                                  "cannot sync what was tracked");
}

int store_track_as(struct store *store, const char *table,
                   const struct store_kinds *kinds, struct buffer *notes,
                   struct gv_error *error)
{
    int rc;

    GV_ASSERT(store->kinds == NULL);
    store->kinds = kinds;
    rc = store_track(store, table, notes, error);
    store->kinds = NULL;
    return rc;
}

/* What a person is told in the end. */
static void say(struct store *store, struct buffer *notes, const char *local,
                bool tracked, bool given)
{
    char *text = sqlite3_mprintf(
        !tracked ? "Table '%s' is tracked from now on."
        : given  ? "Table '%s' was tracked already; its columns have the kinds"
                   " from now on."
                 : "Table '%s' was tracked already; nothing changed.",
        local);

    GV_ASSERT(store->joined && local != NULL);
    if (text != NULL)
        note(notes, text);
    sqlite3_free(text);
}

int store_track(struct store *store, const char *table, struct buffer *notes,
                struct gv_error *error)
{
    char *local = NULL;
    bool tracked = false, given = false, warn = false, was_wal = store->wal;
    int rc;

    GV_ASSERT(store->mode == STORE_WRITE);
    GV_ASSERT(!store->in_transaction);
    connection_patience(store, STORE_BUSY_COMMAND_MS);
    rc = check(store, table, &local, &warn, error);
    if (rc == GV_OK) {
        rc = store_adopt(store, error);
        if (rc == GV_OK && !was_wal && store->wal)
            note(notes, "The file is now in WAL mode (two more files, -wal and"
                        " -shm, stand beside it while it is in use).");
    }
    if (rc == GV_OK)
        rc = track_in_transaction(store, local, &tracked, &given, error);
    GV_ASSERT(!store->in_transaction);
    if (rc == GV_OK)
        rc = sync_tracked(store, error);
    connection_patience(store, STORE_BUSY_NODE_MS);
    if (rc == GV_OK)
        say(store, notes, local, tracked, given);
    if (rc == GV_OK && !tracked) {
        if (warn)
            warn_of_numbers(notes, local);
        note_of_key(store, notes, local);
        warn_of_triggers(store, notes, local);
    }
    free(local);
    return rc;
}
