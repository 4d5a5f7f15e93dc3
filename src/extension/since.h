/* What someone holds, as SQL says it: a version vector, a version of this
 * site, or nothing. */
#ifndef EXTENSION_SINCE_H
#define EXTENSION_SINCE_H

#include "base/buffer.h"
#include "extension/call.h"

/* @value as a vector; @bytes keeps it.  NULL: the empty one.  An integer: no
 * more of this site than the last interval that ends at or before it.
 * Errors: GV_EINVAL (neither), GV_EIO, GV_ENOMEM. */
int since_read(const struct call *call, sqlite3_value *value,
               struct buffer *bytes, struct vv_view *view,
               struct gv_error *error);

/* A blob as a vector; GV_EINVAL if it is none.  Borrows the value's bytes. */
int since_view(sqlite3_value *value, struct vv_view *view,
               struct gv_error *error);

#endif
