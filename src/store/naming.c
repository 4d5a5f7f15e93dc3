/* Under which name a table is shared: which registration it takes up, or what
 * a new one is called on the wire.
 *
 * A registration's key columns never change.  So a table that was made anew
 * with other ones is another table: it is called by its name and its key, such
 * as "t(a, b)", so that all files that change it in the same way share it.
 * The rows under the old key stay in the log for other nodes. */
#include "store/naming.h"

#include "base/assert.h"
#include "store/borrowed.h"
#include "store/internal.h"
#include "store/schema.h"
#include "store/tables.h"

#include <stdlib.h>
#include <string.h>

static char *key_list(const struct store_table *table, bool wire)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    GV_ASSERT(table->key_count > 0 && table->key_count <= KEY_COLUMNS_MAX);
    for (size_t i = 0; i < table->key_count; i++)
        sqlite3_str_appendf(text, "%s%s", i == 0 ? "" : ", ",
                            wire ? table->keys[i].wire : table->keys[i].local);
    return sqlite3_str_finish(text);
}

char *naming_keys(const struct store_table *table)
{
    return key_list(table, false);
}

char *naming_by_key(const char *name, const struct store_table *table)
{
    char *keys = key_list(table, true);
    char *text = keys == NULL ? NULL : sqlite3_mprintf("%s(%s)", name, keys);

    sqlite3_free(keys);
    return text;
}

static int other_keys(const struct store_table *known,
                      const struct store_table *now, struct gv_error *error)
{
    char *theirs = naming_keys(known), *ours = naming_keys(now);

    error_set(error, GV_EREFUSED,
              "Table '%s' has other key columns (%s) than the mesh's table"
              " '%s' (%s).",
              now->local, ours == NULL ? "" : ours, known->wire,
              theirs == NULL ? "" : theirs);
    error_meaning(error, "Their rows could not be told to be the same.");
    error_remedy(error,
                 "Compare the two CREATE TABLE statements and make the"
                 " table as the peers have it, or give this one another name;"
                 " or, if no node shares the mesh's any more, forget it with"
                 " 'grapevine untrack DB %s --purge'.",
                 known->wire);
    sqlite3_free(theirs);
    sqlite3_free(ours);
    return GV_EREFUSED;
}

static bool key_is(const struct store_table *table, size_t i, const char *name)
{
    return sqlite3_stricmp(table->keys[i].wire, name) == 0 ||
           sqlite3_stricmp(table->keys[i].local, name) == 0;
}

static bool has_column(const struct store_table *table, const char *name)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (sqlite3_stricmp(table->columns[i].wire, name) == 0)
            return true;
    return false;
}

/* Whether all key columns have one another's names. */
static bool same_names(const struct store_table *known,
                       const struct store_table *now)
{
    bool same = known->key_count == now->key_count;

    for (size_t i = 0; same && i < now->key_count; i++)
        same = key_is(known, i, now->keys[i].local);
    return same;
}

/* Whether @now can be @known.  Keys are one another's by their place; names in
 * other places mean that the places are not the same.  Of a table that has
 * had another key here each name counts. */
static bool same_keys(const struct store_table *known,
                      const struct store_table *now)
{
    if (known->key_count != now->key_count)
        return false;
    if (known->away == AWAY_KEYS)
        return same_names(known, now);
    GV_ASSERT(now->key_count > 0 && now->key_count <= KEY_COLUMNS_MAX);
    for (size_t i = 0; i < now->key_count; i++) {
        if (has_column(known, now->keys[i].local) ||
            has_column(now, known->keys[i].local))
            return false;
        for (size_t j = 0; j < known->key_count; j++)
            if (i != j && key_is(known, j, now->keys[i].local))
                return false;
    }
    return true;
}

static int taken_name(const char *local, struct gv_error *error)
{
    error_set(error, GV_EREFUSED,
              "Peers know another table of this file as '%s'.", local);
    error_meaning(error, "A table keeps the name under which it was first"
                         " tracked; two would then be one.");
    error_remedy(error, "Give this table another name.");
    return GV_EREFUSED;
}

/* How well @known fits; more is better. */
static int fitness(const struct store_table *known,
                   const struct store_table *now)
{
    int fit = same_names(known, now) ? 2 : 0;

    GV_ASSERT(same_keys(known, now));
    return fit + (sqlite3_stricmp(known->wire, now->local) == 0);
}

/* The registrations that bear @now's name, on the wire or in a file: *@known
 * is the one that fits best, *@other is one that @now cannot be. */
static void look_up(struct store *store, const struct store_table *now,
                    struct store_table **known, struct store_table **other)
{
    *known = *other = NULL;
    for (size_t i = 0; i < store->table_count; i++) {
        struct store_table *table = store->tables[i];

        if (table->tracked || (sqlite3_stricmp(table->wire, now->local) != 0 &&
                               sqlite3_stricmp(table->local, now->local) != 0))
            continue;
        if (same_keys(table, now))
            *known =
                *known == NULL || fitness(table, now) > fitness(*known, now)
                    ? table
                    : *known;
        else if (*other == NULL || table->away == AWAY_KEYS)
            *other = table;
    }
    GV_ASSERT(*known == NULL || !(*known)->tracked);
}

/* The key changed here: the name has the key in it. */
static int name_by_key(struct store *store, struct store_table *now,
                       struct store_table **known, struct gv_error *error)
{
    char *text = naming_by_key(now->wire, now);
    char *wire = text == NULL ? NULL : strdup(text);
    struct store_table *taken;

    GV_ASSERT(!now->tracked && *known == NULL);
    sqlite3_free(text);
    if (wire == NULL)
        return GV_ENOMEM;
    free(now->wire);
    now->wire = wire;
    taken = schema_by_wire(store, wire, strlen(wire));
    if ((taken != NULL && (taken->tracked || !same_keys(taken, now))) ||
        !stream_name_valid(stream_text(wire)))
        return taken_name(wire, error);
    GV_ASSERT(taken == NULL || taken->key_count == now->key_count);
    *known = taken;
    return GV_OK;
}

int naming_find(struct store *store, struct store_table *now,
                struct store_table **known, struct gv_error *error)
{
    struct store_table *other;

    GV_ASSERT(!now->tracked && now->local != NULL);
    look_up(store, now, known, &other);
    if (*known != NULL)
        return GV_OK;
    if (other != NULL && other->away == AWAY_KEYS)
        return name_by_key(store, now, known, error);
    if (other != NULL)
        return other_keys(other, now, error);
    /* The name is free on the wire, unless a tracked table has it that is
     * called otherwise here. */
    return schema_by_wire(store, now->wire, strlen(now->wire)) == NULL
               ? GV_OK
               : taken_name(now->local, error);
}

int naming_take(struct store *store, const char *local, int64_t id)
{
    int rc = GV_OK;

    GV_ASSERT(transaction_open(store) && id > 0);
    for (size_t i = 0; i < store->table_count && rc == GV_OK; i++) {
        const struct store_table *table = store->tables[i];
        char *name;

        GV_ASSERT(table->id > 0);
        if (table->id == id || table->tracked ||
            sqlite3_stricmp(table->local, local) != 0)
            continue;
        name = sqlite3_stricmp(table->wire, local) == 0
                   ? naming_by_key(table->wire, table)
                   : sqlite3_mprintf("%s", table->wire);
        rc = name == NULL
                 ? GV_ENOMEM
                 : sql_run(store->db,
                           "UPDATE gv_table SET local=%Q WHERE id=%lld", name,
                           (long long)table->id);
        sqlite3_free(name);
    }
    return rc;
}
