/* How a layer fills the three sentences of a struct gv_error. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "grapevine.h"

/* Set @error to @code with what happened, printf style, and no advice yet.
 * @error may be NULL.  Returns @code. */
int error_set(struct gv_error *error, int code, const char *what, ...)
    __attribute__((format(printf, 3, 4)));

/* Add what it means and what to do next to what error_set() wrote. */
void error_meaning(struct gv_error *error, const char *meaning, ...)
    __attribute__((format(printf, 2, 3)));
void error_remedy(struct gv_error *error, const char *remedy, ...)
    __attribute__((format(printf, 2, 3)));

#endif
