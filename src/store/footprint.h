/* A file that was written over while it is in use. */
#ifndef STORE_FOOTPRINT_H
#define STORE_FOOTPRINT_H

#include "store/store.h"

/* What the file looked like under its log; see footprint.c. */
#define FOOTPRINT_TRACES 16
struct footprint {
    bool known;
    int64_t at; /* where the page of gv_meta lay, and its size */
    int64_t size;
    uint64_t hash;                    /* of it, as the file has it */
    uint8_t traces[FOOTPRINT_TRACES]; /* of checkpoints */
};

/* Whether the file was written over since the last call, while it was in
 * use. */
bool footprint_changed(struct store *store);
/* After a checkpoint of any program: what the file looks like now. */
void footprint_follow(struct store *store);
/* Note what the log's index says now of commits. */
void footprint_note_change(struct store *store);
/* Drop the log that belongs to what was written over.  Then the store is only
 * good for closing. */
int footprint_drop_log(struct store *store);

#endif
