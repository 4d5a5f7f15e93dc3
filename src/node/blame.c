#include "node/blame.h"

#include "core/clock.h"
#include "node/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Who asks, and whom to ask for names. */
struct namer {
    blame_name_of *name_of;
    void *context;
};

/* The clock's part of a version, as 2026-05-01T09:30:00.250Z. */
static json_t *time_text(gv_version version)
{
    gv_time_ms ms = clock_wall(version);
    time_t seconds = (time_t)(ms / 1000);
    char text[40];
    struct tm utc;

    if (gmtime_r(&seconds, &utc) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        return json_string("");
    return json_sprintf("%s.%03dZ", text, (int)(ms % 1000));
}

/* {"site", "name", "version", "time"}; null for nobody. */
static json_t *dot_object(const struct namer *namer,
                          const struct store_dot *dot)
{
    json_t *object;
    char hex[33];

    if (dot->version == 0)
        return json_null();
    object = json_object();
    site_format(&dot->site, hex);
    json_object_set_new(object, "site", json_string(hex));
    json_object_set_new(
        object, "name",
        status_text(namer->name_of == NULL
                        ? ""
                        : namer->name_of(namer->context, &dot->site)));
    json_object_set_new(object, "version",
                        json_sprintf("%" PRIu64, dot->version));
    json_object_set_new(object, "time", time_text(dot->version));
    return object;
}

static json_t *literal_text(const char *value)
{
    return value == NULL ? json_null() : status_text(value);
}

static json_t *lost_array(const struct namer *namer,
                          const struct store_cell *cell)
{
    json_t *array = json_array();

    for (size_t i = 0; i < cell->lost_count; i++) {
        json_t *item = json_object();

        json_object_set_new(item, "value", literal_text(cell->lost[i].value));
        if (cell->lost[i].whole_size > 0)
            json_object_set_new(
                item, "bytes",
                json_integer((json_int_t)cell->lost[i].whole_size));
        json_object_set_new(item, "by", dot_object(namer, &cell->lost[i].dot));
        json_object_set_new(item, "to",
                            dot_object(namer, &cell->lost[i].winner));
        json_array_append_new(array, item);
    }
    return array;
}

/* What sites wrote of a counter or a multi-value column. */
static json_t *part_array(const struct namer *namer,
                          const struct store_cell *cell)
{
    json_t *array = json_array();

    for (size_t i = 0; i < cell->part_count; i++) {
        json_t *item = json_object();

        json_object_set_new(item, "value", literal_text(cell->parts[i].value));
        json_object_set_new(item, "by",
                            dot_object(namer, &cell->parts[i].dot));
        json_array_append_new(array, item);
    }
    return array;
}

static const char *state_name(enum store_cell_state state)
{
    switch (state) {
    case CELL_WRITTEN:
        return "written";
    case CELL_DEFAULT:
        return "default";
    case CELL_PARKED:
        return "parked";
    case CELL_HOLLOW:
        return "hollow";
    case CELL_UNSEALED:
        return "unsealed";
    }
    return "unknown";
}

static json_t *cell_object(const struct namer *namer,
                           const struct store_cell *cell)
{
    json_t *object = json_object();

    json_object_set_new(object, "column", status_text(cell->column));
    json_object_set_new(object, "state", json_string(state_name(cell->state)));
    json_object_set_new(object, "value", literal_text(cell->value));
    json_object_set_new(object, "by", dot_object(namer, &cell->dot));
    if (cell->part_count > 0)
        json_object_set_new(object, "cells", part_array(namer, cell));
    json_object_set_new(object, "beat", lost_array(namer, cell));
    return object;
}

static json_t *row_object(const struct namer *namer,
                          const struct store_blame *blame)
{
    json_t *object = json_object(), *cells = json_array();

    for (size_t i = 0; i < blame->cell_count; i++)
        json_array_append_new(cells, cell_object(namer, &blame->cells[i]));
    json_object_set_new(object, "table", status_text(blame->table));
    json_object_set_new(object, "key", status_text(blame->key));
    json_object_set_new(object, "alive", json_boolean(blame->alive));
    json_object_set_new(object, "unsealed", json_boolean(blame->unsealed));
    json_object_set_new(object, "by", dot_object(namer, &blame->dot));
    json_object_set_new(object, "columns", cells);
    return object;
}

json_t *blame_of_store(struct store *store, const char *table,
                       const json_t *parts, blame_name_of *name_of,
                       void *context, struct gv_error *error)
{
    struct namer namer = {name_of, context};
    size_t count = json_array_size(parts);
    const char **texts = calloc(count + 1, sizeof *texts);
    struct store_blame blame;
    json_t *object = NULL;
    int rc = texts == NULL ? GV_ENOMEM : GV_OK;

    for (size_t i = 0; i < count && rc == GV_OK; i++) {
        texts[i] = json_string_value(json_array_get(parts, i));
        if (texts[i] == NULL)
            rc = GV_EINVAL;
    }
    if (rc != GV_OK)
        error_set(error, rc, "The request names no key.");
    else if (store_blame(store, table, texts, count, &blame, error) == GV_OK) {
        object = row_object(&namer, &blame);
        store_blame_close(&blame);
    }
    free(texts);
    return object;
}
