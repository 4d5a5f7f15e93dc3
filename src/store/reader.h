/* The connection that extracts read on, and its snapshot. */
#ifndef STORE_READER_H
#define STORE_READER_H

#include "store/internal.h"

/* Close the reader; no extract reads. */
void reader_close(struct store *store);

/* What every extract runs, prepared on store->reader. */
int reader_open(struct store *store, struct gv_error *error);
/* Open the reader's snapshot; GV_EBUSY if its journal is not empty. */
int snapshot_open(struct store *store);
void snapshot_end(struct store *store);

#endif
