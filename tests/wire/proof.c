/* What stands in CHECK and PROOF. */
#include "wire/proof.h"

#include "check.h"
#include "grapevine.h"

static const struct site site = {{1, 2, 3}};

static void write_one(struct buffer *out)
{
    struct proof_head head = {.place = UINT64_C(0xfff0000000000001),
                              .kind = PROOF_SOUND,
                              .table = {"notes", 5},
                              .key = (const uint8_t *)"key",
                              .key_size = 3,
                              .causal_length = 1,
                              .record_count = 2};
    struct proof_record record = {
        .site = site, .version = 7, .existence = true, .cell_count = 1};

    proof_write_head(out, &head);
    proof_write_record(out, &record);
    buffer_append_u64(out, 11);
    buffer_append_u64(out, 12);
    record.version = 8;
    record.existence = false;
    record.cell_count = 0;
    proof_write_record(out, &record);
}

TEST(a_head_comes_back)
{
    struct buffer out;
    struct proof_head head;
    struct proof_record record;
    const uint8_t *at, *records;

    buffer_init(&out, 1000);
    write_one(&out);
    at = out.data;
    CHECK_INT(proof_read_head(&at, out.data + out.size, &head), ==, GV_OK);
    CHECK(at == out.data + out.size && head.end == at);
    CHECK_INT(proof_range(head.place), ==, PROOF_RANGES - 1);
    CHECK(head.table.size == 5 && memcmp(head.table.bytes, "notes", 5) == 0);
    CHECK(head.key_size == 3 && head.causal_length == 1);
    CHECK_INT(head.record_count, ==, 2);
    records = head.records;
    proof_next_record(&records, &record);
    CHECK(site_equal(&record.site, &site) && record.version == 7);
    CHECK(record.existence && record.cell_count == 1);
    CHECK_INT(load_u64(record.cells + 8), ==, 12);
    proof_next_record(&records, &record);
    CHECK(!record.existence && record.version == 8 && record.cell_count == 0);
    CHECK(records == head.end);
    buffer_close(&out);
}

TEST(a_head_that_is_cut_anywhere_is_refused)
{
    struct buffer out;
    struct proof_head head;

    buffer_init(&out, 1000);
    write_one(&out);
    for (size_t size = 0; size < out.size; size++) {
        uint8_t *exact = malloc(size + 1);
        const uint8_t *at = exact;

        memcpy(exact, out.data, size);
        CHECK_INT(proof_read_head(&at, exact + size, &head), ==, GV_EPROTO);
        free(exact);
    }
    buffer_close(&out);
}

TEST(a_table_whose_name_cannot_be_shown_is_none)
{
    struct proof_name name = {
        .table = {"no\ntes", 6}, .key = (const uint8_t *)"k", .key_size = 1};
    struct buffer out;
    const uint8_t *at;

    buffer_init(&out, 1000);
    proof_write_name(&out, &name);
    at = out.data;
    CHECK_INT(proof_read_name(&at, out.data + out.size, &name), ==, GV_EPROTO);
    buffer_close(&out);
}

/* Any byte may be any other: what is read stays inside. */
TEST(heads_of_any_bytes_stay_inside)
{
    struct buffer out;

    buffer_init(&out, 1000);
    write_one(&out);
    for (size_t i = 0; i < out.size; i++)
        for (int byte = 0; byte < 256; byte++) {
            uint8_t *exact = malloc(out.size);
            const uint8_t *at = exact;
            struct proof_head head;

            memcpy(exact, out.data, out.size);
            exact[i] = (uint8_t)byte;
            if (proof_read_head(&at, exact + out.size, &head) == GV_OK) {
                const uint8_t *records = head.records;
                struct proof_record record;

                for (uint32_t j = 0; j < head.record_count; j++)
                    proof_next_record(&records, &record);
                CHECK(records == head.end && head.end == at);
                CHECK(at <= exact + out.size);
            }
            free(exact);
        }
    buffer_close(&out);
}

TEST(a_set_of_ranges_has_what_was_put_in)
{
    uint8_t set[PROOF_SET_SIZE] = {0};

    proof_set_add(set, 0);
    proof_set_add(set, 4095);
    for (size_t i = 0; i < PROOF_RANGES; i++)
        CHECK_INT(proof_set_has(set, i), ==, i == 0 || i == 4095);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
