/* What is done in slices. */
#ifndef STORE_WORK_H
#define STORE_WORK_H

#include "store/internal.h"

/* Whether a part of a delta is in the log. */
static inline bool store_applying(const struct store *store)
{
    return (store->numbers.busy & BUSY_APPLYING) != 0;
}
/* What is not given takes its usual value. */
void work_limits(struct store_slices *limits);
/* Whether there is something that store_work() does in slices. */
int work_waits(struct store *store, bool *waits);
/* A note for a person, why the store is busy, or NULL; sqlite3_free() it. */
int work_status(struct store *store, char **note);
/* All that is left of a delta that is applied in slices, in the open
 * transaction; the journal is sealed. */
int work_finish(struct store *store, struct gv_error *error);

#endif
