/* A walk goes through each table twice: through its log by rid, where it
 * meets what was changed and what is gone, and through the user's table by
 * key, where it meets what the log does not know.  Where it stands is a rid or
 * a key, so a row that is written meanwhile is met or not, and either is
 * right: its triggers are there.  A row that could not be looked at has not
 * been met: the next slice begins with it. */
#include "store/walk.h"

#include "base/assert.h"
#include "store/audit.h"
#include "store/keys.h"
#include "store/seal.h"

#include <stdlib.h>

struct walk {
    struct store *store;
    struct store_table *table;
    struct audit_table *entry;
    walk_found *found;
    struct gv_error *error;
    size_t rows;       /* how many more */
    struct buffer key; /* of the row at hand */
};

void walk_start(struct store *store)
{
    struct audit *audit = &store->audit;

    audit->walk_table = 0;
    audit->walk_user = false;
    audit->walk_begun = false;
    buffer_clear(&audit->walk_key);
    GV_ASSERT(audit->walk_key.error == GV_OK);
}

/* For each key column its name in the log, in the user's table, or both, each
 * behind what stands @before it; sqlite3_free() it. */
static char *key_texts(const struct store_table *table, const char *between,
                       const char *before_log, const char *before_user,
                       const char *behind)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    GV_ASSERT(table->key_count > 0);
    for (size_t i = 0; i < table->key_count; i++) {
        sqlite3_str_appendall(text, i == 0 ? "" : between);
        if (before_log != NULL && table->integer_key)
            sqlite3_str_appendf(text, "%srid", before_log);
        else if (before_log != NULL)
            sqlite3_str_appendf(text, "%sk%d", before_log, (int)i + 1);
        if (before_user != NULL)
            sqlite3_str_appendf(text, "%s\"%w\"", before_user,
                                table->keys[i].local);
        sqlite3_str_appendall(text, behind);
    }
    return sqlite3_str_finish(text);
}

static int read_key(struct walk *walk, sqlite3_stmt *statement, int first,
                    bool *null)
{
    GV_ASSERT(first > 0 && walk->table->key_count > 0);
    buffer_clear(&walk->key);
    return row_key_read(statement, first, walk->table->key_count, &walk->key,
                        null);
}

/* Read the key at column @first and look at its row. */
static int look_at(struct walk *walk, sqlite3_stmt *statement, int first)
{
    struct store *store = walk->store;
    enum look look = LOOK_SAME;
    struct gv_error why = {0};
    struct row_key key;
    bool null;
    int rc = read_key(walk, statement, first, &null);

    if (rc != GV_OK || null)
        return rc;
    rc = row_key_decode(&key, walk->key.data, walk->key.size,
                        walk->table->key_count);
    if (rc == GV_OK)
        rc = seal_look(store, walk->table, &key, &look, &why);
    if (rc == GV_ECORRUPT) {
        /* Not a write that was missed, and no reason to stop. */
        log_line(&store->log, GV_LOG_ERROR, "%s %s %s", why.what, why.meaning,
                 why.remedy);
        store->audit.damaged_now++;
        return GV_OK;
    }
    if (rc != GV_OK && walk->error != NULL)
        *walk->error = why;
    if (rc == GV_OK && look != LOOK_SAME)
        rc = walk->found(store, walk->entry, walk->table, &key, look);
    return rc;
}

static int prepare_log(struct walk *walk, sqlite3_stmt **statement)
{
    char *keys = key_texts(walk->table, ",", "", NULL, "");
    int rc = GV_ENOMEM;

    if (keys != NULL)
        rc = sql_prepare(walk->store->db, statement,
                         "SELECT rid,cl%%2,%s FROM gv_row_%lld WHERE rid>=?1"
                         " ORDER BY rid LIMIT %lld",
                         keys, (long long)walk->table->id,
                         (long long)walk->rows);
    sqlite3_free(keys);
    return rc;
}

/* *@end when the log of this table has been walked. */
static int walk_log(struct walk *walk, bool *end)
{
    struct audit *audit = &walk->store->audit;
    sqlite3_stmt *statement = NULL;
    size_t met = 0, asked = walk->rows;
    int64_t last = INT64_MIN;
    int rc = prepare_log(walk, &statement);

    GV_ASSERT(!audit->walk_user && asked > 0);
    if (rc == GV_OK)
        sqlite3_bind_int64(statement, 1,
                           audit->walk_begun ? audit->walk_rid : INT64_MIN);
    while (rc == GV_OK && (rc = sql_step(statement)) > 0) {
        bool lives = sqlite3_column_int(statement, 1) != 0;

        rc = look_at(walk, statement, 2);
        if (rc != GV_OK)
            break;
        last = sqlite3_column_int64(statement, 0);
        walk->entry->live += lives;
        met++;
    }
    sqlite3_finalize(statement);
    GV_ASSERT(met <= asked);
    walk->rows -= met;
    *end = rc == GV_OK && (met < asked || last == INT64_MAX);
    if (met > 0) {
        audit->walk_begun = true;
        audit->walk_rid = last == INT64_MAX ? last : last + 1;
    }
    return rc;
}

/* The plus takes the affinity off the user's column: with it SQLite would
 * convert ours, and could not use their index. */
static int prepare_user(struct walk *walk, bool begun,
                        sqlite3_stmt **statement)
{
    const struct store_table *table = walk->table;
    char *keys = key_texts(table, ",", NULL, "t.", "");
    char *marks = key_texts(table, ",", NULL, NULL, "?");
    char *same = key_texts(table, " AND ", "r.", "=+t.", "");
    char *there = key_texts(table, " AND ", NULL, "t.", " IS NOT NULL");
    char *behind = begun ? sqlite3_mprintf(" AND (%s)>(%s)", keys, marks)
                         : sqlite3_mprintf("");
    int rc = GV_ENOMEM;

    if (keys != NULL && same != NULL && there != NULL && behind != NULL)
        rc = sql_prepare(walk->store->db, statement,
                         "SELECT NOT EXISTS(SELECT 1 FROM gv_row_%lld AS r"
                         " WHERE %s),%s FROM main.\"%w\" AS t"
                         " WHERE %s%s ORDER BY %s LIMIT %lld",
                         (long long)table->id, same, keys, table->local, there,
                         behind, keys, (long long)walk->rows);
    sqlite3_free(keys);
    sqlite3_free(marks);
    sqlite3_free(same);
    sqlite3_free(there);
    sqlite3_free(behind);
    return rc;
}

static int bind_behind(struct walk *walk, sqlite3_stmt *statement)
{
    const struct buffer *bytes = &walk->store->audit.walk_key;
    struct row_key key;
    int rc =
        row_key_decode(&key, bytes->data, bytes->size, walk->table->key_count);

    GV_ASSERT(rc == GV_OK); /* it was read here */
    for (size_t i = 0; i < key.count; i++)
        sql_bind_value(statement, (int)i + 1, &key.values[i]);
    return rc;
}

/* A row of the user's table, which is new if the log has none. */
static int meet_user(struct walk *walk, sqlite3_stmt *statement)
{
    struct audit *audit = &walk->store->audit;
    struct buffer passed;
    bool null = false;
    int rc = sqlite3_column_int(statement, 0) != 0
                 ? look_at(walk, statement, 1)
                 : read_key(walk, statement, 1, &null);

    GV_ASSERT(!null); /* the statement leaves them out */
    if (rc != GV_OK)
        return rc;
    passed = audit->walk_key;
    audit->walk_key = walk->key;
    walk->key = passed;
    audit->walk_begun = true;
    return GV_OK;
}

static int walk_user(struct walk *walk, bool *end)
{
    struct audit *audit = &walk->store->audit;
    sqlite3_stmt *statement = NULL;
    size_t met = 0, asked = walk->rows;
    int rc = prepare_user(walk, audit->walk_begun, &statement);

    GV_ASSERT(audit->walk_user && asked > 0);
    if (rc == GV_OK && audit->walk_begun)
        rc = bind_behind(walk, statement);
    while (rc == GV_OK && (rc = sql_step(statement)) > 0) {
        rc = meet_user(walk, statement);
        met += rc == GV_OK;
    }
    sqlite3_finalize(statement);
    GV_ASSERT(met <= asked);
    walk->rows -= met;
    *end = rc == GV_OK && met < asked;
    return rc;
}

/* The table at hand to its end, or as far as the rows go. */
static int walk_table(struct walk *walk, bool *end)
{
    struct audit *audit = &walk->store->audit;
    bool ended = false;
    int rc = GV_OK;

    GV_ASSERT(walk->rows > 0 && walk->table->fault == NULL);
    *end = false;
    if (!audit->walk_user) {
        rc = walk_log(walk, &ended);
        if (rc != GV_OK || !ended)
            return rc;
        audit->walk_user = true;
        audit->walk_begun = false;
    }
    GV_ASSERT(audit->walk_user);
    return walk->rows == 0 ? GV_OK : walk_user(walk, end);
}

static bool is_walked(const struct store_table *table,
                      const struct audit_table *entry, bool publish)
{
    GV_ASSERT(table->id == entry->id);
    return table->tracked && table->fault == NULL &&
           (!publish || entry->publish);
}

int walk_slice(struct store *store, size_t rows, bool publish,
               walk_found *found, bool *done, struct gv_error *error)
{
    struct walk walk = {
        .store = store, .found = found, .error = error, .rows = rows};
    struct audit *audit = &store->audit;
    int rc = GV_OK;

    GV_ASSERT(!sqlite3_get_autocommit(store->db)); /* one moment's rows */
    buffer_init(&walk.key, SIZE_MAX);
    while (rc == GV_OK && walk.rows > 0 &&
           audit->walk_table < store->table_count) {
        bool end = true;

        walk.table = store->tables[audit->walk_table];
        rc = audit_entry(store, walk.table->id, &walk.entry);
        if (rc == GV_OK && is_walked(walk.table, walk.entry, publish))
            rc = walk_table(&walk, &end);
        if (rc == GV_OK && end) {
            audit->walk_table++;
            audit->walk_user = false;
            audit->walk_begun = false;
        }
    }
    buffer_close(&walk.key);
    GV_ASSERT(audit->walk_table <= store->table_count);
    *done = audit->walk_table == store->table_count;
    return rc;
}
