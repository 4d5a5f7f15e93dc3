/* The user's rows of an extract of all, read in the order in which they lie.
 *
 * A delta goes in key order, and rows that were written in another order lie
 * apart in it: each would be a page that the cache lost long ago.  So the
 * rowids of many rows are read first, from the key's index, in its order;
 * then the rows in the order of their rowids, whose values are kept in
 * memory; then the log is walked in key order and each row sent.  With 65,536
 * rows out of 200,000 a page is read 3 times, not 30.
 *
 * Where the rows lie in key order anyway (the first of them tell), where there
 * are few, or no rowid, one join reads both sides. */
#include "store/extract.h"

#include "base/assert.h"
#include "store/batch.h"
#include "store/rowids.h"

#include <stdlib.h>
#include <string.h>

/* Values that are kept at once, and what is read by itself where they take
 * more: 65,536 rows of 4 columns with 130 bytes in them take 10 MB. */
#define VALUES_SIZE_MAX (12u * 1024 * 1024)
/* Of limits.extract_many: the first rows, which tell whether the table is
 * gathered and how large a row is, and the most at once (65,536). */
#define FIRST_PART 8
#define MOST_FACTOR 8
/* Rowids that ascend from one row to the next: of 8 rows so many do where the
 * table was filled in key order; half of them where it was not. */
#define ASCENDING_OF_8 7

/* How many rows ahead values are asked for, and how many bytes of a row. */
#define FETCH_ROWS 4
#define FETCH_LINE 64
#define FETCH_SIZE_MAX 1024

/* In gather_row.values_at. */
#define ABSENT UINT32_MAX       /* the user's table has no such row */
#define SINGLY (UINT32_MAX - 1) /* its values had no room */

struct gather_row {
    int64_t rid; /* of the log's row: it is the one that is sent next */
    int64_t rowid;
    uint32_t values_at;
};

enum gather_phase {
    GATHER_FIND, /* rowids, in key order */
    GATHER_READ, /* values, in rowid order */
    GATHER_SEND, /* in key order again */
    GATHER_ENDED
};

struct gather {
    struct store *store;
    enum gather_phase phase;
    bool first; /* the rows at hand are the table's first */
    bool found; /* all of the table's rowids */
    sqlite3_stmt *find, *read, *read_one, *log;
    struct gather_row *rows;
    size_t count, room, at;
    size_t ascents;
    struct rowids rowids;
    struct rowid *spare; /* for the sort */
    struct buffer values;
};

static void end_statement(struct extract *extract, sqlite3_stmt *statement)
{
    if (statement != NULL)
        extract_add_effort(extract, statement);
    sqlite3_finalize(statement);
}

void gather_end(struct extract *extract)
{
    struct gather *gather = extract->gather;

    if (gather == NULL)
        return;
    GV_ASSERT(gather->at <= gather->count);
    end_statement(extract, gather->find);
    end_statement(extract, gather->read);
    end_statement(extract, gather->read_one);
    end_statement(extract, gather->log);
    buffer_close(&gather->values);
    free(gather->rows);
    free(gather->rowids.list);
    free(gather->spare);
    free(gather);
    extract->gather = NULL;
    extract->store->rowids = NULL;
}

/* Begin */

/* Whether the rows have a rowid apart from their key, and how many there are
 * at most. */
static int look(struct extract *extract, const struct store_table *table,
                bool *gathers)
{
    struct store *store = extract->store;
    int64_t rows = 0, hidden = 0;
    int rc;

    *gathers = false;
    if (store->borrowed || table->integer_key ||
        (!table->shown && !table->stands))
        return GV_OK;
    rc = sql_number(store->reader, &rows,
                    "SELECT coalesce(max(rid),0) FROM gv_row_%lld",
                    (long long)table->id);
    if (rc != GV_OK || rows < (int64_t)store->limits.extract_many)
        return rc;
    rc = batch_rowid_hidden(store->reader, table, &hidden);
    *gathers = rc == GV_OK && hidden == 0;
    return rc;
}

static int prepare(struct extract *extract, const struct store_table *table)
{
    struct gather *gather = extract->gather;
    sqlite3 *db = extract->store->reader;
    char *keys = outgoing_keys(table), *join = outgoing_join(table);
    char *names = outgoing_names(table);
    int rc = keys == NULL || join == NULL || names == NULL ? GV_ENOMEM : GV_OK;

    if (rc == GV_OK)
        rc = sql_prepare(db, &gather->find,
                         "SELECT r.rid,t._rowid_ FROM gv_row_%lld AS r%s"
                         " ORDER BY %s",
                         (long long)table->id, join, keys);
    if (rc == GV_OK)
        rc = sql_prepare(db, &gather->read,
                         "SELECT t._rowid_%s FROM gv_rowids AS b LEFT JOIN"
                         " main.\"%w\" AS t ON t._rowid_=b.place",
                         names, table->local);
    if (rc == GV_OK)
        rc = sql_prepare(db, &gather->read_one,
                         "SELECT t._rowid_%s FROM main.\"%w\" AS t WHERE"
                         " t._rowid_=?1",
                         names, table->local);
    if (rc == GV_OK)
        rc = sql_prepare(db, &gather->log,
                         "SELECT r.rid,r.cl,r.state,NULL,%s FROM gv_row_%lld"
                         " AS r ORDER BY %s",
                         keys, (long long)table->id, keys);
    sqlite3_free(keys);
    sqlite3_free(join);
    sqlite3_free(names);
    return rc;
}

int gather_begin(struct extract *extract, const struct store_table *table)
{
    struct store *store = extract->store;
    size_t most = store->limits.extract_many * MOST_FACTOR;
    struct gather *gather;
    bool gathers;
    int rc = look(extract, table, &gathers);

    GV_ASSERT(extract->whole && extract->gather == NULL);
    if (rc != GV_OK || !gathers)
        return rc;
    gather = calloc(1, sizeof *gather);
    if (gather == NULL)
        return GV_ENOMEM;
    gather->store = store;
    gather->first = true;
    gather->room = store->limits.extract_many / FIRST_PART + 2;
    buffer_init(&gather->values, SINGLY);
    GV_ASSERT(gather->room <= most);
    gather->rows = malloc(most * sizeof *gather->rows);
    gather->rowids.list = malloc(most * sizeof *gather->rowids.list);
    gather->spare = malloc(most * sizeof *gather->spare);
    extract->gather = gather;
    store->rowids = &gather->rowids;
    rc = gather->rows == NULL || gather->rowids.list == NULL ||
                 gather->spare == NULL
             ? GV_ENOMEM
             : prepare(extract, table);
    if (rc == GV_OK)
        return GV_OK;
    gather_end(extract);
    return rc == GV_ESCHEMA ? GV_OK : rc; /* a table WITHOUT ROWID */
}

sqlite3_stmt *gather_log(const struct gather *gather)
{
    GV_ASSERT(gather->log != NULL);
    return gather->log;
}

/* Find */

/* Whether the first rows lie in key order: then there is nothing to gain. */
static bool in_order(const struct gather *gather)
{
    GV_ASSERT(gather->ascents <= gather->rowids.count);
    return gather->first &&
           gather->ascents >= gather->rowids.count * ASCENDING_OF_8 / 8;
}

static void note_row(struct gather *gather)
{
    struct gather_row *row = &gather->rows[gather->count];
    struct rowids *rowids = &gather->rowids;
    bool absent = sqlite3_column_type(gather->find, 1) == SQLITE_NULL;

    GV_ASSERT(gather->count < gather->room);
    row->rid = sqlite3_column_int64(gather->find, 0);
    row->rowid = absent ? 0 : sqlite3_column_int64(gather->find, 1);
    row->values_at = ABSENT;
    if (!absent) {
        gather->ascents += rowids->count == 0 ||
                           rowids->list[rowids->count - 1].rowid < row->rowid;
        rowids->list[rowids->count++] =
            (struct rowid){row->rowid, (uint32_t)gather->count};
    }
    gather->count++;
}

static int find(struct gather *gather)
{
    int rc = gather->found ? 0 : sql_step(gather->find);

    if (rc < 0)
        return rc;
    gather->found = rc == 0;
    if (rc > 0)
        note_row(gather);
    if (!gather->found && gather->count < gather->room)
        return GV_OK;
    GV_ASSERT(gather->found || gather->count > 0);
    gather->phase = gather->count > 0 ? GATHER_READ : GATHER_ENDED;
    if (!in_order(gather))
        rowids_sort(&gather->rowids, &gather->spare);
    return GV_OK;
}

/* Read: a value is kept as a byte that holds its class and its size, then 4
 * bytes with the size if that is too large for the head, then its bytes; a
 * number has 8. */
#define CLASS_BITS 3
#define SIZE_ELSEWHERE (UINT8_MAX >> CLASS_BITS)

_Static_assert(VALUE_BLOB < 1 << CLASS_BITS, "a class fits");

static int keep_value(struct buffer *out, const struct value *value)
{
    bool sized = value->class >= VALUE_TEXT;
    uint32_t size = (uint32_t)value->size;
    bool elsewhere = sized && size >= SIZE_ELSEWHERE;
    uint8_t *at = buffer_extend(out, 1 + (elsewhere ? sizeof size : 0) +
                                         (sized ? value->size : 8));

    if (at == NULL)
        return out->error;
    GV_ASSERT(value->size <= VALUES_SIZE_MAX);
    *at++ = (uint8_t)((unsigned)value->class | (elsewhere ? SIZE_ELSEWHERE
                                                : sized   ? size
                                                          : 0)
                                                   << CLASS_BITS);
    if (elsewhere) {
        memcpy(at, &size, sizeof size);
        at += sizeof size;
    }
    if (sized && size > 0)
        memcpy(at, value->bytes, size);
    else if (value->class == VALUE_REAL)
        memcpy(at, &value->real, sizeof value->real);
    else if (!sized)
        memcpy(at, &value->integer, sizeof value->integer);
    return GV_OK;
}

/* Returns where the next one lies. */
static const uint8_t *kept_value(const uint8_t *at, struct value *value)
{
    uint8_t head = *at++;
    uint32_t size = head >> CLASS_BITS;

    value->class = (enum value_class)(head % (1u << CLASS_BITS));
    value->size = 0;
    GV_ASSERT(value->class <= VALUE_BLOB);
    if (value->class >= VALUE_TEXT) {
        if (size == SIZE_ELSEWHERE) {
            memcpy(&size, at, sizeof size);
            at += sizeof size;
        }
        value->size = size;
        value->bytes = at;
        return at + size;
    }
    if (value->class == VALUE_REAL)
        memcpy(&value->real, at, sizeof value->real);
    else
        memcpy(&value->integer, at, sizeof value->integer);
    return at + sizeof value->integer;
}

static int keep_values(struct gather *gather, struct gather_row *row)
{
    size_t start = gather->values.size;
    int columns = sqlite3_data_count(gather->read), rc = GV_OK;

    GV_ASSERT(row->values_at == ABSENT); /* each is read once */
    row->values_at = SINGLY;
    for (int i = 1; i < columns && rc == GV_OK; i++) {
        struct value value;

        sql_column_value(gather->read, i, &value);
        if (gather->values.size + value.size > VALUES_SIZE_MAX) {
            gather->values.size = start;
            return GV_OK;
        }
        rc = keep_value(&gather->values, &value);
    }
    row->values_at = (uint32_t)start;
    return rc;
}

static int read_user(struct gather *gather)
{
    struct rowids *rowids = &gather->rowids;
    struct rowid *next = &rowids->list[gather->at];
    int rc = sql_step(gather->read);

    if (rc < 0)
        return rc;
    if (rc > 0) {
        GV_ASSERT(gather->at < rowids->count);
        gather->at++;
        /* The key's index leads to a row that is not there. */
        if (sqlite3_column_type(gather->read, 0) == SQLITE_NULL)
            return GV_ECORRUPT;
        GV_ASSERT(sqlite3_column_int64(gather->read, 0) == next->rowid);
        return keep_values(gather, &gather->rows[next->row]);
    }
    GV_ASSERT(gather->at == rowids->count);
    sqlite3_reset(gather->read);
    gather->phase = GATHER_SEND;
    gather->at = 0;
    return GV_OK;
}

int gather_turn(struct extract *extract, bool *ready)
{
    struct gather *gather = extract->gather;
    int rc = GV_OK;

    *ready = gather->phase >= GATHER_SEND;
    if (gather->phase == GATHER_FIND)
        rc = find(gather);
    else if (gather->phase == GATHER_READ)
        rc = read_user(gather);
    return rc;
}

bool gather_in_vain(const struct gather *gather)
{
    return gather->phase == GATHER_READ && in_order(gather);
}

/* Send */

int gather_met(const struct gather *gather, bool row)
{
    bool expected = gather->phase == GATHER_SEND;

    GV_ASSERT(gather->phase >= GATHER_SEND);
    return row != expected || (row && sqlite3_column_int64(gather->log, 0) !=
                                          gather->rows[gather->at].rid)
               ? GV_ECORRUPT
               : GV_OK;
}

static int read_singly(struct gather *gather, const struct store_table *table,
                       int64_t rowid)
{
    int at = 1, rc;

    sqlite3_reset(gather->read_one);
    sqlite3_bind_int64(gather->read_one, 1, rowid);
    rc = sql_step(gather->read_one);
    if (rc <= 0)
        return rc == 0 ? GV_ECORRUPT : rc;
    for (size_t i = 0; i < table->column_count; i++)
        if (outgoing_is_there(&table->columns[i]))
            sql_column_value(gather->read_one, at++,
                             &gather->store->values[i]);
    GV_ASSERT(at == sqlite3_data_count(gather->read_one));
    return GV_OK;
}

int gather_values(struct gather *gather, const struct store_table *table,
                  bool *present)
{
    const struct gather_row *row = &gather->rows[gather->at];
    const uint8_t *at = gather->values.data;

    GV_ASSERT(gather->phase == GATHER_SEND && gather->at < gather->count);
    *present = row->values_at != ABSENT;
    if (!*present)
        return GV_OK;
    if (row->values_at == SINGLY)
        return read_singly(gather, table, row->rowid);
    GV_ASSERT(row->values_at <= gather->values.size);
    at += row->values_at;
    for (size_t i = 0; i < table->column_count; i++)
        if (outgoing_is_there(&table->columns[i]))
            at = kept_value(at, &gather->store->values[i]);
    GV_ASSERT(at <= gather->values.data + gather->values.size);
    return GV_OK;
}

/* As many rows as have room for their values, if they are as these. */
static size_t next_room(const struct gather *gather)
{
    size_t most = gather->store->limits.extract_many * MOST_FACTOR;
    size_t each = gather->values.size / gather->count + 1;
    size_t room = VALUES_SIZE_MAX / each / 8 * 7 + 1;

    GV_ASSERT(gather->count > 0);
    return room < most ? room : most;
}

/* The values lie where their row's place among the others is, so the processor
 * cannot tell which come next. */
static void fetch(const struct gather *gather, size_t index)
{
    size_t size = gather->values.size / gather->count;
    size_t at, end;

    if (index >= gather->count || gather->rows[index].values_at >= SINGLY)
        return;
    at = gather->rows[index].values_at;
    GV_ASSERT(at <= gather->values.size);
    end = at + (size < FETCH_SIZE_MAX ? size : FETCH_SIZE_MAX);
    for (; at < end && at < gather->values.size; at += FETCH_LINE)
        __builtin_prefetch(gather->values.data + at);
}

void gather_next(struct gather *gather)
{
    GV_ASSERT(gather->phase == GATHER_SEND && gather->at < gather->count);
    if (++gather->at < gather->count) {
        fetch(gather, gather->at + FETCH_ROWS);
        return;
    }
    gather->room = next_room(gather);
    gather->first = false;
    gather->phase = GATHER_FIND;
    gather->at = gather->count = gather->rowids.count = gather->ascents = 0;
    buffer_clear(&gather->values);
}
