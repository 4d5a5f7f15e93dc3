#include "extension/cursor.h"

#include "base/assert.h"
#include "base/error.h"
#include "extension/table.h"
#include "store/sql.h"

#include <stdlib.h>
#include <string.h>

/* A second try gives a file that went back in time its new site id. */
#define TRIES 2

void cursor_end(struct cursor_of_changes *cursor)
{
    changes_free(cursor->changes);
    buffer_close(&cursor->since);
    cursor->changes = NULL;
}

static int read_once(struct cursor_of_changes *cursor, sqlite3 *db,
                     sqlite3_value *since, struct gv_error *error)
{
    struct vv_view view = {0};
    struct call call;
    int rc = call_begin_tracked(db, CALL_GIVES, &call, error);

    if (rc != GV_OK)
        return rc;
    buffer_clear(&cursor->since);
    if (since != NULL)
        rc = since_read(&call, since, &cursor->since, &view, error);
    if (rc == GV_OK)
        rc = changes_read(call.store, view, &cursor->changes, error);
    call_end(&call, rc);
    return rc;
}

int cursor_begin(struct cursor_of_changes *cursor, sqlite3 *db,
                 sqlite3_value *since, struct gv_error *error)
{
    int rc = GV_EMOVED;

    cursor_end(cursor);
    buffer_init(&cursor->since, SIZE_MAX);
    for (int i = 0; i < TRIES && rc == GV_EMOVED; i++)
        rc = read_once(cursor, db, since, error);
    cursor->sum = (struct changes_sum){0, 0};
    cursor->claiming = false;
    cursor->ended = rc != GV_OK;
    return rc == GV_OK ? cursor_move(cursor, error) : rc;
}

int cursor_move(struct cursor_of_changes *cursor, struct gv_error *error)
{
    int rc;

    GV_ASSERT(!cursor->ended);
    if (cursor->claiming) {
        cursor->ended = true;
        return GV_OK;
    }
    rc = changes_next(cursor->changes, &cursor->change);
    if (rc < 0)
        return error_set(error, rc, "The changes cannot be read: %s.",
                         gv_strerror(rc));
    cursor->claiming = rc == 0;
    if (rc > 0) {
        cursor->sum.count++;
        cursor->sum.hash += change_hash(&cursor->change);
    }
    return GV_OK;
}

static void result_bytes(sqlite3_context *context, const void *bytes,
                         size_t size)
{
    if (size == 0)
        sqlite3_result_zeroblob(context, 0);
    else
        sqlite3_result_blob64(context, bytes, size, SQLITE_TRANSIENT);
}

static void result_view(sqlite3_context *context, struct vv_view view)
{
    result_bytes(context, view.bytes, view.count * VV_ENTRY_SIZE);
}

static void result_name(sqlite3_context *context, const struct text *name)
{
    if (name->bytes != NULL)
        sqlite3_result_text64(context, name->bytes, name->size,
                              SQLITE_TRANSIENT, SQLITE_UTF8);
}

static void claim_column(const struct cursor_of_changes *cursor,
                         sqlite3_context *context, enum table_column column)
{
    if (column == TABLE_PK)
        result_bytes(context, cursor->since.data, cursor->since.size);
    else if (column == TABLE_VALUE)
        result_view(context, changes_claim(cursor->changes));
    else if (column == TABLE_VERSION)
        sqlite3_result_int64(context, (sqlite3_int64)cursor->sum.hash);
    else if (column == TABLE_CL)
        sqlite3_result_int64(context, (sqlite3_int64)cursor->sum.count);
}

/* Behind the site comes, of a hollow cell, the digest of the value that is
 * missing; of a multi-value cell, what it replaces. */
static void result_site(sqlite3_context *context, const struct change *change)
{
    size_t site_size = sizeof change->site.bytes;
    size_t over_size = change->over.count * VV_ENTRY_SIZE;
    uint8_t *bytes = malloc(site_size + 8 + over_size);

    GV_ASSERT(!change->hollow || over_size == 0);
    if (bytes == NULL) {
        sqlite3_result_error_nomem(context);
        return;
    }
    memcpy(bytes, change->site.bytes, site_size);
    if (change->hollow)
        store_u64(bytes + site_size, change->digest);
    else if (over_size > 0)
        memcpy(bytes + site_size, change->over.bytes, over_size);
    result_bytes(context, bytes, site_size + (change->hollow ? 8 : over_size));
    free(bytes);
}

static void change_column(const struct change *change,
                          sqlite3_context *context, enum table_column column)
{
    if (column == TABLE_TBL)
        result_name(context, &change->table);
    else if (column == TABLE_PK)
        result_bytes(context, change->key, change->key_size);
    else if (column == TABLE_COL)
        result_name(context, &change->column);
    else if (column == TABLE_VALUE)
        sql_result_copy(context, &change->value);
    else if (column == TABLE_VERSION)
        sqlite3_result_int64(context, (sqlite3_int64)change->version);
    else if (column == TABLE_SITE)
        result_site(context, change);
    else if (column == TABLE_CL)
        sqlite3_result_int64(context, (sqlite3_int64)change->causal_length);
}

void cursor_column(const struct cursor_of_changes *cursor,
                   sqlite3_context *context, int column)
{
    GV_ASSERT(!cursor->ended);
    if (cursor->claiming)
        claim_column(cursor, context, (enum table_column)column);
    else
        change_column(&cursor->change, context, (enum table_column)column);
}
