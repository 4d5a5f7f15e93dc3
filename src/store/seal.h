/* The journal into one interval. */
#ifndef STORE_SEAL_H
#define STORE_SEAL_H

#include "store/internal.h"

/* Inside a write transaction, before anything else. */
int seal_journal(struct store *store, struct gv_error *error);
/* The same for the next keys: as many as the limits say, or more where
 * applications write faster than that.  The vector moves when nothing is left,
 * unless a delta is being applied; *@outrun: nothing is left, by slices larger
 * than the limits say. */
int seal_slice(struct store *store, bool *outrun, struct gv_error *error);
/* Before its transaction: read the journal and the rows of its next keys, so
 * that the lock is not held meanwhile.  What comes into it until then is read
 * by the slice. */
int seal_early(struct store *store);
/* What was read of the journal is not so any more. */
void seal_forget(struct store *store);

/* What a look at a row would publish. */
enum look { LOOK_SAME, LOOK_WRITTEN, LOOK_BORN, LOOK_DEAD };
/* Look, write nothing.  GV_ECORRUPT: the row's state is damaged. */
int seal_look(struct store *store, struct store_table *table,
              const struct row_key *key, enum look *found,
              struct gv_error *error);

#endif
