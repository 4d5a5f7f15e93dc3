/* A merge cannot be a savepoint of its own: SQLite takes none inside a
 * statement that writes, as an INSERT is.  When it fails half-way, SQLite
 * takes back what the statement wrote, but not in every case (not for one row
 * of VALUES inside a transaction).  So from then on the transaction can only
 * be rolled back, or back to a savepoint before: else its commit fails. */
#include "extension/waiting.h"

#include "base/assert.h"
#include "base/error.h"
#include "core/row.h"
#include "extension/since.h"
#include "extension/table.h"
#include "store/changes.h"

#include <stdlib.h>
#include <string.h>

/* The change borrows the bytes behind it. */
struct waiting_row {
    struct change change;
    size_t used;
    uint8_t bytes[];
};

/* Rows */

#define SITE_SIZE 16

_Static_assert(sizeof(struct site) == SITE_SIZE, "a site's bytes");

static int not_a_change(struct gv_error *error, const char *column)
{
    error_set(error, GV_EINVAL,
              "The column %s of a row for gv_changes is not"
              " as one was selected.",
              column);
    error_remedy(error, "Insert whole rows as SELECT * gave them.");
    return GV_EINVAL;
}

/* A cell whose value is missing: its digest stands behind the site. */
static bool is_hollow(sqlite3_value **values)
{
    return sqlite3_value_type(values[TABLE_VALUE]) == SQLITE_NULL &&
           sqlite3_value_type(values[TABLE_COL]) == SQLITE_TEXT &&
           sqlite3_value_bytes(values[TABLE_SITE]) == SITE_SIZE + 8;
}

/* What a multi-value cell replaces stands behind the site. */
static struct vv_view over_of(sqlite3_value **values)
{
    size_t size = (size_t)sqlite3_value_bytes(values[TABLE_SITE]);
    const uint8_t *bytes = sqlite3_value_blob(values[TABLE_SITE]);

    if (is_hollow(values) || size <= SITE_SIZE)
        return (struct vv_view){NULL, 0};
    return (struct vv_view){bytes + SITE_SIZE,
                            (size - SITE_SIZE) / VV_ENTRY_SIZE};
}

/* A site alone, or with one of the two behind it. */
static bool is_site(sqlite3_value **values)
{
    size_t size = (size_t)sqlite3_value_bytes(values[TABLE_SITE]);

    if (size < SITE_SIZE)
        return false;
    return is_hollow(values) || ((size - SITE_SIZE) % VV_ENTRY_SIZE == 0 &&
                                 vv_view_valid(over_of(values)));
}

static int check_columns(sqlite3_value **values, struct gv_error *error)
{
    static const struct {
        enum table_column column;
        int type;
        const char *name;
    } wanted[] = {{TABLE_TBL, SQLITE_TEXT, "tbl"},
                  {TABLE_PK, SQLITE_BLOB, "pk"},
                  {TABLE_VERSION, SQLITE_INTEGER, "version"},
                  {TABLE_SITE, SQLITE_BLOB, "site"},
                  {TABLE_CL, SQLITE_INTEGER, "cl"}};
    int type = sqlite3_value_type(values[TABLE_COL]);

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (sqlite3_value_type(values[wanted[i].column]) != wanted[i].type)
            return not_a_change(error, wanted[i].name);
    if (type != SQLITE_TEXT && type != SQLITE_NULL)
        return not_a_change(error, "col");
    if (!is_site(values))
        return not_a_change(error, "site");
    if (sqlite3_value_int64(values[TABLE_VERSION]) <= 0 ||
        (uint64_t)sqlite3_value_int64(values[TABLE_VERSION]) > VERSION_MAX)
        return not_a_change(error, "version");
    if (sqlite3_value_int64(values[TABLE_CL]) <= 0 ||
        (uint64_t)sqlite3_value_int64(values[TABLE_CL]) >
            ROW_CAUSAL_LENGTH_MAX)
        return not_a_change(error, "cl");
    if ((size_t)sqlite3_value_bytes(values[TABLE_VALUE]) > VALUE_SIZE_MAX)
        return not_a_change(error, "value");
    return GV_OK;
}

/* Copy a text's or blob's bytes into @row, which has room for them. */
static const uint8_t *keep(struct waiting_row *row, sqlite3_value *value,
                           size_t *size)
{
    uint8_t *kept = row->bytes + row->used;
    const void *bytes = sqlite3_value_blob(value);

    *size = (size_t)sqlite3_value_bytes(value);
    if (*size > 0)
        memcpy(kept, bytes, *size);
    row->used += *size;
    return kept;
}

static void keep_value(struct waiting_row *row, sqlite3_value *from)
{
    struct value *value = &row->change.value;

    switch (sqlite3_value_type(from)) {
    case SQLITE_INTEGER:
        value->class = VALUE_INTEGER;
        value->integer = sqlite3_value_int64(from);
        break;
    case SQLITE_FLOAT:
        value->class = VALUE_REAL;
        value->real = sqlite3_value_double(from);
        break;
    case SQLITE_TEXT:
        value->class = VALUE_TEXT;
        value->bytes = keep(row, from, &value->size);
        break;
    case SQLITE_BLOB:
        value->class = VALUE_BLOB;
        value->bytes = keep(row, from, &value->size);
        break;
    default:
        value->class = VALUE_NULL;
        break;
    }
}

/* A number has no bytes that are kept, but SQLite may say it has. */
static size_t bytes_of(sqlite3_value *value)
{
    int type = sqlite3_value_type(value);

    return type == SQLITE_TEXT || type == SQLITE_BLOB
               ? (size_t)sqlite3_value_bytes(value)
               : 0;
}

static struct waiting_row *row_new(sqlite3_value **values)
{
    size_t size = bytes_of(values[TABLE_TBL]) + bytes_of(values[TABLE_PK]) +
                  bytes_of(values[TABLE_COL]) + bytes_of(values[TABLE_VALUE]);
    struct vv_view over = over_of(values);
    size_t over_size = over.count * VV_ENTRY_SIZE;
    struct waiting_row *row = calloc(1, sizeof *row + size + over_size);
    struct change *change;

    if (row == NULL)
        return NULL;
    change = &row->change;
    change->table.bytes =
        (const char *)keep(row, values[TABLE_TBL], &change->table.size);
    change->key = keep(row, values[TABLE_PK], &change->key_size);
    if (sqlite3_value_type(values[TABLE_COL]) != SQLITE_NULL)
        change->column.bytes =
            (const char *)keep(row, values[TABLE_COL], &change->column.size);
    keep_value(row, values[TABLE_VALUE]);
    change->version = (gv_version)sqlite3_value_int64(values[TABLE_VERSION]);
    memcpy(change->site.bytes, sqlite3_value_blob(values[TABLE_SITE]),
           sizeof change->site.bytes);
    change->hollow = is_hollow(values);
    if (change->hollow)
        change->digest =
            load_u64((const uint8_t *)sqlite3_value_blob(values[TABLE_SITE]) +
                     SITE_SIZE);
    change->causal_length = (uint64_t)sqlite3_value_int64(values[TABLE_CL]);
    GV_ASSERT(row->used == size);
    if (over_size > 0) {
        memcpy(row->bytes + size, over.bytes, over_size);
        change->over = (struct vv_view){row->bytes + size, over.count};
    }
    return row;
}

/* Room for one more of @size bytes each in *@items. */
static int grow(void **items, size_t *capacity, size_t count, size_t size)
{
    size_t wanted = 2 * count + 16;
    void *grown;

    if (count < *capacity)
        return GV_OK;
    grown = realloc(*items, wanted * size);
    if (grown == NULL)
        return GV_ENOMEM;
    *items = grown;
    *capacity = wanted;
    return GV_OK;
}

int waiting_add(struct waiting *waiting, sqlite3_value **values,
                struct gv_error *error)
{
    void *items = waiting->rows;
    struct waiting_row *row;
    int rc = check_columns(values, error);

    if (rc != GV_OK)
        return rc;
    rc = grow(&items, &waiting->capacity, waiting->count,
              sizeof *waiting->rows);
    waiting->rows = items;
    row = rc == GV_OK ? row_new(values) : NULL;
    if (row == NULL)
        return error_set(error, GV_ENOMEM, "Out of memory.");
    GV_ASSERT(waiting->count < waiting->capacity);
    waiting->rows[waiting->count++] = row;
    return GV_OK;
}

/* Claim */

/* What a claim row says. */
struct claim {
    struct vv_view base, claim;
    struct changes_sum sum;
};

static int read_claim(sqlite3_value **values, struct claim *claim,
                      struct gv_error *error)
{
    int rc = since_view(values[TABLE_PK], &claim->base, error);

    if (rc == GV_OK)
        rc = since_view(values[TABLE_VALUE], &claim->claim, error);
    if (rc == GV_OK &&
        (sqlite3_value_type(values[TABLE_CL]) != SQLITE_INTEGER ||
         sqlite3_value_int64(values[TABLE_CL]) < 0))
        rc = not_a_change(error, "cl");
    if (rc == GV_OK &&
        sqlite3_value_type(values[TABLE_VERSION]) != SQLITE_INTEGER)
        rc = not_a_change(error, "version");
    claim->sum = (struct changes_sum){
        .count = (uint64_t)sqlite3_value_int64(values[TABLE_CL]),
        .hash = (uint64_t)sqlite3_value_int64(values[TABLE_VERSION])};
    return rc;
}

static int merge(struct waiting *waiting, struct call *call,
                 const struct claim *claim, struct gv_error *error)
{
    size_t count = waiting->count - waiting->claimed;
    const struct change **list =
        calloc(count + 1, sizeof(const struct change *));
    int rc;

    if (list == NULL)
        return error_set(error, GV_ENOMEM, "Out of memory.");
    for (size_t i = 0; i < count; i++)
        list[i] = &waiting->rows[waiting->claimed + i]->change;
    rc = changes_apply(call->store, list, count, &claim->sum, claim->base,
                       claim->claim, error);
    free(list);
    return rc;
}

int waiting_claim(struct waiting *waiting, sqlite3 *db, sqlite3_value **values,
                  struct gv_error *error)
{
    struct claim claim;
    struct call call;
    int rc = read_claim(values, &claim, error);

    GV_ASSERT(waiting->claimed <= waiting->count);
    if (rc == GV_OK)
        rc = waiting->failed
                 ? waiting_check(waiting, error)
                 : call_begin_tracked(db, CALL_INSERTS, &call, error);
    if (rc != GV_OK)
        return rc;
    rc = merge(waiting, &call, &claim, error);
    call_end(&call, rc);
    waiting->failed = rc != GV_OK;
    if (rc == GV_OK)
        waiting->claimed = waiting->count;
    if (rc == GV_EDIFFERS)
        error_remedy(error, "Roll back, run SELECT length(gv_delta(NULL)),"
                            " which publishes it, and insert again.");
    return rc;
}

int waiting_check(const struct waiting *waiting, struct gv_error *error)
{
    if (waiting->failed) {
        error_set(error, GV_EMISUSE,
                  "The changes inserted into gv_changes"
                  " could not be merged.");
        error_meaning(error, "Nothing of the transaction is committed.");
        error_remedy(error, "Roll back; the failed INSERT said why.");
        return GV_EMISUSE;
    }
    if (waiting->count == waiting->claimed)
        return GV_OK;
    error_set(error, GV_EMISUSE,
              "%zu rows were inserted into gv_changes without their claim"
              " row.",
              waiting->count - waiting->claimed);
    error_meaning(error, "Whether they are all that was selected, only the"
                         " last row tells, whose tbl is NULL; nothing of them"
                         " is merged.");
    error_remedy(error, "Insert all rows of one SELECT in one transaction.");
    return GV_EMISUSE;
}

/* Savepoints */

int waiting_save(struct waiting *waiting, int number)
{
    size_t index = (size_t)number;
    void *items = waiting->marks;
    struct waiting_mark now = {waiting->count, waiting->claimed,
                               waiting->failed};

    GV_ASSERT(number >= 0);
    /* Of savepoints older than the first row nothing was asked: they go back
     * to none. */
    while (waiting->mark_count <= index) {
        int rc = grow(&items, &waiting->mark_capacity, waiting->mark_count,
                      sizeof *waiting->marks);

        waiting->marks = items;
        if (rc != GV_OK)
            return rc;
        waiting->marks[waiting->mark_count++] =
            (struct waiting_mark){0, 0, false};
    }
    waiting->marks[index] = now;
    return GV_OK;
}

void waiting_release(struct waiting *waiting, int number)
{
    GV_ASSERT(number >= 0);
    if (waiting->mark_count > (size_t)number)
        waiting->mark_count = (size_t)number;
}

static void cut(struct waiting *waiting, struct waiting_mark mark)
{
    GV_ASSERT(mark.count <= waiting->count && mark.claimed <= mark.count);
    for (size_t i = mark.count; i < waiting->count; i++)
        free(waiting->rows[i]);
    waiting->count = mark.count;
    waiting->claimed = mark.claimed;
    waiting->failed = mark.failed;
}

void waiting_go_back(struct waiting *waiting, int number)
{
    if (number < 0) {
        waiting_clear(waiting);
        return;
    }
    if ((size_t)number >= waiting->mark_count)
        return;
    cut(waiting, waiting->marks[number]);
    waiting->mark_count = (size_t)number + 1;
}

void waiting_clear(struct waiting *waiting)
{
    cut(waiting, (struct waiting_mark){0, 0, false});
    waiting->mark_count = 0;
}

void waiting_close(struct waiting *waiting)
{
    waiting_clear(waiting);
    free(waiting->rows);
    free(waiting->marks);
}
