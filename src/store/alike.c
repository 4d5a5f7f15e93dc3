/* How two rows differ, in words; and the rows of an answer, in an order that
 * brings the same rows of both sides together. */
#include "store/proof_internal.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *column_name(const struct store_table *table, uint64_t hash)
{
    for (size_t i = 0; table != NULL && i < table->column_count; i++)
        if (table->columns[i].wire_hash == hash)
            return table->columns[i].local != NULL ? table->columns[i].local
                                                   : table->columns[i].wire;
    return "?";
}

static void say_record(const struct proof_record *record, const char *where,
                       char *text, size_t size)
{
    char site[33];

    GV_ASSERT(record->version > 0);
    site_format(&record->site, site);
    snprintf(text, size, "its record of site %.8s at version %llu is only %s",
             site, (unsigned long long)record->version, where);
}

/* The first cell that two records of one dot do not agree on. */
static void say_cells(const struct store_table *table,
                      const struct proof_record *ours,
                      const struct proof_record *theirs, char *text,
                      size_t size)
{
    char site[33];
    uint32_t at = 0;
    uint64_t column, theirs_column;

    GV_ASSERT(ours->version == theirs->version);
    GV_ASSERT(site_equal(&ours->site, &theirs->site));
    site_format(&ours->site, site);
    while (at < ours->cell_count && at < theirs->cell_count &&
           memcmp(ours->cells + at * PROOF_CELL_SIZE,
                  theirs->cells + at * PROOF_CELL_SIZE, PROOF_CELL_SIZE) == 0)
        at++;
    if (at == ours->cell_count || at == theirs->cell_count) {
        snprintf(text, size,
                 "the record of site %.8s at version %llu has other columns"
                 " here",
                 site, (unsigned long long)ours->version);
        return;
    }
    column = load_u64(ours->cells + at * PROOF_CELL_SIZE);
    theirs_column = load_u64(theirs->cells + at * PROOF_CELL_SIZE);
    if (column != theirs_column) {
        snprintf(text, size,
                 "the record of site %.8s at version %llu has column '%s'"
                 " here, and '%s' there",
                 site, (unsigned long long)ours->version,
                 column_name(table, column),
                 column_name(table, theirs_column));
        return;
    }
    snprintf(
        text, size,
        "column '%s', written by site %.8s at version %llu, has digest"
        " %016llx here and %016llx there",
        column_name(table, column), site, (unsigned long long)ours->version,
        (unsigned long long)load_u64(ours->cells + at * PROOF_CELL_SIZE + 8),
        (unsigned long long)load_u64(theirs->cells + at * PROOF_CELL_SIZE +
                                     8));
}

static bool same_record(const struct proof_record *a,
                        const struct proof_record *b)
{
    return a->existence == b->existence && a->cell_count == b->cell_count &&
           (a->cell_count == 0 ||
            memcmp(a->cells, b->cells,
                   (size_t)a->cell_count * PROOF_CELL_SIZE) == 0);
}

/* The record of @like's dot; false if there is none. */
static bool find_record(const struct proof_head *head,
                        const struct proof_record *like,
                        struct proof_record *found)
{
    const uint8_t *at = head->records;

    GV_ASSERT(like->version > 0);
    for (uint32_t i = 0; i < head->record_count; i++) {
        proof_next_record(&at, found);
        if (found->version == like->version &&
            site_equal(&found->site, &like->site))
            return true;
    }
    return false;
}

/* Whether each record of @a is in @b as it is; @text says which is not. */
static bool covers(const struct store_table *table, const struct proof_head *a,
                   const struct proof_head *b, const char *where, char *text,
                   size_t size)
{
    const uint8_t *at = a->records;

    GV_ASSERT(a->kind == PROOF_SOUND && b->kind == PROOF_SOUND);
    for (uint32_t i = 0; i < a->record_count; i++) {
        struct proof_record record, other;

        proof_next_record(&at, &record);
        if (!find_record(b, &record, &other)) {
            say_record(&record, where, text, size);
            return false;
        }
        if (!same_record(&record, &other)) {
            say_cells(table, &record, &other, text, size);
            return false;
        }
    }
    return true;
}

bool alike_rows(const struct store_table *table, const struct proof_head *ours,
                const struct proof_head *theirs, char *text, size_t size)
{
    GV_ASSERT(ours != NULL || theirs != NULL);
    if (ours != NULL && ours->kind == PROOF_DAMAGED)
        snprintf(text, size, "its log is damaged here%s",
                 theirs == NULL                  ? ", and the peer has none"
                 : theirs->kind == PROOF_DAMAGED ? " and there"
                                                 : "");
    else if (theirs != NULL && theirs->kind == PROOF_DAMAGED)
        snprintf(text, size, "its log is damaged there");
    else if (ours == NULL)
        snprintf(text, size, "the log has no such row here");
    else if (theirs == NULL)
        snprintf(text, size, "the log has no such row there");
    else if (ours->causal_length != theirs->causal_length)
        snprintf(text, size, "it is %s here, in life %llu, and %s there, %llu",
                 ours->causal_length % 2 == 1 ? "alive" : "deleted",
                 (unsigned long long)ours->causal_length,
                 theirs->causal_length % 2 == 1 ? "alive" : "deleted",
                 (unsigned long long)theirs->causal_length);
    else
        return covers(table, ours, theirs, "here", text, size) &&
               covers(table, theirs, ours, "there", text, size);
    return false;
}

/* Heads */

int alike_order(const void *a, const void *b)
{
    const struct proof_head *x = a, *y = b;
    size_t size = x->key_size < y->key_size ? x->key_size : y->key_size;
    int order;

    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    order = size == 0 ? 0 : memcmp(x->key, y->key, size);
    if (order != 0 || x->key_size != y->key_size)
        return order != 0 ? order : x->key_size < y->key_size ? -1 : 1;
    if (x->table.size != y->table.size)
        return x->table.size < y->table.size ? -1 : 1;
    return memcmp(x->table.bytes, y->table.bytes, x->table.size);
}

int alike_read(const uint8_t *at, size_t size, struct heads *heads)
{
    const uint8_t *end = at + size;
    size_t capacity = 0;

    GV_ASSERT(heads->items == NULL && heads->count == 0);
    while (at < end) {
        if (heads->count == capacity) {
            struct proof_head *grown;

            capacity = 2 * capacity + 64;
            grown = realloc(heads->items, capacity * sizeof *grown);
            if (grown == NULL)
                return GV_ENOMEM;
            heads->items = grown;
        }
        if (proof_read_head(&at, end, &heads->items[heads->count]) != GV_OK)
            return GV_EPROTO;
        heads->count++;
    }
    if (heads->count > 0)
        qsort(heads->items, heads->count, sizeof *heads->items, alike_order);
    return GV_OK;
}
