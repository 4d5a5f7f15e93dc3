/* What status shows of a file. */
#include "store/internal.h"

#include "base/assert.h"
#include "store/create.h"
#include "store/describe.h"
#include "store/naming.h"
#include "store/parked.h"
#include "store/schema.h"
#include "store/tables.h"
#include "store/work.h"

#include <stdlib.h>
#include <string.h>

/* Takes @text, from sqlite3_mprintf(). */
static int add_warning(struct store_status *status, char *text)
{
    char **grown =
        realloc(status->warnings, (status->warning_count + 1) * sizeof *grown);
    char *copy = text == NULL ? NULL : strdup(text);

    sqlite3_free(text);
    if (grown != NULL)
        status->warnings = grown;
    if (grown == NULL || copy == NULL) {
        free(copy);
        return GV_ENOMEM;
    }
    grown[status->warning_count++] = copy;
    GV_ASSERT(status->warnings != NULL);
    return GV_OK;
}

/* The table here has another key than it was tracked with. */
static char *key_warning(struct store *store, const struct store_table *table)
{
    struct store_table *now = NULL;
    char *was = naming_keys(table), *is = NULL, *text = NULL;

    GV_ASSERT(!table->tracked && table->away == AWAY_KEYS);
    if (schema_describe(store, table->local, &now, NULL) == GV_OK &&
        now->key_count > 0)
        is = naming_keys(now);
    if (was != NULL && is != NULL)
        text = sqlite3_mprintf(
            "the key of %s is (%s) now; it was tracked with (%s), and is not"
            " any more: 'grapevine track DB %s' shares it as a table of its"
            " own, and what the mesh has under the old key is kept for other"
            " nodes",
            table->local, is, was, table->local);
    table_free(now);
    sqlite3_free(was);
    sqlite3_free(is);
    return text;
}

/* A peer's table of the same name is another one: it has another key. */
static char *other_key_warning(const struct store_table *table,
                               const struct store_table *ours)
{
    char *theirs = naming_keys(table), *keys = naming_keys(ours);
    char *text = NULL;

    GV_ASSERT(!table->tracked && ours->tracked);
    if (theirs != NULL && keys != NULL)
        text = sqlite3_mprintf(
            "%s of the mesh is kept for other nodes: on a peer it is table %s"
            " with the key (%s), and table %s in this file has (%s); make it"
            " anew with that key and run 'grapevine track DB %s'",
            table->wire, table->local, theirs, ours->local, keys, ours->local);
    sqlite3_free(theirs);
    sqlite3_free(keys);
    return text;
}

/* A table of the mesh that has no table here. */
static char *kept_warning(const struct store_table *table, bool there)
{
    GV_ASSERT(!table->tracked);
    if (table->away == AWAY_KEYS)
        return sqlite3_mprintf(
            "%s of the mesh is kept for other nodes: it has the key that a"
            " table here had; when no node has that table any more,"
            " 'grapevine untrack DB \"%s\" --purge' on each of them forgets"
            " it",
            table->local, table->local);
    return sqlite3_mprintf(
        there ? "%s of the mesh is kept for other nodes; the table of that"
                " name in this file is not tracked"
              : "%s of the mesh is kept for other nodes; there is no such"
                " table in this file",
        table->local);
}

/* A table of the mesh that this file does not share. */
static int warn_of_unknown(struct store *store,
                           const struct store_table *table,
                           struct store_status *status)
{
    const struct store_table *ours = schema_by_local(store, table->local);
    int64_t there = 0;
    int rc = sql_number(store->db, &there,
                        "SELECT count(*) FROM main.sqlite_schema WHERE"
                        " type='table' AND name=%Q COLLATE NOCASE",
                        table->local);

    GV_ASSERT(!table->tracked);
    if (rc != GV_OK)
        return rc;
    if (ours != NULL)
        return add_warning(status, other_key_warning(table, ours));
    return add_warning(status, table->away == AWAY_KEYS && there != 0
                                   ? key_warning(store, table)
                                   : kept_warning(table, there != 0));
}

static int warn_of_defaults(const struct store_table *table,
                            struct store_status *status)
{
    int rc = GV_OK;

    GV_ASSERT(table->tracked);
    for (size_t i = 0; i < table->column_count && rc == GV_OK; i++)
        if (table->columns[i].shown && table->columns[i].default_differs)
            rc = add_warning(
                status,
                sqlite3_mprintf("column %s of %s has another default on a"
                                " peer; rows that were never given a value"
                                " show each file's own",
                                table->columns[i].local, table->local));
    return rc;
}

/* @name is an index; NULL: what the table's own definition demands. */
static char *unique_warning(const struct store_table *table, const char *name)
{
    GV_ASSERT(table->evicts);
    return sqlite3_mprintf(
        "%s has %s%s beside its primary key: a peer's row that has a value"
        " for the second time is kept beside the table, and a row that a"
        " REPLACE takes away is only missed by the audit, within the hour."
        " Way out: %s%s%s",
        table->local,
        name == NULL ? "a UNIQUE constraint" : "the UNIQUE index ",
        name == NULL ? "" : name,
        name == NULL ? "make the table anew without it" : "DROP INDEX ",
        name == NULL ? "" : name,
        name == NULL ? "" : ", and make it again as an ordinary one");
}

static int warn_of_unique(struct store *store, const struct store_table *table,
                          struct store_status *status)
{
    sqlite3_stmt *list;
    int rc;

    if (!table->shown || !table->evicts)
        return GV_OK;
    rc = sql_prepare(store->db, &list,
                     "SELECT CASE origin WHEN 'c' THEN name END FROM"
                     " pragma_index_list(%Q) WHERE origin<>'pk' AND"
                     " \"unique\"",
                     table->local);
    while (rc == GV_OK && (rc = sql_step(list)) > 0)
        rc = add_warning(
            status,
            unique_warning(table, (const char *)sqlite3_column_text(list, 0)));
    sqlite3_finalize(list);
    GV_ASSERT(rc <= 0);
    return rc;
}

static int warn_of_tables(struct store *store, struct store_status *status)
{
    int rc = GV_OK;

    GV_ASSERT(status->warning_count == 0);
    for (size_t i = 0; i < store->table_count && rc == GV_OK; i++) {
        const struct store_table *table = store->tables[i];

        rc = table->tracked ? warn_of_defaults(table, status)
                            : warn_of_unknown(store, table, status);
        if (rc == GV_OK)
            rc = warn_of_unique(store, table, status);
    }
    return rc;
}

static int count_null_keys(struct store *store,
                           const struct store_table *table, int64_t *count)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    char *where;
    int rc;

    GV_ASSERT(table->shown); /* else its keys may be gone */
    *count = 0;
    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(text, "%s\"%w\" IS NULL", i == 0 ? "" : " OR ",
                            table->keys[i].local);
    where = sqlite3_str_finish(text);
    rc = where == NULL ? GV_ENOMEM
                       : sql_number(store->db, count,
                                    "SELECT count(*) FROM main.\"%w\" WHERE"
                                    " %s",
                                    table->local, where);
    sqlite3_free(where);
    return rc;
}

static int table_status(struct store *store, const struct store_table *table,
                        struct store_table_status *status)
{
    int64_t all = 0, dead = 0;
    int rc = sql_number(store->db, &all, "SELECT count(*) FROM gv_row_%lld",
                        (long long)table->id);

    if (rc == GV_OK)
        rc = sql_number(store->db, &dead,
                        "SELECT count(*) FROM gv_row_%lld WHERE cl%%2=0",
                        (long long)table->id);
    if (rc == GV_OK && table->shown)
        rc = count_null_keys(store, table, &status->null_keys);
    status->name = table->local;
    status->wire = table->wire;
    status->fault = table->fault;
    status->rows = all - dead;
    status->deleted = dead;
    return rc;
}

_Static_assert(sizeof((struct store_status *)0)->mesh > MESSAGE_TEXT_SIZE_MAX,
               "a mesh's name fits whole");

static int mesh_name(struct store *store, struct store_status *status)
{
    sqlite3_stmt *statement;
    int rc = sql_prepare(store->db, &statement,
                         "SELECT coalesce(mesh,'') FROM gv_meta");

    if (rc == GV_OK && (rc = sql_step(statement)) > 0) {
        sqlite3_snprintf(sizeof status->mesh, status->mesh, "%s",
                         sqlite3_column_text(statement, 0));
        rc = GV_OK;
    }
    sqlite3_finalize(statement);
    return rc;
}

size_t store_faults(const struct store *store, const char **table,
                    const char **why)
{
    size_t count = 0;

    for (size_t i = 0; i < store->table_count; i++) {
        const struct store_table *known = store->tables[i];

        if (!known->tracked || known->fault == NULL)
            continue;
        if (count++ > 0)
            continue;
        *table = known->local;
        *why = known->fault;
    }
    GV_ASSERT(count <= store->table_count);
    return count;
}

/* @name as a person types it in SQL: in quotes where it needs them. */
static void append_typed(sqlite3_str *text, const char *name)
{
    struct stream_text whole = {name, strlen(name)};
    bool plain = strpbrk(name, " (") == NULL && type_is_plain(whole);

    GV_ASSERT(name != NULL); /* though SQLite lets it be empty */
    sqlite3_str_appendf(text, plain ? "%w" : "\"%w\"", name);
}

/* A column that is not shown: the statement that shows it. */
static void append_remedy(sqlite3_str *text, const struct store_table *table,
                          const struct store_column *column)
{
    struct stream_text type = {column->type, strlen(column->type)};

    GV_ASSERT(!column->shown);
    if (!table->shown) {
        sqlite3_str_appendf(text, "make the table and run 'grapevine track DB"
                                  " ");
        append_typed(text, table->wire);
        sqlite3_str_appendf(text, "'");
        return;
    }
    sqlite3_str_appendf(text, "ALTER TABLE ");
    append_typed(text, table->local);
    sqlite3_str_appendf(text, " ADD COLUMN ");
    append_typed(text, column->wire);
    if (type_is_plain(type))
        sqlite3_str_appendf(text, " %s", column->type);
}

/* What frees the parked values of a column; without a column, rows that the
 * table does not take. */
static char *parked_note(const struct store_table *table,
                         const struct store_column *column, int64_t count)
{
    const char *plural = count == 1 ? "" : "s";
    sqlite3_str *text;

    GV_ASSERT(count > 0);
    GV_ASSERT(column == NULL || column->wire != NULL);
    if (column == NULL)
        return sqlite3_mprintf("%s: %lld row%s that the table here refuses:"
                               " give it the constraints and types that the"
                               " peers have",
                               table->local, (long long)count, plural);
    if (column->shown && column->kind == COLUMN_COUNTER)
        return sqlite3_mprintf("%s.%s: %lld value%s here that a counter cannot"
                               " have, so peers show another: write an"
                               " integer",
                               table->local, column->local, (long long)count,
                               plural);
    if (column->shown)
        return sqlite3_mprintf("%s.%s: %lld value%s parked that the column"
                               " would change or refuses: give it the type"
                               " and the constraints that the peers have",
                               table->local, column->local, (long long)count,
                               plural);
    GV_ASSERT(!column->shown); /* else the value would have a place */
    text = sqlite3_str_new(NULL);
    sqlite3_str_appendf(text, "%s.%s: %lld value%s parked: ",
                        table->shown ? table->local : table->wire,
                        column->wire, (long long)count, plural);
    append_remedy(text, table, column);
    return sqlite3_str_finish(text);
}

static int add_parked_note(struct store_status *status, char *note)
{
    char **grown;

    GV_ASSERT(status->tracked);
    if (note == NULL)
        return GV_ENOMEM;
    grown = realloc(status->parked_notes,
                    (status->parked_note_count + 1) * sizeof *grown);
    if (grown == NULL) {
        sqlite3_free(note);
        return GV_ENOMEM;
    }
    status->parked_notes = grown;
    grown[status->parked_note_count++] = note;
    return GV_OK;
}

/* Count the entries of one table, bit and kind. */
static int take_parked(const struct store *store, struct store_status *status,
                       sqlite3_stmt *list)
{
    const struct store_table *table =
        schema_by_id(store, sqlite3_column_int64(list, 0));
    int64_t bit = sqlite3_column_int64(list, 1);
    int64_t kind = sqlite3_column_int64(list, 2);
    int64_t count = sqlite3_column_int64(list, 3);

    if (table == NULL || bit < 0 || bit > (int64_t)table->column_count)
        return GV_OK; /* damage, which verify names */
    if (bit == ROW_EXISTENCE)
        return table->shown
                   ? add_parked_note(status, parked_note(table, NULL, count))
                   : GV_OK;
    status->hollow += kind == PARKED_HOLLOW ? count : 0;
    if (kind != PARKED_VALUE)
        return GV_OK;
    status->parked += count;
    return add_parked_note(
        status, parked_note(table, &table->columns[bit - 1], count));
}

static int parked_status(struct store *store, struct store_status *status)
{
    sqlite3_stmt *list;
    int rc = sql_prepare(store->db, &list,
                         "SELECT tbl,bit,held,count(*) FROM gv_parked"
                         " GROUP BY tbl,bit,held ORDER BY tbl,bit,held");

    while (rc == GV_OK && (rc = sql_step(list)) > 0)
        rc = take_parked(store, status, list);
    sqlite3_finalize(list);
    GV_ASSERT(status->parked_notes != NULL || status->parked_note_count == 0);
    return rc;
}

int store_status(struct store *store, struct store_status *status,
                 struct gv_error *error)
{
    int rc = GV_OK;

    *status = (struct store_status){.tracked = store->joined};
    if (!store->joined)
        return GV_OK;
    status->site = *store_site(store);
    status->tables = calloc(store->table_count + 1, sizeof *status->tables);
    if (status->tables == NULL)
        rc = GV_ENOMEM;
    if (rc == GV_OK)
        rc = mesh_name(store, status);
    if (rc == GV_OK)
        rc = sql_number(store->db, &status->journal,
                        "SELECT count(*) FROM gv_journal");
    if (rc == GV_OK)
        rc = work_status(store, &status->busy);
    if (rc == GV_OK)
        rc = parked_status(store, status);
    for (size_t i = 0; i < store->table_count && rc == GV_OK; i++)
        if (store->tables[i]->tracked)
            rc = table_status(store, store->tables[i],
                              &status->tables[status->table_count++]);
    if (rc == GV_OK)
        rc = warn_of_tables(store, status);
    if (rc != GV_OK) {
        store_status_close(status);
        return sql_fail(store->db, rc, error, "cannot read the status");
    }
    GV_ASSERT(status->table_count <= store->table_count);
    return GV_OK;
}

void store_status_close(struct store_status *status)
{
    for (size_t i = 0; i < status->parked_note_count; i++)
        sqlite3_free(status->parked_notes[i]);
    free(status->parked_notes);
    free(status->tables);
    sqlite3_free(status->busy);
    status->busy = NULL;
    status->parked_notes = NULL;
    status->parked_note_count = 0;
    for (size_t i = 0; i < status->warning_count; i++)
        free(status->warnings[i]);
    free(status->warnings);
    status->tables = NULL;
    status->warnings = NULL;
    status->warning_count = 0;
}
