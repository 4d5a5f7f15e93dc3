/* What a seal reads before it takes the write lock. */
#ifndef STORE_EARLY_H
#define STORE_EARLY_H

#include "store/journal.h"

/* Read the journal and, if they are many, the rows that it names, in a read
 * transaction that stays open.  Whatever stands in the way, nothing was read
 * then, and the seal reads for itself. */
void early_read(struct store *store);
/* Bring @journal, of a seal in slices, up to what the file has, and read the
 * rows of its next @keys keys likewise. */
int early_slice(struct store *store, struct journal *journal, size_t keys);
/* Whether rows of @journal that early_slice() read are good. */
bool early_holds(const struct store *store, const struct journal *journal);
/* Take the write lock.  *@same: the file is as it was when it was read, with
 * the commit mark and the schema that are in memory. */
int early_lock(struct store *store, bool *same);
/* The journal, whole, in a write transaction; *@read: its rows were read
 * early, but for what was written since. */
int early_journal(struct store *store, struct journal **journal, bool *read);
/* The row of @entry is looked at next. */
int early_turn(struct store *store, const struct journal_entry *entry,
               const struct row_key *key);
/* Forget it all. */
void early_end(struct store *store);
/* Free it. */
void early_close(struct store *store);

/* Read rows ahead, those of the next @keys keys from place @at on that one
 * batch may have; *@end is behind the last of them. */
int early_batch(struct store *store, struct journal *journal, size_t at,
                size_t keys, size_t *end);

#endif
