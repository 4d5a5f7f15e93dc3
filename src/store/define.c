/* Definitions from peers: a table or column that this file does not know is
 * registered, so that every fragment finds bits for what it holds, whether
 * the file can show it or not.
 *
 * All of it stands inside the apply's savepoint.  tables[] in memory is ahead
 * of what the file holds until that is released: store->defined says so, and
 * whoever takes the apply back reads the tables again. */
#include "store/define.h"

#include "base/assert.h"
#include "store/borrowed.h"
#include "store/choice.h"
#include "store/create.h"
#include "store/internal.h"
#include "store/kinds.h"
#include "store/register.h"
#include "store/schema.h"

#include <stdlib.h>
#include <string.h>

/* What a member could make others keep without end. */
#define TABLES_UNKNOWN_MAX 1000

static int too_many(struct gv_error *error, const char *what, size_t most)
{
    error_set(error, GV_ESCHEMA,
              "Peers define more %s than this file keeps (%zu).", what, most);
    error_meaning(error, "Nothing of what came with them was applied; the"
                         " peer keeps it.");
    error_remedy(error, "Look for the node that makes tables or columns"
                        " without end; 'grapevine untrack DB TABLE --purge'"
                        " forgets a table that no node shares.");
    return GV_ESCHEMA;
}

static bool text_is(const char *text, struct stream_text other)
{
    return strlen(text) == other.size &&
           memcmp(text, other.bytes, other.size) == 0;
}

/* The same but for the case of letters, as SQLite takes names. */
static bool text_like(const char *text, struct stream_text other)
{
    GV_ASSERT(text != NULL && stream_name_valid(other));
    return strlen(text) == other.size &&
           sqlite3_strnicmp(text, other.bytes, (int)other.size) == 0;
}

static int unknown_kind(const struct store_table *table,
                        const struct stream_column *column,
                        struct gv_error *error)
{
    error_set(error, GV_ESCHEMA,
              "Column '%.*s' of table '%s' is of the kind '%.*s'.",
              (int)column->wire.size, column->wire.bytes, table->wire,
              (int)column->kind.size, column->kind.bytes);
    error_meaning(error, "This program does not know how such a column is"
                         " merged; nothing of what came with it was applied,"
                         " and the peer keeps it.");
    error_remedy(error, "Use the newer program on this file.");
    return GV_ESCHEMA;
}

static int other_kind(const struct store_table *table,
                      const struct store_column *column,
                      struct stream_text theirs, struct gv_error *error)
{
    GV_ASSERT(!text_is(kind_name(column->kind), theirs));
    error_set(error, GV_ESCHEMA,
              "Column '%s' of table '%s' is of the kind '%s' here, and '%.*s'"
              " at a peer.",
              column->wire, table->wire, kind_name(column->kind),
              (int)theirs.size, theirs.bytes);
    error_meaning(error, "Writes could not be merged; nothing of what came"
                         " with it was applied, and the peer keeps it.");
    error_remedy(error, "A kind is given before values are written, the same"
                        " one on every node: track a copy of the table under"
                        " another name, with the peer's kinds.");
    return GV_ESCHEMA;
}

int definition_plain(const struct store_table *table, size_t bit,
                     struct gv_error *error)
{
    GV_ASSERT(kinds_each(table, bit));
    return other_kind(table, &table->columns[bit - 1],
                      stream_text(kind_name(COLUMN_LWW)), error);
}

/* A peer says that a column is of another kind.  Where the column is a plain
 * one that nobody has written to it takes the kind; what has a kind here may
 * be plain to a peer that has not heard of it. */
static int follow_kind(struct store *store, struct store_table *table,
                       size_t index, enum column_kind kind,
                       struct gv_error *error)
{
    struct store_column *column = &table->columns[index];
    bool written = true;
    int rc = GV_OK;

    GV_ASSERT(column->kind != kind);
    if (kind == COLUMN_LWW)
        return GV_OK;
    if (column->kind == COLUMN_LWW)
        rc = choice_written(store, table, index + 1, &written);
    if (rc == GV_OK && written)
        return other_kind(table, column, stream_text(kind_name(kind)), error);
    store->defined = true;
    if (rc == GV_OK)
        rc = choice_set(store, table, index + 1, kind);
    GV_ASSERT(rc != GV_OK || column->kind == kind);
    return rc;
}

/* A key and a column under one name could not stand in one table. */
static int named_twice(struct gv_error *error)
{
    error_set(error, GV_EPROTO,
              "What the peer sent is malformed: a column named twice.");
    error_meaning(error, "Nothing of it was applied.");
    error_remedy(error, "Look at the versions of both programs; if they are"
                        " equal, report this.");
    return GV_EPROTO;
}

/* The index of the column, or column_count. */
size_t column_by_wire(const struct store_table *table, struct stream_text wire)
{
    size_t low = 0, high = table->column_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *name = table->columns[table->order[middle]].wire;
        size_t size = strlen(name);
        int order =
            memcmp(name, wire.bytes, size < wire.size ? size : wire.size);

        if (order == 0 && size == wire.size)
            return table->order[middle];
        if (order < 0 || (order == 0 && size < wire.size))
            low = middle + 1;
        else
            high = middle;
    }
    GV_ASSERT(low == high && low <= table->column_count);
    return table->column_count;
}

static size_t unknown_count(const struct store *store)
{
    size_t count = 0;

    for (size_t i = 0; i < store->table_count; i++)
        count += !store->tables[i]->tracked;
    GV_ASSERT(count <= store->table_count);
    return count;
}

static int take_table(struct store *store, const struct stream_item *item,
                      struct store_table **table, struct gv_error *error)
{
    bool creates, made = false;
    int rc = creates_tables(store, &creates);

    GV_ASSERT(item->kind == STREAM_TABLE);
    store->defined = true;
    if (rc == GV_OK && creates)
        rc = create_table(store, item, &made);
    if (rc == GV_OK && made) {
        log_line(&store->log, GV_LOG_INFO, "made table %.*s of the mesh",
                 (int)item->as.table.head.local.size,
                 item->as.table.head.local.bytes);
        store->sealed.schema_moved = true;
        return register_made_table(store, item, table, error);
    }
    if (rc == GV_OK && unknown_count(store) >= TABLES_UNKNOWN_MAX)
        return too_many(error, "tables", TABLES_UNKNOWN_MAX);
    if (rc == GV_OK)
        rc = register_foreign_table(store, item, table);
    return rc;
}

static int take_new_column(struct store *store, struct store_table *table,
                           const struct stream_column *column,
                           struct gv_error *error)
{
    bool creates = false, made = false;
    int rc = GV_OK;

    GV_ASSERT(column_by_wire(table, column->wire) == table->column_count);
    for (size_t i = 0; i < table->key_count; i++)
        if (text_is(table->keys[i].wire, column->wire))
            return named_twice(error);
    if (table->column_count >= STREAM_COLUMNS_MAX)
        return too_many(error, "columns", STREAM_COLUMNS_MAX);
    store->defined = true;
    if (table->shown)
        rc = creates_tables(store, &creates);
    if (rc == GV_OK && creates)
        rc = create_column(store, table, column, &made);
    if (rc == GV_OK && made)
        store->sealed.schema_moved = true;
    if (rc == GV_OK)
        rc = register_foreign_column(store, table, column, made);
    GV_ASSERT(rc != GV_OK ||
              column_by_wire(table, column->wire) < table->column_count);
    return rc;
}

/* Whether the default here is a peer's too; kept, since definitions come with
 * changes alone. */
static int compare_default(struct store *store, struct store_table *table,
                           size_t index, const struct value *theirs)
{
    struct store_column *column = &table->columns[index];
    bool differs =
        column->shown && value_digest(theirs) != column->initial_digest;

    GV_ASSERT(transaction_open(store));
    if (differs == column->default_differs)
        return GV_OK;
    column->default_differs = differs;
    store->defined = true;
    return sql_run(store->db,
                   "UPDATE gv_col SET differs=%d WHERE tbl=%lld AND bit=%d",
                   differs, (long long)table->id, (int)index + 1);
}

/* What a peer says of a column that is registered. */
static int compare_column(struct store *store, struct store_table *table,
                          size_t index, const struct stream_column *theirs)
{
    const struct store_column *column = &table->columns[index];
    int rc = compare_default(store, table, index, &theirs->initial);

    GV_ASSERT(index < table->column_count);
    if (rc != GV_OK)
        return rc;
    if (text_like(column->wire, theirs->local) ||
        (column->peer != NULL && text_like(column->peer, theirs->local)))
        return GV_OK;
    return register_peer_name(store, table, index, theirs->local);
}

static int take_columns(struct store *store, struct store_table *table,
                        const struct stream_item *item, struct gv_error *error)
{
    struct cursor columns = item->as.table.columns;
    int rc = GV_OK;

    GV_ASSERT(table->order != NULL);
    for (size_t i = 0; i < item->as.table.head.column_count && rc == GV_OK;
         i++) {
        struct stream_column column;
        enum column_kind kind;
        size_t index;

        stream_next_column(&columns, &column);
        index = column_by_wire(table, column.wire);
        if (!kind_named(column.kind.bytes, column.kind.size, &kind))
            rc = unknown_kind(table, &column, error);
        else if (index < table->column_count &&
                 table->columns[index].kind != kind)
            rc = follow_kind(store, table, index, kind, error);
        else if (index == table->column_count)
            rc = take_new_column(store, table, &column, error);
        if (rc == GV_OK && index < table->column_count)
            rc = compare_column(store, table, index, &column);
    }
    return rc;
}

int definition_take(struct store *store, const struct stream_item *item,
                    struct store_table **taken, struct gv_error *error)
{
    const struct stream_table *head = &item->as.table.head;
    struct store_table *table =
        schema_by_wire(store, head->wire.bytes, head->wire.size);
    int rc = GV_OK;

    GV_ASSERT(item->kind == STREAM_TABLE);
    GV_ASSERT(transaction_open(store));
    if (table == NULL)
        rc = take_table(store, item, &table, error);
    if (rc == GV_OK)
        rc = take_columns(store, table, item, error);
    GV_ASSERT(rc != GV_OK || table->column_count <= STREAM_COLUMNS_MAX);
    if (rc == GV_OK)
        *taken = table;
    return rc;
}

uint16_t definition_bit(const struct store_table *table,
                        const struct stream_column *column, bool *plain)
{
    size_t index = column_by_wire(table, column->wire);

    GV_ASSERT(index < table->column_count); /* definition_take() saw to it */
    *plain = table->columns[index].kind != COLUMN_LWW &&
             text_is(kind_name(COLUMN_LWW), column->kind);
    return (uint16_t)(index + 1);
}
