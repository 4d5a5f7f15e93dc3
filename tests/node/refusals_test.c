#include "check.h"

#include "node/refusals.h"

static struct vv_view needed(struct vv_entry entry, uint8_t *bytes)
{
    vv_entry_store(&entry, bytes);
    return (struct vv_view){bytes, 1};
}

static const struct gv_error why = {.code = GV_ESCHEMA, .what = "No table."};

TEST(a_refusal_is_over_when_the_vector_covers_it)
{
    struct vv_entry entry = {.site = {.bytes = {1}}, .version = 5};
    uint8_t bytes[VV_ENTRY_SIZE];
    static struct refusals refusals;
    struct vv vv;

    refusals_init(&refusals);
    vv_init(&vv);
    refusals_add(&refusals, "news", &why, needed(entry, bytes), 1);
    CHECK_INT(vv_raise(&vv, &entry.site, 4), ==, GV_OK);
    refusals_prune(&refusals, &vv);
    CHECK_INT(refusals.count, ==, 1);
    CHECK_INT(vv_raise(&vv, &entry.site, 5), ==, GV_OK);
    refusals_prune(&refusals, &vv);
    CHECK_INT(refusals.count, ==, 0);
    vv_close(&vv);
    refusals_close(&refusals);
}

TEST(the_same_refusal_again_only_counts)
{
    struct vv_entry entry = {.site = {.bytes = {1}}, .version = 5};
    uint8_t bytes[VV_ENTRY_SIZE];
    static struct refusals refusals;

    refusals_init(&refusals);
    refusals_add(&refusals, "news", &why, needed(entry, bytes), 1);
    entry.version = 9;
    refusals_add(&refusals, "news", &why, needed(entry, bytes), 2);
    CHECK_INT(refusals.count, ==, 1);
    CHECK_INT(refusals.items[0].count, ==, 2);
    CHECK_INT(vv_get(&refusals.items[0].needed, &entry.site), ==, 9);
    refusals_close(&refusals);
}

TEST(the_oldest_makes_room)
{
    struct vv_entry entry = {.site = {.bytes = {1}}, .version = 5};
    uint8_t bytes[VV_ENTRY_SIZE];
    static struct refusals refusals;
    char from[20];

    refusals_init(&refusals);
    for (int i = 0; i <= REFUSALS_MAX; i++) {
        snprintf(from, sizeof from, "news %d", i);
        refusals_add(&refusals, from, &why, needed(entry, bytes), i);
    }
    CHECK_INT(refusals.count, ==, REFUSALS_MAX);
    CHECK_TEXT(refusals.items[0].from, "news 1");
    refusals_close(&refusals);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
