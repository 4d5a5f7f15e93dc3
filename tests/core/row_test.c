/* The merge of rows: single cases that tell the rules, then random rows for
 * the algebra. */
#include "base/random.h"
#include "check.h"
#include "core/row.h"

#define RECORDS 32
#define WORDS 2

/* A row with its own memory. */
struct cell_row {
    struct row row;
    struct record records[RECORDS];
    uint64_t masks[RECORDS][WORDS];
    uint64_t cells[RECORDS][WORDS * 64];
    uint64_t digests[WORDS * 64];
};

/* Counters and multi-value columns of the random rows, for tests of these. */
static const uint64_t some_sums[WORDS] = {0xf0, 0x3};
static const uint64_t some_siblings[WORDS] = {0xf00, 0xc};

/* Numbers run against the order of ids, so that a comparison of numbers shows.
 */
static const struct site sites[4] = {{{9}}, {{5, 1}}, {{5}}, {{1, 200}}};

static void row_empty(struct cell_row *cells)
{
    memset(cells, 0, sizeof(*cells));
    cells->row.records = cells->records;
    cells->row.digests = cells->digests;
    for (size_t i = 0; i < RECORDS; i++)
        cells->records[i].mask = cells->masks[i];
    for (size_t i = 0; i < RECORDS; i++)
        cells->records[i].cells = cells->cells[i];
}

static void row_use_each(struct cell_row *cells)
{
    cells->row.sums = some_sums;
    cells->row.siblings = some_siblings;
}

static void row_add(struct cell_row *cells, uint32_t site, gv_version version,
                    uint64_t mask, uint64_t digest)
{
    struct record *record = &cells->records[cells->row.record_count++];

    record->site = site;
    record->version = version;
    record->mask[0] = mask;
    for (size_t bit = 1; bit < 64; bit++) {
        if (mask >> bit & 1)
            cells->digests[bit] = digest;
    }
}

static void row_dup(struct cell_row *to, const struct cell_row *from)
{
    row_empty(to);
    to->row.causal_length = from->row.causal_length;
    to->row.record_count = from->row.record_count;
    to->row.sums = from->row.sums;
    to->row.siblings = from->row.siblings;
    memcpy(to->digests, from->digests, sizeof(to->digests));
    for (size_t i = 0; i < from->row.record_count; i++) {
        to->records[i].site = from->records[i].site;
        to->records[i].version = from->records[i].version;
        memcpy(to->records[i].mask, from->records[i].mask,
               WORDS * sizeof(uint64_t));
        memcpy(to->records[i].cells, from->records[i].cells,
               sizeof(to->cells[i]));
    }
}

static struct row_change change;
static uint64_t won[WORDS];

static bool merge(struct cell_row *row, const struct cell_row *fragment)
{
    change.won = won;
    row_merge(&row->row, &fragment->row, WORDS, sites, &change);
    CHECK_INT(change.any, ==, change.reset || !mask_empty(won, WORDS));
    return change.any;
}

static const struct record *holder(const struct cell_row *cells, size_t bit)
{
    for (size_t i = 0; i < cells->row.record_count; i++) {
        if (mask_get(cells->records[i].mask, bit))
            return &cells->records[i];
    }
    return NULL;
}

/* The cell of @site in an each-bit. */
static const struct record *cell_of(const struct cell_row *cells, size_t bit,
                                    uint32_t site)
{
    for (size_t i = 0; i < cells->row.record_count; i++) {
        if (cells->records[i].site == site &&
            mask_get(cells->records[i].mask, bit))
            return &cells->records[i];
    }
    return NULL;
}

static bool same_cells(const struct cell_row *a, const struct cell_row *b,
                       size_t bit)
{
    size_t rank = row_rank(&a->row, bit);

    for (uint32_t site = 0; site < 4; site++) {
        const struct record *x = cell_of(a, bit, site);
        const struct record *y = cell_of(b, bit, site);
        if ((x == NULL) != (y == NULL))
            return false;
        if (x != NULL &&
            (x->version != y->version || x->cells[rank] != y->cells[rank]))
            return false;
    }
    return true;
}

static bool is_each(const struct cell_row *cells, size_t bit)
{
    return row_each(&cells->row, bit / 64) >> bit % 64 & 1;
}

static bool row_same(const struct cell_row *a, const struct cell_row *b)
{
    if (a->row.causal_length != b->row.causal_length ||
        a->row.record_count != b->row.record_count)
        return false;
    for (size_t bit = 0; bit < WORDS * 64; bit++) {
        const struct record *x = holder(a, bit), *y = holder(b, bit);
        if (is_each(a, bit)) {
            if (!same_cells(a, b, bit))
                return false;
            continue;
        }
        if ((x == NULL) != (y == NULL))
            return false;
        if (x == NULL)
            continue;
        if (x->site != y->site || x->version != y->version)
            return false;
        if (bit != ROW_EXISTENCE && a->digests[bit] != b->digests[bit])
            return false;
    }
    return true;
}

TEST(masks_count_and_hold_bits_across_words)
{
    uint64_t mask[WORDS] = {0};

    CHECK(mask_empty(mask, WORDS));
    mask_set(mask, 0);
    mask_set(mask, 63);
    mask_set(mask, 64);
    CHECK(mask_get(mask, 0) && mask_get(mask, 63) && mask_get(mask, 64));
    CHECK(!mask_get(mask, 1) && !mask_get(mask, 65));
    CHECK_INT(mask_count(mask, WORDS), ==, 3);
    CHECK(!mask_empty(mask, WORDS));
}

TEST(a_row_not_known_takes_the_fragment_whole)
{
    struct cell_row row, fragment;

    row_empty(&row);
    row_empty(&fragment);
    fragment.row.causal_length = 1;
    row_add(&fragment, 0, 10, 0x7, 70);
    CHECK(merge(&row, &fragment));
    CHECK(change.reset);
    CHECK_INT(won[0], ==, 0x7);
    CHECK(row_same(&row, &fragment));
    CHECK(!merge(&row, &fragment));
    CHECK(mask_empty(won, WORDS));
}

TEST(concurrent_edits_of_different_columns_both_survive)
{
    struct cell_row a, b;

    row_empty(&a);
    a.row.causal_length = 1;
    row_add(&a, 0, 10, 0x7, 70);
    row_dup(&b, &a);
    row_write(&a.row, 1, 20, (uint64_t[WORDS]){0x2}, WORDS, false);
    row_write(&b.row, 2, 19, (uint64_t[WORDS]){0x4}, WORDS, false);
    a.digests[1] = 71;
    b.digests[2] = 72;
    CHECK(merge(&a, &b));
    CHECK(!change.reset);
    CHECK_INT(won[0], ==, 0x4);
    CHECK_INT(a.digests[1], ==, 71);
    CHECK_INT(a.digests[2], ==, 72);
    CHECK_INT(a.row.record_count, ==, 3);
    CHECK(row_check(&a.row, WORDS));
}

TEST(the_larger_version_takes_a_column_and_an_emptied_record_goes)
{
    struct cell_row row, fragment;

    row_empty(&row);
    row_empty(&fragment);
    row.row.causal_length = fragment.row.causal_length = 1;
    row_add(&row, 0, 10, 0x1, 0);
    row_add(&row, 1, 11, 0x2, 70);
    row_add(&row, 2, 12, 0x4, 70);
    row_add(&fragment, 3, 13, 0x2, 71);
    CHECK(merge(&row, &fragment));
    CHECK_INT(won[0], ==, 0x2);
    CHECK_INT(row.row.record_count, ==, 3);
    CHECK_INT(holder(&row, 1)->version, ==, 13);
    CHECK_INT(holder(&row, 2)->version, ==, 12);
    CHECK(row_check(&row.row, WORDS));
}

TEST(an_equal_version_goes_to_the_larger_site_id_not_number)
{
    struct cell_row row, fragment;

    row_empty(&row);
    row_empty(&fragment);
    row.row.causal_length = fragment.row.causal_length = 1;
    row_add(&row, 1, 10, 0x3, 70);
    row_add(&fragment, 2, 10, 0x3, 90);
    CHECK(!merge(&row, &fragment));
    CHECK(merge(&fragment, &row));
    CHECK_INT(won[0], ==, 0x3);
    CHECK_INT(holder(&fragment, 1)->site, ==, 1);
}

TEST(one_dot_with_two_contents_keeps_the_larger_digest)
{
    struct cell_row row, fragment;

    row_empty(&row);
    row_empty(&fragment);
    row.row.causal_length = fragment.row.causal_length = 1;
    row_add(&row, 1, 10, 0x7, 70);
    row_add(&fragment, 1, 10, 0x7, 71);
    CHECK(merge(&row, &fragment));
    CHECK_INT(won[0], ==, 0x6); /* existence has no content */
    CHECK_INT(row.row.record_count, ==, 1);
    CHECK_INT(row.digests[1], ==, 71);
    row.digests[1] = 72;
    CHECK(!merge(&row, &fragment));
    CHECK_INT(row.digests[1], ==, 72);
}

TEST(a_delete_beats_a_concurrent_edit_and_a_new_life_beats_the_delete)
{
    struct cell_row row, edit, dead, again;

    row_empty(&row);
    row.row.causal_length = 1;
    row_add(&row, 0, 10, 0x7, 70);
    row_dup(&edit, &row);
    row_dup(&dead, &row);
    row_write(&edit.row, 1, 99, (uint64_t[WORDS]){0x2}, WORDS, false);
    row_write(&dead.row, 2, 20, (uint64_t[WORDS]){0x1}, WORDS, true);
    dead.row.causal_length = 2;
    CHECK(row_check(&dead.row, WORDS));
    row_dup(&again, &dead);
    row_write(&again.row, 2, 30, (uint64_t[WORDS]){0x3}, WORDS, true);
    again.row.causal_length = 3;

    CHECK(merge(&edit, &dead));
    CHECK(change.reset);
    CHECK(row_same(&edit, &dead));
    CHECK(!merge(&edit, &row));
    CHECK(merge(&edit, &again));
    CHECK(row_same(&edit, &again));
    CHECK_INT(edit.row.record_count, ==, 1);
}

TEST(a_write_joins_its_own_record_and_takes_bits_from_others)
{
    struct cell_row row;

    row_empty(&row);
    row.row.causal_length = 1;
    row_add(&row, 0, 10, 0x3, 70);
    row_add(&row, 1, 11, 0x4, 70);
    row_write(&row.row, 1, 11, (uint64_t[WORDS]){0x2, 0x8}, WORDS, false);
    CHECK_INT(row.row.record_count, ==, 2);
    CHECK_INT(holder(&row, 1)->site, ==, 1);
    CHECK_INT(holder(&row, 67)->site, ==, 1);
    row_write(&row.row, 2, 12, (uint64_t[WORDS]){0x6, 0x8}, WORDS, false);
    CHECK_INT(row.row.record_count, ==, 2);
    CHECK(holder(&row, 0)->site == 0 && holder(&row, 2)->site == 2);
    CHECK(row_check(&row.row, WORDS));
}

TEST(check_sees_each_broken_invariant)
{
    struct cell_row row, broken;

    row_empty(&row);
    CHECK(row_check(&row.row, WORDS));
    row.row.causal_length = 1;
    CHECK(!row_check(&row.row, WORDS)); /* nobody holds existence */
    row_add(&row, 0, 10, 0x3, 70);
    row_add(&row, 1, 11, 0x4, 70);
    CHECK(row_check(&row.row, WORDS));
    row_dup(&broken, &row);
    broken.masks[1][0] = 0x6; /* a bit in two records */
    CHECK(!row_check(&broken.row, WORDS));
    row_dup(&broken, &row);
    broken.masks[1][0] = 0; /* an empty record */
    CHECK(!row_check(&broken.row, WORDS));
    row_dup(&broken, &row);
    broken.records[1].site = 0;
    broken.records[1].version = 10; /* one dot twice */
    CHECK(!row_check(&broken.row, WORDS));
    row_dup(&broken, &row);
    broken.row.causal_length = 2; /* a dead row with a column */
    CHECK(!row_check(&broken.row, WORDS));
    row_dup(&broken, &row);
    broken.row.causal_length = 0; /* records of a row not known */
    CHECK(!row_check(&broken.row, WORDS));
}

/* A valid row or a part of one: few dots, so that they clash often; digests
 * from few values, and equal dots with different ones.  @whole: the
 * existence bit is there. */
static void row_random(struct cell_row *cells, struct random *random,
                       bool whole)
{
    size_t dots = 1 + random_below(random, 4);
    uint64_t free_bits[WORDS] = {random_u64(random) | 1, random_u64(random)};

    row_empty(cells);
    cells->row.causal_length = 1 + random_below(random, 3);
    if (cells->row.causal_length % 2 == 0) {
        row_add(cells, (uint32_t)random_below(random, 4),
                1 + random_below(random, 3), 1, 0);
        return;
    }
    for (size_t i = 0; i < dots; i++) {
        struct record *record = &cells->records[cells->row.record_count];
        uint64_t existence = whole && i == 0 ? 1 : 0;
        record->site = (uint32_t)i;
        record->version = 1 + random_below(random, 3);
        record->mask[0] = (free_bits[0] & random_u64(random)) | existence;
        record->mask[1] = free_bits[1] & random_u64(random);
        for (size_t w = 0; w < WORDS; w++)
            free_bits[w] &= ~record->mask[w];
        free_bits[0] &= ~(uint64_t)1; /* held, or by nobody */
        if (!mask_empty(record->mask, WORDS))
            cells->row.record_count++;
    }
    for (size_t bit = 1; bit < WORDS * 64; bit++)
        cells->digests[bit] = random_below(random, 3);
    if (cells->row.record_count == 0)
        row_add(cells, 0, 1, 1, 0);
}

TEST(merge_is_commutative_associative_and_idempotent)
{
    struct random random;

    random_seed(&random, 42);
    for (int i = 0; i < 200000; i++) {
        struct cell_row a, b, c, ab, ba, bc, left, right;
        bool whole = i % 2 == 0;

        row_random(&a, &random, whole);
        row_random(&b, &random, whole);
        row_random(&c, &random, whole);
        row_dup(&ab, &a);
        merge(&ab, &b);
        row_dup(&ba, &b);
        merge(&ba, &a);
        CHECK(row_same(&ab, &ba));

        row_dup(&left, &ab);
        merge(&left, &c);
        row_dup(&bc, &b);
        merge(&bc, &c);
        row_dup(&right, &a);
        merge(&right, &bc);
        CHECK(row_same(&left, &right));

        CHECK(!merge(&left, &b));
        CHECK(row_same(&left, &right));
        CHECK(!whole || row_check(&left.row, WORDS));
    }
}

/* What changed is exactly what @change says. */
TEST(a_merge_reports_just_the_bits_that_came_from_the_fragment)
{
    struct random random;

    random_seed(&random, 43);
    for (int i = 0; i < 100000; i++) {
        struct cell_row before, after, fragment;

        row_random(&before, &random, true);
        row_random(&fragment, &random, true);
        row_dup(&after, &before);
        merge(&after, &fragment);
        if (change.reset) {
            CHECK(row_same(&after, &fragment));
            continue;
        }
        for (size_t bit = 0; bit < WORDS * 64; bit++) {
            const struct record *was = holder(&before, bit);
            const struct record *is = holder(&after, bit);
            bool moved =
                is != NULL &&
                (was == NULL || was->site != is->site ||
                 was->version != is->version ||
                 (bit != 0 && before.digests[bit] != after.digests[bit]));
            CHECK_INT(moved, ==, mask_get(won, bit));
            if (moved && bit != 0)
                CHECK_INT(after.digests[bit], ==, fragment.digests[bit]);
        }
    }
}

TEST(writes_keep_a_row_valid_and_win_their_bits)
{
    struct random random;

    random_seed(&random, 44);
    for (int i = 0; i < 100000; i++) {
        struct cell_row row;
        uint64_t mask[WORDS];
        bool reset = random_below(&random, 4) == 0;
        uint32_t site = (uint32_t)random_below(&random, 4);

        row_random(&row, &random, true);
        mask[0] = random_u64(&random) & random_u64(&random);
        mask[1] = random_u64(&random) & random_u64(&random);
        if (reset)
            row.row.causal_length++;
        if (row.row.causal_length % 2 == 0)
            memset(mask, 0, sizeof(mask));
        if (reset || mask_empty(mask, WORDS))
            mask[0] |= 1;
        row_write(&row.row, site, 1 + random_below(&random, 4), mask, WORDS,
                  reset);
        CHECK(row_check(&row.row, WORDS));
        for (size_t bit = 0; bit < WORDS * 64; bit++) {
            if (mask_get(mask, bit))
                CHECK_INT(holder(&row, bit)->site, ==, site);
        }
    }
}

/* Each-bits are held by several records at once. */
static void row_random_each(struct cell_row *cells, struct random *random,
                            bool whole)
{
    row_random(cells, random, whole);
    row_use_each(cells);
    if (cells->row.causal_length % 2 == 0)
        return;
    for (size_t i = 0; i < cells->row.record_count; i++) {
        for (size_t w = 0; w < WORDS; w++)
            cells->records[i].mask[w] |=
                row_each(&cells->row, w) & random_u64(random);
        for (size_t rank = 0; rank < WORDS * 64; rank++)
            cells->records[i].cells[rank] = random_below(random, 3);
    }
}

TEST(cells_of_sites_merge_commutatively_associatively_and_idempotently)
{
    struct random random;

    random_seed(&random, 45);
    for (int i = 0; i < 100000; i++) {
        struct cell_row a, b, c, ab, ba, bc, left, right;
        bool whole = i % 2 == 0;

        row_random_each(&a, &random, whole);
        row_random_each(&b, &random, whole);
        row_random_each(&c, &random, whole);
        row_dup(&ab, &a);
        merge(&ab, &b);
        row_dup(&ba, &b);
        merge(&ba, &a);
        CHECK(row_same(&ab, &ba));
        row_dup(&left, &ab);
        merge(&left, &c);
        row_dup(&bc, &b);
        merge(&bc, &c);
        row_dup(&right, &a);
        merge(&right, &bc);
        CHECK(row_same(&left, &right));
        CHECK(!merge(&left, &b));
        CHECK(row_same(&left, &right));
        CHECK(!whole || row_check(&left.row, WORDS));
    }
}

/* Bit 4 is a counter, bit 8 has several values. */
static void two_cells(struct cell_row *cells)
{
    row_empty(cells);
    row_use_each(cells);
    cells->row.causal_length = 1;
    row_add(cells, 1, 10, 0x111, 0);
    row_add(cells, 2, 11, 0x110, 0);
    for (size_t i = 0; i < 2; i++) {
        cells->records[i].cells[row_rank(&cells->row, 4)] = 100 + i;
        cells->records[i].cells[row_rank(&cells->row, 8)] = 200 + i;
    }
    CHECK(row_check(&cells->row, WORDS));
}

TEST(a_cell_gives_way_to_a_newer_one_of_its_own_site_alone)
{
    struct cell_row row, newer;
    const struct record *cell;

    two_cells(&row);
    row_empty(&newer);
    row_use_each(&newer);
    newer.row.causal_length = 1;
    row_add(&newer, 1, 12, 0x10, 0);
    newer.records[0].cells[0] = 300;
    CHECK(merge(&row, &newer));
    cell = cell_of(&row, 4, 1);
    CHECK_INT(cell->version, ==, 12);
    CHECK_INT(cell->cells[row_rank(&row.row, 4)], ==, 300);
    cell = cell_of(&row, 4, 2);
    CHECK_INT(cell->version, ==, 11);
    CHECK_INT(cell->cells[row_rank(&row.row, 4)], ==, 101);
    CHECK_INT(won[0], ==, 0x10);
}

TEST(a_write_replaces_its_own_cell_of_a_counter_and_all_of_several_values)
{
    struct cell_row row;

    two_cells(&row);
    row_write(&row.row, 2, 12, (uint64_t[WORDS]){0x110}, WORDS, false);
    CHECK(row_check(&row.row, WORDS));
    CHECK_INT(cell_of(&row, 4, 1)->version, ==, 10);
    CHECK_INT(cell_of(&row, 4, 2)->version, ==, 12);
    CHECK(cell_of(&row, 8, 1) == NULL);
    CHECK_INT(cell_of(&row, 8, 2)->version, ==, 12);
}

TEST(one_site_has_no_two_cells_of_one_bit)
{
    struct cell_row row;

    two_cells(&row);
    row.records[1].site = 1;
    CHECK(!row_check(&row.row, WORDS));
}

TEST(a_record_whose_last_cell_is_replaced_goes_with_the_next_merge)
{
    struct cell_row row, other;

    two_cells(&row);
    row.records[1].mask[0] = 0x100;
    row_clear(&row.row, &row.records[1], 8);
    two_cells(&other);
    other.row.record_count = 1;
    CHECK(!merge(&row, &other));
    CHECK_INT(row.row.record_count, ==, 1);
    CHECK(row_check(&row.row, WORDS));
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
