/* What is registered against what is there: ALTER, renames, migrations. */
#ifndef STORE_MATCH_H
#define STORE_MATCH_H

#include "store/internal.h"

struct store_column *column_by_local(const struct store_table *table,
                                     const char *local);

/* Compare what is registered as @table with what is there (@now): take over
 * what SQLite says of its columns, register new ones, or set its fault. */
int schema_match(struct store *store, struct store_table *table,
                 struct store_table *now, bool may_write);
/* No table bears @table's name: suspend it; once the schema has been quiet,
 * follow a rename (*@now is the table to go on with) or take it for gone. */
int match_missing(struct store *store, struct store_table *table,
                  bool may_write, struct store_table **now);
/* Keep why the table is away, or that it is not. */
int match_away(struct store *store, struct store_table *table,
               enum table_away away);
/* What an untracked table still has here. */
int match_untracked(struct store *store, struct store_table *table);
int schema_set_fault(struct store_table *table, const char *format,
                     const char *name);

#endif
