#include "entries.h"

#include "base/assert.h"
#include "delta.h"
#include "wire/stream.h"

#include <stdio.h>
#include <string.h>

#define SITES_MAX 64
#define TABLES_MAX 16

struct reader {
    const char *table, *key;
    struct entry_row *row;
    struct site sites[SITES_MAX];
    gv_version bases[SITES_MAX];
    size_t site_count, table_count;
    bool wanted[TABLES_MAX];
    char columns[TABLES_MAX][ENTRIES_COLUMNS_MAX][40];
};

static void take_table(struct reader *reader, struct stream_item *item)
{
    size_t number = reader->table_count++;
    struct stream_column column;

    GV_ASSERT(number < TABLES_MAX);
    GV_ASSERT(item->as.table.head.column_count < ENTRIES_COLUMNS_MAX);
    reader->wanted[number] =
        strlen(reader->table) == item->as.table.head.wire.size &&
        memcmp(reader->table, item->as.table.head.wire.bytes,
               item->as.table.head.wire.size) == 0;
    strcpy(reader->columns[number][ROW_EXISTENCE], "*");
    for (size_t i = 1; i <= item->as.table.head.column_count; i++) {
        stream_next_column(&item->as.table.columns, &column);
        snprintf(reader->columns[number][i], sizeof reader->columns[0][0],
                 "%.*s", (int)column.wire.size, column.wire.bytes);
    }
}

static void take_group(struct reader *reader, struct stream_item *item)
{
    uint64_t mask;
    uint32_t site;
    int64_t since;

    GV_ASSERT(stream_next_group(&item->as.row.groups, &site, &since, &mask,
                                1) == GV_OK);
    for (size_t bit = 0; bit < ENTRIES_COLUMNS_MAX; bit++) {
        struct entry_cell *cell = &reader->row->cells[reader->row->cell_count];

        if (!mask_get(&mask, bit))
            continue;
        strcpy(cell->column, reader->columns[item->as.row.table][bit]);
        cell->site = reader->sites[site];
        cell->version = reader->bases[site] + (uint64_t)since;
        reader->row->cell_count++;
    }
}

static void take_row(struct reader *reader, struct stream_item *item)
{
    char key[200];

    key_format(item->as.row.key, item->as.row.key_size, key, sizeof key);
    if (!reader->wanted[item->as.row.table] || strcmp(key, reader->key) != 0)
        return;
    reader->row->length = item->as.row.causal_length;
    for (size_t i = 0; i < item->as.row.group_count; i++)
        take_group(reader, item);
}

static void take_item(struct reader *reader, const uint8_t *bytes, size_t size)
{
    struct stream_item item;

    GV_ASSERT(stream_decode(bytes, size, &item) == GV_OK);
    switch (item.kind) {
    case STREAM_SITE:
        GV_ASSERT(reader->site_count < SITES_MAX);
        reader->bases[reader->site_count] = item.as.site.base;
        reader->sites[reader->site_count++] = item.as.site.id;
        break;
    case STREAM_TABLE:
        take_table(reader, &item);
        break;
    case STREAM_ROW:
        take_row(reader, &item);
        break;
    }
}

int entries_find(struct replica *replica, const char *table, const char *key,
                 struct entry_row *row, struct gv_error *error)
{
    struct reader reader = {.table = table, .key = key, .row = row};
    struct delta delta;
    int rc =
        delta_read(&delta, replica->store, (struct vv_view){NULL, 0}, error);

    memset(row, 0, sizeof *row);
    if (rc != GV_OK)
        return rc;
    for (size_t at = 0; at < delta.bytes.size;) {
        uint32_t size = load_u32(delta.bytes.data + at);

        take_item(&reader, delta.bytes.data + at + STREAM_HEADER_SIZE, size);
        at += STREAM_HEADER_SIZE + size;
    }
    delta_close(&delta);
    return GV_OK;
}
