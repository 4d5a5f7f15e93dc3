/* What stands in CHECK and PROOF: README.md has the grammar.
 *
 * Rows are told apart by their *place*, hash64 of the table's wire name (its
 * hash64, 8 bytes big-endian) and the key's canonical bytes; the upper bits of
 * a place name one of PROOF_RANGES ranges. */
#ifndef WIRE_PROOF_H
#define WIRE_PROOF_H

#include "base/buffer.h"
#include "core/message.h"

/* 65,536 bytes of sums: with a million rows a range has 244. */
#define PROOF_RANGES 4096
#define PROOF_SUMS_SIZE (PROOF_RANGES * 16)
#define PROOF_SET_SIZE (PROOF_RANGES / 8)
/* Rows that either side leaves out; they and the sums fit a frame. */
#define PROOF_PLACES_MAX 16384

static inline size_t proof_range(uint64_t place)
{
    return place >> 52;
}

/* A set of ranges, PROOF_SET_SIZE bytes. */
static inline bool proof_set_has(const uint8_t *set, size_t range)
{
    return (set[range / 8] >> range % 8 & 1) != 0;
}

static inline void proof_set_add(uint8_t *set, size_t range)
{
    set[range / 8] |= (uint8_t)(1 << range % 8);
}

/* What a row is on one side. */
enum proof_kind {
    PROOF_SOUND = 1,
    PROOF_BEYOND, /* a record of it is above the meet: not to be compared */
    PROOF_DAMAGED /* its log cannot be read, or is not what was written */
};

/* One cell of a record: the hash of its column's wire name, its digest. */
#define PROOF_CELL_SIZE 16

struct proof_record {
    struct site site;
    gv_version version;
    bool existence;
    const uint8_t *cells; /* ascending by the column's wire name */
    uint32_t cell_count;
};

/* What a row is made of.  Only a sound one has records. */
struct proof_head {
    uint64_t place;
    enum proof_kind kind;
    struct text table; /* its wire name */
    const uint8_t *key;
    size_t key_size;
    uint64_t causal_length;
    uint32_t record_count;
    const uint8_t *records; /* for proof_next_record() */
    const uint8_t *end;
};

/* Begin a head; as many records follow as it says. */
void proof_write_head(struct buffer *out, const struct proof_head *head);
/* Its cells follow, 16 bytes each. */
void proof_write_record(struct buffer *out, const struct proof_record *record);

/* Read the head at *@at, which moves behind it.  Errors: GV_EPROTO. */
int proof_read_head(const uint8_t **at, const uint8_t *end,
                    struct proof_head *head);
/* The record at *@at (first: head->records) of a head that was read. */
void proof_next_record(const uint8_t **at, struct proof_record *record);

/* A row to be mended, by name. */
struct proof_name {
    struct text table;
    const uint8_t *key;
    size_t key_size;
};

void proof_write_name(struct buffer *out, const struct proof_name *name);
int proof_read_name(const uint8_t **at, const uint8_t *end,
                    struct proof_name *name);

/* A part of what fits no frame. */
#define PROOF_PIECE_FIXED 16

struct proof_piece {
    uint64_t at;    /* where it begins in the whole */
    uint64_t whole; /* bytes of that */
    const uint8_t *bytes;
    size_t size; /* not 0, unless the whole is empty */
};

void proof_write_piece(struct buffer *out, const struct proof_piece *piece);
/* Errors: GV_EPROTO, also where it does not lie within the whole. */
int proof_read_piece(const uint8_t *bytes, size_t size,
                     struct proof_piece *piece);

#endif
