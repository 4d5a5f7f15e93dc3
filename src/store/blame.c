/* Who wrote what a row holds, and what it beat: the row's records, its values
 * and gv_history, for people. */
#include "store/internal.h"

#include "base/assert.h"
#include "store/keys.h"
#include "store/kinds.h"
#include "store/parked.h"
#include "store/rows.h"
#include "store/tables.h"
#include "store/user.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a longer value a person sees the beginning. */
#define BLAME_VALUE_SIZE 4096

/* A value as an SQL literal, from malloc(). */
static char *literal(const struct value *value)
{
    char *text = malloc(BLAME_VALUE_SIZE);

    GV_ASSERT(value->class <= VALUE_BLOB);
    if (text != NULL)
        value_format(value, text, BLAME_VALUE_SIZE);
    return text;
}

/* The key that a person named */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint8_t hex_byte(const char *digits)
{
    GV_ASSERT(hex_digit(digits[0]) >= 0 && hex_digit(digits[1]) >= 0);
    return (uint8_t)(hex_digit(digits[0]) * 16 + hex_digit(digits[1]));
}

/* The bytes between quotes into @bytes, which has room for all of @part:
 * 'it''s', or x'00ff'.  False when @part is neither. */
static bool parse_quoted(const char *part, struct value *value, uint8_t *bytes)
{
    size_t length = strlen(part), size = 0;
    bool blob = length > 2 && (part[0] | 0x20) == 'x' && part[1] == '\'';
    size_t at = blob ? 2 : 1;

    GV_ASSERT(bytes != NULL);
    GV_ASSERT(at == 1 || length > at);
    if (length < at + 1 || part[at - 1] != '\'' || part[length - 1] != '\'')
        return false;
    for (; at < length - 1; at += blob ? 2 : 1) {
        if (blob && (hex_digit(part[at]) < 0 || hex_digit(part[at + 1]) < 0))
            return false;
        if (!blob && part[at] == '\'' && part[++at] != '\'')
            return false;
        bytes[size++] = blob ? hex_byte(part + at) : (uint8_t)part[at];
    }
    /* The last quote ends it, and is no half of a pair or of a byte. */
    if (at != length - 1)
        return false;
    *value = (struct value){
        .class = blob ? VALUE_BLOB : VALUE_TEXT, .bytes = bytes, .size = size};
    return true;
}

/* Digits, and what numbers have beside them: "inf" and "0x10" are texts. */
static bool parse_number(const char *part, struct value *value)
{
    char *end;

    GV_ASSERT(part != NULL);
    if (part[0] == '\0' || part[strspn(part, "+-.0123456789eE")] != '\0')
        return false;
    *value = (struct value){.class = VALUE_INTEGER};
    errno = 0;
    value->integer = strtoll(part, &end, 10);
    if (errno == 0 && *end == '\0' && end != part)
        return true;
    value->class = VALUE_REAL;
    value->real = strtod(part, &end);
    return *end == '\0' && end != part;
}

static int parse_part(const char *part, enum affinity affinity,
                      struct buffer *key)
{
    uint8_t *bytes = malloc(strlen(part) + 1);
    struct value value;
    int rc;

    GV_ASSERT(affinity <= AFFINITY_REAL);
    if (bytes == NULL)
        return GV_ENOMEM;
    if (!parse_quoted(part, &value, bytes) &&
        (affinity == AFFINITY_TEXT || !parse_number(part, &value)))
        value = (struct value){.class = VALUE_TEXT,
                               .bytes = (const uint8_t *)part,
                               .size = strlen(part)};
    rc = key_append(key, &value);
    free(bytes);
    return rc;
}

static int parse_key(const struct store_table *table, const char *const *parts,
                     size_t count, struct buffer *bytes, struct row_key *key,
                     struct gv_error *error)
{
    int rc = GV_OK;

    if (count != table->key_count) {
        error_set(error, GV_EINVAL,
                  "The key of table '%s' has %zu column%s, and %zu %s named.",
                  table->local, table->key_count,
                  table->key_count == 1 ? "" : "s", count,
                  count == 1 ? "is" : "are");
        error_remedy(error, "Name each key column's value, in the order of"
                            " the primary key.");
        return GV_EINVAL;
    }
    for (size_t i = 0; i < count && rc == GV_OK; i++)
        rc = parse_part(parts[i], table->keys[i].affinity, bytes);
    if (rc == GV_OK &&
        row_key_decode(key, bytes->data, bytes->size, count) != GV_OK)
        rc = GV_EINVAL;
    GV_ASSERT(rc != GV_OK || key->count == table->key_count);
    return rc;
}

/* A row */

static struct store_dot dot_of(const struct store *store,
                               const struct record *record)
{
    GV_ASSERT(record->site < store->site_count);
    return (struct store_dot){.site = store->sites[record->site],
                              .version = record->version};
}

static const struct record *holder(const struct row *row, size_t bit)
{
    GV_ASSERT(bit < ROW_BITS_MAX);
    for (size_t i = 0; i < row->record_count; i++)
        if (mask_get(row->records[i].mask, bit))
            return &row->records[i];
    return NULL;
}

static struct store_dot history_dot(const struct store *store,
                                    sqlite3_stmt *list, int column)
{
    int64_t number = sqlite3_column_int64(list, column);
    struct store_dot dot = {
        .version = (gv_version)sqlite3_column_int64(list, column + 1)};

    GV_ASSERT(store->sites != NULL);
    if (number > 0 && (size_t)number < store->site_count)
        dot.site = store->sites[number];
    return dot;
}

static int add_lost(const struct store *store, struct store_cell *cell,
                    sqlite3_stmt *list)
{
    struct store_lost *grown, *lost;
    struct value value;

    GV_ASSERT(cell->lost_count == 0 || cell->lost != NULL);
    grown = realloc(cell->lost, (cell->lost_count + 1) * sizeof *grown);
    if (grown == NULL)
        return GV_ENOMEM;
    cell->lost = grown;
    sql_column_value(list, 1, &value);
    lost = &grown[cell->lost_count];
    lost->dot = history_dot(store, list, 2);
    lost->winner = history_dot(store, list, 4);
    lost->whole_size = (size_t)sqlite3_column_int64(list, 6);
    lost->value = literal(&value);
    cell->lost_count += lost->value != NULL;
    return lost->value == NULL ? GV_ENOMEM : GV_OK;
}

static int read_history(struct store *store, const struct store_table *table,
                        struct store_blame *blame)
{
    sqlite3_stmt *list;
    int rc =
        sql_prepare(store->db, &list,
                    "SELECT bit,value,site,version,by_site,by_version,size"
                    " FROM gv_history WHERE tbl=%lld AND rid=%lld"
                    " ORDER BY id DESC",
                    (long long)table->id, (long long)store->space.rid);

    GV_ASSERT(blame->cell_count == table->column_count);
    while (rc == GV_OK && (rc = sql_step(list)) > 0) {
        int64_t bit = sqlite3_column_int64(list, 0);

        rc = bit < 1 || (size_t)bit > blame->cell_count
                 ? GV_OK
                 : add_lost(store, &blame->cells[bit - 1], list);
    }
    sqlite3_finalize(list);
    return rc;
}

/* What gv_parked has of a cell.  *@found: there is an entry. */
static int read_parked(struct store *store, const struct store_table *table,
                       size_t bit, struct store_cell *cell, bool *found)
{
    sqlite3_stmt *entry;
    struct value value;
    int rc = sql_prepare(store->db, &entry,
                         "SELECT held,value FROM gv_parked WHERE tbl=%lld"
                         " AND rid=%lld AND bit=%d",
                         (long long)table->id, (long long)store->space.rid,
                         (int)bit);

    GV_ASSERT(cell->value == NULL);
    *found = false;
    if (rc == GV_OK && (rc = sql_step(entry)) > 0) {
        *found = true;
        cell->state =
            sqlite3_column_int64(entry, 0) != 0 ? CELL_PARKED : CELL_HOLLOW;
        sql_column_value(entry, 1, &value);
        rc = GV_OK;
        if (cell->state == CELL_PARKED) {
            cell->value = literal(&value);
            rc = cell->value == NULL ? GV_ENOMEM : GV_OK;
        }
    }
    sqlite3_finalize(entry);
    return rc;
}

/* What each site wrote of a column that has a cell for each. */
static int fill_parts(const struct store *store, size_t bit,
                      struct store_cell *cell)
{
    const struct cells *cells = &store->space.cells;

    GV_ASSERT(cell->parts == NULL && cell->part_count == 0);
    cell->parts = calloc(cells->count + 1, sizeof *cell->parts);
    if (cell->parts == NULL)
        return GV_ENOMEM;
    for (size_t i = 0; i < cells->count; i++) {
        const struct cell *from = &cells->items[i];
        struct store_part *part = &cell->parts[cell->part_count];

        if (from->bit != bit)
            continue;
        GV_ASSERT(!from->gone && from->site < store->site_count);
        part->dot = (struct store_dot){.site = store->sites[from->site],
                                       .version = from->version};
        part->value = literal(&from->value);
        if (part->value == NULL)
            return GV_ENOMEM;
        cell->part_count++;
    }
    return GV_OK;
}

/* @shown: what the user's table has there, or NULL. */
static int fill_cell(struct store *store, const struct store_table *table,
                     size_t bit, const struct value *shown,
                     struct store_cell *cell)
{
    const struct store_column *column = &table->columns[bit - 1];
    const struct record *record = holder(&store->space.row, bit);
    uint64_t known =
        record == NULL ? column->initial_digest : store->space.digests[bit];
    bool parked = false;
    int rc = GV_OK;

    GV_ASSERT(bit > ROW_EXISTENCE && bit <= table->column_count);
    GV_ASSERT(cell->value == NULL && cell->lost_count == 0);
    cell->column =
        strdup(column->local != NULL ? column->local : column->wire);
    cell->state = record == NULL ? CELL_DEFAULT : CELL_WRITTEN;
    if (cell->column == NULL)
        return GV_ENOMEM;
    if (record != NULL && kinds_each(table, bit))
        rc = fill_parts(store, bit, cell);
    if (record != NULL && rc == GV_OK) {
        cell->dot = dot_of(store, record);
        rc = read_parked(store, table, bit, cell, &parked);
    }
    if (rc != GV_OK || parked)
        return rc;
    if (shown == NULL) {
        cell->state = record == NULL ? CELL_DEFAULT : CELL_HOLLOW;
        return GV_OK;
    }
    if (value_digest(shown) != known)
        cell->state = CELL_UNSEALED;
    cell->value = literal(shown);
    return cell->value == NULL ? GV_ENOMEM : GV_OK;
}

static int fill(struct store *store, struct store_table *table,
                const struct row_key *key, struct store_blame *blame)
{
    const struct row *row = &store->space.row;
    bool present = false, absent;
    int rc = parked_find(store, table);

    if (rc != GV_OK)
        return rc;
    absent = mask_get(store->parked.listed, ROW_EXISTENCE);
    GV_ASSERT(table->fault == NULL);
    GV_ASSERT(store->space.stored || row->record_count == 0);
    blame->alive = row->causal_length % 2 == 1;
    if (row->record_count > 0)
        blame->dot = dot_of(store, holder(row, ROW_EXISTENCE));
    if (table->shown) {
        rc = user_read(store, table, key, store->values, &present);
        if (rc != GV_OK)
            return rc;
        /* A row that the table refused is alive all the same. */
        blame->unsealed = present != (blame->alive && !absent);
        blame->alive = present || absent;
    }
    blame->cells = calloc(table->column_count + 1, sizeof *blame->cells);
    rc = blame->cells == NULL ? GV_ENOMEM : GV_OK;
    for (size_t i = 0; i < table->column_count && rc == GV_OK; i++) {
        bool shown = present && table->columns[i].shown;

        blame->cell_count = i + 1;
        rc = fill_cell(store, table, i + 1, shown ? &store->values[i] : NULL,
                       &blame->cells[i]);
    }
    if (table->shown)
        user_read_done(table);
    GV_ASSERT(rc != GV_OK || blame->cell_count == table->column_count);
    return rc == GV_OK && store->space.stored
               ? read_history(store, table, blame)
               : rc;
}

static struct store_table *table_named(const struct store *store,
                                       const char *name)
{
    GV_ASSERT(name != NULL);
    for (size_t i = 0; i < store->table_count; i++) {
        struct store_table *table = store->tables[i];

        GV_ASSERT(table != NULL);
        if (sqlite3_stricmp(table->local, name) == 0)
            return table;
    }
    return NULL;
}

static int no_row(const struct store_table *table, const struct row_key *key,
                  struct gv_error *error)
{
    char name[512];

    GV_ASSERT(key->count == table->key_count);
    row_name(table, key, name, sizeof name);
    error_set(error, GV_ENOTFOUND, "There is no row %s, and never was.", name);
    error_remedy(error, "Give the key as SQL writes it: 7, 'ann', x'ff'.");
    return GV_ENOTFOUND;
}

static int find_table(struct store *store, const char *name,
                      struct store_table **table, struct gv_error *error)
{
    *table = table_named(store, name);
    if (*table == NULL) {
        error_set(error, GV_ENOTFOUND, "No table '%s' is tracked in the file.",
                  name);
        error_remedy(error, "'grapevine status DB' lists those that are.");
        return GV_ENOTFOUND;
    }
    if ((*table)->fault != NULL)
        return error_set(error, GV_ESCHEMA, "Table %s is not synced now: %s.",
                         (*table)->local, (*table)->fault);
    GV_ASSERT((*table)->key_count > 0);
    return GV_OK;
}

int store_blame(struct store *store, const char *name,
                const char *const *parts, size_t part_count,
                struct store_blame *blame, struct gv_error *error)
{
    struct store_blame found = {0};
    struct store_table *table;
    struct buffer bytes;
    struct row_key key;
    int rc = find_table(store, name, &table, error);

    if (rc != GV_OK)
        return rc;
    buffer_init(&bytes, SIZE_MAX);
    found.table = table->local;
    rc = parse_key(table, parts, part_count, &bytes, &key, error);
    if (rc == GV_OK) {
        key_format(bytes.data, bytes.size, found.key, sizeof found.key);
        rc = rows_find(store, table, &key, error);
    }
    if (rc == GV_OK)
        rc = fill(store, table, &key, &found);
    if (rc == GV_OK && !store->space.stored && !found.alive)
        rc = no_row(table, &key, error);
    buffer_close(&bytes);
    if (rc != GV_OK) {
        store_blame_close(&found);
        return error != NULL && error->code == rc
                   ? rc
                   : sql_fail(store->db, rc, error, "cannot read the row");
    }
    GV_ASSERT(found.cells != NULL);
    *blame = found;
    return GV_OK;
}

void store_blame_close(struct store_blame *blame)
{
    GV_ASSERT(blame->cells != NULL || blame->cell_count == 0);
    for (size_t i = 0; i < blame->cell_count; i++) {
        struct store_cell *cell = &blame->cells[i];

        GV_ASSERT(cell->lost_count == 0 || cell->lost != NULL);
        for (size_t j = 0; j < cell->lost_count; j++)
            free(cell->lost[j].value);
        for (size_t j = 0; j < cell->part_count; j++)
            free(cell->parts[j].value);
        free(cell->parts);
        free(cell->lost);
        free(cell->value);
        free(cell->column);
    }
    free(blame->cells);
    blame->cells = NULL;
    blame->cell_count = 0;
}
