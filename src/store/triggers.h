/* Triggers: ours, which capture; the application's, which may fire on apply.
 */
#ifndef STORE_TRIGGERS_H
#define STORE_TRIGGERS_H

#include "store/internal.h"

/* The trigger's text; @which is one of "ikud".  sqlite3_free() it. */
char *trigger_sql(const struct store_table *table, char which);
/* Put @table's triggers right.  Where one was missing, writes may have gone
 * by: the table is suspended until it has been audited. */
int triggers_mend(struct store *store, struct store_table *table);
/* Ours go. */
int triggers_drop(struct store *store, const struct store_table *table);
/* Make @table's triggers. */
int triggers_make(struct store *store, const struct store_table *table);
/* A time of the host (ms) as the journal keeps it: a Julian day. */
#define JOURNAL_DAY "(%lld/86400000.0+2440587.5)"
/* Mark all rows of @table as changed. */
int triggers_journal_all(struct store *store, const struct store_table *table);
/* Find out which tables' own triggers fire on apply. */
int triggers_judge(struct store *store);
/* Let triggers fire on this connection, or not. */
void triggers_fire(struct store *store, bool on);

#endif
