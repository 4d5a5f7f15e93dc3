/* Copies of intervals. */
#ifndef CORE_PARCEL_H
#define CORE_PARCEL_H

#include "core/state.h"

/* Errors: NULL, and core->error. */
struct parcel *parcel_new(struct core *core, const struct interval *interval);
struct parcel *parcel_share(struct parcel *parcel);
/* The last owner's frees it, at the next step. */
void parcel_drop(struct core *core, struct parcel *parcel);
void parcel_free_spent(struct core *core);

#endif
