/* The state of a row as bytes: what comes back, and what is refused. */
#include "check.h"

#include "grapevine.h"
#include "store/internal.h"
#include "store/state.h"

#define COLUMNS 200
#define WORDS ((COLUMNS + 1 + 63) / 64)

/* Two records with numbers and masks of more than one byte. */
static void fill(struct row_space *space)
{
    memset(space, 0, sizeof *space);
    CHECK_INT(row_space_reserve(space, 2, WORDS), ==, GV_OK);
    space->row.causal_length = 3;
    space->row.record_count = 2;
    space->records[0].site = 1;
    space->records[0].version = 7;
    mask_set(space->records[0].mask, ROW_EXISTENCE);
    mask_set(space->records[0].mask, COLUMNS);
    space->records[1].site = 70000;
    space->records[1].version = VERSION_MAX;
    mask_set(space->records[1].mask, 5);
    mask_set(space->records[1].mask, 64);
    space->digests[COLUMNS] = UINT64_MAX;
    space->digests[5] = 55;
    space->digests[64] = 6464;
}

static int decode(const uint8_t *bytes, size_t size, size_t columns,
                  struct row_space *space, uint32_t *check)
{
    uint8_t *exact = malloc(size + 1);
    uint8_t *end = exact + 1;
    int rc;

    /* At the end of its memory, so that a sanitizer sees a byte too many. */
    if (size > 0)
        memcpy(end, bytes, size);
    space->row.causal_length = 3;
    rc = state_decode(end, size, columns, space, check);
    free(exact);
    return rc;
}

static int judged(const uint8_t *bytes, size_t size)
{
    struct row_space space = {0};
    uint32_t check;
    int rc = decode(bytes, size, COLUMNS, &space, &check);

    row_space_close(&space);
    return rc;
}

TEST(a_state_comes_back)
{
    struct row_space space, read = {0};
    struct buffer out;
    uint32_t check = 0;

    fill(&space);
    buffer_init(&out, 1000);
    CHECK_INT(state_encode(&space.row, WORDS, 0xabcd1234, &out), ==, GV_OK);
    CHECK_INT(decode(out.data, out.size, COLUMNS, &read, &check), ==, GV_OK);
    CHECK_INT(check, ==, 0xabcd1234);
    CHECK_INT(read.row.record_count, ==, 2);
    for (size_t i = 0; i < 2; i++) {
        CHECK_INT(read.records[i].site, ==, space.records[i].site);
        CHECK_INT(read.records[i].version, ==, space.records[i].version);
        CHECK(memcmp(read.records[i].mask, space.records[i].mask,
                     WORDS * sizeof(uint64_t)) == 0);
    }
    CHECK(read.digests[COLUMNS] == UINT64_MAX);
    CHECK_INT(read.digests[5], ==, 55);
    CHECK_INT(read.digests[64], ==, 6464);
    buffer_close(&out);
    row_space_close(&space);
    row_space_close(&read);
}

TEST(room_for_more_records_keeps_those_that_are_there)
{
    struct row_space space;

    fill(&space);
    space.before_count = 1;
    space.before[0].version = 9;
    CHECK_INT(row_space_reserve(&space, 50, WORDS), ==, GV_OK);
    CHECK_INT(space.capacity, >=, 50);
    CHECK_INT(space.row.records[1].site, ==, 70000);
    CHECK(mask_get(space.row.records[1].mask, 64));
    CHECK(mask_empty(space.row.records[49].mask, WORDS));
    CHECK_INT(space.before[0].version, ==, 9);
    row_space_close(&space);
}

TEST(every_truncation_of_a_state_is_refused)
{
    struct row_space space;
    struct buffer out;

    fill(&space);
    buffer_init(&out, 1000);
    CHECK_INT(state_encode(&space.row, WORDS, 1, &out), ==, GV_OK);
    for (size_t size = 0; size < out.size; size++)
        CHECK_INT(judged(out.data, size), ==, GV_ECORRUPT);
    buffer_append_u8(&out, 0);
    CHECK_INT(judged(out.data, out.size), ==, GV_ECORRUPT);
    buffer_close(&out);
    row_space_close(&space);
}

#define REFUSED(bytes)                                                        \
    CHECK_INT(judged((const uint8_t *)(bytes), sizeof(bytes) - 1), ==,        \
              GV_ECORRUPT)
#define VERSION "\0\0\0\0\0\0\0\7"
#define END "\0\0\0\0"

TEST(numbers_out_of_range_are_refused)
{
    REFUSED("\0" END);                                  /* no record */
    REFUSED("\xca\1" END);                              /* 202 of 201 bits */
    REFUSED("\1\0" VERSION "\1" END);                   /* site 0 is nobody */
    REFUSED("\1\x80\x80\x80\x80\x10" VERSION "\1" END); /* 2^32 */
    REFUSED("\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1" VERSION "\1" END);
}

TEST(the_smallest_state_is_one)
{
    static const char bytes[] = "\1\1" VERSION "\1" END;

    CHECK_INT(judged((const uint8_t *)bytes, sizeof bytes - 1), ==, GV_OK);
}

TEST(masks_and_records_that_break_the_rules_are_refused)
{
    static const char far[] = "\1\1" VERSION "\x81\x80\x80\x80\x80\x80\x80"
                              "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"
                              "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x40";

    REFUSED("\1\1" VERSION "\0" END);                /* empty */
    REFUSED(far);                                    /* no such column */
    REFUSED("\2\1" VERSION "\1\2" VERSION "\1" END); /* a bit twice */
    REFUSED("\2\1" VERSION "\1\1" VERSION "\2" VERSION END); /* a dot twice */
    REFUSED("\1\1" VERSION "\2" VERSION END);                /* no existence */
}

/* Column 3 is a counter, which both records hold. */
static void use_counter(struct row_space *space, struct store_table *table,
                        uint64_t *sums)
{
    memset(sums, 0, WORDS * sizeof *sums);
    mask_set(sums, 3);
    *table = (struct store_table){.sums = sums, .each_count = 1};
    row_space_use(space, table);
}

TEST(cells_of_sites_come_back)
{
    struct row_space space, read = {0};
    struct store_table table;
    uint64_t sums[WORDS];
    struct buffer out;
    uint32_t check = 0;

    fill(&space);
    use_counter(&space, &table, sums);
    CHECK_INT(row_space_reserve(&space, 3, WORDS), ==, GV_OK);
    for (size_t i = 0; i < 2; i++) {
        mask_set(space.records[i].mask, 3);
        space.records[i].cells[0] = 1000 + i;
    }
    buffer_init(&out, 1000);
    CHECK_INT(state_encode(&space.row, WORDS, 9, &out), ==, GV_OK);
    use_counter(&read, &table, sums);
    CHECK_INT(decode(out.data, out.size, COLUMNS, &read, &check), ==, GV_OK);
    for (size_t i = 0; i < 2; i++)
        CHECK_INT(read.records[i].cells[0], ==, 1000 + i);
    CHECK_INT(read.digests[5], ==, 55);
    /* Two records of a column that has one writer are damage. */
    read.each = 0;
    read.row.sums = NULL;
    CHECK_INT(decode(out.data, out.size, COLUMNS, &read, &check), ==,
              GV_ECORRUPT);
    for (size_t size = 0; size < out.size; size++) {
        use_counter(&read, &table, sums);
        CHECK_INT(decode(out.data, size, COLUMNS, &read, &check), ==,
                  GV_ECORRUPT);
    }
    buffer_close(&out);
    row_space_close(&space);
    row_space_close(&read);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
