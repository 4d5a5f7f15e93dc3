/* The merge of rows is a join, bit by bit (and of each-bits cell by cell):
 * each bit goes to the largest (version, site id, digest) that anyone wrote,
 * after the causal length has chosen the life.  A maximum is commutative,
 * associative and idempotent, so the merge is.
 *
 * Millions of rows a second pass here, most with one word of columns and one
 * or two records: no allocation, and no work for bits nobody disputes. */
#include "core/row.h"

#include "base/assert.h"
#include "base/plant.h"

#include <string.h>

_Static_assert(ROW_BITS_MAX >= 2000 + 1,
               "a row has as many columns as SQLite allows, and existence");

size_t row_rank(const struct row *row, size_t bit)
{
    size_t word = bit / 64;
    uint64_t below = ((uint64_t)1 << bit % 64) - 1;
    size_t rank = (size_t)__builtin_popcountll(row_each(row, word) & below);

    GV_ASSERT(bit != ROW_EXISTENCE && bit < ROW_BITS_MAX);
    while (word-- > 0)
        rank += (size_t)__builtin_popcountll(row_each(row, word));
    return rank;
}

size_t mask_count(const uint64_t *mask, size_t words)
{
    size_t count = 0;

    /* Most words are empty, and not every processor counts bits. */
    for (size_t i = 0; i < words; i++)
        count += mask[i] == 0 ? 0 : (size_t)__builtin_popcountll(mask[i]);
    return count;
}

static int dot_compare(const struct record *a, const struct record *b,
                       const struct site *sites)
{
    if (a->version != b->version)
        return a->version < b->version ? -1 : 1;
    if (a->site == b->site || plant("no-site-in-tie"))
        return 0;
    return site_compare(&sites[a->site], &sites[b->site]);
}

/* Remove records whose last bit was taken.  Masks are exchanged, not copied:
 * each slot, free or not, owns one. */
static void drop_empty(struct row *row, size_t words)
{
    size_t kept = 0;

    for (size_t i = 0; i < row->record_count; i++) {
        struct record record = row->records[i];
        if (mask_empty(record.mask, words))
            continue;
        if (i != kept) {
            row->records[i] = row->records[kept];
            row->records[kept] = record;
        }
        kept++;
    }
    /* A record loses a bit to another one, so the last never goes. */
    GV_ASSERT(kept > 0);
    row->record_count = kept;
}

static void copy_digests(struct row *row, const struct row *from, size_t word,
                         uint64_t bits)
{
    while (bits != 0) {
        size_t bit = word * 64 + (size_t)__builtin_ctzll(bits);
        row->digests[bit] = from->digests[bit];
        bits &= bits - 1;
    }
}

static void copy_cells(const struct row *row, struct record *to,
                       const struct record *from, size_t word, uint64_t bits)
{
    while (bits != 0) {
        size_t bit = word * 64 + (size_t)__builtin_ctzll(bits);
        size_t rank = row_rank(row, bit);
        to->cells[rank] = from->cells[rank];
        bits &= bits - 1;
    }
}

/* The fragment's life is newer: nothing of the old one survives. */
static void replace(struct row *row, const struct row *fragment, size_t words,
                    struct row_change *change)
{
    GV_ASSERT(fragment->causal_length > row->causal_length);
    GV_ASSERT(fragment->causal_length <= ROW_CAUSAL_LENGTH_MAX);
    row->causal_length = fragment->causal_length;
    row->record_count = fragment->record_count;
    for (size_t i = 0; i < fragment->record_count; i++) {
        const struct record *from = &fragment->records[i];
        row->records[i].site = from->site;
        row->records[i].version = from->version;
        for (size_t w = 0; w < words; w++) {
            row->records[i].mask[w] = from->mask[w];
            change->won[w] |= from->mask[w];
            copy_digests(row, fragment, w, from->mask[w]);
            copy_cells(row, &row->records[i], from, w,
                       from->mask[w] & row_each(row, w));
        }
    }
    change->reset = true;
    change->any = true;
}

/* Of @bits, which both sides wrote under one dot, those where the fragment's
 * digest is larger.  Existence has no digest. */
static uint64_t larger_digests(const struct row *row,
                               const struct row *fragment, size_t word,
                               uint64_t bits)
{
    uint64_t larger = 0;

    if (word == ROW_EXISTENCE / 64)
        bits &= ~((uint64_t)1 << ROW_EXISTENCE % 64);
    while (bits != 0) {
        size_t bit = word * 64 + (size_t)__builtin_ctzll(bits);
        if (fragment->digests[bit] > row->digests[bit])
            larger |= bits & -bits;
        bits &= bits - 1;
    }
    return larger;
}

/* Cells that both sides wrote under one dot: the larger digest.  Returns those
 * that are the fragment's now. */
static uint64_t larger_cells(const struct row *row, struct record *record,
                             const struct record *from, size_t word,
                             uint64_t bits)
{
    uint64_t larger = 0;

    for (; bits != 0; bits &= bits - 1) {
        size_t rank = row_rank(row, word * 64 + (size_t)__builtin_ctzll(bits));
        if (from->cells[rank] <= record->cells[rank])
            continue;
        record->cells[rank] = from->cells[rank];
        larger |= bits & -bits;
    }
    return larger;
}

/* As settle(), for the each-bits: a cell gives way to a newer one of its own
 * site and to nothing else. */
static uint64_t settle_cells(struct row *row, size_t count,
                             const struct record *from, size_t word,
                             uint64_t *won)
{
    uint64_t taken = from->mask[word] & row_each(row, word);

    for (size_t i = 0; i < count && taken != 0; i++) {
        struct record *record = &row->records[i];
        uint64_t both = record->mask[word] & taken;
        if (both == 0 || record->site != from->site)
            continue;
        if (from->version > record->version) {
            record->mask[word] &= ~both;
            continue;
        }
        taken &= ~both;
        if (from->version == record->version)
            won[word] |= larger_cells(row, record, from, word, both);
    }
    GV_ASSERT((taken & ~from->mask[word]) == 0);
    won[word] |= taken;
    return taken;
}

/* Settle word @word of the fragment's record @from against the first @count
 * records of @row.  Returns the bits that move to @from's dot; adds to
 * @won[word] all bits whose content is now the fragment's. */
static uint64_t settle(struct row *row, size_t count,
                       const struct row *fragment, const struct record *from,
                       size_t word, const struct site *sites, uint64_t *won)
{
    uint64_t taken = from->mask[word] & ~row_each(row, word);
    uint64_t same = 0;

    GV_ASSERT(count <= row->record_count);
    for (size_t i = 0; i < count; i++) {
        struct record *record = &row->records[i];
        uint64_t both = record->mask[word] & from->mask[word];
        int order;
        both &= ~row_each(row, word);
        if (both == 0)
            continue;
        order = dot_compare(from, record, sites);
        if (plant("tie-by-arrival") && order != 0)
            order = 1;
        if (order > 0) {
            record->mask[word] &= ~both;
            continue;
        }
        taken &= ~both;
        if (order == 0)
            same |= larger_digests(row, fragment, word, both);
    }
    GV_ASSERT((taken & same) == 0);
    GV_ASSERT(((taken | same) & ~from->mask[word]) == 0);
    copy_digests(row, fragment, word, taken | same);
    won[word] |= taken | same;
    return taken;
}

/* The record of the dot of @like; a new one with an empty mask if none is. */
static struct record *record_of_dot(struct row *row, const struct record *like,
                                    size_t words, const struct site *sites)
{
    struct record *record = row->records;

    for (size_t i = 0; i < row->record_count; i++, record++) {
        if (record->version == like->version &&
            dot_compare(record, like, sites) == 0)
            return record;
    }
    row->record_count++;
    record->site = like->site;
    record->version = like->version;
    memset(record->mask, 0, words * sizeof(*record->mask));
    return record;
}

void row_merge(struct row *row, const struct row *fragment, size_t words,
               const struct site *sites, struct row_change *change)
{
    size_t count = row->record_count;

    GV_ASSERT(fragment->records != row->records);
    change->reset = false;
    change->any = false;
    memset(change->won, 0, words * sizeof(*change->won));
    if (fragment->causal_length < row->causal_length)
        return;
    if (fragment->causal_length > row->causal_length) {
        replace(row, fragment, words, change);
        return;
    }
    if (plant("tie-keeps-local") && row->causal_length % 2 == 0)
        return;
    for (size_t i = 0; i < fragment->record_count; i++) {
        const struct record *from = &fragment->records[i];
        struct record *to = NULL;
        for (size_t w = 0; w < words; w++) {
            uint64_t taken =
                settle(row, count, fragment, from, w, sites, change->won);
            uint64_t cells = settle_cells(row, count, from, w, change->won);
            if ((taken | cells) == 0)
                continue;
            if (to == NULL)
                to = record_of_dot(row, from, words, sites);
            to->mask[w] |= taken | cells;
            copy_cells(row, to, from, w, cells);
        }
    }
    /* Not above: a bound known there makes gcc clear masks by rep stos, and a
     * merge takes twice as long. */
    GV_ASSERT(words > 0 && words <= ROW_WORDS_MAX);
    GV_ASSERT(row->record_count <= count + fragment->record_count);
    change->any = !mask_empty(change->won, words);
    GV_ASSERT(change->any || row->record_count == count);
    if (change->any || row->siblings != NULL || row->sums != NULL)
        drop_empty(row, words);
}

void row_write(struct row *row, uint32_t site, gv_version version,
               const uint64_t *written, size_t words, bool reset)
{
    struct record *own = NULL;

    GV_ASSERT(words > 0 && words <= ROW_WORDS_MAX);
    GV_ASSERT(!mask_empty(written, words));
    /* A life, and a death, is written by whoever begins it. */
    GV_ASSERT(!reset || mask_get(written, ROW_EXISTENCE));
    GV_ASSERT(version > 0 && version <= VERSION_MAX);
    if (reset)
        row->record_count = 0;
    for (size_t i = 0; i < row->record_count; i++) {
        struct record *record = &row->records[i];
        if (record->site == site && record->version == version)
            own = record;
        for (size_t w = 0; w < words; w++) {
            uint64_t others =
                record->site == site || row->sums == NULL ? 0 : row->sums[w];
            record->mask[w] &= ~written[w] | others;
        }
    }
    if (own == NULL) {
        own = &row->records[row->record_count++];
        own->site = site;
        own->version = version;
        memset(own->mask, 0, words * sizeof(*own->mask));
    }
    for (size_t w = 0; w < words; w++)
        own->mask[w] |= written[w];
    drop_empty(row, words);
    GV_ASSERT(reset || row_check(row, words));
}

void row_clear(const struct row *row, struct record *record, size_t bit)
{
    GV_ASSERT(row_each(row, bit / 64) >> bit % 64 & 1);
    GV_ASSERT(mask_get(record->mask, bit));
    record->mask[bit / 64] &= ~((uint64_t)1 << bit % 64);
}

/* Two records of one site have different versions and no bit in common. */
static bool apart(const struct record *a, const struct record *b, size_t words)
{
    if (a->version == b->version)
        return false;
    for (size_t w = 0; w < words; w++) {
        if ((a->mask[w] & b->mask[w]) != 0)
            return false;
    }
    return true;
}

static bool dots_differ(const struct row *row, size_t words)
{
    for (size_t i = 0; i < row->record_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (row->records[i].site == row->records[j].site &&
                !apart(&row->records[i], &row->records[j], words))
                return false;
        }
    }
    return true;
}

bool row_check(const struct row *row, size_t words)
{
    uint64_t held[ROW_WORDS_MAX] = {0};

    GV_ASSERT(words > 0 && words <= ROW_WORDS_MAX);
    for (size_t i = 0; i < row->record_count; i++) {
        const uint64_t *mask = row->records[i].mask;
        if (mask_empty(mask, words))
            return false;
        for (size_t w = 0; w < words; w++) {
            if ((held[w] & mask[w] & ~row_each(row, w)) != 0)
                return false;
            held[w] |= mask[w];
        }
    }
    if (row->causal_length == 0)
        return row->record_count == 0;
    if (!mask_get(held, ROW_EXISTENCE) || !dots_differ(row, words))
        return false;
    return row->causal_length % 2 == 1 || mask_count(held, words) == 1;
}
