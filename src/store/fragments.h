/* Fragments into a stream. */
#ifndef STORE_FRAGMENTS_H
#define STORE_FRAGMENTS_H

#include "store/internal.h"

struct fragments {
    struct buffer *out;
    uint32_t *sites;   /* by site number: its number in the stream + 1 */
    gv_version *bases; /* by that: what its versions are told from */
    uint32_t *tables;  /* by table id, likewise */
    size_t site_capacity, table_capacity;
    uint32_t site_count, table_count;
};

void fragments_init(struct fragments *fragments, struct buffer *out);
void fragments_close(struct fragments *fragments);
/* Name the table, if the stream has not yet. */
int fragments_define(struct fragments *fragments,
                     const struct store_table *table);
/* The first @record_count of @records, with the values of store->values; the
 * cells of store->hollow, and values too large to travel, as digests of
 * store->space. */
int fragments_add(struct fragments *fragments, const struct store *store,
                  const struct store_table *table, const struct row_key *key,
                  const struct record *records, size_t record_count);

#endif
