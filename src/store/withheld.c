/* Local writes that cannot be sealed, since the log of their row is damaged:
 * what was written before nobody knows then.  They stay in the journal, the
 * last entry of each row, and are tried again by every seal; all the rest goes
 * on.  When the row's log was taken from a peer (mend.c), the next seal finds
 * what was written here.
 *
 * The list is that of the last seal, in memory: a transaction that is taken
 * back leaves it naming less or more than what waits, until the next one. */
#include "store/withheld.h"

#include "base/assert.h"
#include "store/journal.h"
#include "store/keys.h"

#include <string.h>

_Static_assert(WITHHELD_MAX < 1000, "a seal's usual slice is longer");

void withheld_clear(struct withheld *list)
{
    list->count = 0;
    list->row[0] = '\0';
}

bool withheld_has(const struct withheld *list, int64_t id)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->ids[i] == id)
            return true;
    return false;
}

bool withheld_add(struct store *store, struct withheld *list,
                  const struct journal_entry *entry, const struct row_key *key)
{
    char name[sizeof list->row];

    GV_ASSERT(!withheld_has(list, entry->id));
    if (list->count == WITHHELD_MAX)
        return false;
    row_name(entry->table, key, name, sizeof name);
    if (list->count == 0)
        memcpy(list->row, name, sizeof name);
    list->ids[list->count++] = entry->id;
    if (!withheld_has(&store->withheld, entry->id))
        log_line(&store->log, GV_LOG_ERROR,
                 "a change of %s stays here: the log of this row is damaged;"
                 " 'grapevine verify DB --peer ENDPOINT --repair' takes the"
                 " row's past from a peer, and the change is sent then",
                 name);
    return true;
}

char *withheld_list(const struct store *store)
{
    sqlite3_str *text;

    GV_ASSERT(store->withheld.count <= WITHHELD_MAX);
    if (store->withheld.count == 0)
        return sqlite3_mprintf("");
    text = sqlite3_str_new(NULL);
    for (size_t i = 0; i < store->withheld.count; i++)
        sqlite3_str_appendf(text, "%s%lld", i == 0 ? "" : ",",
                            (long long)store->withheld.ids[i]);
    return sqlite3_str_finish(text);
}

size_t store_withheld(const struct store *store, const char **row)
{
    GV_ASSERT(store->withheld.count <= WITHHELD_MAX);
    *row = store->withheld.row;
    return store->withheld.count;
}
