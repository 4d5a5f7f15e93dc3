#include "node/tracking.h"

#include <stdlib.h>
#include <string.h>

static int bad_request(struct gv_error *error, const char *what)
{
    return error_set(error, GV_EINVAL, "%s", what);
}

/* One entry of "kinds". */
static bool read_kind(const json_t *entry, struct store_kind *kind)
{
    const char *name = json_string_value(json_array_get(entry, 1));

    kind->column = json_string_value(json_array_get(entry, 0));
    kind->kind =
        name != NULL && strcmp(name, "mv") == 0 ? COLUMN_MV : COLUMN_COUNTER;
    return kind->column != NULL && name != NULL &&
           (kind->kind == COLUMN_MV || strcmp(name, "counter") == 0);
}

int tracking_request(struct store *store, const json_t *request,
                     struct buffer *notes, struct gv_error *error)
{
    const char *table = json_string_value(json_object_get(request, "table"));
    const json_t *asked = json_object_get(request, "kinds");
    size_t count = json_array_size(asked);
    struct store_kind *list = calloc(count + 1, sizeof *list);
    struct store_kinds kinds = {list, count};
    int rc = list == NULL ? GV_ENOMEM : GV_OK;

    if (rc == GV_OK && table == NULL)
        rc = bad_request(error, "The request names no table.");
    for (size_t i = 0; i < count && rc == GV_OK; i++)
        if (!read_kind(json_array_get(asked, i), &list[i]))
            rc = bad_request(error, "A kind is [column, \"counter\"] or"
                                    " [column, \"mv\"].");
    if (rc == GV_OK)
        rc = store_track_as(store, table, &kinds, notes, error);
    free(list);
    return rc;
}
