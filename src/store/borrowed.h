/* An application's connection: its settings set aside, its transaction. */
#ifndef STORE_BORROWED_H
#define STORE_BORROWED_H

#include "store/store.h"

/* What an application's connection may have otherwise. */
struct settings {
    bool taken;
    int triggers, foreign_keys, trusted_schema;
    bool checks_ignored;
    int64_t last_rowid;
};

/* Begin, commit and roll back, where the store stands. */
const char *borrowed_begin_text(enum store_within within);
const char *borrowed_commit_text(enum store_within within);
const char *borrowed_rollback_text(enum store_within within);
/* Set aside what the application had, and put it back. */
int borrowed_take(struct store *store);
void borrowed_give_back(struct store *store);

/* Whether what the store writes now is in a transaction. */
bool transaction_open(const struct store *store);
/* How long to wait for another writer; an application's own connection keeps
 * the patience it has. */
void connection_patience(struct store *store, int ms);

#endif
