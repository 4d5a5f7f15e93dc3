#include "wire/stream.h"

#include "bytes.h"
#include "check.h"
#include "grapevine.h"

#include <float.h>
#include <math.h>
#include <msgpack.h>

static const uint8_t key_one[] = {0, 0, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0, 1};

/* The item in @buffer, checked to be the only one, in exact memory. */
static uint8_t *take_item(const struct buffer *buffer, size_t *size)
{
    CHECK_INT(buffer->error, ==, GV_OK);
    CHECK_INT(load_u32(buffer->data), ==, buffer->size - STREAM_HEADER_SIZE);
    *size = buffer->size - STREAM_HEADER_SIZE;
    return bytes_exact(buffer->data + STREAM_HEADER_SIZE, *size);
}

static struct value integer(int64_t number)
{
    return (struct value){.class = VALUE_INTEGER, .integer = number};
}

static struct value real_of_bits(uint64_t bits)
{
    struct value value = {.class = VALUE_REAL};

    memcpy(&value.real, &bits, sizeof(bits));
    return value;
}

static struct value bytes_of(enum value_class class, const void *bytes,
                             size_t size)
{
    return (struct value){.class = class, .bytes = bytes, .size = size};
}

TEST(a_site_comes_back)
{
    struct site site;
    struct stream_item item;
    struct buffer out;
    uint8_t *bytes;
    size_t size;

    memset(site.bytes, 0xa5, sizeof(site.bytes));
    buffer_init(&out, 1000);
    CHECK_INT(stream_write_site(&out, &site, VERSION_MAX), ==, GV_OK);
    bytes = take_item(&out, &size);
    CHECK_INT(stream_decode(bytes, size, &item), ==, GV_OK);
    CHECK_INT(item.kind, ==, STREAM_SITE);
    CHECK(site_equal(&item.as.site.id, &site));
    CHECK(item.as.site.base == VERSION_MAX);
    free(bytes);
    buffer_close(&out);
}

static struct stream_column column_of(const char *wire, const char *local,
                                      const char *type, struct value initial)
{
    return (struct stream_column){.wire = stream_text(wire),
                                  .local = stream_text(local),
                                  .type = stream_text(type),
                                  .kind = stream_text("lww"),
                                  .initial = initial};
}

static void check_text(struct stream_text text, const char *expected)
{
    CHECK_INT(text.size, ==, strlen(expected));
    CHECK(memcmp(text.bytes, expected, text.size) == 0);
}

/* A table "contacts" with one key and @count columns, decoded. */
static int decode_table(const struct stream_column *columns, size_t count,
                        struct stream_item *item, uint8_t **bytes)
{
    struct stream_column key = column_of("id", "ident", "TEXT", integer(0));
    struct stream_table table = {.wire = stream_text("contacts"),
                                 .local = stream_text("people"),
                                 .options = STREAM_TABLE_WITHOUT_ROWID,
                                 .key_count = 1,
                                 .column_count = count};
    struct buffer out;
    size_t size;
    int rc;

    buffer_init(&out, 10000000);
    CHECK_INT(stream_write_table(&out, &table, &key, columns), ==, GV_OK);
    *bytes = take_item(&out, &size);
    rc = stream_decode(*bytes, size, item);
    buffer_close(&out);
    return rc;
}

TEST(a_table_comes_back_with_its_columns)
{
    struct stream_column columns[3], key, back;
    struct stream_item item;
    uint8_t *bytes;

    columns[0] = column_of("phone number", "phone number", "VARCHAR(10, 2)",
                           bytes_of(VALUE_TEXT, "none", 4));
    columns[1] = column_of("é", "e", "", integer(-7));
    columns[2] = column_of("z", "y", "REAL", real_of_bits(UINT64_C(1) << 63));
    CHECK_INT(decode_table(columns, 3, &item, &bytes), ==, GV_OK);
    CHECK_INT(item.kind, ==, STREAM_TABLE);
    check_text(item.as.table.head.wire, "contacts");
    check_text(item.as.table.head.local, "people");
    CHECK_INT(item.as.table.head.options, ==, STREAM_TABLE_WITHOUT_ROWID);
    CHECK_INT(item.as.table.head.key_count, ==, 1);
    CHECK_INT(item.as.table.head.column_count, ==, 3);
    stream_next_key(&item.as.table.keys, &key);
    check_text(key.wire, "id");
    check_text(key.local, "ident");
    check_text(key.type, "TEXT");
    for (size_t i = 0; i < 3; i++) {
        stream_next_column(&item.as.table.columns, &back);
        CHECK(back.wire.size == columns[i].wire.size &&
              back.local.size == columns[i].local.size);
        CHECK(memcmp(back.wire.bytes, columns[i].wire.bytes, back.wire.size) ==
              0);
        CHECK(memcmp(back.local.bytes, columns[i].local.bytes,
                     back.local.size) == 0);
        CHECK(back.type.size == columns[i].type.size);
        check_text(back.kind, "lww");
        CHECK(value_equal(&back.initial, &columns[i].initial));
    }
    CHECK(item.as.table.columns.at == item.as.table.columns.end);
    free(bytes);
}

TEST(a_table_may_have_no_columns)
{
    struct stream_item item;
    uint8_t *bytes;

    CHECK_INT(decode_table(NULL, 0, &item, &bytes), ==, GV_OK);
    CHECK_INT(item.as.table.head.column_count, ==, 0);
    free(bytes);
}

TEST(what_cannot_travel_of_a_definition_is_left_out)
{
    static char text[STREAM_DEFAULT_SIZE_MAX + 2];
    struct stream_column column, back;
    struct stream_item item;
    uint8_t *bytes;

    memset(text, 'x', sizeof text - 1);
    column = column_of("a", "b\tc", text,
                       bytes_of(VALUE_TEXT, text, STREAM_DEFAULT_SIZE_MAX));
    CHECK_INT(decode_table(&column, 1, &item, &bytes), ==, GV_OK);
    stream_next_column(&item.as.table.columns, &back);
    check_text(back.local, "a");
    check_text(back.type, "");
    CHECK_INT(back.initial.size, ==, STREAM_DEFAULT_SIZE_MAX);
    free(bytes);
    column.initial.size++;
    CHECK_INT(decode_table(&column, 1, &item, &bytes), ==, GV_OK);
    stream_next_column(&item.as.table.columns, &back);
    CHECK_INT(back.initial.class, ==, VALUE_NULL);
    free(bytes);
}

struct group {
    uint32_t site;
    int64_t since;
    uint64_t mask[ROW_WORDS_MAX];
};

static void write_row(struct buffer *out, uint64_t causal_length,
                      const struct group *groups, size_t group_count,
                      const struct value *values, size_t value_count)
{
    struct stream_row_writer writer;

    stream_begin_row(&writer, out, 3, key_one, sizeof(key_one), causal_length,
                     group_count, value_count);
    for (size_t i = 0; i < group_count; i++)
        stream_write_group(&writer, groups[i].site, groups[i].since,
                           groups[i].mask, ROW_WORDS_MAX);
    for (size_t i = 0; i < value_count; i++)
        stream_write_value(&writer, &values[i]);
    CHECK_INT(stream_end_row(&writer), ==, GV_OK);
}

static int decode_row(const struct buffer *out, struct stream_item *item,
                      uint8_t **bytes)
{
    size_t size;

    *bytes = take_item(out, &size);
    return stream_decode(*bytes, size, item);
}

/* Values that a careless path changes. */
static const uint64_t real_patterns[] = {
    0,                            /* 0.0 */
    UINT64_C(0x8000000000000000), /* -0.0 */
    1,                            /* the smallest denormal */
    UINT64_C(0x800fffffffffffff), /* the largest one, negative */
    UINT64_C(0x3ff0000000000000), /* 1.0, which is not 1 */
    UINT64_C(0x7fefffffffffffff), /* the largest double */
    UINT64_C(0x7ff0000000000000), /* infinity */
    UINT64_C(0xfff0000000000000),
    UINT64_C(0x7ff8000000000000), /* quiet NaN */
    UINT64_C(0x7ff8dead0000beef), /* with a payload */
    UINT64_C(0x7ff0000000000001), /* signalling NaN */
    UINT64_C(0xffffffffffffffff),
};

static const int64_t integers[] = {0,
                                   1,
                                   -1,
                                   127,
                                   128,
                                   -32,
                                   -33,
                                   -128,
                                   -129,
                                   255,
                                   256,
                                   32767,
                                   32768,
                                   -32768,
                                   -32769,
                                   65535,
                                   65536,
                                   INT32_MAX,
                                   INT32_MIN,
                                   (int64_t)INT32_MAX + 1,
                                   (int64_t)INT32_MIN - 1,
                                   UINT32_MAX,
                                   (int64_t)UINT32_MAX + 1,
                                   INT64_C(9007199254740993),
                                   INT64_MAX,
                                   INT64_MIN,
                                   INT64_MAX - 1,
                                   INT64_MIN + 1};

static size_t hard_values(struct value *values)
{
    static uint8_t large[70000];
    static const size_t sizes[] = {0, 1, 31, 32, 255, 256, 65535, 65536};
    size_t count = 0;

    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (uint8_t)(i * 7);
    values[count++] = (struct value){.class = VALUE_NULL};
    for (size_t i = 0; i < sizeof(real_patterns) / 8; i++)
        values[count++] = real_of_bits(real_patterns[i]);
    for (size_t i = 0; i < sizeof(integers) / 8; i++)
        values[count++] = integer(integers[i]);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        values[count++] = bytes_of(VALUE_TEXT, large, sizes[i]);
        values[count++] = bytes_of(VALUE_BLOB, large, sizes[i]);
    }
    values[count++] = bytes_of(VALUE_TEXT, "a\0b\0", 4);
    values[count++] = bytes_of(VALUE_TEXT, "\xff\xfe\x80", 3);
    return count;
}

TEST(values_come_back_bit_for_bit)
{
    uint64_t digest;
    struct value values[100], back;
    size_t count = hard_values(values);
    struct group group = {0, 1, {0}};
    struct stream_item item;
    struct buffer out;
    uint8_t *bytes;

    buffer_init(&out, 10000000);
    for (size_t i = 1; i <= count; i++)
        mask_set(group.mask, i);
    write_row(&out, 1, &group, 1, values, count);
    CHECK_INT(decode_row(&out, &item, &bytes), ==, GV_OK);
    CHECK_INT(item.as.row.value_count, ==, count);
    for (size_t i = 0; i < count; i++) {
        CHECK(stream_next_value(&item.as.row.values, &back, &digest));
        CHECK(value_equal(&back, &values[i]));
    }
    CHECK(item.as.row.values.at == item.as.row.values.end);
    free(bytes);
    buffer_close(&out);
}

TEST(a_hollow_cell_comes_back_as_its_digest)
{
    static const uint64_t digests[] = {0, 127, 128, UINT64_MAX};
    struct group group = {0, 9, {1 | 2 | 4}};
    struct value value = integer(5), back;

    for (size_t i = 0; i < sizeof digests / sizeof *digests; i++) {
        struct stream_row_writer writer;
        struct stream_item item;
        struct buffer out;
        uint64_t digest = 1;

        buffer_init(&out, 1000);
        stream_begin_row(&writer, &out, 3, key_one, sizeof(key_one), 1, 1, 2);
        stream_write_group(&writer, group.site, group.since, group.mask, 1);
        stream_write_hollow(&writer, digests[i]);
        stream_write_value(&writer, &value);
        CHECK_INT(stream_end_row(&writer), ==, GV_OK);
        CHECK_INT(stream_decode(out.data + STREAM_HEADER_SIZE,
                                out.size - STREAM_HEADER_SIZE, &item),
                  ==, GV_OK);
        CHECK(!stream_next_value(&item.as.row.values, &back, &digest));
        CHECK(digest == digests[i] && back.class == VALUE_NULL);
        CHECK(stream_next_value(&item.as.row.values, &back, &digest));
        CHECK(digest == digests[i] && value_equal(&back, &value));
        buffer_close(&out);
    }
}

TEST(a_row_comes_back)
{
    uint64_t digest;
    struct group groups[2] = {{7, VERSION_MAX, {3}}, {70000, -1, {0, 1}}};
    struct value values[2] = {integer(5), integer(-6)}, back;
    struct stream_item item;
    struct buffer out;
    uint8_t *bytes;
    uint64_t mask[2];
    int64_t since;
    uint32_t site;

    buffer_init(&out, 1000);
    write_row(&out, 2147483647, groups, 2, values, 2);
    CHECK_INT(decode_row(&out, &item, &bytes), ==, GV_OK);
    CHECK_INT(item.kind, ==, STREAM_ROW);
    CHECK_INT(item.as.row.table, ==, 3);
    CHECK_INT(item.as.row.key_size, ==, sizeof(key_one));
    CHECK(memcmp(item.as.row.key, key_one, sizeof(key_one)) == 0);
    CHECK(item.as.row.causal_length == 2147483647);
    CHECK_INT(item.as.row.group_count, ==, 2);
    CHECK_INT(stream_next_group(&item.as.row.groups, &site, &since, mask, 2),
              ==, GV_OK);
    CHECK(site == 7 && since == (int64_t)VERSION_MAX && mask[0] == 3 &&
          mask[1] == 0);
    CHECK_INT(stream_next_group(&item.as.row.groups, &site, &since, mask, 2),
              ==, GV_OK);
    CHECK(site == 70000 && since == -1 && mask[0] == 0 && mask[1] == 1);
    CHECK(stream_next_value(&item.as.row.values, &back, &digest));
    CHECK_INT(back.integer, ==, 5);
    CHECK(stream_next_value(&item.as.row.values, &back, &digest));
    CHECK_INT(back.integer, ==, -6);
    free(bytes);
    buffer_close(&out);
}

TEST(a_death_is_its_existence_alone)
{
    struct group group = {0, 9, {1}};
    struct stream_item item;
    struct buffer out;
    uint8_t *bytes;

    buffer_init(&out, 1000);
    write_row(&out, 2, &group, 1, NULL, 0);
    CHECK_INT(decode_row(&out, &item, &bytes), ==, GV_OK);
    CHECK_INT(item.as.row.value_count, ==, 0);
    CHECK(item.as.row.causal_length == 2);
    free(bytes);
    buffer_close(&out);
}

TEST(a_mask_wider_than_the_table_is_refused_when_it_is_read)
{
    struct group group = {0, 9, {0, 2}};
    struct value value = integer(1);
    struct stream_item item;
    struct buffer out;
    uint64_t mask[ROW_WORDS_MAX];
    int64_t since;
    uint32_t site;
    uint8_t *bytes;

    buffer_init(&out, 1000);
    write_row(&out, 1, &group, 1, &value, 1);
    CHECK_INT(decode_row(&out, &item, &bytes), ==, GV_OK);
    CHECK_INT(stream_next_group(&item.as.row.groups, &site, &since, mask, 1),
              ==, GV_EPROTO);
    free(bytes);
    buffer_close(&out);
}

TEST(every_bit_of_a_mask_comes_back)
{
    struct value value = integer(1);
    struct buffer out;

    buffer_init(&out, 1000);
    for (size_t bit = 1; bit <= STREAM_COLUMNS_MAX; bit++) {
        struct group group = {0, 9, {1}};
        struct stream_item item;
        uint64_t mask[ROW_WORDS_MAX];
        int64_t since;
        uint32_t site;
        uint8_t *bytes;

        mask_set(group.mask, bit);
        buffer_clear(&out);
        write_row(&out, 1, &group, 1, &value, 1);
        CHECK_INT(decode_row(&out, &item, &bytes), ==, GV_OK);
        CHECK_INT(stream_next_group(&item.as.row.groups, &site, &since, mask,
                                    ROW_WORDS_MAX),
                  ==, GV_OK);
        CHECK(memcmp(mask, group.mask, sizeof(mask)) == 0);
        free(bytes);
    }
    buffer_close(&out);
}

TEST(the_widest_row_comes_back)
{
    static struct group groups[STREAM_COLUMNS_MAX + 1];
    static struct value values[STREAM_COLUMNS_MAX];
    struct stream_item item;
    struct buffer out;
    uint8_t *bytes;

    for (uint32_t i = 0; i <= STREAM_COLUMNS_MAX; i++) {
        groups[i].site = i / 3;
        groups[i].since = 1 + i % 3;
        mask_set(groups[i].mask, i);
        if (i > 0)
            values[i - 1] = integer(i);
    }
    buffer_init(&out, 10000000);
    write_row(&out, 1, groups, STREAM_COLUMNS_MAX + 1, values,
              STREAM_COLUMNS_MAX);
    CHECK_INT(decode_row(&out, &item, &bytes), ==, GV_OK);
    CHECK_INT(item.as.row.group_count, ==, STREAM_COLUMNS_MAX + 1);
    free(bytes);
    buffer_close(&out);
}

TEST(a_full_buffer_is_reported_at_the_end_of_the_row)
{
    struct group group = {0, 9, {2}};
    struct value value = bytes_of(VALUE_TEXT, "0123456789", 10);
    struct stream_row_writer writer;
    struct buffer out;

    for (size_t limit = 0; limit < 40; limit++) {
        buffer_init(&out, limit);
        stream_begin_row(&writer, &out, 0, key_one, sizeof(key_one), 1, 1, 1);
        stream_write_group(&writer, group.site, group.since, group.mask, 1);
        stream_write_value(&writer, &value);
        CHECK_INT(stream_end_row(&writer), ==, GV_ELIMIT);
        buffer_close(&out);
    }
}

/* The sizes are only claimed: nobody reads that far. */
TEST(an_item_longer_than_256_mib_is_neither_written_nor_read)
{
    struct group group = {0, 9, {2}};
    struct value value = bytes_of(VALUE_TEXT, "x", 1);
    struct stream_row_writer writer;
    struct stream_item item;
    struct buffer out;

    buffer_init(&out, 1000);
    stream_begin_row(&writer, &out, 0, key_one, sizeof(key_one), 1, 1, 1);
    stream_write_group(&writer, group.site, group.since, group.mask, 1);
    stream_write_value(&writer, &value);
    CHECK_INT(stream_decode(out.data, (size_t)STREAM_ITEM_SIZE_MAX + 1, &item),
              ==, GV_EPROTO);
    out.size = (size_t)STREAM_HEADER_SIZE + STREAM_ITEM_SIZE_MAX + 1;
    CHECK_INT(stream_end_row(&writer), ==, GV_ELIMIT);
    CHECK_INT(out.error, ==, GV_ELIMIT);
    buffer_close(&out);
}

/* Rows by hand, to write what the writer refuses to. */

struct raw {
    msgpack_sbuffer buffer;
    msgpack_packer packer;
};

static void raw_init(struct raw *raw)
{
    msgpack_sbuffer_init(&raw->buffer);
    msgpack_packer_init(&raw->packer, &raw->buffer, msgpack_sbuffer_write);
}

static int raw_decode(struct raw *raw)
{
    struct stream_item item;
    uint8_t *exact =
        bytes_exact((uint8_t *)raw->buffer.data, raw->buffer.size);
    int rc = stream_decode(exact, raw->buffer.size, &item);

    free(exact);
    msgpack_sbuffer_destroy(&raw->buffer);
    return rc;
}

static void raw_blob(struct raw *raw, const void *bytes, size_t size)
{
    msgpack_pack_bin(&raw->packer, size);
    msgpack_pack_bin_body(&raw->packer, bytes, size);
}

static void raw_text(struct raw *raw, const void *bytes, size_t size)
{
    msgpack_pack_str(&raw->packer, size);
    msgpack_pack_str_body(&raw->packer, bytes, size);
}

static void raw_group(struct raw *raw, uint64_t site, int64_t since,
                      const char *mask, size_t size)
{
    msgpack_pack_array(&raw->packer, 3);
    msgpack_pack_uint64(&raw->packer, site);
    msgpack_pack_int64(&raw->packer, since);
    raw_blob(raw, mask, size);
}

static void raw_row(struct raw *raw, uint64_t table, uint64_t causal_length,
                    uint32_t groups)
{
    raw_init(raw);
    msgpack_pack_array(&raw->packer, 6);
    msgpack_pack_int(&raw->packer, STREAM_ROW);
    msgpack_pack_uint64(&raw->packer, table);
    raw_blob(raw, key_one, sizeof(key_one));
    msgpack_pack_uint64(&raw->packer, causal_length);
    msgpack_pack_array(&raw->packer, groups);
}

/* The end of a row: as many values as @count, all nil. */
static int raw_finish(struct raw *raw, uint32_t count)
{
    msgpack_pack_array(&raw->packer, count);
    for (uint32_t i = 0; i < count; i++)
        msgpack_pack_nil(&raw->packer);
    return raw_decode(raw);
}

static int row_of_one_group(uint64_t table, uint64_t causal_length,
                            uint64_t site, int64_t since, const char *mask,
                            size_t size, uint32_t values)
{
    struct raw raw;

    raw_row(&raw, table, causal_length, 1);
    raw_group(&raw, site, since, mask, size);
    return raw_finish(&raw, values);
}

TEST(numbers_out_of_range_are_refused)
{
    uint64_t over = (uint64_t)UINT32_MAX + 1;
    int64_t most = (int64_t)VERSION_MAX;

    CHECK_INT(row_of_one_group(0, 1, 0, 1, "\1", 1, 0), ==, GV_OK);
    CHECK_INT(row_of_one_group(over, 1, 0, 1, "\1", 1, 0), ==, GV_EPROTO);
    CHECK_INT(row_of_one_group(0, 1, over, 1, "\1", 1, 0), ==, GV_EPROTO);
    CHECK_INT(row_of_one_group(0, 0, 0, 1, "\1", 1, 0), ==, GV_EPROTO);
    CHECK_INT(row_of_one_group(0, ROW_CAUSAL_LENGTH_MAX, 0, 1, "\1", 1, 0), ==,
              GV_OK);
    CHECK_INT(row_of_one_group(0, ROW_CAUSAL_LENGTH_MAX + 1, 0, 1, "\1", 1, 0),
              ==, GV_EPROTO);
    CHECK_INT(row_of_one_group(0, 1, 0, 0, "\1", 1, 0), ==, GV_OK);
    CHECK_INT(row_of_one_group(0, 1, 0, most, "\1", 1, 0), ==, GV_OK);
    CHECK_INT(row_of_one_group(0, 1, 0, most + 1, "\1", 1, 0), ==, GV_EPROTO);
    CHECK_INT(row_of_one_group(0, 1, 0, -most, "\1", 1, 0), ==, GV_OK);
    CHECK_INT(row_of_one_group(0, 1, 0, -most - 1, "\1", 1, 0), ==, GV_EPROTO);
}

TEST(masks_out_of_form_are_refused)
{
    char mask[252] = {0};

    CHECK_INT(row_of_one_group(0, 1, 0, 1, "", 0, 0), ==, GV_EPROTO);
    CHECK_INT(row_of_one_group(0, 1, 0, 1, "\0", 1, 0), ==, GV_EPROTO);
    CHECK_INT(row_of_one_group(0, 1, 0, 1, "\1\0", 2, 0), ==, GV_EPROTO);
    mask[250] = 1;
    CHECK_INT(row_of_one_group(0, 1, 0, 1, mask, 251, 1), ==, GV_OK);
    mask[250] = 2;
    CHECK_INT(row_of_one_group(0, 1, 0, 1, mask, 251, 1), ==, GV_EPROTO);
    mask[250] = 0;
    mask[251] = 1;
    CHECK_INT(row_of_one_group(0, 1, 0, 1, mask, 252, 1), ==, GV_EPROTO);
}

TEST(as_many_values_as_bits_but_existence)
{
    CHECK_INT(row_of_one_group(0, 1, 0, 1, "\7", 1, 2), ==, GV_OK);
    CHECK_INT(row_of_one_group(0, 1, 0, 1, "\7", 1, 1), ==, GV_EPROTO);
    CHECK_INT(row_of_one_group(0, 1, 0, 1, "\7", 1, 3), ==, GV_EPROTO);
    CHECK_INT(row_of_one_group(0, 1, 0, 1, "\6", 1, 2), ==, GV_OK);
    CHECK_INT(row_of_one_group(0, 1, 0, 1, "\0\xff", 2, 8), ==, GV_OK);
}

TEST(a_death_with_more_than_existence_is_refused)
{
    CHECK_INT(row_of_one_group(0, 2, 0, 1, "\1", 1, 0), ==, GV_OK);
    CHECK_INT(row_of_one_group(0, 2, 0, 1, "\3", 1, 1), ==, GV_EPROTO);
    CHECK_INT(row_of_one_group(0, 2, 0, 1, "\2", 1, 1), ==, GV_EPROTO);
    CHECK_INT(row_of_one_group(0, 2, 0, 1, "\2", 1, 0), ==, GV_EPROTO);
}

static int row_of_two_groups(uint64_t site, int64_t since, const char *mask,
                             size_t size)
{
    struct raw raw;

    raw_row(&raw, 0, 1, 2);
    raw_group(&raw, 1, 10, "\0\0\0\0\0\0\0\0\1", 9);
    raw_group(&raw, site, since, mask, size);
    return raw_finish(&raw, 2);
}

static int row_of_one_mask_twice(const char *mask, uint32_t values)
{
    struct raw raw;

    raw_row(&raw, 0, 1, 2);
    raw_group(&raw, 1, 10, mask, 1);
    raw_group(&raw, 2, 10, mask, 1);
    return raw_finish(&raw, values);
}

/* A counter has a cell for each site; which columns may, the table's
 * definition says. */
TEST(a_bit_of_two_masks_has_one_value_or_two)
{
    CHECK_INT(row_of_one_mask_twice("\2", 0), ==, GV_EPROTO);
    CHECK_INT(row_of_one_mask_twice("\2", 1), ==, GV_OK);
    CHECK_INT(row_of_one_mask_twice("\2", 2), ==, GV_OK);
    CHECK_INT(row_of_one_mask_twice("\2", 3), ==, GV_EPROTO);
    CHECK_INT(row_of_one_mask_twice("\3", 2), ==, GV_EPROTO);
    CHECK_INT(row_of_one_mask_twice("\1", 0), ==, GV_EPROTO);
}

static int row_of_one_cell(double value, const void *over, size_t size)
{
    struct raw raw;

    raw_row(&raw, 0, 1, 1);
    raw_group(&raw, 1, 10, "\2", 1);
    msgpack_pack_array(&raw.packer, 1);
    msgpack_pack_array(&raw.packer, 2);
    msgpack_pack_double(&raw.packer, value);
    raw_blob(&raw, over, size);
    return raw_decode(&raw);
}

TEST(a_cell_that_replaces_no_vector_is_refused)
{
    uint8_t over[2 * VV_ENTRY_SIZE] = {1};

    over[VV_ENTRY_SIZE - 1] = over[2 * VV_ENTRY_SIZE - 1] = 7;
    CHECK_INT(row_of_one_cell(1.5, over, 0), ==, GV_OK);
    CHECK_INT(row_of_one_cell(1.5, over, VV_ENTRY_SIZE), ==, GV_OK);
    CHECK_INT(row_of_one_cell(1.5, over, VV_ENTRY_SIZE - 1), ==, GV_EPROTO);
    CHECK_INT(row_of_one_cell(1.5, over, sizeof over), ==, GV_EPROTO);
    over[VV_ENTRY_SIZE] = 2;
    CHECK_INT(row_of_one_cell(1.5, over, sizeof over), ==, GV_OK);
    CHECK_INT(row_of_one_cell(__builtin_nan(""), over, sizeof over), ==,
              GV_EPROTO);
}

TEST(dots_given_twice_are_refused)
{
    CHECK_INT(row_of_two_groups(2, 10, "\2", 1), ==, GV_OK);
    CHECK_INT(row_of_two_groups(1, 11, "\2", 1), ==, GV_OK);
    CHECK_INT(row_of_two_groups(1, 10, "\2", 1), ==, GV_EPROTO);
    CHECK_INT(row_of_two_groups(2, 10, "\0\0\0\0\0\0\0\0\2", 9), ==, GV_OK);
}

TEST(a_row_without_groups_is_refused)
{
    struct raw raw;

    raw_row(&raw, 0, 1, 0);
    CHECK_INT(raw_finish(&raw, 0), ==, GV_EPROTO);
}

static int row_of_value(void (*pack)(struct raw *raw))
{
    struct raw raw;

    raw_row(&raw, 0, 1, 1);
    raw_group(&raw, 0, 1, "\2", 1);
    msgpack_pack_array(&raw.packer, 1);
    pack(&raw);
    return raw_decode(&raw);
}

static void pack_int64_max(struct raw *raw)
{
    msgpack_pack_uint64(&raw->packer, INT64_MAX);
}

static void pack_above_int64_max(struct raw *raw)
{
    msgpack_pack_uint64(&raw->packer, (uint64_t)INT64_MAX + 1);
}

static void pack_true(struct raw *raw)
{
    msgpack_pack_true(&raw->packer);
}

static void pack_float(struct raw *raw)
{
    msgpack_pack_float(&raw->packer, 1);
}

static void pack_array(struct raw *raw)
{
    msgpack_pack_array(&raw->packer, 0);
}

static void pack_two(struct raw *raw)
{
    msgpack_pack_array(&raw->packer, 2);
    msgpack_pack_uint64(&raw->packer, 1);
    msgpack_pack_uint64(&raw->packer, 2);
}

static void pack_text_in_array(struct raw *raw)
{
    msgpack_pack_array(&raw->packer, 1);
    raw_text(raw, "a", 1);
}

static void pack_hollow(struct raw *raw)
{
    msgpack_pack_array(&raw->packer, 1);
    msgpack_pack_uint64(&raw->packer, UINT64_MAX);
}

static void pack_too_large(struct raw *raw)
{
    size_t size = (size_t)VALUE_SIZE_MAX + 1;
    uint8_t *bytes = calloc(size, 1);

    raw_blob(raw, bytes, size);
    free(bytes);
}

static void pack_largest(struct raw *raw)
{
    uint8_t *bytes = calloc(VALUE_SIZE_MAX, 1);

    raw_text(raw, bytes, VALUE_SIZE_MAX);
    free(bytes);
}

TEST(what_is_no_value_is_refused)
{
    CHECK_INT(row_of_value(pack_int64_max), ==, GV_OK);
    CHECK_INT(row_of_value(pack_largest), ==, GV_OK);
    CHECK_INT(row_of_value(pack_above_int64_max), ==, GV_EPROTO);
    CHECK_INT(row_of_value(pack_true), ==, GV_EPROTO);
    CHECK_INT(row_of_value(pack_float), ==, GV_EPROTO);
    CHECK_INT(row_of_value(pack_array), ==, GV_EPROTO);
    CHECK_INT(row_of_value(pack_two), ==, GV_EPROTO);
    CHECK_INT(row_of_value(pack_text_in_array), ==, GV_EPROTO);
    CHECK_INT(row_of_value(pack_hollow), ==, GV_OK);
    CHECK_INT(row_of_value(pack_too_large), ==, GV_EPROTO);
}

static int row_of_key(const void *key, size_t size)
{
    struct raw raw;

    raw_init(&raw);
    msgpack_pack_array(&raw.packer, 6);
    msgpack_pack_int(&raw.packer, STREAM_ROW);
    msgpack_pack_int(&raw.packer, 0);
    raw_blob(&raw, key, size);
    msgpack_pack_int(&raw.packer, 1);
    msgpack_pack_array(&raw.packer, 1);
    raw_group(&raw, 0, 1, "\1", 1);
    return raw_finish(&raw, 0);
}

TEST(keys_are_checked_too)
{
    struct buffer key;
    struct value value = integer(1);

    CHECK_INT(row_of_key(key_one, sizeof(key_one)), ==, GV_OK);
    CHECK_INT(row_of_key("", 0), ==, GV_EPROTO);
    CHECK_INT(row_of_key("\0\0\0\1\0", 5), ==, GV_EPROTO); /* NULL */
    CHECK_INT(row_of_key(key_one, sizeof(key_one) - 1), ==, GV_EPROTO);
    buffer_init(&key, 10000);
    for (int i = 0; i < KEY_COLUMNS_MAX; i++)
        key_append(&key, &value);
    CHECK_INT(row_of_key(key.data, key.size), ==, GV_OK);
    key_append(&key, &value);
    CHECK_INT(row_of_key(key.data, key.size), ==, GV_EPROTO);
    buffer_close(&key);
}

static int item_of_site(size_t size, uint64_t base, uint32_t elements)
{
    struct raw raw;

    raw_init(&raw);
    msgpack_pack_array(&raw.packer, elements);
    msgpack_pack_int(&raw.packer, STREAM_SITE);
    raw_blob(&raw, "0123456789abcdefg", size);
    if (elements > 2)
        msgpack_pack_uint64(&raw.packer, base);
    for (uint32_t i = 3; i < elements; i++)
        msgpack_pack_nil(&raw.packer);
    return raw_decode(&raw);
}

TEST(a_site_has_sixteen_bytes_a_base_and_nothing_more)
{
    CHECK_INT(item_of_site(16, 0, 3), ==, GV_OK);
    CHECK_INT(item_of_site(16, VERSION_MAX, 3), ==, GV_OK);
    CHECK_INT(item_of_site(16, VERSION_MAX + 1, 3), ==, GV_EPROTO);
    CHECK_INT(item_of_site(15, 0, 3), ==, GV_EPROTO);
    CHECK_INT(item_of_site(17, 0, 3), ==, GV_EPROTO);
    CHECK_INT(item_of_site(16, 0, 2), ==, GV_EPROTO);
    CHECK_INT(item_of_site(16, 0, 4), ==, GV_EPROTO);
}

/* A definition by hand: what it names its table, how often its columns. */
struct definition {
    const char *wire, *local, *column, *type;
    size_t wire_size, column_size;
    uint64_t options;
    uint32_t keys, columns;
    size_t initial_size;
};

static const struct definition plain = {.wire = "t",
                                        .local = "t",
                                        .column = "c",
                                        .type = "TEXT",
                                        .wire_size = 1,
                                        .column_size = 1,
                                        .keys = 1,
                                        .columns = 1};

static int item_of_table(const struct definition *given)
{
    static uint8_t initial[STREAM_DEFAULT_SIZE_MAX + 1];
    struct raw raw;

    raw_init(&raw);
    msgpack_pack_array(&raw.packer, 6);
    msgpack_pack_int(&raw.packer, STREAM_TABLE);
    raw_text(&raw, given->wire, given->wire_size);
    raw_text(&raw, given->local, strlen(given->local));
    msgpack_pack_uint64(&raw.packer, given->options);
    msgpack_pack_array(&raw.packer, given->keys);
    for (uint32_t i = 0; i < given->keys; i++) {
        msgpack_pack_array(&raw.packer, 3);
        raw_text(&raw, given->column, given->column_size);
        msgpack_pack_nil(&raw.packer);
        raw_text(&raw, given->type, strlen(given->type));
    }
    msgpack_pack_array(&raw.packer, given->columns);
    for (uint32_t i = 0; i < given->columns; i++) {
        msgpack_pack_array(&raw.packer, 5);
        raw_text(&raw, given->column, given->column_size);
        msgpack_pack_nil(&raw.packer);
        raw_text(&raw, given->type, strlen(given->type));
        raw_text(&raw, "lww", 3);
        raw_blob(&raw, initial, given->initial_size);
    }
    return raw_decode(&raw);
}

TEST(names_and_columns_have_their_limits)
{
    char name[1025];
    struct definition given = plain;

    memset(name, 'x', sizeof(name));
    given.wire = given.column = name;
    given.wire_size = given.column_size = 1024;
    CHECK_INT(item_of_table(&given), ==, GV_OK);
    given.wire_size = 1025;
    CHECK_INT(item_of_table(&given), ==, GV_EPROTO);
    given.wire_size = 0;
    CHECK_INT(item_of_table(&given), ==, GV_EPROTO);
    given = plain;
    given.column = "a\0b";
    given.column_size = 3;
    CHECK_INT(item_of_table(&given), ==, GV_EPROTO);
    given.column = "a\nb";
    CHECK_INT(item_of_table(&given), ==, GV_EPROTO);
    given = plain;
    given.columns = 2000;
    CHECK_INT(item_of_table(&given), ==, GV_OK);
    given.columns = 2001;
    CHECK_INT(item_of_table(&given), ==, GV_EPROTO);
}

TEST(a_definition_has_a_key_and_known_options)
{
    struct definition given = plain;

    given.keys = 0;
    CHECK_INT(item_of_table(&given), ==, GV_EPROTO);
    given.keys = KEY_COLUMNS_MAX;
    CHECK_INT(item_of_table(&given), ==, GV_OK);
    given.keys++;
    CHECK_INT(item_of_table(&given), ==, GV_EPROTO);
    given = plain;
    given.options = 3;
    CHECK_INT(item_of_table(&given), ==, GV_OK);
    given.options = 4;
    CHECK_INT(item_of_table(&given), ==, GV_EPROTO);
}

TEST(types_and_defaults_have_their_limits)
{
    char type[257] = {0};
    struct definition given = plain;

    memset(type, 'x', 255);
    given.type = type;
    given.initial_size = STREAM_DEFAULT_SIZE_MAX;
    CHECK_INT(item_of_table(&given), ==, GV_OK);
    type[255] = 'x';
    CHECK_INT(item_of_table(&given), ==, GV_EPROTO);
    type[255] = '\0';
    given.initial_size++;
    CHECK_INT(item_of_table(&given), ==, GV_EPROTO);
}

TEST(names_that_are_not_ours_to_write_are_refused)
{
    static const char *const names[] = {"sqlite_schema", "SQLite_x", "gv_meta",
                                        "GV_"};
    struct definition given = plain;

    for (size_t i = 0; i < 4; i++) {
        given = plain;
        given.wire = names[i];
        given.wire_size = strlen(names[i]);
        CHECK_INT(item_of_table(&given), ==, GV_EPROTO);
        given = plain;
        given.local = names[i];
        CHECK_INT(item_of_table(&given), ==, GV_EPROTO);
    }
    given.local = "sqlite";
    CHECK_INT(item_of_table(&given), ==, GV_OK);
}

TEST(unknown_kinds_and_trailing_bytes_are_refused)
{
    struct group group = {0, 9, {3}};
    struct value value = integer(1);
    struct stream_item item;
    struct buffer out;

    CHECK_INT(stream_decode((const uint8_t *)"\x92\x04\xc0", 3, &item), ==,
              GV_EPROTO);
    CHECK_INT(stream_decode((const uint8_t *)"\x90", 1, &item), ==, GV_EPROTO);
    CHECK_INT(stream_decode((const uint8_t *)"", 0, &item), ==, GV_EPROTO);
    CHECK_INT(stream_decode(NULL, 0, &item), ==, GV_EPROTO);
    buffer_init(&out, 1000);
    write_row(&out, 1, &group, 1, &value, 1);
    buffer_append_u8(&out, 0xc0);
    CHECK_INT(stream_decode(out.data + 4, out.size - 4, &item), ==, GV_EPROTO);
    CHECK_INT(stream_decode(out.data + 4, out.size - 5, &item), ==, GV_OK);
    buffer_close(&out);
}

/* Some items of each kind, small enough to hit everything in them. */
static size_t sample_items(struct buffer *samples)
{
    struct stream_column key = column_of("id", "id", "TEXT", integer(0));
    struct stream_column columns[2];
    struct stream_table table = {.wire = stream_text("t"),
                                 .local = stream_text("u"),
                                 .key_count = 1,
                                 .column_count = 2};
    struct group groups[2] = {{0, 70000, {7}}, {1, VERSION_MAX, {8, 1}}};
    struct value values[4] = {integer(-5), real_of_bits(1),
                              bytes_of(VALUE_TEXT, "a\0b", 3),
                              bytes_of(VALUE_BLOB, "xyz", 3)};
    struct group death = {0, 9, {1}};
    struct site site = {{1, 2, 3}};

    for (size_t i = 0; i < 4; i++)
        buffer_init(&samples[i], 1000);
    columns[0] = column_of("a", "a", "INT(8)", integer(1));
    columns[1] = column_of("b", "c", "", bytes_of(VALUE_BLOB, "xyz", 3));
    stream_write_site(&samples[0], &site, 0);
    stream_write_table(&samples[1], &table, &key, columns);
    write_row(&samples[2], 1, groups, 2, values, 4);
    write_row(&samples[3], 2, &death, 1, NULL, 0);
    return 4;
}

TEST(every_truncation_of_an_item_is_refused)
{
    struct buffer samples[4];
    size_t count = sample_items(samples);

    for (size_t i = 0; i < count; i++) {
        for (size_t size = 0; size < samples[i].size - 4; size++) {
            uint8_t *exact = bytes_exact(samples[i].data + 4, size);
            struct stream_item item;
            CHECK_INT(stream_decode(exact, size, &item), ==, GV_EPROTO);
            free(exact);
        }
        buffer_close(&samples[i]);
    }
}

/* Read all of an item that was accepted: its cursors must not fail. */
static void walk(struct stream_item *item)
{
    uint64_t digest;
    uint64_t mask[ROW_WORDS_MAX];
    struct value value;
    struct stream_column column;
    int64_t since;
    uint32_t site;

    if (item->kind == STREAM_TABLE) {
        for (size_t i = 0; i < item->as.table.head.key_count; i++)
            stream_next_key(&item->as.table.keys, &column);
        for (size_t i = 0; i < item->as.table.head.column_count; i++)
            stream_next_column(&item->as.table.columns, &column);
    } else if (item->kind == STREAM_ROW) {
        for (size_t i = 0; i < item->as.row.group_count; i++)
            CHECK_INT(stream_next_group(&item->as.row.groups, &site, &since,
                                        mask, ROW_WORDS_MAX),
                      ==, GV_OK);
        for (size_t i = 0; i < item->as.row.value_count; i++)
            stream_next_value(&item->as.row.values, &value, &digest);
        CHECK(item->as.row.groups.at == item->as.row.groups.end);
        CHECK(item->as.row.values.at == item->as.row.values.end);
    }
}

TEST(mutated_items_are_refused_or_read_without_fault)
{
    struct buffer samples[4];
    size_t count = sample_items(samples);
    struct random random;
    int accepted = 0;

    random_seed(&random, 7);
    for (int i = 0; i < 200000; i++) {
        const struct buffer *sample = &samples[i % 4];
        size_t size = sample->size - 4;
        uint8_t *mutated = bytes_mutated(&random, sample->data + 4, &size);
        struct stream_item item;
        int rc = stream_decode(mutated, size, &item);
        CHECK(rc == GV_OK || rc == GV_EPROTO);
        if (rc == GV_OK)
            walk(&item);
        accepted += rc == GV_OK;
        free(mutated);
    }
    CHECK_INT(accepted, >, 2000);
    CHECK_INT(accepted, <, 150000);
    for (size_t i = 0; i < count; i++)
        buffer_close(&samples[i]);
}

/* The bytes of a small stream, so that the format cannot drift. */
TEST(items_are_what_the_format_says)
{
    static const uint8_t expected[] = {
        0,    0,    0,    23,   0x93, 1,    0xc4, 16,   0,    1,    2,    3,
        4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,
        0xcd, 1,    0,    0,    0,    0,    33,   0x96, 2,    0xa1, 't',  0xa1,
        'u',  1,    0x91, 0x93, 0xa1, 'k',  0xc0, 0xa1, 'T',  0x92, 0x95, 0xa1,
        'a',  0xc0, 0xa0, 0xa1, 'l',  0xc0, 0x95, 0xa1, 'b',  0xa1, 'c',  0xa1,
        'T',  0xa1, 'l',  5,    0,    0,    0,    38,   0x96, 3,    0,    0xc4,
        13,   0,    0,    0,    9,    1,    0,    0,    0,    0,    0,    0,
        0,    1,    1,    0x91, 0x93, 0,    0xfd, 0xc4, 1,    7,    0x92, 0xcb,
        0x3f, 0xf0, 0,    0,    0,    0,    0,    0,    0xa1, 'x'};
    struct stream_column key = column_of("k", "k", "T", integer(0));
    struct stream_column columns[2];
    struct stream_table table = {.wire = stream_text("t"),
                                 .local = stream_text("u"),
                                 .options = STREAM_TABLE_STRICT,
                                 .key_count = 1,
                                 .column_count = 2};
    uint64_t mask = 7;
    struct site site;
    struct value one = {.class = VALUE_REAL, .real = 1.0};
    struct value x = bytes_of(VALUE_TEXT, "x", 1);
    struct stream_row_writer writer;
    struct buffer out;

    for (uint8_t i = 0; i < 16; i++)
        site.bytes[i] = i;
    buffer_init(&out, 1000);
    stream_write_site(&out, &site, 256);
    columns[0] = column_of("a", "a", "", (struct value){.class = VALUE_NULL});
    columns[1] = column_of("b", "c", "T", integer(5));
    columns[0].kind = columns[1].kind = stream_text("l");
    stream_write_table(&out, &table, &key, columns);
    stream_begin_row(&writer, &out, 0, key_one, sizeof(key_one), 1, 1, 2);
    stream_write_group(&writer, 0, -3, &mask, 1);
    stream_write_value(&writer, &one);
    stream_write_value(&writer, &x);
    CHECK_INT(stream_end_row(&writer), ==, GV_OK);
    CHECK_INT(out.size, ==, sizeof(expected));
    CHECK(memcmp(out.data, expected, sizeof(expected)) == 0);
    buffer_close(&out);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
