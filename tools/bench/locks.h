/* How long this process holds SQLite's write lock. */
#ifndef BENCH_LOCKS_H
#define BENCH_LOCKS_H

#include "measure.h"

/* From now on, and before the first connection: */
void locks_watch(void);
/* How long the write lock of a file in WAL mode was held when it was last let
 * go. */
struct span locks_held(void);

#endif
