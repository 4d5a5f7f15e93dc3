/* Version vectors, the clock, sites. */
#include "base/random.h"
#include "check.h"
#include "core/clock.h"
#include "core/vv.h"
#include "grapevine.h"

static struct site site_of(uint64_t number)
{
    struct site site = {{0}};

    for (size_t i = 0; i < 8; i++)
        site.bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    return site;
}

TEST(sites_print_as_32_hex_digits_and_order_by_bytes)
{
    struct site a = {{0x00, 0x1f, 0xa0}}, b = {{0x00, 0x1f, 0xa1}};
    char text[33];

    site_format(&a, text);
    CHECK_TEXT(text, "001fa000000000000000000000000000");
    CHECK(site_compare(&a, &b) < 0 && site_compare(&b, &a) > 0);
    CHECK(site_equal(&a, &a) && !site_equal(&a, &b));
}

TEST(the_clock_exceeds_the_wall_its_own_and_all_it_saw)
{
    CHECK_INT(clock_next(5, 0, 0), ==, 5 << 16);
    CHECK_INT(clock_next(5, 5 << 16, 0), ==, (5 << 16) + 1);
    CHECK_INT(clock_next(5, 7, 9 << 16), ==, (9 << 16) + 1);
    CHECK_INT(clock_next(-5, 0, 0), ==, 1);
    /* No clock of a version can say this. */
    CHECK_INT(clock_next(INT64_MAX / 3, 7, 8), ==, 9);
    CHECK_INT(clock_next((gv_time_ms)(VERSION_MAX >> 16), 7, 8), ==, 9);
    CHECK_INT(clock_wall(clock_next(1700000000000, 0, 0)), ==, 1700000000000);
}

TEST(the_clock_guard_allows_a_minute_and_no_more)
{
    gv_version version = (gv_version)(100000 + CLOCK_DRIFT_MAX_MS) << 16;

    CHECK(!clock_too_far(version, 100000));
    CHECK(!clock_too_far(version | 0xffff, 100000));
    CHECK(clock_too_far(version, 99999));
    CHECK(!clock_too_far(VERSION_MAX, INT64_MAX));
}

TEST(a_raise_never_lowers)
{
    struct vv vv;
    struct site a = site_of(1), b = site_of(2);
    uint64_t hash;

    vv_init(&vv);
    CHECK_INT(vv_get(&vv, &a), ==, 0);
    CHECK_INT(vv_raise(&vv, &b, 7), ==, GV_OK);
    CHECK_INT(vv_raise(&vv, &a, 0), ==, GV_OK);
    CHECK_INT(vv.count, ==, 1);
    hash = vv.hash;
    CHECK_INT(vv_raise(&vv, &b, 6), ==, GV_OK);
    CHECK_INT(vv_get(&vv, &b), ==, 7);
    CHECK(vv.hash == hash && hash != 0);
    CHECK_INT(vv_raise(&vv, &b, 8), ==, GV_OK);
    CHECK(vv.hash != hash);
    vv_clear(&vv);
    CHECK(vv.count == 0 && vv.hash == 0);
    vv_close(&vv);
}

TEST(raise_of_a_new_site_fails_when_full)
{
    struct vv vv;
    struct site extra = site_of(VV_SITES_MAX);
    uint64_t hash;

    vv_init(&vv);
    for (uint64_t i = 0; i < VV_SITES_MAX; i++) {
        struct site site = site_of(i);
        CHECK_INT(vv_raise(&vv, &site, 1), ==, GV_OK);
    }
    hash = vv.hash;
    CHECK_INT(vv_raise(&vv, &extra, 1), ==, GV_ELIMIT);
    CHECK_INT(vv.count, ==, VV_SITES_MAX);
    CHECK(vv.hash == hash);
    extra = site_of(0);
    CHECK_INT(vv_raise(&vv, &extra, 2), ==, GV_OK);
    vv_close(&vv);
}

/* The model: versions by site number. */
#define SITES 20

static void random_vv(struct random *random, struct vv *vv,
                      gv_version model[SITES])
{
    memset(model, 0, SITES * sizeof(*model));
    for (uint64_t i = random_below(random, 40); i > 0; i--) {
        uint64_t number = random_below(random, SITES);
        gv_version version = 1 + random_below(random, 3);
        struct site site = site_of(number);
        CHECK_INT(vv_raise(vv, &site, version), ==, GV_OK);
        if (version > model[number])
            model[number] = version;
    }
}

static struct vv_view view_of(const struct vv *vv,
                              uint8_t bytes[SITES * VV_ENTRY_SIZE])
{
    for (size_t i = 0; i < vv->count; i++)
        vv_entry_store(&vv->entries[i], bytes + i * VV_ENTRY_SIZE);
    return (struct vv_view){bytes, vv->count};
}

TEST(vectors_agree_with_a_plain_array)
{
    struct random random;

    random_seed(&random, 7);
    for (int i = 0; i < 20000; i++) {
        struct vv a, b, both;
        gv_version in_a[SITES], in_b[SITES];
        uint8_t bytes[SITES * VV_ENTRY_SIZE];
        size_t lacks = 0;
        struct vv_view view;

        vv_init(&a);
        vv_init(&b);
        vv_init(&both);
        random_vv(&random, &a, in_a);
        random_vv(&random, &b, in_b);
        for (uint64_t s = 0; s < SITES; s++) {
            struct site site = site_of(s);
            CHECK_INT(vv_get(&a, &site), ==, in_a[s]);
            lacks += in_b[s] > in_a[s];
        }
        view = view_of(&b, bytes);
        CHECK(vv_view_valid(view));
        CHECK_INT(vv_lacks(&a, &b), ==, lacks);
        CHECK_INT(vv_covers(&a, &b), ==, lacks == 0);
        CHECK_INT(vv_covers_view(&a, view), ==, lacks == 0);

        /* However one comes to a vector, its hash is the same. */
        CHECK_INT(vv_copy(&both, &a), ==, GV_OK);
        CHECK(both.hash == a.hash);
        CHECK_INT(vv_raise_view(&both, view), ==, GV_OK);
        CHECK(vv_covers(&both, &a) && vv_covers(&both, &b));
        CHECK_INT(vv_raise_view(&a, view), ==, GV_OK);
        CHECK(a.hash == both.hash);
        CHECK((both.hash == b.hash) ==
              (vv_covers(&b, &both) && vv_covers(&both, &b)));
        vv_close(&a);
        vv_close(&b);
        vv_close(&both);
    }
}

TEST(a_view_out_of_order_or_out_of_range_is_not_valid)
{
    uint8_t bytes[2 * VV_ENTRY_SIZE];
    struct vv_entry one = {site_of(1), 5}, two = {site_of(2), VERSION_MAX};
    struct vv_view view = {bytes, 2};

    vv_entry_store(&one, bytes);
    vv_entry_store(&two, bytes + VV_ENTRY_SIZE);
    CHECK(vv_view_valid(view));
    CHECK(vv_view_valid((struct vv_view){NULL, 0}));
    CHECK(vv_view_at(view, 1).version == VERSION_MAX);
    two.version++;
    vv_entry_store(&two, bytes + VV_ENTRY_SIZE);
    CHECK(!vv_view_valid(view));
    two.version = 0;
    vv_entry_store(&two, bytes + VV_ENTRY_SIZE);
    CHECK(!vv_view_valid(view));
    vv_entry_store(&one, bytes + VV_ENTRY_SIZE);
    CHECK(!vv_view_valid(view));
    two = (struct vv_entry){site_of(0), 1};
    vv_entry_store(&two, bytes + VV_ENTRY_SIZE);
    CHECK(!vv_view_valid(view));
    view.count = VV_SITES_MAX + 1;
    CHECK(!vv_view_valid(view));
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
