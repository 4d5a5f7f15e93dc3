#include "extension/since.h"

#include "base/assert.h"
#include "base/error.h"
#include "store/sql.h"

int since_view(sqlite3_value *value, struct vv_view *view,
               struct gv_error *error)
{
    size_t size = (size_t)sqlite3_value_bytes(value);

    *view = (struct vv_view){sqlite3_value_blob(value), size / VV_ENTRY_SIZE};
    if (sqlite3_value_type(value) == SQLITE_BLOB &&
        size % VV_ENTRY_SIZE == 0 && vv_view_valid(*view))
        return GV_OK;
    error_set(error, GV_EINVAL, "That is no version vector.");
    error_remedy(error, "Give what gv_vv() returned, a version of this site,"
                        " or NULL for all that there is.");
    return GV_EINVAL;
}

/* Versions within an interval are nobody's claim: what ends there would look
 * like another life of this file. */
static int since_version(const struct call *call, int64_t version,
                         struct buffer *bytes, struct gv_error *error)
{
    struct vv_entry entry = {.site = *store_site(call->store)};
    uint8_t *room;
    int64_t end = 0;
    int rc = sql_number(call->db, &end,
                        "SELECT coalesce(max(version),0) FROM main.gv_interval"
                        " WHERE version<=%lld",
                        (long long)version);

    if (rc != GV_OK)
        return sql_fail(call->db, rc, error, "cannot read gv_interval");
    if (end <= 0)
        return GV_OK;
    room = buffer_extend(bytes, VV_ENTRY_SIZE);
    if (room == NULL)
        return error_set(error, GV_ENOMEM, "Out of memory.");
    entry.version = (gv_version)end;
    GV_ASSERT(entry.version <= VERSION_MAX);
    vv_entry_store(&entry, room);
    return GV_OK;
}

int since_read(const struct call *call, sqlite3_value *value,
               struct buffer *bytes, struct vv_view *view,
               struct gv_error *error)
{
    int rc = GV_OK;

    if (sqlite3_value_type(value) == SQLITE_INTEGER) {
        rc = since_version(call, sqlite3_value_int64(value), bytes, error);
    } else if (sqlite3_value_type(value) != SQLITE_NULL) {
        rc = since_view(value, view, error);
        if (rc == GV_OK)
            rc =
                buffer_append(bytes, view->bytes, view->count * VV_ENTRY_SIZE);
    }
    if (rc == GV_OK)
        *view = (struct vv_view){bytes->data, bytes->size / VV_ENTRY_SIZE};
    return rc;
}
