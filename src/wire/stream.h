/* Row fragments <-> bytes: what intervals carry and deltas are made of.
 *
 * A stream is a run of items, each a 4-byte big-endian length and that many
 * bytes of msgpack.  Three kinds of item: SITE and TABLE give a number to a
 * site and to a table, which TABLE also defines; ROW is a fragment that uses
 * those numbers.  A number is defined before it is used, counts up from 0, and
 * is valid to the stream's end. */
#ifndef WIRE_STREAM_H
#define WIRE_STREAM_H

#include "core/row.h"
#include "core/vv.h"
#include "wire/cursor.h"
#include "wire/value.h"

#include <stdbool.h>

/* A value may have VALUE_SIZE_MAX bytes; a row, 2,000 columns.  With the
 * existence bit these are the bits 0 to 2,000, which 251 bytes hold. */
#define STREAM_ITEM_SIZE_MAX (256u * 1024 * 1024)
#define STREAM_HEADER_SIZE 4
#define STREAM_NAME_SIZE_MAX 1024
#define STREAM_COLUMNS_MAX 2000
#define STREAM_MASK_SIZE_MAX 251
/* A column that has one writer is in one group alone, of which there are at
 * most as many as bits; one with a cell for each site, in one for each. */
#define STREAM_GROUPS_MAX (STREAM_COLUMNS_MAX + VV_SITES_MAX)
#define STREAM_TYPE_SIZE_MAX 255
/* A definition stands in each interval that uses its table, and an interval
 * that is pushed has 64 KB: a longer default is defined as NULL. */
#define STREAM_DEFAULT_SIZE_MAX 4096

enum stream_kind { STREAM_SITE = 1, STREAM_TABLE, STREAM_ROW };

/* Writing.  All return @out's error. */

/* @base: a version that the groups of this site are told from, near to most
 * of theirs, or 0. */
int stream_write_site(struct buffer *out, const struct site *site,
                      gv_version base);

struct stream_text {
    const char *bytes; /* not NUL-terminated */
    size_t size;
};

struct stream_column {
    struct stream_text wire;
    struct stream_text local; /* what the sender's file calls it, or did */
    struct stream_text type;  /* as declared; empty if it was not */
    /* Keys have neither: */
    struct stream_text kind; /* "lww", "counter" or "mv" */
    struct value initial;    /* its default; NULL also if it has none */
};

/* Options of a table. */
#define STREAM_TABLE_STRICT 1u
#define STREAM_TABLE_WITHOUT_ROWID 2u

struct stream_table {
    struct stream_text wire, local;
    unsigned options;    /* STREAM_TABLE_… */
    size_t key_count;    /* 1 to KEY_COLUMNS_MAX */
    size_t column_count; /* at most STREAM_COLUMNS_MAX */
};

struct stream_text stream_text(const char *text);
/* Whether @name may be a name on the wire: 1 to STREAM_NAME_SIZE_MAX bytes of
 * UTF-8 without control characters. */
bool stream_name_valid(struct stream_text name);
/* Whether a table's name belongs to SQLite or to us: sqlite_… or gv_…. */
bool stream_name_reserved(struct stream_text name);
bool stream_type_valid(struct stream_text type);

/* Column @i of @columns is bit i + 1 of the masks of this table's rows (bit 0
 * is existence).  What cannot travel of a column's type or default is left
 * out; names must be valid. */
int stream_write_table(struct buffer *out, const struct stream_table *table,
                       const struct stream_column *keys,
                       const struct stream_column *columns);

/* A row is written as one head, then its groups, then its values:
 *
 *     stream_begin_row(&writer, out, table, key, key_size, length, n)
 *     n times stream_write_group()
 *     for every bit but ROW_EXISTENCE that a group's mask holds, in
 *         ascending order of bits: stream_write_value() or, where the sender
 *         has no value that could travel, stream_write_hollow(); of the
 *         columns that have a cell for each site, none
 *     group by group, for every bit of such a column, in ascending order of
 *         bits: a counter's number with stream_write_value(), a cell of
 *         several values with stream_write_cell()
 *     stream_end_row()
 */
struct stream_row_writer {
    struct buffer *out;
    size_t start;
    size_t groups_left;
    size_t values_left;
};

void stream_begin_row(struct stream_row_writer *writer, struct buffer *out,
                      uint32_t table, const uint8_t *key, size_t key_size,
                      uint64_t causal_length, size_t group_count,
                      size_t value_count);
/* @since: its version less the base of its site. */
void stream_write_group(struct stream_row_writer *writer, uint32_t site,
                        int64_t since, const uint64_t *mask, size_t words);
void stream_write_value(struct stream_row_writer *writer,
                        const struct value *value);
void stream_write_hollow(struct stream_row_writer *writer, uint64_t digest);
/* @over: what the cell replaces, by site. */
void stream_write_cell(struct stream_row_writer *writer,
                       const struct value *value, struct vv_view over);
/* Fills in the item's length; returns @out's error. */
int stream_end_row(struct stream_row_writer *writer);

/* Reading.  An item borrows its bytes. */

struct stream_item {
    enum stream_kind kind;
    union {
        struct {
            struct site id;
            gv_version base; /* of the versions of its groups */
        } site;
        struct {
            struct stream_table head;
            struct cursor keys;    /* stream_next_key(), key_count times */
            struct cursor columns; /* stream_next_column(), likewise */
        } table;
        struct {
            uint32_t table;
            const uint8_t *key;
            size_t key_size;
            uint64_t causal_length; /* 1 to ROW_CAUSAL_LENGTH_MAX */
            size_t group_count;     /* at least 1 */
            size_t value_count;
            bool cells;           /* some of the values are cells */
            struct cursor groups; /* stream_next_group(), group_count times */
            struct cursor values; /* stream_next_value(), value_count times */
        } row;
    } as;
};

/* Decode one item of @size bytes (without its length).  Everything in it is
 * checked here: masks that are empty, existence or a dot given twice, bases
 * and differences out of range, more values than bits of the masks or fewer
 * than columns in them, an even causal length with values or other bits than
 * existence, cells that replace no vector, names that are none or not ours to
 * write, trailing bytes.  Whether its numbers were defined, whether a base and
 * a difference make a version, and whether the names of a table's columns
 * differ, is for the caller, and which columns may be in several masks and
 * what their values have to be: that stands in the table's definition.
 *
 * Errors: GV_EPROTO. */
int stream_decode(const uint8_t *bytes, size_t size, struct stream_item *item);

/* These cannot fail on the cursors of a decoded item, except where they say
 * so; a call more than the item has is a bug and asserts. */
void stream_next_key(struct cursor *keys, struct stream_column *key);
void stream_next_column(struct cursor *columns, struct stream_column *column);
/* *@since: what is to be added to the base of its site.
 * @mask gets ROW_WORDS_MAX words at most: exactly @words, zero-filled;
 * GV_EPROTO if the group has a bit at or above words * 64. */
int stream_next_group(struct cursor *groups, uint32_t *site, int64_t *since,
                      uint64_t *mask, size_t words);
/* What comes next. */
enum stream_value { STREAM_VALUE, STREAM_HOLLOW, STREAM_CELL };
enum stream_value stream_peek_value(const struct cursor *values);
/* STREAM_CELL */
void stream_next_cell(struct cursor *values, struct value *value,
                      struct vv_view *over);
/* STREAM_VALUE or STREAM_HOLLOW.  False for a hollow cell: @value is NULL, and
 * *@digest what the value's own digest would be.  A value leaves *@digest
 * alone. */
bool stream_next_value(struct cursor *values, struct value *value,
                       uint64_t *digest);

#endif
