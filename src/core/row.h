/* What is known of one row besides its values, and how two such states merge.
 *
 * A row has a causal length (Yu and Rostad 2020: odd = alive, even = deleted;
 * the larger wins and starts the row anew) and records: which publication
 * (site, version) wrote the value that each column has now.  Columns are bits
 * of a mask; bit ROW_EXISTENCE stands for the row's existence in its present
 * life and is always held by some record.  A column whose bit no record holds
 * was never written in this life and has its default.  Each other bit that is
 * held has a digest of its value.
 *
 * Columns whose value is made of one cell for each site that wrote it are
 * *each-bits*: counters (the sum of the cells) and multi-value columns (the
 * cells that no other one replaces).  Records of different sites may hold the
 * same each-bit; of one site's cells the newest counts.  A record has a digest
 * for each of these cells.
 *
 * Invariants (row_check): no bit in two records, but an each-bit of different
 * sites; no record with an empty mask; no dot (site, version) twice; the
 * existence bit is held; a row with an even causal length holds the existence
 * bit alone. */
#ifndef CORE_ROW_H
#define CORE_ROW_H

#include "base/assert.h"
#include "core/types.h"

#include <stddef.h>

#define ROW_EXISTENCE 0

/* SQLite allows 2,000 columns; with the existence bit, 32 words hold them. */
#define ROW_WORDS_MAX 32
#define ROW_BITS_MAX (ROW_WORDS_MAX * 64)

/* A dead row's causal length may still grow by one; past this it is refused
 * at decode. */
#define ROW_CAUSAL_LENGTH_MAX ((uint64_t)1 << 31)

struct record {
    uint32_t site; /* the caller's number for it, an index into its sites */
    gv_version version;
    uint64_t *mask; /* @words words */
    /* Digests of the cells of the each-bits that it holds, by row_rank().  Not
     * looked at in a row without each-bits. */
    uint64_t *cells;
};

/* The caller owns all arrays.  digests is indexed by bit and meaningful only
 * where a record holds that bit; of an each-bit it is the caller's own. */
struct row {
    uint64_t causal_length; /* 0: nothing known of this row */
    size_t record_count;
    struct record *records;
    uint64_t *digests;
    /* The each-bits of the row's table, @words words; NULL: none. */
    const uint64_t *sums;     /* counters */
    const uint64_t *siblings; /* multi-value columns */
};

/* What a merge changed. */
struct row_change {
    bool reset;    /* the fragment's causal length won: a new life, or a death;
                      columns that @won lacks are back to their defaults */
    bool any;      /* the row's state is not what it was */
    uint64_t *won; /* @words words by the caller: bits whose value (or
                      existence) now comes from the fragment */
};

static inline bool mask_get(const uint64_t *mask, size_t bit)
{
    GV_ASSERT(bit < ROW_BITS_MAX);
    return (mask[bit / 64] >> (bit % 64) & 1) != 0;
}

static inline void mask_set(uint64_t *mask, size_t bit)
{
    GV_ASSERT(bit < ROW_BITS_MAX);
    mask[bit / 64] |= (uint64_t)1 << (bit % 64);
}

static inline bool mask_empty(const uint64_t *mask, size_t words)
{
    for (size_t i = 0; i < words; i++) {
        if (mask[i] != 0)
            return false;
    }
    return true;
}

size_t mask_count(const uint64_t *mask, size_t words);

/* Word @word of the each-bits of @row. */
static inline uint64_t row_each(const struct row *row, size_t word)
{
    return (row->sums == NULL ? 0 : row->sums[word]) |
           (row->siblings == NULL ? 0 : row->siblings[word]);
}

/* How many each-bits of @row are below @bit. */
size_t row_rank(const struct row *row, size_t bit);

/* Merge @fragment, a part of the same row as another node knows it, into
 * @row.  A larger causal length wins the row whole; at equal length each bit
 * goes to the larger (version, site id), and should one dot have two
 * contents, to the larger digest.  A cell of an each-bit goes to the larger
 * version of its own site, in the same way.  Idempotent, commutative,
 * associative; cells of multi-value columns that another cell replaces must be
 * taken out of both first (siblings.h).
 *
 * @sites gives the ids of the site numbers of both.  @row->records must have
 * room for @row->record_count + @fragment->record_count records, and every
 * one of them (also the free ones) a mask of @words words, and cells if the
 * row has each-bits; @row->digests has room for words * 64.  @fragment, which
 * has the same each-bits, is not changed. */
void row_merge(struct row *row, const struct row *fragment, size_t words,
               const struct site *sites, struct row_change *change);

/* A local write of the bits of @written by (@site, @version): they leave the
 * records that held them and stand in a record of that dot.  A counter's cells
 * of other sites stay.  With @reset the row starts a new life first: all
 * records go and the causal length is the caller's to set.  @row->records has
 * room for one more.  Digests are the caller's. */
void row_write(struct row *row, uint32_t site, gv_version version,
               const uint64_t *written, size_t words, bool reset);

/* Take @bit, an each-bit, out of @record: its cell is replaced by another one.
 * The record may be left with an empty mask; the next row_merge() into @row
 * takes it out. */
void row_clear(const struct row *row, struct record *record, size_t bit);

/* Whether the invariants above hold. */
bool row_check(const struct row *row, size_t words);

#endif
