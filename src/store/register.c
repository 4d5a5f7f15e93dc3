/* Registration: a table gets a number and a name on the wire, its columns get
 * bits and wire names; all of these never change. */
#include "store/register.h"

#include "base/assert.h"
#include "store/audit.h"
#include "store/borrowed.h"
#include "store/choice.h"
#include "store/describe.h"
#include "store/internal.h"
#include "store/kinds.h"
#include "store/match.h"
#include "store/naming.h"
#include "store/parked.h"
#include "store/schema.h"
#include "store/triggers.h"

#include <stdlib.h>
#include <string.h>

int register_column(struct store *store, int64_t id, int64_t bit,
                    const struct store_column *column)
{
    sqlite3_stmt *statement;
    int rc = sql_prepare(
        store->db, &statement,
        "INSERT INTO gv_col(tbl,bit,wire,local,kind,initial,type,"
        "peer) VALUES(%lld,%lld,%Q,%Q,%Q,?1,%Q,%Q)",
        (long long)id, (long long)bit, column->wire, column->local,
        bit < 0 ? "key" : kind_name(column->kind), column->type, column->peer);

    GV_ASSERT(bit != ROW_EXISTENCE);
    GV_ASSERT(bit > -KEY_COLUMNS_MAX - 1 && bit < ROW_BITS_MAX);
    if (rc != GV_OK)
        return rc;
    sql_bind_value(statement, 1, &column->initial);
    rc = sql_finish(statement);
    sqlite3_finalize(statement);
    return rc;
}

static int create_row_table(struct store *store,
                            const struct store_table *table, int64_t id)
{
    sqlite3_str *keys = sqlite3_str_new(store->db);
    sqlite3_str *list = sqlite3_str_new(store->db);
    char *key_text, *list_text;
    int rc = GV_ENOMEM;

    GV_ASSERT(id > 0);
    GV_ASSERT(!table->integer_key || table->key_count == 1);
    for (size_t i = 0; i < table->key_count; i++) {
        sqlite3_str_appendf(keys, "k%d,", (int)i + 1);
        sqlite3_str_appendf(list, "%sk%d", i == 0 ? "" : ",", (int)i + 1);
    }
    key_text = sqlite3_str_finish(keys);
    list_text = sqlite3_str_finish(list);
    if (key_text != NULL && list_text != NULL) {
        if (table->integer_key)
            rc = sql_run(store->db,
                         "CREATE TABLE gv_row_%lld(rid INTEGER PRIMARY KEY,"
                         " cl INT, state BLOB)",
                         (long long)id);
        else
            rc = sql_run(store->db,
                         "CREATE TABLE gv_row_%lld(rid INTEGER PRIMARY KEY,"
                         " %s cl INT, state BLOB, UNIQUE(%s))",
                         (long long)id, key_text, list_text);
    }
    sqlite3_free(key_text);
    sqlite3_free(list_text);
    return rc;
}

/* The journal has one key column to begin with: each more is paid for by
 * every write, whatever its table. */
static int widen_journal(struct store *store, size_t key_count)
{
    int64_t columns;
    int rc = sql_number(store->db, &columns,
                        "SELECT count(*)-3 FROM"
                        " pragma_table_info('gv_journal')");

    for (; rc == GV_OK && (size_t)columns < key_count; columns++)
        rc = sql_run(store->db, "ALTER TABLE gv_journal ADD COLUMN k%d",
                     (int)columns + 1);
    return rc;
}

/* Write @table's registration, as tracked or not; *@id is its number. */
static int write_registration(struct store *store,
                              const struct store_table *table, int64_t *id)
{
    int rc;

    GV_ASSERT(transaction_open(store)); /* all of it or nothing */
    GV_ASSERT(table->key_count > 0 && table->column_count < ROW_BITS_MAX);
    rc = sql_number(store->db, id,
                    "SELECT 1+coalesce(max(id),0) FROM gv_table");
    if (rc == GV_OK)
        rc = sql_run(store->db,
                     "INSERT INTO gv_table(id,wire,local,tracked,options)"
                     " VALUES(%lld,%Q,%Q,%d,%d)",
                     (long long)*id, table->wire, table->local,
                     (int)table->tracked, (int)table->options);
    for (size_t i = 0; i < table->key_count && rc == GV_OK; i++)
        rc = register_column(store, *id, -(int64_t)i - 1, &table->keys[i]);
    for (size_t i = 0; i < table->column_count && rc == GV_OK; i++)
        rc = register_column(store, *id, (int64_t)i + 1, &table->columns[i]);
    if (rc == GV_OK)
        rc = create_row_table(store, table, *id);
    if (rc == GV_OK && table->tracked)
        rc = widen_journal(store, table->key_count);
    return rc;
}

/* A table that this file knows from peers, and has now: its keys are ours in
 * the same places. */
static int adopt_table(struct store *store, const struct store_table *known,
                       const struct store_table *now)
{
    int rc = sql_run(store->db,
                     "UPDATE gv_table SET tracked=1,away=0,local=%Q,"
                     "options=%d WHERE id=%lld",
                     now->local, (int)now->options, (long long)known->id);

    GV_ASSERT(!known->tracked);
    GV_ASSERT(known->key_count == now->key_count);
    GV_ASSERT(known->id > 0);
    for (size_t i = 0; i < now->key_count && rc == GV_OK; i++)
        rc = sql_run(store->db,
                     "UPDATE gv_col SET local=%Q,type=%Q WHERE tbl=%lld AND"
                     " bit=%d",
                     now->keys[i].local, now->keys[i].type,
                     (long long)known->id, -(int)i - 1);
    return rc == GV_OK ? widen_journal(store, now->key_count) : rc;
}

/* The triggers of a table that is tracked from now on. */
static int capture(struct store *store, struct store_table *table, int64_t id)
{
    GV_ASSERT(table->tracked && id > 0);
    table->id = id;
    return triggers_make(store, table);
}

/* Write what @table is registered as: as @known, or anew. */
static int register_as(struct store *store, struct store_table *table,
                       const struct store_table *known)
{
    int64_t id = known == NULL ? 0 : known->id;
    int rc = known != NULL ? adopt_table(store, known, table)
                           : write_registration(store, table, &id);

    GV_ASSERT(table->tracked);
    if (rc == GV_OK)
        rc = naming_take(store, table->local, id);
    /* What is there already is published. */
    if (rc == GV_OK)
        rc = capture(store, table, id);
    if (rc == GV_OK)
        rc = triggers_journal_all(store, table);
    GV_ASSERT(rc != GV_OK || table->id == id);
    return rc;
}

int schema_register(struct store *store, const char *local,
                    struct gv_error *error)
{
    struct store_table *table, *known = NULL;
    int64_t id = 0, before = store->schema_version;
    bool was_known = false, stands = schema_stands(store), given;
    int rc = schema_describe(store, local, &table, error);

    GV_ASSERT(store->in_transaction);
    if (rc != GV_OK)
        return rc;
    rc = naming_find(store, table, &known, error);
    if (rc == GV_OK && known == NULL)
        rc = choice_take(store, table, error);
    if (rc != GV_OK) {
        table_free(table);
        return rc;
    }
    table->tracked = true;
    was_known = known != NULL;
    rc = register_as(store, table, known);
    id = table->id;
    table_free(table);
    store->schema_version = -1;
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot register the table");
    rc = stands && !was_known ? schema_refresh_added(store, id, error)
                              : schema_refresh(store, true, error);
    if (rc == GV_OK && was_known)
        rc = choice_give(store, schema_by_id(store, id), &given, error);
    /* What came while the table was not shared moves into it. */
    if (rc == GV_OK && was_known && schema_by_id(store, id)->shown)
        rc = parked_show(store, schema_by_id(store, id), NULL, error);
    return rc == GV_OK ? audit_follow(store, before) : rc;
}

/* Definitions from peers.  register_foreign_… note what this file has not. */

static char *text_dup(struct stream_text text)
{
    char *copy = malloc(text.size + 1);

    if (copy != NULL) {
        if (text.size > 0)
            memcpy(copy, text.bytes, text.size);
        copy[text.size] = '\0';
    }
    return copy;
}

/* @from as a column; @local says whether this file has it. */
static int column_of(struct store_column *column,
                     const struct stream_column *from, bool local)
{
    bool alike =
        from->local.size == from->wire.size &&
        memcmp(from->local.bytes, from->wire.bytes, from->wire.size) == 0;

    /* stream_decode() has looked. */
    GV_ASSERT(stream_name_valid(from->wire) && stream_name_valid(from->local));
    memset(column, 0, sizeof *column);
    column->wire = text_dup(from->wire);
    column->type = text_dup(from->type);
    column->local = local ? text_dup(from->local) : NULL;
    column->peer = alike ? NULL : text_dup(from->local);
    /* Of keys there is none; of others definition_take() has looked. */
    kind_named(from->kind.bytes, from->kind.size, &column->kind);
    if (column->wire == NULL || column->type == NULL ||
        (local && column->local == NULL) || (!alike && column->peer == NULL))
        return GV_ENOMEM;
    return value_keep(&column->initial, &from->initial);
}

/* The head and the keys of a definition. */
static int table_of(const struct stream_item *item, struct store_table **made)
{
    const struct stream_table *head = &item->as.table.head;
    struct cursor keys = item->as.table.keys;
    struct store_table *table = calloc(1, sizeof *table);
    int rc = table == NULL ? GV_ENOMEM : GV_OK;

    if (rc == GV_OK) {
        table->wire = text_dup(head->wire);
        table->local = text_dup(head->local);
        table->options = head->options;
        table->keys = calloc(head->key_count, sizeof *table->keys);
        if (table->wire == NULL || table->local == NULL || table->keys == NULL)
            rc = GV_ENOMEM;
    }
    for (size_t i = 0; i < head->key_count && rc == GV_OK; i++) {
        struct stream_column key;

        stream_next_key(&keys, &key);
        table->key_count = i + 1;
        rc = column_of(&table->keys[i], &key, true);
    }
    GV_ASSERT(rc != GV_OK || table->key_count == head->key_count);
    if (rc == GV_OK)
        *made = table;
    else
        table_free(table);
    return rc;
}

int register_foreign_table(struct store *store, const struct stream_item *item,
                           struct store_table **registered)
{
    struct store_table *table;
    int64_t id = 0;
    int rc = table_of(item, &table);

    if (rc != GV_OK)
        return rc;
    GV_ASSERT(!table->tracked && !table->integer_key);
    rc = write_registration(store, table, &id);
    table_free(table);
    return rc == GV_OK ? schema_load(store, id, registered) : rc;
}

static int name_as(char **name, struct stream_text wire)
{
    free(*name);
    *name = text_dup(wire);
    return *name == NULL ? GV_ENOMEM : GV_OK;
}

int register_made_table(struct store *store, const struct stream_item *item,
                        struct store_table **registered,
                        struct gv_error *error)
{
    struct cursor keys = item->as.table.keys;
    struct cursor columns = item->as.table.columns;
    struct store_table *made = NULL;
    char *local = text_dup(item->as.table.head.local);
    int64_t id = 0;
    int rc = local == NULL ? GV_ENOMEM
                           : schema_describe(store, local, &made, error);

    free(local);
    if (rc != GV_OK)
        return rc;
    /* It was made of this definition, in this order. */
    GV_ASSERT(made->key_count == item->as.table.head.key_count);
    GV_ASSERT(made->column_count == item->as.table.head.column_count);
    made->tracked = true;
    rc = name_as(&made->wire, item->as.table.head.wire);
    for (size_t i = 0; i < made->key_count && rc == GV_OK; i++) {
        struct stream_column key;

        stream_next_key(&keys, &key);
        rc = name_as(&made->keys[i].wire, key.wire);
    }
    for (size_t i = 0; i < made->column_count && rc == GV_OK; i++) {
        struct stream_column column;

        stream_next_column(&columns, &column);
        rc = name_as(&made->columns[i].wire, column.wire);
        if (!kind_named(column.kind.bytes, column.kind.size,
                        &made->columns[i].kind))
            rc = GV_ESCHEMA; /* one that nothing here could merge */
    }
    if (rc == GV_OK)
        rc = write_registration(store, made, &id);
    if (rc == GV_OK)
        rc = capture(store, made, id);
    table_free(made);
    return rc == GV_OK ? schema_load(store, id, registered) : rc;
}

/* What the table that was just altered shows in the new column. */
static int describe_made(struct store *store, const struct store_table *table,
                         struct store_column *column)
{
    struct store_table *now;
    struct store_column *found;
    int rc = schema_describe(store, table->local, &now, NULL);

    if (rc != GV_OK)
        return rc;
    found = column_by_local(now, column->local);
    GV_ASSERT(found != NULL);
    free((void *)(uintptr_t)column->initial.bytes);
    rc = value_keep(&column->initial, &found->initial);
    column->affinity = found->affinity;
    column->shown = true;
    table_free(now);
    return rc;
}

int register_foreign_column(struct store *store, struct store_table *table,
                            const struct stream_column *from, bool made)
{
    struct store_column column, *grown;
    int rc = column_of(&column, from, made);

    GV_ASSERT(table->column_count < STREAM_COLUMNS_MAX);
    if (rc == GV_OK && made)
        rc = describe_made(store, table, &column);
    if (rc == GV_OK)
        rc = register_column(store, table->id,
                             (int64_t)table->column_count + 1, &column);
    grown = rc != GV_OK ? NULL
                        : realloc(table->columns,
                                  (table->column_count + 1) * sizeof *grown);
    if (grown == NULL) {
        column_close(&column);
        return rc == GV_OK ? GV_ENOMEM : rc;
    }
    table->columns = grown;
    grown[table->column_count++] = column;
    GV_ASSERT(table->column_count <= STREAM_COLUMNS_MAX);
    store->schema_generation++; /* what is being extracted has other bits */
    return table_finish(table);
}

int register_peer_name(struct store *store, struct store_table *table,
                       size_t index, struct stream_text name)
{
    struct store_column *column = &table->columns[index];
    char *peer = text_dup(name);
    int rc;

    GV_ASSERT(index < table->column_count);
    if (peer == NULL)
        return GV_ENOMEM;
    rc = sql_run(store->db,
                 "UPDATE gv_col SET peer=%Q WHERE tbl=%lld AND"
                 " bit=%d",
                 peer, (long long)table->id, (int)index + 1);
    store->defined = true;
    free(column->peer);
    column->peer = peer;
    return rc;
}
