/* What the file keeps of all rows together. */
#ifndef STORE_SETTLE_H
#define STORE_SETTLE_H

struct gv_error;
struct store;

/* Put gv_ver and the fingerprint right, in a transaction that is open.  While
 * a row is damaged nobody knows its part of the sum. */
int settle_log(struct store *store, struct gv_error *error);

#endif
