/* What a site wrote of late, for people: ranges of gv_ver, and the keys of
 * their rows. */
#include "store/internal.h"

#include "base/assert.h"
#include "store/keys.h"
#include "store/schema.h"

#define RECENT_KEY_SIZE 512

/* The number of @site in this file, or 0: it was never heard of. */
static size_t number_of(const struct store *store, const struct site *site)
{
    GV_ASSERT(store->site_count == 0 || store->sites != NULL);
    for (size_t i = 1; i < store->site_count; i++)
        if (site_equal(&store->sites[i], site))
            return i;
    return 0;
}

/* Its rows of gv_ver, ascending by version. */
static int prepare(struct store *store, const struct store_span *span,
                   uint64_t max, sqlite3_stmt **rows)
{
    GV_ASSERT(span->from <= VERSION_MAX && span->to <= VERSION_MAX);
    GV_ASSERT(max < INT64_MAX);
    return sql_prepare(store->db, rows,
                       "SELECT version,tbl,rid FROM gv_ver WHERE site=%lld"
                       " AND version>%lld AND version<=%lld"
                       " ORDER BY version LIMIT %lld",
                       (long long)number_of(store, &span->site),
                       (long long)span->from, (long long)span->to,
                       (long long)max);
}

int store_span_count(struct store *store, const struct store_span *span,
                     uint64_t max, uint64_t *count, gv_version *oldest)
{
    sqlite3_stmt *rows;
    int rc;

    *count = 0;
    *oldest = 0;
    if (!store->joined)
        return GV_OK;
    rc = prepare(store, span, max, &rows);
    while (rc == GV_OK && (rc = sql_step(rows)) > 0) {
        if ((*count)++ == 0)
            *oldest = (gv_version)sqlite3_column_int64(rows, 0);
        rc = GV_OK;
    }
    sqlite3_finalize(rows);
    GV_ASSERT(*count <= max);
    GV_ASSERT(*count == 0 || *oldest > span->from);
    return rc;
}

/* Fill in what people want to know of the row at @found. */
static int describe(struct store *store, sqlite3_stmt *found,
                    struct buffer *bytes, char key[RECENT_KEY_SIZE],
                    struct store_row *row)
{
    const struct store_table *table =
        schema_by_id(store, sqlite3_column_int64(found, 1));
    int64_t rid = sqlite3_column_int64(found, 2), causal_length = 0;
    int rc;

    if (table == NULL)
        return GV_ECORRUPT;
    rc = row_key_of(store, table, rid, bytes);
    if (rc == GV_OK)
        rc = sql_number(store->db, &causal_length,
                        "SELECT cl FROM gv_row_%lld WHERE rid=%lld",
                        (long long)table->id, (long long)rid);
    if (rc != GV_OK)
        return rc;
    GV_ASSERT(bytes->size > 0);
    key_format(bytes->data, bytes->size, key, RECENT_KEY_SIZE);
    row->table = table->local != NULL ? table->local : table->wire;
    row->key = key;
    row->alive = causal_length % 2 == 1;
    row->version = (gv_version)sqlite3_column_int64(found, 0);
    return GV_OK;
}

int store_span_rows(struct store *store, const struct store_span *span,
                    uint64_t max,
                    void (*row)(void *context, const struct store_row *row),
                    void *context, bool *more)
{
    sqlite3_stmt *found;
    struct buffer bytes;
    uint64_t count = 0;
    int rc;

    *more = false;
    if (!store->joined)
        return GV_OK;
    buffer_init(&bytes, SIZE_MAX);
    rc = prepare(store, span, max + 1, &found);
    while (rc == GV_OK && (rc = sql_step(found)) > 0) {
        char key[RECENT_KEY_SIZE];
        struct store_row item;

        rc = GV_OK;
        *more = count++ == max;
        if (!*more)
            rc = describe(store, found, &bytes, key, &item);
        if (rc == GV_OK && !*more)
            row(context, &item);
    }
    sqlite3_finalize(found);
    buffer_close(&bytes);
    GV_ASSERT(count <= max + 1);
    return rc;
}

int store_unsealed(struct store *store, uint64_t max, uint64_t *count)
{
    int64_t rows = 0;
    int rc = GV_OK;

    GV_ASSERT(max > 0 && max < INT64_MAX);
    if (store->joined)
        rc = sql_number(store->db, &rows,
                        "SELECT count(*) FROM (SELECT 1 FROM gv_journal"
                        " LIMIT %lld)",
                        (long long)max);
    GV_ASSERT(rows >= 0);
    if (rc == GV_OK)
        *count = (uint64_t)rows;
    return rc;
}
