/* Verify: recompute everything from the rows, change nothing. */
#include "store/internal.h"

#include "base/assert.h"
#include "store/journal.h"
#include "store/keys.h"
#include "store/parked.h"
#include "store/rows.h"
#include "store/schema.h"
#include "store/user.h"

#include <stdlib.h>
#include <string.h>

struct verify {
    struct store *store;
    void (*found)(void *context, const struct store_finding *finding);
    void *context;
    struct store_verified *verified;
    struct hash128 sum;
    uint64_t table_records, table_parked;
    bool damaged; /* a state could not be read: sums say nothing then */
    sqlite3_stmt *ver_find;
};

static void report(struct verify *verify, const struct store_table *table,
                   const struct row_key *key, const char *text)
{
    char name[256] = "";
    struct store_finding finding = {
        .table = table == NULL ? "" : table->local, .key = name, .text = text};

    GV_ASSERT(text != NULL);
    GV_ASSERT(key == NULL || table != NULL); /* whose key it would be */
    if (key != NULL)
        key_format(key->bytes, key->size, name, sizeof name);
    verify->verified->findings++;
    verify->found(verify->context, &finding);
}

static void report_column(struct verify *verify,
                          const struct store_table *table,
                          const struct row_key *key, size_t column,
                          const char *format)
{
    const struct store_column *shown = &table->columns[column];
    char *text = sqlite3_mprintf(format, shown->local != NULL ? shown->local
                                                              : shown->wire);

    GV_ASSERT(column < table->column_count);
    report(verify, table, key, text == NULL ? format : text);
    sqlite3_free(text);
}

/* The first column whose value is unlike what the log says it shows, or -1. */
static int64_t column_unlike(struct verify *verify,
                             const struct store_table *table,
                             const struct row *row)
{
    const struct store *store = verify->store;
    uint64_t held[ROW_WORDS_MAX];

    GV_ASSERT(row->causal_length % 2 == 1); /* a dead row has no values */
    GV_ASSERT(table->column_count < table->words * 64);
    rows_held(row, table->words, held);
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].shown &&
            !parked_agrees(&store->parked, i + 1,
                           value_digest(&store->values[i]),
                           parked_expected(table, row, held, i)))
            return (int64_t)i;
    return -1;
}

/* What is parked would be sent, and so is looked at like the rest. */
static void check_parked(struct verify *verify,
                         const struct store_table *table,
                         const struct row_key *key)
{
    const struct parked *parked = &verify->store->parked;
    const struct row *row = &verify->store->space.row;
    uint64_t held[ROW_WORDS_MAX];

    rows_held(row, table->words, held);
    for (size_t bit = 0; bit <= table->column_count; bit++) {
        if (!mask_get(parked->listed, bit))
            continue;
        verify->table_parked++;
        if (bit != ROW_EXISTENCE &&
            mask_get(held, bit) != (parked->kinds[bit] != PARKED_DEFAULT))
            report(verify, table, key,
                   "gv_parked has a cell that no record"
                   " of the row holds");
        else if (parked->kinds[bit] == PARKED_VALUE &&
                 value_digest(&parked->values[bit]) != row->digests[bit])
            report_column(verify, table, key, bit - 1,
                          "the parked value of column '%s' is not the one its"
                          " digest was made of");
    }
}

static int check_values(struct verify *verify, struct store_table *table,
                        const struct row_key *key)
{
    struct store *store = verify->store;
    struct row *row = &store->space.row;
    bool absent = mask_get(store->parked.listed, ROW_EXISTENCE);
    bool present, alive = row->causal_length % 2 == 1 && !absent;
    int64_t unlike = -1;
    int rc = user_read(store, table, key, store->values, &present);

    if (rc == GV_OK)
        rc = user_present(store, table, key, alive, &present);
    if (rc != GV_OK)
        return rc;
    if (present && alive)
        unlike = column_unlike(verify, table, row);
    user_read_done(table);
    if (present == alive && unlike < 0)
        return GV_OK;
    rc = journal_has(store, table, key);
    if (rc != 0)
        return rc > 0 ? GV_OK : rc;
    GV_ASSERT(unlike < (int64_t)table->column_count);
    if (present != alive)
        report(verify, table, key,
               present ? "the row is there, and the log says it is deleted"
                       : "the row is gone, and the log says it is there");
    else
        report_column(verify, table, key, (size_t)unlike,
                      "the value of column '%s' is not the one its digest was"
                      " made of");
    return GV_OK;
}

static int check_records(struct verify *verify,
                         const struct store_table *table,
                         const struct row_key *key)
{
    struct store *store = verify->store;
    const struct row *row = &store->space.row;

    GV_ASSERT(!sqlite3_stmt_busy(verify->ver_find));
    GV_ASSERT(row->record_count == store->space.before_count);
    for (size_t i = 0; i < row->record_count; i++) {
        const struct record *record = &row->records[i];
        int rc;

        GV_ASSERT(record->site < store->site_count); /* rows_find() looked */
        if (record->version >
                vv_get(&store->vv, &store->sites[record->site]) &&
            store->committed.busy == 0)
            report(verify, table, key,
                   "a record is newer than the version vector");
        sqlite3_bind_int64(verify->ver_find, 1, record->site);
        sqlite3_bind_int64(verify->ver_find, 2,
                           (sqlite3_int64)record->version);
        sqlite3_bind_int64(verify->ver_find, 3, table->id);
        sqlite3_bind_int64(verify->ver_find, 4, store->space.rid);
        rc = sql_step(verify->ver_find);
        if (rc < 0)
            return rc;
        if (rc == 0)
            report(verify, table, key, "a record is missing from gv_ver");
        sqlite3_reset(verify->ver_find);
    }
    verify->verified->records += row->record_count;
    verify->table_records += row->record_count;
    return GV_OK;
}

static int check_row(struct verify *verify, struct store_table *table,
                     const struct row_key *key)
{
    struct store *store = verify->store;
    struct gv_error error = {0};
    int rc = rows_find(store, table, key, &error);

    verify->verified->rows++;
    if (rc == GV_ECORRUPT) {
        verify->damaged = true;
        report(verify, table, key,
               "its state in the log is damaged (a mask, a digest or a record"
               " is not what was written)");
        return GV_OK;
    }
    if (rc != GV_OK)
        return rc;
    verify->sum = hash128_add(verify->sum, store->space.before_sum);
    rc = check_records(verify, table, key);
    if (rc == GV_OK)
        rc = parked_find(store, table);
    if (rc != GV_OK)
        return rc;
    check_parked(verify, table, key);
    return table->shown ? check_values(verify, table, key) : GV_OK;
}

/* Run @statement, whose columns are a key, and do @each with it. */
static int for_each_key(struct verify *verify, struct store_table *table,
                        sqlite3_stmt *statement,
                        int (*each)(struct verify *, struct store_table *,
                                    const struct row_key *))
{
    struct buffer bytes;
    struct row_key key;
    bool null;
    int rc;

    GV_ASSERT(!sqlite3_stmt_busy(statement));
    GV_ASSERT((size_t)sqlite3_column_count(statement) == table->key_count);
    buffer_init(&bytes, SIZE_MAX);
    while ((rc = sql_step(statement)) > 0) {
        buffer_clear(&bytes);
        rc = row_key_read(statement, 0, table->key_count, &bytes, &null);
        if (rc != GV_OK)
            break;
        if (null)
            continue;
        rc = row_key_decode(&key, bytes.data, bytes.size, table->key_count);
        if (rc == GV_OK)
            rc = each(verify, table, &key);
        if (rc != GV_OK)
            break;
    }
    buffer_close(&bytes);
    return rc;
}

static int report_unknown(struct verify *verify, struct store_table *table,
                          const struct row_key *key)
{
    int rc = journal_has(verify->store, table, key);

    if (rc == 0)
        report(verify, table, key,
               "the row is not in the log: it was written past the triggers");
    return rc < 0 ? rc : GV_OK;
}

/* "a,b" of our key columns or the user's, and the comparison of the two.  The
 * plus takes the affinity off the user's column: with it SQLite would convert
 * ours, and could not use their index. */
static int prepare_walks(struct store *store, const struct store_table *table,
                         sqlite3_stmt **ours, sqlite3_stmt **unknown)
{
    sqlite3_str *names = sqlite3_str_new(NULL), *same = sqlite3_str_new(NULL);
    sqlite3_str *theirs = sqlite3_str_new(NULL);
    char *name_text, *same_text, *their_text;
    int rc = GV_ENOMEM;

    for (size_t i = 0; i < table->key_count; i++) {
        char name[24] = "rid";

        if (!table->integer_key)
            sqlite3_snprintf(sizeof name, name, "k%d", (int)i + 1);
        sqlite3_str_appendf(names, "%sr.%s", i == 0 ? "" : ",", name);
        if (!table->shown)
            continue;
        sqlite3_str_appendf(theirs, "%st.\"%w\"", i == 0 ? "" : ",",
                            table->keys[i].local);
        sqlite3_str_appendf(same, "%sr.%s=+t.\"%w\"", i == 0 ? "" : " AND ",
                            name, table->keys[i].local);
    }
    name_text = sqlite3_str_finish(names);
    their_text = sqlite3_str_finish(theirs);
    same_text = sqlite3_str_finish(same);
    *ours = *unknown = NULL;
    if (name_text != NULL)
        rc = sql_prepare(store->db, ours,
                         "SELECT %s FROM gv_row_%lld AS r ORDER BY %s",
                         name_text, (long long)table->id, name_text);
    if (rc == GV_OK && table->shown)
        rc = their_text == NULL || same_text == NULL
                 ? GV_ENOMEM
                 : sql_prepare(
                       store->db, unknown,
                       "SELECT %s FROM main.\"%w\" AS t WHERE NOT EXISTS"
                       "(SELECT 1 FROM gv_row_%lld AS r WHERE %s)",
                       their_text, table->local, (long long)table->id,
                       same_text);
    sqlite3_free(name_text);
    sqlite3_free(their_text);
    sqlite3_free(same_text);
    return rc;
}

static int verify_table(struct verify *verify, struct store_table *table)
{
    sqlite3_stmt *ours, *unknown;
    int64_t listed = 0;
    int rc;

    if (table->fault != NULL)
        report(verify, table, NULL, table->fault);
    verify->table_records = verify->table_parked = 0;
    rc = prepare_walks(verify->store, table, &ours, &unknown);
    if (rc == GV_OK)
        rc = for_each_key(verify, table, ours, check_row);
    if (rc == GV_OK && table->shown)
        rc = for_each_key(verify, table, unknown, report_unknown);
    sqlite3_finalize(ours);
    sqlite3_finalize(unknown);
    if (rc == GV_OK)
        rc = sql_number(verify->store->db, &listed,
                        "SELECT count(*) FROM gv_ver WHERE tbl=%lld",
                        (long long)table->id);
    if (rc == GV_OK && !verify->damaged &&
        (uint64_t)listed > verify->table_records)
        report(verify, table, NULL, "gv_ver lists records that no row has");
    if (rc == GV_OK)
        rc = sql_number(verify->store->db, &listed,
                        "SELECT count(*) FROM gv_parked WHERE tbl=%lld",
                        (long long)table->id);
    if (rc == GV_OK && !verify->damaged &&
        (uint64_t)listed > verify->table_parked)
        report(verify, table, NULL, "gv_parked has cells that no row has");
    return rc;
}

static int verify_file(struct verify *verify)
{
    sqlite3_stmt *check;
    int rc = sql_prepare(verify->store->db, &check, "PRAGMA quick_check(10)");

    while (rc == GV_OK && (rc = sql_step(check)) > 0) {
        const char *text = (const char *)sqlite3_column_text(check, 0);

        if (!sql_checked(text))
            report(verify, NULL, NULL, text == NULL ? "unreadable" : text);
        rc = GV_OK;
    }
    sqlite3_finalize(check);
    return rc;
}

/* The one in the file, not the one in memory. */
static int check_fingerprint(struct verify *verify)
{
    sqlite3_stmt *statement;
    int rc = sql_prepare(verify->store->db, &statement,
                         "SELECT fingerprint FROM gv_meta WHERE id=1");

    GV_ASSERT(!verify->damaged); /* the sum would lack what is damaged */
    if (rc == GV_OK)
        rc = sql_step(statement);
    if (rc == 1) {
        const uint8_t *bytes = sqlite3_column_blob(statement, 0);

        if (sqlite3_column_bytes(statement, 0) != 16 ||
            load_u64(bytes) != verify->sum.high ||
            load_u64(bytes + 8) != verify->sum.low)
            report(verify, NULL, NULL,
                   "the fingerprint is not the sum of the records");
        rc = GV_OK;
    }
    sqlite3_finalize(statement);
    return rc;
}

static int verify_all(struct verify *verify)
{
    struct store *store = verify->store;
    int64_t version = store->schema_version;
    int rc = verify_file(verify);

    if (rc != GV_OK || !store->joined)
        return rc;
    /* What is recomputed and what it is compared with are one moment's. */
    GV_ASSERT(!sqlite3_get_autocommit(store->db));
    /* The next transaction still registers what is new. */
    rc = schema_refresh(store, false, NULL);
    store->schema_version = version;
    if (rc != GV_OK)
        return rc;
    rc = sql_prepare(store->db, &verify->ver_find,
                     "SELECT 1 FROM gv_ver WHERE site=?1 AND version=?2 AND"
                     " tbl=?3 AND rid=?4");
    for (size_t i = 0; i < store->table_count && rc == GV_OK; i++)
        rc = verify_table(verify, store->tables[i]);
    sqlite3_finalize(verify->ver_find);
    if (rc == GV_OK && !verify->damaged)
        rc = check_fingerprint(verify);
    for (size_t i = 0; i < store->vv.count && rc == GV_OK; i++)
        if (store->vv.entries[i].version > store->numbers.clock)
            report(verify, NULL, NULL,
                   "the clock is behind the version vector");
    return rc;
}

int store_verify(struct store *store,
                 void (*found)(void *context, const struct store_finding *),
                 void *context, struct store_verified *verified,
                 struct gv_error *error)
{
    struct verify verify = {.store = store,
                            .found = found,
                            .context = context,
                            .verified = verified};
    sqlite3_int64 changes = sqlite3_total_changes64(store->db);
    int rc;

    GV_ASSERT(found != NULL);
    GV_ASSERT(!store->in_transaction);
    *verified = (struct store_verified){0};
    rc = sql_run(store->db, "BEGIN");
    if (rc == GV_OK)
        rc = verify_all(&verify);
    if (rc != GV_OK)
        sql_fail(store->db, rc, error, "cannot verify");
    if (!sqlite3_get_autocommit(store->db))
        sql_run(store->db, "ROLLBACK");
    GV_ASSERT(sqlite3_total_changes64(store->db) == changes);
    GV_ASSERT(!store->firing);
    return rc;
}
