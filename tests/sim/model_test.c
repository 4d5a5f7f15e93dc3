/* The model of a store: it takes and refuses what the store would. */
#include "check.h"
#include "sim/machine/keeper.h"

#define WALL 1700000000000

static struct keeper *keeper_new(uint64_t seed)
{
    struct keeper *keeper = NULL;

    CHECK_INT(model_open(seed, &keeper), ==, GV_OK);
    return keeper;
}

static void keeper_free(struct keeper *keeper)
{
    keeper->methods->close(keeper);
}

/* One transaction; what it sealed lives as long as any model. */
static struct interval write_one(struct keeper *keeper, gv_time_ms wall,
                                 size_t size)
{
    struct store_sealed sealed;

    model_write(keeper, wall, size);
    CHECK_INT(keeper->methods->begin(keeper, NULL), ==, GV_OK);
    CHECK_INT(keeper->methods->commit(keeper, &sealed, NULL), ==, GV_OK);
    CHECK(sealed.any);
    return sealed.interval;
}

static int apply(struct keeper *keeper, const struct interval *interval)
{
    struct store_sealed sealed;
    int rc;

    CHECK_INT(keeper->methods->begin(keeper, NULL), ==, GV_OK);
    rc = keeper->methods->apply_interval(keeper, interval, NULL);
    CHECK_INT(keeper->methods->commit(keeper, &sealed, NULL), ==, GV_OK);
    return rc;
}

static struct keeper_extract *extract_for(struct keeper *from,
                                          const struct keeper *asker)
{
    const struct vv *vv = asker->methods->vv(asker);
    static uint8_t bytes[64 * VV_ENTRY_SIZE];
    struct keeper_extract *extract = NULL;

    for (size_t i = 0; i < vv->count; i++)
        vv_entry_store(&vv->entries[i], bytes + i * VV_ENTRY_SIZE);
    CHECK_INT(from->methods->extract(from, (struct vv_view){bytes, vv->count},
                                     &extract, NULL),
              ==, GV_OK);
    return extract;
}

/* All that @from has and @to lacks, in pieces; @turned: a byte of it is
 * changed (SIZE_MAX: none). */
static int give(struct keeper *from, struct keeper *to, size_t turned)
{
    const struct keeper_methods *methods = from->methods;
    struct keeper_extract *extract = extract_for(from, to);
    uint64_t size = methods->extract_size(extract), kept;
    struct core_stage stage = {.token = 9};
    int rc;

    CHECK(methods->extract_spool(extract) != 0);
    for (uint64_t at = 0; at < size; at += 100) {
        uint8_t bytes[100];
        size_t part = size - at < 100 ? (size_t)(size - at) : 100;
        CHECK_INT(methods->extract_read(extract, at, bytes, part), ==, GV_OK);
        if (turned >= at && turned - at < part)
            bytes[turned - at] ^= 1;
        stage.size = at;
        CHECK_INT(methods->stage(to, &stage, bytes, part, &kept), ==, GV_OK);
    }
    rc = methods->apply_delta(to, 9, methods->extract_claim(extract), NULL);
    methods->extract_free(extract);
    return rc;
}

static void check_equal(const struct keeper *a, const struct keeper *b)
{
    CHECK(a->methods->vv(a)->hash == b->methods->vv(b)->hash);
    CHECK(
        hash128_equal(a->methods->fingerprint(a), b->methods->fingerprint(b)));
}

TEST(an_interval_is_applied_in_order_and_once)
{
    struct keeper *a = keeper_new(1), *b = keeper_new(2);
    struct interval first = write_one(a, WALL, 10);
    struct interval second = write_one(a, WALL, 10);

    CHECK_INT(first.from, ==, 0);
    CHECK_INT(second.from, ==, first.to);
    CHECK_INT(apply(b, &second), ==, GV_EGAP);
    CHECK_INT(apply(b, &first), ==, GV_OK);
    CHECK_INT(apply(b, &first), ==, GV_EDUPLICATE);
    CHECK_INT(apply(b, &second), ==, GV_OK);
    CHECK_INT(apply(b, &first), ==, GV_EDUPLICATE);
    CHECK_INT(apply(a, &second), ==, GV_EDUPLICATE);
    check_equal(a, b);
    keeper_free(a);
    keeper_free(b);
}

TEST(an_interval_waits_for_what_its_writer_had_seen)
{
    struct keeper *a = keeper_new(1), *b = keeper_new(2), *c = keeper_new(3);
    struct interval cause = write_one(a, WALL + 5000, 10), effect, later;

    CHECK_INT(apply(b, &cause), ==, GV_OK);
    effect = write_one(b, WALL, 10);
    CHECK_INT(effect.dependencies.count, ==, 1);
    CHECK(effect.to > cause.to);
    later = write_one(b, WALL, 10);
    CHECK_INT(later.dependencies.count, ==, 0);
    CHECK_INT(apply(c, &effect), ==, GV_EGAP);
    CHECK_INT(apply(c, &cause), ==, GV_OK);
    CHECK_INT(apply(c, &effect), ==, GV_OK);
    CHECK_INT(apply(c, &later), ==, GV_OK);
    check_equal(b, c);
    keeper_free(a);
    keeper_free(b);
    keeper_free(c);
}

TEST(a_delta_brings_all_that_is_lacking_and_its_claim)
{
    struct keeper *a = keeper_new(1), *b = keeper_new(2), *c = keeper_new(3);
    struct interval interval;

    for (int i = 0; i < 20; i++) {
        interval = write_one(a, WALL + i, (size_t)i * 10);
        CHECK_INT(apply(b, &interval), ==, GV_OK);
        interval = write_one(b, WALL + i, 5);
        if (i == 10)
            CHECK_INT(give(b, c, SIZE_MAX), ==, GV_OK);
    }
    CHECK_INT(model_received(c), ==, 22);
    CHECK_INT(give(b, c, SIZE_MAX), ==, GV_OK);
    CHECK_INT(model_received(c), ==, 40);
    check_equal(b, c);
    CHECK_INT(give(b, c, SIZE_MAX), ==, GV_ENOTFOUND);
    keeper_free(a);
    keeper_free(b);
    keeper_free(c);
}

TEST(damaged_bytes_are_refused_and_change_nothing)
{
    struct keeper *a = keeper_new(1), *b = keeper_new(2);
    struct interval interval = write_one(a, WALL, 200);
    uint8_t bytes[512];

    CHECK(interval.size <= sizeof bytes);
    memcpy(bytes, interval.bytes, interval.size);
    bytes[interval.size - 1] ^= 4;
    interval.bytes = bytes;
    CHECK_INT(apply(b, &interval), ==, GV_EPROTO);
    CHECK_INT(give(a, b, 2), ==, GV_EPROTO);
    CHECK_INT(give(a, b, 150), ==, GV_EPROTO);
    CHECK_INT(b->methods->vv(b)->count, ==, 0);
    CHECK_INT(give(a, b, SIZE_MAX), ==, GV_OK);
    check_equal(a, b);
    keeper_free(a);
    keeper_free(b);
}

TEST(a_stage_takes_bytes_in_order_and_one_token_at_a_time)
{
    struct keeper *a = keeper_new(1);
    const uint8_t bytes[10] = {0};
    struct core_stage stage = {.token = 1};
    uint64_t kept;

    CHECK_INT(a->methods->stage(a, &stage, bytes, 10, &kept), ==, GV_OK);
    stage.size = 5;
    CHECK_INT(a->methods->stage(a, &stage, bytes, 5, &kept), ==, GV_EPROTO);
    stage = (struct core_stage){.token = 2};
    CHECK_INT(a->methods->stage(a, &stage, bytes, 10, &kept), ==, GV_OK);
    CHECK_INT(a->methods->apply_delta(a, 1, (struct vv_view){NULL, 0}, NULL),
              ==, GV_ENOTFOUND);
    a->methods->stage_drop(a, 2);
    CHECK_INT(a->methods->apply_delta(a, 2, (struct vv_view){NULL, 0}, NULL),
              ==, GV_ENOTFOUND);
    keeper_free(a);
}

TEST(nothing_is_extracted_while_something_is_not_sealed)
{
    struct keeper *a = keeper_new(1);
    struct keeper_extract *extract;
    struct store_news news;
    struct interval interval;

    model_write(a, WALL, 1);
    CHECK_INT(a->methods->poll(a, &news), ==, GV_OK);
    CHECK(news.committed);
    CHECK_INT(
        a->methods->extract(a, (struct vv_view){NULL, 0}, &extract, NULL), ==,
        GV_EBUSY);
    interval = write_one(a, WALL, 2 * MESSAGE_NEWS_SIZE_MAX);
    CHECK(interval.bytes == NULL);
    CHECK_INT(a->methods->poll(a, &news), ==, GV_OK);
    CHECK(!news.committed);
    keeper_free(a);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
