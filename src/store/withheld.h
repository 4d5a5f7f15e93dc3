/* Local writes to rows whose log is damaged: they stay in the journal. */
#ifndef STORE_WITHHELD_H
#define STORE_WITHHELD_H

#include "store/store.h"

struct journal_entry;
struct row_key;

/* Journal rows that no seal can take; see withheld.c. */
#define WITHHELD_MAX 200
struct withheld {
    int64_t ids[WITHHELD_MAX];
    size_t count;
    char row[200]; /* the first one's name */
};

void withheld_clear(struct withheld *list);
bool withheld_has(const struct withheld *list, int64_t id);
/* The row of this entry cannot be sealed.  False: there are too many. */
bool withheld_add(struct store *store, struct withheld *list,
                  const struct journal_entry *entry,
                  const struct row_key *key);
/* The ids of what is withheld as SQL has a list; sqlite3_free() it, NULL
 * without memory. */
char *withheld_list(const struct store *store);

#endif
