/* One reading of the whole log: each row is looked at as extract and verify
 * look at it, and counts towards the sum of its range, or is written down.
 *
 * By the hash of its key a row's range is the same in all files, whatever its
 * local numbers, its records and the damage in them; so one pass with 4,096
 * sums and one over the ranges that differ find every row, where a search by
 * site and version would need a pass for each halving, and an order of keys
 * within a version besides. */
#include "store/pass.h"

#include "base/assert.h"
#include "store/cells.h"
#include "store/keys.h"
#include "store/open.h"
#include "store/state.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(PROOF_SUMS_SIZE + PROOF_PLACES_MAX * 8 <=
                   MESSAGE_DELTA_SIZE_MAX,
               "sums and what they leave out fit a frame");

uint64_t pass_place(struct buffer *bytes, const struct store_table *table,
                    const uint8_t *key, size_t key_size)
{
    buffer_clear(bytes);
    buffer_append_u64(bytes, table->wire_hash);
    buffer_append(bytes, key, key_size);
    return bytes->error == GV_OK ? hash64(bytes->data, bytes->size) : 0;
}

static int by_place(const void *a, const void *b)
{
    return memcmp(a, b, 8); /* big-endian */
}

static bool left_out(const struct pass *pass, uint64_t place)
{
    uint8_t bytes[8];

    GV_ASSERT(pass->left_out_size % 8 == 0);
    store_u64(bytes, place);
    return pass->left_out_size > 0 &&
           bsearch(bytes, pass->left_out, pass->left_out_size / 8, 8,
                   by_place) != NULL;
}

static int note_meet(struct pass *pass, struct vv_view meet)
{
    struct store *store = pass->store;
    struct vv vv;
    int rc;

    GV_ASSERT(pass->meet == NULL);
    vv_init(&vv);
    rc = vv_raise_view(&vv, meet);
    pass->site_count = store->site_count;
    pass->meet = calloc(store->site_count + 1, sizeof *pass->meet);
    if (pass->meet == NULL)
        rc = GV_ENOMEM;
    for (size_t i = 1; rc == GV_OK && i < store->site_count; i++)
        pass->meet[i] = vv_get(&vv, &store->sites[i]);
    vv_close(&vv);
    return rc;
}

/* A connection of its own: an extract may be reading on the other one. */
static int open_snapshot(struct pass *pass, struct gv_error *error)
{
    struct store *store = pass->store;
    int64_t mark = 0, same = 0;
    int rc;

    GV_ASSERT(pass->db == NULL);
    GV_ASSERT(pass->kind != PASS_SETTLE);
    GV_ASSERT(!store->in_transaction && !store->borrowed);
    if (store->moved || store->stale || store->schema_version == -1 ||
        store->committed.busy != 0)
        return error_set(error, GV_EBUSY,
                         "A long seal or apply is under"
                         " way.");
    rc = connection_open(store, &pass->db, error);
    if (rc != GV_OK)
        return rc;
    rc = sql_run(pass->db, "BEGIN");
    if (rc == GV_OK)
        rc = sql_number(pass->db, &mark, "SELECT mark FROM gv_meta");
    if (rc != GV_OK)
        return sql_fail(pass->db, rc, error, "cannot open a snapshot");
    if ((uint64_t)mark != store->mark)
        return error_set(error, GV_EMOVED,
                         "The file was replaced or restored while it was"
                         " open.");
    rc = sql_number(pass->db, &same,
                    "SELECT fingerprint IS x'%016llx%016llx' FROM gv_meta",
                    (unsigned long long)pass->kept.high,
                    (unsigned long long)pass->kept.low);
    pass->unlike = same == 0;
    return rc == GV_OK
               ? rc
               : sql_fail(pass->db, rc, error, "cannot read the fingerprint");
}

int pass_new(struct store *store, enum pass_kind kind, struct vv_view meet,
             struct pass **out, struct gv_error *error)
{
    struct pass *pass = calloc(1, sizeof *pass);
    int rc;

    if (pass == NULL)
        return error_set(error, GV_ENOMEM, "There is no memory left.");
    pass->store = store;
    pass->kind = kind;
    pass->generation = store->schema_generation;
    pass->kept = store->committed.fingerprint;
    buffer_init(&pass->key, SIZE_MAX);
    buffer_init(&pass->beyond, (size_t)PROOF_PLACES_MAX * 8);
    buffer_init(&pass->heads, MESSAGE_DELTA_SIZE_MAX - 1);
    rc = note_meet(pass, meet);
    GV_ASSERT(kind != PASS_SETTLE || store->in_transaction);
    if (kind == PASS_SETTLE)
        pass->db = store->db;
    else if (rc == GV_OK)
        rc = open_snapshot(pass, error);
    if (rc != GV_OK) {
        pass_free(pass);
        return rc;
    }
    *out = pass;
    return GV_OK;
}

static void end_table(struct pass *pass)
{
    sqlite3_finalize(pass->rows);
    sqlite3_finalize(pass->listed);
    sqlite3_finalize(pass->cells);
    pass->rows = pass->listed = pass->cells = NULL;
}

static void close_snapshot(struct pass *pass)
{
    end_table(pass);
    if (pass->kind != PASS_SETTLE && pass->db != NULL) {
        int rc = sqlite3_close(pass->db); /* its snapshot goes with it */

        GV_ASSERT(rc == SQLITE_OK);
    }
    pass->db = NULL;
}

void pass_free(struct pass *pass)
{
    if (pass == NULL)
        return;
    close_snapshot(pass);
    buffer_close(&pass->key);
    buffer_close(&pass->beyond);
    buffer_close(&pass->heads);
    free(pass->meet);
    free(pass);
}

/* Columns: rid, causal length, state, the key. */
#define READ_KEY 3

static int begin_table(struct pass *pass, const struct store_table *table)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    char *keys;
    int rc;

    GV_ASSERT(!table->integer_key || table->key_count == 1);
    GV_ASSERT(pass->listed == NULL && pass->cells == NULL);
    GV_ASSERT(pass->rows == NULL);
    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(text, table->integer_key ? ",rid" : ",k%d",
                            (int)i + 1);
    keys = sqlite3_str_finish(text);
    rc = keys == NULL ? GV_ENOMEM
                      : sql_prepare(pass->db, &pass->rows,
                                    "SELECT rid,cl,state%s FROM gv_row_%lld",
                                    keys, (long long)table->id);
    sqlite3_free(keys);
    if (rc == GV_OK)
        rc = sql_prepare(pass->db, &pass->listed,
                         pass->kind == PASS_SETTLE
                             ? "INSERT OR IGNORE INTO"
                               " gv_ver(site,version,tbl,rid)"
                               " VALUES(?1,?2,?3,?4)"
                             : "SELECT 1 FROM gv_ver WHERE site=?1 AND"
                               " version=?2 AND tbl=?3 AND rid=?4");
    if (rc == GV_OK && table->each_count > 0)
        rc = cells_prepare(pass->db, &pass->cells);
    return rc;
}

/* What extract finds of a row, it finds by gv_ver: GV_ECORRUPT, if that lacks
 * a record. */
static int check_listed(struct pass *pass, const struct store_table *table)
{
    const struct row *row = &pass->store->space.row;
    sqlite3_stmt *listed = pass->listed;
    int rc = 1;

    GV_ASSERT(row->record_count > 0);
    for (size_t i = 0; i < row->record_count && rc > 0; i++) {
        sqlite3_bind_int64(listed, 1, row->records[i].site);
        sqlite3_bind_int64(listed, 2, (sqlite3_int64)row->records[i].version);
        sqlite3_bind_int64(listed, 3, table->id);
        sqlite3_bind_int64(listed, 4, sqlite3_column_int64(pass->rows, 0));
        rc = sql_step(listed);
        if (rc == 0 && pass->kind == PASS_SETTLE)
            rc = 1;
        sqlite3_reset(listed);
    }
    return rc < 0 ? rc : rc == 0 ? GV_ECORRUPT : GV_OK;
}

/* The state of the row that is read into store->space, and its sum.
 * GV_ECORRUPT: it is not what was written. */
static int read_row(struct pass *pass, const struct store_table *table,
                    const struct row_key *key, struct hash128 *sum)
{
    struct store *store = pass->store;
    struct row *row = &store->space.row;
    uint32_t check;
    int rc;

    GV_ASSERT(sqlite3_data_count(pass->rows) >= READ_KEY);
    cells_clear(&store->space.cells);
    row->causal_length = (uint64_t)sqlite3_column_int64(pass->rows, 1);
    row_space_use(&store->space, table);
    rc = state_decode(sqlite3_column_blob(pass->rows, 2),
                      (size_t)sqlite3_column_bytes(pass->rows, 2),
                      table->column_count, &store->space, &check);
    for (size_t i = 0; rc == GV_OK && i < row->record_count; i++)
        if (row->records[i].site >= pass->site_count)
            rc = GV_ECORRUPT;
    if (rc == GV_OK)
        rc = state_hash(store, table, key->bytes, key->size, row, sum);
    if (rc == GV_OK && (uint32_t)sum->low != check)
        rc = GV_ECORRUPT;
    if (rc == GV_OK && table->each_count > 0)
        rc = cells_load(store, table, sqlite3_column_int64(pass->rows, 0),
                        pass->cells);
    return rc == GV_OK ? check_listed(pass, table) : rc;
}

static bool is_beyond(const struct pass *pass)
{
    const struct row *row = &pass->store->space.row;

    for (size_t i = 0; i < row->record_count; i++) {
        GV_ASSERT(row->records[i].site < pass->site_count);
        if (row->records[i].version > pass->meet[row->records[i].site])
            return true;
    }
    return false;
}

static void write_record(struct pass *pass, const struct store_table *table,
                         const struct record *record)
{
    const struct row *row = &pass->store->space.row;
    struct proof_record head = {
        .site = pass->store->sites[record->site],
        .version = record->version,
        .existence = mask_get(record->mask, ROW_EXISTENCE),
    };

    GV_ASSERT(record->site < pass->site_count);
    GV_ASSERT(head.cell_count <= table->column_count);
    head.cell_count =
        (uint32_t)(mask_count(record->mask, table->words) - head.existence);
    proof_write_record(&pass->heads, &head);
    for (size_t i = 0; i < table->column_count; i++) {
        size_t bit = table->order[i] + 1u;

        if (!mask_get(record->mask, bit))
            continue;
        buffer_append_u64(&pass->heads, table->columns[bit - 1].wire_hash);
        buffer_append_u64(&pass->heads,
                          (row_each(row, bit / 64) >> bit % 64 & 1) != 0
                              ? record->cells[row_rank(row, bit)]
                              : row->digests[bit]);
    }
}

static void write_head(struct pass *pass, const struct store_table *table,
                       const struct row_key *key, uint64_t place,
                       enum proof_kind kind)
{
    const struct row *row = &pass->store->space.row;
    struct proof_head head = {.place = place,
                              .kind = kind,
                              .table = {table->wire, strlen(table->wire)},
                              .key = key->bytes,
                              .key_size = key->size};
    size_t size = pass->heads.size;

    GV_ASSERT(pass->kind == PASS_HEADS);
    GV_ASSERT(pass->heads.error == GV_OK);
    if (kind == PROOF_SOUND) {
        head.causal_length = row->causal_length;
        head.record_count = (uint32_t)row->record_count;
    }
    proof_write_head(&pass->heads, &head);
    for (size_t i = 0; i < head.record_count; i++)
        write_record(pass, table, &row->records[i]);
    if (pass->heads.error != GV_ELIMIT)
        return;
    pass->heads.error = GV_OK;
    pass->heads.size = size;
    pass->cut = true;
}

static void count(struct pass *pass, uint64_t place, enum proof_kind kind,
                  struct hash128 sum)
{
    size_t range = proof_range(place);

    GV_ASSERT(pass->kind != PASS_HEADS);
    GV_ASSERT(range < PROOF_RANGES);
    pass->counts[range]++;
    if (kind == PROOF_DAMAGED) {
        proof_set_add(pass->damaged, range);
        pass->damaged_count++;
        return;
    }
    pass->total = hash128_add(pass->total, sum);
    if (kind == PROOF_BEYOND)
        buffer_append_u64(&pass->beyond, place);
    else if (!left_out(pass, place))
        pass->sums[range] = hash128_add(pass->sums[range], sum);
}

static int pass_over(struct pass *pass, int rc)
{
    pass->passed_over = true;
    return rc;
}

static int take_row(struct pass *pass, const struct store_table *table)
{
    struct buffer *bytes = &pass->key;
    enum proof_kind kind = PROOF_SOUND;
    struct hash128 sum = {0, 0};
    struct row_key key;
    uint64_t place;
    bool null;
    int rc;

    GV_ASSERT(pass->rows != NULL && !pass->done);
    buffer_clear(bytes);
    rc = row_key_read(pass->rows, READ_KEY, table->key_count, bytes, &null);
    if (rc != GV_OK || null ||
        row_key_decode(&key, bytes->data, bytes->size, table->key_count) !=
            GV_OK)
        return pass_over(pass, rc); /* no key that a peer could have */
    place = pass_place(&pass->store->hashed, table, key.bytes, key.size);
    if (pass->wanted != NULL &&
        !proof_set_has(pass->wanted, proof_range(place)))
        return pass_over(pass, GV_OK);
    rc = read_row(pass, table, &key, &sum);
    if (rc == GV_ECORRUPT)
        kind = PROOF_DAMAGED;
    else if (rc != GV_OK)
        return rc;
    else if (pass->kind != PASS_SETTLE && is_beyond(pass))
        kind = PROOF_BEYOND;
    if (pass->kind == PASS_HEADS)
        write_head(pass, table, &key, place, kind);
    else
        count(pass, place, kind, sum);
    if (kind != PROOF_DAMAGED)
        pass->records += pass->store->space.row.record_count;
    return pass->heads.error != GV_OK ? pass->heads.error : pass->beyond.error;
}

/* All rows were read: is there more in gv_ver than they have? */
static int look_for_strays(struct pass *pass)
{
    int64_t listed = 0;
    int rc;

    GV_ASSERT(pass->rows == NULL && !pass->strays);
    if (pass->passed_over || pass->damaged_count > 0 ||
        pass->kind == PASS_HEADS)
        return GV_OK;
    rc = sql_number(pass->db, &listed,
                    "SELECT count(*) FROM gv_ver WHERE tbl IN (SELECT id FROM"
                    " gv_table)");
    pass->strays = rc == GV_OK && (uint64_t)listed > pass->records;
    return rc;
}

static int step_once(struct pass *pass)
{
    struct store *store = pass->store;
    const struct store_table *table;
    int rc = GV_OK;

    GV_ASSERT(pass->table_at <= store->table_count);
    if (pass->table_at == store->table_count) {
        if (pass->beyond.size > 0)
            qsort(pass->beyond.data, pass->beyond.size / 8, 8, by_place);
        rc = look_for_strays(pass);
        if (rc != GV_OK)
            return rc;
        close_snapshot(pass);
        pass->done = true;
        return GV_OK;
    }
    table = store->tables[pass->table_at];
    if (pass->rows == NULL)
        rc = begin_table(pass, table);
    if (rc == GV_OK)
        rc = sql_step(pass->rows);
    if (rc > 0)
        return take_row(pass, table);
    if (rc == 0) {
        end_table(pass);
        pass->table_at++;
    }
    return rc;
}

int pass_step(struct pass *pass, size_t rows, struct gv_error *error)
{
    int rc = GV_OK;

    GV_ASSERT(!pass->done && rows > 0);
    if (pass->generation != pass->store->schema_generation)
        return error_set(error, GV_EBUSY,
                         "The schema moved while the rows were read.");
    for (; rows > 0 && rc == GV_OK && !pass->done; rows--)
        rc = step_once(pass);
    if (rc == GV_ELIMIT)
        return error_set(error, rc,
                         "More than %d rows were written since; let the two"
                         " nodes exchange them first.",
                         PROOF_PLACES_MAX);
    return rc == GV_OK ? rc
                       : sql_fail(pass->db, rc, error, "cannot read the log");
}
