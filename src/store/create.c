/* Tables and columns of the mesh that a file makes for itself, if it was made
 * to do so (`grapevine run --create`).
 *
 * What a peer says of a table is data: names stand in quotes, a default is a
 * literal that we write, and a type is pasted only if it has the form of one
 * and no word in it means anything to SQLite. */
#include "store/create.h"

#include "base/assert.h"
#include "store/borrowed.h"
#include "store/define.h"
#include "store/internal.h"

#include <math.h>
#include <string.h>

/* As SQLite's tokenizer has them, whatever the locale. */
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The words of a type, up to its end or its "("; 0: it has not the form.  A
 * keyword, such as UNIQUE or NOT, would not be a part of the type. */
static size_t type_words(struct stream_text type)
{
    size_t at = 0;

    while (at < type.size && type.bytes[at] != '(') {
        size_t start = at;

        if (!is_letter(type.bytes[at]))
            return 0;
        while (at < type.size &&
               (is_letter(type.bytes[at]) || is_digit(type.bytes[at])))
            at++;
        GV_ASSERT(at > start);
        if (sqlite3_keyword_check(type.bytes + start, (int)(at - start)))
            return 0;
        while (at < type.size && type.bytes[at] == ' ')
            at++;
    }
    return at;
}

/* "(10)" or "(10,2)", with spaces, and nothing behind it. */
static bool type_sizes(const char *bytes, size_t size)
{
    size_t at = 1, numbers = 0;

    GV_ASSERT(size > 0 && bytes[0] == '(');
    for (;;) {
        size_t digits = 0;

        while (at < size && bytes[at] == ' ')
            at++;
        for (; at < size && is_digit(bytes[at]); at++)
            digits++;
        while (at < size && bytes[at] == ' ')
            at++;
        if (digits == 0 || at == size || ++numbers > 2)
            return false;
        if (bytes[at] == ')')
            return at + 1 == size;
        if (bytes[at++] != ',')
            return false;
    }
}

bool type_is_plain(struct stream_text type)
{
    size_t at = type.size == 0 ? 0 : type_words(type);

    GV_ASSERT(at <= type.size);
    return at > 0 &&
           (at == type.size || type_sizes(type.bytes + at, type.size - at));
}

static void append_real(sqlite3_str *text, double real)
{
    if (isinf(real))
        sqlite3_str_appendf(text, " DEFAULT %s9e999", real < 0 ? "-" : "");
    else if (!isnan(real))
        sqlite3_str_appendf(text, " DEFAULT %!.17g", real);
}

static void append_blob(sqlite3_str *text, const struct value *value)
{
    GV_ASSERT(value->class == VALUE_BLOB);
    GV_ASSERT(value->size <= STREAM_DEFAULT_SIZE_MAX);
    sqlite3_str_appendf(text, " DEFAULT x'");
    for (size_t i = 0; i < value->size; i++)
        sqlite3_str_appendf(text, "%02x", value->bytes[i]);
    sqlite3_str_appendf(text, "'");
}

/* SQLite's literals hold no text with a NUL: such a default is left out, and
 * seen to differ. */
static void append_default(sqlite3_str *text, const struct value *value)
{
    GV_ASSERT(value->class <= VALUE_BLOB);
    switch (value->class) {
    case VALUE_NULL:
        return;
    case VALUE_INTEGER:
        sqlite3_str_appendf(text, " DEFAULT %lld", (long long)value->integer);
        return;
    case VALUE_REAL:
        append_real(text, value->real);
        return;
    case VALUE_TEXT:
        if (value->size == 0)
            sqlite3_str_appendf(text, " DEFAULT ''");
        else if (memchr(value->bytes, '\0', value->size) == NULL)
            sqlite3_str_appendf(text, " DEFAULT %.*Q", (int)value->size,
                                (const char *)value->bytes);
        return;
    case VALUE_BLOB:
        append_blob(text, value);
        return;
    }
}

static void append_name(sqlite3_str *text, struct stream_text name)
{
    GV_ASSERT(stream_name_valid(name)); /* no NUL either */
    sqlite3_str_appendf(text, "\"%.*w\"", (int)name.size, name.bytes);
}

static void append_column(sqlite3_str *text,
                          const struct stream_column *column)
{
    append_name(text, column->local);
    if (type_is_plain(column->type))
        sqlite3_str_appendf(text, " %.*s", (int)column->type.size,
                            column->type.bytes);
    append_default(text, &column->initial);
}

static char *table_text(const struct stream_item *item)
{
    const struct stream_table *head = &item->as.table.head;
    struct cursor keys = item->as.table.keys, names = keys;
    struct cursor columns = item->as.table.columns;
    struct stream_column column;
    sqlite3_str *text = sqlite3_str_new(NULL);

    GV_ASSERT(item->kind == STREAM_TABLE);
    GV_ASSERT(head->key_count > 0 && head->key_count <= KEY_COLUMNS_MAX);
    sqlite3_str_appendf(text, "CREATE TABLE main.");
    append_name(text, head->local);
    for (size_t i = 0; i < head->key_count; i++) {
        stream_next_key(&keys, &column);
        sqlite3_str_appendf(text, "%s", i == 0 ? "(" : ", ");
        append_column(text, &column);
    }
    for (size_t i = 0; i < head->column_count; i++) {
        stream_next_column(&columns, &column);
        sqlite3_str_appendf(text, ", ");
        append_column(text, &column);
    }
    for (size_t i = 0; i < head->key_count; i++) {
        stream_next_key(&names, &column);
        sqlite3_str_appendf(text, "%s", i == 0 ? ", PRIMARY KEY(" : ", ");
        append_name(text, column.local);
    }
    sqlite3_str_appendf(
        text, "))%s%s%s",
        (head->options & STREAM_TABLE_STRICT) != 0 ? " STRICT" : "",
        head->options == (STREAM_TABLE_STRICT | STREAM_TABLE_WITHOUT_ROWID)
            ? ","
            : "",
        (head->options & STREAM_TABLE_WITHOUT_ROWID) != 0 ? " WITHOUT ROWID"
                                                          : "");
    return sqlite3_str_finish(text);
}

/* Run @sql; what SQLite does not take is not made. */
static int make(struct store *store, char *sql, bool *made)
{
    int rc;

    GV_ASSERT(transaction_open(store)); /* it may be taken back */
    rc = sql == NULL ? GV_ENOMEM : sql_run(store->db, "%s", sql);
    *made = rc == GV_OK;
    if (rc == GV_ESCHEMA || rc == GV_ELIMIT) {
        log_line(&store->log, GV_LOG_WARNING,
                 "cannot make what a peer defines: %s",
                 sqlite3_errmsg(store->db));
        rc = transaction_open(store) ? GV_OK : GV_EIO;
    }
    sqlite3_free(sql);
    return rc;
}

int creates_tables(struct store *store, bool *creates)
{
    int64_t kept = 0;
    int rc = sql_number(store->db, &kept,
                        "SELECT coalesce(creates,0) FROM gv_meta");

    *creates = rc == GV_OK && kept != 0;
    return rc;
}

int create_table(struct store *store, const struct stream_item *item,
                 bool *made)
{
    struct stream_text local = item->as.table.head.local;
    int64_t there = 0;
    int rc = sql_number(store->db, &there,
                        "SELECT count(*) FROM main.sqlite_schema WHERE"
                        " name='%.*q' COLLATE NOCASE",
                        (int)local.size, local.bytes);

    *made = false;
    GV_ASSERT(!stream_name_reserved(local)); /* stream_decode() has looked */
    if (rc != GV_OK || there != 0)
        return rc;
    return make(store, table_text(item), made);
}

int create_column(struct store *store, const struct store_table *table,
                  const struct stream_column *column, bool *made)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    GV_ASSERT(table->shown);
    GV_ASSERT(column_by_wire(table, column->wire) == table->column_count);
    sqlite3_str_appendf(text, "ALTER TABLE main.\"%w\" ADD COLUMN ",
                        table->local);
    append_column(text, column);
    return make(store, sqlite3_str_finish(text), made);
}

int store_create_tables(struct store *store, struct gv_error *error)
{
    int64_t own = 0;
    int rc;

    GV_ASSERT(store->joined && store->mode == STORE_WRITE);
    GV_ASSERT(!store->in_transaction);
    rc = sql_number(store->db, &own,
                    "SELECT count(*) FROM main.sqlite_schema WHERE name NOT"
                    " LIKE 'gv\\_%%' ESCAPE '\\' AND name NOT LIKE"
                    " 'sqlite\\_%%' ESCAPE '\\'");
    if (rc == GV_OK && own == 0)
        rc = sql_run(store->db, "UPDATE gv_meta SET creates=1 WHERE creates IS"
                                " NOT 1");
    return rc == GV_OK ? rc
                       : sql_fail(store->db, rc, error,
                                  "cannot note that tables are made");
}
