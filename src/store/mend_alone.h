/* Damaged rows of the log for which there is no other. */
#ifndef STORE_MEND_ALONE_H
#define STORE_MEND_ALONE_H

struct gv_error;
struct proof_name;
struct row_key;
struct store;
struct store_table;

/* A row whose log is damaged here while the peer has none: what the user's
 * table has of it is a local change, and the log's row goes.  One that is
 * sound stays as it is. */
int mend_alone(struct store *store, const struct proof_name *name,
               struct gv_error *error);
/* The log's row and all that stands beside it, whatever is left of them.
 * Inside a transaction. */
int mend_drop_damaged(struct store *store, struct store_table *table,
                      const struct row_key *key);

#endif
