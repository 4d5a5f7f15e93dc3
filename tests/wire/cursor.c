#include "wire/cursor.h"

#include "bytes.h"
#include "check.h"
#include "grapevine.h"

#include <math.h>
#include <msgpack.h>

/* The oracle is msgpack-c: what it packs reads equal, and the cursor accepts
 * nothing that it refuses. */

static void read_equal(struct cursor *cursor, const msgpack_object *object);

static void read_array_equal(struct cursor *cursor,
                             const msgpack_object_array *array)
{
    CHECK_INT(cursor_peek(cursor), ==, CURSOR_ARRAY);
    CHECK_INT(cursor_array(cursor), ==, array->size);
    for (uint32_t i = 0; i < array->size; i++)
        read_equal(cursor, &array->ptr[i]);
}

static void read_integer_equal(struct cursor *cursor,
                               const msgpack_object *object)
{
    struct cursor again = *cursor;

    CHECK_INT(cursor_peek(cursor), ==, CURSOR_INTEGER);
    if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
        CHECK(cursor_i64(cursor) == object->via.i64);
        CHECK(cursor_u64(&again) == 0);
        CHECK_INT(again.error, ==, GV_EPROTO);
        return;
    }
    CHECK(cursor_u64(cursor) == object->via.u64);
    if (object->via.u64 <= INT64_MAX) {
        CHECK(cursor_i64(&again) == object->via.i64);
    } else {
        CHECK(cursor_i64(&again) == 0);
        CHECK_INT(again.error, ==, GV_EPROTO);
    }
}

static void read_skipped(struct cursor *cursor, enum cursor_type type)
{
    CHECK_INT(cursor_peek(cursor), ==, type);
    cursor_skip(cursor);
}

static void read_real_equal(struct cursor *cursor,
                            const msgpack_object *object)
{
    double real;

    CHECK_INT(cursor_peek(cursor), ==, CURSOR_REAL);
    real = cursor_real(cursor);
    CHECK(memcmp(&real, &object->via.f64, sizeof(real)) == 0);
}

static void read_bytes_equal(struct cursor *cursor,
                             const msgpack_object *object)
{
    size_t size;
    const void *bytes;

    if (object->type == MSGPACK_OBJECT_STR) {
        CHECK_INT(cursor_peek(cursor), ==, CURSOR_TEXT);
        bytes = cursor_text(cursor, &size);
    } else {
        CHECK_INT(cursor_peek(cursor), ==, CURSOR_BLOB);
        bytes = cursor_blob(cursor, &size);
    }
    CHECK_INT(size, ==, object->via.bin.size);
    CHECK(size == 0 || memcmp(bytes, object->via.bin.ptr, size) == 0);
}

static void read_equal(struct cursor *cursor, const msgpack_object *object)
{
    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
        CHECK_INT(cursor_peek(cursor), ==, CURSOR_NIL);
        cursor_nil(cursor);
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        CHECK_INT(cursor_peek(cursor), ==, CURSOR_BOOL);
        CHECK_INT(cursor_bool(cursor), ==, object->via.boolean);
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        read_integer_equal(cursor, object);
        break;
    case MSGPACK_OBJECT_FLOAT64:
        read_real_equal(cursor, object);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_EXT:
        read_skipped(cursor, CURSOR_OTHER);
        break;
    case MSGPACK_OBJECT_STR:
    case MSGPACK_OBJECT_BIN:
        read_bytes_equal(cursor, object);
        break;
    case MSGPACK_OBJECT_ARRAY:
        read_array_equal(cursor, &object->via.array);
        break;
    case MSGPACK_OBJECT_MAP:
        read_skipped(cursor, CURSOR_MAP);
        break;
    }
    CHECK_INT(cursor->error, ==, GV_OK);
}

/* Random objects, of every head that msgpack has. */

static uint64_t random_wide(struct random *random)
{
    return random_u64(random) >> random_below(random, 64);
}

static uint32_t random_size(struct random *random)
{
    static const uint32_t around[] = {31, 255, 65535};
    uint64_t kind = random_below(random, 40);

    if (kind < 3)
        return around[kind] + (uint32_t)random_below(random, 2);
    return (uint32_t)random_below(random, 10);
}

static void pack_random_bytes(struct random *random, msgpack_packer *packer)
{
    static char bytes[70000];
    uint32_t size = random_size(random);

    for (uint32_t i = 0; i < size; i += 997)
        bytes[i] = (char)random_u64(random);
    switch (random_below(random, 3)) {
    case 0:
        msgpack_pack_str(packer, size);
        msgpack_pack_str_body(packer, bytes, size);
        break;
    case 1:
        msgpack_pack_bin(packer, size);
        msgpack_pack_bin_body(packer, bytes, size);
        break;
    default:
        msgpack_pack_ext(packer, size, 7);
        msgpack_pack_ext_body(packer, bytes, size);
        break;
    }
}

static void pack_random_fixed(struct random *random, msgpack_packer *packer)
{
    int64_t number = (int64_t)random_wide(random);

    switch (random_below(random, 12)) {
    case 0:
        msgpack_pack_nil(packer);
        break;
    case 1:
        msgpack_pack_true(packer);
        break;
    case 2:
        msgpack_pack_false(packer);
        break;
    case 3:
        msgpack_pack_double(packer, ldexp((double)number, -70));
        break;
    case 4:
        msgpack_pack_float(packer, (float)number);
        break;
    case 5:
        msgpack_pack_fix_uint64(packer, random_wide(random));
        break;
    case 6:
        msgpack_pack_fix_int64(packer, number);
        break;
    case 7:
        msgpack_pack_fix_int32(packer, (int32_t)(number & INT32_MAX));
        break;
    case 8:
        msgpack_pack_fix_int16(packer, (int16_t)(number & INT16_MAX));
        break;
    case 9:
        msgpack_pack_fix_int8(packer, (int8_t)(number & INT8_MAX));
        break;
    case 10:
        msgpack_pack_uint64(packer, random_wide(random));
        break;
    default:
        msgpack_pack_int64(packer, -number);
        break;
    }
}

static void pack_random(struct random *random, msgpack_packer *packer,
                        unsigned depth)
{
    uint64_t kind = random_below(random, 10);
    uint32_t count = (uint32_t)random_below(random, 6);

    if (kind < 2 && depth > 0) {
        if (random_below(random, 20) == 0)
            count += 14;
        if (kind == 0)
            msgpack_pack_array(packer, count);
        else
            msgpack_pack_map(packer, count);
        for (uint32_t i = 0; i < count << kind; i++)
            pack_random(random, packer, depth - 1);
    } else if (kind < 5) {
        pack_random_bytes(random, packer);
    } else {
        pack_random_fixed(random, packer);
    }
}

static void random_object(struct random *random, msgpack_sbuffer *buffer)
{
    msgpack_packer packer;

    msgpack_sbuffer_clear(buffer);
    msgpack_packer_init(&packer, buffer, msgpack_sbuffer_write);
    pack_random(random, &packer, 1 + (unsigned)random_below(random, 8));
}

TEST(what_msgpack_c_packs_reads_equal)
{
    msgpack_sbuffer buffer;
    struct random random;

    msgpack_sbuffer_init(&buffer);
    random_seed(&random, 1);
    for (int i = 0; i < 20000; i++) {
        msgpack_unpacked unpacked;
        struct cursor cursor;
        uint8_t *exact;

        random_object(&random, &buffer);
        msgpack_unpacked_init(&unpacked);
        CHECK_INT(
            msgpack_unpack_next(&unpacked, buffer.data, buffer.size, NULL), ==,
            MSGPACK_UNPACK_SUCCESS);
        exact = bytes_exact((const uint8_t *)buffer.data, buffer.size);
        cursor_init(&cursor, exact, buffer.size);
        read_equal(&cursor, &unpacked.data);
        CHECK(cursor.at == cursor.end);
        cursor_init(&cursor, exact, buffer.size);
        cursor_skip(&cursor);
        CHECK_INT(cursor.error, ==, GV_OK);
        CHECK(cursor.at == cursor.end);
        free(exact);
        msgpack_unpacked_destroy(&unpacked);
    }
    msgpack_sbuffer_destroy(&buffer);
}

/* If the cursor can skip an object, msgpack-c finds it of the same size. */
static bool skip_agrees(const uint8_t *bytes, size_t size)
{
    msgpack_unpacked unpacked;
    struct cursor cursor;
    size_t offset = 0;

    cursor_init(&cursor, bytes, size);
    cursor_skip(&cursor);
    if (cursor.error != GV_OK)
        return false;
    msgpack_unpacked_init(&unpacked);
    CHECK_INT(
        msgpack_unpack_next(&unpacked, (const char *)bytes, size, &offset), >,
        MSGPACK_UNPACK_CONTINUE);
    CHECK(cursor.at == bytes + offset);
    msgpack_unpacked_destroy(&unpacked);
    return true;
}

TEST(no_truncated_object_is_accepted)
{
    msgpack_sbuffer buffer;
    struct random random;

    msgpack_sbuffer_init(&buffer);
    random_seed(&random, 2);
    for (int i = 0; i < 3000; i++) {
        random_object(&random, &buffer);
        for (size_t size = 0; size < buffer.size && size < 200; size++) {
            uint8_t *exact = bytes_exact((const uint8_t *)buffer.data, size);
            CHECK(!skip_agrees(exact, size));
            free(exact);
        }
    }
    msgpack_sbuffer_destroy(&buffer);
}

TEST(what_msgpack_c_refuses_is_refused)
{
    msgpack_sbuffer buffer;
    struct random random;
    int accepted = 0;

    msgpack_sbuffer_init(&buffer);
    random_seed(&random, 3);
    for (int i = 0; i < 200000; i++) {
        uint8_t *mutated;
        size_t size;
        if (i % 20 == 0)
            do
                random_object(&random, &buffer);
            while (buffer.size > 2000);
        size = buffer.size;
        mutated = bytes_mutated(&random, (uint8_t *)buffer.data, &size);
        accepted += skip_agrees(mutated, size);
        free(mutated);
    }
    CHECK_INT(accepted, >, 20000);
    CHECK_INT(accepted, <, 180000);
    msgpack_sbuffer_destroy(&buffer);
}

static struct cursor cursor_over(const char *bytes, size_t size)
{
    struct cursor cursor;

    cursor_init(&cursor, (const uint8_t *)bytes, size);
    return cursor;
}

TEST(the_first_error_sticks_and_what_follows_is_empty)
{
    struct cursor cursor = cursor_over("\xc0\x05\xa1x", 4);
    size_t size = 9;

    CHECK(cursor_u64(&cursor) == 0);
    CHECK_INT(cursor.error, ==, GV_EPROTO);
    CHECK_INT(cursor_peek(&cursor), ==, CURSOR_END);
    CHECK(cursor_u64(&cursor) == 0);
    CHECK(cursor_i64(&cursor) == 0);
    CHECK(!cursor_bool(&cursor));
    CHECK(cursor_real(&cursor) == 0);
    CHECK(cursor_array(&cursor) == 0);
    CHECK(cursor_text(&cursor, &size) != NULL);
    CHECK_INT(size, ==, 0);
    size = 9;
    CHECK(cursor_blob(&cursor, &size) != NULL);
    CHECK_INT(size, ==, 0);
    cursor_nil(&cursor);
    cursor_skip(&cursor);
    CHECK_INT(cursor.error, ==, GV_EPROTO);
}

TEST(each_reader_refuses_the_other_types)
{
    static const char *const objects[] = {
        "\xc0", "\xc3", "\x07", "\xcb\0\0\0\0\0\0\0\0", "\xa0", "\xc4",
        "\x90", "\x80", "\xc1"};
    static const size_t sizes[] = {1, 1, 1, 9, 1, 2, 1, 1, 1};

    for (size_t i = 0; i < 9; i++) {
        for (size_t reader = 0; reader < 8; reader++) {
            struct cursor cursor = cursor_over(objects[i], sizes[i]);
            size_t size;
            if (reader == 0)
                cursor_nil(&cursor);
            else if (reader == 1)
                cursor_bool(&cursor);
            else if (reader == 2)
                cursor_i64(&cursor);
            else if (reader == 3)
                cursor_real(&cursor);
            else if (reader == 4)
                cursor_text(&cursor, &size);
            else if (reader == 5)
                cursor_blob(&cursor, &size);
            else if (reader == 6)
                cursor_array(&cursor);
            else
                cursor_skip(&cursor);
            CHECK_INT(cursor.error, ==,
                      i == reader || (reader == 7 && i < 8) ? GV_OK
                                                            : GV_EPROTO);
        }
    }
}

TEST(claimed_lengths_are_not_believed)
{
    struct cursor cursor;

    cursor = cursor_over("\xdd\xff\xff\xff\xff\x00", 6);
    cursor_array(&cursor);
    CHECK_INT(cursor.error, ==, GV_EPROTO);
    cursor = cursor_over("\xdd\xff\xff\xff\xff\x00", 6);
    cursor_skip(&cursor);
    CHECK_INT(cursor.error, ==, GV_EPROTO);
    cursor = cursor_over("\xdf\x00\x00\x00\x01\x00", 6);
    cursor_skip(&cursor);
    CHECK_INT(cursor.error, ==, GV_EPROTO);
    cursor = cursor_over("\xc6\xff\xff\xff\xff\x00", 6);
    cursor_skip(&cursor);
    CHECK_INT(cursor.error, ==, GV_EPROTO);
    cursor = cursor_over("\xc9\xff\xff\xff\xff\x00", 6);
    cursor_skip(&cursor);
    CHECK_INT(cursor.error, ==, GV_EPROTO);
}

TEST(nesting_ends_at_eight)
{
    struct cursor cursor = cursor_over("\x91\x91\x91\x91\x91\x91\x91\x90", 8);

    cursor_skip(&cursor);
    CHECK_INT(cursor.error, ==, GV_OK);
    cursor = cursor_over("\x91\x91\x91\x91\x91\x91\x91\x91\x90", 9);
    cursor_skip(&cursor);
    CHECK_INT(cursor.error, ==, GV_EPROTO);
    cursor = cursor_over("\x91\x91\x91\x91\x91\x91\x91\x81\xc0\xc0", 10);
    cursor_skip(&cursor);
    CHECK_INT(cursor.error, ==, GV_OK);
}

TEST(nothing_at_all_is_the_end)
{
    struct cursor cursor;

    cursor_init(&cursor, NULL, 0);
    CHECK_INT(cursor_peek(&cursor), ==, CURSOR_END);
    cursor_skip(&cursor);
    CHECK_INT(cursor.error, ==, GV_EPROTO);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
