/* The order that decides a merge, over all that SQLite can store.
 *
 * A cell goes to the larger (version, site id, digest of the value).  Each of
 * the three orders is taken from what row_merge() does with two rows, for
 * every pair of a set, and then judged for every triple. */
#include "check.h"

#include "core/row.h"
#include "grapevine.h"
#include "store/sql.h"
#include "wire/stream.h"

#include <float.h>
#include <math.h>

#define SET 200

/* beats[i][j]: a row that has i takes j when it is merged into it. */
static bool beats[SET][SET];

static void judge(void)
{
    size_t chosen[SET] = {0};

    for (size_t i = 0; i < SET; i++) {
        CHECK(!beats[i][i]);
        for (size_t j = 0; j < SET; j++) {
            CHECK(i == j || beats[i][j] != beats[j][i]);
            chosen[i] += beats[i][j];
            for (size_t k = 0; k < SET && beats[i][j]; k++)
                CHECK(!beats[j][k] || beats[i][k]);
        }
    }
    /* A total order: one for each place. */
    for (size_t i = 0; i < SET; i++)
        for (size_t j = 0; j < i; j++)
            CHECK(chosen[i] != chosen[j]);
}

/* Values */

static struct value values[SET];
static size_t value_count;

static void add(struct value value)
{
    CHECK_INT(value_count, <, SET);
    values[value_count++] = value;
}

static void add_integer(int64_t number)
{
    add((struct value){.class = VALUE_INTEGER, .integer = number});
}

static void add_real(double number)
{
    add((struct value){.class = VALUE_REAL, .real = number});
}

/* The same bytes as text and as a blob. */
static void add_bytes(const char *bytes, size_t size)
{
    struct value value = {
        .class = VALUE_TEXT, .bytes = (const uint8_t *)bytes, .size = size};

    add(value);
    value.class = VALUE_BLOB;
    add(value);
}

static void add_numbers(void)
{
    static const unsigned shifts[] = {1,  7,  8,  15, 16, 24, 31,
                                      32, 47, 52, 53, 54, 61, 62};

    for (int64_t i = -1; i <= 1; i++)
        add_integer(i);
    add_integer(INT64_MIN);
    add_integer(INT64_MAX);
    for (size_t i = 0; i < sizeof shifts / sizeof *shifts; i++) {
        int64_t power = INT64_C(1) << shifts[i];

        add_integer(power + 1);
        add_integer(-power - 1);
        add_real((double)power);
        add_real(-(double)power - 0.5);
    }
    add_real(0.0);
    add_real(-0.0);
    add_real(INFINITY);
    add_real(-INFINITY);
    add_real(DBL_MAX);
    add_real(DBL_MIN);
    add_real(DBL_TRUE_MIN);
    add_real(-DBL_TRUE_MIN);
    add_real(0.1);
    add_real(1.0);
    add_real(1.0 + DBL_EPSILON);
    add_real(9223372036854775808.0);
}

#define ADD_BYTES(bytes) add_bytes(bytes, sizeof(bytes) - 1)

static void add_texts(void)
{
    static char long_text[4000];

    memset(long_text, 'x', sizeof long_text);
    ADD_BYTES("");
    ADD_BYTES("\0");
    ADD_BYTES("\0\0");
    ADD_BYTES("a");
    ADD_BYTES("A");
    ADD_BYTES("a ");
    ADD_BYTES("a\0");
    ADD_BYTES("a\0b");
    ADD_BYTES("0");
    ADD_BYTES("1");
    ADD_BYTES("1.0");
    ADD_BYTES("-0.0");
    ADD_BYTES("NULL");
    ADD_BYTES("\xc3\xa9");         /* é as one character … */
    ADD_BYTES("e\xcc\x81");        /* … and as two */
    ADD_BYTES("\xff");             /* none of these is UTF-8: … */
    ADD_BYTES("\xc3\x28");         /* … a lead byte alone … */
    ADD_BYTES("\xc0\x80");         /* … too long a form … */
    ADD_BYTES("\xed\xa0\x80");     /* … a surrogate … */
    ADD_BYTES("\xf4\x90\x80\x80"); /* … above U+10FFFF */
    ADD_BYTES("\xf0\x9f\x8d\x87");
    ADD_BYTES("\xef\xbb\xbf");
    add_bytes(long_text, sizeof long_text);
}

static void make_values(void)
{
    static char rest[SET][8];

    value_count = 0;
    add((struct value){.class = VALUE_NULL});
    add_numbers();
    add_texts();
    for (size_t i = 0; value_count + 2 <= SET; i++) {
        int size = snprintf(rest[i], sizeof rest[i], "t%zu", i);

        add_bytes(rest[i], (size_t)size);
    }
    if (value_count < SET)
        add_real(M_PI);
    CHECK_INT(value_count, ==, SET);
}

/* Merging */

/* What one site wrote into one column. */
struct stamp {
    uint32_t site;
    gv_version version;
    uint64_t digest;
};

/* Numbers run against the order of ids, so that a comparison of numbers
 * would show. */
static const struct site sites[5] = {
    {{9}}, {{5, 0, 1}}, {{5}}, {{1, 255}}, {{1, 0, 255}}};

static struct row row_of(const struct stamp *stamp, struct record records[2],
                         uint64_t masks[2], uint64_t digests[64])
{
    masks[0] = 1 << ROW_EXISTENCE | 1 << 1;
    records[0] = (struct record){
        .site = stamp->site, .version = stamp->version, .mask = &masks[0]};
    records[1] = (struct record){.mask = &masks[1]};
    digests[1] = stamp->digest;
    return (struct row){.causal_length = 1,
                        .record_count = 1,
                        .records = records,
                        .digests = digests};
}

/* Whether @other takes the column from @one. */
static bool takes(const struct stamp *one, const struct stamp *other)
{
    struct record records[2][2];
    uint64_t masks[2][2] = {{0}}, digests[2][64] = {{0}}, won;
    struct row row = row_of(one, records[0], masks[0], digests[0]);
    struct row fragment = row_of(other, records[1], masks[1], digests[1]);
    struct row_change change = {.won = &won};

    row_merge(&row, &fragment, 1, sites, &change);
    CHECK(row_check(&row, 1));
    CHECK(digests[0][1] == (mask_get(&won, 1) ? other->digest : one->digest));
    return mask_get(&won, 1);
}

static void compare_all(const struct stamp stamps[SET])
{
    for (size_t i = 0; i < SET; i++)
        for (size_t j = 0; j < SET; j++)
            beats[i][j] = takes(&stamps[i], &stamps[j]);
}

TEST(values_under_one_dot_are_in_a_total_order)
{
    struct stamp stamps[SET];

    make_values();
    for (size_t i = 0; i < SET; i++)
        stamps[i] = (struct stamp){1, 7, value_digest(&values[i])};
    compare_all(stamps);
    judge();
}

TEST(stamps_are_in_a_total_order)
{
    struct stamp stamps[SET];
    size_t count = 0;

    make_values();
    for (uint32_t site = 0; site < 5; site++)
        for (gv_version version = 1; version <= 5; version++)
            for (size_t i = 0; i < 8; i++, count++) {
                const struct value *value = &values[(count * 7 + i) % SET];

                stamps[count] =
                    (struct stamp){site, version == 5 ? VERSION_MAX : version,
                                   value_digest(value)};
            }
    CHECK_INT(count, ==, SET);
    compare_all(stamps);
    judge();
    /* The version first, then the site's id. */
    CHECK(takes(&(struct stamp){0, 1, 9}, &(struct stamp){3, 2, 1}));
    CHECK(takes(&(struct stamp){4, 1, 9}, &(struct stamp){3, 1, 1}));
}

TEST(site_ids_are_in_a_total_order)
{
    struct site ids[SET] = {{{0}}};

    for (size_t i = 0; i < SET; i++) {
        ids[i].bytes[i % 16] = (uint8_t)(i * 37);
        ids[i].bytes[(i + 5) % 16] = (uint8_t)(255 - i);
    }
    for (size_t i = 0; i < SET; i++)
        for (size_t j = 0; j < SET; j++)
            beats[i][j] = site_compare(&ids[j], &ids[i]) > 0;
    judge();
}

/* Stored = sent */

static void travel(const struct value *value, struct value *arrived,
                   struct buffer *out)
{
    static const uint8_t key[] = {0, 0, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0, 1};
    uint64_t mask = 1 << ROW_EXISTENCE | 1 << 1;
    struct stream_row_writer writer;
    struct stream_item item;
    uint64_t digest;

    buffer_clear(out);
    stream_begin_row(&writer, out, 0, key, sizeof key, 1, 1, 1);
    stream_write_group(&writer, 0, 7, &mask, 1);
    stream_write_value(&writer, value);
    CHECK_INT(stream_end_row(&writer), ==, GV_OK);
    CHECK_INT(stream_decode(out->data + STREAM_HEADER_SIZE,
                            out->size - STREAM_HEADER_SIZE, &item),
              ==, GV_OK);
    stream_next_value(&item.as.row.values, arrived, &digest);
}

static sqlite3_stmt *prepared(sqlite3 *db, const char *text)
{
    sqlite3_stmt *statement;

    CHECK_INT(sqlite3_prepare_v2(db, text, -1, &statement, NULL), ==,
              SQLITE_OK);
    return statement;
}

TEST(what_is_stored_is_sent_and_stored_again_bit_for_bit)
{
    sqlite3_stmt *insert, *read;
    struct buffer out;
    sqlite3 *db;

    make_values();
    buffer_init(&out, 10000);
    CHECK_INT(sqlite3_open(":memory:", &db), ==, SQLITE_OK);
    CHECK_INT(sql_run(db, "CREATE TABLE t(v)"), ==, GV_OK);
    insert = prepared(db, "INSERT INTO t(rowid, v) VALUES(?1, ?2)");
    read = prepared(db, "SELECT v FROM t WHERE rowid = ?1");
    for (size_t i = 0; i < SET; i++) {
        struct value stored, arrived;

        sqlite3_bind_int64(insert, 1, (sqlite3_int64)i);
        sql_bind_value(insert, 2, &values[i]);
        CHECK_INT(sql_finish(insert), ==, GV_OK);
        sqlite3_bind_int64(read, 1, (sqlite3_int64)i);
        CHECK_INT(sql_step(read), ==, 1);
        sql_column_value(read, 0, &stored);
        CHECK(value_equal(&stored, &values[i]));
        travel(&stored, &arrived, &out);
        CHECK(value_equal(&arrived, &values[i]));
        CHECK(value_digest(&arrived) == value_digest(&values[i]));
        sqlite3_reset(read);
    }
    sqlite3_finalize(insert);
    sqlite3_finalize(read);
    sqlite3_close(db);
    buffer_close(&out);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
